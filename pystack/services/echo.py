"""Echo (RFC 862): what comes is sent back; at the end of the stream, what is left, then a close."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pystack.services.base import CHUNK, Connection, Service

if TYPE_CHECKING:
    from pystack.sockets import StreamSocket

PORT = 7


class EchoService(Service):
    """Sends back what it receives. A peer that does not read is not read from either."""

    name = "echo"

    def __init__(self, port: int = PORT, *, address: str = "", backlog: int = 1024) -> None:
        super().__init__(port, address=address, backlog=backlog)
        self.octets = 0

    def connection(self, sock: StreamSocket) -> Connection:
        return EchoConnection(self, sock)


class EchoConnection(Connection):
    __slots__ = ("rest",)

    service: EchoService

    def __init__(self, service: EchoService, sock: StreamSocket) -> None:
        super().__init__(service, sock)
        self.rest: bytes | memoryview = b""
        """Received, and not yet taken for sending: while there is some, nothing more is read."""

    def ready(self, events: int) -> None:
        service = self.service
        sock = self.sock
        try:
            while True:
                data = self.rest or sock.recv(CHUNK)
                if not data:
                    self.close()
                    return
                self.rest = data
                sent = sock.send(data)
                service.octets += sent
                if sent < len(data):
                    self.rest = memoryview(data)[sent:]
                    continue  # asks again, and so is told when there is room
                self.rest = b""
                if len(data) < CHUNK and not sock.readable():  # cheaper than to be told EAGAIN
                    return
        except BlockingIOError:
            return  # there will be an event
        except OSError as error:
            self.failed(error)
