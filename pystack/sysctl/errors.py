"""What can be wrong with a knob. Each says it in the words of the tool that its system has.

All are also what the kernel call would raise: a `KeyError` for a name that is not there, an `OSError`
with EPERM or EINVAL for a write that is refused.
"""

from __future__ import annotations

import errno
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
        """The same error, found at this place of a file."""
        return type(self)(self.knob, self.text, where)


class UnknownKnob(KnobError, KeyError):
    """No system has this knob; the text names the nearest that this machine has."""


class ForeignKnob(UnknownKnob):
    """Another system or release has this knob; the text says which, and what does the same here."""


class RefusedWrite(KnobError, OSError):
    """The kernel refuses a write."""

    number = errno.EIO
    """Becomes `errno`."""

    def __init__(self, knob: str, text: str, where: str = "") -> None:
        super().__init__(knob, text, where)
        self.errno = self.number
        self.strerror = os.strerror(self.number)


class ReadOnlyKnob(RefusedWrite, PermissionError):
    """The knob is never written, or only before the machine boots."""

    number = errno.EPERM


class InvalidValue(RefusedWrite, ValueError):
    """The value is refused; the text has the rule that it breaks."""

    number = errno.EINVAL


class UnknownChoice(InvalidValue):
    """The knob takes the name of something that this machine does not have (ENOENT)."""

    number = errno.ENOENT


class NoEffect(UserWarning):
    """The knob is known and keeps its value, but nothing in pystack acts on it (yet)."""
