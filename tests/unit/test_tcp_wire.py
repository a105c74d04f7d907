"""TCP header and options: reading any order, writing the order of each system."""

import pytest
from fuzz import octets

from pystack._fast import ip4, tcp_wire
from pystack._fast.consts import ACK, CWR, ECE, FIN, OPTIONS_BSD, OPTIONS_LINUX, PSH, SYN, Drop
from pystack._fast.packet import COOKIE_ROOM, Packet

BSD, LINUX = OPTIONS_BSD, OPTIONS_LINUX


def read(segment: bytes, csum_ok: bool = False, cut: int = 0) -> Packet:
    """Parse a segment as if its IP header had been read; `drop` is the answer."""
    p = Packet()
    p.src, p.dst, p.proto, p.csum_ok = octets.A, octets.B, octets.TCP, csum_ok
    p.drop = tcp_wire.parse(p, memoryview(bytearray(b"\xaa" * 3 + segment)), 3, len(segment) - cut)
    return p


def with_options(*parts: bytes) -> Packet:
    p = read(octets.tcp(options=octets.options(*parts)))
    assert p.drop == 0
    return p


def test_every_field_is_read():
    p = read(octets.tcp(b"hello", seq=0xFFFFFFF0, ack=0x80000001, flags=0xFF, win=40000, urg=50000))
    assert p.drop == 0
    assert (p.sport, p.dport, p.seq, p.ack) == (1234, 80, 0xFFFFFFF0, 0x80000001)
    assert (p.flags, p.win, p.urg) == (0xFF, 40000, 50000)
    assert (p.head_len, p.length, p.csum_ok) == (40, 5, True)
    assert (p.opt_mss, p.opt_wscale, p.opt_sack_ok, p.opt_ts) == (-1, -1, False, False)
    assert (p.sack_n, p.tfo_off, p.tfo_len) == (0, -1, 0)


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        (b"", Drop.TCP_TRUNCATED),
        (octets.tcp()[:19], Drop.TCP_TRUNCATED),
        (octets.tcp(offset=4), Drop.TCP_OFFSET),
        (octets.tcp(offset=0), Drop.TCP_OFFSET),
        (octets.tcp(b"abc", offset=6), Drop.TCP_OFFSET),
        (octets.tcp(b"abcd", offset=6), 0),
        (octets.tcp(offset=15), Drop.TCP_OFFSET),
        (octets.tcp(bytes(40), offset=15), 0),
        (octets.tcp(sport=0, dport=0), 0),
    ],
)
def test_headers_that_lie(segment: bytes, reason: int):
    assert read(segment).drop == reason


@pytest.mark.parametrize("bit", range(0, 8 * 27, 5))
def test_any_turned_bit_is_a_bad_checksum(bit: int):
    segment = bytearray(octets.tcp(b"payload"))
    segment[bit // 8] ^= 1 << bit % 8
    p = read(bytes(segment))
    assert p.drop in (Drop.TCP_CHECKSUM, Drop.TCP_OFFSET)
    assert not p.csum_ok


def test_checksum_is_not_looked_at_when_known_good():
    segment = octets.tcp(b"payload")
    assert read(segment[:16] + b"\0\0" + segment[18:], csum_ok=True).drop == 0


def test_payload_cut_short_is_seen():
    assert read(octets.tcp(b"payload"), cut=1).drop == Drop.TCP_CHECKSUM


TS = b"\x08\x0a\x00\x00\x00\x64\xff\xff\xff\xff"


@pytest.mark.parametrize("front", [b"", b"\1", b"\1\1", b"\1\1\1", b"\1\1\1\1\1"])
def test_timestamps_at_any_place(front: bytes):
    p = with_options(front, TS)
    assert (p.opt_ts, p.ts_val, p.ts_ecr) == (True, 100, 0xFFFFFFFF)


def test_all_options_of_a_syn():
    p = with_options(b"\2\4\x05\xb4", b"\1\3\3\7", b"\4\2", TS, b"\x22\x0a" + b"abcdefgh")
    assert (p.opt_mss, p.opt_wscale, p.opt_sack_ok, p.opt_ts) == (1460, 7, True, True)
    assert (p.tfo_len, bytes(p.head[p.tfo_off : p.tfo_off + 8])) == (8, b"abcdefgh")


@pytest.mark.parametrize(("shift", "taken"), [(0, 0), (13, 13), (14, 14), (15, 14), (255, 14)])
def test_wscale_above_14_is_taken_as_14(shift: int, taken: int):
    """RFC 7323 section 2.3."""
    assert with_options(bytes((3, 3, shift))).opt_wscale == taken


@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_sack_blocks(blocks: int):
    edges = [0xFFFFFF00 + 1000 * i & 0xFFFFFFFF for i in range(2 * blocks)]
    body = b"".join(e.to_bytes(4, "big") for e in edges)
    p = with_options(b"\1\1", bytes((5, 2 + 8 * blocks)), body)
    assert p.sack_n == blocks
    assert list(p.sack[: 2 * blocks]) == edges


@pytest.mark.parametrize(
    "bad",
    [
        b"\2\3\5",  # MSS of three octets
        b"\2\6\5\xb4\0\0",
        b"\3\4\7\0",
        b"\4\3\0",
        b"\5\2",  # no block
        b"\5\7" + bytes(5),  # less than a block
        b"\5\x0b" + bytes(9),
        b"\x08\x08" + bytes(6),
        b"\x08\x0c" + bytes(10),
        b"\x22\x05abc",  # odd cookie
        b"\x22\x04ab",  # cookie of less than 4
        b"\x22\x14" + bytes(18),  # cookie of more than 16
        b"\xfe\x04\xf9\x8a",  # another experiment
        b"\xfe\x06\xf9\x89ab",  # cookie of less than 4
        b"\x13\x12" + bytes(16),  # MD5
    ],
)
def test_options_of_another_length_are_skipped(bad: bytes):
    p = with_options(bad, b"\2\4\5\xb4")
    assert p.opt_mss == 1460
    assert (p.opt_wscale, p.opt_sack_ok, p.opt_ts) == (-1, False, False)
    assert (p.sack_n, p.tfo_off) == (0, -1)


@pytest.mark.parametrize(
    "bad",
    [
        b"\0\0\0\0\4\2\1\1",  # what stands behind the end
        b"\x08\x00\4\2",  # length 0 would never end
        b"\x08\x01\4\2",
        b"\x08\x0b" + bytes(6),  # longer than the header
        b"\1\1\1\x08",  # no length octet
        b"\5\x22" + bytes(26),
        b"\xff\xff\4\2",
        b"\2\x05\5\xb4",
    ],
)
def test_impossible_lengths_end_the_options(bad: bytes):
    """MUST-7: what was read before stands, the segment is not dropped."""
    p = with_options(b"\3\3\7\1", bad)
    assert (p.opt_wscale, p.opt_mss, p.opt_sack_ok, p.opt_ts) == (7, -1, False, False)


def test_the_last_of_two_counts():
    assert with_options(b"\2\4\0\1", b"\2\4\5\xb4").opt_mss == 1460


def test_reading_again_forgets_the_options():
    p = with_options(b"\2\4\5\xb4", b"\1\3\3\7", b"\4\2", TS, b"\x22\x06abcd")
    plain = octets.tcp()
    p.csum_ok = False
    assert tcp_wire.parse(p, memoryview(bytearray(plain)), 0, 20) == 0
    assert (p.opt_mss, p.opt_wscale, p.opt_sack_ok, p.opt_ts) == (-1, -1, False, False)
    assert (p.sack_n, p.tfo_off) == (0, -1)


def make(**fields) -> Packet:
    p = Packet()
    p.src, p.dst, p.proto = octets.A, octets.B, octets.TCP
    p.sport, p.dport = 1234, 80
    cookie = fields.pop("cookie", None)
    if cookie is not None:
        p.tfo_off, p.tfo_len = COOKIE_ROOM, len(cookie)
        p.head[COOKIE_ROOM : COOKIE_ROOM + len(cookie)] = cookie
    blocks = fields.pop("sack", ())
    p.sack_n = len(blocks) // 2
    for i, edge in enumerate(blocks):
        p.sack[i] = edge
    for name, value in fields.items():
        setattr(p, name, value)
    return p


def option_octets(p: Packet, layout: int) -> bytes:
    p.head[20:80] = b"\xee" * 60  # of the packet before
    expected = tcp_wire.option_length(p, layout)
    size = tcp_wire.build(p, layout)
    assert size == expected == p.head_len - 40
    assert p.head[32] == (20 + size) << 2
    return bytes(p.head[40 : 40 + size])


MSS = {"opt_mss": 1460}
WS = {"opt_wscale": 6}
OK = {"opt_sack_ok": True}
STAMP = {"opt_ts": True, "ts_val": 100, "ts_ecr": 0}
ONE = {"sack": (1, 2)}
COOKIE = {"cookie": b"ABCDEFGH"}
M = "020405b4"
W = "01030306"
T = "080a0000006400000000"

LAYOUTS = [
    ((), "", ""),
    ((MSS,), M, M),
    # the suite of FreeBSD asserts this one: <mss 1460,sackOK,eol,eol>
    ((MSS, OK), M + "04020000", M + "01010402"),
    ((MSS, WS), M + W, M + W),
    ((MSS, STAMP), M + "0101" + T, M + "0101" + T),
    ((MSS, WS, OK), M + W + "04020000", M + "01010402" + W),
    ((MSS, WS, STAMP), M + W + "0101" + T, M + "0101" + T + W),
    ((MSS, OK, STAMP), M + "0402" + T, M + "0402" + T),
    # FreeBSD's and Linux's usual SYN
    ((MSS, WS, OK, STAMP), M + W + "0402" + T, M + "0402" + T + W),
    ((WS,), W, W),
    ((OK,), "04020000", "01010402"),
    ((STAMP,), "0101" + T, "0101" + T),
    ((OK, STAMP), "0402" + T, "0402" + T),
    ((WS, OK), W + "04020000", "01010402" + W),
    ((MSS, COOKIE), M + "220a41424344454647480000", M + "220a41424344454647480101"),
    (
        (MSS, WS, OK, STAMP, COOKIE),
        M + W + "0402" + T + "220a41424344454647480000",
        M + "0402" + T + W + "220a41424344454647480101",
    ),
    ((MSS, OK, COOKIE), M + "0402220a4142434445464748", M + "01010402220a41424344454647480101"),
    ((MSS, {"cookie": b""}), M + "22020000", M + "22020101"),
    ((MSS, {"cookie": b"abcdef"}), M + "2208616263646566", M + "2208616263646566"),
    ((ONE,), "0101050a0000000100000002", "0101050a0000000100000002"),
    (
        (STAMP, ONE),
        "0101" + T + "0101050a0000000100000002",
        "0101" + T + "0101050a0000000100000002",
    ),
]


@pytest.mark.parametrize(("parts", "bsd", "linux"), LAYOUTS)
def test_layout_of_each_system(parts: tuple[dict, ...], bsd: str, linux: str):
    fields = {name: value for part in parts for name, value in part.items()}
    assert option_octets(make(**fields), BSD).hex() == bsd
    assert option_octets(make(**fields), LINUX).hex() == linux


@pytest.mark.parametrize("layout", [BSD, LINUX])
@pytest.mark.parametrize("stamp", [False, True])
@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_sack_blocks_that_fit(layout: int, stamp: bool, blocks: int):
    """Four without timestamps, three with: 40 octets of options are all there is."""
    p = make(opt_ts=stamp, sack=tuple(range(1, 2 * blocks + 1)))
    before = p.sack_n
    size = tcp_wire.option_length(p, layout)
    assert p.sack_n == before
    written = min(blocks, 3 if stamp else 4)
    assert size == (12 if stamp else 0) + 4 + 8 * written
    assert tcp_wire.build(p, layout) == size
    assert p.sack_n == written
    p.src, p.dst, p.proto = octets.A, octets.B, octets.TCP
    again = read(bytes(p.head[20 : p.head_len]))
    assert again.drop == 0
    assert list(again.sack[: 2 * written]) == list(range(1, 2 * written + 1))


@pytest.mark.parametrize("layout", [BSD, LINUX])
def test_cookie_without_room_is_left_out(layout: int):
    p = make(**MSS, **WS, **OK, **STAMP, cookie=bytes(16))
    assert tcp_wire.option_length(p, layout) == tcp_wire.build(p, layout)
    if layout == BSD:  # 20 + 18, filled to 40
        assert p.tfo_off == 60 + 2
        assert p.head_len == 80
    else:
        assert p.tfo_off == 60 + 2
    crowded = make(**MSS, **WS, **STAMP, sack=(1, 2), cookie=bytes(16))
    assert tcp_wire.option_length(crowded, layout) == 32
    assert crowded.tfo_off == COOKIE_ROOM
    assert tcp_wire.build(crowded, layout) == 32
    assert crowded.tfo_off == -1


@pytest.mark.parametrize("layout", [BSD, LINUX])
def test_cookie_is_found_where_it_was_written(layout: int):
    p = make(**MSS, **OK, cookie=b"0123456789abcdef")
    tcp_wire.build(p, layout)
    assert bytes(p.head[p.tfo_off : p.tfo_off + p.tfo_len]) == b"0123456789abcdef"
    tcp_wire.build(p, layout)  # again, from where it stands now
    assert bytes(p.head[p.tfo_off : p.tfo_off + p.tfo_len]) == b"0123456789abcdef"


@pytest.mark.parametrize("layout", [BSD, LINUX])
@pytest.mark.parametrize("left", [True, False])
def test_built_is_what_the_rfc_says(layout: int, left: bool):
    pool = octets.pool()
    p = make(seq=0xFFFFFFFF, ack=0x80000000, flags=FIN | PSH | ACK | ECE | CWR, win=65535, urg=9)
    p.pool = pool
    p.m = pool.new_chain(b"odd", 0, 3)
    p.length = 3
    p.csum_ok = left
    tcp_wire.build(p, layout)
    ip4.build(p)
    wanted = octets.tcp(
        b"odd", seq=0xFFFFFFFF, ack=0x80000000, flags=FIN | PSH | ACK | ECE | CWR, urg=9
    )
    assert p.to_bytes()[20:] == wanted
    assert (bytes(p.head[36:38]) == b"\0\0") is left
    p.release()
    assert pool.in_use == 0


@pytest.mark.parametrize("layout", [BSD, LINUX])
def test_syn_flags(layout: int):
    p = make(flags=SYN, **MSS)
    tcp_wire.build(p, layout)
    assert (p.head[33], p.head_len) == (SYN, 44)
