"""A web client: fetches paths one after the other over one connection, then asks for its end."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import httptools

from pystack._fast.consts import EV_CONNECT, EV_ERROR, EV_HANGUP, EV_READ

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.sockets import Address

CHUNK = 65536


class Browser:
    """Fetches `paths` from `server` in order, `think` ("500ms" or ns) after each answer; starts with `start`.

    The last request says `Connection: close`. `on_done(browser)` is called at the end; `error` is what
    ended it early, None when all went well. `answers` are (status, octets of the body), `times` the ns
    from each request to the last octet of its answer.
    """

    def __init__(
        self,
        host: Host,
        server: Address,
        paths: Sequence[str],
        *,
        think: int | str = 0,
        on_done: Callable[[Browser], object] | None = None,
    ) -> None:
        self.host = host
        self.server = server
        self.paths = list(paths)
        self.think = think
        self.on_done = on_done
        self.answers: list[tuple[int, int]] = []
        self.times: list[int] = []
        self.error: str | None = None
        self.done = False
        self._octets = 0
        self._asked = 0
        self._parser = httptools.HttpResponseParser(self)

    def start(self) -> None:
        """Connect; to be called once."""
        self._sock = sock = self.host.socket()
        sock.setblocking(False)
        sock.on_ready = self._ready
        number = sock.connect_ex(self.server)
        if number not in (0, errno.EINPROGRESS):
            self._end(os.strerror(number))

    def _ready(self, events: int) -> None:
        if self.done:
            return
        try:
            if events & EV_CONNECT and not self._asked and not events & EV_ERROR:
                self._ask()
            if events & (EV_READ | EV_HANGUP | EV_ERROR):
                self._read()
        except BlockingIOError:
            return
        except (OSError, httptools.HttpParserError) as error:
            self._end(f"{type(error).__name__}: {error}")

    def _ask(self) -> None:
        """The next request; one is small enough for an empty send buffer."""
        number = len(self.answers)
        last = number + 1 == len(self.paths)
        self._asked = self.host.now
        self._octets = 0
        text = f"GET {self.paths[number]} HTTP/1.1\r\nHost: {self.server[0]}\r\n"
        self._sock.sendall((text + ("Connection: close\r\n" if last else "") + "\r\n").encode())

    def _read(self) -> None:
        while not self.done:
            data = self._sock.recv(CHUNK)
            if not data:
                whole = len(self.answers) == len(self.paths)
                self._end(None if whole else "the server closed early")
                return
            self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self._octets += len(data)

    def on_message_complete(self) -> None:
        self.answers.append((self._parser.get_status_code(), self._octets))
        self.times.append(self.host.now - self._asked)
        if len(self.answers) < len(self.paths):
            self.host.call_later(self.think, self._go_on)

    def _go_on(self) -> None:
        if not self.done:
            try:
                self._ask()
            except OSError as error:
                self._end(f"{type(error).__name__}: {error}")

    def _end(self, error: str | None) -> None:
        self.done = True
        self.error = error
        self._sock.close()
        if self.on_done is not None:
            self.on_done(self)
