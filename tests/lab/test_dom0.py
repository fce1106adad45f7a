# SPDX-License-Identifier: BSD-2-Clause
"""Sizes and command lines of the machine."""
from pathlib import Path

import dom0
import qemu


def test_small_guests_share_the_standard_size():
    assert dom0.shape_for("tcg", 64) == dom0.shape_for("tcg", 1024)
    assert dom0.shape_for("tcg", 64).memory == 2048


def test_large_guests_get_their_own_size():
    shape = dom0.shape_for("tcg", 8192)
    assert shape.capacity() >= 8192
    assert shape.memory <= 12288


def test_size_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("LAB_MEMORY", "4096")
    assert dom0.shape_for("tcg", 64).memory >= 4096


def test_commas_in_module_arguments_are_doubled():
    words = qemu.boot(Path("xen"), "opts", [(Path("k"), "a=1,2")])
    assert words[-1] == "k a=1,,2"


def test_cpu_feature_from_the_environment(monkeypatch):
    monkeypatch.setenv("LAB_CPU", "fsgsbase")
    assert qemu.cpu_model("tcg").endswith(",+fsgsbase")
