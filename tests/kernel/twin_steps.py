"""What a script of the live twin is made of, and how hypothesis draws one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from tests.kernel.twin_settings import ACK, FIN, NF, PSH, RST, SYN, TCP, URG, Setting


@dataclass(frozen=True)
class Flow:
    """Who talks to whom; `side` is where the first of them is."""

    side: int
    src: str
    sport: int
    dst: str
    dport: int


FLOWS = (
    Flow(0, "10.9.1.2", 40000, "10.9.2.2", 80),
    Flow(0, "10.9.1.3", 40000, "10.9.2.2", 80),
    Flow(0, "10.9.1.4", 40000, "10.9.2.2", 80),
    Flow(0, "10.9.1.2", 500, "10.9.2.2", 53),
    Flow(0, "10.9.1.3", 500, "10.9.2.2", 53),
    Flow(0, "10.9.1.2", 40001, "10.9.2.9", 80),
    Flow(0, "10.9.1.5", 1000, "10.9.2.8", 443),
    Flow(1, "10.9.2.3", 50000, "10.9.1.2", 8080),
    Flow(1, "10.9.2.2", 80, "10.9.1.2", 40000),
    Flow(0, "10.9.1.2", 40000, "10.9.1.1", 80),
    Flow(1, "10.9.2.2", 9000, "10.9.2.1", 80),
    Flow(0, "10.9.1.6", 700, "10.9.2.2", 80),
    Flow(0, "10.9.1.7", 700, "10.9.2.2", 80),
    Flow(0, "10.9.1.3", 0, "10.9.2.3", 0),
)


@dataclass(frozen=True)
class Segment:
    """Of TCP: `seq` and `ack` are offsets from what comes next, `way` 1 is back."""

    flow: int
    way: int
    flags: int
    seq: int = 0
    ack: int = 0
    size: int = 0
    win: int = 8192
    wscale: int | None = None
    sack_ok: bool = False
    sack: tuple[int, int] | None = None
    isn: int | None = None
    acked: int | None = None
    extra: bytes = b""
    spoilt: str = ""
    """`isn`, `acked`: the numbers themselves. `extra`: options behind the others. `spoilt`: what is wrong with it."""


@dataclass(frozen=True)
class Datagram:
    """Of another protocol, with or without ports; `kind` and `code` are those of an ICMP message."""

    flow: int
    way: int
    proto: int
    size: int = 1
    kind: int = 8
    code: int = 0
    spoilt: str = ""


@dataclass(frozen=True)
class Trouble:
    """An ICMP error: who would get the flow's last packet in direction `way` complains about it. With `wrong`, about
    one that there never was.
    """

    flow: int
    way: int
    proto: int
    kind: int
    code: int
    wrong: bool = False
    cut: int | None = None
    """Octets of the quote that are there."""
    spoilt: str = ""
    other: bool = False
    """A router on the way says it, not who was to get the packet."""
    inside: bool = False
    """It comes from the sender's own side, about what he sent."""


@dataclass(frozen=True)
class Knob:
    """From now on it has this value."""

    name: str
    value: int


@dataclass(frozen=True)
class Wait:
    """Nothing for a while."""

    seconds: float


@dataclass(frozen=True)
class Pieces:
    """A datagram in fragments of so many octets, perhaps the last one first."""

    whole: Datagram
    size: int
    backwards: bool = False


Step = Segment | Datagram | Trouble | Pieces | Knob | Wait

OURS = b"\0\1"
"""The IP identification of all that a script sends."""
FLAGS = (SYN, SYN | ACK, ACK, ACK, ACK, ACK | PSH, FIN | ACK, FIN | ACK, RST, RST | ACK)
ODD_FLAGS = (
    0,
    FIN,
    SYN | FIN,
    SYN | RST,
    URG | ACK,
    SYN | URG,
    FIN | ACK | URG,
    SYN | ACK | URG,
    63,
    SYN | 0xC0,
    SYN | ACK | 0x40,
    ACK | 0x80,
    RST | ACK | URG,
    RST | PSH,
    RST | FIN,
    PSH,
    SYN | PSH,
    SYN | ACK | PSH,
    FIN | PSH | ACK,
    ACK | 0x100,
)
OFFSETS = (0,) * 14 + (
    1,
    -1,
    -2,
    1000,
    -1000,
    8191,
    8192,
    8193,
    -8192,
    65535,
    -66000,
    -66001,
    200000,
)
BEYOND = (2**31, -(2**31), 2**30)


EXTRA = (
    b"",
    b"\1\1\x08\x0a\0\0\0\1\0\0\0\0",
    b"\x03\x03\xff",
    b"\x03\x04\x07\x00",
    b"\x03\x02",
    b"\x05\x09" + bytes(7),
    b"\x05\x02",
    b"\x05\x0a\0\0\3\xe8\0\0\4\0",
    b"\x05\x12" + bytes(16),
    b"\x04\x03\x00",
    b"\x00\x03\x03\x05",
    b"\x02\x00",
    b"\x02\x28",
    b"\xfe\x03\x01",
    b"\x03\x03",
    b"\x22\x02",
    b"\x1e\x0c" + bytes(10),
)


def segments(flows: int, *, rich: bool = False) -> st.SearchStrategy[Segment]:
    """One segment of one of the first flows; `rich`, with odd options, numbers and faults."""
    offsets = st.sampled_from(OFFSETS) | st.sampled_from(BEYOND) | st.integers(-70000, 70000)
    more: dict[str, Any] = {}
    if rich:
        absolute = st.sampled_from((None,) * 8 + (0, 1, 999, 777_000, 2**31, 2**32 - 1, 5000))
        more = {
            "isn": absolute,
            "acked": absolute,
            "extra": st.sampled_from(EXTRA[:1] * 8 + EXTRA),
            "spoilt": st.sampled_from(("",) * 12 + ("sum", "offset", "beyond", "short", "pad")),
        }
    return st.builds(
        Segment,
        flow=st.integers(0, flows - 1),
        way=st.integers(0, 1),
        flags=st.sampled_from(FLAGS * 4 + ODD_FLAGS),
        seq=st.sampled_from(OFFSETS) | offsets,
        ack=st.sampled_from(OFFSETS) | offsets,
        size=st.sampled_from((0, 0, 0, 1, 100, 1000, 1400)),
        win=st.sampled_from((8192, 8192, 8192, 0, 1, 100, 65535)),
        wscale=st.sampled_from((None, None, 0, 2, 7, 14, 15, 200)),
        sack_ok=st.booleans(),
        sack=st.none()
        | st.tuples(st.sampled_from((1, 100, -100, 9000)), st.sampled_from((0, 1, 1000, -1))),
        **more,
    )


def datagrams(
    flows: int, protocols: Sequence[int], *, rich: bool = False
) -> st.SearchStrategy[Datagram]:
    """One datagram or message."""
    more: dict[str, Any] = {}
    kinds = st.sampled_from((8, 8, 8, 8, 8, 0, 13, 14, 15, 17, 10, 9, 30))
    if rich:
        kinds |= st.integers(0, 255)
        more = {
            "code": st.sampled_from((0, 0, 0, 1, 255)),
            "spoilt": st.sampled_from(("",) * 8 + ("sum", "nosum", "short", "length", "tiny")),
        }
    return st.builds(
        Datagram,
        flow=st.integers(0, flows - 1),
        way=st.integers(0, 1),
        proto=st.sampled_from(protocols),
        size=st.sampled_from((0, 1, 100)),
        kind=kinds,
        **more,
    )


def troubles(
    flows: int, protocols: Sequence[int], *, rich: bool = False
) -> st.SearchStrategy[Trouble]:
    """One ICMP error."""
    kinds = st.sampled_from(
        ((3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (4, 0), (5, 1), (11, 0), (11, 1), (12, 0))
    )
    more: dict[str, Any] = {}
    if rich:
        kinds |= st.tuples(st.sampled_from((3, 4, 5, 11, 12)), st.integers(0, 16))
        more = {
            "cut": st.sampled_from((None,) * 6 + (0, 19, 20, 22, 24, 27)),
            "spoilt": st.sampled_from(
                ("",) * 8 + ("sum", "quote", "version", "fragment", "options")
            ),
            "other": st.booleans(),
            "inside": st.booleans(),
        }
    return st.builds(
        lambda kind, **rest: Trouble(kind=kind[0], code=kind[1], **rest),
        flow=st.integers(0, flows - 1),
        way=st.integers(0, 1),
        proto=st.sampled_from((TCP, TCP, TCP, *protocols)),
        kind=kinds,
        wrong=st.sampled_from((False, False, False, True)),
        **more,
    )


KNOBS = {
    "tcp_loose": (0, 1),
    "tcp_be_liberal": (0, 1),
    "tcp_ignore_invalid_rst": (0, 1),
    "tcp_max_retrans": (0, 1, 3, 255),
    "tcp_timeout_established": (100, 432000, 0),
    "tcp_timeout_syn_sent": (120, 7, 0),
    "tcp_timeout_max_retrans": (300, 40, 0),
    "tcp_timeout_unacknowledged": (300, 50, 0),
    "tcp_timeout_close": (10, 400, 0),
    "tcp_timeout_time_wait": (120, 500),
    "tcp_timeout_last_ack": (30, 600),
    "udp_timeout": (30, 0, 1000),
    "udp_timeout_stream": (120, 1),
    "icmp_timeout": (30, 0),
    "generic_timeout": (600, 3),
}


def knobs() -> st.SearchStrategy[Knob]:
    """One that changes in the middle."""
    pairs = [(name, value) for name, values in KNOBS.items() for value in values]
    return st.sampled_from(pairs).map(lambda pair: Knob(f"{NF}{pair[0]}", pair[1]))


def opened(flow: int, scales: tuple[int | None, int | None]) -> list[Step]:
    """A handshake."""
    mine, theirs = scales
    return [
        Segment(flow, 0, SYN, wscale=mine, sack_ok=True),
        Segment(flow, 1, SYN | ACK, wscale=theirs, sack_ok=True),
        Segment(flow, 0, ACK),
    ]


def talked(flow: int, way: int) -> list[Step]:
    """Some data, acknowledged."""
    return [Segment(flow, way, ACK | PSH, size=1000), Segment(flow, 1 - way, ACK)]


def closed(flow: int, way: int) -> list[Step]:
    """Both sides close, `way` first."""
    return [
        Segment(flow, way, FIN | ACK),
        Segment(flow, 1 - way, FIN | ACK),
        Segment(flow, way, ACK),
    ]


def reached(flow: int, state: str, scales: tuple[int | None, int | None]) -> list[Step]:
    """A flow in this state."""
    mine, theirs = scales
    if state == "SYN_SENT":
        return [Segment(flow, 0, SYN, wscale=mine, sack_ok=True)]
    if state == "SYN_SENT2":
        return [Segment(flow, 0, SYN, wscale=mine), Segment(flow, 1, SYN, wscale=theirs)]
    start = opened(flow, scales)
    if state == "SYN_RECV":
        return start[:2]
    ends: dict[str, list[Step]] = {
        "ESTABLISHED": [],
        "FIN_WAIT": [Segment(flow, 0, FIN | ACK)],
        "CLOSE_WAIT": [Segment(flow, 1, FIN | ACK), Segment(flow, 0, ACK)],
        "LAST_ACK": [Segment(flow, 0, FIN | ACK), Segment(flow, 1, FIN | ACK)],
        "TIME_WAIT": closed(flow, 0),
        "TIME_WAIT too": closed(flow, 1),
        "CLOSE": [Segment(flow, 0, RST | ACK)],
        "CLOSE too": [Segment(flow, 1, RST)],
    }
    return start + ends[state]


STATES = (
    "SYN_SENT",
    "SYN_SENT2",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "TIME_WAIT too",
    "CLOSE",
    "CLOSE too",
)


def repeated(step: Segment, times: int) -> list[Step]:
    """The same again and again, as it was: numbers go back by what it moved them."""
    long = step.size + bool(step.flags & SYN) + bool(step.flags & FIN)
    return [step, *[replace(step, seq=step.seq - long)] * times]


def flat(parts: list[list[Step]]) -> list[Step]:
    """Steps one after the other."""
    return [step for part in parts for step in part]


def scripts(setting: Setting, *, rich: bool = False) -> st.SearchStrategy[list[Step]]:
    """Up to a few dozen steps: whole conversations, single packets, errors; and time, where it passes. `rich` ones are
    about a flow in any state, with faults and odd numbers, and knobs that change.
    """
    flows, way = st.integers(0, len(FLOWS) - 1), st.integers(0, 1)
    few = st.integers(0, 3)
    scales = st.sampled_from(((None, None), (0, 0), (7, 2), (7, None)))
    every, protocols = len(FLOWS), setting.protocols
    one: list[Any] = [segments(4), segments(2), segments(every), troubles(every, protocols)]
    one += [datagrams(every, protocols), datagrams(2, protocols)]
    if setting.clock:
        one.append(st.sampled_from((0.3, 1.15, 2.2)).map(Wait))
    many = [
        st.builds(opened, few, scales),
        st.builds(talked, few, way),
        st.builds(closed, few, way),
        st.builds(opened, flows, scales),
    ]
    if rich:
        scales |= st.sampled_from(((15, 200), (14, 14), (None, 3)))
        begin = st.builds(reached, st.just(0), st.sampled_from(STATES), scales)
        again = st.builds(repeated, segments(1), st.integers(1, 5))
        one += [segments(1, rich=True), segments(1), segments(1), segments(every, rich=True)]
        one += [
            datagrams(every, protocols, rich=True),
            troubles(every, protocols, rich=True),
            knobs(),
        ]
        one.append(
            st.builds(
                Pieces,
                datagrams(every, protocols, rich=True),
                st.sampled_from((8, 24, 64)),
                st.booleans(),
            )
        )
        many += [st.builds(reached, few, st.sampled_from(STATES), scales), again]
        many += [each.map(lambda step: [step]) for each in one]
        rest = st.lists(st.one_of(many), min_size=1, max_size=14)
        return st.tuples(begin, rest).map(lambda both: both[0] + flat(both[1]))
    many += [each.map(lambda step: [step]) for each in one]
    least = 4 if setting.clock else 1
    return st.lists(st.one_of(many), min_size=least, max_size=14).map(flat)
