"""What a rule of netfilter can ask of one packet: the matches that remember nothing.

A match answers whether a packet fits, its inversion (`!`) included. Matches of a rule are linked through `next`; the
rule asks them in the order in which they were written. One that cannot answer sets `HookState.hot_drop`: the packet
is lost, whatever the answer.

What has a memory stands in `nf_rate`, `nf_recent` and `nf_count`. Source: net/netfilter/xt_*.c; facts: conntrack 7.
"""

import cython

from pystack._fast.consts import PROTO_ICMP, PROTO_TCP, PROTO_UDP, PROTO_UDPLITE
from pystack._fast.nf_consts import (
    CTS_INVALID,
    CTS_UNTRACKED,
    H_STATUS,
    HZ,
    IPS_DST_NAT,
    IPS_SRC_NAT,
    PORT_DESTINATION,
    PORT_SOURCE,
    STATE_DNAT,
    STATE_SNAT,
    TTL_EQ,
    TTL_LT,
    TTL_NE,
    W_MARK,
)
from pystack._fast.nf_hook import HookState
from pystack._fast.packet import Packet

_DCCP = cython.declare(cython.int, 33)
_SCTP = cython.declare(cython.int, 132)
_U32 = cython.declare(cython.uint, 0xFFFFFFFF)


@cython.exceptval(check=False)
def has_ports(p: Packet) -> cython.bint:
    """Does the packet carry ports that were read?"""
    if p.proto == PROTO_TCP or p.proto == PROTO_UDP:
        return p.frag_off == 0
    if p.proto == _SCTP or p.proto == _DCCP or p.proto == PROTO_UDPLITE:
        return p.frag_off == 0 and p.head_len + p.length - p.ip_len >= 4
    return False


@cython.cclass
class Match:
    """One condition of a rule. This one is always true, as `-m comment` is."""

    def __init__(self):
        self.next = None

    def test(self, p, state):
        """Does the packet fit?"""
        return True


@cython.cclass
class PortRange(Match):
    """Ports of a protocol from `low` to `high`, inverted one by one; what `-m udp` asks, and `-m tcp` first.

    `native`: as nftables asks in its own terms. A 6.18 looks where the ports would be in any fragment.
    """

    def __init__(
        self,
        proto,
        sport=(0, 65535),
        sport_not=False,
        dport=(0, 65535),
        dport_not=False,
        native=False,
    ):
        Match.__init__(self)
        self.native = native
        self.proto = proto
        self.sport_low, self.sport_high = sport
        self.dport_low, self.dport_high = dport
        self.sport_not = sport_not
        self.dport_not = dport_not

    @cython.exceptval(check=False)
    def ports_fit(self, p: Packet) -> cython.bint:
        """The ports alone."""
        inside: cython.bint = self.sport_low <= p.sport and p.sport <= self.sport_high
        if inside == self.sport_not:
            return False
        inside = self.dport_low <= p.dport and p.dport <= self.dport_high
        return inside != self.dport_not

    def test(self, p, state):
        """As `Match` has it."""
        if p.proto != self.proto or (p.frag_off != 0 and not self.native):
            return False
        return self.ports_fit(p)


@cython.final
@cython.cclass
class TcpMatch(PortRange):
    """`-m tcp`: ports, flags under a mask, an option by its number (0: none asked for)."""

    def __init__(
        self,
        sport=(0, 65535),
        sport_not=False,
        dport=(0, 65535),
        dport_not=False,
        mask=0,
        flags=0,
        flags_not=False,
        option=0,
        option_not=False,
        native=False,
    ):
        PortRange.__init__(self, PROTO_TCP, sport, sport_not, dport, dport_not, native)
        self.mask = mask
        self.flags = flags
        self.flags_not = flags_not
        self.option = option
        self.option_not = option_not

    @cython.exceptval(check=False)
    def has_option(self, p: Packet) -> cython.bint:
        """Is the option there, whatever it says?"""
        at: cython.int = p.ip_len + 20
        while at < p.head_len:
            if p.head[at] == self.option:
                return True
            if p.head[at] < 2 or at + 1 >= p.head_len or p.head[at + 1] < 2:
                at += 1
            else:
                at += p.head[at + 1]
        return False

    def test(self, p, state):
        """As `Match` has it."""
        fits: cython.bint
        if p.proto != PROTO_TCP:
            return False
        if p.frag_off != 0 and not self.native:
            if p.frag_off == 8:
                state.hot_drop = True  # a fragment that would overwrite the flags
            return False
        if not self.ports_fit(p):
            return False
        fits = p.flags & self.mask == self.flags
        if fits == self.flags_not:
            return False
        if self.option != 0:
            fits = self.has_option(p)
            if fits == self.option_not:
                return False
        return True


@cython.final
@cython.cclass
class IcmpMatch(Match):
    """`-m icmp`: a type (255: any) and codes from `low` to `high`."""

    def __init__(self, kind, low=0, high=255, inverted=False):
        Match.__init__(self)
        self.kind = kind
        self.low = low
        self.high = high
        self.inverted = inverted

    def test(self, p, state):
        """As `Match` has it."""
        fits: cython.bint
        if p.proto != PROTO_ICMP or p.frag_off != 0:
            return False
        fits = self.kind == 255 or (
            p.icmp_type == self.kind and self.low <= p.icmp_code and p.icmp_code <= self.high
        )
        return fits != self.inverted


@cython.final
@cython.cclass
class Multiport(Match):
    """`-m multiport`: up to 15 ports or ranges, of the source, the destination or either."""

    def __init__(self, which, ranges, inverted=False):
        from pystack._fast.columns import column

        Match.__init__(self)
        self.which = which
        self.count = len(ranges)
        self.ports = column("H", 2 * max(1, self.count))
        self.inverted = inverted
        for i, (low, high) in enumerate(ranges):
            self.ports[2 * i] = low
            self.ports[2 * i + 1] = high

    @cython.exceptval(check=False)
    def listed(self, port: cython.int) -> cython.bint:
        """Is it one of them?"""
        i: cython.int
        for i in range(self.count):
            if self.ports[2 * i] <= port and port <= self.ports[2 * i + 1]:
                return True
        return False

    def test(self, p, state):
        """As `Match` has it."""
        fits: cython.bint = False
        if not has_ports(p):
            # what is too short for them is lost, if it is of a protocol that has them
            if p.frag_off == 0 and (p.proto in (_SCTP, _DCCP, PROTO_UDPLITE)):
                state.hot_drop = True
            return False
        if self.which & PORT_SOURCE:
            fits = self.listed(p.sport)
        if not fits and self.which & PORT_DESTINATION:
            fits = self.listed(p.dport)
        return fits != self.inverted


@cython.cclass
class StateMatch(Match):
    """`-m state`: what the packet is to its flow, a set of CTS_* bits (and STATE_SNAT, STATE_DNAT)."""

    def __init__(self, states, inverted=False):
        Match.__init__(self)
        self.states = states
        self.inverted = inverted

    @cython.exceptval(check=False)
    def state_fits(self, p: Packet, state: HookState) -> cython.bint:
        """Is the state one of those, inversion included?"""
        bits: cython.int = p.ct_state
        status: cython.int
        fits: cython.bint
        if p.ct != 0:
            status = state.conntrack.half[(p.ct << 5) + H_STATUS]
            if status & IPS_SRC_NAT:
                bits |= STATE_SNAT
            if status & IPS_DST_NAT:
                bits |= STATE_DNAT
        elif bits != CTS_UNTRACKED:
            bits = CTS_INVALID
        fits = self.states & bits != 0
        return fits != self.inverted

    def test(self, p, state):
        """As `Match` has it."""
        return self.state_fits(p, state)


@cython.final
@cython.cclass
class ConntrackMatch(StateMatch):
    """`-m conntrack`. Each part is asked only if it was given:

    - `states` != 0; `proto` >= 0; `direction` 0 or 1; `status` >= 0, the bits of IPS_*, 0 fits nothing
    - `left_low` >= 0: seconds that the flow still has, up to `left_high`
    - `address(which, …)`, `port(which, …)`: 0 original source, 1 its destination, 2 reply source, 3 its destination
    """

    def __init__(self, states=0, inverted=False):
        from pystack._fast.columns import column

        StateMatch.__init__(self, states, inverted)
        self.proto = -1
        self.direction = -1
        self.status = -1
        self.left_low = -1
        self.left_high = -1
        self.proto_not = self.status_not = self.left_not = False
        self.asked = 0
        self.inverse = 0
        self.values = column("I", 8)  # address and mask of each
        self.ports = column("H", 8)  # lowest and highest of each

    def address(self, which, addr, mask, inverted=False):
        """Ask for an address of the flow."""
        self.asked |= 1 << which
        self.inverse |= inverted << which
        self.values[2 * which] = addr & mask
        self.values[2 * which + 1] = mask

    def port(self, which, low, high, inverted=False):
        """Ask for a port of the flow."""
        self.asked |= 16 << which
        self.inverse |= (16 << which) if inverted else 0
        self.ports[2 * which] = low
        self.ports[2 * which + 1] = high

    @cython.exceptval(check=False)
    def keys_fit(self, row: cython.int, state: HookState) -> cython.bint:
        """The addresses and ports of a flow."""
        i: cython.int
        word: cython.ulonglong
        addr: cython.uint
        port: cython.int
        fits: cython.bint
        wrong: cython.bint
        for i in range(4):
            if self.asked & (17 << i) == 0:
                continue
            if self.asked & (1 << i):
                word = state.conntrack.keys[4 * row + (i & 2)]
                addr = cython.cast(cython.uint, (word & _U32) if i & 1 else word >> 32)
                fits = addr & self.values[2 * i + 1] == self.values[2 * i]
                wrong = self.inverse & (1 << i) != 0
                if fits == wrong:
                    return False
            if self.asked & (16 << i):
                word = state.conntrack.keys[4 * row + (i & 2) + 1]
                port = cython.cast(cython.int, ((word >> 32) & 0xFFFF) if i & 1 else word >> 48)
                fits = self.ports[2 * i] <= port and port <= self.ports[2 * i + 1]
                wrong = self.inverse & (16 << i) != 0
                if fits == wrong:
                    return False
        return True

    def test(self, p, state):
        """As `Match` has it."""
        row: cython.int = p.ct
        value: cython.longlong
        fits: cython.bint
        if self.states != 0 and not self.state_fits(p, state):
            return False
        if row == 0:
            return self.states != 0
        if self.direction >= 0 and p.ct_way != self.direction:
            return False
        if self.proto >= 0:
            value = (state.conntrack.keys[4 * row + 1] >> 16) & 0xFF
            fits = value == self.proto
            if fits == self.proto_not:
                return False
        if self.asked != 0 and not self.keys_fit(row, state):
            return False
        if self.status >= 0:
            fits = self.status & state.conntrack.half[(row << 5) + H_STATUS] != 0
            if fits == self.status_not:
                return False
        if self.left_low >= 0:
            value = state.conntrack.left(row) // HZ
            fits = self.left_low <= value and value <= self.left_high
            if fits == self.left_not:
                return False
        return True


@cython.final
@cython.cclass
class MarkMatch(Match):
    """`-m mark`, or `-m connmark` where it is the mark of the flow."""

    def __init__(self, mark, mask, inverted=False, of_flow=False):
        Match.__init__(self)
        self.mark = mark
        self.mask = mask
        self.inverted = inverted
        self.of_flow = of_flow

    def test(self, p, state):
        """As `Match` has it."""
        mark: cython.uint = p.mark
        fits: cython.bint
        if self.of_flow:
            if p.ct == 0:
                return False
            mark = state.conntrack.word[(p.ct << 4) + W_MARK]
        fits = mark & self.mask == self.mark
        return fits != self.inverted


@cython.final
@cython.cclass
class AddressType(Match):
    """`-m addrtype`: types as sets of bits 1 << ADDR_*, 0: not asked. `limit_in`, `limit_out`: of that interface."""

    def __init__(self, src=0, src_not=False, dst=0, dst_not=False, limit_in=False, limit_out=False):
        Match.__init__(self)
        self.src = src
        self.src_not = src_not
        self.dst = dst
        self.dst_not = dst_not
        self.limit_in = limit_in
        self.limit_out = limit_out

    def test(self, p, state):
        """As `Match` has it."""
        iface: cython.int = -1
        fits: cython.bint
        if self.limit_in:
            iface = p.iface_in
        elif self.limit_out:
            iface = p.iface_out
        if self.src != 0:
            fits = self.src & (1 << state.address_type(p.src, iface)) != 0
            if fits == self.src_not:
                return False
        if self.dst != 0:
            fits = self.dst & (1 << state.address_type(p.dst, iface)) != 0
            if fits == self.dst_not:
                return False
        return True


@cython.final
@cython.cclass
class AddressRange(Match):
    """`-m iprange`: `src` and `dst` are (lowest, highest) or None."""

    def __init__(self, src=None, src_not=False, dst=None, dst_not=False):
        Match.__init__(self)
        self.by_src = src is not None
        self.by_dst = dst is not None
        self.src_low, self.src_high = src or (0, 0)
        self.dst_low, self.dst_high = dst or (0, 0)
        self.src_not = src_not
        self.dst_not = dst_not

    def test(self, p, state):
        """As `Match` has it."""
        fits: cython.bint
        if self.by_src:
            fits = self.src_low <= p.src and p.src <= self.src_high
            if fits == self.src_not:
                return False
        if self.by_dst:
            fits = self.dst_low <= p.dst and p.dst <= self.dst_high
            if fits == self.dst_not:
                return False
        return True


@cython.final
@cython.cclass
class Length(Match):
    """`-m length`: octets of the whole packet."""

    def __init__(self, low, high, inverted=False):
        Match.__init__(self)
        self.low = low
        self.high = high
        self.inverted = inverted

    def test(self, p, state):
        """As `Match` has it."""
        length: cython.int = p.head_len + p.length
        fits: cython.bint = self.low <= length and length <= self.high
        return fits != self.inverted


@cython.final
@cython.cclass
class Ttl(Match):
    """`-m ttl`: how is one of TTL_*."""

    def __init__(self, how, value):
        Match.__init__(self)
        self.how = how
        self.value = value

    def test(self, p, state):
        """As `Match` has it."""
        if self.how == TTL_EQ:
            return p.ttl == self.value
        if self.how == TTL_NE:
            return p.ttl != self.value
        if self.how == TTL_LT:
            return p.ttl < self.value
        return p.ttl > self.value


@cython.final
@cython.cclass
class Tos(Match):
    """`-m tos`, and `-m dscp` with the mask 0xFC."""

    def __init__(self, value, mask, inverted=False):
        Match.__init__(self)
        self.value = value
        self.mask = mask
        self.inverted = inverted

    def test(self, p, state):
        """As `Match` has it."""
        fits: cython.bint = p.tos & self.mask == self.value
        return fits != self.inverted
