# SPDX-License-Identifier: BSD-2-Clause
"""One domain from creation to verdict.

The host and the agent in dom0 share a directory: the job goes in, the
console, the script's output and the state come out.  The host only reads
files and watches the clock; the agent only reacts to words and events.
"""
import errno
import shlex
import shutil
import socket
import time

import accel
import doctor
import dom0
import domain
import image
import paths
import terminal
from report import (CREATE_FAILED, CRASHED, ENDED, HUNG, OK, UNSEEN, Failure,
                    broken, misuse, say, show)
from symbols import Symbols

TICK = 0.01
PICKUP_LIMIT = 60
REPORT_LIMIT = 30
REPORTS = (("xl list", "report.list"), ("xl dmesg", "report.dmesg"),
           ("vCPU registers and stack", "report.vcpus"))


class Tail:
    """A growing file, printed as it grows."""

    def __init__(self, path):
        self.path = path
        self.file = None
        self.text = ""

    def read(self):
        if not self.file and self.path.exists():
            self.file = open(self.path, encoding="utf-8", errors="replace",
                             newline="")
        new = self.file.read().replace("\r", "") if self.file else ""
        self.text += new
        if new:
            print(new, end="", flush=True)
        return new


class Run:
    def __init__(self, request, directory, machine, keyboard):
        self.request = request
        self.dir = directory / "job"
        self.machine = machine
        self.keyboard = keyboard
        self.console = Tail(self.dir / "console" / "guest-guest.log")
        self.script = Tail(self.dir / "script.log")
        self.seen = False
        self.started = None
        self.attached = False

    def state(self):
        try:
            return (self.dir / "state").read_text().split()
        except FileNotFoundError:
            return ["waiting"]

    def endless(self):
        """Someone is using the guest: no clock runs against it."""
        request = self.request
        busy = request.forward or request.interactive
        return busy and not request.expect and not request.script

    def follow(self):
        """Until there is a verdict."""
        while True:
            self.machine.listen(TICK)
            state = self.state()
            self.look_for_expected(self.console.read())
            self.script.read()
            if state[0] != "waiting" and not self.started:
                self.started = time.monotonic()
            if self.type(state):
                return Failure(OK, "detached")
            verdict = judge(state, self.seen, self.request)
            if verdict:
                return verdict
            if self.late():
                return overdue(state, self.request)

    def look_for_expected(self, new):
        expect = self.request.expect
        if new and expect and expect.search(self.console.text):
            self.seen = True

    def late(self):
        now = time.monotonic()
        if not self.started:
            return now - self.machine.begun > PICKUP_LIMIT
        return not self.endless() and \
            now - self.started > self.request.timeout

    def type(self, state):
        """Pass on what is typed; Ctrl-] lets go of the domain."""
        if not self.keyboard or state[0] != "created":
            return False
        if not self.attached:
            self.attached = True
            self.machine.tell("keys")
        pressed = self.keyboard.pressed()
        self.machine.term.sendall(pressed)
        return terminal.ESCAPE in pressed

    def report(self, verdict):
        """What dom0 and Xen know about the failure."""
        if verdict.code != CRASHED and self.machine.alive() and self.started:
            self.ask_for_report()
        if verdict.code == CREATE_FAILED:
            show("xl create", self.text("create.log"))
        for title, name in REPORTS:
            if (self.dir / name).exists():
                show(title, self.text(name) or "(nothing)")
        symbols = Symbols.of(self.request.image)
        names = symbols.explain(self.console.text + self.text("report.vcpus"))
        full = symbols.stack_overflow(self.text("report.vcpus") +
                                      self.text("report.dmesg"))
        if full:
            show("stack", full)
        if names:
            show("addresses of the image", names)

    def ask_for_report(self):
        self.machine.tell("report")
        deadline = time.monotonic() + REPORT_LIMIT
        while self.state()[0] != "reported" and time.monotonic() < deadline:
            self.machine.listen(TICK)

    def text(self, name):
        try:
            return (self.dir / name).read_text(errors="replace")
        except FileNotFoundError:
            return ""


def judge(state, seen, request):
    """The verdict on a state of the agent, or None while it is open."""
    word, value = state[0], (state[1:] or [""])[0]
    if word == "create-failed":
        return Failure(CREATE_FAILED, "xl create failed")
    if word == "crashed":
        return Failure(CRASHED, "the domain crashed")
    if request.script:
        return judge_script(word, value, seen, request)
    if seen:
        return Failure(OK, "the expected text appeared")
    if word in ("ended", "gone") and request.expect:
        return Failure(ENDED, "the domain ended before the expected text")
    return judge_end(word, value)


def judge_script(word, value, seen, request):
    if word != "script":
        return None
    if value != "0":
        return Failure(int(value), f"the script ended with status {value}")
    if request.expect and not seen:
        return None
    return Failure(OK, "the script succeeded")


def judge_end(word, value):
    if word == "gone":
        return Failure(ENDED, "the domain is gone without an exit status")
    if word != "ended":
        return None
    if not value:
        return Failure(ENDED, "the domain ended without writing "
                              "data/exit-status")
    return Failure(OK if value == "0" else ENDED, f"exit status {value}")


def overdue(state, request):
    limit = f"{request.timeout:g} s"
    if state[0] == "waiting":
        return broken("dom0 did not take up the job")
    if request.script and state[0] != "script":
        return Failure(HUNG, f"the script did not end in {limit}")
    if request.expect:
        return Failure(UNSEEN, f"expected text not seen in {limit}: "
                               f"{request.expect.pattern}")
    if state[0] == "creating":
        return Failure(HUNG, f"xl create hung for {limit}")
    return Failure(HUNG, f"the domain did not end in {limit}")


def settings(request):
    """What the agent must know, as shell variables."""
    values = {"NOW": f"{time.time():.0f}", "DOM": request.domain.name,
              "IP": request.domain.address(),
              "DISKS": len(request.domain.disks),
              "FORWARD": "yes" if request.forward else ""}
    return "".join(f"{name}={shlex.quote(str(value))}\n"
                   for name, value in values.items())


def prepare(request, directory):
    """Fill the shared directory."""
    job = directory / "job"
    (job / "pwd").mkdir(parents=True)
    (job / "console").mkdir()
    (job / "domain.cfg").write_text(domain.xl_config(request.domain))
    (job / "settings").write_text(settings(request))
    shutil.copy(request.image, job / "image")
    if request.ramdisk:
        shutil.copy(request.ramdisk, job / "ramdisk")
    if request.script:
        shutil.copy(request.script, job / "script")
        (job / "script").chmod(0o755)
    for file in request.put:
        shutil.copy(file, job / "pwd" / file.name)


def plug_disks(machine, disks):
    """Disk N becomes SCSI unit N; what is written reaches its file."""
    for unit, disk in enumerate(disks):
        machine.command("blockdev-add", **{
            "node-name": f"disk{unit}", "driver": "raw",
            "read-only": disk.readonly, "discard": "unmap",
            "cache": {"no-flush": True},
            "file": {"driver": "host_device" if disk.file.is_block_device()
                     else "file", "filename": str(disk.file),
                     "read-only": disk.readonly}})
        machine.command("device_add", driver="scsi-hd", bus="scsi.0",
                        drive=f"disk{unit}", lun=unit, id=f"unit{unit}")


def fetch_back(request, directory, verdict):
    """The --get files; that one is missing must not hide a worse verdict."""
    for name, target in request.get:
        source = directory / "job" / "pwd" / name
        if source.exists():
            shutil.copy(source, target)
        elif verdict.code == OK:
            verdict = broken(f"--get {name}: the script left no such file")
        else:
            say(f"--get {name}: no such file")
    return verdict


def require_port(forward):
    try:
        socket.create_server(("127.0.0.1", forward[0])).close()
    except OSError as error:
        raise misuse(f"--forward {forward[0]}:{forward[1]}: port {forward[0]} "
                     f"of this machine: {errno.errorcode[error.errno]}; "
                     "choose another") from error


def start(request, directory):
    """A dom0 with the job before it, told to begin."""
    parts = image.ensure()
    need = request.domain.need()
    shape = dom0.shape_for(accel.choose(parts), need)
    doctor.require_memory(shape.dom0 + need,
                          f"dom0 {shape.dom0}, guest {need}")
    forward = request.forward and (request.forward[0],
                                   request.domain.address(),
                                   request.forward[1])
    if forward:
        require_port(request.forward)
    snapshot = not request.cold and \
        dom0.ensure_snapshot(shape, parts, directory / "snapshot")
    prepare(request, directory)
    if snapshot:
        machine = snapshot.restore(directory, forward)
    else:
        machine = dom0.boot(shape, parts, directory, forward)
    machine.begun = time.monotonic()
    plug_disks(machine, request.domain.disks)
    machine.tell("run")
    if forward:
        say("port {0} of this machine is port {2} of {1}; "
            "Ctrl-C ends".format(*forward))
    return machine


def follow(job):
    """Ctrl-C is the ordinary end of a run that has no other."""
    try:
        return job.follow()
    except KeyboardInterrupt:
        if not job.endless():
            raise
        return Failure(OK, "stopped")


def run(request):
    directory = paths.run_dir()
    machine = start(request, directory)
    try:
        with terminal.keyboard(request.interactive) as keyboard:
            job = Run(request, directory, machine, keyboard)
            verdict = follow(job)
        if verdict.code:
            job.report(verdict)
    finally:
        machine.quit()
    return fetch_back(request, directory, verdict)
