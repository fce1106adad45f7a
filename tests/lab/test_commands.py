# SPDX-License-Identifier: BSD-2-Clause
"""The commands that start no machine: clean and doctor."""
import os
import subprocess
from pathlib import Path

import pytest

import asdom0
import doctor
import options
import report

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
    monkeypatch.setattr(doctor, "DISK_NEED", 1 << 40)
    monkeypatch.setattr(doctor, "MEMORY_NEED", 1 << 30)
    said = "\n".join(doctor.complaints())
    assert "MiB free, 1099511627776 needed" in said
    assert "set BUILD to another directory" in said
    assert "MiB of memory available" in said


def test_too_little_memory_is_said_before_anything_is_started(monkeypatch):
    monkeypatch.setattr(doctor, "available_memory", lambda: 900)
    doctor.require_memory(900, "all of it")
    with pytest.raises(report.Failure) as failure:
        doctor.require_memory(901, "dom0 800, guest 101")
    assert failure.value.code == report.LAB_FAILED
    for words in ("900 MiB available, 901 needed", "dom0 800, guest 101", "--memory"):
        assert words in failure.value.cause


def test_a_kernel_larger_than_this_machine_is_refused(tmp_path):
    (tmp_path / "image").touch()
    words = ["as-dom0", str(tmp_path / "image"), "--memory", "1000000000"]
    with pytest.raises(report.Failure) as failure:
        asdom0.run(options.parse(words))
    assert "too little memory" in failure.value.cause


def test_too_little_space_names_the_place_and_the_remedy(monkeypatch):
    monkeypatch.setattr(doctor, "missing_packages", list)
    monkeypatch.setattr(doctor, "available_space", lambda: ("/somewhere/build/lab", 99))
    monkeypatch.setattr(doctor, "IMAGE_NEED", 99)
    doctor.require()
    monkeypatch.setattr(doctor, "IMAGE_NEED", 100)
    with pytest.raises(report.Failure) as failure:
        doctor.require()
    assert failure.value.code == report.LAB_FAILED
    assert failure.value.cause == ("/somewhere/build/lab: 99 MiB free, 100 needed: make room, "
                                   "or set BUILD to another directory")
