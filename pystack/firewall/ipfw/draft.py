"""A rule that is being read: the words to come and the instructions so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pystack.firewall.ipfw.cnumbers import starts_digit, strtol
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_USAGE, Refusal
from pystack.firewall.ipfw.insn import Insn
from pystack.firewall.ipfw.names import USUAL, Names
from pystack.firewall.ipfw.words import Words

ARG_MAX = 65534
"""Limits, tags and the like are 1..65534."""
RULE_WORDS = 255
"""Room that the command has for a rule's instructions."""


@dataclass(frozen=True)
class Settings:
    """What reading a rule depends on. `log_limit`: lines of `log` without a number; `tables`: how many there are."""

    era: Era
    names: Names = USUAL
    log_limit: int = 0
    tables: int = 128
    fibs: int = 1


@dataclass
class Draft:
    """A rule that is being read.

    `neg`: a `not` was read that no instruction has yet; where the text puts nothing behind it, the next instruction
    has it, as it is with ipfw. `prev`: the instruction to which an `or` belongs (-1: none). `open`: within braces.
    """

    words: Words
    settings: Settings
    body: list[Insn] = field(default_factory=list)
    actions: list[Insn] = field(default_factory=list)
    state: Insn | None = None
    installs_only: bool = False
    """The state is not looked up first (record-state, set-limit)."""
    deferred: bool = False
    log: Insn | None = None
    altq: Insn | None = None
    tag: Insn | None = None
    probability: float = 1.0
    number: int = 0
    set: int = 0
    neg: bool = False
    prev: int = -1
    open: bool = False
    proto: int = 0
    bare: bool = False
    size: int = 0
    """Words of the body so far."""

    @property
    def era(self) -> Era:
        return self.settings.era

    @property
    def names(self) -> Names:
        return self.settings.names

    def insn(self, op: int, arg: int = 0, data: tuple[int, ...] = (), text: str = "") -> Insn:
        """An instruction; the `not` that waits is its own."""
        neg, self.neg = self.neg, False
        return Insn(op, arg & 0xFFFF, data, neg=neg, text=text)

    def put(self, op: int, arg: int = 0, data: tuple[int, ...] = (), text: str = "") -> None:
        """The next instruction of the body."""
        self.add(self.insn(op, arg, data, text))

    def add(self, insn: Insn) -> None:
        """An instruction that is ready goes into the body."""
        self.body.append(insn)
        self.prev = len(self.body) - 1
        self.size += 1 + len(insn.data)
        if self.size > RULE_WORDS:
            raise Refusal(EX_DATAERR, "Rule too long")

    def join(self) -> None:
        """An `or`: what was read last and what comes next are alternatives."""
        self.body[self.prev] = replace(self.body[self.prev], other=True)

    def negate(self) -> None:
        """A `not`."""
        if self.neg:
            raise Refusal(EX_USAGE, 'double "not" not allowed\n')
        self.neg = True

    def keep(self, insn: Insn) -> None:
        """The one instruction about states. It stands at the end of the patterns, wherever it was read."""
        self.state = insn

    def uint(self, keyword: str) -> int:
        """A number 1..65534 or `tablearg`."""
        words = self.words
        text = words.need(f"{keyword}: missing argument")
        if words.skip("tablearg"):
            return self.era.tablearg
        value, rest = strtol(text)
        if not starts_digit(text) or rest:
            raise Refusal(EX_DATAERR, f"{keyword}: invalid argument: {text}")
        if not 1 <= value <= ARG_MAX:
            raise Refusal(EX_DATAERR, f"{keyword}: argument is out of range (1..{ARG_MAX}): {text}")
        words.take()
        return value
