# SPDX-License-Identifier: BSD-2-Clause
"""The lab as a fixture: boot an image, get its console, its status and what the lab said.

Programs come from $BUILD/images (`make all system-apps`).  No test has an opinion on how long
something may take: PATIENCE only ends what hangs.  A domain has SYSTEM_VCPUS CPUs (2) unless the
test says otherwise; those that scripts create have one.  SYSTEM_FULL=1 (`make test-long`) adds what takes
minutes and shows little more.
"""
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
BUILD = Path(os.environ.get("BUILD") or TOP / "build").resolve()
IMAGES = BUILD / "images"
HOSTILE = TOP / "tests/hostile/dom0"
PATIENCE = int(os.environ.get("SYSTEM_PATIENCE", "3600"))
VCPUS = int(os.environ.get("SYSTEM_VCPUS", "2"))
FULL = os.environ.get("SYSTEM_FULL") == "1"


class Result:
    """How a run of the lab ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"lab ended with {self.code}\n{self.out[-6000:]}\n{self.err[-6000:]}"


def lab_command(name, *options, memory=32, cmdline="", command="run", patience=PATIENCE):
    image = name if isinstance(name, Path) else IMAGES / name
    if not image.exists():
        pytest.fail(f"{image} is missing: make all system-apps")
    words = [TOP / "lab/lab", command, image, "--memory", memory, "--cmdline", cmdline]
    if command == "run" and "--vcpus" not in options:
        words += ["--vcpus", VCPUS]
    if "--timeout" not in options:
        words += ["--timeout", patience]
    return [str(word) for word in [*words, *options]]


def run_lab(*args, env=(), patience=PATIENCE, **kwargs):
    """Boot once: run_lab(IMAGE, OPTION..., memory=, cmdline=)."""
    done = subprocess.run(lab_command(*args, patience=patience, **kwargs), stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=2 * patience,
                          env={**os.environ, **dict(env)})
    return Result(done.returncode, done.stdout.decode(errors="replace"),
                  done.stderr.decode(errors="replace"))


@pytest.fixture(scope="session")
def lab():
    return run_lab


@pytest.fixture(scope="session")
def peer(tmp_path_factory):
    """The other side, for dom0, where there are no libraries of this machine."""
    binary = tmp_path_factory.mktemp("peer") / "peer"
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror",
                    "-static", "-o", binary, HERE / "peer.c"], check=True)
    return binary


@pytest.fixture(scope="session")
def hostile_backend(tmp_path_factory):
    """The program of tests/hostile/dom0, for dom0 too. It also reads what `victim` tells of itself."""
    binary = tmp_path_factory.mktemp("hostile") / "hostile"
    deps = Path(os.environ.get("DEPS") or BUILD / "deps")
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-static",
                    "-pthread", "-D__XEN_INTERFACE_VERSION__=0x00040e00", f"-I{TOP}", "-isystem",
                    deps / "xen-include", "-o", binary, *sorted(HOSTILE.glob("*.c"))], check=True)
    return binary


def make_erofs(directory, image, *options):
    subprocess.run(["mkfs.erofs", "--quiet", "-T0", "--all-root", *options, image, directory],
                   check=True, stdout=subprocess.DEVNULL)
    return image


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- one boot, many checks -------------------------------------------------------------------

CASE = re.compile(r"^test_(\w+)\(\)", re.MULTILINE)
VERDICT = re.compile(r"^(PASS|FAIL) (\w+)(?:: (.*))?$", re.MULTILINE)


def cases(script):
    """The names of the checks of a script: its functions test_NAME."""
    return CASE.findall((HERE / "dom0" / script).read_text())


class Verdicts:
    """What a script in dom0 found: one line for each of its checks."""

    def __init__(self, result):
        self.result = result
        self.lines = {name: (word, why) for word, name, why in VERDICT.findall(result.out)}

    def demand(self, name):
        word, why = self.lines.get(name, ("FAIL", "it never came to this"))
        assert word == "PASS", f"{why}\n{self.result}"


def run_script(script, image, *options, put=(), **kwargs):
    """Boot (image) once and run dom0/(script) beside it."""
    words = ["--script", HERE / "dom0" / script]
    for file in (HERE / "dom0" / "lib.sh", *put):
        words += ["--put", file]
    return Verdicts(run_lab(image, *words, *options, **kwargs))
