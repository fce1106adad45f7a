# SPDX-License-Identifier: BSD-2-Clause
"""The root file system from a ramdisk and from a disk, and what is said when it is none."""
import subprocess

import pytest

from conftest import HERE, run_lab


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    image = tmp_path_factory.mktemp("root") / "root.img"
    subprocess.run([HERE / "files" / "make-root", image], check=True)
    return image


@pytest.fixture(scope="module")
def garbage(tmp_path_factory):
    image = tmp_path_factory.mktemp("garbage") / "garbage.img"
    image.write_bytes(bytes(range(256)) * 1024)
    return image


def passed(result):
    return result.code == 0 and ", 0 failed" in result.out


def test_from_a_ramdisk(root):
    result = run_lab("files", "--ramdisk", root)
    assert passed(result), result


def test_from_a_disk_which_comes_first(root, garbage):
    result = run_lab("files", "--disk", f"{root},ro", "--ramdisk", garbage)
    assert passed(result), result


def test_option_chooses_the_ramdisk(root, garbage):
    result = run_lab("files", "--disk", f"{garbage},ro", "--ramdisk", root,
                     cmdline="paravane.root=ramdisk")
    assert passed(result), result


def test_garbage_names_the_remedy(garbage):
    result = run_lab("files", "--ramdisk", garbage)
    assert "mkfs.erofs IMAGE DIRECTORY" in result.out, result
    assert result.code != 0, result


def test_a_disk_that_is_not_there_names_the_option(root):
    result = run_lab("files", "--disk", f"{root},ro", cmdline="paravane.root=77")
    assert "77 cannot be opened" in result.out and "paravane.root=" in result.out, result
