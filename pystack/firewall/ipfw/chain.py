"""The kernel's side of a rule set: rules by number, sets, and the books of each rule (ip_fw_sockopt.c)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from sortedcontainers import SortedDict

from pystack._fast.ipfw_ops import O_ACCEPT, O_DENY, O_LOG, RULE_MAX, SETS
from pystack.firewall.ipfw.insn import Insn, Rule
from pystack.firewall.ipfw.tables import NamedTable, Tables

RESERVED = SETS - 1
"""The set of the default rule and of rules that a flush leaves alone."""


class KernelRefusal(Exception):
    """The kernel does not do what a control message asked for. `number`: the errno."""

    def __init__(self, number: int):
        super().__init__(errno.errorcode[number])
        self.number = number


class Chain:
    """The rules of a machine, in the order in which packets meet them.

    `engine` runs them (`engine.Engine`): it has the books of each rule in columns, gives rows and takes them back, and
    asks for the rules anew before the next packet when something has changed. Raises KernelRefusal.
    """

    def __init__(self, engine: Any):
        self.engine = engine
        self.log: Callable[[str, str], object] = lambda channel, text: None
        """Where the kernel's lines go: syslog's facility and level ("security.notice") or "printf", and the text."""
        self.tables = Tables()
        self.nat: Any = None
        """What carries out `nat` (`nat_command.Instances`); None: nothing does."""
        self.pipes: Any = None
        """What carries out `pipe` and `queue` (`Dummynet`); None: nothing does."""
        self.disabled = 0
        """A bit for each set whose rules are skipped."""
        self._order: SortedDict[tuple[int, int], Rule] = SortedDict()
        self._idents = count(1)
        accepts = engine.cfg.fw_default_to_accept
        self.default = Rule([], [Insn(O_ACCEPT if accepts else O_DENY)], RULE_MAX, RESERVED)
        self._insert(self.default)
        engine.attach(self)

    def _insert(self, rule: Rule) -> None:
        rule.ident = next(self._idents)
        rule.row = self.engine.take_rule(rule.number)
        self._order[rule.number, rule.ident] = rule
        self._fill_log(rule)

    def _changed(self) -> None:
        """The engine has to look at the rules again."""
        self.engine.changed()

    def _fill_log(self, rule: Rule) -> None:
        """As many lines as the rule may log are left."""
        for insn in rule.actions:
            if insn.op == O_LOG:
                self.engine.log_left[rule.row] = insn.data[0]

    # --- what there is -----------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Rule]:
        return iter(list(self._order.values()))

    def __len__(self) -> int:
        return len(self._order)

    def between(self, first: int, last: int) -> list[Rule]:
        """The rules numbered `first` to `last`."""
        return [self._order[key] for key in self._order.irange((first, 0), (last + 1, 0))]

    def is_disabled(self, rule: Rule) -> bool:
        return bool(self.disabled >> rule.set & 1)

    # --- changes -----------------------------------------------------------------------------------------------

    def add(self, rule: Rule) -> Rule:
        """Put a rule behind those of its number; 0: the last rule's number and a step (`autoinc_step`)."""
        cfg = self.engine.cfg
        step = cfg.fw_autoinc_step = min(1000, max(1, cfg.fw_autoinc_step))
        if rule.number == 0:
            last = self._order.peekitem(-2)[0][0] if len(self._order) > 1 else 0
            rule.number = last + step if last < RULE_MAX - step else last
        self._insert(rule)
        self._changed()
        return rule

    def _remove(self, rules: list[Rule]) -> None:
        for rule in rules:
            del self._order[rule.number, rule.ident]
        for rule in rules:
            self.engine.give_rule(rule)
        self._changed()

    def delete_range(self, first: int, last: int, set: int = -1, *, flushes: bool = False) -> None:
        """The rules of some numbers, of one set or (-1) of all. EINVAL: there is none but the default rule.

        `flushes`: number 0 means all rules, as it did up to 10.
        """
        if flushes and first == last == 0 and set < 0:
            self.flush()
            return
        everything = flushes and first == last == 0
        found = self if everything else self.between(first, last)
        rules = [r for r in found if set in (-1, r.set) and r is not self.default]
        if not rules:
            raise KernelRefusal(errno.EINVAL)
        self._remove(rules)

    def delete_states(self, first: int, last: int) -> None:
        """The states that rules of some numbers made; the rules stay. EINVAL: there is none."""
        if not self.engine.delete_states(first, last):
            raise KernelRefusal(errno.EINVAL)

    def delete_set(self, set: int) -> int:
        """All rules of a set but the default rule. Returns how many there were."""
        rules = [r for r in self if r.set == set and r is not self.default]
        self._remove(rules)
        return len(rules)

    def flush(self) -> None:
        """All rules but those of set 31."""
        self._remove([r for r in self if r.set != RESERVED])

    def zero(self, number: int = 0, only_log: bool = False, set: int = -1) -> None:
        """Counters (unless `only_log`) and the lines that may be logged start again; 0: of all rules, and of all
        entries. EINVAL: no such rule.
        """
        rules = list(self) if number == 0 else self.between(number, number)
        rules = [r for r in rules if set in (-1, r.set)]
        if number != 0 and not rules:
            raise KernelRefusal(errno.EINVAL)
        for rule in rules:
            if not only_log:
                self.engine.zero_rule(rule.row)
            self._fill_log(rule)

    def set_disabled(self, disable: int, enable: int) -> None:
        """Skip the rules of some sets and no longer of others: a bit for each. Set 31 is always there."""
        self.disabled = (self.disabled | disable) & ~enable & ~(1 << RESERVED)
        self._changed()

    def move_rule(self, number: int, to: int) -> None:
        """The rules of a number go to another set, their tables with them where tables have sets. EBUSY: other rules
        use those, too; EEXIST: there are such tables.
        """
        rules = [rule for rule in self.between(number, number) if rule is not self.default]
        if self._tables_have_sets:
            used = {insn.table for rule in rules for insn in rule.patterns if insn.looks_up}
            tables = [self.tables.with_index(index) for index in sorted(used)]
            if any(user not in rules for table in tables for user in self.users(table)):
                raise KernelRefusal(errno.EBUSY)
            self._move_tables([table for table in tables if table.set != to], to)
        for rule in rules:
            rule.set = to
        self._changed()

    def move_set(self, source: int, to: int) -> None:
        """All rules of a set go to another one, and its tables where tables have sets. EEXIST: there are such."""
        if self._tables_have_sets and source != to:
            self._move_tables([table for table in self.tables.all() if table.set == source], to)
        for rule in self:
            if rule.set == source and rule is not self.default:
                rule.set = to
        self._changed()

    def swap_sets(self, one: int, other: int) -> None:
        """Two sets change their numbers, for their rules and, where tables have sets, for their tables."""
        swapped = {one: other, other: one}
        for rule in self:
            if rule is not self.default:
                rule.set = swapped.get(rule.set, rule.set)
        if self._tables_have_sets:
            tables = self.tables.all()
            self.tables.move({table.index: swapped.get(table.set, table.set) for table in tables})
        self._changed()

    # --- tables and sets -----------------------------------------------------------------------------------------

    @property
    def _tables_have_sets(self) -> bool:
        return bool(self.engine.cfg.fw_tables_sets)

    def table_set(self, of_set: int) -> int:
        """The set of a table that a rule of this set names."""
        return of_set if self._tables_have_sets else 0

    def users(self, table: NamedTable) -> list[Rule]:
        """The rules that look into a table, once for each instruction that does."""
        return [
            rule
            for rule in self
            for insn in rule.patterns
            if insn.looks_up and insn.table == table.index
        ]

    def may_switch_sets(self) -> bool:
        """May tables get sets, or lose them? Not while one, or a rule that names one, is in another set than 0."""
        return not any(
            table.set or any(rule.set for rule in self.users(table)) for table in self.tables.all()
        )

    def _move_tables(self, tables: list[NamedTable], to: int) -> None:
        if any(self.tables.get(table.name, to) is not None for table in tables):
            raise KernelRefusal(errno.EEXIST)
        self.tables.move({table.index: to for table in tables})
