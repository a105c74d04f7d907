"""Octets through a socket, for every call that reads or writes: loops that wait, and struct msghdr."""

from __future__ import annotations

import errno
import os
import socket as std
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pystack import sockbase, sockreports
from pystack._fast.consts import NEVER
from pystack._fast.space import writable
from pystack._fast.tcb import (
    SS_CANTRCVMORE,
    SS_CANTSENDMORE,
    SS_CONNECTED,
    SS_CONNECTING,
    SS_DISCONNECTED,
)
from pystack.packetdrill import control as control_
from pystack.packetdrill.files import PIPE_SIZE, File, PipeEnd, SocketFile
from pystack.packetdrill.script import Arg, Ellipsis_, List_, Struct
from pystack.packetdrill.segments import zeros
from pystack.packetdrill.symbols import Symbols, describe
from pystack.packetdrill.verdict import Failure, Skip

if TYPE_CHECKING:
    from pystack.packetdrill.calls import Address, Calls

Steps = Generator[int, None, int]
_ENDED = SS_CANTSENDMORE | SS_DISCONNECTED
_UIO_MAX = 1024
"""Most elements of an iovec (IOV_MAX)."""

_SEND_FLAGS = (
    "MSG_OOB",
    "MSG_DONTWAIT",
    "MSG_NOSIGNAL",
    "MSG_MORE",
    "MSG_FASTOPEN",
    "MSG_EOF",
    "MSG_EOR",
    "MSG_ZEROCOPY",
)
_SEND_NOTHING = ("MSG_DONTROUTE", "MSG_CONFIRM")
_RECEIVE_FLAGS = (
    "MSG_OOB",
    "MSG_PEEK",
    "MSG_DONTWAIT",
    "MSG_WAITALL",
    "MSG_TRUNC",
    "MSG_ERRQUEUE",
)
_RECEIVE_NOTHING = ("MSG_CMSG_CLOEXEC", "MSG_NOSIGNAL")


def _again() -> OSError:
    return OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


# --- flags ----------------------------------------------------------------------------------------


def _flags(names: Symbols, number: int, known: tuple[str, ...], idle: tuple[str, ...]) -> set[str]:
    """The names of flags, without those that change nothing. Raises Skip for others."""
    found = set()
    for name in known + idle:
        bit = names.table.get(name, 0)
        if bit and number & bit:
            number &= ~bit
            if name in known:
                found.add(name)
    if number:
        said = [n for n, bit in names.table.items() if n.startswith("MSG_") and bit & number]
        raise Skip(f"the flag {'|'.join(said) or hex(number)}")
    return found


# --- receiving ------------------------------------------------------------------------------------


def receive(
    calls: Calls, file: SocketFile, n: int, flags: int, null: bool, message: Incoming | None = None
) -> Steps:
    """recv(2) of zeros. Waits for SO_RCVLOWAT octets, or with MSG_WAITALL for all of them.

    A recvmsg has a `message`.
    """
    wanted = _flags(calls.names, flags, _RECEIVE_FLAGS, _RECEIVE_NOTHING)
    if not file.stream:
        return (yield from _receive_datagram(file, n, wanted))
    sock = file.sock
    into = message or Incoming()
    if "MSG_ERRQUEUE" in wanted:
        return len(into.receive(sock, n, sockbase.MSG_ERRQUEUE))
    number = 0
    for name in wanted & {"MSG_OOB", "MSG_PEEK"}:
        number |= getattr(sockbase, name)
    if "MSG_OOB" in wanted:
        return len(into.receive(sock, n, number))
    patient = not file.nonblock and "MSG_DONTWAIT" not in wanted
    if null and n and sock.row.rcvq.cc and "MSG_TRUNC" not in wanted:
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
    least = n if "MSG_WAITALL" in wanted else min(n, max(sock.row.rcvq.lowat, 1))
    done: int = 0
    # Linux copies what there is and then waits for the rest; FreeBSD waits for SO_RCVLOWAT first, and so
    # does whoever only peeks
    whole = least if "MSG_PEEK" in wanted else min(n, 0 if calls.linux else sock.row.rcvq.lowat)
    while True:
        if patient and not done and sock.row.rcvq.cc < whole and _more_comes(sock):
            yield NEVER
            continue
        try:
            data = into.receive(sock, n - done, number)
        except BlockingIOError:
            if not patient:
                if done:
                    return done
                raise
        except OSError:
            if done:
                return done
            raise
        else:
            if any(data):
                raise Failure("runtime error in a receiving call: the octets are not zeros")
            done += len(data)
            if not data or done >= least or not patient or "MSG_PEEK" in wanted:
                return done
        yield NEVER


@dataclass(slots=True)
class Incoming:
    """The msghdr of a call that receives: room for control messages, and what the last step of the call told."""

    room: int = 0
    flags: int = 0
    control: control_.Ancillary = field(default_factory=list)

    def receive(self, sock: Any, n: int, flags: int) -> bytes:
        """Up to `n` octets, now. Raises OSError."""
        data, self.control, self.flags, _ = sock.recvmsg(n, self.room, flags)
        return bytes(data)


def _more_comes(sock: Any) -> bool:
    row = sock.row
    if not row.so_state & (SS_CONNECTED | SS_CONNECTING):
        return False
    return not row.so_error and not row.so_state & (SS_CANTRCVMORE | SS_DISCONNECTED)


def _receive_datagram(file: SocketFile, n: int, wanted: set[str]) -> Steps:
    number = sockbase.MSG_PEEK if "MSG_PEEK" in wanted else 0
    while True:
        try:
            data = file.sock.recv(n if "MSG_TRUNC" not in wanted else 65535, number)
            return len(data)
        except BlockingIOError:
            if file.nonblock or "MSG_DONTWAIT" in wanted:
                raise
        yield NEVER


# --- sending --------------------------------------------------------------------------------------


def send(
    calls: Calls,
    file: SocketFile,
    n: int,
    flags: int,
    to: Address | None,
    control: control_.Ancillary | None = None,
) -> Steps:
    """send(2) of zeros. One that blocks takes all of them before it returns."""
    wanted = _flags(calls.names, flags, _SEND_FLAGS, _SEND_NOTHING)
    sock = file.sock
    if not file.stream:
        return int(sock.send(zeros(n)) if to is None else sock.sendto(zeros(n), to))
    patient = not file.nonblock and "MSG_DONTWAIT" not in wanted
    fresh = not sock.row.so_state & (SS_CONNECTED | SS_CONNECTING | SS_DISCONNECTED)
    if "MSG_FASTOPEN" in wanted or (fresh and to is not None and not calls.linux):
        return (yield from _connect_with(calls, file, n, to, "MSG_FASTOPEN" in wanted, patient))
    number = 0
    for name in wanted & {"MSG_OOB", "MSG_MORE", "MSG_EOR", "MSG_ZEROCOPY"}:
        number |= getattr(sockbase, name)
    asked = sockreports.asked_by(sock, control or ())
    if "MSG_EOF" in wanted:  # FreeBSD: the end of sending, in one segment with the last octets
        done: int = yield from _send_all(sock, n, number | sockbase.MSG_MORE, patient, asked)
        sock.shutdown(std.SHUT_WR)
        return done
    return (yield from _send_all(sock, n, number, patient, asked))


def _send_all(sock: Any, n: int, number: int, patient: bool, asked: int = -1) -> Steps:
    done: int = 0
    while True:
        try:
            if number & sockbase.MSG_OOB:
                done += int(sock.send(zeros(n - done), number))
            else:
                done += int(sock.send_some(zeros(n - done), number, patient, asked))
            if done >= n:
                return done
        except BlockingIOError:
            if not patient and not done:
                raise
        except OSError:
            if done:
                return done
            raise
        if not patient:
            return done
        # a writer that sleeps is woken for a good piece of the buffer, not for each octet of room
        yield NEVER
        while not _writable(sock):
            yield NEVER


def _writable(sock: Any) -> bool:
    row = sock.row
    return bool(writable(sock.host.core, row) or row.so_error or row.so_state & _ENDED)


def _connect_with(
    calls: Calls, file: SocketFile, n: int, to: Address | None, flag: bool, patient: bool
) -> Steps:
    """sendto(2) that connects: Linux with MSG_FASTOPEN, FreeBSD whenever an address is given."""
    number = getattr(sockbase, "MSG_FASTOPEN", None)
    if number is None:
        raise Skip("TCP Fast Open")
    sock = file.sock
    where = to or calls.observer.remote
    calls.observer.connecting(file, where)
    done: int = 0
    try:
        done = int(sock.sendto(zeros(n), number if flag else 0, where))
    except OSError as e:
        if e.errno != errno.EINPROGRESS or not patient:
            raise
    if not patient:
        return done
    while sock.row.so_state & SS_CONNECTING:
        yield NEVER
    error = sock.getsockopt(std.SOL_SOCKET, std.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))
    if done < n:
        done += yield from _send_all(sock, n - done, 0, True)
    return done


def splice(calls: Calls, source: File, target: File, n: int, nonblock: bool) -> Steps:
    """splice(2): one of both is a pipe. Octets go as far as the other side takes them."""
    if isinstance(source, PipeEnd) and source.reads and isinstance(target, SocketFile):
        while not source.pipe.octets:
            if not source.pipe.writers:
                return 0
            if nonblock or source.nonblock:
                raise _again()
            yield NEVER
        amount = min(n, source.pipe.octets)
        steps = send(calls, target, amount, 0, None)
        done = yield from steps
        source.pipe.octets -= done
        return done
    if isinstance(source, SocketFile) and isinstance(target, PipeEnd) and not target.reads:
        room = PIPE_SIZE - target.pipe.octets
        if room <= 0:
            raise _again()
        flags = calls.names.table["MSG_DONTWAIT"] if nonblock else 0
        done = yield from receive(calls, source, min(n, room), flags, False)
        target.pipe.octets += done
        return done
    if isinstance(source, PipeEnd) and isinstance(target, PipeEnd):
        amount = min(n, source.pipe.octets, PIPE_SIZE - target.pipe.octets)
        if not amount:
            raise _again()
        source.pipe.octets -= amount
        target.pipe.octets += amount
        return amount
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


# --- iovec and msghdr -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """A struct msghdr of a script: octets in all, and what it says of name, control and flags."""

    total: int
    name: Arg | None
    control: tuple[Arg, ...]
    flags: Arg | None
    room: int
    """Octets for control messages: what the script says, 0 where it speaks of none."""
    open: bool
    """`msg_control=...`: whatever they are."""


def total(names: Symbols, iov: Arg, count: Arg | None) -> int:
    """Octets of `[{..., 100}, {..., 50}]`. Raises Failure where it is not that, OSError as the kernel."""
    if not isinstance(iov, List_):
        raise Failure(f"semantic error: an iovec expected, not {describe(iov)}")
    sizes = []
    for item in iov.items:
        if not isinstance(item, Struct) or len(item.fields) != 2:
            raise Failure(f"semantic error: {{..., size}} expected, not {describe(item)}")
        sizes.append(names.value(item.fields[1].value))
    if count is not None and not isinstance(count, Ellipsis_):
        number = names.value(count)
        if number < 0 or number > _UIO_MAX:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if number != len(sizes):
            raise Failure(f"semantic error: {number} elements announced, {len(sizes)} given")
    if any(size < 0 for size in sizes):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return sum(sizes)


def read(names: Symbols, message: Arg) -> Message:
    """The parts of a msghdr."""
    if not isinstance(message, Struct):
        raise Failure(f"semantic error: a msghdr expected, not {describe(message)}")
    octets = 0
    name = flags = None
    control: tuple[Arg, ...] = ()
    room, open_ = 0, False
    for each in message.fields:
        if each.name == "msg_iov":
            octets = total(names, each.value, each.count)
        elif each.name == "msg_name":
            name = each.value
        elif each.name == "msg_flags":
            flags = each.value
        elif each.name == "msg_control":
            given = each.count is not None and not isinstance(each.count, Ellipsis_)
            room = names.value(each.count) if given else control_.ROOM
            open_ = isinstance(each.value, Ellipsis_)
            if isinstance(each.value, List_):
                control = each.value.items
            elif not open_:
                raise Failure(f"semantic error: a list expected, not {describe(each.value)}")
        else:
            raise Skip(f"the field {each.name} of a msghdr")
    return Message(octets, name, control, flags, room, open_)


def check(names: Symbols, given: Message, told: Incoming, begin: int, tolerance: int) -> None:
    """What recvmsg put into the msghdr: control messages and flags."""
    if not given.open:
        control_.check(names, given.control, told.control, begin, tolerance)
    if given.flags is None or isinstance(given.flags, Ellipsis_):
        return
    expected = names.value(given.flags)
    if expected != told.flags:
        raise Failure(
            f"runtime error in recvmsg call: Bad msg_flags: expected: {expected:#x} actual: {told.flags:#x}"
        )
