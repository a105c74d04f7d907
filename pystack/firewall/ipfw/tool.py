"""The command `ipfw`: options, commands, rule files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pystack.firewall.commandline import Word
from pystack.firewall.ipfw import (
    commands,
    named_tables,
    nat_command,
    pipe_text,
    show,
    table_command,
)
from pystack.firewall.ipfw.chain import Chain
from pystack.firewall.ipfw.check import Kernel
from pystack.firewall.ipfw.cnumbers import atoi, starts_digit, strtol
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_OK, EX_UNAVAILABLE, EX_USAGE, Refusal
from pystack.firewall.ipfw.names import USUAL, Names
from pystack.firewall.ipfw.run import NO_FLAGS, Flags, Outcome, Run
from pystack.firewall.ipfw.words import Words, matches

_USAGE = 'usage: ipfw [options]\ndo "ipfw -h" or "man ipfw" for details\n'
_HELP = """ipfw [-abcdefhnNqStTv] COMMAND, where COMMAND is one of
add [NUMBER] [set N] [prob P] ACTION [log] [BODY]
delete NUMBER..., zero|resetlog [NUMBER...], flush, list|show [NUMBER...]
set show | disable N... enable N... | move [rule] X to Y | swap X Y, set N COMMAND
table NAME add|delete|list|flush ..., enable|disable SWITCH
nat N config|show|delete ..., pipe|queue|sched N config|show|delete ...
"""

_Command = Callable[[Run, Words], None]
_FIRST: dict[str, _Command] = {
    "add": commands.add,
    "set": commands.sets,
    "enable": commands.enable,
    "disable": commands.disable,
}
"""Commands that are not about one set."""
_SECOND: dict[str, _Command] = {
    "delete": commands.delete,
    "flush": commands.flush,
    "zero": commands.zero,
    "resetlog": commands.resetlog,
    "print": show.list_rules,
    "list": show.list_rules,
    "show": show.show,
}
_new_word = str.__new__
_FILE_OPTIONS = "cfNnp:qS"


class Tool:
    """The command of an era, at work on the rules of a machine.

    `sysctl(name, value)` writes a knob, `answer(question)` is what a person types ("" at the end of input; without it
    nobody is asked), `read(path)` gives a rule file's text (OSError if there is none). `boot()`: when the machine
    started, in seconds of the epoch. `strict_machine`: rules that this machine cannot carry out are refused in so many
    words. `modules`: parts of the kernel that some actions need.
    """

    def __init__(
        self,
        chain: Chain,
        era: str,
        *,
        sysctl: Callable[[str, int], None],
        names: Names = USUAL,
        answer: Callable[[str], str] | None = None,
        read: Callable[[str], str] | None = None,
        boot: Callable[[], int] = lambda: 0,
        strict_machine: bool = True,
        modules: frozenset[str] = frozenset(("pmod",)),
    ):
        self.era = Era[era.upper()]
        self.kernel = Kernel(chain, self.era, modules)
        self._sysctl = sysctl
        self._names = names
        self._answer = answer
        self._read = read
        self._boot = boot
        self._strict = strict_machine

    def run(self, words: Sequence[str], *, heard: bool = True) -> Outcome:
        """Do what a command line says, `words` being what stands behind `ipfw`. Unless `heard` the output lacks the
        rules that are added, which take as long to print as to read.
        """
        run = Run(
            self.kernel,
            self._names,
            self._sysctl,
            self._answer,
            self._boot(),
            self._strict,
            heard,
        )
        try:
            if words and words[-1].startswith("/"):
                self._file(run, words)
            else:
                self._line(run, words)
        except Refusal as refusal:
            run.warn(refusal.text)
            run.status = refusal.status
        column = run.column()
        run.read = None  # whose complaints the run hears: without each other both are gone at once
        return Outcome(run.status, "".join(run.out), "".join(run.err), column)

    def _file(self, run: Run, words: Sequence[str]) -> None:
        """A file of commands, one a line; the first that is refused ends it."""
        options, words = _options(words[:-1], _FILE_OPTIONS), words[-1:]
        if options is None:
            raise Refusal(EX_USAGE, "bad arguments, for usage summary ``ipfw''")
        if any(letter == "p" for letter, _ in options[0]):
            raise Refusal(EX_USAGE, "-p: a preprocessor cannot be run on this machine")
        try:
            text = self._read(words[0]) if self._read is not None else None
        except OSError:
            text = None
        if text is None:
            raise Refusal(EX_USAGE, f"pathname: {words[0]}: No such file or directory")
        flags = _flags(options[0])
        for number, line in enumerate(text.splitlines(), 1):
            run.program = f"Line {number}"
            if words_of(line):
                self._line(run, [line], flags)
                if run.status != EX_OK:
                    return

    def _line(self, run: Run, words: Sequence[str], given: Flags | None = None) -> None:
        """One command."""
        parts = _joined(words_of(words[0]) if len(words) == 1 else _placed(words))
        letters = "abcdDefhinNp:qs:STtv" if self.era >= Era.E12 else "abcdefhinNp:qs:STtv"
        options = _options(parts, letters) if parts else None
        if options is None:
            run.err.append(_USAGE)
            run.status = EX_USAGE
            return
        found, rest = options
        run.end = parts[-1].column + len(parts[-1]) + 1 if parts else 0
        given_letters = [letter for letter, _ in found]
        if "p" in given_letters:
            raise Refusal(EX_USAGE, "An absolute pathname must be used with -p option.")
        if "h" in given_letters:
            run.err.append(_HELP)
            return
        run.flags = _flags(found, given)
        run.set = -1
        if not rest:
            raise Refusal(EX_USAGE, "bad arguments, for usage summary ``ipfw''")
        if len(rest) > 1 and starts_digit(rest[0]):
            rest[:2] = rest[1], rest[0]
        self._command(run, rest)

    def _command(self, run: Run, rest: list[str]) -> None:
        run.words(rest)
        if rest[0] == "add":
            commands.add(run, run.words(rest[1:]))  # it is what most lines say
            return
        if rest[0] and "nat".startswith(rest[0]):
            nat_command.nat(run, run.words(rest[1:]))
            return
        for word in pipe_text.KINDS:
            if rest[0] and matches(rest[0], word, run.warn):
                if run.chain.pipes is None:
                    raise Refusal(EX_UNAVAILABLE, f"{word}: there is no dummynet on this machine")
                pipe_text.pipes(run, word, run.words(rest[1:]), run.chain.pipes)
                return
        if "set".startswith(rest[0]) and len(rest) > 1 and starts_digit(rest[1]):
            number, left = strtol(rest[1])
            run.words(rest).peek(1)
            if left or number > 31:
                raise Refusal(EX_DATAERR, f"invalid set number {rest[1]}\n")
            run.set = number
            rest = rest[2:]
        if not rest:
            raise Refusal(EX_USAGE, "missing command")
        handler = named_tables.table if self.era.names_objects else table_command.table
        second = {**_SECOND, "table": handler} if self.era.names_objects else _SECOND
        first = {**_FIRST, "table": handler}
        for table in (second,) if run.set >= 0 else (first, second):
            for name, command in table.items():
                if matches(rest[0], name, run.warn):
                    command(run, run.words(rest[1:]))
                    return
        raise Refusal(EX_USAGE, f"bad command `{rest[0]}'")


def words_of(line: str) -> list[Word]:
    """The words of a line of a rule file: `#` begins a comment."""
    found = []
    end = 0
    for text in line.partition("#")[0].split():
        at = line.index(text, end)
        end = at + len(text)
        word = _new_word(Word, text)
        word.column = at + 1
        found.append(word)
    return found


def _placed(words: Sequence[str]) -> list[Word]:
    """Words that know where they stand: unless they do, as if there was one blank between them."""
    if words and isinstance(words[0], Word):
        return [word if isinstance(word, Word) else Word(word) for word in words]
    found = []
    column = 1
    for word in words:
        found.append(Word(word, column))
        column += len(word) + 1
    return found


def _joined(words: list[Word]) -> list[Word]:
    """A word that ends with a comma goes on with the next one: blanks behind it do not count."""
    if not any(word[-1:] == "," for word in words):
        return words
    found: list[Word] = []
    goes_on = False
    for word in words:
        if goes_on:
            found[-1] = Word(found[-1] + word, found[-1].column)
        else:
            found.append(word)
        goes_on = word.endswith(",")
    return found


def _options(words: Sequence[str], letters: str) -> tuple[list[tuple[str, str]], list[str]] | None:
    """(letter, argument) of options, and the words behind them; None if there is one that does not exist."""
    found: list[tuple[str, str]] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        at = 1
        while at < len(word):
            letter = word[at]
            at += 1
            where = letters.find(letter)
            if where < 0 or letter == ":":
                return None
            argument = ""
            if letters[where + 1 : where + 2] == ":":
                if at == len(word) and not rest:
                    return None
                argument = word[at:] or rest.pop(0)
                at = len(word)
            found.append((letter, argument))
    return found, rest


_LETTERS = {
    "a": "counters",
    "c": "compact",
    "d": "dynamic",
    "e": "expired",
    "f": "force",
    "i": "value_as_ip",
    "n": "test_only",
    "N": "resolve",
    "q": "quiet",
    "S": "show_sets",
    "v": "verbose",
}


def _flags(options: list[tuple[str, str]], given: Flags | None = None) -> Flags:
    """What options say, on top of what is said already."""
    if not options:
        return given or NO_FLAGS
    flags = Flags(**vars(given)) if given is not None else Flags()
    for letter, argument in options:
        if letter in _LETTERS:
            setattr(flags, _LETTERS[letter], True)
        elif letter == "b":
            flags.comment_only = flags.compact = True
        elif letter == "D":
            flags.dynamic = flags.dynamic_only = True
        elif letter == "s":
            flags.sort = atoi(argument)
        elif letter in "tT":
            flags.time = 1 if letter == "t" else 2
    return flags
