# SPDX-License-Identifier: BSD-2-Clause
"""The latency suite with a vif, a disk, xenstore and a peer domain: every probe can do its work."""
import subprocess

import pytest

from conftest import IMAGES, TOP, cases, run_script


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pvbench")
    peer, disk = directory / "measure-peer", directory / "disk.img"
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-static", "-o", peer, TOP / "bench/dom0/peer.c"], check=True)
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    return run_script("pvbench.sh", "pvbench", "--vif", "--disk", disk, put=[peer, IMAGES / "pvbench"],
                      memory=64, cmdline="paravane.log=info --check --destroy --await-peer --peer 10.8.0.1")


@pytest.mark.parametrize("case", cases("pvbench.sh"))
def test_pvbench(suite, case):
    suite.demand(case)
