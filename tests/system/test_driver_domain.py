# SPDX-License-Identifier: BSD-2-Clause
"""Devices served by a driver domain (netback and blkback under `xl devd`), which dies under load."""
import subprocess

import pytest

from conftest import BUILD, FULL, IMAGES, TOP, cases, run_script

pytestmark = pytest.mark.skipif(not FULL, reason="takes ten minutes: make test-long")


@pytest.fixture(scope="module")
def driver(peer, hostile_backend, tmp_path_factory):
    subprocess.run([TOP / "lab/lab", "build", "--driver-domain"], check=True)
    disks = [tmp_path_factory.mktemp("disks") / name for name in ("large", "small")]
    for disk, size in zip(disks, (24 << 20, 512 << 10)):
        with open(disk, "wb") as file:
            file.truncate(size)
    parts = BUILD / "lab/driver"
    programs = [IMAGES / name for name in ("stream", "blkverify", "victim")]
    return run_script("driver.sh", parts / "vmlinux", "--ramdisk", parts / "driver.cpio", "--vif",
                      "--disk", disks[0], "--disk", disks[1], "--vcpus", 1,
                      "--config", "driver_domain=1", put=[peer, hostile_backend, *programs],
                      memory=256, cmdline="console=hvc0 quiet")


@pytest.mark.parametrize("case", cases("driver.sh"))
def test_driver_domain(driver, case):
    driver.demand(case)
