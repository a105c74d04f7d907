"""`iptables`, `iptables-save` and `iptables-restore` on the tables of a machine."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pystack._fast import consts
from pystack.firewall import listing
from pystack.firewall.commandline import VERSION_LINE, WITH_RULE, Command, Parser, Word, split
from pystack.firewall.errors import OTHER, VERSION, RefusedError
from pystack.firewall.spec import Spec
from pystack.firewall.tables import BUILT_IN, NO_CHAIN, POLICIES, Draft, DraftChain, Entry, Firewall

NO_RULE = "Bad rule (does a matching rule exist in that chain?)."


def iptables(firewall: Firewall, arguments: str | Sequence[str]) -> str:
    """One command, the words after `iptables` as a line or a list; what it prints.

    Raises FirewallError, and then nothing has changed.
    """
    try:
        words = split(arguments) if isinstance(arguments, str) else [Word(w) for w in arguments]
        if words[:1] == ["iptables"]:
            del words[0]
        command = Parser(words).parse()
        if command.letter == "V":
            return VERSION_LINE
        draft = firewall.draft(command.table)
        if command.letter in "LS":
            return _listed(draft, command)
        edit(draft, command)
        draft.commit(command.chain)
    except RefusedError as refused:
        raise refused.spoken() from None
    return ""


def _listed(draft: Draft, command: Command) -> str:
    """-L and -S, and -Z along with them."""
    if command.chain and command.chain not in draft.chains:
        raise RefusedError(
            f"chain `{command.chain}' in table `{command.table}' is incompatible, use 'nft' tool.",
            OTHER,
            versioned=True,
        )
    how = listing.listed if command.letter == "L" else listing.rules_listed
    out = how(draft, command.chain, command.number, command.given)
    if command.zero:
        _zero(draft, command.chain, 0)
        draft.commit()
    return out


def edit(draft: Draft, command: Command, line: int = 0) -> None:
    """Do to a draft what a command says."""
    letter, name = command.letter, command.chain
    for spec in command.specs:
        spec.line = line
    draft.line = line
    if letter in WITH_RULE:
        _edit_rules(draft, command)
    elif letter == "F":
        for chain in [draft.chain(name)] if name else draft.chains.values():
            chain.entries = []
    elif letter == "Z":
        _zero(draft, name, command.number)
    elif letter == "N":
        if name in draft.chains:
            raise RefusedError("Chain already exists.", OTHER)
        draft.chains[name] = DraftChain(consts.RETURN)
    elif letter == "X":
        _delete_chains(draft, name)
    elif letter == "P":
        _set_policy(draft, name, command.other)
    elif letter == "E":
        _rename(draft, name, command.other)
    else:
        raise RefusedError("no command specified")


def _edit_rules(draft: Draft, command: Command) -> None:
    """-A, -I, -R, -D, -C."""
    letter, number = command.letter, command.number
    draft.act = {"A": "RULE_APPEND", "I": "RULE_INSERT", "R": "RULE_REPLACE"}.get(letter, "")
    if letter in "DC" and not number:
        chain = draft.chains.get(command.chain, DraftChain(0))
        for spec in command.specs:
            at = _find(chain, spec)
            if letter == "D":
                del chain.entries[at]
        return
    entries = draft.chain(command.chain).entries
    if letter == "D":
        if number > len(entries):
            raise RefusedError("Index of deletion too big.", OTHER)
        del entries[number - 1]
        return
    added = [Entry(spec, *command.counters) for spec in command.specs]
    if letter == "R":
        if len(added) != 1:
            raise RefusedError("Replacement rule does not specify a unique address")
        if number > len(entries):
            raise RefusedError("Index of replacement too big.", OTHER)
        entries[number - 1] = added[0]
    elif letter == "I":
        if number > len(entries) + 1:
            raise RefusedError("Index of insertion too big.", OTHER)
        entries[number - 1 : number - 1] = added
    else:
        entries += added


def _find(chain: DraftChain, spec: Spec) -> int:
    """The place of the first rule that says the same."""
    for at, entry in enumerate(chain.entries):
        if entry.spec.equals(spec):
            return at
    raise RefusedError(NO_RULE, OTHER)


def _zero(draft: Draft, name: str, number: int) -> None:
    """Counters to 0: of a rule, a chain, or all."""
    for chain in [draft.chain(name)] if name else draft.chains.values():
        if not number:
            chain.packets = chain.octets = 0
        for n, entry in enumerate(chain.entries, 1):
            if number in (0, n):
                entry.packets = entry.octets = 0


def _delete_chains(draft: Draft, name: str) -> None:
    """A user's chain goes, or all of them."""
    draft.act = "CHAIN_DEL"
    if name:
        draft.chain(name)
    gone = [name] if name else [c for c in draft.ordered() if not draft.standing(c)]
    for chain in gone:
        users = {
            e.spec.chain
            for n, c in draft.chains.items()
            if name or n not in gone
            for e in c.entries
        }
        if draft.chains[chain].entries or chain in users:
            raise draft.refuse("Device or resource busy", chain, draft.line)
    for chain in gone:
        if not draft.standing(chain):
            del draft.chains[chain]


def _set_policy(draft: Draft, name: str, policy: str) -> None:
    """-P."""
    if draft.name == "nat" and policy == "DROP" and not draft.line:
        raise RefusedError(
            '\nThe "nat" table is not intended for filtering, the use of DROP is therefore '
            "inhibited.\n\n"
        )
    if not draft.standing(name):
        raise RefusedError("Bad built-in chain name.", OTHER)
    if policy not in POLICIES:
        hint = "" if draft.line else " Run `dmesg' for more information."
        raise RefusedError(f"Bad policy name.{hint}", OTHER)
    draft.chains[name].policy = POLICIES[policy]


def _rename(draft: Draft, old: str, new: str) -> None:
    """-E."""
    if new in draft.chains:
        raise RefusedError("File exists.", OTHER)
    if old not in draft.chains or draft.standing(old):
        raise RefusedError(NO_CHAIN, OTHER)
    draft.chains = {new if name == old else name: c for name, c in draft.chains.items()}
    for chain in draft.chains.values():
        for entry in chain.entries:
            entry.spec = entry.spec.renamed(old, new)


# --- iptables-save --------------------------------------------------------------------------------------------


def _date(firewall: Firewall) -> str:
    """As ctime writes it."""
    return time.asctime(time.gmtime(firewall.now()))


def iptables_save(firewall: Firewall, arguments: str | Sequence[str] = "") -> str:
    """`iptables-save [-c] [-t TABLE]`: the tables that were ever touched, or the one that is named."""
    words = split(arguments) if isinstance(arguments, str) else [Word(w) for w in arguments]
    counters, table = False, ""
    while words:
        word = words.pop(0)
        if word in ("-c", "--counters"):
            counters = True
        elif word in ("-t", "--table") and words:
            table = words.pop(0)
            if table not in BUILT_IN:
                raise RefusedError(f"table '{table}' does not exist", OTHER).spoken()
        else:
            raise RefusedError(f'unknown option "{word}"').spoken()
    return "".join(_saved(firewall, t, counters) for t in ([table] if table else firewall.used))


def _saved(firewall: Firewall, name: str, counters: bool) -> str:
    """One table."""
    draft = firewall.draft(name)
    lines = [f"# Generated by iptables-save {VERSION} on {_date(firewall)}", f"*{name}"]
    for chain in draft.ordered():
        one = draft.chains[chain]
        policy = listing.POLICY_NAMES.get(one.policy, "-")
        counts = f"[{one.packets}:{one.octets}]"
        lines.append(f":{chain} {policy} {counts}")
    for chain in draft.ordered():
        for entry in draft.chains[chain].entries:
            counts = f"[{entry.packets}:{entry.octets}] " if counters else ""
            lines.append(f"{counts}-A {chain}{entry.spec.save()}")
    lines += ["COMMIT", f"# Completed on {_date(firewall)}"]
    return "".join(f"{line}\n" for line in lines)


# --- iptables-restore -----------------------------------------------------------------------------------------


class Restore:
    """One run of iptables-restore over a text: each table up to its COMMIT as a whole or not at all."""

    def __init__(self, firewall: Firewall, *, keep: bool, counters: bool, test: bool):
        self.firewall = firewall
        self.keep = keep
        self.counters = counters
        self.test = test
        self.draft: Draft | None = None
        self.changed = ""
        self.out: list[str] = []

    def run(self, text: str) -> str:
        """All lines."""
        number = 0
        try:
            for number, line in enumerate(text.splitlines(), 1):
                self._line(line, number)
            if self.draft is not None:
                raise RefusedError(f"COMMIT expected at line {number + 1}", OTHER)
        except RefusedError as refused:
            if refused.message.startswith("COMMIT expected"):
                error = refused.spoken()
                error.line = number + 1
                raise type(error)(
                    str(error).replace("iptables:", "iptables-restore:"), OTHER, number + 1
                ) from None
            raise refused.spoken(number) from None
        return "".join(self.out)

    def _line(self, line: str, number: int) -> None:
        if not line.strip() or line.startswith("#"):
            return
        if self.draft is None:
            if not line.startswith("*"):
                raise RefusedError("", OTHER)
            name = line[1:].split()[0] if line[1:].split() else ""
            if name not in BUILT_IN:
                raise RefusedError(f"iptables-restore: line {number} table name '{name}' invalid")
            self.draft = self.firewall.draft(name, empty=not self.keep)
            self.draft.line = number
        elif line == "COMMIT":
            self.draft.commit(self.changed, test=self.test)
            self.draft = None
        elif line.startswith(":"):
            self._chain(self.draft, line, number)
        else:
            self._rule(self.draft, line, number)

    def _chain(self, draft: Draft, line: str, number: int) -> None:
        """`:NAME POLICY [packets:octets]`."""
        draft.line = number
        words = line[1:].split()
        if not words:
            raise RefusedError(f"iptables-restore: line {number} chain name invalid")
        Parser._chain_name(words[0])
        if len(words) < 2:
            raise RefusedError(f"iptables-restore: line {number} policy invalid")
        name, policy = words[:2]
        if not draft.standing(name):
            draft.chains[name] = DraftChain(consts.RETURN)
            return
        if policy == "-":
            return
        _set_policy(draft, name, policy)
        if len(words) > 2:
            counts = words[2].strip("[]").split(":")
            if self.counters and len(counts) == 2 and all(c.isdecimal() for c in counts):
                draft.chains[name].packets, draft.chains[name].octets = map(int, counts)

    def _rule(self, draft: Draft, line: str, number: int) -> None:
        """A command, perhaps with `[packets:octets]` before it."""
        counters: list[str] = []
        rest, skipped = line, 0
        if line.startswith("["):
            inside, bracket, rest = line[1:].partition("]")
            if not bracket:
                raise RefusedError(f"Bad line {number}: need ]")
            if ":" not in inside:
                raise RefusedError(f"Bad line {number}: need :")
            skipped = len(line) - len(rest)
            counters = inside.split(":", 1)
        words = [Word(w, w.column + skipped) for w in split(rest, shell=False)]
        if self.counters and counters:
            words = [Word("--set-counters"), *map(Word, counters), *words]
        command = Parser(words, draft.name, restoring=True).parse()
        if command.letter in ("L", "S"):
            self.out.append(_listed(draft, command))
            return
        if command.letter == "D" and command.number > len(draft.chain(command.chain).entries):
            raise RefusedError(NO_CHAIN, OTHER)
        if command.letter == "E":
            draft.act = "CHAIN_RENAME"
            raise draft.refuse("No such file or directory", command.other, number)
        edit(draft, command, number)
        self.changed = command.chain


def iptables_restore(firewall: Firewall, text: str, arguments: str | Sequence[str] = "") -> str:
    """`iptables-restore [-n] [-c] [--test] < text`; what it prints.

    Raises FirewallError with line and column, and then the table that the line belongs to is as it was.
    """
    words = split(arguments) if isinstance(arguments, str) else [Word(w) for w in arguments]
    flags = {"-n": "keep", "--noflush": "keep", "-c": "counters", "--counters": "counters"}
    flags |= {"-t": "test", "--test": "test", "-v": "", "--verbose": "", "-w": ""}
    given = set()
    for word in words:
        if word not in flags:
            raise RefusedError(f'unknown option "{word}"').spoken()
        given.add(flags[word])
    restore = Restore(
        firewall, keep="keep" in given, counters="counters" in given, test="test" in given
    )
    return restore.run(text)
