"""Recorded flows against our conntrack: what a real kernel saw of each packet, and what this one sees.

The format is that of the recordings of a 6.18 kernel, a flow a line of JSON (docs/conntrack.md): packets in their
order, what a rule at the forward hook saw of each (`ctstate`), and the entry afterwards. Each packet goes through a
forwarding machine between two taps, as octets.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pystack._fast.consts import PROTO_TCP
from pystack._fast.nf_consts import (
    CTS_ESTABLISHED,
    CTS_INVALID,
    CTS_NEW,
    CTS_RELATED,
    CTS_UNTRACKED,
)
from pystack._fast.nf_hook import FORWARD, NF_ACCEPT
from pystack.addresses import parse_host
from pystack.network import Network
from pystack.packetdrill.segments import ip_packet, tcp_segment

CLIENT, SERVER = "10.9.1.2", "10.9.2.2"
SERVICE = 80
BETWEEN = 300_000
"""ns between two packets: no timeout passes within a flow."""
MOST = 1400
"""Octets of payload: nothing is to be fragmented."""
STATES = {
    CTS_NEW: "NEW",
    CTS_ESTABLISHED: "ESTABLISHED",
    CTS_RELATED: "RELATED",
    CTS_INVALID: "INVALID",
    CTS_UNTRACKED: "UNTRACKED",
}


class Seen:
    """A table that lets everything pass and remembers what conntrack said of the last packet."""

    def __init__(self) -> None:
        self.state = ""

    def run(self, hook: int, p: Any, state: Any) -> int:
        """As the tables of rules have it."""
        if hook == FORWARD:
            self.state = STATES.get(p.ct_state, "")
        return NF_ACCEPT


@dataclass(slots=True)
class Difference:
    """The first piece of something recorded that came out differently."""

    where: str
    """What was played, and which piece of it, counted from 1: `flow 12, packet 3`."""
    given: dict[str, Any]
    expected: Any
    got: Any

    def __str__(self) -> str:
        return (
            f"{self.where}: {json.dumps(self.given)}\n"
            f"  recorded  {json.dumps(self.expected)}\n"
            f"  pystack   {json.dumps(self.got)}"
        )


@dataclass(slots=True)
class Result:
    """How much of what was recorded came out alike. `pieces`: packets or steps that were played."""

    equal: int = 0
    pieces: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def differ(self) -> int:
        """Flows or scenarios with a difference."""
        return len(self.differences)

    def played(self, pieces: int, difference: Difference | None) -> None:
        """One more flow or scenario."""
        self.pieces += pieces
        if difference is None:
            self.equal += 1
        else:
            self.differences.append(difference)


class Lab:
    """A machine that forwards between two taps, and its conntrack."""

    def __init__(self, profile: str = "linux-6") -> None:
        self.net = Network(seed=1)
        self.gw = self.net.host(
            "gw", ["10.9.1.1/24", "10.9.2.1/24"], profile=profile, forwarding=True
        )
        self.taps = [self.net.tap(f"{CLIENT}/24"), self.net.tap(f"{SERVER}/24")]
        for tap in self.taps:
            self.net.link(tap, self.gw)
        self.seen = Seen()
        self.gw.sysctl["net.netfilter.nf_conntrack_buckets"] = 512
        self.gw.conntrack.track()
        self.gw.conntrack.netfilter.filter = self.seen

    def play(self, flow: dict[str, Any]) -> Difference | None:
        """One recorded flow; its first difference."""
        sysctl, conntrack = self.gw.sysctl, self.gw.conntrack
        sysctl["net.netfilter.nf_conntrack_tcp_loose"] = flow["loose"]
        sysctl["net.netfilter.nf_conntrack_tcp_be_liberal"] = flow["liberal"]
        conntrack("-F")
        for number, sent in enumerate(flow["packets"], 1):
            self.seen.state = ""
            self.taps[sent["dir"]].send(octets(sent, flow["sport"]))
            self.net.run(for_=BETWEEN)
            got = {"ctstate": self.seen.state, "entry": self.entry()}
            expected = {"ctstate": sent["ctstate"], "entry": sent["entry"]}
            if not alike(got, expected):
                rest = {k: v for k, v in sent.items() if k not in expected}
                where = f"flow {flow['id']}, packet {number}"
                return Difference(where, rest, expected, got)
        return None

    def entry(self) -> dict[str, Any] | None:
        """The one flow of the table in the words of the recording."""
        found = self.gw.conntrack.flows()
        if not found:
            return None
        one = found[0]
        return {
            "state": one.state,
            "timeout": one.timeout,
            "original": int(one.original.src != parse_host(CLIENT)),
            "assured": one.assured,
            "unreplied": one.unreplied,
        }


def alike(got: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Equal, timeouts within a second: the recording rounds down what a jiffy has eaten."""
    if got["ctstate"] != expected["ctstate"]:
        return False
    mine, theirs = got["entry"], expected["entry"]
    if mine is None or theirs is None:
        return mine is theirs
    return abs(mine["timeout"] - theirs["timeout"]) <= 1 and all(
        mine[k] == theirs[k] for k in theirs if k != "timeout"
    )


def octets(sent: dict[str, Any], sport: int) -> bytes:
    """The packet of a recording as it was on the wire."""
    ends = [(parse_host(CLIENT), sport), (parse_host(SERVER), SERVICE)]
    (src, sport), (dst, dport) = ends if sent["dir"] == 0 else ends[::-1]
    given = sent.get("opts") or {}
    options = b""
    if "mss" in given:
        options += struct.pack(">BBH", 2, 4, given["mss"])
    if given.get("sackok"):
        options += b"\x04\x02"
    if "wscale" in given:
        options += bytes((3, 3, given["wscale"]))
    if "sack" in given:
        options += struct.pack(">BBII", 5, 10, *given["sack"])
    options += b"\x01" * (-len(options) % 4)
    ack = sent["ack"] if sent["flags"] & 0x10 else 0
    head = (sport, dport), sent["seq"], ack, sent["flags"], sent["win"], 0
    segment = tcp_segment(src, dst, *head, options, bytes(sent["len"]))
    return ip_packet(segment, PROTO_TCP, src, dst, ttl=64)


def recorded(lines: Iterable[str], name: str) -> Iterator[dict[str, Any]]:
    """The flows of a recording. Raises ValueError with the place of a line that is none."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            flow = json.loads(line)
            check(flow, FLOW, "a recorded flow")
            for packet in flow["packets"]:
                check(packet, PACKET, "a packet of a recorded flow")
                check(packet.get("opts") or {}, OPTIONS, "its options", needed=False)
                if packet["entry"] is not None:
                    check(packet["entry"], ENTRY, "an entry")
        except ValueError as e:
            raise ValueError(f"{name}:{number}: {e}") from None
        yield flow


FLOW = {"id": str, "loose": int, "liberal": int, "sport": int, "packets": list}
PACKET = {
    "dir": int,
    "flags": int,
    "seq": int,
    "ack": int,
    "win": int,
    "len": int,
    "ctstate": str,
    "entry": (dict, type(None)),
}
OPTIONS = {"mss": int, "sackok": int, "wscale": int, "sack": list}
ENTRY = {"state": str, "timeout": int, "original": int, "assured": bool, "unreplied": bool}
BITS = {"sport": 16, "dir": 1, "flags": 8, "seq": 32, "ack": 32, "win": 16, "mss": 16, "wscale": 8}
"""How large the numbers are that go into headers."""


def check(value: Any, form: Mapping[str, Any], what: str, *, needed: bool = True) -> None:
    """Raise ValueError unless `value` has these keys with values of these types, as large as the wire takes them."""
    if not isinstance(value, dict):
        raise ValueError(f"not {what}: {value!r}")
    for key, kind in form.items():
        if key not in value:
            if needed:
                raise ValueError(f"not {what}: it needs {', '.join(form)}")
            continue
        if not isinstance(value[key], kind):
            raise ValueError(f"not {what}: {key} is {value[key]!r}")
        if key in BITS and not 0 <= value[key] < 1 << BITS[key]:
            raise ValueError(f"not {what}: {key} is {value[key]}, and has {BITS[key]} bits")
    if not 0 <= value.get("len", 0) <= MOST:
        raise ValueError(f"not {what}: len is {value['len']}, which no packet holds")
    edges = value.get("sack", (0, 0))
    if len(edges) != 2 or not all(isinstance(n, int) and 0 <= n < 1 << 32 for n in edges):
        raise ValueError(f"not {what}: sack is {edges!r}, and should be two sequence numbers")


def replay(flows: Iterable[dict[str, Any]], profile: str = "linux-6") -> Result:
    """Play recorded flows one after the other."""
    lab = Lab(profile)
    result = Result()
    for flow in flows:
        result.played(len(flow["packets"]), lab.play(flow))
    return result
