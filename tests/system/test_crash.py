# SPDX-License-Identifier: BSD-2-Clause
"""Programs that break: the domain crashes, says why, and the lab names the functions."""
import pytest

from conftest import run_lab

# way to die: what the console says, the functions that the lab's report must name
WAYS = {
    "null": ("panic: page fault: writing", ("fault_null",)),
    "jump": ("panic:", ("fault_jump",)),
    "smash": ("panic: stack smashed", ("fault_smash",)),
    "text": ("panic:", ("fault_text",)),
    "rodata": ("panic:", ("fault_rodata",)),
    "execute": ("panic:", ("fault_execute",)),
    "divide": ("panic:", ("fault_divide",)),
    "abort": ("signal 6 (abort)", ("fault_abort",)),
    "assert": ("one == 2", ("fault_assert",)),
    "overflow": ("now: overflow", ("fault_stack",)),
}


@pytest.mark.parametrize("way", WAYS)
def test_crash(way):
    text, functions = WAYS[way]
    result = run_lab("fault", cmdline=way)
    assert result.code == 2, result
    assert text in result.out, result
    assert "survived" not in result.out, result
    if text.startswith("panic"):
        assert "backtrace:" in result.out, result
    for function in functions:
        assert f" {function}+0x" in result.out + result.err, result
