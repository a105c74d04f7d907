"""A web server without mbuf clusters (seed 002): people who ask for much and do not read, and everybody else.

What a server has written and its peer does not take lies in clusters. `readers` who never read hold a send buffer each;
when `kern.ipc.nmbclusters` of them are gone, nothing more can be written to anybody. From FreeBSD 10 on they are pages,
half as many, and `kern.ipc.nmbjumbop` limits them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pystack import profiles
from pystack._fast.consts import SECOND
from pystack._fast.mbuf_zones import CLUSTER, JUMBO_PAGE
from pystack.network import Network
from pystack.services import HttpService
from pystack.traffic import Latencies, OpenLoad, SlowReader
from pystack.units import parse_time


@dataclass(frozen=True)
class Cure:
    """What an administrator may do about it."""

    words: str
    options: Mapping[str, Any] = field(default_factory=dict)
    sysctl: Mapping[str, object] = field(default_factory=dict)


CURES = {
    "small buffers": Cure("listen 80 sndbuf=8k", options={"sndbuf": "8KiB"}),
    "reset": Cure(
        "reset_timedout_connection on; send_timeout 5s",
        options={"reset_timedout_connections": True, "send_timeout": "5s"},
    ),
    "timeout alone": Cure("send_timeout 5s", options={"send_timeout": "5s"}),
    "sendfile": Cure("sendfile on", options={"sendfile": True}),
    "more clusters": Cure("kern.ipc.nmbclusters, four times as many"),
}
"""Each by a short name. The timeout alone does not help: what was written stays until the system gives up."""


@dataclass
class Result:
    """What happened. Times in ns of virtual time."""

    profile: str
    readers: int
    clusters: int
    """kern.ipc.nmbclusters, or twice kern.ipc.nmbjumbop."""
    most: int = 0
    """Clusters in use at the same time."""
    full: int | None = None
    """When the last one was taken; None: never."""
    asleep: int | None = None
    """When the server fell asleep in `zoneli`, from which nothing but a freed cluster wakes it; None: never."""
    refused: int = 0
    """How often the limit refused a request for mbufs, or let it wait."""
    before: Latencies = field(default_factory=Latencies)
    """Everybody else's answers while there were clusters, and from then on; those that came."""
    after: Latencies = field(default_factory=Latencies)
    unanswered: int = 0
    """Everybody else's requests that had none."""
    recovered: bool = False
    """Was somebody else answered again before the readers left?"""
    freed: bool = False
    """And when they had left?"""
    netstat: str = ""
    """`netstat -m` at the end, when the readers were still there."""
    dmesg: list[str] = field(default_factory=list)


def run(
    profile: str = "freebsd-7",
    *,
    readers: int = 200,
    clusters: int = 2048,
    watched: int | str = "60s",
    seed: int = 1,
    options: Mapping[str, Any] | None = None,
    sysctl: Mapping[str, object] | None = None,
) -> Result:
    """Ten `readers` a second come and never read; five requests a second of everybody else go on meanwhile.

    The server, `profile` with `clusters` and `sysctl`, is an nginx with `options`. It is watched for so long after the
    last reader came; then the readers leave.
    """
    result = Result(profile, readers, clusters)
    net = Network(seed=seed, record=False)
    pages = profiles.load(profile).fixed["send_page_clusters"]
    if pages:
        knobs: dict[str, object] = {"kern.ipc.nmbjumbop": clusters // 2}
    else:
        knobs = {"kern.ipc.nmbclusters": clusters}
    knobs |= sysctl or {}
    watched_zone = JUMBO_PAGE if pages else CLUSTER
    web = net.host("web", "192.0.2.1/24", profile=profile, sysctl=knobs)
    slow = net.host("slow", "192.0.2.2/24", profile="linux-6")
    others = net.host("others", "192.0.2.3/24", profile="linux-6")
    for host in (slow, others):
        net.link(web, host, delay="20ms")
    service = HttpService(80, like="nginx", **{"worker_connections": "off", **(options or {})})
    service.start(web)
    server = ("192.0.2.1", 80)
    idle = []
    for number in range(readers):
        reader = SlowReader(slow, server, "/bytes/1000000", rate=0)
        slow.call_later(number * SECOND // 10, reader.start)
        idle.append(reader)
    load = OpenLoad(others, server, rate=5, arrivals="even", path="/bytes/3000", timeout="10s")
    load.start()
    end = readers * SECOND // 10 + parse_time(watched, "watched")
    answered = 0
    while net.now < end:
        net.run(for_=min(SECOND, end - net.now))
        zone = web.core.pool.zones()[watched_zone]
        result.most = max(result.most, zone["high"])
        if result.full is None and zone["hits"]:
            result.full = net.now
        if result.asleep is None and service.worker.asleep:
            result.asleep = net.now
        fresh = list(load.latencies)[answered:]
        answered += len(fresh)
        for time in fresh:
            (result.before if result.full is None else result.after).add(time)
        if result.full is not None and net.now > result.full + 15 * SECOND and fresh:
            result.recovered = True
    result.unanswered = load.failed
    result.refused = web.core.pool.zones()[watched_zone]["hits"]
    result.netstat = web.netstat("-m")
    result.dmesg = web.dmesg()
    for reader in idle:
        if hasattr(reader, "sock"):
            reader.end("it left")
    net.run(for_="15s")
    before = len(load.latencies)
    net.run(for_="5s")
    result.freed = len(load.latencies) > before
    load.stop()
    return result


def cured(cure: str, *, clusters: int = 2048, **how: Any) -> Result:
    """The same with a cure of `CURES`."""
    chosen = CURES[cure]
    if cure == "more clusters":
        clusters *= 4
    return run(clusters=clusters, options=chosen.options, sysctl=chosen.sysctl, **how)
