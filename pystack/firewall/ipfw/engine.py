"""From rules to the program that a machine runs, and the books of both kinds of rules for whoever lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import IPFW_8, IPFW_10, IPFW_12
from pystack._fast.ipfw_dyn import DynTable
from pystack._fast.ipfw_ground import Ground
from pystack._fast.ipfw_match import Rules
from pystack._fast.ipfw_ops import (
    O_CHECK_STATE,
    O_KEEP_STATE,
    O_LIMIT,
    O_LIMIT_PARENT,
    O_PROBE_STATE,
    O_RECV,
    O_VIA,
    O_XMIT,
)
from pystack.addresses import dotted
from pystack.firewall.ipfw.insn import Insn, Rule
from pystack.firewall.ipfw.skipping import index

if TYPE_CHECKING:
    from pystack.firewall.ipfw.chain import Chain

LETTERS = {O_KEEP_STATE: "S", O_LIMIT: "L", O_LIMIT_PARENT: "P"}
"""Kinds of dynamic entries, as `Engine.states` calls them."""
ERAS = {IPFW_8: "e8", IPFW_10: "e10", IPFW_12: "e12"}
"""Policies of a profile -> whose command it has."""
CLAMPED = ("autoinc_step", "dyn_buckets", "dyn_fin_lifetime", "dyn_rst_lifetime")
"""Knobs whose own value the kernel changes when it is none that it likes."""


class Engine:
    """What a `Chain` hands its rules to. `cfg`: the machine's settings (`fw_*`); `ground`: the machine."""

    def __init__(self, cfg: Any, ground: Ground, rng: Any, seed: int):
        self.cfg = cfg
        self.table: Any = DynTable(cfg, ground, cfg.policy_ipfw, seed)
        self.rules: Any = Rules(cfg, ground, self.table, rng)
        self.indexed = True
        """Rules that cannot match are left out of the walk; otherwise each is looked at, as the kernel does."""
        self.names: dict[str, int] = {"any": 0, "": 0}
        """Names of states -> their numbers."""
        self.clock: Callable[[], int] | None = None
        """The machine's uptime in seconds, for lifetimes that are looked at; None: that of its last packet."""
        self._chain: Chain | None = None
        self._program: list[Rule] = []
        self._ghosts: list[Rule] = []
        """Rules that are deleted and have states that live on (era 12)."""

    # --- the books, for `Chain` and for listings -----------------------------------------------------------------

    @property
    def packets(self) -> Any:
        """Packets of each rule, by its row."""
        return self.rules.packets

    @property
    def octets(self) -> Any:
        return self.rules.octets

    @property
    def stamp(self) -> Any:
        """Second of uptime at which each rule last matched; 0: never."""
        return self.rules.stamp

    @property
    def log_left(self) -> Any:
        """Lines that each rule may still log."""
        return self.rules.log_left

    def take_rule(self, number: int) -> int:
        """A row for a new rule."""
        row: int = self.rules.take_row(number)
        return row

    def give_rule(self, rule: Rule) -> None:
        """A rule is deleted, its states with it, unless they are to live on."""
        self.table.forget_rule(rule.row)
        if self.cfg.policy_ipfw == IPFW_12 and self._lives_on(rule):
            self._ghosts.append(rule)
        else:
            self.rules.free.give(rule.row)

    def _lives_on(self, rule: Rule) -> bool:
        return any(self.table.rule_of(row) == rule.row for row in self.table.rows())

    def delete_states(self, first: int, last: int) -> int:
        """The entries that rules of some numbers (0 to 0: any) made go; how many."""
        rules = {self.table.rule_of(row) for row in self.table.rows()}
        if (first, last) != (0, 0):
            rules = {row for row in rules if first <= self.rules.number[row] <= last}
        return sum(self.table.drop_rule(row) for row in rules)

    def zero_rule(self, row: int) -> None:
        self.rules.zero(row)

    # --- the program -----------------------------------------------------------------------------------------

    def attach(self, chain: Chain) -> None:
        """These are the rules."""
        self._chain = chain
        self.table.last_rule = chain.default.row
        self.rules.tables = chain.tables.cores
        self.changed()

    def changed(self) -> None:
        """The program is made anew before the next packet."""
        self.rules.stale = True

    def renew(self) -> None:
        """Make the program of the rules that there are now."""
        assert self._chain is not None
        for rule in [r for r in self._ghosts if not self._lives_on(r)]:
            self._ghosts.remove(rule)
            self.rules.free.give(rule.row)
        rules = list(self._chain)
        self._program = [*rules, *self._ghosts]
        code: list[int] = []
        walk = []
        patterns: dict[str, int] = {}
        for rule in self._program:
            start = len(code)
            code += self._words(rule.patterns, patterns)
            act = len(code)
            code += self._words(rule.actions, patterns)
            walk.append((rule.row, start, act, len(code), self._chain.disabled >> rule.set & 1))
        self.rules.program(
            code, walk, list(patterns), len(rules), index(rules) if self.indexed else None
        )

    def _words(self, insns: Iterable[Insn], patterns: dict[str, int]) -> list[int]:
        """Instructions as `pystack._fast.ipfw_match` reads them."""
        out = []
        for insn in insns:
            data = insn.data
            head = insn.head
            if insn.op in (O_RECV, O_XMIT, O_VIA) and not insn.arg:
                text = insn.text or dotted(data[0])
                data = (patterns.setdefault(text, len(patterns)),)
                head = Insn(insn.op, 0, data, insn.neg, insn.other).head
            elif insn.op in (O_PROBE_STATE, O_CHECK_STATE, O_KEEP_STATE):
                head = Insn(insn.op, self.name(insn.text), data, insn.neg, insn.other).head
            elif insn.op == O_LIMIT:
                data = (data[0] | self.name(insn.text) << 16,)
            out += [head, *data]
        return out

    def name(self, text: str) -> int:
        """The number of a state's name."""
        return self.names.setdefault(text, len(self.names) - 1)

    def rule_at(self, position: int) -> Rule:
        """The rule at a position of the program that runs."""
        return self._program[position]

    # --- dynamic entries -------------------------------------------------------------------------------------

    def states(self) -> list[tuple[Any, ...]]:
        """The dynamic entries in the table's order: (rule number, kind, protocol, source, port, destination, port,
        flags, seconds left, packets, octets, children, ACK forward, ACK reverse, set of the rule, name).

        kind: S keep-state, L limit, P parent of limits.
        """
        if self.clock is not None:
            self.table.uptime = self.clock()
        rules = [*(self._chain or ()), *self._ghosts]
        sets = {rule.row: rule.set for rule in rules}
        texts = {number: text for text, number in self.names.items() if text}
        out = []
        for row in self.table.rows():
            rule, kind, *rest, name = self.table.entry(row)
            number = self.rules.number[rule]
            out.append((number, LETTERS[kind], *rest, sets.get(rule, 0), texts.get(name, "")))
        return out
