"""What iptables says when it refuses something: the words and the exit status of the tool (1.8.9, nf_tables)."""

from __future__ import annotations

VERSION = "v1.8.9 (nf_tables)"

PARAMETER = 2
"""Exit status: what was asked for is not understood."""
OTHER = 1
"""Exit status: it is understood, and there is no such thing."""
RESOURCE = 4
"""Exit status: the kernel refuses it."""


class FirewallError(ValueError):
    """A command or a line that was refused; nothing has changed.

    `str()` is what the tool prints, `status` its exit status. `line` and `column` (from 1) say where in the text of
    iptables-restore, or in a command, the offending word is; 0: not known.
    """

    def __init__(self, text: str, status: int = PARAMETER, line: int = 0, column: int = 0):
        super().__init__(text)
        self.status = status
        self.line = line
        self.column = column


class RefusedError(Exception):
    """A refusal before it is known which program says it: `FirewallError` is made of it at the border.

    `bare`: the message stands without the program's name; `versioned`: with its version, whatever the status.
    `number`: the line that the kernel complains about.
    """

    def __init__(
        self, message: str, status: int = PARAMETER, *, bare: bool = False, versioned: bool = False
    ):
        super().__init__(message)
        self.message = message
        self.status = status
        self.bare = bare
        self.versioned = versioned
        self.column = 0
        self.number = 0

    def spoken(self, line: int = 0) -> FirewallError:
        """As iptables says it, or with a line number iptables-restore."""
        program = "iptables-restore" if line else "iptables"
        if self.status == OTHER and not self.versioned:
            parts = [f"line {line} failed"] if line else []
            text = ": ".join([program, *parts, *([self.message] if self.message else [])])
        elif self.status == RESOURCE:
            line = self.number or line
            where = f"\nline {line}: " if line else " "
            text = f"{program} {VERSION}: {where}{self.message}"
        elif self.status == PARAMETER:
            text = self.message if self.bare else f"{program} {VERSION}: {self.message}"
            if line:
                text += f"\nError occurred at line: {line}"
            text += f"\nTry `{program} -h' or '{program} --help' for more information."
        else:
            text = f"{program} {VERSION}: {self.message}"
        return FirewallError(text, self.status, line, self.column)
