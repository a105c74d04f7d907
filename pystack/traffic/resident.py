"""Clients that stay: each keeps its connection, asks now and then, and comes back when it is lost."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import httptools

from pystack._fast.consts import SECOND
from pystack.traffic.client import CHUNK, Client, request
from pystack.traffic.load import Load
from pystack.units import parse_time

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.sockets import Address


class Resident(Client):
    """Fetches the same path again `think` after each answer, over one connection, until that ends; `error` says how.

    `on_answer(asked)` is called for each answer with the time when it was due to be asked for. `waits`: is there
    something that it was not answered?
    """

    def __init__(
        self,
        host: Host,
        server: Address,
        path: str,
        *,
        think: int,
        timeout: int = 30 * SECOND,
        on_answer: Callable[[int], object],
        on_done: Callable[[Any], object],
    ) -> None:
        super().__init__(host, server, on_done=on_done)
        self.think = think
        self.timeout = timeout
        self.waits = True
        self.on_answer = on_answer
        self._due = host.now
        self._request = request(path, server)
        self._parser = httptools.HttpResponseParser(self)

    def connected(self) -> None:
        self.sock.sendall(self._request)

    def _again(self) -> None:
        self._due, self.waits = self.host.now, True
        late = (self.timeout, self.end, "no answer in time", errno.ETIMEDOUT)
        self.patience = self.host.call_later(*late)
        self.sock.sendall(self._request)

    def readable(self) -> None:
        while not self.done:
            data = self.sock.recv(CHUNK)
            if not data:
                self.end("the server closed", errno.ECONNRESET)
                return
            self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.waits = False
        if self.patience is not None:
            self.patience.cancel()
        self.on_answer(self._due)
        self.host.call_later(self.think, self.guarded, self._again)


class Residents(Load):
    """`clients` that stay, the first at once and the last after `think`. Who loses the connection, or has no answer
    within `timeout`, comes back `again` later and up to `spread` more, drawn from `seed`.

    Answers count, and so do attempts and requests that ended without one; a connection that is lost while nobody
    waits for an answer is not a failure, but one of `lost`.
    """

    def __init__(
        self,
        hosts: Host | Sequence[Host],
        server: Address,
        *,
        clients: int,
        think: int | str = "10s",
        again: int | str = "1s",
        spread: int | str = 0,
        seed: int = 1,
        **how: Any,
    ) -> None:
        super().__init__(hosts, server, make=self._resident, **how)
        if clients < 1:
            raise ValueError(f"{clients} clients are none")
        self.clients = clients
        self.think = parse_time(think, "think")
        self.again = parse_time(again, "again")
        self.spread = parse_time(spread, "spread")
        self.lost = 0
        self._dice = random.Random(seed)

    def _resident(self, host: Host, over: Callable[[Any], object]) -> Client:
        how: dict[str, Any] = {"on_answer": self._answered, "on_done": over}
        if self.timeout is not None:
            how["timeout"] = self.timeout
        return Resident(host, self.server, self.path, think=self.think, **how)

    def _answered(self, due: int) -> None:
        self.latencies.add(self._world.now - due)

    def _over(self, due: int, client: Any) -> None:
        self.in_flight -= 1
        if client.patience is not None:
            client.patience.cancel()
        if client.waits:
            self.errors[errno.errorcode.get(client.errno, client.error)] += 1
        else:
            self.lost += 1
        self.next()

    def start(self) -> None:
        """From now on, until `stop`."""
        self.running = True
        for number in range(self.clients):
            self._world.call_later(self.think * number // self.clients, self._come)

    def next(self) -> None:
        later = self.again + (self._dice.randrange(self.spread) if self.spread else 0)
        self._world.call_later(later, self._come)

    def _come(self) -> None:
        if self.running:
            self._fetch(self._world.now)
