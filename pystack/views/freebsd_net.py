"""FreeBSD's `netstat -r` and `netstat -i`, in the form of each era.

Formats: netstat/route.c and netstat/if.c of 4, 9, 10, 11 and 13. lo0 is the last interface; since 8 a machine has
routes to its own addresses through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pystack._fast.routes import mask_of
from pystack.addresses import dotted
from pystack.views.era import era_of

if TYPE_CHECKING:
    from pystack.host import Host


def network(net: int, prefix: int, era: float) -> str:
    """The name of a network: 192.0.2.0/24, or 192.0.2 where its class says the rest (up to 7)."""
    if not prefix:
        return "default"
    if prefix == 32:
        return dotted(net)
    if era >= 8:
        return f"{dotted(net)}/{prefix}"
    natural = 8 if net < 1 << 31 else 16 if net >> 30 == 2 else 24
    parts = dotted(net).split(".")
    shown = natural // 8
    while shown < 4 and any(part != "0" for part in parts[shown:]):
        shown += 1
    return ".".join(parts[:shown]) + ("" if prefix == natural else f"/{prefix}")


def in_order(host: Host) -> list[tuple[int, int, int, Any]]:
    """(network, prefix, gateway or 0, interface), by address, as every kernel's tree is walked."""
    core: Any = host.core
    rows = [
        (net, bin(mask).count("1"), gateway, core.interfaces[iface])
        for net, mask, gateway, iface in core.routes.rows()
    ]
    return sorted(rows, key=lambda row: (row[0], -row[1]))


def listed(host: Host, era: float) -> list[tuple[int, int, str, str, str]]:
    """(network, prefix, gateway, flags, interface) as the kernel's tree is walked, those of lo0 among them."""
    rows = [
        (
            net,
            prefix,
            dotted(gateway) if gateway else f"link#{iface.number + 1}",
            _flags(net, prefix, gateway, iface, era),
            iface.name,
        )
        for net, prefix, gateway, iface in in_order(host)
    ]
    lo = host.loopback
    link = f"link#{len(host.interfaces) + 1}" if era >= 8 else dotted(lo.addr)
    rows.append((lo.addr, 32, link, "UH", lo.name))
    if era >= 8:
        rows += [
            (iface.addr, 32, f"link#{iface.number + 1}", "UHS", lo.name)
            for iface in host.interfaces
        ]
    return sorted(rows, key=lambda row: (row[0], -row[1]))


def _flags(net: int, prefix: int, gateway: int, iface: Any, era: float) -> str:
    own = not gateway and prefix == iface.prefix and net == iface.addr & mask_of(prefix)
    flags = "U" + "G" * bool(gateway) + "H" * (prefix == 32)
    if own:
        return flags + "C" * (era < 8)
    return flags + "S" + "c" * (era < 7)


def routes(host: Host) -> tuple[str, Any]:
    """`netstat -rn`."""
    era = era_of(host)
    head = f"{'Destination':<18} {'Gateway':<18} {'Flags':<6} "
    if era < 10:
        head += f"{'Refs':>6} {'Use':>8} {'Netif':>6}"
    elif era < 13:
        head += f" {'Netif':>8}"
    else:
        head += f"{'Netif':>8}"
    lines = ["Routing tables", "", "Internet:", f"{head} {'Expire':>6}"]
    values = []
    for net, prefix, via, flags, iface in listed(host, era):
        where = network(net, prefix, era)
        line = f"{where:<18} {via:<18} {flags:<6}"
        if era < 10:
            line += f" {0:6} {0:8} {iface:>6}"
        elif era < 13:
            line += f"{iface:>8}"
        else:
            line += f" {iface:>8}"
        lines.append(line)
        values.append({"destination": where, "gateway": via, "flags": flags, "interface": iface})
    return "\n".join(lines) + "\n", values


def interfaces(host: Host) -> tuple[str, Any]:
    """`netstat -in`: for each interface its link, then its network."""
    era = era_of(host)
    drops = era >= 8
    head = f"{'Name':<5} {'Mtu':>5} {'Network':<13} {'Address':<17} {'Ipkts':>8} {'Ierrs':>5}"
    head += f" {'Idrop':>5}" * drops
    lines = [f"{head} {'Opkts':>8} {'Oerrs':>5} {'Coll':>5}"]
    values = []
    for number, iface in enumerate([*host.interfaces, host.loopback], 1):
        name = iface.name + "*" * (not iface.up)
        row: dict[str, Any] = {
            "name": iface.name,
            "mtu": iface.mtu,
            "network": network(iface.addr & iface.mask, iface.prefix, era),
            "address": dotted(iface.addr),
            "ipackets": iface.ipackets,
            "ierrors": 0,
            "idrops": iface.idrops,
            "opackets": iface.opackets,
            "oerrors": iface.odrops,
            "collisions": 0,
        }
        link = name if era >= 11 else ""
        lines.append(_interface(name, row, f"<Link#{number}>", link, era, True))
        lines.append(_interface(name, row, row["network"], row["address"], era, False))
        values.append(row)
    return "\n".join(lines) + "\n", values


def _interface(
    name: str, row: dict[str, Any], net: str, address: str, era: float, link: bool
) -> str:
    """One line: errors and drops are the link's, and since 10 the MTU is, too."""

    def only_link(key: str) -> str:
        return str(row[key]) if link else "-"

    mtu = row["mtu"] if link or era < 10 else "-"
    cells = [f"{name:<5.5}", f"{mtu:>5}", f"{net:<13.13}", f"{address:<17.17}"]
    cells += [f"{row['ipackets']:8}", f"{only_link('ierrors'):>5}"]
    if era >= 8:
        cells.append(f"{only_link('idrops'):>5}")
    cells += [f"{row['opackets']:8}", f"{only_link('oerrors'):>5}"]
    cells.append(f"{only_link('collisions'):>5}" + " " * (era < 8))
    return " ".join(cells)
