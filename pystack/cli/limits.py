"""`pystack limits`: what a machine can run out of."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pystack.cli.common import Json, fail, print_json, table, told_warnings
from pystack.cli.machine import Machine, asked

if TYPE_CHECKING:
    from rich.text import Text

    from pystack.limits import Limit

WIDTH = 20
"""Characters of the bar."""
WIDE = 130
"""Columns of a terminal that has room for a limit in one line."""


def limits(
    machine: Machine = None,
    profile: Annotated[
        str | None, typer.Option(help="Not a running machine: one of this system, freshly booted.")
    ] = None,
    ram: Annotated[str | None, typer.Option(help="Memory of that one, as 8GiB.")] = None,
    sysctl: Annotated[
        list[str] | None, typer.Option(help="A knob of that one at boot: NAME=VALUE.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a machine can run out of, how near that is, and the knob for each.

    Of the machine that runs; with --profile of one of that system, freshly booted. In Python: host.limits().
    """
    if profile is None:
        if ram is not None or sysctl:
            fail("--ram and --sysctl make a machine: give --profile too")
        found = asked(machine, "limits")
        warnings: list[str] = []
    else:
        if machine is not None:
            fail("--machine is one that runs, --profile one that does not")
        found, warnings = _booted(profile, ram, sysctl or ())
    if as_json:
        print_json(found)
        return
    from pystack.limits import Limit

    show([Limit(**each) for each in found])
    for line in warnings:
        print(line)


def _booted(
    profile: str, ram: str | None, sysctl: Iterable[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The limits of a fresh machine as values, and what is to be said of its knobs."""
    from pystack.host import Host
    from pystack.profiles import UnknownProfile
    from pystack.sysctl.errors import KnobError

    given: dict[str, object] = {}
    for text in sysctl:
        name, equals, value = text.partition("=")
        if not equals:
            fail(f"--sysctl {text!r}: write NAME=VALUE")
        given[name.strip()] = value.strip()
    try:
        with told_warnings() as warnings:
            host = Host("machine", profile=profile, ram=ram, sysctl=given)
    except (UnknownProfile, KnobError, ValueError, OSError) as error:
        fail(error)
    return [limit.as_dict() for limit in host.limits()], warnings


def show(found: list[Limit]) -> None:
    """The table for people: a bar and a colour on a terminal. A narrow one gets two lines for each."""
    if sys.stdout.isatty() and shutil.get_terminal_size().columns < WIDE:
        _narrow(found)
        return
    columns = (
        ("limit", ""),
        ("used", "right"),
        ("maximum", "right"),
        ("", ""),
        ("high water", "right"),
        ("failures", "right"),
        ("last", "right"),
        ("knob", ""),
    )
    table(columns, [_row(limit) for limit in found])


def _narrow(found: list[Limit]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    form = "{:<28} {:>9} {:>9} {:>10} {:>8} {:>10}"
    console.print(
        Text(
            form.format("limit", "used", "maximum", "high water", "failures", "last"), style="bold"
        )
    )
    for limit in found:
        name, used, maximum, drawn, high, failures, last, knob = _row(limit)
        console.print(Text(form.format(name, used, maximum, high, failures, last)))
        console.print(Text("  ") + drawn + Text(f"  {knob}"))


def _row(limit: Limit) -> tuple[Any, ...]:
    last = "" if limit.last_failure is None else f"{limit.last_failure / 1e9:.3f} s"
    maximum = "none" if limit.maximum is None else limit.maximum
    return (
        limit.name,
        limit.used,
        maximum,
        bar(limit),
        limit.high_water,
        limit.failures,
        last,
        limit.knob,
    )


def bar(limit: Limit) -> Text:
    """How full it is: green, from three quarters yellow, and red when it is full or has failed."""
    from rich.text import Text

    share = min(limit.share, 1.0)
    filled = round(share * WIDTH)
    if limit.used and not filled and limit.maximum:
        filled = 1
    colour = "green" if share < 0.75 else "yellow"
    if share >= 1 or limit.failures:
        colour = "red"
    return Text("█" * filled, style=colour) + Text("·" * (WIDTH - filled), style="dim")
