"""The whole of one machine without a socket, a thread or a clock.

Three kinds of call, and nothing else touches the outside:

    ingress(packet, now)         a device received this           (ingress_landed, ingress_bytes: as octets)
    commands, after settle(now)  the application asked for something (commands.py, datagrams.py)
    egress(now) -> packet|None   call until None; each packet goes to the interface that it names, then is released
    tick(now)                    timers that are due run;  next_deadline() -> when to call no later than

`now` is an integer count of nanoseconds and never goes back. Randomness comes from `seed` alone. Same inputs, same
outputs, bit for bit, compiled or interpreted.
"""

import cython

from pystack._fast.chain import FreeList  # noqa: F401
from pystack._fast.config import Config  # noqa: F401
from pystack._fast.consts import (
    NEVER,
    TIMER_CONNTRACK,
    TIMER_FLOW,
    TIMER_FRAG,
    TIMER_IPFW,
    TIMER_SYNCACHE,
    TIMER_TCB,
    TIMER_TIMEWAIT,
    TIMEWAIT_BSD_14,
)
from pystack._fast.demux import Demux
from pystack._fast.files import Descriptors, Files
from pystack._fast.internet import Internet
from pystack._fast.landing import Landing
from pystack._fast.mbuf import Pool
from pystack._fast.mbuf_zones import JUMBO_PAGE, SFBUF
from pystack._fast.rng import Rng
from pystack._fast.tcb import TF_DELACK, Tcb
from pystack._fast.tcp_close import expire_timewait
from pystack._fast.tcp_listen import UNLIMITED_HALF_OPEN
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_text import give_up_islands
from pystack._fast.tcp_timers import fire
from pystack._fast.timewait import TimeWaitTable
from pystack._fast.wheel import Wheel

UNLIMITED_TIME_WAIT = 1 << 20
"""Rows for TIME_WAIT at least, so that its limit can be raised while the machine runs."""
UNLIMITED_SOCKETS = 1 << 20
_FLOW_TIMERS = 1 << 26
"""Timers of flows, in kernels where each has one: more than memory has room for."""
"""Rows for sockets at least, so that their limit can be raised while the machine runs (Linux has none): address space,
not memory."""


def listeners_limit(cfg):
    """Half-open connections that a machine holds: FreeBSD's limit, or room for what Linux counts by listener."""
    return cfg.syncache_cachelimit or UNLIMITED_HALF_OPEN


def power_of_two(n, least, most):
    """The power of two at or above n, within bounds."""
    size = least
    while size < n and size < most:
        size *= 2
    return size


@cython.cclass
class Driver:
    """What a machine lives in, as far as its sockets ask for it; times are ns of its own clock."""

    def before(self, core):
        """The core is about to be given commands: it is told the time. Answers 0."""
        raise RuntimeError("this machine is in no world: make it with Network.host, or serve it")

    def after(self, core):
        """The core was given commands: its packets go on their way. Answers 0."""
        return self.before(core)

    def step(self, deadline):
        """Let time pass until a socket became ready or a call was made; false when `deadline` has come.

        Raises DeadlockError where nothing can happen any more.
        """
        return self.before(None)


@cython.final
@cython.cclass
class Core(Internet):
    """One machine. `cfg` holds its knobs, `seed` its randomness, `now` its first present.

    The rest is for whoever gives it the time (`fabric.Fabric`): `scheduled`, `number`, `listed`; how far its clock is
    `ahead` of the world's; whether it is `halted`, since when by its own clock, and the packets that came meanwhile.
    """

    def __init__(self, cfg, seed=0, now=0):
        rng = Rng(seed)
        pool = Pool(cfg.nmbufs, cfg.nmbclusters, cfg.nmbjumbop, cfg.nmbjumbo9, cfg.nmbjumbo16)
        pool.set_limit(SFBUF, cfg.nsfbufs)
        pool.now = now
        if cfg.send_page_clusters:
            pool.bulk_zone = JUMBO_PAGE
        sockets = cfg.maxsockets or UNLIMITED_SOCKETS
        buckets = power_of_two(cfg.tcbhashsize or min(sockets // 4, 65536), 512, 1 << 24)
        demux = Demux(max(sockets, UNLIMITED_SOCKETS), buckets, rng.next32())
        demux.maximum = sockets
        waiting = (
            cfg.tcp_max_tw
            if cfg.tcp_max_tw > 0
            else max(32, min(abs(cfg.port_last - cfg.port_first) // 2, sockets // 5))
        )
        if cfg.policy_timewait == TIMEWAIT_BSD_14:
            waiting = sockets
        room = max(waiting, UNLIMITED_TIME_WAIT)
        timewait = TimeWaitTable(room, power_of_two(waiting // 4, 512, 1 << 20), rng.next32())
        timewait.set_maximum(waiting)
        wheel = Wheel(64, now, demux.capacity + listeners_limit(cfg) + 64 + _FLOW_TIMERS)
        self.init_stack(pool, wheel, cfg, rng, demux, timewait, now)
        self.tw_timer = wheel.alloc(TIMER_TIMEWAIT, 0)
        self.init_internet()
        self.files = Files()
        self.land = Landing(pool)
        self.scheduled = NEVER
        self.number = 0
        self.listed = False
        self.driver = None
        self.sleepers = []
        self.n_sleepers = self.asleep = 0
        self.dispatching = False
        self.ahead = self.halted_at = 0
        self.halted = False
        self.ring = []
        self.ring_room = 0

    def settle(self, now):
        """The present is `now`: call before commands."""
        if now > self.now:
            self.now = now
            self.pool.now = now
        return 0

    def ingress(self, p, now):
        """A packet of another machine of this process arrived; takes ownership. `p.iface_in` is set."""
        self.settle(now)
        p.mark = 0
        p.nexthop = 0
        p.ct_state = 0
        if not p.csum_ok:
            # its octets were touched on the way: read them as a device would have landed them
            iface: cython.int = p.iface_in
            data = p.to_bytes()
            p.release()
            return self.ingress_bytes(iface, data, now)
        self.ip_input(p)
        return 0

    def make_room(self):
        """As `Port` has it: `room` is the place of an mbuf with a cluster of its own."""
        self.land.place()
        self.room = self.land.room
        return 0

    def ingress_landed(self, iface, skip, n, gso_size, csum_ok, now):
        """The packet of `n` octets at room[skip:] arrived on `iface`. Answers 0 or its drop reason."""
        reason: cython.int
        self.settle(now)
        p = self.packet()
        p.csum_ok = csum_ok
        p.gso_size = gso_size
        p.iface_in = iface
        reason = self.land.parse(p, skip, n)
        if self.passes_on(reason) and self.land.parse_faulty(p, skip, n, reason) == 0:
            self.ip_input(p)
            return 0
        if reason:
            self.interfaces[iface].idrops += 1
            self.count_bad(reason)
            self.ipstat.total += 1
            self.ipstat.octets_in += n
            self.reject(p, reason)
            return reason
        p.csum_ok = True
        self.ip_input(p)
        return 0

    def ingress_bytes(self, iface, data, now):
        """As `ingress_landed`, from bytes."""
        octets: cython.const[cython.uchar][::1] = memoryview(data)
        n = min(len(data), 65535)
        self.make_room()
        self.room[:n] = octets[:n]
        return self.ingress_landed(iface, 0, n, 0, False, now)

    def close(self):
        """The machine is switched off: the landing mbuf goes back, so that the pool's books can be closed."""
        self.land.close()

    def tick(self, now):
        """Run the timers that are due."""
        row: cython.int
        kind: cython.int
        owner: cython.int
        self.settle(now)
        row = self.wheel.expire(now)
        while row != 0:
            kind = self.wheel.kind(row)
            owner = self.wheel.owner(row)
            if kind == TIMER_TCB:
                t: Tcb = self.tcbs[owner]
                fire(self, t)
            elif kind == TIMER_SYNCACHE:
                self.listeners.expire(self, owner)
            elif kind == TIMER_TIMEWAIT:
                expire_timewait(self)
            elif kind == TIMER_FRAG:
                self.expire_fragments()
            elif kind == TIMER_CONNTRACK or kind == TIMER_IPFW:
                self.hooks.tick()
            elif kind == TIMER_FLOW:
                self.hooks.flow_due(owner)
            row = self.wheel.expire(now)
        if self.loop.count:
            self.drain_loop()
        return 0

    def next_deadline(self):
        """No call is needed before this time."""
        return self.wheel.next_deadline()

    def egress(self, now):
        """The next packet for a device, None when there is none. The caller releases it when it is written."""
        while self.n_pending or self.loop.count:
            self.settle(now)
            if self.n_pending:
                self.flush_pending()
            if self.loop.count:
                self.drain_loop()
        if self.pool.starved:
            self.reclaim()
        if self.n_sleepers:
            self.wake_one()
        return self.txq.pop()

    def reclaim(self):
        """Storage was denied: the protocols give back what they can do without, where the system has them do so
        (FreeBSD's mb_reclaim: tcp_drain, ip_drain).
        """
        self.pool.starved = False
        if not self.cfg.mbuf_reclaim:
            return 0
        self.pool.drained += 1
        if self.cfg.do_tcpdrain:
            for t in self.tcbs:
                if t is not None:
                    give_up_islands(self, t)
        self.frags.flush()
        return 0

    def flush_pending(self):
        """What the segments of this batch made sendable goes out, in the order in which it became so."""
        i: cython.int
        n: cython.int = self.n_pending
        pending = self.pending
        self.pending = []
        self.n_pending = 0
        for i in range(n):
            t: Tcb = pending[i]
            t.pending = False
            tcp_output(self, t)
            t.t_flags &= ~TF_DELACK
        return 0

    def take_ready(self):
        """The sockets for which something happened since the last call."""
        out = self.ready
        self.ready = []
        self.n_ready = 0
        for t in out:
            t.queued = False
        return out

    def fall_asleep(self, row, n):
        """`row` waits for storage for `n` octets: a connection whose caller hangs, or a program (`Descriptors`). It is
        made ready when there is; `n` below 0 stands for a page of a file, which is mapped. Who waits longest comes
        first (uma_core.c: a sleeper for each item that is freed).
        """
        self.sleepers.append((row, n))
        self.n_sleepers += 1
        return 0

    def wake_one(self):
        """Is there storage for who waits longest?"""
        row, n = self.sleepers[0]
        if not self.pool.would_deny(n) and (n >= 0 or self.pool.units_left(SFBUF) > 0):
            del self.sleepers[0]
            self.n_sleepers -= 1
            self.make_ready(row)
        return 0

    def make_ready(self, row):
        """Its handler is called at the next dispatch, whatever it wants to hear of."""
        if not row.queued:
            row.queued = True
            self.ready.append(row)
            self.n_ready += 1
        return 0

    def dispatch(self):
        """Call the handlers of the sockets for which something happened; how many calls that were.

        Those of a program that is asleep are held back. What a handler raises is raised when all have been called.
        """
        self.dispatching = True
        try:
            return self.call_handlers()
        finally:
            self.dispatching = False

    def call_handlers(self):
        """`dispatch`, one call after the other."""
        calls: cython.int = 0
        events: cython.int
        failure = None
        for row in self.take_ready():
            if self.asleep:
                owner: Descriptors = row.owner
                if owner is not None and owner.asleep:
                    row.queued = True
                    owner.held.append(row)
                    continue
            if isinstance(row, Tcb):
                t: Tcb = row
                events = t.ready
                t.ready = 0
                handler = t.handler
            else:
                events = row.ready
                row.ready = 0
                handler = row.handler
            if handler is None:
                continue
            calls += 1
            try:
                handler(events)
            except BaseException as e:
                if failure is not None:
                    e.__context__ = failure
                failure = e
        if failure is not None:
            raise failure
        return calls

    def tcp_states(self):
        """How many connections are in each state, TIME_WAIT rows and half-open ones included."""
        counts = list(self.states)
        counts[3] += self.listeners.cache.used
        return counts
