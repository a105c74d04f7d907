"""The habits of the web server: what each option does on the wire and to the machine."""

from __future__ import annotations

import socket as std
from pathlib import Path
from typing import Any

import pytest
from http_kit import SECOND, SLOT, Site, answers, get, read_all, site

from pystack._fast.mbuf_zones import JUMBO_PAGE
from pystack.services import HttpService
from pystack.services.http_habits import HABITS, MESSAGES, Habits, choose, message


def closed_after(web: Site, sock: Any) -> int:
    """Until the server has ended it, ns."""
    began = web.net.now
    web.net.run(until=lambda: sock.readable() and sock.recv(1, std.MSG_PEEK) == b"")
    return web.net.now - began


# --- as data -----------------------------------------------------------------------------------------


def test_names_of_servers_are_their_manuals_defaults() -> None:
    assert choose("pystack", {}) == Habits()
    apache, nginx = HABITS["apache-1.3"], HABITS["nginx"]
    assert (apache.keepalive, apache.requests_max) == (15 * SECOND, 100)
    assert (apache.linger, apache.lingering_timeout, apache.lingering_time) == (
        "lingering",
        2 * SECOND,
        30 * SECOND,
    )
    assert (nginx.keepalive, nginx.lingering_timeout) == (75 * SECOND, 5 * SECOND)
    assert HABITS["apache-1.1"].linger == "plain"
    assert not any(each.reset_timedout_connections for each in HABITS.values())


def test_text_and_values_mean_the_same() -> None:
    text = {
        "keepalive": "off", "requests_max": "7", "rcvbuf": "8KiB", "sndbuf": "off",
        "reset_timedout_connections": "on", "worker_connections": "off", "lingering_time": "1min",
        "worker_rlimit_nofile": "100", "request_timeout": "2s",
    }  # fmt: skip
    values = {
        "keepalive": 0, "requests_max": 7, "rcvbuf": 8192, "sndbuf": None,
        "reset_timedout_connections": True, "worker_connections": None,
        "lingering_time": 60 * SECOND, "worker_rlimit_nofile": 100, "request_timeout": 2 * SECOND,
    }  # fmt: skip
    assert choose("apache-1.3", text) == choose("apache-1.3", values)
    assert choose("apache-1.3", text).worker_connections is None
    assert HABITS["apache-1.3"].worker_connections == 256


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"keep_alive": 1}, "a web server has no option 'keep_alive'; did you mean keepalive"),
        ({"keepalive": "15"}, "keepalive '15' has no unit"),
        ({"send_timeout": "0s"}, "send_timeout '0s' is no time at all"),
        ({"requests_max": 0}, "requests_max 0 is not a number from 1 on"),
        ({"requests_max": "-3"}, "requests_max '-3' is not a number from 1 on"),
        ({"backlog": True}, "backlog True is not a number"),
        ({"worker_connections": 1}, "worker_connections 1 is not a number from 2 on"),
        ({"worker_rlimit_nofile": 4}, "worker_rlimit_nofile 4 is not a number from 5 on"),
        ({"sndbuf": "8k"}, "sndbuf '8k': unknown unit 'k'; did you mean KiB"),
        ({"rcvbuf": 0}, "rcvbuf 0 is no size of a buffer"),
        ({"when_full": "drops"}, "when_full 'drops' is none of waits, closes"),
        ({"reset_timedout_connections": "yes"}, "'yes' is neither on nor off"),
    ],
)
def test_what_cannot_be(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        HttpService(80, **options)
    assert text in str(caught.value)


def test_a_server_that_nobody_knows() -> None:
    with pytest.raises(ValueError, match=r"no habits 'ngnix'; known: .*; did you mean nginx"):
        HttpService(80, like="ngnix")


def test_every_server_has_words_for_its_own_way_to_be_full() -> None:
    for like, habits in HABITS.items():
        events = ["files", "waits"] if habits.when_full == "waits" else ["files", "closes"]
        for event in events:
            assert message(like, event)
    assert message("apache-2.4", "waits") == MESSAGES["apache-2.4"]["waits"]
    assert message("apache-1.1", "waits") == MESSAGES["apache"]["waits"]


# --- keep-alive and times ----------------------------------------------------------------------------


def test_keepalive_off_makes_each_answer_the_last() -> None:
    web, service = site(keepalive="off")
    for _ in range(2):  # the second from what was kept of the first
        with web.connect() as sock:
            sock.sendall(get("/bytes/3"))
            (answer,) = answers(read_all(sock))
            assert answer.fields["connection"] == "close"
    assert service.answers == {200: 2}
    assert len(service.plans) == 1
    web.quiet()


def test_with_keepalive_off_a_head_still_has_its_time() -> None:
    web, _ = site(keepalive="off")
    with web.connect() as sock:
        sock.sendall(get("/bytes/3")[:-1])
        web.net.run(for_="14s")
        sock.sendall(b"\n")
        assert answers(read_all(sock))[0].status == 200
    with web.connect() as sock:
        assert 15 * SECOND <= closed_after(web, sock) <= 15 * SECOND + 2 * SLOT
    web.quiet()


def test_the_first_request_may_come_later_than_the_next() -> None:
    web, _ = site(like="apache-1.3", request_timeout="60s")
    with web.connect() as sock:
        web.net.run(for_="59s")
        sock.sendall(get("/bytes/3"))
        assert answers(sock.recv(1000))[0].status == 200
        assert 15 * SECOND - SLOT <= closed_after(web, sock) <= 15 * SECOND + 2 * SLOT
    with web.connect() as sock:
        assert 60 * SECOND <= closed_after(web, sock) <= 60 * SECOND + 2 * SLOT
    web.quiet()


def test_a_head_may_take_longer_than_an_idle_connection() -> None:
    web, _ = site(keepalive="5s", request_timeout="30s")
    with web.connect() as sock:
        for head in (get("/bytes/1")[:20], get("/bytes/2")[:20]):
            sock.sendall(head)
            web.net.run(for_="29s")
            sock.sendall(get("/bytes/1")[20:])
            assert answers(sock.recv(1000))[0].status == 200
        assert closed_after(web, sock) <= 5 * SECOND + 2 * SLOT
    web.quiet()


def test_the_last_request_by_number_is_not_taken_for_a_rule() -> None:
    """What was kept of a last answer made every later connection end with its first."""
    web, _ = site(requests_max=2)
    for _ in range(3):
        with web.connect() as sock:
            for said in (None, "close"):
                sock.sendall(get("/bytes/2"))
                assert answers(sock.recv(1000))[0].fields.get("connection") == said
    web.quiet()


# --- the end -----------------------------------------------------------------------------------------


def ends_at_once(web: Site, stream: bytes) -> bool:
    """Is the connection gone from the server as soon as the answer is?"""
    sock = web.connect()
    sock.sendall(stream)
    web.net.run(until=sock.readable)
    gone = not web.services[0].connections
    sock.close()
    return gone


@pytest.mark.parametrize(
    ("linger", "asked", "refused"),
    [("lingering", False, False), ("likely", True, False), ("plain", True, True)],
)
def test_who_lingers_when(linger: str, asked: bool, refused: bool) -> None:
    web, _ = site(linger=linger)
    assert ends_at_once(web, get("/bytes/1", "Connection: close")) == asked
    upload = get("/", "Content-Length: 2000000", method="POST")
    assert ends_at_once(web, upload + b"x" * 1000) == refused
    web.quiet()


@pytest.mark.parametrize(("silence", "total", "end"), [("1s", "30s", 1), ("5s", "3s", 3)])
def test_both_times_of_a_lingering_close(silence: str, total: str, end: int) -> None:
    web, service = site(lingering_timeout=silence, lingering_time=total)
    sock = web.connect()
    sock.sendall(get("/bytes/1", "Connection: close"))
    web.net.run(until=lambda: web.web.tcp_states()["FIN_WAIT_2"] == 1)
    began = web.net.now
    web.net.run(until=lambda: not service.connections)
    assert end * SECOND - 5_000_000 <= web.net.now - began <= end * SECOND + 2 * SLOT
    sock.close()
    web.quiet()


@pytest.mark.parametrize("profile", ["freebsd-10", "linux-6"])
def test_what_a_timed_out_client_costs_with_and_without_reset(profile: str) -> None:
    """Seed 002: data for somebody who does not read lives on in the kernel, unless the connection is reset."""
    held = {}
    for reset in (True, False):
        web, service = site(profile, send_timeout="20s", reset_timedout_connections=reset)
        sock = web.connect()
        sock.sendall(get("/bytes/100000000"))
        web.net.run(for_="25s")
        assert not service.connections
        held[reset] = web.web.core.pool.in_use
        states = dict(web.web.tcp_states())
        assert states == ({"LISTEN": 1} if reset else {"LISTEN": 1, "FIN_WAIT_1": 1})
        sock.close()
        web.quiet()
    assert held[False] > 10 * held[True]


def test_a_peer_that_does_not_read_is_late_sooner_than_an_idle_one() -> None:
    """Its time was looked at only when that of the first request would have been over."""
    web, service = site(like="nginx", send_timeout="5s", reset_timedout_connections=True)
    with web.connect() as sock:
        sock.sendall(get("/bytes/100000000"))
        web.net.run(for_="6s")
        assert not service.connections
    web.quiet()


def test_a_client_that_does_not_finish_its_request_is_reset_too() -> None:
    web, service = site(keepalive="10s", reset_timedout_connections="on")
    with web.connect() as sock:
        sock.sendall(b"GET / HT")
        web.net.run(for_="11s")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    with web.connect() as sock:  # idle connections are closed politely
        assert closed_after(web, sock) <= 10 * SECOND + 2 * SLOT
    assert service.answers == {}
    web.quiet()


# --- buffers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14", "linux-6"])
def test_buffers_of_the_listener_are_those_of_its_connections(profile: str) -> None:
    web, service = site(profile, rcvbuf="8KiB", sndbuf="16KiB", backlog=33)
    plain, _ = site(profile)
    with web.connect() as sock:
        sock.sendall(get("/bytes/100000000"))
        web.net.run(for_="1s")
        (connection,) = service.connections
        said = [
            connection.sock.getsockopt(std.SOL_SOCKET, option)
            for option in (std.SO_RCVBUF, std.SO_SNDBUF)
        ]
        # Linux doubles, FreeBSD rounds up to segments
        assert said == ([16384, 32768] if profile == "linux-6" else [6 * 1460, 12 * 1460])
        # Linux fills the last piece of what is written
        assert connection.sock.row.sndq.cc <= said[1] + (65215 if profile == "linux-6" else 0)
        assert sock.row.snd_wnd <= 6 * 1460 + 63  # in units of its scale
    with plain.connect() as sock:
        plain.net.run(for_="10ms")
        assert sock.row.snd_wnd > 8192
    assert [limit.maximum for limit in web.web.limits() if "listen queue" in limit.name] == [
        34 if profile == "linux-6" else 50
    ]
    web.quiet()
    plain.quiet()


def test_an_answer_that_finds_no_mbufs_is_sent_when_there_are_some() -> None:
    """One that was looked up was forgotten, and the connection closed without it."""
    web, service = site("freebsd-10")
    pool = web.web.core.pool
    for _ in range(2):  # parsed, then looked up
        with web.connect() as sock:
            web.net.run(for_="10ms")
            free = web.web.sysctl["kern.ipc.nmbjumbop"]
            pool.set_limit(JUMBO_PAGE, 1)
            held = pool.new_chain(bytes(4000), 0, 4000)
            sock.sendall(get("/bytes/3000", "Connection: close"))  # which needs no cluster
            web.net.run(for_="200ms")
            assert not sock.readable()
            assert web.web.program.asleep
            pool.free_chain(held)
            pool.set_limit(JUMBO_PAGE, free)
            web.web.after(web.web.core)  # whose packet it was has let it go
            (answer,) = answers(read_all(sock))
            assert len(answer.body) == 3000
    assert service.answers == {200: 2}
    web.quiet()


# --- how many at a time ------------------------------------------------------------------------------


def asked(web: Site, n: int, path: str = "/bytes/1") -> list[Any]:
    """So many connections, each with a request sent."""
    socks = [web.connect() for _ in range(n)]
    for sock in socks:
        sock.sendall(get(path))
    web.net.run(for_="100ms")
    return socks


def served(socks: list[Any]) -> int:
    return sum(sock.readable() and sock.recv(20, std.MSG_PEEK) != b"" for sock in socks)


@pytest.mark.parametrize(("n", "waiting"), [(3, 0), (4, 0), (5, 1), (7, 3)])
def test_apache_lets_the_next_ones_wait_in_the_queue(n: int, waiting: int) -> None:
    web, service = site(like="apache-1.3", worker_connections=4)
    socks = asked(web, n)
    assert served(socks) == n - waiting
    assert web.web.netstat("-Lan").splitlines()[-1].split()[1].startswith(f"{waiting}/")
    assert service.full == (waiting > 0)
    said = [text for _, text in service.log]
    assert said == [message("apache-1.3", "waits")] * (waiting > 0)
    web.net.run(for_="16s")  # the idle ones are closed, and the others served
    assert served(socks) == n
    for sock in socks:
        sock.close()
    web.quiet()


def test_nginx_closes_idle_ones_for_new_ones_and_turns_away_when_none_is_idle() -> None:
    web, service = site(like="nginx", worker_connections=5)
    socks = asked(web, 4)
    assert (served(socks), service.drained, service.full) == (4, 0, 0)
    socks += asked(web, 1)
    assert (served(socks), service.drained, service.full) == (5, 4, 0)
    for sock in socks:
        sock.close()
    web.net.run(for_="1s")
    busy = asked(web, 4, "/bytes/100000000")
    late = asked(web, 1)
    assert (served(busy), served(late), service.full) == (4, 0, 1)
    assert late[0].recv(1) == b""
    assert [text for _, text in service.log] == [
        "[warn] 5 worker_connections are not enough, reusing connections",
        "[alert] 5 worker_connections are not enough",
    ]
    for sock in [*busy, *late]:
        sock.close()
    web.quiet()


@pytest.mark.parametrize(("n", "kept_out"), [(2, 0), (3, 0), (4, 1), (5, 2)])
def test_without_descriptors_accept_fails_and_pauses(n: int, kept_out: int) -> None:
    """Four descriptors are the worker's own: 0, 1, 2 and the listener."""
    web, service = site(worker_rlimit_nofile=4 + 3)
    assert (service.process.nofile, service.process.used) == (7, 4)
    assert web.web.program.used == 3
    socks = asked(web, n)
    assert served(socks) == n - kept_out
    assert service.failures == ({"EMFILE": 1} if kept_out else {})
    web.net.run(for_="5s")
    assert service.failures.get("EMFILE", 0) == (11 if kept_out else 0)  # every half second
    if kept_out:
        assert service.log[0][1] == "[crit] accept() failed (24: Too many open files)"
    socks[0].close()
    web.net.run(for_="600ms")
    assert served(socks[1:]) == n - 1 - max(kept_out - 1, 0)
    assert service.process.high_water == min(4 + n, 7)
    for sock in socks[1:]:
        sock.close()
    web.quiet()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "big").write_bytes(b"x" * 3_000_000)
    return tmp_path


def test_a_file_is_a_descriptor_too(root: Path) -> None:
    web, service = site(root=root, worker_rlimit_nofile=4 + 3)
    first = web.connect()
    first.sendall(get("/big"))  # does not fit into the buffers: the file stays open
    web.net.run(for_="100ms")
    assert service.files == 1
    (second,) = asked(web, 1, "/big")
    assert second.recv(20).startswith(b"HTTP/1.1 500 ")
    while len(first.recv(1_000_000)):
        web.net.run(for_="10ms")
        if service.files == 0:
            break
    (third,) = asked(web, 1, "/none")
    assert third.recv(20).startswith(b"HTTP/1.1 404 ")
    for sock in (first, second, third):
        sock.close()
    web.quiet()
    assert service.files == 0


def test_a_machine_without_descriptors_is_asked_again_later() -> None:
    """Not in a circle, but each half second."""
    web, service = site(like="nginx")
    most = web.web.sysctl["kern.maxfiles"]
    web.web.sysctl["kern.maxfiles"] = 1
    sock = web.me.socket()
    sock.connect(("192.0.2.1", 80))
    web.net.run(for_="1900ms")
    assert service.failures == {"ENFILE": 4}
    assert service.log[-1][1] == "[crit] accept() failed (23: Too many open files in system)"
    web.web.sysctl["kern.maxfiles"] = most
    sock.sendall(get("/bytes/1"))
    web.net.run(for_="600ms")
    assert sock.recv(20).startswith(b"HTTP/1.1 200 ")
    sock.close()
    web.quiet()
