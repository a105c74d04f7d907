"""Text to `Script`.

A script is data: parsing runs nothing, opens nothing but the file it is given, and raises nothing but
ScriptError, which names file, line, column, what stands there and what should.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

from lark import Lark, UnexpectedInput

from pystack.packetdrill import script as ast
from pystack.packetdrill.build import Builder, RawEvent, RawScript, RawText, integer, unescape
from pystack.packetdrill.lexer import QuickLexer
from pystack.packetdrill.source import (
    ScriptError,
    Source,
    Wrong,
    head_options,
    located,
    named_profiles,
    split_option,
    word_at,
)
from pystack.packetdrill.wanted import hint, in_words

__all__ = ["ScriptError", "parse", "parse_file", "predefined"]


def parse_file(
    path: str | os.PathLike[str], *, profile: str = "", defines: Mapping[str, str] | None = None
) -> ast.Script:
    """`parse` of a file; one that is not UTF-8 is Latin-1. Raises OSError and ScriptError."""
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return parse(text, str(path), profile=profile, defines=defines)


def parse(
    text: str,
    path: str = "<script>",
    *,
    profile: str = "",
    defines: Mapping[str, str] | None = None,
) -> ast.Script:
    """The script that a text is; `path` is for messages only.

    `profile` says which system `#ifdef` predefines. `defines` are the symbols of the command line, each
    with its value as written there: they win over the script's own, and one with "" is for `#ifdef` alone.
    Raises ScriptError.
    """
    symbols: dict[str, str] = {}
    if "--define" in text or "-D" in text:
        symbols = dict(_symbols(text))
    symbols |= defines or {}
    try:
        source = Source(text, path, predefined(profile) | symbols.keys(), symbols)
        try:
            return _script(source, _parsed(source.plain))
        except Wrong as wrong:
            found = source.error(wrong)
    except Wrong as wrong:
        found = located(text, path, wrong.offset, wrong)
    # Not in a handler: the error would drag the parser along as its context, and an error has to cross processes, also
    # where a library pickles all of it (tblib, which comes with Dask).
    raise found


_SYSTEMS = {"freebsd": "FreeBSD", "linux": "Linux", "netbsd": "NetBSD", "openbsd": "OpenBSD"}
_SYSTEMS |= {"sunos": "Solaris", "macos": "Apple"}


def predefined(profile: str) -> set[str]:
    """The names that `#ifdef` finds on a profile: its system's."""
    system = _SYSTEMS.get(profile.partition("-")[0])
    return {system} if system else set()


def _symbols(text: str) -> Iterator[tuple[str, str]]:
    for name, value in head_options(text):
        if name == "define":
            symbol, _, meaning = value.partition("=")
            yield symbol.strip(), meaning.strip()


# ── the grammar ──────────────────────────────────────────────────────────────────────────────────


@cache
def _grammar() -> Lark:
    """Made once in a process, in 0.2 s."""
    text = resources.files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        text,
        start="script",
        parser="lalr",
        lexer="contextual",
        transformer=Builder(),
        _plugins={"ContextualLexer": QuickLexer},
    )


def _parsed(text: str) -> RawScript:
    try:
        return cast(RawScript, _grammar().parse(text))
    except UnexpectedInput as error:
        raise _unexpected(text, error) from None


def _unexpected(text: str, error: UnexpectedInput) -> Wrong:
    """What should stand where the grammar gave up."""
    token = getattr(error, "token", None)
    ended = token is not None and token.type == "$END"
    offset = len(text) if ended or error.pos_in_stream is None else error.pos_in_stream
    stepping: Any = _grammar().parse_interactive(text)
    with suppress(UnexpectedInput):
        stepping.exhaust_lexer()
    wanted = stepping.accepts()
    found = word_at(text, offset)
    return Wrong(offset, found, hint(found, wanted) or in_words(wanted, _literal))


def _literal(terminal: str) -> str:
    return str(_grammar().get_terminal(terminal).pattern.value).replace("\\b", "")


# ── the script ───────────────────────────────────────────────────────────────────────────────────


def _script(source: Source, raw: RawScript) -> ast.Script:
    options = tuple(_option(source, option) for option in raw.options)
    return ast.Script(
        path=source.path,
        text=source.text,
        options=options,
        init=_command(source, raw.init),
        events=tuple(_events(source, raw)),
        cleanup=_command(source, raw.cleanup),
        profiles=named_profiles(source.text),
    )


def _events(source: Source, raw: RawScript) -> Iterator[ast.Event]:
    last = len(source.text) if raw.cleanup is None else source.offset(raw.cleanup.offset)
    offsets = [*(source.offset(event.offset) for event in raw.events), last]
    before: RawEvent | None = None
    for event, offset, after in zip(raw.events, offsets, offsets[1:], strict=False):
        _check_time(source, before, event)
        before = event
        what = event.what
        if isinstance(what, RawText):
            kind = ast.Code if what.kind == "code" else ast.Command
            what = kind(what.text, source.place(source.offset(what.offset)))
        place = source.place(offset)
        yield ast.Event(place, event.time, what, event.end, source.lines(offset, after))


def _check_time(source: Source, before: RawEvent | None, event: RawEvent) -> None:
    """The first event is at 0, and absolute times do not go back."""
    time = event.time
    if before is None:
        wrong = time.at != 0 or time.kind == "any"
        expected = "0 or +0: the first event is at 0"
    else:
        both = time.kind == before.time.kind == "absolute"
        wrong = both and time.at < before.time.at
        expected = f"a time of at least {before.time.at / 1e6:g}: absolute times do not go back"
    if wrong:
        raise Wrong(event.offset, word_at(source.plain, event.offset), expected)


def _command(source: Source, raw: RawText | None) -> ast.Command | None:
    if raw is None:
        return None
    return ast.Command(raw.text, source.place(source.offset(raw.offset)))


def _option(source: Source, raw: RawText) -> ast.Option:
    name, text = split_option(raw.text)
    value: str | int | None = text or None
    if text and text[0] == '"':
        value = unescape(text[1:-1]).decode(errors="replace")
    elif text and text[0] == "`":
        value = text[1:-1]
    elif re.fullmatch(r"-?[0-9]+|0[xX][0-9A-Fa-f]+", text):
        value = integer(text)
    return ast.Option(name, value, source.place(source.offset(raw.offset)))
