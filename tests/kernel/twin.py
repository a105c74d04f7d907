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
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Datagram:
    """Of another protocol, with or without ports; `kind` is the type of an ICMP message."""

    flow: int
    way: int
    proto: int
    size: int = 1
    kind: int = 8


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


@dataclass(frozen=True)
class Wait:
    """Nothing for a while."""

    seconds: float


Step = Segment | Datagram | Trouble | Wait

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


def segments(flows: int) -> st.SearchStrategy[Segment]:
    """One segment of one of the first flows."""
    offsets = st.sampled_from(OFFSETS) | st.sampled_from(BEYOND) | st.integers(-70000, 70000)
    return st.builds(
        Segment,
        flow=st.integers(0, flows - 1),
        way=st.integers(0, 1),
        flags=st.sampled_from(FLAGS * 4 + ODD_FLAGS),
        seq=st.sampled_from(OFFSETS) | offsets,
        ack=st.sampled_from(OFFSETS) | offsets,
        size=st.sampled_from((0, 0, 0, 1, 100, 1000, 1400)),
        win=st.sampled_from((8192, 8192, 8192, 0, 1, 100, 65535)),
        wscale=st.sampled_from((None, None, 0, 2, 7, 14, 15)),
        sack_ok=st.booleans(),
        sack=st.none() | st.tuples(st.sampled_from((1, 100, -100)), st.sampled_from((0, 1, 1000))),
    )


def datagrams(flows: int, protocols: Sequence[int]) -> st.SearchStrategy[Datagram]:
    """One datagram or message."""
    return st.builds(
        Datagram,
        flow=st.integers(0, flows - 1),
        way=st.integers(0, 1),
        proto=st.sampled_from(protocols),
        size=st.sampled_from((0, 1, 100)),
        kind=st.sampled_from((8, 8, 8, 8, 8, 0, 13, 14, 15, 17, 10, 9, 30)),
    )


def troubles(flows: int, protocols: Sequence[int]) -> st.SearchStrategy[Trouble]:
    """One ICMP error."""
    kinds = ((3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (4, 0), (5, 1), (11, 0), (11, 1), (12, 0))
    return st.builds(
        lambda flow, way, proto, kind, wrong: Trouble(flow, way, proto, *kind, wrong),
        st.integers(0, flows - 1),
        st.integers(0, 1),
        st.sampled_from((TCP, TCP, TCP, *protocols)),
        st.sampled_from(kinds),
        st.sampled_from((False, False, False, True)),
    )


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


def flat(parts: list[list[Step]]) -> list[Step]:
    """Steps one after the other."""
    return [step for part in parts for step in part]


def scripts(setting: Setting) -> st.SearchStrategy[list[Step]]:
    """Up to a few dozen steps: whole conversations, single packets, errors; and time, where it passes."""
    flows, way = st.integers(0, len(FLOWS) - 1), st.integers(0, 1)
    few = st.integers(0, 3)
    scales = st.sampled_from(((None, None), (0, 0), (7, 2), (7, None)))
    every, protocols = len(FLOWS), setting.protocols
    one = [segments(4), segments(2), segments(every), troubles(every, protocols)]
    one += [datagrams(every, protocols), datagrams(2, protocols)]
    if setting.clock:
        one.append(st.sampled_from((0.3, 1.15, 2.2)).map(Wait))
    many = [
        st.builds(opened, few, scales),
        st.builds(talked, few, way),
        st.builds(closed, few, way),
        st.builds(opened, flows, scales),
        *(each.map(lambda step: [step]) for each in one),
    ]
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
        if isinstance(step, Segment):
            side, packet = self.segment(step)
            proto = TCP
        elif isinstance(step, Trouble):
            return self.router.send(*self.trouble(step))
        else:
            side, packet = self.datagram(step)
            proto = step.proto
        heard = self.router.send(side, packet)
        for where, data in heard:
            if data[4:6] == OURS and data[9] == proto:
                self.learn(proto, step.flow, step.way, data, through=where != side)
        return heard

    def learn(self, proto: int, flow: int, way: int, data: bytes, *, through: bool) -> None:
        """Where a flow's packets come out, and the names of ports that were drawn."""
        f = FLOWS[flow]
        ports: tuple[int, int] = (0, 0)
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
        end = (seq + s.size + bool(s.flags & SYN) + bool(s.flags & FIN)) & 0xFFFFFFFF
        if (end - nxt[s.way]) & 0xFFFFFFFF < 100_000:
            nxt[s.way] = end
        options = b""
        if s.flags & SYN:
            options = struct.pack(">BBH", 2, 4, 1460)
            options += b"\x04\x02" if s.sack_ok else b""
            options += bytes((3, 3, s.wscale)) if s.wscale is not None else b""
        elif s.sack:
            left = (ack + s.sack[0]) & 0xFFFFFFFF
            options = struct.pack(">BBII", 5, 10, left, (left + s.sack[1]) & 0xFFFFFFFF)
        options += b"\x01" * (-len(options) % 4)
        offset = (20 + len(options)) // 4 << 12
        ack = ack if s.flags & ACK else 0
        head = struct.pack(">HHIIHHHH", sport, dport, seq, ack, offset | s.flags, s.win, 0, 0)
        return side, ip(TCP, src, dst, summed(TCP, src, dst, head + options + bytes(s.size), 16))

    def datagram(self, d: Datagram) -> tuple[int, bytes]:
        side, src, sport, dst, dport = self.ends(d.proto, d.flow, d.way)
        body = bytes(range(d.size))
        if d.proto == UDP:
            head = struct.pack(">HHHH", sport, dport, 8 + d.size, 0)
            return side, ip(UDP, src, dst, summed(UDP, src, dst, head + body, 6))
        if d.proto == UDPLITE:
            head = struct.pack(">HHHH", sport, dport, 0, 0)
            return side, ip(UDPLITE, src, dst, summed(UDPLITE, src, dst, head + body, 6))
        if d.proto == ICMP:
            kind = d.kind if d.way == 0 or d.kind not in ANSWERS else ANSWERS[d.kind]
            number = dport if d.way else sport
            message = struct.pack(">BBHHH", kind, 0, 0, number, 1) + body
            return side, ip(ICMP, src, dst, message[:2] + checksum(message) + message[4:])
        if d.proto == GRE:
            return side, ip(GRE, src, dst, struct.pack(">HHI", 0, 0x800, 0) + body)
        return side, ip(d.proto, src, dst, struct.pack(">I", 1) + body)

    def trouble(self, t: Trouble) -> tuple[int, bytes]:
        """Who gets the packets of direction `way` sends the error, and quotes one as it came to him."""
        f = FLOWS[t.flow]
        src, sport, dst, dport = f.src, f.sport, f.dst, f.dport
        if t.way == 0:
            src, sport, dst, dport = self.seen.get((t.proto, t.flow), (src, sport, dst, dport))
        else:
            src, sport, dst, dport = dst, dport, src, sport
        if t.wrong:
            sport = 9
        at, quoted = (1 - f.side if t.way == 0 else f.side), struct.pack(">HHI", sport, dport, 1000)
        if t.proto == ICMP:
            kind, number = (8, sport) if t.way == 0 else (0, dport)
            quoted = struct.pack(">BBHHH", kind, 0, 0, number, 1)
            quoted = quoted[:2] + checksum(quoted) + quoted[4:]
        message = struct.pack(">BBHI", t.kind, t.code, 0, 0) + ip(t.proto, src, dst, quoted)
        message = message[:2] + checksum(message) + message[4:]
        return at, ip(ICMP, dst, src, message)

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
        if proto == ICMP and data[20] in (3, 4, 5, 11, 12):
            return [*fields, data[20:22].hex(), self.said(data[28:])]
        if proto in PORTS and len(data) >= 24:
            ports = struct.unpack_from(">HH", data, 20)
            at = {TCP: 36, UDP: 26, UDPLITE: 26}[proto]
            return [*fields, *map(self.name, ports), (data[24:at] + data[at + 2 :]).hex(" ", 4)]
        if proto == ICMP:
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
            # the reply direction says what was drawn
            for key in ("dport=", "id="):
                places = [i for i, word in enumerate(words) if word.startswith(key)]
                if len(places) == 2:
                    number = int(words[places[1]].removeprefix(key))
                    words[places[1]] = f"{key}{self.name(number)}"
            out.append((" ".join(words), timeout))
        return sorted(out)


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
    """A difference that is there three times: the kernel is now and then late."""
    found = ""
    for _ in range(3):
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


def compare(name: str, examples: int, *, random: bool = False) -> None:
    """So many scripts under one setting. Raises AssertionError with the shortest that differs."""
    setting = SETTINGS[name]
    rules = DSCP + setting.rules
    if "*mangle" in setting.rules:  # a table stands in a file once
        own = setting.rules.removeprefix("*mangle\n")
        rules = DSCP.removesuffix("COMMIT\n") + own
    with netlab.Lab() as lab:
        kernel, ours = KernelRouter(lab, rules, setting.knobs), OurRouter(rules, setting.knobs)

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=not random,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(scripts(setting))
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
    asked = parser.parse_args()
    if reason := why_not():
        parser.error(reason)
    status = 0
    for name in asked.settings:
        try:
            compare(name, asked.examples, random=True)
        except AssertionError as error:
            status = 1
            print(f"{name}: DIFFERS\n{re.sub('^assert not.*', '', str(error), flags=re.S)}")
        else:
            print(f"{name}: {asked.examples} alike", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
