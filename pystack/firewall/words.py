"""Addresses, ports, protocols and numbers: how iptables reads them and how it writes them."""

from __future__ import annotations

import re

from pystack.addresses import dotted
from pystack.firewall import services
from pystack.firewall.errors import RefusedError

ALL_ONES = 0xFFFFFFFF

PROTOCOLS = {
    name: int(number)
    for pair in """
    ip:0:IP hopopt:0:HOPOPT icmp:1:ICMP igmp:2:IGMP ggp:3:GGP ipencap:4:IP-ENCAP st:5:ST tcp:6:TCP egp:8:EGP igp:9:IGP
    pup:12:PUP udp:17:UDP hmp:20:HMP xns-idp:22:XNS-IDP rdp:27:RDP iso-tp4:29:ISO-TP4 dccp:33:DCCP xtp:36:XTP ddp:37:DDP
    idpr-cmtp:38:IDPR-CMTP ipv6:41:IPv6 ipv6-route:43:IPv6-Route ipv6-frag:44:IPv6-Frag idrp:45:IDRP rsvp:46:RSVP
    gre:47:GRE esp:50:IPSEC-ESP ah:51:IPSEC-AH skip:57:SKIP ipv6-icmp:58:IPv6-ICMP ipv6-nonxt:59:IPv6-NoNxt
    ipv6-opts:60:IPv6-Opts rspf:73:RSPF:CPHB vmtp:81:VMTP eigrp:88:EIGRP ospf:89:OSPFIGP ax.25:93:AX.25 ipip:94:IPIP
    etherip:97:ETHERIP encap:98:ENCAP pim:103:PIM ipcomp:108:IPCOMP vrrp:112:VRRP l2tp:115:L2TP isis:124:ISIS
    sctp:132:SCTP fc:133:FC mobility-header:135:Mobility-Header udplite:136:UDPLite mpls-in-ip:137:MPLS-in-IP manet:138
    hip:139:HIP shim6:140:Shim6 wesp:141:WESP rohc:142:ROHC ethernet:143:Ethernet mptcp:6:MPTCP
    icmpv6:58 mh:135 ipv6-mh:135 all:0
    """.split()
    for number in pair.split(":")[1:2]
    for name in (pair.split(":")[0], *pair.split(":")[2:])
}
"""Names of protocols, as /etc/protocols of Debian 12 has them, and the four that iptables knows besides. (MPTCP is 262,
of which eight bits are left.) The first name of a number is the one that is printed."""
PROTOCOL_NAMES: dict[int, str] = {}
for _name, _number in PROTOCOLS.items():
    PROTOCOL_NAMES.setdefault(_number, _name)

NETWORKS = {"default": 0, "loopback": 0x7F000000, "link-local": 0xA9FE0000}
"""Names of networks, as /etc/networks of Debian 12 has them."""

_NUMBER = re.compile(r"[ \t\n\v\f\r]*\+?(0[xX][0-9a-fA-F]+|[0-9]+)")


def leading(text: str) -> tuple[int | None, str]:
    """The number that a text begins with, as C reads it (10, 0x0a, 012, blanks and a plus before it), and the rest.
    None if there is none.
    """
    found = _NUMBER.match(text)
    if found is None:
        return None, text
    digits, end = found[1], found.end()
    if digits[1:2] in ("x", "X"):
        return int(digits, 16), text[end:]
    if digits[0] == "0":
        octal = re.match("0[0-7]*", digits)
        assert octal is not None
        return int(octal[0], 8), text[end - len(digits) + octal.end() :]
    return int(digits), text[end:]


def digits(text: str) -> int:
    """The number that a text begins with, as strtol has it by tens; 0 if there is none."""
    found = re.match(r"[ \t\n\v\f\r]*([+-]?[0-9]+)", text)
    if found is None:
        return 0
    return max(-(1 << 63), min(int(found[1]), (1 << 63) - 1))


def number(text: str, low: int = 0, high: int = ALL_ONES) -> int | None:
    """A number as C writes it within bounds; None if it is none."""
    value, rest = leading(text)
    return value if value is not None and not rest and low <= value <= high else None


def address(text: str, fewest: int = 4) -> int | None:
    """An address of four numbers, or None. Where fewer will do, those that are missing are zeros."""
    parts = text.split(".")
    octets = [number(part, 0, 255) for part in parts]
    if not fewest <= len(parts) <= 4 or None in octets:
        return None
    octets += [0] * (4 - len(parts))
    return int.from_bytes(bytes(octet or 0 for octet in octets), "big")


def loose_address(text: str) -> int | None:
    """An address as inet_aton has it: up to four numbers, of which the last one fills what is left."""
    values = []
    for part in text.split("."):
        value, rest = leading(part)
        if value is None or rest or not part[0].isdigit():
            return None
        values.append(value)
    last = values.pop()
    if len(values) > 3 or any(v > 255 for v in values) or last >= 1 << 8 * (4 - len(values)):
        return None
    return sum(v << 8 * (3 - n) for n, v in enumerate(values)) + last


def host(text: str) -> int | None:
    """An address, or one of the names that are known without asking."""
    addr = loose_address(text)
    return {"localhost": 0x7F000001}.get(text) if addr is None else addr


def mask_length(mask: int) -> int | None:
    """How many ones a mask begins with, None if it is not of ones and then zeros."""
    length = mask.bit_count()
    return length if mask == ALL_ONES << (32 - length) & ALL_ONES else None


def mask(text: str) -> int:
    """A mask, as a length or dotted."""
    value = address(text) if "." in text else number(text, 0, 32)
    if value is None:
        raise RefusedError(f"invalid mask `{text}' specified")
    return value if "." in text else ALL_ONES << (32 - value) & ALL_ONES


def network(text: str) -> tuple[int, int]:
    """(address, mask) of `a`, `a/length` or `a/mask`; host bits are cut off.

    Missing numbers at the end of an address are zeros (`10/8`); names are those that are known without asking.
    """
    name, slash, rest = text.rpartition("/") if "/" in text else (text, "", "")
    bits = mask(rest) if slash else ALL_ONES
    addr = address(name, 1)
    if addr is None:
        addr = NETWORKS.get(name)
    if addr is None:
        addr = host(name)
    if addr is None:
        raise RefusedError(f"host/network `{name}' not found")
    return addr & bits, bits


def masked(addr: int, bits: int, *, slash_32: bool) -> str:
    """A network as it is printed; `slash_32`: a single host with its mask, too."""
    length = mask_length(bits)
    if length == 32 and not slash_32:
        return dotted(addr)
    return f"{dotted(addr)}/{dotted(bits) if length is None else length}"


def named(addr: int) -> str:
    """An address as it is printed where names are wanted."""
    if addr == 0x7F000001:
        return "localhost"
    return next((name for name, number in NETWORKS.items() if number == addr), dotted(addr))


def port(text: str, proto: str = "") -> int:
    """A port by number, or by its name with a protocol ("": with any)."""
    value = number(text, 0, 65535)
    if value is None:
        value = services.port_of(text, proto)
    if value is None:
        raise RefusedError(f"invalid port/service `{text}' specified")
    return value


def port_range(text: str, proto: str) -> tuple[int, int]:
    """`a`, `a:b`, `:b`, `a:`."""
    low, colon, high = text.partition(":")
    if not colon:
        return port(low, proto), port(low, proto)
    span = port(low, proto) if low else 0, port(high, proto) if high else 65535
    if span[0] > span[1]:
        raise RefusedError("invalid portrange (min > max)")
    return span


def port_text(value: int, numeric: bool, proto: str) -> str:
    """A port, by name if names are wanted."""
    name = None if numeric else services.name_of(value, proto)
    return str(value) if name is None else name


def span_text(low: int, high: int, sep: str = ":") -> str:
    """A range, or the one value that it is."""
    return str(low) if low == high else f"{low}{sep}{high}"


def protocol(text: str) -> int:
    """A protocol by number or name; 0 is all."""
    value = number(text, 0, 255)
    if value is None:
        value = PROTOCOLS.get(text)
    if value is None:
        raise RefusedError(f'unknown protocol "{text}" specified')
    return value


def protocol_text(value: int) -> str:
    """The name of a protocol, or its number."""
    return PROTOCOL_NAMES.get(value, str(value))


def quoted(text: str) -> str:
    """A word of a rule as iptables-save writes it: in quotes unless it is of letters, digits, `_` and `-`."""
    if text and all(c.isascii() and (c.isalnum() or c in "_-") for c in text):
        return text
    escaped = "".join("\\" + c if c in "\"\\'" else c for c in text)
    return f'"{escaped}"'
