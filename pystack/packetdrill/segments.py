"""Packets as octets, made and read here by `struct` alone, so that no parser under test is its own judge."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from pystack.packetdrill.script import Opt
from pystack.packetdrill.verdict import Failure, Skip

M32 = 0xFFFFFFFF
PROTO_ICMP, PROTO_TCP, PROTO_UDP = 1, 6, 17
IP_HEAD = 20
TCP_HEAD = 20
TTL = 255
"""Of packets that the script injects."""
AE = 0x100
"""The flag left of CWR, in the nine bits of `Segment.flags`."""

_IP = struct.Struct(">BBHHHBBHII")
_TCP = struct.Struct(">HHIIHHHH")
_ICMP = struct.Struct(">BBHHH")
_UDP = struct.Struct(">HHHH")
_ZEROS = bytes(65536)


def checksum(data: bytes) -> int:
    """RFC 1071: 0 over what carries a right one."""
    if len(data) & 1:
        data += b"\0"
    total = int.from_bytes(data, "big") % 0xFFFF  # 2**16 is 1 modulo 2**16 - 1
    return (total ^ 0xFFFF) if total or not any(data) else 0


def zeros(n: int) -> bytes:
    """The payload of everything that a script sends and writes."""
    return _ZEROS[:n] if n <= len(_ZEROS) else bytes(n)


@dataclass(slots=True)
class Segment:
    """A packet as it was on the wire, headers taken apart. `time`: ns since the script began."""

    time: int
    data: bytes
    version: int = 0
    ihl: int = 0
    tos: int = 0
    total: int = 0
    fragment: int = 0
    ttl: int = 0
    proto: int = 0
    src: int = 0
    dst: int = 0
    sport: int = 0
    dport: int = 0
    seq: int = 0
    ack: int = 0
    doff: int = 0
    reserved: int = 0
    flags: int = 0
    win: int = 0
    urg: int = 0
    options: bytes = b""
    payload: bytes = b""
    pieces: int = 1
    """How many packets were glued to this one."""


def read(time: int, data: bytes) -> Segment:
    """Take an IPv4 packet apart; what is too short to have a field has 0 there."""
    s = Segment(time, data)
    s.version = data[0] >> 4
    s.ihl = data[0] & 15
    if len(data) < IP_HEAD:
        return s
    _, s.tos, s.total, _, s.fragment, s.ttl, s.proto, _, s.src, s.dst = _IP.unpack_from(data)
    at = s.ihl * 4
    if s.proto == PROTO_TCP and len(data) >= at + TCP_HEAD:
        s.sport, s.dport, s.seq, s.ack, word, s.win, _, s.urg = _TCP.unpack_from(data, at)
        s.doff, s.reserved, s.flags = word >> 12, word >> 9 & 7, word & 0x1FF
        s.options = data[at + TCP_HEAD : at + s.doff * 4]
        s.payload = data[at + s.doff * 4 : s.total]
    elif s.proto == PROTO_UDP and len(data) >= at + 8:
        s.sport, s.dport, _, _ = _UDP.unpack_from(data, at)
        s.payload = data[at + 8 : s.total]
    else:
        s.payload = data[at : s.total]
    return s


def bad_checksum(s: Segment) -> str:
    """Which checksum of a packet is wrong: "IP", "TCP", "UDP", or "" if none is."""
    at = s.ihl * 4
    if checksum(s.data[:at]):
        return "IP"
    body = s.data[at : s.total]
    if s.proto == PROTO_TCP or (s.proto == PROTO_UDP and body[6:8] != b"\0\0"):
        pseudo = struct.pack(">IIBBH", s.src, s.dst, 0, s.proto, len(body))
        if checksum(pseudo + body):
            return "TCP" if s.proto == PROTO_TCP else "UDP"
    return ""


# --- options --------------------------------------------------------------------------------------

_FAST_OPEN_EXPERIMENT = b"\xf9\x89"
_EXPERIMENTS = {"tarr": 0x00AC}
_ACC_ECN = {
    "AccECN0": (172, ("ee0b", "eceb", "ee1b")),
    "AccECN1": (174, ("ee1b", "eceb", "ee0b")),
}
_KINDS = {"mss": 2, "wscale": 3, "sackOK": 4, "sack": 5, "TS": 8, "md5": 19, "FO": 34, "FOEXP": 254}
_NAMES = {number: name for name, number in _KINDS.items()} | {0: "eol", 1: "nop"}


def encode(option: Opt) -> bytes:
    """The octets of an option as it stands; sack edges and timestamps must be mapped already."""
    kind = option.kind
    values: Any = option.values
    try:
        match kind:
            case "nop":
                return b"\1"
            case "eol":
                return b"\0"
            case "mss":
                return struct.pack(">BBH", 2, 4, *values)
            case "wscale":
                return struct.pack(">BBB", 3, 3, *values)
            case "sackOK":
                return b"\4\2"
            case "sack":
                edges = [edge for block in values for edge in block]
                return struct.pack(f">BB{len(edges)}I", 5, 2 + 4 * len(edges), *edges)
            case "TS":
                return struct.pack(">BBII", 8, 10, *values)
            case "FO":
                return _with_kind(34, values[0])
            case "FOEXP" | "exp-FO":
                return _with_kind(254, _FAST_OPEN_EXPERIMENT + _octets(values[0]))
            case "raw":
                return _octets(values[0])
            case "gen":
                return _with_kind(int(values[0]), values[1])
            case "exp":
                number, body = values
                if isinstance(number, str):
                    if number not in _EXPERIMENTS:
                        raise Skip(f"TCP option exp-{number}")
                    number = _EXPERIMENTS[number]
                return _with_kind(254, struct.pack(">H", number) + _octets(body))
            case "md5" if values and isinstance(values[0], bytes):
                return _with_kind(19, values[0])
            case "AccECN0" | "AccECN1" | "ECN":
                return _counters(kind, values)
    except (struct.error, TypeError) as e:
        raise Failure(f"semantic error: option {kind} cannot be written: {e}") from e
    raise Skip(f"TCP option {kind}")


def _octets(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"octets expected, not {value!r}")
    return value


def _with_kind(kind: int, body: object) -> bytes:
    octets = _octets(body)
    return bytes((kind, 2 + len(octets))) + octets


def _counters(kind: str, values: Any) -> bytes:
    """The octet counters of Accurate ECN, 24 bits each, as many as are given (RFC 9768 section 3.2.3)."""
    if kind == "ECN":
        raise Skip("TCP option ECN, a draft of Accurate ECN")
    number, order = _ACC_ECN[kind]
    given: dict[str, int] = dict(values)
    body = b""
    for name in order:
        if name not in given:
            break
        body += int(given[name]).to_bytes(3, "big")
    return _with_kind(number, body)


def split(octets: bytes) -> list[bytes]:
    """The options of a header one by one, nops and eols included. What cannot be read is the last one."""
    found = []
    at = 0
    while at < len(octets):
        size = 1
        if octets[at] > 1:
            size = octets[at + 1] if at + 1 < len(octets) else 0
            if size < 2 or at + size > len(octets):
                size = len(octets) - at
        found.append(octets[at : at + size])
        at += size
    return found


def decode(octets: bytes) -> Opt:
    """An option of the wire; unknown ones, and known ones of a wrong length, are `gen`."""
    kind, body = octets[0], octets[2:]
    name = _NAMES.get(kind, "gen")
    size = len(body)
    match name:
        case "eol" | "nop":
            return Opt(name)
        case "mss" if size == 2:
            return Opt(name, (int.from_bytes(body, "big"),))
        case "wscale" if size == 1:
            return Opt(name, (body[0],))
        case "sackOK" if size == 0:
            return Opt(name)
        case "sack" if size and size % 8 == 0:
            edges = struct.unpack(f">{size // 4}I", body)
            return Opt(name, tuple(zip(edges[::2], edges[1::2], strict=True)))
        case "TS" if size == 8:
            return Opt(name, struct.unpack(">II", body))
        case "md5" | "FO":
            return Opt(name, (body,))
        case "FOEXP" if body[:2] == _FAST_OPEN_EXPERIMENT:
            return Opt(name, (body[2:],))
        case "FOEXP" if size >= 2:
            return Opt("exp", (int.from_bytes(body[:2], "big"), body[2:]))
    return Opt("gen", (kind, body))


def show(option: Opt) -> str:
    """An option in the words of a script."""
    kind = option.kind
    values: Any = option.values
    match kind:
        case "sack":
            blocks = (f"{left}:{right}" for left, right in values)
            return f"sack {' '.join(blocks)}"
        case "TS":
            val = "..." if values[0] is None else values[0]
            return f"TS val {val} ecr {values[1]}{'!' if option.absolute else ''}"
        case "gen" | "exp":
            number, body = values
            return f"{kind}-{number} {_octets(body).hex()}".rstrip()
        case "AccECN0" | "AccECN1" | "ECN":
            return " ".join([kind, *(f"{name} {n}" for name, n in values)])
    words = [v.hex() if isinstance(v, bytes) else str(v) for v in values]
    return " ".join([kind, *filter(None, words)])


# --- packets --------------------------------------------------------------------------------------


def ip_packet(
    body: bytes, proto: int, src: int, dst: int, *, tos: int = 0, ttl: int = TTL, total: int = 0
) -> bytes:
    """An IPv4 packet around `body`; `total` is for one that is quoted and cut short."""
    size = total or IP_HEAD + len(body)
    if size > 65535:
        raise Failure(f"semantic error: a packet of {size} octets: IPv4 has 65535")
    head = _IP.pack(0x45, tos, size, 0, 0, ttl, proto, 0, src, dst)
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + body


def tcp_segment(
    src: int,
    dst: int,
    ports: tuple[int, int],
    seq: int,
    ack: int,
    flags: int,
    win: int,
    urg: int,
    options: bytes,
    payload: bytes,
    reserved: int = 0,
) -> bytes:
    """A TCP header with its options, and the payload. Raises Failure where the header cannot say that."""
    if len(options) % 4 or len(options) > 40:
        raise Failure(
            f"semantic error: {len(options)} octets of TCP options: a multiple of 4 and 40 at most"
        )
    word = (TCP_HEAD + len(options)) // 4 << 12 | reserved << 9 | flags
    try:
        head = _TCP.pack(*ports, seq, ack, word, win, 0, urg)
    except struct.error as e:
        raise Failure(f"semantic error: not a TCP header: {e}") from e
    body = head + options + payload
    pseudo = struct.pack(">IIBBH", src, dst, 0, PROTO_TCP, len(body))
    good = checksum(pseudo + body)
    return body[:16] + good.to_bytes(2, "big") + body[18:]


def udp_datagram(src: int, dst: int, ports: tuple[int, int], payload: bytes) -> bytes:
    """A UDP header and the payload."""
    body = _UDP.pack(*ports, 8 + len(payload), 0) + payload
    pseudo = struct.pack(">IIBBH", src, dst, 0, PROTO_UDP, len(body))
    good = checksum(pseudo + body) or 0xFFFF
    return body[:6] + good.to_bytes(2, "big") + body[8:]


def icmp_message(kind: int, code: int, first: int, second: int, rest: bytes) -> bytes:
    """An ICMP message: `first` and `second` are the 16-bit halves of the fifth to eighth octet."""
    body = _ICMP.pack(kind, code, 0, first, second) + rest
    return body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
