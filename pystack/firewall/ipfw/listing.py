"""A rule as a line of a listing, up to 11 and since 12."""

from __future__ import annotations

import time

from pystack._fast import ipfw_ops as ops
from pystack.firewall.ipfw import tokens
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.insn import Insn, Rule
from pystack.firewall.ipfw.listing12 import Body
from pystack.firewall.ipfw.parser import PROBABILITY_ONE
from pystack.firewall.ipfw.printing import (
    DESTINATIONS,
    OPTIONS,
    SOURCES,
    Style,
    action_text,
    address_text,
    ports_text,
)

_PROTO = 1
_FROM = 2
_TO = 4
_IP = 8
_OPTIONS = 16
_ALL = _PROTO | _FROM | _TO
_TIME_WIDTH = 24


class _Body:
    """The part of a line behind the action, word by word.

    `seen` is what of protocol, source and destination the line has already, and whether what comes is an option: then
    addresses, ports and protocols have a keyword.
    """

    def __init__(self, style: Style, patterns: list[Insn], bare: bool, seen: int):
        self.style = style
        self.parts: list[str] = []
        self.comment = "..." if style.comment_only else ""
        self._seen = seen
        self._proto = 0
        self._in_or = False
        plain = [each.op for each in patterns if not each.neg and not each.other]
        version = next((op for op in plain if op in (ops.O_IP4, ops.O_IP6)), None)
        self._version = {ops.O_IP4: "ip4", ops.O_IP6: "ip6", None: ""}[version]
        self._version_op = version
        if bare:
            if not style.compact:
                self._fill(_PROTO)
                self.parts.append("from any to any")
            self._seen |= _ALL | _IP | _OPTIONS

    def _fill(self, want: int) -> None:
        """Say what a rule does not say itself but has to have before what comes next."""
        if self.style.comment_only:
            return
        if self._seen & _IP:
            self._seen |= _OPTIONS
        if not self._seen & _OPTIONS:
            missing = want & ~self._seen
            if missing & _PROTO:
                self.parts.append(self._version or "ip")
            if missing & _FROM:
                self.parts.append("from any")
            if missing & _TO:
                self.parts.append("to any")
        self._seen |= want

    def _begin_or(self, insn: Insn) -> None:
        if insn.other and not self._in_or:
            self.parts.append("{")

    def _end_or(self, insn: Insn) -> None:
        if insn.other:
            self.parts.append("or")
        elif self._in_or:
            self.parts.append("}")
        self._in_or = insn.other

    def pattern(self, insn: Insn) -> None:
        """One more instruction."""
        if insn.op in (ops.O_PROB, ops.O_PROBE_STATE):
            return
        self._fill(0)
        if insn.op in SOURCES or insn.op in DESTINATIONS:
            self._address(insn)
        elif insn.op in (ops.O_IP_SRCPORT, ops.O_IP_DSTPORT):
            self._ports(insn)
        elif insn.op == ops.O_PROTO:
            self._protocol(insn)
        else:
            self._option(insn)
        self._end_or(insn)

    def _address(self, insn: Insn) -> None:
        source = insn.op in SOURCES
        mine, word, option = (_FROM, "from", "src-ip") if source else (_TO, "to", "dst-ip")
        self._fill(_PROTO if source else _PROTO | _FROM)
        if not self._seen & mine:
            self.parts.append(word)
        self._begin_or(insn)
        if insn.neg:
            self.parts.append("not")
        if len(insn.data) == 2 and insn.op == ops.O_IP_DST_LOOKUP:
            self.parts.append(f"lookup {tokens.LOOKUP_KEYS[insn.data[1]]} {insn.text}")
        else:
            if self._seen & _OPTIONS:
                self.parts.append(option)
            self.parts.append(address_text(self.style, insn))
        self._seen |= mine

    def _ports(self, insn: Insn) -> None:
        if insn.op == ops.O_IP_DSTPORT:
            self._fill(_ALL | _IP)
        elif self._seen & _TO:
            self._seen |= _IP
        self._fill(_PROTO | _FROM)
        self._begin_or(insn)
        if insn.neg:
            self.parts.append("not")
        if self._seen & _OPTIONS:
            self.parts.append("dst-port" if insn.op == ops.O_IP_DSTPORT else "src-port")
        self.parts.append(ports_text(self.style, insn, self._proto))

    def _protocol(self, insn: Insn) -> None:
        self._begin_or(insn)
        if insn.neg:
            self.parts.append("not")
        self._proto = insn.arg
        if self._version and not self._seen & _PROTO:
            self._fill(_ALL | _IP | _OPTIONS)
        if self._seen & _OPTIONS:
            self.parts.append("proto")
        self.parts.append(self.style.names.protocol_name(insn.arg) or str(insn.arg))
        self._seen |= _PROTO

    def _option(self, insn: Insn) -> None:
        if insn.op == self._version_op and not insn.neg and not insn.other:
            return
        self._fill(_ALL | _IP | _OPTIONS)
        self._begin_or(insn)
        if insn.neg and insn.op != ops.O_IN:
            self.parts.append("not")
        if insn.op == ops.O_NOP:
            self.comment = insn.text
        else:
            self.parts.append(OPTIONS[insn.op](self.style, insn))

    def finish(self) -> None:
        """Nothing more comes."""
        self._fill(_ALL | _IP)


def rule_text(style: Style, rule: Rule) -> str:
    """The rule from `prob` on."""
    parts = []
    first = rule.patterns[0] if rule.patterns else None
    if first is not None and first.op == ops.O_PROB:
        parts.append(f"prob {first.data[0] / PROBABILITY_ONE:f}")
    parts.append(action_text(style, rule.actions))
    if style.era >= Era.E12 and not style.comment_only:
        return " ".join([*parts, *_since_12(style, rule)])
    checks = any(insn.op == ops.O_CHECK_STATE for insn in rule.actions)
    body = _Body(style, rule.patterns, rule.bare, _ALL | _IP if checks else 0)
    if style.comment_only:
        found = [insn.text for insn in rule.patterns if insn.op == ops.O_NOP]
        return " ".join([*parts, "//", found[0] if found else "..."])
    for insn in rule.patterns:
        body.pattern(insn)
    body.finish()
    parts += body.parts
    if body.comment:
        parts.append(f"// {body.comment}")
    return " ".join(parts)


def _since_12(style: Style, rule: Rule) -> list[str]:
    """The words behind the action; check-state has none but a comment."""
    checks = any(insn.op == ops.O_CHECK_STATE for insn in rule.actions)
    words = [] if checks else Body(style, rule).parts
    return words + [f"// {insn.text}" for insn in rule.patterns if insn.op == ops.O_NOP]


def time_text(style: Style, stamp: int) -> str:
    """When a rule was last hit, and a blank."""
    if style.show_time == 2:
        return f"{stamp:10d} "
    if style.show_time == 1:
        return time.asctime(time.gmtime(stamp)) + " " if stamp else " " * _TIME_WIDTH
    return ""


def rule_line(
    style: Style,
    rule: Rule,
    *,
    disabled: bool = False,
    counters: str = "",
    stamp: int = 0,
    number: int | None = None,
) -> str:
    """The line of a rule; empty for one that is disabled, unless sets are shown. `number`: instead of the rule's."""
    if disabled and not style.show_sets:
        return ""
    mark = "# DISABLED " if disabled else ""
    sets = f"set {rule.set} " if style.show_sets else ""
    when = time_text(style, stamp)
    return f"{mark}{rule.number if number is None else number:05d} {counters}{when}{sets}{rule_text(style, rule)}"
