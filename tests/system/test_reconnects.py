# SPDX-License-Identifier: BSD-2-Clause
"""A vif and a vbd that are cut RECONNECTS times (1000) under load: `make test-long`."""
import os

import pytest

from conftest import FULL, PATIENCE, cases, run_script

pytestmark = pytest.mark.skipif(not FULL, reason="takes hours: make test-long")
RECONNECTS = int(os.environ.get("RECONNECTS", "1000"))


@pytest.fixture(scope="module")
def again(peer, hostile_backend, tmp_path_factory):
    directory = tmp_path_factory.mktemp("again")
    disk, count = directory / "disk.img", directory / "count"
    count.write_text(f"RECONNECTS={RECONNECTS}\n")
    with open(disk, "wb") as file:
        file.truncate(512 << 10)
    return run_script("again.sh", "victim", "--vif", "--disk", disk, "--vcpus", 1,
                      "--timeout", 2 * PATIENCE, put=[peer, hostile_backend, count], memory=32,
                      cmdline="51712 paravane.disk-timeout=3600")


@pytest.mark.parametrize("case", cases("again.sh"))
def test_again(again, case):
    print(again.result.out)
    again.demand(case)
