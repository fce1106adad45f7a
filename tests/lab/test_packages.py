# SPDX-License-Identifier: BSD-2-Clause
"""Reading the package index, and the kernel package's contents."""
import lzma
import struct

import kernel
import linux
from packages import dependencies, stanzas

INDEX = """\
Package: xen-system-amd64
Version: 4.20
Depends: xen-hypervisor-4.20-amd64, xen-utils-4.20 (= 4.20), python3:any
Description: several
 lines Depends: nothing

Package: wrk
Depends: libc6 (>= 2.34), libluajit-5.1-2 | libluajit2-5.1-2
"""


def test_stanzas():
    first, second = stanzas(INDEX)
    assert first["Version"] == "4.20"
    assert second["Package"] == "wrk"


def test_versioned_names_and_libraries_are_followed():
    first, second = stanzas(INDEX)
    assert list(dependencies(first, {})) == ["xen-hypervisor-4.20-amd64",
                                             "xen-utils-4.20"]
    assert list(dependencies(second, {})) == ["libc6", "libluajit-5.1-2"]


def test_a_known_alternative_is_preferred():
    stanza = {"Depends": "libluajit-5.1-2 | libluajit2-5.1-2"}
    assert list(dependencies(stanza, {"libluajit2-5.1-2": {}})) == [
        "libluajit2-5.1-2"]


def test_kernel_is_taken_out_of_a_bzimage():
    payload = lzma.compress(b"\x7fELF and more") + struct.pack("<I", 13)
    image = bytearray(5 * 512)
    image[0x1f1] = 4
    struct.pack_into("<II", image, 0x248, 0, len(payload))
    assert kernel.vmlinux(bytes(image) + payload) == b"\x7fELF and more"


def test_modules_come_after_what_they_need(tmp_path):
    def module(name, needs):
        (tmp_path / name).write_bytes(b"ELF\0license=GPL\0depends=%s\0" % needs)
    module("xen-front.ko", b"bus-a,lib_b")
    module("bus-a.ko", b"")
    (tmp_path / "lib_b.ko.xz").write_bytes(lzma.compress(b"\0depends=bus-a\0"))
    loaded = kernel.Modules(tmp_path).load(["xen-front", "builtin"])
    assert list(loaded) == ["bus_a", "lib_b", "xen_front"]


def test_headers_are_found_where_they_were_moved_to():
    first = linux.moved_to("/a", "include /usr/src/linux-headers-6-common/Makefile\n")
    assert first == "include /a/usr/src/linux-headers-6-common/Makefile\n"
    assert linux.moved_to("/a", first) == first
    assert linux.moved_to("/b/c", first) == "include /b/c/usr/src/linux-headers-6-common/Makefile\n"
