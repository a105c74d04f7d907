"""How ipfw gives up: text and exit status (sysexits.h)."""

from __future__ import annotations

EX_OK = 0
EX_USAGE = 64
EX_DATAERR = 65
EX_NOHOST = 68
EX_UNAVAILABLE = 69
EX_OSERR = 71


class Refusal(Exception):
    """The command ends here: `text` behind the program's name, and the exit status."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status
        self.text = text
