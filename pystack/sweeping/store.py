"""Results of a sweep in SQLite, one row a point, written as they come: what is there is not run again."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from pystack.sweeping.plan import Point

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS runs (sweep TEXT, point TEXT, row TEXT, PRIMARY KEY (sweep, point))"
)


class Store:
    """A file of results; "" for one in memory. Several sweeps may share it: each has its own name, which follows from
    the scenario's text and settings. Raises OSError for a file that cannot be, or is none.
    """

    def __init__(self, path: str | os.PathLike[str], scenario: str) -> None:
        self.path = os.fspath(path)
        self.sweep = hashlib.sha256(scenario.encode()).hexdigest()[:16]
        try:
            self._base = sqlite3.connect(self.path or ":memory:", isolation_level=None)
            self._base.execute(SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}") from None

    def close(self) -> None:
        """Nothing more is added."""
        self._base.close()

    def add(self, point: Point, row: dict[str, Any]) -> bool:
        """A result; False where that point has one already, which stays."""
        values = (self.sweep, point.key, json.dumps(row))
        done = self._base.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, ?)", values)
        return done.rowcount == 1

    def rows(self, points: Iterable[Point]) -> dict[Point, dict[str, Any]]:
        """The results that are there, of these points."""
        with closing(
            self._base.execute("SELECT point, row FROM runs WHERE sweep = ?", (self.sweep,))
        ) as found:
            known = dict(found.fetchall())
        return {point: json.loads(known[point.key]) for point in points if point.key in known}
