"""Descriptors that the kernel gave to a script, and calls that are under way."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from pystack.packetdrill.calls import Running

LIBC = ctypes.CDLL(None, use_errno=True)
for _name in "read write recv send sendto splice sendfile".split():
    getattr(LIBC, _name).restype = ctypes.c_ssize_t
Work = Callable[[], int]


def answer(value: int) -> int:
    """What a function of libc returned. Raises OSError for -1."""
    if value < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return value


@dataclass(slots=True, eq=False)
class KernelFile:
    """A descriptor of the script. Serves as `file`, `file.sock` and `file.sock.row` of the player's own."""

    fd: int
    socket: bool = True
    stream: bool = True
    closed: bool = False

    @property
    def sock(self) -> KernelFile:
        return self

    @property
    def row(self) -> KernelFile:
        return self

    def getsockname(self) -> tuple[str, int]:
        with socket.socket(fileno=os.dup(self.fd)) as s:
            return s.getsockname()[:2]

    peer: tuple[int, int] = (0, 0)
    """Address and port that accept() told."""

    @property
    def laddr(self) -> int:
        return int.from_bytes(socket.inet_aton(self.getsockname()[0]), "big")

    @property
    def lport(self) -> int:
        return self.getsockname()[1]

    @property
    def faddr(self) -> int:
        return self.peer[0]

    @property
    def fport(self) -> int:
        return self.peer[1]


@dataclass(slots=True)
class KernelRunning(Running):
    """A call in a thread of its own."""

    finished: bool = True
    after: Callable[[int], None] | None = None

    @property
    def done(self) -> bool:
        return self.finished

    def again(self) -> bool:
        return self.finished


@dataclass(slots=True)
class Plan:
    """What a call does, and what is done in the main thread when it was right."""

    work: Work
    after: Callable[[int], None] | None = None
    checks: list[Callable[[], None]] = field(default_factory=list)
