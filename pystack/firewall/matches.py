"""The matches of iptables that look at one packet, as text: `-m NAME` and its options. Those of TCP, UDP and ICMP are
in `protocols`, those with a memory in `rates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pystack._fast import nf_consts, nf_hook, nf_match
from pystack.addresses import dotted
from pystack.firewall import words
from pystack.firewall.errors import RefusedError
from pystack.firewall.extension import (
    Extension,
    MatchText,
    Option,
    bits_of,
    flag,
    host_mask,
    mark,
    names_of,
    port_pair,
    span,
    text,
    whole,
)

if TYPE_CHECKING:
    from pystack.firewall.spec import Spec
    from pystack.firewall.tables import Shared

STATES = {
    "INVALID": nf_consts.CTS_INVALID,
    "NEW": nf_consts.CTS_NEW,
    "RELATED": nf_consts.CTS_RELATED,
    "ESTABLISHED": nf_consts.CTS_ESTABLISHED,
    "UNTRACKED": nf_consts.CTS_UNTRACKED,
}
CT_STATES = STATES | {"SNAT": nf_consts.STATE_SNAT, "DNAT": nf_consts.STATE_DNAT}
CT_STATUS = {
    "NONE": 0,
    "EXPECTED": nf_consts.IPS_EXPECTED,
    "SEEN_REPLY": nf_consts.IPS_SEEN_REPLY,
    "ASSURED": nf_consts.IPS_ASSURED,
    "CONFIRMED": nf_consts.IPS_CONFIRMED,
}
CT_ADDRESSES = ("ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst")
CT_PORTS = ("ctorigsrcport", "ctorigdstport", "ctreplsrcport", "ctrepldstport")


LIST_OF_STATES = '"--{o.name}" requires a list of states with no spaces, e.g. ESTABLISHED,RELATED'


def ct_proto(e: Extension, o: Option, args: Sequence[str]) -> int:
    """A protocol."""
    return words.protocol(args[0])


def ct_dir(e: Extension, o: Option, args: Sequence[str]) -> int:
    """ORIGINAL or REPLY."""
    if args[0].upper() not in ("ORIGINAL", "REPLY"):
        raise RefusedError(f'{e.name}: Bad value for "--{o.name}" option: "{args[0]}"')
    return int(args[0].upper() == "REPLY")


class StateText(MatchText):
    name = "state"
    tracks = True
    options = (
        Option(
            "state",
            bits_of(STATES, 'Bad state "{word}"', LIST_OF_STATES),
            inverts=True,
            required=True,
        ),
    )

    def save(self) -> str:
        return f" {self.bang('state')}--state {names_of(STATES, self.given['state'])}"

    def show(self, numeric: bool) -> str:
        return f"{self.bang('state')}state {names_of(STATES, self.given['state'])}"

    def build(self, shared: Shared) -> nf_match.Match:
        return nf_match.StateMatch(self.given["state"], "state" in self.inverted)


class ConntrackText(MatchText):
    name = "conntrack"
    tracks = True
    options = (
        Option("ctstate", bits_of(CT_STATES, 'Bad ctstate "{word}"'), inverts=True),
        Option("ctproto", ct_proto, inverts=True),
        *(Option(name, host_mask, inverts=True) for name in CT_ADDRESSES),
        *(Option(name, port_pair, inverts=True) for name in CT_PORTS),
        Option("ctstatus", bits_of(CT_STATUS, 'Bad ctstatus "{word}"'), inverts=True),
        Option("ctexpire", span(words.ALL_ONES), inverts=True),
        Option("ctdir", ct_dir),
    )

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError("conntrack: At least one option is required")

    def network(self, name: str, numeric: bool) -> str:
        """An address and its mask, by name if names are wanted."""
        addr, bits = self.given[name]
        if numeric:
            return words.masked(addr, bits, slash_32=False)
        if addr == 0:
            return "anywhere"
        return words.masked(addr, bits, slash_32=False).replace(dotted(addr), words.named(addr), 1)

    def parts(self, numeric: bool = True) -> list[tuple[str, str]]:
        """Option and words, in the order in which they are printed."""
        out = []
        if "ctstate" in self.given:
            out.append(("ctstate", names_of(CT_STATES, self.given["ctstate"])))
        if "ctproto" in self.given:
            out.append(("ctproto", str(self.given["ctproto"])))
        out += [(name, self.network(name, numeric)) for name in CT_ADDRESSES if name in self.given]
        out += [
            (name, words.span_text(self.given[name][0], self.given[name][1] or self.given[name][0]))
            for name in CT_PORTS
            if name in self.given
        ]
        if "ctstatus" in self.given:
            out.append(("ctstatus", names_of(CT_STATUS, self.given["ctstatus"]) or "NONE"))
        if "ctexpire" in self.given:
            out.append(("ctexpire", words.span_text(*self.given["ctexpire"])))
        if "ctdir" in self.given:
            out.append(("ctdir", "REPLY" if self.given["ctdir"] else "ORIGINAL"))
        return out

    def save(self) -> str:
        return "".join(f" {self.bang(name)}--{name} {said}" for name, said in self.parts())

    def show(self, numeric: bool) -> str:
        return " ".join(f"{self.bang(name)}{name} {said}" for name, said in self.parts(numeric))

    def build(self, shared: Shared) -> nf_match.Match:
        match = nf_match.ConntrackMatch(self.given.get("ctstate", 0), "ctstate" in self.inverted)
        match.proto = self.given.get("ctproto", -1)
        match.proto_not = "ctproto" in self.inverted
        match.direction = self.given.get("ctdir", -1)
        match.status = self.given.get("ctstatus", -1)
        match.status_not = "ctstatus" in self.inverted
        match.left_low, match.left_high = self.given.get("ctexpire", (-1, -1))
        match.left_not = "ctexpire" in self.inverted
        for which, name in enumerate(CT_ADDRESSES):
            if name in self.given:
                addr, mask = self.given[name]
                match.address(which, addr, mask, inverted=name in self.inverted)
        for which, name in enumerate(CT_PORTS):
            if name in self.given:
                low, high = self.given[name]
                match.port(which, low, high, inverted=name in self.inverted)
        return match


def marked(value: tuple[int, int]) -> str:
    """A mark, with its mask if it has one."""
    return f"{value[0]:#x}" if value[1] == words.ALL_ONES else f"{value[0]:#x}/{value[1]:#x}"


class MarkText(MatchText):
    name = "mark"
    options = (Option("mark", mark, inverts=True, required=True),)

    def save(self) -> str:
        return f" {self.bang('mark')}--mark {marked(self.given['mark'])}"

    def show(self, numeric: bool) -> str:
        return f"mark match {self.bang('mark')}{marked(self.given['mark'])}"

    def build(self, shared: Shared) -> nf_match.Match:
        value, bits = self.given["mark"]
        return nf_match.MarkMatch(value, bits, inverted="mark" in self.inverted)


class ConnmarkText(MarkText):
    name = "connmark"
    tracks = True

    def show(self, numeric: bool) -> str:
        return f"connmark match {self.bang('mark') or ' '}{marked(self.given['mark'])}"

    def build(self, shared: Shared) -> nf_match.Match:
        value, bits = self.given["mark"]
        return nf_match.MarkMatch(value, bits, inverted="mark" in self.inverted, of_flow=True)


class CommentText(MatchText):
    name = "comment"
    options = (Option("comment", text(255), required=True),)

    def save(self) -> str:
        return f" --comment {words.quoted(self.given['comment'])}"

    def show(self, numeric: bool) -> str:
        return f"/* {self.given['comment']} */"

    def build(self, shared: Shared) -> nf_match.Match:
        return nf_match.Match()


ADDRESS_TYPES = {
    name: 1 << getattr(nf_hook, f"ADDR_{name}")
    for name in (
        "UNSPEC UNICAST LOCAL BROADCAST ANYCAST MULTICAST BLACKHOLE UNREACHABLE PROHIBIT".split()
    )
} | {"THROW": 1 << 9, "NAT": 1 << 10, "XRESOLVE": 1 << 11}


TYPES = bits_of(ADDRESS_TYPES, "addrtype: bad type `{word}'", last='addrtype: bad type "{word}"')


class AddrtypeText(MatchText):
    name = "addrtype"
    options = (
        Option("src-type", TYPES, inverts=True),
        Option("dst-type", TYPES, inverts=True),
        Option("limit-iface-in", flag, words=0, without="limit-iface-out"),
        Option("limit-iface-out", flag, words=0, without="limit-iface-in"),
    )

    def check(self, spec: Spec) -> None:
        if "src-type" not in self.given and "dst-type" not in self.given:
            raise RefusedError("addrtype: you must specify --src-type or --dst-type")

    def hooks_wanted(self) -> frozenset[str]:
        """The built-in chains where the interface that it names is known; empty: all."""
        if "limit-iface-in" in self.given:
            return frozenset(("PREROUTING", "INPUT", "FORWARD"))
        if "limit-iface-out" in self.given:
            return frozenset(("FORWARD", "OUTPUT", "POSTROUTING"))
        return frozenset()

    def save(self) -> str:
        out = "".join(
            f" {self.bang(name)}--{name} {names_of(ADDRESS_TYPES, self.given[name])}"
            for name in ("src-type", "dst-type")
            if name in self.given
        )
        return out + "".join(
            f" --{n}" for n in ("limit-iface-in", "limit-iface-out") if n in self.given
        )

    def show(self, numeric: bool) -> str:
        out = "ADDRTYPE match" + "".join(
            f" {name} {self.bang(name, '!')}{names_of(ADDRESS_TYPES, self.given[name])}"
            for name in ("src-type", "dst-type")
            if name in self.given
        )
        return out + "".join(
            f" limit-{end}" for end in ("in", "out") if f"limit-iface-{end}" in self.given
        )

    def build(self, shared: Shared) -> nf_match.Match:
        return nf_match.AddressType(
            self.given.get("src-type", 0),
            "src-type" in self.inverted,
            self.given.get("dst-type", 0),
            "dst-type" in self.inverted,
            "limit-iface-in" in self.given,
            "limit-iface-out" in self.given,
        )


def address_range(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """`a` or `a-b`; numbers that are missing at the end of an address are zeros."""
    low_text, dash, high_text = args[0].partition("-")
    ends = []
    for end in (low_text, high_text) if dash else (low_text,):
        addr = words.address(end, 1)
        if addr is None:
            raise RefusedError(f'{e.name}: Bad value for "--{o.name}" option: "{end}"')
        ends.append(addr)
    return ends[0], ends[-1]


class IprangeText(MatchText):
    name = "iprange"
    options = (
        Option("src-range", address_range, inverts=True),
        Option("dst-range", address_range, inverts=True),
    )

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError("iprange match: You must specify `--src-range' or `--dst-range'")

    def ends(self, name: str) -> str:
        return "-".join(map(dotted, self.given[name]))

    def save(self) -> str:
        return "".join(
            f" {self.bang(name)}--{name} {self.ends(name)}"
            for name in ("src-range", "dst-range")
            if name in self.given
        )

    def show(self, numeric: bool) -> str:
        return " ".join(
            f"{side} IP range {self.bang(name)}{self.ends(name)}"
            for name, side in (("src-range", "source"), ("dst-range", "destination"))
            if name in self.given
        )

    def build(self, shared: Shared) -> nf_match.Match:
        return nf_match.AddressRange(
            self.given.get("src-range"),
            "src-range" in self.inverted,
            self.given.get("dst-range"),
            "dst-range" in self.inverted,
        )


class LengthText(MatchText):
    name = "length"
    options = (Option("length", span(65535), inverts=True, required=True),)

    def save(self) -> str:
        return f" {self.bang('length')}--length {words.span_text(*self.given['length'])}"

    def show(self, numeric: bool) -> str:
        return f"length {self.bang('length', '!')}{words.span_text(*self.given['length'])}"

    def build(self, shared: Shared) -> nf_match.Match:
        low, high = self.given["length"]
        return nf_match.Length(low, high, inverted="length" in self.inverted)


class TtlText(MatchText):
    name = "ttl"
    options = (
        Option("ttl-lt", whole(0, 255), without="ttl-gt ttl-eq"),
        Option("ttl-gt", whole(0, 255), without="ttl-lt ttl-eq"),
        Option("ttl-eq ttl", whole(0, 255), inverts=True, without="ttl-lt ttl-gt"),
    )

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError(
                "TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt"
            )

    def save(self) -> str:
        name = next(iter(self.given))
        return f" {self.bang(name)}--{name} {self.given[name]}"

    def show(self, numeric: bool) -> str:
        name = next(iter(self.given))
        sign = {"ttl-lt": "<", "ttl-gt": ">", "ttl-eq": "!=" if self.inverted else "=="}[name]
        return f"TTL match TTL {sign} {self.given[name]}"

    def build(self, shared: Shared) -> nf_match.Match:
        name = next(iter(self.given))
        how = {"ttl-lt": nf_consts.TTL_LT, "ttl-gt": nf_consts.TTL_GT, "ttl-eq": nf_consts.TTL_EQ}[
            name
        ]
        return nf_match.Ttl(nf_consts.TTL_NE if self.inverted else how, self.given[name])


TOS_NAMES = {
    "Minimize-Delay": 0x10,
    "Maximize-Throughput": 0x08,
    "Maximize-Reliability": 0x04,
    "Minimize-Cost": 0x02,
    "Normal-Service": 0x00,
}
DSCP_CLASSES = (
    {f"CS{n}": n << 3 for n in range(8)}
    | {"BE": 0}
    | {f"AF{c}{d}": c << 3 | d << 1 for c in range(1, 5) for d in range(1, 4)}
    | {"EF": 0x2E}
)


def tos(named_mask: int = 0x3F) -> Any:
    """`value[/mask]` or a name, which leaves the two bits of ECN alone."""

    def read(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
        value, rest = words.leading(args[0])
        if value is None or value > 255:
            hits = [n for n in TOS_NAMES if n.lower() == args[0].lower()]
            if not hits:
                raise RefusedError(f'Symbolic name "{args[0]}" is unknown')
            return TOS_NAMES[hits[0]], named_mask
        bits: int | None = 0xFF
        if rest[:1] == "/":
            bits, rest = words.leading(rest[1:])
        if rest or bits is None or bits > 255:
            raise RefusedError(f'Illegal value: "{args[0]}"')
        return value, bits

    return read


class TosText(MatchText):
    name = "tos"
    options = (Option("tos", tos(), inverts=True, required=True),)

    def save(self) -> str:
        value, mask = self.given["tos"]
        return f" {self.bang('tos')}--tos 0x{value:02x}/0x{mask:02x}"

    def show(self, numeric: bool) -> str:
        value, mask = self.given["tos"]
        if not numeric and mask == 0x3F:
            names = [name for name, number in TOS_NAMES.items() if number == value]
            if names:
                return f"tos match{self.bang('tos', '!')} {names[0]}"
        return f"tos match{self.bang('tos', '!')}0x{value:02x}/0x{mask:02x}"

    def build(self, shared: Shared) -> nf_match.Match:
        value, bits = self.given["tos"]
        return nf_match.Tos(value, bits, inverted="tos" in self.inverted)


def dscp_class(e: Extension, _o: Option, args: Sequence[str]) -> int:
    """A class by name."""
    if args[0].upper() not in DSCP_CLASSES:
        raise RefusedError(f"Invalid DSCP value `{args[0]}'")
    return DSCP_CLASSES[args[0].upper()]


class DscpText(MatchText):
    name = "dscp"
    options = (
        Option("dscp", whole(0, 63), inverts=True, without="dscp-class"),
        Option("dscp-class", dscp_class, inverts=True, without="dscp"),
    )

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError("DSCP match: Parameter --dscp is required")

    @property
    def value(self) -> int:
        return int(next(iter(self.given.values())))

    def save(self) -> str:
        return f" {'! ' if self.inverted else ''}--dscp 0x{self.value:02x}"

    def show(self, numeric: bool) -> str:
        return f"DSCP match {'!' if self.inverted else ''}0x{self.value:02x}"

    def build(self, shared: Shared) -> nf_match.Match:
        return nf_match.Tos(self.value << 2, 0xFC, bool(self.inverted))


MATCHES: tuple[type[MatchText], ...] = (
    StateText,
    ConntrackText,
    MarkText,
    ConnmarkText,
    CommentText,
    AddrtypeText,
    IprangeText,
    LengthText,
    TtlText,
    TosText,
    DscpText,
)
