# cython: overflowcheck=False
# Checksums wrap; the checked build must not stop them.

"""NAT inside ipfw: what a rule `nat N` makes of a packet (ip_fw_nat.c, libalias).

A packet that comes in gets the destination that its link says, one that goes out the source. A packet for which there
is no link makes one, unless the instance has `deny_in` and it comes in. What cannot be translated passes as it is, but
for what `Nats.translate` says.

Facts: ipfw 4.2.
"""

import cython

from pystack._fast.consts import (
    ICMP_ECHO,
    ICMP_ECHO_REPLY,
    ICMP_PARAM_PROBLEM,
    ICMP_SOURCE_QUENCH,
    ICMP_TIME_EXCEEDED,
    ICMP_UNREACH,
    PROTO_ICMP,
    PROTO_TCP,
    PROTO_UDP,
)
from pystack._fast.ipfw_kinds import (
    DRAWN,
    LINK_FRAGMENT,
    M_DENY_IN,
    M_PROXY_ONLY,
    M_RESET,
    M_REVERSE,
    M_SAME_PORTS,
    M_SKIP_GLOBAL,
    M_UNREG_CGN,
    M_UNREG_ONLY,
    NO_PORT,
)
from pystack._fast.ipfw_links import Links
from pystack._fast.nat import mend, rewrite_quote, set_address, set_ping, set_port
from pystack._fast.packet import Packet
from pystack._fast.routes import Interface
from pystack._fast.udp_icmp import Quote

DONE = 1
IGNORED = 2
UNRESOLVED = 3
"""What became of a packet: it is translated, nothing fits it, it is a fragment whose first was not seen."""

_STAMP = 13
_STAMP_REPLY = 14


@cython.final
@cython.cclass
class NatInstance:
    """One `nat N`. `mode`: M_*; `iface`: whose address it has outside, or None: `address` is fixed."""

    def __init__(self, number, rng):
        self.number = number
        self.mode = 0
        self.iface = None
        self.address = 0
        self.links = Links(rng)
        self.quote = Quote()

    def configure(self, mode, iface, address):
        """Another mode and address from now on; links stay."""
        self.mode = mode
        self.iface = iface
        self.address = address
        self.links.create_in = mode & (M_DENY_IN | M_PROXY_ONLY) == 0
        self.links.same_ports = mode & M_SAME_PORTS != 0
        self.begin(self.links.now)

    def begin(self, now):
        """A packet comes, `now` in seconds: what is over goes, the interface may have another address."""
        address: cython.uint = self.address
        iface: Interface = self.iface
        links = self.links
        if iface is not None:
            address = iface.addr
        if address != links.address:
            if links.address != 0 and self.mode & M_RESET:
                links.clear()
            links.address = address
        return links.clean(now)

    def incoming(self, p):
        """A packet from outside."""
        return self._out(p, True) if self.mode & M_REVERSE else self._in(p)

    def outgoing(self, p, create):
        """A packet from inside; without `create` only one of a link that is there."""
        return self._in(p) if self.mode & M_REVERSE else self._out(p, create)

    # --- from outside ----------------------------------------------------------------------------------------

    def _in(self, p):
        row: cython.int
        result: cython.int
        links = self.links
        if p.frag_off != 0:
            row = links.find_in(p.src, p.dst, NO_PORT, p.ip_id, LINK_FRAGMENT, False)
            if row == 0:
                return UNRESOLVED
            set_address(p, False, links.src[row])
            return DONE
        peer: cython.uint = p.src
        alias: cython.uint = p.dst
        if p.proto == PROTO_TCP or p.proto == PROTO_UDP:
            result = self._ports_in(p)
        elif p.proto == PROTO_ICMP:
            result = self._icmp_in(p)
        else:
            result = self._bare_in(p)
        if p.mf and result == DONE:
            row = links.find_in(peer, alias, NO_PORT, p.ip_id, LINK_FRAGMENT, False)
            if row != 0:
                links.remove(row)
            links.add(p.dst, peer, alias, NO_PORT, NO_PORT, p.ip_id, LINK_FRAGMENT)
        return result

    def _ports_in(self, p):
        row: cython.int
        links = self.links
        row = links.find_in(p.src, p.dst, p.sport, p.dport, p.proto, True)
        if row == 0 and links.create_in:
            row = links.add(
                links.inside_of(p.dst), p.src, p.dst, p.dport, p.sport, p.dport, p.proto
            )
        if row == 0:
            return IGNORED
        if p.proto == PROTO_TCP:
            links.saw_in(row, p.flags)
        translate(p, False, links.inside(row), links.sport[row])
        return DONE

    def _icmp_in(self, p):
        row: cython.int
        links = self.links
        number: cython.int = p.icmp_rest >> 16
        if _is_error(p.icmp_type):
            return self._error(p, False)
        if not _is_ping(p):
            return IGNORED
        row = links.find_in(p.src, p.dst, NO_PORT, number, PROTO_ICMP, False)
        if row == 0 and links.create_in:
            row = links.add(
                links.inside_of(p.dst), p.src, p.dst, number, NO_PORT, number, PROTO_ICMP
            )
        if row == 0:
            return IGNORED
        translate(p, False, links.inside(row), links.sport[row])
        return DONE

    def _bare_in(self, p):
        """A protocol of which nothing but the addresses is known."""
        links = self.links
        row: cython.int = links.find_in(p.src, p.dst, NO_PORT, 0, p.proto, True)
        if row == 0 and links.create_in:
            row = links.add(links.inside_of(p.dst), p.src, p.dst, NO_PORT, NO_PORT, 0, p.proto)
        if row == 0:
            return IGNORED
        set_address(p, False, links.inside(row))
        return DONE

    # --- from inside -----------------------------------------------------------------------------------------

    def _out(self, p, create):
        links = self.links
        address: cython.uint = links.address
        result: cython.int
        private: cython.int = M_UNREG_ONLY | M_UNREG_CGN
        if self.mode & M_PROXY_ONLY or (self.mode & private and not self._is_private(p.src)):
            links.address = p.src  # stays who it is
        if p.frag_off != 0:
            set_address(p, True, links.outside_of(p.src))
            result = DONE
        elif p.proto == PROTO_TCP or p.proto == PROTO_UDP:
            result = self._ports_out(p, create)
        elif p.proto == PROTO_ICMP:
            result = self._icmp_out(p, create)
        else:
            result = self._bare_out(p, create)
        links.address = address
        return result

    def _is_private(self, address):
        """One of RFC 1918 or, with `unreg_cgn`, of the network between a provider and its customers (RFC 6598)."""
        high: cython.uint = address >> 16
        if self.mode & M_UNREG_CGN and high & 0xFFC0 == 0x6440:
            return True
        return address >> 24 == 10 or high & 0xFFF0 == 0xAC10 or high == 0xC0A8

    def _ports_out(self, p, create):
        row: cython.int
        links = self.links
        row = links.find_out(p.src, p.dst, p.sport, p.dport, p.proto, True)
        if row == 0 and create:
            row = links.add(p.src, p.dst, links.outside_of(p.src), p.sport, p.dport, DRAWN, p.proto)
        if row == 0:
            return IGNORED
        if p.proto == PROTO_TCP:
            links.saw_out(row, p.flags)
        translate(p, True, links.outside(row), links.aport[row])
        return DONE

    def _icmp_out(self, p, create):
        row: cython.int
        links = self.links
        number: cython.int = p.icmp_rest >> 16
        if _is_error(p.icmp_type):
            return self._error(p, True)
        if not _is_ping(p):
            return IGNORED
        row = links.find_out(p.src, p.dst, number, NO_PORT, PROTO_ICMP, False)
        if row == 0 and create:
            row = links.add(
                p.src, p.dst, links.outside_of(p.src), number, NO_PORT, DRAWN, PROTO_ICMP
            )
        if row == 0:
            return IGNORED
        translate(p, True, links.outside(row), links.aport[row])
        return DONE

    def _bare_out(self, p, create):
        links = self.links
        row: cython.int = links.find_out(p.src, p.dst, NO_PORT, NO_PORT, p.proto, True)
        if row == 0 and create:
            row = links.add(p.src, p.dst, links.outside_of(p.src), NO_PORT, NO_PORT, 0, p.proto)
        if row == 0:
            return IGNORED
        set_address(p, True, links.outside(row))
        return DONE

    # --- errors ----------------------------------------------------------------------------------------------

    def _error(self, p, out):
        """An error is for whoever sent the packet that it quotes, which went the other way; that knew its own side
        of the translator only.
        """
        row: cython.int = 0
        links = self.links
        q = self.quote
        if q.parse(p) != 0:
            return IGNORED
        if q.q_proto == PROTO_TCP or q.q_proto == PROTO_UDP:
            if out:
                row = links.find_out(q.q_dst, q.q_src, q.q_dport, q.q_sport, q.q_proto, True)
            else:
                row = links.find_in(q.q_dst, q.q_src, q.q_dport, q.q_sport, q.q_proto, True)
        elif q.q_proto == PROTO_ICMP and _quotes_question(q.q_sport):
            if out:
                row = links.find_out(q.q_dst, q.q_src, q.q_ping, NO_PORT, PROTO_ICMP, False)
            else:
                row = links.find_in(q.q_dst, q.q_src, NO_PORT, q.q_ping, PROTO_ICMP, False)
        if row == 0:
            return IGNORED
        address: cython.uint = links.outside(row) if out else links.inside(row)
        set_address(p, out, address)
        return self._quote(p, not out, address, links.aport[row] if out else links.sport[row])

    def _quote(self, p, source, address, port):
        """The packet that an error quotes, as the other side of the translator has it."""
        addrs: cython.ulonglong = address
        ports: cython.ulonglong = cython.cast(cython.uint, port)
        octets = bytearray(p.pool.to_bytes(p.m, 0, p.length))
        at = (octets[0] & 15) * 4
        if source or octets[9] == PROTO_ICMP:
            ports = ports << 48
        else:
            ports = ports << 32
        rewrite_quote(octets, at, source, addrs << 32 if source else addrs, ports)
        put_text(p, octets)
        p.csum_ok = True  # what the octets need is computed when they leave
        return DONE


@cython.final
@cython.cclass
class Nats:
    """The instances of a machine, `by_number`. `any_is`: the number that stands for `nat global`."""

    def __init__(self, any_is):
        self.by_number = {}
        self.any_is = any_is

    def translate(self, p, number, out, now):
        """Do what `nat number` says, `now` in seconds: True if the packet may go on.

        It may not if there is no such instance; and, of what comes in, if it is a fragment whose first was not seen,
        or if nobody waits for it and `deny_in` is set.
        """
        result: cython.int = IGNORED
        nat: NatInstance
        if number == self.any_is:
            if out:
                self._any_instance(p, now)
            return True
        nat = self.by_number.get(number)
        if nat is None:
            return False
        nat.begin(now)
        if out:
            nat.outgoing(p, True)
            return True
        result = nat.incoming(p)
        if result == IGNORED:
            return nat.mode & M_DENY_IN == 0
        return result == DONE

    def _any_instance(self, p, now):
        """Whichever instance knows the flow translates it (`nat global`)."""
        nat: NatInstance
        for number in sorted(self.by_number):
            nat = self.by_number[number]
            if nat.mode & M_SKIP_GLOBAL:
                continue
            nat.begin(now)
            if nat.outgoing(p, False) == DONE:
                return 1
        return 0


@cython.cfunc
@cython.exceptval(check=False)
def _is_error(kind: cython.int) -> cython.bint:
    """An error that is translated; a redirect is not."""
    return (
        kind == ICMP_UNREACH
        or kind == ICMP_SOURCE_QUENCH
        or kind == ICMP_TIME_EXCEEDED
        or kind == ICMP_PARAM_PROBLEM
    )


@cython.cfunc
@cython.exceptval(check=False)
def _is_ping(p: Packet) -> cython.bint:
    """A question that is answered, or the answer: they have a number that tells them apart."""
    kind: cython.int = p.icmp_type
    return p.icmp_code == 0 and (
        kind == ICMP_ECHO or kind == ICMP_ECHO_REPLY or kind == _STAMP or kind == _STAMP_REPLY
    )


@cython.cfunc
@cython.exceptval(check=False)
def _quotes_question(first: cython.int) -> cython.bint:
    """Is this the beginning of such a question? `first`: the first 16 bits of the ICMP message that is quoted."""
    return first >> 8 == ICMP_ECHO or first >> 8 == _STAMP


def translate(p, source, address, port):
    """Another address and port (ICMP: number) at one end, in the fields, the octets and the checksums. The first of
    several fragments has its ports among its octets.
    """
    if p.mf:
        return _translate_first(p, source, address, port)
    set_address(p, source, address)
    if p.proto == PROTO_ICMP:
        set_ping(p, port)
    else:
        set_port(p, source, port)
    return 0


def _translate_first(p, source, address, port):
    """The same for a first fragment, whose checksum is that of the whole datagram."""
    octets = bytearray(p.pool.to_bytes(p.m, 0, p.length))
    old: cython.uint = p.src if source else p.dst
    at: cython.int = 0 if source else 2
    place: cython.int = 16 if p.proto == PROTO_TCP else 6
    if p.proto == PROTO_ICMP:
        at = 4
        place = 2
    set_address(p, source, address)
    if place + 2 > len(octets):
        return 0
    if p.proto != PROTO_UDP or octets[6] or octets[7]:
        if p.proto != PROTO_ICMP:
            mend(octets, place, old >> 16, address >> 16)
            mend(octets, place, old & 0xFFFF, address & 0xFFFF)
        mend(octets, place, octets[at] << 8 | octets[at + 1], port)
    octets[at] = port >> 8
    octets[at + 1] = port & 0xFF
    if p.proto == PROTO_ICMP:
        p.icmp_rest = cython.cast(cython.uint, port) << 16 | (p.icmp_rest & 0xFFFF)
    elif source:
        p.sport = port
    else:
        p.dport = port
    return put_text(p, octets)


def put_text(p, octets: bytearray):
    """Other octets behind the headers, as many as before. Without mbufs they stay as they are."""
    m: cython.int = p.pool.new_chain(memoryview(octets), 0, len(octets))
    if m != 0:
        p.pool.free_chain(p.m)
        p.m = m
    return 0
