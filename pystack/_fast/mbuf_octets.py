"""The arena and the mbuf rows of a pool, as far as reading goes: what a chain holds, octet by octet.

Nothing here takes, gives or charges; `mbuf.py` does. See there for what a chain is.
"""

import mmap
import sys

import cython

from pystack._fast.columns import column
from pystack._fast.mbuf_zones import Zones
from pystack._fast.wirebytes import csum_octets

_NORESERVE = 0x4000 if sys.platform == "linux" else 0  # mmap has no name for it before Python 3.13


def _small_pages(octets: memoryview) -> memoryview:
    """Keep the system from giving 2 MiB for the first octet: machines are many and most are small."""
    if isinstance(octets.obj, mmap.mmap) and hasattr(mmap, "MADV_NOHUGEPAGE"):
        octets.obj.madvise(mmap.MADV_NOHUGEPAGE)
    return octets


def _map_arena(octets: int) -> memoryview:
    """Anonymous private pages. Asks for less where the system counts address space as memory."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
    while True:
        try:
            pages = mmap.mmap(-1, octets, flags=flags)
        except OSError:
            if octets <= 1 << 24:
                raise
            octets >>= 1
            continue
        return _small_pages(memoryview(pages))


def stacked(codes: str, n: int, place: int = 0) -> list:
    """Columns of `n` items of these types out of one mapping.

    One mapping is a quarter of the time of many. And columns that all begin at a page's start have the same row at
    the same place of each page, where the processor takes one for another (4 KiB aliasing) and the cache keeps eight:
    a pair taken and given back costs 51 ns then, and 16 when each column begins elsewhere in its page. `place` is
    how many columns of the same row other calls made.
    """
    sizes = [n * (8 if code == "q" else 4) for code in codes]
    block = column("B", sum(sizes) + 2 * 4096 * len(sizes))
    _small_pages(block)
    columns = []
    start = 0
    for i in range(len(sizes)):
        start = (start + 4095 & ~4095) + 320 * (i + place) % 4096
        columns.append(block[start : start + sizes[i]].cast(codes[i]))
        start += sizes[i]
    return columns


# As in wirebytes: the compiled body stands in the .pxd, where other modules inline it. A loop is fastest for a packet,
# and memcpy behind a slice (50 ns to get there) for a super-segment.
if not cython.compiled:

    def copy_octets(dst: memoryview, d: int, src: memoryview, s: int, n: int) -> None:
        """Copy `n` octets from `src[s:]` to `dst[d:]`. The two ranges must not overlap."""
        dst[d : d + n] = src[s : s + n]


@cython.cclass
class Octets(Zones):
    """Rows of mbufs over an arena, readable. A base of `Pool` and no more than that.

    - `arena_bytes`: the memoryview of the arena, for readv and writev.
    - `m_next[m]`, `m_off[m]`, `m_len[m]`: successor, arena offset of the first octet, octets.
    - `m_ext[m]`: the cluster row that holds the data; 0 = the mbuf's own storage, -1 = a free row.

    `skip` and `n` are octets of a chain; what goes beyond its end is cut there.
    """

    def __init__(self, limits: tuple, arena_bytes: int):
        Zones.__init__(self, *limits)
        if arena_bytes < 1 << 20:
            raise ValueError(f"an arena of {arena_bytes} octets is below 1 MiB")
        octets = _map_arena(min(arena_bytes, sys.maxsize >> 1) & ~4095)
        self.arena_bytes = octets
        self.arena = octets
        self.arena16 = octets.cast("H")
        self.arena_len = len(octets)
        self.m_cap = len(octets) // 2048
        self.m_next, self.m_off, self.m_len, self.m_ext = stacked("iqii", self.m_cap)

    @cython.exceptval(check=False)
    def chain_length(self, m: cython.int) -> cython.int:
        """Octets of data in a chain."""
        n: cython.int = 0
        while m:
            n += self.m_len[m]
            m = self.m_next[m]
        return n

    @cython.exceptval(check=False)
    def tail(self, m: cython.int) -> cython.int:
        """The last mbuf of a chain; 0 of none."""
        after: cython.int = self.m_next[m] if m else 0
        while after:
            m = after
            after = self.m_next[m]
        return m

    @cython.exceptval(check=False)
    def copy_out(
        self,
        m: cython.int,
        skip: cython.int,
        dst: cython.uchar[::1],
        at: cython.Py_ssize_t,
        n: cython.Py_ssize_t,
    ) -> cython.Py_ssize_t:
        """Copy up to `n` octets of a chain from `skip` on to `dst[at:]`; answers how many there were."""
        done: cython.Py_ssize_t = 0
        part: cython.Py_ssize_t
        while m and skip >= self.m_len[m]:
            skip -= self.m_len[m]
            m = self.m_next[m]
        while m and done < n:
            part = self.m_len[m] - skip
            if part > n - done:
                part = n - done
            copy_octets(dst, at + done, self.arena, self.m_off[m] + skip, part)
            done += part
            skip = 0
            m = self.m_next[m]
        return done

    @cython.exceptval(check=False)
    def checksum(
        self, m: cython.int, skip: cython.int, n: cython.int, acc: cython.uint, odd: cython.bint
    ) -> cython.uint:
        """The running sum `acc` (RFC 1071, as in wirebytes) plus `n` octets of a chain from `skip` on.

        `odd` says that an odd number of octets went before, so that each octet falls on the other side.
        """
        part: cython.int
        one: cython.uint
        while m and skip >= self.m_len[m]:
            skip -= self.m_len[m]
            m = self.m_next[m]
        while m and n > 0:
            part = self.m_len[m] - skip
            if part > n:
                part = n
            one = csum_octets(self.arena, self.arena16, self.m_off[m] + skip, part, 0)
            if odd:
                one = ((one & 0xFF) << 8) | (one >> 8)
            acc += one
            acc = (acc & 0xFFFF) + (acc >> 16)
            if part & 1:
                odd = not odd
            n -= part
            skip = 0
            m = self.m_next[m]
        return acc

    def to_bytes(self, m: cython.int, skip: cython.int, n: cython.int) -> bytes:
        """Up to `n` octets of a chain from `skip` on."""
        start: cython.Py_ssize_t
        if (
            m and 0 < n <= self.m_len[m] - skip
        ):  # they lie in one mbuf, as those of short messages do
            start = self.m_off[m] + skip
            return bytes(self.arena_bytes[start : start + n])
        return b"".join(self.views(m, skip, n))

    def views(self, m: cython.int, skip: cython.int, n: cython.int) -> list:
        """The same octets as memoryviews of the arena, in order, for a gather write. Valid until freed."""
        parts: list = []
        part: cython.int
        start: cython.Py_ssize_t
        while m and n > 0:
            part = self.m_len[m] - skip
            if part > 0:
                if part > n:
                    part = n
                start = self.m_off[m] + skip
                parts.append(self.arena_bytes[start : start + part])
                n -= part
                skip = 0
            else:
                skip -= self.m_len[m]
            m = self.m_next[m]
        return parts
