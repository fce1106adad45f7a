# SPDX-License-Identifier: BSD-2-Clause
"""A small reader of 64-bit ELF files and of the Xen notes in them.

It reads what a Xen domain builder reads: the program headers and the notes
whose owner is "Xen".  readelf takes those notes for something else.
"""

import struct
from collections import namedtuple

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_TLS = 1, 2, 3, 4, 7
PT_GNU_STACK = 0x6474E551
PF_X, PF_W, PF_R = 1, 2, 4
SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 2, 4, 8, 9
SHF_WRITE, SHF_ALLOC, SHF_EXEC = 1, 2, 4
STB_WEAK = 2
PAGE = 4096

SEGMENT_TYPES = {PT_LOAD: "LOAD", PT_DYNAMIC: "DYNAMIC", PT_INTERP: "INTERP",
                 PT_NOTE: "NOTE", PT_TLS: "TLS", PT_GNU_STACK: "GNU_STACK"}

NOTE_NAMES = ["INFO", "ENTRY", "HYPERCALL_PAGE", "VIRT_BASE", "PADDR_OFFSET",
              "XEN_VERSION", "GUEST_OS", "GUEST_VERSION", "LOADER", "PAE_MODE",
              "FEATURES", "BSD_SYMTAB", "HV_START_LOW", "L1_MFN_VALID",
              "SUSPEND_CANCEL", "INIT_P2M", "MOD_START_PFN",
              "SUPPORTED_FEATURES", "PHYS32_ENTRY", "PHYS32_RELOC"]
STRING_NOTES = {"INFO", "XEN_VERSION", "GUEST_OS", "GUEST_VERSION", "LOADER",
                "PAE_MODE", "FEATURES", "BSD_SYMTAB"}
LIST_NOTES = {"L1_MFN_VALID": "Q", "PHYS32_RELOC": "I"}

Segment = namedtuple(
    "Segment", "type flags offset vaddr paddr filesz memsz align")
Section = namedtuple(
    "Section", "name type flags addr offset size link info align entsize")
Symbol = namedtuple("Symbol", "name info other section value size")
Note = namedtuple("Note", "owner type desc")


class Error(Exception):
    """The file is not what a reader of ELF can work with."""


def string_at(table, offset):
    end = table.find(b"\0", offset)
    if end < 0:
        raise Error("a name is not terminated")
    return table[offset:end].decode(errors="replace")


def permissions(flags):
    return "".join(letter if flags & bit else "-"
                   for letter, bit in (("R", PF_R), ("W", PF_W), ("X", PF_X)))


class Elf:
    """segments, sections and symbols of one file, as tuples."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        try:
            self._read_header()
            self._read_sections()
        except (struct.error, IndexError, OverflowError) as error:
            raise Error(f"truncated or damaged ELF file ({error})") from None

    def _read_header(self):
        if self.data[:4] != b"\x7fELF":
            raise Error("not an ELF file")
        if self.data[4:6] != b"\x02\x01":
            raise Error("not a 64-bit little-endian ELF file")
        (self.type, self.machine, _, self.entry, phoff, self._shoff, _, _,
         phentsize, phnum, self._shentsize, self._shnum, self._shstrndx
         ) = struct.unpack_from("<HHIQQQIHHHHHH", self.data, 16)
        self.segments = []
        for i in range(phnum):
            (kind, flags, offset, vaddr, paddr, filesz, memsz, align
             ) = struct.unpack_from("<IIQQQQQQ", self.data,
                                    phoff + i * phentsize)
            if kind != PT_GNU_STACK and offset + filesz > len(self.data):
                raise Error(f"segment {i} reaches beyond the end of the file")
            self.segments.append(Segment(kind, flags, offset, vaddr, paddr,
                                         filesz, memsz, align))

    def _read_sections(self):
        raw = [struct.unpack_from("<IIQQQQIIQQ", self.data,
                                  self._shoff + i * self._shentsize)
               for i in range(self._shnum)]
        names = b""
        if raw:
            names = self._bytes(raw[self._shstrndx][4], raw[self._shstrndx][5])
        self.sections = [Section(string_at(names, fields[0]), *fields[1:])
                         for fields in raw]

    def _bytes(self, offset, size):
        if offset + size > len(self.data):
            raise Error("a section reaches beyond the end of the file")
        return self.data[offset:offset + size]

    def loads(self):
        return [s for s in self.segments if s.type == PT_LOAD]

    def symbols(self):
        """All entries of the symbol table but the empty first one."""
        result = []
        for section in self.sections:
            if section.type != SHT_SYMTAB:
                continue
            strings = self.sections[section.link]
            names = self._bytes(strings.offset, strings.size)
            table = self._bytes(section.offset, section.size)
            for name, *rest in list(struct.iter_unpack("<IBBHQQ", table))[1:]:
                result.append(Symbol(string_at(names, name), *rest))
        return result

    def notes(self):
        result = []
        for segment in self.segments:
            if segment.type == PT_NOTE:
                align = 8 if segment.align == 8 else 4
                result += parse_notes(
                    self._bytes(segment.offset, segment.filesz), align)
        return result

    def xen_notes(self):
        """[(name, value)] of the notes a domain builder sees, in order."""
        return [decode_xen_note(n) for n in self.notes() if n.owner == "Xen"]


def parse_notes(data, align=4):
    notes, at = [], 0
    while at + 12 <= len(data):
        namesz, descsz, kind = struct.unpack_from("<III", data, at)
        name_at = at + 12
        desc_at = name_at + (namesz + align - 1) // align * align
        if desc_at + descsz > len(data):
            raise Error("a note reaches beyond the end of its segment")
        owner = data[name_at:name_at + namesz].rstrip(b"\0")
        notes.append(Note(owner.decode(errors="replace"), kind,
                          data[desc_at:desc_at + descsz]))
        at = desc_at + (descsz + align - 1) // align * align
    return notes


def decode_xen_note(note):
    """(name, value): a string, a number, a list of numbers or raw bytes."""
    if note.type >= len(NOTE_NAMES):
        return f"type {note.type:#x}", note.desc
    name = NOTE_NAMES[note.type]
    if name in STRING_NOTES:
        return name, note.desc.rstrip(b"\0").decode(errors="replace")
    if name in LIST_NOTES:
        code = LIST_NOTES[name]
        count = len(note.desc) // struct.calcsize(code)
        return name, list(struct.unpack_from(f"<{count}{code}", note.desc))
    if len(note.desc) in (1, 2, 4, 8):
        return name, int.from_bytes(note.desc, "little")
    return name, note.desc
