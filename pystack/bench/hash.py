"""The first question of the card: what does a look-up cost, by the size of the hash?

One packet is the whole of the machine's work for an acknowledgment that says nothing new, for a connection chosen at
random. `bench demux` has more numbers of connections, `bench conntrack` the same for flows.
"""

from __future__ import annotations

import random
from array import array

from pystack.bench.demux import Hall, chains
from pystack.bench.report import Report, no_collector

BUCKETS = (512, 2_048, 8_192, 32_768, 131_072)
CONNECTIONS = 30_000
OCTETS = 8
"""Of a chain, on a system of 64 bits."""


def measure(scale: float, repeat: int) -> Report:
    """Thirty thousand connections at scale 1."""
    n = max(100, round(CONNECTIONS * min(1.0, scale)))
    hall = Hall(n)
    hall.grow(n)
    demux = hall.host.core.demux
    dice = random.Random(1)
    order = array("i", (dice.randrange(n) for _ in range(max(200, 2 * n))))
    report = Report(
        "hash", f"{n:,} connections, a packet to one of them, CPU time, best of {repeat} rounds"
    )
    times: dict[int, float] = {}
    with no_collector():
        for buckets in reversed(BUCKETS):
            demux.rehash(buckets)
            mean, longest = chains(demux.chain_lengths())
            report.notes[f"chain_mean_{buckets}"] = round(mean, 2)
            report.notes[f"chain_longest_{buckets}"] = longest
            times[buckets] = 1e9 / max(hall.packets(order) for _ in range(repeat))
    most = max(BUCKETS)
    report.reference(f"packet_{most}_ns", times[most], f"in {most:,} chains")
    for buckets in BUCKETS:
        mean, longest = (report.notes[f"chain_{what}_{buckets}"] for what in ("mean", "longest"))
        title = f"tcbhashsize {buckets:,} ({OCTETS * buckets // 1024:,} KiB): chain {mean:,.1f}, longest {longest:,}"
        key = "" if buckets == most else f"packet_{most}_ns"
        report.figure(f"look_up_{buckets}_ns", times[buckets], title, key)
    return report
