"""What tests of incidents share: a story played once, at full size compiled and thinned out interpreted."""

from __future__ import annotations

from functools import cache

from pystack._fast import COMPILED
from pystack.scenarios.load import Source, read
from pystack.scenarios.result import Result
from pystack.scenarios.run import run

NARROW = """hosts.balancer.iptables=
-t nat -A PREROUTING -d 192.0.2.1 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.10
-t nat -A POSTROUTING -o eth1 -p tcp -j SNAT --to-source 10.0.0.101:1024-4249"""
THIN: dict[str, tuple[str, ...]] = {
    "conntrack-table-full": ("fw:net.netfilter.nf_conntrack_max=512", "traffic.visitors.rate=5"),
    "deploy-reset": ("web:net.core.somaxconn=16", "traffic.devices.clients=300"),
    "ephemeral-ports": (
        "balancer:net.inet.ip.portrange.first=60000",
        "balancer:net.inet.ip.portrange.last=60511",
        "traffic.requests.rate=12.5",
    ),
    "fin-wait-2-apache": (
        "traffic.forgetful.visits=40",
        "traffic.forgetful.rate=2",
        "traffic.uploads.visits=3",
        "lasting=15min",
    ),
    "fin-wait-2-ipfw": (
        "web:net.inet.ip.fw.dyn_max=60",
        "traffic.forgetful.rate=0.12",
        "traffic.visitors.rate=0.06",
        "sample=10s",
    ),
    "hash-flood": ("traffic.flood.rate=20", "traffic.visitors.rate=2", "lasting=40s"),
    "keepalive-storm": (
        "fw:net.inet.ip.fw.dyn_max=60",
        "traffic.forgetful.rate=0.06",
        "sample=30s",
    ),
    "listen-overflow": (
        "services.apache.options.worker_connections=16",
        "web:kern.ipc.soacceptqueue=8",
        "traffic.visitors.rate=2.5",
    ),
    "mbuf-exhaustion": (
        "web:kern.ipc.nmbclusters=1024",
        "web:kern.ipc.nsfbufs=300",
        "traffic.readers.rate=2",
        "traffic.readers.visits=80",
        "traffic.visitors.rate=2",
    ),
    "nat-forgets": ("traffic.work.rate=0.25", "lasting=2min"),
    "snat-port-exhaustion": ("traffic.test.rate=75", NARROW),
    "syn-flood": (
        "web:net.inet.tcp.syncache.hashsize=16",
        "web:net.inet.tcp.syncache.cachelimit=480",
        "traffic.flood.rate=2500",
    ),
    "tcb-hash": (),
    "too-many-files": (),
}
"""Settings that make a story small enough for the interpreted speed, and leave it the same story."""


@cache
def story(name: str, *settings: str, small: bool = False, for_: int | None = None) -> Result:
    """The run of a scenario with these settings. `small` is thin at both speeds."""
    source = read(name)
    thin = THIN.get(name, ()) if small or not COMPILED else ()
    given = [*thin, *settings]
    return run(source.changed(given), for_=for_, settings=given)


def cured(name: str, cure: str, *, small: bool = False) -> Result:
    """The same with a cure."""
    source: Source = read(name)
    return story(name, *source.changed().cures[cure].set, small=small)
