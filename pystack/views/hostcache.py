"""What FreeBSD shows of its hostcache: net.inet.tcp.hostcache.list and histo, in the columns of each release.

7 to 11 have a column of a bandwidth that nothing measures any more; from 13 on hits and updates are not counted.
SENDPIPE and RECVPIPE are 0 on the real system, too: its TCP tells the cache nothing of buffers (tcp_discardcb).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pystack.host import Host

_SECOND = 1_000_000_000


def _ms(ns: int) -> int:
    return (ns // 1000 + 500) // 1000


def _counted(host: Host) -> bool:
    return "net.inet.tcp.hostcache.histo" not in host.sysctl


def table(host: Host) -> str:
    """All entries, chain by chain."""
    counted = _counted(host)
    head = "\nIP address        MTU  SSTRESH      RTT   RTTVAR "
    head += "BANDWIDTH " if counted else ""
    head += "    CWND SENDPIPE RECVPIPE "
    lines = [head + ("HITS  UPD  EXP" if counted else "EXP")]
    cache: Any = host.core.hosts
    for entry in cache.entries(host.now):
        address = ".".join(str(entry.addr >> shift & 255) for shift in (24, 16, 8, 0))
        line = f"{address:<15} {entry.mtu:5} {entry.ssthresh:8} {_ms(entry.rtt):6}ms {_ms(entry.rttvar):6}ms "
        line += f"{0:9} " if counted else ""
        line += f"{entry.cwnd:8} {0:8} {0:8} "
        line += f"{entry.hits:4} {entry.updates:4} " if counted else ""
        lines.append(f"{line}{entry.left // _SECOND:4}")
    return "\n".join(lines) + "\n"


def histogram(host: Host) -> str:
    """How many chains there are of each length."""
    cache: Any = host.core.hosts
    lengths = enumerate(cache.lengths(host.now))
    return "\nLength\tCount\n" + "".join(f"{length}\t{count}\n" for length, count in lengths)
