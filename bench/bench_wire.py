"""Nanoseconds that one direction of a link costs a packet, and packets a second.

    python bench/bench_wire.py [--json]

Super-segments of 45 packets of 1448 octets go in, packets come out one by one and are released. The loop
is Python: `call_ns` is what its two calls a packet cost on an empty wire, in the same run, and
`wire_ns` is the rest, which is what a compiled caller sees. CPU time, best of several rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from wire_kit import MSS, Maker, make_wire

from pystack._fast.consts import NEVER, SECOND
from pystack._fast.trace import Trace
from pystack._fast.wire import Wire

PIECES = 45
SUPERS = 40
ROUNDS = 30
EVEN = 1 << 57  # 1 in 128

CASES: dict[str, dict[str, object]] = {
    "whole super-segments, delay": {"delay": 5_000_000},
    "delay and rate": {"delay": 5_000_000, "rate": 10**10},
    "delay, rate, queue, loss": {
        "delay": 5_000_000, "rate": 10**10, "queue_packets": 10_000, "loss": EVEN,
    },
    "everything": {
        "delay": 5_000_000, "rate": 10**10, "queue_packets": 10_000, "loss": EVEN, "jitter": 1000,
        "reorder": EVEN, "duplicate": EVEN, "corrupt": EVEN,
    },
}  # fmt: skip


def one_round(make: Maker, wire: Wire, now: int) -> tuple[float, int]:
    """CPU seconds and packets of one round."""
    supers = [make.tcp(PIECES * MSS, gso=MSS) for _ in range(SUPERS)]
    count = 0
    send, deliver = wire.send, wire.deliver
    begin = time.thread_time()
    for p in supers:
        send(p, now)
    while (p := deliver(NEVER - 1)) is not None:
        p.release()
        count += 1
    return time.thread_time() - begin, count


def calls(make: Maker, n: int) -> float:
    """CPU seconds of the loop around an empty wire and an empty packet."""
    deliver, p = make_wire().deliver, make.tcp()
    p.home = None
    count = 0
    begin = time.thread_time()
    while deliver(0) is None and count < n:
        p.release()
        count += 1
    return time.thread_time() - begin


def measure() -> dict[str, dict[str, float]]:
    """For each case, without and with the trace hash: wire_ns, call_ns, packets_per_second."""
    results = {}
    for name, settings in CASES.items():
        for traced in (False, True):
            make = Maker()
            best, packets, call = 1e9, 0, 1e9
            wire = make_wire(**settings)
            wire.trace = Trace() if traced else None
            for number in range(ROUNDS):
                before = wire.delivered_packets
                spent, count = one_round(make, wire, number * SECOND)
                assert count == wire.delivered_packets - before
                assert make.pool.in_use == 0
                assert count == SUPERS or count > 0.9 * SUPERS * PIECES
                if spent < best:
                    best, packets = spent, count
                call = min(call, calls(make, 2000) / 2000)
            each = best / packets
            results[name + (", trace" if traced else "")] = {
                "wire_ns": round((each - call) * 1e9, 1),
                "call_ns": round(call * 1e9, 1),
                "packets_per_second": round(1 / each),
            }
    return results


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = measure()
    if arguments.json:
        print(json.dumps(results, indent=1))
        return
    print(f"{'':40}{'wire ns':>10}{'calls ns':>10}{'packets/s':>14}")
    for name, row in results.items():
        print(
            f"{name:40}{row['wire_ns']:10.1f}{row['call_ns']:10.1f}"
            f"{row['packets_per_second']:14,.0f}"
        )


if __name__ == "__main__":
    main()
