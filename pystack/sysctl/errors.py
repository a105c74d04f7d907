"""What can be wrong with a knob. Each says it in the words of the tool that its system has.

All are also what the kernel call would raise: a `KeyError` for a name that is not there, an `OSError`
with EPERM or EINVAL for a write that is refused.
"""

from __future__ import annotations

import os


class KnobError(Exception):
    """A knob was named or written wrongly. `where` is "file:line:column" if it came from a file."""

    def __init__(self, knob: str, text: str, where: str = "") -> None:
        super().__init__(knob, text, where)
        self.knob = knob
        self.text = text
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text

    def at(self, where: str) -> KnobError:
        """This error, now known to be caused at this place of a file."""
        self.where = where
        return self


class UnknownKnob(KnobError, KeyError):
    """No system has this knob; the text names the nearest that this machine has."""


class ForeignKnob(UnknownKnob):
    """Another system or release has this knob; the text says which, and what does the same here."""


class RefusedWrite(KnobError, OSError):
    """The kernel refuses a write with this errno."""

    def __init__(self, knob: str, text: str, number: int) -> None:
        super().__init__(knob, text)
        self.errno = number
        self.strerror = os.strerror(number)


class ReadOnlyKnob(RefusedWrite, PermissionError):
    """The knob is never written, or only before the machine boots (EPERM; Linux: EACCES)."""


class InvalidValue(RefusedWrite, ValueError):
    """The value is refused; the text has the rule that it breaks.

    EINVAL; for the name of something that is not there ENOENT (Linux) or ESRCH (FreeBSD).
    """


class NoEffect(UserWarning):
    """The knob is known and keeps its value, but nothing in pystack acts on it (yet)."""
