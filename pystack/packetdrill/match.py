"""Is this the packet that the line asks for? Comparing, gluing, and both packets in the words of a script."""

from __future__ import annotations

from collections.abc import Sequence

from pystack.packetdrill.numbers import Space
from pystack.packetdrill.script import (
    ACK,
    CWR,
    ECE,
    FIN,
    PSH,
    RST,
    SYN,
    URG,
    IcmpPacket,
    IpInfo,
    Opt,
    TcpPacket,
    UdpPacket,
)
from pystack.packetdrill.segments import (
    AE,
    IP_HEAD,
    M32,
    PROTO_ICMP,
    PROTO_TCP,
    PROTO_UDP,
    TCP_HEAD,
    Segment,
    decode,
    encode,
    show,
    split,
)
from pystack.packetdrill.verdict import Failure, Skip

_LETTERS = (
    (FIN, "F"), (SYN, "S"), (RST, "R"), (PSH, "P"), (ACK, "."), (URG, "U"), (ECE, "E"), (CWR, "W"),
    (AE, "A"),
)  # fmt: skip
_ECN = {"noecn": (0,), "ect0": (2,), "ect1": (1,), "ce": (3,), "ect01": (1, 2)}
_GLUED = SYN | RST | ACK | URG
"""Flags that all pieces of one glued packet share; FIN, PSH and CWR may differ."""


def _differs(field: str, expected: int, actual: int) -> Failure:
    return Failure(
        f"live packet field {field}: expected: {expected} ({expected:#x}) vs actual: {actual} ({actual:#x})"
    )


# --- gluing ---------------------------------------------------------------------------------------


def continues(glued: Segment, piece: Segment, first_length: int, length: int) -> bool:
    """May `piece` be glued to what is there, on the way to a payload of `length` octets?

    It has to follow in sequence, with the same acknowledgment, window and flags, and be as long as the first
    piece unless it is the last one.
    """
    have = len(glued.payload)
    new = len(piece.payload)
    if new == 0 or piece.seq != (glued.seq + have) & M32:
        return False
    if piece.ack != glued.ack or piece.win != glued.win or (piece.flags ^ glued.flags) & _GLUED:
        return False
    return new == first_length or have + new >= length


def glue(glued: Segment, piece: Segment) -> Segment:
    """One packet of both: the last piece's headers and time, the first one's sequence number and CWR."""
    last = piece
    return Segment(
        last.time,
        last.data,
        last.version,
        last.ihl,
        last.tos,
        last.total + len(glued.payload),
        last.fragment,
        last.ttl,
        last.proto,
        last.src,
        last.dst,
        last.sport,
        last.dport,
        glued.seq,
        last.ack,
        last.doff,
        last.reserved,
        last.flags & ~CWR | glued.flags & CWR,
        last.win,
        last.urg,
        last.options,
        glued.payload + last.payload,
        glued.pieces + 1,
    )


# --- comparing ------------------------------------------------------------------------------------


def check_ip(want: IpInfo | None, live: Segment, proto: int) -> None:
    """Version, protocol, header length, and what the line says about the rest of the IP header."""
    if live.version != 4:
        raise _differs("ip_version", 4, live.version)
    if live.proto != proto:
        raise _differs("ip_protocol", proto, live.proto)
    if live.ihl != 5:
        raise _differs("ipv4_header_length", 5, live.ihl)
    if live.fragment & 0x3FFF:
        raise _differs("ipv4_fragment", 0, live.fragment & 0x3FFF)
    if want is None:
        return
    if want.flowlabel is not None:
        raise Skip("flowlabel: IPv6")
    if want.tos is not None and live.tos != want.tos:
        raise _differs("ip_tos", want.tos, live.tos)
    if want.dscp is not None and live.tos >> 2 != want.dscp:
        raise _differs("ip_dscp", want.dscp, live.tos >> 2)
    if want.ecn is not None and live.tos & 3 not in _ECN[want.ecn]:
        raise _differs("ip_ecn", _ECN[want.ecn][0], live.tos & 3)
    if want.ttl is not None and live.ttl != want.ttl:
        raise _differs("ip_ttl", want.ttl, live.ttl)


def check_length(want: int, live: Segment, total: int | None) -> None:
    """Payload, and total length where the line says all that is before it."""
    if len(live.payload) != want:
        raise Failure(
            f"live packet payload: expected {want} bytes vs actual {len(live.payload)} bytes"
        )
    if total is not None and live.total != total:
        raise _differs("ip_total_length", total, live.total)


def check_payload(live: Segment) -> None:
    """All zeros, as everything that a script writes."""
    if any(live.payload):
        at = next(i for i, octet in enumerate(live.payload) if octet)
        raise Failure(
            f"incorrect outbound data payload: octet {at} is {live.payload[at]:#04x}, not 0"
        )


def check_tcp(want: TcpPacket, live: Segment, space: Space, strict: bool) -> None:
    """Every field that the line asks for, in the order of the header. Raises Failure for the first that differs."""
    if want.rst_code is not None or want.rst_pen is not None:
        raise Skip("diagnostic payload of RST segments")
    expected = None if want.options is None else _expected_options(want, space)
    check_ip(want.ip, live, PROTO_TCP)
    size = None
    if expected is not None:
        size = TCP_HEAD + sum(len(octets) for _, octets in expected)
    check_length(want.length, live, None if size is None else IP_HEAD + size + want.length)
    if size is not None and live.doff * 4 != size:
        raise _differs("tcp_data_offset", size // 4, live.doff)
    flags = want.flags | (AE if want.ae else 0)
    if live.flags != flags:
        raise Failure(
            f"live packet field tcp_flags: expected: {letters(flags)} ({flags:#x})"
            f" vs actual: {letters(live.flags)} ({live.flags:#x})"
        )
    if live.reserved != want.reserved:
        raise _differs("tcp_reserved_bits", want.reserved, live.reserved)
    if want.seq_mode != "ignored":
        seq = live.seq
        if want.seq_mode == "mapped":
            seq = space.outbound_seq(seq, live.flags)
        if seq != want.seq & M32:
            raise _differs("tcp_seq", want.seq & M32, seq)
    ack = space.outbound_ack(live.ack, live.flags)
    if ack != (want.ack or 0) & M32:
        raise _differs("tcp_ack_seq", (want.ack or 0) & M32, ack)
    if want.win is not None and live.win != want.win:
        raise _differs("tcp_window", want.win, live.win)
    if live.urg != (want.urg or 0):
        raise _differs("tcp_urg_ptr", want.urg or 0, live.urg)
    if expected is not None:
        _check_options(expected, live, space, strict)
    check_payload(live)


def _expected_options(want: TcpPacket, space: Space) -> list[tuple[Opt, bytes]]:
    """[(option, its octets in script space)]; raw octets come as the options that they are."""
    found = []
    for o in want.options or ():
        if o.kind == "raw":
            found += [(decode(octets), octets) for octets in split(encode(o))]
        elif o.kind == "TS":
            found.append((o, bytes(10)))
        else:
            found.append((o, encode(o)))
    return found


def _check_options(
    expected: Sequence[tuple[Opt, bytes]], live: Segment, space: Space, strict: bool
) -> None:
    octets = split(live.options)
    kinds = [8 if o.kind == "TS" else raw[0] for o, raw in expected]
    if [o[0] for o in octets] != kinds:
        raise Failure("bad outbound TCP options")
    for (want, raw), got in zip(expected, octets, strict=True):
        actual = space.outbound_option(decode(got), live.flags)
        if want.kind == "TS":
            if actual.kind != "TS":
                raise Failure("bad length of an outbound TS option")
            if strict and want.values[1] != actual.values[1]:
                raise _bad_value(8, want, actual)
        elif (encode(actual) if actual.kind == "sack" else got) != raw:
            raise _bad_value(got[0], want, actual)


def _bad_value(kind: int, want: Opt, actual: Opt) -> Failure:
    return Failure(
        f"bad value in outbound TCP option (kind={kind}): expected: {show(want)} actual: {show(actual)}"
    )


def ts_of(live: Segment) -> tuple[int, int] | None:
    """Value and echo of a segment's timestamp option."""
    for octets in split(live.options):
        if octets[0] == 8 and len(octets) == 10:
            return int.from_bytes(octets[2:6], "big"), int.from_bytes(octets[6:], "big")
    return None


def check_udp(want: UdpPacket, live: Segment) -> None:
    """A datagram of this length, of zeros."""
    check_ip(want.ip, live, PROTO_UDP)
    check_length(want.length, live, IP_HEAD + 8 + want.length)
    check_payload(live)


def check_icmp(want: IcmpPacket, kind: int, code: int, live: Segment) -> None:
    """Type, code and, where the line gives them, the next hop's MTU or the identifier."""
    check_ip(want.ip, live, PROTO_ICMP)
    body = live.payload
    if len(body) < 8:
        raise Failure(f"live packet: an ICMP message of {len(body)} octets")
    if body[0] != kind:
        raise _differs("icmp_type", kind, body[0])
    if body[1] != code:
        raise _differs("icmp_code", code, body[1])
    if want.mtu is not None and int.from_bytes(body[6:8], "big") != want.mtu:
        raise _differs("icmp_mtu", want.mtu, int.from_bytes(body[6:8], "big"))
    if want.id is not None and int.from_bytes(body[4:6], "big") != want.id:
        raise _differs("icmp_id", want.id, int.from_bytes(body[4:6], "big"))


# --- in words -------------------------------------------------------------------------------------


def letters(flags: int) -> str:
    """Flags of a header in the letters of a script."""
    return "".join(letter for bit, letter in _LETTERS if flags & bit) or "-"


def _ip_words(ip: IpInfo | None) -> str:
    if ip is None:
        return ""
    words: list[str] = [ip.ecn] if ip.ecn else []
    words += [f"tos {ip.tos:#04x}"] if ip.tos is not None else []
    words += [f"dscp {ip.dscp}"] if ip.dscp is not None else []
    words += [f"ttl {ip.ttl}"] if ip.ttl is not None else []
    return f"[{', '.join(words)}] "


def show_packet(p: TcpPacket | UdpPacket | IcmpPacket) -> str:
    """A packet of the script as one line, without time and direction."""
    head = _ip_words(p.ip)
    if isinstance(p, UdpPacket):
        ports = f"{p.ports[0]} > {p.ports[1]} " if p.ports else ""
        return f"{head}udp {ports}({p.length})"
    if isinstance(p, IcmpPacket):
        words = ["icmp", str(p.type)]
        words += [str(p.code)] if p.code is not None else []
        words += [f"mtu {p.mtu}"] if p.mtu is not None else []
        words += [f"id {p.id}"] if p.id is not None else []
        if p.quoted and p.quoted.proto == "tcp":
            words.append(f"[{p.quoted.seq}:{p.quoted.end}({p.quoted.length})]")
        elif p.quoted:
            words.append(f"[{p.quoted.proto}({p.quoted.length})]")
        return head + " ".join(words)
    ports = f"{p.ports[0]} > {p.ports[1]} " if p.ports else ""
    flags = letters(p.flags | (AE if p.ae else 0))
    if p.seq_mode == "ignored":
        where = f"...({p.length})"
    else:
        where = f"{p.seq}:{p.end}({p.length}){'!' if p.seq_mode == 'absolute' else ''}"
    text = f"{head}{ports}{flags} {where}"
    text += f" ack {p.ack}" if p.ack is not None else ""
    text += f" win {p.win}" if p.win is not None else ""
    text += f" urg {p.urg}" if p.urg is not None else ""
    if p.options is None:
        return f"{text} <...>"
    return text + (f" <{','.join(map(show, p.options))}>" if p.options else "")


def show_live(live: Segment, space: Space, like: object = None) -> str:
    """A packet of the wire as a line of a script; what `like` says of the IP header is shown of this too."""
    ip = getattr(like, "ip", None)
    head = f"[tos {live.tos:#04x}, ttl {live.ttl}] " if ip is not None else ""
    if live.proto == PROTO_UDP:
        return f"{head}udp ({len(live.payload)})"
    if live.proto == PROTO_ICMP:
        kind, code = (*live.payload[:2], 0, 0)[:2]
        return f"{head}icmp type {kind} code {code}"
    if live.proto != PROTO_TCP:
        return f"{head}protocol {live.proto} ({live.total})"
    n = len(live.payload)
    seq = space.outbound_seq(live.seq, live.flags)
    if getattr(like, "seq_mode", "") == "absolute":
        seq = live.seq
    text = f"{head}{letters(live.flags)} {seq}:{(seq + n) & M32}({n})"
    if live.flags & ACK:
        text += f" ack {space.outbound_ack(live.ack, live.flags)}"
    text += f" win {live.win}"
    if live.flags & URG or live.urg:
        text += f" urg {live.urg}"
    options = [space.outbound_option(decode(o), live.flags) for o in split(live.options)]
    return text + (f" <{','.join(map(show, options))}>" if options else "")
