"""What a service is: a listener on one port, and an object for each of its connections.

    class Reverse(Service):
        name = "reverse"
        def connection(self, sock):
            return ReverseConnection(self, sock)

    class ReverseConnection(Connection):
        def ready(self, events):
            self.sock.sendall(self.sock.recv(65536)[::-1])

The world calls `ready` when something happened to the socket, once for a batch of events. Events are
edges, so a connection reads until nothing is left, or stops on purpose and goes on when it has sent.
"""

from __future__ import annotations

import errno
import socket as std
import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pystack._fast.consts import EV_ACCEPT, EV_ERROR, EV_HANGUP, EV_READ, EV_WRITE

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.process import Process
    from pystack.sockets import StreamSocket

READING = EV_READ | EV_HANGUP | EV_ERROR
WRITING = EV_WRITE
CHUNK = 65536
"""Octets asked for at once: a super-segment."""
NOBUFS_PAUSE = "50ms"
"""How long a connection that was denied mbufs waits before it tries again."""
ACCEPT_PAUSE = "500ms"
"""How long a service that has no descriptor left accepts nobody (nginx: accept_mutex_delay)."""
NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE}
_RESET = struct.pack("ii", 1, 0)


class Connection(ABC):
    """One accepted connection. Subclasses say what happens in `ready`; `close` ends it.

    What the peer or the network does wrong ends the connection and is counted; nothing is raised.
    """

    __slots__ = ("service", "sock")

    def __init__(self, service: Service, sock: StreamSocket) -> None:
        self.service = service
        self.sock = sock

    @abstractmethod
    def ready(self, events: int) -> None:
        """Something happened (EV_* of `pystack._fast.consts`)."""

    def close(self) -> None:
        """Close in order: what was accepted for sending is delivered. Again does nothing."""
        if self.service.connections.pop(self, False):
            self.closing()
            self.sock.close()
            self.service.left()

    def abort(self) -> None:
        """Close with a reset: what was not delivered is lost."""
        if self.service.connections.pop(self, False):
            self.closing()
            try:
                self.sock.setsockopt(std.SOL_SOCKET, std.SO_LINGER, _RESET)
            finally:
                self.sock.close()
            self.service.left()

    def failed(self, error: OSError) -> None:
        """A call on the socket failed: the peer reset the connection, it timed out, or there is no memory.

        For want of memory (ENOBUFS) it is not ended but tried again, as a blocked writer would be.
        """
        service = self.service
        if error.errno == errno.ENOBUFS:
            service.process.call_later(NOBUFS_PAUSE, self._again)
            return
        service.failures[type(error).__name__] = service.failures.get(type(error).__name__, 0) + 1
        self.close()

    def _again(self) -> None:
        if self in self.service.connections:
            self.ready(READING | WRITING)

    def closing(self) -> None:  # noqa: B027 - most have nothing to do
        """It is about to be closed: give back what it holds besides the socket."""


class Service(ABC):
    """A listener on `port` of one machine. `address` "" means all of its addresses.

    `start` raises OSError where the port cannot be had (EADDRINUSE, EADDRNOTAVAIL).
    """

    name: ClassVar[str] = "service"

    def __init__(self, port: int, *, address: str = "", backlog: int = 1024) -> None:
        if not 0 < port < 65536:
            raise ValueError(f"{self.name}: port {port} is not from 1 to 65535")
        self.port = port
        self.address = address
        self.backlog = backlog
        self.connections: dict[Connection, bool] = {}
        """The open ones, oldest first, each with True."""
        self.accepted = 0
        self.failures: dict[str, int] = {}
        """Connections that ended with an error, by its kind."""
        self.alone = False
        """Is it a program of its own? Else the machine's first one is it, among others."""
        self._listener: StreamSocket | None = None
        self._host: Host | None = None
        self._process: Process | None = None
        self._full = False
        """Is nobody accepted until a connection has left?"""
        self._paused = False
        """Is nobody accepted until `ACCEPT_PAUSE` is over?"""

    def __repr__(self) -> str:
        state = f"{len(self.connections)} open" if self._listener else "not started"
        return f"<{type(self).__name__} port {self.port}: {state}>"

    @property
    def host(self) -> Host:
        """The machine that it runs on. Raises RuntimeError before `start`."""
        if self._host is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._host

    @property
    def process(self) -> Process:
        """The program that it is, whose its sockets and timers are. Raises RuntimeError before `start`."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    def start(self, host: Host) -> None:
        """Listen on `host`. A service runs once, on one machine."""
        if self._listener is not None:
            raise RuntimeError(f"{self.name} is running already")
        self._process = self.program(host)
        sock: StreamSocket = self._process.socket()
        try:
            sock.setblocking(False)
            sock.setsockopt(std.SOL_SOCKET, std.SO_REUSEADDR, 1)
            sock.bind((self.address, self.port))
            self.prepare(sock)
            sock.listen(self.backlog)
        except BaseException:
            sock.close()
            raise
        self._host = host
        self._listener = sock
        self.started()
        sock.on_ready = self._accept

    def stop(self) -> None:
        """Listen no longer and reset what is open. Again does nothing."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            for connection in list(self.connections):
                connection.abort()
        if self._host is not None and self._process is not self._host.program:
            self._host.processes.pop(self.process.pid, None)

    def program(self, host: Host) -> Process:
        """The program that it will be on a machine."""
        return host.process(self.name) if self.alone else host.program

    def prepare(self, listener: StreamSocket) -> None:  # noqa: B027 - most have nothing to do
        """Set options of the listener, which connections inherit; it does not listen yet."""

    def started(self) -> None:  # noqa: B027 - the same
        """It has a machine now: make what needs one."""

    def admits(self) -> bool:
        """May another connection be accepted? Where not, it waits in the listen queue until one has left."""
        return True

    @abstractmethod
    def connection(self, sock: StreamSocket) -> Connection | None:
        """The object for a new connection; its `ready` is called from now on. None: it was turned away, and closed."""

    def _accept(self, events: int) -> None:
        listener = self._listener
        if listener is None or not events & EV_ACCEPT:
            return
        while not self._paused and listener.readable():
            self._full = not self.admits()
            if self._full:
                return
            try:
                sock, _ = listener.accept()
            except OSError as error:
                if error.errno in NO_DESCRIPTOR:  # it stays in the queue
                    self.no_descriptor(error)
                    self._paused = True
                    self.process.call_later(ACCEPT_PAUSE, self._go_on)
                continue  # it was reset while it waited
            sock.setblocking(False)
            self.accepted += 1
            connection = self.connection(sock)
            if connection is not None:
                self.connections[connection] = True
                sock.on_ready = connection.ready

    def no_descriptor(self, error: OSError) -> None:
        """accept(2) failed with EMFILE or ENFILE."""
        kind = errno.errorcode[error.errno or errno.EMFILE]
        self.failures[kind] = self.failures.get(kind, 0) + 1

    def left(self) -> None:
        """A connection has ended: who waits for its place is accepted."""
        if self._full:
            self._full = False
            self.process.call_later(0, self._accept, EV_ACCEPT)

    def _go_on(self) -> None:
        self._paused = False
        self._accept(EV_ACCEPT)
