# SPDX-License-Identifier: BSD-2-Clause
"""What this machine lacks for the lab, with the command that brings it."""
import os
import shutil
from pathlib import Path

import paths
from packages import KEYRINGS
from report import LAB_FAILED, OK, Failure, broken

TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "setpriv": "util-linux",
         "apt-get": "apt", "dpkg-deb": "dpkg", "readelf": "binutils",
         "nm": "binutils", "addr2line": "binutils", "zstd": "zstd"}
DISK_NEED = 2048
IMAGE_NEED = 1200  # packages, what they hold, the image
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


def available_space():
    """(where the lab is built, MiB free there)"""
    place = next(p for p in (paths.LAB, *paths.LAB.parents) if p.exists())
    return place, shutil.disk_usage(place).free >> 20


def too_small(place, free, need):
    return (f"{place}: {free} MiB free, {need} needed: make room, or set "
            "BUILD to another directory")


def complaints():
    """One line per thing that is not as it should be."""
    for package in missing_packages():
        yield f"missing package {package}: sudo apt-get install {package}"
    if not paths.host_suite():
        yield "this is no Debian release; set LAB_SUITE=bookworm or trixie"
    place, free = available_space()
    if free < DISK_NEED:
        yield too_small(place, free, DISK_NEED)
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


def require_space(need):
    """Stop before a full disk does: in MiB."""
    place, free = available_space()
    if free < need:
        raise broken(too_small(place, free, need))


def require_memory(need, parts):
    """Stop before the machine swaps or kills: in MiB, (parts) says for what."""
    available = available_memory()
    if available < need:
        raise broken(f"too little memory: {available} MiB available, {need} "
                     f"needed ({parts}): ask for less with --memory or stop "
                     "other programs")


def require():
    """Before dom0 is built: stop, with the remedy, when a tool or room is missing."""
    lacking = missing_packages()
    if lacking:
        raise broken("missing: sudo apt-get install " + " ".join(lacking))
    require_space(IMAGE_NEED)
