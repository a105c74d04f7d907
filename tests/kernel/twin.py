"""The live twin of conntrack: hypothesis makes packets, the kernel of this computer and pystack get the same.

python -m tests.kernel.twin [-n EXAMPLES] [SETTING…]

After each packet everything must be alike: what came out on which side, octet for octet (a rule writes the ct state
into DSCP), all lines of /proc/net/nf_conntrack, timeouts within a second, and the counters of `conntrack -S`. Ports
that NAT draws at random are compared by their range only. What differs on purpose is in docs/conntrack.md, "The live
twin". Needs Linux, root, nf_conntrack and iptables 1.8; makes its own namespace.
"""

from __future__ import annotations

import argparse
import re
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from pystack.addresses import dotted, parse_host
from pystack.packetdrill.segments import checksum as internet_checksum
from tests.kernel.router import Heard, KernelRouter, OurRouter, Router, netlab

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ICMP, TCP, UDP, GRE, UDPLITE = 1, 6, 17, 47, 136
PORTS = (TCP, UDP, UDPLITE)

DSCP = """*mangle
-A FORWARD -m conntrack --ctstate NEW -j DSCP --set-dscp 1
-A FORWARD -m conntrack --ctstate ESTABLISHED -j DSCP --set-dscp 2
-A FORWARD -m conntrack --ctstate RELATED -j DSCP --set-dscp 3
-A FORWARD -m conntrack --ctstate INVALID -j DSCP --set-dscp 4
-A FORWARD -m conntrack --ctstate UNTRACKED -j DSCP --set-dscp 5
COMMIT
"""
NF = "net.netfilter.nf_conntrack_"


@dataclass(frozen=True)
class Setting:
    """Rules and knobs of both machines. `low`, `high`: ports that a rule of NAT allows; `clock`: time passes, too."""

    rules: str = ""
    knobs: dict[str, int] = field(default_factory=dict)
    low: int = 0
    high: int = 0
    clock: bool = False

    @property
    def protocols(self) -> tuple[int, ...]:
        """Beside TCP. A 6.18 takes UDP-Lite only if it need not look at the checksum: else all of it is INVALID."""
        lite = (UDPLITE,) if self.knobs.get(f"{NF}checksum") == 0 else ()
        return (UDP, UDP, UDP, ICMP, ICMP, GRE, 50, 99, *lite)


SHORT = dict.fromkeys(
    (
        "tcp_timeout_syn_sent",
        "tcp_timeout_fin_wait",
        "tcp_timeout_close",
        "udp_timeout",
        "icmp_timeout",
        "gre_timeout",
    ),
    2,
) | {
    "tcp_timeout_syn_recv": 3,
    "tcp_timeout_established": 8,
    "tcp_timeout_close_wait": 3,
    "tcp_timeout_last_ack": 1,
    "tcp_timeout_time_wait": 4,
    "tcp_timeout_max_retrans": 4,
    "tcp_timeout_unacknowledged": 5,
    "udp_timeout_stream": 4,
    "generic_timeout": 3,
    "gre_timeout_stream": 4,
}
SETTINGS = {
    "plain": Setting(),
    "loose0": Setting(knobs={f"{NF}tcp_loose": 0}),
    "liberal": Setting(knobs={f"{NF}tcp_be_liberal": 1}),
    "any-rst": Setting(knobs={f"{NF}tcp_ignore_invalid_rst": 1, f"{NF}tcp_max_retrans": 1}),
    "unsummed": Setting(knobs={f"{NF}checksum": 0}),
    "counted": Setting(knobs={f"{NF}acct": 1, f"{NF}timestamp": 1}),
    "clock": Setting(knobs={f"{NF}{name}": value for name, value in SHORT.items()}, clock=True),
    "masquerade": Setting("*nat\n-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n"),
    "two-ports": Setting(
        """*nat
-A POSTROUTING -o eth1 -p tcp -j SNAT --to-source 10.9.2.100:5000-5001
-A POSTROUTING -o eth1 -p udp -j SNAT --to-source 10.9.2.100:5000-5001
-A POSTROUTING -o eth1 -p icmp -j SNAT --to-source 10.9.2.100
COMMIT
""",
        low=5000,
        high=5001,
    ),
    "pool": Setting(
        "*nat\n-A POSTROUTING -o eth1 -j SNAT --to-source 10.9.2.100-10.9.2.104\nCOMMIT\n"
    ),
    "persistent": Setting(
        "*nat\n-A POSTROUTING -o eth1 -j SNAT --to-source 10.9.2.100-10.9.2.104 --persistent\nCOMMIT\n"
    ),
    "balancer": Setting(
        """*nat
-A PREROUTING -i eth0 -d 10.9.2.9 -p tcp --dport 80 -j DNAT --to-destination 10.9.2.2-10.9.2.4:8080
-A PREROUTING -i eth0 -d 10.9.2.9 -p udp -j DNAT --to-destination 10.9.2.5
-A PREROUTING -i eth0 -d 10.9.2.8 -j NETMAP --to 10.9.2.16/28
-A POSTROUTING -o eth1 -p tcp -j MASQUERADE
COMMIT
"""
    ),
    "zones": Setting(
        """*raw
-A PREROUTING -p tcp --dport 80 -j CT --zone 7
-A PREROUTING -p tcp --sport 80 -j CT --zone 7
-A PREROUTING -p udp --dport 53 -j NOTRACK
-A PREROUTING -p icmp -i eth1 -j CT --zone 3
COMMIT
"""
    ),
    "timeless": Setting(
        knobs={
            f"{NF}{name}": 0
            for name in ("tcp_timeout_close", "tcp_timeout_syn_recv", "icmp_timeout")
        }
        | {f"{NF}tcp_max_retrans": 0, f"{NF}tcp_timeout_max_retrans": 50}
    ),
    "strict": Setting(
        knobs={f"{NF}tcp_loose": 0, f"{NF}tcp_be_liberal": 1, f"{NF}tcp_ignore_invalid_rst": 1}
    ),
    "random": Setting(
        """*nat
-A POSTROUTING -o eth1 -p tcp -j SNAT --to-source 10.9.2.100:1024-40010 --random
-A POSTROUTING -o eth1 -p udp -j MASQUERADE --random-fully
-A POSTROUTING -o eth1 -p icmp -j SNAT --to-source 10.9.2.100-10.9.2.101 --random
COMMIT
""",
    ),
    "nets": Setting(
        """*nat
-A PREROUTING -i eth1 -d 10.9.1.0/28 -p udp -j NETMAP --to 10.9.1.0/28
-A POSTROUTING -o eth1 -s 10.9.1.0/29 -j NETMAP --to 10.9.2.64/29
COMMIT
"""
    ),
    "redirect": Setting(
        """*nat
-A PREROUTING -i eth0 -p tcp --dport 80 -j REDIRECT --to-ports 81
-A PREROUTING -i eth0 -p udp --dport 53 -j REDIRECT
-A PREROUTING -i eth1 -p tcp -j DNAT --to-destination 10.9.1.2-10.9.1.3:8000-8010
-A POSTROUTING -o eth1 -p udp -j MASQUERADE --to-ports 500
COMMIT
""",
        low=500,
        high=500,
    ),
    "hairpin": Setting(
        """*nat
-A PREROUTING -d 10.9.2.1 -p tcp --dport 80 -j DNAT --to-destination 10.9.1.3:40000
-A PREROUTING -d 10.9.2.9 -j DNAT --to-destination 10.9.1.3
-A POSTROUTING -s 10.9.1.0/24 -d 10.9.1.0/24 -j MASQUERADE
-A POSTROUTING -o eth1 -j SNAT --to-source 10.9.2.1
COMMIT
"""
    ),
    "marks": Setting(
        """*mangle
-A PREROUTING -j CONNMARK --restore-mark
-A PREROUTING -m mark --mark 0 -p tcp -j MARK --set-mark 5
-A PREROUTING -m conntrack --ctdir REPLY -m conntrack --ctstatus ASSURED -j MARK --or-mark 0x10
-A POSTROUTING -j CONNMARK --save-mark
COMMIT
"""
    ),
    "firewall": Setting(
        """*filter
:FORWARD DROP
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -i eth0 -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -p tcp -j REJECT --reject-with tcp-reset
COMMIT
"""
    ),
}


# --- what a script is made of ------------------------------------------------------------------------------------


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


# --- a script on one machine -------------------------------------------------------------------------------------


def checksum(data: bytes) -> bytes:
    """The two octets of it."""
    return internet_checksum(data).to_bytes(2, "big")


def ip(proto: int, src: str, dst: str, payload: bytes) -> bytes:
    """An IPv4 packet."""
    ends = (parse_host(src), parse_host(dst))
    total = 20 + len(payload)
    head = struct.pack(">BBHHHBBHII", 0x45, 0, total, 1, 0x4000, 64, proto, 0, *ends)
    return head[:10] + checksum(head) + head[12:] + payload


def summed(proto: int, src: str, dst: str, l4: bytes, at: int) -> bytes:
    """L4 octets with their checksum over the pseudo header, at `at`."""
    pseudo = struct.pack(">IIBBH", parse_host(src), parse_host(dst), 0, proto, len(l4))
    return l4[:at] + checksum(pseudo + l4) + l4[at + 2 :]


class Talk:
    """A script on one machine: what is sent depends on what came out, because answers go to where NAT has put it."""

    def __init__(self, router: Router, setting: Setting) -> None:
        self.router, self.setting = router, setting
        self.next = {n: [1000 + (n % 3) * 0x7FFFFF00 & 0xFFFFFFFF, 5000] for n in range(len(FLOWS))}
        self.seen: dict[tuple[int, int], tuple[str, int, str, int]] = {}
        """(protocol, flow): addresses and ports of its last packet on the far side."""
        self.names: dict[int, str] = {}
        self.parts = 0
        """What the ports that NAT has drawn are called in what is compared."""
        self.before = router.counters()

    def ends(self, proto: int, flow: int, way: int) -> tuple[int, str, int, str, int]:
        """Side where a packet comes in, and its addresses and ports."""
        f = FLOWS[flow]
        if way == 0:
            return f.side, f.src, f.sport, f.dst, f.dport
        src, sport, dst, dport = self.seen.get((proto, flow), (f.src, f.sport, f.dst, f.dport))
        return 1 - f.side, dst, dport, src, sport

    def take(self, step: Step) -> Heard:
        """One step; what came out."""
        if isinstance(step, Wait):
            self.router.wait(step.seconds)
            return []
        if isinstance(step, Knob):
            self.router.set(step.name, step.value)
            return []
        if isinstance(step, Pieces):
            return self.in_pieces(step)
        if isinstance(step, Segment):
            side, packet = self.segment(step)
            proto = TCP
        elif isinstance(step, Trouble):
            side, packet = self.trouble(step)
            routed = step.kind == 5 or (step.kind, step.code) == (3, 4)
            if dotted_at(packet, 12) in OWN or (routed and dotted_at(packet, 16) in OWN):
                return []  # martians; and what a kernel remembers about its routes
            return self.router.send(side, packet)
        else:
            side, packet = self.datagram(step)
            proto = step.proto
        if dotted_at(packet, 12) in OWN:
            return []  # martians: not what is compared here
        heard = self.router.send(side, packet)
        for where, data in heard:
            if data[4:6] == OURS and data[9] == proto:
                self.learn(proto, step.flow, step.way, data, through=where != side)
        return heard

    def in_pieces(self, step: Pieces) -> Heard:
        """The fragments of a datagram; what came out when the last was there."""
        side, packet = self.datagram(step.whole)
        if dotted_at(packet, 12) in OWN:
            return []
        parts = []
        self.parts += 1
        for at in range(20, len(packet), step.size):
            more = at + step.size < len(packet)
            part = packet[at : at + step.size]
            word = (0x2000 if more else 0) | (at - 20) >> 3
            head = struct.pack(">BBHHH", 0x45, 0, 20 + len(part), 1000 + self.parts, word)
            head += packet[8:10] + b"\0\0" + packet[12:20]
            parts.append(head[:10] + checksum(head) + head[12:] + part)
        heard: Heard = []
        for part in reversed(parts) if step.backwards else parts:
            heard += self.router.send(side, part)
        for where, data in heard:
            if data[6:8] in (b"\0\0", b"\x20\0") and data[9] == step.whole.proto:
                whole = step.whole
                self.learn(whole.proto, whole.flow, whole.way, data, through=where != side)
        return heard

    def learn(self, proto: int, flow: int, way: int, data: bytes, *, through: bool) -> None:
        """Where a flow's packets come out, and the names of ports that were drawn."""
        f = FLOWS[flow]
        ports: tuple[int, int] = (0, 0)
        if len(data) < 28:
            return
        if proto in PORTS:
            ports = struct.unpack_from(">HH", data, 20)
        elif proto == ICMP:
            ports = (struct.unpack_from(">H", data, 24)[0], 0)
        if way == 0 and through:
            self.seen[proto, flow] = (dotted_at(data, 12), ports[0], dotted_at(data, 16), ports[1])
        if proto in (*PORTS, ICMP) and ports[0] not in (f.sport, f.dport):
            low, high = self.setting.low, self.setting.high
            if not low <= ports[0] <= high or not low:
                low, high = next(c for c in CLASSES if c[0] <= ports[0] <= c[1])
            self.names[ports[0]] = f"<{low}-{high}>"

    def segment(self, s: Segment) -> tuple[int, bytes]:
        side, src, sport, dst, dport = self.ends(TCP, s.flow, s.way)
        nxt = self.next[s.flow]
        seq, ack = (nxt[s.way] + s.seq) & 0xFFFFFFFF, (nxt[1 - s.way] + s.ack) & 0xFFFFFFFF
        seq = seq if s.isn is None else s.isn
        ack = ack if s.acked is None else s.acked
        end = (seq + s.size + bool(s.flags & SYN) + bool(s.flags & FIN)) & 0xFFFFFFFF
        if (end - nxt[s.way]) & 0xFFFFFFFF < 100_000 or (s.isn is not None and s.flags & SYN):
            nxt[s.way] = end
        options = b""
        if s.flags & SYN:
            options = struct.pack(">BBH", 2, 4, 1460)
            options += b"\x04\x02" if s.sack_ok else b""
            options += bytes((3, 3, s.wscale)) if s.wscale is not None else b""
        elif s.sack:
            left = (ack + s.sack[0]) & 0xFFFFFFFF
            options = struct.pack(">BBII", 5, 10, left, (left + s.sack[1]) & 0xFFFFFFFF)
        if not (s.sack and s.extra[:1] == b"\x05"):
            options += s.extra  # of two lists of blocks only the last is read here
        options += b"\x01" * (-len(options) % 4)
        words = (20 + len(options)) // 4
        body = bytes(s.size)
        if s.spoilt == "offset":
            words = 4
        elif s.spoilt == "beyond":
            words, body = min(words + 1, 15), b""
        flags = s.flags & 0x1FF
        ack = ack if flags & ACK else 0
        head = struct.pack(">HHIIHHHH", sport, dport, seq, ack, words << 12 | flags, s.win, 0, 0)
        whole = summed(TCP, src, dst, head + options + body, 16)
        if s.spoilt == "sum":
            whole = whole[:16] + bytes((whole[16] ^ 1,)) + whole[17:]
        elif s.spoilt == "short":
            whole = whole[: 8 + s.size % 12]
        packet = ip(TCP, src, dst, whole)
        return side, packet + (bytes(6) if s.spoilt == "pad" else b"")

    def datagram(self, d: Datagram) -> tuple[int, bytes]:
        side, src, sport, dst, dport = self.ends(d.proto, d.flow, d.way)
        body = bytes(range(d.size))
        whole = self.message(d, src, sport, dst, dport, body)
        at = {UDP: 6, UDPLITE: 6, ICMP: 2}.get(d.proto)
        if at is not None and d.spoilt == "sum":
            whole = whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :]
        elif d.proto == UDP and d.spoilt == "nosum":
            whole = whole[:6] + b"\0\0" + whole[8:]
        elif d.proto == UDP and d.spoilt == "length":
            whole = whole[:4] + b"\x03\x00" + whole[6:]
        elif d.spoilt == "short":
            whole = whole[: 2 + d.size % 6]
        elif d.spoilt == "tiny":
            whole = b""
        return side, ip(d.proto, src, dst, whole)

    def message(
        self, d: Datagram, src: str, sport: int, dst: str, dport: int, body: bytes
    ) -> bytes:
        """What is behind the IP header."""
        if d.proto == UDP:
            head = struct.pack(">HHHH", sport, dport, 8 + d.size, 0)
            return summed(UDP, src, dst, head + body, 6)
        if d.proto == UDPLITE:
            head = struct.pack(">HHHH", sport, dport, 0, 0)
            return summed(UDPLITE, src, dst, head + body, 6)
        if d.proto == ICMP:
            kind = d.kind if d.way == 0 or d.kind not in ANSWERS else ANSWERS[d.kind]
            number = dport if d.way else sport
            message = struct.pack(">BBHHH", kind, d.code, 0, number, 1) + body
            return message[:2] + checksum(message) + message[4:]
        if d.proto == GRE:
            if d.code == 0:
                return struct.pack(">HHI", 0, 0x800, 0) + body
            # version 1, as PPTP has it: the key is that of a call
            proto = 0x880B if d.code == 1 else 0x800
            return struct.pack(">HHHH", 0x2001, proto, d.size, dport) + body
        return struct.pack(">I", 1) + body

    def trouble(self, t: Trouble) -> tuple[int, bytes]:
        """Who gets the packets of direction `way` sends the error, and quotes one as it came to him."""
        f = FLOWS[t.flow]
        src, sport, dst, dport = f.src, f.sport, f.dst, f.dport
        if t.way == 0 and not t.inside:
            src, sport, dst, dport = self.seen.get((t.proto, t.flow), (src, sport, dst, dport))
        elif t.way == 1 and not t.inside:
            src, sport, dst, dport = dst, dport, src, sport
        elif t.way == 1:
            dst, dport, src, sport = self.seen.get((t.proto, t.flow), (src, sport, dst, dport))
        if t.wrong:
            sport = 9
        at, quoted = (1 - f.side if t.way == 0 else f.side), struct.pack(">HHI", sport, dport, 1000)
        if t.inside:
            at = 1 - at
        if t.proto == ICMP:
            kind, number = (8, sport) if t.way == 0 else (0, dport)
            quoted = struct.pack(">BBHHH", kind, 0, 0, number, 1)
            quoted = quoted[:2] + checksum(quoted) + quoted[4:]
        inner = ip(t.proto, src, dst, quoted)
        if t.spoilt == "quote":
            inner = inner[:10] + b"\x12\x34" + inner[12:]
        elif t.spoilt == "version":
            inner = b"\x65" + inner[1:]
        elif t.spoilt == "fragment":
            inner = inner[:6] + b"\0\x10" + inner[8:]
        elif t.spoilt == "options":
            inner = b"\x46" + inner[1:20] + b"\1\1\1\1" + inner[20:]
        inner = inner[: t.cut]
        message = struct.pack(">BBHI", t.kind, t.code, 0, 0) + inner
        message = message[:2] + checksum(message) + message[4:]
        if t.spoilt == "sum":
            message = message[:2] + bytes((message[2] ^ 1,)) + message[3:]
        teller = ("10.9.1.99", "10.9.2.99")[at] if t.other else dst
        return at, ip(ICMP, teller, src, message)

    # --- what is compared -----------------------------------------------------------------------------------------

    def counted(self) -> dict[str, int]:
        """Since the beginning. How often NAT has found a port taken is chance once it draws."""
        now = self.router.counters()
        return {k: now[k] - self.before[k] for k in now if k != "found" or not self.names}

    def heard(self, packets: Heard) -> list[Any]:
        """Packets in words: those with a port that was drawn without it and its checksums, others as they are."""
        return [(side, self.said(data)) for side, data in packets]

    def said(self, data: bytes) -> Any:
        if data[4:6] != OURS and checksum(data[:20]) == b"\0\0":
            # of the machine itself: the two number their packets differently
            data = data[:4] + bytes(2) + data[6:10] + bytes(2) + data[12:]
        elif not self.names:
            return data.hex(" ", 4)
        elif checksum(data[:20]) != b"\0\0":
            return "wrong IP checksum", data.hex(" ", 4)
        proto, fields = data[9], [data[:10].hex(" ", 4), dotted_at(data, 12), dotted_at(data, 16)]
        if proto == ICMP and len(data) >= 48 and data[20] in (3, 4, 5, 11, 12):
            return [*fields, data[20:22].hex(), self.said(data[28:])]
        if proto in PORTS and len(data) >= 24:
            ports = struct.unpack_from(">HH", data, 20)
            at = {TCP: 36, UDP: 26, UDPLITE: 26}[proto]
            return [*fields, *map(self.name, ports), (data[24:at] + data[at + 2 :]).hex(" ", 4)]
        if proto == ICMP and len(data) >= 26:
            number = struct.unpack_from(">H", data, 24)[0]
            return [*fields, data[20:22].hex(), self.name(number), data[26:].hex(" ", 4)]
        return [*fields, data[20:].hex(" ", 4)]

    def name(self, port: int) -> int | str:
        return self.names.get(port, port)

    def entries(self) -> list[tuple[str, int]]:
        """Lines of the table without their timeouts, and these."""
        out = []
        for line in self.router.entries():
            words = line.split()
            timeout = int(words.pop(4))
            for i, word in enumerate(words):
                key, equals, number = word.partition("=")
                if equals and key in ("sport", "dport", "id"):
                    words[i] = f"{key}={self.name(int(number))}"
            out.append((" ".join(words), timeout))
        return sorted(out)


OWN = ("10.9.1.1", "10.9.2.1")
"""Addresses of the machine."""
ANSWERS = {8: 0, 13: 14, 15: 16, 17: 18}
CLASSES = ((1, 511), (512, 599), (600, 1023), (1024, 65535))
"""Where NAT looks for a port."""


def dotted_at(data: bytes, at: int) -> str:
    return dotted(struct.unpack_from(">I", data, at)[0])


# --- both --------------------------------------------------------------------------------------------------------


def difference(kernel: Router, ours: Router, setting: Setting, script: Sequence[Step]) -> str:
    """What is not alike, with the steps up to there; empty where all is."""
    talks = []
    for router in (kernel, ours):
        router.flush()
        for name in router.changed:
            router.set(name, setting.knobs.get(name, DEFAULTS[name]))
        router.changed.clear()
        talks.append(Talk(router, setting))
    for n, step in enumerate(script):
        heard = [talk.take(step) for talk in talks]
        told = [talk.heard(packets) for talk, packets in zip(talks, heard, strict=True)]
        found = ""
        if told[0] != told[1]:
            found = f"sent on:\n  kernel  {told[0]}\n  pystack {told[1]}"
        elif wrong := unlike(talks[0].entries(), talks[1].entries()):
            found = wrong
        elif talks[0].counted() != talks[1].counted():
            found = f"counted:\n  kernel  {talks[0].counted()}\n  pystack {talks[1].counted()}"
        if found:
            return "\n".join([*map(repr, script[: n + 1]), found])
    return ""


def unlike(kernel: list[tuple[str, int]], ours: list[tuple[str, int]]) -> str:
    """How two listings differ: in a line, or in a timeout by more than a second."""
    same = [line for line, _ in kernel] == [line for line, _ in ours]
    if same and all(abs(a[1] - b[1]) <= 1 for a, b in zip(kernel, ours, strict=True)):
        return ""
    rows = [f"  kernel  {left} {line}" for line, left in kernel]
    return "\n".join(["entries:", *rows, *(f"  pystack {left} {line}" for line, left in ours)])


def lasting(kernel: Router, ours: Router, setting: Setting, script: Sequence[Step]) -> str:
    """A difference that is there three times: the kernel is now and then late. Where ports are few, chance decides
    who takes over whose: twelve times.
    """
    found = ""
    for _ in range(12 if setting.low and setting.high - setting.low < 10 else 3):
        found = difference(kernel, ours, setting, script)
        if not found:
            return ""
    return found


def why_not() -> str | None:
    """Why there can be no twin here."""
    if reason := netlab.why_not():
        return reason
    with netlab.Lab() as lab:
        try:
            KernelRouter(lab, DSCP, {}).close()
        except (OSError, netlab.LabError) as error:
            return f"no conntrack to compare with: {error}"
    return None


DEFAULTS = {f"{NF}{name}": values[0] for name, values in KNOBS.items()}
DEFAULTS |= {f"{NF}tcp_loose": 1, f"{NF}tcp_max_retrans": 3, f"{NF}tcp_timeout_established": 432000}


def with_states(setting: Setting) -> str:
    """The rules of a setting, and those that write the ct state into DSCP."""
    if "*mangle" in setting.rules:  # a table stands in a file once
        return DSCP.removesuffix("COMMIT\n") + setting.rules.removeprefix("*mangle\n")
    return DSCP + setting.rules


def compare(name: str, examples: int, *, random: bool = False, rich: bool = False) -> None:
    """So many scripts under one setting. Raises AssertionError with the shortest that differs."""
    setting = SETTINGS[name]
    rules = with_states(setting)
    with netlab.Lab() as lab:
        kernel, ours = KernelRouter(lab, rules, setting.knobs), OurRouter(rules, setting.knobs)

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=not random,
            database=None,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(scripts(setting, rich=rich))
        def alike(script: list[Step]) -> None:
            found = lasting(kernel, ours, setting, script)
            note(found)
            assert not found, found

        try:
            alike()
        finally:
            kernel.close()


def main() -> int:
    """Exit status 1 if anything differed."""
    parser = argparse.ArgumentParser(prog="python -m tests.kernel.twin", description=__doc__)
    parser.add_argument("settings", nargs="*", default=list(SETTINGS), help=" ".join(SETTINGS))
    parser.add_argument("-n", "--examples", type=int, default=500, help="scripts of each setting")
    parser.add_argument("-r", "--rich", action="store_true", help="faults, odd numbers, knobs")
    asked = parser.parse_args()
    if reason := why_not():
        parser.error(reason)
    status = 0
    for name in asked.settings:
        try:
            compare(name, asked.examples, random=True, rich=asked.rich)
        except AssertionError as error:
            status = 1
            print(f"{name}: DIFFERS\n{re.sub('^assert not.*', '', str(error), flags=re.S)}")
        else:
            print(f"{name}: {asked.examples} alike", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
