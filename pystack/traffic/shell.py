"""The administrator's shell: one connection that stays, a line now and then, and whether it comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from pystack.traffic.client import CHUNK, Client
from pystack.traffic.latency import Latencies
from pystack.traffic.tally import Tally
from pystack.units import parse_time

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.sockets import Address

LINE = b"uptime\n"


class Shell(Client):
    """Sends a line `every` so often to a server that echoes. `latencies` are of those that came back.

    `sent` counts lines, `late` those without an echo within `timeout`, or until the next one. It is done with an
    `error` when the connection ends.
    """

    def __init__(
        self,
        host: Host,
        server: Address,
        *,
        every: int | str = "5s",
        timeout: int | str = "3s",
        on_done: Callable[[Self], object] | None = None,
    ) -> None:
        super().__init__(host, server, on_done=on_done)
        self.every = parse_time(every, "every")
        self.limit = parse_time(timeout, "timeout")
        self.latencies = Latencies()
        self.sent = 0
        self._asked = 0
        self._left = 0

    @property
    def late(self) -> int:
        """Lines whose echo did not come in time; one that is under way is not late yet."""
        waits = 1 if self._left and not self.done else 0
        if waits and self.host.now - self._asked > self.limit:
            waits = 0
        return self.sent - len(self.latencies) - waits

    def tally(self) -> Tally:
        """How it stands: lines, those that came back in time, those that did not and the connection if it ended."""
        failed = self.late + (self.error is not None)
        errors = {self.error or "no echo": failed} if failed else {}
        return Tally(self.sent, len(self.latencies), failed, errors, self.latencies)

    def stop(self) -> None:
        """The administrator logs out."""
        if not self.done:
            self.end(None)

    def connected(self) -> None:
        self._type()

    def _type(self) -> None:
        if not self.done:
            self.host.call_later(self.every, self.guarded, self._type)
            if not self._left:
                self._asked, self._left = self.host.now, len(LINE)
                self.sock.sendall(LINE)
            self.sent += 1

    def readable(self) -> None:
        while not self.done:
            data = self.sock.recv(CHUNK)
            if not data:
                self.end("the server closed")
                return
            self._left -= len(data)
            took = self.host.now - self._asked
            if not self._left and took <= self.limit:
                self.latencies.add(took)
