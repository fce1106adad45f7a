# SPDX-License-Identifier: BSD-2-Clause
"""This terminal's keys, one by one, while someone talks to a guest."""
import os
import select
import sys
import termios
import tty
from contextlib import contextmanager

ESCAPE = b"\x1d"


class Keyboard:
    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.open = True

    def pressed(self, wait=0):
        """Keys pressed by now; none for ever once the input has ended."""
        if not self.open or \
                not select.select([self.descriptor], [], [], wait)[0]:
            return b""
        keys = os.read(self.descriptor, 4096)
        self.open = bool(keys)
        return keys


@contextmanager
def keyboard(wanted=True):
    """The keyboard without line editing; output keeps its newlines."""
    descriptor = sys.stdin.fileno()
    if not wanted:
        yield None
        return
    before = os.isatty(descriptor) and termios.tcgetattr(descriptor)
    if before:
        tty.setraw(descriptor)
        mode = termios.tcgetattr(descriptor)
        mode[1] = before[1]
        termios.tcsetattr(descriptor, termios.TCSADRAIN, mode)
    try:
        yield Keyboard(descriptor)
    finally:
        if before:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def attach(socket):
    """Both ways until Ctrl-] or until the other end closes."""
    with keyboard() as keys:
        while True:
            typed = keys.pressed()
            if ESCAPE in typed:
                return
            socket.sendall(typed)
            if select.select([socket], [], [], 0.02)[0]:
                data = socket.recv(65536)
                if not data:
                    return
                os.write(sys.stdout.fileno(), data)
