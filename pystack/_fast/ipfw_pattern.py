"""What a packet is asked: the patterns of ipfw's rules (ip_fw2.c: ipfw_chk, before its actions).

Instructions that hold names, here in words: O_RECV, O_XMIT, O_VIA the number of a pattern (`Ground.iface_fits`).
"""

import cython

from pystack._fast.columns import column
from pystack._fast.consts import PROTO_ICMP, PROTO_TCP, PROTO_UDP, RST, SYN
from pystack._fast.ipfw_ground import Ground  # noqa: F401
from pystack._fast.ipfw_ops import (
    O_ANTISPOOF,
    O_DSCP,
    O_ESTAB,
    O_FIB,
    O_FRAG,
    O_ICMPTYPE,
    O_IN,
    O_IP4,
    O_IP_DST,
    O_IP_DST_LOOKUP,
    O_IP_DST_MASK,
    O_IP_DST_ME,
    O_IP_DST_SET,
    O_IP_DSTPORT,
    O_IP_SRC,
    O_IP_SRC_LOOKUP,
    O_IP_SRC_MASK,
    O_IP_SRC_ME,
    O_IP_SRC_SET,
    O_IP_SRCPORT,
    O_IPID,
    O_IPLEN,
    O_IPOPT,
    O_IPPRECEDENCE,
    O_IPTOS,
    O_IPTTL,
    O_IPVER,
    O_NOP,
    O_PROB,
    O_PROTO,
    O_RECV,
    O_TAGGED,
    O_TCPACK,
    O_TCPDATALEN,
    O_TCPFLAGS,
    O_TCPMSS,
    O_TCPOPTS,
    O_TCPSEQ,
    O_TCPWIN,
    O_VERREVPATH,
    O_VERSRCREACH,
    O_VIA,
    O_XMIT,
    TABLEARG,
    TABLEARG_OLD,
)
from pystack._fast.ipfw_table import Table
from pystack._fast.packet import Packet

_OPENING = cython.declare(cython.uint, SYN | RST | 0x10)
_PROB_MASK = cython.declare(cython.uint, 0x7FFFFFFF)
_IPOPTS = cython.declare(cython.uchar[::1], column("B", 256))
_IPOPTS[0x89] = 1  # strict and loose source route, record route, timestamp: the bits of `ipoptions`
_IPOPTS[0x83] = 2
_IPOPTS[0x07] = 4
_IPOPTS[0x44] = 8
_TCPOPTS = cython.declare(cython.uchar[::1], column("B", 256))
_TCPOPTS[2] = 1  # mss, window, sack, ts, cc: the bits of `tcpoptions`
_TCPOPTS[3] = 2
_TCPOPTS[4] = 4
_TCPOPTS[5] = 4
_TCPOPTS[8] = 8
_TCPOPTS[11] = 16


@cython.cclass
class Patterns:
    """The instructions of a machine's rules as they are walked: `at` is where. `tables`: by number."""

    def __init__(self, cfg, ground, rng, old):
        self.cfg = cfg
        self.ground = ground
        self.rng = rng
        self.tables = {}
        self.tablearg_is = TABLEARG_OLD if old else TABLEARG
        self.code = column("I", 1)
        self.patterns = []
        self.forget_interfaces()

    def forget_interfaces(self):
        """Which interfaces have the names and addresses that rules know is found out anew."""
        self.iface_known = column("B", 64 * (len(self.patterns) + 1))

    @cython.cfunc
    @cython.exceptval(check=False)
    def _argument(self, arg: cython.uint) -> cython.uint:
        """The argument of an action: its own, or what a table said."""
        return self.tablearg if arg == self.tablearg_is else arg

    def _fits(self, p, op, head):
        """Does a pattern hold?"""
        if op <= O_IP_DST_SET or op == O_IP_SRC_LOOKUP or op == O_IP_DST_LOOKUP:
            return self._address(p, op, head)
        if op == O_PROTO:
            return cython.cast(cython.uint, p.proto) == head >> 16
        if op == O_IP_SRCPORT or op == O_IP_DSTPORT:
            if p.frag_off != 0 or (p.proto != PROTO_TCP and p.proto != PROTO_UDP):
                return False
            return self._in_ranges(
                head, cython.cast(cython.uint, p.sport if op == O_IP_SRCPORT else p.dport)
            )
        if op == O_IN:
            return not self.out
        if op == O_VIA:
            return self._via(self.iface_out if self.out else self.iface_in, head)
        if op == O_RECV:
            return self._via(self.iface_in, head)
        if op == O_XMIT:
            return self._via(self.iface_out, head)
        if op == O_FRAG:
            return p.frag_off != 0
        if op == O_ICMPTYPE:
            if p.frag_off != 0 or p.proto != PROTO_ICMP or p.icmp_type > 31:
                return False
            return self.code[self.at + 1] >> p.icmp_type & 1
        if op == O_ESTAB or op == O_TCPFLAGS or (O_TCPWIN <= op <= O_TCPACK) or op == O_TCPOPTS:
            return p.frag_off == 0 and p.proto == PROTO_TCP and self._tcp(p, op, head)
        if op == O_TCPDATALEN or op == O_TCPMSS:
            return p.frag_off == 0 and p.proto == PROTO_TCP and self._tcp(p, op, head)
        return self._header(p, op, head)

    def _address(self, p, op, head):
        """Patterns about one of the addresses."""
        source: cython.bint = op <= O_IP_SRC_SET or op == O_IP_SRC_LOOKUP
        address: cython.uint = p.src if source else p.dst
        at: cython.int = self.at + 1
        stop: cython.int = self.at + cython.cast(cython.int, head >> 8 & 0x3F)
        offset: cython.uint
        if op == O_IP_SRC or op == O_IP_DST:
            return address == self.code[at]
        if op == O_IP_SRC_MASK or op == O_IP_DST_MASK:
            while at < stop:
                if self.code[at] == address & self.code[at + 1]:
                    return True
                at += 2
            return False
        if op == O_IP_SRC_ME or op == O_IP_DST_ME:
            return self.ground.is_own(address)
        if op == O_IP_SRC_SET or op == O_IP_DST_SET:
            if address < self.code[at]:
                return False
            offset = address - self.code[at]
            return offset < head >> 16 and self.code[at + 1 + (offset >> 5)] >> (offset & 31) & 1
        if op == O_NOP:
            return True
        return self._lookup(p, address, head)

    def _lookup(self, p, address, head):
        """Is it in a table? What stands there is `tablearg` from now on, unless a value is asked for."""
        size: cython.int = cython.cast(cython.int, head >> 8 & 0x3F)
        key: cython.uint = address
        kind: cython.uint
        if size == 3:
            kind = self.code[self.at + 2]
            if kind == 0:
                key = p.dst
            elif kind == 1:
                key = p.src
            elif kind == 2 or kind == 3:
                if p.frag_off != 0 or (p.proto != PROTO_TCP and p.proto != PROTO_UDP):
                    return False
                key = cython.cast(cython.uint, p.dport if kind == 2 else p.sport)
            elif kind == 6:
                key = cython.cast(cython.uint, p.tos >> 2)
            else:
                return False
        table: Table = self.tables.get(head >> 16)
        if table is None or not table.find(key):
            return False
        if size == 2:
            return table.value == self.code[self.at + 1]
        self.tablearg = table.value
        return True

    def _in_ranges(self, head, value):
        """Is it in one of the ranges of the instruction, or (without any) its argument?"""
        at: cython.int = self.at + 1
        stop: cython.int = self.at + cython.cast(cython.int, head >> 8 & 0x3F)
        if at == stop:
            return value == head >> 16
        while at < stop:
            if self.code[at] & 0xFFFF <= value <= self.code[at] >> 16:
                return True
            at += 1
        return False

    def _via(self, iface, head):
        """Is this interface one that the instruction names? Asked once for each interface and name."""
        place: cython.int
        pattern: cython.uint = self.code[self.at + 1]
        if iface < 0:
            return False
        if head >> 16 != 0:
            table: Table = self.tables.get(pattern)
            if table is None or not table.find(cython.cast(cython.uint, iface)):
                return False
            self.tablearg = table.value
            return True
        place = cython.cast(cython.int, pattern) * 64 + (iface & 63)
        if self.iface_known[place] == 0:
            self.iface_known[place] = (
                2 if self.ground.iface_fits(iface, self.patterns[pattern]) else 1
            )
        return self.iface_known[place] == 2

    def _tcp(self, p, op, head):
        """Patterns about the TCP header, which is there."""
        flags: cython.uint = cython.cast(cython.uint, p.flags)
        if op == O_ESTAB:
            return flags & _OPENING != SYN
        if op == O_TCPFLAGS:
            return _flags_fit(head >> 16, flags & 0xFF)
        if op == O_TCPOPTS:
            return _flags_fit(head >> 16, _tcp_options(p))
        if op == O_TCPSEQ:
            return p.seq == self.code[self.at + 1]
        if op == O_TCPACK:
            return p.ack == self.code[self.at + 1]
        if op == O_TCPWIN:
            return self._in_ranges(head, cython.cast(cython.uint, p.win))
        if op == O_TCPMSS:
            return p.opt_mss >= 0 and self._in_ranges(head, cython.cast(cython.uint, p.opt_mss))
        return self._in_ranges(head, cython.cast(cython.uint, p.total - p.head_len))

    def _header(self, p, op, head):
        """Patterns about the IP header, and about the way that a packet takes."""
        if op == O_IPLEN:
            return self._in_ranges(head, cython.cast(cython.uint, p.total))
        if op == O_IPID:
            return self._in_ranges(head, cython.cast(cython.uint, p.ip_id))
        if op == O_IPTTL:
            return self._in_ranges(head, cython.cast(cython.uint, p.ttl))
        if op == O_IPTOS:
            return _flags_fit(head >> 16, cython.cast(cython.uint, p.tos))
        if op == O_IPPRECEDENCE:
            return cython.cast(cython.uint, p.tos & 0xE0) == head >> 16
        if op == O_DSCP:
            return self.code[self.at + 1 + (p.tos >> 7)] >> (p.tos >> 2 & 31) & 1
        if op == O_IPVER:
            return head >> 16 == 4
        if op == O_IPOPT:
            options: cython.int = _ip_options(p)
            return options >= 0 and _flags_fit(head >> 16, cython.cast(cython.uint, options))
        if op == O_IP4:
            return True
        if op == O_FIB:
            return head >> 16 == 0
        if op == O_TAGGED:
            return self._tagged(p, head)
        if op == O_PROB:
            return self.rng.next32() & _PROB_MASK < self.code[self.at + 1]
        if op == O_VERREVPATH or op == O_ANTISPOOF:
            if self.out or (op == O_ANTISPOOF and not self.ground.is_near(p.src)):
                return True
            return self.ground.way_to(p.src) == self.iface_in
        if op == O_VERSRCREACH:
            return self.out or self.ground.way_to(p.src) >= 0
        return False  # of layer 2, of sockets, of IPv6: never here

    def _tagged(self, p, head):
        """Does it bear one of these tags?"""
        at: cython.int = self.at + 1
        stop: cython.int = self.at + cython.cast(cython.int, head >> 8 & 0x3F)
        if at == stop:
            return self.ground.has_tag(p, self._argument(head >> 16), self._argument(head >> 16))
        while at < stop:
            if self.ground.has_tag(p, self.code[at] & 0xFFFF, self.code[at] >> 16):
                return True
            at += 1
        return False


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _flags_fit(wanted: cython.uint, bits: cython.uint) -> cython.bint:
    """`wanted`: bits that must be set | bits that must be clear << 8."""
    return wanted & 0xFF & ~bits == 0 and wanted >> 8 & 0xFF & bits == 0


@cython.cfunc
@cython.exceptval(check=False)
def _tcp_options(p: Packet) -> cython.uint:
    """Which of the options that ipfw knows a segment has."""
    bits: cython.uint = 0
    at: cython.int = p.ip_len + 20
    kind: cython.int
    while at < p.head_len:
        kind = p.head[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        if at + 1 >= p.head_len or p.head[at + 1] == 0:
            break
        bits |= _TCPOPTS[kind]
        at += p.head[at + 1]
    return bits


@cython.cfunc
@cython.exceptval(check=False)
def _ip_options(p: Packet) -> cython.int:
    """Which of the IP options that ipfw knows a packet has; -1 where they are broken."""
    bits: cython.int = 0
    at: cython.int = 20
    size: cython.int
    while at < p.ip_len:
        if p.head[at] == 0:
            break
        size = 1
        if p.head[at] != 1:
            size = p.head[at + 1] if at + 1 < p.ip_len else 0
            if size == 0 or at + size > p.ip_len:
                return -1
        bits |= _IPOPTS[p.head[at]]
        at += size
    return bits
