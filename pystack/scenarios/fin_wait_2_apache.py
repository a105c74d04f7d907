"""Connections in FIN_WAIT_2 on a web server (seed 003): browsers that never close, and systems that wait for them.

An Apache of 1998 keeps idle connections for 15 seconds and closes them. The browsers acknowledge, and leave it at that.
What stays is in the hands of the server's system: minutes on most, until the next boot on SunOS 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pystack._fast.consts import SECOND
from pystack.link import Link
from pystack.network import Network
from pystack.services import HttpService
from pystack.traffic import Browser
from pystack.units import parse_time

SYSTEMS = (
    "sunos-4",
    "solaris-2",
    "hp-ux",
    "irix",
    "bsd-os",
    "ncr-mp-ras",
    "ptx",
    "windows",
    "freebsd-4",
    "freebsd-10",
    "freebsd-14",
    "linux-2.6",
    "linux-6",
)
"""The table of the report, and what came after it."""


@dataclass(frozen=True)
class Cure:
    """What an administrator may do about it."""

    words: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the web server."""
    sysctl: Mapping[str, object] = field(default_factory=dict)
    systems: str = ""
    """Profiles for which it is, by the beginning of their names; "" for all."""


CURES = {
    "keepalive off": Cure("KeepAlive Off", options={"keepalive": "off"}),
    "recycle": Cure(
        "net.inet.tcp.fast_finwait2_recycle=1, finwait2_timeout=15000",
        sysctl={
            "net.inet.tcp.fast_finwait2_recycle": 1,
            "net.inet.tcp.finwait2_timeout": 15000,
        },
        systems="freebsd-1",
    ),
    "fin timeout": Cure(
        "net.ipv4.tcp_fin_timeout=15", sysctl={"net.ipv4.tcp_fin_timeout": 15}, systems="linux"
    ),
}
"""Each by a short name."""


@dataclass
class Result:
    """What happened to one server. Times in ns of virtual time."""

    profile: str
    visitors: int
    served: int = 0
    """Visitors that had their page."""
    most: int = 0
    """Connections in FIN_WAIT_2 at the same time."""
    last_visit: int = 0
    """When the last visitor had come."""
    gone: int | None = None
    """When the last connection was gone; None: they were still there at the end."""
    left: int = 0
    """Connections of the server at the end."""
    samples: list[tuple[int, int]] = field(default_factory=list)
    """(time, connections in FIN_WAIT_2), each five seconds."""
    trace_hash: str = ""


def run(
    profile: str,
    *,
    visitors: int = 4000,
    within: int | str = "60s",
    watched: int | str = "1h",
    ending: str = "never",
    vanishing: float = 0.0,
    seed: int = 1,
    options: Mapping[str, Any] | None = None,
    sysctl: Mapping[str, object] | None = None,
) -> Result:
    """`visitors` come `within` this time, fetch a page each, and their browsers end as `ending` says (see `Browser`).
    This share of them is `vanishing`: callers who hang up half a minute after they came, without closing anything.

    The server, `profile` with `sysctl`, is an Apache 1.3 with `options`; it is watched so long after the last visit.
    """
    result = Result(profile, visitors)
    net = Network(seed=seed, record=False)
    web = net.host("web", "192.0.2.1/24", profile=profile, sysctl=sysctl)
    people = net.host("people", "192.0.2.2/24", profile="windows", sysctl=_many_ports())
    link = net.link(web, people, delay="50ms")
    # as many children as it takes: what they wait for is not the question here
    service = HttpService(80, like="apache-1.3", **{"worker_connections": "off", **(options or {})})
    service.start(web)
    time = parse_time(within, "within")
    browsers = []
    hangs_up = round(visitors * vanishing)
    for number in range(visitors):
        browser = Browser(people, ("192.0.2.1", 80), ["/bytes/4000"], ending=ending)
        comes = time * number // visitors
        people.call_later(comes, browser.start)
        if number < hangs_up:
            people.call_later(comes + 30 * SECOND, _hang_up, browser, link)
        browsers.append(browser)
    result.last_visit = net.now + time
    end = result.last_visit + parse_time(watched, "watched")
    while net.now < end:
        net.run(for_=min(5 * SECOND, end - net.now))
        states = web.tcp_states()
        waiting = states["FIN_WAIT_2"]
        result.samples.append((net.now, waiting))
        result.most = max(result.most, waiting)
        alive = states.total() - states["LISTEN"]
        if net.now > result.last_visit and not alive and result.gone is None:
            result.gone = net.now
    result.left = alive
    result.served = sum(browser.answers == [(200, 4000)] for browser in browsers)
    result.trace_hash = net.trace_hash()
    return result


def cured(profile: str, cure: str, **how: Any) -> Result:
    """The same with a cure of `CURES`. Raises ValueError for one that this system does not have."""
    chosen = CURES[cure]
    if not profile.startswith(chosen.systems):
        raise ValueError(f"{chosen.words} is not for {profile}")
    return run(profile, options=chosen.options, sysctl=chosen.sysctl, **how)


def _hang_up(browser: Browser, link: Link) -> None:
    """The line is gone, if the connection is still there."""
    if not browser.sock.closed:
        link.cut(browser.sock.getsockname())


def _many_ports() -> dict[str, object]:
    """One machine stands for all the visitors: it may use every port."""
    return {"net.inet.ip.portrange.first": 1024, "net.inet.ip.portrange.last": 65535}
