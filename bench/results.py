# SPDX-License-Identifier: BSD-2-Clause
"""What pvbench said, of several guests and rounds, as one set of results.

A record is (round, who, line): who is "ours" or "linux", the line a JSON object of apps/pvbench/report.c.
The results are {"conditions": {...}, "probes": [{"name", "unit", "better", "ours", "linux", "ratio"}]};
a side is the distribution of all its rounds, the ratio ours / Linux of the medians, round by round.
"""
import json
import math
import re
import statistics

from hypercalls import IRET, ways_in

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
# Less than this between two runs is never called a change. Of a run of one round it is less than twice the second:
# another boot of the same build gave medians up to a tenth apart. What goes through dom0 may take up to half as long again:
# its threads fall into step with the guest's in more than one way, and keep to one of them for a boot. A disk with many
# requests under way may take up to twice as long: blkback's thread sleeps between them, or is never out of work.
NOISE, NOISE_OF_ONE, NOISE_OF_ONE_DOM0, NOISE_OF_ONE_DEEP = 0.03, 0.12, 0.25, 0.5
DEEP = re.compile(r"blk\..*\.d\d\d|disk\.rand32")
ROUND_TRIP = re.compile(r"net\..*\brtt\b")
THROUGH_DOM0 = ("net.", "blk.", "xenstore.", "boot.create.", "http.", "tcp.", "disk.")

# What hypercalls and events are counted for, at high load: a request, or a packet.
HIGH_LOADS = ("blk.read.4k.d32", "blk.write.4k.d32", "net.udp.pps.64", "net.udp.pps.1400", "net.udp.out.64",
              "net.udp.out.1400", "net.udp.in.64", "net.udp.in.1400", "net.tcp.out", "net.tcp.in")

# What ours is to be at most, in multiples of (whose, probe), by the value named; and at least, in multiples of Linux.
TARGETS = [
    ("hypercall.null", "p50", 1.05, "ours", "hypercall.unknown"),
    ("hypercall.null", "p50", 1.05, "ours", "hypercall.bare"),
    ("evtchn.self.handler", "p50", 1.0, "linux", "evtchn.self.handler"),
    ("evtchn.thread.wake", "p50", 0.5, "linux", "evtchn.thread.wake"),
    ("thread.switch", "p50", 0.5, "linux", "thread.switch"),
    ("smp.pingpong", "p50", 0.7, "linux", "smp.pingpong"),
    ("blk.read.4k.d1", "p50", 0.8, "linux", "blk.read.4k.d1"),
    ("net.udp.rtt.64", "p50", 0.7, "linux", "net.udp.rtt.64"),
    ("net.udp.rtt.1400", "p50", 0.7, "linux", "net.udp.rtt.1400"),
    *((f"{load}.{what}", "p50", 1.0, "linux", f"{load}.{what}") for load in HIGH_LOADS
      for what in ("hypercalls", "events")),
    *((f"net.tcp.{way}.machine", "p50", 1.0, "linux", f"net.tcp.{way}.machine") for way in ("in", "out")),
]
AT_LEAST = [
    ("net.tcp.in", 1.5), ("net.tcp.out", 1.5), ("net.udp.pps.64", 2.0), ("http.get.1", 2.0), ("http.get.8", 2.0),
    ("http.get.64", 2.0), ("blk.read.4k.d32.iops", 1.5), ("disk.seq", 1.2), ("disk.write", 1.2),
]


def json_lines(text):
    """The objects among the lines of a console, whatever else stands there."""
    for line in re.findall(r"^\s*(\{\".*\})\s*$", text.replace("\r", ""), re.MULTILINE):
        try:
            yield json.loads(line)
        except ValueError:
            pass  # two lines that became one


def quantile(buckets, count, share):
    """Of [value, count, value, count, ...] in ascending order."""
    seen = 0
    for value, n in zip(buckets[::2], buckets[1::2]):
        seen += n
        if seen >= share * count:
            return value / 1000
    return buckets[-2] / 1000


def merged(lines):
    """Buckets of several distributions as those of one."""
    total = {}
    for line in lines:
        for value, n in zip(line["buckets"][::2], line["buckets"][1::2]):
            total[value] = total.get(value, 0) + n
    return [number for pair in sorted(total.items()) for number in pair]


def mean_of(lines, key):
    values = [line[key] for line in lines if key in line]
    return round(statistics.fmean(values), 3) if values else None


def side(lines):
    """One guest's distribution of all rounds, or None."""
    lines = [line for line in lines if line.get("count")]
    if not lines:
        return None
    count = sum(line["count"] for line in lines)
    buckets = merged(lines)
    least, most = min(line["min"] for line in lines), max(line["max"] for line in lines)
    found = {"count": count, "min": least, "max": most,
             "mean": round(sum(line["mean"] * line["count"] for line in lines) / count, 3),
             "ci": max((line["ci"] for line in lines if "ci" in line), default=None)}
    for name, share in QUANTILES.items():
        found[name] = lines[0][name] if len(lines) == 1 else \
            min(max(quantile(buckets, count, share), least), most)
    found.update({key: mean_of(lines, key) for key in ("hypercalls_per_op", "events_per_op", "overhead")})
    found.update({key: sum(line.get(key, 0) for line in lines)
                  for key in ("steal_ns", "preemptions", "backwards")})
    found["rounds"] = [line["p50"] for line in lines]
    found["buckets"] = buckets
    return found


def ratio(ours, linux):
    """Of {round: line}: ours / Linux of the rounds that both have, or None."""
    both = [ours[turn]["p50"] / linux[turn]["p50"] for turn in sorted(ours.keys() & linux.keys())
            if ours[turn].get("p50") and linux[turn].get("p50")]
    if not both:
        return None
    return {"median": round(statistics.median(both), 4), "lo": round(min(both), 4),
            "hi": round(max(both), 4)}


class Collector:
    """Takes records, in any order; what was skipped is kept with its reason."""

    def __init__(self):
        self.order, self.about, self.lines = [], {}, {}
        self.skipped, self.conditions = {}, {}

    def take(self, turn, who, line):
        if "conditions" in line:
            self.conditions[who] = line["conditions"]
        elif "skipped" in line:
            self.skipped.setdefault(who, {})[line["skipped"]] = line.get("reason", "")
        elif "name" in line and "buckets" in line:
            name = line["name"]
            if name not in self.about:
                self.order.append(name)
                self.about[name] = line["unit"], line["better"]
            self.lines.setdefault((name, who), {})[turn] = line

    def probe(self, name):
        unit, better = self.about[name]
        ours, linux = (self.lines.get((name, who), {}) for who in ("ours", "linux"))
        return {"name": name, "unit": unit, "better": better, "ours": side(ours.values()),
                "linux": side(linux.values()), "ratio": ratio(ours, linux)}

    def results(self, conditions):
        names = [name for name in self.order if (name, "ours") in self.lines]
        return {"conditions": {**conditions, **{f"{who}_guest": said for who, said in self.conditions.items()}},
                "probes": [self.probe(name) for name in names], "skipped": self.skipped}


def of_consoles(ours, linux=""):
    """The results of what a guest said, and a Linux guest beside it."""
    collector = Collector()
    for who, text in (("ours", ours), ("linux", linux)):
        for line in json_lines(text):
            collector.take(1, who, line)
    return collector.results({"source": "console"})


def figure(turn, who, name, unit, more, value):
    """A single number, such as requests per second, as a record."""
    return turn, who, {"name": name, "unit": unit, "better": "higher" if more else "lower", "count": 1,
                       "min": value, "max": value, "mean": value, "buckets": [round(value * 1000), 1],
                       **{key: value for key in QUANTILES}}


def per_operation(turn, who, line, run, tick_ns):
    """Records of what an operation takes, of the line of a run that stood in Xen's trace as (run), or did not (None)."""
    ops = line.get("ops")
    if not ops:
        return
    per = "per request" if line["name"].startswith("blk.") else "per packet"
    if run is not None:
        yield figure(turn, who, f"{line['name']}.hypercalls", per, False, round(ways_in(run.counts) / ops, 4))
        yield figure(turn, who, f"{line['name']}.irets", per, False, round(run.counts[IRET] / ops, 4))
        yield figure(turn, who, f"{line['name']}.machine", f"ns {per}", False, round(run.busy * tick_ns / ops, 1))
        yield figure(turn, who, f"{line['name']}.guest", f"ns {per}", False, round(run.own * tick_ns / ops, 1))
    yield figure(turn, who, f"{line['name']}.events", per, False, line["events_per_op"])


def said(run, line):
    """For a person: what Xen saw for an operation, by kind, beside what the guest counted, if it did."""
    if run is None:
        return "-"
    kinds = ", ".join(f"{number}: {n / line['ops']:.3f}" for number, n in run.counts.most_common(8))
    return f"{ways_in(run.counts) / line['ops']:.3f} by Xen's trace ({kinds}), by the guest {line.get('hypercalls_per_op', '-')}"


# ---- targets ----------------------------------------------------------------------------------------

def targets(results):
    """(text, value, limit, is it the least that is wanted) of every target; the value is None where a side was not
    measured."""
    by_name = {probe["name"]: probe for probe in results["probes"]}
    every = [(*target, False) for target in TARGETS] + [(name, "p50", limit, "linux", name, True) for name, limit in AT_LEAST]
    for name, key, limit, whose, other, least in every:
        mine = (by_name.get(name) or {}).get("ours") or {}
        theirs = (by_name.get(other) or {}).get(whose) or {}
        known = mine.get(key) is not None and theirs.get(key)
        yield (f"{name} / {other if whose == 'ours' else 'Linux'}", mine[key] / theirs[key] if known else None, limit, least)


def wanted(limit, least):
    return f"at {'least' if least else 'most'} {limit:.2f}"


def is_missed(value, limit, least):
    return value < limit if least else value > limit


# ---- tables -----------------------------------------------------------------------------------------

def is_worse(probe):
    """Than Linux, by more than noise."""
    times = probe["ratio"]["median"]
    return times < 1 - NOISE if probe["better"] == "higher" else times > 1 + NOISE


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(results):
    """For a terminal."""
    lines = [f"{'':<28} {'unit':<7} {'ours p50':>12} {'p99':>12}   {'Linux p50':>12} {'p99':>12}   "
             f"{'ours / Linux':<22}"]
    for probe in results["probes"]:
        mine, theirs, times = probe["ours"] or {}, probe["linux"] or {}, probe["ratio"]
        text = "-"
        if times:
            text = f"{times['median']:.2f} [{times['lo']:.2f}..{times['hi']:.2f}]" + (" *" if is_worse(probe) else "")
        lines.append(f"{probe['name']:<28} {probe['unit']:<7} {number(mine.get('p50')):>12} "
                     f"{number(mine.get('p99')):>12}   {number(theirs.get('p50')):>12} "
                     f"{number(theirs.get('p99')):>12}   {text}")
    lines.append("* worse than Linux")
    return "\n".join(lines)


def samples_range(one, low, high):
    """How far the quantiles (low) and (high) lie apart, as a share of the median. Of a rate that was 0 most of the time
    anything may be said."""
    if not one["p50"]:
        return math.inf
    return (quantile(one["buckets"], one["count"], high) - quantile(one["buckets"], one["count"], low)) / one["p50"]


def median_range(one):
    """How far the median may be off, as the samples next to it say: three times what their number alone would allow, since
    they resemble each other."""
    half = min(0.4, 3 / one["count"] ** 0.5)
    return samples_range(one, 0.5 - half, 0.5 + half)


def spread(name, one):
    """What two runs of the same thing may differ by, as a share of the median: how far the rounds of a side lie apart; of a
    single round what its own samples say."""
    rounds = one["rounds"]
    middle = statistics.median(rounds)
    if len(rounds) > 1 and middle:
        return (max(rounds) - min(rounds)) / middle
    known = (NOISE_OF_ONE_DEEP if DEEP.match(name) else NOISE_OF_ONE_DOM0 if name.startswith(THROUGH_DOM0)
             else NOISE_OF_ONE)
    # Dom0's threads and the guest's keep in step for longer than a probe takes: what was seldom may be the next median.
    humps = samples_range(one, 0.1, 0.9) if ROUND_TRIP.match(name) else 0
    return max(known, humps, median_range(one), (one["ci"] or 0) / (one["mean"] or 1))


def compare(old, new):
    """(name, unit, before, after, change, noise, verdict) of the probes that both have; "" where the change
    is within the noise."""
    before = {probe["name"]: probe for probe in old["probes"]}
    for probe in new["probes"]:
        was, now = (before.get(probe["name"]) or {}).get("ours"), probe["ours"]
        if not was or not now or not was["p50"]:
            continue
        change = now["p50"] / was["p50"] - 1
        noise = max(NOISE, spread(probe["name"], was) + spread(probe["name"], now))
        good = (change > 0) == (probe["better"] == "higher")
        verdict = "" if abs(change) <= noise else "better" if good else "WORSE"
        yield probe["name"], probe["unit"], was["p50"], now["p50"], change, noise, verdict


def comparison(old, new):
    """A table to paste into a review: what changed beyond the noise."""
    rows = list(compare(old, new))
    lines = ["| probe | unit | before | after | change | noise | |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {name} | {unit} | {number(was)} | {number(now)} | {change:+.1%} | {noise:.1%} | {verdict} |"
              for name, unit, was, now, change, noise, verdict in rows if verdict]
    same = sum(not row[-1] for row in rows)
    return "\n".join(lines + ["", f"{same} of {len(rows)} probes did not change beyond their noise."])
