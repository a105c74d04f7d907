"""What tracking costs: packets and new flows a second, memory of a flow, and how large the hash should be.

A packet is parsed, found, tracked with its windows and confirmed, inside the core, from a prepared trace of random
flows. The reference is a Python `dict` keyed by the tuple, which is asked for the same packets and nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pystack._fast.passing import STRIDE, Passing
from pystack.bench import kernel_conntrack, memory
from pystack.bench.report import Report, Stopwatch, Target, interleaved, no_collector
from pystack.host import Host

FLOWS, MANY = 65_536, 1_000_000
BUCKETS = tuple(1 << n for n in range(10, 21))
SWEPT = 65_536
STEP = 1_000
"""ns between packets."""
SYN, SYNACK, ACK = 0x02, 0x12, 0x10
CLIENTS, SERVERS = 0x0A000000, 0x0B000000
PAYLOAD = 100


def headers(flow: Any, way: int | Any, flags: Any, seq: Any, ack: Any, length: Any) -> bytes:
    """IPv4 and TCP headers, `STRIDE` octets each, of arrays of equal length (`flow` says how many)."""
    n = len(flow)
    out = np.zeros((n, STRIDE), np.uint8)
    client = (CLIENTS + flow % 50_021).astype(np.uint32)
    server = (SERVERS + flow // 50_021 % 251).astype(np.uint32)
    sport = (1024 + flow % 60_013).astype(np.uint32)
    back = np.broadcast_to(np.asarray(way, bool), n)
    total = np.broadcast_to(np.asarray(length), n) + STRIDE

    def put(at: int, octets: int, values: Any) -> None:
        values = np.broadcast_to(np.asarray(values), n).astype(np.uint64)
        for i in range(octets):
            out[:, at + i] = (values >> np.uint64(8 * (octets - 1 - i))) & np.uint64(0xFF)

    put(0, 2, 0x4500)
    put(2, 2, total)
    put(6, 2, 0x4000)
    put(8, 2, 0x4006)
    put(12, 4, np.where(back, server, client))
    put(16, 4, np.where(back, client, server))
    put(20, 2, np.where(back, 80, sport))
    put(22, 2, np.where(back, sport, 80))
    put(24, 4, seq)
    put(28, 4, ack)
    put(32, 2, 0x5000 | np.broadcast_to(np.asarray(flags), n))
    put(34, 2, 0xFFFF)
    words = out[:, :20].reshape(n, 10, 2).astype(np.uint32)
    acc = (words[:, :, 0] << 8 | words[:, :, 1]).sum(axis=1, dtype=np.uint32)
    acc = (acc & 0xFFFF) + (acc >> 16)
    acc = (acc & 0xFFFF) + (acc >> 16)
    put(10, 2, acc ^ 0xFFFF)
    return out.tobytes()


class Gateway:
    """A machine whose conntrack has `flows` established flows in so many buckets."""

    def __init__(self, flows: int, buckets: int) -> None:
        host = Host(
            "gw",
            "192.0.2.1/24",
            profile="linux-6",
            seed=1,
            sysctl={
                "net.netfilter.nf_conntrack_buckets": buckets,
                "net.netfilter.nf_conntrack_max": 1 << 30,
            },
        )
        self.flows = flows
        self.table: Any = host.conntrack.table
        self.table.reserve(flows)
        host.core.cfg.ct_chain_min = 0  # long chains are what is measured, not refused
        self.now = 10**9
        every = np.arange(flows)
        self.open_seconds = self.pass_by(headers(every, 0, SYN, 999, 0, 0))
        self.pass_by(headers(every, 1, SYNACK, 4999, 1000, 0))
        self.pass_by(headers(every, 0, ACK, 1000, 5000, 0))
        assert self.table.count == flows, f"{self.table.count} of {flows} flows"
        self.order = np.random.default_rng(1)
        self.turn = np.zeros(flows, np.uint32)

    def pass_by(self, trace: bytes) -> float:
        """The packets of a trace; CPU seconds."""
        passing = Passing(self.table, trace)
        passing.now = self.now
        watch = Stopwatch()
        passing.pass_all(STEP)
        spent = watch.ns() / 1e9
        self.now = passing.now
        assert passing.dropped == 0, f"{passing.dropped} packets were dropped"
        return spent

    def talk(self, n: int) -> bytes:
        """A trace of `n` packets of random flows: data of the server, and acknowledgments of the client, in turn."""
        flow = self.order.integers(0, self.flows, n)
        order = np.argsort(flow, kind="stable")
        grouped = flow[order]
        first = np.r_[True, grouped[1:] != grouped[:-1]]
        starts = np.maximum.accumulate(np.where(first, np.arange(n), 0))
        turn = np.empty(n, np.uint32)
        turn[order] = (np.arange(n) - starts).astype(np.uint32)
        turn += self.turn[flow]
        np.maximum.at(self.turn, flow, turn + 1)
        data = turn % 2 == 0
        sent = 5000 + PAYLOAD * (turn // 2)
        return headers(
            flow,
            data,
            ACK,
            np.where(data, sent, 1000),
            np.where(data, 1000, sent + PAYLOAD),
            np.where(data, PAYLOAD, 0),
        )

    def rate(self, n: int) -> float:
        """Packets a second."""
        trace = self.talk(n)
        invalid = self.table.invalid
        spent = self.pass_by(trace)
        assert self.table.invalid == invalid, "a packet of the trace is INVALID"
        return n / spent


def in_dict(flows: int, n: int) -> float:
    """Questions a second to a dict of that many tuples."""
    order = np.random.default_rng(1).integers(0, flows, n).tolist()
    keys = [(CLIENTS + i % 50_021, SERVERS, 1024 + i % 60_013, 80, 6) for i in range(flows)]
    table = dict.fromkeys(keys, 0)
    asked = [(*keys[i],) for i in order]
    watch = Stopwatch()
    for key in asked:
        table[key] += 1
    return n * 1e9 / watch.ns()


def measure(scale: float, repeat: int) -> Report:
    """A million flows at scale 1."""
    share = min(1.0, scale)
    few, many = max(100, round(FLOWS * share)), max(200, round(MANY * share))
    n = max(2_000, round(1_000_000 * share))
    report = Report("conntrack", f"one core, CPU time, best of {repeat} rounds")
    with no_collector():
        found = _few(few, n, repeat)
        report.reference("dict_per_second", max(found["dict"]), "dict of tuples")
        report.figure(
            f"packets_{few}_per_second",
            max(found["small"]),
            f"{few:,} flows in {FLOWS:,} buckets",
            "dict_per_second",
            Target(least=5e6),
        )
        report.figure(
            "new_flows_per_second", max(found["new"]), "new flows", "", Target(least=1.5e6)
        )
        before = memory.resident()
        large = Gateway(many, 1 << 20)
        # the chains' heads are there whatever is in them
        octets = (memory.resident() - before - 4 * (1 << 20)) / many
        rates = [large.rate(n) for _ in range(repeat)]
        report.reference("dict_many_per_second", in_dict(many, n), "dict of tuples")
        report.figure(
            f"packets_{many}_per_second",
            max(rates),
            f"{many:,} flows in {1 << 20:,} buckets",
            "dict_many_per_second",
            Target(least=3e6),
        )
        report.figure("flow_octets", octets, "a flow, both directions", "", Target(most=160))
        _resizes(report, large, many)
        del large
        _sweep(report, max(100, round(SWEPT * share)), n // 4, repeat)
        _kernel(report, max(100, round(KERNEL_FLOWS * share)), max(2_000, n // 4), repeat)
    return report


KERNEL_FLOWS = 65_536
"""What an untuned kernel of any size has room for."""


def _kernel(report: Report, flows: int, n: int, repeat: int) -> None:
    """The same kind of packets past the kernel's tracker, where that can be."""
    every = np.arange(flows)
    opening = [
        headers(every, 0, SYN, 999, 0, 0),
        headers(every, 1, SYNACK, 4999, 1000, 0),
        headers(every, 0, ACK, 1000, 5000, 0),
    ]
    order = np.random.default_rng(1).integers(0, flows, n)
    back = np.arange(n) % 2 == 1
    talk = headers(order, back, ACK, np.where(back, 5000, 1000), np.where(back, 1000, 5000), 0)
    kernel_conntrack.figures(report, [p for part in opening for p in cut(part)], cut(talk), repeat)


def cut(trace: bytes) -> list[bytes]:
    """The packets of a trace."""
    return [trace[at : at + STRIDE] for at in range(0, len(trace), STRIDE)]


def _resizes(report: Report, gateway: Gateway, flows: int) -> None:
    """A machine stands still while its table gets another number of buckets: for how long."""
    for buckets in (1 << 16, 1 << 18, 1 << 20):
        watch = Stopwatch()
        gateway.table.resize(buckets)
        report.figure(
            f"resize_to_{buckets}_ns",
            watch.ns(),
            f"pause of a resize of {flows:,} flows to {buckets:,}",
        )


def _few(flows: int, n: int, repeat: int) -> dict[str, list[float]]:
    """Packets of flows that fit into the cache, a dict's answers, and new flows; a second."""
    gateway = Gateway(flows, FLOWS)
    return interleaved(
        repeat,
        {
            "small": lambda: gateway.rate(n),
            "dict": lambda: in_dict(flows, n),
            "new": lambda: flows / Gateway(flows, FLOWS).open_seconds,
        },
    )


def _sweep(report: Report, flows: int, n: int, repeat: int) -> None:
    """How large should hashsize be: the same flows in ever more buckets."""
    gateway = Gateway(flows, 1 << 20)
    found = {}
    for buckets in reversed(BUCKETS):
        gateway.table.resize(buckets)
        lengths = gateway.table.chain.lengths()
        nodes = sum(i * count for i, count in enumerate(lengths))
        mean = sum(i * i * count for i, count in enumerate(lengths)) / max(1, nodes)
        empty = lengths[0] * 8
        rate = max(gateway.rate(n) for _ in range(repeat))
        found[buckets] = (rate, mean, len(lengths) - 1, empty)
    report.reference("packets_at_1048576_per_second", found[1 << 20][0], "in 1,048,576")
    for buckets in BUCKETS:
        rate, mean, longest, empty = found[buckets]
        report.figure(
            f"packets_in_{buckets}_per_second",
            rate,
            f"{flows:,} flows in {buckets:,}; chain {mean:,.1f}, longest {longest:,}, "
            f"{empty / 1024:,.0f} KiB empty",
            "packets_at_1048576_per_second",
        )
        report.notes[f"chain_mean_{buckets}"] = round(mean, 2)
        report.notes[f"chain_longest_{buckets}"] = longest
        report.notes[f"empty_octets_{buckets}"] = empty
