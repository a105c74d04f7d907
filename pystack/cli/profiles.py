"""`pystack profiles`: the operating systems that a machine can play."""

from __future__ import annotations

from typing import Annotated

import typer

from pystack.cli.common import Json, fail, print_json, say, table


def profiles(
    name: Annotated[
        str | None, typer.Argument(help="Show this one whole: policies and every default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the operating systems that a machine can play."""
    from pystack import profiles as known

    if name is not None:
        try:
            profile = known.load(name)
        except known.UnknownProfile as error:
            fail(error)
        described = profile.describe()
        if as_json:
            print_json(described)
        else:
            _show(described)
        return
    every = [known.load(each) for each in known.names()]
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


def _show(described: dict[str, object]) -> None:
    say(f"{described['title']} ({described['name']}): {described['doc']}")
    print()
    for heading in ("policy", "fixed", "sysctl"):
        values = described[heading]
        assert isinstance(values, dict)
        rows = [(name, _text(value)) for name, value in values.items()]
        table(((heading, ""), ("", "right")), rows)
        print()


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
