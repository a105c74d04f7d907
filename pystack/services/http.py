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
from collections import Counter
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Literal, get_args

import httptools

from pystack._fast.consts import NEVER, SECOND
from pystack.services.base import CHUNK, Connection, Service
from pystack.services.deadlines import Deadlines
from pystack.services.http_connection import HttpConnection, Request
from pystack.services.http_files import Directory
from pystack.services.http_page import machine_page
from pystack.services.http_plans import BODY_MAX, Plan, generated, page, problem
from pystack.sockopts import IPPROTO_TCP, TCP_NODELAY
from pystack.units import parse_time

if TYPE_CHECKING:
    from pystack.sockets import StreamSocket

PORT = 80
REQUEST_BODY_MAX = 1 << 20
KEPT_PLANS = 1024

Linger = Literal["lingering", "plain", "reset"]


class HttpService(Service):
    """A web server.

    `root`: a directory to serve. `keepalive`: how long an idle connection is kept, and how long the
    head of a request may take ("15s", or int ns). `send_timeout`: how long a peer may take nothing.
    `requests_max`: requests of one connection, None for any number.

    `linger`: how a connection is ended by this side. "lingering": the sending side is shut, then what
    still comes is read and thrown away until the peer closes, two seconds pass in silence, or thirty in
    all (Apache's lingering_close: a reset because of unread data would take the answer with it).
    "plain": close at once. "reset": SO_LINGER {1, 0} and close; what the peer has not acknowledged is
    lost.

    `epoch`: the UTC of the clock's 0 in ns, for the Date field. Raises ValueError for what cannot be.
    """

    name = "http"

    def __init__(
        self,
        port: int = PORT,
        *,
        root: str | os.PathLike[str] | None = None,
        keepalive: int | str = "15s",
        send_timeout: int | str = "300s",
        requests_max: int | None = None,
        body_max: int = REQUEST_BODY_MAX,
        linger: Linger = "lingering",
        epoch: int = 0,
        address: str = "",
        backlog: int = 1024,
    ) -> None:
        super().__init__(port, address=address, backlog=backlog)
        if linger not in get_args(Linger):
            raise ValueError(f"linger {linger!r} is none of {', '.join(get_args(Linger))}")
        self.directory = Directory(root) if root is not None else None
        self.keepalive = parse_time(keepalive, "keepalive")
        self.send_timeout = parse_time(send_timeout, "send_timeout")
        self.requests_max = requests_max or NEVER
        self.body_max = body_max
        self.linger = linger
        self.epoch = epoch
        self.answers: Counter[int] = Counter()
        """By status."""
        self.body_octets = 0
        """Octets of answers, heads included, that sockets took."""
        self.plans: dict[bytes, Plan] = {}
        """By the octets of the request."""
        self.room = memoryview(bytearray(CHUNK))
        self._date = b""
        self._date_until = -1

    def started(self) -> None:
        self.clock = self.host.clock
        self.deadlines = Deadlines(self.host)
        if self._listener is not None:  # connections inherit it
            self._listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)

    def connection(self, sock: StreamSocket) -> Connection:
        return HttpConnection(self, sock)

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
