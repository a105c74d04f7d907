"""Discard (RFC 863): what comes is thrown away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pystack.services.base import READING, Connection, Service

if TYPE_CHECKING:
    from pystack.sockets import StreamSocket

PORT = 9
ROOM = 256 * 1024


class DiscardService(Service):
    """Reads and forgets; `octets` counts. At the end of the stream it closes."""

    name = "discard"

    def __init__(self, port: int = PORT, *, address: str = "", backlog: int = 1024) -> None:
        super().__init__(port, address=address, backlog=backlog)
        self.octets = 0
        self.room = memoryview(bytearray(ROOM))
        """All connections read into the same place: nobody looks at it."""

    def connection(self, sock: StreamSocket) -> Connection:
        return DiscardConnection(self, sock)


class DiscardConnection(Connection):
    __slots__ = ()

    service: DiscardService

    def ready(self, events: int) -> None:
        service = self.service
        if not events & READING:
            return
        sock = self.sock
        room = service.room
        try:
            while True:
                got = sock.recv_into(room)
                if got == 0:
                    self.close()
                    return
                service.octets += got
                if got < ROOM and not sock.readable():  # cheaper than to be told EAGAIN
                    return
        except BlockingIOError:
            return
        except OSError as error:
            self.failed(error)
