"""IPv4 (RFC 791; host rules of RFC 1122 section 3.2.1): read, write, forward, split, fragment."""

import cython

from pystack._fast import consts
from pystack._fast.mbuf import Pool
from pystack._fast.mbuf_octets import copy_octets
from pystack._fast.packet import Packet, PacketQueue
from pystack._fast.seq import add as seq_add
from pystack._fast.tcp_wire import parse as parse_tcp
from pystack._fast.udp_icmp import parse_icmp, parse_lite, parse_udp
from pystack._fast.wirebytes import (
    be16,
    be32,
    csum_add16,
    csum_fold,
    csum_octets,
    put16,
    put32,
)

_TCP = cython.declare(cython.int, consts.PROTO_TCP)
_UDP = cython.declare(cython.int, consts.PROTO_UDP)
_ICMP = cython.declare(cython.int, consts.PROTO_ICMP)
_UDPLITE = cython.declare(cython.int, consts.PROTO_UDPLITE)
_AH = cython.declare(cython.int, 51)
_FIN_PSH = cython.declare(cython.int, consts.FIN | consts.PSH)
_CWR = cython.declare(cython.int, consts.CWR)
_TRUNCATED = cython.declare(cython.int, consts.Drop.IP_TRUNCATED)
_VERSION = cython.declare(cython.int, consts.Drop.IP_VERSION)
_HEADER_LENGTH = cython.declare(cython.int, consts.Drop.IP_HEADER_LENGTH)
_TOTAL_LENGTH = cython.declare(cython.int, consts.Drop.IP_TOTAL_LENGTH)
_CHECKSUM = cython.declare(cython.int, consts.Drop.IP_CHECKSUM)
_SOURCE_INVALID = cython.declare(cython.int, consts.Drop.IP_SOURCE_INVALID)
_OPTION = cython.declare(cython.int, consts.Drop.IP_OPTION)
_TTL = cython.declare(cython.int, consts.Drop.IP_TTL)
_FRAG_BAD = cython.declare(cython.int, consts.Drop.FRAG_BAD)
_MBUF = cython.declare(cython.int, consts.Drop.MBUF)
_TCP_TRUNCATED = cython.declare(cython.int, consts.Drop.TCP_TRUNCATED)
_TCP_CHECKSUM = cython.declare(cython.int, consts.Drop.TCP_CHECKSUM)
_UDP_TRUNCATED = cython.declare(cython.int, consts.Drop.UDP_TRUNCATED)
_UDP_CHECKSUM = cython.declare(cython.int, consts.Drop.UDP_CHECKSUM)
_ICMP_TRUNCATED = cython.declare(cython.int, consts.Drop.ICMP_TRUNCATED)
_ICMP_CHECKSUM = cython.declare(cython.int, consts.Drop.ICMP_CHECKSUM)


@cython.exceptval(check=False)
def parse_ip(
    p: Packet, b: cython.const[cython.uchar][::1], off: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.int:
    """Read and validate the IPv4 header in the `n` octets at `b[off]`; no L4.

    Sets the IP fields, `head`, `head_len` = `ip_len`, and `length`: what the IP total leaves behind
    the header. More octets than the total are padding of the link and cut off. A source that is
    0.0.0.0, multicast, class E or broadcast is refused; the destination is for routing to judge.
    Answers a Drop reason or 0.
    """
    size: cython.int
    total: cython.int
    word: cython.uint
    acc: cython.uint
    i: cython.int
    if n < 20:
        return _TRUNCATED
    if b[off] >> 4 != 4:
        return _VERSION
    size = (b[off] & 15) << 2
    if size < 20:
        return _HEADER_LENGTH
    if size > n:
        return _TRUNCATED
    copy_octets(p.head, 0, b, off, size)
    word = be32(b, off)
    p.tos = (word >> 16) & 0xFF
    total = word & 0xFFFF
    if total < size:
        return _TOTAL_LENGTH
    if total > n:
        return _TRUNCATED
    acc = (word >> 16) + total
    word = be32(b, off + 4)
    p.ip_id = word >> 16
    p.df = word & 0x4000 != 0
    p.mf = word & 0x2000 != 0
    p.frag_off = (word & 0x1FFF) << 3
    acc += (word >> 16) + (word & 0xFFFF)
    word = be32(b, off + 8)
    p.ttl = word >> 24
    p.proto = (word >> 16) & 0xFF
    acc += (word >> 16) + (word & 0xFFFF)
    p.src = be32(b, off + 12)
    p.dst = be32(b, off + 16)
    acc += (p.src >> 16) + (p.src & 0xFFFF) + (p.dst >> 16) + (p.dst & 0xFFFF)
    if size > 20:
        acc = csum_add16(p.head16, 10, (size - 20) >> 1, acc)
    acc = (acc & 0xFFFF) + (acc >> 16)
    if (acc & 0xFFFF) + (acc >> 16) != 0xFFFF:
        return _CHECKSUM
    p.ip_len = size
    p.head_len = size
    p.length = total - size
    p.total = total
    if size > 20:
        i = 20
        while i < size and p.head[i] != 0:
            if p.head[i] == 1:
                i += 1
                continue
            if i + 1 >= size or p.head[i + 1] < 2 or i + p.head[i + 1] > size:
                return _OPTION
            i += p.head[i + 1]
    if p.src == 0 or p.src >> 28 >= 14:
        return _SOURCE_INVALID
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def _peek(
    p: Packet, b: cython.const[cython.uchar][::1], off: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.void:
    """Ports, flags, type and code of a first fragment, as far as it has them; in others, and in protocols that nobody
    else reads, what stands in their place.
    """
    p.sport = 0
    p.dport = 0
    p.flags = 0
    p.icmp_type = 0
    p.icmp_code = 0
    if p.proto == _ICMP and n >= 8:
        p.icmp_type = b[off]
        p.icmp_code = b[off + 1]
    elif p.proto == _AH and n >= 8:
        p.sport = be32(b, off + 4) >> 16
        p.dport = be32(b, off + 4) & 0xFFFF
    elif p.proto != _ICMP and p.proto != _AH and n >= 4:
        p.sport = be32(b, off) >> 16
        p.dport = be32(b, off) & 0xFFFF
        if p.proto == _TCP and n >= 14:
            p.flags = b[off + 13]


@cython.exceptval(check=False)
def parse_l4(
    p: Packet, b: cython.const[cython.uchar][::1], off: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.int:
    """Read the L4 header of `n` octets at `b[off]` by `p.proto`; nothing to do for other protocols.

    A fragment has none, whatever its first octets look like; what firewalls ask for is known all the same. Answers a
    Drop reason or 0.
    """
    if p.mf or p.frag_off != 0:
        _peek(p, b, off, n)
        return 0
    if p.proto == _TCP:
        return parse_tcp(p, b, off, n)
    if p.proto == _UDP:
        return parse_udp(p, b, off, n)
    if p.proto == _ICMP:
        return parse_icmp(p, b, off, n)
    if p.proto == _UDPLITE:
        return parse_lite(p, b, off, n)
    _peek(p, b, off, n)
    return 0


@cython.exceptval(check=False)
def parse(
    p: Packet, b: cython.const[cython.uchar][::1], off: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.int:
    """Read the packet in the `n` octets at `b[off]`: IP, then TCP, UDP or ICMP.

    The headers are copied into `p.head`; the payload, `p.length` octets, stays at
    `b[off + p.head_len]`. L4 checksums are verified unless `csum_ok`, which is set when they are
    good. Never reads past `n`. Answers a Drop reason or 0, and leaves it in `p.drop` too.
    """
    reason: cython.int = parse_ip(p, b, off, n)
    if reason == 0:
        reason = parse_l4(p, b, off + p.ip_len, p.length)
    p.drop = reason
    return reason


@cython.exceptval(check=False)
def parse_landed(
    p: Packet, pool: Pool, m: cython.int, skip: cython.int, n: cython.int
) -> cython.int:
    """`parse` for a packet that a device put `skip` octets behind the start of landing mbuf `m`.

    On success the payload is `p.m` in `pool`. If that is `m` itself, the mbuf is used up and the
    caller lands a new one; otherwise it keeps `m`. Drop.MBUF when the pool denied the payload.
    """
    off: cython.Py_ssize_t = pool.m_off[m] + skip
    reason: cython.int = parse_ip(p, pool.arena, off, n)
    if reason == 0:
        if not p.csum_ok and not p.mf and p.frag_off == 0 and _has_checksum(p.proto):
            # 16 bits at a time; what fails is looked at again and named by the L4 parser
            p.csum_ok = (
                csum_octets(pool.arena, pool.arena16, off + p.ip_len, p.length, p.pseudo_sum())
                == 0xFFFF
            )
        reason = parse_l4(p, pool.arena, off + p.ip_len, p.length)
        if reason == 0 and p.length > 0:
            p.pool = pool
            p.m = pool.keep_landed(m, skip + p.head_len, p.length)
            if p.m == 0:
                reason = _MBUF
    p.drop = reason
    return reason


@cython.exceptval(check=False)
def parse_faulty(
    p: Packet, pool: Pool, m: cython.int, skip: cython.int, n: cython.int, reason: cython.int
) -> cython.int:
    """The same packet again after `parse_landed` found fault with its L4 part (`reason`), as one that routers pass on
    all the same: with a wrong checksum it is read to the end, otherwise all behind the IP header is payload. `p.drop`
    keeps the reason for whoever the packet is for. Answers 0, or Drop.MBUF.
    """
    off: cython.Py_ssize_t = pool.m_off[m] + skip
    parse_ip(p, pool.arena, off, n)
    if is_checksum_fault(reason):
        p.csum_ok = True  # or nothing would be read
        parse_l4(p, pool.arena, off + p.ip_len, p.length)
    p.csum_ok = False
    p.drop = reason
    if p.length > 0:
        p.pool = pool
        p.m = pool.keep_landed(m, skip + p.head_len, p.length)
        if p.m == 0:
            p.drop = _MBUF
            return _MBUF
    return 0


@cython.exceptval(check=False)
def is_checksum_fault(reason: cython.int) -> cython.bint:
    """Is this Drop reason a wrong L4 checksum?"""
    return reason == _TCP_CHECKSUM or reason == _UDP_CHECKSUM or reason == _ICMP_CHECKSUM


@cython.exceptval(check=False)
def is_l4_fault(reason: cython.int) -> cython.bint:
    """Is this Drop reason one that `parse_l4` gives: a fault that only concerns whom the packet is for?"""
    return (
        _TCP_TRUNCATED <= reason <= _TCP_CHECKSUM
        or _UDP_TRUNCATED <= reason <= _UDP_CHECKSUM
        or (_ICMP_TRUNCATED <= reason <= _ICMP_CHECKSUM)
    )


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _has_checksum(proto: cython.int) -> cython.bint:
    return proto == _TCP or proto == _UDP or proto == _ICMP


def load(pool: Pool, octets: bytes) -> Packet:
    """A packet from raw octets, as a device would have landed it: for taps, replay and tests.

    `drop` tells whether it was good; at most 65,535 octets are looked at.
    """
    p = Packet()
    m = pool.land()
    if m == 0:
        p.drop = consts.Drop.MBUF
        return p
    n = min(len(octets), 65535)
    off = pool.m_off[m]
    pool.arena_bytes[off : off + n] = octets[:n]
    parse_landed(p, pool, m, 0, n)
    if p.m != m:
        pool.free(m)
    return p


@cython.exceptval(check=False)
def build(p: Packet) -> cython.void:
    """Write the IPv4 header in `p.head` from the fields, the L4 part and `ip_len` - 20 octets of options being there.

    Sets `total`. The header checksum is always written; it is the L4 one that can be left.
    """
    word: cython.int = p.frag_off >> 3
    acc: cython.uint
    if p.df:
        word |= 0x4000
    if p.mf:
        word |= 0x2000
    p.total = p.head_len + p.length
    acc = 0x4000 + (p.ip_len << 6) + p.tos + p.total + p.ip_id + word + ((p.ttl << 8) | p.proto)
    acc += (p.src >> 16) + (p.src & 0xFFFF) + (p.dst >> 16) + (p.dst & 0xFFFF)
    if p.ip_len > 20:
        acc = csum_add16(p.head16, 10, (p.ip_len - 20) >> 1, acc)
    acc = (acc & 0xFFFF) + (acc >> 16)
    acc = ((acc & 0xFFFF) + (acc >> 16)) ^ 0xFFFF
    put16(p.head, 0, 0x4000 | (p.ip_len << 6) | p.tos)
    put16(p.head, 2, p.total)
    put16(p.head, 4, p.ip_id)
    put16(p.head, 6, word)
    put16(p.head, 8, (p.ttl << 8) | p.proto)
    put16(p.head, 10, acc)
    put32(p.head, 12, p.src)
    put32(p.head, 16, p.dst)


@cython.exceptval(check=False)
def sum_header(p: Packet) -> cython.void:
    """Write the header checksum over `ip_len` octets."""
    put16(p.head, 10, 0)
    put16(p.head, 10, csum_fold(csum_add16(p.head16, 0, p.ip_len >> 1, 0)))


@cython.exceptval(check=False)
def forward(p: Packet) -> cython.int:
    """One hop: TTL less one, the header checksum by RFC 1624. Drop.IP_TTL when it may go no further."""
    acc: cython.uint
    if p.ttl <= 1:
        return _TTL
    p.ttl -= 1
    p.head[8] = p.ttl
    # equation 3: ~(~HC + ~m + m'), and m' - m is -0x0100
    acc = (be16(p.head, 10) ^ 0xFFFF) + 0xFEFF
    acc = (acc & 0xFFFF) + (acc >> 16)
    put16(p.head, 10, acc ^ 0xFFFF)
    return 0


@cython.exceptval(check=False)
def finish(p: Packet) -> cython.void:
    """Complete the L4 checksum in `p.head` where it was left (`csum_ok`), and clear `csum_ok`."""
    at: cython.int
    acc: cython.uint
    if p.csum_ok:
        at = p.checksum_at()
        if at != 0:
            acc = p.l4_checksum()
            put16(p.head, at, acc)
        p.csum_ok = False


@cython.exceptval(check=False)
def pseudo(p: Packet) -> cython.uint:
    """Write the sum that VIRTIO_NET_HDR_F_NEEDS_CSUM wants in the L4 checksum field; answers it.

    The device then sums from the L4 header to the end. ICMP has no pseudo-header: `finish` it.
    """
    at: cython.int = p.checksum_at()
    acc: cython.uint = p.pseudo_sum()
    if at != 0:
        put16(p.head, at, acc)
    return acc


@cython.exceptval(check=False)
def split_count(p: Packet) -> cython.int:
    """Into how many packets `split` cuts a super-segment; 1 for any other packet."""
    if p.gso_size <= 0 or p.length <= p.gso_size:
        return 1
    return (p.length + p.gso_size - 1) // p.gso_size


@cython.exceptval(check=False)
def split(p: Packet, index: cython.int, out: Packet) -> cython.bint:
    """Make `out`, a cleared packet, number `index` of the `split_count` packets of super-segment `p`.

    Sequence number and IP identification go on; FIN and PSH are in the last only, CWR in the first
    only. The payload is shared, not copied; `p` stays as it is. Checksums are left if they were
    left in `p`, else written. False when the pool denied the mbufs.
    """
    skip: cython.int = index * p.gso_size
    size: cython.int = p.length - skip
    at: cython.int = p.ip_len
    if size > p.gso_size:
        size = p.gso_size
    out.m = p.pool.share(p.m, skip, size)
    if out.m == 0:
        return False
    out.copy_headers(p)
    out.length = size
    out.total = p.head_len + size
    out.ip_id = (p.ip_id + index) & 0xFFFF
    out.seq = seq_add(p.seq, skip)
    if skip + size < p.length:
        out.flags &= ~_FIN_PSH
    if index > 0:
        out.flags &= ~_CWR
    put16(out.head, 2, out.total)
    put16(out.head, 4, out.ip_id)
    sum_header(out)
    put32(out.head, at + 4, out.seq)
    out.head[at + 13] = out.flags
    if not p.csum_ok:
        put16(out.head, at + 16, out.l4_checksum())
    return True


def fragment(p: Packet, mtu: cython.int, free: PacketQueue, to: PacketQueue) -> cython.int:
    """Append fragments of `p`, none larger than `mtu`, to `to`; packets come from `free`.

    The L4 checksum of `p` is completed first; `p` keeps its payload. Fragments of a fragment keep
    its place and its MF. Answers how many there are; 0, with nothing appended, when the pool denied
    an mbuf or when `mtu` leaves no room for 8 octets of data.
    """
    head: cython.int = p.head_len - p.ip_len
    whole: cython.int = head + p.length
    room: cython.int = (mtu - p.ip_len) & ~7
    at: cython.int = 0
    count: cython.int = 0
    size: cython.int
    part: Packet
    done: PacketQueue = PacketQueue()
    if mtu - p.ip_len < 8 or room < head:
        return 0
    finish(p)
    while at < whole:
        part = free.take_free()
        part.copy_headers(p)
        size = whole - at if whole - at <= room else room
        if at == 0:
            part.length = size - head
            part.m = p.pool.share(p.m, 0, size - head) if size > head else 0
        else:
            part.head_len = p.ip_len
            part.length = size
            part.m = p.pool.share(p.m, at - head, size)
            _keep_copied_options(part)
        if part.length > 0 and part.m == 0:
            part.release()
            while done.count > 0:
                done.pop().release()
            return 0
        part.mf = p.mf or at + size < whole
        part.frag_off = p.frag_off + at
        part.total = part.head_len + part.length
        put16(part.head, 2, part.total)
        put16(
            part.head,
            6,
            (0x4000 if p.df else 0) | (0x2000 if part.mf else 0) | (part.frag_off >> 3),
        )
        sum_header(part)
        done.push(part)
        at += size
        count += 1
    while done.count > 0:
        to.push(done.pop())
    return count


@cython.cfunc
@cython.exceptval(check=False)
def _keep_copied_options(p: Packet) -> cython.void:
    """Blank the options that only the first fragment carries (no copied flag, RFC 791 section 3.1)."""
    i: cython.int = 20
    size: cython.int
    j: cython.int
    while i < p.ip_len and p.head[i] != 0:
        if p.head[i] == 1:
            i += 1
            continue
        size = p.head[i + 1]
        if p.head[i] & 0x80 == 0:
            for j in range(size):
                p.head[i + j] = 1
        i += size
