# SPDX-License-Identifier: BSD-2-Clause
"""The latency suite with a vif, a disk, xenstore and a peer domain: every probe can do its work. And on a host of a
user's own, where there is none of them; with SYSTEM_FULL=1 beside a Linux guest as well."""
import importlib.machinery
import importlib.util
import json
import subprocess
import sys

import pytest

from conftest import BUILD, FULL, IMAGES, TOP, cases, run_script

sys.path.insert(0, str(TOP / "bench"))
import hypercalls  # noqa: E402


@pytest.fixture(scope="module", name="directory")
def working_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("pvbench")


@pytest.fixture(scope="module", name="peer")
def measuring_peer(directory):
    peer = directory / "measure-peer"
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-static", "-o", peer, TOP / "bench/dom0/peer.c"], check=True)
    return peer


@pytest.fixture(scope="module", name="bundle")
def bundle_for_a_host():
    subprocess.run([TOP / "tools/bundle", "pvbench", BUILD, TOP / "apps/pvbench/bundle"], check=True)
    return BUILD / "pvbench.tar.gz"


@pytest.fixture(scope="module")
def suite(directory, peer, bundle):
    disk = directory / "disk.img"
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    return run_script("pvbench.sh", "pvbench", "--vif", "--disk", disk, "--get",
                      f"pvbench.log={directory / 'host.log'}", "--get", f"trace={directory / 'trace'}", put=[peer, IMAGES / "pvbench", bundle], memory=64,
                      cmdline="paravane.log=info --check --destroy --await-peer --peer 10.8.0.1")


@pytest.mark.parametrize("case", cases("pvbench.sh"))
def test_pvbench(suite, case):
    suite.demand(case)


def test_xen_saw_as_many_hypercalls_as_the_guest_counted(suite, directory):
    """What bench/run counts for every guest, against what ours counts itself."""
    runs = hypercalls.runs((directory / "trace").read_bytes())
    lines = [json.loads(line) for line in (directory / "host.log").read_text().splitlines() if line.startswith('{"name')]
    counted = {line["run"]: (line["hypercalls_per_op"], line["ops"]) for line in lines if line["ops"]}
    assert len(counted) == 2 and counted.keys() <= runs.keys(), suite.result
    for run, (each, ops) in counted.items():
        seen = hypercalls.ways_in(runs[run].counts)
        rounded = 0.0005 * ops  # it is said in three digits; other threads of the guest may have run, too
        assert abs(seen - each * ops) <= 2 + each * ops / 100 + rounded, (run, seen, each, ops, runs[run].counts)
        assert 0 < runs[run].own <= runs[run].busy
    assert counted[2][0] * counted[2][1] > 100, "of hypercall.null, which is one each"


def test_the_log_of_a_host_becomes_a_report(suite, directory):
    subprocess.run([TOP / "bench/report", directory / "host.log"], check=True)
    found = json.loads((directory / "host.log.json").read_text())
    assert [probe["name"] for probe in found["probes"]] == ["floor.loop", "hypercall.null"], suite.result
    skipped = found["skipped"]["ours"]
    assert skipped.keys() == {"blk.flush", "net.udp.rtt.64", "evtchn.peer.pingpong", "smp.wake", "smp.pingpong"}
    assert all(skipped.values()), skipped
    assert "<svg" in (directory / "host.html").read_text()


# ---- beside Linux -----------------------------------------------------------------------------------

def load_bench():
    loader = importlib.machinery.SourceFileLoader("bench_run", str(TOP / "bench/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_run", loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module", name="beside")
def on_a_host_beside_linux(directory, peer, bundle):
    """The guest is the one of make bench, its module included."""
    bench = load_bench()
    bench.OUT.mkdir(exist_ok=True)
    kernel, ramdisk, _ = bench.linux_guest(b"", True)
    return run_script("besidelinux.sh", "hello", "--get", f"pvbench.log={directory / 'ours.log'}", "--get",
                      f"linux.log={directory / 'linux.log'}", put=[peer, bundle, kernel, ramdisk])


if FULL:
    @pytest.mark.parametrize("case", cases("besidelinux.sh"))
    def test_beside_linux(beside, case):
        beside.demand(case)

    def test_both_logs_become_one_report(beside, directory):
        subprocess.run([TOP / "bench/report", directory / "ours.log", directory / "linux.log"], check=True)
        found = json.loads((directory / "ours.log.json").read_text())
        ratios = {probe["name"]: probe["ratio"] for probe in found["probes"]}
        assert {"hypercall.null", "floor.loop", "blk.read.4k.d1", "net.udp.rtt.64"} <= ratios.keys(), beside.result
        assert all(ratio["median"] > 0 for ratio in ratios.values()), ratios
