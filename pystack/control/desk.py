"""The machine's side of its control socket: whatever comes, the machine goes on.

A command that only looks is worked at by a child process: forking it takes milliseconds and gives it the machine
as it is at this moment, and however long it renders, and however slowly its caller reads, the machine's own
process does other things. A command that changes the machine is done where the machine is; it is small, and one
message has one.

Everything is bounded: the length of a message, the time until it is whole, callers at one time, children at one
time, the time of a child, and how often a command is begun at all.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import struct
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

from pystack.control import message, place
from pystack.control.message import Answer, BadMessage, Request
from pystack.views import tools

if TYPE_CHECKING:
    from pystack.host import Host

log = logging.getLogger("pystack")

CALLERS = 16
"""Connections at one time; with one more the oldest that has not asked yet goes."""
CHILDREN = 8
"""Answers that are worked at or being read at one time."""
ASKING = 5.0
"""Seconds in which a question must be there."""
ANSWERING = 60
"""Seconds in which its answer must have been read; then the child is killed."""
REST = 0.05
"""Seconds from the beginning of one command to that of the next: most of the time is the machine's."""
ACCEPTS = 4
PAUSE = 0.005
"""Connections that are taken at once, and seconds until others are."""
DEAF = 1.0
"""Seconds without taking any, where one could not be had."""
PIECES = 64
"""Pieces in which a message may come."""
NICE = 10
"""A child waits for the machine, not the machine for a child."""


class Loop(Protocol):
    """What calls a desk (`runner.Runner`)."""

    def add_reader(self, fd: int, call: Callable[[], object]) -> None:
        """Call it whenever `fd` is readable."""

    def remove_reader(self, fd: int) -> None:
        """Forget `fd`."""

    def call_later(self, seconds: float, call: Callable[[], object]) -> Any:
        """Call it once; the answer has `cancel()`."""


class _Caller:
    """A connection that has not been answered."""

    def __init__(self, sock: socket.socket, patience: Any) -> None:
        self.sock = sock
        self.patience = patience
        self.heard = bytearray()
        self.pieces = 0
        self.request: Request | None = None


class Desk:
    """The control socket of one machine, from construction to `close`.

    `name`: what it is called there; by default the machine's, with a number where that is taken. `loop` calls it.

    Raises NoPlace, and ValueError for a name that cannot be.
    """

    def __init__(self, host: Host, loop: Loop, name: str | None = None) -> None:
        self.host = host
        self.loop = loop
        self.name, self._sock = place.claim(host.name if name is None else name)
        self.asked = self.refused = 0
        """Commands that were begun; connections that got none."""
        self._callers: dict[int, _Caller] = {}
        self._waiting: deque[_Caller] = deque()
        self._children: dict[int, int] = {}
        self._resting: Any = None
        self._deaf: Any = None
        self._listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nobody is answered any more, and the name is free. Again does nothing."""
        if self._sock.fileno() < 0:
            return
        if self._deaf is None:
            self.loop.remove_reader(self._sock.fileno())
        for timer in (self._deaf, self._resting):
            if timer is not None:
                timer.cancel()
        for caller in [*self._callers.values(), *self._waiting]:
            self._forget(caller).close()
        self._waiting.clear()
        for pidfd, pid in list(self._children.items()):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            self._reap(pidfd, pid, 0)
        place.release(self._sock)

    # --- callers ----------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._deaf = None
        self.loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        """Take a few connections, and none for a while."""
        self.loop.remove_reader(self._sock.fileno())
        self._deaf = self.loop.call_later(PAUSE, self._listen)
        for _ in range(ACCEPTS):
            try:
                sock, _ = self._sock.accept()
            except BlockingIOError:
                return
            except OSError:  # there is no descriptor for another
                self._deaf.cancel()
                self._deaf = self.loop.call_later(DEAF, self._listen)
                return
            sock.setblocking(False)
            if peer_uid(sock) not in (0, os.geteuid()):
                self.refused += 1
                sock.close()
                continue
            if len(self._callers) >= CALLERS:
                self._drop(next(iter(self._callers.values())))
            caller = _Caller(sock, None)
            caller.patience = self.loop.call_later(ASKING, partial(self._drop, caller))
            self._callers[sock.fileno()] = caller
            self.loop.add_reader(sock.fileno(), partial(self._hear, caller))

    def _hear(self, caller: _Caller) -> None:
        """Something came from a caller, or it went."""
        most = message.HEAD + message.REQUEST_MAX + 1
        try:
            part = caller.sock.recv(most - len(caller.heard))
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self._drop(caller)
            return
        caller.heard += part
        caller.pieces += 1
        try:
            if caller.pieces > PIECES:
                raise BadMessage(f"it comes in more than {PIECES} pieces")
            body = self._body(caller.heard)
            if body is not None:
                caller.request = Request.parse(body)
        except BadMessage as error:
            self._refuse(caller, f"not understood: {error}")
            return
        if caller.request is not None:
            self._forget(caller)
            self._waiting.append(caller)
            if len(self._waiting) > CALLERS:
                self._refuse(self._waiting.popleft(), "too many ask at the same time")
            self._next()

    @staticmethod
    def _body(heard: bytearray) -> bytes | None:
        """The body of the frame, None as long as it is not whole. Raises BadMessage."""
        if len(heard) < message.HEAD:
            return None
        end = message.HEAD + message.length(bytes(heard), message.REQUEST_MAX)
        if len(heard) > end:
            raise BadMessage("something comes behind it")
        return bytes(heard[message.HEAD :]) if len(heard) == end else None

    def _forget(self, caller: _Caller) -> socket.socket:
        """Nothing more is heard from this caller; its connection."""
        fd = caller.sock.fileno()
        if self._callers.pop(fd, None) is not None:
            self.loop.remove_reader(fd)
            caller.patience.cancel()
        return caller.sock

    def _drop(self, caller: _Caller) -> None:
        """A caller that has not said what it wants goes."""
        self.refused += 1
        self._forget(caller).close()

    def _refuse(self, caller: _Caller, why: str) -> None:
        self.refused += 1
        self._say(caller, Answer(2, err=f"pystack: {self.name}: {why}\n"))

    def _say(self, caller: _Caller, answer: Answer) -> None:
        """A short answer, at once; who has no room for it does without."""
        sock = self._forget(caller)
        with suppress(OSError):
            sock.send(answer.frame())
        sock.close()

    # --- commands ---------------------------------------------------------------------------------

    def _next(self) -> None:
        """Begin the next command, if it is time."""
        if self._resting is None and self._waiting and len(self._children) < CHILDREN:
            self._resting = self.loop.call_later(REST, self._rested)
            self._begin(self._waiting.popleft())

    def _rested(self) -> None:
        self._resting = None
        self._next()

    def _begin(self, caller: _Caller) -> None:
        assert caller.request is not None
        self.asked += 1
        words = list(caller.request.words)
        if not tools.changes(self.host, caller.request.tool, words):
            self._fork(caller)
        elif caller.request.tool == "sysctl" and sum(w[:1] != "-" for w in words) > 1:
            self._refuse(caller, "a message that changes something has one word besides options")
        else:
            self._say(caller, answer(self.host, caller.request))

    def _fork(self, caller: _Caller) -> None:
        """The rest is a child's: it has the machine as it is now, and the connection."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # other threads: see `_child`
                pid = os.fork()
        except OSError as error:
            self._say(caller, Answer(1, err=f"pystack: {self.name}: no fork: {error.strerror}\n"))
            return
        if pid == 0:
            self._child(caller)
        caller.sock.close()
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:  # it has ended, and whoever ignores SIGCHLD has no zombies
            return
        self._children[pidfd] = pid
        self.loop.add_reader(pidfd, partial(self._reap, pidfd, pid))

    def _reap(self, pidfd: int, pid: int, how: int = os.WNOHANG) -> None:
        """A child has ended."""
        self.loop.remove_reader(pidfd)
        del self._children[pidfd]
        os.close(pidfd)
        with suppress(ChildProcessError):  # whoever ignores SIGCHLD has no children to wait for
            os.waitpid(pid, how)
        if how:
            self._next()

    def _child(self, caller: _Caller) -> NoReturn:
        """Answer and end. Nothing of the parent's but the connection is touched.

        Where the parent has other threads, one of their locks may be held for ever here: the alarm ends that.
        """
        status = 1
        try:
            gc.disable()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.alarm(ANSWERING)
            fd = caller.sock.fileno()
            last = os.sysconf("SC_OPEN_MAX")
            os.closerange(3, fd)
            os.closerange(fd + 1, last)
            os.nice(NICE)
            caller.sock.setblocking(True)
            assert caller.request is not None
            caller.sock.sendall(answer(self.host, caller.request).frame())
            status = 0
        finally:
            os._exit(status)


def answer(host: Host, request: Request) -> Answer:
    """What the command says; what goes wrong in it is told, and harms nobody else."""
    try:
        done = tools.run(host, request.tool, list(request.words))
        return Answer(done.status, done.out, done.err)
    except Exception as error:
        log.exception("%s failed", request.tool)
        return Answer(1, err=f"pystack: {request.tool} failed: {type(error).__name__}: {error}\n")


def peer_uid(sock: socket.socket) -> int:
    """Who is at the other end: the user that connected, as the kernel knows it."""
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
