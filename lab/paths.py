# SPDX-License-Identifier: BSD-2-Clause
"""Where the lab keeps what it makes.

Everything lies below the build directory (BUILD names another one) and
nothing is written into the source tree.  CACHE names a directory, only read,
that holds what downloads does: with it the lab is built without a network.

    build/downloads/lab/SUITE     packages (debs) and their signed index (lists)
    build/lab/SUITE/root          the packages, unpacked
    build/lab/SUITE/image/KEY     xen, vmlinux, dom0.cpio
    build/lab/SUITE/snap/KEY      a booted dom0: memory file and device state
    build/lab/linux               the Linux guest used for comparisons
    build/lab/driver              the Linux driver domain
    build/lab/run/PID             one directory per running lab
"""
import fcntl
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
TREE = SOURCE.parent


def build_dir():
    return Path(os.environ.get("BUILD") or TREE / "build").resolve()


LAB = build_dir() / "lab"
RUNS = LAB / "run"
LINUX = LAB / "linux"
DRIVER = LAB / "driver"


def host_suite():
    """The code name of the Debian release this machine runs."""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return ""


def suite():
    """The Debian release dom0 is made of: this machine's, or LAB_SUITE."""
    return os.environ.get("LAB_SUITE") or host_suite()


def suite_dir():
    return LAB / suite()


def package_dir():
    return build_dir() / "downloads" / "lab" / suite()


def package_cache():
    """The same, in CACHE; it need not exist."""
    cache = os.environ.get("CACHE")
    return Path(cache).resolve() / "lab" / suite() if cache else None


def fresh(directory):
    """An empty directory at this place."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


@contextmanager
def making(directory, keep):
    """A place to build a directory in; it appears complete or not at all.

    One process builds, others wait; the body is told whether it must.  Only
    the latest few siblings are kept, for each is large.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(directory.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if directory.exists():
            yield None
            return
        draft = fresh(directory.with_name("draft"))
        yield draft
        draft.rename(directory)
        prune(directory.parent, keep)


def prune(parent, keep):
    made = sorted((d for d in parent.iterdir() if d.is_dir()),
                  key=lambda d: d.stat().st_mtime, reverse=True)
    for old in made[keep:]:
        shutil.rmtree(old, ignore_errors=True)


def run_dir():
    """A directory for this process; those of dead ones are swept away."""
    RUNS.mkdir(parents=True, exist_ok=True)
    for old in RUNS.iterdir():
        if old.name.isdigit() and not Path("/proc", old.name).exists():
            shutil.rmtree(old, ignore_errors=True)
    return fresh(RUNS / str(os.getpid()))
