"""What ipfw costs: packets a second through one rule and many, and through the dynamic rules of two eras.

Packets of a prepared trace meet the rules inside the core. They are parsed once and put through the rules several
times, so that it is the rules that are measured; `parsed_` figures have one parse for each packet. Rules in front of
the one that matches are `deny ip from X/24 to any`, as in the measurements that FreeBSD's own figures are from. The
reference is the same walk in plain Python; and, where root and nft are there, the kernel of this computer, which has to
carry each packet besides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pystack._fast.ipfw_passing import RulesPassing
from pystack.bench import kernel_rules, memory
from pystack.bench.conntrack import ACK, CLIENTS, SYN, SYNACK, cut, headers
from pystack.bench.report import Report, Stopwatch, Target, no_collector
from pystack.host import Host

PACKETS = 65_536
AGAIN = 8
"""How often each packet that was parsed is put through the rules."""
RULES = (1, 10, 100, 1000)
STATES, STATES_10 = 1_000_000, 65_536
BUCKETS = tuple(1 << n for n in range(8, 17))


class Wall:
    """A machine with rules."""

    def __init__(self, profile: str, before: int, *, indexed: bool = True, **sysctl: int) -> None:
        knobs: dict[str, object] = {
            f"net.inet.ip.fw.{name}": value for name, value in sysctl.items()
        }
        host = Host("wall", "192.0.2.1/24", profile=profile, seed=1, sysctl=knobs)
        self.ipfw = host.ipfw
        self.ipfw.engine.indexed = indexed
        for n in range(before):
            self.ipfw(f"add deny ip from 172.{16 + (n >> 8)}.{n & 255}.0/24 to any")

    def rate(self, trace: bytes, again: int = AGAIN) -> float:
        """Packets a second."""
        passing = RulesPassing(self.ipfw.engine.rules, trace)
        passing.pass_all()
        watch = Stopwatch()
        passing.pass_all(again)
        spent = watch.ns() / 1e9
        assert passing.denied == 0, f"{passing.denied} packets were denied"
        return passing.count * again / spent

    def fill(self, every: Any) -> None:
        """These connections have states."""
        for way, flags in ((0, SYN), (1, SYNACK), (0, ACK)):
            passing = RulesPassing(
                self.ipfw.engine.rules, headers(every, way, flags, 1000, 1000, 0)
            )
            passing.pass_all()
        count = self.ipfw.engine.table.count
        assert count == len(every), f"{count} of {len(every)} states"


def connections(n: int) -> Any:
    """Numbers of `n` connections whose addresses and ports have nothing to do with each other: the XOR of the old eras
    keeps all of those in few chains that count both up together.
    """
    return np.unique(np.random.default_rng(2).integers(0, 1 << 31, n + n // 100))[:n]


def in_python(before: int, n: int) -> float:
    """The same walk in plain Python: packets a second."""
    rules = [
        ((172 << 24) + (16 + (i >> 8) << 16) + ((i & 255) << 8), 0xFFFFFF00) for i in range(before)
    ]
    packets = [CLIENTS + i for i in range(n)]
    denied = 0
    watch = Stopwatch()
    for source in packets:
        for net, mask in rules:
            if source & mask == net:
                denied += 1
                break
    assert denied == 0
    return n * 1e9 / watch.ns()


def measure(scale: float, repeat: int) -> Report:
    """A million states at scale 1."""
    share = min(1.0, scale)
    n = max(512, round(PACKETS * share))
    report = Report("ipfw", f"one core, CPU time, best of {repeat} rounds")
    flow = np.random.default_rng(1).integers(0, PACKETS, n)
    trace = headers(flow, 0, ACK, 1000, 1000, 100)
    with no_collector():
        _rules(report, trace, repeat)
        _states(report, max(200, round(STATES * share)), n, repeat)
        _chains(report, max(200, round(STATES_10 * share)), n, repeat)
        talk = cut(headers(flow[: max(2_000, n // 4)], 0, ACK, 1000, 1000, 0))
        kernel_rules.figures(report, talk, repeat)
    return report


def _rules(report: Report, trace: bytes, repeat: int) -> None:
    """Ever more rules that do not match, in front of one that does."""
    best = 0.0
    for rules in RULES:
        walls = {
            indexed: Wall("freebsd-14", rules - 1, indexed=indexed) for indexed in (True, False)
        }
        for wall in walls.values():
            wall.ipfw("add 60000 allow ip from any to any")
        key = f"python_{rules}_per_second"
        report.reference(key, in_python(rules, max(20, 20_000 // rules)), f"{rules} in Python")
        rate = max(walls[True].rate(trace) for _ in range(repeat))
        best = best or rate
        target = (
            Target(least=8e6) if rules == 1 else Target(least=best / 10) if rules == 1000 else None
        )
        said = f"{rules:,} rules" if rules > 1 else "one rule"
        report.figure(f"packets_{rules}_per_second", rate, said, key, target)
        if rules > 1:
            plain = max(walls[False].rate(trace, 1) for _ in range(repeat))
            title = f"{rules:,} rules, each looked at"
            report.figure(f"walked_{rules}_per_second", plain, title, key)
        else:
            parsed = max(walls[True].rate(trace, 1) for _ in range(repeat))
            report.figure("parsed_1_per_second", parsed, "one rule, and the parse", key)


def _states(report: Report, states: int, n: int, repeat: int) -> None:
    """Hits of dynamic rules as 12 has them."""
    every = connections(states)
    before = memory.resident()
    wall = Wall("freebsd-14", 0, dyn_max=states, dyn_buckets=1 << 20, dyn_keepalive=0)
    wall.ipfw("add 100 check-state")
    wall.ipfw("add 200 allow tcp from any to any setup keep-state")
    table: Any = wall.ipfw.engine.table
    _grow_to(table, 1 << (states - 1).bit_length())
    wall.fill(every)
    octets = (memory.resident() - before - 4 * table.chain.buckets) / states
    flow = every[np.random.default_rng(1).integers(0, states, n)]
    trace = headers(flow, 0, ACK, 1000, 1000, 100)
    rate = max(wall.rate(trace) for _ in range(repeat))
    title = f"{states:,} states, 12's table"
    report.figure("state_hits_per_second", rate, title, "", Target(least=5e6))
    report.figure("state_octets", octets, "a state", "", Target(most=112))


def _grow_to(table: Any, buckets: int) -> None:
    """As if the table had grown with its states, second after second."""
    while table.chain.buckets < buckets:
        table.spread(2 * table.chain.buckets)


def _chains(report: Report, states: int, n: int, repeat: int) -> None:
    """Why 256 buckets hurt: the same states of 10 in ever more chains."""
    wall = Wall("freebsd-10", 0, dyn_max=states, dyn_keepalive=0)
    wall.ipfw("add 100 check-state")
    wall.ipfw("add 200 allow tcp from any to any setup keep-state")
    table: Any = wall.ipfw.engine.table
    every = connections(states)
    wall.fill(every)
    flow = every[np.random.default_rng(1).integers(0, states, n)]
    trace = headers(flow, 0, ACK, 1000, 1000, 100)
    for buckets in BUCKETS:
        _grow_to(table, buckets)
        rate = max(wall.rate(trace, 1) for _ in range(repeat))
        lengths = table.chain.lengths()
        mean = sum(i * i * count for i, count in enumerate(lengths)) / states
        title = f"{states:,} states of 10 in {buckets:,}; chain {mean:,.1f}, longest {len(lengths) - 1:,}"
        report.figure(f"states_in_{buckets}_per_second", rate, title)
        report.notes[f"chain_mean_{buckets}"] = round(mean, 2)
