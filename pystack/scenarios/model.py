"""What a scenario is: the tables of its TOML file, each as a model that refuses what it does not know.

    title = "…"                  [hosts.web]  [links.lan]  [services.apache]  [traffic.visitors]
    lasting = "15min"            [faults.outage]  [cures.recycle]  [watch]

Every table has a name of its own, so that a setting (`pystack.scenarios.settings`) can point at it. Times are ns here
and "5s" in the file, sizes octets and "64KiB".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pystack._fast.consts import STATE_NAMES
from pystack.scenarios.fault_kinds import AnyFault
from pystack.scenarios.fields import Count, End, Port, Span, Table, Time, Value, one_of
from pystack.scenarios.traffic_kinds import AnyTraffic
from pystack.services.http_habits import choose


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
    kind: Annotated[str, one_of("http", "echo", "discard", "chargen", "proxy")] = "http"
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


class WatchTable(Table):
    """The question: which machine, which of its limits the story is about, and whose failures count."""

    host: str
    limit: str
    """The beginning of its name in `pystack limits`."""
    symptom: Annotated[str, one_of("failures", "chain", *STATE_NAMES)] = "failures"
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
    traffic: dict[str, AnyTraffic] = {}
    faults: dict[str, AnyFault] = {}
    watch: WatchTable
    cures: dict[str, CureTable] = {}
    kind: Literal["scenario"] = "scenario"
