"""Packet and PacketQueue: life of a packet, its checksums, its octets."""

import pytest
from fuzz import octets

from pystack._fast import ip4
from pystack._fast.packet import Packet, PacketQueue

FIELDS = """
head_len ip_len m length gso_size csum_ok csum_none iface_in iface_out src dst nexthop proto tos ttl ip_id frag_off
total df mf sport dport icmp_type icmp_code icmp_rest seq ack flags win urg opt_mss opt_wscale opt_sack_ok opt_ts
opt_md5 ts_val ts_ecr sack_n tfo_off tfo_len tfo_exp drop mark ct ct_way ct_state ct_zone ct_template ct_hash
""".split()


def fields(p: Packet) -> dict[str, int]:
    return {name: getattr(p, name) for name in FIELDS}


def test_clear_makes_every_field_new():
    p = Packet()
    none = {"iface_in": -1, "iface_out": -1, "opt_mss": -1, "opt_wscale": -1, "tfo_off": -1}
    new = dict.fromkeys(FIELDS, 0) | none | {"ip_len": 20, "ttl": 64}
    assert fields(p) == new
    for name, value in new.items():
        setattr(p, name, value + 1)
    p.clear()
    assert fields(p) == new


def test_clear_and_copy_know_every_field():
    """A field that is added later must not be forgotten in one of the lists."""
    own = {n for n in dir(Packet()) if not n.startswith("_") and not callable(getattr(Packet(), n))}
    elsewhere = {"head", "head16", "sack", "pool", "next", "home", "queued"}
    assert own - elsewhere == set(FIELDS)


def test_copy_headers_copies_all_but_payload_and_place():
    p, q = Packet(), Packet()
    kept = {
        "m",
        "length",
        "gso_size",
        "ct",
        "ct_way",
        "ct_state",
        "ct_zone",
        "ct_template",
        "ct_hash",
    }
    for i, name in enumerate(FIELDS):
        setattr(p, name, i % 2 if name in ("csum_ok", "csum_none", "df", "mf") else i % 7 + 20)
    p.opt_sack_ok = p.opt_ts = True
    p.head[3] = 77
    p.sack[7] = 5
    new = fields(q)
    q.copy_headers(p)
    for name in FIELDS:
        assert getattr(q, name) == (new[name] if name in kept else getattr(p, name)), name
    assert q.head[3] == 77
    assert q.sack[7] == 5
    p.sack[7] = 6
    assert q.sack[7] == 5


def test_queue_is_first_in_first_out():
    queue = PacketQueue()
    packets = [Packet() for _ in range(3)]
    for p in packets:
        queue.push(p)
    assert queue.count == 3
    assert [queue.pop() for _ in range(4)] == [*packets, None]
    assert queue.count == 0
    queue.push(packets[1])
    assert queue.pop() is packets[1]
    assert queue.pop() is None


def test_released_packets_are_used_again():
    pool = octets.pool()
    home = PacketQueue()
    p = home.take_free()
    p.pool = pool
    p.m = pool.new_chain(b"x" * 300, 0, 300)
    p.length = 300
    p.seq = 7
    p.release()
    assert pool.in_use == 0
    assert home.count == 1
    again = home.take_free()
    assert again is p
    assert (again.seq, again.m, again.length) == (0, 0, 0)


def test_packet_without_home_is_only_emptied():
    pool = octets.pool()
    p = ip4.load(pool, octets.ip(octets.udp(b"abc"), octets.UDP))
    assert pool.in_use == 1
    p.release()
    assert (pool.in_use, p.m, p.length) == (0, 0, 0)


def test_drop_payload_keeps_the_packet():
    pool = octets.pool()
    p = ip4.load(pool, octets.ip(octets.udp(b"abc"), octets.UDP))
    p.drop_payload()
    assert (pool.in_use, p.m, p.length, p.sport) == (0, 0, 0, 1234)
    p.drop_payload()
    assert pool.in_use == 0


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 1448, 5001])
@pytest.mark.parametrize(
    "raw",
    [
        lambda body: octets.ip(octets.tcp(body), octets.TCP),
        lambda body: octets.ip(octets.udp(body), octets.UDP),
        lambda body: octets.ip(octets.udp(body, no_checksum=True), octets.UDP),
        lambda body: octets.ip(octets.icmp(8, 0, 0x00010002, body), octets.ICMP),
        lambda body: octets.ip(octets.tcp(body), octets.TCP, options=bytes(4)),
        lambda body: octets.ip(b"other" + body, 89),
    ],
    ids="tcp udp udp-without icmp ip-options other".split(),
)
def test_octets_come_back_as_they_came(raw, size):
    pool = octets.pool()
    data = raw(bytes(i * 7 & 255 for i in range(size)))
    p = ip4.load(pool, data)
    assert p.drop == 0
    assert p.to_bytes() == data
    p.release()
    assert pool.in_use == 0


def test_left_checksum_is_completed_in_the_octets_only():
    pool = octets.pool()
    data = octets.ip(octets.tcp(b"hello"), octets.TCP)
    p = ip4.load(pool, data)
    p.head[36] = p.head[37] = 0
    assert p.to_bytes() == data
    assert (p.head[36], p.head[37]) == (0, 0)
    p.csum_ok = False
    assert p.to_bytes()[36:38] == b"\0\0"
    p.release()


def test_udp_checksum_of_zero_is_written_as_ones():
    """RFC 768: zero says that there is none."""
    pool = octets.pool()
    for word in range(0x10000):
        data = octets.udp(word.to_bytes(2, "big"))
        if data[6:8] == b"\xff\xff":
            break
    p = ip4.load(pool, octets.ip(data, octets.UDP))
    assert p.drop == 0
    assert p.l4_checksum() == 0xFFFF
    assert p.to_bytes()[26:28] == b"\xff\xff"
    p.release()


def test_a_fragment_has_no_l4_checksum():
    p = Packet()
    p.proto, p.head_len, p.mf = octets.TCP, 40, True
    assert p.checksum_at() == 0
    p.mf = False
    assert p.checksum_at() == 36
    p.head_len = 20  # nothing behind the IP header
    assert p.checksum_at() == 0
    p.head_len = 40
    p.frag_off = 8
    assert p.checksum_at() == 0
