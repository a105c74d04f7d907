"""All knobs of all systems, read once from `pystack/knobs/*.toml`.

A knob file has one table for each knob, headed by its name:

    ["net.inet.tcp.msl"]
    doc = "Maximum segment lifetime: TIME_WAIT lasts twice as long."
    unit = "ms"
    sets = "tcp_timewait"
    scale = 2
    min = 1
    source = "tcp_timer.h"

Which system has the knob, and its default there, stands in `pystack/profiles/*.toml`. Every key is
described at its field in `Knob`; what is not a key is an error with file, line and column.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pystack._fast import consts
from pystack._fast.config import DEFAULTS
from pystack.sysctl.knob import RANGES, UNITS, Knob, Value
from pystack.sysctl.near import near
from pystack.sysctl.rules import RULES
from pystack.sysctl.strict_toml import Document

_KEYS: Mapping[str, type | None] = {
    "doc": str,
    "source": str,
    "aliases": list,
    "type": str,
    "count": int,
    "unit": str,
    "when": str,
    "min": int,
    "max": int,
    "rules": list,
    "sets": None,
    "scale": int,
    "offset": int,
    "choices": dict,
    "acts": str,
    "effect": str,
}


class Registry(Mapping[str, Knob]):
    """The knobs by name, in the order of the files. Old names find them too, but are not listed."""

    def __init__(self, documents: list[Document]) -> None:
        """Read knob files. Raises TomlError at the first thing that is not as it should be."""
        knobs: dict[str, Knob] = {}
        aliases: dict[str, str] = {}
        for document in documents:
            for name, table in document.data.items():
                if not isinstance(table, dict):
                    raise document.error("", name, f"{name!r} is not a table of a knob")
                knob = _knob(document, name, table)
                for known in (name, *knob.aliases):
                    if known in knobs or known in aliases:
                        raise document.error(name, "", f"{known} is declared twice")
                knobs[name] = knob
                aliases |= dict.fromkeys(knob.aliases, name)
        self._knobs = knobs
        self._aliases = MappingProxyType(aliases)

    def __getitem__(self, name: str) -> Knob:
        return self._knobs[self._aliases.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._knobs)

    def __len__(self) -> int:
        return len(self._knobs)

    def search(self, pattern: str = "") -> list[Knob]:
        """Knobs whose name, old name or description has the pattern (a glob, a tree, or a word)."""
        return [
            knob
            for knob in self._knobs.values()
            if any(matches(name, pattern) for name in (knob.name, *knob.aliases))
            or (pattern and pattern.lower() in knob.doc.lower())
        ]


def matches(name: str, pattern: str) -> bool:
    """Does a name match: all of it, a tree above it, a glob, or a part without a dot?"""
    if not pattern or name == pattern or name.startswith(pattern.rstrip(".") + "."):
        return True
    if any(c in pattern for c in "*?["):
        return fnmatch.fnmatchcase(name, pattern)
    return "." not in pattern and pattern in name


def _names(document: Document, table: str, values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = document.typed(table, values, key, list) if key in values else []
    if not all(isinstance(item, str) for item in found):
        raise document.error(table, key, f"{key} must be a list of strings")
    return tuple(found)


def _one_of(document: Document, table: str, key: str, value: str, known: Any) -> str:
    if value not in known:
        text = f"{key} {value!r} is none of {', '.join(filter(None, known))}"
        raise document.error(table, key, text + near(value, known))
    return value


def _attribute(document: Document, table: str, key: str, name: object) -> str:
    if not isinstance(name, str) or name not in DEFAULTS:
        raise document.error(table, key, f"no such setting: {name!r}{near(str(name), DEFAULTS)}")
    return name


def _sets(document: Document, table: str, value: object) -> tuple[tuple[str, ...], ...]:
    """`sets`: one attribute, a list of them (one for each number), or a list of lists."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise document.error(table, "sets", "sets must be a setting or a list of settings")
    rows = [item if isinstance(item, list) else [item] for item in value]
    return tuple(tuple(_attribute(document, table, "sets", name) for name in row) for row in rows)


def _choices(
    document: Document, table: str, kind: str, choices: Mapping[str, Any]
) -> Mapping[Value, Mapping[str, int]]:
    """`choices`: value -> {setting = number or name of a constant}. Keys of TOML are strings."""
    out: dict[Value, Mapping[str, int]] = {}
    for text, settings in choices.items():
        if not isinstance(settings, dict):
            raise document.error(table, "choices", f"choice {text} is not a table of settings")
        numbers: dict[str, int] = {}
        for name, raw in settings.items():
            number = getattr(consts, raw, None) if isinstance(raw, str) else raw
            if type(number) is not int:
                raise document.error(table, "choices", f"{name}: {raw!r} is not a number")
            numbers[_attribute(document, table, "choices", name)] = number
        if kind != "string" and not text.lstrip("-").isdecimal():
            raise document.error(table, "choices", f"choice {text!r} of an {kind} is no number")
        out[text if kind == "string" else int(text)] = MappingProxyType(numbers)
    if out and kind != "string" and 1 not in out:
        raise document.error(table, "choices", "choices of a number must have 1")
    return MappingProxyType(out)


def _knob(document: Document, name: str, table: Mapping[str, Any]) -> Knob:
    """One table of a knob file as a Knob; TomlError where it is not one."""
    document.only(name, table, _KEYS)
    for key, python_type in _KEYS.items():
        if key in table:
            document.typed(name, table, key, python_type)
        elif key in ("doc", "source"):
            raise document.error(name, "", f"{name} has no {key}")
    kind = _one_of(document, name, "type", table.get("type", "int"), (*RANGES, "string"))
    when = _one_of(document, name, "when", table.get("when", "run"), ("run", "boot", "read-only"))
    unit = _one_of(document, name, "unit", table.get("unit", ""), UNITS)
    rules = _names(document, name, table, "rules")
    for rule in rules:
        _one_of(document, name, "rules", rule, RULES)
    sets = _sets(document, name, table.get("sets", []))
    choices = _choices(document, name, kind, table.get("choices", {}))
    count = table.get("count", 1)
    effect = table.get("effect", "")
    if sets and choices:
        raise document.error(name, "choices", "a knob has sets or choices, not both")
    if sets and len(sets) != count:
        text = f"{len(sets)} groups of settings for a value of {count}"
        raise document.error(name, "sets", text)
    acts = table.get("acts", "")
    if when != "read-only" and not (sets or choices or acts or effect):
        text = f"{name} sets nothing: say in `acts` how it is obeyed, or in `effect` why not"
        raise document.error(name, "", text)
    return Knob(
        name=name,
        doc=table["doc"],
        source=table["source"],
        aliases=_names(document, name, table, "aliases"),
        type=kind,
        count=count,
        unit=unit,
        when=when,  # type: ignore[arg-type]  # checked just above
        low=table.get("min"),
        high=table.get("max"),
        rules=rules,
        sets=sets,
        scale=table.get("scale", 1),
        offset=table.get("offset", 0),
        choices=choices,
        acts=acts,
        effect=effect,
    )


def data_files(folder: str) -> list[Path]:
    """The TOML files of `pystack/<folder>`, by name."""
    return sorted(Path(__file__).parents[1].joinpath(folder).glob("*.toml"))


@functools.cache
def registry() -> Registry:
    """The knobs that come with pystack."""
    return Registry([Document.read(path) for path in data_files("knobs")])
