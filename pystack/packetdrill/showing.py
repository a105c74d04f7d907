"""A verdict for people: what was expected above what came, with a mark under every difference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from pystack.packetdrill.verdict import Verdict

__all__ = ["marks", "told"]

_WORD = re.compile(r"\s+|[\w.+-]+|\S")
_WINDOW = re.compile(r" win \d+")


def told(verdict: Verdict, *, trace: bool = False) -> Iterator[str]:
    """Lines. A failure shows both packets; `trace` adds all that happened, at its time."""
    where = f"{verdict.file}:{verdict.line}" if verdict.line else verdict.file
    yield f"{verdict.outcome:7} {where}" + (f": {verdict.message}" if verdict.message else "")
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

    A window is only marked where `expected` has one, the time only if `times`.
    """
    skipped = 0 if times else len(actual) - len(actual.lstrip("0123456789."))
    window = None if " win " in expected else _WINDOW.search(actual)
    want = _WORD.findall(expected if times else expected.lstrip("0123456789."))
    got = _WORD.findall(_WINDOW.sub("", actual[skipped:]) if window else actual[skipped:])
    line = " " * skipped
    for what, i, k, at, to in SequenceMatcher(None, want, got, autojunk=False).get_opcodes():
        if what == "delete" and "".join(want[i:k]).strip():
            line = line[:-1] + "+"
        line += ("^" if what != "equal" else " ") * len("".join(got[at:to]))
    if window:
        start, end = window.span()
        line = line[:start].ljust(start) + " " * (end - start) + line[start:]
    return line.rstrip()
