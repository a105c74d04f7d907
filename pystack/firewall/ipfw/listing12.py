"""The body of a rule as 12 and later print it: protocol, source and destination first, the rest as it was written."""

from __future__ import annotations

from pystack._fast import ipfw_ops as ops
from pystack.firewall.ipfw import tokens
from pystack.firewall.ipfw.insn import Insn, Rule
from pystack.firewall.ipfw.printing import (
    DESTINATIONS,
    OPTIONS,
    SOURCES,
    Style,
    address_text,
    ports_text,
)

_SILENT = (ops.O_PROB, ops.O_PROBE_STATE, ops.O_NOP)
_VERSIONS = (ops.O_IP4, ops.O_IP6)


class Body:
    """Instructions become words, each of them once. `named`: what the line has of protocol, source, destination."""

    def __init__(self, style: Style, rule: Rule):
        self.style = style
        self.parts: list[str] = []
        self._left = [insn for insn in rule.patterns if insn.op not in _SILENT]
        self._installs_only = not any(insn.op == ops.O_PROBE_STATE for insn in rule.patterns)
        self._named: set[str] = set()
        self._proto = 0
        self._in_or = False
        if rule.bare:
            self._named = {"proto", "from", "to"}
        else:
            self._protocols()
            self._address("from", SOURCES, ops.O_IP_SRCPORT)
            self._address("to", DESTINATIONS, ops.O_IP_DSTPORT)
        while self._left:
            self._print(self._left[0])

    def _print(self, insn: Insn) -> None:
        """One instruction, within its braces."""
        self._left = [each for each in self._left if each is not insn]
        if insn.other and not self._in_or:
            self.parts.append("{")
        if insn.neg and insn.op != ops.O_IN:
            self.parts.append("not")
        self.parts.append(self._text(insn))
        if insn.other:
            self.parts.append("or")
        elif self._in_or:
            self.parts.append("}")
        self._in_or = insn.other

    def _text(self, insn: Insn) -> str:
        if insn.op in SOURCES or insn.op in DESTINATIONS:
            side, keyword = ("from", "src-ip ") if insn.op in SOURCES else ("to", "dst-ip ")
            prefix = keyword if side in self._named else ""
            if len(insn.data) == 2 and insn.op == ops.O_IP_DST_LOOKUP:
                return f"{prefix}lookup {tokens.LOOKUP_KEYS[insn.data[1]]} {insn.text}"
            return prefix + address_text(self.style, insn)
        if insn.op in (ops.O_IP_SRCPORT, ops.O_IP_DSTPORT):
            keyword = "dst-port " if insn.op == ops.O_IP_DSTPORT else "src-port "
            prefix = keyword if {"from", "to"} <= self._named else ""
            return prefix + ports_text(self.style, insn, self._proto)
        if insn.op == ops.O_PROTO:
            self._proto = insn.arg
            name = self.style.names.protocol_name(insn.arg) or str(insn.arg)
            return f"proto {name}" if "proto" in self._named else name
        if self._installs_only and insn.op == ops.O_KEEP_STATE:
            return OPTIONS[insn.op](self.style, insn).replace("keep-state", "record-state", 1)
        if self._installs_only and insn.op == ops.O_LIMIT:
            return OPTIONS[insn.op](self.style, insn).replace("limit", "set-limit", 1)
        return OPTIONS[insn.op](self.style, insn)

    def _protocols(self) -> None:
        """The protocol, or those of one pair of braces; a version of IP comes before protocols."""
        versions = [insn for insn in self._left if insn.op in _VERSIONS]
        protos = [insn for insn in self._left if insn.op == ops.O_PROTO]
        if not versions and not protos:
            self.parts.append("ip")
        last = None
        for insn in sorted(versions, key=lambda each: not each.other)[:2]:
            if last is None or last.other:
                self._print(insn)
                last = insn
        if last is None or last.other:
            for insn in protos:
                self._print(insn)
                if not insn.other:
                    break
        self._named.add("proto")

    def _address(self, side: str, kinds: tuple[int, ...], port: int) -> None:
        """`from` or `to` with the addresses of one pair of braces, and ports if there is one list of them."""
        self.parts.append(side)
        addresses = [insn for insn in self._left if insn.op in kinds]
        if not addresses:
            self.parts.append("any")
        for insn in addresses:
            self._print(insn)
            if not insn.other:
                break
        at = [number for number, insn in enumerate(self._left) if insn.op == port]
        if len(at) == 1:
            insn = self._left[at[0]]
            follows_or = at[0] > 0 and self._left[at[0] - 1].other
            if not insn.other and not follows_or:
                self._print(insn)
        self._named.add(side)
