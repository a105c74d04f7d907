"""The targets of iptables that translate, as text: SNAT, DNAT, MASQUERADE, REDIRECT, NETMAP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pystack._fast import nf_target
from pystack._fast.nf_hook import NatRange
from pystack.addresses import dotted
from pystack.firewall import words
from pystack.firewall.errors import RefusedError
from pystack.firewall.extension import Extension, Option, TargetText, flag
from pystack.firewall.protocols import TCP, UDP

if TYPE_CHECKING:
    from pystack.firewall.tables import Shared

WITH_PORTS = (TCP, UDP, 132, 33, 136)


def need_ports(e: Extension) -> None:
    """Ports may be named only where the protocol has them."""
    if e.proto not in WITH_PORTS:
        raise RefusedError("Need TCP, UDP, SCTP or DCCP with port specification")


def nat_ports(word: str) -> tuple[int, int]:
    """`a` or `a-b`."""
    low_text, dash, high_text = word.partition("-")
    low = words.number(low_text, 0, 65535)
    if low is None:
        low = words.SERVICES.get(low_text)
    if low is None:
        raise RefusedError(f"Port `{low_text}' not valid")
    high = words.number(high_text, 0, 65535) if dash else low
    if high is None:
        raise RefusedError(f"Port `{high_text}' not valid")
    if high < low:
        raise RefusedError(f"Port range `{high_text}' funky")
    return low, high


def nat_place(e: Extension, o: Option, args: Sequence[str]) -> dict[str, Any]:
    """`[a[-b]][:port[-port][/base]]`."""
    place, colon, port_text = args[0].partition(":")
    out: dict[str, Any] = {"addresses": None, "ports": None, "base": 0}
    if colon:
        need_ports(e)
        span_text, slash, base = port_text.partition("/")
        out["ports"] = nat_ports(span_text)
        if slash:
            if o.name != "to-destination":
                raise RefusedError(f"Port `{port_text}' not valid")
            out["base"] = nat_ports(base)[0]
    if place:
        low_text, dash, high_text = place.partition("-")
        low = words.address(low_text)
        if low is None:
            raise RefusedError(f'Bad IP address "{low_text}"')
        high = words.address(high_text) if dash else low
        if high is None:
            raise RefusedError(f'Bad IP address "{high_text}"')
        out["addresses"] = (low, high)
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
    need_ports(e)
    return nat_ports(args[0])


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
    options = (Option("to-ports", to_ports), Option("random", flag, words=0))

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.Redirect(self.wanted())


def nat_network(_e: Extension, _o: Option, args: Sequence[str]) -> tuple[int, int]:
    """A network with a mask of ones."""
    return words.network(args[0])


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
