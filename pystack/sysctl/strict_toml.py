"""TOML that says where: tomllib has no positions, so they are found again by searching the text.

Used for the knob and profile files, which must fail with file, line and column at the first key
that nobody reads.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pystack.sysctl.near import near


class TomlError(ValueError):
    """A TOML file that is not what it should be; the text begins with file:line:column."""


class Document:
    """One TOML file: its tables (`data`) and where each key stands."""

    def __init__(self, text: str, name: str) -> None:
        """Parse `text`; `name` is what errors call the file. Raises TomlError."""
        self.name = name
        self.lines = text.splitlines()
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as e:
            found = re.search(r"\(at line (\d+), column (\d+)\)", str(e))
            place = f"{found[1]}:{found[2]}" if found else f"{len(self.lines)}:1"
            raise TomlError(f"{name}:{place}: {str(e).partition(' (at')[0]}") from None

    @classmethod
    def read(cls, path: Path) -> Document:
        """The file at `path`; errors call it by its last two components."""
        return cls(path.read_text("utf-8"), "/".join(path.parts[-2:]))

    def where(self, table: str, key: str = "") -> str:
        """file:line:column of `key` in [table] ('' = before the first table), or of a header."""
        row, at = 1, 1
        inside = not table
        for number, line in enumerate(self.lines, 1):
            header = re.match(r"\s*\[\[?\s*(.*?)\s*\]", line)
            if header:
                found_table = header[1].strip("\"'")
                inside = found_table == table
                if inside or (not table and found_table == key):
                    row, at = number, line.index("[") + 1
                    if not inside or not key:
                        break
            elif inside and key:
                found = re.match(rf"(\s*)[\"']?{re.escape(key)}[\"']?\s*=", line)
                if found:
                    row, at = number, len(found[1]) + 1
                    break
        return f"{self.name}:{row}:{at}"

    def error(self, table: str, key: str, text: str) -> TomlError:
        """The error to raise for this key."""
        return TomlError(f"{self.where(table, key)}: {text}")

    def only(self, table: str, found: Iterable[str], known: Iterable[str]) -> None:
        """Raise TomlError at the first of `found` that is not in `known`."""
        known = list(known)
        for key in found:
            if key not in known:
                raise self.error(table, key, f"unknown key {key!r}{near(key, known)}")

    def typed(self, table: str, values: Mapping[str, Any], key: str, kind: type | None) -> Any:
        """values[key] if it is of this type; raises TomlError where it is not."""
        value = values[key]
        if kind is not None and (
            not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        ):
            text = f"{key} must be {kind.__name__}, not {type(value).__name__}"
            raise self.error(table, key, text)
        return value
