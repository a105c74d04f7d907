"""The kinds of socket options: how one is read and written."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import SOCKBUF_LINUX, SOCKOPT_LINUX, Err
from pystack.errors import error_of

if TYPE_CHECKING:
    from pystack.sockets import Socket, StreamSocket

Getter = Callable[[Any], Any]
Setter = Callable[[Any, Any], None]

LEAST_RCVBUF = 2304
"""Octets: Linux gives no less (SOCK_MIN_RCVBUF)."""


def integer(value: Any) -> int:
    """The int of an option that takes one: a number, or the octets of a C int."""
    if isinstance(value, int):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        if len(value) < 4:
            raise error_of(Err.EINVAL)
        return int(struct.unpack_from("i", value)[0])
    raise TypeError(f"an option's value is an int or octets, not {value!r}")


def flag(bit: int) -> tuple[Getter, Setter]:
    """A bit of `so_options`; reads as 1, or as the bit itself where FreeBSD does so."""

    def read(sock: Socket) -> int:
        on = sock.row.so_options & bit
        return int(on) if sock.host.core.cfg.policy_sockbuf != SOCKBUF_LINUX else int(on != 0)

    def write(sock: Socket, value: Any) -> None:
        row = sock.row
        row.so_options = row.so_options | bit if integer(value) else row.so_options & ~bit

    return read, write


def field(name: str, low: int, high: int, scale: int = 1) -> tuple[Getter, Setter]:
    """An attribute of the row, in units of `scale`; EINVAL outside of the range."""

    def read(sock: Socket) -> int:
        return int(getattr(sock.row, name)) // scale

    def write(sock: Socket, value: Any) -> None:
        number = integer(value)
        if not low <= number <= high:
            raise error_of(Err.EINVAL)
        setattr(sock.row, name, number * scale)

    return read, write


def _fail(error: Err) -> None:
    raise error_of(error)


def read_only(read: Getter) -> tuple[Getter, Setter]:
    return read, lambda _sock, _value: _fail(Err.ENOPROTOOPT)


def linux_only(sock: StreamSocket) -> Any:
    """The connection of a socket of a system that knows the option."""
    if sock.host.core.cfg.policy_sockopt != SOCKOPT_LINUX:
        raise error_of(Err.ENOPROTOOPT)
    return sock.row


def bsd_only(option: tuple[Getter, Setter]) -> tuple[Getter, Setter]:
    """An option that Linux does not know."""
    getter, setter = option

    def known(sock: Socket) -> Socket:
        if sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX:
            raise error_of(Err.ENOPROTOOPT)
        return sock

    return lambda sock: getter(known(sock)), lambda sock, value: setter(known(sock), value)
