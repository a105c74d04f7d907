"""The targets of iptables that translate, as text: SNAT, DNAT, MASQUERADE, REDIRECT, NETMAP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pystack._fast import nf_target
from pystack._fast.nf_hook import NatRange
from pystack.addresses import dotted
from pystack.firewall import services, words
from pystack.firewall.errors import RefusedError
from pystack.firewall.extension import Extension, Option, TargetText, flag, host_mask
from pystack.firewall.protocols import ICMP, TCP, UDP

if TYPE_CHECKING:
    from pystack.firewall.tables import Shared

WITH_PORTS = (TCP, UDP, ICMP, 132, 33)


def need_ports(e: Extension) -> None:
    """Ports may be named only where the protocol has them (or ids)."""
    if e.proto not in WITH_PORTS:
        raise RefusedError("Need TCP, UDP, SCTP or DCCP with port specification")


def nat_ports(e: Extension, text: str, *, based: bool = False) -> tuple[int, int, int]:
    """`a`, `a-b`, and where it may be `a-b/base` (else 0 is the base)."""
    need_ports(e)
    low, rest = words.leading(text)
    if low is None or low > 65535:
        low, rest = services.port_of(text), ""
    if low is None:
        raise RefusedError(f"Port `{text}' not valid")
    if not rest:
        return low, low, 0
    if rest[0] == ":":
        raise RefusedError("Invalid port:port syntax - use dash")
    if rest[0] != "-":
        raise RefusedError(f"Garbage after port value: `{rest}'")
    text = rest[1:]
    high, rest = words.leading(text)
    if high is None or high > 65535:
        raise RefusedError(f"Port `{text}' not valid")
    if high < low:
        raise RefusedError(f"Port range `{text}' funky")
    if not rest:
        return low, high, 0
    if rest[0] != "/":
        raise RefusedError(f"Garbage after port range: `{rest}'")
    if not based:  # SNAT takes it and forgets it
        raise RefusedError("Shifted portmap ranges not supported with this kernel")
    text = rest[1:]
    base, rest = words.leading(text)
    if base is None:
        base, rest = services.port_of(text), ""
    if base is None or not 0 < base < 65536:
        raise RefusedError(f"Port `{text}' not valid")
    if rest:
        raise RefusedError(f"Garbage after port range: `{rest}'")
    return low, high, base


def nat_place(e: Extension, o: Option, args: Sequence[str]) -> dict[str, Any]:
    """`[a[-b]][:port[-port][/base]]`."""
    if args[0].startswith("["):
        raise RefusedError("Invalid address format")
    place, colon, port_text = args[0].partition(":")
    out: dict[str, Any] = {"addresses": None, "ports": None, "base": 0}
    if colon and ":" in port_text:
        raise RefusedError(f'Bad IP address "{args[0]}"')
    if colon:
        low, high, out["base"] = nat_ports(e, port_text, based=o.name == "to-destination")
        out["ports"] = low, high
        if not place:
            return out
    low_text, dash, high_text = place.partition("-")
    ends = []
    for text in (low_text, high_text) if dash else (low_text,):
        parts = text.split(".")
        if any(part[:1] == "0" and part != "0" for part in parts) or words.address(text) is None:
            raise RefusedError(f'Bad IP address "{text}"')
        ends.append(words.address(text))
    out["addresses"] = ends[0], ends[-1]
    return out


def port_span(ports: tuple[int, int]) -> str:
    """`a` or `a-b`."""
    return words.span_text(ports[0], ports[1], "-")


class NatText(TargetText):
    """What SNAT and DNAT have in common."""

    only = "nat"
    tracks = True
    to: ClassVar[str]

    def place(self) -> str:
        """`a-b:p-q`."""
        where = self.given[self.to]
        out = ""
        if where["addresses"]:
            low, high = where["addresses"]
            out = dotted(low) + (f"-{dotted(high)}" if high != low else "")
        if where["ports"]:
            out += ":" + port_span(where["ports"])
            if where["base"]:
                out += f"/{where['base']}"
        return out

    def manners(self) -> list[str]:
        return [n for n in ("random", "random-fully", "persistent") if n in self.given]

    def save(self) -> str:
        return f" --{self.to} {self.place()}" + "".join(f" --{n}" for n in self.manners())

    def show(self, numeric: bool) -> str:
        return " ".join([f"to:{self.place()}", *self.manners()])

    def wanted(self) -> NatRange:
        where = self.given[self.to]
        low, high = where["addresses"] or (0, 0)
        port_low, port_high = where["ports"] or (0, 0)
        return NatRange(
            low,
            high,
            port_low,
            port_high,
            random="random" in self.given,
            random_fully="random-fully" in self.given,
            persistent="persistent" in self.given,
            port_base=where["base"],
        )


class SnatText(NatText):
    name = "SNAT"
    to = "to-source"
    hooks = frozenset(("POSTROUTING", "INPUT"))
    options = (
        Option("to-source", nat_place, required=True),
        Option("random", flag, words=0),
        Option("random-fully", flag, words=0),
        Option("persistent", flag, words=0),
    )

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.NatTarget(self.wanted(), True)


class DnatText(NatText):
    name = "DNAT"
    to = "to-destination"
    hooks = frozenset(("PREROUTING", "OUTPUT"))
    options = (
        Option("to-destination", nat_place, required=True),
        Option("random", flag, words=0),
        Option("persistent", flag, words=0),
    )

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.NatTarget(self.wanted(), False)


def to_ports(e: Extension, _o: Option, args: Sequence[str]) -> tuple[int, int]:
    """`a` or `a-b`."""
    return nat_ports(e, args[0])[:2]


class PortNatText(TargetText):
    """What MASQUERADE and REDIRECT have in common."""

    only = "nat"
    tracks = True
    shown: ClassVar[str]

    def manners(self) -> list[str]:
        return [n for n in ("random", "random-fully") if n in self.given]

    def save(self) -> str:
        out = ""
        if "to-ports" in self.given:
            out = f" --to-ports {port_span(self.given['to-ports'])}"
        return out + "".join(f" --{n}" for n in self.manners())

    def show(self, numeric: bool) -> str:
        out = []
        if "to-ports" in self.given:
            out = [f"{self.shown} {port_span(self.given['to-ports'])}"]
        return " ".join(out + self.manners())

    def wanted(self) -> NatRange:
        low, high = self.given.get("to-ports", (0, 0))
        return NatRange(
            0,
            0,
            low,
            high,
            random="random" in self.given,
            random_fully="random-fully" in self.given,
        )


class MasqueradeText(PortNatText):
    name = "MASQUERADE"
    shown = "masq ports:"
    hooks = frozenset(("POSTROUTING",))
    options = (
        Option("to-ports", to_ports),
        Option("random", flag, words=0),
        Option("random-fully", flag, words=0),
    )

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.Masquerade(self.wanted())


class RedirectText(PortNatText):
    name = "REDIRECT"
    shown = "redir ports"
    hooks = frozenset(("PREROUTING", "OUTPUT"))
    options = (Option("to-ports to-port", to_ports), Option("random", flag, words=0))

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.Redirect(self.wanted())


def nat_network(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """A network."""
    addr, bits = host_mask(e, o, args)
    return addr & bits, bits


class NetmapText(TargetText):
    name = "NETMAP"
    only = "nat"
    tracks = True
    hooks = frozenset(("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"))
    options = (Option("to", nat_network, required=True),)

    def save(self) -> str:
        return f" --to {words.masked(*self.given['to'], slash_32=True)}"

    def show(self, numeric: bool) -> str:
        return f"to:{words.masked(*self.given['to'], slash_32=True)}"

    def build(self, shared: Shared) -> nf_target.Target:
        addr, bits = self.given["to"]
        return nf_target.Netmap(NatRange(addr, addr | (bits ^ words.ALL_ONES), netmap=True))


NAT_TARGETS: tuple[type[TargetText], ...] = (
    SnatText,
    DnatText,
    MasqueradeText,
    RedirectText,
    NetmapText,
)
