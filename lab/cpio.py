# SPDX-License-Identifier: BSD-2-Clause
"""A writer of initramfs archives (cpio, "newc" format).

Everything belongs to root and carries no time, so that equal input gives an
equal archive.  Parent directories are added by themselves.
"""
import stat
from pathlib import Path, PurePosixPath


class Cpio:
    def __init__(self, file):
        self.file = file
        self.serial = 0
        self.directories = {"."}

    def entry(self, name, mode, data=b"", device=(0, 0)):
        self.serial += 1
        path = name.encode() + b"\0"
        fields = (self.serial, mode, 0, 0, 1, 0, len(data), 0, 0,
                  *device, len(path), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self.file.write(padded(header + path) + padded(data))

    def directory(self, name):
        name = str(PurePosixPath(name))
        if name in self.directories:
            return
        self.directory(PurePosixPath(name).parent)
        self.directories.add(name)
        self.entry(name, stat.S_IFDIR | 0o755)

    def data(self, name, data, mode=0o755):
        self.directory(PurePosixPath(name).parent)
        self.entry(name, stat.S_IFREG | mode, data)

    def add(self, name, source):
        source = Path(source)
        mode = 0o755 if source.stat().st_mode & 0o111 else 0o644
        self.data(name, source.read_bytes(), mode)

    def symlink(self, name, target):
        self.directory(PurePosixPath(name).parent)
        self.entry(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, name, major, minor):
        self.directory(PurePosixPath(name).parent)
        self.entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def end(self):
        self.entry("TRAILER!!!", 0)


def padded(data):
    return data + b"\0" * (-len(data) % 4)
