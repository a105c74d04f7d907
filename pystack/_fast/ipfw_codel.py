"""A queue of dummynet, and CoDel, which keeps packets from standing in one.

A `Flow` is packets in the order in which they came. What `CodelState` does to them when they leave is the pseudocode of
RFC 8289, section 5: when every packet of an `interval` had to wait for longer than the `target` packets are dropped (or
marked, where both ends understand ECN), ever more often until the next one had not. Times are of the machine's clock;
those of the packets are kept in two fields of theirs that only netfilter uses.
"""

import cython

from pystack._fast.ipfw_kinds import NO_MASK
from pystack._fast.nf_target import put_tos
from pystack._fast.packet import Packet, PacketQueue

_LOW = cython.declare(cython.longlong, (1 << 30) - 1)
_CE = 3
"""Congestion was experienced: both bits of ECN."""
_AGAIN = 16
"""Intervals within which a new time of dropping goes on where the last one was."""
_MSEC = 1_000_000


@cython.final
@cython.cclass
class Codel:
    """What CoDel is told: `target` and `interval` in ns, `ecn`: packets are marked where that is possible."""

    def __init__(self, target=5 * _MSEC, interval=100 * _MSEC, ecn=False):
        self.target = target
        self.interval = interval
        self.ecn = ecn


@cython.final
@cython.cclass
class FlowSet:
    """How packets wait: `slots` of them or (not 0) `octets`; `plr` of 0x7fffffff are lost. `mask`: what of protocol,
    source, port, destination, port tells flows apart. `silent`: nobody is told that there was no room (`noerror`);
    `buckets`: what a listing says of its table; `codel`: None for queues that drop only when they are full.
    """

    def __init__(self, number):
        self.number = number
        self.pipe = 0
        self.slots = 50
        self.octets = 0
        self.plr = 0
        self.weight = 1
        self.mask = NO_MASK
        self.silent = False
        self.buckets = 1
        self.codel = None


@cython.final
@cython.cclass
class Flow:
    """One queue of so many `packets` and `octets`. `start`, `finish`: its virtual times, `counted` the weight that it
    competes with (WF2Q+); `deficit`: octets that it may still send in its turn (RR, FQ-CoDel); `listed`, `next`: its
    place there. `gone`: packets that were dropped and whose turn is still to come (FIFO).
    """

    def __init__(self, flowset, key):
        self.flowset = flowset
        self.key = key
        self.waiting = PacketQueue()
        self.packets = 0
        self.octets = 0
        self.start = 0
        self.finish = 0
        self.counted = 0
        self.deficit = 0
        self.listed = 0
        self.next = None
        self.gone = 0
        self.total = 0
        self.total_octets = 0
        self.dropped = 0
        self.marked = 0
        self.dropping = False
        self.above = 0
        self.due = 0
        self.count = 0
        self.last_count = 0
        self.largest = 0

    def put(self, p, now):
        """A packet waits from now on."""
        size: cython.int = p.head_len + p.length
        p.ct = cython.cast(cython.int, now >> 30)
        p.ct_state = cython.cast(cython.int, now & _LOW)
        self.waiting.push(p)
        self.packets += 1
        self.octets += size
        if size > self.largest:
            self.largest = size
        return 0

    def pop(self):
        """The first packet, whatever became of its time; None: there is none."""
        p: Packet = self.waiting.pop()
        if p is not None:
            self.packets -= 1
            self.octets -= p.head_len + p.length
            p.ct = 0
            p.ct_state = 0
        return p

    def leave(self, codel, now, lost):
        """The packet that leaves; None: there is none, or none is left. What CoDel drops goes to `lost`."""
        p: Packet
        stands: cython.bint
        if codel is None:
            return self.pop()
        stands = self._stands(codel, now)
        p = self.pop()
        if p is None:
            self.dropping = False
            return None
        if self.dropping:
            if not stands:
                self.dropping = False
            while self.dropping and now >= self.due:
                self.count += 1
                if codel.ecn and self._mark(p):
                    self.due += step(codel.interval, self.count)
                    return p
                self._drop(p, lost)
                stands = self._stands(codel, now)
                p = self.pop()
                if p is None or not stands:
                    self.dropping = False
                else:
                    self.due += step(codel.interval, self.count)
        elif stands:
            if not (codel.ecn and self._mark(p)):
                self._drop(p, lost)
                self._stands(codel, now)
                p = self.pop()
            self._begin(codel, now)
        return p

    def _begin(self, codel, now):
        """Packets are dropped from now on: at first as often as last time, if that was not long ago."""
        lately: cython.int = self.count - self.last_count
        self.dropping = True
        self.count = 1
        if lately > 1 and now - self.due < _AGAIN * codel.interval:
            self.count = lately
        self.due = now + step(codel.interval, self.count)
        self.last_count = self.count
        return 0

    def _stands(self, codel, now):
        """Has the first packet waited for too long, and every other one of an interval before it?"""
        p: Packet = self.waiting.first
        since: cython.longlong
        if p is None:
            self.above = 0
            return False
        since = p.ct
        since = since << 30 | p.ct_state
        if now - since < codel.target or self.octets - p.head_len - p.length <= self.largest:
            self.above = 0
            return False
        if self.above == 0:
            self.above = now + codel.interval
            return False
        return now >= self.above

    def _drop(self, p, lost):
        self.dropped += 1
        self.gone += 1
        lost.push(p)
        return 0

    def _mark(self, p):
        """True if its ends understand ECN: they are told instead."""
        if p.tos & _CE == 0:
            return False
        put_tos(p, p.tos | _CE)
        self.marked += 1
        return True


@cython.exceptval(check=False)
def step(interval: cython.longlong, count: cython.longlong) -> cython.longlong:
    """The time to the next drop: the interval by the square root of how many there were."""
    wide: cython.longlong = count << 16
    root: cython.longlong = wide
    better: cython.longlong = (wide + 1) >> 1
    while better < root:
        root = better
        better = (root + wide // root) >> 1
    return (interval << 8) // root
