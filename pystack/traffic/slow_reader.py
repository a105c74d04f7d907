"""A slow reader: asks for much and takes it drop by drop, so that the server's buffers stay full for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import httptools

from pystack._fast.consts import SECOND
from pystack.sockopts import SO_RCVBUF, SOL_SOCKET
from pystack.traffic.client import Client, request
from pystack.units import parse_size, parse_time

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.sockets import Address, StreamSocket


class SlowReader(Client):
    """Fetches `path` and reads `rate` octets a second of what comes, in pieces each `tick`; 0: it never reads.

    `rcvbuf`: SO_RCVBUF, "4KiB"; None: the system's own. `got`: octets read so far, head included; `status`: of the
    answer, 0 before it came. It is done when the answer is whole, or with an `error`; who never reads, by `end` only.
    """

    def __init__(
        self,
        host: Host,
        server: Address,
        path: str,
        *,
        rate: int = 100,
        rcvbuf: int | str | None = "4KiB",
        tick: int | str = "1s",
        on_done: Callable[[Self], object] | None = None,
    ) -> None:
        super().__init__(host, server, on_done=on_done)
        self.path = path
        self.tick = parse_time(tick, "tick")
        if self.tick == 0:
            raise ValueError(f"tick {tick!r} is no time at all")
        self.piece = rate * self.tick // SECOND
        if rate < 0 or (rate and not self.piece):
            raise ValueError(f"{rate} octets a second are not one each {tick}")
        self.rcvbuf = None if rcvbuf is None else parse_size(rcvbuf, "rcvbuf")
        self.got = 0
        self.status = 0
        self._parser = httptools.HttpResponseParser(self)

    def prepare(self, sock: StreamSocket) -> None:
        if self.rcvbuf is not None:
            sock.setsockopt(SOL_SOCKET, SO_RCVBUF, self.rcvbuf)

    def connected(self) -> None:
        self.sock.sendall(request(self.path, self.server, "Connection: close"))
        if self.piece:
            self.host.call_later(self.tick, self._take)

    def readable(self) -> None:
        """It has its own time."""

    def _take(self) -> None:
        if not self.done:
            self.host.call_later(self.tick, self._take)
            self.guarded(self._read)

    def _read(self) -> None:
        data = self.sock.recv(self.piece)
        self.got += len(data)
        if data:
            self._parser.feed_data(data)
        elif not self.done:
            self.end("the server closed early")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        self.end(None)
