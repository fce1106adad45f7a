# SPDX-License-Identifier: BSD-2-Clause
"""KVM when it really works, emulation otherwise, and the reason for it.

/dev/kvm may exist and yet fail to run Xen (a nested KVM without hardware
support does that), so a short boot of Xen itself decides.  The verdict is
kept for this machine, kernel and QEMU.  ACCEL=tcg or ACCEL=kvm forces.
"""
import json
import os
import platform
import time

import paths
import qemu
from report import say, step

PROBE_LIMIT = 12
SILENCE_LIMIT = 4
ENTERED = b"*** Building a PV Dom0 ***"


def choose(image):
    forced = os.environ.get("ACCEL")
    if forced:
        return forced
    return remembered(image)


def remembered(image):
    file = paths.LAB / "accel.json"
    machine = " ".join([platform.node(), platform.release(), qemu.version(),
                        "kvm" if accessible() else "no kvm"])
    known = json.loads(file.read_text()) if file.exists() else {}
    if machine not in known:
        with step("probe KVM"):
            known[machine] = probe(image)
        file.write_text(json.dumps(known))
        say("accelerator: " + (f"tcg, because KVM {known[machine]}"
                               if known[machine] else "kvm"))
    return "tcg" if known[machine] else "kvm"


def accessible():
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def probe(image):
    """Empty when Xen comes up under KVM, else why not."""
    if not accessible():
        return "cannot be used: no access to /dev/kvm"
    directory = paths.fresh(paths.RUNS / str(os.getpid()) / "probe")
    command = qemu.machine("kvm", 512) + qemu.boot(
        image.xen, "console=com1 com1=115200,8n1", [(image.linux, "")])
    machine = qemu.Qemu(command, directory / "probe.log")
    try:
        return watch(machine)
    finally:
        machine.kill()


def watch(machine):
    start = time.monotonic()
    seen = b""
    while time.monotonic() - start < PROBE_LIMIT:
        seen += machine.read_serial(0.1)
        log = machine.log.read_text(errors="replace").strip()
        if ENTERED in seen:
            return ""
        if log or not machine.alive():
            return "fails: " + (machine.complaint().splitlines()[0])
        if not seen and time.monotonic() - start > SILENCE_LIMIT:
            return f"gives no sign of Xen in {SILENCE_LIMIT} s"
    return f"does not start dom0 in {PROBE_LIMIT} s"
