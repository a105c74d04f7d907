"""Knobs that do something when they are written, and knobs that show a number of the present.

Most knobs are fields of the core's configuration, which it reads when it needs them. These are the others: a write
reaches into a table, or a read counts what there is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pystack._fast import mbuf_zones
from pystack.sysctl import Value
from pystack.views import hostcache

if TYPE_CHECKING:
    from pystack.host import Host

_RESERVED = "net.ipv4.ip_local_reserved_ports"
_FASTOPEN_KEY = "net.ipv4.tcp_fastopen_key"
_ZONES = {knob: zone for zone, knob in enumerate(mbuf_zones.KNOBS) if knob}


def connect(host: Host) -> None:
    """Connect the knobs that this machine's system has."""
    sysctl = host.sysctl
    for knob, act in _written(host).items():
        if knob in sysctl:
            sysctl.on_change(knob, act)
    for knob, read in _shown(host).items():
        if knob in sysctl:
            sysctl.provide(knob, read)
    if sysctl.get(_RESERVED):
        _reserve_ports(host, sysctl[_RESERVED])


def _written(host: Host) -> dict[str, Callable[[Any], Any]]:
    """What a write does beside setting the value."""
    core: Any = host.core
    acts: dict[str, Callable[[Any], Any]] = {
        knob: partial(_set_zone_limit, host, zone) for knob, zone in _ZONES.items()
    }
    acts |= {
        _FASTOPEN_KEY: lambda text: core.fastopen.set_key_text(str(text)),
        "net.ipv4.tcp_max_tw_buckets": core.timewait.set_maximum,
        "net.inet.tcp.maxtcptw": core.timewait.set_maximum,
        _RESERVED: partial(_reserve_ports, host),
        "kern.ipc.maxsockets": partial(setattr, core.demux, "maximum"),
    }
    if core.hosts is not None:
        acts |= {
            "net.inet.tcp.hostcache.purgenow": lambda _: core.hosts.purge(),
            "net.inet.tcp.hostcache.purge": partial(setattr, core.hosts, "purge_next"),
        }
    return acts


def _shown(host: Host) -> dict[str, Callable[[], Value]]:
    """What a read answers instead of the value."""
    core: Any = host.core
    reads: dict[str, Callable[[], Value]] = {
        _FASTOPEN_KEY: core.fastopen.key_text,
        "net.inet.tcp.pcbcount": lambda: core.demux.used + core.timewait.used,
        "net.inet.tcp.syncache.count": lambda: core.listeners.cache.used,
        "kern.ipc.numopensockets": lambda: core.demux.used + core.demux.others,
        "net.inet.tcp.reass.cursegments": lambda: core.reass_segments,
        "net.inet.tcp.sack.globalholes": lambda: core.sack_holes,
        "kern.ipc.nsfbufsused": lambda: _sfbufs(host, "used"),
        "kern.ipc.nsfbufspeak": lambda: _sfbufs(host, "high"),
        "kern.openfiles": lambda: core.files.used,
    }
    if core.hosts is not None:
        reads |= {
            "net.inet.tcp.hostcache.count": lambda: len(core.hosts.entries(host.now)),
            "net.inet.tcp.hostcache.list": lambda: hostcache.table(host),
            "net.inet.tcp.hostcache.histo": lambda: hostcache.histogram(host),
            "net.inet.tcp.hostcache.purge": lambda: int(core.hosts.purge_next),
            "net.inet.tcp.hostcache.purgenow": lambda: 0,
        }
    return reads


def _sfbufs(host: Host, column: str) -> int:
    """The buffers of sendfile(2), counted where there are such."""
    zone = host.core.pool.zones()[mbuf_zones.SFBUF]
    return int(zone[column]) if zone["limit"] else 0


def _set_zone_limit(host: Host, zone: int, limit: int) -> None:
    core: Any = host.core
    core.pool.set_limit(zone, limit)
    host.after(core)  # who waits for storage may have it


def _reserve_ports(host: Host, value: Value) -> None:
    """Ports that are never chosen, as 8080,9148-9150."""
    ports: list[int] = []
    for part in filter(None, str(value).split(",")):
        first, _, last = part.partition("-")
        ports += range(int(first), int(last or first) + 1)
    demux: Any = host.core.demux
    demux.map.reserve(ports)
