"""UDP and ICMP: reading, writing, errors and what they quote."""

import pytest
from fuzz import octets
from fuzz.octets import ICMP, TCP, UDP

from pystack._fast import ip4, udp_icmp
from pystack._fast.consts import Drop
from pystack._fast.packet import Packet
from pystack._fast.udp_icmp import Quote


def load(data: bytes) -> Packet:
    p = ip4.load(octets.pool(), data)
    assert p.drop == 0
    return p


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (octets.udp(b"abc"), 0),
        (octets.udp(), 0),
        (octets.udp(b"abc", no_checksum=True), 0),
        (octets.udp(b"abc", length=7), Drop.UDP_LENGTH),
        (octets.udp(b"abc", length=0), Drop.UDP_LENGTH),
        (octets.udp(b"abc", length=12), Drop.UDP_LENGTH),
        (octets.udp(b"abc", length=65535), Drop.UDP_LENGTH),
        (octets.udp(b"abc", length=10), 0),
        (octets.udp(b"abc", length=8), 0),
        (octets.udp(b"abc")[:10] + b"X", Drop.UDP_CHECKSUM),
        (octets.udp(b"abc", sport=0), 0),  # RFC 768: no reply is expected
    ],
)
def test_udp_datagrams(datagram: bytes, reason: int):
    p = ip4.load(octets.pool(), octets.ip(datagram, UDP))
    assert p.drop == reason
    p.release()


def test_octets_behind_a_udp_datagram_are_cut_off():
    p = load(octets.ip(octets.udp(b"abcdef", length=11), UDP))
    assert (p.length, p.total) == (3, 31)
    assert p.to_bytes() == octets.ip(octets.udp(b"abc"), UDP)
    p.release()


def test_udp_without_checksum_stays_so():
    data = octets.ip(octets.udp(b"abc", no_checksum=True), UDP)
    p = load(data)
    assert p.csum_none
    ip4.finish(p)
    assert p.to_bytes() == data
    p.release()
    p = load(octets.ip(octets.udp(b"abc"), UDP))
    assert not p.csum_none
    p.release()


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("body", [b"", b"a", b"hello!"])
def test_udp_is_built(left: bool, body: bytes):
    p = load(octets.ip(octets.udp(body), UDP))
    p.head[20:28] = b"\xff" * 8
    p.head_len = 20
    p.csum_ok = left
    udp_icmp.build_udp(p)
    assert (bytes(p.head[26:28]) == b"\0\0") is left
    assert p.to_bytes() == octets.ip(octets.udp(body), UDP)
    p.release()


def test_a_verified_checksum_is_known_good():
    for data in (octets.ip(octets.udp(b"x"), UDP), octets.ip(octets.icmp(8), ICMP)):
        p = Packet()
        assert ip4.parse(p, memoryview(data), 0, len(data)) == 0
        assert p.csum_ok


def test_echo_is_read_and_answered():
    p = load(octets.ip(octets.icmp(8, 0, 0x12345678, b"ping!"), ICMP))
    assert (p.icmp_type, p.icmp_code, p.icmp_rest, p.length) == (8, 0, 0x12345678, 5)
    p.icmp_type = 0
    p.csum_ok = False
    udp_icmp.build_icmp(p)
    assert p.to_bytes()[20:] == octets.icmp(0, 0, 0x12345678, b"ping!")
    p.csum_ok = True
    udp_icmp.build_icmp(p)
    assert bytes(p.head[22:24]) == b"\0\0"
    assert p.to_bytes()[20:] == octets.icmp(0, 0, 0x12345678, b"ping!")
    p.release()


@pytest.mark.parametrize("kind", range(20))
def test_which_types_are_errors(kind: int):
    """RFC 1122 section 3.2.2: unreachable, quench, redirect, time exceeded, parameter problem."""
    assert udp_icmp.is_error(kind) is (kind in (3, 4, 5, 11, 12))


@pytest.mark.parametrize(
    ("data", "allowed"),
    [
        (octets.ip(octets.udp(), UDP), True),
        (octets.ip(octets.udp(), UDP, mf=True), True),
        (octets.ip(octets.udp(), UDP, off=8), False),
        (octets.ip(octets.udp(dst=0xFFFFFFFF), UDP, dst=0xFFFFFFFF), False),
        (octets.ip(octets.udp(dst=0xE0000001), UDP, dst=0xE0000001), False),
        (octets.ip(octets.icmp(8), ICMP), True),
        (octets.ip(octets.icmp(0), ICMP), True),
        (octets.ip(octets.icmp(3, 3), ICMP), False),
        (octets.ip(octets.icmp(11), ICMP), False),
        (octets.ip(b"", 89), True),
    ],
)
def test_what_may_be_answered_with_an_error(data: bytes, allowed: bool):
    p = load(data)
    assert udp_icmp.may_answer(p) is allowed
    p.src = 0
    assert not udp_icmp.may_answer(p)
    p.release()


@pytest.mark.parametrize("quote_len", [8, 28, 548, 5000])
@pytest.mark.parametrize(
    "bad",
    [
        octets.ip(octets.tcp(b"x" * 1000, seq=0xDEADBEEF), TCP),
        octets.ip(octets.udp(b"x" * 1000), UDP, ident=9),
        octets.ip(octets.udp(b"x" * 3), UDP),
        octets.ip(octets.udp(b"x" * 30), UDP, options=bytes(40)),
        octets.ip(b"x" * 1000, 89),
        octets.ip(b"", 89),
    ],
    ids="tcp udp short-udp options other empty".split(),
)
def test_error_quotes_what_came(bad: bytes, quote_len: int):
    pool = octets.pool()
    p = ip4.load(pool, bad)
    out = Packet()
    assert udp_icmp.may_answer(p)
    assert udp_icmp.build_error(p, out, pool, 3, 4, 1400, quote_len)
    out.src = octets.B
    ip4.build(out)
    data = out.to_bytes()
    quote = bad[: p.ip_len + min(quote_len, udp_icmp.QUOTE_MAX)]
    assert data == octets.ip(
        octets.icmp(3, 4, 1400, quote), ICMP, src=octets.B, dst=octets.A, ident=0
    )
    p.release()
    back = ip4.load(pool, data)
    q = Quote()
    if len(bad) - p.ip_len < 8:
        assert q.parse(back) == Drop.ICMP_QUOTE
    else:
        assert q.parse(back) == 0
        assert (q.q_proto, q.q_src, q.q_dst) == (p.proto, octets.A, octets.B)
        assert (q.q_mtu, q.q_total, q.q_ip_id) == (1400, len(bad), p.ip_id)
        if p.proto != 89:
            assert (q.q_sport, q.q_dport) == (p.sport, p.dport)
        assert q.q_seq == (0xDEADBEEF if p.proto == TCP else 0)
    back.release()
    out.release()
    assert pool.in_use == 0


def test_error_denied_by_the_pool():
    pool = octets.pool(mbufs=1)
    p = ip4.load(pool, octets.ip(octets.udp(b"abc"), UDP))
    assert p.drop == 0
    out = Packet()
    assert not udp_icmp.build_error(p, out, pool, 3, 3, 0, 8)
    assert (out.m, out.length) == (0, 0)
    p.release()
    assert pool.in_use == 0


QUOTED = octets.ip(octets.tcp(seq=77), TCP)[:28]


@pytest.mark.parametrize(
    ("kind", "quote", "reason"),
    [
        (3, QUOTED, 0),
        (11, QUOTED, 0),
        (12, QUOTED, 0),
        (8, QUOTED, Drop.ICMP_TYPE),
        (0, QUOTED, Drop.ICMP_TYPE),
        (3, b"", Drop.ICMP_QUOTE),
        (3, QUOTED[:27], Drop.ICMP_QUOTE),
        (3, b"\x65" + QUOTED[1:], Drop.ICMP_QUOTE),
        (3, b"\x44" + QUOTED[1:], Drop.ICMP_QUOTE),
        (3, b"\x46" + QUOTED[1:], Drop.ICMP_QUOTE),
        (3, b"\x46" + QUOTED[1:] + bytes(4), 0),
        (3, b"\x4f" + QUOTED[1:] + bytes(39), Drop.ICMP_QUOTE),
        (3, b"\x4f" + QUOTED[1:] + bytes(400), 0),
        (3, QUOTED[:6] + b"\x20\x00" + QUOTED[8:], 0),  # a first fragment
        (3, QUOTED[:6] + b"\x20\x01" + QUOTED[8:], Drop.ICMP_QUOTE),
    ],
)
def test_quotes_that_lie(kind: int, quote: bytes, reason: int):
    """The header checksum and total of a quote are not judged: hosts change them on the way."""
    p = load(octets.ip(octets.icmp(kind, 0, 0, quote), ICMP))
    assert udp_icmp.parse_quote(p, Quote()) == reason
    p.release()


def test_mtu_only_where_it_is_one():
    """RFC 1191: the low half of the second word, in "fragmentation needed" alone."""
    q = Quote()
    for kind, code, mtu in ((3, 4, 1400), (3, 3, 0), (11, 4, 0)):
        p = load(octets.ip(octets.icmp(kind, code, 0xABCD0578, QUOTED), ICMP))
        assert q.parse(p) == 0
        assert (q.q_mtu, q.q_seq, q.q_sport, q.q_dport) == (mtu, 77, 1234, 80)
        p.release()
