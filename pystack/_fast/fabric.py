"""Machines and wires under one virtual clock: the inner loop of a fake network.

The next event is a machine's timer, a packet's arrival at the end of a wire, or a call that Python asked for. Nothing
here sleeps; time jumps from event to event. Events of the same nanosecond happen in the order in which they were
scheduled, so that a run is a function of the seed.
"""

import cython

from pystack._fast.columns import column, grown
from pystack._fast.consts import NEVER, Drop
from pystack._fast.core import Core, Driver
from pystack._fast.events import EventQueue
from pystack._fast.packet import Packet, PacketQueue  # noqa: F401
from pystack._fast.wire import Wire

EVENT_CORE = 0
EVENT_WIRE = 1
EVENT_CALL = 2
NO_DEVICE = int(Drop.NO_DEVICE)
RX_RING = int(Drop.RX_RING)
MAX_IFACES = 64
"""Interfaces of one machine that the fast table of single wires covers."""


@cython.final
@cython.cclass
class MachineClock:
    """The clock of one machine: the world's, and what it is ahead of it; of a halted one it stands."""

    def __init__(self, fabric, core):
        self.fabric = fabric
        self.core = core

    @property
    def now(self):
        """Nanoseconds."""
        return self.core.halted_at if self.core.halted else self.fabric.now + self.core.ahead


@cython.final
@cython.cclass
class Fabric(Driver):
    """`cores` and `wires` by number. A wire ends at a core's interface, or at a tap (`ends[w]`, a Python object)."""

    def __init__(self, now):
        self.now = now
        self.cores = []
        self.wires = []
        self.ends = []
        self.neighbours = {}
        self.calls = []
        self.free_calls = []
        self.ready = []
        self.n_ready = 0
        self.queue = EventQueue()
        self.wire_scheduled = column("q", 16)
        self.wire_core = column("i", 16)
        self.wire_iface = column("i", 16)
        self.only_wire = column("i", 16 * MAX_IFACES)
        self.delivered = 0
        self.patience = NEVER
        self.step_end = 0
        self.progress = 0
        self.deadlock = None

    def add_core(self, core):
        """A machine joins; answers its number."""
        core.number = len(self.cores)
        self.cores.append(core)
        core.scheduled = NEVER
        if len(self.cores) * MAX_IFACES > self.only_wire.shape[0]:
            self.only_wire = grown(memoryview(self.only_wire), 2 * self.only_wire.shape[0])
        self.after(core)
        return core.number

    def add_wire(self, wire, core, iface, end):
        """A wire that ends at interface `iface` of machine number `core`, or with -1 at the tap `end`."""
        w = len(self.wires)
        self.wires.append(wire)
        self.ends.append(end)
        if w >= self.wire_core.shape[0]:
            self.wire_scheduled = grown(memoryview(self.wire_scheduled), 2 * w)
            self.wire_core = grown(memoryview(self.wire_core), 2 * w)
            self.wire_iface = grown(memoryview(self.wire_iface), 2 * w)
        self.wire_scheduled[w] = NEVER
        self.wire_core[w] = core
        self.wire_iface[w] = iface
        return w

    def attach(self, core, iface, addr, wire):
        """What machine `core` sends through `iface` to the neighbour `addr` goes into `wire`.

        While an interface has one wire, everything goes there, whoever the neighbour is.
        """
        self.neighbours[(core, iface, addr)] = wire
        slot = core * MAX_IFACES + iface
        if iface < MAX_IFACES:
            self.only_wire[slot] = wire + 1 if self.only_wire[slot] == 0 else -1

    def call_at(self, time, fn):
        """Python wants `fn()` called at `time`: once, and it is to know by itself whether it is still wanted."""
        if self.free_calls:
            slot = self.free_calls.pop()
            self.calls[slot] = fn
        else:
            slot = len(self.calls)
            self.calls.append(fn)
        self.queue.push(time if time > self.now else self.now, EVENT_CALL, slot)

    def next_time(self):
        """When the next event is, NEVER if none is to come."""
        return self.queue.next_time()

    def take_ready(self):
        """The machines with sockets for which something happened since the last call."""
        out = self.ready
        self.ready = []
        self.n_ready = 0
        for c in out:
            c.listed = False
        return out

    def dispatch(self):
        """Call the handlers of all sockets for which something happened."""
        c: Core
        for c in self.take_ready():
            if not c.halted:
                c.dispatch()
        return 0

    def out_of(self, c, p):
        """A packet that leaves a machine finds its wire."""
        w: cython.int = -1
        iface: cython.int = p.iface_out
        if iface < 64:
            w = self.only_wire[c.number * 64 + iface]
        if w > 0:
            w -= 1
        else:
            w = self.neighbours.get((c.number, iface, p.nexthop), -1)
        if w < 0:
            c.reject(p, NO_DEVICE)
            return 0
        wire: Wire = self.wires[w]
        wire.send(p, self.now)
        return self.schedule_wire(w)

    def schedule_wire(self, w):
        """The queue knows when the wire delivers next."""
        wire: Wire = self.wires[w]
        due: cython.longlong = wire.next_time()
        if due < self.wire_scheduled[w]:
            self.wire_scheduled[w] = due
            self.queue.push(due, EVENT_WIRE, w)
        return 0

    def schedule(self, w):
        """A tap put something on wire `w`."""
        self.schedule_wire(w)

    def before(self, c):
        """Before any command to a machine: it is told the time. Raises RuntimeError where it is halted."""
        if c.halted:
            raise RuntimeError("the machine is halted: nothing can be asked of it until it goes on")
        return c.settle(self.now + c.ahead)

    def after(self, c):
        """After any call of a machine: its packets go on their way, its next timer is scheduled."""
        if c.halted:
            return 0
        now: cython.longlong = self.now + c.ahead
        p: Packet = c.egress(now)
        due: cython.longlong
        while p is not None:
            self.out_of(c, p)
            p = c.egress(now)
        due = c.next_deadline()
        if due != NEVER:
            due -= c.ahead
        if due < c.scheduled:
            c.scheduled = due
            self.queue.push(due, EVENT_CORE, c.number)
        if c.n_ready and not c.listed:
            c.listed = True
            self.ready.append(c)
            self.n_ready += 1
        return 0

    def arrive(self, w, p):
        """The packet is at the end of its wire."""
        core: cython.int = self.wire_core[w]
        self.delivered += 1
        if core < 0:
            self.ends[w].receive(self.now, p)
            p.release()
            return 0
        c: Core = self.cores[core]
        p.iface_in = self.wire_iface[w]
        if c.halted:
            return self.hold(c, p)
        c.ingress(p, self.now + c.ahead)
        return self.after(c)

    def hold(self, c, p):
        """It waits in the receive ring of a machine that is halted, or finds no place there."""
        if len(c.ring) < c.ring_room:
            c.ring.append(p)
            return 0
        return c.reject(p, RX_RING)

    def halt(self, c, room):
        """A machine executes nothing from now on; `room` packets wait at its door."""
        c.halted_at = self.now + c.ahead
        c.halted = True
        c.ring_room = room
        if c.listed:
            self.ready.remove(c)
            self.n_ready -= 1
            c.listed = False

    def go_on(self, c, stood):
        """A halted machine runs again: what is due by its clock first, then what waits at its door. `stood`: its clock
        did not run meanwhile.
        """
        c.halted = False
        if stood:
            c.ahead = c.halted_at - self.now
        c.tick(self.now + c.ahead)
        p: Packet
        ring: list = c.ring
        c.ring = []
        for p in ring:
            c.ingress(p, self.now + c.ahead)
        self.after(c)

    def jump(self, c, by):
        """The clock of a machine is `by` ns further at once."""
        c.ahead += by
        c.tick(self.now + c.ahead)
        self.after(c)

    def any_ready(self):
        """Does a machine of `ready` still have a socket that nobody took?"""
        i: cython.int
        c: Core
        for i in range(self.n_ready):
            c = self.ready[i]
            if c.n_ready:
                return True
        self.take_ready()
        return False

    def step(self, deadline):
        """Let time pass until a socket became ready, whose handler is called, or a call was made.

        0: `deadline` has come. Where there is none (NEVER) and for `patience` ns nothing became ready, or nothing
        can happen any more, `deadlock()` is raised.
        """
        patient: cython.bint = deadline == NEVER
        if patient:
            if self.now > self.step_end:
                self.progress = self.now  # somebody let time pass in another way
            deadline = self.now + self.patience
        result: cython.int = self.run(deadline, True)
        if result == 1:
            self.dispatch()
        if patient:
            self.step_end = self.now
            if result == 1:
                self.progress = self.now
            elif result == 0 or self.now - self.progress > self.patience:
                raise self.deadlock()
        elif result == 0 and deadline > self.now:
            self.now = deadline
        return result

    def run(self, until, stop_on_ready):
        """Let time pass to `until`.

        1: a socket is ready (with `stop_on_ready`); 2: a call was made; 0: `until` has come, or nothing more will
        happen, and then time stands still.
        """
        queue = self.queue
        due: cython.longlong
        c: Core
        w: cython.int
        p: Packet
        while True:
            if stop_on_ready and self.n_ready > 0 and self.any_ready():
                return 1
            due = queue.next_time()
            if due > until or due == NEVER:
                if due != NEVER and until > self.now:
                    self.now = until
                return 0
            queue.pop()
            if due > self.now:
                self.now = due
            if queue.kind == EVENT_WIRE:
                w = queue.arg
                self.wire_scheduled[w] = NEVER
                wire: Wire = self.wires[w]
                while True:
                    p = wire.deliver(self.now)
                    while p is not None:
                        self.arrive(w, p)
                        p = wire.deliver(self.now)
                    # Where nothing else comes before the wire's next packet, the queue need not be asked; at the
                    # same time it must be, because what was scheduled earlier is earlier.
                    due = wire.next_time()
                    if due >= queue.next_time() or due > until:
                        break
                    if stop_on_ready and self.n_ready > 0:
                        break
                    self.now = due
                self.schedule_wire(w)
            elif queue.kind == EVENT_CORE:
                c = self.cores[queue.arg]
                if c.scheduled == due:
                    c.scheduled = NEVER
                    if not c.halted:
                        c.tick(self.now + c.ahead)
                        self.after(c)
            else:
                slot: cython.int = queue.arg
                fn = self.calls[slot]
                self.calls[slot] = None
                self.free_calls.append(slot)
                fn()
                return 2
