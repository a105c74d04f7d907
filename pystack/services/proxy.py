"""A proxy: what comes on a connection goes out on another one to a backend, and back (HAProxy's mode tcp).

    ProxyService(80, [("10.0.0.2", 80), ("10.0.0.3", 80)])

Backends have their turn in order. When one side closes, so does the other; who cannot be reached is one failure and the
client's connection is closed.
"""

from __future__ import annotations

import errno
from collections import Counter, deque
from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from pystack._fast.consts import EV_CONNECT, EV_ERROR
from pystack.services.base import CHUNK, READING, WRITING, Connection, Service
from pystack.sockopts import SO_ERROR, SOL_SOCKET

if TYPE_CHECKING:
    from pystack.sockets import Address, StreamSocket


class ProxyService(Service):
    """Hands on what comes to `backends` in turn. `unreached` counts those that could not be, by errno."""

    name = "proxy"

    def __init__(
        self,
        port: int,
        backends: Sequence[Address],
        *,
        address: str = "",
        backlog: int = 1024,
    ) -> None:
        super().__init__(port, address=address, backlog=backlog)
        if not backends:
            raise ValueError("a proxy needs a backend")
        self.backends = list(backends)
        self.turn = cycle(self.backends)
        self.unreached: Counter[str] = Counter()

    def connection(self, sock: StreamSocket) -> Connection | None:
        try:
            return ProxyConnection(self, sock)
        except OSError as error:
            self.cannot(error.errno or 0)
            sock.close()
            return None

    def cannot(self, number: int) -> None:
        """A backend cannot be reached."""
        self.unreached[errno.errorcode.get(number, str(number))] += 1


class ProxyConnection(Connection):
    """A client's connection and the one to its backend."""

    __slots__ = ("back", "ended", "joined", "to_back", "to_client")

    service: ProxyService

    def __init__(self, service: ProxyService, sock: StreamSocket) -> None:
        """Raises OSError where no connection can begin: no descriptor, no port."""
        super().__init__(service, sock)
        self.joined = False
        self.ended = False
        """One side has closed, and what it said is not delivered yet."""
        self.to_back: deque[bytes] = deque()
        self.to_client: deque[bytes] = deque()
        self.back: StreamSocket = service.process.socket()
        self.back.setblocking(False)
        self.back.on_ready = self.backend
        number = self.back.connect_ex(next(service.turn))
        if number not in (0, errno.EINPROGRESS):
            self.back.close()
            raise OSError(number, "connect")

    def ready(self, events: int) -> None:
        """The client's side."""
        self._guarded(events, self.sock, self.back)

    def backend(self, events: int) -> None:
        """The backend's side."""
        if not self.joined:
            if events & EV_ERROR:
                self.service.cannot(self.back.getsockopt(SOL_SOCKET, SO_ERROR))
                self.close()
                return
            if events & EV_CONNECT:
                self.joined = True
                events |= WRITING
        self._guarded(events, self.back, self.sock)

    def _guarded(self, events: int, here: StreamSocket, there: StreamSocket) -> None:
        try:
            if events & WRITING:
                self._flush(here)
            if events & READING:
                self._move(here, there)
        except OSError as error:
            self.failed(error)

    def _move(self, source: StreamSocket, target: StreamSocket) -> None:
        """What has come on one side goes to the other."""
        while not source.closed:
            try:
                data = source.recv(CHUNK)
            except BlockingIOError:
                return
            if not data:
                self.ended = True
                if not self._queue(target):
                    self.close()
                return
            self._queue(target).append(data)
            if self.joined or target is self.sock:
                self._flush(target)

    def _queue(self, target: StreamSocket) -> deque[bytes]:
        return self.to_client if target is self.sock else self.to_back

    def _flush(self, target: StreamSocket) -> None:
        """What waits for one side."""
        queue = self._queue(target)
        while queue:
            try:
                taken = target.send(queue[0])
            except BlockingIOError:
                return
            if taken == len(queue[0]):
                queue.popleft()
            else:
                queue[0] = queue[0][taken:]
        if self.ended:
            self.close()

    def closing(self) -> None:
        self.back.close()
