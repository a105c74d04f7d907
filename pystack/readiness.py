"""`select` over pystack's sockets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pystack._fast.consts import (
    EV_ACCEPT,
    EV_CONNECT,
    EV_ERROR,
    EV_HANGUP,
    EV_READ,
    EV_WRITE,
    NEVER,
    SECOND,
)
from pystack.sockets import Socket

_READ = EV_READ | EV_ACCEPT | EV_ERROR | EV_HANGUP
_WRITE = EV_WRITE | EV_CONNECT | EV_ERROR | EV_HANGUP


def select(
    rlist: Iterable[Socket],
    wlist: Iterable[Socket] = (),
    xlist: Iterable[Socket] = (),
    timeout: float | None = None,
) -> tuple[list[Socket], list[Socket], list[Socket]]:
    """Wait until one of the sockets is ready; the ready ones of each list.

    `timeout` is in seconds of the world's time, 0 only looks. `xlist` is for pending errors. Raises
    ValueError for sockets of different worlds or none at all, DeadlockError where nothing can happen.
    """
    readers, writers, others = list(rlist), list(wlist), list(xlist)
    every = [*readers, *writers, *others]
    if not every:
        raise ValueError("select: no sockets: let time pass with the world's run instead")
    world = every[0].host.world
    if any(sock.host.world is not world for sock in every):
        raise ValueError("select: sockets of different worlds")
    deadline = NEVER if timeout is None else every[0].host.world.clock.now + round(timeout * SECOND)
    while True:
        ready = _ready(readers, writers, others)
        if any(ready) or timeout == 0:
            return ready
        wanted = [(sock.row, _READ) for sock in readers]
        wanted += [(sock.row, _WRITE) for sock in writers]
        wanted += [(sock.row, EV_ERROR) for sock in others]
        for row, events in wanted:
            row.wanted |= events
        try:
            more = world.driver.step(deadline)
        finally:
            for sock in every:
                if not sock.closed:
                    sock.row.wanted = sock.wanted
        if not more:
            return _ready(readers, writers, others)


def _ready(
    readers: Sequence[Socket], writers: Sequence[Socket], others: Sequence[Socket]
) -> tuple[list[Socket], list[Socket], list[Socket]]:
    return (
        [sock for sock in readers if sock.readable()],
        [sock for sock in writers if sock.writable()],
        [sock for sock in others if sock.level() & EV_ERROR],
    )
