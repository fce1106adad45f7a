# SPDX-License-Identifier: BSD-2-Clause
"""Programs that break: the domain crashes, says why, and the lab names the functions."""
import re

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
    "below": ("panic: stack overflow of thread main: ", ("fault_below",)),
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
    if way == "overflow":
        assert "stack overflow: rsp 0x" in result.out + result.err, result


def test_a_panic_is_the_only_one_to_speak():
    result = run_lab("fault", "--vcpus", 4, cmdline="chatter")
    assert result.code == 2, result
    before, after = result.out.split("panic: page fault: writing", 1)
    assert "chatter" in before, result
    report = after.split("\n---- ")[0]
    assert "chatter" not in report, result
    assert sorted(re.findall(r"thread .* on CPU (\d)", report)) == list("0123"), result
    assert report.count("backtrace:") == 4, result


# CPU: its thread when another one panics, and a function that its backtrace must have
CROWD = {
    1: ("panics", "crowd_panic"),
    0: ("idle", "thread_idle"),
    2: ("holds", "crowd_hold"),
    3: ("spins", "crowd_spin"),
    4: ("waits", "crowd_wait"),
}
NAMED = re.compile(r"^(0x[0-9a-f]{16}) (\w+)\+0x", re.MULTILINE)
FRAME = re.compile(r"#\d+ ([0-9a-f]{16})")


def test_every_cpu_says_where_it_was_when_one_panics():
    result = run_lab("crowd", "--vcpus", 5, command="as-dom0")
    assert result.code == 2, result
    assert "panic: one of a crowd, on CPU 1" in result.out, result
    names = {int(a, 16): name for a, name in NAMED.findall(result.out + result.err)}
    reports = re.split(r"thread (?=\S.* on CPU \d)", result.out)[1:]
    said = {}
    for report in reports:
        thread, cpu = re.match(r"(.*) on CPU (\d+)", report).groups()
        said[int(cpu)] = (thread, {names.get(int(a, 16)) for a in FRAME.findall(report)})
    assert list(said) == list(CROWD), result
    for cpu, (thread, function) in CROWD.items():
        assert said[cpu][0] == thread, result
        assert function in said[cpu][1], f"CPU {cpu}: {said[cpu][1]}\n{result}"
