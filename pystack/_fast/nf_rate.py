# cython: overflowcheck=False
# Jiffies wrap; the checked build must not stop them.

"""The matches of netfilter that remember: limits, lists of addresses, counts of flows, every n-th packet.

Tables that rules share by their name (`HashTable`, `RecentTable`) belong to whoever loads the rules. Storage doubles
when it is full and never shrinks; nothing is allocated for a packet otherwise.

Source: net/netfilter/xt_hashlimit.c, xt_recent.c, xt_statistic.c, xt_connlimit.c, nf_conncount.c, nft_limit.c; facts:
conntrack 7.3.
"""

import cython

from pystack._fast.chain import Chain, FreeList
from pystack._fast.columns import column, grown
from pystack._fast.consts import (
    PROTO_TCP,
)
from pystack._fast.hashing import sip2
from pystack._fast.nf_consts import (
    BY_DPORT,
    BY_DST,
    BY_SPORT,
    BY_SRC,
    H_STATUS,
    IPS_ASSURED,
    IPS_CONFIRMED,
    JIFFY,
    O_STATE,
    RECENT_REMOVE,
    RECENT_SET,
    RECENT_UPDATE,
    TCPCT_CLOSE,
    TCPCT_TIME_WAIT,
)
from pystack._fast.nf_hook import LOCAL_IN, PREROUTING
from pystack._fast.nf_match import Match

RECENT_ENTRIES = 100
"""Addresses that a list holds (the module's ip_list_tot)."""
RECENT_STAMPS = 32

_MS = cython.declare(cython.longlong, 1_000_000)
_SECOND = cython.declare(cython.longlong, 1_000_000_000)
_U32 = cython.declare(cython.uint, 0xFFFFFFFF)
_CHUNK_SHIFT = 4
_GC_MOST = 64
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


@cython.final
@cython.cclass
class ConnLimit(Match):
    """`-m connlimit`: how many flows there are of an address under a mask, this one included.

    It keeps its own lists of flows and asks conntrack about each when a list is looked at, at most once a jiffy: those
    that conntrack does not know, and TCP in TIME_WAIT or CLOSE, are struck off.
    """

    def __init__(self, limit, mask=0xFFFFFFFF, by_dst=False, above=True):
        Match.__init__(self)
        self.limit = limit
        self.mask = mask
        self.by_dst = by_dst
        self.above = above
        self.lists = KeyTable()
        self._lists_room(self.lists.capacity)
        self.capacity = 64
        self.free = FreeList(self.capacity)
        self.addrs = column("Q", self.capacity + 1)
        self.ports = column("Q", self.capacity + 1)
        self.after = column("i", self.capacity + 1)

    def _lists_room(self, rows):
        self.head = column("i", rows + 1)
        self.tail = column("i", rows + 1)
        self.count = column("i", rows + 1)
        self.cleaned = column("I", rows + 1)

    def _grow_lists(self):
        rows = self.lists.capacity
        self.head = grown(memoryview(self.head), rows + 1)
        self.tail = grown(memoryview(self.tail), rows + 1)
        self.count = grown(memoryview(self.count), rows + 1)
        self.cleaned = grown(memoryview(self.cleaned), rows + 1)
        return 0

    def _grow(self):
        rows = 2 * self.capacity
        self.free.grow(rows)
        self.addrs = grown(memoryview(self.addrs), rows + 1)
        self.ports = grown(memoryview(self.ports), rows + 1)
        self.after = grown(memoryview(self.after), rows + 1)
        self.capacity = rows
        return 0

    def clean(self, key, addrs, ports, state):
        """Strike off what is over. Is this flow in the list already?"""
        item: cython.int = self.head[key]
        last: cython.int = 0
        after: cython.int
        node: cython.int
        struck: cython.int = 0
        mine: cython.bint
        table = state.conntrack
        while item != 0 and struck <= _GC_MOST:
            after = self.after[item]
            mine = self.addrs[item] == addrs and self.ports[item] == ports
            node = table.find(
                self.addrs[item],
                self.ports[item],
                table.hash_of(self.addrs[item], self.ports[item]),
            )
            if node != 0 and mine:
                return True
            if node == 0 or (
                (self.ports[item] >> 16) & 0xFF == PROTO_TCP
                and (
                    table.octet[(node >> 1 << 6) + O_STATE] == TCPCT_TIME_WAIT
                    or table.octet[(node >> 1 << 6) + O_STATE] == TCPCT_CLOSE
                )
            ):
                if last != 0:
                    self.after[last] = after
                else:
                    self.head[key] = after
                if after == 0:
                    self.tail[key] = last
                self.free.give(item)
                self.count[key] -= 1
                struck += 1
            else:
                last = item
            item = after
        self.cleaned[key] = table.jiffies
        return False

    def put(self, key, addrs, ports):
        """The flow at the end of the list."""
        item: cython.int
        if self.free.used >= self.capacity:
            self._grow()
        item = self.free.take()
        self.addrs[item] = addrs
        self.ports[item] = ports
        self.after[item] = 0
        if self.tail[key] != 0:
            self.after[self.tail[key]] = item
        else:
            self.head[key] = item
        self.tail[key] = item
        self.count[key] += 1
        return 0

    def test(self, p, state):
        """As `Match` has it."""
        row: cython.int = p.ct
        addr: cython.uint = (p.dst if self.by_dst else p.src) & self.mask
        zone: cython.ulonglong = p.ct_zone
        key: cython.int
        addrs: cython.ulonglong
        ports: cython.ulonglong
        status: cython.int = 0
        if state.conntrack is None:
            state.hot_drop = True
            return False
        if not self.lists.keyed:
            self.lists.start(state)
        if row != 0:
            addrs = state.conntrack.keys[4 * row]
            ports = state.conntrack.keys[4 * row + 1]
            zone = ports & 0xFFFF
            status = state.conntrack.half[(row << 5) + H_STATUS]
        else:
            addrs = p.src
            addrs = addrs << 32 | p.dst
            ports = state.conntrack.ports_of(p)
        key = self.lists.find(addr, zone)
        if key == 0:
            key = self.lists.add(addr, zone)
            if self.head.shape[0] <= self.lists.capacity:
                self._grow_lists()
            self.head[key] = self.tail[key] = self.count[key] = 0
            self.cleaned[key] = (state.conntrack.jiffies - 1) & _U32
        if status & IPS_CONFIRMED and status & IPS_ASSURED:
            if self.cleaned[key] != state.conntrack.jiffies:
                self.clean(key, 0, 0, state)  # it counts already, or never did
        elif self.cleaned[key] == state.conntrack.jiffies:
            self.put(key, addrs, ports)
        elif not self.clean(key, addrs, ports, state):
            self.put(key, addrs, ports)
        return (self.count[key] > self.limit) == self.above
