"""IPv4: what is refused, what is read, forwarding, splitting, fragmenting."""

import pytest
from fuzz import octets
from fuzz.octets import ICMP, TCP, UDP

from pystack._fast import ip4
from pystack._fast.consts import CWR, FIN, PSH, Drop
from pystack._fast.landing import Landing
from pystack._fast.mbuf import KEEP
from pystack._fast.packet import Packet, PacketQueue


def read(data: bytes, csum_ok: bool = False) -> Packet:
    p = Packet()
    p.csum_ok = csum_ok
    assert ip4.parse(p, memoryview(b"\xaa" * 5 + data), 5, len(data)) == p.drop
    return p


def test_every_field_is_read():
    data = octets.ip(b"abc", 89, tos=0xB9, ident=0xFFFE, df=True, ttl=1, src=0xC0000201)
    p = read(data)
    assert p.drop == 0
    assert (p.src, p.dst, p.proto, p.tos) == (0xC0000201, octets.B, 89, 0xB9)
    assert (p.ttl, p.ip_id, p.df, p.mf, p.frag_off) == (1, 0xFFFE, True, False, 0)
    assert (p.total, p.ip_len, p.head_len, p.length) == (23, 20, 20, 3)
    assert bytes(p.head[:20]) == data[:20]


GOOD = octets.ip(octets.tcp(b"hello"), TCP)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Drop.IP_TRUNCATED),
        (GOOD[:19], Drop.IP_TRUNCATED),
        (GOOD[:44], Drop.IP_TRUNCATED),
        (octets.ip(b"", 6, first=0x65), Drop.IP_VERSION),
        (octets.ip(b"", 6, first=0x05), Drop.IP_VERSION),
        (octets.ip(bytes(9), 6, first=0x44), Drop.IP_HEADER_LENGTH),
        (octets.ip(bytes(9), 6, first=0x40), Drop.IP_HEADER_LENGTH),
        (octets.ip(bytes(9), 6, first=0x4F), Drop.IP_TRUNCATED),
        (octets.ip(bytes(9), 6, total=19), Drop.IP_TOTAL_LENGTH),
        (octets.ip(bytes(9), 6, total=0), Drop.IP_TOTAL_LENGTH),
        (octets.ip(bytes(9), 89, total=20), 0),
        (octets.ip(bytes(9), 89, total=30), Drop.IP_TRUNCATED),
        (octets.ip(bytes(9), 89, csum=0x1234), Drop.IP_CHECKSUM),
        (octets.ip(b"", 89, src=0), Drop.IP_SOURCE_INVALID),
        (octets.ip(b"", 89, src=1), 0),
        (octets.ip(b"", 89, src=0xDFFFFFFF), 0),
        (octets.ip(b"", 89, src=0xE0000001), Drop.IP_SOURCE_INVALID),
        (octets.ip(b"", 89, src=0xF0000000), Drop.IP_SOURCE_INVALID),
        (octets.ip(b"", 89, src=0xFFFFFFFF), Drop.IP_SOURCE_INVALID),
        (octets.ip(b"", 89, dst=0xFFFFFFFF), 0),
        (octets.ip(octets.tcp()[:19], TCP), Drop.TCP_TRUNCATED),
        (octets.ip(octets.udp()[:7], UDP), Drop.UDP_TRUNCATED),
        (octets.ip(octets.icmp(8)[:7], ICMP), Drop.ICMP_TRUNCATED),
        (octets.ip(octets.tcp(src=5), TCP), Drop.TCP_CHECKSUM),
        (octets.ip(octets.udp(dst=5), UDP), Drop.UDP_CHECKSUM),
        (octets.ip(octets.icmp(8)[:4] + b"\0\0\0\1", ICMP), Drop.ICMP_CHECKSUM),
    ],
)
def test_what_is_refused(data: bytes, reason: int):
    assert read(data).drop == reason
    pool = octets.pool()
    p = ip4.load(pool, data)
    assert p.drop == reason
    p.release()
    assert pool.in_use == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (bytes(4), 0),
        (b"\1\1\1\1" * 10, 0),
        (b"\x94\x04\0\0", 0),  # router alert
        (b"\x07\x27\x04" + bytes(37), 0),  # record route, the longest
        (b"\0\xff\xff\xff", 0),  # behind the end
        (b"\1\1\1\x07", Drop.IP_OPTION),
        (b"\x07\x00\1\1", Drop.IP_OPTION),
        (b"\x07\x01\1\1", Drop.IP_OPTION),
        (b"\x07\x05\1\1", Drop.IP_OPTION),
        (b"\1\x07\x04\1", Drop.IP_OPTION),
    ],
)
def test_options_are_well_formed_or_refused(options: bytes, reason: int):
    p = read(octets.ip(octets.tcp(b"hi"), TCP, options=options))
    assert p.drop == reason
    if reason == 0:
        assert (p.ip_len, p.dport, p.length) == (20 + len(options), 80, 2)


def test_padding_of_the_link_is_cut_off():
    p = read(GOOD + bytes(10))
    assert (p.drop, p.length, p.total) == (0, 5, 45)


@pytest.mark.parametrize("proto", [TCP, UDP, ICMP])
def test_a_fragment_has_no_l4_header(proto: int):
    """Whatever the first octets of the data look like."""
    for p in (read(octets.ip(b"x" * 8, proto, mf=True)), read(octets.ip(b"x", proto, off=65528))):
        assert (p.drop, p.head_len) == (0, 20)
    assert (p.frag_off, p.length) == (65528, 1)


def test_what_firewalls_ask_of_fragments_is_known():
    """Ports, flags and types where a first fragment has them; nothing of the packet before."""
    p = read(octets.ip(octets.tcp(sport=1, dport=2, flags=18)[:14], TCP, mf=True))
    assert (p.drop, p.head_len, p.sport, p.dport, p.flags) == (0, 20, 1, 2, 18)
    p = read(octets.ip(octets.udp(sport=3, dport=4)[:5], UDP, mf=True))
    assert (p.drop, p.sport, p.dport) == (0, 3, 4)
    p = read(octets.ip(octets.icmp(8, 1), ICMP, mf=True))
    assert (p.drop, p.icmp_type, p.icmp_code) == (0, 8, 1)
    p = read(octets.ip(b"abc", UDP, mf=True))
    assert (p.drop, p.sport, p.dport) == (0, 0, 0)


@pytest.mark.parametrize("size", [0, 1, 1448, KEEP, KEEP + 1, 65000])
@pytest.mark.parametrize("csum_ok", [False, True])
@pytest.mark.parametrize("skip", [0, 9, 10])
def test_landed_packet(size: int, csum_ok: bool, skip: int):
    """Small payload is copied out of the landing mbuf, big payload keeps it."""
    pool = octets.pool()
    body = bytes(i * 11 & 255 for i in range(size))
    data = octets.ip(octets.tcp(body), TCP)
    landing = Landing(pool)
    landing.place()
    memoryview(landing.room)[skip : skip + len(data) + 7] = data + b"padding"
    m = landing.m
    p = Packet()
    p.csum_ok = csum_ok
    assert ip4.parse_landed(p, pool, m, skip, len(data) + 7) == 0
    assert p.csum_ok
    assert (p.m == m) is (size > KEEP)
    assert (p.length, pool.chain_length(p.m)) == (size, size)
    assert p.to_bytes() == data
    if p.m != m:
        pool.free(m)
    p.release()
    assert pool.in_use == 0


def test_pool_without_room_is_a_reason():
    pool = octets.pool(clusters=1)
    small = ip4.load(pool, octets.ip(octets.udp(b"x" * 1000), UDP))
    assert small.drop == 0
    big = ip4.load(pool, octets.ip(octets.udp(b"x" * 1000), UDP))
    assert (big.drop, big.m) == (Drop.MBUF, 0)
    small.release()
    big.release()
    assert pool.in_use == 0


def test_build_writes_what_was_read():
    p = read(octets.ip(octets.tcp(b"hello"), TCP, tos=0x12, ident=0xABCD, df=True, ttl=3))
    wanted = bytes(p.head[:20])
    p.head[:20] = bytes(20)
    p.total = 0
    ip4.build(p)
    assert bytes(p.head[:20]) == wanted
    assert p.total == 45


@pytest.mark.parametrize("ttl", [255, 64, 2])
def test_forward_takes_one_from_the_ttl(ttl: int):
    for ident in range(0, 65536, 257):
        p = read(octets.ip(b"", 89, ttl=ttl, ident=ident))
        assert ip4.forward(p) == 0
        assert p.ttl == ttl - 1
        assert read(bytes(p.head[:20])).drop == 0
        assert bytes(p.head[:20]) == octets.ip(b"", 89, ttl=ttl - 1, ident=ident)


@pytest.mark.parametrize("ttl", [0, 1])
def test_forward_ends_with_the_ttl(ttl: int):
    p = read(octets.ip(b"", 89, ttl=ttl))
    before = bytes(p.head[:20])
    assert ip4.forward(p) == Drop.IP_TTL
    assert bytes(p.head[:20]) == before


def test_finish_completes_what_was_left():
    pool = octets.pool()
    p = ip4.load(pool, GOOD)
    p.head[36] = p.head[37] = 0
    ip4.finish(p)
    assert not p.csum_ok
    assert bytes(p.head[:40]) == GOOD[:40]
    p.head[36] = 1
    ip4.finish(p)  # nothing was left
    assert p.head[36] == 1
    p.release()


@pytest.mark.parametrize("body", [b"", b"abc", b"abcd"])
def test_pseudo_is_what_a_device_completes(body: bytes):
    """VIRTIO_NET_HDR_F_NEEDS_CSUM: the sum from the L4 header on, with that field as it stands."""
    pool = octets.pool()
    for proto, at, make in ((TCP, 36, octets.tcp), (UDP, 26, octets.udp)):
        data = octets.ip(make(body), proto)
        p = ip4.load(pool, data)
        assert ip4.pseudo(p) == p.head[at] << 8 | p.head[at + 1]
        segment = bytes(p.head[20 : p.head_len]) + body
        assert octets.checksum(segment).to_bytes(2, "big") == data[at : at + 2]
        p.release()


def super_segment(pool, size: int, gso: int, **fields) -> Packet:
    p = ip4.load(
        pool,
        octets.ip(
            octets.tcp(bytes(i * 13 & 255 for i in range(size)), **fields), TCP, ident=0xFFFF
        ),
    )
    assert p.drop == 0
    p.gso_size = gso
    return p


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize(
    ("size", "gso", "count"),
    [(0, 100, 1), (99, 100, 1), (100, 100, 1), (101, 100, 2), (3000, 1000, 3), (65000, 1448, 45)],
)
def test_split(size: int, gso: int, count: int, left: bool):
    pool = octets.pool()
    p = super_segment(pool, size, gso, seq=0xFFFFFF00, flags=16 | FIN | PSH | CWR)
    whole = p.to_bytes()
    p.csum_ok = left
    assert ip4.split_count(p) == count
    if count > 1:
        body = b""
        for i in range(count):
            part = Packet()
            assert ip4.split(p, i, part)
            data = part.to_bytes()
            again = read(data)
            assert (again.drop, again.seq) == (0, (0xFFFFFF00 + i * gso) & 0xFFFFFFFF)
            assert again.length == min(gso, size - i * gso)
            assert again.ip_id == (0xFFFF + i) & 0xFFFF
            assert bool(again.flags & CWR) is (i == 0)
            assert (again.flags & (FIN | PSH) != 0) is (i == count - 1)
            assert (part.seq, part.flags, part.total) == (again.seq, again.flags, again.total)
            assert (part.gso_size, part.csum_ok) == (0, left)
            body += data[40:]
            part.release()
        assert body == whole[40:]
    p.csum_ok = True
    assert p.to_bytes() == whole
    p.release()
    assert pool.in_use == 0


def test_split_shares_the_payload():
    pool = octets.pool()
    p = super_segment(pool, 40000, 1000)
    parts = []
    before = pool.in_use
    for i in range(ip4.split_count(p)):
        parts.append(Packet())
        assert ip4.split(p, i, parts[-1])
    assert pool.in_use - before == 40  # rows, not octets
    p.release()
    assert b"".join(q.to_bytes()[40:] for q in parts) == bytes(i * 13 & 255 for i in range(40000))
    for q in parts:
        q.release()
    assert pool.in_use == 0


def test_split_denied_leaves_nothing():
    pool = octets.pool(mbufs=60)
    p = super_segment(pool, 60000, 1000)
    out = [Packet() for _ in range(60)]
    done = [ip4.split(p, i, q) for i, q in enumerate(out)]
    assert done[0]
    assert not done[-1]
    assert out[-1].m == 0
    for q in (p, *out):
        q.release()
    assert pool.in_use == 0


def fragments(p: Packet, mtu: int) -> list[Packet]:
    free, to = PacketQueue(), PacketQueue()
    count = ip4.fragment(p, mtu, free, to)
    assert count == to.count
    return [to.pop() for _ in range(count)]


@pytest.mark.parametrize("mtu", [68, 576, 1500])
@pytest.mark.parametrize("options", [b"", b"\x94\x04\0\0\x07\x07\x04\0\0\0\0\0"])
@pytest.mark.parametrize("make", [octets.tcp, octets.udp], ids=["tcp", "udp"])
def test_fragments_are_the_datagram(mtu: int, options: bytes, make):
    pool = octets.pool()
    proto = TCP if make is octets.tcp else UDP
    body = make(bytes(i * 3 & 255 for i in range(3001)))
    p = ip4.load(pool, octets.ip(body, proto, options=options, ident=77))
    parts = fragments(p, mtu)
    data = b""
    for i, part in enumerate(parts):
        raw = part.to_bytes()
        assert len(raw) <= mtu
        again = read(raw)
        assert (again.drop, again.frag_off, again.mf) == (0, len(data), i < len(parts) - 1)
        assert (again.ip_id, again.proto, again.total) == (77, proto, part.total)
        kept = b"\x94" in raw[20 : again.ip_len]
        record_route = b"\x07" in raw[20 : again.ip_len]
        assert kept is bool(options)
        assert record_route is (bool(options) and i == 0)
        data += raw[again.ip_len :]
        part.release()
    assert data == body
    p.release()
    assert pool.in_use == 0


def test_fragments_of_a_fragment_keep_their_place():
    pool = octets.pool()
    p = ip4.load(pool, octets.ip(bytes(80), 89, mf=True, off=800))
    parts = fragments(p, 60)
    assert [(q.frag_off, q.length, q.mf) for q in parts] == [(800, 40, True), (840, 40, True)]
    for q in (p, *parts):
        q.release()
    assert pool.in_use == 0


def test_no_room_for_data_makes_no_fragments():
    pool = octets.pool()
    p = ip4.load(pool, octets.ip(octets.tcp(bytes(100)), TCP))
    assert fragments(p, 27) == []
    assert fragments(p, 40) == []  # the TCP header would have to be cut
    p.release()
    assert pool.in_use == 0


def test_fragmenting_denied_leaves_nothing():
    pool = octets.pool(mbufs=6)
    p = ip4.load(pool, octets.ip(octets.udp(bytes(5000)), UDP))
    assert p.drop == 0
    free, to = PacketQueue(), PacketQueue()
    assert ip4.fragment(p, 576, free, to) == 0
    assert to.count == 0
    p.release()
    assert pool.in_use == 0
