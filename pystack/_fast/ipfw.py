"""ipfw in a machine: what comes in, and what goes out, meets the rules once each.

    prerouting     the packet as it came (in), before anything is decided about it
    postrouting    the packet as it leaves (out), its interface known, not yet cut into fragments

What a machine sends itself goes out and comes in over lo0. What the firewall itself sends (keep-alives, resets) no rule
sees. Source: ip_fw_pfil.c, ip_fw2.c: ipfw_send_pkt; facts: ipfw 2.7, 2.8, 3.2.
"""

import cython

from pystack._fast.consts import ACK, ICMP_UNREACH, PROTO_TCP, PROTO_UDP, RST, SYN, TIMER_IPFW
from pystack._fast.ipfw_match import Ground
from pystack._fast.ipfw_ops import LOOPBACK, O_SETDSCP, REJECT_RST, V_PASS
from pystack._fast.nf_hook import NF_ACCEPT, NF_DROP, Hooks
from pystack._fast.nf_target import TcpMss, put_tos
from pystack._fast.routes import Interface
from pystack._fast.seq import add
from pystack._fast.tcp_build import blank
from pystack._fast.tcp_wire import build

UNSEEN = 0xFFFFFFFF
"""Mark of a packet that no rule is to see (M_SKIP_FIREWALL)."""
_SKIP = cython.declare(cython.uint, UNSEEN)
_SECOND = cython.declare(cython.longlong, 1_000_000_000)
_LOW_DELAY = 0x10


@cython.cclass
class MachineGround(Ground):
    """What rules ask, answered by a machine. Subclasses have the words: what is logged, which names fit."""

    def __init__(self, net):
        self.net = net
        self.clamp = TcpMss(0)

    def is_own(self, address):
        """As `Ground` has it."""
        return self.net.is_local(address)

    def way_to(self, address):
        """As `Ground` has it."""
        net = self.net
        if net.is_local(address):
            return LOOPBACK
        route: cython.int = net.routes.find(address)
        return net.routes.iface[route] if route >= 0 else -1

    def is_near(self, address):
        """As `Ground` has it."""
        net = self.net
        i: cython.int
        for i in range(len(net.interfaces)):
            iface: Interface = net.interfaces[i]
            if address & iface.mask == iface.addr & iface.mask:
                return True
        return address >> 24 == 127

    def probe(self, src, sport, dst, dport, seq, ack):
        """As `Ground` has it."""
        return self._send(src, sport, dst, dport, seq, ack, ACK)

    def answer(self, p, code):
        """As `Ground` has it. The reset of a segment without ACK acknowledges a SYN and no data."""
        if code != REJECT_RST:
            return self.net.icmp_error(p, ICMP_UNREACH, code & 0xFF, code >> 16)
        if p.proto != PROTO_TCP or p.flags & RST:
            return 0
        if p.flags & ACK:
            return self._send(p.dst, p.dport, p.src, p.sport, p.ack, 0, RST)
        ack: cython.uint = add(p.seq, 1 if p.flags & SYN else 0)
        return self._send(p.dst, p.dport, p.src, p.sport, 0, ack, RST | ACK)

    def rewrite(self, p, op, value):
        """As `Ground` has it: another code point, or a smaller segment size in a SYN that names one."""
        at: cython.int = p.ip_len + 20
        if op == O_SETDSCP:
            put_tos(p, cython.cast(cython.int, value & 0x3F) << 2 | (p.tos & 3))
            return 0
        while at + 4 <= p.head_len and p.frag_off == 0 and p.proto == PROTO_TCP and p.flags & SYN:
            if p.head[at] == 2 and p.head[at + 1] == 4:
                self.clamp.lower(p, at + 2, cython.cast(cython.int, value))
                break
            at += 1 if p.head[at] < 2 or p.head[at + 1] == 0 else p.head[at + 1]
        return 0

    def _send(self, src, sport, dst, dport, seq, ack, flags):
        """A bare segment that no rule sees."""
        net = self.net
        out = blank(net, src, sport, dst, dport, net.cfg.ip_ttl, _LOW_DELAY)
        out.df = False
        out.flags = flags
        out.seq = seq
        out.ack = ack
        out.mark = UNSEEN
        build(out, net.cfg.policy_options)
        return net.output(out)


@cython.final
@cython.cclass
class Ipfw(Hooks):
    """The hooks of a FreeBSD machine with ipfw."""

    def __init__(self, net, rules):
        Hooks.__init__(self)
        self.net = net
        self.rules = rules
        self.timer = net.wheel.alloc(TIMER_IPFW, 0)
        self.ticking = False

    def prerouting(self, p):
        """As `Hooks` has it."""
        return self._pass(p, p.iface_in if p.iface_in >= 0 else LOOPBACK, -1)

    def postrouting(self, p):
        """As `Hooks` has it."""
        return self._pass(p, p.iface_in, p.iface_out if p.iface_out >= 0 else LOOPBACK)

    def _pass(self, p, iface_in, iface_out):
        """Once through the rules."""
        verdict: cython.int
        rules = self.rules
        if p.mark == _SKIP or rules.cfg.fw_enable == 0:
            return NF_ACCEPT
        rules.uptime = cython.cast(cython.uint, self.net.now // _SECOND)
        if p.mf and p.frag_off == 0:
            self._peek(p)
        verdict = rules.check(p, iface_in, iface_out, 0)
        if not self.ticking and rules.states.busy():
            self.start()
        return NF_ACCEPT if verdict == V_PASS else NF_DROP

    def _peek(self, p):
        """A first fragment has the header of its protocol, which is still in its payload."""
        n: cython.int = 20 if p.proto == PROTO_TCP else 8
        if p.length < n or (p.proto != PROTO_TCP and p.proto != PROTO_UDP):
            return 0
        data = p.pool.to_bytes(p.m, 0, n)
        p.sport = data[0] << 8 | data[1]
        p.dport = data[2] << 8 | data[3]
        if p.proto == PROTO_TCP:
            p.seq = int.from_bytes(data[4:8], "big")
            p.ack = int.from_bytes(data[8:12], "big")
            p.flags = data[13]
            p.win = data[14] << 8 | data[15]
        return 0

    # --- time ------------------------------------------------------------------------------------------------

    def start(self):
        """There are states: seconds are counted. Rounds of keep-alives go on in the rhythm that they had."""
        second: cython.longlong = self.net.now // _SECOND
        self.ticking = True
        self.rules.states.resume(second)
        self.net.wheel.arm(self.timer, (second + 1) * _SECOND)

    def tick(self):
        """As `Hooks` has it: a second is over."""
        second: cython.longlong = self.net.now // _SECOND
        states = self.rules.states
        states.tick(second)
        self.ticking = states.busy()
        if self.ticking:
            self.net.wheel.arm(self.timer, (second + 1) * _SECOND)
        return 0
