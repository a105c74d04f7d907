"""`iptables`, `iptables-save` and `iptables-restore` on the tables of a machine."""

from __future__ import annotations

import getopt
import re
import time
from collections.abc import Sequence

from pystack._fast import nf_consts
from pystack.firewall import listing
from pystack.firewall.commandline import (
    COUNTER_MAX,
    VERSION_LINE,
    WITH_RULE,
    Command,
    Parser,
    Word,
    split,
)
from pystack.firewall.errors import OTHER, VERSION, FirewallError, RefusedError
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
        said = edit(draft, command)
        draft.commit(command.chain)
    except RefusedError as refused:
        raise refused.spoken() from None
    return said


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
        out += _said(draft, command, "Zeroing chain")
        _zero(draft, command.chain, 0)
        draft.commit()
    return out


def _said(draft: Draft, command: Command, what: str) -> str:
    """What is done to which chains, where -v asks for it."""
    if "v" not in command.given:
        return ""
    names = [command.chain] if command.chain else draft.ordered()
    if command.letter == "X":
        names = [name for name in names if command.chain or not draft.standing(name)]
    return "".join(f"{what} `{name}'\n" for name in names)


def edit(draft: Draft, command: Command, line: int = 0) -> str:
    """Do to a draft what a command says; what is said of it."""
    letter, name = command.letter, command.chain
    said = ""
    for spec in command.specs:
        spec.line = line
    draft.line = line
    if letter in WITH_RULE:
        _edit_rules(draft, command)
        if "v" in command.given and not (letter == "D" and command.number):
            said = "".join(f"{listing.rule_words(spec)}\n" for spec in command.specs)
    elif letter == "F":
        said = _said(draft, command, "Flushing chain")
        for chain in [draft.chain(name)] if name else draft.chains.values():
            chain.entries = []
    elif letter == "Z":
        said = "" if command.number else _said(draft, command, "Zeroing chain")
        _zero(draft, name, command.number)
    elif letter == "N":
        if name in draft.chains:
            raise RefusedError("Chain already exists.", OTHER)
        draft.chains[name] = DraftChain(nf_consts.RETURN)
    elif letter == "X":
        said = _said(draft, command, "Deleting chain")
        _delete_chains(draft, name)
    elif letter == "P":
        _set_policy(draft, name, command.other)
    elif letter == "E":
        _rename(draft, name, command.other)
    else:
        raise RefusedError("no command specified")
    return said


def _edit_rules(draft: Draft, command: Command) -> None:
    """-A, -I, -R, -D, -C."""
    letter, number = command.letter, command.number
    draft.act = {"A": "RULE_APPEND", "I": "RULE_INSERT", "R": "RULE_REPLACE"}.get(letter, "")
    if letter in "DC" and not number:
        chain = draft.chains.get(command.chain, DraftChain(0))
        for spec in command.specs:
            if spec.chain and spec.chain not in draft.chains:
                raise RefusedError(f"Chain '{spec.chain}' does not exist")
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
            known = entries or draft.name in draft.firewall.used
            raise RefusedError("Index of replacement too big." if known else NO_CHAIN, OTHER)
        entries[number - 1] = added[0]
    elif letter == "I":
        if number > len(entries) + 1:
            raise RefusedError("Index of insertion too big.", OTHER)
        entries[number - 1 : number - 1] = reversed(added)  # each is put before the one before it
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
        if draft.standing(name) and draft.name not in draft.firewall.used:
            raise RefusedError(NO_CHAIN, OTHER)
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
    """`iptables-save [-c] [-t TABLE]`: the tables that were ever touched, in the tool's order, or the one named."""
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
    return "".join(
        _saved(firewall, t, counters)
        for t in ([table] if table else SAVED)
        if table or t in firewall.used
    )


SAVED = ("mangle", "raw", "filter", "nat")
"""Tables, in the order in which iptables-save has them."""


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

    def __init__(self, firewall: Firewall, given: dict[str, str]):
        self.firewall = firewall
        self.keep = "noflush" in given
        self.counters = "counters" in given
        self.test = "test" in given
        self.verbose = "verbose" in given
        self.only = given.get("table", "")
        """The one table that is restored; "": all of them."""
        self.passed = False
        """The table that is read is not that one."""
        self.ended = False
        self.draft: Draft | None = None
        self.changed = ""
        self.touched = False
        """Is there anything of the table to keep?"""
        self.missing = ""
        self.out: list[str] = []

    def run(self, text: str) -> str:
        """All lines."""
        number = 0
        lines = text.removesuffix("\n").split("\n") if text else []
        try:
            for number, line in enumerate(lines, 1):
                self._line(line, number)
                if self.ended:
                    return "".join(self.out)
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
        if not line or line.startswith("#"):
            return
        if self.draft is None:
            if not line.startswith("*"):
                raise RefusedError("", OTHER)
            name = (re.findall("[^ \t]+", line[1:]) or [""])[0]
            if not name:
                raise RefusedError(f"iptables-restore: line {number} table name invalid")
            if name not in BUILT_IN:
                raise RefusedError(f"iptables-restore: line {number} table name '{name}' invalid")
            self.draft = self.firewall.draft(name, empty=not self.keep)
            self.draft.line = number
            self.passed = bool(self.only) and name != self.only
            self.touched = self.keep and name in self.firewall.used
            self.missing = ""
            if self.verbose and not (self.keep or self.passed or self.test):
                self._flushed(name)
        elif line == "COMMIT":
            if self.missing:
                raise RefusedError(f"Chain '{self.missing}' does not exist")
            if not (self.test or self.passed):
                self.draft.commit(self.changed)
                if not self.touched:
                    self.firewall.used.remove(self.draft.name)
            self.draft = None
        elif self.passed:
            pass
        elif line.startswith(":"):
            self.touched = True
            self._chain(self.draft, line, number)
        else:
            self._rule(self.draft, line, number)

    def _flushed(self, name: str) -> None:
        """What -v says of a table that is emptied."""
        old = self.firewall.draft(name)
        self.out += [f"Flushing chain `{chain}'\n" for chain in old.ordered()]
        self.out += [f"Deleting chain `{c}'\n" for c in old.ordered() if not old.standing(c)]

    def _chain(self, draft: Draft, line: str, number: int) -> None:
        """`:NAME POLICY [packets:octets]`."""
        draft.line = number
        words = line[1:].split()
        if not words:
            raise RefusedError(f"iptables-restore: line {number} chain name invalid")
        Parser.new_chain_name(words[0], standing=draft.standing(words[0]))
        if len(words) < 2:
            raise RefusedError(f"iptables-restore: line {number} policy invalid")
        name, policy = words[:2]
        if self.test:
            return
        if not draft.standing(name):
            draft.chains[name] = DraftChain(nf_consts.RETURN)
            return
        if policy != "-":
            _set_policy(draft, name, policy)
        if self.counters:
            counts = re.match(r"\[([0-9]+):([0-9]+)\]", "".join(words[2:3]))
            if counts is None:
                raise RefusedError(f"invalid policy counters for chain '{name}'")
            values = [min(int(count), COUNTER_MAX) for count in counts.groups()]
            draft.chains[name].packets, draft.chains[name].octets = values

    def _rule(self, draft: Draft, line: str, number: int) -> None:
        """A command, perhaps with `[packets:octets]` before it."""
        counters: list[str] = []
        rest, skipped = line, 0
        if line.startswith("["):
            if "]" not in line:
                raise RefusedError(f"Bad line {number}: need ]")
            first, colon, second = line[1:].lstrip(":").partition(":")
            second, _, rest = second.lstrip("]").partition("]")
            if not first:
                raise RefusedError(f"Bad line {number}: need :")
            if not (colon and second):
                raise RefusedError(f"Bad line {number}: need ]")
            skipped = len(line) - len(rest)
            counters = [first, second]
        words = [Word(w, w.column + skipped) for w in split(rest, shell=False)]
        if self.counters and counters:
            words = [Word("--set-counters"), *map(Word, counters), *words]
        command = Parser(words, draft.name, restoring=True).parse()
        if command.letter == "V":
            self.out.append(VERSION_LINE.replace("iptables", "iptables-restore"))
            self.ended = True
        if self.test or self.ended or command.other_family:
            return
        if command.letter in "LS":
            self.out.append(_listed(draft, command))
            return
        self.touched = self.touched or command.letter in "AINRP"
        if command.letter in "RD":
            if command.number > len(draft.chain(command.chain).entries):
                raise RefusedError(NO_CHAIN, OTHER)
        if command.letter in "DC" and not command.number:
            gone = [s.chain for s in command.specs if s.chain and s.chain not in draft.chains]
            if gone:
                self.missing = gone[0]
                return
        if command.letter == "E" and command.chain in draft.chains:
            if command.chain not in self.firewall.tables[draft.name].chains:
                draft.act = "CHAIN_RENAME"
                raise draft.refuse("No such file or directory", command.other, number)
        if self.verbose and command.letter in WITH_RULE:
            command.given.append("v")
        self.out.append(edit(draft, command, number))
        self.changed = command.chain


RESTORE_OPTIONS = {
    "b": "binary",
    "c": "counters",
    "v": "verbose",
    "V": "version",
    "t": "test",
    "n": "noflush",
    "w": "wait",
    "W": "wait-interval",
    "T": "table",
    "M": "modprobe",
}
"""Of the last four each takes a word."""


def restore_options(words: list[Word]) -> dict[str, str]:
    """The options of iptables-restore, long names and their words."""
    left = list(words)
    for at, word in enumerate(left):
        if word in ("-w", "--wait"):
            seconds = left[at + 1 : at + 2]
            left[at : at + 1 + len(seconds)] = (
                [Word(f"-w{seconds[0]}")]
                if seconds and seconds[0].isdecimal()
                else [Word("-w0"), *seconds]
            )
    longs = [
        f"{name}=" if letter in "wWTM" else name
        for letter, name in RESTORE_OPTIONS.items()
        if letter != "b"
    ]
    try:
        found, files = getopt.gnu_getopt(left, "bcvVtnw:W:T:M:", longs)
    except getopt.GetoptError as error:
        what = f"invalid option -- '{error.opt}'"
        if len(error.opt) > 1:
            what = f"unrecognized option '--{error.opt}'"
        raise FirewallError(f"iptables-restore: {what}", OTHER) from None
    if files:
        raise FirewallError(f"Can't open {files[0]}: No such file or directory", OTHER)
    given = {}
    for name, value in found:
        long = name[2:] if name.startswith("--") else RESTORE_OPTIONS[name[1:]]
        given[long] = value
        if long == "wait" and not value.isdecimal():
            raise RefusedError("wait seconds not numeric")
    return given


def iptables_restore(firewall: Firewall, text: str, arguments: str | Sequence[str] = "") -> str:
    """`iptables-restore [-n] [-c] [-v] [--test] [-T TABLE] < text`; what it prints.

    Raises FirewallError with line and column, and then the table that the line belongs to is as it was.
    """
    words = split(arguments) if isinstance(arguments, str) else [Word(w) for w in arguments]
    try:
        given = restore_options(words)
    except RefusedError as refused:
        raise refused.spoken() from None
    if "version" in given:
        return VERSION_LINE.replace("iptables", "iptables-restore")
    return Restore(firewall, given).run(text)
