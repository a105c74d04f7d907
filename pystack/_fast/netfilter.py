"""netfilter in a machine: which tables, conntrack and NAT see a packet at each of the five hooks, and in which order.

    prerouting    raw, conntrack, mangle, nat (destination)
    local_in      mangle, filter, nat (source), confirm
    forwarding    mangle, filter
    local_out     raw, conntrack, mangle, nat (destination), filter
    postrouting   mangle, nat (source), confirm

conntrack and NAT do nothing until a rule needs them, except in kernels where loading the module was enough
(`always`). Source: facts: conntrack 2.1, 8.1.
"""

import cython

from pystack._fast.conntrack import Conntrack
from pystack._fast.consts import (
    ICMP_UNREACH,
    NAT_PORTS_RANGE,
    PROTO_ICMP,
    PROTO_TCP,
    RST,
    TIMER_CONNTRACK,
    Note,
)
from pystack._fast.nat import Nat
from pystack._fast.nf_consts import (
    CT_DROP,
    CTS_NEW,
    CTS_RELATED,
    H_STATUS,
    IPS_CONFIRMED,
    IPS_DST_NAT_DONE,
    IPS_SRC_NAT_DONE,
)
from pystack._fast.nf_hook import (
    ADDR_BROADCAST,
    ADDR_LOCAL,
    ADDR_MULTICAST,
    ADDR_UNICAST,
    ADDR_UNREACHABLE,
    ADDR_UNSPEC,
    FORWARD,
    LOCAL_IN,
    LOCAL_OUT,
    NF_ACCEPT,
    NF_DROP,
    POSTROUTING,
    PREROUTING,
    Hooks,
    HookState,
    NatRange,
)
from pystack._fast.nf_rules import Rule
from pystack._fast.routes import Interface
from pystack._fast.tcp_build import transmit
from pystack._fast.tcp_reply import unsent_reset

TABLE_FULL = int(Note.CONNTRACK_FULL)


@cython.final
@cython.cclass
class MachineState(HookState):
    """What rules ask, answered by a machine. `logger(p, prefix, level)` writes the lines of LOG and
    `speaker(text)` others, if there is one.
    """

    def __init__(self, net, netfilter):
        HookState.__init__(self)
        self.net = net
        self.netfilter = netfilter
        self.logger = None
        self.speaker = None

    def address_type(self, addr, iface):
        """As `HookState` has it."""
        net = self.net
        if addr == 0:
            return ADDR_UNSPEC
        if addr >> 28 == 14:
            return ADDR_MULTICAST
        if net.is_broadcast(addr):
            return ADDR_BROADCAST
        if iface >= 0:
            own: Interface = net.interfaces[iface]
            return ADDR_LOCAL if own.addr == addr else ADDR_UNICAST
        if net.is_local(addr):
            return ADDR_LOCAL
        return ADDR_UNICAST if net.routes.find(addr) >= 0 else ADDR_UNREACHABLE

    def iface_name(self, number):
        """As `HookState` has it; what a machine sends itself goes over "lo"."""
        if number < 0:
            return "lo"
        iface: Interface = self.net.interfaces[number]
        return iface.name

    def iface_addr(self, number):
        """As `HookState` has it."""
        if number < 0:
            return 0x7F000001
        iface: Interface = self.net.interfaces[number]
        return iface.addr

    def reject(self, p, kind):
        """As `HookState` has it: nothing for a RST, a fragment, a broadcast (facts: conntrack 7.5)."""
        net = self.net
        if kind >= 0:
            return net.icmp_error(p, ICMP_UNREACH, kind, 0)
        if p.proto != PROTO_TCP or p.flags & RST or p.frag_off != 0 or net.is_broadcast(p.dst):
            return 0
        out = unsent_reset(net, p)
        if p.ct != 0:
            out.ct = p.ct
            out.ct_way = 1 - p.ct_way
            out.ct_state = CTS_RELATED
            self.conntrack.close(p)
        return transmit(net, out)

    def log(self, p, prefix, level):
        """As `HookState` has it."""
        if self.logger is not None:
            self.logger(p, prefix, level)
        return 0

    def set_nat(self, p, wanted, source):
        """As `HookState` has it."""
        if p.ct == 0:
            return NF_DROP
        return self.netfilter.nat_engine.setup(p.ct, wanted, source, p)

    def masquerade(self, p, wanted):
        """As `HookState` has it: the address of the interface, else any that the machine has (facts: conntrack 8.1)."""
        net = self.net
        if p.ct == 0:
            return NF_DROP
        if p.src == 0:
            return NF_ACCEPT
        iface: Interface = net.interfaces[p.iface_out]
        address: cython.uint = iface.addr
        if address == 0:
            for iface in net.interfaces:
                if address == 0:
                    address = iface.addr
        if address == 0:
            iface = net.interfaces[p.iface_out]
            if self.speaker is not None:
                self.speaker(f"{iface.name} ate my IP address")
            return NF_DROP
        wanted = NatRange(
            address,
            address,
            wanted.port_low,
            wanted.port_high,
            wanted.random,
            wanted.random_fully,
        )
        self.conntrack.masqueraded(p.ct, p.iface_out)
        return self.netfilter.nat_engine.setup(p.ct, wanted, True, p)

    def clamp_mss(self, p):
        """As `HookState` has it."""
        return min(self.net.mtu_to(p.dst), self.net.mtu_to(p.src) or 65535)


@cython.final
@cython.cclass
class Netfilter(Hooks):
    """The hooks of one Linux machine. `tables` by name, None where there is no rule; `state` is what rules ask.

    `tracks`: conntrack is at work; `translates`: so is NAT.
    """

    def __init__(self, net):
        Hooks.__init__(self)
        state = MachineState(net, self)
        self.net = net
        self.state = state
        self.conntrack = Conntrack(net.cfg, net.rng, net.now, net.wheel)
        state.conntrack = self.conntrack
        state.rng = net.rng
        self.nat_engine = Nat(self.conntrack, net.rng, net.cfg.policy_nat_ports == NAT_PORTS_RANGE)
        self.raw = self.mangle = self.nat = self.filter = None
        self.tracks = False
        self.translates = False
        self.timer = net.wheel.alloc(TIMER_CONNTRACK, 0)

    def track(self, on):
        """Conntrack begins, or ends: flows that there are stay as they are."""
        if on and not self.tracks:
            self.conntrack.begin_gc(self.net.now)
            self.net.wheel.arm(self.timer, self.conntrack.gc_next)
        self.tracks = on
        self.defrag = on

    def tick(self):
        """The worker of conntrack is due."""
        if self.tracks or self.conntrack.free.used:
            self.conntrack.gc(self.net.now)
            self.net.wheel.arm(self.timer, self.conntrack.gc_next)
        return 0

    def flow_due(self, row):
        """As `Hooks` has it."""
        return self.conntrack.time_out(row, self.net.now)

    # --- the hooks -------------------------------------------------------------------------------------------

    def prerouting(self, p):
        """As `Hooks` has it."""
        verdict: cython.int = self._table(self.raw, PREROUTING, p)
        if verdict == NF_ACCEPT and self.tracks:
            verdict = self._track(p)
        if verdict == NF_ACCEPT:
            verdict = self._table(self.mangle, PREROUTING, p)
        if verdict == NF_ACCEPT and self.translates:
            verdict = self._translate(PREROUTING, p, False)
        return verdict

    def local_in(self, p):
        """As `Hooks` has it."""
        verdict: cython.int = self._table(self.mangle, LOCAL_IN, p)
        if verdict == NF_ACCEPT:
            verdict = self._filter(LOCAL_IN, p)
        if verdict == NF_ACCEPT and self.translates:
            verdict = self._translate(LOCAL_IN, p, True)
        if verdict == NF_ACCEPT and p.ct != 0:
            verdict = self.conntrack.confirm(p, self.net.now)
        return verdict

    def forwarding(self, p):
        """As `Hooks` has it."""
        verdict: cython.int = self._table(self.mangle, FORWARD, p)
        if verdict == NF_ACCEPT:
            verdict = self._filter(FORWARD, p)
        return verdict

    def local_out(self, p):
        """As `Hooks` has it."""
        verdict: cython.int = self._table(self.raw, LOCAL_OUT, p)
        if verdict == NF_ACCEPT and self.tracks:
            verdict = self._track(p)
        if verdict == NF_ACCEPT:
            verdict = self._table(self.mangle, LOCAL_OUT, p)
        if verdict == NF_ACCEPT and self.translates:
            verdict = self._translate(LOCAL_OUT, p, False)
        if verdict == NF_ACCEPT:
            verdict = self._filter(LOCAL_OUT, p)
        return verdict

    def postrouting(self, p):
        """As `Hooks` has it."""
        verdict: cython.int = self._table(self.mangle, POSTROUTING, p)
        if verdict == NF_ACCEPT and self.translates:
            verdict = self._translate(POSTROUTING, p, True)
        if verdict == NF_ACCEPT and p.ct != 0:
            verdict = self.conntrack.confirm(p, self.net.now)
        return verdict

    def forget(self, p):
        """As `Hooks` has it."""
        return self.conntrack.forget(p)

    # --- what they are made of -------------------------------------------------------------------------------

    def _table(self, table, hook, p):
        """One table at one hook."""
        if table is None:
            return NF_ACCEPT
        state = self.state
        state.hook = hook
        state.now = self.net.now
        return table.run(hook, p, state)

    def _filter(self, hook, p):
        """The table filter. What lets the first packet of a flow pass owns the flow."""
        verdict: cython.int
        if self.filter is None:
            return NF_ACCEPT
        verdict = self._table(self.filter, hook, p)
        if p.ct != 0 and verdict == NF_ACCEPT:
            if self.conntrack.half[(p.ct << 5) + H_STATUS] & IPS_CONFIRMED == 0:
                self.conntrack.own(p.ct, self.state.decided)
        return verdict

    def _track(self, p):
        """Conntrack looks at a packet; a full table is told."""
        if self.conntrack.conntrack_in(p, self.net.now) == CT_DROP:
            self.net.say(TABLE_FULL, None, 0, 0)
            return NF_DROP
        return NF_ACCEPT

    def _translate(self, hook, p, source):
        """NAT at one hook: the mapping is chosen with the first packet of a flow, every packet is rewritten."""
        row: cython.int = p.ct
        ct = self.conntrack
        done: cython.int
        verdict: cython.int
        if row == 0:
            return NF_ACCEPT
        if p.ct_state == CTS_NEW or (p.ct_state == CTS_RELATED and p.proto != PROTO_ICMP):
            done = IPS_SRC_NAT_DONE if source else IPS_DST_NAT_DONE
            if ct.half[(row << 5) + H_STATUS] & (done | IPS_CONFIRMED) == 0:
                verdict = self._table(self.nat, hook, p)
                if verdict != NF_ACCEPT:
                    return verdict
                if self.filter is None and isinstance(self.state.decided, Rule):
                    ct.own(row, self.state.decided)
                if ct.half[(row << 5) + H_STATUS] & done == 0:
                    self.nat_engine.bind_nothing(row, source, p)
        return self.nat_engine.translate(p, source)
