"""The sweep over buckets drawn: packets a second, and the mean chain that a packet walks."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pystack.report.plots import BAD, LINE, figure

FORMATS = ("svg", "png", "pdf")


class NoCurve(ValueError):
    """There is nothing to draw, no such format, or nowhere to put it."""


def check(path: Path) -> None:
    """Can there be a picture in this file? Before anything is measured. Raises NoCurve."""
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise NoCurve(f"a picture is {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, not {path.name!r}")
    if not path.parent.is_dir():
        raise NoCurve(f"{path.parent}: {os.strerror(errno.ENOENT)}")


def points(found: Mapping[str, Any]) -> list[tuple[int, float, float]]:
    """(buckets, packets a second, mean chain) of `pystack bench conntrack --json`. Raises NoCurve."""
    out = []
    for key, value in found.items():
        head, _, tail = key.removeprefix("packets_in_").partition("_")
        if key.startswith("packets_in_") and head.isdecimal() and tail == "per_second":
            out.append((int(head), float(value), float(found[f"chain_mean_{head}"])))
    if len(out) < 2:
        raise NoCurve("there is no sweep over buckets: the picture is of `bench conntrack`")
    return sorted(out)


def write(path: Path, found: Mapping[str, Any]) -> None:
    """The picture of a run into a file, in the format of its suffix. Raises NoCurve, OSError."""
    buckets, rates, chains = zip(*points(found), strict=True)
    made, axes = figure(7.5, 4.2)
    axes.plot(buckets, [rate / 1e6 for rate in rates], "o-", color=LINE, ms=4)
    axes.set_xscale("log", base=2)
    axes.set_xticks(buckets, [f"{n:,}" for n in buckets], rotation=45, ha="right", fontsize=8)
    axes.set_xlabel("buckets")
    axes.set_ylabel("million packets a second", color=LINE)
    axes.set_ylim(bottom=0)
    walked = axes.twinx()
    walked.spines[["top", "left"]].set_visible(False)
    walked.plot(buckets, chains, "s--", color=BAD, ms=4)
    walked.set_yscale("log")
    walked.set_ylabel("nodes in the chain of a packet, mean", color=BAD)
    walked.yaxis.set_major_formatter("{x:,.6g}")
    axes.set_title("conntrack: packets a second by the number of buckets", fontsize=11)
    made.savefig(path, format=path.suffix.lower().removeprefix("."), dpi=150)
