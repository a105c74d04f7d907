"""A web server and its clients in virtual time, for tests."""

from __future__ import annotations

from typing import Any

import pystack
from pystack.services import HttpService, Service
from pystack.services.deadlines import SLOT_BITS

SECOND = 10**9
SLOT = 1 << SLOT_BITS


class Site:
    """Two machines 1 ms apart; services run on `web`, sockets are opened on `me`."""

    def __init__(self, *services: Service, profile: str = "freebsd-14", **link: Any) -> None:
        self.net = pystack.Network(seed=5, record=False, trace=False)
        self.web = self.net.host("web", "192.0.2.1/24", profile=profile)
        self.me = self.net.host("me", "192.0.2.2/24", profile="linux-6")
        self.link = self.net.link(self.web, self.me, **{"delay": "1ms", **link})
        self.services = services
        for service in services:
            service.start(self.web)

    def connect(self, port: int = 80) -> Any:
        """A connected socket of `me` whose calls wait 100 s of virtual time at most."""
        sock = self.me.socket()
        sock.settimeout(100)
        sock.connect(("192.0.2.1", port))
        return sock

    def ask(self, octets: bytes, *, shut: bool = True) -> bytes:
        """All that is answered to these octets, up to the end of the stream."""
        with self.connect() as sock:
            sock.sendall(octets)
            if shut:
                sock.shutdown(1)
            return read_all(sock)

    def quiet(self) -> None:
        """Let everything end; then no mbuf is held and no connection is left."""
        for service in self.services:
            service.stop()
        self.net.run(for_="400s")
        for host in (self.web, self.me):
            assert host.tcp_states() == {}, host
            host.core.make_room()  # made by this call at the latest
            assert host.core.pool.in_use == 1, host


def read_all(sock: Any) -> bytes:
    """Up to the end of the stream."""
    parts = []
    while data := sock.recv(65536):
        parts.append(data)
    return b"".join(parts)


class Answer:
    """One answer of a stream: status, fields by lower-case name, body."""

    def __init__(self, status: int, fields: dict[str, str], body: bytes) -> None:
        self.status = status
        self.fields = fields
        self.body = body

    def __repr__(self) -> str:
        return f"<{self.status} {self.fields} {len(self.body)} octets>"


def answers(stream: bytes, *, heads: bool = False) -> list[Answer]:
    """The answers of a stream, framed by Content-Length; with `heads` none has a body."""
    found = []
    while stream:
        head, separator, stream = stream.partition(b"\r\n\r\n")
        assert separator, head
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        fields = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name.lower() not in fields
            fields[name.lower()] = value
        length = 0 if heads else int(fields.get("content-length", 0))
        assert len(stream) >= length
        found.append(Answer(int(status), fields, stream[:length]))
        stream = stream[length:]
    return found


def get(path: str, *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    """A request, with Host for HTTP/1.1."""
    lines = [f"{method} {path} HTTP/{version}", *fields]
    if version == "1.1":
        lines.append("Host: web")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def site(profile: str = "freebsd-14", **options: Any) -> tuple[Site, HttpService]:
    """A site with a web server."""
    service = HttpService(80, **options)
    return Site(service, profile=profile), service
