"""dummynet: the pipes and queues that rules of ipfw hand packets to, and how they leave them.

    rule `pipe N`  → the pipe's own queue                → Line → delay → back to where the rule stood
    rule `queue N` → its queue, with others, by a weight → Line → delay → …

A `Line` is one transmitter. A pipe has one for its own packets and one for those of its queues; with a mask it has one
for each flow that the mask tells apart. A queue with a mask is as many queues of equal weight.

The time of each bit is exact, as it is on a `wire.Wire`: a packet has left when its last bit has, the next one begins
there, and what is less than a nanosecond carries over. While a line is idle it saves up to `burst` bits, which the next
packets need not wait for. With `io_fast` a packet that finds a line idle leaves before its bits are counted.

Which packet is next is a `Scheduler`'s to say (`ipfw_sched`), what becomes of those that wait for too long a
queue's own (`ipfw_codel`).

A packet that waits here keeps in `ct_zone` the row of its rule, in `ct_hash` that rule's number, and in `ct_way` 1 if
it is on its way out: FreeBSD has no other use for them.

Facts: ipfw 4.3.
"""

import cython

from pystack._fast.consts import NEVER, TIMER_FLOW, Drop
from pystack._fast.ip4 import split, split_count
from pystack._fast.ipfw_codel import Codel, Flow, FlowSet
from pystack._fast.ipfw_kinds import FIFO, FQ_CODEL, NO_MASK, WF2Q
from pystack._fast.ipfw_sched import FairCodel, FairQueues, scheduler
from pystack._fast.packet import Packet
from pystack._fast.transit import Transit

LINK_LOSS = int(Drop.LINK_LOSS)
LINK_QUEUE = int(Drop.LINK_QUEUE)
MBUF = int(Drop.MBUF)
FLOWS_MAX = 65536
"""Flows that one line tells apart; packets of more are dropped."""
_PLR = cython.declare(cython.uint, 0x7FFFFFFF)
_BIT_NS = cython.declare(cython.longlong, 8_000_000_000)
_NEVER = cython.declare(cython.longlong, NEVER)
_SECOND = cython.declare(cython.longlong, 1_000_000_000)


@cython.final
@cython.cclass
class Pipe:
    """A bandwidth (`rate` bits a second, 0: no limit), a `delay` in ns and a `burst` in bits; the scheduler of its
    queues. `mask`: what tells its lines apart; `queue_mask` the same for the lines of its queues; `fair`: what their
    FQ-CoDel is told.
    """

    def __init__(self, number):
        self.number = number
        self.rate = 0
        self.delay = 0
        self.burst = 0
        self.mask = NO_MASK
        self.own = FlowSet(number)
        self.kind = WF2Q
        self.queue_mask = NO_MASK
        self.queue_buckets = 1
        self.fair = FairQueues()
        self.lines = {}
        self.queue_lines = {}


@cython.final
@cython.cclass
class Line:
    """One transmitter and the packets behind it. It is `occupied` `until` then, by the packet `sending`. `clock` and
    `part` / rate: the exact time (ns) up to which its bits are used; `owner`: of its timer. `flows`: its queues, where
    the scheduler is not one that makes its own.
    """

    def __init__(self, pipe, kind, timer, owner, seed):
        self.pipe = pipe
        self.kind = kind
        self.timer = timer
        self.owner = owner
        self.flows = {}
        self.occupied = False
        self.sending = None
        self.until = 0
        self.clock = 0
        self.part = 0
        self.last_due = 0
        self.way = Transit()
        self.sched = scheduler(kind, pipe.fair, seed)

    def queues(self):
        """All queues of the line, by what tells them apart."""
        if self.kind == FQ_CODEL:
            fair: FairCodel = self.sched
            return fair.flows
        return self.flows

    def forget_idle(self):
        """Queues in which nothing waits go."""
        flow: Flow
        for key, flow in list(self.flows.items()):
            if not flow.packets:
                del self.flows[key]

    # --- time ------------------------------------------------------------------------------------------------

    def begin(self, now, fast):
        """A packet waits and nothing is sent: the line may have saved a burst."""
        pipe: Pipe = self.pipe
        saved: cython.longlong = 0
        if pipe.rate > 0:
            saved = pipe.burst * _SECOND // pipe.rate
        if self.clock < now - saved:
            self.clock = now - saved
            self.part = 0
        return self._next(now, fast)

    def _next(self, now, fast):
        """Put the next packet on the line, `now` at the earliest."""
        bits: cython.longlong
        pipe: Pipe = self.pipe
        p: Packet = self.sched.take(now)
        self.occupied = p is not None
        self.sending = p
        if p is None:
            return 0
        if pipe.rate > 0:
            bits = (p.head_len + p.length) * _BIT_NS + self.part
            self.clock += bits // pipe.rate
            self.part = bits % pipe.rate
        self.until = max(self.clock, now)
        if fast:
            self.sending = None
            self._sent(p, now)
        return 1

    def _sent(self, p, now):
        """A packet has left the transmitter. Nobody overtakes, even if the delay was made shorter."""
        pipe: Pipe = self.pipe
        self.last_due = max(now + pipe.delay, self.last_due)
        self.way.push(p, -1, self.last_due, 0)
        return 0

    def run(self, now):
        """What has left the transmitter by now is on its way; whatever waits follows it."""
        while self.occupied and self.until <= now:
            if self.sending is not None:
                self._sent(self.sending, self.until)
            self._next(self.until, False)
        return 0

    @cython.exceptval(check=False)
    def deadline(self):
        """When something happens next, NEVER if nothing is here."""
        due: cython.longlong = _NEVER
        if self.occupied:
            due = self.until
        if self.way.count and self.way._due[self.way._head] < due:
            due = self.way._due[self.way._head]
        return due

    def pop(self, now):
        """The next packet whose delay is over, or None."""
        p: Packet
        if self.way.count == 0 or self.way._due[self.way._head] > now:
            return None
        p = self.way._packets[self.way._head]
        self.way.forget_first()
        return p

    def clear(self):
        """Every packet here, which is the caller's now."""
        flow: Flow
        found = [] if self.sending is None else [self.sending]
        while self.way.count:
            found.append(self.way._packets[self.way._head])
            self.way.forget_first()
        for flow in self.queues().values():
            while flow.packets:
                found.append(flow.pop())
        self.occupied = False
        self.sending = None
        return found


@cython.final
@cython.cclass
class Dummynet:
    """The pipes and queues (`sets`) of a machine by their numbers. The knobs are `io_fast`, `expire`, `slot_limit`,
    `byte_limit`, `hash_size`; `codel` and `fair` are what queues and schedulers are told that do not say it themselves;
    `taken` counts packets, `fast` those that did not wait, `dropped` those without room.
    """

    def __init__(self, net):
        self.net = net
        self.pipes = {}
        self.sets = {}
        self.by_owner = {}
        self.owners = 0
        self.io_fast = False
        self.expire = True
        self.slot_limit = 100
        self.byte_limit = 1 << 20
        self.hash_size = 64
        self.codel = Codel()
        self.fair = FairQueues()
        self.taken = 0
        self.fast = 0
        self.dropped = 0

    def take(self, p, number, queue):
        """A rule hands over a packet, which is dummynet's from now on. False: it is dropped, for want of room or of a
        pipe, and whoever sent it is to be told.
        """
        flowset: FlowSet = self.sets.get(number) if queue else None
        pipe: Pipe = self.pipes.get(flowset.pipe if flowset is not None else number)
        if queue and flowset is None:
            pipe = None
        if not queue and pipe is not None:
            flowset = pipe.own
        self.taken += 1
        if pipe is None:
            self.dropped += 1
            self.net.reject(p, LINK_QUEUE)
            return False
        return self._into(pipe, flowset, p, queue) or flowset.silent

    def _into(self, pipe, flowset, p, queue):
        """A packet into its queue, super-segments as what they are made of. False: it is dropped, or some of them."""
        one: Packet
        taken: cython.bint = True
        i: cython.int
        n: cython.int = 1
        line: Line = self._line(pipe, queue, p)
        if line is None or not self.net.own_payload(p):
            self.dropped += 1
            self.net.reject(p, MBUF)
            return False
        flow: Flow = self._flow(line, flowset, p)
        if flow is None:
            self.dropped += 1
            self.net.reject(p, LINK_QUEUE)
            return False
        if p.gso_size > 0 and p.length > p.gso_size:
            n = split_count(p)
            for i in range(n):
                one = self.net.packet()
                if not split(p, i, one):
                    one.release()
                    self.net.drops[MBUF] += 1
                    taken = False
                    break
                one.iface_in = p.iface_in
                one.iface_out = p.iface_out
                one.ct_zone = p.ct_zone
                one.ct_hash = p.ct_hash
                one.ct_way = p.ct_way
                taken = self._offer(line, flow, one) and taken
            p.release()
        else:
            taken = self._offer(line, flow, p)
        self._arm(line)
        return taken

    def _line(self, pipe, queue, p):
        """The line for a packet; None if there is no room for another one."""
        line: Line
        lines = pipe.queue_lines if queue else pipe.lines
        key = masked(p, pipe.queue_mask if queue else pipe.mask)
        line = lines.get(key)
        if line is None:
            if len(lines) >= FLOWS_MAX:
                self._forget_idle(lines)
            timer: cython.int = 0
            if len(lines) < FLOWS_MAX:
                self.owners = (self.owners + 1) & 0x7FFFFFFF
                timer = self.net.wheel.alloc(TIMER_FLOW, self.owners)
            if timer == 0:
                return None
            kind = pipe.kind if queue else FIFO
            seed: cython.ulonglong = self.net.rng.next64() if kind == FQ_CODEL else 0
            line = lines[key] = Line(pipe, kind, timer, self.owners, seed)
            self.by_owner[self.owners] = line
        return line

    def _forget_idle(self, lines):
        """Lines without packets go, if `expire` is set."""
        line: Line
        if not self.expire:
            return 0
        for key, line in list(lines.items()):
            if not line.occupied and line.way.count == 0:
                del lines[key]
                self.close(line)
        return 0

    def close(self, line):
        """A line is no more; what was on it is lost."""
        p: Packet
        for p in line.clear():
            self.net.reject(p, LINK_QUEUE)
        self.net.wheel.free(line.timer)
        del self.by_owner[line.owner]

    def _flow(self, line, flowset, p):
        """The queue of a packet; None if there is no room for another one."""
        if line.kind == FQ_CODEL:
            fair: FairCodel = line.sched
            return fair.all
        key = (flowset.number, masked(p, flowset.mask))
        flow: Flow = line.flows.get(key)
        if flow is None:
            if len(line.flows) >= FLOWS_MAX and self.expire:
                line.forget_idle()
            if len(line.flows) >= FLOWS_MAX:
                return None
            flow = line.flows[key] = Flow(flowset, key[1])
        return flow

    def _offer(self, line, flow, p):
        """A packet to its queue, if it is not lost and there is room. FQ-CoDel looks after its queues itself."""
        fs: FlowSet = flow.flowset
        flow.total += 1
        flow.total_octets += p.head_len + p.length
        reason: cython.int = -1
        if line.kind != FQ_CODEL:
            if fs.plr != 0 and self.net.rng.next32() & _PLR < fs.plr:
                reason = LINK_LOSS
            elif flow.octets > fs.octets if fs.octets else flow.packets >= fs.slots:
                reason = LINK_QUEUE
        if reason >= 0:
            flow.dropped += 1
            self.dropped += 1
            self.net.reject(p, reason)
            return False
        line.sched.put(flow, p, self.net.now)
        if not line.occupied:
            line.begin(self.net.now, self.io_fast)
            line.run(self.net.now)
            if line.sending is None and line.pipe.delay == 0:
                self.fast += 1
        self._bury(line)
        return True

    def _bury(self, line):
        """What a scheduler has dropped is lost."""
        p: Packet = line.sched.lost.pop()
        while p is not None:
            self.dropped += 1
            self.net.reject(p, LINK_QUEUE)
            p = line.sched.lost.pop()
        return 0

    def _arm(self, line):
        """Its timer, for what happens next."""
        self.net.wheel.arm(line.timer, line.deadline())
        return 0

    def due(self, owner):
        """The timer of a line: the line, brought up to now; `Line.pop` has what leaves it."""
        line: Line = self.by_owner[owner]
        line.run(self.net.now)
        self._bury(line)
        return line

    def settled(self, line):
        """All that has left the line was taken."""
        if line.owner in self.by_owner:
            self._arm(line)
        return 0


def masked(p, mask):
    """What of a packet a mask tells apart."""
    if mask == NO_MASK:
        return NO_MASK
    proto, src, sport, dst, dport = mask
    return (p.proto & proto, p.src & src, p.sport & sport, p.dst & dst, p.dport & dport)
