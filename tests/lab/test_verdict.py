# SPDX-License-Identifier: BSD-2-Clause
"""From the state of a run to its exit code."""
import re
from types import SimpleNamespace

import pytest

import asdom0
import run

PLAIN, SCRIPT, EXPECT = {}, {"script": "s"}, {"expect": re.compile("x")}


def request(**options):
    return SimpleNamespace(**{"script": None, "expect": None, "timeout": 60.0,
                              **options})


@pytest.mark.parametrize("options, state, seen, code", [
    (PLAIN, "ended 0", False, 0),
    (PLAIN, "ended 7", False, 4),
    (PLAIN, "ended", False, 4),
    (PLAIN, "ended nonsense", False, 4),
    (PLAIN, "gone", False, 4),
    (PLAIN, "crashed", False, 2),
    (PLAIN, "create-failed", False, 3),
    (PLAIN, "created", False, None),
    (EXPECT, "created", True, 0),
    (EXPECT, "created", False, None),
    (EXPECT, "ended 0", False, 4),
    (EXPECT, "ended 0", True, 0),
    (EXPECT, "crashed", False, 2),
    (SCRIPT, "script 0", False, 0),
    (SCRIPT, "script 9", False, 9),
    (SCRIPT, "crashed", False, 2),
    (SCRIPT, "ended 0", False, None),
    (SCRIPT | EXPECT, "script 0", False, None),
    (SCRIPT | EXPECT, "script 0", True, 0)])
def test_verdict_of_a_domain(options, state, seen, code):
    verdict = run.judge(state.split(), seen, request(**options))
    assert (verdict and verdict.code) == code


@pytest.mark.parametrize("options, state, code", [
    (PLAIN, "waiting", 70), (PLAIN, "creating", 124), (PLAIN, "created", 124),
    (SCRIPT, "created", 124), (EXPECT, "created", 5),
    (SCRIPT | EXPECT, "script 0", 5)])
def test_verdict_of_a_late_domain(options, state, code):
    assert run.overdue(state.split(), request(**options)).code == code


@pytest.mark.parametrize("output, options, code", [
    (b"hello\nexit status 0\n", PLAIN, 0),
    (b"(XEN) exit status 3\n", PLAIN, 4),
    (b"exit status 0", PLAIN, None),
    (b"hello\n", PLAIN, None),
    (b"(XEN) Hardware Dom0 crashed: 'noreboot' set\n", PLAIN, 2),
    (b"(XEN) Hardware Dom0 halted: halting machine\n", PLAIN, 4),
    (b"an x\n", EXPECT, 0),
    (b"exit status 0\n", {"expect": re.compile("no")}, 4)])
def test_verdict_of_a_kernel_as_dom0(output, options, code):
    verdict = asdom0.verdict(output, request(**options))
    assert (verdict and verdict.code) == code
