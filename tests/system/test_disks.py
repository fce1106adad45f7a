# SPDX-License-Identifier: BSD-2-Clause
"""Every block of real disks, judged twice: by the domain and by whoever looks at the file later."""
import hashlib
import os
import re
import subprocess

from conftest import HERE, IMAGES, run_lab

DISKS = {"xvda": 51712, "xvdb": 51728, "xvdc": 51744, "xvdd": 51760}


def make_disk(directory, name, mib, fill=b""):
    file = directory / name
    file.write_bytes(fill)
    with open(file, "r+b") as f:
        f.truncate(mib << 20)
    return file


def versions(result, name):
    """The sum that the domain printed for disk (name)."""
    found = re.search(rf"^{name}: (\d+) blocks of a disk with sectors of (\d+), depth (\d+), "
                      r"versions ([0-9a-f]{16})$", result.out, re.MULTILINE)
    assert found, result
    return found


def judge(peer, file, result, name):
    """The file holds what the domain says it wrote."""
    done = subprocess.run([peer, "disk", file], capture_output=True, text=True)
    found = versions(result, name)
    assert done.stdout == f"{found[1]} blocks, 0 wrong, versions {found[4]}\n", done.stdout
    return found


def test_every_block_of_256_mib(peer, tmp_path):
    file = make_disk(tmp_path, "disk", 256)
    result = run_lab("blkverify", "--disk", file, cmdline="6000 51712")
    assert result.code == 0, result
    found = judge(peer, file, result, "xvda")
    assert int(found[1]) == 65536 and int(found[3]) >= 32
    file.unlink()


def test_four_disks_at_once_one_of_them_read_only(peer, tmp_path):
    files = [make_disk(tmp_path, f"disk{i}", 16 + i) for i in range(3)]
    fixed = make_disk(tmp_path, "fixed", 16, b"must stay as it is")
    before = hashlib.sha256(fixed.read_bytes()).digest()
    options = [word for file in files for word in ("--disk", file)]
    result = run_lab("blkverify", *options, "--disk", f"{fixed},ro",
                     cmdline="2000 " + " ".join(map(str, DISKS.values())))
    assert result.code == 0, result
    for file, name in zip(files, DISKS):
        judge(peer, file, result, name)
    assert "xvdd: read-only, writes are refused" in result.out, result
    assert hashlib.sha256(fixed.read_bytes()).digest() == before


def test_sectors_of_4096_bytes(peer, tmp_path):
    """The lab's disks have 512: dom0 puts a loop device with large ones over a file of its own."""
    file = tmp_path / "back"
    result = run_lab("hello", "--script", HERE / "dom0/sectors.sh", "--put",
                     HERE / "dom0/lib.sh", "--put", IMAGES / "blkverify", "--get", f"disk={file}")
    assert result.code == 0, result
    found = judge(peer, file, result, "xvda")
    assert int(found[2]) == 4096


def test_front_end_on_a_scratch_disk(tmp_path):
    """The program `block`: ranges, depth, flush, discard, closing and opening again."""
    file = make_disk(tmp_path, "disk", 32)
    result = run_lab("block", "--disk", file, memory=64)
    assert result.code == 0, result
    with open(file, "rb") as f:  # the MiB that the domain discarded is not in the file any more
        assert os.lseek(f.fileno(), 10 << 20, os.SEEK_HOLE) == 10 << 20
        assert os.lseek(f.fileno(), 10 << 20, os.SEEK_DATA) == 11 << 20


def test_backends_that_leave_and_come_back(peer):
    """States written by hand, hot-plug, the driver unloaded and loaded, a disk that grows: all under load."""
    result = run_lab("hello", "--script", HERE / "dom0/disklife.sh", "--put", HERE / "dom0/lib.sh",
                     "--put", IMAGES / "blkverify", "--put", peer)
    assert result.code == 0, result
