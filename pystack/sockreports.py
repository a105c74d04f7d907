"""What a socket tells beside data, as Linux does: control messages of recvmsg, the error queue, the options that ask.

    TCP_INQ                      how much more there is to read
    SO_TIMESTAMP, _TIMESTAMPNS   when what was read arrived
    SO_TIMESTAMPING              that, and when what was written was handed on, sent, acknowledged
    SO_ZEROCOPY                  that the pages of a write with MSG_ZEROCOPY are the application's again

Times are those of the machine's own clock. What the core notes of them is in `pystack._fast.reports`.
"""

from __future__ import annotations

import errno
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pystack._fast import reports
from pystack._fast.consts import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    LAST_ACK,
    LISTEN,
    SECOND,
    TIME_WAIT,
    Err,
)
from pystack._fast.reports import Report, Reports, arrival_of
from pystack._fast.seq import add, sub
from pystack.errors import error_of
from pystack.optkinds import Getter, Setter, integer, linux_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pystack.sockets import Buffer, StreamSocket

Ancillary = list[tuple[int, int, bytes]]
Message = tuple[bytes, Ancillary, int, None]

SOL_SOCKET = 1
SOL_IP = 0
SOL_TCP = 6
SCM_TIMESTAMP = 29
SCM_TIMESTAMPNS = 35
SCM_TIMESTAMPING = 37
TCP_CM_INQ = 36
IP_RECVERR = 11
MSG_OOB = 0x1
MSG_PEEK = 0x2
MSG_CTRUNC = 0x8
MSG_TRUNC = 0x20
MSG_ERRQUEUE = 0x2000

_HEAD = 16
"""Octets of a struct cmsghdr."""
_ERROR = struct.Struct("=IBBBBIIH2x4s8x")
"""struct sock_extended_err, and a struct sockaddr_in of the offender behind it."""
_FIN_CAME = {CLOSE_WAIT, CLOSING, LAST_ACK, TIME_WAIT}
_KNOWN_STAMPING = 0x7FFFF
_STAMPING_STATS = 0x1000
_STAMPING_KEYS_TCP = 0x10000
_STAMPING_RX_FILTER = 0x20000
_IGNORED = {1, 2, 12, 36}
"""Control messages of a write that say nothing to a stream: rights, credentials, SO_PRIORITY, SO_MARK."""


class _Control:
    """The control buffer of a recvmsg, `room` octets: what does not fit is cut, and said to be (put_cmsg)."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.messages: Ancillary = []
        self.flags = 0

    def put(self, level: int, kind: int, octets: bytes) -> None:
        if self.room < _HEAD:
            self.flags |= MSG_CTRUNC
            return
        if self.room < _HEAD + len(octets):
            self.flags |= MSG_CTRUNC
        self.messages.append((level, kind, octets[: self.room - _HEAD]))
        self.room = max(self.room - _HEAD - (len(octets) + 7 & ~7), 0)

    def put_time(self, what: int, at: int) -> None:
        """The message of SO_TIMESTAMP or SO_TIMESTAMPNS, whichever is on."""
        seconds, rest = divmod(at, SECOND)
        if what & reports.TELL_TIME_NS:
            self.put(SOL_SOCKET, SCM_TIMESTAMPNS, struct.pack("=qq", seconds, rest))
        elif what & reports.TELL_TIME:
            self.put(SOL_SOCKET, SCM_TIMESTAMP, struct.pack("=qq", seconds, rest // 1000))

    def put_stamping(self, at: int) -> None:
        """Three times: by software, none, and by a device, which there is not."""
        octets = struct.pack("=qqqqqq", *divmod(at, SECOND), 0, 0, 0, 0)
        self.put(SOL_SOCKET, SCM_TIMESTAMPING, octets)


# --- recvmsg ----------------------------------------------------------------------------------------


def receive(sock: StreamSocket, bufsize: int, ancbufsize: int, flags: int) -> Message:
    """recvmsg(2), as the standard library has it. Raises OSError, TimeoutError."""
    if flags & MSG_ERRQUEUE:
        return receive_error(sock, bufsize, ancbufsize)
    t = sock.row
    at = sub(t.rcv_nxt, t.rcvq.cc + _fin(t))
    data = sock.recv(bufsize, flags)
    control = _Control(ancbufsize)
    if t.reports is not None:
        _describe(t, control, at, len(data), flags & MSG_PEEK != 0)
    return data, control.messages, control.flags | flags & MSG_OOB, None


def _fin(t: Any) -> int:
    """The peer's FIN counts as an octet, read or not."""
    return int(t.state in _FIN_CAME)


def _describe(t: Any, control: _Control, at: int, n: int, peek: bool) -> None:
    """What is told of `n` octets from `at` on that were just read."""
    r: Reports = t.reports
    when = arrival_of(t, add(at, n), peek) if n else -1
    if when >= 0:
        control.put_time(r.what, when)
        if r.stamping & reports.STAMP_REPORTED and (
            r.stamping & reports.STAMP_RECEIVED or not r.stamping & _STAMPING_RX_FILTER
        ):
            control.put_stamping(when)
    if r.what & reports.TELL_UNREAD:
        control.put(SOL_TCP, TCP_CM_INQ, struct.pack("=i", t.rcvq.cc + _fin(t)))


def receive_error(sock: StreamSocket, bufsize: int, ancbufsize: int) -> Message:
    """recvmsg(2) with MSG_ERRQUEUE: the oldest entry of the error queue. Never waits. Raises OSError (EAGAIN)."""
    t = sock.row
    core = sock.host.core
    sock.host.before(core)
    r: Reports | None = t.reports
    report = r.take() if r is not None else None
    if r is None or report is None:
        raise error_of(Err.EAGAIN)
    control = _Control(ancbufsize)
    if report.origin == reports.ORIGIN_TIMESTAMPING:
        control.put_time(r.what, report.at)
        if r.stamping & reports.STAMP_REPORTED:
            control.put_stamping(report.at)
    else:
        control.put_time(r.what, core.now)
    control.put(SOL_IP, IP_RECVERR, _error(report))
    if report.origin == reports.ORIGIN_ICMP:
        _next_error(t, r)
    flags = MSG_ERRQUEUE | control.flags | (MSG_TRUNC if len(report.octets) > bufsize else 0)
    return report.octets[:bufsize], control.messages, flags, None


def _error(report: Report) -> bytes:
    number = int(getattr(errno, report.error)) if report.error else 0
    return _ERROR.pack(
        number,
        report.origin,
        report.kind,
        report.code,
        0,
        report.info,
        report.data,
        2 if report.offender else 0,
        report.offender.to_bytes(4, "big"),
    )


def _next_error(t: Any, r: Reports) -> None:
    """The pending error is that of the entry that is the oldest now."""
    first = r.errors[0] if r.errors else None
    t.so_error = 0
    if first is not None and first.origin == reports.ORIGIN_ICMP:
        t.so_error = int(Err[first.error])


# --- sendmsg ----------------------------------------------------------------------------------------


def asked_by(sock: StreamSocket, ancdata: Iterable[tuple[int, int, Buffer]]) -> int:
    """The control messages of a write: the times that it asks for, -1 when it leaves them to the socket. Raises OSError
    (EINVAL).
    """
    asked = -1
    for level, kind, data in ancdata:
        if level != SOL_SOCKET or kind in _IGNORED:
            continue
        octets = bytes(data)
        if kind != SCM_TIMESTAMPING or len(octets) != 4:
            raise error_of(Err.EINVAL)
        asked = int.from_bytes(octets, "little")
        if asked & ~reports.STAMP_SENDING:
            raise error_of(Err.EINVAL)
    return asked


@contextmanager
def asking(t: Any, asked: int) -> Iterator[None]:
    """Inside, writes ask for these times; -1: for those of the socket."""
    if asked < 0:
        yield
        return
    r = _of(t)
    r.asked = asked
    try:
        yield
    finally:
        r.asked = r.stamping


# --- options ----------------------------------------------------------------------------------------


def _of(t: Any) -> Reports:
    """What the socket tells; from now on it may."""
    if t.reports is None:
        t.reports = Reports()
    found: Reports = t.reports
    return found


def told(bit: int, write: Callable[[Any, int, int], None]) -> tuple[Getter, Setter]:
    """Something (TELL_*) that a socket of Linux tells, or does not."""

    def read(sock: StreamSocket) -> int:
        found = linux_only(sock).reports
        return int(found is not None and found.what & bit != 0)

    return read, lambda sock, value: write(linux_only(sock), bit, integer(value))


def set_bit(t: Any, bit: int, value: int) -> None:
    """An option that is on or off."""
    if value or t.reports is not None:
        r = _of(t)
        r.what = r.what | bit if value else r.what & ~bit


def set_strict_bit(t: Any, bit: int, value: int) -> None:
    """An option that is 0 or 1 (TCP_INQ, SO_ZEROCOPY)."""
    if value not in (0, 1):
        raise error_of(Err.EINVAL)
    set_bit(t, bit, value)


def set_time(t: Any, bit: int, value: int) -> None:
    """SO_TIMESTAMP and SO_TIMESTAMPNS: one or the other."""
    if value or t.reports is not None:
        r = _of(t)
        r.what = r.what & ~(reports.TELL_TIME | reports.TELL_TIME_NS) | (bit if value else 0)


def get_stamping(sock: StreamSocket) -> int:
    """The flags of SO_TIMESTAMPING."""
    found = linux_only(sock).reports
    return int(found.stamping) if found is not None else 0


def set_stamping(sock: StreamSocket, given: Any) -> None:
    """SO_TIMESTAMPING. Keys count from the first octet that is not acknowledged, with SOF_TIMESTAMPING_OPT_ID_TCP from
    the next that is written.
    """
    t = linux_only(sock)
    value = integer(given)
    keys = value & reports.STAMP_KEYS
    if (
        value & ~_KNOWN_STAMPING
        or (value & _STAMPING_KEYS_TCP and not keys)
        or (value & _STAMPING_STATS and not value & reports.STAMP_ALONE)
    ):
        raise error_of(Err.EINVAL)
    fresh = keys and not get_stamping(sock) & reports.STAMP_KEYS
    if fresh and t.state in (CLOSED, LISTEN):
        raise error_of(Err.EINVAL)
    r = _of(t)
    if fresh:
        r.origin = add(t.snd_una, t.sndq.cc) if value & _STAMPING_KEYS_TCP else t.snd_una
    r.stamping = r.asked = value
