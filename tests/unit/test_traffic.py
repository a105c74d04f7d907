"""The clients: what each does by itself, in virtual time, and what it says of itself at the end."""

from __future__ import annotations

from typing import Any

import pytest
from http_kit import SECOND, Site, site

from pystack.services import HttpService
from pystack.traffic import Browser, Client, DialUp, Latencies, Poster, SlowReader

WEB = ("192.0.2.1", 80)


def run(web: Site, client: Client, limit: str = "1000s") -> Any:
    """Start it, and let time pass until it is done."""
    client.start()
    web.net.run(until=lambda: client.done, for_=limit)
    return client


# --- browsers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "first", "states"),
    [
        ("asks", "server", {"web": {"LISTEN": 1, "TIME_WAIT": 1}, "me": {}}),
        ("closes", "client", {"web": {"LISTEN": 1}, "me": {"TIME_WAIT": 1}}),
        ("follows", "server", {"web": {"LISTEN": 1, "TIME_WAIT": 1}, "me": {}}),
        ("never", "server", {"web": {"LISTEN": 1, "FIN_WAIT_2": 1}, "me": {"CLOSE_WAIT": 1}}),
    ],
)
def test_how_a_browser_leaves(ending: str, first: str, states: dict[str, dict[str, int]]) -> None:
    web, _ = site(keepalive="3s")
    browser = run(web, Browser(web.me, WEB, ["/bytes/5", "/bytes/70000"], ending=ending))
    assert browser.answers == [(200, 5), (200, 70_000)]
    assert browser.error is None
    web.net.run(for_="10s")
    assert dict(web.web.tcp_states()) == states["web"]
    assert dict(web.me.tcp_states()) == states["me"]
    assert (browser.server_closed is not None) == (first == "server")
    browser.leave()
    assert browser.sock.closed
    web.quiet()


def test_a_browser_that_never_closes_does_so_for_another_page_and_at_its_end() -> None:
    web, _ = site(keepalive="3s")
    browser = run(web, Browser(web.me, WEB, ["/bytes/5"], ending="never"))
    web.net.run(for_="1h")
    assert web.web.tcp_states()["FIN_WAIT_2"] == 0  # FreeBSD: 675 s after the server's close
    assert web.me.tcp_states() == {"CLOSE_WAIT": 1}
    other = browser.visit(["/bytes/6"])
    assert browser.sock.closed
    web.net.run(until=lambda: other.done)
    assert other.answers == [(200, 6)]
    web.net.run(for_="4s")
    assert web.web.tcp_states()["FIN_WAIT_2"] == 1
    other.leave()
    web.net.run(for_="1s")
    assert web.web.tcp_states()["FIN_WAIT_2"] == 0
    web.quiet()


def test_an_idle_browser_survives_a_reset() -> None:
    web, service = site()
    browser = run(web, Browser(web.me, WEB, ["/bytes/5"], ending="follows"))
    service.stop()
    web.net.run(for_="1s")
    assert browser.error is None
    assert browser.sock.closed
    web.quiet()


def test_a_user_who_leaves_in_the_middle() -> None:
    web, _ = site()
    browser = Browser(web.me, WEB, ["/bytes/5", "/bytes/5"], think="10s")
    browser.start()
    web.net.run(for_="5s")
    browser.leave()
    assert (browser.done, browser.error, browser.answers) == (True, "the user left", [(200, 5)])
    web.net.run(for_="10s")  # its timer finds it gone
    assert len(browser.times) == 1
    web.quiet()


def test_a_machine_without_sockets_or_ports_says_so() -> None:
    web = Site(HttpService(80))
    small = web.net.host(
        "small", "192.0.2.3/24", profile="freebsd-10", sysctl={"kern.ipc.maxsockets": 40}
    )
    web.net.link(web.web, small, delay="1ms")
    held = [small.socket() for _ in range(40)]
    said: list[Any] = []
    Browser(small, WEB, ["/"], on_done=said.append).start()
    assert [(each.error, each.errno) for each in said] == [("No buffer space available", 105)]
    for sock in held:
        sock.close()
    web.quiet()


@pytest.mark.parametrize("options", [{"ending": "asked"}, {"paths": []}])
def test_browsers_that_cannot_be(options: dict[str, Any]) -> None:
    web, _ = site()
    with pytest.raises(ValueError, match=r"ending 'asked' is none of asks, |needs a path"):
        Browser(web.me, WEB, **{"paths": ["/"], **options})
    web.quiet()


# --- who reads slowly --------------------------------------------------------------------------------


def test_a_slow_reader_takes_what_it_says() -> None:
    web, service = site()
    reader = SlowReader(web.me, WEB, "/bytes/20000", rate=1000)
    reader.start()
    for second in range(1, 20):
        web.net.run(for_="1s")
        assert (second - 1) * 1000 <= reader.got <= second * 1000
    web.net.run(until=lambda: reader.done)
    assert (reader.error, reader.status) == (None, 200)
    assert 20_000 < reader.got < 20_200
    assert service.answers == {200: 1}
    assert 20 * SECOND <= web.net.now < 23 * SECOND
    web.quiet()


def test_its_buffer_is_small_and_the_server_holds_the_rest() -> None:
    web, service = site()
    reader = SlowReader(web.me, WEB, "/bytes/10000000", rate=0)
    reader.start()
    web.net.run(for_="100s")
    (connection,) = service.connections
    assert reader.sock.row.rcvq.cc <= 8192  # Linux doubles what it is told
    assert reader.got == 0
    assert connection.sock.row.sndq.cc > 20_000
    reader.end("enough")
    assert reader.error == "enough"
    web.quiet()


def test_a_slow_reader_learns_that_it_was_cut_off() -> None:
    web, _ = site(send_timeout="20s", reset_timedout_connections=True)
    reader = run(web, SlowReader(web.me, WEB, "/bytes/10000000", rate=20, tick="500ms"))
    assert reader.error.startswith("ConnectionResetError")
    web.quiet()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rate": -1}, "-1 octets a second"),
        ({"rate": 1, "tick": "10ms"}, "1 octets a second are not one each 10ms"),
        ({"tick": 0}, "tick 0 is no time"),
        ({"rcvbuf": "4k"}, "did you mean"),
    ],
)
def test_slow_readers_that_cannot_be(options: dict[str, Any], text: str) -> None:
    web, _ = site()
    with pytest.raises(ValueError, match=text):
        SlowReader(web.me, WEB, "/", **options)
    web.quiet()


# --- who vanishes ------------------------------------------------------------------------------------


def test_a_caller_vanishes_after_a_time_and_nobody_is_told() -> None:
    web, _ = site(keepalive="15s")
    caller = run(web, DialUp(web.me, WEB, "/bytes/5", link=web.link, after="7s"))
    assert caller.vanished == 7 * SECOND
    assert caller.got > 5
    drops = web.link.backward.counters.drops, web.link.forward.counters.drops
    assert drops == ({}, {})
    web.net.run(for_="30s")  # the server has closed: its FIN reaches nobody
    assert dict(web.web.tcp_states()) == {"LISTEN": 1, "FIN_WAIT_1": 1}
    assert dict(web.me.tcp_states()) == {"ESTABLISHED": 1}
    assert web.link.forward.counters.drops["LINK_PARTITION"] > 2
    # its neighbours on the link notice nothing
    assert run(web, Browser(web.me, WEB, ["/bytes/5"])).error is None
    web.net.run(for_="60s")
    assert web.web.tcp_states()["FIN_WAIT_1"] == 0  # 79 s: the retransmissions gave up
    caller.sock.close()
    web.quiet()


@pytest.mark.parametrize("octets", ["1B", "50kB"])
def test_a_caller_vanishes_after_so_many_octets(octets: str) -> None:
    web, service = site(send_timeout="60s")
    caller = run(web, DialUp(web.me, WEB, "/bytes/10000000", link=web.link, octets=octets))
    assert caller.vanished is not None
    assert caller.got < 400_000
    assert len(service.connections) == 1
    web.net.run(for_="61s")
    assert not service.connections
    web.link.heal()
    caller.sock.close()
    web.quiet()


def test_a_line_can_be_mended() -> None:
    web, _ = site()
    caller = run(web, DialUp(web.me, WEB, "/bytes/2000000", link=web.link, octets="1kB"))
    end = caller.sock.getsockname()
    web.net.run(for_="2s")
    stands = caller.sock.row.rcvq.cc
    web.net.run(for_="1s")
    assert caller.sock.row.rcvq.cc == stands
    web.link.mend(end)
    web.net.run(for_="5s")
    assert caller.sock.row.rcvq.cc > stands
    caller.sock.close()
    web.quiet()


def test_one_who_is_closed_before_it_vanishes() -> None:
    web, _ = site(keepalive="3s")
    caller = run(web, DialUp(web.me, WEB, "/bytes/5", link=web.link, after="10s"))
    assert (caller.error, caller.vanished) == ("the server closed first", None)
    web.net.run(for_="10s")
    assert caller.vanished is None
    with pytest.raises(ValueError, match="when does it vanish"):
        DialUp(web.me, WEB, "/", link=web.link)
    web.quiet()


# --- who posts ---------------------------------------------------------------------------------------


def posted(profile: str, client: str, linger: str, **options: Any) -> Poster:
    """A body that the server refuses at its head."""
    service = HttpService(80, linger=linger, body_max=1000)
    net = Site(service, profile=profile).net
    me = net.host("poster", "192.0.2.3/24", profile=client)
    net.link(net.hosts["web"], me, delay="20ms", bandwidth="10Mbit/s")
    poster = Poster(me, WEB, **options)
    poster.start()
    net.run(until=lambda: poster.done, for_="300s")
    return poster


@pytest.mark.parametrize("profile", ["freebsd-4", "freebsd-10", "freebsd-14", "linux-6"])
@pytest.mark.parametrize("client", ["windows", "freebsd-4", "linux-6"])
def test_the_error_page_is_kept_by_a_lingering_close_and_lost_by_a_plain_one(
    profile: str, client: str
) -> None:
    """The appendix of seed 003."""
    kept = posted(profile, client, "lingering")
    assert (kept.error, kept.answers) == (None, [413])
    lost = posted(profile, client, "plain")
    assert lost.answers == []
    assert lost.refused == 0
    assert lost.error is not None
    assert "Reset" in lost.error or "Pipe" in lost.error


def test_whether_it_can_be_read_after_a_reset_is_up_to_the_clients_system() -> None:
    """A system that does as RFC 9293 says flushes the page with the reset; with others it lies there for who looks."""
    flushed = posted("freebsd-10", "windows", "plain", insists=True)
    assert (flushed.answers, flushed.refused) == ([], 0)
    there = posted("freebsd-10", "linux-6", "plain", insists=True)
    assert there.refused == 413
    assert there.error is not None


def test_a_small_body_is_lost_too_if_the_program_is_not_quick() -> None:
    """All is written before the answer comes; the reset comes before the program looks."""
    body: dict[str, Any] = {"octets": "12kB", "pause": "100ms"}
    assert posted("linux-6", "windows", "plain", **body).answers == []
    assert posted("linux-6", "windows", "lingering", **body).answers == [413]


def test_pipelined_posts_are_answered_one_by_one() -> None:
    poster = posted("freebsd-10", "linux-6", "plain", posts=3, octets=500)
    assert (poster.answers, poster.error) == ([405, 405, 405], None)


def test_a_reset_takes_what_was_answered_before_with_it() -> None:
    """Seed 003: pipelining, with one of the middle requests resulting in an error."""
    for linger, answers in (("lingering", [413]), ("reset", [])):
        assert posted("freebsd-10", "windows", linger, posts=4, octets=20_000).answers == answers


# --- times -------------------------------------------------------------------------------------------


def test_percentiles_are_times_that_were() -> None:
    times = Latencies()
    for ns in range(1000, 0, -1):
        times.add(ns)
    assert times.summary() == {"p50": 500, "p90": 900, "p99": 990, "p99.9": 999, "worst": 1000}
    assert (times.percentile(0), times.percentile(0.1), times.percentile(0.11)) == (1, 1, 2)
    times.add(5000)
    assert (len(times), times.percentile(100), times.percentile(50)) == (1001, 5000, 501)
    assert list(times)[:2] == [1000, 999]
    one = Latencies()
    one.add(7)
    assert set(one.summary().values()) == {7}
    assert repr(one).startswith("<1 answers: p50 0.0 ms, ")


def test_without_times_there_is_no_percentile() -> None:
    assert Latencies().summary() == {}
    assert repr(Latencies()) == "<0 answers>"
    with pytest.raises(ValueError, match="nothing was answered"):
        Latencies().percentile(50)
    times = Latencies()
    times.add(1)
    with pytest.raises(ValueError, match="101 percent"):
        times.percentile(101)
