# SPDX-License-Identifier: BSD-2-Clause
"""One QEMU process: its command line, its control socket, its end.

All channels are socket pairs made here and handed over as descriptors, so
there are no socket files to clean up or to collide.  QEMU dies with this
process, whatever kills it.
"""
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time

from report import broken

BASE_CPU = ("qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,-rdtscp,+pdpe1gb,+rdrand,"
            "+npt")
CPUS = 2
# icount: the machine's time is the number of instructions it has executed, one
# nanosecond each, whatever else this machine does meanwhile.
ACCELERATORS = {
    "tcg": ["-accel", "tcg,thread=multi"],
    "icount": ["-accel", "tcg,thread=single", "-icount",
               "shift=0,align=off,sleep=off"],
}


def cpu_model(accelerator):
    """qemu64 has no SMAP, which emulation gets wrong for Xen's guests."""
    model = "host" if accelerator == "kvm" else BASE_CPU
    extra = os.environ.get("LAB_CPU")
    return f"{model},+{extra}" if extra else model


def binary():
    path = shutil.which("qemu-system-x86_64")
    if not path:
        raise broken("no qemu-system-x86_64; lab/lab doctor says what to do")
    return path


def version():
    return subprocess.run([binary(), "--version"], text=True, check=True,
                          capture_output=True).stdout.splitlines()[0]


def machine(accelerator, memory):
    """The part of the command line every QEMU here has."""
    accel = ACCELERATORS.get(accelerator, ["-accel", accelerator])
    return [*accel, "-cpu", cpu_model(accelerator), "-smp", str(CPUS),
            "-m", str(memory), "-display", "none", "-nodefaults",
            "-no-user-config", "-no-reboot"]


def boot(xen, xen_options, modules):
    """Boot arguments for Xen: modules are (file, command line) pairs."""
    initrd = ",".join(f"{file} {line}".strip().replace(",", ",,")
                      for file, line in modules)
    return ["-kernel", str(xen), "-append", xen_options, "-initrd", initrd]


def be_as_nice(pid):
    """Linux may take a session for a group of its own, whose niceness is 0
    whatever its processes have: (pid), of a new one, gets ours."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/autogroup", "w") as group:
        group.write(str(os.nice(0)))


class Qemu:
    """A running QEMU with its serial line, control and terminal sockets."""

    def __init__(self, arguments, log, channels=("serial", "qmp")):
        self.log = log
        self.buffer = b""
        theirs = []
        command = ["setpriv", "--pdeathsig", "KILL", binary(), *arguments]
        for name in channels:
            ours, other = socket.socketpair()
            setattr(self, name, ours)
            theirs.append(other)
            command += ["-chardev",
                        f"socket,id={name},fd={other.fileno()}"]
        command += ["-serial", "chardev:serial",
                    "-mon", "chardev=qmp,mode=control"]
        with open(log, "wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                pass_fds=[other.fileno() for other in theirs],
                start_new_session=True)
        for other in theirs:
            other.close()
        self.pid = self.process.pid
        be_as_nice(self.pid)

    def alive(self):
        return self.process.poll() is None

    def complaint(self):
        """What QEMU said before it ended."""
        text = self.log.read_text(errors="replace").strip()
        return text or f"QEMU ended with status {self.process.returncode}"

    def read_serial(self, wait):
        """Bytes of the serial line; empty after this many quiet seconds."""
        if not select.select([self.serial], [], [], wait)[0]:
            return b""
        try:
            return self.serial.recv(65536)
        except ConnectionError:
            return b""

    def write_serial(self, data):
        """Type; Xen loses characters that come faster than it polls."""
        for byte in data:
            self.serial.send(bytes([byte]))
            time.sleep(0.05)

    def connect(self, timeout=20):
        """Finish the handshake of the control protocol."""
        self.message(timeout)
        self.command("qmp_capabilities")

    def message(self, timeout=20):
        """The next message of the control protocol."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            left = max(0, deadline - time.monotonic())
            if not select.select([self.qmp], [], [], left)[0]:
                raise broken(f"QEMU does not answer ({timeout} s)")
            data = self.qmp.recv(65536)
            if not data:
                self.process.wait(5)
                raise broken(self.complaint())
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def command(self, name, **arguments):
        request = {"execute": name}
        if arguments:
            request["arguments"] = arguments
        self.qmp.sendall(json.dumps(request).encode())
        while True:
            answer = self.message()
            if "error" in answer:
                raise broken(f"QEMU refuses {name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def await_event(self, name, timeout=20):
        while self.message(timeout).get("event") != name:
            pass

    def quit(self):
        """End in order, so that written data has reached its files."""
        try:
            self.qmp.sendall(b'{"execute": "quit"}')
            self.process.wait(3)
        except (OSError, subprocess.TimeoutExpired):
            self.kill()

    def kill(self):
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait()
