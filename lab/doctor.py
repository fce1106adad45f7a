# SPDX-License-Identifier: BSD-2-Clause
"""What this machine lacks for the lab, with the command that brings it."""
import os
import shutil
from pathlib import Path

import paths
from packages import KEYRINGS
from report import LAB_FAILED, OK, Failure

TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "setpriv": "util-linux",
         "apt-get": "apt", "dpkg-deb": "dpkg", "readelf": "binutils",
         "nm": "binutils", "addr2line": "binutils", "zstd": "zstd"}
DISK_NEED = 4 << 30
MEMORY_NEED = 1500


def missing_packages():
    lacking = {package for tool, package in TOOLS.items()
               if not shutil.which(tool)}
    if not any(ring.exists() for ring in KEYRINGS):
        lacking.add("debian-archive-keyring")
    return sorted(lacking)


def available_memory():
    """MiB that programs can still have."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) >> 10
    return 0


def complaints():
    """One line per thing that is not as it should be."""
    for package in missing_packages():
        yield f"missing package {package}: sudo apt-get install {package}"
    if not paths.host_suite():
        yield "this is no Debian release; set LAB_SUITE=bookworm or trixie"
    place = next(p for p in (paths.LAB, *paths.LAB.parents) if p.exists())
    free = shutil.disk_usage(place).free
    if free < DISK_NEED:
        yield (f"{free >> 20} MiB free at {place}, {DISK_NEED >> 20} needed: "
               "free some, or set BUILD to another place")
    if available_memory() < MEMORY_NEED:
        yield (f"{available_memory()} MiB of memory available, "
               f"{MEMORY_NEED} needed: stop other programs")


def run():
    found = list(complaints())
    for line in found:
        print(line)
    kvm = "usable device" if os.access("/dev/kvm", os.R_OK | os.W_OK) else \
        "no access"
    print(f"/dev/kvm: {kvm} (a probe at the first run decides; "
          "emulation works everywhere)")
    if found:
        return Failure(LAB_FAILED, f"{len(found)} things to put right")
    return Failure(OK, "nothing is missing")


def require():
    """Stop early, with the remedy, when a tool is missing."""
    lacking = missing_packages()
    if lacking:
        raise Failure(LAB_FAILED, "missing: sudo apt-get install "
                      + " ".join(lacking))
