"""The command line of iptables: words into one `Command`, as getopt reads them, with the complaints of the tool."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from pystack.firewall import words as wd
from pystack.firewall.errors import VERSION, RefusedError
from pystack.firewall.extension import Extension, Option
from pystack.firewall.spec import MATCH_NAMES, TARGET_NAMES, Spec
from pystack.firewall.tables import BUILT_IN

NONE, NEEDED, MAYBE = range(3)

COMMANDS = {
    "A": ("append", NEEDED),
    "D": ("delete", NEEDED),
    "C": ("check", NEEDED),
    "I": ("insert", NEEDED),
    "R": ("replace", NEEDED),
    "L": ("list", MAYBE),
    "S": ("list-rules", MAYBE),
    "F": ("flush", MAYBE),
    "Z": ("zero", MAYBE),
    "N": ("new-chain", NEEDED),
    "X": ("delete-chain", MAYBE),
    "P": ("policy", NEEDED),
    "E": ("rename-chain", NEEDED),
}
"""Letter: long name, whether a word follows."""

OPTIONS = {
    "p": ("protocol proto", NEEDED),
    "s": ("source src", NEEDED),
    "d": ("destination dst", NEEDED),
    "i": ("in-interface", NEEDED),
    "o": ("out-interface", NEEDED),
    "j": ("jump", NEEDED),
    "g": ("goto", NEEDED),
    "m": ("match", NEEDED),
    "t": ("table", NEEDED),
    "f": ("fragments fragment", NONE),
    "n": ("numeric", NONE),
    "v": ("verbose", NONE),
    "x": ("exact", NONE),
    "0": ("line-numbers", NONE),
    "c": ("set-counters", NEEDED),
    "w": ("wait", MAYBE),
    "W": ("wait-interval", MAYBE),
    "M": ("modprobe", NEEDED),
    "V": ("version", NONE),
    "4": ("ipv4", NONE),
    "6": ("ipv6", NONE),
}
LONG = {
    name: letter for letter, (names, _) in (COMMANDS | OPTIONS).items() for name in names.split()
}

OTHER_TARGETS = set(
    """
    AUDIT CHECKSUM CLASSIFY CLUSTERIP CONNSECMARK ECN HMARK IDLETIMER LED NFLOG NFQUEUE QUEUE RATEEST SECMARK SET
    SYNPROXY TCPOPTSTRIP TEE TPROXY TRACE ULOG
    """.split()
)
"""Targets of iptables that there are not here: no chain is called so."""

WITH_RULE = set("ADCIR")
NO_DROP = (
    '\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n'
)
COUNTER_MAX = (1 << 64) - 1
ILLEGAL = (
    dict.fromkeys("AIR", "nx0")
    | dict.fromkeys("DC", "nx0c")
    | {"L": "sdpjiocf", "P": "nsdpjxio0f"}
    | dict.fromkeys("FZNXES", "nsdpjxio0cf")
)
"""Options that a command does not know, in the order in which iptables looks."""


class Word(str):
    """A word of a command, and where it began: column 1 is the first."""

    __slots__ = ("column",)
    column: int

    def __new__(cls, text: str, column: int = 0) -> Word:
        word = super().__new__(cls, text)
        word.column = column
        return word


def split(text: str, *, shell: bool = True) -> list[Word]:
    """A line into words. Like a shell, or (not `shell`) as iptables-restore does it: only `"` quotes, everywhere."""
    out: list[Word] = []
    current: list[str] = []
    start = 0
    quote = ""
    begun = False
    escaped = False
    for at, char in enumerate(text):
        if not begun and not char.isspace():
            begun, start = True, at + 1
        if escaped:
            current.append(char)
            escaped = False
        elif char == "\\" and quote != "'" and (shell or quote):
            escaped = True
        elif quote:
            if char == quote:
                quote = ""
                if not shell:  # a word ends there
                    out.append(Word("".join(current), start))
                    current, begun = [], False
            else:
                current.append(char)
        elif char == '"' or (char == "'" and shell):
            quote = char
        elif char.isspace():
            if begun:
                out.append(Word("".join(current), start))
            current, begun = [], False
        else:
            current.append(char)
    if quote and shell:
        raise RefusedError(f"unexpected EOF while looking for matching `{quote}'", 2, bare=True)
    if quote:
        current.append("\n")  # the tool takes the end of the line for a part of the word
    if begun:
        out.append(Word("".join(current), start))
    return out


@dataclass
class Command:
    """What is to be done."""

    letter: str = ""
    table: str = "filter"
    chain: str = ""
    other: str = ""
    """The second word: a policy, or a new name."""
    number: int = 0
    """A rule's number; 0: none was given."""
    given: list[str] = field(default_factory=list)
    specs: list[Spec] = field(default_factory=list)
    counters: tuple[int, int] = (0, 0)
    zero: bool = False
    """-L or -S together with -Z."""
    other_family: bool = False
    """A line of a restore that is for IPv6."""


class Parser:
    """One command, read from the left to the right."""

    def __init__(self, words: list[Word], table: str = "", *, restoring: bool = False):
        self.words = words
        self.at = 0
        self.command = Command(table=table or "filter")
        self.restoring = restoring
        self.spec = Spec()
        self.extensions: list[Extension] = []
        self.loaded_proto = False
        self.invert = False
        self.sources: tuple[str, bool] | None = None
        self.destinations: tuple[str, bool] | None = None
        self.waits = False
        self.interval = False

    def parse(self) -> Command:
        """The command. RefusedError knows the column of the word that was looked at last."""
        try:
            while self.at < len(self.words):
                self._word()
            self._finish()
        except RefusedError as refused:
            if self.words and not refused.column:
                refused.column = self.words[min(self.seen, len(self.words) - 1)].column
            raise
        return self.command

    # --- words -------------------------------------------------------------------------------------------------

    seen = 0

    def _next(self, shown: str) -> str:
        """The word of an option."""
        if self.at >= len(self.words):
            raise RefusedError(f'option "{shown}" requires an argument')
        self.at += 1
        return str(self.words[self.at - 1])

    def _has_word(self) -> bool:
        """Does a word follow that is no option?"""
        return self.at < len(self.words) and self.words[self.at][:1] not in ("-", "!")

    def _word(self) -> None:
        word = self.words[self.at]
        self.seen = self.at
        self.at += 1
        if word == "--":
            if self.at < len(self.words):
                raise RefusedError("unknown arguments found on commandline")
        elif word.startswith("--"):
            self._long(word)
        elif word.startswith("-") and len(word) > 1:
            self._short(word)
        elif word == "!":
            if self.invert:
                raise RefusedError("multiple consecutive ! not allowed")
            self.invert = True
        else:
            raise RefusedError(f"Bad argument `{word}'", bare=True)

    def _long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        attached = bool(equals)
        if equals and self._takes_no_word(name):
            raise RefusedError(f'unknown option "{word}"')
        if equals:
            self.words[self.at : self.at] = [Word(value, self.words[self.at - 1].column)]
        own = self._own()
        exact = name in LONG or name in own
        hits = [name] if exact else [n for n in (*LONG, *own) if n.startswith(name)]
        meanings = {LONG.get(n) or self._meaning(own[n], n) for n in hits}
        if len(meanings) == 1:
            hit = hits[0]
            if hit in own:
                self._extension_option(hit, word)
            else:
                self._option(LONG[hit], word, attached=attached)
        elif not hits and self._load_protocol():
            if equals:
                del self.words[self.at]
            self._long(word)
        else:
            raise RefusedError(f'unknown option "{word}"')

    def _own(self) -> dict[str, Extension]:
        """The options of what was named so far."""
        return {o: e for e in self.extensions for opt in e.options for o in opt.names.split()}

    @staticmethod
    def _meaning(extension: Extension, name: str) -> tuple[int, str]:
        """What getopt tells two options apart by."""
        option = extension.option(name)
        return id(extension), option.name if option else name

    def _takes_no_word(self, name: str) -> bool:
        """Is it an option without a word?"""
        own = self._own()
        hits = [name] if name in own else [n for n in own if n.startswith(name)]
        if hits:
            option = own[hits[0]].option(hits[0])
            return option is not None and option.words == 0
        return name in LONG and (COMMANDS | OPTIONS)[LONG[name]][1] == NONE

    def _short(self, word: str) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            table = COMMANDS | OPTIONS
            if letter not in table or letter == "0":
                raise RefusedError(f'unknown option "{word}"')
            takes = table[letter][1]
            if takes == NONE:
                self._option(letter, word)
                continue
            if letters:
                self.words[self.at : self.at] = [Word(letters, self.words[self.at - 1].column)]
            self._option(letter, word, attached=bool(letters))
            return

    # --- options -----------------------------------------------------------------------------------------------

    def _option(self, letter: str, shown: str, *, attached: bool = False) -> None:
        takes = (COMMANDS | OPTIONS)[letter][1]
        word = ""
        if takes == NEEDED or attached:
            word = self._next(shown)
        if attached and letter in "psdioj":
            word = str(shown)  # as the tool does: it takes the word that getopt came from
        if letter in COMMANDS:
            self._command(letter, word)
        elif letter == "m":
            self._load_match(word)
        elif letter == "t":
            if self.restoring:
                raise RefusedError("The -t option cannot be used in iptables-restore.\n")
            if self.invert:
                raise RefusedError("unexpected ! flag before --table")
            if word not in BUILT_IN:
                raise RefusedError(
                    f"table '{word}' does not exist\n"
                    "Perhaps iptables or your kernel needs to be upgraded.",
                    3,
                )
            self.command.table = word
        elif letter == "w":
            if self.restoring:
                raise RefusedError("You cannot use `-w' from iptables-restore")
            said = attached or self._has_word()
            if said and not attached:
                word = self._next(shown)
            if said and not word.isdecimal():
                raise RefusedError("wait seconds not numeric")
            self.waits = True
        elif letter == "W":
            if not attached and not self._has_word():
                raise RefusedError("wait interval value required")
            word = word if attached else self._next(shown)
            if not word.isdecimal():
                raise RefusedError("wait interval not numeric")
            self.interval = True
        elif letter in "M4":
            pass
        elif letter == "6":
            if not self.restoring:
                raise RefusedError("", bare=True)
            self.command.other_family = True
        elif letter == "V":
            self.command.letter = "V"
        else:
            self._rule_option(letter, word)
        self.invert = False

    def _rule_option(self, letter: str, word: str) -> None:
        bit = "j" if letter == "g" else letter
        spec = self.spec
        if bit in self.command.given and letter != "v":
            raise RefusedError(f"multiple -{bit} flags not allowed")
        self.command.given.append(bit)
        if self.invert and bit not in "psdiof":
            raise RefusedError(f"cannot have ! before -{bit}")
        if letter == "p":
            spec.proto, spec.proto_not = wd.protocol(word.lower()), self.invert
            if spec.proto == 0 and self.invert:
                raise RefusedError("rule would never match protocol")
        elif letter == "s":
            self.sources = word, self.invert
        elif letter == "d":
            self.destinations = word, self.invert
        elif letter == "i":
            spec.face_in, spec.face_in_not = self._face(word), self.invert
        elif letter == "o":
            spec.face_out, spec.face_out_not = self._face(word), self.invert
        elif letter == "f":
            spec.fragment = 2 if self.invert else 1
        elif letter == "j":
            self._jump(word)
        elif letter == "g":
            self._target_name(word)
            self.spec.goes = True
            self.spec.chain = word
        elif letter == "c":
            if "," in word:
                word, _, octets = word.partition(",")
            elif self._has_word():
                octets = self._next("-c")
            else:
                raise RefusedError("-c requires packet and byte counter")
            counts = []
            for what, text in (("packet", word), ("byte", octets)):
                count = re.match(r"\s*([+-]?[0-9]+)", text)
                if count is None:
                    raise RefusedError(f"-c {what} counter not numeric")
                counts.append(COUNTER_MAX if int(count[1]) > COUNTER_MAX else int(count[1]))
            self.command.counters = counts[0] & COUNTER_MAX, counts[1] & COUNTER_MAX

    @staticmethod
    def _target_name(word: str) -> None:
        if not word:
            raise RefusedError("Invalid target name (too short)")
        if any(char.isspace() for char in word):
            raise RefusedError(f"Invalid target name `{word}'")

    @staticmethod
    def _face(word: str) -> str:
        if not word:
            raise RefusedError("Empty interface is likely to be undesired")
        if len(word) > 15:
            raise RefusedError(f"interface name `{word}' must be shorter than IFNAMSIZ (15)")
        return word

    def _jump(self, word: str) -> None:
        self._target_name(word)
        if word in TARGET_NAMES:
            target = TARGET_NAMES[word]()
            self.spec.target = target
            self.extensions.append(target)
        else:
            if len(word.encode()) >= 29:
                raise RefusedError(f"Invalid target name `{word}' (28 chars max)")
            self.spec.chain = word

    def _load_match(self, word: str) -> None:
        if self.invert:
            raise RefusedError("unexpected ! flag before --match")
        if word not in MATCH_NAMES:
            raise RefusedError(f"Couldn't load match `{word}':No such file or directory\n")
        match = MATCH_NAMES[word]()
        self.spec.matches.append(match)
        self.extensions.append(match)
        if self.spec.proto and wd.protocol_text(self.spec.proto) == word:
            self.loaded_proto = True

    def _load_protocol(self) -> bool:
        """An option that nobody knows may be one of the protocol's match."""
        name = wd.protocol_text(self.spec.proto)
        if not self.spec.proto or self.loaded_proto or name not in ("tcp", "udp", "icmp"):
            return False
        self._load_match_quietly(name)
        return True

    def _load_match_quietly(self, name: str) -> None:
        invert, self.invert = self.invert, False
        self._load_match(name)
        self.invert = invert

    def _extension_option(self, name: str, shown: str) -> None:
        found: tuple[Extension, Option] | None = None
        for extension in self.extensions:  # the last that knows it, as the tool has it
            option = extension.option(name)
            if option is not None:
                found = extension, option
        assert found
        extension, option = found
        args = []
        for n in range(option.words):
            if n and not self._has_word():
                raise RefusedError(f"--{name} requires two args.")
            args.append(self._next(shown))
        extension.take(option, args, self.invert, self.spec)
        self.invert = False

    # --- commands ----------------------------------------------------------------------------------------------

    def _command(self, letter: str, word: str) -> None:
        command = self.command
        if self.invert:
            raise RefusedError("unexpected '!' flag")
        if command.letter:
            pair = {command.letter, letter}
            if pair in ({"L", "Z"}, {"S", "Z"}):
                command.zero = True
                command.letter = command.letter if letter == "Z" else letter
                if letter == "Z":
                    self._optional_chain(word)
                    return
            else:
                raise RefusedError(f"Cannot use -{letter} with -{command.letter}")
        command.letter = letter
        if letter in "LSFZX":
            self._optional_chain(word)
            if letter in "LSZ" and command.chain and self._has_word():
                command.number = self._rule_number(self._next("-L"))
            return
        command.chain = word
        if letter in "DIR" and self._has_word():
            command.number = self._rule_number(self._next(letter))
        elif letter == "R":
            raise RefusedError("-R requires a rule number")
        elif letter == "I":
            command.number = 1
        elif letter in "PE":
            if not self._has_word():
                what = (
                    "a chain and a policy" if letter == "P" else "old-chain-name and new-chain-name"
                )
                raise RefusedError(f"-{letter} requires {what}")
            command.other = self._next(letter)
        elif letter == "N":
            self.new_chain_name(word)

    def _optional_chain(self, word: str) -> None:
        if word:
            self.command.chain = word
        elif self._has_word():
            self.command.chain = self._next("-L")

    @staticmethod
    def _rule_number(word: str) -> int:
        value = wd.number(word, 1)
        if value is None:
            raise RefusedError(f"Invalid rule number `{word}'")
        return value

    @staticmethod
    def _chain_name(name: str) -> None:
        if len(name.encode()) >= 29:
            raise RefusedError(f"chain name `{name}' too long (must be under 29 chars)")

    @staticmethod
    def new_chain_name(name: str, *, standing: bool = False) -> None:
        """Refuse what no new chain may be called."""
        if name[:1] in ("-", "!"):
            raise RefusedError(f"chain name not allowed to start with `{name[0]}'")
        if not standing:
            Parser._chain_name(name)
        if not name or name in TARGET_NAMES or name in OTHER_TARGETS:
            raise RefusedError("chain name may not clash with target name")
        if any(char.isspace() for char in name):
            raise RefusedError(f"Invalid chain name `{name}'")

    # --- the end -----------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        command, spec = self.command, self.spec
        if command.table == "nat" and spec.target is not None and spec.target.name == "DROP":
            raise RefusedError(NO_DROP)
        for extension in (*spec.matches, spec.target):
            if extension is not None:
                extension.finish(spec)
        spec.join()
        if not command.letter:
            raise RefusedError("no command specified")
        if command.letter == "V":
            return
        if self.invert:
            raise RefusedError("nothing appropriate following !")
        if self.interval and not self.waits:
            raise RefusedError(
                "Ignoring deprecated --wait-interval option.\n"
                f"iptables {VERSION}: --wait-interval only makes sense with --wait\n",
                bare=True,
            )
        for letter in ILLEGAL.get(command.letter, ""):
            if letter in command.given:
                raise RefusedError(f"Illegal option `-{letter}' with this command")
        self._chain_name(command.chain)
        if command.letter == "P" and command.table == "nat" and command.other == "DROP":
            raise RefusedError(NO_DROP)
        if command.letter not in WITH_RULE:
            return
        command.specs = list(self._addressed())
        if command.chain in ("PREROUTING", "INPUT") and spec.face_out:
            raise RefusedError(f"Can't use -o with {command.chain}\n")
        if command.chain in ("POSTROUTING", "OUTPUT") and spec.face_in:
            raise RefusedError(f"Can't use -i with {command.chain}\n")
        for match in spec.matches:
            match.require(spec)

    def _addressed(self) -> list[Spec]:
        """One rule for each pair of a source and a destination."""
        sides = []
        for given in (self.sources, self.destinations):
            if given is None:
                sides.append([(0, 0, False)])
                continue
            text, inverted = given
            sides.append([(*wd.network(part), inverted) for part in text.split(",")])
            if inverted and len(sides[-1]) > 1:
                raise RefusedError("! not allowed with multiple source or destination IP addresses")
        if any(given and given[1] for given in (self.sources, self.destinations)):
            if max(map(len, sides)) > 1:
                raise RefusedError("! not allowed with multiple source or destination IP addresses")
        return [
            replace(
                self.spec,
                src=src,
                src_mask=src_mask,
                src_not=src_not,
                dst=dst,
                dst_mask=dst_mask,
                dst_not=dst_not,
            )
            for src, src_mask, src_not in sides[0]
            for dst, dst_mask, dst_not in sides[1]
        ]


VERSION_LINE = f"iptables {VERSION}\n"
