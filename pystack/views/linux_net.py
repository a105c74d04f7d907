"""Linux's `netstat -r` and `netstat -i` (net-tools 2.10), and the files that they read: /proc/net/route, /proc/net/dev.

Only what the machine has is shown: there is no lo here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pystack._fast.routes import mask_of
from pystack.addresses import dotted
from pystack.views.freebsd_net import in_order

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
    for iface in host.interfaces:
        flags = "BM" + "RU" * bool(iface.up)
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
        for iface in host.interfaces
    ]
    return "\n".join(lines) + "\n", interfaces(host)[1]
