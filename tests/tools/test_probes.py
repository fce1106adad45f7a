# SPDX-License-Identifier: BSD-2-Clause
"""docs/measuring.md explains every probe of apps/pvbench, in words and by a drawing."""
import pathlib
import re

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs/measuring.md").read_text().split("## The probes\n")[1].split("\n## ")[0]
SERIES = re.compile(r'\b(?:NS|PER_SECOND|PER_SECOND_OF)\("([a-z0-9_.]+)"')
SIZE = r"\d+[mk]?"


def names():
    return sorted({name for file in (TOP / "apps/pvbench").glob("*.c") for name in SERIES.findall(file.read_text())})


def sections():
    """{family: its text}; a heading may be of several: "thread, lock, malloc"."""
    found = {}
    for text in PAGE.split("\n### ")[1:]:
        for family in re.findall(r"\w+", text.split("\n")[0].split(":")[0]):
            found[family] = text
    return found


def explained(name, text):
    """By its name; by its end, as in "`.return`"; or as one of several sizes."""
    last = name.split(".")[-1]
    spellings = [name, re.sub(rf"\.{SIZE}$", ".SIZE", name), re.sub(rf"\.{SIZE}$", ".N", name)]
    return any(re.search(rf"(?<![\w.]){re.escape(word)}(?![\w.]*\w)", text) for word in spellings) or f"`.{last}`" in text


def test_there_are_probes():
    assert len(names()) > 80 and {"hypercall.null", "net.udp.out.64", "evtchn.peer.pingpong"} <= set(names())


@pytest.mark.parametrize("name", names())
def test_a_probe_is_explained(name):
    assert explained(name, sections()[name.split(".")[0]])


@pytest.mark.parametrize("family", sorted({name.split(".")[0] for name in names()}))
def test_a_family_is_drawn(family):
    drawing = sections()[family].split("```")[1]
    assert re.search(r"-->|\]", drawing) and "|" in drawing


def test_this_would_notice():
    assert not explained("net.icmp.rtt.22", "`net.icmp.rtts` and `net.udp.rtt.SIZE`")
    assert explained("net.icmp.rtt.22", "`net.icmp.rtt.SIZE`") and explained("trap.page_fault.entry", "with `.entry`")
