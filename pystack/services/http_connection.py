"""One connection of the web server: requests in, answers out in order, and how it ends.

The connection is the parser's protocol: httptools calls `on_url` and its like while it is fed.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from socket import SHUT_WR
from typing import TYPE_CHECKING, Any

import httptools

from pystack.services.base import CHUNK, Connection
from pystack.services.http_plans import Body, Plan, problem
from pystack.sockets import MSG_MORE, MSG_SPLICE_PAGES

if TYPE_CHECKING:
    from pystack.services.http import HttpService
    from pystack.sockets import StreamSocket

TARGET_MAX = 8 * 1024
HEAD_MAX = 16 * 1024
"""Octets of the request line and all fields."""
KEPT_REQUEST = 1024
"""Longer requests are not looked up by their octets."""
CONTINUE = Plan(100, b"HTTP/1.1 100 Continue\r\n")


class _Refused(Exception):
    """Raised through the parser: nothing more of this connection is read."""


@dataclass(slots=True)
class Request:
    """One request, complete."""

    method: bytes
    target: bytes
    """Path and query."""
    http10: bool
    keep: bool
    since: bytes
    """If-Modified-Since, or b""."""
    octets: bytes
    """All of it, where its answer may be kept; else b""."""


class HttpConnection(Connection):
    """Reads requests, answers them in order, one at a time; reads on when what it has is answered."""

    __slots__ = (
        "body",
        "deadline",
        "expects",
        "fields",
        "head_fed",
        "head_octets",
        "in_head",
        "in_message",
        "last",
        "linger_end",
        "lingering",
        "octets",
        "parser",
        "requests",
        "requests_left",
        "rest",
        "since",
        "slot",
        "unread",
        "url",
    )

    service: HttpService

    def __init__(self, service: HttpService, sock: StreamSocket) -> None:
        super().__init__(service, sock)
        self.parser: httptools.HttpRequestParser | None = None
        self.requests: deque[Request | Plan] = deque()
        """Read and not answered yet."""
        self.requests_left = service.requests_max
        self.rest: bytes | memoryview = b""
        """Octets that the socket has not taken yet, and what comes after them:"""
        self.body: Body | None = None
        self.in_message = False
        """Has a request begun that is not complete?"""
        self.in_head = False
        self.unread = False
        """Was a request refused before its end?"""
        self.last = False
        """Nothing more is read: what is in `requests` is answered, then the connection ends."""
        self.lingering = False
        self.slot = 0
        self.deadline = service.clock.now + service.head_time
        service.deadlines.add(self)

    @property
    def idle(self) -> bool:
        """Is nothing of it under way, so that it may be closed for another?"""
        return not (self.in_message or self.lingering or self.rest or self.body is not None)

    # --- readiness -----------------------------------------------------------------------------------

    def ready(self, events: int) -> None:
        try:
            if self.lingering:
                self._throw_away()
                return
            if self.rest or self.body is not None:
                self._flush()
                self._idle_from(self.service.clock.now)
            self._serve()
        except BlockingIOError:
            if self.rest or self.body is not None:
                self._until(self.service.clock.now + self.service.send_timeout)
        except OSError as error:
            self.failed(error)

    def _serve(self) -> None:
        """Answer and read until there is nothing to read, or no room to write (BlockingIOError)."""
        sock = self.sock
        service = self.service
        requests = self.requests
        drained = False
        while True:
            if requests:
                self._answer()
            if self.last:
                self._finish()
                return
            if drained and not sock.readable():  # cheaper than to be told EAGAIN
                return
            data = sock.recv(CHUNK)
            drained = len(data) < CHUNK
            if not data:
                self.close()
                return
            now = service.clock.now
            if not self.in_message:
                deadline = now + service.keepalive
                if deadline >= self.deadline:  # as each request but the first finds it
                    self.deadline = deadline
                else:
                    self._until(deadline)
                plan = service.plans.get(data)
                if plan is not None and (self.requests_left > 1 or not plan.keep):
                    self.requests_left -= 1
                    self._plan_is(plan)
                    self.rest = octets = plan.octets(service.date(now))
                    if plan.make is None:
                        sent = sock.send(octets)
                        service.body_octets += sent
                        self.rest = memoryview(octets)[sent:] if sent < len(octets) else b""
                        if self.rest:
                            self._flush()
                    else:
                        self.body = plan.make()
                        self._flush()
                else:
                    self._parse(data)
                    if self.in_message:
                        self._until(now + service.head_time)
            else:
                if not self.in_head:  # the time of a head is for all of it
                    self._until(now + service.head_time)
                self._parse(data)
                if not self.in_message:
                    self._idle_from(now)

    def _idle_from(self, now: int) -> None:
        """Nothing is under way from now on, as far as is known."""
        self._until(now + self.service.keepalive)

    def _until(self, deadline: int) -> None:
        """It is late from then on."""
        earlier = deadline < self.deadline
        self.deadline = deadline
        if earlier:
            self.service.deadlines.sooner(self)

    def _plan_is(self, plan: Plan) -> bool:
        """A request is answered so: count it. Is it the last?"""
        if plan is CONTINUE:
            return False
        self.service.answers[plan.status] += 1
        if plan.keep:
            return False
        self.last = True
        return True

    def _answer(self) -> None:
        """Answer what was read, short answers together. Raises BlockingIOError when there is no room."""
        service = self.service
        date = service.date(service.clock.now)
        requests = self.requests
        parts = []
        while requests:
            request = requests.popleft()
            plan = request if isinstance(request, Plan) else service.plan(request)
            if self._plan_is(plan):
                requests.clear()
            parts.append(plan.octets(date))
            if plan.make is not None:
                self.rest = b"".join(parts)
                self.body = plan.make()
                parts = []
                self._flush()
        if parts:
            self.rest = b"".join(parts) if len(parts) > 1 else parts[0]
            self._flush()

    def _flush(self) -> None:
        """Send what is left. Raises BlockingIOError when there is no room; EV_WRITE will come."""
        send = self.sock.send
        service = self.service
        body = self.body
        while self.rest:
            sent = send(self.rest, MSG_MORE if body is not None else 0)
            service.body_octets += sent
            self.rest = memoryview(self.rest)[sent:]
        if body is not None:
            flags = MSG_SPLICE_PAGES if service.habits.sendfile else 0
            files: Any = self.sock.host.core.files
            while piece := body.piece():
                if flags:
                    files.sendfiles += 1
                sent = send(piece, flags)
                service.body_octets += sent
                body.sent(sent)
            self.body = None
            body.close()

    def failed(self, error: OSError) -> None:
        if error.errno == errno.EIO:  # the file: let nobody take the part for the whole
            self.service.failures["EIO"] = self.service.failures.get("EIO", 0) + 1
            self.abort()
        else:
            if error.errno == errno.ENOBUFS:  # as long as there is none, nothing is sent
                timeout = self.service.clock.now + self.service.send_timeout
                if timeout < self.deadline:
                    self._until(timeout)
            super().failed(error)

    # --- the end -------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Everything is answered: end the connection as `linger` says."""
        service = self.service
        linger = service.habits.linger
        if linger == "likely":
            likely = self.unread or self.sock.readable()
            linger = "lingering" if likely else "plain"
        if linger == "plain":
            self.close()
        elif linger == "reset":
            self.abort()
        else:
            try:
                self.sock.shutdown(SHUT_WR)
            except OSError:
                self.close()
                return
            self.lingering = True
            now = service.clock.now
            self.linger_end = now + service.habits.lingering_time
            self._until(min(now + service.habits.lingering_timeout, self.linger_end))
            self._throw_away()

    def _throw_away(self) -> None:
        sock = self.sock
        service = self.service
        got = -1
        while sock.readable():
            try:
                got = sock.recv_into(service.room)
            except OSError:
                got = 0
            if got == 0:
                self.close()
                return
        if got > 0:
            silence = service.clock.now + service.habits.lingering_timeout
            self._until(min(silence, self.linger_end))

    def overdue(self) -> None:
        """The deadline has passed."""
        sending = bool(self.rest) or self.body is not None  # and the peer does not read
        asking = self.in_message and not self.lingering
        if (sending or asking) and self.service.habits.reset_timedout_connections:
            self.abort()
        elif asking and not sending:
            try:
                self._refuse(408)
                self.deadline = self.service.clock.now + self.service.send_timeout
                self.service.deadlines.add(self)
                self._serve()
            except BlockingIOError:
                return
            except OSError as error:
                self.failed(error)
        else:
            self.close()

    def closing(self) -> None:
        self.service.deadlines.remove(self)
        self.parser = None
        body, self.body = self.body, None
        if body is not None:
            body.close()

    # --- parsing -------------------------------------------------------------------------------------

    def _parse(self, data: bytes) -> None:
        """Feed the parser; requests that become complete are in `requests` then."""
        parser = self.parser
        if parser is None:
            parser = self.parser = httptools.HttpRequestParser(self)
        whole = not self.in_message and len(data) <= KEPT_REQUEST
        if self.in_head:
            self.head_fed += len(data)
            if self.head_fed > HEAD_MAX:
                self._refuse(431)
                return
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.last = True
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _Refused):
                raise
        except httptools.HttpParserInvalidMethodError:
            word = data[:3] if not self.requests else b""
            self._malformed(501 if word.isalpha() and word.isupper() else 400)
        except httptools.HttpParserError:
            self._malformed(400)
        lasting = self.requests_left > 0 or self.service.requests_max == 1  # not the last by number
        if whole and lasting and len(self.requests) == 1 and not self.in_message:
            request = self.requests[0]
            if isinstance(request, Request) and not self.octets and not request.since:
                request.octets = data

    def _malformed(self, status: int) -> None:
        if not self.last:  # after `Connection: close` nobody asked for more
            self._refuse(status)

    def _refuse(self, status: int, **fields: str | int) -> None:
        """Answer so, behind the answers to what came before, and end."""
        self.unread = self.in_message
        self.in_message = self.in_head = False
        self.last = True
        self.requests.append(problem(status, keep=False, fields=fields))

    def _stop(self, status: int) -> None:
        self._refuse(status)
        raise _Refused

    def on_message_begin(self) -> None:
        self.in_message = self.in_head = True
        self.url = b""
        self.head_octets = 0
        """Of the request line and the fields that are complete."""
        self.head_fed = 0
        """What came since the piece in which the head began."""
        self.octets = 0
        """Of the body."""
        self.fields = 0
        self.since = b""
        self.expects = b""

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > TARGET_MAX:
            self._stop(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_octets += len(name) + len(value) + 4
        read = _FIELDS.get(name.lower())
        if read is not None:
            read(self, value)

    def on_headers_complete(self) -> None:
        parser = self.parser
        assert parser is not None
        self.in_head = False
        version = parser.get_http_version()
        method = parser.get_method()
        self.head_octets += len(method) + len(self.url) + _LINE
        if self.head_octets > HEAD_MAX:
            self._stop(431)
        if version not in ("1.1", "1.0"):
            self._stop(505 if version > "1.1" else 400)
        if version == "1.1" and not self.fields & _HOST:
            self._stop(400)
        if self.octets > self.service.body_max:
            self._stop(413)
        self.octets = 0
        if self.expects and version == "1.1":
            if self.expects.lower() != b"100-continue":
                self._stop(417)
            if method not in (b"GET", b"HEAD"):
                self._stop(405)
            self.requests.append(CONTINUE)

    def on_body(self, data: bytes) -> None:
        self.octets += len(data)
        if self.octets > self.service.body_max:
            self._stop(413)

    def on_message_complete(self) -> None:
        parser = self.parser
        assert parser is not None
        self.in_message = False
        self.requests_left -= 1
        keep = parser.should_keep_alive() and not parser.should_upgrade()
        keep = keep and self.requests_left > 0
        http10 = parser.get_http_version() == "1.0"
        method = parser.get_method()
        self.requests.append(Request(method, self.url, http10, keep, self.since, b""))

    # fields of a request that matter

    def _field_host(self, value: bytes) -> None:
        self.fields |= _HOST

    def _field_since(self, value: bytes) -> None:
        self.since = value

    def _field_expect(self, value: bytes) -> None:
        self.expects = value

    def _field_length(self, value: bytes) -> None:
        self.octets = int(value)


_HOST = 1
_LINE = len("  HTTP/1.1\r\n\r\n")
"""Octets of a head that are neither method, target nor fields."""
_FIELDS: dict[bytes, Callable[[HttpConnection, bytes], None]] = {
    b"host": HttpConnection._field_host,
    b"if-modified-since": HttpConnection._field_since,
    b"expect": HttpConnection._field_expect,
    b"content-length": HttpConnection._field_length,
}
