"""The language: what each form means, and that mistakes are told with their place (docs/packetdrill.md)."""

import pickle
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from parse_kit import whence

from pystack.packetdrill import Script, ScriptError, parse, parse_file
from pystack.packetdrill.script import (
    Code,
    Command,
    Place,
    Syscall,
    TcpPacket,
    Time,
)

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
    assert caught.value.__context__ is None
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
