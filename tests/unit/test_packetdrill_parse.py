"""The language: what each form means, and that mistakes are told with their place (docs/packetdrill.md)."""

import pickle
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pystack.packetdrill import Script, ScriptError, parse, parse_file
from pystack.packetdrill.script import (
    ACK,
    CWR,
    ECE,
    FIN,
    PSH,
    RST,
    SYN,
    URG,
    Call,
    Code,
    Command,
    Ellipsis_,
    Event,
    Field,
    IcmpPacket,
    IpInfo,
    List_,
    Number,
    Opt,
    Or,
    Place,
    Quoted,
    String,
    Struct,
    Symbol,
    Syscall,
    TcpPacket,
    Time,
    UdpPacket,
)


def one(text: str) -> Event:
    """The event of a line that needs nothing before it."""
    script = parse(f"0 {text}")
    assert len(script.events) == 1
    return script.events[0]


def tcp(text: str) -> TcpPacket:
    what = one(text).what
    assert isinstance(what, TcpPacket)
    return what


def call(text: str) -> Syscall:
    what = one(text).what
    assert isinstance(what, Syscall)
    return what


def arg(text: str) -> object:
    """What a literal becomes as the only argument of a call."""
    (found,) = call(f"f({text}) = 0").args
    return found


def num(value: int) -> Number:
    return Number(value, str(value))


def whence(text: str, **options: str) -> tuple[int, int, str, str]:
    with pytest.raises(ScriptError) as caught:
        parse(text, "x.pkt", **options)
    error = caught.value
    assert str(error).startswith(f"x.pkt:{error.line}:{error.column}: expected ")
    return error.line, error.column, error.text, error.expected


# --- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "time", "end"),
    [
        ("0 close(3) = 0", Time("absolute", 0), None),
        ("+0 close(3) = 0", Time("relative", 0), None),
        ("0.000 close(3) = 0", Time("absolute", 0), None),
        ("+0...0.100 close(3) = 0", Time("relative", 0), 100_000),
        ("0...1 close(3) = 0", Time("absolute", 0), 1_000_000),
        ("0~1.5 > . 1:1(0)", Time("absolute", 0, 1_500_000), None),
        ("+0~+.25 > . 1:1(0)", Time("relative", 0, 250_000), None),
    ],
)
def test_times_of_the_first_event(text: str, time: Time, end: int | None):
    event = parse(text).events[0]
    assert (event.time, event.end) == (time, end)


@pytest.mark.parametrize(
    ("text", "time", "end"),
    [
        ("1 close(3) = 0", Time("absolute", 1_000_000), None),
        ("+.1...0.2 read(4, ..., 1) = 1", Time("relative", 100_000), 200_000),
        ("+ .1 ... 0.2 read(4, ..., 1) = 1", Time("relative", 100_000), 200_000),
        ("* > . 1:1(0)", Time("any"), None),
        ("+0.01~+0.02 > . 1:1(0)", Time("relative", 10_000, 20_000), None),
        (".5~.75 > . 1:1(0)", Time("absolute", 500_000, 750_000), None),
        ("+0.1234569 close(3) = 0", Time("relative", 123_456), None),
        ("+0.29 close(3) = 0", Time("relative", 290_000), None),
        ("+3600 close(3) = 0", Time("relative", 3_600_000_000), None),
    ],
)
def test_times(text: str, time: Time, end: int | None):
    event = parse(f"0 close(3) = 0\n{text}").events[1]
    assert (event.time, event.end) == (time, end)


def test_equal_absolute_times_and_relative_ones_between_are_fine():
    script = parse("0 f() = 0 5 f() = 0 5 f() = 0 +0 f() = 0 1 f() = 0")
    assert [event.time.at // 1_000_000 for event in script.events] == [0, 5, 5, 0, 1]


@pytest.mark.parametrize(
    ("text", "line", "column", "found", "expected"),
    [
        ("1 f() = 0", 1, 1, "1", "the first event is at 0"),
        ("+.1 f() = 0", 1, 1, "+", "the first event is at 0"),
        ("* > . 1:1(0)", 1, 1, "*", "the first event is at 0"),
        ("0 f() = 0\n2 f() = 0\n 1.5 f() = 0", 3, 2, "1.5", "at least 2"),
        ("0 f() = 0 * f() = 0", 1, 11, "*", "only outbound packets"),
        ("0 f() = 0 * < . 1:1(0) win 1", 1, 11, "*", "only outbound packets"),
        ("0 f() = 0 1~2 < . 1:1(0) win 1", 1, 11, "~", "only outbound packets"),
        ("0 f() = 0 +1~+2 `true`", 1, 11, "~", "only outbound packets"),
        ("0 f() = 0 +2~+1 > . 1:1(0)", 1, 15, "1", "not before"),
        ("0 f() = 0 +2...1 f() = 0", 1, 16, "1", "not before"),
        ("0 f() = 0 -1 f() = 0", 1, 11, "-1", "not negative"),
        ("0 f() = 0 +1~2 > . 1:1(0)", 1, 14, "2", "`+`"),
        ("0 f() = 0 1. f() = 0", 1, 12, ".", "a system call"),
        ("0...x f() = 0", 1, 5, "x", "seconds"),
        ("0...1 > . 1:1(0)", 1, 7, ">", "a name"),
    ],
)
def test_times_that_cannot_be(text: str, line: int, column: int, found: str, expected: str):
    where = whence(text)
    assert where[:3] == (line, column, found)
    assert expected in where[3]


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


# --- system calls ---------------------------------------------------------------------------------


def test_a_call_with_everything():
    assert call("connect(3, ..., ...) = -1 ECONNREFUSED (Connection refused)") == Syscall(
        "connect",
        (num(3), Ellipsis_(), Ellipsis_()),
        num(-1),
        "ECONNREFUSED",
        "Connection refused",
    )


@pytest.mark.parametrize(
    ("text", "result", "errno", "note"),
    [
        ("0", num(0), None, None),
        ("0x2 (flags O_RDWR|O_NONBLOCK)", Number(2, "0x2"), None, "flags O_RDWR|O_NONBLOCK"),
        ("O_RDWR|O_NONBLOCK", Or((Symbol("O_RDWR"), Symbol("O_NONBLOCK"))), None, None),
        ("O_RDWR (a note)", Symbol("O_RDWR"), None, "a note"),
        ("-1 EADDRNOTAVAIL (Can't assign it, sorry)", num(-1), "EADDRNOTAVAIL",
         "Can't assign it, sorry"),
        ("-1 EAGAIN", num(-1), "EAGAIN", None),
        ("...", Ellipsis_(), None, None),
        ("1 (one) (two (2))", num(1), None, "one) (two (2)"),
    ],
)  # fmt: skip
def test_results(text: str, result: object, errno: str | None, note: str | None):
    found = call(f"f() = {text}")
    assert (found.args, found.result, found.errno, found.note) == ((), result, errno, note)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("-5", num(-5)),
        ("0xFF", Number(255, "0xFF")),
        ("NULL", Symbol("NULL")),
        ("...", Ellipsis_()),
        ("A|B|0x4", Or((Symbol("A"), Symbol("B"), Number(4, "0x4")))),
        ('"cubic"', String(b"cubic")),
        ('"a\\n\\x41\\0\\"\\\\"', String(b'a\nA\0"\\')),
        ('"// no comment"', String(b"// no comment")),
        ('"é"', String("é".encode())),
        ("[]", List_(())),
        ("[1, [ECONNREFUSED]]", List_((num(1), List_((Symbol("ECONNREFUSED"),))))),
        ("{onoff=1, linger=0}", Struct((Field("onoff", num(1)), Field("linger", num(0))))),
        (
            "[{fd=4, events=POLLIN|POLLOUT, revents=POLLIN}]",
            List_((Struct((
                Field("fd", num(4)),
                Field("events", Or((Symbol("POLLIN"), Symbol("POLLOUT")))),
                Field("revents", Symbol("POLLIN")),
            )),)),
        ),
        ("{events=EPOLLIN, ptr=4}", Struct((Field("events", Symbol("EPOLLIN")),
                                            Field("ptr", num(4))))),
        (
            "{msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=MSG_EOR, msg_control=[]}",
            Struct((
                Field("msg_name", Ellipsis_(), Ellipsis_()),
                Field("msg_iov", List_((Struct((Field("", Ellipsis_()), Field("", num(10)))),)),
                      num(1)),
                Field("msg_flags", Symbol("MSG_EOR")),
                Field("msg_control", List_(())),
            )),
        ),
        (
            '{sa_family = AF_INET, sin_port = htons(8080), sin_addr = inet_addr("1.2.3.4")}',
            Struct((
                Field("sa_family", Symbol("AF_INET")),
                Field("sin_port", Call("htons", (num(8080),))),
                Field("sin_addr", Call("inet_addr", (String(b"1.2.3.4"),))),
            )),
        ),
        ("{}", Struct(())),
        ("events", Symbol("events")),
        ("mss", Symbol("mss")),
        ("htons(ack, win)", Call("htons", (Symbol("ack"), Symbol("win")))),
    ],
)  # fmt: skip
def test_literals(text: str, found: object):
    assert arg(text) == found
    assert arg(f"\n {text} // that was it\n") == found


def test_a_struct_knows_its_fields():
    struct = arg("{cmsg_level=SOL_SOCKET, cmsg_data=5}")
    assert isinstance(struct, Struct)
    assert struct.get("cmsg_data") == num(5)
    assert struct.get("cmsg_type") is None


@pytest.mark.parametrize(
    ("text", "column", "found", "expected"),
    [
        ("socket(", 10, "", "an argument or `)`"),
        ("socket(1", 11, "", "`)`"),
        ("socket(1,,2) = 3", 12, ",", "an argument"),
        ("socket(1,) = 3", 12, ")", "an argument"),
        ("socket(1) 3", 13, "3", "`=`"),
        ("socket(1) =", 14, "", "a result"),
        ("socket(1) = [1]", 15, "[", "a result"),
        ('open("x) = 3', 8, '"', "the closing quote"),
        ("f({a(1, 2)=5}) = 0", 6, "a", "one value in parentheses"),
        ("f(A|) = 0", 7, ")", "a number or a name"),
        ("f(1.5) = 0", 6, ".5", "`)`"),
        ("5", 3, "5", "`<`, `>`, a system call"),
    ],
)
def test_calls_that_cannot_be(text: str, column: int, found: str, expected: str):
    where = whence(f"0 {text}")
    assert where[:3] == (1, column, found)
    assert expected in where[3]


# --- the rest of the language ---------------------------------------------------------------------


def test_a_whole_script():
    text = """// What it shows.
/* and who
   wrote it */
--tolerance_usecs=10000 --tcp_ts_ecr_scaled
--ip_version=ipv4  // a comment
`sysctl -q net.ipv4.tcp_ecn=0`

 0.000 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3 +0 listen(3, 1) = 0  // two on a line
+0     `echo "//" a
b`
+0 %{
 assert tcpi_state == 1, "}"  # // no comment
}%
+.1
  > S. 0:0(0)
    ack 1  /* here */ <mss 1460>
`true`
"""
    script = parse(text, "whole.pkt")
    assert [(o.name, o.value, o.place) for o in script.options] == [
        ("tolerance_usecs", 10000, Place(4, 1)),
        ("tcp_ts_ecr_scaled", None, Place(4, 25)),
        ("ip_version", "ipv4", Place(5, 1)),
    ]
    assert script.init == Command("sysctl -q net.ipv4.tcp_ecn=0", Place(6, 1))
    assert script.cleanup == Command("true", Place(17, 1))
    assert [event.place for event in script.events] == [
        Place(8, 2),
        Place(8, 50),
        Place(9, 1),
        Place(11, 1),
        Place(14, 1),
    ]
    assert [type(event.what) for event in script.events] == [
        Syscall,
        Syscall,
        Command,
        Code,
        TcpPacket,
    ]
    assert script.events[2].what == Command('echo "//" a\nb', Place(9, 8))
    assert script.events[3].what == Code(
        'assert tcpi_state == 1, "}"  # // no comment', Place(11, 4)
    )
    assert script.events[0].text == "0.000 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3"
    assert script.events[1].text == "+0 listen(3, 1) = 0"
    assert script.events[4].text == "+.1\n  > S. 0:0(0)\n    ack 1   <mss 1460>"
    assert (script.path, script.text) == ("whole.pkt", text)


def test_a_script_needs_an_event_and_nothing_behind_its_cleanup():
    assert "time of an event" in whence("")[3]
    assert "time of an event" in whence("--mtu=1500\n`true`")[3]
    assert whence("0 f() = 0 `true` 1 f() = 0")[:3] == (1, 18, "1")
    assert "options stand at the head" in whence("0 f() = 0\n--mtu=1500")[3]
    assert "back quote" in whence("0 `true")[3]
    assert "%{ and }%" in whence("0 %{ true")[3]
    assert "*/" in whence("0 f() = 0 /* for ever")[3]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("--x=5", 5),
        ("--x = 5", 5),
        ("--x=0x10", 16),
        ("--x=-1", -1),
        ("--x=12.5", "12.5"),
        ("--x=word", "word"),
        ('--x="two words"', "two words"),
        ("--x=192.0.2.1", "192.0.2.1"),
        ("--x=fe80::1", "fe80::1"),
        ("--x=ipv4-mapped-ipv6", "ipv4-mapped-ipv6"),
        ("--x=packet,syscall", "packet,syscall"),
        ("--x=5//6", 5),
        ("--x", None),
    ],
)
def test_values_of_options(text: str, value: object):
    (option,) = parse(f"{text}\n0 f() = 0").options
    assert (option.name, option.value) == ("x", value)


def test_comments_and_blanks_are_nothing():
    plain = parse("0 > S. 0:0(0) ack 1 <mss 1460>").events[0].what
    for gap in ("\n", "\t", "/**/", "// x\n", "/* 0 < */ "):
        parts = "0 > S . 0 : 0 ( 0 ) ack 1 < mss 1460 >".split()
        assert parse(gap.join(parts)).events[0].what == plain, gap


def test_a_comment_at_the_very_end():
    for text in ("// x", "/* x */", "// x\n", "\n", "\n\n// < /*"):
        assert len(parse(f"0 > . 1:1(0) {text}").events) == 1


def test_ten_thousand_events():
    script = parse("0 f() = 0\n" + "+0 < . 1:1(0) ack 1 win 5\n" * 9999)
    assert len(script.events) == 10_000
    assert script.events[-1].place == Place(10_000, 1)


# --- systems and symbols --------------------------------------------------------------------------

TWO = """#ifdef FreeBSD
0 a() = 1
#endif
#ifdef STANDARD
0 b() = 2
#endif
+0 c() = 3
"""


@pytest.mark.parametrize(
    ("profile", "defines", "names"),
    [
        ("freebsd-14", {}, "ac"),
        ("freebsd-10", {}, "ac"),
        ("linux-6", {}, "c"),
        ("", {}, "c"),
        ("linux-6", {"STANDARD": ""}, "bc"),
        ("freebsd-14", {"STANDARD": "1"}, "abc"),
        ("linux-6", {"FreeBSD": ""}, "ac"),
    ],
)
def test_ifdef(profile: str, defines: dict[str, str], names: str):
    script = parse(TWO, profile=profile, defines=defines)
    assert "".join(event.what.name for event in script.events) == names
    assert script.events[-1].place.line == 7


def test_ifdef_of_a_symbol_of_the_script_and_around_options():
    text = (
        "--define=MINE=1\n#ifdef MINE\n--mtu=1400\n#endif\n#ifdef OTHER\n--mtu=1\n#endif\n0 f() = 0"
    )
    assert [option.value for option in parse(text).options] == ["MINE=1", 1400]


def test_no_directive_in_strings_code_commands_and_comments():
    text = '// #ifdef A\n0 f("#ifdef") = 0 +0 `#endif` +0 %{ x = 1 #ifdef\n}% /* #endif */'
    assert len(parse(text).events) == 3


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        ("#ifdef A\n0 f() = 0", (2, 10, ""), "#endif for the #ifdef of line 1"),
        ("0 f() = 0\n#endif", (2, 1, "#endif"), "#ifdef NAME"),
        ("#ifdef A\n#ifdef B\n#endif\n#endif", (2, 1, "#ifdef B"), "nested"),
        ("#ifdef A\n#else\n#endif", (2, 1, "#else"), "no #else"),
        ("#ifdef\n0 f() = 0", (1, 1, "#ifdef"), "a name"),
        ("#include <x>", (1, 1, "#include"), "#ifdef NAME"),
    ],
)
def test_ifdef_that_cannot_be(text: str, where: tuple[int, int, str], expected: str):
    found = whence(text)
    assert found[:3] == where
    assert expected in found[3]


@pytest.mark.parametrize(
    ("option", "found"),
    [
        ("--define=SYM=7", num(7)),
        ("--define SYM=7", num(7)),
        ("-D SYM=7", num(7)),
        ("-DSYM=7", num(7)),
        ("--define=SYM=O_RDWR", Symbol("O_RDWR")),
        ('--define=SYM="two words"', String(b"two words")),
    ],
)
def test_symbols(option: str, found: object):
    script = parse(f'{option}\n0 f(SYM, SYMS, "SYM") = 0')
    assert script.events[0].what.args == (found, Symbol("SYMS"), String(b"SYM"))


def test_symbols_may_be_commands_and_stand_in_packets():
    text = "--define=CMD=`sysctl -w a=b`\n--define=WIN=257\nCMD\n0 < . 1:1(0) win WIN\n`WIN`"
    script = parse(text)
    assert script.init == Command("sysctl -w a=b", Place(3, 1))
    assert script.events[0].what.win == 257
    assert script.cleanup == Command("WIN", Place(5, 1))


def test_the_command_line_wins():
    text = "--define=WIN=257\n0 < . 1:1(0) win WIN"
    assert parse(text, defines={"WIN": "9"}).events[0].what.win == 9
    assert parse(text, defines={"OTHER": "9"}).events[0].what.win == 257


def test_places_are_those_of_the_text_as_written():
    text = "--define=LONG=123456\n0 f(LONG, LONG) = LONG +0 f() = 0\n+0 < . 1:1(0) win LONG"
    assert whence(text)[:3] == (3, 19, "123456")
    script = parse(text.replace("win LONG", "win 1"))
    assert [event.place for event in script.events] == [Place(2, 1), Place(2, 24), Place(3, 1)]
    assert script.events[0].text == "0 f(LONG, LONG) = LONG"


# --- profiles that a script names -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "profiles"),
    [
        ("", ()),
        ("// profiles: linux-6 freebsd-14\n", ("linux-6", "freebsd-14")),
        ("// About this.\n// profile: linux-6\n--mtu=1500\n", ("linux-6",)),
        ("/* profiles: linux-6, freebsd-14 */", ("linux-6", "freebsd-14")),
        ("/* About.\n * profiles: linux-6\n */", ("linux-6",)),
        ("--profiles=linux-6,freebsd-14\n", ("linux-6", "freebsd-14")),
        ("// of profiles: nothing\n", ()),
    ],
)
def test_profiles(head: str, profiles: tuple[str, ...]):
    assert parse(f"{head}0 f() = 0 // profiles: other\n// profiles: other").profiles == profiles


# --- errors and files -----------------------------------------------------------------------------


def test_files(tmp_path: Path):
    good = tmp_path / "good.pkt"
    good.write_text("0 f() = 0\n")
    assert parse_file(good) == parse("0 f() = 0\n", str(good))
    bad = tmp_path / "bad.pkt"
    bad.write_bytes(b"0 f() = 0\n+0 \xfc\n")
    with pytest.raises(ScriptError, match=r"bad\.pkt:2:4: expected .*, found `ü`"):
        parse_file(bad)
    for other in (b"\xef\xbb\xbf0 f() = 0\n", b"// T\xfc\n0 f() = 0\r\n"):
        bad.write_bytes(other)
        assert len(parse_file(bad).events) == 1
    with pytest.raises(FileNotFoundError):
        parse_file(tmp_path / "none.pkt")


def test_an_error_crosses_processes():
    with pytest.raises(ScriptError) as caught:
        parse("0 x", "x.pkt")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.expected == caught.value.expected


def test_no_word_of_the_library_in_errors():
    for text in (
        "",
        "0",
        "0 >",
        "0 f(",
        "0 > S 0:0(0) <",
        "0 < icmp",
        "0 > [",
        "--x",
        "0 f() = 0 (",
    ):
        expected = whence(text)[3]
        assert not any(word in expected for word in ("_", "$", "LPAR", "INTEGER", "(?")), expected


SNIPPETS = st.sampled_from(
    """0 + +0 * ... ~ .1 1.5 -1 0x1F < > S. P. . - 1:1(0) 1:11(10) ack win urg 257 <...> <mss , nop
    sackOK sack TS val ecr wscale FO exp- gen- 0204 eol udp icmp [ ] ( ) { } | = : ! / // /* */ " `
    %{ }% #ifdef #endif NAME --mtu=1500 --define=A=1 -DB=2 A f(3) socket(...) = 3 = -1 EAGAIN (a note)
    ipv4 192.0.2.1 gre mpls [ect0] id mtu \\ \0 é \n""".split()
)


def tried(text: str) -> Script | ScriptError:
    try:
        return parse(text)
    except ScriptError as error:
        return error


@given(st.lists(SNIPPETS, max_size=40).map(" ".join))
@example("0 > . 1:1(0) <" + "nop," * 500)
@example("0 f(" + "[" * 5000)
@example("0 f(" + "{a=" * 5000)
def test_any_words_are_a_script_or_a_script_error(text: str):
    found = tried(text)
    if isinstance(found, ScriptError):
        lines = text.split("\n")
        assert 1 <= found.line <= len(lines)
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1
        assert found.expected


@given(st.text(max_size=200))
def test_any_text_is_a_script_or_a_script_error(text: str):
    assert tried(text)


TYPICAL = (
    """// What a script looks like.
`../common/defaults.sh`
 0.000 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0     setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
+0     bind(3, ..., ...) = 0
+0     listen(3, 1) = 0
+0     < S 0:0(0) win 32792 <mss 1400,sackOK,nop,nop,nop,wscale 7>
+0     > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 8>
+.030  < . 1:1(0) ack 1 win 257
+0     accept(3, ..., ...) = 4
"""
    + "+.01 < P. 1:1001(1000) ack 1 win 257 <nop,nop,TS val 1 ecr 2>  // data\n" * 20
)


def test_a_script_takes_milliseconds():
    """Measured: 3 to 4 ms of processor for 30 lines; ten times that is still a pass, a slow lexer is not."""
    parse(TYPICAL)
    spent = []
    for _ in range(5):
        begin = time.process_time()
        parse(TYPICAL)
        spent.append(time.process_time() - begin)
    assert min(spent) < 0.040
