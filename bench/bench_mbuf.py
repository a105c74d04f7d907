"""What mbufs cost: taken and given back, shared, filled, copied; 64 KiB beside the system's own memmove.

Every call crosses from Python into the pool, which is part of the numbers: `crossing` says how much by a
call that finds nothing to do. Code in `_fast` calls the pool without it; the lines `in a chain` come near to
that, because one call does a thousand mbufs. Times are the thread's own, so that a busy machine matters less.

    python bench/bench_mbuf.py [--json]
"""

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice, repeat
from statistics import median
from typing import Any

from pystack import _fast
from pystack._fast.mbuf import Pool

AIMS = {"in a chain: share": 25.0, "in a chain: free": 15.0}
"""Nanoseconds each, compiled. Sharing takes an mbuf, so it bounds that too."""

CHUNK = 1_000
SEGMENT = 1448
SUPER = 65536


def _each(function: Callable[..., Any], *columns: Iterable[Any], n: int) -> float:
    """Nanoseconds a call of `function` over columns of `n` arguments: the median of chunks of calls."""
    calls = map(function, *columns)
    size = min(CHUNK, n)
    times = []
    for _ in range(n // size):
        start = time.thread_time_ns()
        deque(islice(calls, size), maxlen=0)
        times.append((time.thread_time_ns() - start) / size)
    return median(times)


def _pair(
    take: Callable[..., int], arguments: tuple[int, ...], free: Callable[[int], Any], n: int
) -> float:
    """Nanoseconds for taking something and freeing it, a chunk of them in use at a time."""
    size = min(CHUNK, n)
    times = []
    for _ in range(n // size):
        start = time.thread_time_ns()
        rows = (
            list(map(take, *(repeat(a, size) for a in arguments)))
            if arguments
            else [take() for _ in range(size)]
        )
        deque(map(free, rows), maxlen=0)
        times.append((time.thread_time_ns() - start) / size)
        assert all(rows)
    return median(times)


def mbufs(n: int = 200_000) -> dict[str, float]:
    """{what: nanoseconds}, and `copy_share_of_memmove`: the speed of reading 64 KiB out, memmove's being 1."""
    pool, other = Pool(0, 0, 0, 0, 0), Pool(0, 0, 0, 0, 0)
    data, out = bytes(range(256)) * 256, bytearray(SUPER)
    big = n // 200
    found = {"crossing": _each(pool.tail, repeat(0), n=n)}
    found["get + free"] = _pair(pool.get, (), pool.free, n)
    found["pair + free"] = _pair(pool.get_cluster, (2048,), pool.free, n)
    chain = pool.new_chain(data, 0, SUPER)
    found["share 1448 + free"] = _pair(
        pool.share, (chain, 5 * SEGMENT, SEGMENT), pool.free_chain, n
    )
    found["share 65536 + free"] = _pair(pool.share, (chain, 0, SUPER), pool.free_chain, n)

    long = pool.new_chain(data, 0, 2048)
    for _ in range(CHUNK - 1):
        pool.append_bytes(pool.tail(long), data, 0, 2048)
    share, free = [], []
    for _ in range(max(3, n // CHUNK)):
        start = time.thread_time_ns()
        copy = pool.share(long, 0, CHUNK * 2048)
        middle = time.thread_time_ns()
        pool.free_chain(copy)
        free.append((time.thread_time_ns() - middle) / CHUNK)
        share.append((middle - start) / CHUNK)
    pool.free_chain(long)
    found["in a chain: share"], found["in a chain: free"] = median(share), median(free)

    def bring(skip: int, length: int) -> int:
        return other.import_chain(pool, chain, skip, length)

    def fill(length: int) -> int:
        return pool.new_chain(data, 0, length)

    found["import 1448 + free"] = _pair(bring, (5 * SEGMENT, SEGMENT), other.free_chain, n // 4)
    found["new 100 + free"] = _pair(fill, (100,), pool.free_chain, n // 4)
    found["new 1448 + free"] = _pair(fill, (SEGMENT,), pool.free_chain, n // 4)
    landing = pool.land()

    def keep(length: int) -> int:
        return pool.keep_landed(landing, 40, length)

    found["land 1448 + free"] = _pair(keep, (SEGMENT,), pool.free_chain, n // 4)
    found["checksum 1448"] = _each(
        pool.checksum, repeat(chain), repeat(0), repeat(SEGMENT), repeat(0), repeat(False), n=n
    )
    found["checksum 65536"] = _each(
        pool.checksum, repeat(chain), repeat(0), repeat(SUPER), repeat(0), repeat(False), n=big
    )

    def write_and_drop() -> None:
        m = pool.new_chain(data, 0, SUPER)
        pool.free_chain(m)

    found["new 65536 + free"] = _each(lambda _: write_and_drop(), repeat(0), n=big)
    found["copy_out 65536"] = _each(
        pool.copy_out, repeat(chain), repeat(0), repeat(out), repeat(0), repeat(SUPER), n=big
    )
    assert out == data
    target, source, whole = memoryview(bytearray(SUPER + 4096)), memoryview(data), slice(0, SUPER)
    found["memmove 65536"] = min(  # its speed depends on where the octets lie in their pages
        _each(target[at:].__setitem__, repeat(whole), repeat(source), n=big)
        for at in (0, 128, 1024)
    )
    found["copy_share_of_memmove"] = found["memmove 65536"] / found["copy_out 65536"]
    found["a new pool"] = _each(lambda _: Pool(0, 25600, 12800, 6400, 3200), repeat(0), n=200)
    pool.free_chain(chain)
    pool.free(landing)
    assert pool.in_use == other.in_use == 0
    return found


def main() -> int:
    found = mbufs() if _fast.COMPILED else mbufs(2_000)
    slow = [what for what, aim in AIMS.items() if found[what] > aim and _fast.COMPILED]
    if "--json" in sys.argv:
        print(json.dumps({what: round(value, 2) for what, value in found.items()}))
        return bool(slow)
    speed = "compiled" if _fast.COMPILED else "interpreted"
    print(f"mbufs, {speed}, ns each, Python's calls included")
    for what, value in found.items():
        print(f"  {what:22} {value:10.2f}")
    if slow:
        print(f"above the aim: {', '.join(slow)}")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
