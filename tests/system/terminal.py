# SPDX-License-Identifier: BSD-2-Clause
"""A program on a terminal of its own: type, wait for words, see how it ends."""
import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time


def adopt():
    """In the new process: its terminal is that of its session, so Ctrl-C works, also when all this
    runs in the background of a shell, which makes its children deaf to it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    def __init__(self, command, patience, **options):
        self.patience = patience
        self.seen = ""
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True, preexec_fn=adopt, **options)
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        os.close(self.master)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def read(self):
        """False when nothing came for a while or will come any more."""
        if not select.select([self.master], [], [], 1)[0]:
            return self.process.poll() is None
        try:
            data = os.read(self.master, 65536)
        except OSError:  # nobody has the other end open
            return False
        self.seen += data.decode(errors="replace").replace("\r", "")
        return bool(data)

    def await_words(self, words):
        deadline = time.monotonic() + self.patience
        while words not in self.seen:
            assert self.read() and time.monotonic() < deadline, f"no {words!r} in:\n{self.seen}"

    def status(self):
        """The status with which it ends by itself."""
        deadline = time.monotonic() + self.patience
        while self.read():
            assert time.monotonic() < deadline, f"it does not end:\n{self.seen}"
        return self.process.wait(self.patience)
