"""One run of the command: its flags, where it speaks to, and the kernel it talks to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from pystack.firewall.commandline import Word
from pystack.firewall.ipfw.chain import Chain, KernelRefusal
from pystack.firewall.ipfw.check import Kernel
from pystack.firewall.ipfw.draft import Settings
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import Refusal
from pystack.firewall.ipfw.names import Names
from pystack.firewall.ipfw.printing import Style
from pystack.firewall.ipfw.words import Words

_ERRORS = {
    2: "No such file or directory",
    3: "No such process",
    16: "Device busy",
    13: "Permission denied",
    17: "File exists",
    22: "Invalid argument",
    28: "No space left on device",
}


@dataclass
class Flags:
    """Options before the command."""

    counters: bool = False
    comment_only: bool = False
    compact: bool = False
    dynamic: bool = False
    dynamic_only: bool = False
    expired: bool = False
    force: bool = False
    value_as_ip: bool = False
    test_only: bool = False
    resolve: bool = False
    quiet: bool = False
    show_sets: bool = False
    time: int = 0
    verbose: bool = False
    sort: int = 0


NO_FLAGS = Flags()
"""Those of most commands."""


@dataclass(frozen=True)
class Outcome:
    """What a command ends with: exit status, output and errors. `column`: where the word begins that was looked at last
    when it was refused, or would; 1 is the first, 0 is nowhere.
    """

    status: int
    out: str
    err: str
    column: int = 0


@dataclass
class Run:
    """What a command has at hand while it runs. `set`: the set it is about (-1: all), for `set N command`."""

    kernel: Kernel
    names: Names
    write_sysctl: Callable[[str, int], None]
    answer: Callable[[str], str] | None
    """What a person says when asked; None: nobody is there."""
    boot: int
    strict: bool
    heard: bool = True
    """Does anybody read the rules that are said back when they are added?"""
    program: str = "ipfw"
    flags: Flags = field(default_factory=lambda: NO_FLAGS)
    set: int = -1
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    status: int = 0
    end: int = 0
    """The column behind the command."""
    read: Words | None = None
    """Its words behind its name, once that is known."""

    @property
    def chain(self) -> Chain:
        return self.kernel.chain

    @property
    def era(self) -> Era:
        return self.kernel.era

    @property
    def table_set(self) -> int:
        """The set whose tables the command is about."""
        return self.chain.table_set(max(0, self.set))

    def words(self, words: list[str]) -> Words:
        self.read = Words(words, self.warn)
        return self.read

    def column(self) -> int:
        """`Outcome.column`."""
        if self.status == 0 or self.read is None:
            return 0
        word = self.read.looked_at()
        return word.column if isinstance(word, Word) else self.end

    def say(self, text: str) -> None:
        """A line of output."""
        self.out.append(text + "\n")

    def warn(self, text: str) -> None:
        """A complaint after which the command goes on."""
        self.err.append(f"{self.program}: {text}\n")

    def settings(self) -> Settings:
        """What reading a rule depends on, as it is now."""
        kernel = self.kernel
        limit = kernel.chain.engine.cfg.fw_verbose_limit
        return _settings(kernel.era, self.names, limit, kernel.tables, kernel.fibs)

    def style(self) -> Style:
        """How rules are to be printed."""
        flags = self.flags
        return Style(
            self.era,
            self.names,
            resolve=flags.resolve,
            compact=flags.compact,
            comment_only=flags.comment_only,
            show_sets=flags.show_sets,
            show_time=flags.time,
            value_as_ip=flags.value_as_ip,
        )

    def refused(self, status: int, what: str, refusal: KernelRefusal) -> Refusal:
        """The kernel's refusal as the command tells it: no single word is to blame."""
        self.read = None
        return Refusal(status, f"{what}: {reason(refusal)}")


@lru_cache(maxsize=64)
def _settings(era: Era, names: Names, log_limit: int, tables: int, fibs: int) -> Settings:
    return Settings(era, names, log_limit, tables, fibs)


def reason(refusal: KernelRefusal) -> str:
    """The C library's words for an errno."""
    return _ERRORS[refusal.number]
