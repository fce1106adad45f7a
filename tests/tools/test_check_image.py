# SPDX-License-Identifier: BSD-2-Clause
"""Every rule of check-image refuses a bad image and accepts the good one."""

import struct

import pytest

from images import SCRIPT, TOOLS, edited, note, run


def test_accepts_a_good_image(workshop):
    image = workshop.image()
    assert workshop.check(image) == ""
    assert workshop.check(image, "--map", f"{image}.map") == ""


@pytest.mark.parametrize("access", [
    "mov %rax, -0x8(%rsp)", "movaps %xmm0, -0x18(%rsp)", "mov -0x80(%rsp), %rax",
    "addl $1, -0x4(%rsp)", "mov %rax, -0x1000(%rsp)", "push -0x10(%rsp)"])
def test_refuses_the_red_zone(workshop, access):
    complaint = workshop.check(workshop.image(
        f".text\n.type leaf, @function\nleaf: {access}\n ret\n"))
    assert "leaf uses the red zone in 1 places" in complaint
    assert "(%rsp)" in complaint


def test_refuses_the_red_zone_in_compiled_code(workshop, tmp_path):
    source = tmp_path / "leaf.c"
    source.write_text("long leaf(long n) { volatile long a[4]; a[n & 3] = n;"
                      " a[1] = 2; return a[n & 1]; }")
    flags = ["-O2", "-mred-zone", "-fno-pic", "-fno-stack-protector"]
    image = workshop.image(link=flags + [source])
    assert "leaf uses the red zone" in workshop.check(image)
    flags[1] = "-mno-red-zone"
    assert workshop.check(workshop.image(link=flags + [source])) == ""


@pytest.mark.parametrize("access", [
    "lea -0x8(%rsp), %rax", "mov %rax, 0x8(%rsp)", "mov %rax, (%rsp)",
    "mov %rax, -0x8(%rbp)", "mov %rax, -0x8(%rsp,%rcx,8)"])
def test_accepts_other_accesses(workshop, access):
    assert workshop.check(workshop.image(f".text\n{access}\n")) == ""


def test_refuses_writable_code(workshop):
    script = edited(SCRIPT, r"FLAGS\(5\)", "FLAGS(7)")
    assert "both writable and executable" in workshop.check(
        workshop.image(script=script))


def test_refuses_segments_that_share_a_page(workshop):
    script = edited(SCRIPT, r"\. = ALIGN\(4096\);\n    \.data", ".data")
    assert "share a page" in workshop.check(workshop.image(script=script))


def test_refuses_an_executable_stack(workshop):
    script = edited(SCRIPT, "note PT_NOTE",
                    "stack PT_GNU_STACK FLAGS(7); note PT_NOTE")
    assert "executable stack" in workshop.check(workshop.image(script=script))
    script = edited(script, r"STACK FLAGS\(7\)", "STACK FLAGS(6)")
    assert workshop.check(workshop.image(script=script)) == ""


@pytest.mark.parametrize("name", [
    "ENTRY", "VIRT_BASE", "PADDR_OFFSET", "XEN_VERSION", "GUEST_OS",
    "GUEST_VERSION", "LOADER", "HV_START_LOW", "L1_MFN_VALID", "MOD_START_PFN"])
def test_refuses_a_missing_note(workshop, name):
    assert f"note {name} is missing" in workshop.check(
        workshop.image(notes={name: None}))


@pytest.mark.parametrize("name, desc, complaint", [
    ("XEN_VERSION", '.asciz "xen-4.0"', 'must be "xen-3.0"'),
    ("LOADER", '.asciz "bsd"', 'must be "generic"'),
    ("PAE_MODE", '.asciz "no"', 'must be "yes"'),
    ("HV_START_LOW", ".quad 0xf5800000", "must be 0xffff800000000000"),
    ("MOD_START_PFN", ".quad 0", "must be 0x1"),
    ("SUSPEND_CANCEL", ".quad 0", "must be 0x1"),
    ("HYPERCALL_PAGE", ".quad 0x101000", "HYPERCALL_PAGE is there"),
    ("ENTRY", ".quad counter", "not in an executable segment"),
    ("ENTRY", ".byte 1, 2, 3", "ENTRY has 3 bytes"),
    ("GUEST_OS", '.asciz ""', "GUEST_OS is empty"),
    ("L1_MFN_VALID", ".quad 1, 0", "L1_MFN_VALID must be"),
    ("L1_MFN_VALID", ".long 1, 1", "L1_MFN_VALID must be"),
    ("FEATURES", '.asciz "!writable_page_tables"', "requires a feature"),
    ("INIT_P2M", ".quad 0x1000", "below VIRT_BASE"),
    ("VIRT_BASE", ".quad 0x1000000", "Xen would load it at 0x1100000"),
    ("PADDR_OFFSET", ".quad 0x1000", "Xen would load it at 0xff000"),
])
def test_refuses_a_wrong_note(workshop, name, desc, complaint):
    assert complaint in workshop.check(workshop.image(notes={name: desc}))


@pytest.mark.parametrize("name, desc", [
    ("PAE_MODE", '.asciz "yes"'), ("SUPPORTED_FEATURES", ".quad 0x801"),
    ("FEATURES", '.asciz "writable_page_tables|supervisor_mode_kernel"'),
    ("SUSPEND_CANCEL", None), ("PHYS32_ENTRY", ".long 0x100000")])
def test_accepts_optional_notes(workshop, name, desc):
    assert workshop.check(workshop.image(notes={name: desc})) == ""


def test_refuses_a_note_given_twice(workshop):
    image = workshop.image(note(6, '.asciz "other"'))
    assert "GUEST_OS is there 2 times" in workshop.check(image)


def test_refuses_an_unknown_xen_note(workshop):
    assert "type 0x63" in workshop.check(workshop.image(note(99, ".quad 0")))


def test_ignores_notes_of_other_owners(workshop):
    other = note(2, ".quad 0").replace('"Xen"', '"GNU"')
    assert workshop.check(workshop.image(other)) == ""


def test_refuses_an_image_without_note_segment(workshop):
    script = edited(SCRIPT, ":rodata :note", ":rodata")
    script = edited(script, "note PT_NOTE.*", "")
    assert "no Xen notes" in workshop.check(workshop.image(script=script))


def test_refuses_undefined_symbols(workshop):
    import elf
    image = workshop.image(".globl missing\n.text\nmissing: nop\n")
    data = bytearray(image.read_bytes())
    table = next(s for s in elf.Elf(image).sections
                 if s.type == elf.SHT_SYMTAB)
    names = [s.name for s in elf.Elf(image).symbols()]
    entry = table.offset + 24 * (1 + names.index("missing"))
    struct.pack_into("<H", data, entry + 6, 0)
    image.write_bytes(data)
    assert "undefined symbols: missing" in workshop.check(image)


def test_accepts_weak_undefined_symbols(workshop):
    assert workshop.check(workshop.image(
        ".weak maybe\n.text\nmov $maybe, %eax\n")) == ""


def test_refuses_relocations_and_dynamic_linking(workshop):
    script = edited(SCRIPT, "note PT_NOTE", "dyn PT_DYNAMIC; note PT_NOTE")
    script = edited(script, r"(\.data : .*)",
                    r"\1 .dynamic : { *(.dynamic) } :data :dyn "
                    r".rela.dyn : { *(.rela*) } :data")
    image = workshop.image(".data\n.quad counter\n", script=script,
                           link=["-Wl,-pie", "-Wl,--no-dynamic-linker"])
    complaint = workshop.check(image)
    assert "relocations that nobody applies" in complaint
    assert "dynamic linking" in complaint


def test_refuses_a_position_independent_image(workshop):
    image = workshop.image()
    data = bytearray(image.read_bytes())
    data[16] = 3    # ET_DYN
    image.write_bytes(data)
    assert "executable of fixed address" in workshop.check(image)


def test_refuses_what_is_not_an_image(workshop, tmp_path):
    path = tmp_path / "image"
    for content in (b"", b"MZ" * 64, b"\x7fELF\x01\x01" + bytes(64)):
        path.write_bytes(content)
        assert "ELF file" in workshop.check(path)
    assert "No such file" in workshop.check(tmp_path / "absent")


def test_survives_damaged_images(workshop, tmp_path):
    import elf
    good = workshop.image().read_bytes()
    path = tmp_path / "damaged"
    for size in range(0, len(good), 97):
        path.write_bytes(good[:size])
        read_or_refuse(elf, path)
    for offset in range(0, 64 + 4 * 56, 4):
        damaged = bytearray(good)
        struct.pack_into("<I", damaged, offset, 0xFFFFFFF0)
        path.write_bytes(damaged)
        read_or_refuse(elf, path)


def read_or_refuse(elf, path):
    try:
        image = elf.Elf(path)
        image.xen_notes()
        image.symbols()
    except elf.Error:
        pass


def test_refuses_linked_files_of_unknown_licence(workshop, tmp_path):
    foreign = tmp_path / "elsewhere" / "foreign.o"
    home = tmp_path / "home"
    foreign.parent.mkdir()
    home.mkdir()
    compile_object(foreign)
    workshop.directory = home
    image = workshop.image(link=[foreign])
    options = ["--map", f"{image}.map"]
    complaint = workshop.check(image, *options)
    assert "foreign.o, whose licence is not known" in complaint
    assert workshop.check(image, *options, "--allow", foreign.parent) == ""
    assert workshop.check(image) == ""


@pytest.mark.parametrize("package, allowed", [
    ("newlib", True), ("lwip", True), ("http-parser", True),
    ("readline", False)])
def test_knows_third_party_packages(workshop, tmp_path, package, allowed):
    part = tmp_path / "build" / "deps" / package / "part.o"
    part.parent.mkdir(parents=True)
    compile_object(part)
    image = workshop.image(link=[part])
    complaint = workshop.check(image, "--map", f"{image}.map")
    assert (complaint == "") == allowed


def test_accepts_libgcc_but_not_the_host_libc(workshop):
    image = workshop.image(link=["-lgcc"])
    assert workshop.check(image, "--map", f"{image}.map") == ""
    image = workshop.image(link=["-lc"])
    assert "libc.a, whose licence" in workshop.check(
        image, "--map", f"{image}.map")


def test_refuses_a_map_that_is_none(workshop, tmp_path):
    empty = tmp_path / "empty.map"
    empty.write_text("")
    assert "is it a map" in workshop.check(workshop.image(), "--map", empty)


def compile_object(path):
    run("gcc", "-x", "c", "-c", "-mno-red-zone", "-fno-pic", "-o", path, "-",
        input="int foreign;", check=True)


def test_image_info_shows_notes_segments_and_sizes(workshop, tmp_path):
    room = tmp_path / "build" / "frontends" / "netfront"
    room.mkdir(parents=True)
    run("gcc", "-x", "c", "-c", "-mno-red-zone", "-fno-pic", "-o",
        room / "rx.o", "-", input="char big[1234];", check=True)
    image = workshop.image(link=[room / "rx.o"])
    result = run(TOOLS / "image-info", image)
    assert result.returncode == 0, result.stderr
    assert "XEN_VERSION          xen-3.0" in result.stdout
    assert "L1_MFN_VALID         0x1 0x1" in result.stdout
    assert "R-X" in result.stdout and "RW-" in result.stdout
    assert any(line.split()[:1] == ["frontends/netfront"]
               and line.split()[-1] == "1234"
               for line in result.stdout.splitlines()), result.stdout


def test_image_info_refuses_what_is_not_an_image(tmp_path):
    (tmp_path / "text").write_text("hello")
    result = run(TOOLS / "image-info", tmp_path / "text")
    assert result.returncode == 1
    assert "not an ELF file" in result.stderr
