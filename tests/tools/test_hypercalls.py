# SPDX-License-Identifier: BSD-2-Clause
"""bench/hypercalls.py: hypercalls counted in records made here, as xentrace writes them."""
import pathlib
import struct
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench"))
import hypercalls as trace  # noqa: E402

GUEST, DOM0, IDLE = 7, 0, 0x7fff
EVENT_OP, SCHED_OP, MMU_UPDATE = 32, 29, 1
BLOCKED, RUNNING = 2, 0


def record(event, *words, time=None):
    head = event | len(words) << 28 | (0 if time is None else 1 << 31)
    stamp = b"" if time is None else struct.pack("<Q", time)
    return struct.pack("<I", head) + stamp + struct.pack(f"<{len(words)}I", *words)


def piece(cpu, *parts):
    """What xentrace takes from the buffer of a CPU at once."""
    body = b"".join(parts)
    return record(0x1f003, cpu, len(body)) + body


def runs(time, domain, vcpu=0):
    return record(0x21001 | 1 << 8 | RUNNING << 4, domain << 16 | vcpu, time=time)


def stops(time, domain, vcpu=0):
    return record(0x21001 | RUNNING << 8 | BLOCKED << 4, domain << 16 | vcpu, time=time)


def call(time, number, *arguments, event=0x20100d):
    bits = sum(1 << 20 + 2 * i for i in range(len(arguments)))
    return record(event, number | bits, *arguments, time=time)


def begin(time, number=1):
    return call(time, 24, 3, 0xb0000000 | number)


def end(time, number=1):
    return call(time, 24, 3, 0xe0000000 | number)


def hypercalls(data):
    return {number: run and run.counts for number, run in trace.runs(data).items()}


def test_what_the_domain_calls_between_the_marks_is_counted():
    data = piece(0, runs(1, GUEST), call(2, EVENT_OP), begin(3), call(4, EVENT_OP), call(5, SCHED_OP, 1),
                 call(6, EVENT_OP), end(7), call(8, EVENT_OP))
    assert hypercalls(data) == {1: {EVENT_OP: 2, SCHED_OP: 1}}


def test_other_domains_are_not():
    data = piece(0, runs(1, GUEST), begin(2), call(3, EVENT_OP), stops(4, GUEST), runs(5, DOM0), call(6, EVENT_OP),
                 stops(7, DOM0), runs(8, GUEST), call(9, EVENT_OP), end(10)) \
        + piece(1, runs(1, DOM0), call(5, EVENT_OP))
    assert hypercalls(data) == {1: {EVENT_OP: 2}}


def test_the_domains_other_cpus_are_whichever_piece_comes_first():
    other = piece(1, runs(1, GUEST, 1), call(2, SCHED_OP, 1), call(5, EVENT_OP), stops(6, GUEST, 1), runs(6, IDLE),
                  runs(7, GUEST, 1), call(8, EVENT_OP), call(20, EVENT_OP))
    first = piece(0, runs(1, GUEST), begin(4), call(5, MMU_UPDATE, 3), end(10))
    for data in (other + first, first + other):
        assert hypercalls(data) == {1: {MMU_UPDATE: 1, EVENT_OP: 2}}


def test_a_multicall_is_one_way_into_xen_and_iret_is_counted_apart():
    data = piece(0, runs(1, GUEST), begin(2), call(3, 13, 2), call(3, MMU_UPDATE, 1, event=0x20200e),
                 call(3, EVENT_OP, event=0x20200e), call(4, 23), call(5, EVENT_OP), end(6))
    counts = hypercalls(data)[1]
    assert counts == {13: 1, (13, MMU_UPDATE): 1, (13, EVENT_OP): 1, 23: 1, EVENT_OP: 1}
    assert trace.ways_in(counts) == 2


def test_each_run_has_its_own():
    data = piece(0, runs(1, GUEST), begin(2, 1), call(3, EVENT_OP), end(4, 1), call(5, EVENT_OP),
                 begin(6, 2), end(7, 2))
    assert hypercalls(data) == {1: {EVENT_OP: 1}, 2: {}}


def lost(first, time):
    return record(0x1f001, 55, GUEST, first & 0xffffffff, first >> 32, time=time)


def test_nothing_is_said_of_a_run_that_lost_records():
    def counted(first, time):
        return hypercalls(
            piece(0, runs(1, GUEST), begin(1 << 33, 1), call(2 << 33, EVENT_OP), end(3 << 33, 1),
                  begin(5 << 33, 2), end(6 << 33, 2)) + piece(1, lost(first, time)))[1]
    assert counted(2 << 33, 4 << 33) is None
    assert counted(0, 9 << 33) is None
    assert counted(4 << 33, 9 << 33) == {EVENT_OP: 1}


def test_a_run_without_an_end_or_a_known_domain_says_nothing():
    assert hypercalls(piece(0, runs(1, GUEST), begin(2), call(3, EVENT_OP))) == {1: None}
    assert hypercalls(piece(0, begin(2), call(3, EVENT_OP), end(4))) == {1: None}


def test_wrapped_buffers_records_without_time_and_a_cut_end_are_read():
    data = piece(0, runs(1, GUEST), begin(2), record(0x1f002, 0, 0), record(0x201004, 1, 2), call(3, EVENT_OP), end(4)) \
        + call(5, EVENT_OP)[:9]
    assert hypercalls(data) == {1: {EVENT_OP: 1}}


def test_the_machine_is_busy_while_any_cpu_runs_any_domain():
    data = piece(0, runs(1, GUEST), begin(10), stops(20, GUEST), runs(20, IDLE), stops(50, IDLE), runs(50, GUEST),
                 call(60, EVENT_OP), end(70)) \
        + piece(1, runs(1, IDLE), stops(15, IDLE), runs(15, DOM0), stops(30, DOM0), runs(30, IDLE))
    run = trace.runs(data)[1]
    assert run.busy == (30 - 10) + (70 - 50)
    assert run.own == (15 - 10) + (20 - 15) / 2 + (70 - 50)
