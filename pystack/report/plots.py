"""Plots of a run as SVG, for a page: the limit, what clients saw, states, chains, cures. Only here is matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import SECOND
from pystack.scenarios.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, HIGH = 9.0, 2.8
COLOURS = "#4477aa #ee6677 #228833 #ccbb44 #66ccee #aa3377 #bbbbbb #222255 #225555".split()
"""Paul Tol's bright scheme: told apart by everybody."""
GOOD, BAD, LINE = COLOURS[2], COLOURS[1], COLOURS[0]
STATES = 7
"""States that have a colour of their own; the others are one."""
LONG = 100
"""Entries in a chain that is no accident."""


def all_of(result: Result, cures: Mapping[str, Result]) -> dict[str, str]:
    """The plots that this run can have: heading -> SVG."""
    drawn: dict[str, str] = {}
    if len(result.times) > 1:
        drawn["The limit"] = limit(result)
        drawn["What clients saw"] = clients(result)
        drawn["Connections by state"] = states(result)
        if cures:
            drawn["The limit with each cure"] = beside(result, cures)
    if result.worst is not None and any(result.worst.chains[1:]):
        drawn["Lengths of the chains of its hash, at the worst moment"] = chains(
            result.worst.chains
        )
    elif result.final_chains:
        drawn["Lengths of the chains of its hash, at the end"] = chains(result.final_chains)
    return drawn


def figure(width: float = WIDE, high: float = HIGH) -> tuple[Figure, Axes]:
    """An empty one."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, high), layout="constrained")
    axes = made.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_formatter("{x:,.6g}")
    return made, axes


def svg(made: Figure) -> str:
    """Its SVG, the same for the same figure, without the head of a file."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pystack"}):
        made.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _legend(axes: Axes) -> None:
    """What the colours mean, above the axes: nowhere inside is certain to be free."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=8, frameon=False, ncols=4)


def _time(axes: Axes, result: Result) -> None:
    axes.set_xlabel("virtual time, s")
    axes.set_xlim(0, result.seconds)
    axes.set_ylim(bottom=0)
    for ns, _ in result.events:
        axes.axvline(ns / SECOND, color="#555555", lw=0.8, ls=":")


def _seconds(result: Result) -> list[float]:
    return [ns / SECOND for ns in result.times]


def limit(result: Result) -> str:
    """The limit against its maximum, with the kernel's lines and faults as marks."""
    made, axes = figure()
    main = result.main
    if main is not None:
        axes.plot(_seconds(result), main.used, color=LINE, lw=1.5)
        axes.set_ylabel(main.name)
        if main.maximum is not None and main.maximum <= 8 * max(main.high_water, 1):
            axes.axhline(main.maximum, color=BAD, lw=1)
            axes.annotate(f"{main.knob} = {main.maximum:,}", (0, main.maximum), (3, 3),
                          textcoords="offset points", color=BAD, fontsize=8)  # fmt: skip
    if result.log:
        at = [ns / SECOND for ns, _ in result.log]
        axes.plot(at, [0] * len(at), "|", color="black", ms=9, alpha=0.5, clip_on=False)
        axes.annotate("| lines of the log", (1, 0), (0, -28), ha="right", fontsize=8,
                      xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    _time(axes, result)
    return svg(made)


def clients(result: Result) -> str:
    """Answers and failures a second."""
    made, axes = figure()
    good = _rate(result, [one.answered for one in result.seen])
    bad = _rate(result, [one.failed for one in result.seen])
    axes.stackplot(_seconds(result), good, bad, colors=(GOOD, BAD), labels=("answered", "failed"))
    axes.set_ylabel("clients a second")
    _legend(axes)
    _time(axes, result)
    return svg(made)


def _rate(result: Result, columns: Sequence[Sequence[int]]) -> list[float]:
    """What was added a second, at each look."""
    totals = [sum(column[n] for column in columns) for n in range(len(result.times))]
    out = []
    before, at = 0, 0
    for total, ns in zip(totals, result.times, strict=True):
        out.append((total - before) * SECOND / (ns - at))
        before, at = total, ns
    return out


def states(result: Result) -> str:
    """Connections by state, stacked."""
    made, axes = figure()
    columns = {name: column for name, column in result.states.items() if name != "LISTEN"}
    names = sorted(columns, key=lambda name: -max(columns[name]))
    shown = {name: columns[name] for name in names[:STATES]}
    if names[STATES:]:
        rest = [columns[name] for name in names[STATES:]]
        shown["others"] = [sum(row) for row in zip(*rest, strict=True)]
    if shown:
        axes.stackplot(_seconds(result), *shown.values(), labels=list(shown), colors=COLOURS)
        _legend(axes)
    axes.set_ylabel("connections")
    _time(axes, result)
    return svg(made)


def beside(result: Result, cures: Mapping[str, Result]) -> str:
    """The limit without and with each cure."""
    made, axes = figure()
    for number, (name, one) in enumerate({"as it is": result, **cures}.items()):
        main = one.main
        if main is not None:
            style: Any = {"lw": 2.5, "color": "black"}
            if number:  # dashed by turns: many lie on top of each other
                style = {"lw": 1.5, "color": COLOURS[number % len(COLOURS) - 1]}
                style["dashes"] = (5, 1 + number / 2)
            axes.plot(_seconds(one), main.used, label=name, **style)
            axes.set_ylabel(main.name)
    _legend(axes)
    _time(axes, result)
    return svg(made)


def chains(counts: Sequence[int]) -> str:
    """How many chains are so long. Logarithmic, where one chain in thousands is the story."""
    made, axes = figure(high=2.2)
    lengths = [length for length, count in enumerate(counts) if count]
    wide = max(0.8, len(counts) / 200)  # to be seen at all
    axes.bar(lengths, [counts[length] for length in lengths], wide, color=LINE)
    if len(counts) > LONG:
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5)
    axes.set_xlim(-0.6 * wide, len(counts) - 1 + 0.6 * wide)
    axes.locator_params(axis="x", integer=True)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("entries in a chain")
    axes.set_ylabel("chains")
    return svg(made)
