# SPDX-License-Identifier: BSD-2-Clause
"""An image booted by Xen as its dom0 kernel: no Linux, a verdict in a second.

The kernel speaks through the hypervisor's console and ends with the line
`exit status N`; Xen's own lines may come between.  Nothing else is trusted:
after a crash or a power-off QEMU may end with status 0, or not at all.
"""
import re
import time

import accel
import doctor
import image
import paths
import qemu
from report import (CRASHED, ENDED, HUNG, OK, UNSEEN, Failure, broken, show)
from symbols import Symbols

EXIT_LINE = re.compile(rb"exit status (-?\d+)\s*?\n")
CRASH = re.compile(rb"Hardware Dom0 crashed|Panic on CPU|FATAL TRAP"
                   rb"|Domain 0 crashed|domain_crash")
GONE = re.compile(rb"Hardware Dom0 (halted|shutdown|rebooting)")
STARTED = "*** Serial input to DOM0"
SETTLE = 0.3
ASK_XEN = b"\x01\x01\x010"  # three Ctrl-A: Xen listens; 0: show dom0's registers and stacks
SETTLE_HUNG = 3
XEN_MEMORY = 192


def run(request):
    memory = request.memory * 65 // 64 + XEN_MEMORY
    doctor.require_memory(memory, f"Xen's {memory - request.memory} included")
    parts = image.ensure()
    directory = paths.run_dir()
    accelerator = accel.choose(parts)
    # Xen's usual scheduler, credit2, may leave a vCPU waiting while processors are idle: seen with
    # more vCPUs than processors in QEMU, its runstate "runnable" and both processors halted. And
    # QEMU's XSAVE and XRSTOR do not trap where Xen counts on it to bring a vCPU's registers back.
    # What does not fit into Xen's buffer for the serial line it drops, last words included.
    # Of more vCPUs than processors some wait for others that do not run: not for its usual slices of 30 ms.
    xen = ("sched=credit spec-ctrl=eager-fpu "
           f"{'sched_credit_tslice_ms=5 ' if request.vcpus > qemu.CPUS else ''}"
           f"dom0_mem={request.memory}M,max:{request.memory}M "
           f"dom0_max_vcpus={request.vcpus}-{request.vcpus} console=com1 "
           "com1=115200,8n1 serial_tx_buffer=1M loglvl=all guest_loglvl=all "
           "noreboot bootscrub=0")
    command = qemu.machine(accelerator, memory)
    command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    command += qemu.boot(parts.xen, xen, [(request.image, request.cmdline)])
    machine = qemu.Qemu(command, directory / "qemu.log")
    try:
        return watch(machine, request)
    finally:
        machine.kill()


def watch(machine, request):
    """Follow the serial line to a verdict."""
    deadline = time.monotonic() + request.timeout
    output, shown, done = b"", Printer(), None
    while not done:
        alive = machine.alive()
        data = machine.read_serial(0.05)
        output += data.replace(b"\r", b"")
        shown.feed(data)
        done = verdict(output, request)
        if not done and not alive and not data:
            done = ended(machine, output)
        if not done and time.monotonic() > deadline:
            done = timed_out(request)
    if done.code == HUNG:
        machine.write_serial(ASK_XEN)
    output += linger(machine, output, done)
    if CRASH.search(output) and not request.expect:
        done = Failure(CRASHED, "the kernel crashed (Xen's report is above)")
    if done.code:
        machine_report(output, request)
    return done


def verdict(output, request):
    text = output.decode(errors="replace")
    if request.expect and request.expect.search(text):
        return Failure(OK, "the expected text appeared")
    if CRASH.search(output):
        return Failure(CRASHED, "the kernel crashed (Xen's report is above)")
    status = EXIT_LINE.search(output)
    if status and request.expect:
        return Failure(ENDED, "ended before the expected text appeared")
    if status:
        return exit_verdict(int(status.group(1)))
    if GONE.search(output):
        return Failure(ENDED, "ended without the line 'exit status N'")
    return None


def exit_verdict(status):
    return Failure(ENDED if status else OK, f"exit status {status}")


def ended(machine, output):
    """QEMU has ended: by a write to its exit port, or by itself."""
    code = machine.process.returncode
    if code & 1:
        return exit_verdict(code >> 1)
    if not output:
        return broken(machine.complaint())
    return Failure(ENDED, "the machine stopped without 'exit status N'")


def timed_out(request):
    if request.expect:
        return Failure(UNSEEN, f"expected text not seen in {request.timeout} s")
    return Failure(HUNG, f"no verdict in {request.timeout} s")


def linger(machine, output, done):
    """The rest: a halt after the last line, or Xen's report of a crash."""
    deadline = time.monotonic() + (SETTLE_HUNG if done.code == HUNG else SETTLE)
    rest = b""
    while time.monotonic() < deadline and machine.alive():
        if done.code == OK and GONE.search(output + rest):
            break
        rest += machine.read_serial(0.05).replace(b"\r", b"")
    return rest


def machine_report(output, request):
    """What Xen said since it started the kernel; names for the addresses of both."""
    text = output.decode(errors="replace").partition(STARTED)
    xen = [line for line in (text[2] or text[0]).splitlines()
           if line.startswith("(XEN)")]
    show("Xen", "\n".join(xen))
    symbols = Symbols.of(request.image)
    full = symbols.stack_overflow("\n".join(xen))
    if full:
        show("stack", full)
    names = symbols.explain(text[2] or text[0])
    if names:
        show("addresses of the image", names)


class Printer:
    """Prints the kernel's own lines; Xen's are kept for the report."""

    def __init__(self):
        self.rest = ""

    def feed(self, data):
        text = self.rest + data.decode(errors="replace").replace("\r", "")
        *lines, self.rest = text.split("\n")
        for line in lines:
            if not line.startswith("(XEN)") and line.strip("\0 "):
                print(line, flush=True)
