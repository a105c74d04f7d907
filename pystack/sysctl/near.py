"""Names that somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(name: str, known: Iterable[str], most: int = 3) -> str:
    """'; did you mean "a", "b"?' with the names of `known` that look like `name`, or ''."""
    names = list(known)
    found = difflib.get_close_matches(name, names, most, 0.75)
    last = name.rpartition(".")[2]
    if "." in name and last:  # the right leaf on the wrong branch
        found += [n for n in names if n.rpartition(".")[2] == last and n not in found][:most]
    if not found:
        found = difflib.get_close_matches(name, names, most, 0.6)
    return f"; did you mean {', '.join(found[:most])}?" if found else ""
