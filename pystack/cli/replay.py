"""`pystack conntrack-replay`: recorded flows against our conntrack."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pystack.cli.common import Json, fail, print_json


def conntrack_replay(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Recordings, a flow a line.")
    ],
    profile: Annotated[str, typer.Option(help="Whose conntrack.")] = "linux-6",
    as_json: Json = False,
) -> None:
    """Play recorded flows through a forwarding machine and compare each packet with the recording.

    Prints how many flows came out alike, and the first difference. Exit status 1 if any differs.
    """
    from pystack import replay

    total = replay.Result()
    for path in files:
        try:
            with path.open(encoding="utf-8") as lines:
                result = replay.replay(replay.recorded(lines, str(path)), profile)
        except (OSError, ValueError, KeyError) as error:
            fail(error)
        total.equal += result.equal
        total.packets += result.packets
        total.differences += result.differences
    if as_json:
        first = [asdict(each) for each in total.differences[:1]]
        counts = {"equal": total.equal, "differ": total.differ, "packets": total.packets}
        print_json({**counts, "first_difference": first[0] if first else None})
    else:
        if total.differences:
            print(total.differences[0])
        print(f"{total.equal} equal, {total.differ} differ")
    if total.differences:
        raise typer.Exit(1)
