"""What subcommands share: one-line errors, tables, JSON."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


def fail(why: object, status: int = 2) -> NoReturn:
    """Say in one line why not (a text or an exception), and end with this status."""
    print(f"pystack: {' '.join(told(why).split())}", file=sys.stderr)
    raise typer.Exit(status)


def told(why: object) -> str:
    """What an exception says, as people say it."""
    knob = getattr(why, "knob", None)
    if knob is not None:
        return str(why) if knob in str(why) else f"{knob}: {why}"
    if isinstance(why, OSError) and why.strerror:
        return f"{why.filename}: {why.strerror}" if why.filename else why.strerror
    if isinstance(why, KeyError):
        return str(why.args[0])
    return str(why)


def to_write(path: Path | None) -> None:
    """What is to be written at the end can be: fail now, and not when the work is done."""
    if path is None:
        return
    folder = path.parent
    if path.is_dir() or not folder.is_dir():
        fail(
            f"{path}: {'it is a directory' if path.is_dir() else f'there is no directory {folder}'}"
        )
    if not os.access(path if path.exists() else folder, os.W_OK):
        fail(f"{path}: Permission denied")


def print_json(value: Any) -> None:
    """Indented, keys in their own order."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    print()


def table(
    columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]], *, title: str | None = None
) -> None:
    """A table as wide as the terminal: (heading, "left" or "right") for each column.

    The first column is never cut. Without a terminal nothing is cut.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    headings = any(heading for heading, _ in columns)
    out = Table(
        title=title,
        title_justify="left",
        box=None,
        pad_edge=False,
        show_header=headings,
        header_style="bold",
    )
    for number, (heading, side) in enumerate(columns):
        out.add_column(
            heading,
            justify="right" if side == "right" else "left",
            no_wrap=number == 0,
            min_width=len(heading),
            overflow="fold",
        )
    for row in rows:
        out.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    console.print(out, soft_wrap=False)


def say(text: str, *, indent: str = "", first: str | None = None) -> None:
    """Print a paragraph, wrapped where a terminal is; `first` begins its first line."""
    start = indent if first is None else first
    if not sys.stdout.isatty():
        print(start + text)
        return
    width = min(shutil.get_terminal_size().columns, 100)
    print(textwrap.fill(text, width, initial_indent=start, subsequent_indent=indent))


@contextmanager
def told_warnings() -> Iterator[list[str]]:
    """Warnings of the library become lines, for the caller to print."""
    lines: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield lines
    lines += [str(warning.message) for warning in caught]
