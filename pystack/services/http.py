"""HTTP/1.1 (RFC 9110, RFC 9112), parsed by httptools: a directory, generated bodies, the machine's page.

    /                 a page that shows the machine, unless there is a directory
    /bytes/N          N octets, out of one buffer, as fast as the peer takes them
    everything else   files below `root`, or 404

Requests that are octet for octet the same mean the same, so the answer to one that came whole in one
piece is looked up by its octets, and parsed only the first time: what a load generator repeats a
million times costs two socket calls and a dictionary.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import httptools

from pystack._fast.consts import NEVER, SECOND
from pystack.errors import error_of
from pystack.services.base import CHUNK, Connection, Service
from pystack.services.deadlines import Deadlines
from pystack.services.http_connection import HttpConnection, Request
from pystack.services.http_files import Directory
from pystack.services.http_habits import choose, message
from pystack.services.http_page import machine_page
from pystack.services.http_plans import BODY_MAX, Plan, generated, page, problem
from pystack.sockopts import IPPROTO_TCP, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET, TCP_NODELAY

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.process import Process
    from pystack.sockets import StreamSocket

PORT = 80
KEPT_PLANS = 1024
COMMANDS = {"apache": "httpd", "nginx": "nginx", "pystack": "httpd"}
"""What the program is called, by the family of its habits."""
DRAINED = 32
"""Idle connections that are closed at once for a new one, at most (nginx: ngx_drain_connections)."""


class HttpService(Service):
    """A web server.

    `root`: a directory to serve. `like`: whose habits it has, a name of `HABITS` ("apache-1.3", "nginx"); `options`
    change them, by the names of `Habits`: keepalive="off", linger="plain", sndbuf="16KiB".

    `epoch`: the UTC of the clock's 0 in ns, for the Date field. Raises ValueError for what cannot be, with near names.
    """

    name = "http"

    def __init__(
        self,
        port: int = PORT,
        *,
        root: str | os.PathLike[str] | None = None,
        like: str = "pystack",
        epoch: int = 0,
        address: str = "",
        **options: Any,
    ) -> None:
        habits = self.habits = choose(like, options)
        super().__init__(port, address=address, backlog=habits.backlog)
        self.directory = None
        if root is not None:
            self.directory = Directory(root, self._open_file, self._close_file)
        self.keepalive = habits.keepalive
        self.head_time = habits.head_time
        self.send_timeout = habits.send_timeout
        self.requests_max = (habits.requests_max or NEVER) if habits.keepalive else 1
        self.body_max = habits.body_max
        self.epoch = epoch
        self.like = like
        self.full = 0
        """How often `worker_connections` let nobody in, or turned somebody away."""
        self.drained = 0
        """Idle connections that were closed for new ones."""
        self.log: deque[tuple[int, str]] = deque(maxlen=1000)
        """The newest lines of the error log, in the server's words, with their ns."""
        self.files = 0
        """Files under way."""
        self.answers: Counter[int] = Counter()
        """By status."""
        self.body_octets = 0
        """Octets of answers, heads included, that sockets took."""
        self.plans: dict[bytes, Plan] = {}
        """By the octets of the request."""
        self.room = memoryview(bytearray(CHUNK))
        self._date = b""
        self._date_until = -1

    def program(self, host: Host) -> Process:
        """The worker: a program of its own, unless it is like no other server and has no limit."""
        nofile = self.habits.worker_rlimit_nofile
        if self.alone or self.like != "pystack" or nofile is not None:
            return host.process(COMMANDS[self.like.partition("-")[0]], nofile=nofile)
        return host.program

    def stop(self) -> None:
        super().stop()
        if self._host is not None and self._clock_set in self._host.clock_set:
            self._host.clock_set.remove(self._clock_set)

    def prepare(self, listener: StreamSocket) -> None:
        listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        for option, octets in ((SO_RCVBUF, self.habits.rcvbuf), (SO_SNDBUF, self.habits.sndbuf)):
            if octets is not None:
                listener.setsockopt(SOL_SOCKET, option, octets)

    def started(self) -> None:
        self.clock = self.host.clock
        self.deadlines = Deadlines(self.process)
        self.host.clock_set.append(self._clock_set)

    def _clock_set(self, by: int) -> None:
        """Somebody set the wall clock: the Date field has the new time, and timers that are counted by it are wrong."""
        self.epoch += by
        self._date_until = -1
        if self.habits.timers == "wall":
            self.deadlines.set_ahead(by)

    # --- how many at a time --------------------------------------------------------------------------

    def admits(self) -> bool:
        habits = self.habits
        most = habits.worker_connections
        if most is None or habits.when_full == "closes" or len(self.connections) < most:
            return True
        if not self._full:
            self.full += 1
            self._complain("waits", most=most)
        return False

    def connection(self, sock: StreamSocket) -> Connection | None:
        habits = self.habits
        if habits.when_full == "closes" and habits.worker_connections is not None:
            most = habits.worker_connections - 1  # the listener takes one
            if len(self.connections) >= most:
                self._drain()
            if len(self.connections) >= most:
                self.full += 1
                self._complain("closes", most=habits.worker_connections)
                sock.close()
                return None
        return HttpConnection(self, sock)

    def _drain(self) -> None:
        """Close the connections that are idle longest."""
        idle = [each for each in self.connections if isinstance(each, HttpConnection) and each.idle]
        idle.sort(key=lambda each: each.deadline)
        if idle:
            self._complain("reused", most=self.habits.worker_connections)
        for each in idle[:DRAINED]:
            self.drained += 1
            each.close()

    def no_descriptor(self, error: OSError) -> None:
        super().no_descriptor(error)
        self._complain("files", number=error.errno, error=error.strerror)

    def _complain(self, event: str, **values: Any) -> None:
        self.log.append((self.host.now, message(self.like, event).format(**values)))

    def _open_file(self) -> int:
        """The worker opens a file: its descriptor there. Raises OSError (EMFILE, ENFILE)."""
        fd = self.process.take(self.host.core)
        if fd < 0:
            raise error_of(fd)
        self.files += 1
        return fd

    def _close_file(self, fd: int) -> None:
        self.process.give(fd)
        self.files -= 1

    # --- answers -------------------------------------------------------------------------------------

    def date(self, now: int) -> bytes:
        """The Date field of now. The same object for a second."""
        if now >= self._date_until:
            second = (now + self.epoch) // SECOND
            self._date = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
            self._date_until = (second + 1) * SECOND - self.epoch
        return self._date

    def plan(self, request: Request) -> Plan:
        """How this request is answered."""
        method = request.method
        head_only = method == b"HEAD"
        if method != b"GET" and not head_only:
            known = problem(
                405, keep=request.keep, http10=request.http10, fields={"Allow": "GET, HEAD"}
            )
            return self._kept(request, known)
        path = request.target.partition(b"?")[0].partition(b"#")[0]
        if not path.startswith(b"/"):
            path = httptools.parse_url(request.target).path or b"/"  # http://host/path
        how: Any = {"keep": request.keep, "head_only": head_only, "http10": request.http10}
        if path.startswith(b"/bytes/"):
            digits = path[7:]
            if digits.isdigit() and len(digits) < 15 and int(digits) <= BODY_MAX:
                return self._kept(request, generated(int(digits), **how))
        elif self.directory is not None:
            return self.directory.plan(path, since=request.since, **how)
        elif path == b"/":
            return page(machine_page(self.host, self), "text/html; charset=utf-8", **how)
        return self._kept(request, problem(404, **how))

    def _kept(self, request: Request, plan: Plan) -> Plan:
        """The plan, which is looked up by the octets of its request from now on."""
        if request.octets:
            if len(self.plans) >= KEPT_PLANS:
                del self.plans[next(iter(self.plans))]
            self.plans[request.octets] = plan
        return plan
