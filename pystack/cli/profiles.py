"""`pystack profiles`: the operating systems that a machine can play."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pystack.cli.common import Json, fail, print_json, say, table

if TYPE_CHECKING:
    from pystack.profiles import Profile


def profiles(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME] | diff NAME NAME...",
            help="Show this one whole, policies and every default; or how some differ.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the operating systems that a machine can play, show one, or show how they differ."""
    from pystack import profiles as known

    first, *others = words or [""]
    if first == "diff":
        if len(others) < 2:
            fail("diff: name two profiles or more")
        _differ([_load(name) for name in others], as_json)
    elif others:
        fail(f"one profile at a time; to compare: pystack profiles diff {' '.join(words or ())}")
    elif first:
        described = _load(first).describe()
        if as_json:
            print_json(described)
        else:
            _show(described)
    else:
        _list([known.load(each) for each in known.names()], as_json)


def _load(name: str) -> Profile:
    from pystack import profiles as known

    try:
        return known.load(name)
    except (known.UnknownProfile, known.TomlError, OSError) as error:
        fail(error)


def _list(every: list[Profile], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "name": each.name,
                    "title": each.title,
                    "system": each.system,
                    "doc": each.doc,
                    "knobs": len(each.knobs),
                }
                for each in every
            ]
        )
        return
    rows = [(each.name, each.title, len(each.knobs), each.doc) for each in every]
    table((("profile", ""), ("system", ""), ("knobs", "right"), ("", "")), rows)


def _differ(chosen: list[Profile], as_json: bool) -> None:
    """What is not the same in all of them: numbers in columns, words of the log below each other."""
    from pystack import profiles as known

    names = [each.name for each in chosen]
    rows = known.compare(*chosen)
    if as_json:
        print_json(
            [
                {"section": section, "name": name, "values": dict(zip(names, values, strict=True))}
                for section, name, values in rows
            ]
        )
        return
    if not rows:
        print(f"{' and '.join(names)} do not differ")
    for section in known.SECTIONS:
        part = [(name, values) for found, name, values in rows if found == section]
        if not part:
            continue
        if section == "messages":
            _differ_in_words(names, part)
        else:
            table(
                ((section, ""), *((name, "right") for name in names)),
                [(name, *(value.replace("\t", " ") for value in values)) for name, values in part],
            )
            print()


def _differ_in_words(names: list[str], part: list[tuple[str, list[str]]]) -> None:
    for name, values in part:
        print(f"messages {name}")
        for profile, value in zip(names, values, strict=True):
            say(value, indent=" " * 4, first=f"  {profile}: ")


def _show(described: dict[str, object]) -> None:
    say(f"{described['title']} ({described['name']}): {described['doc']}")
    print()
    for heading in ("policy", "fixed", "sysctl"):
        values = described[heading]
        assert isinstance(values, dict)
        rows = [(name, _text(heading, value)) for name, value in values.items()]
        table(((heading, ""), ("", "right")), rows)
        print()


def _text(heading: str, value: object) -> str:
    from pystack.profiles import fixed_text

    if heading == "fixed":
        assert isinstance(value, int)
        return fixed_text(value)
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
