"""What a rule of netfilter does with a packet: its target.

`Target.apply` answers what becomes of the packet: NF_ACCEPT, NF_DROP, NF_STOLEN, or how the rules go on (CONTINUE,
RETURN, JUMP, GOTO). A target that changes a packet changes its fields and the octets of its header alike; a checksum
that was not left open (`Packet.csum_ok`) is corrected by the difference, so that a wrong one stays wrong (RFC 1624).

Source: net/netfilter/xt_*.c, net/ipv4/netfilter/ipt_*.c; facts: conntrack 7, 8.
"""

import cython

from pystack._fast.consts import PROTO_TCP
from pystack._fast.nf_consts import (
    CONTINUE,
    CT_TEMPLATE,
    CTS_UNTRACKED,
    H_STATUS,
    IPCT_MARK,
    IPS_CONFIRMED,
    MARK_RESTORE,
    MARK_SET,
    TTL_DEC,
    TTL_INC,
    W_MARK,
)
from pystack._fast.nf_hook import (
    LOCAL_IN,
    LOCAL_OUT,
    NF_DROP,
    POSTROUTING,
)
from pystack._fast.packet import Packet
from pystack._fast.wirebytes import be16, put16

_LOOPBACK = 0x7F000001
_HEADERS = 40
_MSS_DEFAULT = 536
_MSS_OPTION = 2


@cython.exceptval(check=False)
def fix_checksum(p: Packet, at: cython.int, old: cython.int, new: cython.int) -> cython.void:
    """The checksum at `head[at]` after a word that it covers went from `old` to `new` (RFC 1624, equation 3)."""
    acc: cython.uint = (be16(p.head, at) ^ 0xFFFF) + (old ^ 0xFFFF) + new
    acc = (acc & 0xFFFF) + (acc >> 16)
    acc = (acc & 0xFFFF) + (acc >> 16)
    put16(p.head, at, acc ^ 0xFFFF)


@cython.exceptval(check=False)
def put_word(p: Packet, at: cython.int, value: cython.int) -> cython.void:
    """Another word in the IP header, whose checksum follows."""
    fix_checksum(p, 10, be16(p.head, at), value)
    put16(p.head, at, value)


@cython.exceptval(check=False)
def put_tcp_word(p: Packet, at: cython.int, value: cython.int) -> cython.void:
    """Another word at an even place of the TCP header, whose checksum follows unless it is left open."""
    if not p.csum_ok:
        fix_checksum(p, p.ip_len + 16, be16(p.head, at), value)
    put16(p.head, at, value)


@cython.exceptval(check=False)
def put_tos(p: Packet, tos: cython.int) -> cython.void:
    """Another TOS octet."""
    if tos != p.tos:
        p.tos = tos
        put_word(p, 0, p.head[0] << 8 | tos)


@cython.cclass
class Target:
    """What to do. This one: a verdict that is always the same; CONTINUE is a rule without a target."""

    def __init__(self, verdict=CONTINUE):
        self.verdict = verdict

    def apply(self, p, state):
        """What becomes of the packet."""
        return self.verdict


@cython.final
@cython.cclass
class Reject(Target):
    """REJECT: the packet is lost and its sender is told, in a kind that `HookState.reject` knows."""

    def __init__(self, kind):
        Target.__init__(self, NF_DROP)
        self.kind = kind

    def apply(self, p, state):
        """As `Target` has it."""
        state.reject(p, self.kind)
        return NF_DROP


@cython.final
@cython.cclass
class Log(Target):
    """LOG: a line for the kernel's log. `flags` are the kernel's: 1 TCP sequence, 2 TCP options, 4 IP options, 8 owner,
    32 MAC decoded.
    """

    def __init__(self, prefix, level, flags):
        Target.__init__(self)
        self.prefix = prefix
        self.level = level
        self.flags = flags

    def apply(self, p, state):
        """As `Target` has it."""
        state.log_flags = self.flags
        state.log(p, self.prefix, self.level)
        return CONTINUE


@cython.final
@cython.cclass
class NatTarget(Target):
    """SNAT (`source`) and DNAT."""

    def __init__(self, wanted, source):
        Target.__init__(self)
        self.wanted = wanted
        self.source = source

    def apply(self, p, state):
        """As `Target` has it."""
        return state.set_nat(p, self.wanted, self.source)


@cython.final
@cython.cclass
class Masquerade(Target):
    """MASQUERADE: SNAT to the address of the interface that the packet leaves by."""

    def __init__(self, wanted):
        Target.__init__(self)
        self.wanted = wanted

    def apply(self, p, state):
        """As `Target` has it."""
        return state.masquerade(p, self.wanted)


@cython.final
@cython.cclass
class Redirect(Target):
    """REDIRECT: DNAT to this machine itself, by the address of the interface that the packet came in by."""

    def __init__(self, wanted):
        Target.__init__(self)
        self.wanted = wanted

    def apply(self, p, state):
        """As `Target` has it."""
        addr: cython.uint = _LOOPBACK
        if state.hook != LOCAL_OUT:
            addr = state.iface_addr(p.iface_in)
            if addr == 0:
                return NF_DROP
        self.wanted.low = addr
        self.wanted.high = addr
        return state.set_nat(p, self.wanted, False)


@cython.final
@cython.cclass
class Netmap(Target):
    """NETMAP: another network, the same host; of the source behind routing, else of the destination."""

    def __init__(self, wanted):
        Target.__init__(self)
        self.wanted = wanted

    def apply(self, p, state):
        """As `Target` has it."""
        return state.set_nat(p, self.wanted, state.hook == POSTROUTING or state.hook == LOCAL_IN)


@cython.final
@cython.cclass
class NoTrack(Target):
    """NOTRACK: conntrack shall not look at the packet."""

    def apply(self, p, state):
        """As `Target` has it."""
        if p.ct == 0 and p.ct_state == 0 and p.ct_template == 0:
            p.ct_state = CTS_UNTRACKED
        return CONTINUE


@cython.final
@cython.cclass
class Template(Target):
    """CT: what the packet belongs to, and what a flow gets that it begins. The first such rule counts.

    `zone`: -1 is that of the packet's mark. `only` is 0, or ZONE_ORIGINAL or ZONE_REPLY where one direction has the
    zone. `events`: 0, or CT_MASKED and the kinds of events that are told (IPCT_*).
    """

    def __init__(self, zone=0, only=0, events=0):
        Target.__init__(self)
        self.zone = zone
        self.only = only
        self.events = events

    def apply(self, p, state):
        """As `Target` has it."""
        zone: cython.int = self.zone
        if p.ct == 0 and p.ct_state == 0 and p.ct_template == 0:
            if zone < 0:
                zone = cython.cast(cython.int, p.mark & 0xFFFF)
            p.ct_zone = zone | self.only
            p.ct_template = CT_TEMPLATE | self.events
        return CONTINUE


@cython.final
@cython.cclass
class Mark(Target):
    """MARK: the bits of `mask` go, then those of `mark` are turned."""

    def __init__(self, mark, mask):
        Target.__init__(self)
        self.mark = mark
        self.mask = mask

    def apply(self, p, state):
        """As `Target` has it."""
        p.mark = (p.mark & (self.mask ^ _ones())) ^ self.mark
        return CONTINUE


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _ones() -> cython.uint:
    """2**32 - 1 as the C compiler can fold it."""
    half: cython.uint = 0xFFFF
    return half << 16 | half


@cython.final
@cython.cclass
class ConnMark(Target):
    """CONNMARK: sets the mark of the flow, or saves that of the packet there, or restores it from there. What is set or
    copied is shifted to the left, or where `shift` is negative to the right.
    """

    def __init__(self, action, mark, flow_mask, packet_mask, shift=0):
        Target.__init__(self)
        self.shift = shift
        self.action = action
        self.mark = mark
        self.flow_mask = flow_mask
        self.packet_mask = packet_mask

    @cython.exceptval(check=False)
    def shifted(self, mark: cython.uint) -> cython.uint:
        """A mark after the shift."""
        if self.shift < 0:
            return mark >> -self.shift
        return (mark << self.shift) & _ones()

    def apply(self, p, state):
        """As `Target` has it."""
        row: cython.int = p.ct
        old: cython.uint
        new: cython.uint
        if row == 0:
            return CONTINUE
        old = state.conntrack.word[(row << 4) + W_MARK]
        if self.action == MARK_RESTORE:
            new = self.shifted(old & self.flow_mask)
            p.mark = (p.mark & (self.packet_mask ^ _ones())) ^ new
            return CONTINUE
        if self.action == MARK_SET:
            new = self.shifted((old & (self.flow_mask ^ _ones())) ^ self.mark)
        else:
            new = (old & (self.flow_mask ^ _ones())) ^ self.shifted(p.mark & self.packet_mask)
        if new != old:
            state.conntrack.word[(row << 4) + W_MARK] = new
            if state.conntrack.half[(row << 5) + H_STATUS] & IPS_CONFIRMED:
                state.conntrack.note(row, IPCT_MARK)
        return CONTINUE


@cython.final
@cython.cclass
class SetTos(Target):
    """TOS, and DSCP with the mask 0xFC: the bits of `mask` go, then those of `value` are turned."""

    def __init__(self, value, mask):
        Target.__init__(self)
        self.value = value
        self.mask = mask

    def apply(self, p, state):
        """As `Target` has it."""
        put_tos(p, (p.tos & (self.mask ^ 0xFF)) ^ self.value)
        return CONTINUE


@cython.final
@cython.cclass
class SetTtl(Target):
    """TTL: how is one of TTL_*."""

    def __init__(self, how, value):
        Target.__init__(self)
        self.how = how
        self.value = value

    def apply(self, p, state):
        """As `Target` has it."""
        ttl: cython.int = self.value
        if self.how == TTL_INC:
            ttl = p.ttl + self.value
            if ttl > 255:
                ttl = 255
        elif self.how == TTL_DEC:
            ttl = p.ttl - self.value
            if ttl < 0:
                ttl = 0
        if ttl != p.ttl:
            p.ttl = ttl
            put_word(p, 8, ttl << 8 | p.head[9])
        return CONTINUE


@cython.final
@cython.cclass
class TcpMss(Target):
    """TCPMSS: a smaller maximum segment size in a SYN, `mss` or (-1) what the way of the packet bears.

    Never a larger one. A packet without the option gets it, if nothing stands behind its header.
    """

    def __init__(self, mss):
        Target.__init__(self)
        self.mss = mss

    def apply(self, p, state):
        """As `Target` has it."""
        mss: cython.int = self.mss
        at: cython.int
        size: cython.int
        if p.frag_off != 0:
            return CONTINUE
        if p.proto != PROTO_TCP or p.head_len < p.ip_len + 20:
            return NF_DROP
        if mss < 0:
            mss = state.clamp_mss(p)
            if mss <= _HEADERS:
                return NF_DROP
            mss -= _HEADERS
        at = p.ip_len + 20
        while at + 4 <= p.head_len:
            size = p.head[at + 1]
            if p.head[at] == _MSS_OPTION and size == 4:
                self.lower(p, at + 2, mss)
                return CONTINUE
            at += 1 if p.head[at] < 2 or size == 0 else size
        if p.length == 0 and p.head_len - p.ip_len < 60:
            self.insert(p, mss if mss < _MSS_DEFAULT else _MSS_DEFAULT)
        return CONTINUE

    @cython.exceptval(check=False)
    def lower(self, p: Packet, at: cython.int, mss: cython.int) -> cython.void:
        """The value at `at`, if it is larger."""
        old: cython.int = be16(p.head, at)
        if old <= mss:
            return
        p.opt_mss = mss
        if at & 1 == 0:
            put_tcp_word(p, at, mss)
        else:
            # the value lies across two words of the checksum
            put_tcp_word(p, at - 1, p.head[at - 1] << 8 | mss >> 8)
            put_tcp_word(p, at + 1, (mss & 0xFF) << 8 | p.head[at + 2])

    @cython.exceptval(check=False)
    def insert(self, p: Packet, mss: cython.int) -> cython.void:
        """The option before the others."""
        at: cython.int = p.ip_len + 20
        i: cython.int = p.head_len - 1
        words: cython.int = (p.head_len - p.ip_len) >> 2
        while i >= at:
            p.head[i + 4] = p.head[i]
            i -= 1
        put16(p.head, at, _MSS_OPTION << 8 | 4)
        put16(p.head, at + 2, mss)
        if not p.csum_ok:
            fix_checksum(p, p.ip_len + 16, 0, _MSS_OPTION << 8 | 4)
            fix_checksum(p, p.ip_len + 16, 0, mss)
            fix_checksum(p, p.ip_len + 16, 0, 4)  # the length in the pseudo-header
        put_tcp_word(p, p.ip_len + 12, (words + 1) << 12 | (be16(p.head, p.ip_len + 12) & 0xFFF))
        p.head_len += 4
        p.total += 4
        put_word(p, 2, p.total)
        p.opt_mss = mss
        if p.tfo_off >= 0:
            p.tfo_off += 4
