"""A sweep drawn: a curve with its confidence band for one name, a heat map for two; and the page with all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pystack.report.html import render
from pystack.report.plots import BAD, COLOURS, LINE, figure, svg
from pystack.sweeping.table import MEASURES, Table, number


def curve(table: Table, name: str, measure: str) -> str:
    """The measure against the values of one name; the others' values are lines of their own."""
    made, axes = figure()
    lines: dict[str, list[tuple[Any, float, float, float]]] = {}
    for cell in table.cells(measure):
        values = dict(cell.values)
        x = number(values.pop(name))
        label = ", ".join(f"{short(key)}={value}" for key, value in values.items())
        lines.setdefault(label, []).append((x, cell.mean, cell.low, cell.high))
    for n, (label, points) in enumerate(lines.items()):
        points.sort(key=lambda point: (isinstance(point[0], str), point[0]))
        xs, means, lows, highs = zip(*points, strict=True)
        colour = COLOURS[n % len(COLOURS)] if len(lines) > 1 else LINE
        axes.plot(xs, means, "o-", color=colour, label=label, ms=4)
        axes.fill_between(xs, lows, highs, color=colour, alpha=0.15, lw=0)
    numbers = [point[0] for points in lines.values() for point in points]
    if all(not isinstance(x, str) and x > 0 for x in numbers) and max(numbers) > 20 * min(numbers):
        axes.set_xscale("log")
    knee = table.knee(name, measure)
    if knee is not None:
        axes.axvline(number(knee), color=BAD, lw=0.8, ls=":")
        axes.annotate(f"knee: {knee}", (number(knee), 1), (4, -10), color=BAD, fontsize=8,
                      xycoords=("data", "axes fraction"), textcoords="offset points")  # fmt: skip
    if len(lines) > 1:
        axes.legend(fontsize=8, frameon=False)
    axes.set_xlabel(name)
    axes.set_ylabel(MEASURES[measure])
    axes.set_ylim(bottom=0)
    return svg(made)


def heat(table: Table, across: str, up: str, measure: str) -> str:
    """The measure over the values of two names; of others, the mean."""
    found: dict[tuple[str, str], list[float]] = {}
    for cell in table.cells(measure):
        values = dict(cell.values)
        found.setdefault((values[across], values[up]), []).append(cell.mean)
    xs = list(dict.fromkeys(x for x, _ in found))
    ys = list(dict.fromkeys(y for _, y in found))
    grid = [[sum(found[x, y]) / len(found[x, y]) for x in xs] for y in ys]
    made, axes = figure(high=max(2.8, 1.2 + 0.5 * len(ys)))  # room for a long name
    image = axes.imshow(grid, cmap="YlOrRd", aspect="auto", origin="lower")
    axes.set_xticks(range(len(xs)), xs)
    axes.set_yticks(range(len(ys)), ys)
    axes.set_xlabel(across)
    axes.set_ylabel(short(up))
    most = max(map(max, grid))
    for row, line in enumerate(grid):
        for column, value in enumerate(line):
            colour = "white" if value > 0.6 * most else "black"
            axes.text(
                column, row, f"{value:,.4g}", ha="center", va="center", fontsize=8, color=colour
            )
    made.colorbar(image, label=MEASURES[measure])
    return svg(made)


def short(name: str) -> str:
    """The end of a long name."""
    return name.rpartition(".")[2]


def write(path: Path, title: str, table: Table, command: str, measure: str = "failed") -> None:
    """The page into a file. Raises OSError."""
    plots = {f"{MEASURES[measure]}, by {name}": curve(table, name, measure) for name in table.names}
    plots |= {f"the limit, by {name}": curve(table, name, "high_water") for name in table.names}
    for n, across in enumerate(table.names):
        for up in table.names[n + 1 :]:
            heading = f"{MEASURES[measure]}, by {short(across)} and {short(up)}"
            plots[heading] = heat(table, across, up, measure)
    found = {
        name: (table.smallest(name), table.largest(name), table.knee(name, measure))
        for name in table.names
    }
    page = render(
        "sweep.html", title=title, table=table, plots=plots, found=found, command=command,
        cells={one: table.cells(one) for one in ("failed", "high_water", "p99")},
    )  # fmt: skip
    path.write_text(page, "utf-8")
