"""What a match or a target of iptables is made of: its options, how they are read, kept, printed and compiled.

A new one is one class with a table of `Option`s (`matches`, `rates`, `targets`). What iptables checks for all of them
alike (given twice, inverted, together with another, required) is checked here, in its words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pystack.firewall import words
from pystack.firewall.errors import RefusedError

if TYPE_CHECKING:
    from pystack._fast.nf_match import Match
    from pystack._fast.nf_target import Target
    from pystack.firewall.spec import Spec
    from pystack.firewall.tables import Shared

Reader = Callable[["Extension", "Option", Sequence[str]], Any]


@dataclass(frozen=True)
class Option:
    """One option. `names`: all of its names, the one that is printed and complained about first; `reads` takes its
    `words` words. `inverts`: `!` may stand before it. `without`, `along`: what it excludes and what it needs.
    """

    names: str
    reads: Reader
    words: int = 1
    inverts: bool = False
    without: str = ""
    along: str = ""
    required: bool = False
    repeats: bool = False
    """Being given twice is left to `reads`."""

    @property
    def name(self) -> str:
        return self.names.split()[0]


class Extension:
    """One match or target of one rule: `given` maps option names to values, `inverted` has those with a `!`."""

    name: ClassVar[str]
    options: ClassVar[tuple[Option, ...]] = ()
    tracks: ClassVar[bool] = False
    """conntrack must be at work for it."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.inverted: set[str] = set()

    @classmethod
    def option(cls, name: str) -> Option | None:
        """The option of a name, or None."""
        return next((o for o in cls.options if name in o.names.split()), None)

    def take(self, option: Option, args: Sequence[str], inverted: bool, spec: Spec) -> None:
        """One option of the command line."""
        if not option.repeats and option.name in self.given:
            raise RefusedError(f'{self.name}: option "--{option.name}" can only be used once.\n')
        if inverted and not option.inverts:
            raise RefusedError(f'{self.name}: option "--{option.name}" cannot be inverted.\n')
        self.proto = 0 if spec.proto_not else spec.proto
        self.given[option.name] = option.reads(self, option, args)
        if inverted:
            self.inverted.add(option.name)

    def finish(self, spec: Spec) -> None:
        """All options were seen: do they go together?"""
        self.check(spec)
        for option in self.options:
            if option.name not in self.given:
                if option.required:
                    raise RefusedError(f'{self.name}: option "--{option.name}" must be specified\n')
                continue
            for other in option.along.split():
                if other not in self.given:
                    raise RefusedError(
                        f'{self.name}: option "--{option.name}" also requires "--{other}".\n'
                    )
            for other in option.without.split():
                if other in self.given:
                    raise RefusedError(
                        f'{self.name}: option "--{option.name}" cannot be used together with '
                        f'"--{other}".\n'
                    )

    def check(self, spec: Spec) -> None:
        """What only this one demands; called before what is demanded of all."""

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        """Why the kernel refuses it in such a rule, or None."""
        return None

    def hooks_wanted(self) -> frozenset[str]:
        """The built-in chains that it may stand in; empty: all. Chains that these lead to are not asked."""
        return frozenset()

    def bang(self, name: str, sign: str = "! ") -> str:
        """The sign of an inverted option, or nothing."""
        return sign if name in self.inverted else ""

    def save(self) -> str:
        """Its options as iptables-save writes them, each with a space before it."""
        raise AssertionError(f"{self.name} has its own words")

    def show(self, numeric: bool) -> str:
        """What `iptables -L` says of it."""
        raise AssertionError(f"{self.name} has its own words")


class MatchText(Extension):
    """A match. `unsaid`: something that never holds was asked for, of which the kernel's form keeps no more than that:
    iptables-save does not name the match unless there is more to say.
    """

    unsaid = False

    def build(self, shared: Shared) -> Match:
        """The same for the core."""
        raise AssertionError(f"{self.name} has its own match")


class TargetText(Extension):
    """A target. `only`: the table that it belongs to; `hooks`: the built-in chains that may lead to it."""

    only: ClassVar[str] = ""
    hooks: ClassVar[frozenset[str]] = frozenset()

    @property
    def listed_as(self) -> str:
        """Its name in a listing."""
        return self.name

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        return "Invalid argument" if self.only and table != self.only else None

    def build(self, shared: Shared) -> Target:
        """The same for the core."""
        raise AssertionError(f"{self.name} has its own target")


# --- readers that many options share --------------------------------------------------------------------------


def flag(_e: Extension, _o: Option, _args: Sequence[str]) -> bool:
    """An option without words."""
    return True


def text(longest: int, shortest: int = 0) -> Reader:
    """A string, cut off where the kernel has no more room."""

    def read(_e: Extension, _o: Option, args: Sequence[str]) -> str:
        if len(args[0]) < shortest:
            raise RefusedError(f"Argument must have a minimum length of {shortest} characters\n")
        return args[0].encode()[:longest].decode(errors="ignore")

    return read


def whole(low: int = 0, high: int = words.ALL_ONES) -> Reader:
    """A number within bounds."""

    def read(e: Extension, o: Option, args: Sequence[str]) -> int:
        value = words.number(args[0], low, high)
        if value is None:
            raise RefusedError(
                f'{e.name}: bad value for option "--{used(o)}", or out of range ({low}-{high}).\n'
            )
        return value

    return read


def used(o: Option) -> str:
    """The name by which an option is complained about."""
    return o.name


def span(high: int) -> Reader:
    """`a`, `a:b`, `:b` or `a:` of numbers up to `high`."""

    def read(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
        low_text, colon, high_text = args[0].partition(":")
        parts = [low_text, high_text] if colon else [low_text]
        values = []
        for part, default in zip(parts, (0, high), strict=False):
            value = words.number(part, 0, high) if part or not colon else default
            if value is None:
                raise RefusedError(
                    f'{e.name}: bad value for option "--{o.name}" near "{part}", '
                    f"or out of range (0-{high}).\n"
                )
            values.append(value)
        return values[0], values[-1]

    return read


def mark(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """`value[/mask]`."""
    value, slash, bits = args[0].partition("/")
    pair = words.number(value), words.number(bits) if slash else words.ALL_ONES
    if pair[0] is None or pair[1] is None:
        raise RefusedError(
            f'{e.name}: bad integer value for option "--{o.name}", or out of range.\n'
        )
    return pair[0], pair[1]


def mask(e: Extension, o: Option, args: Sequence[str]) -> int:
    """A number of 32 bits."""
    value = words.number(args[0])
    if value is None:
        raise RefusedError(
            f'{e.name}: bad value for option "--{o.name}", or out of range (0-4294967295).\n'
        )
    return value


def prefix_mask(e: Extension, o: Option, args: Sequence[str]) -> int:
    """A mask of ones by its length, or dotted."""
    value = words.address(args[0]) if "." in args[0] else words.number(args[0], 0, 32)
    length = value if "." not in args[0] else words.mask_length(value or 0)
    if length is None or value is None:
        raise RefusedError(
            f'{e.name}: bad value for option "--{o.name}", '
            "neither a valid network mask nor valid CIDR (0-32).\n"
        )
    return length


def one_of(table: dict[str, int], complaint: str) -> Reader:
    """A word of a table."""

    def read(e: Extension, o: Option, args: Sequence[str]) -> int:
        if args[0] not in table:
            raise RefusedError(complaint.format(e=e, o=o, word=args[0]))
        return table[args[0]]

    return read


def bits_of(table: dict[str, int], complaint: str) -> Reader:
    """Words of a table with commas between: the bits that they mean together. Letters of any case, and any beginning
    of a word that is long enough for iptables: the first that fits.
    """

    def read(e: Extension, o: Option, args: Sequence[str]) -> int:
        value = 0
        for word in args[0].split(","):
            hit = next((n for n in table if word and n.startswith(word.upper())), None)
            if hit is None:
                raise RefusedError(complaint.format(e=e, o=o, word=word))
            value |= table[hit]
        return value

    return read


def names_of(table: dict[str, int], value: int) -> str:
    """The words of a set of bits, commas between."""
    return ",".join(name for name, bit in table.items() if bit and value & bit)
