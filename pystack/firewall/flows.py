"""Flows of conntrack as rows of Python, and as /proc and the conntrack tool print them.

Formats: facts: conntrack 6, of a 6.18 kernel with conntrack-tools 1.4.7; older kernels leave parts out (`Era`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

from pystack._fast.consts import PROTO_GRE, PROTO_ICMP, PROTO_TCP, PROTO_UDP, PROTO_UDPLITE
from pystack._fast.ct_states import STATE_NAMES
from pystack._fast.nf_consts import (
    H_STATUS,
    HZ,
    IPS_ASSURED,
    IPS_DST_NAT,
    IPS_FIXED_TIMEOUT,
    IPS_SEEN_REPLY,
    IPS_SRC_NAT,
    O_STATE,
    UNCOUNTED,
    W_MARK,
)
from pystack.addresses import dotted

NAMES = {
    PROTO_ICMP: "icmp",
    PROTO_TCP: "tcp",
    PROTO_UDP: "udp",
    PROTO_GRE: "gre",
    PROTO_UDPLITE: "udplite",
}
"""Protocols with a tracker of their own; all others are "unknown"."""
WITH_PORTS = (PROTO_TCP, PROTO_UDP, PROTO_UDPLITE)
FAMILY = "ipv4", 2

STATUS_WORDS = (
    (IPS_SEEN_REPLY, "SEEN_REPLY"),
    (IPS_ASSURED, "ASSURED"),
    (IPS_FIXED_TIMEOUT, "FIXED_TIMEOUT"),
)


@dataclass(frozen=True, slots=True)
class Tuple:
    """One direction of a flow: addresses and numbers as its packets have them.

    `sport` and `dport` are ports; of ICMP the identifier, and type << 8 | code.
    """

    src: int
    dst: int
    sport: int
    dport: int
    zone: int = 0

    @property
    def kind(self) -> int:
        """Type of an ICMP message."""
        return self.dport >> 8

    @property
    def code(self) -> int:
        """Code of an ICMP message."""
        return self.dport & 0xFF


@dataclass(frozen=True, slots=True)
class Flow:
    """One row of the table as it was when it was looked at."""

    row: int
    serial: int
    proto: int
    state: str
    """Of TCP, else empty."""
    jiffies: int
    """Left, in ticks of 4 ms."""
    status: int
    """IPS_* bits."""
    original: Tuple
    reply: Tuple
    mark: int = 0
    timeouts: tuple[int, int] = (0, 0)
    """Of GRE: seconds, and of a stream."""
    packets: tuple[int, int] | None = None
    octets: tuple[int, int] | None = None
    """By direction, where nf_conntrack_acct was set."""
    since: int | None = None
    """ns of the machine's clock, where nf_conntrack_timestamp was set."""

    @property
    def timeout(self) -> int:
        """Whole seconds left."""
        return self.jiffies // HZ

    @property
    def assured(self) -> bool:
        """Has it got through, both ways?"""
        return bool(self.status & IPS_ASSURED)

    @property
    def unreplied(self) -> bool:
        """Has nothing come back?"""
        return not self.status & IPS_SEEN_REPLY

    @property
    def src_nat(self) -> bool:
        """Is its source translated?"""
        return bool(self.status & IPS_SRC_NAT)

    @property
    def dst_nat(self) -> bool:
        """Is its destination translated?"""
        return bool(self.status & IPS_DST_NAT)

    @property
    def name(self) -> str:
        """Of its protocol."""
        return NAMES.get(self.proto, "unknown")


def flow(table: Any, row: int) -> Flow:
    """A row of the core's table."""
    octet = table.octet[(row << 6) + O_STATE]
    proto = table.keys[4 * row + 1] >> 16 & 0xFF
    counted = table.packets is not None and table.packets[2 * row] != UNCOUNTED
    return Flow(
        row,
        table.serial[row],
        proto,
        STATE_NAMES[octet] if proto == PROTO_TCP else "",
        table.left(row),
        table.half[(row << 5) + H_STATUS],
        _tuple(table.keys[4 * row], table.keys[4 * row + 1]),
        _tuple(table.keys[4 * row + 2], table.keys[4 * row + 3]),
        table.word[(row << 4) + W_MARK],
        (table.gre // HZ, table.gre_stream // HZ),
        (table.packets[2 * row], table.packets[2 * row + 1]) if counted else None,
        (table.octets[2 * row], table.octets[2 * row + 1]) if counted else None,
        table.began(row),
    )


def _tuple(addrs: int, ports: int) -> Tuple:
    return Tuple(addrs >> 32, addrs & 0xFFFFFFFF, ports >> 48, ports >> 32 & 0xFFFF, ports & 0xFFFF)


# --- as text ------------------------------------------------------------------------------------------


def numbers(one: Flow, way: Tuple) -> Iterator[str]:
    """What stands behind the addresses of one direction."""
    if one.proto in WITH_PORTS:
        yield f"sport={way.sport}"
        yield f"dport={way.dport}"
    elif one.proto == PROTO_ICMP:
        yield f"type={way.kind}"
        yield f"code={way.code}"
        yield f"id={way.sport}"
    elif one.proto == PROTO_GRE:
        yield f"srckey=0x{way.sport:x}"
        yield f"dstkey=0x{way.dport:x}"


def direction(one: Flow, number: int, *, counted: bool = True) -> Iterator[str]:
    """One direction, with its zone where only it has one, and its counters."""
    way = (one.original, one.reply)[number]
    yield f"src={dotted(way.src)}"
    yield f"dst={dotted(way.dst)}"
    yield from numbers(one, way)
    if one.original.zone != one.reply.zone and way.zone:
        yield f"zone-{('orig', 'reply')[number]}={way.zone}"
    if counted and one.packets is not None and one.octets is not None:
        yield f"packets={one.packets[number]}"
        yield f"bytes={one.octets[number]}"


def body(one: Flow, *, with_state: bool = True, counted: bool = True) -> Iterator[str]:
    """What all formats have in common: from the state to ASSURED."""
    if one.state and with_state:
        yield one.state
    yield from direction(one, 0, counted=counted)
    if one.unreplied:
        yield "[UNREPLIED]"
    yield from direction(one, 1, counted=counted)
    if one.assured:
        yield "[ASSURED]"


def proc_line(one: Flow, now: int, *, old: bool = False) -> str:
    """A line of /proc/net/nf_conntrack, or of the old /proc/net/ip_conntrack."""
    head = f"{one.name:<8} {one.proto} {one.timeout} "
    if one.proto == PROTO_GRE:
        head += f"timeout={one.timeouts[0]}, stream_timeout={one.timeouts[1]} "
    words = [*body(one), f"mark={one.mark}"]
    if old:
        return head + " ".join([*words, "use=1"])
    if one.original.zone == one.reply.zone:
        words.append(f"zone={one.original.zone}")
    if one.since is not None:
        words.append(f"delta-time={(now - one.since) // 1_000_000_000}")
    return f"{FAMILY[0]:<8} {FAMILY[1]} {head}{' '.join([*words, 'use=2'])}"


def tool_line(
    one: Flow,
    *,
    extended: bool = False,
    with_id: bool = False,
    age: int | None = None,
    start: str = "",
    use: int = 1,
) -> str:
    """A line of `conntrack -L`; `age` in seconds, where it is known, `start` when it began."""
    words = [*body(one), f"mark={one.mark}", *_zone(one), *_age(age)]
    if start:
        words.append(start)
    words.append(f"use={use}")
    if with_id:
        words.append(f"id={identity(one)}")
    return f"{_family(extended)}{one.name:<8} {one.proto} {one.timeout} {' '.join(words)}"


def event_line(
    kind: str,
    one: Flow,
    *,
    state: bool,
    extended: bool = False,
    with_id: bool = False,
    age: int | None = None,
) -> str:
    """A line of `conntrack -E`: a mark that is none is not told, counters and age only at the end; an update without a
    new state has no state.
    """
    over = kind == "[DESTROY]"
    words = [*body(one, with_state=state, counted=over)]
    if one.mark:
        words.append(f"mark={one.mark}")
    words += _zone(one)
    if over:
        words += _age(age)
    if with_id:
        words.append(f"id={identity(one)}")
    head = f"{kind:>9} {_family(extended)}{one.name:<8} {one.proto} {one.timeout} "
    return head + " ".join(words)


def _family(extended: bool) -> str:
    return f"{FAMILY[0]:<8} {FAMILY[1]} " if extended else ""


def _zone(one: Flow) -> list[str]:
    both = one.original.zone
    return [f"zone={both}"] if both and both == one.reply.zone else []


def _age(age: int | None) -> list[str]:
    return [] if age is None else [f"delta-time={age}"]


def identity(one: Flow) -> int:
    """A number for a flow that no later one has soon: the serial number, spread over 32 bits as the kernel's are."""
    return one.serial * 2654435761 & 0xFFFFFFFF


def save_line(one: Flow, letter: str = "A") -> str:
    """What `conntrack -L -o save` prints: a command that makes the flow again."""
    first, back = one.original, one.reply
    status = [word for bit, word in STATUS_WORDS if one.status & bit] or ["UNSET"]
    words = [f"-{letter}", "-t", str(one.timeout), "-u", ",".join(status)]
    if first.zone == back.zone:
        words += ["-w", str(first.zone)] if first.zone else []
    else:
        words += ["--orig-zone", str(first.zone)] if first.zone else []
        words += ["--reply-zone", str(back.zone)] if back.zone else []
    words += ["-s", dotted(first.src), "-d", dotted(first.dst)]
    words += ["-g" if one.dst_nat else "-r", dotted(back.src)]
    words += ["-n" if one.src_nat else "-q", dotted(back.dst)]
    words += ["-p", one.name if one.proto in NAMES else str(one.proto)]
    if one.proto in WITH_PORTS:
        words += ["--sport", str(first.sport), "--dport", str(first.dport)]
        words += ["--reply-port-src", str(back.sport), "--reply-port-dst", str(back.dport)]
    elif one.proto == PROTO_ICMP:
        words += ["--icmp-type", str(first.kind), "--icmp-code", str(first.code)]
        words += ["--icmp-id", str(first.sport)]
    elif one.proto == PROTO_GRE:
        words += ["--srckey", str(first.sport), "--dstkey", str(first.dport)]
        words += ["--reply-key-src", str(back.sport), "--reply-key-dst", str(back.dport)]
    if one.state:
        words += ["--state", one.state]
    return " ".join(words)


def as_xml(
    one: Flow, *, event: str = "", age: int | None = None, start: int | None = None, use: int = 1
) -> str:
    """An element of `conntrack -L -o xml`, or of -E: `event` is new, update or destroy. `age` in seconds and `start`
    in ns since 1970, where they are wanted and known.
    """
    metas = []
    counted = event in ("", "destroy")
    for number, name in enumerate(("original", "reply")):
        way = (one.original, one.reply)[number]
        layer4 = ""
        if one.proto in WITH_PORTS:
            layer4 = f"<sport>{way.sport}</sport><dport>{way.dport}</dport>"
        elif one.proto == PROTO_GRE:
            layer4 = f"<srckey>{way.sport:#x}</srckey><dstkey>{way.dport:#x}</dstkey>"
        rest = ""
        if one.original.zone != one.reply.zone and way.zone:
            rest += f"<zone>{way.zone}</zone>"
        if counted and one.packets is not None and one.octets is not None:
            rest += (
                f"<counters><packets>{one.packets[number]}</packets>"
                f"<bytes>{one.octets[number]}</bytes></counters>"
            )
        metas.append(
            f"<meta direction={quoteattr(name)}>"
            f'<layer3 protonum="2" protoname="ipv4"><src>{dotted(way.src)}</src>'
            f"<dst>{dotted(way.dst)}</dst></layer3>"
            f'<layer4 protonum="{one.proto}" protoname={quoteattr(one.name)}>{layer4}</layer4>'
            f"{rest}</meta>"
        )
    rest = f"<state>{one.state}</state>" if one.state else ""
    rest += f"<timeout>{one.timeout}</timeout>"
    rest += f"<mark>{one.mark}</mark>" if one.mark or not event else ""
    if one.original.zone and one.original.zone == one.reply.zone:
        rest += f"<zone>{one.original.zone}</zone>"
    rest += "" if event else f"<use>{use}</use>"
    rest += f"<id>{identity(one)}</id>"
    rest += "<assured/>" if one.assured else ""
    rest += "<unreplied/>" if one.unreplied else ""
    if start is not None:
        rest += f"<timestamp><start>{start}</start></timestamp>"
    if age is not None and counted:
        rest += f"<deltatime>{age}</deltatime>"
    kind = f" type={quoteattr(event)}" if event else ""
    return f'<flow{kind}>{"".join(metas)}<meta direction="independent">{rest}</meta></flow>'


def as_dict(one: Flow) -> dict[str, Any]:
    """All of it as plain values, for JSON."""

    def way(number: int) -> dict[str, Any]:
        tup = (one.original, one.reply)[number]
        out: dict[str, Any] = {"src": dotted(tup.src), "dst": dotted(tup.dst)}
        if one.proto in WITH_PORTS:
            out |= {"sport": tup.sport, "dport": tup.dport}
        elif one.proto == PROTO_ICMP:
            out |= {"type": tup.kind, "code": tup.code, "id": tup.sport}
        if one.packets is not None and one.octets is not None:
            out |= {"packets": one.packets[number], "bytes": one.octets[number]}
        return out | {"zone": tup.zone}

    return {
        "protocol": one.name,
        "protocol_number": one.proto,
        "state": one.state,
        "timeout": one.timeout,
        "original": way(0),
        "reply": way(1),
        "assured": one.assured,
        "unreplied": one.unreplied,
        "src_nat": one.src_nat,
        "dst_nat": one.dst_nat,
        "mark": one.mark,
        "id": identity(one),
    }
