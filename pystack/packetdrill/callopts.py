"""getsockopt, setsockopt and ioctl of a script: options by the numbers of the machine's system."""

from __future__ import annotations

import errno
import os
import socket as std
import struct
from typing import TYPE_CHECKING, Any, NoReturn

from pystack import linux_options, sockopts
from pystack._fast.consts import CLOSING, FIN_WAIT_1, LAST_ACK, SYN_RECEIVED, SYN_SENT
from pystack._fast.seq import dist
from pystack.packetdrill.files import SocketFile
from pystack.packetdrill.script import (
    Arg,
    Call,
    Ellipsis_,
    List_,
    Number,
    Or,
    String,
    Struct,
    Symbol,
)
from pystack.packetdrill.symbols import Symbols, describe
from pystack.packetdrill.verdict import Failure, Skip

if TYPE_CHECKING:
    from pystack.packetdrill.calls import Calls, Running

_PREFIXES = {0: "IP_", 6: "TCP_"}
_NAME_MAX = 16
"""Octets of the name of a congestion control on Linux (TCP_CA_NAME_MAX)."""


def _option(names: Symbols, sock: Any, level: Arg, name: Arg) -> tuple[str, int, int]:
    """(its name, and level and number as `Socket.setsockopt` takes them). Raises Skip for what there is not."""
    wanted = names.value(level)
    number = names.value(name)
    if wanted == names.table["SOL_SOCKET"]:
        prefix, ours = "SO_", sockopts.SOL_SOCKET
    elif wanted in _PREFIXES:
        prefix, ours = _PREFIXES[wanted], wanted
    else:
        raise Skip(f"socket options of {describe(level)}")
    text = describe(name)
    if not (isinstance(name, Symbol) and text.startswith(prefix)):
        known = (n for n, v in names.table.items() if v == number and n.startswith(prefix))
        text = next(known, text)
    found = getattr(sockopts, text, linux_options.NUMBERS.get(text))
    options = sockopts.STREAM if sock.type == std.SOCK_STREAM else sockopts.DATAGRAM
    if found is None or (ours, found) not in options:
        raise Skip(f"the socket option {text}")
    return text, ours, found


def set_option(calls: Calls, file: SocketFile, level: Arg, name: Arg, value: Arg, size: Arg) -> int:
    """setsockopt(2). Raises OSError, Skip, Failure."""
    names = calls.names
    if isinstance(value, Struct) and (stack := value.get("function_set_name")) is not None:
        return _function_block(stack)
    _, ours, number = _option(names, file.sock, level, name)
    length = names.value(size) if not isinstance(size, Ellipsis_) else -1
    given: Any
    match value:
        case String():
            given = value.value if length < 0 else value.value.ljust(length, b"\0")[:length]
        case List_(items=(item,)):
            given = _packed(names.value(item), length)
        case Symbol(name="NULL"):
            given = None
        case Number() | Symbol() | Or() | Call():
            given = _packed(names.value(value), length)
        case Struct() if value.get("onoff") is not None and value.get("linger") is not None:
            pair = (names.value(value.get("onoff")), names.value(value.get("linger")))
            given = pair if length in (-1, 8) else struct.pack("ii", *pair)[: max(length, 0)]
        case Struct() if isinstance(name_ := value.get("af_name"), String):
            given = name_.value
        case _:
            raise Skip(f"the option value {describe(value)}")
    file.sock.setsockopt(ours, number, given)
    return 0


def _function_block(stack: Arg) -> int:
    """TCP_FUNCTION_BLK: of FreeBSD's TCPs the machine has the one that is called after the system."""
    if not isinstance(stack, String) or stack.value.rstrip(b"\0") != b"freebsd":
        raise Skip(f"the TCP stack {describe(stack)}")
    return 0


def _packed(number: int, length: int) -> Any:
    """An int as it is, or the octets of one that is said to be of another length."""
    number = (number + (1 << 31)) % (1 << 32) - (1 << 31)
    return number if length in (-1, 4) else struct.pack("q", number)[: max(length, 0)]


def get_option(
    calls: Calls, run: Running, file: SocketFile, level: Arg, name: Arg, value: Arg, size: Arg
) -> int:
    """getsockopt(2): what it returned is compared once the result is right."""
    names = calls.names
    if isinstance(value, Struct) and (stack := value.get("function_set_name")) is not None:
        return _function_block(stack)
    text, ours, number = _option(names, file.sock, level, name)
    got = file.sock.getsockopt(ours, number)
    if text == "SO_ERROR":
        got = names.errno(got)
    room = _room(names, size)
    run.checks.append(lambda: _compare(names, text, value, room, got))
    return 0


def _room(names: Symbols, size: Arg) -> int | None:
    """The length that a script gives, and expects back; None where it does not care."""
    if isinstance(size, List_) and len(size.items) == 1:
        size = size.items[0]
    return None if isinstance(size, Ellipsis_) else names.value(size)


def _compare(names: Symbols, text: str, value: Arg, room: int | None, got: Any) -> None:
    """Raises Failure unless the option `text` was `got` as the script says, in as many octets."""
    if isinstance(value, List_) and len(value.items) == 1:
        value = value.items[0]
    if isinstance(got, bool | int):
        length = _compare_number(names, text, value, room, got)
    elif isinstance(got, str):
        length = _compare_name(names, text, value, got)
    elif isinstance(got, tuple):
        length = _compare_linger(names, text, value, got)
    elif isinstance(value, Ellipsis_):
        return
    else:
        raise Skip(f"the value of {text}")
    if room is not None and min(room, length) != room:
        _differ(f"optlen for {text}", room, min(room, length))


def _compare_number(names: Symbols, text: str, value: Arg, room: int | None, got: int) -> int:
    """As far as the octets that the script gives reach. Answers how many the option has."""
    if isinstance(value, Number | Symbol | Or | Call):
        expected = names.value(value) & 0xFFFFFFFF
        actual = int(got) & 0xFFFFFFFF
        if room is not None and room < 4:
            actual &= (1 << 8 * max(room, 0)) - 1
        if actual != expected:
            _differ(f"optval for {text}", expected, actual)
    elif not isinstance(value, Ellipsis_):
        raise Failure(f"semantic error: {text} is a number, not {describe(value)}")
    return 4


def _compare_name(names: Symbols, text: str, value: Arg, got: str) -> int:
    octets = got.encode()
    if isinstance(value, Struct) and (filtered := value.get("af_name")) is not None:
        value = filtered
    if isinstance(value, String):
        if value.value.rstrip(b"\0") != octets:
            _differ(f"optval for {text}", describe(value), f'"{got}"')
    elif not isinstance(value, Ellipsis_):
        raise Failure(f"semantic error: {text} is a string, not {describe(value)}")
    return _NAME_MAX if names.system == "linux" else len(octets) + 1


def _compare_linger(names: Symbols, text: str, value: Arg, got: tuple[int, int]) -> int:
    if isinstance(value, Struct):
        for field, actual in zip(("onoff", "linger"), got, strict=True):
            expected = value.get(field)
            if expected is None:
                raise Failure(f"semantic error: {describe(value)} has no {field}")
            if names.value(expected) != actual:
                _differ(f"{text} {field}", names.value(expected), actual)
    elif not isinstance(value, Ellipsis_):
        raise Failure(f"semantic error: {text} is a structure, not {describe(value)}")
    return 8


def _differ(what: str, expected: object, actual: object) -> NoReturn:
    raise Failure(
        f"runtime error in getsockopt call: Bad getsockopt {what}: expected: {expected} actual: {actual}"
    )


# --- ioctl ----------------------------------------------------------------------------------------


def ioctl(calls: Calls, run: Running, file: SocketFile, request: Arg, value: Arg | None) -> int:
    """ioctl(2): how much is queued, and FIONBIO."""
    names = calls.names
    number = names.value(request)
    table = names.table
    inner = value.items[0] if isinstance(value, List_) and len(value.items) == 1 else value
    if number == table["FIONBIO"]:
        file.nonblock = bool(names.value(inner))
        return 0
    if not file.stream:
        raise Skip(f"ioctl {describe(request)}")
    t = file.sock.row
    if number == table["SIOCATMARK"]:
        found = int(file.sock.at_mark())
    elif number == table["FIONREAD"]:
        if calls.linux and t.state == 1:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        found = t.rcvq.cc
    elif number == table.get("SIOCOUTQ"):
        found = _unacknowledged(t)
    elif number == table.get("SIOCOUTQNSD"):
        found = _unsent(t)
    elif number == table.get("FIONWRITE"):
        found = t.sndq.cc
    elif number == table.get("FIONSPACE"):
        found = max(t.sndq.hiwat - t.sndq.cc, 0)
    else:
        raise Skip(f"ioctl {describe(request)}")

    def check() -> None:
        if inner is not None and not isinstance(inner, Ellipsis_) and names.value(inner) != found:
            raise Failure(
                f"runtime error in ioctl call: Bad ioctl value: expected: {names.value(inner)} actual: {found}"
            )

    run.checks.append(check)
    return 0


def _unacknowledged(t: Any) -> int:
    """Linux: write_seq - snd_una, which counts a FIN that was queued; 0 before the connection is made."""
    if t.state in (SYN_SENT, SYN_RECEIVED):
        return 0
    return int(t.sndq.cc) + _fin(t)


def _fin(t: Any) -> int:
    return int(t.state in (FIN_WAIT_1, CLOSING, LAST_ACK))


def _unsent(t: Any) -> int:
    if t.state in (SYN_SENT, SYN_RECEIVED):
        return 0
    return max(_unacknowledged(t) - int(dist(t.snd_una, t.snd_max)), 0)
