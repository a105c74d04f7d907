"""Load of short connections: connect, one request, its answer, the end. With a closed loop, or with an open one.

In a closed loop each of N clients waits for its answer before it asks again, so a server that stops is asked less, and
one long wait stands for all that would have been. In an open loop requests come when they come; what each has to wait
counts from the moment when it was due, not from when the load got round to it, which hides the same thing
("coordinated omission").
"""

from __future__ import annotations

import errno
import random
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import SECOND
from pystack.traffic.browser import Browser
from pystack.traffic.client import Client
from pystack.traffic.latency import Latencies
from pystack.traffic.tally import Tally
from pystack.units import parse_time

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.sockets import Address

ARRIVALS = ("random", "even")
Make = Callable[["Host", Callable[[Any], object]], Client]
"""A client on this machine that calls this at its end."""


class Load(ABC):
    """What both loops have. Connections come from `hosts` in turn and fetch `path` from `server`.

    `ending` as for `Browser`: "asks" leaves TIME_WAIT to the server, "closes" to the hosts. `make`: clients of another
    kind, which need no path. Who has no answer within `timeout` gives up (None: never). `visits`: so many and no more.
    `latencies`: from when an answer was due to be asked for until it was whole; `errors` by the name of the errno, or
    in words; `started`, `in_flight` and the most that were at once.
    """

    def __init__(
        self,
        hosts: Host | Sequence[Host],
        server: Address,
        *,
        path: str = "/bytes/100",
        ending: str = "asks",
        timeout: int | str | None = "30s",
        make: Make | None = None,
        visits: int | None = None,
    ) -> None:
        self.hosts = list(hosts) if isinstance(hosts, Sequence) else [hosts]
        if not self.hosts:
            raise ValueError("load comes from at least one host")
        if ending not in ("asks", "closes"):
            raise ValueError(f"ending {ending!r}: a short connection asks or closes")
        self.server = server
        self.path = path
        self.ending = ending
        self.timeout = None if timeout is None else parse_time(timeout, "timeout")
        self.make = make or self._browser
        self.visits = visits
        self.latencies = Latencies()
        self.errors: Counter[str] = Counter()
        self.started = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.running = False
        self._turn = cycle(self.hosts)
        self._world = self.hosts[0]

    def stop(self) -> None:
        """Begin no more; those in flight go on."""
        self.running = False

    @property
    def failed(self) -> int:
        """How many had no answer."""
        return sum(self.errors.values())

    def tally(self) -> Tally:
        """How it stands."""
        answered = len(self.latencies)
        ends = dict(self.errors), self.latencies, self.in_flight
        return Tally(self.started, answered, self.failed, *ends)

    def _browser(self, host: Host, over: Callable[[Any], object]) -> Client:
        return Browser(host, self.server, [self.path], ending=self.ending, on_done=over)

    def _fetch(self, due: int) -> None:
        """One connection, which was due then."""
        host = next(self._turn)
        client = self.make(host, partial(self._over, due))
        self.started += 1
        if self.started == self.visits:
            self.stop()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        client.start()
        if not client.done and self.timeout is not None:
            patience = (self.timeout, client.end, "no answer in time", errno.ETIMEDOUT)
            client.patience = host.call_later(*patience)

    def _over(self, due: int, client: Client) -> None:
        self.in_flight -= 1
        if client.patience is not None:
            client.patience.cancel()
        if client.error is None:
            self.latencies.add(self._world.now - due)
        else:
            self.errors[errno.errorcode.get(client.errno, client.error)] += 1
        self.next()

    @abstractmethod
    def next(self) -> None:
        """One has ended."""


class ClosedLoad(Load):
    """`clients` at once, each asking again `think` after its answer or its failure."""

    def __init__(
        self,
        hosts: Host | Sequence[Host],
        server: Address,
        *,
        clients: int,
        think: int | str = 0,
        **how: Any,
    ) -> None:
        super().__init__(hosts, server, **how)
        if clients < 1:
            raise ValueError(f"{clients} clients are none")
        self.clients = clients
        self.think = parse_time(think, "think")

    def start(self) -> None:
        """From now on, until `stop`."""
        self.running = True
        for _ in range(self.clients):
            self._again()

    def next(self) -> None:
        self._world.call_later(self.think, self._again)

    def _again(self) -> None:
        if self.running:
            self._fetch(self._world.now)


class OpenLoad(Load):
    """`rate` connections a second, whatever becomes of them: at moments drawn from `seed` (a Poisson process), or even.

    `most`: how many the load can have at once, as a real generator's descriptors bound it; what is due beyond that
    waits (`waiting`), and its time runs. None: any number. `delays`: how much later than due each one began.
    """

    def __init__(
        self,
        hosts: Host | Sequence[Host],
        server: Address,
        *,
        rate: float,
        seed: int = 1,
        arrivals: str = "random",
        most: int | None = None,
        **how: Any,
    ) -> None:
        super().__init__(hosts, server, **how)
        if not rate > 0:
            raise ValueError(f"a rate of {rate} a second is no load")
        if arrivals not in ARRIVALS:
            raise ValueError(f"arrivals {arrivals!r} are none of {', '.join(ARRIVALS)}")
        if most is not None and most < 1:
            raise ValueError(f"most={most} lets nobody begin")
        self.rate = rate
        self.arrivals = arrivals
        self.most = most
        self.delays = Latencies()
        self._dice = random.Random(seed)
        self._due = 0
        self._number = 0
        self._begin = 0
        self._waiting: deque[int] = deque()

    @property
    def waiting(self) -> int:
        """How many are due and have not begun."""
        return len(self._waiting)

    def start(self) -> None:
        """From now on, until `stop`."""
        if not self.running:
            self.running = True
            self._begin = self._due = self._world.now
            self._number = 0
            self._plan()

    def _plan(self) -> None:
        """The next one."""
        self._number += 1
        if self.arrivals == "even":
            self._due = self._begin + round(self._number * SECOND / self.rate)
        else:
            self._due += round(self._dice.expovariate(self.rate) * SECOND)
        self._world.call_at(self._due, self._arrive)

    def _arrive(self) -> None:
        if self.running:
            self._waiting.append(self._due)
            self._plan()
            self.next()

    def next(self) -> None:
        while self._waiting and (self.most is None or self.in_flight < self.most):
            due = self._waiting.popleft()
            self.delays.add(self._world.now - due)
            self._fetch(due)
