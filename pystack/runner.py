"""Real time: the loop that sleeps until a device has packets, a deadline comes or somebody calls.

One thread runs it and with it one
machine; other threads reach it through `call_soon_threadsafe` only.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from heapq import heappop, heappush
from itertools import count
from typing import Any, Protocol, Self

from pystack._fast.consts import MS, NEVER, SECOND, US
from pystack._fast.core import Driver

log = logging.getLogger("pystack")

FINE = 20 * MS
"""Waits shorter than this end to the microsecond; epoll would round them up to a millisecond."""
BATCH_MAX = 64
SPIN = 50 * US
"""How long to look again before sleeping, once packets have come, where another processor runs the
peer meanwhile: going to sleep and being woken costs about as much. Measured over a TUN device, echo of 8
packets in flight: a quarter to a third more a second."""


class Machine(Protocol):
    """What the loop asks of a core (`pystack._fast.core.Core`); times are ns."""

    def tick(self, now: int) -> Any:
        """Run what is due."""

    def next_deadline(self) -> int:
        """When `tick` is wanted next; `NEVER`."""


class Device(Protocol):
    """Where packets come from and go to (`pystack.tun.Tun`)."""

    def fileno(self) -> int:
        """Readable when packets wait."""

    def receive(self, core: Any, iface: int, now: int, limit: int) -> int:
        """Hand up to `limit` packets to the core; how many."""

    def transmit(self, core: Any, now: int) -> int:
        """Write all that the core has to send; how many packets."""


class Clock:
    """Monotonic time, ns. `now` stands still during a round of the loop, so that all that happens in one
    happens at one time; outside of the loop it is the present.
    """

    now: int

    def __getattr__(self, name: str) -> int:
        if name == "now":  # there is none in the instance between rounds
            return time.monotonic_ns()
        raise AttributeError(name)


def utc_offset() -> int:
    """What to add to `Clock.now` for nanoseconds since 1970, as this system sees it now."""
    return time.time_ns() - time.monotonic_ns()


class Handle:
    """A call that repeats or is to come; `cancel()` ends it."""

    def __init__(self, call: Callable[[], object], period: int) -> None:
        self.call = call
        self.period = period
        self.cancelled = False

    def cancel(self) -> None:
        """It is not called again."""
        self.cancelled = True


def default_spin() -> int:
    """`SPIN`, or 0 where this process has one processor only: spinning would keep the peer from it."""
    return SPIN if len(os.sched_getaffinity(0)) > 1 else 0


class Runner(Driver):
    """Runs one machine on one device in real time: the world of a `Host` on a device.

    `host` has `core` and `dispatch()`, which calls what waits for ready sockets and answers how many
    calls that were; packets arrive on its interface number `iface`. `core`: what the device sees in
    place of `host.core` (`wired.Wired`). `spin`: ns to look again before sleeping, once packets have
    come; by default `default_spin()`.

    Exceptions of callbacks are logged and the loop goes on; what the device raises ends it.
    """

    def __init__(
        self,
        host: Any,
        device: Device,
        *,
        iface: int = 0,
        core: Any = None,
        spin: int | None = None,
    ) -> None:
        self.host = host
        self.core: Any = host.core if core is None else core
        self.device = device
        self.iface = iface
        self.spin = default_spin() if spin is None else spin
        self.clock = Clock()
        self.now = self.clock.now
        """Time of the present round, ns; commands to the core take this."""
        self.rounds = 0
        self.woken = False
        """Did the last round wake anybody: a ready socket or a call?"""
        self._looping = False
        self._stopping = False
        self._calls: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[int, int, Handle]] = []
        self._order = count()
        self._readers: dict[int, Callable[[], object]] = {}
        self._epoll = select.epoll()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._device_fd = device.fileno()
        self._epoll.register(self._device_fd, select.EPOLLIN)
        self.add_reader(self._wake_in.fileno(), self._drain_wake)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the loop's own descriptors; the device stays open."""
        self._epoll.close()
        self._wake_in.close()
        self._wake_out.close()

    # what may be asked of it

    def call_soon(self, call: Callable[[], object]) -> None:
        """Call it in the next round. For the loop's own thread."""
        self._calls.append(call)

    def call_soon_threadsafe(self, call: Callable[[], object]) -> None:
        """Call it in the loop's thread, soon. For any thread and for signal handlers."""
        self._calls.append(call)
        self._wake()

    def call_every(self, seconds: float, call: Callable[[], object]) -> Handle:
        """Call it every so often, the first time after one period; no making up for missed ones."""
        handle = Handle(call, round(seconds * SECOND))
        heappush(self._timers, (time.monotonic_ns() + handle.period, next(self._order), handle))
        return handle

    def call_later(self, seconds: float, call: Callable[[], object]) -> Handle:
        """Call it once."""
        handle = Handle(call, 0)
        due = time.monotonic_ns() + round(seconds * SECOND)
        heappush(self._timers, (due, next(self._order), handle))
        return handle

    def call_at(self, time: int, call: Callable[[], object]) -> None:
        """Call it once, at this time of `clock`."""
        heappush(self._timers, (time, next(self._order), Handle(call, 0)))

    def add_reader(self, fd: int, call: Callable[[], object]) -> None:
        """Call it whenever `fd` is readable."""
        self._readers[fd] = call
        self._epoll.register(fd, select.EPOLLIN)

    def remove_reader(self, fd: int) -> None:
        """Forget `fd`; before it is closed."""
        del self._readers[fd]
        self._epoll.unregister(fd)

    def stop(self) -> None:
        """End `run` after the present round. From any thread and from signal handlers."""
        self._stopping = True
        self._wake()

    # what a machine asks of its world

    @property
    def driver(self) -> Runner:
        """The loop itself."""
        return self

    def before(self, core: Any) -> int:
        """The core is about to be given commands: it is told the time."""
        core.settle(self.clock.now)
        return 0

    def after(self, core: Any) -> int:
        """The core was given commands. In the loop the end of the round sends; outside this does."""
        if not self._looping:
            self.device.transmit(self.core, self.clock.now)
        return 0

    def step(self, deadline: int) -> bool:
        """Run until a socket became ready or a call was made; False when `deadline` (ns) has come.

        What blocking calls of sockets wait in. Raises KeyboardInterrupt as any waiting does.
        """
        return self.run_until(lambda: self.woken, deadline)

    def run_until(self, condition: Callable[[], object], deadline: int) -> bool:
        """Run until `condition()` is true (True), or `deadline` has come (False)."""
        if self._looping:
            raise RuntimeError("a call that waits cannot be made by a callback of the loop")
        self._stopping = False
        return self._run(condition, deadline)

    # the loop

    def run(
        self,
        *,
        until: Callable[[], object] | None = None,
        timeout: float | None = None,
        signals: bool | None = None,
    ) -> bool:
        """Run until `stop`, SIGINT or SIGTERM (False), or until `until()` is true (True).

        `until` is looked at once a round. `timeout` in seconds, then False. `signals`: whether to
        handle the two signals; by default where that can be, in the main thread.

        Raises what the device raises (`tun.DeviceGone`).
        """
        if signals is None:
            signals = threading.current_thread() is threading.main_thread()
        end = NEVER if timeout is None else time.monotonic_ns() + round(timeout * SECOND)
        self._stopping = False  # before a signal can say otherwise
        if not signals:
            return self._run(until, end)
        with self._signals():
            return self._run(until, end)

    def _run(self, until: Callable[[], object] | None, end: int) -> bool:
        self._looping = True
        try:
            return self._loop(until, end)
        finally:
            self._looping = False
            vars(self.clock).pop("now", None)

    def _loop(self, until: Callable[[], object] | None, end: int) -> bool:
        core = self.core
        device = self.device
        device_fd = self._device_fd
        iface = self.iface
        time_of_round = self.clock
        clock = time.monotonic_ns
        dispatch = self.host.dispatch
        next_deadline = core.next_deadline
        tick = core.tick
        receive = device.receive
        transmit = device.transmit
        timers = self._timers
        spin = self.spin
        awake_until = 0
        limit = 1
        again = True
        now = clock()
        while True:
            if again or self._calls or now < awake_until:
                events = self._epoll.poll(0)
            else:
                due = min(next_deadline(), end)
                if timers and timers[0][0] < due:
                    due = timers[0][0]
                events = self._wait(due)
            self.now = time_of_round.now = now = clock()
            woken = False
            for fd, _ in events:
                if fd != device_fd:
                    reader = self._readers.get(fd)  # a reader may remove another
                    if reader is not None:
                        self._guard(reader)
                    continue
                if next_deadline() <= now:
                    limit = BATCH_MAX  # all that waits comes before the timer, see below
                got = receive(core, iface, now, limit)
                # Reading until nothing is there would cost a failed read for each packet of a
                # quiet device; asking for as many as came last time needs none.
                limit = min(2 * got, BATCH_MAX) if got >= limit else max(got, 1)
                if spin:
                    awake_until = now + spin
            # After what arrived: where this process had to wait for a processor, the acknowledgment that
            # lies in the device is older than the timer that would send the segment again.
            tick(now)
            if timers and timers[0][0] <= now:
                self._run_timers(now)
                woken = True
            if self._calls:
                self._run_calls()
                woken = True
            again = dispatch() > 0
            self.woken = again or woken
            transmit(core, now)
            self.rounds += 1
            if until is not None and until():
                return True
            if self._stopping or now >= end:
                return False

    def _wait(self, due: int) -> list[tuple[int, int]]:
        """Sleep until something is readable or `due` has come."""
        if due == NEVER:
            return self._epoll.poll()
        left = due - time.monotonic_ns()
        if left <= 0:
            return self._epoll.poll(0)
        if left >= FINE:
            return self._epoll.poll(left / SECOND)
        epoll = self._epoll.fileno()
        if epoll < 1024 and not select.select((epoll,), (), (), left / SECOND)[0]:
            return []
        return self._epoll.poll(0 if epoll < 1024 else left / SECOND)

    def _guard(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception:
            log.exception("a callback of the loop failed")

    def _run_calls(self) -> None:
        for _ in range(len(self._calls)):
            self._guard(self._calls.popleft())

    def _run_timers(self, now: int) -> None:
        while self._timers and self._timers[0][0] <= now:
            due, _, handle = heappop(self._timers)
            if handle.cancelled:
                continue
            if handle.period:
                missed = (now - due) // handle.period
                due += (missed + 1) * handle.period
                heappush(self._timers, (due, next(self._order), handle))
            self._guard(handle.call)

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # full: it is being woken already
            self._wake_out.send(b"\0")

    def _drain_wake(self) -> None:
        with suppress(BlockingIOError):
            while self._wake_in.recv(4096):
                pass

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def handler(_number: int, _frame: object) -> None:
            self.stop()

        kept = {
            number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)
        }
        fd = signal.set_wakeup_fd(self._wake_out.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(fd)
            for number, old in kept.items():
                signal.signal(number, old)
