# SPDX-License-Identifier: BSD-2-Clause
"""Linux as a distribution ships it, made ready for Xen.

Xen and its domain builder would have to decompress a bzImage, slowly under
emulation: the ELF file inside is taken out here, once.  Modules are found by
name, their dependencies read from their own .modinfo section.
"""
import gzip
import lzma
import re
import struct
import subprocess

from report import broken

XZ, ZSTD, GZIP = b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"\x1f\x8b"


def vmlinux(bzimage):
    """The uncompressed kernel inside a bzImage (boot protocol 2.08)."""
    setup_sectors = bzimage[0x1f1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    kernel = unpack(bzimage[start:start + length - 4])
    if kernel[:4] != b"\x7fELF":
        raise broken("the kernel package holds no ELF kernel")
    return kernel


def unpack(data):
    """Decompressed data; what is not compressed comes back as it is."""
    if data.startswith(XZ):
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(ZSTD):
        return subprocess.run(["zstd", "-dcq"], input=data, check=True,
                              stdout=subprocess.PIPE).stdout
    if data.startswith(GZIP):
        return gzip.decompress(data)
    return data


class Modules:
    """The modules of one unpacked kernel package."""

    def __init__(self, directory):
        self.files = {module_name(path.name): path
                      for path in directory.rglob("*.ko*")}
        self.loaded = {}

    def load(self, names):
        """Name -> contents, dependencies first; built-in ones are left out."""
        for name in names:
            self.visit(name.replace("-", "_"))
        return self.loaded

    def visit(self, name):
        if name in self.loaded or name not in self.files:
            return
        contents = unpack(self.files[name].read_bytes())
        for needed in depends(contents):
            self.visit(needed)
        self.loaded[name] = contents


def module_name(filename):
    return filename.partition(".ko")[0].replace("-", "_")


def depends(module):
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    names = found.group(1).decode().replace("-", "_") if found else ""
    return list(filter(None, names.split(",")))
