"""What goes over a control socket: one request, one answer, then the connection ends.

Each is a frame: the length in four octets, most significant first, then so many octets of UTF-8 with a JSON
object of exactly these keys:

    request   {"pystack": 1, "tool": "netstat", "words": ["-an"]}
    answer    {"pystack": 1, "status": 0, "out": "Active Internet …", "err": ""}

What is not like this is a `BadMessage`, whoever sent it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, NoReturn, Self

VERSION = 1
REQUEST_MAX = 16_384
"""Octets of a request at most, without its length."""
ANSWER_MAX = 1 << 28
"""Octets of an answer at most."""
WORDS_MAX = 256
HEAD = 4
"""Octets of the length."""


class BadMessage(ValueError):
    """What came is no message; the text says why not."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command line for a machine."""

    tool: str
    words: tuple[str, ...] = ()

    def frame(self) -> bytes:
        """As it is sent. Raises BadMessage where it is too long for that."""
        return _frame(asdict(self), REQUEST_MAX)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """The request in the body of a frame."""
        found = _object(body, {"tool": str, "words": list})
        words = found["words"]
        if len(words) > WORDS_MAX:
            raise BadMessage(f"{len(words)} words; at most {WORDS_MAX} are taken")
        if not all(type(word) is str for word in words):
            raise BadMessage("a word is no text")
        return cls(found["tool"], tuple(words))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the machine says: what the tool prints, and its exit status."""

    status: int = 0
    out: str = ""
    err: str = ""

    def frame(self) -> bytes:
        """As it is sent. Raises BadMessage where it is too long for that."""
        return _frame(asdict(self), ANSWER_MAX)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """The answer in the body of a frame."""
        found = _object(body, {"status": int, "out": str, "err": str})
        if not 0 <= found["status"] < 128:
            raise BadMessage(f"{found['status']} is no exit status")
        return cls(**found)


def length(head: bytes, most: int) -> int:
    """What the first octets of a frame say. Raises BadMessage where that is more than `most`."""
    return _bounded(int.from_bytes(head[:HEAD], "big"), most)


def _bounded(octets: int, most: int) -> int:
    if octets > most:
        raise BadMessage(f"a message of {octets} octets; at most {most} are taken")
    return octets


def _frame(values: dict[str, Any], most: int) -> bytes:
    body = json.dumps({"pystack": VERSION, **values}, ensure_ascii=True).encode()
    return _bounded(len(body), most).to_bytes(HEAD, "big") + body


def _object(body: bytes, kinds: dict[str, type]) -> dict[str, Any]:
    """The JSON object in `body` with these keys and no others, each of its type."""
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except BadMessage:
        raise
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise BadMessage("it is no JSON") from None
    if type(found) is not dict:
        raise BadMessage("it is no object")
    if found.pop("pystack", None) != VERSION:
        raise BadMessage(f"it is not of version {VERSION}: the other end is another pystack")
    if found.keys() != kinds.keys():
        raise BadMessage(f"it has other keys than {', '.join(kinds)}")
    for key, kind in kinds.items():
        if type(found[key]) is not kind:
            raise BadMessage(f"{key} is no {kind.__name__}")
    texts = [value for value in found.values() if isinstance(value, str)]
    texts += [word for word in found.get("words", ()) if isinstance(word, str)]
    if any(not _printable(text) for text in texts):
        raise BadMessage("a text has half a character in it, or a NUL")
    return found


def _printable(text: str) -> bool:
    """Can it be sent on? JSON can spell halves of surrogate pairs, which nothing else can."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadMessage("a key comes twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise BadMessage(f"{text} is no number of JSON")
