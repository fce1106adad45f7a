# SPDX-License-Identifier: BSD-2-Clause
"""The words after `paravane.`: those asked for, those in kernel/option.c, those in docs/options.md."""
import re
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
ROOMS = ("arch", "kernel", "frontends", "lib", "apps")


def asked_for():
    sources = [path for room in ROOMS for path in (TOP / room).rglob("*.[ch]")]
    return {name for path in sources
            for name in re.findall(r'option_(?:get|on)\("([^"]*)"\)', path.read_text())}


def known():
    text = (TOP / "kernel/option.c").read_text()
    strings = re.search(r"known\[\] =\s+([^;]*);", text).group(1)
    return "".join(re.findall(r'"([^"]*)"', strings)).split()


def test_every_word_that_is_asked_for_is_known_and_no_other():
    assert sorted(known()) == sorted(asked_for())


def test_every_known_word_is_documented_and_no_other():
    text = (TOP / "docs/options.md").read_text()
    assert set(re.findall(r"`paravane\.([a-z-]+)", text)) == set(known())
