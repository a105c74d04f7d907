"""`pystack knobs`: every limit and timeout, by the name that the real system gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pystack.cli.common import Json, fail, print_json, say, table

if TYPE_CHECKING:
    from pystack.sysctl import Knob


def knobs(
    pattern: Annotated[
        str | None,
        typer.Argument(help="A name, a tree (net.inet.tcp), a glob, or a word of the description."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Only knobs of this profile.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the knobs (sysctls): what they mean, and their default on each system.

    One that matches alone is shown whole, units and all. `*` behind a name: it is known, and nothing obeys it yet.
    """
    from pystack import profiles
    from pystack.sysctl import registry

    found = registry().search(pattern or "")
    if profile is not None:
        try:
            chosen = profiles.load(profile)
        except profiles.UnknownProfile as error:
            fail(error)
        found = [knob for knob in found if chosen.find(knob.name) is not None]
    if not found:
        from pystack.sysctl.near import near

        fail(f"no knob matches {pattern!r}{near(pattern or '', registry())}", 1)
    if as_json:
        print_json([knob.describe() | {"defaults": profiles.defaults(knob.name)} for knob in found])
    elif len(found) == 1:
        _one(found[0])
    else:
        _list(found, [profile] if profile else profiles.names())


def _list(found: list[Knob], systems: list[str]) -> None:
    from pystack import profiles

    every = [profiles.defaults(knob.name) for knob in found]
    systems = [system for system in systems if any(system in defaults for defaults in every)]
    rows = []
    for knob, defaults in zip(found, every, strict=True):
        mark = "*" if knob.effect else ""
        values = [defaults.get(system, "-") for system in systems]
        rows.append((knob.name + mark, *values))
    columns = [("knob", ""), *((system, "right") for system in systems)]
    table(columns, rows)


def _one(knob: Knob) -> None:
    from pystack import profiles

    described = knob.describe()
    print(knob.name)
    say(knob.doc, indent="  ")
    low, high = described["min"], described["max"]
    facts = {
        "type": described["type"],
        "unit": knob.unit,
        "range": "" if low is None else f"{low} to {high}",
        "choices": ", ".join(str(choice) for choice in knob.choices),
        "may change": {"run": "at any time", "boot": "at boot"}.get(knob.when, "never"),
        "old names": ", ".join(knob.aliases),
        "sets": ", ".join(knob.attributes),
        "acts": knob.acts,
        "no effect": knob.effect,
        "source": knob.source,
    }
    facts |= {f"on {name}": value for name, value in profiles.defaults(knob.name).items()}
    for name, value in facts.items():
        if value:
            say(str(value).replace("\t", " "), indent=" " * 18, first=f"  {name + ':':<16}")
