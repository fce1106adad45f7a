# SPDX-License-Identifier: BSD-2-Clause
"""A hostile backend in dom0 (tests/hostile/dom0) for both devices of a running domain.

Time is counted in instructions (ACCEL=icount): a heart that must beat as often as an undisturbed one is
judged on busy machines as well.  With SYSTEM_FULL=1 (`make test-long`): two minutes and another dom0, one
whose clock counts instructions.  CASES=starred leaves the rest of the cases out.
"""
import os
import re

import pytest

from conftest import FULL, HOSTILE, IMAGES, cases, run_script

pytestmark = pytest.mark.skipif(not FULL, reason="takes minutes: make test-long")
CHOSEN = os.environ.get("CASES", "all")
CASE = re.compile(r'^ *\{"(\w+)", (true|false), (?:ACCUSED|STAYS|ANY),', re.MULTILINE)


def attacks():
    """CLASS_NAME for each case of the tables in net.c and blk.c."""
    found = [(f"{prefix}_{name}", star) for prefix, file in (("vif", "net.c"), ("vbd", "blk.c"))
             for name, star in CASE.findall((HOSTILE / file).read_text())]
    return [name for name, star in found if CHOSEN == "all" or star == "true"]


@pytest.fixture(scope="module")
def hostile(peer, hostile_backend, tmp_path_factory):
    directory = tmp_path_factory.mktemp("attacks")
    disk, chosen = directory / "disk.img", directory / "cases"
    chosen.write_text(f"CASES={CHOSEN}\n")
    with open(disk, "wb") as file:
        file.truncate(512 << 10)
    return run_script("hostile.sh", "victim", "--vif", "--vcpus", "1", "--disk", disk,
                      put=[peer, hostile_backend, chosen, IMAGES / "victim"], memory=32,
                      cmdline="51712", env={"ACCEL": "icount"}.items())


@pytest.mark.parametrize("case", attacks())
def test_attack(hostile, case):
    hostile.demand(case)


@pytest.mark.parametrize("case", cases("hostile.sh"))
def test_afterwards(hostile, case):
    hostile.demand(case)
