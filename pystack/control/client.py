"""Asking a running machine."""

from __future__ import annotations

import os
import socket

from pystack.control import message, place
from pystack.control.message import Answer, BadMessage, Request

PATIENCE = 30.0
"""Seconds without an octet after which a machine is given up."""


class NoAnswer(OSError):
    """The machine did not answer, or with something that is no answer."""

    def __str__(self) -> str:
        return str(self.args[0])


def ask(
    machine: str | None, tool: str, words: tuple[str, ...] = (), *, patience: float = PATIENCE
) -> Answer:
    """What `tool words` prints on the machine of this name; None: on the only one that runs.

    Raises NoPlace (there is no such machine), NoAnswer, and BadMessage for a command line that is too long.
    """
    frame = Request(tool, words).frame()
    name = place.choose(machine)
    try:
        with place.connect(name, patience) as sock:
            sock.sendall(frame)
            size = message.length(_read(sock, message.HEAD), message.ANSWER_MAX)
            return Answer.parse(_read(sock, size))
    except TimeoutError:
        raise NoAnswer(f"machine {name} does not answer (is its process stopped?)") from None
    except EOFError:
        raise NoAnswer(f"machine {name} ended before its answer did") from None
    except BadMessage as error:
        raise NoAnswer(f"what machine {name} answered is no message: {error}") from None
    except OSError as error:
        text = error.strerror or os.strerror(error.errno or 0)
        raise NoAnswer(f"machine {name}: {text}") from None


def _read(sock: socket.socket, octets: int) -> bytes:
    """So many octets. Raises EOFError where the other end has no more."""
    parts = []
    while octets:
        part = sock.recv(min(octets, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        octets -= len(part)
    return b"".join(parts)
