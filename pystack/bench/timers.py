"""What a timer costs: all of them armed at once, and cancelled. The reference is `heapq`.

Deadlines are spread over five days, the lifetime of an idle connection in conntrack, and rows are taken in
random order, so that nothing that follows a row's number is in the cache. The wheel is measured as the core uses it,
in a compiled loop, and once more called from Python, as `heapq` is.
"""

from __future__ import annotations

import itertools
import random
from array import array
from collections import deque
from heapq import heappop, heappush
from typing import Any

from pystack._fast.alarms import arm_all, cancel_all
from pystack._fast.consts import NEVER, SECOND
from pystack._fast.wheel import Wheel
from pystack.bench.report import Report, Stopwatch, Target, interleaved, no_collector

SPREAD = 432_000 * SECOND
LIMIT = Target(most=200)


def _wheel(rows: Any, deadlines: Any, shuffled: Any, from_python: bool) -> tuple[float, float]:
    n = len(rows)
    wheel = Wheel(min(1024, n), maximum=n)
    assert list(map(wheel.alloc, itertools.repeat(0), range(n))) == list(range(1, n + 1))
    watch = Stopwatch()
    if from_python:
        deque(map(wheel.arm, rows, deadlines), maxlen=0)
    else:
        arm_all(wheel, rows, deadlines)
    arm = watch.ns() / n
    assert wheel.count == n
    watch = Stopwatch()
    if from_python:
        deque(map(wheel.cancel, shuffled), maxlen=0)
    else:
        cancel_all(wheel, shuffled)
    cancel = watch.ns() / n
    assert wheel.count == 0
    assert wheel.next_deadline() == NEVER
    return arm, cancel


def _heap(rows: Any, deadlines: Any, shuffled: Any) -> tuple[float, float]:
    """As asyncio and sched do it: an entry that is cancelled is marked, and goes when its time comes."""
    n = len(rows)
    heap: list[list[int]] = []
    entries = [[due, row] for due, row in zip(deadlines, rows, strict=True)]
    watch = Stopwatch()
    for entry in entries:
        heappush(heap, entry)
    arm = watch.ns() / n
    by_row = [entries[0]] * (n + 1)
    for entry in entries:
        by_row[entry[1]] = entry
    watch = Stopwatch()
    for row in shuffled:
        by_row[row][1] = 0
    while heap:
        entry = heappop(heap)
        assert entry[1] == 0
    return arm, watch.ns() / n


def measure(scale: float, repeat: int) -> Report:
    """A million timers at scale 1."""
    n = max(100, round(1_000_000 * scale))
    rnd = random.Random(1)
    rows = array("i", range(1, n + 1))
    rnd.shuffle(rows)
    deadlines = array("q", (rnd.randrange(SPREAD) for _ in rows))
    shuffled = array("i", rows)
    rnd.shuffle(shuffled)
    cancels: dict[str, list[float]] = {"wheel": [], "called": [], "heap": []}

    def wheel() -> float:
        arm, cancel = _wheel(rows, deadlines, shuffled, False)
        cancels["wheel"].append(cancel)
        return arm

    def called() -> float:
        arm, cancel = _wheel(rows, deadlines, shuffled, True)
        cancels["called"].append(cancel)
        return arm

    def heap() -> float:
        arm, cancel = _heap(rows, deadlines, shuffled)
        cancels["heap"].append(cancel)
        return arm

    with no_collector():
        arms = interleaved(repeat, {"heap": heap, "called": called, "wheel": wheel})
    report = Report("timers", f"{n:,} timers, CPU time, the least of {repeat} rounds")
    report.reference("reference_heapq_arm_ns", min(arms["heap"]), "heapq, push")
    report.reference("reference_heapq_cancel_ns", min(cancels["heap"]), "heapq, mark and pop")
    report.figure("timer_arm_ns", min(arms["wheel"]), "arm", "reference_heapq_arm_ns", LIMIT)
    report.figure(
        "timer_cancel_ns", min(cancels["wheel"]), "cancel", "reference_heapq_cancel_ns", LIMIT
    )
    for key, ns in (("arm", min(arms["called"])), ("cancel", min(cancels["called"]))):
        title = f"{key}, called from Python"
        report.figure(f"timer_{key}_called_ns", ns, title, f"reference_heapq_{key}_ns")
    report.notes["timers"] = n
    return report
