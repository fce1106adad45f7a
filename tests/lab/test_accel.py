# SPDX-License-Identifier: BSD-2-Clause
"""KVM or emulation: the probe's verdicts, with a QEMU that only pretends."""
import json
from types import SimpleNamespace

import pytest

import accel
import paths

IMAGE = SimpleNamespace(xen="xen", linux="vmlinux")
# It says what QEMU says, to the file descriptor that is the serial line, and stays or ends.
PRETENDER = """#!/usr/bin/python3
import os, re, sys, time
if "--version" in sys.argv:
    sys.exit(print("QEMU emulator, pretending"))
open("{started}", "a").write(sys.argv[sys.argv.index("-accel") + 1] + "\\n")
serial = int(re.search(r"id=serial,fd=(\\d+)", " ".join(sys.argv))[1])
{behaviour}
"""
WORKS = 'os.write(serial, b"(XEN) *** Building a PV Dom0 ***"); time.sleep(60)'
REFUSES = 'sys.exit("failed to initialize kvm")'
SILENT = "time.sleep(60)"
STUCK = 'os.write(serial, b"(XEN) Xen version"); time.sleep(60)'
DIES = "sys.exit(3)"
PATIENCE = 3600  # only ends what hangs


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    """Put a QEMU that behaves so before the real one, on a machine with /dev/kvm; the file in which it
    notes its starts."""
    def install(behaviour, kvm=True):
        program = tmp_path / "bin" / "qemu-system-x86_64"
        program.parent.mkdir(exist_ok=True)
        program.write_text(PRETENDER.format(started=tmp_path / "started", behaviour=behaviour))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        monkeypatch.setattr(accel, "accessible", lambda: kvm)
        return tmp_path / "started"
    monkeypatch.delenv("ACCEL", raising=False)
    monkeypatch.setattr(paths, "LAB", tmp_path)
    monkeypatch.setattr(paths, "RUNS", tmp_path / "run")
    monkeypatch.setattr(accel, "PROBE_LIMIT", PATIENCE)
    monkeypatch.setattr(accel, "SILENCE_LIMIT", PATIENCE)
    return install


def test_kvm_that_boots_xen_is_used(pretend, capsys):
    started = pretend(WORKS)
    assert accel.choose(IMAGE) == "kvm"
    assert started.read_text() == "kvm\n"
    assert "accelerator: kvm" in capsys.readouterr().err


@pytest.mark.parametrize("behaviour, limits, reason", [
    (REFUSES, {}, "fails: failed to initialize kvm"),
    (DIES, {}, "fails: QEMU ended with status 3"),
    (SILENT, {"SILENCE_LIMIT": 0.5}, "gives no sign of Xen in 0.5 s"),
    (STUCK, {"PROBE_LIMIT": 1}, "does not start dom0 in 1 s")])
def test_kvm_that_does_not_is_not_used_and_the_reason_is_said(pretend, capsys, monkeypatch,
                                                              behaviour, limits, reason):
    pretend(behaviour)
    for name, limit in limits.items():  # only where nothing else is to happen
        monkeypatch.setattr(accel, name, limit)
    assert accel.choose(IMAGE) == "tcg"
    assert f"accelerator: tcg, because KVM {reason}" in capsys.readouterr().err


def test_without_access_nothing_is_started(pretend, capsys):
    started = pretend(WORKS, kvm=False)
    assert accel.choose(IMAGE) == "tcg"
    assert not started.exists()
    assert "no access to /dev/kvm" in capsys.readouterr().err


def test_verdict_is_remembered_until_something_changes(pretend, tmp_path, monkeypatch):
    started = pretend(REFUSES)
    assert [accel.choose(IMAGE), accel.choose(IMAGE)] == ["tcg", "tcg"]
    assert started.read_text() == "kvm\n"
    pretend(WORKS)
    assert accel.choose(IMAGE) == "tcg"
    monkeypatch.setattr(accel.platform, "release", lambda: "another kernel")
    assert accel.choose(IMAGE) == "kvm"
    assert len(json.loads((tmp_path / "accel.json").read_text())) == 2


def test_force_asks_nobody(pretend, monkeypatch):
    started = pretend(WORKS)
    monkeypatch.setenv("ACCEL", "tcg")
    assert accel.choose(IMAGE) == "tcg"
    assert not started.exists()
