"""`pystack conntrack-replay` and `pystack ipfw-replay`: what others recorded, against what we make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pystack.cli.common import Json, fail, print_json

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings, JSON lines.")]


def conntrack_replay(
    files: Files,
    profile: Annotated[str, typer.Option(help="Whose conntrack.")] = "linux-6",
    as_json: Json = False,
) -> None:
    """Play recorded flows through a forwarding machine and compare each packet with the recording.

    Prints how many flows came out alike, and the first difference. Exit status 1 if any differs.
    """
    from pystack import replay

    _play(
        files,
        as_json,
        "packets",
        lambda lines, name: replay.replay(replay.recorded(lines, name), profile),
    )


def ipfw_replay(
    files: Files,
    profile: Annotated[str, typer.Option(help="Whose ipfw.")] = "freebsd-10",
    as_json: Json = False,
) -> None:
    """Put recorded packets through ipfw rules, second by second, and compare each step with the recording.

    Prints how many scenarios came out alike, and the first difference. Exit status 1 if any differs.
    """
    from pystack import ipfw_replay as replay

    _play(
        files,
        as_json,
        "steps",
        lambda lines, name: replay.replay(replay.recorded(lines, name), profile),
    )


def _play(files: list[Path], as_json: bool, pieces: str, play: Callable[[Any, str], Any]) -> None:
    """Play all files and print the sum; `pieces`: what the pieces of a recording are called."""
    counts = {"equal": 0, "differ": 0, pieces: 0}
    differences: list[Any] = []
    for path in files:
        try:
            with path.open(encoding="utf-8") as lines:
                result = play(lines, str(path))
        except (OSError, ValueError, KeyError) as error:
            fail(error)
        counts["equal"] += result.equal
        counts["differ"] += result.differ
        counts[pieces] += result.pieces
        differences += result.differences
    if as_json:
        first = asdict(differences[0]) if differences else None
        print_json({**counts, "first_difference": first})
    else:
        if differences:
            print(differences[0])
        print(f"{counts['equal']} equal, {counts['differ']} differ")
    if differences:
        raise typer.Exit(1)
