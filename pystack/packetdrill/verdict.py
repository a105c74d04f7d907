"""What came of playing a script: passed, failed or skipped, why, and all that happened until then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["passed", "failed", "skipped"]


class Failure(Exception):
    """The machine did not do what the script says. `expected` and `actual` are lines to be shown together."""

    def __init__(self, message: str, expected: str = "", actual: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.expected = expected
        self.actual = actual


class Skip(Exception):
    """The player or the machine does not have what the script asks for; says what that is."""

    def __init__(self, feature: str) -> None:
        super().__init__(feature)
        self.feature = feature


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened: `ns` since the script began, `kind` "<", ">", "call", "command", "code"
    or "warning", `text` in the words of a script, `octets` of a packet.
    """

    ns: int
    kind: str
    text: str
    octets: bytes = b""

    def __str__(self) -> str:
        sign = f"{self.kind} " if self.octets else ""
        return f"{self.ns / 1e9:.6f} {sign}{self.text}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one script.

    `line` is where it ended (0 where no line is at fault). `message` of a failure is what the original tool
    would say, of a skip the name of what is missing. `expected` and `actual` are packets in script space.
    """

    outcome: Outcome
    file: str
    line: int = 0
    message: str = ""
    expected: str = ""
    actual: str = ""
    trace: tuple[Moment, ...] = field(default=(), repr=False)
    column: int = 0
    """Where in the line, for a script that cannot be read."""

    @property
    def where(self) -> str:
        """file:line:column, as far as they are known."""
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])

    @property
    def passed(self) -> bool:
        """Did the machine do all that the script says?"""
        return self.outcome == "passed"

    def __str__(self) -> str:
        if self.outcome == "passed":
            return f"{self.where}: passed"
        said = self.message if self.outcome == "failed" else f"skipped: {self.message}"
        lines = [f"{self.where}: {said}"]
        if self.expected or self.actual:
            lines += [
                f"script packet:  {self.expected}",
                f"actual packet:  {self.actual or 'none'}",
            ]
        return "\n".join(lines)
