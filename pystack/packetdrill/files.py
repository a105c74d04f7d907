"""What a script's descriptors stand for, and what poll says of each.

Nothing here is a file of the system that pystack runs on: a pipe is a count of zeros, `open` knows /dev/null and
/dev/zero.
"""

from __future__ import annotations

import socket as std
from dataclasses import dataclass, field
from typing import Any

from pystack._fast.commands import unsent
from pystack._fast.consts import CLOSED, EV_ERROR, LISTEN, SYN_RECEIVED, SYN_SENT
from pystack._fast.space import writable
from pystack._fast.tcb import (
    OOB_HERE,
    SS_CANTRCVMORE,
    SS_CANTSENDMORE,
    SS_CONNECTED,
    SS_CONNECTING,
    SS_DISCONNECTED,
)
from pystack.packetdrill.symbols import Symbols

PIPE_SIZE = 65536
"""Octets that a pipe holds (pipe(7))."""


@dataclass(slots=True, eq=False)
class SocketFile:
    """A socket. `sock` never blocks; whether the script's calls do is `nonblock`."""

    sock: Any
    nonblock: bool = False
    edges: int = 0
    """How many times something happened that an epoll would be woken for."""

    @property
    def stream(self) -> bool:
        """TCP?"""
        return bool(self.sock.type == std.SOCK_STREAM)


@dataclass(slots=True, eq=False)
class Pipe:
    """Zeros on their way from one end to the other."""

    octets: int = 0
    readers: int = 1
    writers: int = 1


@dataclass(slots=True, eq=False)
class PipeEnd:
    """One end of a pipe."""

    pipe: Pipe
    reads: bool
    nonblock: bool = False


@dataclass(slots=True, eq=False)
class Device:
    """/dev/null or /dev/zero."""

    zero: bool
    nonblock: bool = False


@dataclass(slots=True)
class Interest:
    """One descriptor in an epoll: the events asked for, the data word as written, edges seen so far."""

    fd: int
    events: int
    data: tuple[str, int]
    seen: int = -1
    told: int = 0
    disabled: bool = False


@dataclass(slots=True, eq=False)
class Epoll:
    """An epoll instance."""

    interests: dict[int, Interest] = field(default_factory=dict)
    nonblock: bool = False


File = SocketFile | PipeEnd | Device | Epoll


def poll_events(file: File, names: Symbols) -> int:
    """All that poll(2) could say of a descriptor now, by the numbers of the machine's system."""
    n = names.table
    if isinstance(file, SocketFile):
        if not file.stream:
            return _datagram(file.sock, n)
        return _linux(file.sock, n) if names.system == "linux" else _freebsd(file.sock, n)
    if isinstance(file, PipeEnd):
        pipe = file.pipe
        if file.reads:
            found = n["POLLIN"] | n["POLLRDNORM"] if pipe.octets else 0
            return found | (0 if pipe.writers else n["POLLHUP"])
        found = n["POLLOUT"] | n["POLLWRNORM"] if pipe.octets < PIPE_SIZE else 0
        return found | (0 if pipe.readers else n["POLLERR"])
    if isinstance(file, Device):
        return n["POLLIN"] | n["POLLOUT"] | n["POLLRDNORM"] | n["POLLWRNORM"]
    return 0


def _readable(t: Any) -> bool:
    return bool(t.rcvq.cc >= max(t.rcvq.lowat, 1))


def _linux(sock: Any, n: dict[str, int]) -> int:
    """net/ipv4/tcp.c, tcp_poll."""
    t = sock.row
    if t.state == LISTEN:
        return n["POLLIN"] | n["POLLRDNORM"] if t.qlen else 0
    state = t.so_state
    dead = bool(state & SS_DISCONNECTED)
    fresh = t.state == CLOSED and not state & (SS_CONNECTED | SS_CONNECTING)
    received = dead or bool(state & SS_CANTRCVMORE)
    sent = dead or bool(state & SS_CANTSENDMORE)
    found = 0
    if (received and sent) or fresh:
        found |= n["POLLHUP"]
    if received:
        found |= n["POLLIN"] | n["POLLRDNORM"] | n["POLLRDHUP"]
    if t.state not in (SYN_SENT, SYN_RECEIVED):
        if _readable(t):
            found |= n["POLLIN"] | n["POLLRDNORM"]
        if sent or fresh or (writable(sock.host.core, t) and 2 * unsent(t) < t.notsent_lowat):
            found |= n["POLLOUT"] | n["POLLWRNORM"]
        if t.oob_state == OOB_HERE:
            found |= n["POLLPRI"]
    if t.so_error or (t.reports is not None and t.reports.errors):
        found |= n["POLLERR"]
    return found


def _freebsd(sock: Any, n: dict[str, int]) -> int:
    """kern/uipc_socket.c, sopoll_generic_locked. There POLLWRNORM is POLLOUT."""
    t = sock.row
    if t.state == LISTEN:
        return n["POLLIN"] | n["POLLRDNORM"] if t.qlen else 0
    state = t.so_state
    received = bool(state & (SS_CANTRCVMORE | SS_DISCONNECTED))
    sent = bool(state & (SS_CANTSENDMORE | SS_DISCONNECTED))
    found = 0
    if received or t.so_error or _readable(t):
        found |= n["POLLIN"] | n["POLLRDNORM"]
    if sent or t.so_error or (state & SS_CONNECTED and writable(sock.host.core, t)):
        found |= n["POLLOUT"]
    if t.oob_state == OOB_HERE:
        found |= n["POLLPRI"] | n["POLLRDBAND"]
    if received:
        found |= n["POLLRDHUP"]
        if sent:
            found |= n["POLLHUP"]
    return found


def _datagram(sock: Any, n: dict[str, int]) -> int:
    found = n["POLLIN"] | n["POLLRDNORM"] if sock.readable() else 0
    if sock.writable():
        found |= n["POLLOUT"] | n["POLLWRNORM"]
    return found | (n["POLLERR"] if sock.level() & EV_ERROR else 0)
