"""Machines that stop for a time, clocks that jump, programs that are stopped: what each of them notices."""

from __future__ import annotations

import socket

import pytest

import pystack
from pystack._fast.consts import Drop
from pystack.services import EchoService, HttpService
from pystack.traffic import Browser

SECOND = 10**9


def pair(**link) -> tuple[pystack.Network, pystack.Host, pystack.Host]:
    net = pystack.Network(seed=3)
    web = net.host("web", "192.0.2.1/24", profile="linux-6")
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    net.link(web, me, **{"delay": "5ms", **link})
    return net, web, me


def joined(web: pystack.Host, me: pystack.Host):
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(8)
    client = me.socket()
    client.connect(("192.0.2.1", 80))
    return client, listener.accept()[0]


def test_a_paused_machine_answers_nobody_and_then_everybody():
    net, web, me = pair()
    client, server = joined(web, me)
    net.pause(web)
    client.sendall(b"hello")
    net.run(for_="100ms")
    assert (web.halted, server.row.rcvq.cc) == (True, 0)
    before = net.now
    net.resume(web)
    assert server.recv(100) == b"hello"
    assert net.now == before  # it waited at the door
    assert web.now == net.now


def test_what_finds_no_place_at_the_door_is_lost_and_sent_again():
    net, web, me = pair()
    client, server = joined(web, me)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    net.pause(web, ring=2)
    for _ in range(5):
        client.sendall(b"x")
        net.run(for_="20ms")
    net.resume(web)
    net.run(for_="5s")
    assert server.recv(100) == b"xxxxx"
    assert web.drops()["RX_RING"] >= 3
    assert web.core.drops[Drop.RX_RING] == web.drops()["RX_RING"]


@pytest.mark.parametrize(("clock", "behind"), [("ran", 0), ("stood", 30 * SECOND)])
def test_after_a_pause_the_clock_has_run_or_has_not(clock: str, behind: int):
    net, web, _ = pair()
    called: list[int] = []
    web.call_later("10s", lambda: called.append(net.now))
    web.call_later("50s", lambda: called.append(net.now))
    net.run(for_="1s")
    net.pause(web)
    net.run(for_="30s")
    assert called == []
    assert web.now == SECOND  # of a machine that stands, the clock is not looked at
    net.resume(web, clock=clock)
    assert net.now - web.now == behind
    assert (web.when(web.now), web.when(SECOND // 2)) == (net.now, SECOND // 2)
    net.run(for_="100s")
    first = 31 * SECOND if clock == "ran" else 40 * SECOND
    assert called == [first, 50 * SECOND + behind]


def test_timers_of_the_kernel_fire_at_once_when_the_clock_ran():
    """A segment is sent again though its acknowledgment waits at the door: the timer comes first."""
    again = {}
    for clock in ("ran", "stood"):
        net, web, me = pair()
        client, server = joined(web, me)
        server.sendall(b"answer")
        net.pause(web)
        net.run(for_="30s")
        assert client.recv(100) == b"answer"
        net.resume(web, clock=clock)
        net.run(for_="5s")
        again[clock] = web.stats["sndrexmitpack"]
        server.sendall(b"more")
        assert client.recv(100) == b"more"
    assert again == {"ran": 1, "stood": 0}


def test_keepalive_that_comes_due_in_a_pause_is_asked_when_it_goes_on():
    net, web, me = pair()
    web.sysctl["net.ipv4.tcp_keepalive_time"] = 20
    _, server = joined(web, me)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    net.pause(web)
    net.run(for_="30s")
    assert web.stats["keepprobe"] == 0
    net.resume(web)
    net.run(for_="1s")
    assert web.stats["keepprobe"] == 1


def test_a_machine_that_misses_time_ends_what_was_to_last():
    """TIME_WAIT is over, a program's timer fires, the peer's clock is untouched."""
    net, web, me = pair()
    client, server = joined(web, me)
    server.close()
    client.close()
    net.run(for_="1s")
    assert web.tcp_states()["TIME_WAIT"] == 1
    called: list[int] = []
    web.call_later("50s", lambda: called.append(net.now))
    net.jump(web, "70s")
    net.run(for_="1ms")
    assert called == [net.now - 10**6]
    assert web.tcp_states()["TIME_WAIT"] == 0
    assert (web.now - net.now, me.now - net.now) == (70 * SECOND, 0)
    net.run(for_="200s")
    assert len(called) == 1


def test_timestamps_that_jump_ahead_are_taken():
    net, web, me = pair()
    client, server = joined(web, me)
    net.jump(web, "1h")
    server.sendall(b"later")
    assert client.recv(100) == b"later"
    client.sendall(b"back")
    assert server.recv(100) == b"back"


def test_blocking_calls_go_by_the_worlds_time():
    net, web, me = pair()
    net.jump(me, "1h")
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(1)
    listener.settimeout(2)
    begin = net.now
    with pytest.raises(TimeoutError):
        listener.accept()
    client = me.socket()
    client.settimeout(3)
    net.pause(web)
    with pytest.raises(TimeoutError):
        client.connect(("192.0.2.1", 80))
    assert net.now - begin == 5 * SECOND
    assert me.ping("192.0.2.1", timeout="1s") == [None]
    net.resume(web)
    assert me.ping("192.0.2.1") == [10_000_000]


def test_what_cannot_be_paused():
    net, web, me = pair()
    other = pystack.Network().host("other", "192.0.2.9/24")
    with pytest.raises(ValueError, match="other is not of this network"):
        net.pause(other)
    with pytest.raises(RuntimeError, match="web is not paused"):
        net.resume(web)
    net.pause(web)
    with pytest.raises(RuntimeError, match="web is paused already"):
        net.pause(web)
    with pytest.raises(RuntimeError, match="web is paused: its clock"):
        net.jump(web, "1s")
    with pytest.raises(RuntimeError, match="halted: nothing can be asked"):
        web.socket().connect(("192.0.2.2", 80))
    with pytest.raises(ValueError, match="ran or stood"):
        net.resume(web, clock="walked")
    with pytest.raises(ValueError, match="ring of -1"):
        net.pause(me, ring=-1)


def test_a_pause_is_a_function_of_the_seed():
    def run() -> str:
        net, web, me = pair(loss=0.1)
        HttpService().start(web)
        for _ in range(20):
            Browser(me, ("192.0.2.1", 80), ["/bytes/20000"] * 3, think="100ms").start()
        net.run(for_="100ms")
        net.pause(web, ring=8)
        net.run(for_="3s")
        net.resume(web, clock="stood")
        net.jump(me, "4s")
        net.run(for_="60s")
        return net.trace_hash()

    assert run() == run()


# --- programs ------------------------------------------------------------------------------------------


def test_of_a_stopped_program_the_system_goes_on():
    """Its connections are acknowledged, new ones wait in its queue; then it hears of all of it."""
    _, web, me = pair()
    echo = EchoService(7)
    echo.alone = True
    echo.start(web)
    client = me.socket()
    client.connect(("192.0.2.1", 7))
    client.sendall(b"a")
    assert client.recv(1) == b"a"
    echo.process.stop()
    echo.process.stop()
    client.sendall(b"b")
    other = me.socket()
    other.connect(("192.0.2.1", 7))
    other.settimeout(10)
    with pytest.raises(TimeoutError):
        other.recv(1)
    assert client.row.sndq.cc == 0  # acknowledged
    assert len(echo.connections) == 1
    echo.process.go_on()
    echo.process.go_on()
    assert client.recv(1) == b"b"
    other.sendall(b"c")
    assert other.recv(1) == b"c"
    assert not echo.process.asleep


def test_timers_of_a_stopped_program_wait():
    """nginx closes an idle connection after its time: stopped, it does so when it goes on."""
    net, web, me = pair()
    http = HttpService(like="nginx", keepalive="5s")
    http.start(web)
    browser = Browser(me, ("192.0.2.1", 80), ["/bytes/1"], ending="follows")
    browser.start()
    net.run(for_="1s")
    http.process.stop()
    net.run(for_="20s")
    assert browser.server_closed is None
    http.process.go_on()
    net.run(for_="1s")
    assert browser.server_closed is not None
    assert 21 * SECOND < browser.server_closed < 21.1 * SECOND


def test_one_program_stops_and_its_neighbour_does_not():
    _, web, me = pair()
    services = [EchoService(7), EchoService(8)]
    for one in services:
        one.alone = True
        one.start(web)
    services[0].process.stop()
    client = me.socket()
    client.connect(("192.0.2.1", 8))
    client.sendall(b"x")
    assert client.recv(1) == b"x"


def test_a_killed_program_leaves_no_process():
    _, web, _ = pair()
    echo = EchoService(7)
    echo.alone = True
    echo.start(web)
    assert [one.name for one in web.processes.values()] == ["pystack", "echo"]
    echo.stop()
    assert [one.name for one in web.processes.values()] == ["pystack"]


# --- the wall clock -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timers", "by", "closed"),
    [("monotonic", "1h", 75), ("wall", "1h", 10), ("wall", "-60s", 135), ("monotonic", "-60s", 75)],
)
def test_who_counts_by_the_wall_clock(timers: str, by: str, closed: int):
    net, web, me = pair()
    HttpService(like="nginx", timers=timers).start(web)
    browser = Browser(me, ("192.0.2.1", 80), ["/bytes/1"], ending="follows")
    browser.start()
    net.run(for_="10s")
    web.set_clock(by)
    assert web.now == net.now  # the monotonic clock knows nothing of it
    net.run(for_="300s")
    assert browser.server_closed is not None
    assert browser.server_closed / SECOND == pytest.approx(closed, abs=0.5)


def test_the_date_follows_the_wall_clock():
    _, web, me = pair()
    HttpService().start(web)

    def date() -> bytes:
        client = me.socket()
        client.connect(("192.0.2.1", 80))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = client.recv(65536)
        client.close()
        return next(line for line in head.split(b"\r\n") if line.startswith(b"Date"))

    assert b"Thu, 01 Jan 1970 00:00:0" in date()
    web.set_clock("36h")
    assert b"Fri, 02 Jan 1970 12:00:0" in date()
    assert web.epoch == 36 * 3600 * SECOND


@pytest.mark.parametrize(("profile", "back"), [("linux-6", True), ("freebsd-14", False)])
def test_sequence_numbers_begin_by_the_wall_clock_on_linux(profile: str, back: bool):
    """A connection that begins anew from the same port after the clock was set back begins below (secure_seq.c)."""
    net = pystack.Network(seed=1)
    me = net.host("me", "192.0.2.2/24", profile=profile)

    def isn() -> int:
        return me.core.new_isn(1, 1000, 2, 80)

    before = isn()
    net.run(for_="1s")
    me.core.settle(me.now)
    later = isn()
    assert (later - before) & 0xFFFFFFFF == 250_000
    me.set_clock("-10s")
    assert ((isn() - later) & 0xFFFFFFFF == 2**32 - 2_500_000) is back
    me.set_clock("10s")
    assert isn() == later


def test_a_refused_connection_is_not_hidden_by_a_pause():
    net, web, me = pair()
    net.pause(web)
    net.call_later("500ms", net.resume, web)
    with pytest.raises(ConnectionRefusedError):
        me.socket().connect(("192.0.2.1", 80))
    assert net.now == 505_000_000
