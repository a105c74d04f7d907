"""Packets as octets, written from the RFCs with `struct` alone: what the parsers are compared with."""

import struct
from collections.abc import Sequence

from pystack._fast.mbuf import Pool

TCP, UDP, ICMP = 6, 17, 1
A = 0x0A000001
B = 0x0A000002
NNTS = bytes.fromhex("0101080a")


def checksum(data: bytes) -> int:
    """RFC 1071, the slow way."""
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ip(
    payload: bytes,
    proto: int,
    *,
    src: int = A,
    dst: int = B,
    tos: int = 0,
    ident: int = 1,
    df: bool = False,
    mf: bool = False,
    off: int = 0,
    ttl: int = 64,
    options: bytes = b"",
    total: int | None = None,
    first: int | None = None,
    csum: int | None = None,
) -> bytes:
    """An IPv4 packet; `off` in octets. `total`, `first` and `csum` are for packets that lie."""
    size = 20 + len(options)
    head = struct.pack(
        ">BBHHHBBHII",
        0x40 | size // 4 if first is None else first,
        tos,
        size + len(payload) if total is None else total,
        ident,
        df << 14 | mf << 13 | off >> 3,
        ttl,
        proto,
        0,
        src,
        dst,
    )
    good = checksum(head + options) if csum is None else csum
    return head[:10] + struct.pack(">H", good) + head[12:] + options + payload


def with_pseudo(segment: bytes, at: int, proto: int, src: int, dst: int) -> bytes:
    """`segment` with its checksum at `at`."""
    pseudo = struct.pack(">IIBBH", src, dst, 0, proto, len(segment))
    good = checksum(pseudo + segment[:at] + b"\0\0" + segment[at + 2 :])
    if good == 0 and proto == UDP:
        good = 0xFFFF
    return segment[:at] + struct.pack(">H", good) + segment[at + 2 :]


def tcp(
    payload: bytes = b"",
    *,
    sport: int = 1234,
    dport: int = 80,
    seq: int = 1,
    ack: int = 0,
    flags: int = 16,
    win: int = 65535,
    urg: int = 0,
    options: bytes = b"",
    offset: int | None = None,
    src: int = A,
    dst: int = B,
) -> bytes:
    """A TCP segment; options must fill words. `offset` (in words) is for segments that lie."""
    words = 5 + len(options) // 4 if offset is None else offset
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, words << 4, flags, win, 0, urg)
    return with_pseudo(head + options + payload, 16, TCP, src, dst)


def udp(
    payload: bytes = b"",
    *,
    sport: int = 1234,
    dport: int = 53,
    length: int | None = None,
    no_checksum: bool = False,
    src: int = A,
    dst: int = B,
) -> bytes:
    """A UDP datagram. `length` is for datagrams that lie; their checksum is right all the same."""
    size = 8 + len(payload) if length is None else length
    datagram = struct.pack(">HHHH", sport, dport, size, 0) + payload
    if no_checksum:
        return datagram
    return with_pseudo(datagram[:size], 6, UDP, src, dst) + datagram[size:]


def icmp(kind: int, code: int = 0, rest: int = 0, payload: bytes = b"") -> bytes:
    message = struct.pack(">BBHI", kind, code, 0, rest) + payload
    return message[:2] + struct.pack(">H", checksum(message)) + message[4:]


def pool(mbufs: int = 4000, clusters: int = 2000, jumbo: int = 500) -> Pool:
    """A small pool: 16 MiB of address space."""
    return Pool(mbufs, clusters, jumbo, jumbo, jumbo, 16 << 20)


def options(*parts: bytes | Sequence[int]) -> bytes:
    """Options one after another, padded with zeros to a word."""
    joined = b"".join(map(bytes, parts))
    return joined + bytes(-len(joined) % 4)
