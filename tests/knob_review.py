"""Does every knob tell the truth? Finds settings that nothing reads and knobs that boast.

    python tests/knob_review.py             what is out of step
    python tests/knob_review.py --mark      put `effect` right in pystack/knobs/*.toml

A knob whose `effect` is empty claims to be obeyed: some code outside the registry must read one of
its settings. One with an `effect` says that nothing does. The tests hold both to it, so whoever
teaches the core to obey a knob runs `--mark`.
"""

import re
import sys
from pathlib import Path

from pystack._fast.config import DEFAULTS
from pystack.sysctl import Knob, registry

PACKAGE = Path(__file__).parents[1] / "pystack"
OWN = {"sysctl", "profiles"}
"""Folders that carry settings about without acting on them."""


def sources(package: Path = PACKAGE) -> list[Path]:
    """Files that might obey a knob."""
    return [
        path
        for path in sorted(package.rglob("*.py"))
        if path.relative_to(package).parts[0] not in OWN
        and path.relative_to(package).parts != ("_fast", "config.py")
    ]


def read_settings(paths: list[Path]) -> dict[str, list[str]]:
    """Setting -> names of the files that read it as an attribute (writing does not count)."""
    out: dict[str, list[str]] = {name: [] for name in DEFAULTS}
    pattern = re.compile(r"\.([a-z][a-z0-9_]+)\b(?!\s*=[^=])")
    for path in paths:
        for name in set(pattern.findall(path.read_text("utf-8"))) & out.keys():
            out[name].append(path.name)
    return out


def boasters(knobs: list[Knob], readers: dict[str, list[str]]) -> list[str]:
    """Knobs that claim an effect although nothing reads any of their settings."""
    return [
        knob.name
        for knob in knobs
        if not knob.effect and knob.attributes and not any(readers[a] for a in knob.attributes)
    ]


def modest(knobs: list[Knob], readers: dict[str, list[str]]) -> list[str]:
    """Knobs that claim to have no effect although something reads one of their settings."""
    return [k.name for k in knobs if k.effect and any(readers[a] for a in k.attributes)]


YET = 'effect = "not obeyed yet"\n'


def mark(text: str, boasting: list[str], denying: list[str]) -> str:
    """A knob file in which these knobs say that they are not obeyed yet, and those no longer."""
    for name in boasting:
        head = f'["{name}"]\n'
        before, found, after = text.partition(head)
        if found:
            text = before + head + after.replace("source = ", YET + "source = ", 1)
    for name in denying:
        head = f'["{name}"]\n'
        before, found, after = text.partition(head)
        if found:
            own, sep, rest = after.partition("source = ")
            text = before + head + own.replace(YET, "") + sep + rest
    return text


def main() -> None:
    readers = read_settings(sources())
    knobs = list(registry().values())
    if "--mark" in sys.argv[1:]:
        for path in sorted((PACKAGE / "knobs").glob("*.toml")):
            old = path.read_text("utf-8")
            path.write_text(mark(old, boasters(knobs, readers), modest(knobs, readers)), "utf-8")
        return
    sections = {
        "settings that nothing reads": [name for name, files in readers.items() if not files],
        "knobs that claim an effect and have none": boasters(knobs, readers),
        "knobs that have an effect and deny it": modest(knobs, readers),
    }
    for title, found in sections.items():
        print(f"{len(found)} {title}")
        for name in found:
            print(f"    {name}")


if __name__ == "__main__":
    main()
