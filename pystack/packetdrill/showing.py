"""A verdict for people: what was expected above what came, with a mark under every difference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from pystack.packetdrill.verdict import Verdict

__all__ = ["marks", "told"]

_WORD = re.compile(r"[\w.+-]+|\S")
_TIME = re.compile(r"^[0-9.]+")
_WINDOW = re.compile(r" win \d+")
_OPTIONS = re.compile(r" <[^>]*>")


def told(verdict: Verdict, *, trace: bool = False) -> Iterator[str]:
    """Lines. A failure shows both packets; `trace` adds all that happened, at its time."""
    yield f"{verdict.outcome:7} {verdict.where}" + (
        f": {verdict.message}" if verdict.message else ""
    )
    if verdict.expected or verdict.actual:
        yield f"        script  {verdict.expected}"
        yield f"        actual  {verdict.actual or 'nothing'}"
        if verdict.actual:
            timing = verdict.message.startswith("timing")
            marked = marks(verdict.expected, verdict.actual, times=timing)
            yield from (f"                {marked}" for _ in range(bool(marked)))
    if trace:
        yield from (f"        {moment}" for moment in verdict.trace)


def marks(expected: str, actual: str, *, times: bool) -> str:
    """`^` under each word of `actual` that `expected` does not have there, `+` before a missing one.

    What the line does not ask for is not marked: a window or options, and the time unless `times`.
    """
    unasked = []
    if not times:
        unasked.append(_TIME)
    if not _WINDOW.search(expected):
        unasked.append(_WINDOW)
    if " <...>" in expected:
        unasked.append(_OPTIONS)
    spans = [match.span() for each in unasked if (match := each.search(actual))]
    for each in unasked:
        expected = each.sub("", expected, count=1)
    words = [
        word
        for word in _WORD.finditer(actual)
        if not any(start <= word.start() < end for start, end in spans)
    ]
    line = [" "] * (len(actual) + 1)
    compared = SequenceMatcher(None, _WORD.findall(expected), [w[0] for w in words], autojunk=False)
    for what, _, _, at, to in compared.get_opcodes():
        if what == "delete":
            line[words[at].start() - 1 if at < len(words) else len(actual)] = "+"
        elif what != "equal":
            for word in words[at:to]:
                line[word.start() : word.end()] = "^" * len(word[0])
    return "".join(line).rstrip()
