# SPDX-License-Identifier: BSD-2-Clause
"""bench/results.py and bench/report: from what pvbench says to the results, the comparison and the page."""
import html.parser
import json
import pathlib
import re
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench"))
import hypercalls  # noqa: E402
import results as suite  # noqa: E402

SOURCES = [f"apps/pvbench/{name}.c" for name in "main run report hist floor net malloc scale".split()]


def line(name, *samples, unit="ns", better="lower", **more):
    """As pvbench would say it, of whole numbers below 256."""
    ordered = sorted(samples)
    buckets = [number for value in sorted(set(ordered)) for number in (value * 1000, ordered.count(value))]
    middle = ordered[(len(ordered) - 1) // 2]
    return {"name": name, "unit": unit, "better": better, "count": len(ordered), "min": ordered[0],
            "p50": middle, "p90": ordered[-1], "p99": ordered[-1], "p99.9": ordered[-1], "max": ordered[-1],
            "mean": sum(ordered) / len(ordered), "overhead": 1, "steal_ns": 5, "preemptions": 0,
            "backwards": 0, "buckets": buckets, **more}


def collected(*records):
    collector = suite.Collector()
    for turn, who, found in records:
        collector.take(turn, who, found)
    return collector.results({"date": "today"})


def one_side(found, name, who="ours"):
    return next(probe for probe in found["probes"] if probe["name"] == name)[who]


@pytest.fixture(name="program", scope="module")
def suite_as_a_program(tmp_path_factory):
    """The suite as it is built for a Linux guest, on this machine."""
    binary = tmp_path_factory.mktemp("suite") / "pvbench"
    sources = sorted((TOP / "bench/linux/pvbench").glob("*.c")) + SOURCES
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-I.", "-o", binary, *map(str, sources), "-lm"], cwd=TOP,
                   check=True)
    return binary


def said_by(program, *words):
    return subprocess.run([program, *words], text=True, capture_output=True)


# ---- the program's side -----------------------------------------------------------------------------

def test_what_the_program_prints_is_read(program):
    run = said_by(program, "--json", "--seconds", "0.01", "floor", "malloc.64")
    found = suite.of_consoles(run.stdout)
    assert [probe["name"] for probe in found["probes"]] == [
        "floor.rdtsc", "floor.stamp", "floor.loop", "malloc.64"]
    conditions = found["conditions"]["ours_guest"]
    assert conditions["vcpus"] >= 1 and conditions["tick_ns"] > 0 and conditions["cpu"]
    for probe in found["probes"]:
        one = probe["ours"]
        assert one["count"] == sum(one["buckets"][1::2]) > 0
        assert one["min"] <= one["p50"] <= one["p90"] <= one["p99"] <= one["p99.9"] <= one["max"]
        assert one["min"] <= one["mean"] <= one["max"]


def test_what_is_not_there_is_named_with_the_reason(program):
    run = said_by(program, "--json", "--seconds", "0.01", "net.udp", "hypercall.null", "floor.loop")
    skipped = suite.of_consoles(run.stdout)["skipped"]["ours"]
    assert "--peer" in skipped["net.udp.rtt.64"]
    assert "module" in skipped["hypercall.null"]


@pytest.mark.parametrize("words", (["--seconds"], ["--seconds", "x"], ["--seconds", "-1"], ["--samples", "0"],
                                   ["--peer"], ["--nonsense"]))
def test_words_that_make_no_sense_are_refused(program, words):
    run = said_by(program, *words)
    assert run.returncode == 64 and "usage" in run.stdout


def test_samples_are_bounded(program):
    run = said_by(program, "--json", "--samples", "50", "floor.loop")
    assert one_side(suite.of_consoles(run.stdout), "floor.loop")["count"] == 50


def test_nothing_to_measure_is_no_success(program):
    assert said_by(program, "hypercall.null").returncode == 1


# ---- results ----------------------------------------------------------------------------------------

def test_lines_are_found_whatever_stands_between_them():
    text = ('[ 1.5] pvbench: 64 MiB\r\n{"pvbench": 1, "conditions": {"xen": "4.17"}}\r\n# table\r\n'
            + json.dumps(line("a.b", 1)) + '\r\n{"name": "broken", "uni\r\n{"skipped": "c.d", "reason": "no"}\n')
    found = suite.of_consoles(text)
    assert [probe["name"] for probe in found["probes"]] == ["a.b"]
    assert found["conditions"]["ours_guest"] == {"xen": "4.17"} and found["skipped"] == {"ours": {"c.d": "no"}}


def test_rounds_become_one_distribution():
    found = collected((1, "ours", line("a.b", 10, 10, 10, 20)), (2, "ours", line("a.b", 30, 30, 30, 30)))
    one = one_side(found, "a.b")
    assert one["count"] == 8 and one["min"] == 10 and one["max"] == 30 and one["p50"] == 20
    assert one["rounds"] == [10, 30] and one["steal_ns"] == 10 and one["mean"] == 21.25


def test_a_ratio_is_that_of_rounds_not_of_all():
    found = collected((1, "ours", line("a.b", 10)), (1, "linux", line("a.b", 20)),
                      (2, "ours", line("a.b", 100)), (2, "linux", line("a.b", 100)),
                      (3, "ours", line("a.b", 10)), (3, "linux", line("a.b", 8)), (4, "ours", line("a.b", 1)))
    assert found["probes"][0]["ratio"] == {"median": 1.0, "lo": 0.5, "hi": 1.25}


def test_structure_of_the_results():
    found = collected((1, "ours", line("a.b", 10)), (1, "linux", line("a.b", 20)),
                      (1, "ours", line("a.c", 7, unit="1/s", better="higher")), (1, "linux", line("only.there", 1)))
    assert set(found) >= {"conditions", "probes"} and json.loads(json.dumps(found)) == found
    assert [probe["name"] for probe in found["probes"]] == ["a.b", "a.c"]
    for probe in found["probes"]:
        assert set(probe) == {"name", "unit", "better", "ours", "linux", "ratio"}
        assert probe["better"] in ("lower", "higher")
        for key in ("min", "p50", "p90", "p99", "p99.9", "max", "mean", "count"):
            assert isinstance(probe["ours"][key], (int, float))
    assert found["probes"][1]["linux"] is None and found["probes"][1]["ratio"] is None


def test_targets_take_the_side_they_name():
    found = collected((1, "ours", line("hypercall.null", 126)), (1, "ours", line("hypercall.unknown", 120)),
                      (1, "ours", line("thread.switch", 60)), (1, "linux", line("thread.switch", 100)))
    known = {text: (value, limit) for text, value, limit, _ in suite.targets(found) if value is not None}
    assert known == {"hypercall.null / hypercall.unknown": (1.05, 1.05), "thread.switch / Linux": (0.6, 0.5)}


def test_a_target_that_was_not_measured_is_named_as_such(page):
    assert re.search(r"net\.udp\.out\.64\.hypercalls / Linux</td><td>at most 1\.00</td><td class=small>not measured", page)
    assert len(list(suite.targets({"probes": []}))) == len(suite.TARGETS) + len(suite.AT_LEAST)


def traced(counts, busy):
    run = hypercalls.Run(7, 0)
    run.counts.update(counts)
    run.busy, run.own = busy, busy / 4
    return run


def test_some_targets_are_the_least_that_is_wanted():
    found = collected((1, "ours", line("net.tcp.in", 140, unit="Mbit/s", better="higher")),
                      (1, "linux", line("net.tcp.in", 100, unit="Mbit/s", better="higher")))
    known = [target for target in suite.targets(found) if target[1] is not None]
    assert known == [("net.tcp.in / Linux", 1.4, 1.5, True)]
    assert suite.is_missed(1.4, 1.5, True) and not suite.is_missed(1.6, 1.5, True)
    assert not suite.is_missed(0.9, 1.0, False) and suite.is_missed(1.1, 1.0, False)


def test_an_operation_takes_what_xen_saw_and_what_the_guest_heard():
    counted = line("blk.read.4k.d32", 5, run=1, ops=100, events_per_op=0.25, hypercalls_per_op=0.5)
    found = collected(*suite.per_operation(1, "ours", counted, traced({32: 40, 29: 10, 23: 7, (13, 1): 90}, 5000), 2.0),
                      *suite.per_operation(1, "linux", counted, traced({32: 100}, 20000), 1.0))
    assert {probe["name"]: (probe["unit"], probe["ours"]["p50"], probe["linux"]["p50"]) for probe in found["probes"]} == {
        "blk.read.4k.d32.hypercalls": ("per request", 0.5, 1), "blk.read.4k.d32.irets": ("per request", 0.07, 0),
        "blk.read.4k.d32.machine": ("ns per request", 100, 200),
        "blk.read.4k.d32.guest": ("ns per request", 25, 50), "blk.read.4k.d32.events": ("per request", 0.25, 0.25)}
    assert ("blk.read.4k.d32.hypercalls / Linux", 0.5, 1.0, False) in list(suite.targets(found))


def test_without_a_trace_only_events_are_known():
    records = list(suite.per_operation(1, "linux", line("net.udp.pps.64", 5, ops=4, events_per_op=0.5), None, 1))
    assert [found["name"] for _, _, found in records] == ["net.udp.pps.64.events"]
    assert not list(suite.per_operation(1, "linux", line("net.udp.pps.64", 5, ops=0), None, 1))


def test_worse_than_linux_is_said_beyond_noise_and_whatever_is_better():
    found = collected(*((1, who, line(f"{name}.{unit}", value, unit=unit, better=better))
                        for unit, better in (("ns", "lower"), ("1/s", "higher"))
                        for name, ours in (("same", 102), ("more", 120), ("less", 80))
                        for who, value in (("ours", ours), ("linux", 100))))
    marked = [row.split()[0] for row in suite.table(found).splitlines() if row.endswith(" *")]
    assert marked == ["more.ns", "less.1/s"]


def rounds_of(name, *values, **more):
    return collected(*((turn, "ours", line(name, value, **more)) for turn, value in enumerate(values)))


def test_a_change_counts_beyond_the_noise_of_both():
    def verdict(old, new, **more):
        return list(suite.compare(rounds_of("a.b", *old, **more), rounds_of("a.b", *new, **more)))[0][-1]
    assert verdict((100, 100, 101), (110, 111, 110)) == "WORSE"
    assert verdict((100, 100, 101), (90, 90, 91)) == "better"
    assert verdict((100, 100, 101), (90, 90, 91), unit="1/s", better="higher") == "WORSE"
    assert verdict((100, 100, 100), (102, 102, 102)) == ""
    assert verdict((100, 120, 90), (110, 111, 110)) == ""
    assert verdict((100,), (118,)) == ""
    assert verdict((100,), (125,)) == "WORSE"


def of_one_round(*samples):
    return collected((1, "ours", line("a.b", *samples)))


def test_a_single_round_may_differ_by_what_its_samples_differ_by():
    def change(old, new):
        return list(suite.compare(of_one_round(*old), of_one_round(*new)))[0][-2:]
    assert change([100] * 1000, [150] * 1000) == (0.24, "WORSE")
    # Two humps of nearly the same weight: the median may be either.
    noise, verdict = change([100] * 500 + [200] * 500, [100] * 490 + [200] * 510)
    assert noise > 0.9 and verdict == ""
    # Nothing most of the time says nothing.
    assert change([100] * 900, [0] * 600 + [100] * 300)[1] == ""
    # The same humps, but the median is clear of the other one.
    assert change([100] * 900 + [200] * 100, [200] * 1000) == (0.24, "WORSE")


def test_a_round_trip_may_be_what_a_part_of_its_samples_are():
    def verdict(name, seldom):
        old, new = (collected((1, "ours", line(name, *samples)))
                    for samples in ([45] * (1000 - seldom) + [71] * seldom, [71] * 1000))
        return list(suite.compare(old, new))[0][-1]
    assert verdict("net.frame.rtt.1514", 200) == ""
    assert verdict("net.frame.rtt.1514", 50) == "WORSE"
    assert verdict("net.frame.send.1514", 200) == "WORSE"


@pytest.mark.parametrize("name, value, verdict", [
    ("net.tcp.rtt.64", 142, ""), ("blk.write.512.d8.iops", 142, ""), ("thread.switch", 142, "WORSE"),
    ("blk.read.4k.d8", 180, "WORSE"), ("blk.read.4k.d32.machine", 180, ""), ("disk.rand32", 180, ""), ("disk.rand1", 180, "WORSE")])
def test_what_goes_through_dom0_falls_into_step_in_more_than_one_way(name, value, verdict):
    old, new = (collected((1, "ours", line(name, v))) for v in (100, value))
    assert list(suite.compare(old, new))[0][-1] == verdict


def test_the_comparison_is_a_table_to_paste():
    text = suite.comparison(rounds_of("a.b", 100, 100), rounds_of("a.b", 200, 200))
    assert "| a.b | ns | 100.0 | 200.0 | +100.0% | 3.0% | WORSE |" in text
    assert "0 of 1 probes did not change" in text


# ---- the page ---------------------------------------------------------------------------------------

class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.depth = [], [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action"):
                self.links.append(value)


@pytest.fixture(name="page", scope="module")
def page_of_a_report(tmp_path_factory):
    source = tmp_path_factory.mktemp("report") / "results.json"
    source.write_text(json.dumps(collected(
        *((1, who, line(name, *range(100, 200)))
          for who in ("ours", "linux") for name in ("hypercall.null", "trap.page_fault", "evtchn.thread.handler",
                                                    "evtchn.thread.wake", "blk.read.4k.d1")),
        *((1, "ours", line(f"blk.split.{part}", 100)) for part in ("submit", "backend", "wake")),
        *((1, "ours", line(name, 100)) for name in ("net.frame.rtt.64", "net.frame.send.64", "net.icmp.rtt.22")),
        *((1, "ours", line(f"blk.read.{size}.d{depth}.mbps", 100, unit="MB/s", better="higher"))
          for size in ("512", "4k") for depth in (1, 8)),
        (1, "linux", {"skipped": "grant.<map>", "reason": "not there"}))))
    subprocess.run([TOP / "bench/report", source], check=True)
    return source.with_suffix(".html").read_text()


def test_the_page_needs_nothing_from_outside(page):
    found = Page(page)
    assert all(link.startswith("#") for link in found.links)
    assert not re.search(r"url\((?!#)|@import|<script", page)


def test_the_page_has_its_plots_and_no_identifier_twice(page):
    found = Page(page)
    # Five families of latencies, throughput, timelines of an event, a block and a frame.
    assert found.tags.count("svg") == 9
    assert len(found.ids) == len(set(found.ids))
    assert "svg" in found.tags and page.count("<path") > 20


def test_the_page_names_what_is_missing(page):
    assert "grant.&lt;map&gt;" in page and "not there" in page


def test_a_console_log_gives_the_same(tmp_path):
    log = tmp_path / "console.log"
    log.write_text("noise\r\n" + json.dumps(line("hypercall.null", 100, 101)) + "\r\n")
    subprocess.run([TOP / "bench/report", log], check=True)
    assert "hypercall.null" in (tmp_path / "console.html").read_text()
    assert one_side(json.loads((tmp_path / "console.log.json").read_text()), "hypercall.null")["count"] == 2


def test_a_log_without_results_says_what_to_do(tmp_path):
    log = tmp_path / "console.log"
    log.write_text("nothing\n")
    run = subprocess.run([TOP / "bench/report", log], text=True, capture_output=True)
    assert run.returncode != 0 and "--json" in run.stderr
