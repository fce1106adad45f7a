# SPDX-License-Identifier: BSD-2-Clause
"""How programs end: what is written out, what runs, which status the domain gets."""
import pytest

from conftest import run_lab

# how: (status, what is on the console, what is not)
ENDINGS = {
    "return": (3, ["begin;", "at exit;", "destructor;"], []),
    "exit": (77, ["begin;", "at exit;", "destructor;"], []),
    "_exit": (78, [], ["begin;", "at exit;", "destructor;"]),
    "raise": (143, ["signal 15"], ["at exit;"]),
    "talk": (6, ["and on and on"], ["at exit;"]),
    "leave": (0, ["begin;", "main is gone;", "at exit;"], []),
}
CRASHES = {
    "abort": "signal 6 (abort)",
    "assert": 'assertion "argc == 0" failed in main',
}


@pytest.mark.parametrize("how", ENDINGS)
def test_program_ends_by(how):
    status, present, absent = ENDINGS[how]
    result = run_lab("endings", "--vcpus", 2, command="as-dom0", cmdline=how)
    assert result.out.replace("\r", "").splitlines()[-1] == f"exit status {status}", result
    for text in present:
        assert text in result.out, result
    for text in absent:
        assert text not in result.out, result


@pytest.mark.parametrize("how", CRASHES)
def test_program_crashes_by(how):
    result = run_lab("endings", command="as-dom0", cmdline=how)
    assert CRASHES[how] in result.out, result
    assert "exit status" not in result.out, result
    assert result.code != 0, result
