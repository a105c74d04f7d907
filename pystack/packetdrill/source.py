"""A script before the grammar sees it: `#ifdef` parts, symbols, and the way back from offsets to lines.

What is dropped becomes blanks and what is replaced is remembered, so that every error and every event
names the line and column of the text as written.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping

from pystack.packetdrill.script import Place


class ScriptError(ValueError):
    """The text is no script: `text` stands at line and column of `file`, `expected` should."""

    def __init__(self, file: str, line: int, column: int, text: str, expected: str) -> None:
        found = (repr(text) if "`" in text else f"`{text}`") if text else "the end of the file"
        self.said = f"expected {expected}, found {found}"
        super().__init__(f"{file}:{line}:{column}: {self.said}")
        self.file, self.line, self.column = file, line, column
        self.text, self.expected = text, expected

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.file, self.line, self.column, self.text, self.expected)


class Wrong(Exception):  # a ScriptError that does not know its file and line yet
    """`text` stands at this offset, `expected` should."""

    def __init__(self, offset: int, text: str, expected: str) -> None:
        super().__init__(offset, text, expected)
        self.offset, self.text, self.expected = offset, text, expected


_STRING = r'"(?:\\.|[^"\\])*"'
_COMMENT = r"//[^\n]*|/\*.*?\*/"
_BLIND = rf"(?P<comment>{_COMMENT})|{_STRING}|`[^`]*`|%\{{.*?\}}%"
"""Where no directive and no symbol stands: comments, strings, commands, code."""

_BLIND_RE = re.compile(_BLIND, re.S)
_DIRECTIVE = re.compile(
    rf"{_BLIND}|(?P<hash>#[ \t]*(?P<word>\w*)(?:[ \t]+(?P<name>\w+))?)", re.S | re.A
)
_WORDS = re.compile(rf"{_BLIND}|--\w+(?:\s*=\s*\w+)?|-D\s*\w+|(?P<word>\w+)", re.S | re.A)
_VALUE = rf"(?:{_STRING}|`[^`]*`|(?:(?!//|/\*)[^\s\"`])+)"
_HEAD = re.compile(
    rf"\s+|(?P<comment>{_COMMENT})|#[ \t]*(?:ifdef[ \t]+\w+|endif)"
    rf"|(?P<option>(?:-D\s*|--define\s+)\w+(?:={_VALUE})?"
    rf"|--[A-Za-z_]\w*(?:\s*=\s*(?:\w+=)?{_VALUE})?)",
    re.S | re.A,
)
_PROFILES = re.compile(r"^[ \t]*(?://+|/\*+|\*)?[ \t]*profiles?[ \t]*:[ \t]*([^\n*]*)", re.M)
_POINT_AT = re.compile(
    r'\s*("(?:\\.|[^"\\\n])*"|--[A-Za-z]\w*|-?\.?\d[\w.]*|\w+|\.\.\.|#[ \t]*\w*|\S)', re.A
)


def word_at(text: str, offset: int) -> str:
    """What a person would point at; "" at the end."""
    match = _POINT_AT.match(text, offset)
    return match[1] if match else ""


def keep(text: str, names: set[str]) -> str:
    """The text without the parts for other systems: `#ifdef NAME … #endif`, no else, no nesting.

    What goes becomes blanks, so that every offset stays. Raises Wrong.
    """
    out = []
    copied, opened, kept = 0, -1, True
    for match in _DIRECTIVE.finditer(text):
        if match["hash"] is None:
            continue
        at, end = match.span()
        if match["word"] == "ifdef" and opened < 0:
            if match["name"] is None:
                raise Wrong(at, "#ifdef", "a name after #ifdef")
            opened, kept = at, match["name"] in names
            out += [text[copied:at], " " * (end - at)]
        elif match["word"] == "endif" and opened >= 0:
            body = text[copied:at]
            end = match.end("word")
            out += [body if kept else re.sub(r"[^\n]", " ", body), " " * (end - at)]
            opened = -1
        else:
            expected = "#endif: #ifdef cannot be nested and has no #else"
            raise Wrong(at, match[0].strip(), "#ifdef NAME" if opened < 0 else expected)
        copied = end
    if opened >= 0:
        line = text.count("\n", 0, opened) + 1
        raise Wrong(len(text), "", f"#endif for the #ifdef of line {line}")
    return "".join([*out, text[copied:]])


def _head(text: str) -> Iterator[tuple[str, str]]:
    """("comment" or "option", as written) of what stands before the first command and event."""
    at = 0
    while match := _HEAD.match(text, at):
        if match.lastgroup:
            yield match.lastgroup, match[0]
        at = match.end()


def head_options(text: str) -> Iterator[tuple[str, str]]:
    """(name, value) of the options at the head of a script, those in `#ifdef` parts too."""
    return (split_option(found) for kind, found in _head(text) if kind == "option")


def named_profiles(text: str) -> tuple[str, ...]:
    """What a script is for: `--profiles=a,b`, or in a comment at its head `profiles: a b`."""
    named = [value.strip('"') for name, value in head_options(text) if name == "profiles"]
    if not named:
        for kind, found in _head(text):
            named += _PROFILES.findall(found) if kind == "comment" else []
    return tuple(re.findall(r"[^\s,]+", named[0])) if named else ()


def split_option(text: str) -> tuple[str, str]:
    """("name", "value") of `--name=value`, `-D SYM=value`, `--define SYM=value`; "" for no value."""
    if text.startswith("-D"):
        return "define", text[2:].lstrip()
    if match := re.match(r"--define\s+(?!=)", text):
        return "define", text[match.end() :]
    name, _, value = text[2:].partition("=")
    return name.strip(), value.strip()


class Source:
    """A text, what the grammar gets of it, and the way back.

    `names` are what `#ifdef` finds; `symbols` are replaced where they stand as words. Raises Wrong.
    """

    def __init__(self, text: str, path: str, names: set[str], symbols: Mapping[str, str]) -> None:
        self.text, self.path = text, path
        self.kept = keep(text, names) if "#" in text else text
        self.plain = self.kept
        self._moved: list[tuple[int, int, int, int]] = []
        self._lines: list[int] = []
        if symbols:
            self._replace({name: value for name, value in symbols.items() if value})

    def _replace(self, symbols: Mapping[str, str]) -> None:
        out = []
        size = copied = 0
        for match in _WORDS.finditer(self.kept):
            value = symbols.get(match["word"] or "")
            if value is not None:
                start = size + match.start() - copied
                out += [self.kept[copied : match.start()], value]
                size, copied = start + len(value), match.end()
                self._moved.append((start, size, match.start(), match.end()))
        self.plain = "".join([*out, self.kept[copied:]])

    def offset(self, plain: int) -> int:
        """Where this stood in the text as written; anything in a symbol's value, at the symbol."""
        if not self._moved:
            return plain
        at = bisect_right(self._moved, plain, key=lambda moved: moved[0]) - 1
        if at < 0:
            return plain
        _, end, was, was_end = self._moved[at]
        return was if plain < end else was_end + plain - end

    def place(self, offset: int) -> Place:
        """Line and column of an offset in the text as written."""
        if not self._lines:
            self._lines = [0, *(match.end() for match in re.finditer("\n", self.text))]
        line = bisect_right(self._lines, offset)
        return Place(line, offset - self._lines[line - 1] + 1)

    def lines(self, start: int, end: int) -> str:
        """The text as written between two offsets, without comments and blank ends."""
        text = self.kept[start:end]
        if "//" in text or "/*" in text:
            text = _BLIND_RE.sub(lambda match: "" if match["comment"] else match[0], text)
        if "\n" in text:
            return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())
        return text.strip()

    def error(self, wrong: Wrong) -> ScriptError:
        """The error with its place."""
        return located(self.text, self.path, self.offset(wrong.offset), wrong)


def located(text: str, path: str, offset: int, wrong: Wrong) -> ScriptError:
    """The error with the place of an offset of the text as written."""
    offset = min(offset, len(text))
    line_start = text.rfind("\n", 0, offset) + 1
    line = text.count("\n", 0, offset) + 1
    return ScriptError(path, line, offset - line_start + 1, wrong.text, wrong.expected)
