"""Columns: the storage of every table in the core.

A table is a set of typed columns of equal length and a row is an index into them (docs/adr/0003-columns.md).
Row 0 means "none", so a table of n usable rows asks for columns of n + 1.

Not hot: columns are made when a table is made or grown, never for a packet.
"""

import mmap
from array import array
from itertools import count

CODES = "bBhHiIqQ"
"""Item types that a column may have, as in the `array` module; `Q` is 64 bits, unsigned."""

BIG = 64 * 1024
"""Columns of this many octets and more live in anonymous private pages of their own."""

PAGE = 4096
LINE = 64
_starts = count(0, 5)
"""Big columns begin at different cache lines of a page. If they all began at its start, the same row of a table's
columns would fall into the same set of the cache, and using a row would cost a miss for each column."""


def column(code: str, n: int, huge: bool = False) -> memoryview:
    """A zeroed, writable, contiguous memoryview of `n` items of array typecode `code`.

    A big column is an anonymous mapping: the kernel gives a page at its first write, so rows that are
    never used cost address space and no memory, and making the column takes the same few
    microseconds at any length. `huge`: its pages may be large ones, for a table that is expected to be
    full: then the first row takes 2 MiB, and a row far away does not cost a walk through the page tables.

    Raises ValueError for an unknown code or a negative length, MemoryError or OSError when the
    system has no address space left.
    """
    if len(code) != 1 or code not in CODES:
        raise ValueError(f"column type {code!r} is not one of {', '.join(CODES)}")
    if n < 0:
        raise ValueError(f"a column cannot have {n} items")
    octets = n * array(code).itemsize
    if octets < BIG:
        return memoryview(array(code, bytes(octets)))
    pages = mmap.mmap(-1, octets + PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE if huge else mmap.MADV_NOHUGEPAGE)
    start = next(_starts) * LINE % PAGE
    return memoryview(pages)[start : start + octets].cast(code)


def grown(old: memoryview, n: int, huge: bool = False) -> memoryview:
    """A new column of `n` items of the type of `old` that starts with the items of `old`.

    `old` keeps its own storage; views of it do not follow. Raises ValueError when `n` would lose items.
    """
    if n < len(old):
        raise ValueError(f"a column of {len(old)} items does not fit in {n}")
    new = column(old.format, n, huge)
    new[: len(old)] = old
    return new
