"""A web client: fetches paths one after the other over one connection, and leaves it in one of several ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

import httptools

from pystack.traffic.client import CHUNK, Client, request

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.sockets import Address

ENDINGS = ("asks", "closes", "follows", "never")


class Browser(Client):
    """Fetches `paths` from `server` in order, `think` ("500ms" or ns) after each answer; starts with `start`.

    `ending`, what becomes of the connection after the last answer:

    asks      the last request says `Connection: close`: the server closes, then this side
    closes    this side closes at once
    follows   it is kept, and closed when the server has closed it
    never     it is kept whatever the server does, as Mozilla 3 for X11 and MSIE 3.01 did: until `leave` (the user ends
              the program) or `visit` (another page opens a connection, and this one is closed for it)

    Where the server says `Connection: close`, all but "closes" do as "asks" does: only kept connections are forgotten.

    It is `done`, and `on_done(browser)` is called, when all is fetched, or with an `error`. `answers` are (status,
    octets of the body), `times` the ns from each request to the last octet of its answer, `server_closed` is when the
    server's end was seen, None before.
    """

    def __init__(
        self,
        host: Host,
        server: Address,
        paths: Sequence[str],
        *,
        think: int | str = 0,
        ending: str = "asks",
        on_done: Callable[[Self], object] | None = None,
    ) -> None:
        super().__init__(host, server, on_done=on_done)
        if ending not in ENDINGS:
            raise ValueError(f"ending {ending!r} is none of {', '.join(ENDINGS)}")
        if not paths:
            raise ValueError("a browser needs a path to fetch")
        self.paths = list(paths)
        self.think = think
        self.ending = ending
        self.answers: list[tuple[int, int]] = []
        self.times: list[int] = []
        self.server_closed: int | None = None
        self._octets = 0
        self._asked = 0
        self._parser = httptools.HttpResponseParser(self)

    def leave(self) -> None:
        """The user ends the program: its system closes the connection."""
        if not self.done:
            self.end("the user left")
        self.sock.close()

    def visit(self, paths: Sequence[str]) -> Browser:
        """Fetch more over a new connection, for which this one is closed now. The browser that does it, started."""
        self.leave()
        other = Browser(self.host, self.server, paths, think=self.think, ending=self.ending)
        other.start()
        return other

    def connected(self) -> None:
        self._ask()

    def readable(self) -> None:
        sock = self.sock
        while not sock.closed and self.server_closed is None:
            data = sock.recv(CHUNK)
            if data:
                self._parser.feed_data(data)
                continue
            self.server_closed = self.host.now
            if not self.done:
                whole = len(self.answers) == len(self.paths)
                self.end(None if whole else "the server closed early")
            elif self.ending == "follows":
                sock.close()

    def failed(self, error: Exception) -> None:
        if self.done:  # an idle connection was reset
            self.sock.close()
        else:
            super().failed(error)

    def _ask(self) -> None:
        """The next request; one is small enough for an empty send buffer."""
        number = len(self.answers)
        last = number + 1 == len(self.paths)
        self._asked = self.host.now
        self._octets = 0
        fields = ("Connection: close",) if last and self.ending == "asks" else ()
        self.sock.sendall(request(self.paths[number], self.server, *fields))

    def on_body(self, data: bytes) -> None:
        self._octets += len(data)

    def on_message_complete(self) -> None:
        self.answers.append((self._parser.get_status_code(), self._octets))
        self.times.append(self.host.now - self._asked)
        if len(self.answers) < len(self.paths):
            self.host.call_later(self.think, self.guarded, self._ask)
        elif self.ending == "closes":
            self.end(None)
        elif self._parser.should_keep_alive():
            self._tell()
