# SPDX-License-Identifier: BSD-2-Clause
"""The archive writer, read back by an independent reader."""
import io
import stat

from cpio import Cpio


def read_back(data):
    """Name -> (mode, contents) of a newc archive."""
    entries, at = {}, 0
    while True:
        assert data[at:at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16)
                  for i in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = data[at + 110:at + 109 + length].decode()
        start = (at + 110 + length + 3) & ~3
        if name == "TRAILER!!!":
            return entries
        entries[name] = mode, data[start:start + size]
        at = (start + size + 3) & ~3


def archive(fill):
    file = io.BytesIO()
    writer = Cpio(file)
    fill(writer)
    writer.end()
    return file.getvalue()


def test_round_trip():
    def fill(writer):
        writer.data("etc/deep/file", b"12345", 0o644)
        writer.symlink("bin", "/usr/bin")
        writer.character_device("dev/console", 5, 1)
    entries = read_back(archive(fill))
    assert entries["etc/deep/file"] == (stat.S_IFREG | 0o644, b"12345")
    assert entries["bin"] == (stat.S_IFLNK | 0o777, b"/usr/bin")
    assert stat.S_ISCHR(entries["dev/console"][0])
    assert list(entries)[:3] == ["etc", "etc/deep", "etc/deep/file"]


def test_equal_input_gives_equal_archives(tmp_path):
    source = tmp_path / "script"
    source.write_text("#!/bin/sh\n")
    source.chmod(0o700)

    def fill(writer):
        writer.add("init", source)
    assert archive(fill) == archive(fill)
    assert read_back(archive(fill))["init"][0] == stat.S_IFREG | 0o755
