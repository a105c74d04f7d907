"""What every client is: one connection of a machine to a server, driven by readiness, with an end that is told once.

class Knock(Client):
    def connected(self):
        self.sock.sendall(b"hello")

    def readable(self):
        self.answer = self.sock.recv(100)
        self.end(None)
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import httptools

from pystack._fast.consts import EV_CONNECT, EV_ERROR, EV_HANGUP, EV_READ, EV_WRITE

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.sockets import Address, StreamSocket
    from pystack.timer import Timer

CHUNK = 65536
"""Octets that are read at once."""
EXPECTED = (OSError, httptools.HttpParserError)
"""What the network and the peer may do to a client; anything else is raised."""
_READING = EV_READ | EV_HANGUP | EV_ERROR


class Client(ABC):
    """One connection from `host` to `server`; `start` makes it. `on_done(client)` is called once, at the end.

    `error` is what ended it early, in words, None when all went well; `errno` its number, 0 where there is none.
    """

    sock: StreamSocket

    def __init__(
        self,
        host: Host,
        server: Address,
        *,
        on_done: Callable[[Self], object] | None = None,
    ) -> None:
        self.host = host
        self.server = server
        self.on_done: Callable[[Any], object] | None = on_done
        self.done = False
        self.error: str | None = None
        self.errno = 0
        self.patience: Timer | None = None
        """What ends it when it takes too long, where somebody set it."""
        self._connected = False

    # --- what a subclass says ------------------------------------------------------------------------

    def prepare(self, sock: StreamSocket) -> None:  # noqa: B027 - most have nothing to do
        """Set options; it is not connected yet."""

    @abstractmethod
    def connected(self) -> None:
        """The connection is there."""

    @abstractmethod
    def readable(self) -> None:
        """Read until nothing is left: something came, the peer's end, or an error that the next call raises."""

    def writable(self) -> None:  # noqa: B027 - requests fit into an empty buffer
        """There is room to write."""

    def failed(self, error: Exception) -> None:
        """A call has failed, or what was read is no HTTP."""
        self.end(f"{type(error).__name__}: {error}", getattr(error, "errno", None) or 0)

    # --- its life --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect; to be called once."""
        try:
            self.sock = sock = self.host.socket()
        except OSError as error:  # the machine has no socket left
            self.error, self.errno = os.strerror(error.errno or 0), error.errno or 0
            self._tell()
            return
        sock.setblocking(False)
        self.prepare(sock)
        sock.on_ready = self._ready
        number = sock.connect_ex(self.server)
        if number not in (0, errno.EINPROGRESS):
            self.end(os.strerror(number), number)

    def end(self, error: str | None, number: int = 0) -> None:
        """Close the connection; it is done. Again does nothing."""
        if not self.done:
            self.error, self.errno = error, number
            self.sock.close()
            self._tell()

    def _tell(self) -> None:
        self.done = True
        if self.on_done is not None:
            self.on_done(self)

    def _ready(self, events: int) -> None:
        try:
            if events & EV_CONNECT and not self._connected and not events & EV_ERROR:
                self._connected = True
                self.connected()
            if events & EV_WRITE and self._connected and not self.sock.closed:
                self.writable()
            if events & _READING and not self.sock.closed:
                self.readable()
        except BlockingIOError:
            return
        except EXPECTED as error:
            self.failed(error)

    def guarded(self, call: Callable[[], object]) -> None:
        """`call()` from a timer, with what may happen on the socket taken as the socket's own events are."""
        if self.sock.closed:
            return
        try:
            call()
        except BlockingIOError:
            return
        except EXPECTED as error:
            self.failed(error)


def request(path: str, server: Address, *fields: str, method: str = "GET") -> bytes:
    """A request of HTTP/1.1."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {server[0]}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")
