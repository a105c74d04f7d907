"""What the kernel looks at before it takes a rule, and what it prints when it does not (check_ipfw_struct)."""

from __future__ import annotations

import errno
from dataclasses import replace

from pystack._fast import ipfw_ops as ops
from pystack.firewall.ipfw.chain import Chain, KernelRefusal
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.insn import LOOKUPS, Insn, Rule

_LISTS = (
    ops.O_IPID,
    ops.O_IPTTL,
    ops.O_IPLEN,
    ops.O_TCPDATALEN,
    ops.O_TCPWIN,
    ops.O_TCPMSS,
    ops.O_TAGGED,
    ops.O_IP_SRCPORT,
    ops.O_IP_DSTPORT,
    ops.O_MAC_TYPE,
)
_MASKED = (ops.O_IP_SRC_MASK, ops.O_IP_DST_MASK)
_SETS = (ops.O_IP_SRC_SET, ops.O_IP_DST_SET)
_STATES = (ops.O_CHECK_STATE, ops.O_KEEP_STATE, ops.O_LIMIT)
_LIST_WORDS = 31
_SET_SIZES = 256
_MODULES = {
    ops.O_DIVERT: "divert",
    ops.O_TEE: "divert",
    ops.O_NETGRAPH: "netgraph",
    ops.O_NGTEE: "netgraph",
    ops.O_NAT: "nat",
    ops.O_SET_MSS: "pmod",
}
"""Actions that need a module of the kernel."""


class Kernel:
    """The limits of a kernel. `modules`: what is loaded beside ipfw itself."""

    def __init__(self, chain: Chain, era: Era, modules: frozenset[str]):
        self.chain = chain
        self.era = era
        self.modules = modules
        self.fibs = 1

    @property
    def tables(self) -> int:
        """How many tables there may be (`net.inet.ip.fw.tables_max`)."""
        return int(self.chain.engine.cfg.fw_tables_max)

    def check(self, rule: Rule) -> None:
        """Raises KernelRefusal, with its words in the log, for a rule that makes no sense."""
        if rule.number >= ops.RULE_MAX:
            raise KernelRefusal(errno.EINVAL)
        for insn in rule.patterns + rule.actions:
            self._check(insn)

    def add(self, rule: Rule) -> None:
        """Put a rule into the set. Raises KernelRefusal."""
        self.check(rule)
        rule.patterns = [
            self._with_table(insn, rule.set) if insn.looks_up else insn for insn in rule.patterns
        ]
        self.chain.add(rule)

    def _with_table(self, insn: Insn, of_set: int) -> Insn:
        """An instruction that names a table gets its number; a table that is not there yet is made."""
        tables = self.chain.tables
        of_set = self.chain.table_set(of_set)
        if not self.era.names_objects:
            index = tables.numbered(int(insn.text), of_set).index
        else:
            named = tables.get(insn.text, of_set)
            kind = "iface" if insn.of_interface else self._kind_of(insn)
            index = (tables.create(insn.text, kind, set=of_set) if named is None else named).index
        return replace(insn, data=(index,)) if insn.of_interface else replace(insn, arg=index)

    def _kind_of(self, insn: Insn) -> str:
        """The kind of a table that a rule makes by naming it: `lookup dst-port` and the like look for numbers."""
        looks_for_numbers = (
            insn.op == ops.O_IP_DST_LOOKUP and len(insn.data) == 2 and insn.data[1] > 1
        )
        return "number" if looks_for_numbers else "addr"

    def uses_names(self, rule: Rule) -> bool:
        """Does a rule name things: tables, and since 12 states?"""
        return any(
            insn.looks_up or (self.era.names_states and insn.op in _STATES and insn.text)
            for insn in rule.patterns + rule.actions
        )

    def zero(self, number: int, only_log: bool, set: int) -> None:
        """Counters, or only log limits, start again; told in the log if the firewall is verbose."""
        try:
            self.chain.zero(number, only_log, set)
        except KernelRefusal:
            if self.era.names_objects:
                self._tell_zero(number, only_log)
            raise
        self._tell_zero(number, only_log)

    def _tell_zero(self, number: int, only_log: bool) -> None:
        if not self.chain.engine.cfg.fw_verbose:
            return
        if number == 0:
            text = "All logging counts reset" if only_log else "Accounting cleared"
        else:
            entry = "" if self.era.names_objects else f"Entry {number} "
            text = entry + ("logging count reset" if only_log else "cleared")
        self.chain.log("security.notice", f"ipfw: {text}.")

    def _refuse(self, text: str) -> None:
        self.chain.log("printf", f"ipfw: {text}")
        raise KernelRefusal(errno.EINVAL)

    def _check(self, insn: Insn) -> None:
        size = 1 + len(insn.data)
        if (insn.op in _LISTS and size > _LIST_WORDS) or (
            insn.op in _MASKED and size > _LIST_WORDS
        ):
            self._refuse(f"opcode {insn.op} size {size} wrong")
        elif insn.op in _SETS and not 0 < insn.arg <= _SET_SIZES:
            self._refuse(f"invalid set size {insn.arg}")
        elif insn.op in LOOKUPS and self.era < Era.E11 and insn.arg >= self.tables:
            self._refuse(f"invalid table number {insn.arg}")
        elif insn.op == ops.O_FIB and insn.arg >= self.fibs:
            self._refuse(f"invalid fib number {insn.arg}")
        elif insn.op in _MODULES and _MODULES[insn.op] not in self.modules:
            raise KernelRefusal(errno.EINVAL)
