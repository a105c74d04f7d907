"""`pystack bench`: how fast it is on this machine, beside what the machine does without it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pystack.cli.common import Json, fail, print_json, table

if TYPE_CHECKING:
    from pystack.bench import Report


def bench(
    groups: Annotated[
        list[str] | None,
        typer.Argument(
            help="tcp, tun, syncache, parked, demux, conntrack, ipfw, mbuf, timers, hash, timeouts; "
            "all that can run unless given."
        ),
    ] = None,
    as_json: Json = False,
    scale: Annotated[
        float, typer.Option(min=0.0001, help="How much to do: 1 is seconds for each figure.")
    ] = 1.0,
    repeat: Annotated[int, typer.Option(min=1, help="Rounds, references and ours in turn.")] = 3,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="conntrack: the sweep over buckets drawn: .svg, .png or .pdf."
        ),
    ] = None,
) -> None:
    """Measure, each figure with a reference of the same run and the target beside it.

    Rates are the best of the rounds, costs the least. A target that is missed is no failure.
    """
    from pystack import bench as suite

    chosen = groups or list(suite.GROUPS)
    for group in chosen:
        if group not in suite.GROUPS:
            fail(f"no group {group!r}: there are {', '.join(suite.GROUPS)}")
    if picture is not None:
        _can_draw(picture, chosen)
    found: dict[str, Any] = _machine()
    for group in chosen:
        try:
            report = suite.measure(group, scale=scale, repeat=repeat)
        except suite.Unavailable as error:
            if groups:
                fail(error)
            found[f"{group}_unavailable"] = str(error)
            if not as_json:
                print(f"\n{error}")
            continue
        found |= report.flat()
        if not as_json:
            _show(report, suite.GROUPS[group])
    if picture is not None:
        from pystack.bench.picture import write

        try:
            write(picture, found)
        except OSError as error:
            fail(error)
    found["load_1m_end"] = round(os.getloadavg()[0], 2)
    if as_json:
        print_json(found)
    else:
        print(
            f"\nload {found['load_1m']} at the start, {found['load_1m_end']} at the end, "
            f"{found['processors']} processors, {found['version']}"
        )


def _can_draw(picture: Path, groups: list[str]) -> None:
    """A picture that cannot be is refused before the minutes that it takes to measure."""
    from pystack.bench.picture import NoCurve, check

    if "conntrack" not in groups:
        fail("there is no sweep over buckets: the picture is of `bench conntrack`")
    try:
        check(picture)
    except NoCurve as error:
        fail(error)


def _machine() -> dict[str, Any]:
    """What the numbers depend on."""
    from pystack.cli.app import version

    return {
        "version": version(),
        "processors": len(os.sched_getaffinity(0)),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def _show(report: Report, about: str) -> None:
    columns = [
        ("", "left"),
        ("measured", "right"),
        ("reference", "left"),
        ("ratio", "right"),
        ("target (aim)", "left"),
        ("", "left"),
    ]
    print(f"\n{report.group}: {about}\n{report.how}")
    table(columns, report.rows())
    used = {figure.reference for figure in report.figures}
    for key, (value, title) in report.references.items():
        if key not in used:
            print(f"{key}: {value:,.3g} ({title})")
    for key, value in report.notes.items():
        if key.endswith("_not_measured"):
            print(f"NOT MEASURED: {key.removesuffix('_not_measured')}: {value}")
