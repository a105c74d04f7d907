"""The mbuf pool: all payload octets of one machine, in chains of rows over one arena.

Read first: FreeBSD's mbuf(9) for the ideas; docs/sources.md for sizes and counters. What differs from
the real thing is only where octets lie. Storage comes in the sizes that suit Python's readv and writev
(up to 64 KiB in one piece); the books (`mbuf_zones.py`) are kept in the real system's units all the same:
octets in a piece bigger than a cluster are charged as so many pairs of an mbuf and a 2 KiB cluster.
"""

import cython

from pystack._fast.columns import column
from pystack._fast.mbuf_octets import Octets, copy_octets, stacked
from pystack._fast.mbuf_zones import CLUSTER

MSIZE = 256
"""Octets of storage of a plain mbuf."""
MLEN = 224
"""Octets of data that a plain mbuf takes; its header lies in the rest (FreeBSD 10, amd64)."""
MHLEN = 168
"""Data of at most this many octets goes into a plain mbuf, more into a cluster (MINCLSIZE - 1)."""
BIG = 66048
"""Octets of the biggest storage: a 64 KiB packet with what a device puts before it."""
KEEP = 16384
"""A landed packet with more data than this keeps its storage; less is copied out of it."""
ARENA = 4 << 30
"""Address space of a pool. Memory is used only for storage that was in use at the same time."""

_SIZES = (2048, 4096, 9216, 16384, BIG)
_ROOMS = (2048, 4096, 9216, 16384, 65536)  # appending fills BIG to one super-segment
_WHOLE = cython.declare(cython.int, 24)  # as a shift of octets to units: any storage is one unit
_BY_2K = cython.declare(cython.int, 11)
_BY_4K = cython.declare(cython.int, 12)
_S_BIG = cython.declare(cython.int, 4)
_CLASSES = cython.declare(cython.int, 5)
_MBUF = cython.declare(cython.int, 0)
_PACKET = cython.declare(cython.int, 1)
_CLUSTER = cython.declare(cython.int, 2)
_JUMBO_PAGE = cython.declare(cython.int, 3)
_MSIZE = cython.declare(cython.int, MSIZE)
_MLEN = cython.declare(cython.int, MLEN)
_MHLEN = cython.declare(cython.int, MHLEN)
_KEEP = cython.declare(cython.int, KEEP)


@cython.final
@cython.cclass
class Pool(Octets):
    """The mbufs and clusters of one machine.

    A chain is named by its first row; row 0 is "no mbuf" and, as an answer, "denied": nothing was
    taken, the refusal is counted (NOWAIT). Every chain has one owner, who frees it. Storage may be
    referenced by many rows (`share`); octets once written never change while shared.

    Arguments: limits in items (0 = none); `arena_bytes` of address space, which also bounds the
    number of rows, and is halved where the system does not give it. Lengths are octets and lie inside
    the chain; what goes beyond its end is cut there.

    `bulk_zone` says what big storage is charged as: CLUSTER, pairs with 2 KiB clusters, or JUMBO_PAGE.
    Raises ValueError for a negative limit or an arena below 1 MiB.
    """

    def __init__(
        self,
        nmbufs: int,
        nmbclusters: int,
        nmbjumbop: int,
        nmbjumbo9: int,
        nmbjumbo16: int,
        arena_bytes: int = ARENA,
    ):
        Octets.__init__(self, (nmbufs, nmbclusters, nmbjumbop, nmbjumbo9, nmbjumbo16), arena_bytes)
        self.c_cap = self.m_cap
        self.bump = cython.cast(cython.longlong, self.m_cap) * _MSIZE
        (
            self.c_refs,
            self.c_zone,
            self.c_base,
            self.c_charge,
            self.c_class,
            self.c_shift,
            self.c_low,
            self.c_fill,
            self.c_next,
        ) = stacked("iiqiiiiii", self.c_cap, 4)
        self.s_size = column("i", _CLASSES)
        self.s_room = column("i", _CLASSES)
        self.s_free = column("i", _CLASSES)
        for cls in range(len(_SIZES)):
            self.s_size[cls] = _SIZES[cls]
            self.s_room[cls] = _ROOMS[cls]
        self.m_free = 0
        self.m_top = 1
        self.c_top = 1
        self.in_use = 0
        self.shed_cost = 0
        self.double_frees = 0
        self.bulk_zone = CLUSTER

    # --- taking and giving ------------------------------------------------------------------------------------

    @cython.exceptval(check=False)
    def get(self) -> cython.int:
        """A plain mbuf without data, or 0."""
        used: cython.longlong = self.z_used[_MBUF] + 1
        if used + self.z_total[_PACKET] - self.z_used[_CLUSTER] > self.z_line[_MBUF]:
            if not self.grow_mbufs(1):
                return 0
        m: cython.int = self.row()
        if m == 0:
            self.refuse(_MBUF, _MBUF)
            return 0
        self.m_off[m] = cython.cast(cython.longlong, m) * _MSIZE
        self.z_used[_MBUF] = used
        self.z_requests[_MBUF] += 1
        if used > self.z_high[_MBUF]:
            self.z_high[_MBUF] = used
        return m

    @cython.exceptval(check=False)
    def get_cluster(self, size: cython.int) -> cython.int:
        """An mbuf without data and a fresh cluster for at least `size` octets (up to BIG), or 0.

        Sizes up to 16384 are one cluster of the zone that fits; BIG is charged as it is filled.
        """
        if size <= 2048:
            return self.attach(0, _CLUSTER, 1, _WHOLE)
        cls: cython.int = 1
        while cls < _S_BIG and size > self.s_size[cls]:
            cls += 1
        if cls == _S_BIG:
            return self.attach(cls, _CLUSTER, 1, _BY_2K)
        return self.attach(cls, _JUMBO_PAGE + cls - 1, 1, _WHOLE)

    @cython.exceptval(check=False)
    def get_for(self, n: cython.int) -> cython.int:
        """An mbuf without data whose storage suits `n` octets of a chain, or 0.

        Plain up to MHLEN; a cluster up to 2048; then bigger storage, charged to `bulk_zone` as `extend` fills it.
        """
        return self.get_of(n, self.bulk_zone)

    @cython.exceptval(check=False)
    def get_of(self, n: cython.int, zone: cython.int) -> cython.int:
        """As `get_for`, with bigger storage charged to `zone`: CLUSTER for what a device received."""
        if n <= _MHLEN:
            return self.get()
        if n <= 2048:
            return self.attach(0, _CLUSTER, 1, _WHOLE)
        cls: cython.int = 1
        while cls < _S_BIG and n > self.s_room[cls]:
            cls += 1
        return self.attach(cls, zone, 1, _BY_2K if zone == _CLUSTER else _BY_4K)

    @cython.exceptval(check=False)
    def free(self, m: cython.int) -> cython.int:
        """Give one mbuf back, and its storage with the last reference; answers its successor.

        A second free of the same row is a broken invariant: it is counted, changes nothing, and asserts.
        """
        c: cython.int = self.m_ext[m]
        if c < 0:
            return self.freed_twice(m)
        after: cython.int = self.m_next[m]
        if c:
            self.c_refs[c] -= 1
            if self.c_refs[c] == 0:
                self.release(c)
        self.m_ext[m] = -1
        self.m_next[m] = self.m_free
        self.m_free = m
        self.in_use -= 1
        self.z_used[_MBUF] -= 1
        return after

    @cython.exceptval(check=False)
    def free_chain(self, m: cython.int) -> cython.void:
        """Give a whole chain back. 0 is a chain too."""
        while m:
            m = self.free(m)

    @cython.exceptval(check=False)
    def admit(self, zone: cython.int, n: cython.longlong) -> cython.bint:
        """Whether `n` clusters of a zone and as many mbufs may be taken. Takes nothing."""
        if zone == _CLUSTER:
            return self.z_used[_CLUSTER] + n <= self.z_line[_PACKET] or self.grow_pairs(n)
        if self.z_used[zone] + n > self.z_line[zone] and not self.grow_jumbo(zone, n):
            return False
        cached: cython.longlong = self.z_total[_PACKET] - self.z_used[_CLUSTER]
        return self.z_used[_MBUF] + cached + n <= self.z_line[_MBUF] or self.grow_mbufs(n)

    @cython.exceptval(check=False)
    def charge(self, zone: cython.int, n: cython.longlong) -> cython.void:
        """Count `n` clusters of a zone and as many mbufs as given out."""
        self.z_used[zone] += n
        self.z_used[_MBUF] += n
        if self.z_used[_MBUF] > self.z_high[_MBUF]:
            self.z_high[_MBUF] = self.z_used[_MBUF]
        if zone == _CLUSTER:
            self.z_requests[_PACKET] += n
        else:
            self.z_requests[zone] += n
            self.z_requests[_MBUF] += n

    @cython.exceptval(check=False)
    def recharge(self, c: cython.int, low: cython.int, fill: cython.int) -> cython.void:
        """The only owner of a cluster now has data from `low` to `fill` of it: uncharge what that frees."""
        self.c_low[c] = low
        self.c_fill[c] = fill
        shift: cython.int = self.c_shift[c]
        units: cython.int = (fill - low + (1 << shift) - 1) >> shift
        if units == 0:
            units = 1
        less: cython.int = self.c_charge[c] - units
        if less > 0:
            self.c_charge[c] = units
            self.z_used[self.c_zone[c]] -= less
            self.z_used[_MBUF] -= less

    @cython.exceptval(check=False)
    def row(self) -> cython.int:
        """A row for an mbuf, uncharged, or 0."""
        m: cython.int = self.m_free
        if m:
            self.m_free = self.m_next[m]
        else:
            m = self.m_top
            if m == self.m_cap:
                return 0
            self.m_top = m + 1
        self.m_next[m] = 0
        self.m_len[m] = 0
        self.m_ext[m] = 0
        self.in_use += 1
        return m

    @cython.exceptval(check=False)
    def unrow(self, m: cython.int) -> cython.void:
        """Take back `row`."""
        self.m_ext[m] = -1
        self.m_next[m] = self.m_free
        self.m_free = m
        self.in_use -= 1

    @cython.exceptval(check=False)
    def storage(self, cls: cython.int) -> cython.int:
        """A cluster row with storage of a size class, or 0 where the arena has no more."""
        c: cython.int = self.s_free[cls]
        if c:
            self.s_free[cls] = self.c_next[c]
            return c
        c = self.c_top
        if c == self.c_cap or self.bump + self.s_size[cls] > self.arena_len:
            return 0
        self.c_top = c + 1
        self.c_base[c] = self.bump
        self.c_class[c] = cls
        self.bump += self.s_size[cls]
        return c

    @cython.exceptval(check=False)
    def release(self, c: cython.int) -> cython.void:
        """Give a cluster back that nothing references. The mbuf that did is still charged as one."""
        units: cython.int = self.c_charge[c]
        cls: cython.int = self.c_class[c]
        self.z_used[self.c_zone[c]] -= units
        self.z_used[_MBUF] -= units - 1
        self.c_next[c] = self.s_free[cls]
        self.s_free[cls] = c

    @cython.exceptval(check=False)
    def attach(
        self, cls: cython.int, zone: cython.int, units: cython.int, shift: cython.int
    ) -> cython.int:
        """An mbuf with fresh storage, charged as `units` of a zone, or 0."""
        if units and not self.admit(zone, units):
            return 0
        m: cython.int = self.row()
        c: cython.int = self.storage(cls) if m else 0
        while c == 0 and cls > 0 and m and shift != _WHOLE:
            cls -= 1  # bulk storage may come in smaller pieces
            c = self.storage(cls)
        if c == 0:
            if m:
                self.unrow(m)
            self.refuse(_PACKET if zone == _CLUSTER else zone, zone)
            return 0
        if units:
            self.charge(zone, units)
        self.c_refs[c] = 1
        self.c_zone[c] = zone
        self.c_charge[c] = units
        self.c_shift[c] = shift
        self.c_low[c] = 0
        self.c_fill[c] = 0
        self.m_ext[m] = c
        self.m_off[m] = self.c_base[c]
        return m

    @cython.exceptval(check=False)
    def freed_twice(self, m: cython.int) -> cython.int:
        self.double_frees += 1
        assert False, f"mbuf {m} is freed twice"  # noqa: B011, PT015 (0 is the answer where asserts are off)
        return 0

    # --- a chain's shape ----------------------------------------------------------------------------------------

    @cython.exceptval(check=False)
    def room_after(self, m: cython.int) -> cython.int:
        """Octets that may still be written behind the data of `m`, in its own storage."""
        end: cython.longlong = self.m_off[m] + self.m_len[m]
        c: cython.int = self.m_ext[m]
        if c == 0:
            return cython.cast(cython.int, cython.cast(cython.longlong, m) * _MSIZE + _MLEN - end)
        if self.c_refs[c] > 1 and end != self.c_base[c] + self.c_fill[c]:
            return 0
        room: cython.longlong = self.c_base[c] + self.s_room[self.c_class[c]] - end
        return cython.cast(cython.int, room) if room > 0 else 0

    @cython.exceptval(check=False)
    def extend(self, m: cython.int, n: cython.int) -> cython.int:
        """Let the data of `m` grow by up to `n` octets of its room, charged; answers by how many.

        The caller writes them at the old end, `m_off[m] + m_len[m]` before the call. Short of both `n` and
        `room_after` means that a limit refused the rest.
        """
        room: cython.int = self.room_after(m)
        if n > room:
            n = room
        c: cython.int = self.m_ext[m]
        if c == 0 or n <= 0:
            if n > 0:
                self.m_len[m] += n
            return n if n > 0 else 0
        low: cython.int = self.c_low[c]
        end: cython.int = cython.cast(cython.int, self.m_off[m] - self.c_base[c]) + self.m_len[m]
        if self.c_refs[c] == 1:
            low = cython.cast(cython.int, self.m_off[m] - self.c_base[c])
            self.c_low[c] = low
        shift: cython.int = self.c_shift[c]
        zone: cython.int = self.c_zone[c]
        more: cython.longlong = ((end + n - low + (1 << shift) - 1) >> shift) - self.c_charge[c]
        left: cython.longlong
        if more > 0:
            if not self.admit(zone, more):
                left = self.units_left(zone)
                more = left if left < more else 0
                if more > 0 and not self.admit(zone, more):
                    more = 0
                n = cython.cast(cython.int, ((self.c_charge[c] + more) << shift) + low - end)
                if n < 0:
                    n = 0
            self.charge(zone, more)
            self.c_charge[c] += cython.cast(cython.int, more)
        self.c_fill[c] = end + n
        self.m_len[m] += n
        return n

    @cython.exceptval(check=False)
    def share(self, m: cython.int, skip: cython.int, length: cython.int) -> cython.int:
        """A new chain over `length` octets of chain `m` from `skip` on, or 0.

        Clusters are referenced, the data of plain mbufs is copied. 0 also where there is nothing to share.
        """
        head: cython.int = 0
        last: cython.int = 0
        new: cython.int
        c: cython.int
        n: cython.int
        while m and skip >= self.m_len[m]:
            skip -= self.m_len[m]
            m = self.m_next[m]
        while m and length > 0:
            n = self.m_len[m] - skip
            if n > length:
                n = length
            if n > 0:
                new = self.get()
                if new == 0:
                    self.free_chain(head)
                    return 0
                c = self.m_ext[m]
                if c:
                    self.c_refs[c] += 1
                    self.m_ext[new] = c
                    self.m_off[new] = self.m_off[m] + skip
                else:
                    copy_octets(self.arena, self.m_off[new], self.arena, self.m_off[m] + skip, n)
                self.m_len[new] = n
                if last:
                    self.m_next[last] = new
                else:
                    head = new
                last = new
                length -= n
            skip = 0
            m = self.m_next[m]
        return head

    @cython.exceptval(check=False)
    def trim_front(self, m: cython.int, n: cython.int) -> cython.int:
        """Drop the first `n` octets of a chain; answers its new head, 0 when all are gone."""
        c: cython.int
        low: cython.int
        while m and n >= self.m_len[m] and n > 0:
            n -= self.m_len[m]
            m = self.free(m)
        if m and n > 0:
            self.m_off[m] += n
            self.m_len[m] -= n
            c = self.m_ext[m]
            if c and self.c_refs[c] == 1:
                low = cython.cast(cython.int, self.m_off[m] - self.c_base[c])
                self.recharge(c, low, low + self.m_len[m])
        return m

    @cython.exceptval(check=False)
    def truncate(self, m: cython.int, length: cython.int) -> cython.int:
        """Keep only the first `length` octets of a chain; answers its head, 0 when none are left."""
        if length <= 0:
            self.free_chain(m)
            return 0
        head: cython.int = m
        c: cython.int
        low: cython.int
        while m and length > self.m_len[m]:
            length -= self.m_len[m]
            m = self.m_next[m]
        if m:
            self.free_chain(self.m_next[m])
            self.m_next[m] = 0
            self.m_len[m] = length
            c = self.m_ext[m]
            if c and self.c_refs[c] == 1:
                low = cython.cast(cython.int, self.m_off[m] - self.c_base[c])
                self.recharge(c, low, low + length)
        return head

    # --- octets in and out --------------------------------------------------------------------------------------

    @cython.exceptval(check=False)
    def append_bytes(
        self,
        m_tail: cython.int,
        data: cython.const[cython.uchar][::1],
        off: cython.Py_ssize_t,
        n: cython.Py_ssize_t,
    ) -> cython.int:
        """Write `n` octets of `data` from `off` behind `m_tail`, the last mbuf of a chain.

        They go into the room left in its storage, then into new mbufs linked behind. Answers the octets
        written; fewer than `n` were denied the rest.
        """
        done: cython.Py_ssize_t = 0
        m: cython.int = m_tail
        new: cython.int
        want: cython.int
        got: cython.int
        at: cython.longlong
        while True:
            want = self.room_after(m)
            if want > n - done:
                want = cython.cast(cython.int, n - done)
            at = self.m_off[m] + self.m_len[m]
            got = self.extend(m, want)
            copy_octets(self.arena, at, data, off + done, got)
            done += got
            if got < want or done == n:
                return cython.cast(cython.int, done)
            new = self.get_for(65536 if n - done > 65536 else cython.cast(cython.int, n - done))
            if new == 0:
                return cython.cast(cython.int, done)
            self.m_next[m] = new
            m = new

    @cython.exceptval(check=False)
    def new_chain(
        self, data: cython.const[cython.uchar][::1], off: cython.Py_ssize_t, n: cython.Py_ssize_t
    ) -> cython.int:
        """A new chain with `n` octets of `data` from `off`, all of them or 0. An empty mbuf for n = 0."""
        m: cython.int = self.get_for(65536 if n > 65536 else cython.cast(cython.int, n))
        if m and self.append_bytes(m, data, off, n) < n:
            self.free_chain(m)
            return 0
        return m

    @cython.exceptval(check=False)
    def import_chain(
        self, other, m: cython.int, skip: cython.int, length: cython.int
    ) -> cython.int:
        """Copy `length` octets of a chain of `other` from `skip` on into a new chain here, all or 0."""
        head: cython.int = 0
        last: cython.int = 0
        new: cython.int
        n: cython.int
        at: cython.longlong
        while m and skip >= other.m_len[m]:
            skip -= other.m_len[m]
            m = other.m_next[m]
        while m and length > 0:
            n = other.m_len[m] - skip
            if n > length:
                n = length
            if last == 0 or self.room_after(last) == 0:
                new = self.get_of(65536 if length > 65536 else length, _CLUSTER)
                if new == 0:
                    self.free_chain(head)
                    return 0
                if last:
                    self.m_next[last] = new
                else:
                    head = new
                last = new
            if n > self.room_after(last):
                n = self.room_after(last)
            at = self.m_off[last] + self.m_len[last]
            if self.extend(last, n) < n:
                self.free_chain(head)
                return 0
            copy_octets(self.arena, at, other.arena, other.m_off[m] + skip, n)
            length -= n
            skip += n
            if skip >= other.m_len[m]:
                skip = 0
                m = other.m_next[m]
        return head

    # --- landing: where a device's readv puts a whole packet ------------------------------------------------------

    @cython.exceptval(check=False)
    def land(self) -> cython.int:
        """An mbuf with BIG empty octets from `m_off` on, charged as nothing while it waits, or 0."""
        m: cython.int = self.attach(_S_BIG, _CLUSTER, 0, _WHOLE)
        if m:
            self.c_shift[self.m_ext[m]] = _BY_2K
        return m

    @cython.exceptval(check=False)
    def keep_landed(self, m: cython.int, skip: cython.int, n: cython.int) -> cython.int:
        """Make `n` octets from `skip` on of what landed in `m` data of a new chain, charged, or 0.

        Up to KEEP octets are copied into fitting storage: the answer is a new row, and `m` waits again. More
        keep their storage: the answer is `m` itself, and the caller needs another `land`.
        """
        new: cython.int
        units: cython.int
        c: cython.int = self.m_ext[m]
        if n <= 0:
            return 0
        if n <= _KEEP or self.c_class[c] != _S_BIG:
            new = self.get_of(n, _CLUSTER)
            if new == 0:
                return 0
            if self.extend(new, n) < n:
                self.free(new)
                return 0
            copy_octets(self.arena, self.m_off[new], self.arena, self.m_off[m] + skip, n)
            return new
        units = (n + 2047) >> _BY_2K
        if not self.admit(_CLUSTER, units):
            return 0
        self.charge(_CLUSTER, units)
        self.c_charge[c] = units
        self.c_low[c] = skip
        self.c_fill[c] = skip + n
        self.m_off[m] += skip
        self.m_len[m] = n
        return m

    @cython.exceptval(check=False)
    def would_deny(self, n: cython.int) -> cython.bint:
        """Whether storing `n` octets in a new chain would be denied now. Counts nothing."""
        if n <= _MHLEN:
            return self.mbufs_left() < 1
        if n <= 2048:
            return self.units_left(_CLUSTER) < 1
        shift: cython.int = _BY_2K if self.bulk_zone == _CLUSTER else _BY_4K
        return self.units_left(self.bulk_zone) < (n + (1 << shift) - 1) >> shift

    def column(self, name: str) -> memoryview:
        """A live column, for tests and views that read; KeyError for an unknown name."""
        return memoryview(
            {
                "m_next": self.m_next,
                "m_off": self.m_off,
                "m_len": self.m_len,
                "m_ext": self.m_ext,
                "c_refs": self.c_refs,
                "c_zone": self.c_zone,
                "c_base": self.c_base,
                "c_charge": self.c_charge,
                "c_class": self.c_class,
                "c_low": self.c_low,
                "c_fill": self.c_fill,
                "c_next": self.c_next,
                "s_free": self.s_free,
                "z_used": self.z_used,
                "z_total": self.z_total,
                "z_limit": self.z_limit,
            }[name]
        )
