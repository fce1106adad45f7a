# SPDX-License-Identifier: BSD-2-Clause
"""Names for the addresses in a register or stack dump.

A dump holds plain numbers.  Every one that lies inside the image's code is
listed with its function, and its source line where there is debug
information: IMAGE.debug beside the image, when present, knows both.
"""
import bisect
import re
import subprocess
from pathlib import Path

ADDRESS = re.compile(r"(?:0x)?\b([0-9a-f]{8,16})\b", re.IGNORECASE)
# Xen says this when it finds no room on a guest's stack for an exception's frame.
NO_ROOM = "domain_crash_sync called from entry.S"
RSP = re.compile(r"\brsp:\s+(?:[0-9a-f]{4}:)?([0-9a-f]{8,16})\b", re.IGNORECASE)
THREAD_STACKS = range(1 << 40, 3 << 39)  # VMAP in arch/x86/include/arch/layout.h
PAGE = 4096
FRAME = 128  # at least what Xen wanted to push


def symbol_file(image):
    """Where the symbols of an image are: IMAGE.debug or the image."""
    debug = Path(f"{image}.debug")
    return debug if debug.exists() else Path(image)


class Symbols:
    """The functions of one ELF file."""

    def __init__(self, listing, file=None):
        """From the output of nm -n --defined-only."""
        self.file = file
        entries = [line.split() for line in listing.splitlines()]
        self.entries = [(int(e[0], 16), e[1], e[2]) for e in entries
                        if len(e) == 3]
        self.starts = [address for address, _, _ in self.entries]

    @classmethod
    def of(cls, image):
        file = symbol_file(image)
        done = subprocess.run(["nm", "-n", "--defined-only", file], text=True,
                              capture_output=True)
        return cls(done.stdout, file)

    def name(self, address):
        """function+offset, or nothing when this is no code of ours."""
        index = bisect.bisect_right(self.starts, address) - 1
        if index < 0 or index == len(self.entries) - 1:
            return ""
        start, kind, name = self.entries[index]
        return f"{name}+{address - start:#x}" if kind in "tTwW" else ""

    def lines(self, addresses):
        """Address -> file:line for those addr2line knows."""
        if not self.file or not addresses:
            return {}
        done = subprocess.run(
            ["addr2line", "-e", self.file, *map(hex, addresses)], text=True,
            capture_output=True)
        known = zip(addresses, done.stdout.splitlines())
        return {a: line for a, line in known if not line.startswith("?")}

    def address(self, name):
        return next((a for a, _, n in self.entries if n == name), None)

    def guard(self, address):
        """Whose guard page the address may lie in, or nothing."""
        for name in ("boot", "event"):
            start = self.address(f"{name}_stack_guard")
            if start is not None and start <= address < start + PAGE:
                return f"the {name} stack"
        return "a thread's stack" if address in THREAD_STACKS else ""

    def stack_overflow(self, report):
        """A line, when the report of a crash says that a stack of ours was full: some CPU's."""
        if NO_ROOM not in report:
            return ""
        for rsp in (int(digits, 16) for digits in RSP.findall(report)):
            whose = self.guard(rsp) or self.guard(rsp - FRAME)
            if whose:
                return f"stack overflow: rsp {rsp:#x} is in or at the guard page of {whose}"
        return ""

    def explain(self, dump):
        """One line per address of ours in the dump, in order of appearance."""
        found = dict.fromkeys(int(m, 16) for m in ADDRESS.findall(dump))
        named = {a: self.name(a) for a in found if self.name(a)}
        lines = self.lines(list(named))
        return "\n".join(f"{a:#018x} {name}  {lines.get(a, '')}".rstrip()
                         for a, name in named.items())
