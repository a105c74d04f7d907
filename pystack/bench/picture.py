"""A curve over the number of buckets as SVG: packets a second, and the mean chain that a packet walks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 70, 50, 60
RATE, CHAIN = "#1f5fa8", "#b5532a"


class NoCurve(ValueError):
    """These figures have no sweep over buckets."""


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


def svg(curve: Sequence[tuple[int, float, float]], title: str) -> str:
    """The picture."""
    first, last = math.log2(curve[0][0]), math.log2(curve[-1][0])
    fastest = 1.1 * max(rate for _, rate, _ in curve)
    chains = [math.log10(max(1.0, chain)) for _, _, chain in curve]
    longest = max(1.0, math.ceil(max(chains)))
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(buckets: int) -> float:
        return LEFT + wide * (math.log2(buckets) - first) / (last - first)

    def y(share: float) -> float:
        return TOP + high * (1 - share)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{WIDTH / 2}" y="24" text-anchor="middle" font-size="15">{escape(title)}</text>',
    ]
    for step in range(6):
        share = step / 5
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(share):.1f}" y2="{y(share):.1f}" '
            'stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{y(share) + 4:.1f}" text-anchor="end" fill="{RATE}">'
            f"{fastest * share / 1e6:.1f} M</text>"
        )
    parts.extend(
        f'<text x="{WIDTH - RIGHT + 8}" y="{y(power / longest) + 4:.1f}" fill="{CHAIN}">'
        f"{10**power:,}</text>"
        for power in range(int(longest) + 1)
    )
    parts.extend(
        f'<text x="{x(buckets):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
        f"{_short(buckets)}</text>"
        for buckets, _, _ in curve
    )
    rates = " ".join(f"{x(b):.1f},{y(rate / fastest):.1f}" for b, rate, _ in curve)
    walked = " ".join(
        f"{x(b):.1f},{y(chain / longest):.1f}"
        for (b, _, _), chain in zip(curve, chains, strict=True)
    )
    parts += [
        f'<polyline points="{rates}" fill="none" stroke="{RATE}" stroke-width="2.5"/>',
        f'<polyline points="{walked}" fill="none" stroke="{CHAIN}" stroke-width="2.5" '
        'stroke-dasharray="6 4"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 14}" text-anchor="middle">buckets</text>',
        f'<text x="{LEFT}" y="{TOP - 10}" fill="{RATE}">packets a second</text>',
        f'<text x="{WIDTH - RIGHT}" y="{TOP - 10}" text-anchor="end" fill="{CHAIN}">'
        "nodes in the chain of a packet</text>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _short(number: int) -> str:
    for size, letter in ((1 << 20, "Mi"), (1 << 10, "Ki")):
        if number >= size:
            return f"{number // size}{letter}"
    return str(number)


def write(path: Path, found: Mapping[str, Any]) -> None:
    """The picture of a run into a file. Raises NoCurve, OSError."""
    path.write_text(
        svg(points(found), "conntrack: packets a second by the number of buckets"), "utf-8"
    )
