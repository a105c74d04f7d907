"""`list` and `show`: rules, and the dynamic rules that they made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pystack._fast.ipfw_ops import RULE_MAX
from pystack.addresses import dotted
from pystack.firewall.ipfw.cnumbers import strtoul
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import EX_UNAVAILABLE, EX_USAGE
from pystack.firewall.ipfw.insn import Rule
from pystack.firewall.ipfw.listing import rule_line
from pystack.firewall.ipfw.run import Run
from pystack.firewall.ipfw.words import Words

_HEADER_OCTETS = 16
_STATE_OCTETS = {Era.E11: 128, Era.E12: 136}
"""What the kernel hands over for each dynamic rule."""
_KINDS = {"S": "STATE", "L": "LIMIT"}
_ORPHANED = 0x40000


class State(NamedTuple):
    """A dynamic rule as the engine tells of it (`Ipfw.states`)."""

    rule: int
    kind: str
    proto: int
    src: int
    sport: int
    dst: int
    dport: int
    word: int
    left: int
    packets: int
    octets: int
    children: int
    ack_fwd: int
    ack_rev: int
    set: int
    name: str


@dataclass
class _Books:
    """What a listing is made of. `widths`: of packets and octets, None if they are not printed."""

    run: Run
    rules: list[Rule]
    states: list[State]
    widths: tuple[int, int] | None = None
    buffer: str = ""
    """What the command of 2014 has in its buffer: it is printed again when nothing is put there."""

    def counted(self, packets: int, octets: int) -> str:
        if self.widths is None:
            return ""
        return f"{packets:{self.widths[0]}d} {octets:{self.widths[1]}d} "

    def measure(self, show: bool, first: int, last: int) -> None:
        """Counters are as wide as the widest of them. `first`, `last`: rules that were asked for."""
        engine = self.run.chain.engine
        pairs = []
        if show:
            pairs += [
                (engine.packets[r.row], engine.octets[r.row])
                for r in self.rules
                if first <= r.number <= last
            ]
        if show or self.run.era < Era.E11:
            pairs += [(s.packets, s.octets) for s in self.states]
        if pairs:
            packets, octets = (
                max(len(str(n)) for n in column) for column in zip(*pairs, strict=True)
            )
            self.widths = packets, octets

    def rule(self, rule: Rule) -> None:
        run = self.run
        engine = run.chain.engine
        stamp = engine.stamp[rule.row]
        line = rule_line(
            run.style(),
            rule,
            disabled=run.chain.is_disabled(rule),
            counters=self.counted(engine.packets[rule.row], engine.octets[rule.row]),
            stamp=stamp + run.boot if stamp else 0,
        )
        if line:
            self.buffer = line + "\n"
        if line or run.era == Era.E11:
            run.out.append(self.buffer)

    def state(self, state: State) -> None:
        era = self.run.era
        expired = state.left <= 0 and state.kind != "P"
        if expired and (not self.run.flags.expired or era >= Era.E12):
            if era >= Era.E11:
                self.run.say(self.buffer if era == Era.E11 else "")
            return
        counters = self.counted(state.packets, state.octets)
        when = f" {counters}({max(0, state.left)}s)" if counters else ""
        kind = f"PARENT {state.children}" if state.kind == "P" else _KINDS[state.kind]
        proto = self.run.names.protocol_name(state.proto) or f"proto {state.proto}"
        ends = f"{dotted(state.src)} {state.sport} <-> {dotted(state.dst)} {state.dport}"
        name = f" :{state.name}" if self.run.era.names_states else ""
        more = _word_text(state) if self.run.flags.verbose and self.run.era >= Era.E12 else ""
        self.buffer = f"{state.rule:05d}{when} {kind} {proto} {ends}{name}{more}"
        self.run.say(self.buffer)


def _word_text(state: State) -> str:
    """What -v tells of a state (12 and later)."""
    word = state.word
    flags = "ORPHANED," if word & _ORPHANED else ""
    for both, forward, reverse, bit in (
        ("BOTH_SYN", "F_SYN", "R_SYN", 2),
        ("BOTH_FIN", "F_FIN", "R_FIN", 1),
    ):
        if word & bit and word & bit << 8:
            flags += both + ","
        elif word & bit:
            flags += forward + ","
        elif word & bit << 8:
            flags += reverse + ","
    acks = f" f_ack 0x{state.ack_fwd:x}, r_ack 0x{state.ack_rev:x}"
    return f" state 0x{word:08x}{' ' if word else ','}{flags}{acks}"


def show(run: Run, words: Words) -> None:
    """`show [N ...]`: with counters."""
    _list(run, words, counters=True)


def list_rules(run: Run, words: Words) -> None:
    """`list [N ...]`."""
    _list(run, words, counters=run.flags.counters)


def _list(run: Run, words: Words, *, counters: bool) -> None:
    if run.flags.test_only:
        run.err.append("Testing only, list disabled\n")
        return
    books = _Books(run, [r for r in run.chain if run.set in (-1, r.set)], [])
    total = 0
    if run.flags.dynamic:
        states = [State(*each) for each in run.chain.engine.states()]
        total = len(states)
        books.states = [s for s in states if run.set in (-1, s.set)]
    books.measure(counters, *_asked(run, words))
    static = not run.flags.dynamic_only
    if words:
        _some(books, words, total, static)
        return
    if static:
        for rule in books.rules:
            books.rule(rule)
    if total:
        octets = _STATE_OCTETS.get(run.era)
        size = "" if octets is None else f" {_HEADER_OCTETS + octets * total}"
        run.say(f"## Dynamic rules ({total}{size}):")
        for state in books.states:
            books.state(state)


def _asked(run: Run, words: Words) -> tuple[int, int]:
    """The rules that the kernel is asked for: since 11 only those between the numbers of the command line."""
    firsts, lasts = [], []
    for at in range(len(words)):
        number, rest = strtoul(words.peek(at) or "")
        firsts.append(number)
        lasts.append(strtoul(rest[1:])[0] if rest.startswith("-") else number)
    if run.era < Era.E11 or not lasts or max(lasts) == 0:
        return 0, RULE_MAX
    return min(firsts), max(lasts)


def _some(books: _Books, words: Words, total: int, static: bool) -> None:
    """Rules of numbers and ranges, then their states."""
    run = books.run
    spans = []
    behind: Rule | None = None
    while words:
        text = words.take()
        first, rest = strtoul(text)
        last = first
        if rest.startswith("-"):
            last, rest = strtoul(rest[1:])
        if rest:
            run.status = EX_USAGE
            run.warn(f"invalid rule number: {text}")
            continue
        spans.append((first, last))
        if static:
            behind = _span(books, first, last)
    if total:
        run.say("## Dynamic rules:")
        for first, last in spans:
            _states_of(books, first, last, behind)


def _span(books: _Books, first: int, last: int) -> Rule | None:
    """The rules of one range; what is returned is the first rule behind it."""
    run = books.run
    seen = False
    behind = None
    for rule in books.rules:
        if rule.number > last:
            behind = rule
            break
        if rule.number >= first:
            books.rule(rule)
            seen = True
    if not seen:
        run.status = run.status or EX_UNAVAILABLE
        if first == last or run.era < Era.E11:
            run.warn(f"rule {first} does not exist")
        else:
            run.warn(f"no rules in range {first}-{last}")
    return behind


def _states_of(books: _Books, first: int, last: int, behind: Rule | None) -> None:
    """The states of a range. Up to 10 it is not the state's rule that is looked at but the one where the search for
    rules ended, and the first state of a higher number ends it all: mostly nothing is printed.
    """
    if books.run.era >= Era.E11:
        for state in books.states:
            if first <= state.rule <= last:
                books.state(state)
        return
    for state in books.states:
        if state.rule > first:
            break
        if behind is not None and first <= behind.number <= last:
            books.state(state)
