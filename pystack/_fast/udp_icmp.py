"""UDP (RFC 768) and ICMP (RFC 792, 1191; rules of RFC 1122 section 3.2.2) on the wire, in and out."""

import cython

from pystack._fast import consts
from pystack._fast.mbuf import Pool
from pystack._fast.packet import Packet
from pystack._fast.wirebytes import be16, be32, csum_add, csum_fold, put16, put32

_ICMP = cython.declare(cython.int, consts.PROTO_ICMP)
_TCP = cython.declare(cython.int, consts.PROTO_TCP)
_GRE = cython.declare(cython.int, consts.PROTO_GRE)
_UDP_TRUNCATED = cython.declare(cython.int, consts.Drop.UDP_TRUNCATED)
_UDP_LENGTH = cython.declare(cython.int, consts.Drop.UDP_LENGTH)
_UDP_CHECKSUM = cython.declare(cython.int, consts.Drop.UDP_CHECKSUM)
_ICMP_TRUNCATED = cython.declare(cython.int, consts.Drop.ICMP_TRUNCATED)
_ICMP_CHECKSUM = cython.declare(cython.int, consts.Drop.ICMP_CHECKSUM)
_ICMP_TYPE = cython.declare(cython.int, consts.Drop.ICMP_TYPE)
_ICMP_QUOTE = cython.declare(cython.int, consts.Drop.ICMP_QUOTE)

QUOTE_MAX = 548
"""Most octets of the quoted datagram behind its IP header: RFC 1812 section 4.3.2.3 keeps the whole
error within 576."""

_scratch = cython.declare(cython.uchar[::1], memoryview(bytearray(60 + 548)))


@cython.exceptval(check=False)
def parse_udp(
    p: Packet, b: cython.const[cython.uchar][::1], off: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.int:
    """Read the UDP datagram in the `n` octets at `b[off]` into `p`, whose IP part has been read.

    Octets behind the UDP length are cut off, from the IP header's total too. Checksum 0 means that
    none was given. Answers a Drop reason or 0.
    """
    size: cython.int
    at: cython.int = p.ip_len
    i: cython.int
    if n < 8:
        return _UDP_TRUNCATED
    for i in range(8):
        p.head[at + i] = b[off + i]
    size = be16(p.head, at + 4)
    if size < 8 or size > n:
        return _UDP_LENGTH
    if size < n:
        p.total = at + size
        put16(p.head, 2, p.total)
        put16(p.head, 10, 0)
        put16(p.head, 10, csum_fold(csum_add(p.head, 0, at, 0)))
    p.head_len = at + 8
    p.length = size - 8
    p.csum_none = be16(p.head, at + 6) == 0
    if not p.csum_ok:
        if not p.csum_none and csum_add(b, off, size, p.pseudo_sum()) != 0xFFFF:
            return _UDP_CHECKSUM
        p.csum_ok = True
    p.sport = be16(p.head, at)
    p.dport = be16(p.head, at + 2)
    return 0


@cython.exceptval(check=False)
def parse_lite(
    p: Packet, b: cython.const[cython.uchar][::1], off: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.int:
    """Read the header of UDP-Lite (RFC 3828), for its ports: nobody here verifies what it covers. Answers a Drop reason
    or 0.
    """
    at: cython.int = p.ip_len
    i: cython.int
    if n < 8:
        return _UDP_TRUNCATED
    for i in range(8):
        p.head[at + i] = b[off + i]
    p.head_len = at + 8
    p.length = cython.cast(cython.int, n) - 8
    p.sport = be16(p.head, at)
    p.dport = be16(p.head, at + 2)
    return 0


@cython.exceptval(check=False)
def build_udp(p: Packet) -> cython.void:
    """Write the UDP header of `p` into `p.head`; the payload must be there already.

    With `csum_ok` or `csum_none` the checksum field is 0, otherwise it is computed.
    """
    at: cython.int = p.ip_len
    acc: cython.uint
    put16(p.head, at, p.sport)
    put16(p.head, at + 2, p.dport)
    put16(p.head, at + 4, p.length + 8)
    put16(p.head, at + 6, 0)
    p.head_len = at + 8
    if not p.csum_ok and not p.csum_none:
        acc = p.l4_checksum()
        put16(p.head, at + 6, acc)


@cython.exceptval(check=False)
def parse_icmp(
    p: Packet, b: cython.const[cython.uchar][::1], off: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.int:
    """Read the ICMP message of `n` octets at `b[off]` into `p`, whose IP part has been read.

    Any type is read: whether one is of use is for the receiver to say. Answers a Drop reason or 0.
    """
    at: cython.int = p.ip_len
    i: cython.int
    if n < 8:
        return _ICMP_TRUNCATED
    for i in range(8):
        p.head[at + i] = b[off + i]
    p.head_len = at + 8
    p.length = n - 8
    if not p.csum_ok:
        if csum_add(b, off, n, 0) != 0xFFFF:
            return _ICMP_CHECKSUM
        p.csum_ok = True
    p.icmp_type = p.head[at]
    p.icmp_code = p.head[at + 1]
    p.icmp_rest = be32(p.head, at + 4)
    return 0


@cython.exceptval(check=False)
def build_icmp(p: Packet) -> cython.void:
    """Write the ICMP header of `p` into `p.head`; the payload must be there already.

    `icmp_rest`: identifier and sequence of an echo, next-hop MTU in the low half of "fragmentation
    needed" (RFC 1191 section 4). With `csum_ok` the checksum field is 0, otherwise it is computed.
    """
    at: cython.int = p.ip_len
    acc: cython.uint
    p.head[at] = p.icmp_type
    p.head[at + 1] = p.icmp_code
    put16(p.head, at + 2, 0)
    put32(p.head, at + 4, p.icmp_rest)
    p.head_len = at + 8
    if not p.csum_ok:
        acc = p.l4_checksum()
        put16(p.head, at + 2, acc)


@cython.exceptval(check=False)
def is_error(icmp_type: cython.int) -> cython.bint:
    """Whether an ICMP message of this type quotes a datagram; none may be answered with another."""
    return 3 <= icmp_type <= 5 or icmp_type == 11 or icmp_type == 12


@cython.exceptval(check=False)
def may_answer(bad: Packet) -> cython.bint:
    """Whether RFC 1122 section 3.2.2 allows an ICMP error about `bad`.

    Not about an ICMP error, a fragment other than the first, a broadcast or multicast destination,
    or a source that is no single host. A directed broadcast is for the caller to see.
    """
    if bad.frag_off != 0 or bad.src == 0 or bad.src >> 28 >= 14 or bad.dst >> 28 >= 14:
        return False
    if bad.proto == _ICMP and bad.head_len > bad.ip_len:
        return not is_error(bad.head[bad.ip_len])
    return True


@cython.exceptval(check=False)
def build_error(
    bad: Packet,
    out: Packet,
    pool: Pool,
    icmp_type: cython.int,
    icmp_code: cython.int,
    rest: cython.uint,
    quote_len: cython.int,
) -> cython.bint:
    """Make `out`, a cleared packet, the ICMP error about `bad`; its IP header is still to be built.

    The payload is the IP header of `bad` and at most `quote_len` octets behind it (8 to QUOTE_MAX),
    in `pool`. `dst` is the sender of `bad`; `src` is left to the caller, who knows the interface.
    False when the pool denied the octets. Ask `may_answer` first.
    """
    i: cython.int
    inside: cython.int = bad.head_len - bad.ip_len
    size: cython.int
    at: cython.int
    if quote_len > 548:
        quote_len = 548
    if inside > quote_len:
        inside = quote_len
    size = bad.ip_len + inside
    for i in range(size):
        _scratch[i] = bad.head[i]
    at = bad.checksum_at()
    if bad.csum_ok and bad.gso_size == 0 and 0 < at <= size - 2:
        # known good and perhaps not written: its sender, or NAT, left it
        put16(_scratch, at, bad.l4_checksum())
    quote_len -= inside
    if quote_len > bad.length:
        quote_len = bad.length
    if quote_len > 0 and bad.m != 0:
        size += bad.pool.copy_out(bad.m, 0, _scratch, size, quote_len)
    out.m = pool.new_chain(_scratch, 0, size)
    if out.m == 0:
        return False
    out.pool = pool
    out.length = size
    out.proto = _ICMP
    out.dst = bad.src
    out.icmp_type = icmp_type
    out.icmp_code = icmp_code
    out.icmp_rest = rest
    build_icmp(out)
    return True


@cython.final
@cython.cclass
class Quote:
    """What an ICMP error says about the datagram that it quotes, as the sender of that one saw it.

    `q_proto`, `q_src`, `q_dst`, `q_ip_id`, `q_total` are from the quoted IP header; `q_sport`,
    `q_dport` from the 8 octets behind it; `q_seq` if it was TCP (of GRE, the same octets), else 0; `q_ping`, the
    identifier, if it was ICMP. `q_mtu` is the next-hop
    MTU of "fragmentation needed", 0 where the router gave none (RFC 1191 section 5).
    """

    def __init__(self) -> None:
        self._octets = memoryview(bytearray(68))
        self.q_proto = 0
        self.q_src = 0
        self.q_dst = 0
        self.q_sport = 0
        self.q_dport = 0
        self.q_seq = 0
        self.q_ping = 0
        self.q_ip_id = 0
        self.q_total = 0
        self.q_mtu = 0
        self.q_have = 0

    @cython.exceptval(check=False)
    def parse(self, p: Packet) -> cython.int:
        """Read the quote of the ICMP message `p`, with at least 8 octets of L4. Answers a Drop reason or 0."""
        reason: cython.int = self.parse_some(p)
        if reason == 0 and (self.q_have < 8 or self._octets[0] >> 4 != 4):
            return _ICMP_QUOTE
        return reason

    @cython.exceptval(check=False)
    def parse_some(self, p: Packet) -> cython.int:
        """The same, however little of L4 there is (`q_have` octets), of whatever version it calls itself:
        what is not there is 0.
        """
        o: cython.uchar[::1] = self._octets
        have: cython.int = 0
        at: cython.int
        i: cython.int
        if not is_error(p.icmp_type):
            return _ICMP_TYPE
        if p.m != 0:
            have = p.pool.copy_out(p.m, 0, o, 0, p.length if p.length < 68 else 68)
        if have < 20:
            return _ICMP_QUOTE
        at = (o[0] & 15) << 2
        if at < 20 or have < at:
            return _ICMP_QUOTE
        self.q_have = have - at
        for i in range(have, at + 8):
            o[i] = 0
        self.q_total = be16(o, 2)
        self.q_ip_id = be16(o, 4)
        if be16(o, 6) & 0x1FFF:
            return _ICMP_QUOTE  # not a first fragment: no ports there
        self.q_proto = o[9]
        self.q_src = be32(o, 12)
        self.q_dst = be32(o, 16)
        self.q_sport = be16(o, at)
        self.q_dport = be16(o, at + 2)
        self.q_seq = be32(o, at + 4) if self.q_proto == _TCP or self.q_proto == _GRE else 0
        self.q_ping = be16(o, at + 4) if self.q_proto == _ICMP else 0
        self.q_mtu = p.icmp_rest & 0xFFFF if p.icmp_type == 3 and p.icmp_code == 4 else 0
        return 0


@cython.exceptval(check=False)
def parse_quote(p: Packet, q: Quote) -> cython.int:
    """`q.parse(p)`."""
    return q.parse(p)
