# cython: overflowcheck=False
# Jiffies wrap; the checked build must not stop them.

"""The matches of netfilter that limit rates: limit, hashlimit, every n-th packet; and the tables of such matches.

Tables that rules share by their name (`HashTable`, `nf_recent.RecentTable`) belong to whoever loads the rules. Storage
doubles when it is full and never shrinks; nothing is allocated for a packet otherwise.

Source: net/netfilter/xt_hashlimit.c, xt_statistic.c, nft_limit.c; facts: conntrack 7.3.
"""

import cython

from pystack._fast.chain import Chain, FreeList
from pystack._fast.columns import column, grown
from pystack._fast.hashing import sip2
from pystack._fast.nf_consts import (
    BY_DPORT,
    BY_DST,
    BY_SPORT,
    BY_SRC,
    JIFFY,
)
from pystack._fast.nf_match import Match

_MS = cython.declare(cython.longlong, 1_000_000)
_SECOND = cython.declare(cython.longlong, 1_000_000_000)
_CHUNK_SHIFT = 4
_BUCKETS = 1024


@cython.final
@cython.cclass
class Limit(Match):
    """`-m limit`: a bucket of `burst` tokens that gets one each `cost` ns, as nft's limit counts them."""

    def __init__(self, cost, burst):
        Match.__init__(self)
        self.cost = cost
        self.most = cost * burst
        self.tokens = self.most
        self.last = -1

    def test(self, p, state):
        """As `Match` has it."""
        if self.last >= 0:
            self.tokens += state.now - self.last
            if self.tokens > self.most:
                self.tokens = self.most
        self.last = state.now
        if self.tokens < self.cost:
            return False
        self.tokens -= self.cost
        return True


@cython.final
@cython.cclass
class Statistic(Match):
    """`-m statistic`: a chance of `threshold` / 2**31 where `every` is 0, else each `every`-th from `packet` on."""

    def __init__(self, threshold=0, every=0, packet=0, inverted=False):
        Match.__init__(self)
        self.threshold = threshold
        self.every = every
        self.count = every - 1 - packet
        self.inverted = inverted

    def test(self, p, state):
        """As `Match` has it."""
        fits: cython.bint
        if self.every == 0:
            fits = state.rng.next32() >> 1 < self.threshold
        else:
            fits = self.count == self.every - 1
            self.count = 0 if fits else self.count + 1
        return fits != self.inverted


@cython.cclass
class KeyTable:
    """Rows found by two words. `most` rows at most (0: no limit)."""

    def __init__(self, most=0):
        self.most = most
        self.capacity = 64
        self.free = FreeList(self.capacity)
        self.chain = Chain(_BUCKETS, self.capacity)
        self.first = column("Q", self.capacity + 1)
        self.second = column("Q", self.capacity + 1)
        self.when = column("q", self.capacity + 1)
        self.key0 = self.key1 = 0
        self.keyed = False

    def start(self, state):
        """The secret of the hash, drawn when the first packet comes. Answers 0."""
        secret = state.rng.fork(b"netfilter table")
        self.key0 = secret.next64()
        self.key1 = secret.next64()
        self.keyed = True
        return 0

    def grow(self):
        """Twice the room. Answers 0."""
        rows = 2 * self.capacity
        self.free.grow(rows)
        self.chain.grow(rows)
        self.first = grown(memoryview(self.first), rows + 1)
        self.second = grown(memoryview(self.second), rows + 1)
        self.when = grown(memoryview(self.when), rows + 1)
        self.capacity = rows
        return 0

    @cython.exceptval(check=False)
    def bucket(self, first: cython.ulonglong, second: cython.ulonglong) -> cython.uint:
        """The bucket of a key."""
        h: cython.ulonglong = sip2(self.key0, self.key1, first, second)
        return cython.cast(cython.uint, h & self.chain.mask)

    @cython.exceptval(check=False)
    def find(self, first: cython.ulonglong, second: cython.ulonglong) -> cython.int:
        """The row of a key, or 0."""
        row: cython.int = self.chain.head[self.bucket(first, second)]
        while row != 0 and (self.first[row] != first or self.second[row] != second):
            row = self.chain.next[row]
        return row

    def add(self, first, second):
        """A row for a new key; 0: there is no room."""
        row: cython.int
        if self.most > 0 and self.free.used >= self.most:
            return 0
        if self.free.used >= self.capacity:
            self.grow()
        row = self.free.take()
        self.first[row] = first
        self.second[row] = second
        self.chain.insert_head(self.bucket(first, second), row)
        return row

    @cython.exceptval(check=False)
    def remove(self, row: cython.int) -> cython.void:
        """The key is forgotten."""
        self.chain.remove(self.bucket(self.first[row], self.second[row]), row)
        self.free.give(row)


@cython.final
@cython.cclass
class HashTable(KeyTable):
    """What a hashlimit name remembers. Times in ns; `cost` of a packet, or of 16 octets with `in_octets`.

    `burst` packets; in octets, how often a second's worth may be had at once.
    """

    def __init__(self, cost, burst, in_octets=False, most=0, expire=10_000_000_000, interval=10**9):
        KeyTable.__init__(self, most)
        self.cost = cost
        self.burst = burst
        self.in_octets = in_octets
        self.expire = expire
        self.interval = interval
        self.swept = 0
        self.credit = column("q", self.capacity + 1)
        self.seen = column("q", self.capacity + 1)
        self.refills = column("I", self.capacity + 1)
        self.window = 0
        self.window_rate = 0
        self.window_most = 0

    def count_windows(self, rate, most, window):
        """Whole windows of so many ns instead, as --hashlimit-rate-match has it: `most` packets or octets in one, and
        none after one with more than `rate` a second. `credit` counts then, `refills` is 1 after such a window.
        """
        self.window_rate = rate
        self.window_most = most
        self.window = window

    def grow(self):
        """As `KeyTable` has it."""
        KeyTable.grow(self)
        self.credit = grown(memoryview(self.credit), self.capacity + 1)
        self.seen = grown(memoryview(self.seen), self.capacity + 1)
        self.refills = grown(memoryview(self.refills), self.capacity + 1)
        return 0

    @cython.exceptval(check=False)
    def sweep(self, turn: cython.longlong) -> cython.void:
        """The worker that comes each `interval` removes keys that were not seen for `expire`; this is its `turn`-th."""
        row: cython.int
        for row in range(1, self.capacity + 1):
            if self.free.in_use(row) and self.when[row] < turn * self.interval:
                self.remove(row)
        self.swept = turn

    def start_window(self, first, second, jiffies):
        """A row for a new key; 0: there is no room."""
        row: cython.int = self.add(first, second)
        if row != 0:
            self.credit[row] = 0
            self.refills[row] = 0
            self.seen[row] = jiffies
        return row

    @cython.exceptval(check=False)
    def below_in_window(
        self, row: cython.int, length: cython.int, now: cython.longlong
    ) -> cython.int:
        """`below`, where whole windows are counted."""
        jiffies: cython.longlong = now // JIFFY * JIFFY
        past: cython.longlong
        if row == 0:
            return -1
        past = jiffies - self.seen[row]
        if past >= self.window:
            # in milliseconds, lest the products become too large
            self.refills[row] = (
                self.credit[row] * (self.window // _MS) > past // _MS * self.window_rate
            )
            self.credit[row] = 0
            self.seen[row] = jiffies
        self.when[row] = now + self.expire
        self.credit[row] += length if self.in_octets else 1
        return self.refills[row] == 0 and self.credit[row] <= self.window_most

    def below(self, first, second, length, now):
        """Is a packet of so many octets within the limit? 1, 0, or -1: there is no room for its key."""
        jiffies: cython.longlong = now // JIFFY * JIFFY
        most: cython.longlong = _SECOND if self.in_octets else self.cost * self.burst
        row: cython.int
        price: cython.longlong
        if now // self.interval != self.swept:
            self.sweep(now // self.interval)
        row = self.find(first, second)
        if self.window != 0:
            return self.below_in_window(
                row or self.start_window(first, second, jiffies), length, now
            )
        if row == 0:
            row = self.add(first, second)
            if row == 0:
                return -1
            self.credit[row] = most
            self.refills[row] = self.burst
        else:
            self.credit[row] += jiffies - self.seen[row]
            if self.credit[row] > most:
                self.credit[row] = most
        self.seen[row] = jiffies
        self.when[row] = now + self.expire
        price = self.cost
        if self.in_octets:
            price = ((length >> _CHUNK_SHIFT) + 1) * self.cost
            if price > _SECOND:
                price = _SECOND
            if self.credit[row] < price and self.refills[row] > 0:
                self.refills[row] -= 1
                self.credit[row] = _SECOND
        if self.credit[row] < price:
            return 0
        self.credit[row] -= price
        return 1


@cython.cfunc
@cython.exceptval(check=False)
def _room_for_ports(proto: cython.int) -> cython.int:
    """Octets of a protocol's header up to where its ports end, or what stands in their place (the SPI of IPsec); 0:
    it has none.
    """
    if proto == 51:
        return 8
    return 4 if proto in (6, 17, 33, 50, 132, 136) else 0


@cython.final
@cython.cclass
class HashLimit(Match):
    """`-m hashlimit`: `mode` is a set of BY_*; `above` turns the answer round."""

    def __init__(self, table, mode, src_mask, dst_mask, above):
        Match.__init__(self)
        self.table = table
        self.mode = mode
        self.src_mask = src_mask
        self.dst_mask = dst_mask
        self.above = above

    def test(self, p, state):
        """As `Match` has it."""
        first: cython.ulonglong = 0
        second: cython.ulonglong = 0
        answer: cython.int
        if not self.table.keyed:
            self.table.start(state)
        if self.mode & BY_SRC:
            first = p.src & self.src_mask
            first = first << 32
        if self.mode & BY_DST:
            first |= p.dst & self.dst_mask
        if self.mode & (BY_SPORT | BY_DPORT):
            answer = _room_for_ports(p.proto)
            if p.head_len + p.length - p.ip_len < answer:
                state.hot_drop = True
                return False
            if answer > 0:
                if self.mode & BY_SPORT:
                    second = p.sport << 16
                if self.mode & BY_DPORT:
                    second |= p.dport
        answer = self.table.below(first, second, p.head_len + p.length, state.now)
        if answer < 0:
            state.hot_drop = True
            return False
        return (answer == 0) == self.above
