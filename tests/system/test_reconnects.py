# SPDX-License-Identifier: BSD-2-Clause
"""A vif and a vbd that are cut RECONNECTS times under load: three, with SYSTEM_FULL=1 (`make test-long`) 1000."""
import os

import pytest

from conftest import FULL, PATIENCE, cases, run_script

RECONNECTS = int(os.environ.get("RECONNECTS") or (1000 if FULL else 3))
ROUND = 60  # s, on a busy machine; some five on one of its own


@pytest.fixture(scope="module")
def again(peer, hostile_backend, tmp_path_factory):
    directory = tmp_path_factory.mktemp("again")
    disk, count = directory / "disk.img", directory / "count"
    count.write_text(f"RECONNECTS={RECONNECTS}\n")
    with open(disk, "wb") as file:
        file.truncate(512 << 10)
    return run_script("again.sh", "victim", "--vif", "--disk", disk, "--vcpus", 1,
                      patience=PATIENCE + RECONNECTS * ROUND, put=[peer, hostile_backend, count], memory=32,
                      cmdline="51712 paravane.disk-timeout=3600")


@pytest.mark.parametrize("case", cases("again.sh"))
def test_again(again, case):
    print(again.result.out)
    again.demand(case)
