"""The language of system calls: results, literals, structures (docs/packetdrill.md)."""

import pytest
from parse_kit import arg, call, num, whence

from pystack.packetdrill.script import (
    Call,
    Ellipsis_,
    Field,
    List_,
    Number,
    Or,
    String,
    Struct,
    Symbol,
    Syscall,
)


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
