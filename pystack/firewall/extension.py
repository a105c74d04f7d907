"""What a match or a target of iptables is made of: its options, how they are read, kept, printed and compiled.

A new one is one class with a table of `Option`s (`matches`, `rates`, `targets`). What iptables checks for all of them
alike (given twice, inverted, together with another, required) is checked here, in its words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pystack.firewall import services, words
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
        self.proto = spec.proto
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

    def require(self, spec: Spec) -> None:
        """What it demands of the rest of the rule; called when all of that is known."""

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


def parts_of(e: Extension, o: Option, text: str) -> list[str]:
    """`a` or `a:b`."""
    parts = text.split(":")
    if len(parts) > 2:
        raise RefusedError(f'{e.name}: Too many components for option "--{o.name}" (max: 2)\n')
    return parts


def span(high: int) -> Reader:
    """`a`, `a:b`, `:b` or `a:` of numbers up to `high`."""

    def read(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
        values: list[int] = []
        for part, default in zip(parts_of(e, o, args[0]), (0, high), strict=False):
            value, rest = words.leading(part) if part else (default, "")
            if value is None or value > high:
                near = part if values else args[0]
                raise RefusedError(
                    f'{e.name}: bad value for option "--{o.name}" near "{near}", '
                    f"or out of range (0-{high}).\n"
                )
            if rest:
                raise RefusedError(
                    f'{e.name}: Argument to "--{o.name}" has unexpected characters near "{rest}".\n'
                )
            values.append(value)
        return values[0], values[-1]

    return read


def port_pair(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """`a`, `a:b`, `:b` or `a:` of ports, by number (of which 16 bits count) or by a name of any protocol."""
    values = []
    for part, default in zip(parts_of(e, o, args[0]), (0, 65535), strict=False):
        digits = part.strip(" \t\n\v\f\r").removeprefix("+")
        value = int(digits) & 65535 if digits.isascii() and digits.isdigit() else None
        if value is None:
            value = services.port_of(part) if part else default
        if value is None:
            raise RefusedError(f'Port "{part}" does not resolve to anything.\n')
        values.append(value)
    return values[0], values[-1]


def mark(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """`value[/mask]`."""
    value, rest = words.leading(args[0])
    bits: int | None = words.ALL_ONES
    if rest[:1] == "/":
        bits, rest = words.leading(rest[1:])
    if value is None or value > words.ALL_ONES or bits is None or bits > words.ALL_ONES:
        raise RefusedError(
            f'{e.name}: bad integer value for option "--{o.name}", or out of range.\n'
        )
    if rest:
        raise RefusedError(f'{e.name}: trailing garbage after value for option "--{o.name}".\n')
    return value, bits


def mask(e: Extension, o: Option, args: Sequence[str]) -> int:
    """A number of 32 bits."""
    value = words.number(args[0])
    if value is None:
        raise RefusedError(
            f'{e.name}: bad value for option "--{o.name}", or out of range (0-4294967295).\n'
        )
    return value


def length_of(e: Extension, o: Option, text: str) -> int:
    """How many ones a mask begins with: by their number, or as an address; -1 if it is none."""
    value = words.number(text, 0, 32)
    if value is None:
        bits = words.loose_address(text)
        if bits is None:
            raise RefusedError(
                f'{e.name}: bad value for option "--{o.name}", '
                "neither a valid network mask nor valid CIDR (0-32).\n"
            )
        value = words.mask_length(bits)
    return -1 if value is None else value


def prefix_mask(e: Extension, o: Option, args: Sequence[str]) -> int:
    """A mask of ones by its length, or dotted; one with holes counts as one of ones alone."""
    length = length_of(e, o, args[0])
    return 32 if length < 0 else length


def prefix_length(e: Extension, o: Option, args: Sequence[str]) -> int:
    """The same, where one with holes is left to the kernel, which refuses it."""
    length = length_of(e, o, args[0])
    return 255 if length < 0 else length


def host_mask(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """`address[/mask]`, host bits and all."""
    text, slash, bits = args[0].partition("/")
    length = prefix_mask(e, o, [bits]) if slash else 32
    addr = words.host(text)
    if addr is None:
        raise RefusedError(f"getaddrinfo: {unresolved(text)}\n")
    return addr, words.ALL_ONES << (32 - length) & words.ALL_ONES


def unresolved(name: str) -> str:
    """Why a name has no address where nobody can be asked."""
    if ":" in name and set(name.lower()) <= set("0123456789abcdef:."):
        return "Address family for hostname not supported"
    if (
        name
        and all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)
        and (not name.startswith("-") and not name.replace(".", "").isdigit())
    ):
        return "Temporary failure in name resolution"
    return "Name or service not known"


def one_of(table: dict[str, int], complaint: str) -> Reader:
    """A word of a table."""

    def read(e: Extension, o: Option, args: Sequence[str]) -> int:
        if args[0] not in table:
            raise RefusedError(complaint.format(e=e, o=o, word=args[0]))
        return table[args[0]]

    return read


def bits_of(table: dict[str, int], complaint: str, nothing: str = "", last: str = "") -> Reader:
    """Words of a table with commas between: the bits that they mean together. Letters of any case, and any beginning
    of a word that is long enough for iptables: the first that fits. `nothing`: the complaint where the last is empty,
    `last` that where any other last one is wrong.
    """

    def read(e: Extension, o: Option, args: Sequence[str]) -> int:
        value, rest, comma = 0, args[0], ","
        while comma:
            word, comma, after = rest.partition(",")
            hit = next((n for n in table if word and n.startswith(word.upper())), None)
            if hit is None:
                empty = "" if rest else nothing
                wrong = empty or (complaint if comma else last or complaint)
                raise RefusedError(wrong.format(e=e, o=o, word=rest))
            value |= table[hit]
            rest = after
        return value

    return read


def names_of(table: dict[str, int], value: int) -> str:
    """The words of a set of bits, commas between."""
    return ",".join(name for name, bit in table.items() if bit and value & bit)
