# SPDX-License-Identifier: BSD-2-Clause
"""The report in a browser: every plot drawn, nothing fetched, nothing on top of something else, on a phone and on a desk."""
import itertools
import json
import re

import pytest
from conftest import look_at

LEAST_TEXT = 8  # pixels that a line of a plot's text is high at least
# Latencies of seven families; the throughput of reads and of writes; the parts of a fault, an event and a block.
PLOTS = 13


def overlap(a, b):
    """By more than a pixel, both ways."""
    return min(a[2], b[2]) - max(a[0], b[0]) > 1 and min(a[3], b[3]) - max(a[1], b[1]) > 1


def test_results_are_rebuilt_from_consoles(directory):
    found = json.loads((directory / "pvbench.log.json").read_text())
    by_name = {probe["name"]: probe for probe in found["probes"]}
    assert by_name["hypercall.null"]["ratio"] and by_name["hypercall.unknown"]["linux"] is None
    assert by_name["blk.split.submit"]["ours"]["p50"] > 0 and found["conditions"]["linux_guest"]


def test_every_plot_is_drawn(seen):
    assert len(seen["plots"]) == PLOTS
    for plot in seen["plots"]:
        left, top, right, bottom = plot["box"]
        assert right - left > 250 and bottom - top > 100
        assert plot["shapes"] >= 3 and plot["curves"] >= 2 and plot["texts"]


def test_nothing_is_wider_than_the_screen(seen):
    assert seen["scrollWidth"] <= seen["width"]
    for box in [*seen["legends"], *(plot["box"] for plot in seen["plots"])]:
        assert box[0] >= 0 and box[2] <= seen["width"] + 1


def test_nothing_lies_on_something_else(seen):
    for a, b in itertools.combinations(seen["blocks"], 2):
        assert not overlap(a["box"], b["box"]), (a, b)


def test_text_in_plots_is_apart_inside_and_large_enough(seen):
    for plot in seen["plots"]:
        for text in plot["texts"]:
            assert text["box"][3] - text["box"][1] >= LEAST_TEXT, text
            assert text["box"][0] >= plot["box"][0] - 1 and text["box"][2] <= plot["box"][2] + 1, text
        for a, b in itertools.combinations(plot["texts"], 2):
            assert not overlap(a["box"], b["box"]), (a, b)


def test_nothing_is_fetched(seen, directory):
    assert seen["fetched"] == []
    page = (directory / "pvbench.html").read_text()
    names = re.findall(r"https?://[^\"' <>]+", page)
    assert set(names) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names, not places


@pytest.mark.parametrize("damage, shown", (
    ("<img src=http://192.0.2.1/picture.png>", lambda seen: seen["fetched"]),
    ("<div style='width:2000px'>x</div>", lambda seen: seen["scrollWidth"] > seen["width"]),
    ("<p style='margin-top:-9rem'>x<br>x<br>x<br>x", lambda seen: any(
        overlap(a["box"], b["box"]) for a, b in itertools.combinations(seen["blocks"], 2)))))
def test_these_tests_would_notice(directory, damage, shown):
    page = (directory / "pvbench.html").read_text().replace("</body>", damage + "</body>")
    assert shown(look_at(directory, page, 400))
