"""Character generator (RFC 864): lines of 72 characters, rotating through the 95 that print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pystack.services.base import READING, Connection, Service

if TYPE_CHECKING:
    from pystack.sockets import StreamSocket

PORT = 19
LINE = 72
CHARACTERS = bytes(range(32, 127))
PERIOD = b"".join(
    (CHARACTERS + CHARACTERS)[start : start + LINE] + b"\r\n" for start in range(len(CHARACTERS))
)
"""The 95 lines after which it begins again."""
_REPEATS = 37  # about 256 KiB: what is offered to the socket at once


class ChargenService(Service):
    """Sends lines for as long as the peer takes them; what it receives is thrown away.

    The end of the peer's stream does not end it (RFC 864: it goes on until the connection is closed):
    a peer that is gone answers with a reset.
    """

    name = "chargen"

    def __init__(self, port: int = PORT, *, address: str = "", backlog: int = 1024) -> None:
        super().__init__(port, address=address, backlog=backlog)
        self.octets = 0
        self.lines = memoryview(PERIOD * _REPEATS)
        self.room = memoryview(bytearray(65536))

    def connection(self, sock: StreamSocket) -> Connection:
        return ChargenConnection(self, sock)


class ChargenConnection(Connection):
    __slots__ = ("at", "ended")

    service: ChargenService

    def __init__(self, service: ChargenService, sock: StreamSocket) -> None:
        super().__init__(service, sock)
        self.at = 0
        """Where in the period the next octet is."""
        self.ended = False

    def ready(self, events: int) -> None:
        service = self.service
        sock = self.sock
        try:
            while events & READING and not self.ended and sock.readable():
                self.ended = sock.recv_into(service.room) == 0
            while sock.writable():
                sent = sock.send(service.lines[self.at :])
                service.octets += sent
                self.at = (self.at + sent) % len(PERIOD)
        except OSError as error:
            self.failed(error)
