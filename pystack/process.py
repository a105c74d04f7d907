"""`Process`: a program on a machine. Its sockets are its own, and so is the limit of its descriptors.

    httpd = host.process("httpd", uid=80, nofile=1024)
    listener = httpd.socket()

A machine has one from the beginning, which `host.socket` uses: root's, with as many descriptors as the system gives.
"""

from __future__ import annotations

import socket as std
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import PROTO_ICMP, PROTO_UDP, Err
from pystack._fast.datagrams import new_datagram
from pystack._fast.files import UNLIMITED, Descriptors
from pystack.datagram import DatagramSocket
from pystack.errors import error_of
from pystack.sockets import StreamSocket
from pystack.timer import Timer
from pystack.units import parse_time

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.sockets import Socket

_STREAM, _TCP = int(std.SOCK_STREAM), int(std.IPPROTO_TCP)
_SOCKET_FLAGS = 0o4000 | 0o2000000
_NONBLOCK = 0o4000


class Process(Descriptors):
    """A program that runs as `uid` on `host`; `nofile` is its RLIMIT_NOFILE, None for what the system allows when it
    starts.

    `asleep`: it does not run. It waits in the kernel for mbufs, and no signal reaches it (top shows it in `zoneli`), or
    it was stopped (`stop`).

    `pid` and `name` are what `sockstat` and the kernel's log call it, `used` its descriptors (0, 1 and 2 included),
    `failures` how often it was refused one (EMFILE).
    """

    def __init__(self, host: Host, name: str, pid: int, uid: int, nofile: int | None) -> None:
        self.host = host
        self.name = name
        self.stopped = False
        self._going_on: Callable[[], int] | None = None
        """The call in which it waits in the kernel."""
        self._calls: deque[Callable[[], object]] = deque()
        most = int(host.core.cfg.maxfilesperproc) or UNLIMITED
        if nofile is not None and nofile < 0:
            raise ValueError(f"{name} cannot have {nofile} descriptors")
        files: Any = host.core.files
        super().__init__(files, pid, uid, min(most if nofile is None else nofile, UNLIMITED))

    def __repr__(self) -> str:
        return (
            f"<{self.host.name}: {self.name}[{self.pid}], {self.used} of {self.nofile} descriptors>"
        )

    def setrlimit(self, nofile: int) -> None:
        """RLIMIT_NOFILE from now on: what is open stays. The system's own limit for a process binds all the same."""
        if nofile < 0:
            raise ValueError(f"{self.name} cannot have {nofile} descriptors")
        self.nofile = min(nofile, UNLIMITED)

    # --- asleep in the kernel (pystack.shortage) ---------------------------------------------------

    def doze(self, go_on: Callable[[], int], octets: int) -> None:
        """Sleep until there is storage for so many octets, then go on; `go_on` says how many more it wants, 0: done."""
        core: Any = self.host.core
        self.handler = self._wake
        self._going_on = go_on
        self._rest()
        core.fall_asleep(self, octets)

    def later(self, call: Callable[[], object]) -> None:
        """Make a call that changes something when awake."""
        if self.asleep:
            self._calls.append(call)
        else:
            self.host.later(call)

    def miss(self, row: Any, event: int) -> None:
        """A socket did not answer because its program is asleep: it hears of this event when it wakes up."""
        row.ready |= event
        if not row.queued:
            row.queued = True
            self.held.append(row)

    def _wake(self, events: int) -> None:
        """There is storage: go on where sleep began, then with what was put off."""
        going_on = self._going_on
        assert going_on is not None
        octets = going_on()
        if octets:
            self.host.core.fall_asleep(self, octets)
            return
        self._going_on = None
        self._rise()

    def _rest(self) -> None:
        if not self.asleep:
            self.asleep = True
            self.host.core.asleep += 1

    def _rise(self) -> None:
        """It runs again, unless something else keeps it."""
        if self.stopped or self._going_on is not None:
            return
        core: Any = self.host.core
        self.asleep = False
        core.asleep -= 1
        held, self.held = self.held, []
        for row in held:
            row.queued = False
            core.make_ready(row)
        while self._calls and not self.asleep:
            self._calls.popleft()()
        self.host.after(core)

    # --- signals, and timers ---------------------------------------------------------------------------

    def stop(self) -> None:
        """SIGSTOP: the program does nothing until `go_on`. Its system acknowledges, and queues who connects."""
        if not self.stopped:
            self.stopped = True
            self._rest()

    def go_on(self) -> None:
        """SIGCONT: it hears of what has happened, and its timers that have come due fire."""
        if self.stopped:
            self.stopped = False
            self._rise()

    @property
    def halted(self) -> bool:
        """Does it not run, or its machine?"""
        return self.asleep or self.host.halted

    @property
    def now(self) -> int:
        """The present of its machine, ns."""
        return self.host.now

    def call_later(self, delay: int | str, fn: Callable[..., object], *args: Any) -> Timer:
        """As `Host.call_later`, in this program: not while it is asleep."""
        return self.call_at(self.now + parse_time(delay, "delay"), fn, *args)

    def call_at(self, time: int, fn: Callable[..., object], *args: Any) -> Timer:
        """As `Host.call_at`, likewise."""
        return self.host.plan(Timer(time, fn, args, self))

    # --- sockets -----------------------------------------------------------------------------------------

    def socket(self, type: int = std.SOCK_STREAM, proto: int = 0, *, uid: int | None = None) -> Any:
        """socket(2): as `Host.socket`. Raises OSError: EMFILE and ENFILE for want of a descriptor or a file."""
        # a family's number may also be that of a type, and a type's that of ICMP
        if isinstance(type, std.AddressFamily):
            raise ValueError(f"socket family {type.name}: give the type only, all is AF_INET here")
        kind = int(type) & ~_SOCKET_FLAGS
        host = self.host
        core: Any = host.core
        host.before(core)
        stream = kind == _STREAM and proto in (0, _TCP)
        if not stream and not (kind == std.SOCK_DGRAM and proto in (0, PROTO_UDP, PROTO_ICMP)):
            raise ValueError(
                f"socket type {type!r}, protocol {proto}: give SOCK_STREAM or SOCK_DGRAM"
            )
        fd = self.take(core)
        if fd < 0:
            raise error_of(fd)
        row = core.new_tcb() if stream else new_datagram(core, proto or PROTO_UDP)
        if row is None:
            self.give(fd)
            raise error_of(Err.ENOBUFS)
        row.owner = self
        row.fd = fd
        sock: Socket
        if stream:
            row.uid = self.uid if uid is None else uid
            sock = StreamSocket(host, row)
        else:
            sock = DatagramSocket(host, row)
        if int(type) & _NONBLOCK:
            sock.setblocking(False)
        return sock
