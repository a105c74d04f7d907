"""One knob as data: what it is called, what it takes, and which settings it turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Value = int | str | tuple[int, ...]
"""What a knob holds: a number, a name, or a row of numbers such as Linux's tcp_rmem."""

When = Literal["run", "boot", "read-only"]

UNITS: Mapping[str, int] = MappingProxyType(
    {
        "": 1,
        "ns": 1,
        "us": 1_000,
        "ms": 1_000_000,
        "s": 1_000_000_000,
        "octets": 1,
        "pages": 1,
        "packets": 1,
        "segments": 1,
    }
)
"""Unit of a knob -> how many of the core's own units (ns, octets, pieces) it is."""

RANGES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "int": (-(2**31), 2**31 - 1),
        "uint": (0, 2**32 - 1),
        "long": (-(2**63), 2**63 - 1),
        "flag": (-(2**31), 2**31 - 1),
    }
)
"""What the C type behind a knob holds; `[min, max]` of the knob narrows it."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One sysctl: a name, the values that it takes, and what they set.

    A knob with `when == "read-only"` reports something: a counter, or what was fixed at boot.
    """

    name: str
    doc: str
    source: str
    aliases: tuple[str, ...] = ()
    """Older names, still accepted, not listed."""
    type: str = "int"
    """int, uint, long, flag, string."""
    count: int = 1
    """Numbers in the value: 2 for a range, 3 for minimum, default, maximum."""
    unit: str = ""
    when: When = "run"
    low: int | None = None
    high: int | None = None
    rules: tuple[str, ...] = ()
    """Names of `rules.RULES` that a new value must pass, in order."""
    sets: tuple[tuple[str, ...], ...] = ()
    """For each number of the value, the attributes of `Config` that it sets."""
    scale: int = 1
    """Times the unit: net.inet.tcp.msl sets twice its value."""
    offset: int = 0
    """Added to the value, in the knob's unit, before all else."""
    choices: Mapping[Value, Mapping[str, int]] = field(default_factory=dict)
    """Where numbers do not do: for each value, the attributes and what they become."""
    acts: str = ""
    """How a knob that sets no attribute is obeyed all the same."""
    effect: str = ""
    """Why a knob is not obeyed; empty for all others."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """Every attribute of `Config` that this knob can set, each once."""
        names = [name for group in self.sets for name in group]
        names += [name for settings in self.choices.values() for name in settings]
        return tuple(dict.fromkeys(names))

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest number that is not refused or clamped. Not for strings."""
        low, high = RANGES[self.type]
        return (low if self.low is None else self.low, high if self.high is None else self.high)

    def settings(self, value: Value) -> dict[str, int]:
        """Attribute -> number for a value that `parse` and the rules let through."""
        if self.choices:
            chosen = self.choices.get(value)
            if chosen is None:  # a flag of C: what is not 0 is 1
                chosen = self.choices[1] if isinstance(value, int) else {}
            return dict(chosen)
        numbers = value if isinstance(value, tuple) else (value,)
        out: dict[str, int] = {}
        for number, names in zip(numbers, self.sets, strict=False):
            if isinstance(number, int):
                if self.type == "flag":
                    number = int(number != 0)
                scaled = (number + self.offset) * UNITS[self.unit] * self.scale
                out |= dict.fromkeys(names, min(scaled, 2**63 - 1))
        return out

    def describe(self) -> dict[str, object]:
        """All of it as plain values, for tables and JSON."""
        low, high = self.range if self.type != "string" else (None, None)
        return {
            "name": self.name,
            "old_names": list(self.aliases),
            "type": self.type if self.count == 1 else f"{self.count} {self.type}",
            "unit": self.unit,
            "when": self.when,
            "min": low,
            "max": high,
            "choices": [value for value in self.choices if isinstance(value, str)],
            "rules": list(self.rules),
            "sets": list(self.attributes),
            "acts": self.acts,
            "effect": self.effect,
            "doc": self.doc,
            "source": self.source,
        }
