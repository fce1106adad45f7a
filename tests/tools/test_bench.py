# SPDX-License-Identifier: BSD-2-Clause
"""bench/run: from the lines that dom0 says to the table."""
import importlib.machinery
import importlib.util
import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(name="bench")
def bench_run(tmp_path, monkeypatch):
    monkeypatch.setenv("BUILD", str(tmp_path))
    monkeypatch.setenv("ACCEL", "icount")
    loader = importlib.machinery.SourceFileLoader("bench_run", str(TOP / "bench/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_run", loader))
    loader.exec_module(module)
    return module


def taken(bench, *lines):
    figures = bench.Figures(bench.Progress(1, bench.GROUPS))
    for line in lines:
        figures.take(line + "\n")
    return figures


def row(bench, figures, start):
    return next(line for line in bench.table(figures).splitlines() if line.startswith(start))


def test_a_row_is_the_median_with_the_spread_and_the_ratio(bench):
    figures = taken(bench, *(f"figure {turn} {who} tcp_in {value}" for turn, who, value in (
        (1, "ours", 900), (2, "ours", 300), (3, "ours", 400),
        (1, "linux", 200), (2, "linux", 100), (3, "linux", 800))))
    line = row(bench, figures, "TCP, dom0 -> guest")
    assert "400 [300..900]" in line and "200 [100..800]" in line
    assert line.split()[-1] == "2.00"


def test_less_is_better_where_it_is(bench):
    figures = taken(bench, "figure 1 ours create_256 100.0", "figure 1 linux create_256 50.0")
    assert row(bench, figures, "  memory=256").split()[-3:] == ["0.50", "BELOW", "LINUX"]


def test_an_aim_of_its_own_counts_instead(bench):
    figures = taken(bench, "figure 1 ours least 9", "figure 1 linux least 100")
    assert row(bench, figures, "least memory").endswith("BELOW: aim 8")


def test_what_is_missing_is_named_and_the_table_comes(bench):
    figures = taken(bench, "figure 1 ours http_8 1000.5", "missing 1 linux http_8 the domain ended",
                    "figure 1 ours tcp_in", "figure 1 ours nonsense 5", "figures are nice")
    assert figures.missing == ["round 1  linux http_8       the domain ended"]
    assert row(bench, figures, "  8 connections").split()[-2:] == ["-", "-"]
    assert len(bench.table(figures).splitlines()) == 2


def test_dom0_adds_conditions(bench):
    assert taken(bench, "condition dom0 Linux 6.1.0-1-amd64", "condition none").conditions == {
        "dom0": "Linux 6.1.0-1-amd64"}


def lines_of_a_traced_guest(who, ops):
    return [f'suite 1 {who}-traced {{"name": "{name}", "unit": "ns", "better": "lower", "run": {run}, "ops": {ops}, '
            '"events_per_op": 0.25, "count": 1, "p50": 1, "min": 1, "max": 1, "mean": 1, "buckets": [1000, 1]}'
            for run, name in ((1, "blk.read.4k.d32"), (2, "blk.read.4k.d32.iops"), (3, "net.udp.out.64"))]


def test_what_xen_wrote_down_becomes_rows_and_what_it_did_not_is_missing(bench, monkeypatch):
    figures = taken(bench, *lines_of_a_traced_guest("ours", 10))
    bench.OUT.mkdir()
    (bench.OUT / "trace.1.ours").write_bytes(b"")
    run = bench.hypercalls.Run(7, 0)
    run.counts[32], run.busy, run.own = 5, 300, 100
    monkeypatch.setattr(bench.hypercalls, "runs", lambda data: {1: run})
    figures.take_traces()
    found = {probe["name"]: probe["ours"]["p50"] for probe in figures.suite.results({})["probes"]}
    assert found == {"blk.read.4k.d32.hypercalls": 0.5, "blk.read.4k.d32.irets": 0, "blk.read.4k.d32.machine": 30, "blk.read.4k.d32.guest": 10,
                     "blk.read.4k.d32.events": 0.25, "net.udp.out.64.events": 0.25}
    assert figures.missing == ["round 1  ours  net.udp.out.64.hypercalls: not in Xen's trace"]


def test_growth_takes_both_sizes_of_one_round(bench):
    figures = taken(bench, "figure 1 ours entry_256 10000", "figure 2 ours entry_256 20000",
                    "figure 2 ours entry_1024 95000", "figure 3 ours entry_1024 99000")
    bench.add_growth(figures)
    assert figures.of("entry_gib", "ours") == {2: 100000}


def test_a_growth_that_is_none_has_no_ratio(bench):
    figures = taken(bench, "figure 1 ours entry_gib 10", "figure 1 linux entry_gib -10")
    assert row(bench, figures, "  more for each GiB").split()[-1] == "-"


@pytest.mark.parametrize("word", ["figure ours tcp_in 12.5", "figure ours tcp_in '' out of reach",
                                  "figure ours tcp_in 0.00", "figure ours tcp_in 'no route'"])
def test_dom0_calls_a_number_a_figure_and_everything_else_missing(tmp_path, word):
    script = (TOP / "bench/dom0/measure").read_text().split("# ---- boot")[0]
    functions = script.replace(". ./settings", "round=3")
    run = subprocess.run(["sh", "-c", functions + f"\n{word}\n"], cwd=tmp_path, text=True,
                         capture_output=True, check=True)
    expected = "figure 3 ours tcp_in 12.5" if "12.5" in word else "missing 3 ours tcp_in "
    assert run.stdout.startswith(expected)
    assert ("out of reach" in run.stdout) == ("out of reach" in word)


def test_queues_are_rows_beside_what_they_carried(bench):
    figures = taken(bench, "figure 1 ours scale_disk_2 70000.50", "figure 1 linux scale_disk_2 35000.25",
                    "figure 1 ours scale_vbdq_2 2", "figure 1 linux scale_vbdq_2 1", "figure 1 ours scale_vifq_1 1")
    lines = bench.table(figures).splitlines()[1:]
    assert [line.split()[-1] for line in lines] == ["2.00", "2.00", "-"]
    assert lines[1].split()[:2] == ["2", "vCPUs"] and "queues" in lines[1]


def test_what_falls_with_a_second_cpu_is_said_of_the_disk_too(bench):
    figures = taken(bench, "figure 1 ours scale_disk_1 1000", "figure 1 ours scale_disk_2 500",
                    "figure 1 linux scale_disk_1 1000", "figure 1 linux scale_disk_2 1000")
    assert list(bench.slower_with_more(figures)) == ["slower with 2 vCPUs than with 1: ours disk, 0.50"]


def function_of_measure(name):
    script = (TOP / "bench/dom0/measure").read_text()
    return script[script.index(f"\n{name}() {{"):].split("\n}\n")[0] + "\n}\n"


@pytest.mark.parametrize("pattern, queues", [("7.xvda-*", 2), ("vif7.0-q*-g*", 1), ("8.xvda-*", 0)])
def test_dom0_counts_the_backends_threads_that_had_work(tmp_path, pattern, queues):
    threads = [("7.xvda-0", 9000000), ("7.xvda-1", 1000000), ("7.xvda-2", 999999), ("17.xvda-0", 9000000), ("7.xvdb-0", 9000000),
               ("vif7.0-q0-guest-rx", 5000000), ("vif7.0-q0-deall", 5000000), ("vif7.0-q1-guest", 40000), ("xenstored", 9000000)]
    for number, (name, ran) in enumerate(threads, 1):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comm").write_text(f"{name}\n")
        (tmp_path / str(number) / "schedstat").write_text(f"{ran} 0 12\n")
    (tmp_path / "99").mkdir()  # it has just ended
    run = subprocess.run(["sh", "-c", f"PROC={tmp_path}\n{function_of_measure('busy')}\nbusy '{pattern}'"], text=True,
                         capture_output=True, check=True)
    assert (run.stdout, run.stderr) == (f"{queues}\n", "")
