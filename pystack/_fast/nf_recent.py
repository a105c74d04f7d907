# cython: overflowcheck=False
# Jiffies wrap; the checked build must not stop them.

"""`-m recent`: lists of addresses that were seen.

Source: net/netfilter/xt_recent.c; facts: conntrack 7.3.
"""

import cython

from pystack._fast.columns import column, grown
from pystack._fast.nf_consts import (
    JIFFY,
    RECENT_REMOVE,
    RECENT_SET,
    RECENT_UPDATE,
)
from pystack._fast.nf_hook import LOCAL_IN, PREROUTING
from pystack._fast.nf_match import Match
from pystack._fast.nf_rate import KeyTable

RECENT_ENTRIES = 100
"""Addresses that a list holds (the module's ip_list_tot)."""
RECENT_STAMPS = 32


@cython.final
@cython.cclass
class RecentTable(KeyTable):
    """A list of `-m recent`: for each address its TTL and the times at which it was seen, the last `stamps` of them."""

    def __init__(self, stamps=RECENT_STAMPS):
        KeyTable.__init__(self, RECENT_ENTRIES)
        self.stamps = stamps
        rows = self.capacity + 1
        self.ttl = column("B", rows)
        self.number = column("I", rows)
        self.place = column("I", rows)
        self.times = column("q", rows * stamps)
        self.turn = 0

    def grow(self):
        """As `KeyTable` has it."""
        KeyTable.grow(self)
        rows = self.capacity + 1
        self.ttl = grown(memoryview(self.ttl), rows)
        self.number = grown(memoryview(self.number), rows)
        self.place = grown(memoryview(self.place), rows)
        self.times = grown(memoryview(self.times), rows * self.stamps)
        return 0

    def widen(self, stamps):
        """Room for more times of each address; what is known of those that are there begins anew."""
        if stamps > self.stamps:
            self.stamps = stamps
            self.times = column("q", (self.capacity + 1) * stamps)
            for row in range(1, self.capacity + 1):
                self.number[row] = self.place[row] = 0

    @cython.exceptval(check=False)
    def forget_oldest(self) -> cython.void:
        """The address that was seen longest ago makes room."""
        row: cython.int
        oldest: cython.int = 0
        for row in range(1, self.capacity + 1):
            if self.free.in_use(row) and (oldest == 0 or self.when[row] < self.when[oldest]):
                oldest = row
        self.remove(oldest)

    @cython.exceptval(check=False)
    def seen(self, row: cython.int, ttl: cython.int, now: cython.longlong) -> cython.void:
        """The address was seen now."""
        self.turn += 1
        self.when[row] = self.turn
        self.ttl[row] = ttl & 0xFF
        self.times[row * self.stamps + self.place[row]] = now
        self.place[row] = (self.place[row] + 1) % self.stamps
        if self.number[row] < self.place[row]:
            self.number[row] = self.place[row]
        elif self.place[row] == 0:
            self.number[row] = self.stamps

    @cython.exceptval(check=False)
    def hits(self, row: cython.int, since: cython.longlong) -> cython.int:
        """How often it was seen since then (below 0: ever)."""
        i: cython.int
        count: cython.int = 0
        for i in range(self.number[row]):
            if since < 0 or self.times[row * self.stamps + i] >= since:
                count += 1
        return count

    @cython.exceptval(check=False)
    def reap(self, since: cython.longlong, but: cython.int) -> cython.void:
        """The address of longest ago goes if it was not seen since then, unless it is `but`."""
        row: cython.int
        oldest: cython.int = 0
        for row in range(1, self.capacity + 1):
            if self.free.in_use(row) and (oldest == 0 or self.when[row] < self.when[oldest]):
                oldest = row
        if oldest != 0 and oldest != but and self.hits(oldest, since) == 0:
            self.remove(oldest)


@cython.final
@cython.cclass
class Recent(Match):
    """`-m recent`: `action` is one of RECENT_*, `seconds` in ns (0: ever), `by_dst` the list is of destinations."""

    def __init__(
        self,
        table,
        action,
        mask=0xFFFFFFFF,
        by_dst=False,
        seconds=0,
        hit_count=0,
        same_ttl=False,
        reap=False,
        inverted=False,
    ):
        Match.__init__(self)
        self.table = table
        self.action = action
        self.mask = mask
        self.by_dst = by_dst
        self.seconds = seconds
        self.hit_count = hit_count
        self.same_ttl = same_ttl
        self.reap = reap
        self.inverted = inverted

    def test(self, p, state):
        """As `Match` has it."""
        fits: cython.bint = self.inverted
        table: RecentTable = self.table
        addr: cython.uint = (p.dst if self.by_dst else p.src) & self.mask
        ttl: cython.int = p.ttl
        now: cython.longlong = state.now // JIFFY * JIFFY
        row: cython.int
        since: cython.longlong = -1
        if not table.keyed:
            table.start(state)
        if p.iface_in >= 0 and state.hook != PREROUTING and state.hook != LOCAL_IN:
            ttl += 1  # as it was before this machine passed it on
        row = table.find(addr, 0)
        if row != 0 and self.same_ttl and table.ttl[row] != ttl:
            row = 0
        if row == 0:
            if self.action != RECENT_SET:
                return fits
            if table.free.used >= table.most:
                table.forget_oldest()
            row = table.add(addr, 0)
            table.number[row] = 0
            table.place[row] = 0
            table.seen(row, ttl, now)
            return not fits
        if self.action == RECENT_SET:
            fits = not fits
        elif self.action == RECENT_REMOVE:
            table.remove(row)
            return not fits
        else:
            if self.seconds > 0:
                since = now - self.seconds
                if since < 0:
                    since = 0
            if table.hits(row, since) >= (self.hit_count if self.hit_count > 0 else 1):
                fits = not fits
            if self.reap and self.seconds > 0:
                table.reap(since, row if self.action == RECENT_UPDATE and fits else 0)
                row = table.find(addr, 0)
        if row != 0 and (self.action == RECENT_SET or (self.action == RECENT_UPDATE and fits)):
            table.seen(row, ttl, now)
        return fits
