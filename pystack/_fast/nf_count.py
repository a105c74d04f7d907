# cython: overflowcheck=False
# Jiffies wrap; the checked build must not stop them.

"""`-m connlimit`: how many flows there are.

Source: net/netfilter/xt_connlimit.c, nf_conncount.c; facts: conntrack 7.3.
"""

import cython

from pystack._fast.chain import FreeList
from pystack._fast.columns import column, grown
from pystack._fast.consts import PROTO_TCP
from pystack._fast.nf_consts import (
    H_STATUS,
    IPS_ASSURED,
    IPS_CONFIRMED,
    O_STATE,
    TCPCT_CLOSE,
    TCPCT_TIME_WAIT,
)
from pystack._fast.nf_match import Match
from pystack._fast.nf_rate import KeyTable

_U32 = cython.declare(cython.uint, 0xFFFFFFFF)
_GC_MOST = 64


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
