# SPDX-License-Identifier: BSD-2-Clause
"""Small images to try the tools on: assembled and linked on the spot."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"
sys.path.insert(0, str(TOOLS))

NOTES = {
    "ENTRY": ".quad _start",
    "VIRT_BASE": ".quad 0",
    "PADDR_OFFSET": ".quad 0",
    "XEN_VERSION": '.asciz "xen-3.0"',
    "GUEST_OS": '.asciz "test"',
    "GUEST_VERSION": '.asciz "1"',
    "LOADER": '.asciz "generic"',
    "HV_START_LOW": ".quad 0xffff800000000000",
    "L1_MFN_VALID": ".quad 1, 1",
    "MOD_START_PFN": ".quad 1",
    "SUSPEND_CANCEL": ".quad 1",
}

CODE = """
.section .note.GNU-stack, "", @progbits
.section .text, "ax"
.globl _start
.type _start, @function
_start:
    lea table(%rip), %rax
    lea -0x40(%rsp), %rcx
    ret
.section .rodata, "a"
table: .quad 42
.section .data, "aw"
counter: .quad 1
"""

SCRIPT = """
ENTRY(_start)
PHDRS {
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
    note PT_NOTE FLAGS(4);
}
SECTIONS {
    . = 0x100000;
    .text : { *(.text) } :text
    . = ALIGN(4096);
    .rodata : { *(.rodata) } :rodata
    .note.Xen : { *(.note.Xen) } :rodata :note
    . = ALIGN(4096);
    .data : { *(.data) *(.bss) } :data
}
"""


def note(number, desc):
    return (f'.section .note.Xen, "a", @note\n.p2align 2\n'
            f'.long 4, 2f-1f, {number}\n.asciz "Xen"\n1: {desc}\n2: .p2align 2\n')


def note_source(notes):
    import elf
    return "".join(note(elf.NOTE_NAMES.index(name), desc)
                   for name, desc in notes.items() if desc is not None)


def run(*command, **options):
    return subprocess.run([str(c) for c in command], text=True,
                          capture_output=True, **options)


class Workshop:
    """Makes an image from the good one above with some things changed."""

    def __init__(self, directory):
        self.directory = directory

    def image(self, code="", notes=None, script=None, link=()):
        source = self.directory / "image.S"
        source.write_text(CODE + code + note_source({**NOTES, **(notes or {})}))
        main = self.directory / "image.o"
        subprocess.run(["gcc", "-c", "-o", main, source], check=True)
        return self.link([main], script, link)

    def link(self, inputs, script=None, link=()):
        ld_script = self.directory / "image.ld"
        ld_script.write_text(script or SCRIPT)
        image = self.directory / "image.elf"
        subprocess.run(
            ["gcc", "-nostdlib", "-static", "-no-pie", "-mno-red-zone",
             "-fno-asynchronous-unwind-tables", "-Wl,--build-id=none",
             "-Wl,--no-warn-rwx-segments", f"-Wl,-T,{ld_script}",
             f"-Wl,-Map,{image}.map", "-o", image, *inputs, *link],
            check=True, cwd=self.directory)
        return image

    def check(self, image, *options):
        """The complaints of check-image, as one text; empty if it passes."""
        result = run(TOOLS / "check-image", image, *options,
                     cwd=self.directory)
        assert (result.returncode == 0) == (result.stderr == ""), result
        assert "Traceback" not in result.stderr
        return result.stderr


def edited(text, old, new):
    """`text` with `old` replaced, which must be there."""
    assert re.search(old, text)
    return re.sub(old, new, text)
