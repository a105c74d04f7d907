"""The language of packets: TCP with all that can stand in it, UDP, ICMP (docs/packetdrill.md)."""

import pytest
from parse_kit import one, tcp, whence

from pystack.packetdrill.script import (
    ACK,
    CWR,
    ECE,
    FIN,
    PSH,
    RST,
    SYN,
    URG,
    IcmpPacket,
    IpInfo,
    Opt,
    Quoted,
    TcpPacket,
    UdpPacket,
)

# --- TCP ------------------------------------------------------------------------------------------


def test_a_packet_with_everything():
    assert tcp(
        "> [ect0, ttl 64] 8080 > 45678 FP. 1:1001(1000) ack 5 win 257 urg 9 <nop,nop,TS val 1 ecr 2>"
    ) == TcpPacket(
        inbound=False,
        flags=FIN | PSH | ACK,
        seq=1,
        end=1001,
        length=1000,
        ack=5,
        win=257,
        urg=9,
        options=(Opt("nop"), Opt("nop"), Opt("TS", (1, 2))),
        ip=IpInfo(ecn="ect0", ttl=64),
        ports=(8080, 45678),
    )


def test_what_is_not_said_is_none_but_options_are_none_at_all():
    found = tcp("> . 1:1(0)")
    assert (found.ack, found.win, found.urg, found.ip, found.ports) == (None,) * 5
    assert found.options == ()
    assert tcp("> . 1:1(0) <...>").options is None


@pytest.mark.parametrize(
    ("text", "flags", "ae", "ace"),
    [
        ("S", SYN, False, None),
        ("S.", SYN | ACK, False, None),
        (".", ACK, False, None),
        ("-", 0, False, None),
        ("FSRPUEW.", 0xFF, False, None),
        ("SEW", SYN | ECE | CWR, False, None),
        ("SEWA", SYN | ECE | CWR, True, None),
        ("RA.", RST | ACK, True, None),
        ("P.A", PSH | ACK, True, None),
        ("S.E", SYN | ACK | ECE, False, None),
        ("U", URG, False, None),
        (".5", ACK | ECE, True, 5),
        ("S.4", SYN | ACK, True, 4),
        ("P.3", PSH | ACK | ECE | CWR, False, 3),
        ("5.", ACK | ECE, True, 5),
        ("P2.", PSH | ACK | CWR, False, 2),
        ("P .", PSH | ACK, False, None),
    ],
)
def test_flags(text: str, flags: int, ae: bool, ace: int | None):
    found = tcp(f"> {text} 1:1(0)")
    assert (found.flags, found.ae, found.ace) == (flags, ae, ace)


@pytest.mark.parametrize("text", ["X", "SS", "s", "S.9", "P.12", "..", "-."])
def test_flags_that_are_none(text: str):
    line, column, _, _ = whence(f"0 > {text} 1:1(0)")
    assert line == 1
    assert column in (5, 6)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1:1001(1000)", (1, 1001, 1000, "mapped")),
        ("1 : 1001 ( 1000 )", (1, 1001, 1000, "mapped")),
        ("4294967295:9(10)", (2**32 - 1, 9, 10, "mapped")),
        ("1:1001(1000)!", (1, 1001, 1000, "absolute")),
        ("...(1000)", (0, 0, 1000, "ignored")),
        ("0x10:0x11(1)", (16, 17, 1, "mapped")),
        ("010:011(1)", (10, 11, 1, "mapped")),
    ],
)
def test_sequence_numbers(text: str, found: tuple[int, int, int, str]):
    packet = tcp(f"> . {text} ack 1")
    assert (packet.seq, packet.end, packet.length, packet.seq_mode) == found
    assert packet.ack == 1


@pytest.mark.parametrize(
    ("text", "opts"),
    [
        ("mss 1460", [Opt("mss", (1460,))]),
        ("nop,wscale 7", [Opt("nop"), Opt("wscale", (7,))]),
        ("sackOK,eol,eol", [Opt("sackOK"), Opt("eol"), Opt("eol")]),
        ("nop,nop,sack 1:2 3:4", [Opt("nop"), Opt("nop"), Opt("sack", ((1, 2), (3, 4)))]),
        ("nop,nop,TS val ... ecr 5", [Opt("nop"), Opt("nop"), Opt("TS", (None, 5))]),
        ("nop,nop,TS val 1 ecr 5!", [Opt("nop"), Opt("nop"), Opt("TS", (1, 5), absolute=True)]),
        ("FO 00,nop", [Opt("FO", (b"\0",)), Opt("nop")]),
        ("FO,nop,nop", [Opt("FO", (b"",)), Opt("nop"), Opt("nop")]),
        ("FO 12345678,nop,nop", [Opt("FO", (b"\x12\x34\x56\x78",)), Opt("nop"), Opt("nop")]),
        ("FO 12e5,nop,nop,nop,nop", [Opt("FO", (b"\x12\xe5",)), *[Opt("nop")] * 4]),
        ("FOEXP abcdef0123456789", [Opt("FOEXP", (bytes.fromhex("abcdef0123456789"),))]),
        ("exp-FO abcd,nop,nop", [Opt("exp-FO", (b"\xab\xcd",)), Opt("nop"), Opt("nop")]),
        ("exp-FO", [Opt("exp-FO", (b"",))]),
        ("exp-F989 ab,eol,eol,eol", [Opt("exp", (0xF989, b"\xab")), *[Opt("eol")] * 3]),
        ("exp-0xF989", [Opt("exp", (0xF989, b""))]),
        ("exp-1234", [Opt("exp", (0x1234, b""))]),
        ("exp-tarr 5", [Opt("exp", ("tarr", "5"))]),
        ("gen-253 0204", [Opt("gen", (253, b"\x02\x04"))]),
        ("gen-77,nop,nop", [Opt("gen", (77, b"")), Opt("nop"), Opt("nop")]),
        ("md5 valid,nop,nop", [Opt("md5", ("valid",)), Opt("nop"), Opt("nop")]),
        ("ECN e0b 1 ceb 2 e1b 3", [Opt("ECN", (("e0b", 1), ("ceb", 2), ("e1b", 3)))]),
        ("AccECN0 ee0b 1", [Opt("AccECN0", (("ee0b", 1),))]),
        ("020405b4", [Opt("raw", (b"\x02\x04\x05\xb4",))]),
        ("0204 05b4", [Opt("raw", (b"\x02\x04\x05\xb4",))]),
        ("0x0204,fe02", [Opt("raw", (b"\x02\x04",)), Opt("raw", (b"\xfe\x02",))]),
        ("", []),
    ],
)
def test_options(text: str, opts: list[Opt]):
    assert tcp(f"> S 0:0(0) <{text}>").options == tuple(opts)
    assert tcp(f"> S 0:0(0) < {text.replace(',', ' , ')} >").options == tuple(opts)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("noecn", IpInfo(ecn="noecn")),
        ("ect01", IpInfo(ecn="ect01")),
        ("tos 0x10", IpInfo(tos=16)),
        ("ttl 1, ect1, dscp cs1", IpInfo(ecn="ect1", ttl=1, dscp=8)),
        ("dscp af41", IpInfo(dscp=34)),
        ("dscp 46", IpInfo(dscp=46)),
        ("hlim 9", IpInfo(ttl=9)),
        ("ce, flowlabel 0x12345", IpInfo(ecn="ce", flowlabel=0x12345)),
    ],
)
def test_ip_headers(text: str, found: IpInfo):
    assert tcp(f"> ({text}) . 1:1(0)").ip == tcp(f"> [{text}] . 1:1(0)").ip == found


def test_udp_around_a_packet_and_data_in_a_reset():
    packet = tcp("< R. 1:1(0) ack 1 win 0 /udp(9899 > 9900) [code 3, pen 4]")
    assert (packet.udp_encap, packet.rst_code, packet.rst_pen) == ((9899, 9900), 3, 4)
    assert tcp("< . 1:1(0) win 0 <nop,nop,nop,nop> / udp ( 1 > 2 )").udp_encap == (1, 2)


@pytest.mark.parametrize(
    ("text", "encap"),
    [
        ("ipv4 192.0.2.1 > 192.0.2.2:", ("ipv4",)),
        ("ipv6 2001:db8::1 > fe80::2:", ("ipv6",)),
        ("gre:", ("gre",)),
        ("mpls (label 10, tc 0, ttl 15) [S]: gre key 5:", ("mpls", "gre")),
    ],
)
def test_headers_around_a_packet(text: str, encap: tuple[str, ...]):
    assert tcp(f"> {text} (ect0) S. 0:0(0)").encap == encap
    found = one(f"< {text} udp (5)").what
    assert isinstance(found, UdpPacket)
    assert found.encap == encap


@pytest.mark.parametrize(
    ("text", "column", "found", "expected"),
    [
        ("> S 0:1(0)", 9, "1", "0, which is 0 + 0"),
        ("> . 4294967295:10(10)", 18, "10", "9, which"),
        ("< S 0:0(0)", 3, "<", "`win N`"),
        ("> S 0:0(0) win 65536", 18, "65536", "from 0 to 65535"),
        ("> S 0:0(0) win -1", 18, "-1", "from 0 to 65535"),
        ("> S 0:0(0) win", 17, "", "a number"),
        ("> S 0:0(0) ack 4294967296", 18, "4294967296", "acknowledgment"),
        ("> S 0:65536(65536)", 15, "65536", "a length"),
        ("> S 0:0(0) <mss 1460,nop>", 24, "nop", "these have 5"),
        ("> S 0:0(0) <mss 70000>", 19, "70000", "for mss"),
        ("> S 0:0(0) <nop,wscale 256>", 26, "256", "for wscale"),
        ("> S 0:0(0) <foo 1>", 15, "foo", "a TCP option"),
        ("> S 0:0(0) <mss 1,>", 21, ">", "a TCP option"),
        ("> S 0:0(0) <sack>", 19, ">", "a number"),
        ("> S 0:0(0) <020>", 15, "020", "even number of hex digits"),
        ("> S 0:0(0) <FO xy>", 18, "xy", "hex digits"),
        ("> S 0:0(0) <TS val 1>", 23, ">", "`ecr`"),
        ("> . 1:41(40) <020405b4020405b4020405b4020405b4020405b4020405b4020405b4020405b4020405b4020405b4,mss 1>",
         None, "mss", "these have 44"),
        ("< S 0:0(0) win 1 <...>", 21, "...", "something to send"),
        ("< S ...(0) win 1", 7, "...", "something to send"),
        ("< . 1:1(0) win 1 <nop,nop,TS val ... ecr 1>", None, "...", "something to send"),
        ("< (ect01) . 1:1(0) win 1", 6, "ect01", "something to send"),
        ("> [ttl] . 1:1(0)", 6, "ttl", "ttl N"),
        ("> [ttl 256] . 1:1(0)", 10, "256", "from 0 to 255"),
        ("> [ect0, ce] . 1:1(0)", 12, "ce", "only once"),
        ("> [ect0 5] . 1:1(0)", 11, "5", "noecn"),
        ("> [dscp foo] . 1:1(0)", 11, "foo", "cs1"),
        ("> [tos foo] . 1:1(0)", 10, "foo", "a number"),
        ("> 65536 > 1 . 1:1(0)", 5, "65536", "a port"),
        ("> . 1:1(0) win 1 ack 1", 20, "ack", "time of an event"),
        ("> . 1-1(0)", 8, "-1", "`:`"),
        (">", 4, "", "a packet"),
        ("> 5 >", 8, "", "a number"),
        ("> S 0:0(0) ack1", 14, "ack1", "`ack`"),
    ],
)  # fmt: skip
def test_packets_that_cannot_be(text: str, column: int | None, found: str, expected: str):
    where = whence(f"0 {text}")
    assert where[0] == 1
    assert where[1] == (column or f"0 {text}".rindex(found) + 1)
    assert where[2] == found
    assert expected in where[3]


# --- UDP and ICMP ---------------------------------------------------------------------------------


def test_udp():
    assert one("< udp (100)").what == UdpPacket(True, 100)
    assert one("> [ce] udp 53 > 1024 (0)").what == UdpPacket(False, 0, IpInfo(ecn="ce"), (53, 1024))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("unreachable", IcmpPacket(True, "unreachable")),
        ("unreachable port_unreachable", IcmpPacket(True, "unreachable", "port_unreachable")),
        (
            "unreachable frag_needed mtu 1200 [1:1461(1460)]",
            IcmpPacket(
                True, "unreachable", "frag_needed", 1200, None, Quoted("tcp", 1460, 1, 1461)
            ),
        ),
        ("time_exceeded [udp(8)]", IcmpPacket(True, "time_exceeded", quoted=Quoted("udp", 8))),
        ("3 4 mtu 68", IcmpPacket(True, 3, 4, 68)),
        ("echo_request id 7 [raw(3)]", IcmpPacket(True, "echo_request", None, None, 7,
                                                  Quoted("raw", 3))),
    ],
)  # fmt: skip
def test_icmp(text: str, found: IcmpPacket):
    assert one(f"< icmp {text}").what == found
