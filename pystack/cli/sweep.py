"""`pystack sweep`: a scenario for every combination of values, on all processors or a Dask cluster."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pystack.cli.common import Json, fail, print_json, table, to_write
from pystack.cli.run import For, Settings

if TYPE_CHECKING:
    from pystack.sweeping import Table


def sweep(
    scenario: Annotated[str, typer.Argument(help="A name of `pystack scenarios`, or a TOML file.")],
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=V1,V2,…",
            help="Values of a knob or field, or a range (10..50+10, 1024..65536*2); may be repeated.",
        ),
    ],
    settings: Settings = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each, with different seeds.")] = 1,
    for_: For = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. (all processors)", show_default=False)
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on the Dask cluster there.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="SQLite file of results: what is in it is not run again."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page of HTML, with plots.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run an incident for every combination of values, and find the smallest one with no failures."""
    from pystack.cli.run import _span
    from pystack.scenarios.load import UnknownScenario, read
    from pystack.sweeping import parse_vary
    from pystack.sweeping import sweep as run
    from pystack.sweeping.run import WorkLost
    from pystack.sysctl.strict_toml import TomlError

    to_write(report)
    try:
        source = read(scenario)
        values = dict(parse_vary(text) for text in vary)
        with _pool(workers, dask) as pool, _progress(as_json) as told:
            found = run(
                source,
                values,
                seeds=seeds,
                settings=settings or [],
                for_=_span(for_),
                executor=pool,
                out=out or "",
                told=told,
            )
    except (UnknownScenario, TomlError, OSError, ValueError) as error:
        fail(error)
    except WorkLost as error:
        fail(error, 1)
    except KeyboardInterrupt:
        kept = f"what is done is in {out}: the same command goes on" if out else "nothing was kept"
        fail(f"interrupted; {kept}", 1)
    if report is not None:
        from pystack.sweeping.picture import write

        try:
            title = source.changed().title
            write(report, title, found, shlex.join(["pystack", *sys.argv[1:]]))
        except OSError as error:
            fail(error)
    if as_json:
        print_json(_plain(found))
    else:
        _show(found)
        if report is not None:
            print(f"\nThe report is in {report}.")


@contextmanager
def _pool(workers: int | None, dask: str | None) -> Iterator[Any]:
    """The executor that was asked for; None for the usual one."""
    if dask is not None:
        try:
            import distributed
        except ImportError:
            fail("--dask needs Dask: pip install 'pystack-net[dask]'")
        connect: Any = distributed.Client
        client = connect(dask, timeout="5s")
        with client:
            yield client.get_executor()
    elif workers is not None:
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor(workers) as pool:
            yield pool
    else:
        yield None


@contextmanager
def _progress(quiet: bool) -> Iterator[Any]:
    """A bar on the terminal's error output, where there is one."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        task = bar.add_task("runs", total=None)

        def told(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, refresh=True)

        yield told


def _show(found: Table) -> None:
    most, times = (found.cells(measure) for measure in ("high_water", "p99"))
    columns = [(name, "right") for name in found.headings]
    columns += [(heading, "right") for heading in ("runs", "failed", "95 %", "at most", "p99, ms")]
    rows = []
    for cell, high, time in zip(found.cells("failed"), most, times, strict=True):
        band = f"{cell.low:,.1f} to {cell.high:,.1f}" if cell.n > 1 else ""
        values = [value for _, value in cell.values]
        rows.append(
            (*values, cell.n, f"{cell.mean:,.1f}", band, f"{high.mean:,.0f}", f"{time.mean:,.1f}")
        )
    table(columns, rows)
    print()
    for name in found.names:
        knee = found.knee(name)
        bends = f"; the curve bends at {knee}" if knee is not None else ""
        print(f"{name}: {found.answer(name)}{bends}")


def _plain(found: Table) -> dict[str, Any]:
    about = {
        name: {
            "smallest": found.smallest(name),
            "largest": found.largest(name),
            "knee": found.knee(name),
        }
        for name in found.names
    }
    return {"rows": list(found), "names": about}
