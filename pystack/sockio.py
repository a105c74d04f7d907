"""Files and stream sockets: what the standard library's `socket.makefile` and `socket.sendfile` do."""

from __future__ import annotations

import errno
import io
from typing import TYPE_CHECKING, Any, BinaryIO

from pystack.sockbase import MSG_SPLICE_PAGES

if TYPE_CHECKING:
    from pystack.sockets import StreamSocket


class SocketIO(io.RawIOBase):
    """A raw stream over a socket; closing it leaves the socket open.

    A socket that does not block answers None where it would have to.
    """

    def __init__(self, sock: StreamSocket, mode: str) -> None:
        super().__init__()
        self._sock = sock
        self._mode = mode

    def readable(self) -> bool:
        return "r" in self._mode

    def writable(self) -> bool:
        return "w" in self._mode

    def readinto(self, buffer: Any) -> int | None:
        """Octets read, 0 at the end."""
        try:
            return self._sock.recv_into(buffer)
        except BlockingIOError:
            return None

    def write(self, data: Any) -> int | None:
        """Octets written."""
        try:
            return self._sock.send(data)
        except OSError as e:
            if e.errno == errno.EAGAIN:
                return None
            raise


PAGES = 65536
"""Octets of a file that are sent at once."""


def sendfile(sock: StreamSocket, file: BinaryIO, offset: int, count: int | None) -> int:
    """`StreamSocket.sendfile`."""
    if sock.gettimeout() == 0:
        raise ValueError("non-blocking sockets are not supported")
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError("file should be opened in binary mode")
    if count is not None and (not isinstance(count, int) or count <= 0):
        raise ValueError(f"count must be a positive integer (got {count!r})")
    files: Any = sock.host.core.files
    sent = 0
    file.seek(offset)
    while count is None or sent < count:
        data = file.read(PAGES if count is None else min(PAGES, count - sent))
        if not data:
            break
        files.sendfiles += 1
        sock.sendall(data, MSG_SPLICE_PAGES)
        sent += len(data)
    file.seek(offset + sent)
    return sent


def makefile(
    sock: StreamSocket, mode: str = "r", buffering: int | None = None, **text: Any
) -> io.IOBase:
    """A file over `sock`; `text` are encoding, errors and newline of a text file. Raises ValueError."""
    if not set(mode) <= set("rwb") or not set(mode) & set("rw"):
        raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
    raw = SocketIO(sock, mode)
    if buffering is None or buffering < 0:
        buffering = io.DEFAULT_BUFFER_SIZE
    if buffering == 0:
        if "b" not in mode:
            raise ValueError("unbuffered streams must be binary")
        return raw
    file: Any
    if "r" in mode and "w" in mode:
        file = io.BufferedRWPair(raw, raw, buffering)
    elif "r" in mode:
        file = io.BufferedReader(raw, buffering)
    else:
        file = io.BufferedWriter(raw, buffering)
    return file if "b" in mode else io.TextIOWrapper(file, **text)
