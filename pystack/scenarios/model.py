"""What a scenario is: the tables of its TOML file, each as a model that refuses what it does not know.

    title = "…"                  [hosts.web]  [links.lan]  [services.apache]  [traffic.visitors]
    lasting = "15min"            [faults.outage]  [cures.recycle]  [watch]

Every table has a name of its own, so that a setting (`pystack.scenarios.settings`) can point at it. Times are ns here
and "5s" in the file, sizes octets and "64KiB".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from pystack import units
from pystack._fast.consts import STATE_NAMES
from pystack.services.http_habits import choose
from pystack.traffic.browser import ENDINGS
from pystack.traffic.load import ARRIVALS


def _time(value: Any) -> int:
    return units.parse_time(value)


def _span(value: Any) -> int:
    time = units.parse_time(value)
    if not time:
        raise ValueError("this is no time at all")
    return time


def end_of(value: str) -> tuple[str, int]:
    """(host, port) of HOST:PORT. Raises ValueError."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{value!r} is no HOST:PORT such as 'web:80'")
    return host, int(port)


def _end(value: str) -> str:
    end_of(value)
    return value


def _one_of(*words: str) -> Any:
    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is none of {', '.join(words)}")
        return value

    return AfterValidator(check)


def _share(value: Any) -> float:
    return units.parse_probability(value, "share")


Time = Annotated[int, BeforeValidator(_time)]
Span = Annotated[int, BeforeValidator(_span)]
Share = Annotated[float, BeforeValidator(_share)]
End = Annotated[str, AfterValidator(_end)]
Rate = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
Value = bool | int | str
"""Of a knob."""


class Table(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HostTable(Table):
    """A machine, or `machines` alike with the addresses that follow."""

    profile: str
    address: str | list[str]
    machines: Count = 1
    ram: str | None = None
    forwarding: bool = False
    gateway: str | None = None
    """Where everything else goes."""
    sysctl: dict[str, Value] = {}
    policy: dict[str, str] = {}
    ipfw: str = ""
    """Commands of ipfw, one a line."""
    iptables: str = ""
    """Commands of iptables, one a line."""
    track: bool = False
    """conntrack runs without a rule that needs it, as where its module was loaded."""

    @property
    def addresses(self) -> list[str]:
        """Its own, or those of the first of several."""
        return [self.address] if isinstance(self.address, str) else self.address


class LinkTable(Table):
    """A cable; where a table of hosts is `machines`, one to each."""

    between: Annotated[list[str], Field(min_length=2, max_length=2)]
    delay: Time = 0
    jitter: Time = 0
    bandwidth: str | int = 0
    queue: int | str | None = None
    loss: float | str = 0.0
    reorder: float | str = 0.0
    duplicate: float | str = 0.0
    corrupt: float | str = 0.0

    def settings(self) -> dict[str, Any]:
        """Those of `Network.link`."""
        return self.model_dump(exclude={"between"})


class ServiceTable(Table):
    """A program that listens. `http` is like a server of `HABITS`, with options; `proxy` hands on to `backends`."""

    host: str
    kind: Annotated[str, _one_of("http", "echo", "discard", "chargen", "proxy")] = "http"
    port: Port = 80
    like: str | None = None
    options: dict[str, Any] = {}
    backends: list[End] = []

    def model_post_init(self, _: Any) -> None:
        """Habits are those of web servers, backends those of proxies."""
        if self.kind == "http":
            choose(self.like or "pystack", self.options)
        elif self.like is not None or (self.options and self.kind != "proxy"):
            raise ValueError(f"like and options are for http, this is {self.kind}")
        if (self.kind == "proxy") != bool(self.backends):
            raise ValueError("a proxy has backends, and nobody else has")


class TrafficTable(Table):
    """Who comes, in which process, and what they do.

    `rate` a second (open: whatever becomes of them) at `arrivals` "random" or "even", or so many `clients` at once,
    each coming again `think` after its end (closed). From `begin` on, to `end` or until `visits` have come.
    """

    kind: Annotated[str, _one_of("browsers", "readers", "posters", "residents", "shell", "flood")]
    source: str = Field(alias="from")
    to: End
    rate: Rate | None = None
    arrivals: Annotated[str, _one_of(*ARRIVALS)] = "random"
    clients: Count | None = None
    visits: Count | None = None
    begin: Time = 0
    end: Time | None = None
    timeout: Span = 30_000_000_000
    """Who has no answer by then gives up; of a shell, how long a line may take."""
    think: Time = 0
    paths: list[str] = ["/bytes/100"]
    ending: Annotated[str, _one_of(*ENDINGS)] = "asks"
    hangs_up: Time | None = None
    """Their line is gone so long after they came, if the connection is still there."""
    reads: Annotated[int, Field(ge=0)] = 0
    """Octets a second that a reader takes."""
    octets: int | str = "600kB"
    """Of a body that is posted."""
    insists: bool = False
    """Posters read what has come though they cannot write any more."""
    again: Span = 1_000_000_000
    """Residents keep their connection. Who loses it comes back so much later,"""
    spread: Time = 0
    """and up to so much more, by chance."""
    sources: str = "10.0.0.0/8"
    """Of a flood."""
    chains: Annotated[int, Field(ge=0)] = 0
    """A flood of flows that all fall into one chain of so many, where conntrack hashes without a key (Linux 2.4)."""
    every: Span = 5_000_000_000
    """A shell's line."""

    def model_post_init(self, _: Any) -> None:
        """An arrival process is one."""
        needs = self.kind not in ("shell",)
        if needs and (self.rate is None) == (self.clients is None):
            raise ValueError("give rate (open loop) or clients (closed loop)")
        if self.kind == "flood" and self.rate is None:
            raise ValueError("a flood has a rate")
        if self.kind == "residents" and self.clients is None:
            raise ValueError("residents are so many clients")


def _possible(value: str) -> str:
    if value in ("pause", "clock-jump"):
        raise ValueError(
            f"there is no {value}: all machines have the clock of their world, and it cannot stop or jump"
        )
    return value


class FaultTable(Table):
    """What goes wrong, `at` a time or `when` a limit of the watched machine is so full; `lasting`, then it ends.

    No `pause` and no `clock-jump`: timers of all machines are those of the world they are in.
    """

    kind: Annotated[
        str,
        AfterValidator(_possible),
        _one_of("partition", "loss", "kill", "forget", "command"),
    ]
    at: Time | None = None
    when: Share | None = None
    lasting: Span | None = None
    link: str | None = None
    loss: float | str = 0.0
    host: str | None = None
    service: str | None = None
    command: str = ""
    """A line for the host's shell: sysctl NAME=VALUE, ipfw …, iptables …, conntrack …."""

    def model_post_init(self, _: Any) -> None:
        """Each kind needs its object."""
        if (self.at is None) == (self.when is None):
            raise ValueError("give at (a time) or when (how full the limit is)")
        needs = {
            "partition": ("link",),
            "loss": ("link", "loss"),
            "kill": ("service",),
            "forget": ("host",),
            "command": ("host", "command"),
        }[self.kind]
        for name in needs:
            if not getattr(self, name):
                raise ValueError(f"{self.kind} needs {name}")
        if self.lasting is not None and self.kind not in ("partition", "loss", "kill"):
            raise ValueError(f"{self.kind} does not last")


class WatchTable(Table):
    """The question: which machine, which of its limits the story is about, and whose failures count."""

    host: str
    limit: str
    """The beginning of its name in `pystack limits`."""
    symptom: Annotated[str, _one_of("failures", "chain", *STATE_NAMES)] = "failures"
    """What is wrong: clients that fail; entries that a look-up in the hash of that limit passes; or connections of the
    watched machine that are in a state at the end.
    """
    clients: list[str] = []
    """Tables of traffic whose success is the verdict; none given: all."""
    views: list[str] = []
    """Commands of the host's shell whose output at the worst moment belongs to the report."""


class CureTable(Table):
    """What people do about it: settings, as of `pystack run --set`, and whether it helps."""

    words: str
    set: Annotated[list[str], Field(min_length=1)]
    helps: bool = True
    """False: folklore. Tests hold the run to it."""
    costs: str = ""
    """What it costs, or why it does not help."""


class Scenario(Table):
    """The whole file."""

    title: str
    about: str = ""
    source: str = ""
    lasting: Span
    sample: Span = 1_000_000_000
    seed: int = 1
    hosts: dict[str, HostTable]
    links: dict[str, LinkTable] = {}
    services: dict[str, ServiceTable] = {}
    traffic: dict[str, TrafficTable] = {}
    faults: dict[str, FaultTable] = {}
    watch: WatchTable
    cures: dict[str, CureTable] = {}
    kind: Literal["scenario"] = "scenario"
