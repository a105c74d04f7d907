"""Who comes: each kind of traffic is a table of the file with what it needs, and makes the traffic of a run.

Whatever the kind, it is read the same way (`Traffic.tally`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Discriminator, Field, Tag

from pystack.scenarios.fields import (
    TAG,
    Count,
    End,
    Number,
    Rate,
    Span,
    Table,
    Time,
    kind_of,
    one_of,
)
from pystack.traffic import (
    AimedFlooder,
    Browser,
    Client,
    ClosedLoad,
    OpenLoad,
    Poster,
    Residents,
    Shell,
    SlowReader,
    SynFlooder,
    Tally,
)
from pystack.traffic.browser import ENDINGS
from pystack.traffic.load import ARRIVALS

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.scenarios.world import World

SECOND = 1_000_000_000
Address = tuple[str, int]


class Traffic(Protocol):
    """What all of them are to a run."""

    def start(self) -> None:
        """From now on."""

    def stop(self) -> None:
        """Nobody comes any more."""

    def tally(self) -> Tally:
        """How it stands."""


class TrafficTable(Table):
    """What all kinds have: where they come `from`, where `to`, when they `begin`."""

    source: str = Field(alias="from")
    to: End
    begin: Time = 0
    end: Time | None = None
    """Nobody comes any more from then on; those who are there stay."""

    asks: ClassVar[bool] = True
    """Do they want an answer, so that their success is a verdict?"""

    @abstractmethod
    def make(self, world: World, seed: int) -> Traffic:
        """That of a run, not started."""


class LoadTable(TrafficTable):
    """Clients that come and go: `rate` a second (open: whatever becomes of them) at `arrivals` "random" or "even", or
    so many `clients` at once, each coming again `think` after its end (closed); until `visits` have come.
    """

    rate: Rate | None = None
    arrivals: Annotated[str, one_of(*ARRIVALS)] = "random"
    clients: Count | None = None
    visits: Count | None = None
    timeout: Span | None = 30 * SECOND
    """Who has no answer by then gives up."""
    think: Time = 0
    hangs_up: Time | None = None
    """Their line is gone so long after they came, if the connection is still there."""

    def model_post_init(self, _: Any) -> None:
        """An arrival process is one."""
        if (self.rate is None) == (self.clients is None):
            raise ValueError("give rate (open loop) or clients (closed loop)")

    @abstractmethod
    def client(self, server: Address, host: Host, over: Callable[[Any], object]) -> Client:
        """One of them on this machine, which calls this at its end."""

    def make(self, world: World, seed: int) -> OpenLoad | ClosedLoad:
        server = world.address(self.to)
        hosts = world.hosts[self.source]
        one: Callable[..., Client] = partial(self.client, server)
        if self.hangs_up is not None:
            one = self._hanging_up(one, world)
        how: dict[str, Any] = {"make": one, "visits": self.visits, "timeout": self.timeout}
        if self.rate is not None:
            return OpenLoad(hosts, server, rate=self.rate, arrivals=self.arrivals, seed=seed, **how)
        return ClosedLoad(hosts, server, clients=self.clients or 1, think=self.think, **how)

    def _hanging_up(self, one: Callable[..., Client], world: World) -> Callable[..., Client]:
        """Clients whose line is gone some time after they came, if the connection is still there."""
        links = world.links_of(self.source)

        def cut(client: Client) -> None:
            if not client.sock.closed:
                for link in links:
                    link.cut(client.sock.getsockname())

        def made(host: Host, over: Callable[[Any], object]) -> Client:
            client = one(host, over)
            host.call_later(self.hangs_up or 0, cut, client)
            return client

        return made


class BrowsersTable(LoadTable):
    """People who fetch `paths` one after the other, and leave in the way of their browser."""

    kind: Literal["browsers"]
    paths: Annotated[list[str], Field(min_length=1)] = ["/bytes/100"]
    ending: Annotated[str, one_of(*ENDINGS)] = "asks"

    def client(self, server: Address, host: Host, over: Callable[[Any], object]) -> Client:
        think = self.think if self.rate is not None else 0
        return Browser(host, server, self.paths, think=think, ending=self.ending, on_done=over)


class ReadersTable(LoadTable):
    """Who asks for much and reads `reads` octets a second of it, 0 never. They are patient."""

    kind: Literal["readers"]
    timeout: Span | None = None
    paths: Annotated[list[str], Field(min_length=1, max_length=1)]
    reads: Number = 0

    def client(self, server: Address, host: Host, over: Callable[[Any], object]) -> Client:
        return SlowReader(host, server, self.paths[0], rate=self.reads, on_done=over)


class PostersTable(LoadTable):
    """Who sends a body of `octets`. `insists`: they read what has come though they cannot write any more."""

    kind: Literal["posters"]
    paths: Annotated[list[str], Field(min_length=1, max_length=1)] = ["/bytes/100"]
    octets: int | str = "600kB"
    insists: bool = False

    def client(self, server: Address, host: Host, over: Callable[[Any], object]) -> Client:
        octets, insists = self.octets, self.insists
        return Poster(host, server, self.paths[0], octets=octets, insists=insists, on_done=over)


class ResidentsTable(TrafficTable):
    """So many `clients` that keep their connection, and ask again `think` after each answer."""

    kind: Literal["residents"]
    clients: Count
    think: Span = 10 * SECOND
    timeout: Span = 30 * SECOND
    """Who has no answer by then gives up."""
    paths: Annotated[list[str], Field(min_length=1, max_length=1)] = ["/bytes/100"]
    again: Span = SECOND
    """Who loses it comes back so much later,"""
    spread: Time = 0
    """and up to so much more, by chance."""

    def make(self, world: World, seed: int) -> Residents:
        return Residents(
            world.hosts[self.source],
            world.address(self.to),
            clients=self.clients,
            think=self.think,
            again=self.again,
            spread=self.spread,
            seed=seed,
            path=self.paths[0],
            timeout=self.timeout,
        )


class ShellTable(TrafficTable):
    """The administrator: a line `every` so often, which is late after `timeout`."""

    kind: Literal["shell"]
    every: Span = 5 * SECOND
    timeout: Span = 30 * SECOND

    def make(self, world: World, seed: int) -> Shell:
        host = world.hosts[self.source][0]
        return Shell(host, world.address(self.to), every=self.every, timeout=self.timeout)


class FloodTable(TrafficTable):
    """SYNs from a bare end, `rate` a second, from `sources` that do not answer."""

    kind: Literal["flood"]
    rate: Annotated[float, Field(ge=1)]
    sources: str = "10.0.0.0/8"
    chains: Number = 0
    """All of them fall into one chain of so many, where conntrack hashes without a key (Linux 2.4)."""

    asks: ClassVar[bool] = False

    def make(self, world: World, seed: int) -> SynFlooder:
        flooder: Callable[..., SynFlooder] = SynFlooder
        if self.chains:
            flooder = partial(AimedFlooder, chain=self.chains // 2, chains=self.chains)
        tap, server = world.taps[self.source], world.address(self.to)
        how: dict[str, Any] = {"rate": round(self.rate), "sources": self.sources}
        return flooder(world.net, tap, server, seed=seed, **how)


AnyTraffic = Annotated[
    Annotated[BrowsersTable, Tag(f"{TAG}browsers")]
    | Annotated[ReadersTable, Tag(f"{TAG}readers")]
    | Annotated[PostersTable, Tag(f"{TAG}posters")]
    | Annotated[ResidentsTable, Tag(f"{TAG}residents")]
    | Annotated[ShellTable, Tag(f"{TAG}shell")]
    | Annotated[FloodTable, Tag(f"{TAG}flood")],
    Discriminator(kind_of),
]
"""One of them, by its `kind`."""
