"""What the size of the connection table costs: packets a second by number of chains and of connections.

One packet is the whole of the machine's work for an acknowledgment that says nothing new, given to a connection
that was chosen at random. The reference is the same packet among 1,048,576 chains, where nearly every connection has
one of its own. The chains are the machine's own (`net.inet.tcp.tcbhashsize`), spread anew for each size.
"""

from __future__ import annotations

import random
from array import array
from typing import Any

from pystack._fast.crowd import Crowd
from pystack.bench.report import Report, Stopwatch, no_collector
from pystack.host import Host

BUCKETS = (128, 512, 2_048, 16_384, 131_072, 1_048_576)
CONNECTIONS = (1_000, 10_000, 100_000, 500_000)
SERVER, NUMBER, PORT = "192.0.2.1", 0xC0000201, 80
PEERS = 0x0A000001
BATCH = 1_000


class Hall:
    """A machine with a crowd of established connections."""

    def __init__(self, limit: int) -> None:
        self.host = Host(
            "hall",
            f"{SERVER}/24",
            profile="freebsd-10",
            sysctl={
                "kern.ipc.maxsockets": limit + 100,
                "kern.ipc.somaxconn": 2 * BATCH,
                "net.inet.tcp.tcbhashsize": max(BUCKETS),
                "net.inet.tcp.always_keepalive": 0,
            },
            ram="64GiB",
            seed=1,
        )
        self.host.route("0.0.0.0/0", via="192.0.2.254")
        self.listener = self.host.socket()
        self.listener.bind(("", PORT))
        self.listener.listen(2 * BATCH)
        self.crowd = Crowd(PEERS, NUMBER, PORT, limit)
        self.children: list[Any] = []
        self.now = 10**9

    def grow(self, n: int) -> None:
        """Until there are `n` connections."""
        while self.crowd.count < n:
            batch = min(BATCH, n - self.crowd.count)
            made = self.crowd.open(self.host.core, batch, self.now)
            assert made == batch, f"{made} of {batch} connections were made"
            self.children += [self.listener.accept()[0] for _ in range(batch)]

    def packets(self, order: Any) -> float:
        """A second of CPU time."""
        watch = Stopwatch()
        back = self.crowd.poke(self.host.core, order, self.now)
        rate = len(order) * 1e9 / watch.ns()
        assert back == 0, f"{back} answers to acknowledgments of nothing new"
        return rate


def chains(lengths: list[int]) -> tuple[float, int]:
    """Mean length of the chain that a connection is in, and the longest."""
    rows = sum(n * count for n, count in enumerate(lengths))
    return sum(n * n * count for n, count in enumerate(lengths)) / max(1, rows), len(lengths) - 1


def measure(scale: float, repeat: int) -> Report:
    """Up to half a million connections at scale 1."""
    sizes = sorted({max(10, round(n * min(1.0, scale))) for n in CONNECTIONS})
    hall = Hall(max(sizes))
    demux = hall.host.core.demux
    rnd = random.Random(1)
    report = Report("demux", f"acknowledgments, one core, CPU time, best of {repeat} rounds")
    with no_collector():
        for n in sizes:
            demux.rehash(max(BUCKETS))
            hall.grow(n)
            found: dict[int, float] = {}
            for buckets in reversed(BUCKETS):
                demux.rehash(buckets)
                mean, longest = chains(demux.chain_lengths())
                count = max(200, round(200_000 * min(1.0, scale) / (1 + mean / 8)))
                order = array("i", (rnd.randrange(n) for _ in range(count)))
                found[buckets] = max(hall.packets(order) for _ in range(repeat))
                report.notes[f"chain_mean_{n}_{buckets}"] = round(mean, 2)
                report.notes[f"chain_longest_{n}_{buckets}"] = longest
            key = f"packets_{n}_alone_per_second"
            report.reference(key, found[max(BUCKETS)], "in 1,048,576")
            for buckets in BUCKETS:
                mean = report.notes[f"chain_mean_{n}_{buckets}"]
                longest = report.notes[f"chain_longest_{n}_{buckets}"]
                report.figure(
                    f"packets_{n}_{buckets}_per_second",
                    found[buckets],
                    f"{n:,} in {buckets:,}; chain {mean:,.1f}, longest {longest:,}",
                    key,
                )
    return report
