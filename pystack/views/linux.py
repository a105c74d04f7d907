"""Linux's tools: `ss`, `netstat` of net-tools, and the files of /proc/net that they read.

The formats are those of iproute2 6 and net-tools 2 beside a 6.18 kernel. `ss` makes each column as wide
as its widest cell; a line that is wider than a terminal is not folded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pystack._fast import consts
from pystack.addresses import dotted
from pystack.views import counters
from pystack.views.table import SocketRow, tcp_sockets, udp_sockets

if TYPE_CHECKING:
    from pystack.host import Host

SS_STATES = {
    consts.CLOSED: "UNCONN",
    consts.LISTEN: "LISTEN",
    consts.SYN_SENT: "SYN-SENT",
    consts.SYN_RECEIVED: "SYN-RECV",
    consts.ESTABLISHED: "ESTAB",
    consts.CLOSE_WAIT: "CLOSE-WAIT",
    consts.FIN_WAIT_1: "FIN-WAIT-1",
    consts.CLOSING: "CLOSING",
    consts.LAST_ACK: "LAST-ACK",
    consts.FIN_WAIT_2: "FIN-WAIT-2",
    consts.TIME_WAIT: "TIME-WAIT",
}
NETSTAT_STATES = {
    consts.SYN_RECEIVED: "SYN_RECV",
    consts.FIN_WAIT_1: "FIN_WAIT1",
    consts.FIN_WAIT_2: "FIN_WAIT2",
}
"""Where net-tools' names differ from FreeBSD's."""


def queues(sock: SocketRow) -> tuple[int, int]:
    """Recv-Q and Send-Q as the kernel says them: a FIN is an octet, too; of a listener its queue and its limit."""
    if sock.state == consts.LISTEN:
        return sock.qlen, sock.backlog
    return sock.recv_q + sock.peer_fin * bool(sock.row), sock.send_q + sock.own_fin


def ends(sock: SocketRow) -> tuple[tuple[str, str], tuple[str, str]]:
    """Local and foreign address and port as text."""
    peer = (dotted(sock.faddr), str(sock.fport) if sock.fport else "*")
    return (dotted(sock.laddr), str(sock.lport) if sock.lport else "*"), peer


def ordered(host: Host) -> list[SocketRow]:
    """TCP's sockets as the kernel's dump gives them: listeners first, then the others."""
    found = [s for s in tcp_sockets(host.core, host.now) if s.state != consts.CLOSED]
    return sorted(found, key=lambda sock: sock.state != consts.LISTEN)


def kinds(options: str) -> tuple[bool, bool]:
    """Is TCP shown, and UDP? Both, unless one was asked for."""
    both = "t" not in options and "u" not in options
    return both or "t" in options, both or "u" in options


def timer(sock: SocketRow) -> str:
    """What `ss -o` adds: timer:(timewait,59sec,0)."""
    if not sock.timer:
        return ""
    return f" timer:({sock.timer},{span(sock.left // 1_000_000)},{sock.tries})"


def span(ms: int) -> str:
    """A time as ss writes it: 1min, 59sec, 9.960ms (which is 9.96 s), 604ms, and nothing for none."""
    minutes, rest = divmod(ms, 60_000)
    seconds, thousandths = divmod(rest, 1000)
    out = f"{minutes}min" if minutes else ""
    if seconds and not minutes and seconds > 9:
        return f"{seconds}sec"
    if seconds and minutes:
        return f"{out}{seconds}sec"
    if seconds:
        return f"{seconds}.{thousandths:03}ms"
    if thousandths and not minutes:
        return f"{thousandths}ms"
    return out


def columns(rows: Sequence[Sequence[str]], right: Iterable[int], before: Sequence[str]) -> str:
    """Lines of cells, each column as wide as its widest; `right` are aligned right, `before` stands before a cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            before[i] + (cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]))
            for i, cell in enumerate(row)
        ]
        lines.append("".join(cells))
    return "\n".join(lines) + "\n"


def ss(host: Host, options: str) -> tuple[str, Any]:
    """`ss -tan`, `-ltn`, `-tano`, `-an`, `-s`: text, and the same as plain values."""
    if "s" in options:
        return summary(host)
    tcp, udp = kinds(options)
    shown = []
    for sock in [*(udp_sockets(host.core) if udp else ()), *(ordered(host) if tcp else ())]:
        listening = sock.state in (consts.LISTEN, consts.CLOSED)
        small = sock.state in (consts.TIME_WAIT, consts.SYN_RECEIVED)
        if "a" in options or (listening if "l" in options else not (listening or small)):
            shown.append(sock)
    head = [
        "State",
        "Recv-Q",
        "Send-Q",
        "Local Address:",
        "Port",
        "Peer Address:",
        "Port",
        "Process",
    ]
    rows = [["Netid", *head]]
    values = []
    for sock in shown:
        (local, lport), (peer, fport) = ends(sock)
        recv_q, send_q = queues(sock)
        more = timer(sock) if "o" in options else ""
        state = SS_STATES[sock.state]
        row = [state, str(recv_q), str(send_q), f"{local}:", lport, f"{peer}:", fport, more]
        rows.append([sock.proto, *row])
        values.append(
            {
                "netid": sock.proto,
                "state": state,
                "recv_q": recv_q,
                "send_q": send_q,
                "local": f"{local}:{lport}",
                "peer": f"{peer}:{fport}",
                "timer": more.strip(),
            }
        )
    between = ("", " ", " ", " ", "", " ", "", "")
    if tcp and udp:
        return columns(rows, (4, 6), ("", " ", *between[1:])), values
    return columns([row[1:] for row in rows], (3, 5), between), values


def summary(host: Host) -> tuple[str, Any]:
    """`ss -s`."""
    seen = sockstat_values(host)
    established = counters.tcp(host.core)["CurrEstab"]
    total = seen["alloc"] + seen["tw"]
    closed = total - seen["inuse"]
    lines = [
        f"Total: {seen['used']}",
        f"TCP:   {total} (estab {established}, closed {closed}, orphaned {seen['orphan']}, "
        f"timewait {seen['tw']})",
        "",
        "Transport Total     IP        IPv6",
    ]
    rows = {"RAW": 0, "UDP": seen["udp"], "TCP": seen["inuse"]}
    rows |= {"INET": sum(rows.values()), "FRAG": seen["frag"]}
    lines += [f"{name}\t  {count:<9} {count:<9} {0:<9}" for name, count in rows.items()]
    values = {"established": established, "closed": closed, "total": total, **seen}
    return "\n".join(lines) + "\n\n", values


def sockstat_values(host: Host) -> dict[str, int]:
    """The numbers of /proc/net/sockstat."""
    core: Any = host.core
    udp = len(udp_sockets(core))
    bound = [s for s in tcp_sockets(core, host.now) if s.row]
    return {
        "used": core.demux.used + udp,
        "inuse": len(bound),
        "orphan": core.orphans,
        "tw": core.timewait.used,
        "alloc": core.demux.used,
        "mem": core.mem_pages,
        "udp": udp,
        "frag": core.frags.waiting(),
        "frag_memory": core.frags.octets,
    }


def sockstat_file(host: Host) -> tuple[str, Any]:
    """/proc/net/sockstat."""
    seen = sockstat_values(host)
    text = (
        f"sockets: used {seen['used']}\n"
        f"TCP: inuse {seen['inuse']} orphan {seen['orphan']} tw {seen['tw']} "
        f"alloc {seen['alloc']} mem {seen['mem']}\n"
        f"UDP: inuse {seen['udp']} mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\n"
        f"FRAG: inuse {seen['frag']} memory {seen['frag_memory']}\n"
    )
    return text, seen


def netstat_file(host: Host) -> tuple[str, Any]:
    """/proc/net/netstat: its lines `TcpExt:`."""
    return _two_lines("TcpExt", counters.tcp_ext(host.core, counters.recycles(host)))


def snmp_file(host: Host) -> tuple[str, Any]:
    """/proc/net/snmp: its lines `Tcp:`."""
    return _two_lines("Tcp", counters.tcp(host.core))


def _two_lines(name: str, values: dict[str, int]) -> tuple[str, Any]:
    numbers = " ".join(map(str, values.values()))
    return f"{name}: {' '.join(values)}\n{name}: {numbers}\n", values


def nstat(host: Host, options: str) -> tuple[str, Any]:
    """`nstat -az`: every counter by name; without -z those that are not 0."""
    values = counters.nstat(host.core, counters.recycles(host))
    if "z" not in options:
        values = {name: value for name, value in values.items() if value}
    lines = ["#kernel"] + [f"{name:<32}{value:<16}{0:6.1f}" for name, value in values.items()]
    return "\n".join(lines) + "\n", values


def netstat(host: Host, options: str) -> tuple[str, Any]:
    """`netstat -an`, `-tan`, `-ltn` of net-tools. Of UNIX sockets, which there are none, the headers."""
    servers = "servers and established" if "a" in options else "w/o servers"
    if "l" in options:
        servers = "only servers"
    lines = [
        f"Active Internet connections ({servers})",
        "Proto Recv-Q Send-Q Local Address           Foreign Address         State      ",
    ]
    values = []
    tcp, udp = kinds(options)
    for sock in [*(ordered(host) if tcp else ()), *(udp_sockets(host.core) if udp else ())]:
        listening = sock.state in (consts.LISTEN, consts.CLOSED)
        if "a" not in options and listening != ("l" in options):
            continue
        (local, lport), (peer, fport) = ends(sock)
        recv_q, send_q = queues(sock)
        send_q = 0 if listening else send_q
        state = NETSTAT_STATES.get(sock.state, sock.state_name)
        if sock.state == consts.CLOSED:
            state = ""
        here, there = f"{local}:{lport}", f"{peer}:{fport}"
        lines.append(f"{sock.proto:<5} {recv_q:6} {send_q:6} {here:<23} {there:<23} {state:<11}")
        values.append(
            {
                "proto": sock.proto,
                "recv_q": recv_q,
                "send_q": send_q,
                "local": here,
                "peer": there,
                "state": state,
            }
        )
    if tcp and udp:
        lines.append(f"Active UNIX domain sockets ({servers})")
        lines.append("Proto RefCnt Flags       Type       State         I-Node   Path")
    return "\n".join(lines) + "\n", values
