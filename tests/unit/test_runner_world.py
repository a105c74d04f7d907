"""The loop as the world of a host: its clock, and calls that wait in it. Two hosts, back to back."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

import pystack
from pystack._fast.consts import MS, NEVER, SECOND
from pystack.runner import Clock, Runner, utc_offset
from pystack.server import _Machine
from pystack.tun import Tun

Pair = tuple[pystack.Host, pystack.Host]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two machines whose devices are the ends of a socket pair. Each waits in its own loop only."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    hosts = []
    runners = []
    for number, end in enumerate(ends, 1):
        host = pystack.Host(f"host{number}", f"192.0.2.{number}/24", seed=number)
        device = Tun.adopt(end.detach(), f"tun{number}", offload=False)
        runner = Runner(_Machine(host), device, spin=0)
        host.join(runner)
        hosts.append(host)
        runners.append((runner, device))
    yield (hosts[0], hosts[1])
    for runner, device in runners:
        runner.close()
        device.close()


def let(host: pystack.Host, seconds: float = 0.02) -> None:
    """The other machine gets its turn."""
    host.world.run_until(lambda: False, host.now + round(seconds * SECOND))


def test_the_clock_stands_still_in_a_round_only(pair: Pair) -> None:
    host, _ = pair
    before = time.monotonic_ns()
    assert before <= host.now <= host.now <= time.monotonic_ns()
    assert host.now != host.now  # it goes on, at nanoseconds
    seen: list[int] = []
    host.call_later(0, lambda: seen.extend((host.now, host.now)))
    assert host.world.driver.step(host.now + SECOND)
    assert seen[0] == seen[1] > before
    with pytest.raises(AttributeError, match="then"):
        _ = Clock().then  # type: ignore[attr-defined]
    assert abs(time.time_ns() - host.now - utc_offset()) < 10 * MS


def test_blocking_calls_wait_in_the_loop(pair: Pair) -> None:
    one, two = pair
    server = two.socket()
    server.bind(("", 80))
    server.listen(5)
    client = one.socket()
    client.setblocking(False)
    assert client.connect_ex(("192.0.2.2", 80)) != 0  # the SYN is sent at once, outside of the loop
    let(two)
    let(one)
    conn, address = server.accept()
    assert address[0] == "192.0.2.1"
    client.setblocking(True)
    client.sendall(b"question")
    conn.settimeout(5)
    assert conn.recv(100) == b"question"
    conn.sendall(b"answer")
    assert client.recv(100) == b"answer"
    client.settimeout(0.05)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        client.recv(100)
    assert 0.04 < time.monotonic() - began < 5
    client.close()
    assert conn.recv(100) == b""
    conn.close()
    server.close()


def test_ping(pair: Pair) -> None:
    one, two = pair
    assert one.ping("192.0.2.2", timeout="20ms") == [None]  # nobody runs the other
    let(two)
    one.socket()
    assert two.tcp_states() == {}


def test_a_callback_may_not_wait(pair: Pair) -> None:
    host, _ = pair
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            host.world.driver.step(NEVER)
        except RuntimeError as error:
            caught.append(error)

    host.call_later(0, wait)
    assert host.world.driver.step(host.now + SECOND)
    assert "cannot be made by a callback" in str(caught[0])


def test_a_call_at_a_time_and_its_cancel(pair: Pair) -> None:
    host, _ = pair
    seen: list[str] = []
    host.call_later("1ms", seen.append, "first")
    host.call_later("2ms", seen.append, "never").cancel()
    host.call_later("3ms", seen.append, "last")
    assert host.world.run_until(lambda: "last" in seen, host.now + SECOND)
    assert seen == ["first", "last"]
    assert not host.world.run_until(lambda: False, host.now + 2 * MS)


def test_a_failing_callback_does_not_end_the_loop(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    host, _ = pair
    sock = host.socket()

    def fail(events: int) -> None:
        raise ZeroDivisionError(events)

    sock.setblocking(False)
    sock.on_ready = fail
    sock.connect_ex(("192.0.2.1", 9))  # its own closed port
    assert host.world.driver.step(host.now + SECOND)
    assert "a callback of a socket failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    sock.close()
