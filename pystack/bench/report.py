"""Figures, their references and targets: as a table for people and as flat keys for programs."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: `least` or `most`, of the value itself or of its ratio to the reference."""

    least: float | None = None
    most: float | None = None
    ratio: bool = False
    aim: float | None = None
    """What we would like beyond the target; shown, never judged."""

    def met(self, value: float, ratio: float | None) -> bool:
        """Is it reached?"""
        seen = ratio if self.ratio else value
        if seen is None:
            return False
        return (self.least is None or seen >= self.least) and (
            self.most is None or seen <= self.most
        )

    def __str__(self) -> str:
        limit, sign = (self.least, "≥") if self.least is not None else (self.most, "≤")
        said = f"{sign} {limit:,g}{' ×' if self.ratio else ''}"
        return f"{said} ({self.aim:,g})" if self.aim is not None else said


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number."""

    key: str
    """In JSON; ends in its unit: _gbit, _per_second, _ns, _octets."""
    value: float
    title: str
    reference: str = ""
    """Key of the number that it is compared with."""
    target: Target | None = None


@dataclass(slots=True)
class Report:
    """The figures of one group, in order, and their references."""

    group: str
    how: str
    """One line: what was timed, and which of the rounds counts."""
    figures: list[Figure] = field(default_factory=list)
    references: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Key → (value, what it is)."""
    notes: dict[str, Any] = field(default_factory=dict)
    """More flat keys for JSON."""

    def reference(self, key: str, value: float, title: str) -> None:
        """Add a reference."""
        self.references[key] = (value, title)

    def figure(
        self, key: str, value: float, title: str, reference: str = "", target: Target | None = None
    ) -> None:
        """Add a figure; its reference is there already."""
        self.figures.append(Figure(key, value, title, reference, target))

    def ratio(self, figure: Figure) -> float | None:
        """Of a figure to its reference."""
        if not figure.reference:
            return None
        value = self.references[figure.reference][0]
        return figure.value / value if value else None

    def flat(self) -> dict[str, Any]:
        """KEY, KEY_ratio, KEY_target, KEY_met for each figure, and each reference by its key."""
        found: dict[str, Any] = {}
        for key, (value, _) in self.references.items():
            found[key] = rounded(value)
        for figure in self.figures:
            ratio = self.ratio(figure)
            found[figure.key] = rounded(figure.value)
            if ratio is not None:
                found[f"{figure.key}_ratio"] = rounded(ratio)
            if figure.target is not None:
                found[f"{figure.key}_target"] = str(figure.target)
                found[f"{figure.key}_met"] = figure.target.met(figure.value, ratio)
        return found | self.notes

    def rows(self) -> Iterator[tuple[str, str, str, str, str, str]]:
        """Title, value, reference, ratio, target, verdict: cells of a table."""
        for figure in self.figures:
            ratio = self.ratio(figure)
            said = ""
            if figure.reference:
                value, title = self.references[figure.reference]
                said = f"{number(value)} {title}"
            target = figure.target
            verdict = ""
            if target is not None:
                verdict = "met" if target.met(figure.value, ratio) else "missed"
            yield (
                figure.title,
                f"{number(figure.value)} {unit(figure.key)}",
                said,
                "" if ratio is None else f"{ratio:.2f}",
                "" if target is None else str(target),
                verdict,
            )


UNITS = {
    "gbit": "Gbit/s",
    "per_second": "/s",
    "ns": "ns",
    "ms": "ms",
    "octets": "octets",
    "times": "×",
}


def unit(key: str) -> str:
    """The unit that a key ends in; `_no_offload` behind it is no unit."""
    bare = key.removesuffix("_no_offload")
    return next((name for end, name in UNITS.items() if bare.endswith(end)), "")


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def rounded(value: float) -> float:
    """Four digits that count."""
    return float(f"{value:.4g}")


def interleaved(repeat: int, measures: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Every measure once, `repeat` times over: A B A B, so that a busy moment hits all of them."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(repeat):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


@contextmanager
def no_collector() -> Iterator[None]:
    """Without the cyclic garbage collector, as `timeit` does it."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Stopwatch:
    """CPU time of this thread, ns: what one core needs, whoever else uses the machine."""

    def __init__(self) -> None:
        self.begin = time.thread_time_ns()

    def ns(self) -> int:
        """Since construction; at least 1."""
        return max(1, time.thread_time_ns() - self.begin)
