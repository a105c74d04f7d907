"""nstat(8) as a command of a script: the counters of a Linux machine, and what each has grown by."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from pystack.views import counters


class Nstat:
    """What nstat(8) of iproute2 prints: how a counter has grown since it was seen last, and at first since boot."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self._seen: dict[str, int] = {}

    def now(self) -> dict[str, int]:
        """All counters as they stand."""
        return counters.nstat(self.host.core, counters.recycles(self.host))

    def knows(self, word: str) -> bool:
        """Are all counters whose names have `word` in them counted here? One that is not would look like one that is
        0.
        """
        meant = [name for name in self.now() if word in name]
        return bool(meant) and not counters.UNCOUNTED.intersection(meant)

    def lines(self, flags: str, patterns: list[str]) -> list[str]:
        """Its output: with `a` sums instead of growth, with `z` counters of 0 too, with `s` it remembers what it
        remembered, with `n` it only remembers.
        """
        now = self.now()
        before = {} if "a" in flags else self._seen
        if "s" not in flags:
            self._seen = now
        if "n" in flags:
            return []
        found = ["#kernel"]
        for name, value in now.items():
            grown = value - before.get(name, 0)
            if patterns and not any(fnmatchcase(name, pattern) for pattern in patterns):
                continue
            if grown or "z" in flags:
                found.append(f"{name:<32} {grown:<16} 0.0")
        return found
