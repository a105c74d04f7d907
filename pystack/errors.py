"""How the core's errors become exceptions: OSError with the errno of the same name on this platform.

Python chooses the class by the number, so that ECONNREFUSED is a ConnectionRefusedError, EAGAIN a
BlockingIOError and ETIMEDOUT a TimeoutError.
"""

from __future__ import annotations

import errno
import os

from pystack._fast.consts import Err

_NUMBERS = tuple(getattr(errno, error.name, errno.EINVAL) if error else 0 for error in Err)
_TEXTS = tuple(os.strerror(number) for number in _NUMBERS)


class DeadlockError(RuntimeError):
    """A call waits for something that cannot happen any more: no packet is on the way, no timer runs.

    A real program would hang here for ever.
    """


def error_of(answer: int) -> OSError:
    """The exception for a negative answer of a command (or for a positive consts.Err)."""
    index = -answer if answer < 0 else answer
    return OSError(_NUMBERS[index], _TEXTS[index])


def number_of(error: int) -> int:
    """The platform's errno for a consts.Err; 0 for none."""
    return _NUMBERS[error]
