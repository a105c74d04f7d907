"""Pieces of scripts, parsed: for tests of the language of packetdrill."""

import pytest

from pystack.packetdrill import ScriptError, parse
from pystack.packetdrill.script import (
    Event,
    Number,
    Syscall,
    TcpPacket,
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
