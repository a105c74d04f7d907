"""A directory as a web site: which file a path means, and its octets.

Nothing outside of the directory is ever opened, whatever the path and whatever symbolic links say.
"""

from __future__ import annotations

import email.utils
import errno
import mimetypes
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import unquote_to_bytes

from pystack.services.http_plans import Plan, head, problem

CHUNK = 128 * 1024
SMALL = 64 * 1024
"""Files up to this size are read at once, head and body in one send."""
INDEX = "index.html"
_STATUS = {errno.EACCES: 403, errno.EPERM: 403, errno.EMFILE: 500, errno.ENFILE: 500}
"""What is answered where a file cannot be opened, if not 404."""
_TYPES = mimetypes.MimeTypes()
_TYPES.add_type("text/markdown", ".md")


class FileBody:
    """The first `octets` of an open file. Raises OSError (EIO) where it has become shorter.

    `closed` is called when the file is.
    """

    __slots__ = ("_closed", "_fd", "_left", "_rest")

    def __init__(self, fd: int, octets: int, closed: Callable[[], object] | None = None) -> None:
        self._fd = fd
        self._left = octets
        self._rest = memoryview(b"")
        self._closed = closed

    def piece(self) -> memoryview:
        if not self._rest and self._left:
            data = os.read(self._fd, min(CHUNK, self._left))
            if not data:
                raise OSError(errno.EIO, "the file has become shorter")
            self._rest = memoryview(data)
        return self._rest

    def sent(self, octets: int) -> None:
        self._left -= octets
        self._rest = self._rest[octets:]

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            if self._closed is not None:
                self._closed()


class Directory:
    """The files below `root`. Raises ValueError where that is no directory.

    `opens` is asked for a descriptor before a file is opened, and may raise OSError; `closes` gets it back.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        opens: Callable[[], int] = lambda: -1,
        closes: Callable[[int], object] = lambda fd: None,
    ) -> None:
        self.opens = opens
        self.closes = closes
        path = Path(root)
        if not path.is_dir():
            raise ValueError(f"no such directory: {root}")
        self.root = path.resolve()

    def plan(
        self, target: bytes, *, keep: bool, head_only: bool, http10: bool, since: bytes = b""
    ) -> Plan:
        """The answer to a request for this path; `since` is its If-Modified-Since."""
        try:
            return self._plan(target, keep, head_only, http10, since)
        except OSError as error:
            status = _STATUS.get(error.errno or 0, 404)
            return problem(status, keep=keep, head_only=head_only, http10=http10)

    def _plan(self, target: bytes, keep: bool, head_only: bool, http10: bool, since: bytes) -> Plan:
        path = unquote_to_bytes(target)
        if b"\0" in path or not path.startswith(b"/"):
            return problem(400, keep=keep, head_only=head_only, http10=http10)
        found = self._inside(self.root / os.fsdecode(path.lstrip(b"/")))
        if found.is_dir():
            if not path.endswith(b"/"):
                where = "/" + target.decode("latin-1").strip("/") + "/"
                return problem(
                    301, keep=keep, head_only=head_only, http10=http10, fields={"Location": where}
                )
            found = self._inside(found / INDEX)
        elif path.endswith(b"/"):
            raise FileNotFoundError(errno.ENOENT, "a file is no directory")
        descriptor = self.opens()
        keep_open = False
        try:
            # not blocking: a fifo would wait for its other end; no link: it was resolved above
            fd = os.open(found, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                over = partial(self.closes, descriptor)
                plan, keep_open = self._file(fd, found, keep, head_only, http10, since, over)
            finally:
                if not keep_open:
                    os.close(fd)
        finally:
            if not keep_open:
                self.closes(descriptor)
        return plan

    def _inside(self, path: Path) -> Path:
        """What the path is without links, if it is and lies in the directory. Raises OSError."""
        # not Path.resolve, which raises RuntimeError for a loop of links
        found = Path(os.path.realpath(path, strict=True))
        if not found.is_relative_to(self.root):
            raise FileNotFoundError(errno.ENOENT, "outside of the directory")
        return found

    def _file(
        self,
        fd: int,
        path: Path,
        keep: bool,
        head_only: bool,
        http10: bool,
        since: bytes,
        over: Callable[[], object],
    ) -> tuple[Plan, bool]:
        """The plan, and whether it has taken the descriptor."""
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise FileNotFoundError(errno.ENOENT, "no regular file")
        modified = int(info.st_mtime)
        if since and not_modified(since, modified):
            return problem(304, keep=keep, http10=http10), False
        size = info.st_size
        kind, coding = _TYPES.guess_type(path.name)
        lines: dict[str, str | int] = {
            "Content-Type": media_type(kind if coding is None else None),
            "Content-Length": size,
            "Last-Modified": email.utils.formatdate(modified, usegmt=True),
        }
        top = head(200, lines, keep=keep, http10=http10)
        if head_only:
            return Plan(200, top, keep=keep), False
        if size <= SMALL:
            data = os.read(fd, size)
            if len(data) == size:
                return Plan(200, top, data, keep=keep), False
        body = FileBody(fd, size, over)
        return Plan(200, top, keep=keep, make=lambda: body), True


def media_type(kind: str | None) -> str:
    """Text is UTF-8 here; what is not known is octets."""
    if kind is None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def not_modified(since: bytes, modified: int) -> bool:
    """Is the file no younger than If-Modified-Since? A date that is none is ignored (RFC 9110 13.1.3)."""
    try:
        then = email.utils.parsedate_to_datetime(since.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return False
    return then.tzinfo is not None and modified <= int(then.timestamp())
