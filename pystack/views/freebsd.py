"""FreeBSD's tools: `netstat -an`, `-Lan`, `-m`, `vmstat -z`, `sockstat`, in the words of each era.

Formats: netstat/inet.c, netstat/mbuf.c, vmstat.c, sockstat.c (facts: freebsd-tcp 1.6, 1.7, 2.2, 4). Which era is the
profile's `tools`: 4, 7, 10 or 14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pystack._fast import consts, mbuf_zones
from pystack._fast.mbuf_books import storage
from pystack._fast.mbuf_zones import (
    CLUSTER,
    JUMBO_9K,
    JUMBO_16K,
    JUMBO_PAGE,
    MBUF,
    PACKET,
    SFBUF,
)
from pystack._fast.space import memory_allowed
from pystack.addresses import dotted
from pystack.views.era import era_of
from pystack.views.table import SocketRow, tcp_sockets, udp_sockets

if TYPE_CHECKING:
    from pystack.host import Host


def end(addr: int, port: int, between: str = ".") -> str:
    """10.0.0.1.80, or stars for what is any."""
    return f"{dotted(addr) if addr else '*'}{between}{port or '*'}"


def sockets(host: Host, options: str) -> list[SocketRow]:
    """TCP's and then UDP's; with t or u only those."""
    found = [] if "u" in options else tcp_sockets(host.core, host.now)
    return found if "t" in options else [*found, *udp_sockets(host.core)]


def connections(host: Host, options: str) -> tuple[str, Any]:
    """`netstat -an`: connections; with -a listeners, and what has no own address, too."""
    every = "a" in options
    counts = ("Rexmit", "OOORcv", "0-win") if "T" in options else ("Recv-Q", "Send-Q")
    head = " ".join([f"{'Proto':<5}", *(f"{name:<6}" for name in counts)])
    head += f" {'Local Address':<22} {'Foreign Address':<22}"
    if "x" in options:
        head += " " + " ".join(f"{name:<6}" for name in BUFFERS)
        head += " " + " ".join(f"{name:>7}" for name in TIMERS)
    elif "T" not in options:
        head += " (state)"
    lines = ["Active Internet connections" + (" (including servers)" if every else ""), head]
    values = []
    for sock in sockets(host, options):
        if not every and (sock.state == consts.LISTEN or not sock.laddr):
            continue
        here, there = end(sock.laddr, sock.lport), end(sock.faddr, sock.fport)
        proto = f"{sock.proto}4"
        state = sock.state_name if sock.proto == "tcp" else ""
        line = f"{proto:<5} {sock.recv_q:6} {sock.send_q:6} {here:<22.22} {there:<22.22} "
        value = {
            "proto": proto,
            "recv_q": sock.recv_q,
            "send_q": sock.send_q,
            "local": here,
            "foreign": there,
            "state": state,
        }
        if "T" in options:
            found = _losses(sock)
            shown = " ".join(f"{n:6}" for n in found.values()) if found else " " * 20
            line = f"{proto:<5} {shown} {here:<22.22} {there:<22.22} "
            value |= found
        if "x" in options:
            buffers, timers = _buffers(host, sock), _timers(host, sock)
            line += " ".join(f"{n:6}" for n in buffers.values())
            line += "".join(f" {ms // 1000:4}.{ms % 1000 // 10:02}" for ms in timers.values())
            value |= buffers | timers
        elif "T" not in options:
            line += f"{state:<11}" if state else ""
        lines.append(line)
        values.append(value)
    return "\n".join(lines) + "\n", values


BUFFERS = tuple(
    f"{way}-{name}"
    for name in ("MBUF", "CLUS", "HIWA", "LOWA", "BCNT", "BMAX")
    for way in ("R", "S")
)
TIMERS = ("rexmt", "persist", "keep", "2msl", "delack", "rcvtime")
"""What `netstat -x` adds: of each buffer mbufs, clusters, marks and memory; then when each timer comes up."""


def _losses(sock: SocketRow) -> dict[str, int]:
    """`netstat -T`: segments sent again, segments out of order, windows of zero that were sent."""
    t = sock.whole
    if sock.proto != "tcp":
        return {}
    if t is None:
        return {"rexmit": 0, "ooo_received": 0, "zero_windows": 0}
    return {"rexmit": t.segs_again, "ooo_received": t.ooo_in, "zero_windows": t.zero_windows}


def _buffers(host: Host, sock: SocketRow) -> dict[str, int]:
    t, cfg = sock.whole, host.core.cfg
    if t is None:
        return dict.fromkeys(BUFFERS, 0)
    if sock.proto == "udp":
        pairs = [(0, 0), (0, 0), (t.hiwat, t.sndbuf), (1, 2048), (0, 0)]
        tops = (memory_allowed(cfg, t.hiwat), memory_allowed(cfg, t.sndbuf))
    else:
        r, s = t.rcvq, t.sndq
        (rm, rc), (sm, sc) = (storage(host.core.pool, q.first_mbuf()) for q in (r, s))
        pairs = [(rm, sm), (rc, sc), (r.hiwat, s.hiwat), (r.lowat, s.lowat), (r.mbcnt, s.mbcnt)]
        tops = (memory_allowed(cfg, r.hiwat), memory_allowed(cfg, s.hiwat))
    return dict(zip(BUFFERS, (n for pair in (*pairs, tops) for n in pair), strict=True))


def _timers(host: Host, sock: SocketRow) -> dict[str, int]:
    """Milliseconds until each comes up, 0 where it does not run; and since something came last."""
    t = sock.whole
    found = dict.fromkeys(TIMERS, 0)
    if sock.proto == "tcp" and t is not None:
        due = (t.at_rexmt, t.at_persist, t.at_keep, t.at_2msl, t.at_delack)
        left = [max(at - host.now, 0) // 1_000_000 if at != consts.NEVER else 0 for at in due]
        found = dict(zip(TIMERS, [*left, (host.now - t.rcvtime) // 1_000_000], strict=True))
    elif sock.timer == "timewait":
        found["2msl"] = sock.left // 1_000_000
    return found


def listen_queues(host: Host) -> tuple[str, Any]:
    """`netstat -Lan`: waiting to be accepted, waiting for a filter, and the limit, of each listener."""
    wide = 14 if era_of(host) < 11 else 32
    lines = [
        "Current listen queue sizes (qlen/incqlen/maxqlen)",
        f"{'Proto':<5} {'Listen':<{wide}} {'Local Address':<22}",
    ]
    values = []
    for sock in tcp_sockets(host.core, host.now):
        if sock.state == consts.LISTEN and sock.backlog:
            here = end(sock.laddr, sock.lport)
            sizes = f"{sock.qlen}/{sock.incqlen}/{sock.backlog}"
            lines.append(f"{'tcp4':<5} {sizes:<{wide}.{wide}} {here:<22.22}")
            values.append(
                {
                    "qlen": sock.qlen,
                    "incqlen": sock.incqlen,
                    "maxqlen": sock.backlog,
                    "local": here,
                }
            )
    return "\n".join(lines) + "\n", values


def mbufs(host: Host) -> tuple[str, Any]:
    """`netstat -m`."""
    core: Any = host.core
    zones = core.pool.zones()
    era = era_of(host)
    m, p, c = zones[MBUF], zones[PACKET], zones[CLUSTER]
    jumbo = [
        (zones[zone], words)
        for zone, words in ((JUMBO_PAGE, "4k (page size)"), (JUMBO_9K, "9k"), (JUMBO_16K, "16k"))
    ]
    used, free = m["used"] + p["used"], m["free"] + p["free"]
    octets = used * 256 + c["used"] * 2048 - p["free"] * 2048
    cached = free * 256 + p["free"] * 2048 + c["free"] * 2048
    octets += sum(z["used"] * z["size"] for z, _ in jumbo)
    cached += sum(z["free"] * z["size"] for z, _ in jumbo)
    clusters = (c["used"] - p["free"], c["free"] + p["free"], c["used"] + c["free"], c["limit"])
    if era < 5:
        return _mbufs_of_4(used, m, p, c, octets, core.pool.drained)
    sizes = "/".join(map(str, clusters))
    kilo = f"{octets // 1024}K/{cached // 1024}K/{(octets + cached) // 1024}K"
    lines = [
        f"{used}/{free}/{used + free} mbufs in use (current/cache/total)",
        f"{sizes} mbuf clusters in use (current/cache/total/max)",
        f"{p['used']}/{p['free']} mbuf+clusters out of packet secondary zone in use (current/cache)",
        *(
            f"{z['used']}/{z['free']}/{z['used'] + z['free']}/{z['limit']} {words} jumbo clusters in use "
            "(current/cache/total/max)"
            for z, words in jumbo
        ),
        f"{kilo} bytes allocated to network (current/cache/total)",
        f"{m['fail']}/{c['fail']}/{p['fail']} requests for mbufs denied (mbufs/clusters/mbuf+clusters)",
    ]
    kinds = "(4k/9k/16k)"
    fails = "/".join(str(z["fail"]) for z, _ in jumbo)
    sleeps = "/".join(str(z["sleep"]) for z, _ in jumbo)
    if era >= 10:
        lines += [
            f"{m['sleep']}/{c['sleep']}/{p['sleep']} requests for mbufs delayed "
            "(mbufs/clusters/mbuf+clusters)",
            f"{sleeps} requests for jumbo clusters delayed {kinds}",
        ]
    lines.append(f"{fails} requests for jumbo clusters denied {kinds}")
    if era >= 11:
        lines += [
            f"{core.files.sendfiles} sendfile syscalls",
            f"{core.files.sendfiles} sendfile syscalls completed without I/O request",
            "0 requests for I/O initiated by sendfile",
            "0 pages read by sendfile as part of a request",
            "0 pages were valid at time of a sendfile request",
            *(["0 pages were valid and substituted to bogus page"] if era >= 12 else []),
            "0 pages were requested for read ahead by applications",
            "0 pages were read ahead by sendfile",
            "0 times sendfile encountered an already busy page",
            "0 requests for sfbufs denied",
            "0 requests for sfbufs delayed",
        ]
    else:
        s = zones[SFBUF]
        there = (s["used"], s["high"], s["limit"]) if s["limit"] else (0, 0, 0)
        lines += [
            f"{there[0]}/{there[1]}/{there[2]} sfbufs in use (current/peak/max)",
            f"{s['fail']} requests for sfbufs denied",
            f"{s['sleep']} requests for sfbufs delayed",
            "0 requests for I/O initiated by sendfile",
        ]
        if era < 10:
            lines.append("0 calls to protocol drain routines")
    return "\n".join(lines) + "\n", zones


def _mbufs_of_4(used: int, m: Any, p: Any, c: Any, octets: int, drained: int) -> tuple[str, Any]:
    """`netstat -m` of FreeBSD 4: current, peak, maximum, and the types."""
    most = 4 * c["limit"]
    share = 100 * octets // (c["limit"] * 2048 + most * 256) if c["limit"] else 0
    lines = [
        f"{used}/{m['high']}/{most} mbufs in use (current/peak/max):",
        f"\t{used} mbufs allocated to data",
        f"{p['used']}/{p['high']}/{c['limit']} mbuf clusters in use (current/peak/max)",
        f"{octets // 1024} Kbytes allocated to network ({share}% of mb_map in use)",
        f"{m['fail'] + p['fail']} requests for memory denied",
        f"{m['sleep'] + p['sleep']} requests for memory delayed",
        f"{drained} calls to protocol drain routines",
    ]
    return "\n".join(lines) + "\n", [m, p, c]


def zones(host: Host) -> tuple[str, Any]:
    """`vmstat -z`: the zones that the network uses."""
    core: Any = host.core
    era = era_of(host)
    rows = [
        (
            z["name"],
            z["size"],
            z["limit"],
            z["used"],
            z["free"],
            z["requests"],
            z["fail"],
            z["sleep"],
        )
        for z in sorted(
            core.pool.zones(), key=lambda z: mbuf_zones.NAMES.index(z["name"]) != PACKET
        )
        if z["name"] != "sfbuf" and (z["limit"] or not z["name"].startswith("mbuf_jumbo"))
    ]
    demux, tw, cache, stat = core.demux, core.timewait, core.listeners.cache, core.stat
    most = core.cfg.maxsockets
    others = demux.others
    every = (demux.used + others, demux.high_water, demux.taken + others, demux.failures)
    peak = max(demux.used, demux.high_water - others)
    sockets = (most, demux.used, peak, demux.taken, demux.failures)
    tables = [
        ("socket", 696, most, *every),
        ("udp_inpcb", 392, most, others, others, others, 0),
        ("tcp_inpcb", 392, *sockets),
        ("tcpcb", 1040, *sockets),
        ("tcptw", 88, tw.maximum, tw.used, tw.high_water, stat.tw_started + stat.tw_short, 0),
        (
            "syncache",
            160,
            core.cfg.syncache_cachelimit,
            cache.used,
            cache.high_water,
            stat.sc_added,
            stat.sc_zonefail,
        ),
    ]
    if "net.inet.tcp.maxtcptw" not in host.sysctl:
        del tables[4]  # whole connections wait there
    rows += [
        (name, size, limit, used, high - used, requests, failed, 0)
        for name, size, limit, used, high, requests, failed in tables
    ]
    head, lines = _zone_lines(rows, era)
    names = ("name", "size", "limit", "used", "free", "requests", "fail", "sleep")
    return "\n".join([head, "", *lines, ""]) + "\n", [
        dict(zip(names, row, strict=True)) for row in rows
    ]


def _zone_lines(rows: list[tuple[Any, ...]], era: float) -> tuple[str, list[str]]:
    """The header of `vmstat -z` and its rows. A number that is too wide pushes on."""
    if era >= 9:
        head = f"{'ITEM':<20} {'SIZE':>6} {'LIMIT':>6} {'USED':>8} {'FREE':>8} {'REQ':>8}"
        head += (
            f" {'FAIL':>8}{'SLEEP':>4} {'XDOMAIN':>4}"
            if era >= 13
            else f" {'FAIL':>4} {'SLEEP':>4}"
        )
        lines = [
            f"{name + ':':<20} {size:6}, {limit:6},{used:8},{free:8},{requests:8},{fail:4},{sleep:4}"
            + f",{0:4}" * (era >= 13)
            for name, size, limit, used, free, requests, fail, sleep in rows
        ]
    elif era >= 7:
        head = f"{'ITEM':<24} {'SIZE':>8} {'LIMIT':>9} {'USED':>9} {'FREE':>9} {'REQUESTS':>9} {'FAILURES':>9}"
        lines = [
            f"{name + ':':<24} {size:8}, {limit:8}, {used:8}, {free:8}, {requests:8}, {fail:8}"
            for name, size, limit, used, free, requests, fail, _ in rows
        ]
    else:
        head = f"{'ITEM':<15} {'SIZE':<8} {'LIMIT':<9} {'USED':<7} {'FREE':<5} {'REQUESTS':<8}"
        lines = [
            f"{name + ':':<15} {size:4}, {limit:8}, {used:7}, {free:6}, {requests:8}"
            for name, size, limit, used, free, requests, _, _ in rows
        ]
    return head, lines


def sockstat(host: Host, options: str) -> tuple[str, Any]:
    """`sockstat -4`: who holds which socket; -l listeners, -c connections, -s the state."""
    shown: list[SocketRow] = []
    for sock in sockets(host, ""):
        listening = not sock.fport
        if ("l" in options and not listening) or ("c" in options and listening):
            continue
        if sock.row:
            shown.append(sock)
    shown.sort(key=lambda sock: sock.orphan)
    head = f"{'USER':<8} {'COMMAND':<10} {'PID':<5} {'FD':<2} {'PROTO':<6} "
    head += f"{'LOCAL ADDRESS':<21} {'FOREIGN ADDRESS':<21}"
    lines = [head + (f" {'STATE':<12}" if "s" in options else "")]
    values = []
    for sock in shown:
        user = "?" if sock.orphan else str(sock.uid) if sock.uid else "root"
        owner = sock.owner
        who = (user, "?", "?", "?")
        if owner is not None:
            who = (user, owner.name[:10], str(owner.pid), str(sock.fd))
        here, there = end(sock.laddr, sock.lport, ":"), end(sock.faddr, sock.fport, ":")
        line = ""
        for at, text in zip(
            (0, 9, 20, 26, 29, 36, 58), (*who, f"{sock.proto}4", here, there), strict=True
        ):
            line = f"{line.ljust(at) if len(line) < at else line + ' ' * (at > 0)}{text}"
        state = sock.state_name if sock.proto == "tcp" else ""
        if "s" in options and state:
            line = f"{line.ljust(80)}{state}"
        lines.append(line)
        values.append(
            {
                "user": who[0],
                "proto": f"{sock.proto}4",
                "local": here,
                "foreign": there,
                "state": state,
            }
        )
    return "\n".join(lines) + "\n", values
