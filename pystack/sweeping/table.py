"""What a sweep comes to: rows, means with confidence intervals over seeds, the knee, the smallest value that is enough.

Only here is scipy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from pystack.sweeping.plan import Point

MEASURES = {
    "failed": "clients that failed",
    "success": "share of clients that were answered",
    "high_water": "the most of the limit",
    "refused": "how often the limit refused",
    "suffering": "the symptom",
    "p50": "time of an answer, ms",
    "p99": "time of an answer, ms",
}


LEVEL = 0.05
"""What a curve may rise, of its height, and be level all the same."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of values: the mean over seeds and its confidence interval."""

    values: tuple[tuple[str, str], ...]
    n: int
    mean: float
    low: float
    high: float
    worst: float


class Table(Sequence[dict[str, Any]]):
    """The results of a sweep: a row for each point, in which numbers are numbers. pandas.DataFrame and polars.DataFrame
    take it as it is, and `columns()` too.
    """

    def __init__(self, names: list[str], rows: Mapping[Point, Mapping[str, Any]]) -> None:
        self.names = names
        self._rows = dict(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for point, row in self._rows.items():
            values = {name: number(value) for name, value in point.values}
            yield {**values, "seed": point.seed, **row}

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return list(self)[index]

    @property
    def headings(self) -> list[str]:
        """The last part of each name, where that tells them apart."""
        last = [name.rpartition(".")[2] for name in self.names]
        return last if len(set(last)) == len(last) else self.names

    def columns(self) -> dict[str, list[Any]]:
        """Name -> values, all of the same length."""
        out: dict[str, list[Any]] = {}
        for row in self:
            for name, value in row.items():
                out.setdefault(name, []).append(value)
        return out

    def cells(self, measure: str = "failed", confidence: float = 0.95) -> list[Cell]:
        """A mean for each combination, with Student's interval, not below 0; of one seed it has no width."""
        from scipy import stats

        groups: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for point, row in self._rows.items():
            groups.setdefault(point.values, []).append(float(row[measure] or 0))
        out = []
        for values, found in groups.items():
            n = len(found)
            mean = sum(found) / n
            low = high = mean
            if n > 1 and len(set(found)) > 1:
                error = stats.sem(found)
                low, high = stats.t.interval(confidence, n - 1, loc=mean, scale=error)
            out.append(Cell(values, n, mean, max(0.0, float(low)), float(high), max(found)))
        return out

    def smallest(self, name: str, measure: str = "failed") -> str | None:
        """The smallest value of `name` from which on nothing fails, whatever the others and the seed; None: none is."""
        return self._last_good(name, measure, reverse=True)

    def largest(self, name: str, measure: str = "failed") -> str | None:
        """The largest value of `name` up to which nothing fails, likewise: of a timeout that should be short."""
        return self._last_good(name, measure, reverse=False)

    def _last_good(self, name: str, measure: str, *, reverse: bool) -> str | None:
        """How far the values go from one end of them before something fails."""
        bad: dict[str, float] = {}
        for point, row in self._rows.items():
            value = dict(point.values)[name]
            bad[value] = max(bad.get(value, 0.0), float(row[measure] or 0))
        enough = None
        for value in sorted(bad, key=_order, reverse=reverse):
            if bad[value]:
                break
            enough = value
        return enough

    def answer(self, name: str) -> str:
        """What this name is to be, in words."""
        smallest, largest = self.smallest(name), self.largest(name)
        if smallest is not None:
            return f"no failures from {smallest} on"
        if largest is not None:
            return f"no failures up to {largest}"
        return "failures at every value"

    def knee(self, name: str, measure: str = "failed") -> str | None:
        """Where the curve bends most: the value that is farthest from the line between its ends, both axes of length 1.
        None for fewer than three values, no bend, or a curve that is as good as level.
        """
        means: dict[str, list[float]] = {}
        for cell in self.cells(measure):
            means.setdefault(dict(cell.values)[name], []).append(cell.mean)
        try:
            curve = sorted((float(value), sum(ys) / len(ys), value) for value, ys in means.items())
        except ValueError:  # words have no order
            return None
        if len(curve) < 3:
            return None
        (x0, y0, _), (x1, y1, _) = curve[0], curve[-1]
        tall = max(y for _, y, _ in curve) - min(y for _, y, _ in curve)
        if tall <= LEVEL * max(abs(y) for _, y, _ in curve) or x0 == x1:
            return None

        def off(point: tuple[float, float, str]) -> float:
            along = (point[0] - x0) / (x1 - x0)
            return abs(point[1] - (y0 + along * (y1 - y0))) / tall

        best = max(curve, key=off)
        return best[2] if off(best) > 0.05 else None


def number(value: Any) -> Any:
    """A value as a number if it is one."""
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    return value


def _order(value: str) -> tuple[int, float, str]:
    """Words first, then numbers by their size."""
    found = number(value)
    return (0, 0.0, value) if isinstance(found, str) else (1, float(found), value)
