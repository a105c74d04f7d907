"""A client whose line is gone in the middle: no FIN, no RST, nobody who answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from pystack.traffic.client import CHUNK, Client, request
from pystack.units import parse_size, parse_time

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.link import Link
    from pystack.sockets import Address


class DialUp(Client):
    """Fetches `path` over `link`, one caller among many, and vanishes: `after` a time from its start, or once `octets`
    have come, whichever is first; at least one is to be given.

    From then on the link carries nothing of it any more (`Link.cut`). It is done when it has vanished, or with an
    `error` before; `vanished` is when, `got` the octets that came.
    """

    def __init__(
        self,
        host: Host,
        server: Address,
        path: str,
        *,
        link: Link,
        after: int | str | None = None,
        octets: int | str | None = None,
        on_done: Callable[[Self], object] | None = None,
    ) -> None:
        super().__init__(host, server, on_done=on_done)
        if after is None and octets is None:
            raise ValueError("when does it vanish? give after=, octets= or both")
        self.path = path
        self.link = link
        self.after = None if after is None else parse_time(after, "after")
        self.octets = None if octets is None else parse_size(octets, "octets")
        self.got = 0
        self.vanished: int | None = None

    def start(self) -> None:
        super().start()
        if self.after is not None and not self.done:
            self.host.call_later(self.after, self.vanish)

    def vanish(self) -> None:
        """The line is gone. Its own system does not know it yet."""
        if not self.done:
            self.vanished = self.host.now
            self.link.cut(self.sock.getsockname())
            self.sock.on_ready = None
            self._tell()

    def connected(self) -> None:
        self.sock.sendall(request(self.path, self.server))

    def readable(self) -> None:
        while not self.done:
            data = self.sock.recv(CHUNK)
            self.got += len(data)
            if self.octets is not None and self.got >= self.octets:
                self.vanish()
            elif not data:
                self.end("the server closed first")
