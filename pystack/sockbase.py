"""What stream and datagram sockets share: blocking, readiness, closing, options, addresses."""

from __future__ import annotations

import socket as std
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Self

from pystack import sockopts
from pystack._fast.consts import (
    EV_ACCEPT,
    EV_CONNECT,
    EV_ERROR,
    EV_HANGUP,
    EV_READ,
    EV_WRITE,
    NEVER,
    SECOND,
    Err,
)
from pystack._fast.endpoint import Endpoint
from pystack.addresses import dotted, parse_host
from pystack.errors import error_of

if TYPE_CHECKING:
    from pystack._fast.core import Core
    from pystack.host import Host

Address = tuple[str, int]
Buffer = bytes | bytearray | memoryview

EV_ALL = EV_READ | EV_WRITE | EV_ERROR | EV_ACCEPT | EV_CONNECT | EV_HANGUP

MSG_OOB = 0x1
MSG_PEEK = 0x2
MSG_CTRUNC = 0x8
MSG_TRUNC = 0x20
MSG_DONTWAIT = 0x40
MSG_EOR = 0x80
MSG_WAITALL = 0x100
MSG_ERRQUEUE = 0x2000
MSG_NOSIGNAL = 0x4000
MSG_MORE = 0x8000
MSG_ZEROCOPY = 0x4000000
MSG_SPLICE_PAGES = 0x8000000
"""The octets are pages of a file, which are mapped and not copied: what sendfile(2) writes. Linux's inner flag."""
MSG_FASTOPEN = 0x20000000
"""Linux's numbers, which are those of the standard library there."""


def octets(data: Any) -> Buffer:
    """What may be sent: bytes as they are, any other contiguous buffer as octets."""
    if isinstance(data, bytes):
        return data
    view = memoryview(data)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def address_of(address: Any) -> tuple[int, int]:
    """Number and port of ("192.0.2.1", 80). Raises TypeError, OverflowError, gaierror."""
    if not isinstance(address, tuple) or len(address) != 2:
        raise TypeError(f"an address is a pair such as ('192.0.2.1', 80), not {address!r}")
    host, port = address
    if not isinstance(host, str) or not isinstance(port, int):
        raise TypeError(f"an address is a pair such as ('192.0.2.1', 80), not {address!r}")
    if not 0 <= port <= 65535:
        raise OverflowError("bind(): port must be 0-65535.")
    return parse_host(host), port


class _Closed:
    """Stands where a closed socket had its machine: whoever asks it for anything gets EBADF."""

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        raise error_of(Err.EBADF)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise error_of(Err.EBADF)


CLOSED: Any = _Closed()


class Socket(Endpoint, ABC):
    """What stream and datagram sockets share. Made by `Host.socket`, closed by `close` or `with`.

    `host`: the machine that it belongs to. Every call on a closed socket raises OSError (EBADF).
    """

    __slots__ = ()

    family = std.AF_INET
    type: int
    host: Host
    core: Core | None
    row: Any
    """The core's own object: a `Tcb` or a `DatagramSocket`; read it, do not write it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give the socket back; a second time does nothing."""

    @property
    def closed(self) -> bool:
        """Was `close` called?"""
        return self.row is CLOSED

    def _retire(self) -> Any:
        """The socket is closed from now on; its row."""
        row, self.row = self.row, CLOSED
        self._host = CLOSED  # what every call asks for the core first
        self.core = None
        return row

    def _fail(self, answer: int) -> NoReturn:
        """Raise what the negative answer of a command says; 0: the socket is closed."""
        raise error_of(answer or Err.EBADF)

    # --- blocking ----------------------------------------------------------------------------------

    def settimeout(self, seconds: float | None) -> None:
        """How long calls may wait, in seconds of the world's time: None for ever, 0 not at all."""
        if seconds is None:
            self._timeout = -1
        elif seconds < 0:
            raise ValueError("Timeout value out of range")
        elif seconds * SECOND > NEVER // 2:
            raise OverflowError("timeout doesn't fit into C timeval")
        else:
            self._timeout = round(seconds * SECOND)

    def gettimeout(self) -> float | None:
        """What `settimeout` was told."""
        return None if self._timeout < 0 else self._timeout / SECOND

    def setblocking(self, flag: bool) -> None:
        """`settimeout(None)` or `settimeout(0)`."""
        self._timeout = -1 if flag else 0

    def getblocking(self) -> bool:
        """May calls wait at all?"""
        return self._timeout != 0

    # --- readiness ---------------------------------------------------------------------------------

    @abstractmethod
    def readable(self) -> bool:
        """Would receiving (or `accept`) answer at once, be it with the end or an error?"""

    @abstractmethod
    def writable(self) -> bool:
        """Would sending answer at once?"""

    def level(self) -> int:
        """The events (EV_*) that describe the socket as it is now."""
        found = EV_READ if self.readable() else 0
        return found | (EV_WRITE if self.writable() else 0)

    @property
    def on_ready(self) -> Callable[[int], object] | None:
        """Called as fn(events) once for each batch of events (EV_* of `pystack._fast.consts`) in `wanted`.

        Edges: it says that something happened since the last call, so read until EAGAIN (and, after a
        short write, expect EV_WRITE). What is so already when it is set is told too. It runs between
        two moments of the world and must not block. Set `wanted` to be told less; None ends it.
        """
        handler: Callable[[int], object] | None = self.row.handler
        return handler

    @on_ready.setter
    def on_ready(self, fn: Callable[[int], object] | None) -> None:
        self.row.handler = fn
        self._wanted = 0
        self.wanted = EV_ALL if fn is not None else 0

    @property
    def wanted(self) -> int:
        """The events that `on_ready` is called for: EV_ALL from when it is set."""
        return self._wanted

    @wanted.setter
    def wanted(self, events: int) -> None:
        row = self.row
        added = events & ~self._wanted
        self._wanted = row.wanted = events
        if added:
            self._wake(self.level() & added)

    def _wake(self, events: int) -> None:
        """Tell the application of something that is so already."""
        if events:
            core = self._host.core
            core.wakeup(self.row, events)
            self._host.after(core)

    def fileno(self) -> int:
        """The number of its descriptor in its process; -1 once closed. No system call of this computer takes it."""
        return -1 if self.closed else int(self.row.fd)

    # --- addresses and options ---------------------------------------------------------------------

    def getsockname(self) -> Address:
        """The own address; ("0.0.0.0", 0) before there is one."""
        row = self.row
        return dotted(row.laddr), row.lport

    def setsockopt(self, level: int, name: int, value: Any, optlen: int | None = None) -> None:
        """setsockopt(2), with the numbers of the standard library's `socket` and those of `sockopts`."""
        sockopts.set_option(self, level, name, value)

    def getsockopt(self, level: int, name: int, buflen: int = 0) -> Any:
        """getsockopt(2): an int, or for options with a structure what `sockopts` says; with
        `buflen` its octets.
        """
        return sockopts.get_option(self, level, name, buflen)
