"""What nf_conntrack_log_invalid says of a packet, in the words of the era.

The lines stand as if a logger were bound to the family (nf_log_ipv4), and nothing limits how many there are.
Source: nf_conntrack_proto_tcp.c, nf_conntrack_proto_icmp.c, nf_conntrack_proto.c; facts: conntrack 3.6 to 3.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pystack._fast.consts import PROTO_ICMP
from pystack._fast.ct_states import STATE_NAMES
from pystack._fast.nf_consts import (
    INV_ACK_OVER,
    INV_ACK_UNDER,
    INV_BEYOND,
    INV_CHALLENGE,
    INV_FLAGS,
    INV_ICMP,
    INV_IGNORED,
    INV_RST,
    INV_SEQ_OVER,
    INV_SEQ_UNDER,
    INV_STATE,
)
from pystack.firewall.logline import IP_OPTIONS, TCP_OPTIONS, TCP_SEQUENCE, log_line

ACK, FIN, RST, SYN = 0x10, 0x01, 0x04, 0x02
STATED = frozenset({INV_IGNORED, INV_STATE})
"""What `number` is a state for; where it is a bound it may be in the words. Between 4.19 and 5.17 these have a blank of
their own before that of the line."""

NEW: Mapping[int, str] = {
    INV_IGNORED: "packet (index {kind}) in dir {way} ignored, state {state}",
    INV_STATE: "packet (index {kind}) in dir {way} invalid, state {state}",
    INV_RST: "invalid rst",
    INV_CHALLENGE: "challenge-ack ignored",
    INV_SEQ_OVER: "SEQ is over upper bound {number} (over the window of the receiver)",
    INV_ACK_OVER: "ACK is over upper bound {number} (ACKed data not seen yet)",
    INV_SEQ_UNDER: "SEQ is under lower bound {number} (already ACKed data retransmitted)",
    INV_ACK_UNDER: "ignored ACK under lower bound {number} (possible overly delayed)",
    INV_BEYOND: "{number} bytes more than expected",
    INV_FLAGS: "invalid tcp flag combination",
    INV_ICMP: "invalid icmp type",
}
OLD: Mapping[int, str] = {
    INV_IGNORED: "invalid packet ignored in state {state}",
    INV_STATE: "invalid state",
    INV_RST: "invalid rst",
    INV_CHALLENGE: "challenge-ack ignored",
    INV_SEQ_OVER: "SEQ is over the upper bound (over the window of the receiver)",
    INV_ACK_OVER: "ACK is over the upper bound (ACKed data not seen yet)",
    INV_SEQ_UNDER: "SEQ is under the lower bound (already ACKed data retransmitted)",
    INV_ACK_UNDER: "ACK is under the lower bound (possible overly delayed ACK)",
    INV_BEYOND: "SEQ is over the upper bound (over the window of the receiver)",
    INV_FLAGS: "invalid tcp flag combination",
    INV_ICMP: "invalid icmp type",
}
NAMED = {**OLD, INV_RST: "invalid RST", INV_FLAGS: "invalid TCP flag combination"} | {
    INV_ICMP: "invalid ICMP type"
}
WORDS: Mapping[str, tuple[str, Mapping[int, str]]] = {
    "proto": ("nf_ct_proto_{proto}: ", NEW),
    "state": ("nf_ct_proto_{proto}: ", {**OLD, **{each: f"{OLD[each]} " for each in STATED}}),
    "tcp": ("nf_ct_{name}: ", NAMED),
    "ip": ("ip_ct_{name}: ", {**NAMED, INV_IGNORED: "invalid packet ignored"}),
}
"""Policy `ct_log` -> what a line begins with, and the words."""


def kind_of(flags: int) -> int:
    """The kernel's number for a kind of segment: SYN, SYN/ACK, FIN, ACK, RST, none."""
    if flags & RST:
        return 4
    if flags & SYN:
        return 1 if flags & ACK else 0
    if flags & FIN:
        return 2
    return 3 if flags & ACK else 5


def line(policy: str, p: Any, reason: int, number: int) -> str:
    """The line about packet `p` for the kernel's log."""
    head, words = WORDS[policy]
    said = words[reason].format(
        kind=kind_of(p.flags),
        way=p.ct_way,
        state=STATE_NAMES[number] if reason in STATED else "",
        number=number,
    )
    begin = head.format(proto=p.proto, name="icmp" if p.proto == PROTO_ICMP else "tcp")
    octets: bytes = p.to_bytes()
    return log_line(f"{begin}{said} ", "", "", octets, TCP_SEQUENCE | TCP_OPTIONS | IP_OPTIONS, 0)
