"""A load balancer without local ports (seeds 002 and 004): short connections, TIME_WAIT on the side that closes first.

A balancer opens a connection to its web server for each request. When it closes first, each leaves a port in TIME_WAIT
for a minute, so a range of N ports is good for N connections a minute from one address to one server. When the web
server closes first, the ports are free at once, and come round to a server that still has them in TIME_WAIT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pystack._fast.consts import SECOND
from pystack.network import Network
from pystack.services import HttpService
from pystack.traffic import OpenLoad
from pystack.units import parse_time

BALANCER, WEB = "balancer", "web"


@dataclass
class Result:
    """What happened. Times in ns of virtual time."""

    profile: str
    addresses: int
    ports: int
    """Local ports of each address."""
    rate: float
    """Connections a second."""
    started: int = 0
    answered: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    """Connections that failed, by the name of their errno."""
    first_failure: int | None = None
    waiting: dict[str, int] = field(default_factory=dict)
    """The most that each side had in TIME_WAIT."""
    reused: int = 0
    """SYNs that the web server took for a connection that it had in TIME_WAIT."""
    slowest: int = 0
    """Of the answers."""

    @property
    def failed(self) -> int:
        """How many connections could not be made."""
        return sum(self.errors.values())


def run(
    profile: str = "linux-6",
    *,
    rate: float = 100,
    lasting: int | str = "90s",
    ports: tuple[int, int] = (40000, 42999),
    addresses: int = 1,
    closes: str = BALANCER,
    seed: int = 1,
    sysctl: Mapping[str, object] | None = None,
) -> Result:
    """`rate` connections a second for so long, from a balancer of `profile` (with `sysctl`) with this range of ports.

    `addresses`: how many the balancer has; each has all the ports. `closes`: who closes first, "balancer" or "web". The
    web server is a Linux 6. Raises ValueError for what cannot be.
    """
    if closes not in (BALANCER, WEB):
        raise ValueError(f"closes {closes!r} is neither {BALANCER} nor {WEB}")
    first, last = ports
    result = Result(profile, addresses, last - first + 1, rate)
    net = Network(seed=seed, record=False)
    web = net.host("web", "192.0.2.1/24", profile="linux-6")
    balancers = []
    for number in range(addresses):
        # one machine for each address stands for one machine with all of them
        host = net.host(f"balancer{number}", f"192.0.2.{10 + number}/24", profile=profile)
        _set_range(host.sysctl, first, last)
        for name, value in (sysctl or {}).items():
            host.sysctl[name] = value
        net.link(web, host, delay="500us")
        balancers.append(host)
    HttpService(80).start(web)
    ending = "closes" if closes == BALANCER else "asks"
    load = OpenLoad(balancers, ("192.0.2.1", 80), rate=rate, arrivals="even", ending=ending)
    load.start()
    end = parse_time(lasting, "lasting")
    most = {BALANCER: 0, WEB: 0}
    while net.now < end:
        net.run(for_=min(SECOND, end - net.now))
        waiting = sum(host.tcp_states()["TIME_WAIT"] for host in balancers)
        most[BALANCER] = max(most[BALANCER], waiting)
        most[WEB] = max(most[WEB], web.tcp_states()["TIME_WAIT"])
        if load.failed and result.first_failure is None:
            result.first_failure = net.now
    load.stop()
    net.run(for_="60s")
    result.started = load.started
    result.answered = len(load.latencies)
    result.errors = dict(load.errors)
    result.waiting = most
    result.reused = web.stats["tw_reused"]
    result.slowest = load.latencies.percentile(100)
    return result


def _set_range(knobs: Any, first: int, last: int) -> None:
    """The range of local ports, by the name of the system."""
    if "net.ipv4.ip_local_port_range" in knobs:
        knobs["net.ipv4.ip_local_port_range"] = f"{first} {last}"
    else:
        knobs["net.inet.ip.portrange.last"] = last
        knobs["net.inet.ip.portrange.first"] = first
