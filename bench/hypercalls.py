# SPDX-License-Identifier: BSD-2-Clause
"""What a domain asked of Xen and how long the machine was at work meanwhile, by what xentrace wrote: from outside, so
by the same method for every guest.

Xen records each hypercall of a PV domain with the CPU and the time, but not the domain; that is whoever the
scheduler, which is recorded too, last put on this CPU. pvbench leaves marks in the record (platform_mark) where the
measuring of a run begins and ends: hypercalls for a vCPU that does not exist, whose number is the mark.

  xentrace -e 0x00223000 -S 1024 FILE      both kinds of record, and room for them

The record (xen/trace.h): words of 32 bits. The first has the event in 28 bits, the number of further words in 3, and
a bit that says whether a time stamp of 64 bits comes before these. xentrace puts out the CPUs' buffers in turn, each
piece after a record that names the CPU.
"""
import collections
import struct

EVENTS = 0x00223000  # hypercalls and what they hold, runstates
LOST, WRAP, CPU_CHANGE = 0x0001f001, 0x0001f002, 0x0001f003
RUNSTATE, STATES = 0x00021001, 0x00000ff0  # of which bits 4 and 5 are the new one: 0 is running
HYPERCALL, SUBCALL = 0x0020100d, 0x0020200e
NUMBER = 0x000fffff  # of the hypercall; above are bits that say which arguments follow
VCPU_OP, IRET, MULTICALL = 24, 23, 13
IS_UP = 3
IDLE = 0x7fff  # the domain that runs where nobody has anything to do
MARK_BEGIN, MARK_END, MARK = 0xb0000000, 0xe0000000, 0xf0000000


def records(data):
    """(time, CPU, event, words) of each, in the order of their time."""
    found, cpu, at, end = [], None, 0, len(data) // 4 * 4
    times = collections.defaultdict(int)  # of the CPU's last record, for those that have none
    while at < end:
        head, = struct.unpack_from("<I", data, at)
        event, more = head & 0x0fffffff, head >> 28 & 7
        at += 4
        if head >> 31:
            if at + 8 > end:
                break
            times[cpu], = struct.unpack_from("<Q", data, at)
            at += 8
        if at + 4 * more > end:
            break  # the end of what was written
        words = struct.unpack_from(f"<{more}I", data, at)
        at += 4 * more
        if event == CPU_CHANGE:
            cpu = words[0]
        elif event != WRAP:
            found.append((times[cpu], cpu, event, words))
    found.sort(key=lambda record: record[0])
    return found


def mark_in(event, words):
    """The mark that this record is, or None."""
    is_mark = event == HYPERCALL and words[0] & NUMBER == VCPU_OP and len(words) == 3 and words[1] == IS_UP
    return words[2] if is_mark and words[2] & MARK in (MARK_BEGIN, MARK_END) else None


def starts(event):
    """Somebody begins to run on the record's CPU: the first word says who."""
    return event & ~STATES == RUNSTATE and event & 0x30 == 0


class Run:
    """Between a beginning and an end. (counts) is {number of a hypercall: how often}; what a multicall holds is no
    further way into Xen: it counts as one, and its parts as (MULTICALL, number). (busy) are the ticks in which some CPU
    ran some domain, (own) the share of the one that left the marks, Xen's work for it included. Where the time is the
    number of instructions these are the instructions of all and of this domain: CPUs that run at once take turns."""

    def __init__(self, domain, begin):
        self.domain, self.begin, self.end = domain, begin, None
        self.counts, self.busy, self.own = collections.Counter(), 0, 0

    def passes(self, ticks, running):
        """Meanwhile each CPU ran one of (running)."""
        at_work = [domain for domain in running if domain != IDLE]
        if at_work:
            self.busy += ticks
            self.own += ticks * at_work.count(self.domain) / len(at_work)


def runs(data):
    """{number of a run: Run} of the domain that left the marks. Nothing can be said of a run (None) without an end, or
    during which Xen had no room for records on some CPU."""
    found, domain_of, lost = {}, {}, []
    run, before = None, 0
    for time, cpu, event, words in records(data):
        if run is not None:
            run.passes(time - before, domain_of.values())
        before = time
        mark = mark_in(event, words)
        if starts(event):
            domain_of[cpu] = words[0] >> 16
        elif event == LOST:
            lost.append((words[2] | words[3] << 32, time))
        elif mark is not None and mark & MARK == MARK_BEGIN:
            run = found[mark & ~MARK] = Run(domain_of.get(cpu), time)
        elif mark is not None and run is not None:
            run.end, run = time, None
        elif event in (HYPERCALL, SUBCALL) and run is not None and domain_of.get(cpu) == run.domain:
            number = words[0] & NUMBER
            run.counts[number if event == HYPERCALL else (MULTICALL, number)] += 1
    return {number: run if is_whole(run, lost) else None for number, run in found.items()}


def is_whole(run, lost):
    return run.domain is not None and run.end is not None and not overlaps((run.begin, run.end), lost)


def overlaps(time, others):
    return any(first <= time[1] and time[0] <= last for first, last in others)


def ways_in(counts):
    """How often the domain went into Xen; without IRET, which is how Linux returns to a program and which a
    kernel that holds its program does not need."""
    return sum(n for number, n in counts.items() if isinstance(number, int) and number != IRET)
