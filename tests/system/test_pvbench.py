# SPDX-License-Identifier: BSD-2-Clause
"""The latency suite with a vif, a disk, xenstore and a peer domain: every probe can do its work. And on a host of a
user's own, where there is none of them."""
import json
import subprocess

import pytest

from conftest import BUILD, IMAGES, TOP, cases, run_script


@pytest.fixture(scope="module", name="directory")
def working_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("pvbench")


@pytest.fixture(scope="module")
def suite(directory):
    peer, disk, bundle = directory / "measure-peer", directory / "disk.img", BUILD / "pvbench.tar.gz"
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-static", "-o", peer, TOP / "bench/dom0/peer.c"], check=True)
    subprocess.run([TOP / "tools/bundle", "pvbench", BUILD, TOP / "apps/pvbench/bundle"], check=True)
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    return run_script("pvbench.sh", "pvbench", "--vif", "--disk", disk, "--get",
                      f"pvbench.log={directory / 'host.log'}", put=[peer, IMAGES / "pvbench", bundle], memory=64,
                      cmdline="paravane.log=info --check --destroy --await-peer --peer 10.8.0.1")


@pytest.mark.parametrize("case", cases("pvbench.sh"))
def test_pvbench(suite, case):
    suite.demand(case)


def test_the_log_of_a_host_becomes_a_report(suite, directory):
    subprocess.run([TOP / "bench/report", directory / "host.log"], check=True)
    found = json.loads((directory / "host.log.json").read_text())
    assert [probe["name"] for probe in found["probes"]] == ["floor.loop", "hypercall.null"], suite.result
    skipped = found["skipped"]["ours"]
    assert skipped.keys() == {"blk.flush", "net.udp.rtt.64", "evtchn.peer.pingpong", "smp.wake", "smp.pingpong"}
    assert all(skipped.values()), skipped
    assert "<svg" in (directory / "host.html").read_text()
