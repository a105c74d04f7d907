"""Numbers of a script and of the wire; octets of segments; gluing."""

import struct

import pytest

from pystack.packetdrill import match
from pystack.packetdrill.numbers import Space
from pystack.packetdrill.script import ACK, FIN, PSH, SYN, Opt, TcpPacket
from pystack.packetdrill.segments import (
    AE,
    bad_checksum,
    checksum,
    decode,
    encode,
    icmp_message,
    ip_packet,
    read,
    show,
    split,
    tcp_segment,
    udp_datagram,
    zeros,
)
from pystack.packetdrill.verdict import Failure, Skip

US, THEM = 0xC0A80001, 0xC0000201


def line(flags=ACK, seq=1, length=0, ack=1, inbound=True, **more) -> TcpPacket:
    return TcpPacket(inbound, flags, seq, seq + length, length, ack=ack, win=100, **more)


def segment(flags=ACK, seq=1, ack=1, win=100, payload=b"", options=b"", tos=0, **more):
    body = tcp_segment(US, THEM, (8080, 9), seq, ack, flags, win, 0, options, payload, **more)
    return read(0, ip_packet(body, 6, US, THEM, tos=tos, ttl=64))


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "seq", "ack"),
    [
        (ACK, 1 + 700, 5 + 9000),
        (SYN | ACK, 1, 5 + 9000 - 30),
        (SYN, 1, 5),  # without ACK the field is sent as it was written
    ],
)
def test_inbound_numbers(flags, seq, ack):
    space = Space(remote_isn=700, live_isn=9000, script_isn=30)
    p = line(flags, seq=1, ack=5)
    assert (space.inbound_seq(p), space.inbound_ack(p)) == (seq, ack)


@pytest.mark.parametrize(("flags", "seq", "ack"), [(ACK, 1, 5), (SYN | ACK, 31, 705)])
def test_outbound_numbers(flags, seq, ack):
    space = Space(remote_isn=700, live_isn=9000, script_isn=30)
    assert space.outbound_seq(9001, flags) == seq
    assert space.outbound_ack(705, flags) == ack


def test_numbers_wrap():
    space = Space(remote_isn=0xFFFFFFFF, live_isn=0xFFFFFFF0)
    assert space.inbound_seq(line(seq=1)) == 0
    assert space.inbound_ack(line(ack=0x20)) == 0x10
    assert space.outbound_seq(0x10, ACK) == 0x20
    assert space.outbound_ack(0, ACK) == 1


def test_absolute_numbers_are_not_mapped():
    space = Space(remote_isn=700, live_isn=9000)
    p = line(seq=3, ack=5, seq_mode="absolute")
    assert space.inbound_seq(p) == 3
    assert space.inbound_ack(p) == 9005


def test_the_ack_field_is_left_alone_without_the_flag():
    assert Space(remote_isn=700).outbound_ack(0, PSH) == 0


def test_sack_edges_are_mapped_like_acks():
    space = Space(remote_isn=700, live_isn=9000, script_isn=30)
    o = Opt("sack", ((1, 101), (201, 301)))
    assert space.inbound_option(line(), o).values == ((9001, 9101), (9201, 9301))
    assert space.inbound_option(line(SYN | ACK), o).values[0] == (8971, 9071)
    live = Opt("sack", ((701, 801),))
    assert space.outbound_option(live, ACK).values == ((1, 101),)
    assert space.outbound_option(live, SYN | ACK) is live


# --- timestamps -----------------------------------------------------------------------------------


def test_an_echo_is_the_live_value_that_was_seen_last():
    space = Space()
    space.note_ts(100, 5000)
    space.note_ts(110, 5010)
    space.note_ts(100, 7000)
    assert space.inbound_option(line(), Opt("TS", (3, 100))).values == (3, 7000)
    assert space.inbound_option(line(), Opt("TS", (3, 110))).values == (3, 5010)


def test_an_echo_of_nothing_is_an_error_unless_it_is_scaled():
    space = Space()
    space.note_ts(100, 5000)
    o = Opt("TS", (3, 130))
    with pytest.raises(Failure, match="unable to infer live TS ecr"):
        space.inbound_option(line(), o)
    space.scaled = True
    assert space.inbound_option(line(), o).values == (3, 5030)


def test_echoes_that_are_sent_as_written():
    space = Space()
    assert space.inbound_option(line(), Opt("TS", (3, 77), absolute=True)).values == (3, 77)
    assert space.inbound_option(line(SYN), Opt("TS", (3, 0))).values == (3, 0)


def test_ticks_count_from_the_first_stamp():
    space = Space()
    assert space.ts_error(100, 4_000_000_000) == 0
    space.note_ts(100, 4_294_967_290)
    assert space.ts_error(110, 4) == 0
    assert space.ts_error(110, 7) == 3
    assert space.ts_error(110, 0) == 4


# --- octets ---------------------------------------------------------------------------------------


def slow_checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@pytest.mark.parametrize(
    "data",
    [b"\0\0", b"\xff\xff", b"\1", b"\xff\xff\xff", bytes(range(40)), b"\xff\xfe\0\1", b"\0" * 7],
)
def test_checksum(data):
    assert checksum(data) == slow_checksum(data)


def test_a_segment_reads_as_it_was_written():
    s = segment(PSH | ACK | AE, 5, 6, 7, zeros(3), b"\1\1\1\1", tos=2, reserved=5)
    assert (s.seq, s.ack, s.win, s.flags, s.reserved) == (5, 6, 7, PSH | ACK | AE, 5)
    assert (s.payload, s.options, s.doff, s.tos, s.ttl) == (bytes(3), b"\1\1\1\1", 6, 2, 64)
    assert (s.src, s.dst, s.sport, s.dport, s.total) == (US, THEM, 8080, 9, 47)
    assert bad_checksum(s) == ""


@pytest.mark.parametrize(("at", "which"), [(8, "IP"), (25, "TCP")])
def test_a_bad_checksum_is_seen(at, which):
    data = bytearray(segment().data)
    data[at] ^= 1
    assert bad_checksum(read(0, bytes(data))) == which


def test_udp_and_icmp():
    s = read(0, ip_packet(udp_datagram(US, THEM, (1, 2), zeros(5)), 17, US, THEM))
    assert (s.sport, s.dport, s.payload, bad_checksum(s)) == (1, 2, bytes(5), "")
    message = icmp_message(3, 4, 0, 1400, b"rest")
    assert (message[:2], message[6:8]) == (b"\3\4", b"\5\x78")
    assert checksum(message) == 0


OPTIONS = [
    (Opt("mss", (1460,)), "020405b4", "mss 1460"),
    (Opt("wscale", (7,)), "030307", "wscale 7"),
    (Opt("sackOK"), "0402", "sackOK"),
    (Opt("sack", ((1, 2), (3, 4))), "051200000001000000020000000300000004", "sack 1:2 3:4"),
    (Opt("TS", (1, 2)), "080a0000000100000002", "TS val 1 ecr 2"),
    (Opt("nop"), "01", "nop"),
    (Opt("eol"), "00", "eol"),
    (Opt("FO", (b"\xab\xcd",)), "2204abcd", "FO abcd"),
    (Opt("FOEXP", (b"\xab\xcd",)), "fe06f989abcd", "FOEXP abcd"),
    (Opt("gen", (99, b"\1\2")), "63040102", "gen-99 0102"),
    (Opt("exp", (0x1234, b"\5")), "fe05123405", "exp-4660 05"),
    (Opt("md5", (bytes(16),)), "1312" + "00" * 16, "md5 " + "00" * 16),
]


@pytest.mark.parametrize(("option", "octets", "text"), OPTIONS)
def test_options_there_and_back(option, octets, text):
    assert encode(option).hex() == octets
    assert decode(bytes.fromhex(octets)) == option
    assert show(option) == text


def test_options_of_a_wrong_length_are_shown_as_octets():
    assert decode(b"\2\3\5") == Opt("gen", (2, b"\5"))
    assert split(b"\1\2\4\5\xb4\0\0") == [b"\1", b"\2\4\5\xb4", b"\0", b"\0"]
    assert split(b"\1\2\0") == [b"\1", b"\2\0"]
    assert split(b"\10\12\1") == [b"\10\12\1"]


def test_options_that_cannot_be():
    with pytest.raises(Failure, match="mss cannot be written"):
        encode(Opt("mss", (65536,)))
    with pytest.raises(Skip, match="TCP option md5"):
        encode(Opt("md5", ("valid",)))
    with pytest.raises(Failure, match="a multiple of 4"):
        segment(options=b"\1")


# --- gluing ---------------------------------------------------------------------------------------


def test_pieces_that_follow_each_other_are_one():
    a = segment(ACK, 1, payload=zeros(100))
    b = segment(ACK, 101, payload=zeros(100))
    c = segment(ACK | PSH | FIN, 201, payload=zeros(50))
    assert match.continues(a, b, 100, 250)
    ab = match.glue(a, b)
    assert match.continues(ab, c, 100, 250)
    whole = match.glue(ab, c)
    assert (whole.seq, len(whole.payload), whole.flags) == (1, 250, ACK | PSH | FIN)
    assert (whole.total, whole.pieces) == (290, 3)


@pytest.mark.parametrize(
    "piece",
    [
        segment(ACK, 102, payload=zeros(100)),
        segment(ACK, 101, ack=2, payload=zeros(100)),
        segment(ACK, 101, win=99, payload=zeros(100)),
        segment(ACK | 32, 101, payload=zeros(100)),
        segment(ACK, 101, payload=zeros(99)),
        segment(ACK, 101),
    ],
)
def test_other_pieces_are_not(piece):
    assert not match.continues(segment(ACK, 1, payload=zeros(100)), piece, 100, 300)


def test_the_first_piece_says_cwr():
    a = segment(ACK | 128, 1, payload=zeros(10))
    b = segment(ACK, 11, payload=zeros(10))
    assert match.glue(a, b).flags == ACK | 128
    assert match.glue(b, segment(ACK | 128, 21, payload=zeros(10))).flags == ACK


# --- comparing ------------------------------------------------------------------------------------

RIGHT = line(
    ACK | PSH, 1, 10, 1, inbound=False, options=(Opt("nop"), Opt("nop"), Opt("TS", (1, 2)))
)
STAMPS = b"\1\1" + encode(Opt("TS", (50, 60)))


def live(**changed):
    fields = {"flags": ACK | PSH, "seq": 9001, "ack": 701, "payload": zeros(10), "options": STAMPS}
    return segment(**(fields | changed))


SPACE = Space(remote_isn=700, live_isn=9000)


def test_the_packet_that_the_line_asks_for():
    match.check_tcp(RIGHT, live(), SPACE, strict=False)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"flags": ACK}, "tcp_flags: expected: P. (0x18) vs actual: . (0x10)"),
        ({"flags": ACK | PSH | AE}, "tcp_flags: expected: P. (0x18) vs actual: P.A (0x118)"),
        ({"seq": 9002}, "tcp_seq: expected: 1 (0x1) vs actual: 2 (0x2)"),
        ({"ack": 700}, "tcp_ack_seq: expected: 1 (0x1) vs actual: 0 (0x0)"),
        ({"win": 101}, "tcp_window: expected: 100 (0x64) vs actual: 101 (0x65)"),
        ({"payload": zeros(11)}, "payload: expected 10 bytes vs actual 11 bytes"),
        ({"payload": zeros(9) + b"x"}, "octet 9 is 0x78, not 0"),
        ({"options": b""}, "ip_total_length: expected: 62 (0x3e) vs actual: 50 (0x32)"),
        ({"options": STAMPS[2:] + b"\1\1"}, "bad outbound TCP options"),
        ({"reserved": 1}, "tcp_reserved_bits: expected: 0 (0x0) vs actual: 1 (0x1)"),
    ],
)
def test_every_other_packet_is_none(changed, message):
    with pytest.raises(Failure) as e:
        match.check_tcp(RIGHT, live(**changed), SPACE, strict=False)
    assert message in e.value.message


def test_strict_compares_echoes():
    with pytest.raises(Failure, match="kind=8"):
        match.check_tcp(RIGHT, live(), SPACE, strict=True)


def test_option_values_are_compared():
    want = line(SYN, 0, 0, None, inbound=False, options=(Opt("mss", (1460,)),))
    got = segment(SYN, 0, 0, options=encode(Opt("mss", (1400,))))
    with pytest.raises(Failure, match=r"\(kind=2\): expected: mss 1460 actual: mss 1400"):
        match.check_tcp(want, got, Space(), strict=False)
    want = line(
        ACK, 1, 0, 1, inbound=False, options=(Opt("nop"), Opt("nop"), Opt("sack", ((11, 21),)))
    )
    octets = b"\1\1" + encode(Opt("sack", ((711, 722),)))
    with pytest.raises(Failure, match="expected: sack 11:21 actual: sack 11:22"):
        match.check_tcp(want, live(flags=ACK, payload=b"", options=octets), SPACE, strict=False)


def test_raw_octets_are_options_too():
    want = line(SYN, 0, 0, None, inbound=False, options=(Opt("raw", (b"\2\4\5\xb4\1\3\3\7",)),))
    got = segment(SYN, 0, 0, options=b"\2\4\5\xb4\1\3\3\7")
    match.check_tcp(want, got, Space(), strict=False)
    with pytest.raises(Failure, match="kind=3"):
        match.check_tcp(
            want, segment(SYN, 0, 0, options=b"\2\4\5\xb4\1\3\3\6"), Space(), strict=False
        )
