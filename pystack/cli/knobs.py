"""`pystack knobs`: every limit and timeout, by the name that the real system gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pystack.cli.common import Json, fail, print_json, say

if TYPE_CHECKING:
    from pystack.sysctl import Knob

MAY_CHANGE = {"run": "at any time", "boot": "at boot", "read-only": "never"}


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
    """List the knobs (sysctls): what they mean and take, and their default on each system.

    `*` behind a name: it is known, and has no effect here.
    """
    from pystack import profiles
    from pystack.sysctl import registry

    found = registry().search(pattern or "")
    if profile is not None:
        try:
            chosen = profiles.load(profile)
        except (profiles.UnknownProfile, profiles.TomlError, OSError) as error:
            fail(error)
        found = [knob for knob in found if chosen.find(knob.name) is not None]
    if not found:
        from pystack.sysctl.near import near

        fail(f"no knob matches {pattern!r}{near(pattern or '', registry())}", 1)
    if as_json:
        print_json([describe(knob) for knob in found])
        return
    for number, knob in enumerate(found):
        if number:
            print()
        _show(knob, profile)


def describe(knob: Knob) -> dict[str, object]:
    """All of a knob as plain values, with its default on each system, and where it may change at other times."""
    from pystack import profiles

    when = {name: each for name, each in profiles.whens(knob.name).items() if each != knob.when}
    return knob.describe() | {"defaults": profiles.defaults(knob.name), "when_on": when}


def _show(knob: Knob, profile: str | None) -> None:
    from pystack.sysctl.rules import RULES

    described = describe(knob)
    print(knob.name + ("*" if knob.effect else ""))
    say(knob.doc, indent="  ")
    low, high = described["min"], described["max"]
    defaults, when_on = described["defaults"], described["when_on"]
    assert isinstance(defaults, dict)
    assert isinstance(when_on, dict)
    if profile is not None:
        defaults = {name: value for name, value in defaults.items() if name == profile}
    elsewhere = {name: MAY_CHANGE[when] for name, when in when_on.items()}
    facts = {
        "type": f"{described['type']}, {knob.unit}" if knob.unit else described["type"],
        "range": "" if low is None else f"{low} to {high}",
        "choices": ", ".join(str(choice) for choice in knob.choices),
        "rules": " ".join(str(RULES[rule].__doc__).partition("\n")[0] for rule in knob.rules),
        "may change": "; ".join([MAY_CHANGE[knob.when], *by_value(elsewhere)]),
        "default": "; ".join(by_value(defaults)),
        "old names": ", ".join(knob.aliases),
        "sets": ", ".join(knob.attributes),
        "acts": knob.acts,
        "no effect": knob.effect,
        "source": knob.source,
    }
    for name, value in facts.items():
        if value:
            say(str(value).replace("\t", " "), indent=" " * 15, first=f"  {name + ':':<13}")


def by_value(found: dict[str, str]) -> list[str]:
    """Each value once, with the systems that have it: 60 on linux-4, linux-6."""
    owners: dict[str, list[str]] = {}
    for name, value in found.items():
        owners.setdefault(value, []).append(name)
    return [f"{value or 'empty'} on {', '.join(names)}" for value, names in owners.items()]
