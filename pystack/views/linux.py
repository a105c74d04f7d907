"""Linux's tools: `ss`, `netstat` of net-tools, and the files of /proc/net that they read.

The formats are those of iproute2 6 and net-tools 2 beside a 6.18 kernel. `ss` makes each column as wide
as its widest cell; a line that is wider than a terminal is not folded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pystack._fast import consts
from pystack._fast.tcp_mem import sent_memory
from pystack.addresses import dotted
from pystack.views import counters, ss_filter
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


def memory(host: Host, sock: SocketRow) -> str:
    """What `ss -m` adds: the memory of the socket's queues. Nothing waits in a device, and no packet was refused."""
    t = sock.whole
    if t is None:
        return "\n\t"
    if sock.proto == "udp":
        return f"\n\t skmem:(r{t.cc},rb{t.hiwat},t0,tb{t.sndbuf},f0,w0,o0,bl0,d{t.dropped})"
    received = 0 if sock.state == consts.LISTEN else t.rcvq.rmem
    written = sent_memory(t)
    spare = max(t.mem_pages * 4096 - received - written, 0)
    return (
        f"\n\t skmem:(r{received},rb{t.rcvq.hiwat},t0,tb{t.sndq.hiwat},f{spare},w{written},"
        "o0,bl0,d0)"
    )


def users(sock: SocketRow) -> str:
    """What `ss -p` adds: users:(("nginx",pid=1001,fd=6))."""
    if sock.owner is None or sock.fd < 0:
        return ""
    return f' users:(("{sock.owner.name}",pid={sock.owner.pid},fd={sock.fd}))'


USUAL = ss_filter.ALL - {consts.LISTEN, consts.CLOSED, consts.TIME_WAIT, consts.SYN_RECEIVED}
"""The states of what is shown without -a and -l."""


def ss(host: Host, options: str, words: list[str]) -> tuple[str, Any]:
    """`ss -tan`, `-ltn`, `-tanomp`, `-an`, `-s`, and what its filters leave: text, and the same as plain values."""
    if "s" in options:
        return summary(host)
    tcp, udp = kinds(options)
    usual = USUAL
    if "a" in options:
        usual = ss_filter.ALL
    elif "l" in options:
        usual = frozenset((consts.LISTEN, consts.CLOSED))
    states, test = ss_filter.parse(words, usual)
    shown = [
        sock
        for sock in [*(udp_sockets(host.core) if udp else ()), *(ordered(host) if tcp else ())]
        if sock.state in states and test(sock)
    ]
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
        more = users(sock) if "p" in options else ""
        more += timer(sock) if "o" in options else ""
        more += memory(host, sock) if "m" in options else ""
        state = SS_STATES[sock.state]
        row = [state, f"{recv_q:<6}", f"{send_q:<6}", f"{local}:", lport, f"{peer}:", fport, more]
        rows.append([sock.proto, *row])
        values.append(
            {
                "netid": sock.proto,
                "state": state,
                "recv_q": recv_q,
                "send_q": send_q,
                "local": f"{local}:{lport}",
                "peer": f"{peer}:{fport}",
                "timer": timer(sock).strip() if "o" in options else "",
                "process": users(sock).strip() if "p" in options else "",
                "memory": memory(host, sock).strip() if "m" in options else "",
            }
        )
    between = ["", " ", " ", " ", " ", "", " ", "", ""]
    aligned = {4, 6}
    hidden = {1} if len(states) == 1 else set()  # all lines would say the same
    if not (tcp and udp):
        hidden.add(0)
    kept = [i for i in range(len(between)) if i not in hidden]
    if "H" in options:
        del rows[0]
    if not rows:
        return "", values
    text = columns(
        [[row[i] for i in kept] for row in rows],
        [at for at, i in enumerate(kept) if i in aligned],
        ["", *(between[i] for i in kept[1:])],
    )
    return text, values


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
        "used": core.demux.used + core.demux.others,
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
    """/proc/net/netstat."""
    return _pairs(counters.netstat(host.core, counters.recycles(host)))


def snmp_file(host: Host) -> tuple[str, Any]:
    """/proc/net/snmp."""
    return _pairs(counters.snmp(host.core))


def _pairs(lines: dict[str, dict[str, int]]) -> tuple[str, Any]:
    """Two lines for each: the names, and the numbers."""
    text = "".join(
        f"{line}: {' '.join(values)}\n{line}: {' '.join(map(str, values.values()))}\n"
        for line, values in lines.items()
    )
    return text, lines


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
