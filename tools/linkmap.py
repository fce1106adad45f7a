# SPDX-License-Identifier: BSD-2-Clause
"""A reader of GNU ld's link map: which files are in an image, and how big."""

import re
from collections import namedtuple

Piece = namedtuple("Piece", "output input address size path")

LOAD = re.compile(r"^LOAD (.+)$", re.M)
MEMORY_MAP = "Linker script and memory map"
OUTPUT = re.compile(r"^(\.?[\w.]+)(?:\s|$)")
# A long section name has the rest of its line on the next one.
PIECE = re.compile(r"^ (\S+)?\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$")
NAME_ONLY = re.compile(r"^ (\.\S+|COMMON)$")


def files(text):
    """Every object and archive that was given to the linker."""
    return [path for path in LOAD.findall(text)
            if path not in ("linker stubs",)]


def pieces(text):
    """Every input section that has a place in the image."""
    result, output, name = [], "", ""
    for line in text[text.find(MEMORY_MAP):].splitlines():
        if found := OUTPUT.match(line):
            output = found[1]
        elif found := NAME_ONLY.match(line):
            name = found[1]
        elif found := PIECE.match(line):
            size = int(found[3], 16)
            if size and found[1] != "*fill*":
                result.append(Piece(output, found[1] or name,
                                    int(found[2], 16), size, found[4]))
    return result
