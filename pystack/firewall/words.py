"""Addresses, ports, protocols and numbers: how iptables reads them and how it writes them."""

from __future__ import annotations

from pystack.addresses import dotted
from pystack.firewall.errors import RefusedError

ALL_ONES = 0xFFFFFFFF

PROTOCOLS = {
    name: int(number)
    for pair in """
    icmp:1 igmp:2 ggp:3 ipencap:4 st:5 tcp:6 egp:8 igp:9 pup:12 udp:17 hmp:20 xns-idp:22 rdp:27 iso-tp4:29 dccp:33
    xtp:36 ddp:37 idpr-cmtp:38 ipv6:41 ipv6-route:43 ipv6-frag:44 idrp:45 rsvp:46 gre:47 esp:50 ah:51 skip:57
    ipv6-icmp:58 icmpv6:58 ipv6-nonxt:59 ipv6-opts:60 rspf:73 vmtp:81 eigrp:88 ospf:89 ax.25:93 ipip:94 etherip:97
    encap:98 pim:103 ipcomp:108 vrrp:112 l2tp:115 isis:124 sctp:132 fc:133 mobility-header:135 mh:135 udplite:136
    mpls-in-ip:137 manet:138 hip:139 shim6:140 wesp:141 rohc:142 ethernet:143
    """.split()
    for name, number in [pair.split(":")]
}
"""Names of protocols, as /etc/protocols has them; the first name of a number is the one that is printed."""
PROTOCOL_NAMES: dict[int, str] = {}
for _name, _number in PROTOCOLS.items():
    PROTOCOL_NAMES.setdefault(_number, _name)

SERVICES = {
    name: int(port)
    for pair in """
    echo:7 discard:9 daytime:13 chargen:19 ftp-data:20 ftp:21 ssh:22 telnet:23 smtp:25 time:37 whois:43 domain:53
    bootps:67 bootpc:68 tftp:69 gopher:70 finger:79 http:80 kerberos:88 pop3:110 sunrpc:111 auth:113 nntp:119 ntp:123
    netbios-ns:137 netbios-dgm:138 netbios-ssn:139 imap2:143 imap:143 snmp:161 snmp-trap:162 bgp:179 irc:194 ldap:389
    https:443 microsoft-ds:445 submissions:465 isakmp:500 syslog:514 printer:515 submission:587 ipp:631 ldaps:636
    domain-s:853 rsync:873 imaps:993 pop3s:995 socks:1080 openvpn:1194 ms-sql-s:1433 radius:1812 radius-acct:1813
    cisco-sccp:2000 nfs:2049 mysql:3306 ms-wbt-server:3389 svn:3690 mdns:5353 postgresql:5432 amqp:5672 x11:6000
    redis:6379 http-alt:8080 git:9418 zabbix-agent:10050
    """.split()
    for name, port in [pair.split(":")]
}
"""Names of ports that are understood, and printed where `-n` is not given."""
SERVICE_NAMES: dict[int, str] = {}
for _name, _number in SERVICES.items():
    SERVICE_NAMES.setdefault(_number, _name)


def number(text: str, low: int = 0, high: int = ALL_ONES) -> int | None:
    """A number as C writes it (10, 0x0a, 012) within bounds; None if it is none."""
    try:
        base = 16 if text.lower().startswith("0x") else 8 if text[:1] == "0" else 10
        value = int(text, base)
    except ValueError:
        return None
    if not text[:1].isdigit() or "_" in text:
        return None
    return value if low <= value <= high else None


def address(text: str) -> int | None:
    """An address of four numbers, or None."""
    parts = text.split(".")
    octets = [number(part, 0, 255) for part in parts]
    if len(parts) != 4 or None in octets:
        return None
    return int.from_bytes(bytes(octet or 0 for octet in octets), "big")


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


def network(text: str, *, cut: bool = True) -> tuple[int, int]:
    """(address, mask) of `a`, `a/length` or `a/mask`; host bits are cut off unless told otherwise. The only
    name is localhost.

    With a mask, missing numbers at the end of an address are zeros (`10/8`).
    """
    host, slash, rest = text.partition("/")
    bits = mask(rest) if slash else ALL_ONES
    missing = 3 - host.count(".")
    full = host + ".0" * missing if slash and missing > 0 else host
    addr = 0x7F000001 if host == "localhost" else address(full)
    if addr is None:
        raise RefusedError(f"host/network `{host}' not found")
    return addr & bits if cut else addr, bits


def masked(addr: int, bits: int, *, slash_32: bool) -> str:
    """A network as it is printed; `slash_32`: a single host with its mask, too."""
    length = mask_length(bits)
    if length == 32 and not slash_32:
        return dotted(addr)
    return f"{dotted(addr)}/{dotted(bits) if length is None else length}"


def port(text: str) -> int:
    """A port by number or name."""
    value = number(text, 0, 65535)
    if value is None:
        value = SERVICES.get(text)
    if value is None:
        raise RefusedError(f"invalid port/service `{text}' specified")
    return value


def port_range(text: str) -> tuple[int, int]:
    """`a`, `a:b`, `:b`, `a:`."""
    low, colon, high = text.partition(":")
    if not colon:
        return port(low), port(low)
    span = port(low) if low else 0, port(high) if high else 65535
    if span[0] > span[1]:
        raise RefusedError("invalid portrange (min > max)")
    return span


def port_text(value: int, numeric: bool) -> str:
    """A port, by name if names are wanted."""
    return str(value) if numeric else SERVICE_NAMES.get(value, str(value))


def span_text(low: int, high: int, sep: str = ":") -> str:
    """A range, or the one value that it is."""
    return str(low) if low == high else f"{low}{sep}{high}"


def protocol(text: str) -> int:
    """A protocol by number or name; 0 is all."""
    value = number(text, 0, 255)
    if value is None:
        value = 0 if text.lower() == "all" else PROTOCOLS.get(text.lower())
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
