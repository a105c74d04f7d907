"""Linux's `netstat -r` and `netstat -i` (net-tools 2.10), and files of /proc/net: route, dev, tcp, udp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pystack._fast import consts
from pystack._fast.routes import mask_of
from pystack.addresses import dotted
from pystack.views.freebsd_net import in_order
from pystack.views.linux import ordered, queues
from pystack.views.table import SocketRow, udp_sockets

if TYPE_CHECKING:
    from pystack.host import Host

RTF_UP, RTF_GATEWAY, RTF_HOST = 1, 2, 4


def routes(host: Host, numeric: bool) -> tuple[str, Any]:
    """`netstat -rn`; without -n the default route is called so."""
    lines = [
        "Kernel IP routing table",
        "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface",
    ]
    values = []
    for net, prefix, gateway, iface in in_order(host):
        flags = "U" + "G" * bool(gateway) + "H" * (prefix == 32)
        where = "default" if not prefix and not numeric else dotted(net)
        mask, via = dotted(mask_of(prefix)), dotted(gateway)
        lines.append(f"{where:<15} {via:<15} {mask:<15} {flags:<6} {0:4} {0:<5} {0:6} {iface.name}")
        values.append(
            {
                "destination": where,
                "gateway": via,
                "genmask": mask,
                "flags": flags,
                "interface": iface.name,
            }
        )
    return "\n".join(lines) + "\n", values


def interfaces(host: Host) -> tuple[str, Any]:
    """`netstat -i`."""
    lines = [
        "Kernel Interface table",
        "Iface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg",
    ]
    values = []
    for iface in sorted([*host.interfaces, host.loopback], key=lambda face: face.name):
        flags = "LRU" if iface is host.loopback else "BM" + "RU" * bool(iface.up)
        lines.append(
            f"{iface.name:<15} {iface.mtu:5} {iface.ipackets:8} {0:6} {iface.idrops:6} {0:<6} "
            f"{iface.opackets:8} {0:6} {iface.odrops:6} {0:6} {flags}"
        )
        values.append(
            {
                "interface": iface.name,
                "mtu": iface.mtu,
                "rx_ok": iface.ipackets,
                "rx_dropped": iface.idrops,
                "tx_ok": iface.opackets,
                "tx_dropped": iface.odrops,
                "flags": flags,
            }
        )
    return "\n".join(lines) + "\n", values


def route_file(host: Host) -> tuple[str, Any]:
    """/proc/net/route: addresses as the processor of a PC stores them, each line 127 octets wide."""
    head = "Iface Destination Gateway  Flags RefCnt Use Metric Mask MTU Window IRTT"
    lines = ["\t".join(head.split()).replace("Gateway", "Gateway ").replace("Mask", "Mask\t")]
    for net, prefix, gateway, iface in in_order(host):
        flags = RTF_UP | RTF_GATEWAY * bool(gateway) | RTF_HOST * (prefix == 32)
        cells = (
            iface.name,
            _swapped(net),
            _swapped(gateway),
            f"{flags:04X}",
            "0\t0\t0",
            _swapped(mask_of(prefix)),
            "0\t0\t0",
        )
        lines.append("\t".join(cells))
    return "".join(f"{line:<127}\n" for line in lines), routes(host, numeric=True)[1]


def _swapped(addr: int) -> str:
    return addr.to_bytes(4, "little").hex().upper()


def dev_file(host: Host) -> tuple[str, Any]:
    """/proc/net/dev."""
    lines = [
        "Inter-|   Receive                                                |  Transmit",
        " face |bytes    packets errs drop fifo frame compressed multicast"
        "|bytes    packets errs drop fifo colls carrier compressed",
    ]
    lines += [
        f"{iface.name:>6}: {iface.ibytes:7} {iface.ipackets:7} {0:4} {iface.idrops:4} {0:4} {0:5} "
        f"{0:10} {0:9} {iface.obytes:8} {iface.opackets:7} {0:4} {iface.odrops:4} {0:4} {0:5} "
        f"{0:7} {0:10}"
        for iface in (host.loopback, *host.interfaces)
    ]
    return "\n".join(lines) + "\n", interfaces(host)[1]


STATES = {
    consts.ESTABLISHED: 1,
    consts.SYN_SENT: 2,
    consts.SYN_RECEIVED: 3,
    consts.FIN_WAIT_1: 4,
    consts.FIN_WAIT_2: 5,
    consts.TIME_WAIT: 6,
    consts.CLOSED: 7,
    consts.CLOSE_WAIT: 8,
    consts.LAST_ACK: 9,
    consts.LISTEN: 10,
    consts.CLOSING: 11,
}
TIMERS = {"on": 1, "keepalive": 2, "timewait": 3, "persist": 4}
HZ = 100
"""Ticks of a second in /proc."""
FIRST_INODE = 10_000


def _socket(sock: SocketRow, recv_q: int, send_q: int) -> str:
    """What /proc/net/tcp and udp have in common: ends, state, queues, timer, owner, inode."""
    ends = [
        f"{_swapped(addr)}:{port:04X}"
        for addr, port in ((sock.laddr, sock.lport), (sock.faddr, sock.fport))
    ]
    ticks = -(-sock.left * HZ // consts.SECOND)
    inode = FIRST_INODE + sock.row if sock.row and not sock.orphan else 0
    return (
        f"{ends[0]} {ends[1]} {STATES[sock.state]:02X} {send_q:08X}:{recv_q:08X} "
        f"{TIMERS.get(sock.timer, 0):02X}:{ticks:08X} {sock.tries:08X} {sock.uid:5} {0:8} {inode}"
    )


def _values(sock: SocketRow) -> dict[str, Any]:
    return {
        "local": f"{dotted(sock.laddr)}:{sock.lport}",
        "remote": f"{dotted(sock.faddr)}:{sock.fport}",
        "state": STATES[sock.state],
        "tx_queue": sock.send_q,
        "rx_queue": sock.recv_q,
        "uid": sock.uid,
    }


def tcp_file(host: Host) -> tuple[str, Any]:
    """/proc/net/tcp: listeners, then the others; a kernel's addresses are hidden, as from who is not root."""
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
    lines = [head]
    values: list[dict[str, Any]] = []
    for sock in ordered(host):
        recv_q, send_q = queues(sock)
        if sock.state == consts.LISTEN:
            send_q = 0
        t = sock.whole
        more = f" {3 if sock.timer == 'timewait' else 1} {0:016X}"
        if t is not None:
            slow = -1 if t.ssthresh >= 0x40000000 else t.ssthresh // max(t.maxseg, 1)
            if sock.state == consts.LISTEN:
                slow = t.fo_qlen
            cwnd = t.cwnd // t.maxseg if t.maxseg else 10
            rto, ato = t.rxtcur * HZ // consts.SECOND, t.ato * HZ // consts.SECOND
            talk = t.quick_acks << 1 | (t.pingpong >= host.core.cfg.tcp_pingpong_thresh)
            more += f" {rto} {ato} {talk} {cwnd} {slow}"
        lines.append(f"{len(values):4}: {_socket(sock, recv_q, send_q)}{more}")
        values.append(_values(sock))
    return "".join(f"{line:<149}\n" for line in lines), values


def udp_file(host: Host) -> tuple[str, Any]:
    """/proc/net/udp: by port, which stands for the chain that a kernel has it in."""
    head = (
        "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
        "inode ref pointer drops"
    )
    lines = [head]
    values: list[dict[str, Any]] = []
    for sock in udp_sockets(host.core):
        drops = sock.whole.dropped
        lines.append(f"{sock.lport:5}: {_socket(sock, sock.recv_q, 0)} 2 {0:016X} {drops}")
        values.append(_values(sock) | {"drops": drops})
    return "".join(f"{line:<127}\n" for line in lines), values
