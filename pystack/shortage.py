"""Who writes when mbufs are denied waits for them in the kernel, in `zonelimit`: no signal ends it, nor a timeout, nor
that the socket does not block (sosend allocates with M_WAITOK). If nobody frees any, that is for ever.

A call of a program that may wait hangs: the world goes on without it. One that a callback makes cannot hang, for the
world waits for it to return; so its program falls asleep instead (`pystack.process`): the call is as good as made, and
until its octets have found storage the program hears of nothing, and what it calls is put off.

FreeBSD 4 gives up after a while (kern.ipc.mbuf_wait); with the policy `enobufs` (the patch of seed 002) nobody waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pystack._fast.commands import tcp_send
from pystack._fast.consts import MBUF_SHORTAGE_SLEEP, NEVER, WRITE_GRANTED, WRITE_PAGES, Err
from pystack._fast.mbuf_zones import SFBUF
from pystack._fast.space import send_space

if TYPE_CHECKING:
    from pystack.sockbase import Buffer
    from pystack.sockets import Socket, StreamSocket

_AGAIN = -int(Err.EAGAIN)
_NO_BUFFERS = -int(Err.ENOBUFS)
WHOLE = 65536
"""Octets of the largest piece that storage is asked for at once."""


def starved(sock: StreamSocket, data: Buffer, done: int, how: int) -> bool:
    """Did a write of `data` end at `done` (or with this negative error) for want of mbufs that its system waits for, or
    of buffers that map a file's pages (`sfbufa`)?
    """
    core: Any = sock.core
    if done != _NO_BUFFERS and not 0 < done < len(data):
        return False
    if not waits(sock):
        return False
    if done < 0:
        return True
    return send_space(core, sock.row) > 0 and (core.pool.would_deny(1) or no_page(core, how))


def no_page(core: Any, how: int) -> bool:
    """Is this a write of pages, and is no buffer left that would map one?"""
    zone = core.pool.zones()[SFBUF] if how & WRITE_PAGES else {"limit": 0}
    return bool(zone["limit"]) and zone["used"] >= zone["limit"]


def called_back(sock: Socket) -> bool:
    """Is the call one of a callback's, or of a timer's that a program driven by events has set?"""
    core: Any = sock.host.core
    return bool(core.dispatching or sock.row.handler is not None)


def wanted(t: Any, octets: int, how: int) -> int:
    """Octets that storage must be there for before the write goes on: a queue that has some takes any; -1: a page."""
    if how & WRITE_PAGES:
        return -1
    return 1 if t.sndq.cc else min(octets, WHOLE)


def waits(sock: Socket) -> bool:
    """Does its system have a writer wait for mbufs, here and now?"""
    cfg = sock.host.core.cfg
    if cfg.policy_mbuf_shortage != MBUF_SHORTAGE_SLEEP:
        return False
    return not (called_back(sock) and cfg.mbuf_wait)


def found(sock: Socket, octets: int, end: int) -> bool:
    """Time passes until there is storage for so many octets; False when `end` came first."""
    core: Any = sock.host.core
    entry = (sock.row, octets)
    core.sleepers.append(entry)
    core.n_sleepers += 1
    while entry in core.sleepers:
        if not core.driver.step(end):
            core.sleepers.remove(entry)
            core.n_sleepers -= 1
            return False
    return True


def patience(sock: Socket) -> int:
    """Until when a writer waits: for ever, or as long as FreeBSD 4 has it (kern.ipc.mbuf_wait)."""
    cfg = sock.host.core.cfg
    return int(sock.host.world.clock.now) + int(cfg.mbuf_wait) if cfg.mbuf_wait else NEVER


def denied(sock: Socket, octets: int, answer: int) -> bool:
    """Was a datagram refused for want of mbufs? A full queue of dummynet has the same errno, and nobody waits."""
    return answer == _NO_BUFFERS and bool(sock.host.core.pool.would_deny(octets))


def sleep_with_datagram(sock: Socket, octets: int, send: Callable[[], int]) -> int:
    """A datagram found no mbufs: `send()` again when there are some; its answer in the end."""
    if not waits(sock):
        return _NO_BUFFERS
    if called_back(sock):
        row = sock.row

        def go_on() -> int:
            answer = send()
            if denied(sock, octets, answer):
                return octets
            if answer < 0:
                row.error = row.error or -answer  # its next call hears of it
            return 0

        row.owner.doze(go_on, octets)
        return octets
    end = patience(sock)
    answer = _NO_BUFFERS
    while denied(sock, octets, answer) and found(sock, octets, end):
        answer = send()
    return answer


def sleep(sock: StreamSocket, data: Buffer, done: int, how: int) -> int:
    """Go on with a write that was starved after `done` octets: how many are taken in the end, or a negative error."""
    core: Any = sock.core
    t = sock.row
    if called_back(sock):
        return _doze(sock, data, done, how)
    end = patience(sock)
    while done < len(data):
        if not found(sock, wanted(t, len(data) - done, how), end):
            return done or _NO_BUFFERS
        core.driver.before(core)
        took: int = tcp_send(core, t, data, done, len(data) - done, how)
        core.driver.after(core)
        if took == _NO_BUFFERS:
            continue
        if took < 0:
            return done or took
        done += took
        if not starved(sock, data, done, how):
            break
    return done


def _doze(sock: StreamSocket, data: Buffer, done: int, how: int) -> int:
    """The program falls asleep; what the call will have taken when it wakes up."""
    core: Any = sock.core
    t = sock.row
    end = min(len(data), done + int(send_space(core, t)))
    rest = bytes(data[done:end])
    at = 0

    def go_on() -> int:
        """Octets that still lack storage."""
        nonlocal at
        core.driver.before(core)
        took: int = tcp_send(core, t, rest, at, len(rest) - at, how | WRITE_GRANTED)
        core.driver.after(core)
        if took < 0 and took != _NO_BUFFERS:
            t.so_error = t.so_error or -took  # its next call hears of it
            return 0
        at += max(took, 0)
        return wanted(t, len(rest) - at, how) if at < len(rest) else 0

    t.owner.doze(go_on, wanted(t, len(rest), how))
    return end
