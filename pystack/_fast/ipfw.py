"""ipfw in a machine: what comes in, and what goes out, meets the rules once each.

    prerouting     the packet as it came (in), before anything is decided about it
    postrouting    the packet as it leaves (out), its interface known, not yet cut into fragments

What a machine sends itself goes out and comes in over lo0. What the firewall itself sends (keep-alives, resets) no rule
sees. Source: ip_fw_pfil.c, ip_fw2.c: ipfw_send_pkt; facts: ipfw 2.7, 2.8, 3.2.
"""

import cython

from pystack._fast.consts import (
    ACK,
    ICMP_UNREACH,
    IPFW_12,
    PROTO_ICMP,
    PROTO_TCP,
    PROTO_UDP,
    RST,
    SYN,
    TIMER_IPFW,
    Drop,
)
from pystack._fast.ipfw_ground import Ground
from pystack._fast.ipfw_nat import Nats
from pystack._fast.ipfw_ops import (
    LOOPBACK,
    O_QUEUE,
    O_SETDSCP,
    REJECT_RST,
    V_DUMMYNET,
    V_NAT,
    V_PASS,
    V_REASS,
)
from pystack._fast.ipfw_pipe import Dummynet, Line
from pystack._fast.nf_hook import NF_ACCEPT, NF_DROP, NF_FULL, NF_STOLEN, Hooks
from pystack._fast.nf_target import TcpMss, put_tos
from pystack._fast.packet import Packet
from pystack._fast.routes import Interface
from pystack._fast.seq import add
from pystack._fast.tcp_build import blank
from pystack._fast.tcp_wire import build

FIREWALL = int(Drop.FIREWALL)
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
        self.dummynet = Dummynet(net)
        self.nats = Nats(0xFFFF if net.cfg.policy_ipfw == IPFW_12 else 0)

    def prerouting(self, p):
        """As `Hooks` has it."""
        if p.nexthop != 0:
            return NF_ACCEPT  # `fwd` has sent it to a socket here
        verdict: cython.int = self._pass(p, p.iface_in if p.iface_in >= 0 else LOOPBACK, -1)
        return NF_STOLEN if verdict == NF_FULL else verdict

    def postrouting(self, p):
        """As `Hooks` has it."""
        return self._pass(p, p.iface_in, p.iface_out if p.iface_out >= 0 else LOOPBACK)

    def _pass(self, p, iface_in, iface_out):
        """Once through the rules."""
        rules = self.rules
        if p.mark == _SKIP or rules.cfg.fw_enable == 0:
            return NF_ACCEPT
        rules.uptime = cython.cast(cython.uint, self.net.now // _SECOND)
        if p.mf and p.frag_off == 0:
            self._peek(p)
        return self.walk(p, iface_in, iface_out, 0)

    def walk(self, p, iface_in, iface_out, position):
        """The rules from `position` on. What NAT has translated is accepted or (one_pass = 0) goes on behind its rule;
        what goes into a pipe is dummynet's, which tells the sender where it had no room (up to 12: pfil's answer is
        only yes or no from then on).
        """
        verdict: cython.int
        rules = self.rules
        while True:
            verdict = rules.check(p, iface_in, iface_out, position)
            if not self.ticking and rules.states.busy():
                self.start()
            if verdict == V_PASS:
                if rules.fwd_addr != 0:
                    return self._send_to(p, iface_out >= 0)
                return NF_ACCEPT
            if verdict == V_DUMMYNET:
                p.ct_zone = rules.row[rules.pos]
                p.ct_hash = rules.number[p.ct_zone]
                p.ct_way = iface_out >= 0
                if self.dummynet.take(p, rules.arg, rules.code[rules.at] & 0xFF == O_QUEUE):
                    return NF_STOLEN
                return NF_STOLEN if rules.states.era == IPFW_12 else NF_FULL
            if verdict == V_REASS:
                position = min(rules.pos + 1, rules.n - 1)
                if not self.net.reassembled(p):
                    return NF_STOLEN
                continue
            if verdict != V_NAT:
                return NF_DROP
            if not self.nats.translate(p, rules.arg, iface_out >= 0, rules.uptime):
                return NF_DROP
            if self.net.cfg.fw_one_pass:
                return NF_ACCEPT
            position = min(rules.pos + 1, rules.n - 1)

    def _send_to(self, p, out):
        """`fwd`: the packet, as it is, goes towards another machine than its destination. One that came goes on even
        where the machine does not forward, or is the destination (ip_input: M_IP_NEXTHOP). Sent to an address of this
        machine it is for whoever listens there, who answers as the destination (M_FASTFWD_OURS, tcp_input, udp_input).
        """
        net = self.net
        stop: cython.uint = self.rules.fwd_addr
        route: cython.int
        if net.is_local(stop):
            p.nexthop = stop
            p.ct_hash = self.rules.fwd_port
            if out:
                p.iface_out = -1
                net.to_itself(p)
            else:
                net.local_input(p)
            return NF_STOLEN
        route = net.routes.find(stop)
        if route < 0:
            return NF_DROP
        if out:
            net.point_at(p, route, stop)
            net.go_out(p)
        else:
            net.forward(p, stop)
        return NF_STOLEN

    def _peek(self, p):
        """A first fragment has the header of its protocol, which is still in its payload."""
        n: cython.int = 20 if p.proto == PROTO_TCP else 8
        if p.length < n or (
            p.proto != PROTO_TCP and p.proto != PROTO_UDP and p.proto != PROTO_ICMP
        ):
            return 0
        data = p.pool.to_bytes(p.m, 0, n)
        if p.proto == PROTO_ICMP:
            p.icmp_type = data[0]
            p.icmp_code = data[1]
            p.icmp_rest = int.from_bytes(data[4:8], "big")
            return 0
        p.sport = data[0] << 8 | data[1]
        p.dport = data[2] << 8 | data[3]
        if p.proto == PROTO_TCP:
            p.seq = int.from_bytes(data[4:8], "big")
            p.ack = int.from_bytes(data[8:12], "big")
            p.flags = data[13]
            p.win = data[14] << 8 | data[15]
        return 0

    # --- out of a pipe ---------------------------------------------------------------------------------------

    def flow_due(self, row):
        """As `Hooks` has it: packets leave a line of dummynet, and go on where they were taken."""
        line: Line = self.dummynet.due(row)
        p: Packet = line.pop(self.net.now)
        while p is not None:
            self._go_on(p)
            p = line.pop(self.net.now)
        return self.dummynet.settled(line)

    def _go_on(self, p):
        """A packet comes out of its pipe: accepted, or (one_pass = 0) on to the rule behind that of the pipe."""
        out: cython.bint = p.ct_way
        position: cython.int
        verdict: cython.int = NF_ACCEPT
        iface_in: cython.int = p.iface_in
        rules = self.rules
        if self.net.cfg.fw_one_pass == 0 and self.net.cfg.fw_enable:
            if rules.stale:
                rules.ground.renew()
            position = self._behind(p)
            rules.uptime = cython.cast(cython.uint, self.net.now // _SECOND)
        else:
            position = -1
        p.ct_zone = 0
        p.ct_hash = 0
        p.ct_way = 0
        if position >= 0:
            if out:
                verdict = self.walk(
                    p, iface_in, p.iface_out if p.iface_out >= 0 else LOOPBACK, position
                )
            else:
                verdict = self.walk(p, iface_in if iface_in >= 0 else LOOPBACK, -1, position)
        if verdict == NF_STOLEN or verdict == NF_FULL:
            return 0
        if verdict != NF_ACCEPT:
            return self.net.reject(p, FIREWALL)
        if out:
            return self.net.go_out(p)
        return self.net.came_in(p) if iface_in >= 0 else self.net.local_input(p)

    def _behind(self, p):
        """The position behind the rule that took a packet; behind its number, if that rule is gone."""
        rules = self.rules
        at: cython.int = rules.pos_of[p.ct_zone]
        number: cython.uint = p.ct_hash
        if at < rules.n and rules.row[at] == p.ct_zone and rules.walked[at] == number:
            return min(at + 1, rules.n - 1)
        at = 0
        while at < rules.n - 1 and rules.walked[at] <= number:
            at += 1
        return at

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
