# SPDX-License-Identifier: BSD-2-Clause
"""The commands that start no machine: clean and doctor."""
import os
import subprocess
from pathlib import Path

import doctor

LAB = Path(__file__).resolve().parents[2] / "lab" / "lab"


def lab(build, *words, **environment):
    done = subprocess.run([LAB, *words], capture_output=True, text=True,
                          env={**os.environ, "BUILD": str(build), **environment})
    return done.returncode, done.stdout + done.stderr


def test_clean_removes_what_the_lab_made_and_nothing_else(tmp_path):
    for name in ("lab/bookworm/snap/key/ram", "downloads/lab/package", "images/hello"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    code, said = lab(tmp_path, "clean")
    assert code == 0 and str(tmp_path / "lab") in said
    assert not (tmp_path / "lab" / "bookworm").exists()
    assert (tmp_path / "downloads/lab/package").exists() and (tmp_path / "images/hello").exists()


def test_doctor_names_the_package_of_a_missing_tool(tmp_path):
    (tmp_path / "bin").mkdir()
    for tool in doctor.TOOLS:
        if tool != "qemu-system-x86_64":
            (tmp_path / "bin" / tool).symlink_to("/bin/true")
    code, said = lab(tmp_path, "doctor", PATH=str(tmp_path / "bin"))
    assert code == 70
    assert "missing package qemu-system-x86: sudo apt-get install qemu-system-x86" in said
    assert "missing package binutils" not in said
    assert "/dev/kvm:" in said


def test_doctor_finds_nothing_where_nothing_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(doctor.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(doctor, "KEYRINGS", [LAB])
    monkeypatch.setattr(doctor.paths, "host_suite", lambda: "bookworm")
    monkeypatch.setattr(doctor, "DISK_NEED", 0)
    monkeypatch.setattr(doctor, "MEMORY_NEED", 0)
    verdict = doctor.run()
    assert (verdict.code, verdict.cause) == (0, "nothing is missing")


def test_doctor_says_what_is_too_small(monkeypatch):
    monkeypatch.setattr(doctor, "DISK_NEED", 1 << 60)
    monkeypatch.setattr(doctor, "MEMORY_NEED", 1 << 30)
    said = "\n".join(doctor.complaints())
    assert "MiB free at" in said and "set BUILD to another place" in said
    assert "MiB of memory available" in said
