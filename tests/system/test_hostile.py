# SPDX-License-Identifier: BSD-2-Clause
"""A hostile backend in dom0 (tests/hostile/dom0) for both devices of a running domain.

Always a FEW cases.  With SYSTEM_FULL=1 (`make test-long`) all of them, or those with a star (CASES=starred), in
a dom0 whose clock counts instructions (ACCEL=icount): there a heart that must beat as often as an
undisturbed one is judged on busy machines as well.  Else it has to go on beating.
"""
import os
import re

import pytest

from conftest import FULL, HOSTILE, IMAGES, cases, run_script

CHOSEN = os.environ.get("CASES", "all" if FULL else "few")
FEW = {"tx_id_twice", "rx_pages_that_stay_mapped", "other_operation"}
FIRST = [f"{prefix}_{name}" for prefix in ("vif", "vbd") for name in ("honest_backend", "planted_canary")]
CASE = re.compile(r'^ *\{"(\w+)", (true|false), (?:ACCUSED|STAYS|ANY),', re.MULTILINE)


def is_chosen(name, starred):
    return CHOSEN == "all" or (starred if CHOSEN == "starred" else name in FEW)


def settings():
    """For the script."""
    if CHOSEN == "few":
        return f'CASES=all\nONLY="{" ".join(sorted(FEW))}"\nHEARTS=beating\n'
    return f"CASES={CHOSEN}\nHEARTS=judged\n"


def attacks():
    """CLASS_NAME: what comes before them, and the chosen ones of the tables in net.c and blk.c."""
    found = [(f"{prefix}_{name}", star) for prefix, file in (("vif", "net.c"), ("vbd", "blk.c"))
             for name, star in CASE.findall((HOSTILE / file).read_text())]
    return FIRST + [name for name, star in found if is_chosen(name[4:], star == "true")]


@pytest.fixture(scope="module")
def hostile(peer, hostile_backend, tmp_path_factory):
    directory = tmp_path_factory.mktemp("attacks")
    disk, chosen = directory / "disk.img", directory / "cases"
    chosen.write_text(settings())
    with open(disk, "wb") as file:
        file.truncate(512 << 10)
    return run_script("hostile.sh", "victim", "--vif", "--vcpus", "1", "--disk", disk,
                      put=[peer, hostile_backend, chosen, IMAGES / "victim"], memory=32,
                      cmdline="51712", env={} if CHOSEN == "few" else {"ACCEL": "icount"})


@pytest.mark.parametrize("case", attacks())
def test_attack(hostile, case):
    hostile.demand(case)


@pytest.mark.parametrize("case", cases("hostile.sh"))
def test_afterwards(hostile, case):
    hostile.demand(case)
