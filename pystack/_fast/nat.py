# cython: overflowcheck=False
# Ports and checksums wrap; the checked build must not stop them.

"""NAT: which address and port a flow gets, and the rewriting of its packets.

The mapping of a flow is its two keys: where the reply key is not the original key turned round, something is
translated. A mapping is chosen once, for the first packet of a flow, while the flow is not in the table yet; nothing
that is chosen is held, so two flows can choose alike, and the later one is lost when it is confirmed.

Source: nf_nat_core.c; facts: conntrack 8.
"""

import cython

from pystack._fast.columns import column
from pystack._fast.consts import ICMP_REDIRECT, PROTO_GRE, PROTO_ICMP, PROTO_TCP, PROTO_UDP
from pystack._fast.hashing import jenkins_hash32, swab32
from pystack._fast.nf_consts import (
    CTS_RELATED,
    H_STATUS,
    IPS_DST_NAT,
    IPS_DST_NAT_DONE,
    IPS_FIXED_TIMEOUT,
    IPS_SRC_NAT,
    IPS_SRC_NAT_DONE,
    O_STATE,
    TCPCT_TIME_WAIT,
    W_END,
)
from pystack._fast.nf_hook import NF_ACCEPT, NF_DROP, NatRange
from pystack._fast.packet import Packet
from pystack._fast.seq import after
from pystack._fast.wirebytes import be16, put16, put32

_ATTEMPTS = 128
_FEWEST = 16
_HARDER = 32
_UDPLITE = 136
_NAT_DONE = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE
_U32 = cython.declare(cython.uint, 0xFFFFFFFF)
_words = cython.declare(cython.uint[::1], column("I", 4))


@cython.exceptval(check=False)
def pool_address(
    src: cython.uint, initval: cython.uint, low: cython.uint, high: cython.uint
) -> cython.uint:
    """The address of a pool for a source: a hash without a secret, so it is the same after each start."""
    wide: cython.ulonglong
    _words[0] = swab32(src)
    _words[1] = 0
    _words[2] = 0
    _words[3] = 0
    wide = jenkins_hash32(_words, 4, initval)
    return (low + cython.cast(cython.uint, (wide * (high - low + 1)) >> 32)) & _U32


@cython.final
@cython.cclass
class Nat:
    """The translator of one machine. `old` searches ports as kernels up to 4.20 did: a range once, from where the last
    search ended.
    """

    def __init__(self, ct, rng, old):
        self.ct = ct
        self.rng = rng
        self.old = old
        self.rover = 0
        self.addrs = 0
        self.ports = 0

    # --- choosing --------------------------------------------------------------------------------------------

    def setup(self, row, wanted, source, p):
        """Choose a mapping within a `NatRange` for a flow that begins with `p`. Answers NF_ACCEPT."""
        ct = self.ct
        node: cython.int = row << 1
        addrs: cython.ulonglong = ct.keys[2 * node + 2]
        addrs = (addrs & _U32) << 32 | addrs >> 32
        ports: cython.ulonglong = ct.turned(ct.keys[2 * node + 3])
        self.addrs = addrs
        self.ports = ports
        if wanted.netmap:
            self._choose(row, self._mapped(wanted, source), source, p)
        else:
            self._choose(row, wanted, source, p)
        if self.addrs != addrs or self.ports != ports:
            addrs = (self.addrs & _U32) << 32 | self.addrs >> 32
            ports = ct.turned(self.ports)
            ct.set_key(node + 1, addrs, ports, ct.hash_of(addrs, ports))
            ct.half[(row << 5) + H_STATUS] |= IPS_SRC_NAT if source else IPS_DST_NAT
        if source:
            ct.link_source(row)
        else:
            ct.half[(row << 5) + H_STATUS] |= IPS_DST_NAT_DONE
        return NF_ACCEPT

    def bind_nothing(self, row, source, p):
        """No rule translates this flow; its keys have to be unique all the same (a null binding)."""
        addrs: cython.ulonglong = self.ct.keys[4 * row + 2]
        address: cython.uint = cython.cast(cython.uint, addrs & _U32 if source else addrs >> 32)
        return self.setup(row, NatRange(address, address), source, p)

    def _mapped(self, wanted, source):
        """NETMAP: the network part is exchanged, the rest is kept; what is taken gets another port all the same."""
        mask: cython.uint = ~(wanted.low ^ wanted.high) & _U32
        address: cython.uint = self._address(source)
        address = (wanted.low & mask) | (address & ~mask & _U32)
        return NatRange(address, address)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _address(self, source: cython.bint) -> cython.uint:
        return cython.cast(cython.uint, self.addrs >> 32 if source else self.addrs & _U32)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _set_address(self, source: cython.bint, address: cython.ulonglong) -> cython.void:
        if source:
            self.addrs = address << 32 | (self.addrs & _U32)
        else:
            self.addrs = self.addrs >> 32 << 32 | address

    @cython.cfunc
    @cython.exceptval(check=False)
    def _port(self, source: cython.bint) -> cython.int:
        return cython.cast(cython.int, self.ports >> 48 if source else (self.ports >> 32) & 0xFFFF)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _set_port(self, source: cython.bint, port: cython.ulonglong) -> cython.void:
        rest: cython.ulonglong = 0xFFFF
        if source:
            self.ports = port << 48 | (self.ports & ~(rest << 48))
        else:
            self.ports = port << 32 | (self.ports & ~(rest << 32))

    @cython.cfunc
    @cython.exceptval(check=False)
    def _in_range(self, wanted: NatRange, source: cython.bint) -> cython.bint:
        """Are the address and the port of the present choice allowed?"""
        address: cython.uint = self._address(source)
        if wanted.low != 0 and not wanted.low <= address <= wanted.high:
            return False
        return wanted.port_low == 0 or self._port_in_range(wanted, source)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _port_in_range(self, wanted: NatRange, source: cython.bint) -> cython.bint:
        proto: cython.int = (self.ports >> 16) & 0xFF
        if proto == PROTO_ICMP:
            source = True  # its only number
        elif proto != PROTO_TCP and proto != PROTO_UDP and proto != _UDPLITE:
            return True
        return wanted.port_low <= self._port(source) <= wanted.port_high

    def _choose(self, row, wanted, source, p):
        """`addrs` and `ports` become what the flow gets: free, unless nothing is (facts: conntrack 8.2)."""
        random: cython.bint = wanted.random or wanted.random_fully
        addrs: cython.ulonglong = self.addrs
        ports: cython.ulonglong = self.ports
        initval: cython.uint = 0
        if source and not random:
            if self._in_range(wanted, source):
                if not self._taken(row):
                    return 0
            elif self._as_before(row, wanted) and not self._taken(row):
                return 0
            self.addrs = addrs
            self.ports = ports
        if wanted.low != 0:
            if wanted.low == wanted.high:
                self._set_address(source, wanted.low)
            else:
                if not wanted.persistent:
                    initval = swab32(cython.cast(cython.uint, addrs & _U32)) ^ (ports & 0xFFFF)
                self._set_address(
                    source,
                    pool_address(
                        cython.cast(cython.uint, addrs >> 32), initval, wanted.low, wanted.high
                    ),
                )
        if not random and wanted.port_base == 0:
            if wanted.port_low != 0:
                if self._port_in_range(wanted, source) and (
                    wanted.port_low == wanted.port_high or not self._taken(row)
                ):
                    return 0
            elif not self._taken(row):
                return 0
        return self._search(row, wanted, source, p)

    def _as_before(self, row, wanted):
        """The same client address and port were mapped before: to there again, if the range allows it."""
        ct = self.ct
        other: cython.int = ct.first_of_source(row)
        addrs: cython.ulonglong
        ports: cython.ulonglong
        mine: cython.ulonglong = ct.keys[4 * row + 1]
        rest: cython.ulonglong = 0xFFFF
        rest = rest << 32
        while other != 0:
            ports = ct.keys[4 * other + 1]
            if ct.keys[4 * other] >> 32 == ct.keys[4 * row] >> 32 and ports & ~rest == mine & ~rest:
                addrs = ct.keys[4 * other + 2]
                self._set_address(True, addrs & _U32)
                ports = ct.turned(ct.keys[4 * other + 3])
                self._set_port(True, ports >> 48)
                if self._in_range(wanted, True):
                    return True
            other = ct.sources.next[other]
        return False

    def _taken(self, row):
        """Has another flow the key that replies would have? (One with the same original key does not count.)"""
        ct = self.ct
        back: cython.ulonglong = (self.addrs & _U32) << 32 | self.addrs >> 32
        ports: cython.ulonglong = ct.turned(self.ports)
        node: cython.int = ct.find(back, ports, ct.hash_of(back, ports))
        other: cython.int = node >> 1
        if node == 0 or other == row:
            return False
        if (
            ct.keys[4 * other] == ct.keys[4 * row]
            and ct.keys[4 * other + 1] == ct.keys[4 * row + 1]
        ):
            return False
        ct.found += 1
        return True

    def _taken_for_good(self, row, p, left):
        """The same, in the last tries of a SYN: a flow that is over gives way (facts: conntrack 8.2, 4)."""
        ct = self.ct
        if left > _HARDER or p.proto != PROTO_TCP or p.flags & 0x17 != 0x02 or self.old:
            return self._taken(row)
        back: cython.ulonglong = (self.addrs & _U32) << 32 | self.addrs >> 32
        ports: cython.ulonglong = ct.turned(self.ports)
        node: cython.int = ct.find(back, ports, ct.hash_of(back, ports))
        other: cython.int = node >> 1
        state: cython.int
        status: cython.int
        if node == 0 or other == row:
            return False
        status = ct.half[(other << 5) + H_STATUS]
        state = ct.octet[(other << 6) + O_STATE]
        if node & 1 == 0 or status & IPS_SRC_NAT == 0 or status & IPS_FIXED_TIMEOUT:
            return True
        if state < TCPCT_TIME_WAIT:  # CLOSE and SYN_SENT2, too: the kernel compares numbers
            return True
        if not after(p.seq, ct.word[(other << 4) + W_END]):
            return True
        ct.kill(other)
        return False

    def _search(self, row, wanted, source, p):
        """Look for a free port: at most 128 in a row, then fewer from elsewhere; the last one stays, taken or not."""
        proto: cython.int = (self.ports >> 16) & 0xFF
        at: cython.bint = source
        low: cython.uint
        size: cython.uint
        off: cython.uint = 0
        attempts: cython.uint
        i: cython.uint
        port: cython.int
        if proto == PROTO_ICMP:
            at = True
            low = wanted.port_low
            size = wanted.port_high - low + 1 if low else 65536
        elif proto == PROTO_TCP or proto == PROTO_UDP or proto == _UDPLITE:
            low = wanted.port_low
            size = wanted.port_high - low + 1
            if low == 0:
                if not source:
                    return 0  # the service that is asked for stays the same
                port = self._port(True)
                if port < 512:
                    low = 1
                    size = 511
                elif port < 1024:
                    low = 600
                    size = 424
                else:
                    low = 1024
                    size = 64512
        else:
            return 0  # nothing that could vary
        if self.old:
            return self._search_old(row, wanted, at, low, size)
        if wanted.port_base != 0:
            off = (
                self._port(at) - wanted.port_base
            ) & 0xFFFF  # as far from the first as it was from the base
        elif source or wanted.random or wanted.random_fully:
            off = self.rng.next32() & 0xFFFF
        attempts = min(size, _ATTEMPTS)
        while True:
            for i in range(attempts):
                self._set_port(at, low + off % size)
                if not self._taken_for_good(row, p, attempts - i):
                    return 0
                off += 1
            if attempts >= size or attempts < _FEWEST:
                return 0
            attempts = attempts >> 1
            off = self.rng.next32() & 0xFFFF

    def _search_old(self, row, wanted, at, low, size):
        """The whole range once, from where the last search ended."""
        off: cython.uint = self.rover
        i: cython.uint
        if wanted.random or wanted.random_fully:
            off = self.rng.next32() & 0xFFFF
        for i in range(size):
            self._set_port(at, low + off % size)
            off += 1
            if i + 1 == size or not self._taken(row):
                break
        if not wanted.random_fully:
            self.rover = off & 0xFFFF
        return 0

    # --- rewriting -------------------------------------------------------------------------------------------

    def translate(self, p, source):
        """Give a packet of a flow the source (or else the destination) that its way has. Answers NF_ACCEPT."""
        ct = self.ct
        row: cython.int = p.ct
        status: cython.int = ct.half[(row << 5) + H_STATUS]
        bit: cython.int = IPS_SRC_NAT if source else IPS_DST_NAT
        back: cython.int
        addrs: cython.ulonglong
        ports: cython.ulonglong
        if p.ct_way == 1:
            bit = IPS_DST_NAT if source else IPS_SRC_NAT
        if p.ct_state == CTS_RELATED and p.proto == PROTO_ICMP:
            if p.drop != 0:
                return NF_DROP  # its checksum is wrong
            if p.icmp_type == ICMP_REDIRECT and (
                status & _NAT_DONE != _NAT_DONE or status & (IPS_SRC_NAT | IPS_DST_NAT)
            ):
                return NF_DROP  # who takes it to heart would go around the translator
            return self._translate_quote(p, source, status & bit != 0)
        if status & bit == 0:
            return NF_ACCEPT
        if p.proto == PROTO_GRE and p.length < 8:
            return NF_DROP  # it might have a key to change
        back = 2 * row + 1 - p.ct_way
        addrs = ct.keys[2 * back]
        addrs = (addrs & _U32) << 32 | addrs >> 32
        ports = ct.turned(ct.keys[2 * back + 1])
        if source:
            set_address(p, True, cython.cast(cython.uint, addrs >> 32))
        else:
            set_address(p, False, cython.cast(cython.uint, addrs & _U32))
        if p.proto == PROTO_ICMP:
            set_ping(p, cython.cast(cython.int, ports >> 48))
        elif source:
            set_port(p, True, cython.cast(cython.int, ports >> 48))
        else:
            set_port(p, False, cython.cast(cython.int, (ports >> 32) & 0xFFFF))
        return NF_ACCEPT

    def _translate_quote(self, p, source, mapped):
        """An ICMP error: the packet that it quotes went the other way, so what is the source here is the destination
        there, and both are what the side knows that is told.
        """
        ct = self.ct
        row: cython.int = p.ct
        way: cython.int = p.ct_way
        octets: object
        at: cython.int
        addrs: cython.ulonglong
        ports: cython.ulonglong
        if not mapped:
            return NF_ACCEPT
        addrs = ct.keys[2 * (2 * row + 1 - way)]
        ports = ct.keys[2 * (2 * row + 1 - way) + 1]
        # the quoted packet as the other direction of the flow has it
        octets = bytearray(p.pool.to_bytes(p.m, 0, p.length))
        at = (octets[0] & 15) * 4
        if len(octets) < at + 8 and octets[9] in (PROTO_TCP, PROTO_UDP, PROTO_ICMP, _UDPLITE):
            return NF_DROP  # too little is quoted to be translated
        rewrite_quote(octets, at, not source, addrs, ports)
        m = p.pool.new_chain(memoryview(octets), 0, len(octets))
        if m == 0:
            return 0
        p.pool.free_chain(p.m)
        p.m = m
        # the error itself: from whom the flow says, or to whom
        addrs = (addrs & _U32) << 32 | addrs >> 32
        if source:
            set_address(p, True, cython.cast(cython.uint, addrs >> 32))
        else:
            set_address(p, False, cython.cast(cython.uint, addrs & _U32))
        p.csum_ok = True  # what the octets need is computed when they leave
        return NF_ACCEPT


@cython.exceptval(check=False)
def _patch(p: Packet, at: cython.int, old: cython.uint, new: cython.uint) -> cython.void:
    """A checksum in `p.head` after 16 bits that it covers have changed (RFC 1624)."""
    acc: cython.uint = (be16(p.head, at) ^ 0xFFFF) + (old ^ 0xFFFF) + new
    acc = (acc & 0xFFFF) + (acc >> 16)
    acc = (acc & 0xFFFF) + (acc >> 16)
    put16(p.head, at, acc ^ 0xFFFF)


@cython.cfunc
@cython.exceptval(check=False)
def _sum_at(p: Packet) -> cython.int:
    """Where in `p.head` the L4 checksum is that has to be kept right; 0: there is none, or it is made later."""
    if p.proto == _UDPLITE:
        return p.ip_len + 6 if p.head_len > p.ip_len else 0
    return 0 if p.csum_ok else p.checksum_at()


@cython.exceptval(check=False)
def set_address(p: Packet, source: cython.bint, address: cython.uint) -> cython.void:
    """Another source or destination address, in the fields, the octets and the checksums."""
    at: cython.int = 12 if source else 16
    old: cython.uint = p.src if source else p.dst
    field: cython.int
    if old == address:
        return
    if source:
        p.src = address
    else:
        p.dst = address
    put32(p.head, at, address)
    _patch(p, 10, old >> 16, address >> 16)
    _patch(p, 10, old & 0xFFFF, address & 0xFFFF)
    field = _sum_at(p)
    if field != 0 and p.proto != PROTO_ICMP:
        _patch(p, field, old >> 16, address >> 16)
        _patch(p, field, old & 0xFFFF, address & 0xFFFF)


@cython.exceptval(check=False)
def set_port(p: Packet, source: cython.bint, port: cython.int) -> cython.void:
    """Another source or destination port of TCP or UDP, likewise."""
    at: cython.int = p.ip_len + (0 if source else 2)
    old: cython.int = p.sport if source else p.dport
    field: cython.int
    if old == port or (p.proto != PROTO_TCP and p.proto != PROTO_UDP and p.proto != _UDPLITE):
        return
    if source:
        p.sport = port
    else:
        p.dport = port
    put16(p.head, at, port)
    field = _sum_at(p)
    if field != 0:
        _patch(p, field, old, port)


@cython.exceptval(check=False)
def set_ping(p: Packet, identifier: cython.int) -> cython.void:
    """Another identifier of an ICMP question or answer, likewise."""
    old: cython.int = p.icmp_rest >> 16
    if old == identifier:
        return
    p.icmp_rest = (identifier << 16) | (p.icmp_rest & 0xFFFF)
    put16(p.head, p.ip_len + 4, identifier)
    if not p.csum_ok:
        _patch(p, p.ip_len + 2, old, identifier)


def rewrite_quote(octets, at, source, addrs, ports):
    """The packet quoted in an ICMP error, its header `at` octets long: another source or destination."""
    proto = octets[9]
    place = 12 if source else 16
    address = addrs >> 32 if source else addrs & _U32
    port = ports >> 48 if source or proto == PROTO_ICMP else (ports >> 32) & 0xFFFF
    fields = [(place, address >> 16), (place + 2, address & 0xFFFF)]
    sums = [10]
    l4 = {PROTO_TCP: 16, PROTO_UDP: 6, _UDPLITE: 6}.get(proto)
    if proto == PROTO_ICMP:
        change(octets, at + 4, port, [at + 2])
    elif l4 is not None:
        if at + l4 + 2 <= len(octets) and (octets[at + l4] or octets[at + l4 + 1]):
            sums.append(at + l4)
        change(octets, at + (0 if source else 2), port, sums[1:])
    for where, new in fields:
        change(octets, where, new, sums)


def change(octets, at, new, sums):
    """16 bits of `octets`, and the checksums at `sums` that cover them (RFC 1624)."""
    old = octets[at] << 8 | octets[at + 1]
    octets[at : at + 2] = int(new).to_bytes(2, "big")
    for place in sums:
        mend(octets, place, old, new)


def mend(octets, place, old, new):
    """A checksum in `octets` after 16 bits that it covers have changed (RFC 1624)."""
    acc = (octets[place] << 8 | octets[place + 1]) ^ 0xFFFF
    acc += (old ^ 0xFFFF) + new
    acc = (acc & 0xFFFF) + (acc >> 16)
    acc = (acc & 0xFFFF) + (acc >> 16)
    octets[place : place + 2] = (acc ^ 0xFFFF).to_bytes(2, "big")
