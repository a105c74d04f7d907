"""What a packetdrill script says, as plain data: the result of `parse`, the input of the player.

Times are integer microseconds, numbers are as written (script space, nothing mapped). Nothing here knows a socket
or a packet. The language: docs/packetdrill.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
"""Bits of `TcpPacket.flags`, as in the header (RFC 9293 §3.1)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Time:
    """When an event happens. `at` and `until` (the end of a range, same base as `at`) are microseconds."""

    kind: Literal["absolute", "relative", "any"]
    at: int = 0
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """`--name=value` at the head of a script. A bare `--name` has no value.

    A number is an int; everything else is text without its quotes; `define` has the text `SYM=value`.
    """

    name: str
    value: str | int | None
    place: Place


# ── packets ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class IpInfo:
    """What a line says about the IP header; None: nothing said."""

    ecn: Literal["noecn", "ect0", "ect1", "ce", "ect01"] | None = None
    tos: int | None = None
    ttl: int | None = None
    dscp: int | None = None
    flowlabel: int | None = None


@dataclass(frozen=True, slots=True)
class Opt:
    """One TCP option. `values` by kind:

    =========================== ====================================================================
    mss, wscale                 (number,)
    sackOK, nop, eol            ()
    sack                        ((left, right), …)
    TS                          (val or None for `...`, ecr); `absolute`: `ecr N!`, sent unmapped
    md5                         (bytes,) or ("valid",)
    FO, FOEXP, exp-FO           (bytes,): the cookie; empty asks for one
    ECN, AccECN0, AccECN1       ((name, number), …), names as written: e0b ceb e1b, ee0b eceb ee1b
    raw                         (bytes,): octets of one or more options, kind and length included
    gen                         (kind, bytes)
    exp                         (experiment id, bytes), or (name, bytes) for a named one such as tarr
    =========================== ====================================================================
    """

    kind: str
    values: tuple[object, ...] = ()
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class TcpPacket:
    """A `<` (inbound) or `>` line with a TCP segment."""

    inbound: bool
    flags: int
    """FIN=1 … CWR=128; the digits of an ACE counter are already in ECE, CWR and `ae`."""
    seq: int
    end: int
    length: int
    seq_mode: Literal["mapped", "absolute", "ignored"] = "mapped"
    """`absolute`: `SEQ:END(LEN)!`, no ISN in it. `ignored`: `...(LEN)`, seq and end are 0."""
    ack: int | None = None
    win: int | None = None
    urg: int | None = None
    options: tuple[Opt, ...] | None = ()
    """None: `<...>`, not looked at. Empty: the segment carries none."""
    ip: IpInfo | None = None
    ports: tuple[int, int] | None = None
    ae: bool = False
    """The bit left of CWR: Accurate ECN, once NS."""
    ace: int | None = None
    """The ACE counter if it was written as a digit, 0 … 7."""
    reserved: int = 0
    udp_encap: tuple[int, int] | None = None
    """UDP ports of `/udp(SRC > DST)`."""
    rst_code: int | None = None
    rst_pen: int | None = None
    """`[code N, pen N]` behind a RST: diagnostic payload."""
    encap: tuple[str, ...] = ()
    """Headers around the packet, outermost first: `ipv4`, `ipv6`, `gre`, `mpls`."""


@dataclass(frozen=True, slots=True)
class UdpPacket:
    """`udp [SRC > DST] (LEN)`."""

    inbound: bool
    length: int
    ip: IpInfo | None = None
    ports: tuple[int, int] | None = None
    encap: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quoted:
    """The packet inside an ICMP error. `seq` and `end` only for tcp."""

    proto: Literal["tcp", "udp", "raw"]
    length: int
    seq: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class IcmpPacket:
    """`icmp TYPE [CODE] [mtu N] [id N] [quoted]`. Type and code are names as written, or numbers."""

    inbound: bool
    type: str | int
    code: str | int | None = None
    mtu: int | None = None
    id: int | None = None
    quoted: Quoted | None = None
    ip: IpInfo | None = None
    encap: tuple[str, ...] = ()


# ── system calls ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Number:
    value: int
    text: str
    """As written: `0x2` or `2`."""


@dataclass(frozen=True, slots=True)
class Symbol:
    name: str


@dataclass(frozen=True, slots=True)
class Or:
    """`A|B|…`"""

    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class String:
    value: bytes


@dataclass(frozen=True, slots=True)
class Ellipsis_:
    """`...`: the player's own value."""


@dataclass(frozen=True, slots=True)
class List_:
    """`[ … ]`"""

    items: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct. `name` is "" for a positional one (`{..., 1000}`).

    `count` is what stands in parentheses behind the name: `msg_iov(2)=…`, `msg_name(...)=…`.
    """

    name: str
    value: Arg
    count: Arg | None = None


@dataclass(frozen=True, slots=True)
class Struct:
    """`{ … }`, fields in the order of the script."""

    fields: tuple[Field, ...]

    def get(self, name: str) -> Arg | None:
        """The value of a field, None if the script does not give it."""
        return next((f.value for f in self.fields if f.name == name), None)


@dataclass(frozen=True, slots=True)
class Call:
    """`htons(8080)`, `inet_addr("192.0.2.1")`."""

    name: str
    args: tuple[Arg, ...]


Arg = Number | Symbol | Or | String | Ellipsis_ | List_ | Struct | Call


@dataclass(frozen=True, slots=True)
class Syscall:
    """`name(args) = result ERRNO (note)`. The note is never checked."""

    name: str
    args: tuple[Arg, ...]
    result: Arg | None = None
    errno: str | None = None
    note: str | None = None


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Command:
    """`` `shell text` ``, without the quotes."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Code:
    """`%{ python }%`, without the braces, blanks at both ends stripped."""

    text: str
    place: Place


What = TcpPacket | UdpPacket | IcmpPacket | Syscall | Command | Code


@dataclass(frozen=True, slots=True)
class Event:
    """One timed event. `end`: when a blocking call returns, microseconds on the same base as `time.at`."""

    place: Place
    time: Time
    what: What
    end: int | None = None
    text: str = ""
    """The source of the event, without comments."""


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script. `path` is a name for messages; no file need be there."""

    path: str
    text: str
    options: tuple[Option, ...] = ()
    init: Command | None = None
    events: tuple[Event, ...] = ()
    cleanup: Command | None = None
    profiles: tuple[str, ...] = field(default=())
    """Profiles that the script itself names (`// profiles: linux-6 freebsd-14`); empty: none named."""
