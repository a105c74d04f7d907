"""Echo, discard, chargen, and what all services share."""

import errno
import random
from itertools import pairwise
from typing import Any

import pytest
from http_kit import Site, read_all

from pystack.services import (
    ChargenService,
    Connection,
    DiscardService,
    EchoService,
    HttpService,
    Service,
)
from pystack.services.chargen import PERIOD

DATA = random.Random(3).randbytes(700_001)


class Feeder:
    """Sends octets and reads what comes, both at once, as no blocking program can."""

    def __init__(self, sock: Any, data: bytes, *, read: bool = True) -> None:
        self.sock = sock
        self.rest = memoryview(data)
        self.got = bytearray()
        self.reading = read
        self.ended = False
        sock.setblocking(False)
        sock.on_ready = self.ready

    def ready(self, _events: int = 0) -> None:
        try:
            while self.reading and not self.ended:
                data = self.sock.recv(30_000)
                self.got += data
                self.ended = not data
        except BlockingIOError:
            pass
        try:
            while self.rest:
                self.rest = self.rest[self.sock.send(self.rest) :]
                if not self.rest:
                    self.sock.shutdown(1)
        except BlockingIOError:
            pass


def test_echo_sends_all_back_and_then_ends() -> None:
    echo = EchoService()
    site = Site(echo)
    feeder = Feeder(site.connect(7), DATA)
    site.net.run(until=lambda: feeder.ended)
    assert bytes(feeder.got) == DATA
    assert echo.octets == len(DATA)
    feeder.sock.close()
    site.quiet()


def test_echo_reads_no_more_than_the_peer_takes_back() -> None:
    echo = EchoService()
    site = Site(echo)
    feeder = Feeder(site.connect(7), DATA * 20, read=False)
    site.net.run(for_="60s")
    stuck = echo.octets
    assert len(feeder.rest) > len(DATA)
    assert len(echo.connections) == 1
    site.net.run(for_="60s")
    assert echo.octets == stuck
    feeder.reading = True
    feeder.ready()
    site.net.run(until=lambda: feeder.ended)
    assert bytes(feeder.got) == DATA * 20
    feeder.sock.close()
    site.quiet()


def test_echo_over_a_lossy_link() -> None:
    site = Site(EchoService(), loss=0.05)
    feeder = Feeder(site.connect(7), DATA)
    site.net.run(until=lambda: feeder.ended)
    assert bytes(feeder.got) == DATA
    feeder.sock.close()
    site.quiet()


def test_discard_counts_and_says_nothing() -> None:
    discard = DiscardService()
    site = Site(discard)
    with site.connect(9) as sock:
        sock.sendall(DATA)
        sock.shutdown(1)
        assert read_all(sock) == b""
    assert discard.octets == len(DATA)
    assert not discard.connections
    site.quiet()


def test_chargen_sends_the_lines_of_rfc_864() -> None:
    chargen = ChargenService()
    site = Site(chargen)
    with site.connect(19) as sock:
        first = sock.recv(74 * 3)
        assert first.split(b"\r\n")[:2] == [bytes(range(32, 104)), bytes(range(33, 105))]
        assert PERIOD.startswith(first)
        got = bytearray(first)
        while len(got) < 3 * len(PERIOD) + 5:
            got += sock.recv(65536)
    assert (PERIOD * (len(got) // len(PERIOD) + 1))[: len(got)] == got
    site.net.run(for_="5s")
    assert not chargen.connections  # the reset of a reader that is gone ended it
    site.quiet()


def test_chargen_stops_for_a_peer_that_does_not_read() -> None:
    chargen = ChargenService()
    site = Site(chargen)
    sock = site.connect(19)
    site.net.run(for_="30s")
    sent = chargen.octets
    assert 0 < sent < 20_000_000
    site.net.run(for_="30s")
    assert chargen.octets == sent
    sock.sendall(b"thrown away")
    sock.shutdown(1)  # does not end it
    got = 0
    while got < 2 * sent:
        got += len(sock.recv(65536))
    sock.close()
    site.quiet()


@pytest.mark.parametrize("kind", [EchoService, DiscardService, ChargenService, HttpService])
def test_a_port_is_had_once(kind: type[Service]) -> None:
    site = Site(kind(1234))
    with pytest.raises(OSError, match=r"in use") as caught:
        kind(1234).start(site.web)
    assert caught.value.errno == errno.EADDRINUSE
    assert len(site.web.tcp_states()) == 1
    site.services[0].stop()
    again = kind(1234)
    again.start(site.web)
    again.stop()
    again.stop()
    assert site.web.tcp_states() == {}


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_is_a_port(port: int) -> None:
    with pytest.raises(ValueError, match=f"echo: port {port} is not from 1 to 65535"):
        EchoService(port)


def test_a_service_runs_once() -> None:
    echo = EchoService()
    with pytest.raises(RuntimeError, match="was not started"):
        _ = echo.host
    site = Site(echo)
    assert echo.host is site.web
    with pytest.raises(RuntimeError, match="running already"):
        echo.start(site.web)
    assert repr(echo) == "<EchoService port 7: 0 open>"


def test_stop_resets_what_is_open() -> None:
    echo = EchoService()
    site = Site(echo)
    sock = site.connect(7)
    site.net.run(for_="1s")
    assert echo.accepted == len(echo.connections) == 1
    echo.stop()
    with pytest.raises(ConnectionResetError):
        sock.recv(1)
    with pytest.raises(ConnectionRefusedError):
        site.connect(7)
    sock.close()
    site.quiet()


def test_a_reset_is_counted_and_raises_nothing() -> None:
    echo = EchoService()
    site = Site(echo)
    sock = site.connect(7)
    site.net.run(for_="1s")
    sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER {1, 0}
    sock.close()
    site.net.run(for_="1s")
    assert echo.failures == {"ConnectionResetError": 1}
    assert not echo.connections
    site.quiet()


def test_a_connection_that_is_denied_mbufs_tries_again() -> None:
    """ENOBUFS is no reason to end a connection: there will be memory again."""
    calls = []

    class Denied(Connection):
        __slots__ = ()

        def ready(self, events: int) -> None:
            calls.append(self.service.host.now)
            if len(calls) < 3:
                self.failed(OSError(errno.ENOBUFS, "no buffer space"))
            else:
                self.close()

    class Denying(Service):
        def connection(self, sock: Any) -> Connection:
            return Denied(self, sock)

    service = Denying(5)
    site = Site(service)
    with site.connect(5) as sock:
        assert read_all(sock) == b""
    assert [b - a for a, b in pairwise(calls)] == [50_000_000] * 2
    assert service.failures == {}
    site.quiet()


@pytest.mark.parametrize("burst", [190, 300])
def test_a_burst_is_accepted_as_far_as_the_queue_of_the_system_goes(burst: int) -> None:
    """All come in the same nanosecond. FreeBSD queues one and a half times somaxconn, and one."""
    echo = EchoService()
    site = Site(echo)
    socks = []
    for _ in range(burst):
        sock = site.me.socket()
        sock.setblocking(False)
        sock.connect_ex(("192.0.2.1", 7))
        socks.append(sock)
    site.net.run(for_="10s")
    queue = site.web.sysctl["kern.ipc.somaxconn"] * 3 // 2 + 1
    assert queue == 193
    assert echo.accepted == len(echo.connections) == min(burst, queue)
    for sock in socks:
        sock.close()
    site.net.run(for_="1s")
    assert not echo.connections
    site.quiet()


def test_a_service_that_does_not_say_what_it_does_cannot_be_made() -> None:
    class Mute(Service):
        name = "mute"

    class Idle(Connection):
        __slots__ = ()

    with pytest.raises(TypeError, match=r"abstract method.*connection"):
        Mute(9)  # type: ignore[abstract]
    with pytest.raises(TypeError, match=r"abstract method.*ready"):
        Idle(DiscardService(), None)  # type: ignore[abstract, arg-type]
