"""What a timer costs: a million of them armed, armed again, cancelled, and expired.

Every call crosses from Python into the wheel, which is part of the numbers: `crossing` says how much
by calling a method that does nothing but read a column. Code in `_fast` calls the wheel without it.

    python bench/bench_timers.py [timers]
"""

import random
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from statistics import median
from typing import Any

from pystack import _fast
from pystack._fast.events import EventQueue
from pystack._fast.wheel import NEVER, Wheel

SECOND = 10**9
AIM = 200
"""Nanoseconds for arming or cancelling, compiled, without the crossing."""


CHUNK = 5_000


def _each(function: Callable[..., Any], *columns: Iterable[int], n: int) -> float:
    """Nanoseconds a call of `function` over columns of `n` arguments: the median of chunks of calls."""
    calls = map(function, *columns)
    times = []
    for size in [CHUNK] * (n // CHUNK) or [n]:
        start = time.perf_counter_ns()
        deque(islice(calls, size), maxlen=0)
        times.append((time.perf_counter_ns() - start) / size)
    deque(calls, maxlen=0)
    return median(times)


def wheel(timers: int = 1_000_000, seed: int = 1) -> dict[str, float]:
    """Nanoseconds a timer for each thing that happens to timers, all `timers` of them armed at once.

    Deadlines are spread over five days, the lifetime of an idle connection in conntrack, and rows are taken in
    random order: nothing that follows a row's number is in the cache. (Arguments come from arrays, because
    a list of shuffled int objects would be one more cache miss, and not the wheel's.)
    """
    rnd = random.Random(seed)
    result = {}
    w = Wheel(1024, maximum=timers)
    result["alloc"] = _each(w.alloc, range(timers), range(timers), n=timers)
    rows = array("i", range(1, timers + 1))
    rnd.shuffle(rows)
    deadlines = array("q", (rnd.randrange(432_000 * SECOND) for _ in rows))
    result["crossing"] = _each(w.armed, rows, n=timers)
    result["arm"] = _each(w.arm, rows, deadlines, n=timers)
    assert w.count == timers
    rnd.shuffle(rows)
    result["arm again"] = _each(w.arm, rows, deadlines, n=timers)
    assert w.count == timers
    rnd.shuffle(rows)
    result["cancel"] = _each(w.cancel, rows, n=timers)
    assert w.count == 0
    assert w.next_deadline() == NEVER
    deque(map(w.arm, rows, deadlines), maxlen=0)
    fired = 0
    start = time.perf_counter_ns()
    while (now := w.next_deadline()) != NEVER:
        while w.expire(now):
            fired += 1
    result["expire"] = (time.perf_counter_ns() - start) / timers
    assert fired == timers
    return result


def events(waiting: int = 1000, n: int = 1_000_000, seed: int = 1) -> dict[str, float]:
    """Nanoseconds for a push and for a pop of the event queue with `waiting` events in it."""
    rnd = random.Random(seed)
    queue = EventQueue()
    push = pop = 0
    for _ in range(max(1, n // waiting)):
        times = array("i", (rnd.randrange(SECOND) for _ in range(waiting)))
        start = time.perf_counter_ns()
        deque(map(queue.push, times, times, times), maxlen=0)
        middle = time.perf_counter_ns()
        while queue.pop():
            pass
        pop += time.perf_counter_ns() - middle
        push += middle - start
        assert queue.time == max(times)
    done = max(1, n // waiting) * waiting
    return {"push": push / done, "pop": pop / done}


def main() -> int:
    timers = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    found = wheel(timers)
    speed = "compiled" if _fast.COMPILED else "interpreted"
    print(f"{timers} timers, {speed}, ns each, Python's call included")
    for what, ns in found.items():
        print(f"  {what:10} {ns:8.0f}")
    for what, ns in events().items():
        print(f"  event {what:5} {ns:7.0f}")
    slow = [what for what in ("arm", "cancel") if found[what] - found["crossing"] > AIM]
    if slow and _fast.COMPILED:
        print(f"above the aim of {AIM} ns: {', '.join(slow)}")
    return bool(slow and _fast.COMPILED)


if __name__ == "__main__":
    sys.exit(main())
