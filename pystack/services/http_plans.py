"""How a request is answered, as a value: `Plan`. Equal requests have equal plans, so plans are kept.

A plan knows its head but for the date, which changes each second, and its body: octets, or something
that gives them piece by piece (`Body`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

PATTERN = bytes(range(48, 58)) + bytes(range(65, 91)) + bytes(range(97, 123)) + b"-\n"
"""64 octets, one line, that generated bodies repeat."""
_SHARED = memoryview(PATTERN * 4096)
SMALL = 16 * 1024
"""Generated bodies up to this size are kept with their plan."""
BODY_MAX = 1 << 40


class Body(Protocol):
    """A body that is made while it is sent."""

    def piece(self) -> memoryview | bytes:
        """What is to be sent next; empty at the end. The same until `sent` is called."""

    def sent(self, octets: int) -> None:
        """So much of the piece was taken."""

    def close(self) -> None:
        """It is sent, or will not be."""


class Pattern:
    """A generated body of so many octets, out of one buffer that all share."""

    __slots__ = ("at", "left")

    def __init__(self, octets: int) -> None:
        self.at = 0
        self.left = octets

    def piece(self) -> memoryview:
        end = self.at + self.left
        return _SHARED[self.at : end] if end < len(_SHARED) else _SHARED[self.at :]

    def sent(self, octets: int) -> None:
        self.left -= octets
        self.at = (self.at + octets) % len(PATTERN)

    def close(self) -> None:
        """Nothing is held."""


class Plan:
    """One way to answer.

    `head`: the status line and all fields that do not depend on the time, each with its CRLF. `body`:
    octets; `make`: or what makes a `Body`, or None for one that could not be opened after all. `keep`:
    may the connection go on after it?
    """

    __slots__ = ("body", "date", "head", "keep", "make", "status", "whole")

    def __init__(
        self,
        status: int,
        head: bytes,
        body: bytes = b"",
        *,
        keep: bool = True,
        make: Callable[[], Body] | None = None,
    ) -> None:
        self.status = status
        self.head = head
        self.body = body
        self.make = make
        self.keep = keep
        self.date = b""
        self.whole = b""

    def octets(self, date: bytes) -> bytes:
        """Head and, where it is one piece, body; `date` is the field with its CRLF."""
        if self.date is not date:
            self.date = date
            self.whole = b"".join((self.head, date, b"\r\n", self.body))
        return self.whole


def head(
    status: int,
    fields: dict[str, str | int],
    *,
    keep: bool,
    http10: bool = False,
) -> bytes:
    """Status line and fields, and the one that says whether the connection goes on."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Server: pystack"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    if not keep:
        lines.append("Connection: close")
    elif http10:
        lines.append("Connection: keep-alive")
    lines.append("")
    return "\r\n".join(lines).encode("latin-1", "replace")


def problem(
    status: int,
    *,
    keep: bool,
    head_only: bool = False,
    http10: bool = False,
    fields: dict[str, str | int] | None = None,
    text: str = "",
) -> Plan:
    """The answer to a request that gets no page: a line that says why."""
    phrase = HTTPStatus(status).phrase
    body = f"{status} {phrase}{': ' + text if text else ''}\n".encode()
    if status in (204, 304):
        body = b""
        lines: dict[str, str | int] = {}
    else:
        lines = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": len(body)}
    lines |= fields or {}
    return Plan(
        status,
        head(status, lines, keep=keep, http10=http10),
        b"" if head_only else body,
        keep=keep,
    )


def page(body: bytes, kind: str, *, keep: bool, head_only: bool, http10: bool) -> Plan:
    """A page that is there whole."""
    lines: dict[str, str | int] = {"Content-Type": kind, "Content-Length": len(body)}
    return Plan(
        200,
        head(200, lines, keep=keep, http10=http10),
        b"" if head_only else body,
        keep=keep,
    )


@lru_cache(1024)
def generated(octets: int, *, keep: bool, head_only: bool, http10: bool) -> Plan:
    """A body of this many octets of the pattern. The newest plans are kept."""
    lines: dict[str, str | int] = {"Content-Type": "text/plain", "Content-Length": octets}
    top = head(200, lines, keep=keep, http10=http10)
    if head_only or octets == 0:
        return Plan(200, top, keep=keep)
    if octets <= SMALL:
        return Plan(200, top, bytes(_SHARED[:octets]), keep=keep)
    return Plan(200, top, keep=keep, make=lambda: Pattern(octets))
