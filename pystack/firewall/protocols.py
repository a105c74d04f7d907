"""The matches of iptables that look at a protocol's own header, as text: tcp, udp, icmp, multiport."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pystack._fast import consts, nf_consts, nf_match
from pystack.firewall import words
from pystack.firewall.errors import RefusedError
from pystack.firewall.extension import Extension, MatchText, Option, names_of, port_pair

if TYPE_CHECKING:
    from pystack.firewall.spec import Spec
    from pystack.firewall.tables import Shared

TCP, UDP, ICMP = consts.PROTO_TCP, consts.PROTO_UDP, consts.PROTO_ICMP
ANY_PORT = (0, 65535)
TCP_FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32}


def tcp_ports(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """A port or a range, once."""
    if o.name in e.given:
        raise RefusedError(f"Only one `--{o.name}' allowed")
    return words.port_range(args[0], "tcp")


class PortText(MatchText):
    """What tcp and udp have in common. The tool writes them in nftables' own terms where it can (`native`): so they are
    put together where there are two of them, and what always holds is forgotten.
    """

    proto_number: ClassVar[int]

    def asked(self, name: str) -> tuple[int, int]:
        """Ports."""
        span: tuple[int, int] = self.given.get(name, ANY_PORT)
        return span

    @property
    def native(self) -> bool:
        """Is anything asked that nftables has its own terms for, and nothing else?"""
        names = ("source-port", "destination-port")
        return self.unsaid or any(self.asked(n) != ANY_PORT or n in self.inverted for n in names)

    def check(self, spec: Spec) -> None:
        self.crossed = self.native and spec.proto_not
        if not self.native:
            return
        for name in ("source-port", "destination-port"):
            low, high = self.asked(name)
            if name in self.inverted and low == 0 < high:
                # as the tool stores it: what is above; and nothing at all where nothing is above
                self.given[name] = ANY_PORT if high == 65535 else (high + 1, 65535)
                self.unsaid = self.unsaid or high == 65535
                self.inverted.discard(name)

    def require(self, spec: Spec) -> None:
        if self.native and spec.proto != self.proto_number:
            name = self.name.upper()
            raise RefusedError(f"{name} match requires '-p {self.name}'")

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        fits = self.native or (spec.proto == self.proto_number and not spec.proto_not)
        return None if fits else "Invalid argument"

    def takes_in(self, other: MatchText) -> bool:
        """Another of the same kind, of which nftables makes one; not where both ask for the same in two ways."""
        if not (isinstance(other, PortText) and self.name == other.name):
            return False
        names = self.given.keys() | self.inverted
        for name in other.given.keys() | other.inverted:
            same = self.given.get(name) == other.given.get(name)
            if name in names and not (same and (name in self.inverted) == (name in other.inverted)):
                return False
        if not (self.native and other.native):
            return False
        self.given |= other.given
        self.inverted |= other.inverted
        self.unsaid = self.unsaid or other.unsaid
        return True

    def port_words(self, name: str) -> str:
        """` --sport a:b` or nothing; any port at all is not said."""
        low, high = self.asked(name)
        if (low, high) == ANY_PORT and name not in self.inverted:
            return ""
        short = "sport" if name == "source-port" else "dport"
        return f" {self.bang(name)}--{short} {words.span_text(low, high)}"

    def port_show(self, name: str, numeric: bool) -> str:
        """The same for a listing."""
        low, high = self.asked(name)
        if (low, high) == ANY_PORT and name not in self.inverted:
            return ""
        short, bang = ("spt" if name == "source-port" else "dpt"), self.bang(name, "!")
        if low == high:
            return f" {short}:{bang}{words.port_text(low, numeric, self.name)}"
        ends = [words.port_text(port, numeric, self.name) for port in (low, high)]
        return f" {short}s:{bang}{ends[0]}:{ends[1]}"

    def built(self) -> dict[str, Any]:
        """Arguments for the core."""
        return {
            "sport": self.asked("source-port"),
            "sport_not": "source-port" in self.inverted,
            "dport": self.asked("destination-port"),
            "dport_not": "destination-port" in self.inverted,
            "native": self.native,
        }


TCP_PORTS = (
    Option("source-port sport", tcp_ports, inverts=True, repeats=True),
    Option("destination-port dport", tcp_ports, inverts=True, repeats=True),
)
UDP_PORTS = (
    Option("source-port sport", port_pair, inverts=True),
    Option("destination-port dport", port_pair, inverts=True),
)


def tcp_flags(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """`MASK COMP`."""
    if "tcp-flags" in e.given:
        raise RefusedError("Only one of `--syn' or `--tcp-flags'  allowed")
    values = []
    for arg in args:
        value = 0
        for word in filter(None, arg.split(",")):
            if word.upper() == "ALL":
                value |= 0x3F
            elif word.upper() in TCP_FLAGS:
                value |= TCP_FLAGS[word.upper()]
            elif word.upper() != "NONE":
                raise RefusedError(f"Unknown TCP flag `{word}'")
        values.append(value)
    return values[0], values[1]


def syn(e: Extension, o: Option, _args: Sequence[str]) -> bool:
    """`--syn` is a set of flags."""
    if "tcp-flags" in e.given:
        raise RefusedError("Only one of `--syn' or `--tcp-flags'  allowed")
    e.given["tcp-flags"] = (0x17, 0x02)
    return True


def tcp_option(e: Extension, o: Option, args: Sequence[str]) -> int:
    """The number of an option."""
    if o.name in e.given:
        raise RefusedError("Only one `--tcp-option' allowed")
    value = words.number(args[0], 1, 255)
    if value is None:
        raise RefusedError(f'Bad TCP option "{args[0]}"')
    return value


class TcpText(PortText):
    name = "tcp"
    proto_number = TCP
    options = (
        *TCP_PORTS,
        Option("tcp-flags", tcp_flags, words=2, inverts=True, repeats=True),
        Option("syn", syn, words=0, inverts=True, repeats=True),
        Option("tcp-option", tcp_option, inverts=True, repeats=True),
    )

    def take(self, option: Option, args: Sequence[str], inverted: bool, spec: Spec) -> None:
        super().take(option, args, inverted, spec)
        if option.name == "syn" and inverted:
            self.inverted.add("tcp-flags")

    @property
    def native(self) -> bool:
        if "tcp-option" in self.given:
            return False
        flags = self.given.get("tcp-flags", (0, 0)) != (0, 0) or "tcp-flags" in self.inverted
        return flags or super().native

    def check(self, spec: Spec) -> None:
        mask, flags = self.given.get("tcp-flags", (0, 0))
        if self.native and not mask and (flags or "tcp-flags" in self.inverted):
            self.unsaid = True  # they always hold, or never
        super().check(spec)

    def flag_names(self, value: int) -> str:
        return names_of(TCP_FLAGS, value) or "NONE"

    def save(self) -> str:
        out = self.port_words("source-port") + self.port_words("destination-port")
        if "tcp-option" in self.given:
            out += f" {self.bang('tcp-option')}--tcp-option {self.given['tcp-option']}"
        if "tcp-flags" in self.given:
            mask, flags = self.given["tcp-flags"]
            if mask or (flags and not self.native):
                out += f" {self.bang('tcp-flags')}--tcp-flags"
                out += f" {self.flag_names(mask)} {self.flag_names(flags)}"
        return out

    def show(self, numeric: bool) -> str:
        out = "tcp" + self.port_show("source-port", numeric)
        out += self.port_show("destination-port", numeric)
        if "tcp-option" in self.given:
            out += f" option={self.bang('tcp-option', '!')}{self.given['tcp-option']}"
        mask, flags = self.given.get("tcp-flags", (0, 0))
        if mask or (flags and not self.native):
            out += f" flags:{self.bang('tcp-flags', '!')}"
            if numeric:
                out += f"0x{mask:02X}/0x{flags:02X}"
            else:
                out += f"{self.flag_names(mask)}/{self.flag_names(flags)}"
        return out

    def build(self, shared: Shared) -> nf_match.Match:
        mask, flags = self.given.get("tcp-flags", (0, 0))
        if self.crossed:
            return crossed(UDP, self)
        return nf_match.TcpMatch(
            **self.built(),
            mask=mask,
            flags=flags,
            flags_not="tcp-flags" in self.inverted,
            option=self.given.get("tcp-option", 0),
            option_not="tcp-option" in self.inverted,
        )


def crossed(proto: int, match: PortText) -> nf_match.Match:
    """`! -p tcp -m tcp --dport 80`: nftables looks where the ports would be, whatever protocol it is. Of those with
    ports there is one more; flags that are asked for do not stand where its own octets can be told from them.
    """
    built = match.built()
    if "tcp-flags" in match.given:
        built["dport"], built["dport_not"] = ANY_PORT, True
    return nf_match.PortRange(proto, **built)


class UdpText(PortText):
    name = "udp"
    proto_number = UDP
    options = UDP_PORTS

    def save(self) -> str:
        return self.port_words("source-port") + self.port_words("destination-port")

    def show(self, numeric: bool) -> str:
        ports = self.port_show("source-port", numeric) + self.port_show("destination-port", numeric)
        return "udp" + ports

    def build(self, shared: Shared) -> nf_match.Match:
        return crossed(TCP, self) if self.crossed else nf_match.PortRange(UDP, **self.built())


ICMP_TYPES: tuple[tuple[str, int, int, int], ...] = (
    ("any", 0xFF, 0, 0xFF),
    ("echo-reply", 0, 0, 0xFF),
    ("pong", 0, 0, 0xFF),
    ("destination-unreachable", 3, 0, 0xFF),
    ("network-unreachable", 3, 0, 0),
    ("host-unreachable", 3, 1, 1),
    ("protocol-unreachable", 3, 2, 2),
    ("port-unreachable", 3, 3, 3),
    ("fragmentation-needed", 3, 4, 4),
    ("source-route-failed", 3, 5, 5),
    ("network-unknown", 3, 6, 6),
    ("host-unknown", 3, 7, 7),
    ("network-prohibited", 3, 9, 9),
    ("host-prohibited", 3, 10, 10),
    ("TOS-network-unreachable", 3, 11, 11),
    ("TOS-host-unreachable", 3, 12, 12),
    ("communication-prohibited", 3, 13, 13),
    ("host-precedence-violation", 3, 14, 14),
    ("precedence-cutoff", 3, 15, 15),
    ("source-quench", 4, 0, 0xFF),
    ("redirect", 5, 0, 0xFF),
    ("network-redirect", 5, 0, 0),
    ("host-redirect", 5, 1, 1),
    ("TOS-network-redirect", 5, 2, 2),
    ("TOS-host-redirect", 5, 3, 3),
    ("echo-request", 8, 0, 0xFF),
    ("ping", 8, 0, 0xFF),
    ("router-advertisement", 9, 0, 0xFF),
    ("router-solicitation", 10, 0, 0xFF),
    ("time-exceeded", 11, 0, 0xFF),
    ("ttl-exceeded", 11, 0, 0xFF),
    ("ttl-zero-during-transit", 11, 0, 0),
    ("ttl-zero-during-reassembly", 11, 1, 1),
    ("parameter-problem", 12, 0, 0xFF),
    ("ip-header-bad", 12, 0, 0),
    ("required-option-missing", 12, 1, 1),
    ("timestamp-request", 13, 0, 0xFF),
    ("timestamp-reply", 14, 0, 0xFF),
    ("address-mask-request", 17, 0, 0xFF),
    ("address-mask-reply", 18, 0, 0xFF),
)
"""Name, type, lowest and highest code."""


def icmp_type(_e: Extension, _o: Option, args: Sequence[str]) -> tuple[int, int, int]:
    """A name or its beginning, `type` or `type/code`."""
    word = args[0]
    hits = [t for t in ICMP_TYPES if t[0].lower().startswith(word.lower())]
    exact = [t for t in hits if t[0].lower() == word.lower()]
    if exact:
        return exact[0][1:]
    if len(hits) > 1:
        raise RefusedError(f"Ambiguous ICMP type `{word}': `{hits[0][0]}' or `{hits[1][0]}'?")
    if hits:
        return hits[0][1:]
    number, rest = words.leading(word)
    if number is None or number > 255:
        raise RefusedError(f"Unknown ICMP type `{word}'")
    if not rest:
        return number, 0, 0xFF
    if rest[0] == "-" or rest[0] == ":":
        raise RefusedError("ICMP type range not supported")
    if rest[0] != "/":
        raise RefusedError(f"unknown character {rest[0]}")
    low, rest = words.leading(rest[1:])
    if low is None or low > 255:
        raise RefusedError(f"Unknown ICMP code `{word}'")
    if rest[:1] in ("-", ":"):
        raise RefusedError("ICMP code range not supported")
    if rest:
        raise RefusedError(f"unknown character {rest[0]}")
    return number, low, low


class IcmpText(MatchText):
    name = "icmp"
    options = (Option("icmp-type", icmp_type, inverts=True, required=True),)

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        return None if spec.proto == ICMP and not spec.proto_not else "Invalid argument"

    def save(self) -> str:
        kind, low, high = self.given["icmp-type"]
        word = "any" if kind == 0xFF else f"{kind}" + (f"/{low}" if low == high else "")
        return f" {self.bang('icmp-type')}--icmp-type {word}"

    def show(self, numeric: bool) -> str:
        kind, low, high = self.given["icmp-type"]
        names = [t[0] for t in ICMP_TYPES if t[1:] == (kind, low, high)]
        bang = self.bang("icmp-type", "!")
        if names and not numeric:
            return f"icmp {bang}{names[0]}"
        out = f"icmp {bang}type {kind}" if bang else f"icmptype {kind}"
        if low == high:
            out += f" code {low}"
        elif low != 0 or high != 0xFF:
            out += f" codes {low}-{high}"
        return out

    def build(self, shared: Shared) -> nf_match.Match:
        kind, low, high = self.given["icmp-type"]
        return nf_match.IcmpMatch(kind, low, high, inverted="icmp-type" in self.inverted)


def port_list(e: Extension, _o: Option, args: Sequence[str]) -> list[tuple[int, int]]:
    """Ports and ranges, commas between; 15 places, a range takes two."""
    proto = words.protocol_text(e.proto)
    out = []
    room = 15
    for word in args[0].split(","):
        room -= 1
        if room < 0:
            raise RefusedError("too many ports specified")
        low, colon, high = word.partition(":")
        pair = words.port(low, proto), words.port(high if colon else low, proto)
        if colon:
            room -= 1
            if room < 0:
                raise RefusedError("too many ports specified")
            if pair[0] >= pair[1]:
                raise RefusedError("invalid portrange specified")
        out.append(pair)
    return out


class MultiportText(MatchText):
    name = "multiport"
    options = (
        Option("source-ports sports", port_list, inverts=True, without="destination-ports ports"),
        Option("destination-ports dports", port_list, inverts=True, without="source-ports ports"),
        Option("ports", port_list, inverts=True, without="source-ports destination-ports"),
    )
    which: ClassVar[dict[str, tuple[str, int]]] = {
        "source-ports": ("sports", nf_consts.PORT_SOURCE),
        "destination-ports": ("dports", nf_consts.PORT_DESTINATION),
        "ports": ("ports", nf_consts.PORT_EITHER),
    }

    def take(self, option: Option, args: Sequence[str], inverted: bool, spec: Spec) -> None:
        if spec.proto_not:
            raise RefusedError("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP")
        if spec.proto == 0:
            raise RefusedError(
                "multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'"
            )
        if spec.proto not in (TCP, UDP, 136, 132, 33):
            raise RefusedError("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP")
        super().take(option, args, inverted, spec)

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError("multiport expection an option")

    def save(self) -> str:
        name = next(iter(self.given))
        listed = ",".join(words.span_text(*pair) for pair in self.given[name])
        return f" {self.bang(name)}--{self.which[name][0]} {listed}"

    def show(self, numeric: bool) -> str:
        name = next(iter(self.given))
        proto = words.protocol_text(self.proto)
        listed = ",".join(
            ":".join(words.port_text(port, numeric, proto) for port in dict.fromkeys(pair))
            for pair in self.given[name]
        )
        return f"multiport {self.which[name][0]} {self.bang(name, ' !')}{listed}"

    def build(self, shared: Shared) -> nf_match.Match:
        name = next(iter(self.given))
        return nf_match.Multiport(
            self.which[name][1], self.given[name], inverted=name in self.inverted
        )


PROTOCOLS: tuple[type[MatchText], ...] = (TcpText, UdpText, IcmpText, MultiportText)
