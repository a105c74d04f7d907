"""Framing for a TUN device: what the virtio header says, and that the octets behind it agree."""

import struct
from typing import NamedTuple

import pytest

from pystack._fast import consts, ip4
from pystack._fast.mbuf import Pool
from pystack._fast.packet import Packet
from pystack._fast.vnet import (
    GSO_ECN,
    GSO_TCPV4,
    NEEDS_CSUM,
    SMALL,
    VNET_LEN,
    Framer,
)

IP_LEN = 20
LAYERS = {consts.PROTO_TCP: (20, 16), consts.PROTO_UDP: (8, 6), consts.PROTO_ICMP: (8, 2)}


class Header(NamedTuple):
    flags: int
    gso_type: int
    hdr_len: int
    gso_size: int
    csum_start: int
    csum_offset: int


def pool() -> Pool:
    return Pool(100_000, 100_000, 1000, 1000, 1000, 1 << 24)


def packet(proto: int, payload: bytes, *, pool: Pool | None = None, csum_ok: bool = True) -> Packet:
    """A packet of `proto` with a made-up L4 header and nonsense in its checksum field."""
    p = Packet()
    p.src, p.dst, p.proto, p.df = 0x0A090002, 0x0A090001, proto, True
    length, _ = LAYERS[proto]
    for at in range(length):
        p.head[IP_LEN + at] = 7 * at & 0xFF
    p.head_len = IP_LEN + length
    p.length = len(payload)
    if payload:
        assert pool is not None
        p.pool = pool
        p.m = pool.new_chain(memoryview(payload), 0, len(payload))
        assert p.m
    p.csum_ok = csum_ok
    ip4.build(p)
    return p


def frame(p: Packet, *, vnet: bool) -> tuple[Header, bytes]:
    """What a device would be given."""
    framer = Framer(vnet)
    n = framer.frame(p)
    octets = bytes(framer.view[: abs(n)])
    if n < 0:
        assert p.length > SMALL
        octets += p.pool.to_bytes(p.m, 0, p.length)
    if not vnet:
        return Header(0, 0, 0, 0, 0, 0), octets
    return Header(*struct.unpack_from("=BBHHHH", octets)), octets[VNET_LEN:]


def ones_sum(octets: bytes) -> int:
    if len(octets) % 2:
        octets += b"\0"
    acc = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while acc >> 16:
        acc = (acc & 0xFFFF) + (acc >> 16)
    return acc


def completed(header: Header, octets: bytes) -> bytes:
    """What the kernel does with NEEDS_CSUM: sum from csum_start on, store the complement."""
    if not header.flags & NEEDS_CSUM:
        return octets
    at = header.csum_start + header.csum_offset
    value = ones_sum(octets[header.csum_start :]) ^ 0xFFFF
    return octets[:at] + value.to_bytes(2, "big") + octets[at + 2 :]


@pytest.mark.parametrize("size", [0, 1, 100, 1459, 1460, SMALL, SMALL + 1, 9001])
@pytest.mark.parametrize("proto", list(LAYERS))
@pytest.mark.parametrize("vnet", [False, True])
def test_the_kernel_sees_the_packet_as_it_would_stand_on_the_wire(
    vnet: bool, proto: int, size: int
) -> None:
    p = packet(proto, bytes(i * i & 0xFF for i in range(size)), pool=pool())
    before = p.to_bytes()
    header, octets = frame(p, vnet=vnet)
    assert completed(header, octets) == before
    assert p.to_bytes() == before, "the packet itself stays as it is"
    assert header.gso_type == header.gso_size == header.hdr_len == 0
    if vnet and proto != consts.PROTO_ICMP:
        assert header.flags == NEEDS_CSUM
        assert (header.csum_start, header.csum_offset) == (IP_LEN, LAYERS[proto][1])
    else:
        assert header.flags == header.csum_start == header.csum_offset == 0


@pytest.mark.parametrize("vnet", [False, True])
def test_a_wrong_checksum_stays_wrong(vnet: bool) -> None:
    p = packet(consts.PROTO_TCP, b"damaged", pool=pool(), csum_ok=False)
    header, octets = frame(p, vnet=vnet)
    assert header == Header(0, 0, 0, 0, 0, 0)
    assert octets == bytes(p.head[: p.head_len]) + b"damaged"


@pytest.mark.parametrize("vnet", [False, True])
def test_fragments_have_no_checksum_of_their_own(vnet: bool) -> None:
    p = packet(consts.PROTO_UDP, b"piece", pool=pool())
    p.mf = True
    ip4.build(p)
    header, octets = frame(p, vnet=vnet)
    assert header == Header(0, 0, 0, 0, 0, 0)
    assert octets == p.to_bytes()


def test_udp_that_asked_for_no_checksum_gets_none() -> None:
    p = packet(consts.PROTO_UDP, b"x", pool=pool())
    p.head[IP_LEN + 6] = p.head[IP_LEN + 7] = 0
    p.csum_none = True
    header, octets = frame(p, vnet=True)
    assert header.flags == 0
    assert octets[IP_LEN + 6 : IP_LEN + 8] == b"\0\0"


@pytest.mark.parametrize(
    ("flags", "kind"),
    [(consts.ACK, GSO_TCPV4), (consts.ACK | consts.CWR, GSO_TCPV4 | GSO_ECN)],
)
def test_super_segment(flags: int, kind: int) -> None:
    p = packet(consts.PROTO_TCP, bytes(range(256)) * 255, pool=pool())
    p.gso_size = 1448
    p.flags = flags
    header, octets = frame(p, vnet=True)
    assert header == Header(NEEDS_CSUM, kind, 40, 1448, 20, 16)
    assert len(octets) == p.total == 40 + 65_280
    assert completed(header, octets) == p.to_bytes()


@pytest.mark.parametrize(("length", "kind"), [(1448, 0), (1449, GSO_TCPV4)])
def test_one_segment_is_no_super_segment(length: int, kind: int) -> None:
    p = packet(consts.PROTO_TCP, bytes(length), pool=pool())
    p.gso_size = 1448
    header, _ = frame(p, vnet=True)
    assert header.gso_type == kind


@pytest.mark.parametrize("mss", [1, 536, 1448, 8960])
def test_a_device_without_offload_gets_the_pieces(mss: int) -> None:
    mbufs = pool()
    size = 3 * mss + 1
    p = packet(consts.PROTO_TCP, bytes(i & 0xFF for i in range(size)), pool=mbufs)
    p.gso_size = mss
    p.flags = consts.ACK | consts.FIN | consts.CWR
    framer = Framer(False)
    assert framer.frame(p) == 0
    assert framer.pieces(p) == 4
    for index in range(4):
        piece = Packet()
        assert ip4.split(p, index, piece)
        n = framer.piece(p, index)
        assert bytes(framer.view[:n]) == piece.to_bytes()
        piece.release()
    p.release()
    assert mbufs.in_use == 0


def test_a_denied_piece_is_nothing() -> None:
    mbufs = Pool(12, 12, 0, 0, 0, 1 << 24)
    p = packet(consts.PROTO_TCP, bytes(5000), pool=mbufs)
    p.gso_size = 1000
    taken = []
    while m := mbufs.get():
        taken.append(m)
    assert taken
    framer = Framer(False)
    assert framer.piece(p, 0) == 0
    for m in taken:
        mbufs.free(m)
    assert framer.piece(p, 0) == 1040


def test_nothing_of_the_last_packet_is_left() -> None:
    framer = Framer(True)
    big = packet(consts.PROTO_TCP, bytes(20_000), pool=pool())
    big.gso_size = 1000
    assert framer.frame(big) == -(VNET_LEN + 40)
    ping = packet(consts.PROTO_ICMP, b"")
    assert framer.frame(ping) == VNET_LEN + 28
    assert bytes(framer.view[:VNET_LEN]) == bytes(VNET_LEN)


def test_ip_options_move_the_checksum() -> None:
    p = packet(consts.PROTO_UDP, b"")
    p.ip_len, p.head_len = 24, 32
    header, _ = frame(p, vnet=True)
    assert (header.csum_start, header.csum_offset) == (24, 6)
