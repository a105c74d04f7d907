"""From the tables of a scenario to machines, links, services and traffic in a `Network`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Interface
from typing import TYPE_CHECKING

from pystack.host import Host
from pystack.network import Network
from pystack.scenarios.fields import end_of
from pystack.scenarios.model import HostTable, Scenario, ServiceTable
from pystack.scenarios.traffic_kinds import Traffic, TrafficTable
from pystack.services import (
    ChargenService,
    DiscardService,
    EchoService,
    HttpService,
    ProxyService,
    Service,
)
from pystack.tap import Tap
from pystack.views.tools import UsageError, run

if TYPE_CHECKING:
    from pystack.link import Link

BARE = "bare"
"""The profile of a host that is none: an end that sends packets and has no stack."""


class RuleError(ValueError):
    """A rule of a host was refused. `host`, `table` ("ipfw", "iptables") and `line` say where it stands."""

    def __init__(self, host: str, table: str, line: int, text: str) -> None:
        super().__init__(text)
        self.host = host
        self.table = table
        self.line = line


class World:
    """A scenario's machines, not started: `start` lets services listen and visitors come."""

    def __init__(self, scenario: Scenario, seed: int, *, record: bool = False) -> None:
        self.scenario = scenario
        self.seed = seed
        self.net = net = Network(seed=seed, record=record)
        self.hosts: dict[str, list[Host]] = {}
        self.taps: dict[str, Tap] = {}
        for name, table in scenario.hosts.items():
            if table.profile == BARE:
                self.taps[name] = net.tap(table.addresses[0], name)
                self.taps[name].keep = False
            else:
                self.hosts[name] = machines(name, table, net.host)
        self.links: dict[str, list[Link]] = {}
        for name, link in scenario.links.items():
            a, b = (self._ends(end) for end in link.between)
            self.links[name] = [net.link(one, two, **link.settings()) for one in a for two in b]
        for name, table in scenario.hosts.items():
            for host in self.hosts.get(name, ()):
                if table.gateway is not None:
                    host.route("0.0.0.0/0", via=table.gateway)
        self.services: dict[str, list[Service]] = {}
        self.traffic: dict[str, Traffic] = {}
        self.pauses: Counter[tuple[str, str | None]] = Counter()
        """How many faults hold a host or a service: ("host", its name)."""

    def _ends(self, name: str) -> list[Host] | list[Tap]:
        return self.hosts[name] if name in self.hosts else [self.taps[name]]

    @property
    def watched(self) -> Host:
        """The machine that the story is about."""
        return self.hosts[self.scenario.watch.host][0]

    def start(self) -> None:
        """Services listen from now on, and visitors come at their times."""
        for name in self.scenario.services:
            self.serve(name)
        for number, (name, table) in enumerate(self.scenario.traffic.items()):
            self._come(name, table, self.seed * 1000 + number)

    def serve(self, name: str) -> None:
        """A service of the scenario begins, or begins anew, on all machines of its host's table."""
        table = self.scenario.services[name]
        made = self.services[name] = []
        for host in self.hosts[table.host]:
            made.append(service(table, self.address))
            made[-1].alone = True
            made[-1].start(host)

    def address(self, end: str) -> tuple[str, int]:
        """Address and port of HOST:PORT."""
        host, port = end_of(end)
        if host in self.hosts:
            host = self.hosts[host][0].address
        return host, port

    def command(self, host: str, line: str) -> str:
        """What a line of the host's shell prints. Raises UsageError where it fails."""
        tool, *words = line.split()
        done = run(self.hosts[host][0], tool, words)
        if done.status:
            raise UsageError(f"{line}: {done.err.strip()}")
        return done.out

    def _come(self, name: str, table: TrafficTable, seed: int) -> None:
        made = self.traffic[name] = table.make(self, seed)
        self.net.call_later(table.begin, self.once_running, table.source, made.start)
        if table.end is not None:
            self.net.call_at(table.end, made.stop)

    def links_of(self, table: str) -> list[Link]:
        """The links that end at the machines of a table."""
        tables = self.scenario.links
        return [
            link
            for name, links in self.links.items()
            if table in tables[name].between
            for link in links
        ]

    def once_running(self, table: str, call: Callable[..., object], *args: object) -> None:
        """Call now, or when the machines of a table go on that are paused; "" is none."""
        for host in self.hosts.get(table, ()):
            if host.halted:
                host.later(partial(call, *args))
                return
        call(*args)


def machines(name: str, table: HostTable, make: Callable[..., Host]) -> list[Host]:
    """The machine of a table, or all of its `machines`: NAME1, NAME2 … Raises what `Host` raises, and RuleError."""
    made = []
    for number in range(table.machines):
        addresses = [IPv4Interface(each) for each in table.addresses]
        mine = [f"{each.ip + number}/{each.network.prefixlen}" for each in addresses]
        host = make(
            f"{name}{number + 1}" if table.machines > 1 else name,
            mine,
            profile=table.profile,
            ram=table.ram,
            forwarding=table.forwarding,
            sysctl=table.sysctl,
            policy=table.policy,
        )
        if table.ipfw:
            _load(name, "ipfw", table.ipfw, host.ipfw)
        if table.iptables:
            _load(name, "iptables", table.iptables, host.iptables)
        if table.track:
            host.conntrack.track()
        made.append(host)
    return made


def _load(name: str, table: str, text: str, command: Callable[[str], str]) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].strip()
        if words:
            try:
                command(words.removeprefix(f"{table} "))
            except ValueError as error:
                raise RuleError(name, table, number, f"{words}: {error}") from None


def service(table: ServiceTable, address: Callable[[str], tuple[str, int]]) -> Service:
    """The program of a table."""
    if table.kind == "http":
        return HttpService(table.port, like=table.like or "pystack", **table.options)
    if table.kind == "proxy":
        return ProxyService(table.port, [address(end) for end in table.backends], **table.options)
    plain: dict[str, Callable[[int], Service]] = {
        "echo": EchoService,
        "discard": DiscardService,
        "chargen": ChargenService,
    }
    return plain[table.kind](table.port)
