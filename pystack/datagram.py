"""Datagram sockets: UDP, and ICMP echo in the manner of Linux's ping sockets."""

from __future__ import annotations

import socket as std
from typing import TYPE_CHECKING, Any

from pystack import shortage
from pystack._fast.consts import (
    EV_ERROR,
    EV_HANGUP,
    EV_READ,
    PROTO_UDP,
    Err,
)
from pystack._fast.datagrams import (
    datagram_bind,
    datagram_close,
    datagram_connect,
    datagram_readable,
    datagram_receive,
    datagram_send,
    datagram_shutdown,
)
from pystack._fast.endpoint import let_go
from pystack.addresses import dotted
from pystack.errors import error_of, number_of
from pystack.sockets import MSG_DONTWAIT, MSG_PEEK, Address, Buffer, Socket, address_of, octets

if TYPE_CHECKING:
    from pystack._fast.udp import DatagramSocket as Row

_AGAIN = -int(Err.EAGAIN)
_READING = EV_READ | EV_ERROR | EV_HANGUP


class DatagramSocket(Socket):
    """A UDP socket, or with `proto` IPPROTO_ICMP one for echo requests and their replies.

    Messages of an ICMP socket begin with the 8 octets of the ICMP header; identifier and checksum
    are the machine's business, and the port of an address says nothing.
    """

    __slots__ = ()

    type = std.SOCK_DGRAM
    row: Row

    @property
    def proto(self) -> int:
        """IPPROTO_UDP or IPPROTO_ICMP."""
        return int(self.row.proto)

    def __repr__(self) -> str:
        name = "udp4" if self.proto == PROTO_UDP else "icm4"
        if self.closed:
            return f"<{self.host.name}: {name} closed>"
        d = self.row
        local, foreign = (
            f"{dotted(addr) if addr else '*'}.{port or '*'}"
            for addr, port in ((d.laddr, d.lport), (d.faddr, d.fport))
        )
        return f"<{self.host.name}: {name} {d.cc} 0 {local} {foreign}>"

    def bind(self, address: Address) -> None:
        """bind(2). Port 0: the machine chooses one."""
        self._do(datagram_bind(self._host.core, self.row, *address_of(address)))

    def connect(self, address: Address) -> None:
        """connect(2): fixes the peer. ("", 0) ends it."""
        self._do(datagram_connect(self._host.core, self.row, *address_of(address)))

    def connect_ex(self, address: Address) -> int:
        """`connect` with the errno as its answer."""
        return number_of(-datagram_connect(self._host.core, self.row, *address_of(address)))

    def _do(self, answer: int) -> int:
        if answer < 0:
            raise error_of(answer)
        return answer

    def send(self, data: Buffer, flags: int = 0) -> int:
        """Send one datagram to the connected peer."""
        return self._send(octets(data), 0, 0)

    sendall = send

    def sendto(self, data: Buffer, *args: Any) -> int:
        """sendto(data, [flags,] address): send one datagram. Never waits."""
        return self._send(octets(data), *address_of(args[-1]))

    def _send(self, data: Buffer, addr: int, port: int) -> int:
        def send() -> int:
            host = self._host
            host.before(host.core)
            answer: int = datagram_send(host.core, self.row, data, 0, len(data), addr, port)
            host.after(host.core)
            return answer

        answer = send()
        if shortage.denied(self, len(data), answer):
            answer = shortage.sleep_with_datagram(self, len(data), send)
        return self._do(answer)

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Address]:
        """One datagram, cut to `bufsize`, and where it came from."""
        if bufsize < 0:
            raise ValueError("negative buffersize in recvfrom")
        core = self._host.core
        row = self.row
        peek = flags & MSG_PEEK != 0
        self._host.before(core)
        got = datagram_receive(core, row, bufsize, peek)
        if got == _AGAIN:
            deadline = self._deadline()
            while got == _AGAIN:
                if self._timeout == 0 or flags & MSG_DONTWAIT:
                    raise error_of(got)
                self._pause(_READING, deadline)
                got = datagram_receive(core, row, bufsize, peek)
        if isinstance(got, int):
            raise error_of(got)
        data, addr, port, _ = got
        return data, (dotted(addr), port)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """One datagram, cut to `bufsize`."""
        return self.recvfrom(bufsize, flags)[0]

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> int:
        """One datagram into a buffer; how many octets of it."""
        return self.recvfrom_into(buffer, nbytes, flags)[0]

    def recvfrom_into(
        self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0
    ) -> tuple[int, Address]:
        """`recv_into` and where it came from."""
        view = memoryview(buffer).cast("B")
        data, address = self.recvfrom(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data), address

    def getpeername(self) -> Address:
        """The connected peer. Raises OSError (ENOTCONN)."""
        d = self.row
        if not d.faddr:
            raise error_of(Err.ENOTCONN)
        return dotted(d.faddr), d.fport

    def shutdown(self, how: int) -> None:
        """shutdown(2), on a connected socket."""
        self._do(datagram_shutdown(self._host.core, self.row, how))
        self._host.after(self._host.core)

    def close(self) -> None:
        """close(2): what waits is lost."""
        if self.closed:
            return
        row = self._retire()
        let_go(row)
        datagram_close(self.host.core, row)

    def _wake(self, events: int) -> None:
        if events:
            core = self._host.core
            core.wakeup_datagram(self.row, events)
            self._host.after(core)

    def readable(self) -> bool:
        return bool(datagram_readable(self.row) != _AGAIN)

    def writable(self) -> bool:
        return not self.closed
