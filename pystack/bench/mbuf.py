"""What mbufs cost, beside `bytes`, `bytearray` and plain objects. Python's call is part of every number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import repeat as again

from pystack._fast.mbuf import Pool
from pystack.bench.report import Report, Stopwatch, interleaved, no_collector

SEGMENT = 1448
SUPER = 65536
BATCH = 1_000


class _Thing:
    __slots__ = ("ext", "length", "next", "off")

    def __init__(self) -> None:
        self.next = self.off = self.length = self.ext = 0


def _pairs(take: Callable[[], object], free: Callable[[object], object], n: int) -> float:
    """Nanoseconds for taking something and giving it back, `BATCH` of them in use at a time."""
    best = float("inf")
    for _ in range(max(1, n // BATCH)):
        watch = Stopwatch()
        rows = [take() for _ in again(None, BATCH)]
        deque(map(free, rows), maxlen=0)
        best = min(best, watch.ns() / BATCH)
        assert all(rows)
    return best


def _forget(_: object) -> None:
    """What `free` is for an object: its last reference goes with the list."""


def measure(scale: float, repeat: int) -> Report:
    """Each figure from 200,000 pairs at scale 1."""
    n = max(BATCH, round(200_000 * scale))
    pool, other = Pool(0, 0, 0, 0, 0), Pool(0, 0, 0, 0, 0)
    data = bytes(range(256)) * (SUPER // 256)
    out = bytearray(SUPER)
    chain = pool.new_chain(data, 0, SUPER)
    view = memoryview(data)

    def append() -> object:
        """One write of an application: 1448 octets into a chain."""
        return pool.new_chain(data, 0, SEGMENT)

    def share(length: int) -> Callable[[], object]:
        return lambda: pool.share(chain, SEGMENT, length)

    def copy_out() -> object:
        return pool.copy_out(chain, 0, out, 0, SUPER)

    def copy_back() -> object:
        out[:] = view
        return True

    big = max(BATCH, n // 20)
    measures: dict[str, Callable[[], float]] = {
        "reference_object_ns": lambda: _pairs(_Thing, _forget, n),
        "mbuf_get_free_ns": lambda: _pairs(pool.get, pool.free, n),
        "reference_bytearray_2048_ns": lambda: _pairs(lambda: bytearray(2048), _forget, n),
        "mbuf_cluster_free_ns": lambda: _pairs(lambda: pool.get_cluster(2048), pool.free, n),
        "reference_bytes_slice_1448_ns": lambda: _pairs(
            lambda: data[SEGMENT : 2 * SEGMENT], _forget, n
        ),
        "mbuf_share_1448_ns": lambda: _pairs(share(SEGMENT), pool.free_chain, n),
        "reference_bytearray_1448_ns": lambda: _pairs(
            lambda: bytearray(view[:SEGMENT]), _forget, n
        ),
        "mbuf_append_1448_ns": lambda: _pairs(append, pool.free_chain, n),
        "mbuf_import_1448_ns": lambda: _pairs(
            lambda: other.import_chain(pool, chain, SEGMENT, SEGMENT), other.free_chain, n
        ),
        "reference_memcpy_65536_ns": lambda: _pairs(copy_back, _forget, big),
        "mbuf_copy_out_65536_ns": lambda: _pairs(copy_out, _forget, big),
    }
    with no_collector():
        found = {key: min(runs) for key, runs in interleaved(repeat, measures).items()}
    assert bytes(out) == data
    pool.free_chain(chain)
    assert pool.in_use == other.in_use == 0
    how = (
        f"ns for taking and giving back, a Python call each, CPU time, the least of {repeat} rounds"
    )
    report = Report("mbuf", how)
    for key, title in (
        ("reference_object_ns", "an object"),
        ("reference_bytearray_2048_ns", "bytearray(2048)"),
        ("reference_bytes_slice_1448_ns", "a slice of bytes"),
        ("reference_bytearray_1448_ns", "bytearray of a view"),
        ("reference_memcpy_65536_ns", "memcpy by bytearray"),
    ):
        report.reference(key, found[key], title)
    for key, title, reference in (
        ("mbuf_get_free_ns", "mbuf", "reference_object_ns"),
        ("mbuf_cluster_free_ns", "mbuf and 2 KiB cluster", "reference_bytearray_2048_ns"),
        ("mbuf_share_1448_ns", "share 1448 octets", "reference_bytes_slice_1448_ns"),
        ("mbuf_append_1448_ns", "write 1448 octets", "reference_bytearray_1448_ns"),
        ("mbuf_import_1448_ns", "1448 octets of another pool", "reference_bytearray_1448_ns"),
        ("mbuf_copy_out_65536_ns", "read 64 KiB out", "reference_memcpy_65536_ns"),
    ):
        report.figure(key, found[key], title, reference)
    return report
