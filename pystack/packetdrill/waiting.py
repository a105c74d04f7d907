"""poll and epoll of a script."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from typing import TYPE_CHECKING

from pystack._fast.consts import MS, NEVER
from pystack.packetdrill.files import Epoll, Interest, SocketFile, poll_events
from pystack.packetdrill.script import Arg, Ellipsis_, List_, Struct
from pystack.packetdrill.symbols import describe
from pystack.packetdrill.verdict import Failure

if TYPE_CHECKING:
    from pystack.packetdrill.calls import Calls, Running

Steps = Generator[int, None, int]


def _deadline(calls: Calls, timeout: Arg) -> int:
    """When a wait of so many milliseconds ends; NEVER for a negative number."""
    ms = calls.names.value(timeout)
    return NEVER if ms < 0 else int(calls.host.now) + ms * MS


# --- poll -----------------------------------------------------------------------------------------


def _number(calls: Calls, of: Struct, name: str, otherwise: int | None) -> int:
    value = of.get(name)
    if value is None or isinstance(value, Ellipsis_):
        if otherwise is None:
            raise Failure(f"semantic error: {describe(of)} has no {name}")
        return otherwise
    return calls.names.value(value)


def poll(calls: Calls, run: Running, fds: Arg, count: Arg, timeout: Arg) -> Steps:
    """poll(2); the revents of every entry are compared, a missing one with 0."""
    if not isinstance(fds, List_) or not all(isinstance(item, Struct) for item in fds.items):
        raise Failure(f"semantic error: [{{fd=, events=, revents=}}] expected, not {describe(fds)}")
    entries = [item for item in fds.items if isinstance(item, Struct)]
    if calls.names.value(count) != len(entries):
        raise Failure(f"semantic error: {describe(count)} entries announced, {len(entries)} given")
    deadline = _deadline(calls, timeout)
    table = calls.names.table
    always = table["POLLERR"] | table["POLLHUP"] | table["POLLNVAL"]
    while True:
        found = []
        for entry in entries:
            fd = _number(calls, entry, "fd", None)
            file = calls.files.get(fd)
            if file is None:
                found.append(0 if fd < 0 else table["POLLNVAL"])
            else:
                asked = _number(calls, entry, "events", 0) | always
                found.append(poll_events(file, calls.names) & asked)
        ready = sum(1 for revents in found if revents)
        if ready or calls.host.now >= deadline:
            break
        yield deadline

    def check() -> None:
        for entry, revents in zip(entries, found, strict=True):
            expected = _number(calls, entry, "revents", 0)
            if revents != expected:
                raise Failure(
                    f"runtime error in poll call: Bad revents for fd {_number(calls, entry, 'fd', None)}:"
                    f" expected: {expected:#x} actual: {revents:#x}"
                )

    run.checks.append(check)
    return ready


# --- epoll ----------------------------------------------------------------------------------------


def _epoll(calls: Calls, arg: Arg) -> Epoll:
    found = calls.file(arg)
    if not isinstance(found, Epoll):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return found


def _event(calls: Calls, event: Arg) -> tuple[int, tuple[str, int]]:
    """(events, (name of the data word, its value)) of `{events=EPOLLIN, fd=4}`."""
    if not isinstance(event, Struct):
        raise Failure(f"semantic error: {{events=, fd=}} expected, not {describe(event)}")
    events = _number(calls, event, "events", 0)
    for field in event.fields:
        if field.name in ("fd", "ptr", "u32", "u64"):
            return events, (field.name, calls.names.value(field.value))
    return events, ("", 0)


def control(calls: Calls, epoll: Arg, op: Arg, fd: Arg, event: Arg) -> int:
    """epoll_ctl(2)."""
    set_ = _epoll(calls, epoll)
    number = calls.names.value(fd)
    calls.file(fd)
    table = calls.names.table
    what = calls.names.value(op)
    if what == table["EPOLL_CTL_ADD"]:
        if number in set_.interests:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        set_.interests[number] = Interest(number, *_event(calls, event))
        return 0
    if number not in set_.interests:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    if what == table["EPOLL_CTL_DEL"]:
        del set_.interests[number]
    elif what == table["EPOLL_CTL_MOD"]:
        set_.interests[number] = Interest(number, *_event(calls, event))
    else:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return 0


def _ready(calls: Calls, interest: Interest) -> int:
    """The events of one descriptor that an epoll_wait would report now."""
    file = calls.files.get(interest.fd)
    if file is None or interest.disabled:
        return 0
    table = calls.names.table
    asked = interest.events | table["EPOLLERR"] | table["EPOLLHUP"]
    found = poll_events(file, calls.names) & asked
    if interest.events & table["EPOLLET"] and isinstance(file, SocketFile):
        if file.edges == interest.seen and not found & ~interest.told:
            return 0
    return found


def epoll_wait(
    calls: Calls, run: Running, epoll: Arg, events: Arg, most: Arg, timeout: Arg
) -> Steps:
    """epoll_wait(2): the events reported are compared one by one, in the order in which they were added."""
    set_ = _epoll(calls, epoll)
    limit = calls.names.value(most)
    if limit <= 0:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    deadline = _deadline(calls, timeout)
    found: list[tuple[Interest, int]]
    while True:
        found = []
        for interest in set_.interests.values():
            if len(found) < limit and (ready := _ready(calls, interest)):
                found.append((interest, ready))
        if found or calls.host.now >= deadline:
            break
        yield deadline
    table = calls.names.table
    reported = []
    for interest, ready in found:
        file = calls.files[interest.fd]
        if isinstance(file, SocketFile):
            interest.seen = file.edges
        interest.told = ready
        interest.disabled = bool(interest.events & table["EPOLLONESHOT"])
        reported.append((ready, interest.data))
    items = events.items if isinstance(events, List_) else (events,)

    def check() -> None:
        for item, (ready, data) in zip(items, reported, strict=False):
            if isinstance(item, Ellipsis_):
                continue
            expected, word = _event(calls, item)
            if expected != ready or (word[0] and word[1] != data[1]):
                raise Failure(
                    f"runtime error in epoll_wait call: Bad event: expected: {expected:#x} of"
                    f" {word[1]} actual: {ready:#x} of {data[1]}"
                )

    run.checks.append(check)
    return len(reported)
