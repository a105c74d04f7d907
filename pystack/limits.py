"""The limits of a machine: what it can run out of, how near that is, and which knob to turn.

`LIMITS` declares them, one `Declared` for each: a name, the knobs that set it (the first that the
machine has is named), and how to read it. A limit that a system does not have is left out: it has no
knob there and no maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pystack._fast import mbuf_zones
from pystack._fast.consts import (
    BACKLOG_AND_ONE,
    BANDLIM_NAMES,
    CHALLENGE_CONNECTION,
    HALF_OPEN_REQUEST,
    LISTEN,
    SECOND,
    TIMEWAIT_BSD_14,
)
from pystack.addresses import dotted

if TYPE_CHECKING:
    from pystack.host import Host

DYNAMIC = "net.inet.ip.fw."
FLOWS = "net.netfilter.nf_conntrack_max"
NAT_PORTS = 64512
"""Ports that a client's port from 1024 on may become: 1024 to 65535."""
UNLIMITED = 2**31 - 1
"""What a knob of 32 bits says for "no limit"."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a machine, now. Counts are items; times are ns of the machine's clock."""

    name: str
    used: int
    maximum: int | None
    """None: there is no limit."""
    high_water: int
    """The most that was ever in use."""
    failures: int
    """How often it refused something, or threw out something older."""
    last_failure: int | None
    """When that was; None: never."""
    knob: str
    """What sets the maximum; "" where nothing does."""

    @property
    def share(self) -> float:
        """Used of maximum: 1.0 is full."""
        return self.used / self.maximum if self.maximum else 0.0

    def as_dict(self) -> dict[str, object]:
        """All of it as plain values."""
        return asdict(self)


Reading = tuple[int, int | None, int, int, int]
"""Used, maximum, high-water mark, failures, time of the last."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A limit as data."""

    name: str
    knobs: tuple[str, ...]
    read: Callable[[Any], Reading]
    """From the core of the machine."""


def _sockets(core: Any) -> Reading:
    table = core.demux
    maximum = core.cfg.maxsockets or None
    if core.cfg.policy_timewait == TIMEWAIT_BSD_14:  # whole sockets wait in TIME_WAIT there
        waiting = core.timewait
        used = table.used + table.others + waiting.used
        high = max(table.high_water, used)
        return used, maximum, high, table.failures, table.last_failure
    used = table.used + table.others
    return used, maximum, table.high_water, table.failures, table.last_failure


def _files(core: Any) -> Reading:
    files = core.files
    maximum = _bounded(core.cfg.maxfiles) or None
    return files.used, maximum, files.high_water, files.failures, files.last_failure


def _half_open(core: Any) -> Reading:
    cache = core.listeners.cache
    maximum = core.cfg.syncache_cachelimit or None
    return cache.used, maximum, cache.high_water, core.stat.sc_zonefail, cache.last_failure


def _bucket(core: Any) -> Reading:
    cache = core.listeners.cache
    failures = core.stat.sc_bucketoverflow
    most = core.cfg.syncache_bucketlimit or None
    return cache.longest_now(), most, cache.longest, failures, cache.last_overflow


def _time_wait(core: Any) -> Reading:
    tw = core.timewait
    return tw.used, tw.maximum, tw.high_water, tw.recycled + tw.overflow, tw.last_failure


def _orphans(core: Any) -> Reading:
    killed = core.stat.abort_on_memory
    return (
        core.orphans,
        _bounded(core.cfg.tcp_max_orphans),
        core.orphans_high,
        killed,
        core.orphans_failed_at,
    )


def _tcp_memory(core: Any) -> Reading:
    maximum = core.cfg.tcp_mem_max or None
    return core.mem_pages, maximum, core.mem_high, core.mem_failures, core.mem_failed_at


def _ports(core: Any) -> Reading:
    first, last = sorted((core.cfg.port_first, core.cfg.port_last))
    table = core.demux
    table.watch(first, last)
    failed, when = core.ports_failed, core.ports_failed_at
    return table.range_used, last - first + 1, table.range_high, failed, when


def _bounded(maximum: int) -> int | None:
    return None if maximum >= UNLIMITED else maximum


def _zone(zone: int) -> Callable[[Any], Reading]:
    def read(core: Any) -> Reading:
        row = core.pool.zones()[zone]
        last = row["last_failure"]
        return row["used"], row["limit"] or None, row["high"], row["hits"], last or 0

    return read


def _challenges(core: Any) -> Reading:
    """Of the connection that sent most of them, or of the machine."""
    cfg = core.cfg
    limit = cfg.tcp_challenge_ack_limit
    maximum = _bounded(limit) or None
    failed = core.stat.challenge_suppressed
    used = 0
    if cfg.policy_challenge_ack == CHALLENGE_CONNECTION:
        window = cfg.tcp_challenge_ack_window
        used = max(
            (
                t.challenge_count
                for t in core.tcbs
                if t is not None and core.now - t.challenge_start < window
            ),
            default=0,
        )
    return used, maximum, max(core.challenge_high, used), failed, core.challenge_failed_at


def _islands(core: Any) -> Reading:
    maximum = core.cfg.tcp_reass_maxsegments or None
    failures, when = core.reass_failures, core.reass_failed_at
    return core.reass_segments, maximum, core.reass_high, failures, when


def _holes(core: Any) -> Reading:
    most = core.cfg.tcp_sack_globalmaxholes
    failed, when = core.stat.sack_overflow, core.sack_holes_failed_at
    return core.sack_holes, most, core.sack_holes_high, failed, when


def _answers(which: int) -> Callable[[Any], Reading]:
    def read(core: Any) -> Reading:
        fresh = core.now - core.rate_start[which] < SECOND
        count = core.rate_count[which]
        return (
            count if fresh else 0,
            core.cfg.icmp_icmplim or None,
            max(count, core.rate_high[which]),
            core.rate_fail[which],
            core.rate_last[which],
        )

    return read


def _remembered(core: Any) -> Reading:
    hosts = core.hosts
    most = core.cfg.hostcache_cachelimit
    return hosts.used, most, hosts.high, hosts.overflows, hosts.overflow_at


LIMITS: tuple[Declared, ...] = (
    Declared("sockets", ("kern.ipc.maxsockets",), _sockets),
    Declared("open files", ("kern.maxfiles", "fs.file-max"), _files),
    Declared("half-open connections", ("net.inet.tcp.syncache.cachelimit",), _half_open),
    Declared("half-open in a bucket", ("net.inet.tcp.syncache.bucketlimit",), _bucket),
    Declared("remembered hosts", ("net.inet.tcp.hostcache.cachelimit",), _remembered),
    Declared("TIME_WAIT", ("net.inet.tcp.maxtcptw", "net.ipv4.tcp_max_tw_buckets"), _time_wait),
    Declared("orphans", ("net.ipv4.tcp_max_orphans",), _orphans),
    Declared("TCP memory (pages)", ("net.ipv4.tcp_mem",), _tcp_memory),
    Declared(
        "challenge ACKs",
        ("net.ipv4.tcp_challenge_ack_limit", "net.inet.tcp.ack_war_cnt"),
        _challenges,
    ),
    Declared("SACK holes", ("net.inet.tcp.sack.globalmaxholes",), _holes),
    Declared("segments out of order", ("net.inet.tcp.reass.maxsegments",), _islands),
    Declared("local ports", ("net.inet.ip.portrange.last", "net.ipv4.ip_local_port_range"), _ports),
    *(
        Declared(name, (knob,), _zone(zone))
        for zone, (name, knob) in enumerate(zip(mbuf_zones.NAMES, mbuf_zones.KNOBS, strict=True))
        if knob
    ),
    *(
        Declared(f"{name} / s", ("net.inet.icmp.icmplim",), _answers(which))
        for which, name in enumerate(BANDLIM_NAMES)
    ),
)
"""All limits that a machine has once. Those of each process and listener are `_processes` and `_listeners`."""


def limits(host: Host) -> list[Limit]:
    """Every limit that this machine has: those of the machine, of its processes, and of its listeners."""
    core: Any = host.core
    core.settle(host.now)
    found = []
    for declared in LIMITS:
        knob = next((name for name in declared.knobs if name in host.sysctl), "")
        if knob:
            found.append(_limit(declared.name, knob, declared.read(core)))
    return [*found, *_netfilter(host), *_ipfw(host), *_processes(host), *_listeners(host)]


def _limit(name: str, knob: str, reading: Reading) -> Limit:
    used, maximum, high, failures, last = reading
    return Limit(name, used, maximum, high, failures, last if failures else None, knob)


def _netfilter(host: Host) -> Iterator[Limit]:
    """Flows, and the ports of the addresses that flows are translated to: there where there is a conntrack."""
    conntrack = host.__dict__.get("conntrack")
    if conntrack is None:
        return
    conntrack.present()
    table = conntrack.table
    most = host.core.cfg.ct_max or None
    reading = (table.count, most, table.high_water, table.drop, table.last_failure)
    yield _limit("conntrack flows", host.profile.find(FLOWS) or FLOWS, reading)
    failed = (table.insert_failed - table.chaintoolong, table.last_failure)
    for (address, *end), used in conntrack.nat_ports().items():
        where = f"{dotted(address)} to {dotted(end[0])}:{end[1]}/{end[2]}"
        yield _limit(f"NAT ports of {where}", "--to-source", (used, NAT_PORTS, used, *failed))


def _ipfw(host: Host) -> Iterator[Limit]:
    """Dynamic rules, and the parents of limits where these have a table of their own: where ipfw is loaded."""
    ipfw = host.__dict__.get("ipfw")
    if ipfw is None:
        return
    cfg, table = host.core.cfg, ipfw.engine.table
    last = table.failed_at * SECOND
    reading = (table.count, cfg.fw_dyn_max, table.high_water, table.failures, last)
    yield _limit("ipfw dynamic rules", f"{DYNAMIC}dyn_max", reading)
    if f"{DYNAMIC}dyn_parent_max" in host.sysctl:
        most = cfg.fw_dyn_parent_max
        used = table.parent_count
        reading = (
            used,
            most,
            table.parents_high,
            table.parent_failures,
            table.parent_failed_at * SECOND,
        )
        yield _limit("ipfw limit parents", f"{DYNAMIC}dyn_parent_max", reading)


def _processes(host: Host) -> Iterator[Limit]:
    core: Any = host.core
    names = ("kern.maxfilesperproc", "fs.nr_open")
    knob = next((name for name in names if name in host.sysctl), "")
    for process in host.processes.values():
        most = process.limit(core)
        reading = (
            process.used,
            most,
            process.high_water,
            process.failures,
            process.last_failure,
        )
        by = knob if most < process.nofile or most == core.cfg.maxfilesperproc else "RLIMIT_NOFILE"
        yield _limit(f"descriptors of {process.name}[{process.pid}]", by, reading)


def _listeners(host: Host) -> Iterator[Limit]:
    core: Any = host.core
    cfg = core.cfg
    names = ("kern.ipc.soacceptqueue", "kern.ipc.somaxconn", "net.core.somaxconn")
    knob = next((name for name in names if name in host.sysctl), "")
    for t in core.tcbs:
        if t is None or t.state != LISTEN:
            continue
        where = f"{dotted(t.laddr) if t.laddr else '*'}:{t.lport}"
        rule = t.backlog if cfg.policy_backlog == BACKLOG_AND_ONE else 3 * t.backlog // 2
        reading = (t.qlen, rule + 1, t.books.qlen_high, t.books.overflows, t.books.when)
        yield _limit(f"listen queue {where}", knob, reading)
        if cfg.policy_half_open == HALF_OPEN_REQUEST:
            reading = (
                t.synqlen,
                t.backlog + 1,
                t.books.synqlen_high,
                t.books.overflows,
                t.books.when,
            )
            yield _limit(f"SYN queue {where}", knob, reading)
