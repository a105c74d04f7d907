"""The four tables of a Linux machine, and changes to them that happen as a whole or not at all.

A `Draft` is a table that is being changed: commands edit it, `Draft.commit` checks it as the kernel does (targets where
they may stand, no chain that leads back to itself, none that is too deep) and puts it in place. Rules that were there
before keep their counters and what their matches remember.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from pystack._fast import nf_hook
from pystack._fast.nf_rate import HashTable
from pystack._fast.nf_recent import RecentTable
from pystack._fast.nf_rules import Rule, RuleChain, Table
from pystack.firewall.errors import OTHER, RESOURCE, RefusedError
from pystack.firewall.spec import Spec

HOOKS = {
    "PREROUTING": nf_hook.PREROUTING,
    "INPUT": nf_hook.LOCAL_IN,
    "FORWARD": nf_hook.FORWARD,
    "OUTPUT": nf_hook.LOCAL_OUT,
    "POSTROUTING": nf_hook.POSTROUTING,
}
BUILT_IN = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}
"""Chains that stand at hooks, by table, in the order in which they are listed."""

POLICIES = {"ACCEPT": nf_hook.NF_ACCEPT, "DROP": nf_hook.NF_DROP}
DEEPEST = 15
"""Chains under one that stands at a hook."""

U64 = (1 << 64) - 1
"""Counters are of 64 bits; the core has them with a sign."""


def signed(count: int) -> int:
    """A counter as the core has it."""
    return count - (1 << 64) if count >> 63 else count


NO_CHAIN = "No chain/target/match by that name."


@dataclass
class Shared:
    """What rules share by a name, and what they ask of the machine when they are put in place."""

    hash_tables: dict[str, HashTable] = field(default_factory=dict)
    recent_tables: dict[str, RecentTable] = field(default_factory=dict)
    picks_events: Callable[[], bool] = lambda: True
    """Does a rule loaded now decide which events are told (nf_conntrack_events, and who listens)?"""


@dataclass
class Entry:
    """One rule of a draft; `rule` is None until it is in place."""

    spec: Spec
    packets: int = 0
    octets: int = 0
    rule: Rule | None = None


@dataclass
class DraftChain:
    """One chain of a draft; `policy` is RETURN for a user's."""

    policy: int
    packets: int = 0
    octets: int = 0
    entries: list[Entry] = field(default_factory=list)


class Firewall:
    """The rules of one machine. `clock()` is the time of day in seconds, for the dates in what iptables-save prints.

    `tables` are what the hooks run, by name; `used` are the names of those that were ever changed, in that order.
    """

    def __init__(
        self,
        clock: Callable[[], float] | None = None,
    ):
        self.tables = {
            name: Table(name, {HOOKS[chain]: chain for chain in chains})
            for name, chains in BUILT_IN.items()
        }
        self.used: list[str] = []
        self.shared = Shared()
        self._clock = clock

    # --- questions ---------------------------------------------------------------------------------------------

    def rules(self) -> Iterator[tuple[str, Rule]]:
        """All rules, with the names of their tables."""
        for name, table in self.tables.items():
            for chain in table.chains.values():
                for rule in chain.rules:
                    yield name, rule

    @property
    def needs_conntrack(self) -> bool:
        """Does any rule need conntrack?"""
        return any(rule.text.tracks for _, rule in self.rules())

    @property
    def needs_nat(self) -> bool:
        """Does any rule translate?"""
        return any(rule.text.target and rule.text.target.only == "nat" for _, rule in self.rules())

    def now(self) -> float:
        """The time of day in seconds."""
        return self._clock() if self._clock else 0.0

    # --- changes -----------------------------------------------------------------------------------------------

    def draft(self, name: str, *, empty: bool = False) -> Draft:
        """A draft of a table as it is, or as it was when the machine began."""
        return Draft(self, name, empty=empty)

    def put(self, name: str, chains: dict[str, RuleChain]) -> None:
        """Other chains for a table."""
        self.tables[name].swap(chains)
        if name not in self.used:
            self.used.append(name)
        self._prune()
        self.changed()

    def changed(self) -> None:
        """Something has changed: for whoever runs the tables."""

    def _prune(self) -> None:
        """Forget what is shared by names that no rule uses any more."""
        names: dict[str, set[str]] = {"hashlimit": set(), "recent": set()}
        for _, rule in self.rules():
            for match in rule.text.matches:
                if match.name == "hashlimit":
                    names["hashlimit"].add(match.given["hashlimit-name"])
                elif match.name == "recent":
                    names["recent"].add(match.given.get("name", "DEFAULT"))
        for name in self.shared.hash_tables.keys() - names["hashlimit"]:
            del self.shared.hash_tables[name]
        for name in self.shared.recent_tables.keys() - names["recent"]:
            del self.shared.recent_tables[name]


class Draft:
    """A table that is being changed. `chains` by name; the live table is as it was until `commit`."""

    def __init__(self, firewall: Firewall, name: str, *, empty: bool = False):
        self.firewall = firewall
        self.name = name
        self.act = ""
        """What the kernel was asked to do last, for its complaint."""
        self.line = 0
        live = firewall.tables[name]
        self.chains: dict[str, DraftChain] = {
            chain.name: DraftChain(chain.policy, chain.packets & U64, chain.octets & U64)
            for chain in live.chains.values()
            if not empty or chain.name in BUILT_IN[name]
        }
        for chain, draft in self.chains.items():
            if empty:
                draft.policy, draft.packets, draft.octets = nf_hook.NF_ACCEPT, 0, 0
                continue
            draft.entries = [
                Entry(rule.text, rule.packets & U64, rule.octets & U64, rule)
                for rule in live.chains[chain].rules
            ]

    def standing(self, chain: str) -> bool:
        """Does it stand at a hook?"""
        return chain in BUILT_IN[self.name]

    def ordered(self) -> list[str]:
        """Names as they are listed: those at hooks, then the others by the alphabet."""
        own = BUILT_IN[self.name]
        return [*own, *sorted(c for c in self.chains if c not in own)]

    def chain(self, name: str) -> DraftChain:
        """The chain of a name."""
        if name not in self.chains:
            raise RefusedError(NO_CHAIN, OTHER)
        return self.chains[name]

    def references(self, name: str) -> int:
        """Rules that lead there."""
        return sum(e.spec.chain == name for c in self.chains.values() for e in c.entries)

    # --- is it sound? ------------------------------------------------------------------------------------------

    @cached_property
    def windowed(self) -> dict[str, bool]:
        """Tables of hashlimit, and whether they count whole windows: all of their rules do, or none."""
        return {
            match.given["hashlimit-name"]: "hashlimit-rate-match" in match.given
            for _, rule in self.firewall.rules()
            for match in rule.text.matches
            if match.name == "hashlimit"
        }

    def refuse(self, why: str, chain: str, line: int = 0) -> RefusedError:
        """The kernel's refusal of the last act."""
        act = self.act or "RULE_APPEND"
        what = "chain" if act.startswith("CHAIN") else "rule in chain"
        refused = RefusedError(f"{act} failed ({why}): {what} {chain}", RESOURCE)
        refused.number = line
        return refused

    def check(self, changed: str) -> None:
        """Raise if the kernel would refuse this table; `changed` is the chain that the last rule went to."""
        for name in self.ordered():
            for entry in self.chains[name].entries:
                if entry.rule is None:
                    self._check_rule(entry.spec, name)
        depths: dict[str, int] = {}
        for base in BUILT_IN[self.name]:
            if self._depth(base, depths, set()) > DEEPEST:
                raise self.refuse("Too many links", changed, self.line)
            for chain in self._reachable(base):
                for entry in self.chains[chain].entries:
                    if not entry.spec.may_stand(base, straight=chain == base):
                        raise self.refuse("Invalid argument", changed, self.line)

    def _check_rule(self, spec: Spec, chain: str) -> None:
        """What the kernel checks of a rule by itself."""
        if spec.chain and self.standing(spec.chain):
            raise self.refuse("Operation not supported", chain, spec.line)
        if (spec.src_not and not spec.src_mask) or (spec.dst_not and not spec.dst_mask):
            raise self.refuse("Invalid argument", chain, spec.line)  # no packet would fit
        for part in (*spec.matches, spec.target):
            why = part.kernel_check(spec, self.name) if part is not None else None
            if why:
                raise self.refuse(why, chain, spec.line)
        for match in spec.matches:
            if match.name == "hashlimit":
                windowed = "hashlimit-rate-match" in match.given
                if self.windowed.setdefault(match.given["hashlimit-name"], windowed) != windowed:
                    raise self.refuse("Invalid argument", chain, spec.line)

    def _depth(self, chain: str, depths: dict[str, int], open_chains: set[str]) -> int:
        """Chains under this one, the longest way; more than any limit where a way leads back."""
        if chain in open_chains:
            return DEEPEST + 1
        if chain not in depths:
            open_chains.add(chain)
            under = {e.spec.chain for e in self.chains[chain].entries if e.spec.chain}
            depths[chain] = max(
                (1 + self._depth(c, depths, open_chains) for c in under if c in self.chains),
                default=0,
            )
            open_chains.discard(chain)
        return depths[chain]

    def _reachable(self, base: str) -> list[str]:
        """The chains that a packet can come to from one, that one first."""
        found = [base]
        for chain in found:
            for entry in self.chains[chain].entries:
                if entry.spec.chain in self.chains and entry.spec.chain not in found:
                    found.append(entry.spec.chain)
        return found

    # --- into place --------------------------------------------------------------------------------------------

    def missing_chain(self) -> str | None:
        """A chain that a rule leads to and that is not there."""
        for chain in self.chains.values():
            for entry in chain.entries:
                if entry.spec.chain and entry.spec.chain not in self.chains:
                    return entry.spec.chain
        return None

    def commit(self, changed: str = "", *, test: bool = False) -> None:
        """Check it and put it in place (with `test`, only check it)."""
        missing = self.missing_chain()
        if missing is not None:
            raise RefusedError(f"Chain '{missing}' does not exist")
        self.check(changed)
        if test:
            return
        chains = {name: RuleChain(name, self.chains[name].policy) for name in self.ordered()}
        for name, chain in chains.items():
            draft = self.chains[name]
            chain.packets, chain.octets = signed(draft.packets), signed(draft.octets)
            for entry in draft.entries:
                rule = entry.rule or entry.spec.build(self.firewall.shared)
                rule.text = entry.spec
                rule.packets, rule.octets = signed(entry.packets), signed(entry.octets)
                rule.chain = chains[entry.spec.chain] if entry.spec.chain else None
                chain.rules.append(rule)
            chain.relink()
        self.firewall.put(self.name, chains)
