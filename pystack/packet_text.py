"""A packet as one line of text, as `tcpdump -n -S -tt` prints it.

Shown as it is: any octets can be given, and what is cut short or lies is marked with "[|tcp]",
"[bad opt]" and the like, never an exception. Not tcpdump's: the decoding of protocols above TCP and UDP,
and fragments say where they belong.
"""

from __future__ import annotations

import struct
from socket import inet_ntoa
from typing import Protocol

from pystack._fast import consts


class Octets(Protocol):
    """What can be shown: `Packet` is one."""

    def to_bytes(self) -> bytes:
        """The packet as it would stand on the wire."""


_FLAGS = (
    (consts.FIN, "F"),
    (consts.SYN, "S"),
    (consts.RST, "R"),
    (consts.PSH, "P"),
    (consts.ACK, "."),
    (consts.URG, "U"),
    (consts.ECE, "E"),
    (consts.CWR, "W"),
)
_PROTOCOLS = {
    1: "icmp",
    2: "igmp",
    4: "ipip",
    6: "tcp",
    17: "udp",
    41: "ipv6",
    47: "gre",
    50: "esp",
}
_UNREACHABLE = {
    0: "net {dst} unreachable",
    1: "host {dst} unreachable",
    2: "{dst} protocol {proto} unreachable",
    3: "{dst} {name} port {port} unreachable",
    5: "{dst} unreachable - source route failed",
    9: "host {dst} unreachable - admin prohibited",
    10: "host {dst} unreachable - admin prohibited",
    13: "host {dst} unreachable - admin prohibited filter",
}


def format_packet(ns: int, packet: Octets | bytes | bytearray | memoryview) -> str:
    """One line: seconds, then what tcpdump says. `ns` is nanoseconds.

    Microseconds are shown, and nanoseconds where the stamp has any.

        1.000500 IP 192.0.2.1.80 > 192.0.2.2.49152: Flags [S.], seq 0, ack 1, win 65535, length 0
    """
    if isinstance(packet, (bytes, bytearray, memoryview)):
        data = bytes(packet)
    else:
        data = packet.to_bytes()
    return f"{format_stamp(ns)} {describe(data)}"


def format_stamp(ns: int) -> str:
    """1_000_500_000 -> "1.000500"; nine digits where microseconds are not enough."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{seconds}.{rest:09d}" if rest % 1000 else f"{seconds}.{rest // 1000:06d}"


def describe(data: bytes) -> str:
    """The line without its stamp."""
    if len(data) < 20:
        return "IP [|ip]"
    if data[0] >> 4 != 4:
        return f"IP{data[0] >> 4} [bad version]"
    header = (data[0] & 15) * 4
    total = int.from_bytes(data[2:4], "big")
    if header < 20:
        return f"IP bad-hlen {header}"
    if total < header:
        return f"IP bad-len {total}"
    missing = total - len(data)
    prefix = f"IP truncated-ip - {missing} bytes missing! " if missing > 0 else "IP "
    if len(data) < header:
        return f"{prefix}[|ip]"
    src, dst = inet_ntoa(data[12:16]), inet_ntoa(data[16:20])
    fragment = int.from_bytes(data[6:8], "big")
    offset, more = (fragment & 0x1FFF) * 8, bool(fragment & 0x2000)
    proto = data[9]
    body = data[header:total]
    length = total - header
    place = f" (frag {offset}:{length}{'+' if more else ''})" if offset or more else ""
    if offset:
        return f"{prefix}{src} > {dst}: {_PROTOCOLS.get(proto, f'ip-proto-{proto}')}{place}"
    if proto == consts.PROTO_TCP:
        return prefix + _tcp(src, dst, body, length) + place
    if proto == consts.PROTO_UDP:
        return prefix + _udp(src, dst, body, length) + place
    if proto == consts.PROTO_ICMP:
        return f"{prefix}{src} > {dst}: {_icmp(body, length)}{place}"
    if proto in _PROTOCOLS:
        return f"{prefix}{src} > {dst}: {_PROTOCOLS[proto]} {length}{place}"
    return f"{prefix}{src} > {dst}: ip-proto-{proto} {length}{place}"


def _tcp(src: str, dst: str, body: bytes, whole: int) -> str:
    if len(body) < 4:
        return f"{src} > {dst}: [|tcp]"
    sport, dport = struct.unpack_from("!HH", body)
    start = f"{src}.{sport} > {dst}.{dport}:"
    if len(body) < 20:
        return f"{start} [|tcp]"
    seq, ack, size, flags, win, _, urgent = struct.unpack_from("!IIBBHHH", body, 4)
    header = (size >> 4) * 4
    names = "".join(letter for bit, letter in _FLAGS if flags & bit) or "none"
    length = whole - header
    if header < 20 or length < 0:
        wrong = "short, < 20" if header < 20 else f"long, > {whole}"
        return f"{start} Flags [{names}] [bad hdr length {header} - too {wrong}]"
    text = f"{start} Flags [{names}]"
    if length:
        text += f", seq {seq}:{(seq + length) & 0xFFFFFFFF}"
    elif flags & (consts.SYN | consts.FIN | consts.RST):
        text += f", seq {seq}"
    if flags & consts.ACK:
        text += f", ack {ack}"
    text += f", win {win}"
    if flags & consts.URG:
        text += f", urg {urgent}"
    if header > 20:
        text += f", options [{_options(body[20:header])}]"
        if len(body) < header:
            text += " [|tcp]"
    return f"{text}, length {length}"


def _options(octets: bytes) -> str:
    said = []
    at = 0
    while at < len(octets):
        kind = octets[at]
        if kind == consts.OPT_EOL:
            said.append("eol")
            break
        if kind == consts.OPT_NOP:
            said.append("nop")
            at += 1
            continue
        size = octets[at + 1] if at + 1 < len(octets) else 0
        if size < 2 or at + size > len(octets):
            said.append(f"opt-{kind} [bad opt]")
            break
        said.append(_option(kind, octets[at + 2 : at + size]))
        at += size
    return ",".join(said)


def _option(kind: int, value: bytes) -> str:
    size = len(value)
    if kind == consts.OPT_MSS and size == 2:
        return f"mss {int.from_bytes(value, 'big')}"
    if kind == consts.OPT_WSCALE and size == 1:
        return f"wscale {value[0]}"
    if kind == consts.OPT_SACK_OK and size == 0:
        return "sackOK"
    if kind == consts.OPT_SACK and size % 8 == 0 and size:
        edges = struct.unpack(f"!{size // 4}I", value)
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return f"sack {size // 8} " + "".join(f"{{{left}:{right}}}" for left, right in pairs)
    if kind == consts.OPT_TS and size == 8:
        return "TS val {} ecr {}".format(*struct.unpack("!II", value))
    if kind == consts.OPT_TFO:
        return f"tfo  cookie {value.hex()}" if value else "tfo  cookiereq"
    return f"unknown-{kind}" + (f" 0x{value.hex()}" if value else "")


def _udp(src: str, dst: str, body: bytes, whole: int) -> str:
    if len(body) < 4:
        return f"{src} > {dst}: [|udp]"
    sport, dport = struct.unpack_from("!HH", body)
    start = f"{src}.{sport} > {dst}.{dport}:"
    if len(body) < 8:
        return f"{start} [|udp]"
    length = int.from_bytes(body[4:6], "big")
    if length < 8:
        return f"{start} [bad udp length {length}]"
    return f"{start} UDP, length {length - 8}"


def _icmp(body: bytes, whole: int) -> str:
    if len(body) < 8:
        return "[|icmp]"
    kind, code = body[0], body[1]
    end = f", length {whole}"
    first, second = struct.unpack_from("!HH", body, 4)
    if kind in (consts.ICMP_ECHO, consts.ICMP_ECHO_REPLY):
        name = "request" if kind == consts.ICMP_ECHO else "reply"
        return f"ICMP echo {name}, id {first}, seq {second}{end}"
    if kind == consts.ICMP_TIME_EXCEEDED and code < 2:
        return f"ICMP {('time exceeded in-transit', 'ip reassembly time exceeded')[code]}{end}"
    if kind == consts.ICMP_UNREACH:
        quote = body[8:]
        if len(quote) < 20:
            return f"ICMP unreachable code {code} [|icmp]{end}"
        dst, proto = inet_ntoa(quote[16:20]), quote[9]
        if code == consts.ICMP_UNREACH_NEEDFRAG:
            mtu = f" (mtu {second})" if second else ""
            return f"ICMP {dst} unreachable - need to frag{mtu}{end}"
        at = (quote[0] & 15) * 4
        port = int.from_bytes(quote[at + 2 : at + 4], "big")
        name = _PROTOCOLS.get(proto, f"protocol {proto}")
        form = _UNREACHABLE.get(code, "{dst} unreachable - #" + str(code))
        return f"ICMP {form.format(dst=dst, proto=proto, name=name, port=port)}{end}"
    if kind == consts.ICMP_SOURCE_QUENCH:
        return f"ICMP source quench{end}"
    if kind == consts.ICMP_PARAM_PROBLEM:
        return f"ICMP parameter problem - octet {body[4]}{end}"
    if kind == consts.ICMP_REDIRECT:
        return f"ICMP redirect to {inet_ntoa(body[4:8])}{end}"
    return f"ICMP type-#{kind}{end}"
