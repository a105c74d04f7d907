"""A client that sends bodies, one request behind the other without waiting, and has to learn what became of them.

Read first: the appendix of the Apache project's page on FIN_WAIT_2, by Roy Fielding: why a server must go on reading
after its last answer, or the reset that what still comes brings upon the client takes the answer with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import httptools

from pystack.traffic.client import CHUNK, Client, request
from pystack.units import parse_size, parse_time

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.sockets import Address


class Poster(Client):
    """Posts `posts` bodies of `octets` each to `path` in one go, and reads the answers when all is written.

    `pause`: how long the program takes from there to its first read ("50ms"). `insists`: where writing fails, it reads
    what has come all the same; most programs give up. `answers` are the statuses that it saw, `error` why no more.
    """

    def __init__(
        self,
        host: Host,
        server: Address,
        path: str = "/",
        *,
        posts: int = 1,
        octets: int | str = "600kB",
        pause: int | str = 0,
        insists: bool = False,
        on_done: Callable[[Self], object] | None = None,
    ) -> None:
        super().__init__(host, server, on_done=on_done)
        if posts < 1:
            raise ValueError(f"{posts} requests are none")
        size = parse_size(octets, "octets")
        head = request(path, server, f"Content-Length: {size}", method="POST")
        last = request(path, server, f"Content-Length: {size}", "Connection: close", method="POST")
        body = b"x" * size
        self.pause = parse_time(pause, "pause")
        self.insists = insists
        self.answers: list[int] = []
        self._left = memoryview((head + body) * (posts - 1) + last + body)
        self._reads = False
        self._posts = posts
        self._parser = httptools.HttpResponseParser(self)

    @property
    def refused(self) -> int:
        """The status of the error page that it saw, 0 if none."""
        return next((status for status in self.answers if status >= 400), 0)

    def connected(self) -> None:
        self.writable()

    def writable(self) -> None:
        try:
            while self._left:
                self._left = self._left[self.sock.send(self._left) :]
        except BlockingIOError:
            return
        except OSError as error:
            if not self.insists:
                raise
            self._left = memoryview(b"")
            self.error = f"{type(error).__name__}: {error}"
        if not self._reads:
            self._reads = True
            self.host.call_later(self.pause, self.guarded, self._read)

    def readable(self) -> None:
        if self._left:  # it looks at nothing but its writing
            self.writable()
        elif self._reads and not self.pause:
            self._read()

    def _read(self) -> None:
        self.pause = 0
        while not self.done:
            data = self.sock.recv(CHUNK)
            if data:
                self._parser.feed_data(data)
            else:
                whole = self.error is None and (self.refused or len(self.answers) == self._posts)
                self.end(self.error if self.error or whole else "the server closed early")

    def on_message_complete(self) -> None:
        self.answers.append(self._parser.get_status_code())
