"""What is to be run: every combination of the values, for every seed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

Vary = Mapping[str, Sequence[object]]


class PlanError(ValueError):
    """A `--vary` that is no list of values."""


@dataclass(frozen=True, slots=True)
class Point:
    """One run: a value for each name, and a seed."""

    values: tuple[tuple[str, str], ...]
    seed: int

    @property
    def settings(self) -> list[str]:
        """As `pystack run --set` has them."""
        return [f"{name}={value}" for name, value in self.values]

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return "\n".join([*self.settings, f"seed {self.seed}"])


def plan(vary: Vary, seeds: Iterable[int]) -> list[Point]:
    """All points. Raises PlanError for a name without values."""
    for name, values in vary.items():
        if not len(values):
            raise PlanError(f"{name} has no value")
        if len({str(value) for value in values}) != len(values):
            raise PlanError(f"{name} has a value twice")
    names = list(vary)
    seeds = list(seeds)
    if not seeds:
        raise PlanError("no seed: nothing to run")
    return [
        Point(tuple(zip(names, map(str, chosen), strict=True)), seed)
        for chosen in product(*vary.values())
        for seed in seeds
    ]


_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)(?:([+*])(\d+(?:\.\d+)?))?")


def parse_vary(text: str) -> tuple[str, list[str]]:
    """NAME=V1,V2,…, or a range: NAME=10..50+10 adds ten, NAME=1024..65536*2 doubles. Raises PlanError."""
    name, equals, given = text.partition("=")
    if not equals or not name.strip() or not given.strip():
        raise PlanError(f"--vary {text!r}: write NAME=V1,V2,… or NAME=FIRST..LAST+STEP")
    values: list[str] = []
    for part in given.split(","):
        found = _RANGE.fullmatch(part.strip())
        values += _range(text, *found.groups()) if found else [part.strip()]
    return name.strip(), values


def _range(text: str, first: str, last: str, sign: str | None, step: str | None) -> list[str]:
    at, end, by = float(first), float(last), float(step or 1)
    grows = by > 1 and at > 0 if sign == "*" else by > 0
    if not grows or end < at:
        raise PlanError(f"--vary {text!r}: the range goes nowhere")
    out = []
    while at <= end * (1 + 1e-12):
        out.append(f"{at:.12g}")
        at = at * by if sign == "*" else at + by
    return out
