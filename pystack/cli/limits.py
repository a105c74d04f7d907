"""`pystack limits`: what a machine can run out of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pystack.cli.common import Json, fail, print_json, table, told_warnings

if TYPE_CHECKING:
    from rich.text import Text

    from pystack.limits import Limit

WIDTH = 20
"""Characters of the bar."""


def limits(
    profile: Annotated[str, typer.Option(help="Operating system.")] = "freebsd-10",
    ram: Annotated[str | None, typer.Option(help="Memory of the machine, as 8GiB.")] = None,
    sysctl: Annotated[list[str] | None, typer.Option(help="A knob at boot: NAME=VALUE.")] = None,
    as_json: Json = False,
) -> None:
    """What a machine can run out of, and the knob for each: a machine of this system, freshly booted.

    In Python `host.limits()` says the same of a running one.
    """
    from pystack.host import Host
    from pystack.profiles import UnknownProfile
    from pystack.sysctl.errors import KnobError

    given: dict[str, object] = {}
    for text in sysctl or ():
        name, equals, value = text.partition("=")
        if not equals:
            fail(f"--sysctl {text!r}: write NAME=VALUE")
        given[name.strip()] = value.strip()
    try:
        with told_warnings() as warnings:
            host = Host("machine", profile=profile, ram=ram, sysctl=given)
    except (UnknownProfile, KnobError, ValueError) as error:
        fail(error)
    found = host.limits()
    if as_json:
        print_json([limit.as_dict() for limit in found])
        return
    show(found)
    for line in warnings:
        print(line)


def show(found: list[Limit]) -> None:
    """The table for people: a bar and a colour on a terminal."""
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


def _row(limit: Limit) -> tuple[object, ...]:
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
