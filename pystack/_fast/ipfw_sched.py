"""Who is next on a line of dummynet: packets as they came, queues in turn, by weight, or flow by flow (FQ-CoDel).

A `Scheduler` belongs to one `ipfw_pipe.Line`. Packets are put into a queue (`ipfw_codel.Flow`) of it and taken when the
line is free; what the queues' CoDel drops on the way is in `lost`.

Facts: ipfw 4.3; WF2Q+: Bennett and Zhang 1996; DRR: Shreedhar and Varghese 1995; FQ-CoDel: RFC 8290.
"""

from collections import deque
from heapq import heappop, heappush

import cython

from pystack._fast.consts import PROTO_TCP, PROTO_UDP
from pystack._fast.hashing import sip2
from pystack._fast.ipfw_codel import Codel, Flow, FlowSet
from pystack._fast.ipfw_kinds import FIFO, FQ_CODEL, NO_MASK, RR
from pystack._fast.packet import Packet, PacketQueue

QUANTUM = 1500
"""Octets that a queue of weight 1 may send in its turn (RR)."""
_ONE = 1 << 32
_NEW = 1
_OLD = 2
"""The list in which a flow of FQ-CoDel waits for its turn; 0: in none, because it is empty."""


@cython.cclass
class Scheduler:
    """`lost`: packets that were dropped to keep queues short, for whoever took one."""

    def __init__(self):
        self.lost = PacketQueue()

    def put(self, flow, p, now):
        """A packet waits in its queue."""
        raise AssertionError("Scheduler.put is its kind's")

    def take(self, now):
        """The packet that is sent next, None if none waits."""
        raise AssertionError("Scheduler.take is its kind's")


@cython.final
@cython.cclass
class Fifo(Scheduler):
    """As they came, from whichever queue."""

    def __init__(self):
        Scheduler.__init__(self)
        self.turn = deque()

    def put(self, flow, p, now):
        """As `Scheduler` has it."""
        self.turn.append(flow)
        return flow.put(p, now)

    def take(self, now):
        """As `Scheduler` has it."""
        flow: Flow
        p: Packet
        while self.turn:
            flow = self.turn.popleft()
            if flow.gone > 0:  # its turn was that of a packet that was dropped
                flow.gone -= 1
                continue
            p = flow.leave(flow.flowset.codel, now, self.lost)
            if p is not None:
                return p
            flow.gone = 0
        return None


@cython.final
@cython.cclass
class InTurn(Scheduler):
    """Each queue as many octets as its weight allows, then the next one (DRR)."""

    def __init__(self):
        Scheduler.__init__(self)
        self.turn = deque()

    def put(self, flow, p, now):
        """As `Scheduler` has it."""
        flow.put(p, now)
        if flow.packets == 1:
            flow.deficit = 0
            self.turn.append(flow)
        return 0

    def take(self, now):
        """As `Scheduler` has it."""
        flow: Flow
        p: Packet
        while self.turn:
            flow = self.turn[0]
            p = flow.waiting.first
            if flow.deficit < p.head_len + p.length:
                flow.deficit += QUANTUM * flow.flowset.weight
                if flow.deficit < p.head_len + p.length or len(self.turn) > 1:
                    self.turn.rotate(-1)
                continue
            p = flow.leave(flow.flowset.codel, now, self.lost)
            if not flow.packets:
                self.turn.popleft()
            if p is not None:
                flow.deficit -= p.head_len + p.length
                return p
        return None


@cython.final
@cython.cclass
class ByWeight(Scheduler):
    """WF2Q+: of the queues whose turn has come the one whose packet would be through first if all had their shares."""

    def __init__(self):
        Scheduler.__init__(self)
        self.order = 0
        self.virtual = 0
        self.weights = 0
        self.ready = []
        self.early = []

    def put(self, flow, p, now):
        """As `Scheduler` has it."""
        flow.put(p, now)
        if flow.packets == 1:
            flow.start = max(flow.finish, self.virtual)
            self._compete(flow)
        return 0

    def _compete(self, flow):
        """The first packet of a queue stands for it: when would it be through if all had what their weights say?"""
        p: Packet = flow.waiting.first
        self.weights += flow.flowset.weight - flow.counted
        flow.counted = flow.flowset.weight
        flow.finish = flow.start + (p.head_len + p.length) * _ONE // flow.counted
        heappush(self.early, (flow.start, self.order, flow))
        self.order += 1
        return 0

    def take(self, now):
        """As `Scheduler` has it."""
        flow: Flow
        p: Packet = None
        while p is None:
            flow = self._first()
            if flow is None:
                return None
            p = flow.leave(flow.flowset.codel, now, self.lost)
            if p is not None:
                self.virtual += (p.head_len + p.length) * _ONE // self.weights
            flow.start = flow.finish
            if flow.packets:
                self._compete(flow)
            else:
                self.weights -= flow.counted
                flow.counted = 0
        return p

    def _first(self):
        """Of those whose turn has come the one that would be through first."""
        if not self.ready and self.early:
            self.virtual = max(self.virtual, self.early[0][0])
        while self.early and self.early[0][0] <= self.virtual:
            flow: Flow = heappop(self.early)[2]
            heappush(self.ready, (flow.finish, self.order, flow))
            self.order += 1
        return heappop(self.ready)[2] if self.ready else None


@cython.final
@cython.cclass
class FlowList:
    """Flows one behind the other, linked through `Flow.next`."""

    def __init__(self):
        self.first = None
        self.last = None

    def push(self, flow):
        """A flow that is in no list goes to the end."""
        flow.next = None
        if self.last is None:
            self.first = flow
        else:
            self.last.next = flow
        self.last = flow
        return 0

    def shift(self):
        """The first one goes."""
        flow: Flow = self.first
        self.first = flow.next
        if self.first is None:
            self.last = None
        flow.next = None
        return 0


@cython.final
@cython.cclass
class FairQueues:
    """What FQ-CoDel is told: `codel` for each flow; `quantum`: octets that one may send in its turn; `limit`: packets
    that may wait in all; `flows`: how many are told apart.
    """

    def __init__(self):
        self.codel = Codel(ecn=True)
        self.quantum = 1514
        self.limit = 10240
        self.flows = 1024


@cython.final
@cython.cclass
class FairCodel(Scheduler):
    """FQ-CoDel (RFC 8290): each flow has a queue of its own with CoDel, those that had nothing to send go first.

    `all` counts the packets of all flows and holds none. `seed`: of the hash that tells them apart.
    """

    def __init__(self, told, seed):
        Scheduler.__init__(self)
        self.told = told
        self.seed = seed
        self.all = Flow(FlowSet(0), NO_MASK)
        self.flows = {}
        self.new = FlowList()
        self.old = FlowList()

    def flow_of(self, p):
        """The queue of a packet's flow."""
        which: cython.uint = bucket(p, self.seed, self.told.flows)
        flow: Flow = self.flows.get(which)
        if flow is None:
            flow = self.flows[which] = Flow(self.all.flowset, NO_MASK)
        return flow

    def put(self, flow, p, now):
        """As `Scheduler` has it. Where there are too many packets the fattest flow loses its oldest one."""
        flow = self.flow_of(p)
        flow.put(p, now)
        self.all.packets += 1
        self.all.octets += p.head_len + p.length
        if flow.listed == 0:
            flow.listed = _NEW
            flow.deficit = self.told.quantum
            self.new.push(flow)
        if self.all.packets > self.told.limit:
            p = self._fattest().pop()
            self.all.packets -= 1
            self.all.octets -= p.head_len + p.length
            self.all.dropped += 1
            self.lost.push(p)
        return 0

    def _fattest(self):
        """The flow of most octets."""
        flow: Flow
        fattest: Flow = None
        for flow in self.flows.values():
            if fattest is None or flow.octets > fattest.octets:
                fattest = flow
        return fattest

    def take(self, now):
        """As `Scheduler` has it. New flows come before old ones; whoever has had its turn is old, and whoever is empty
        then leaves, but not from the new to be new again at once.
        """
        flow: Flow
        p: Packet
        turns: FlowList
        packets: cython.int
        octets: cython.longlong
        while True:
            turns = self.new if self.new.first is not None else self.old
            flow = turns.first
            if flow is None:
                return None
            if flow.deficit <= 0:
                flow.deficit += self.told.quantum
                turns.shift()
                flow.listed = _OLD
                self.old.push(flow)
                continue
            packets = flow.packets
            octets = flow.octets
            p = flow.leave(self.told.codel, now, self.lost)
            packets -= flow.packets
            self.all.packets -= packets
            self.all.octets -= octets - flow.octets
            self.all.dropped += packets if p is None else packets - 1
            if p is not None:
                flow.deficit -= p.head_len + p.length
                return p
            turns.shift()
            flow.listed = 0
            if turns is self.new:
                flow.listed = _OLD
                self.old.push(flow)


@cython.exceptval(check=False)
def bucket(p: Packet, seed: cython.ulonglong, n: cython.uint) -> cython.uint:
    """Which of `n` flows is a packet's? That of its addresses, protocol and ports."""
    ends: cython.ulonglong = p.src
    ports: cython.ulonglong = cython.cast(cython.uint, p.proto)
    if p.frag_off == 0 and not p.mf and (p.proto == PROTO_TCP or p.proto == PROTO_UDP):
        ports = ports << 32 | cython.cast(cython.uint, p.sport) << 16 | p.dport
    return cython.cast(cython.uint, sip2(seed, seed, ends << 32 | p.dst, ports) % n)


def scheduler(kind, told, seed):
    """One of a kind. `told`, `seed`: as FQ-CoDel wants them."""
    if kind == FQ_CODEL:
        return FairCodel(told, seed)
    if kind == FIFO:
        return Fifo()
    return InTurn() if kind == RR else ByWeight()
