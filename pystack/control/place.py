"""Where control sockets are: one directory of the user, one socket for each machine, NAME.sock.

The directory is `pystack` under XDG_RUNTIME_DIR where that is the user's own, or else `pystack-UID` beside other
temporary files; nobody else may enter it. Whoever makes or removes a socket holds a lock on the directory
meanwhile, so that a socket that nobody listens on is one whose process is dead, and not one that is being made.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from pystack.sysctl.near import near

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""What a machine may be called here."""
BACKLOG = 16
_SUFFIX = ".sock"


class NoPlace(OSError):
    """There can be no control socket; the text says why not."""

    def __str__(self) -> str:
        return str(self.args[0])


def directory() -> Path:
    """The directory of this user's control sockets, which is made where it is missing. Raises NoPlace."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if base and Path(base).is_absolute() and _own(Path(base)):
        place = Path(base, "pystack")
    else:
        place = Path(tempfile.gettempdir(), f"pystack-{os.geteuid()}")
    try:
        with suppress(FileExistsError):
            place.mkdir(0o700)
    except OSError as error:
        raise NoPlace(f"{place}: {error.strerror}") from None
    if not _own(place) or stat.S_IMODE(place.lstat().st_mode) & 0o077:
        raise NoPlace(f"{place} is not a directory that only this user may enter")
    return place


def _own(path: Path) -> bool:
    """Is it a directory (no link to one) of this user?"""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def machines() -> list[str]:
    """The names of the machines that run, in order. What dead processes left is removed."""
    place = directory()
    with _locked(place):
        return _living(place)


def choose(wanted: str | None) -> str:
    """The machine that is meant: the one of this name, or the only one. Raises NoPlace."""
    there = machines()
    if not there:
        raise NoPlace(nobody())
    if wanted is None:
        if len(there) > 1:
            raise NoPlace(f"several machines are running: {', '.join(there)}; say which with -M")
        return there[0]
    if wanted not in there:
        have = f"there {'are' if len(there) > 1 else 'is'} {', '.join(there)}"
        raise NoPlace(f"no machine {wanted!r}: {have}{near(wanted, there)}")
    return wanted


def nobody() -> str:
    """There is no machine; where one might be all the same."""
    text = "no machine is running: begin with `pystack serve`"
    return text if os.geteuid() == 0 else f"{text} (what runs with sudo is asked with sudo)"


def check_name(name: str) -> None:
    """Raises ValueError for what can be no name of a control socket."""
    if NAME.fullmatch(name) is None:
        raise ValueError(f"machine name {name!r}: up to 63 letters, digits, dots, _ and -")


def claim(wanted: str) -> tuple[str, socket.socket]:
    """A socket that listens under this name, or under NAME-2, NAME-3 … where that is taken; and its name.

    Raises NoPlace, and ValueError for what can be no name.
    """
    check_name(wanted)
    place = directory()
    with _locked(place):
        taken = _living(place)
        for number in count(1):
            name = wanted if number == 1 else f"{wanted}-{number}"
            if name not in taken and not os.path.lexists(path_of(place, name)):
                return name, _listen(path_of(place, name))
    raise AssertionError("numbers do not end")


def release(sock: socket.socket) -> None:
    """The machine is gone: so is its socket. Where somebody has taken its place, that stays."""
    path = Path(sock.getsockname())
    try:
        with _locked(path.parent):
            sock.close()
            if not _listens(path):
                path.unlink(missing_ok=True)
    except FileNotFoundError:  # somebody removed the directory
        sock.close()


def path_of(place: Path, name: str) -> Path:
    """The socket of a machine."""
    return place / f"{name}{_SUFFIX}"


def connect(name: str, timeout: float) -> socket.socket:
    """A connection to the machine of this name; waits so many seconds for it, and for what comes. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(str(path_of(directory(), name)))
    except BaseException:
        sock.close()
        raise
    return sock


def _listen(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind(str(path))
        path.chmod(0o600)  # nobody could connect so far
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise NoPlace(f"{path}: {error.strerror or error}") from None
    return sock


def _living(place: Path) -> list[str]:
    """Who answers; sockets of the dead are removed. Under the lock."""
    found = []
    for path in place.glob(f"*{_SUFFIX}"):
        if not path.is_socket():
            continue
        if _listens(path):
            found.append(path.name.removesuffix(_SUFFIX))
        else:
            with suppress(FileNotFoundError):
                path.unlink()
    return sorted(found)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        return probe.connect_ex(str(path)) not in (errno.ECONNREFUSED, errno.ENOENT)


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Nobody else makes or removes a socket meanwhile."""
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
