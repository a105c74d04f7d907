"""HTTP as clients see it, octet by octet, in virtual time."""

import pytest
from http_kit import SECOND, SLOT, Site, answers, get, read_all, site

import pystack
from pystack.services import HttpService
from pystack.services.http import KEPT_PLANS
from pystack.services.http_connection import HEAD_MAX, TARGET_MAX
from pystack.services.http_habits import MIB
from pystack.services.http_plans import PATTERN, SMALL


def pattern(octets: int) -> bytes:
    return (PATTERN * (octets // len(PATTERN) + 1))[:octets]


@pytest.mark.parametrize("size", [0, 1, 64, 65, SMALL - 1, SMALL, SMALL + 1, 262_144, 1_000_003])
def test_generated_bodies(size: int) -> None:
    web, service = site()
    stream = web.ask(get(f"/bytes/{size}"))
    (answer,) = answers(stream)
    assert answer.status == 200
    assert answer.body == pattern(size)
    assert answer.fields == {
        "server": "pystack",
        "content-type": "text/plain",
        "content-length": str(size),
        "date": "Thu, 01 Jan 1970 00:00:00 GMT",
    }
    assert service.body_octets == len(stream)
    web.quiet()


@pytest.mark.parametrize(
    "path",
    ["/bytes/", "/bytes/-1", "/bytes/x", "/bytes/1/2", f"/bytes/{2**40 + 1}", "/bytes/" + "9" * 30],
)
def test_sizes_that_are_none(path: str) -> None:
    web, _ = site()
    assert answers(web.ask(get(path)))[0].status == 404
    web.quiet()


def test_a_terabyte_is_promised_and_nothing_of_it_kept() -> None:
    web, service = site(send_timeout="60s")
    sock = web.connect()
    sock.sendall(get(f"/bytes/{2**40}"))
    assert b"Content-Length: 1099511627776\r\n" in sock.recv(1000)
    web.net.run(for_="30s")
    assert service.body_octets < 20_000_000
    sock.close()
    web.quiet()


def test_head_is_get_without_the_body() -> None:
    web, _ = site()
    for path in ("/", "/bytes/10", "/bytes/100000", "/nothing"):
        (whole,) = answers(web.ask(get(path)))
        (head,) = answers(web.ask(get(path, method="HEAD")), heads=True)
        if path != "/":  # whose counters have moved on
            assert (head.status, head.fields) == (whole.status, whole.fields)
        assert int(head.fields["content-length"]) > 0
    web.quiet()


def test_the_page_shows_the_machine() -> None:
    web, _ = site()
    stream = get("/?x=1") + get("http://any/", "Connection: close")
    first, second = answers(web.ask(stream, shut=False))
    assert first.fields["content-type"] == "text/html; charset=utf-8"
    assert "<h1>web: FreeBSD 14</h1>" in first.body.decode()
    assert "<td>ESTABLISHED<td>1\n" in first.body.decode()
    assert "<td>answers 200<td>1\n" in second.body.decode()
    web.quiet()


@pytest.mark.parametrize("step", [1, 7, 100, 10_000])
def test_pipelined_requests_are_answered_in_order(step: int) -> None:
    web, service = site()
    sizes = [5, 100_000, 0, 20_000, 7, 7, 300_000, 1]
    stream = b"".join(get(f"/bytes/{size}") for size in sizes) + get(
        "/bytes/9", "Connection: close"
    )
    with web.connect() as sock:
        for at in range(0, len(stream), step):
            sock.sendall(stream[at : at + step])
            web.net.run(for_="10ms")
        found = answers(read_all(sock))
    assert [answer.body for answer in found] == [pattern(size) for size in [*sizes, 9]]
    assert service.answers == {200: 9}
    web.quiet()


def test_short_answers_to_a_pipeline_go_in_one_segment() -> None:
    web, _ = site()
    sent = web.web.stats["sndpack"]
    assert len(answers(web.ask(get("/bytes/1") * 8))) == 8
    assert web.web.stats["sndpack"] - sent == 1
    web.quiet()


@pytest.mark.parametrize(
    ("version", "field", "kept", "said"),
    [
        ("1.1", None, True, None),
        ("1.1", "Connection: close", False, "close"),
        ("1.1", "Connection: Close, TE", False, "close"),
        ("1.0", None, False, "close"),
        ("1.0", "Connection: keep-alive", True, "keep-alive"),
        ("1.1", "Connection: upgrade\r\nUpgrade: h2c", False, "close"),
    ],
)
@pytest.mark.parametrize("path", ["/bytes/3", "/", "/nothing"])
def test_keep_alive(
    version: str, field: str | None, kept: bool, said: str | None, path: str
) -> None:
    web, _ = site()
    request = get(path, *([field] if field else []), version=version)
    found = answers(web.ask(request * 2))
    assert len(found) == (2 if kept else 1)
    assert [answer.fields.get("connection") for answer in found] == [said] * len(found)
    web.quiet()


def test_requests_max() -> None:
    web, _ = site(requests_max=3)
    found = answers(web.ask(get("/bytes/2") * 10))
    assert [answer.fields.get("connection") for answer in found] == [None, None, "close"]
    with web.connect() as sock:
        for said in (None, None, "close"):  # one by one: the second is looked up
            sock.sendall(get("/bytes/2"))
            assert answers(sock.recv(1000))[0].fields.get("connection") == said
        assert sock.recv(1) == b""
    assert len(answers(web.ask(get("/bytes/2") * 2))) == 2
    web.quiet()


HOST = "Host: web\r\n"


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost web\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: web\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: web\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\n",
            400,
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/2.0\r\nHost: web\r\n\r\n", 505),
        (b"BREW /pot HTTP/1.1\r\nHost: web\r\n\r\n", 501),
        (get("/", "Expect: 200-ok"), 417),
        (get("/bytes/1", method="POST"), 405),
        (get("/bytes/1", "Content-Length: 5", method="PUT") + b"abcde", 405),
        (get("web:80", method="CONNECT") + b"abcde", 405),
        (get("*", method="OPTIONS"), 405),
        (get("/" + "a" * (TARGET_MAX - 1)), 404),
        (get("/" + "a" * TARGET_MAX), 414),
        (get("/nothing"), 404),
        (get("/", f"Content-Length: {MIB + 1}"), 413),
    ],
)
@pytest.mark.parametrize("step", [1, 100_000])
def test_what_is_refused_and_how(octets: bytes, status: int, step: int) -> None:
    web, service = site()
    with web.connect() as sock:
        for at in range(0, len(octets), step):
            try:
                sock.sendall(octets[at : at + step])
            except OSError:
                break  # refused before its end
            web.net.run(for_="2us" if step == 1 else "10ms")
        sock.shutdown(1)
        (answer,) = answers(read_all(sock))
    assert answer.status == status
    assert service.answers == {status: 1}
    if status == 405:
        assert answer.fields["allow"] == "GET, HEAD"
    assert ("connection" in answer.fields) == (status not in (404, 405) or b"CONNECT" in octets)
    web.quiet()


def head_of(octets: int) -> bytes:
    """A request whose head has this many octets."""
    request = get("/bytes/1", "X: ")
    return request.replace(b"X: ", b"X: " + b"y" * (octets - len(request)))


@pytest.mark.parametrize(
    ("octets", "status"), [(HEAD_MAX - 1, 200), (HEAD_MAX, 200), (HEAD_MAX + 1, 431)]
)
@pytest.mark.parametrize("step", [100, 1_000_000])
def test_the_limit_of_the_head(octets: int, status: int, step: int) -> None:
    web, _ = site()
    request = head_of(octets)
    assert len(request) == octets
    with web.connect() as sock:
        for at in range(0, octets, step):
            sock.sendall(request[at : at + step])
            web.net.run(for_="1ms")
        sock.shutdown(1)
        assert answers(read_all(sock))[0].status == status
    web.quiet()


def test_a_head_without_end_is_refused_before_its_end() -> None:
    web, _ = site()
    with web.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nX: ")
        while not sock.readable():
            sock.sendall(b"y" * 1000)
            web.net.run(for_="10ms")
            assert web.me.stats["sndbyte"] < 200_000
        assert answers(read_all(sock))[0].status == 431
    web.quiet()


@pytest.mark.parametrize(("size", "status"), [(999, 405), (1000, 405), (1001, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_limit_of_the_body(size: int, status: int, chunked: bool) -> None:
    web, _ = site(body_max=1000)
    if chunked:
        request = get("/", "Transfer-Encoding: chunked", method="POST")
        request += b"".join(b"1\r\nx\r\n" for _ in range(size)) + b"0\r\n\r\n"
    else:
        request = get("/", f"Content-Length: {size}", method="POST") + b"x" * size
    found = answers(web.ask(request + get("/bytes/4")))
    assert found[0].status == status
    assert len(found) == (2 if status == 405 else 1)
    web.quiet()


def test_a_body_is_not_a_request() -> None:
    web, service = site()
    body = get("/nothing")
    stream = get("/bytes/1", f"Content-Length: {len(body)}") + body + get("/bytes/2")
    assert [answer.body for answer in answers(web.ask(stream))] == [pattern(1), pattern(2)]
    assert service.answers == {200: 2}
    web.quiet()


def test_expect_100_continue() -> None:
    web, _ = site()
    with web.connect() as sock:
        sock.sendall(get("/bytes/1", "Expect: 100-continue", "Content-Length: 3"))
        first = sock.recv(1000)
        assert first.startswith(b"HTTP/1.1 100 Continue\r\n")
        assert first.endswith(b"\r\n\r\n")
        sock.sendall(b"abc" + get("/bytes/2", "Connection: close"))
        assert [answer.body for answer in answers(read_all(sock))] == [pattern(1), pattern(2)]
    with web.connect() as sock:  # refused without the body
        sock.sendall(get("/", "Expect: 100-continue", "Content-Length: 3", method="POST"))
        assert [answer.status for answer in answers(read_all(sock))] == [405]
    with web.connect() as sock:
        sock.sendall(get("/", "Expect: 100-continue", f"Content-Length: {1 << 40}"))
        assert [answer.status for answer in answers(read_all(sock))] == [413]
    web.quiet()


def test_errors_come_behind_the_answers_before_them() -> None:
    web, service = site()
    found = answers(web.ask(get("/bytes/50000") + get("/bytes/3") + b"nonsense\r\n\r\n"))
    assert [answer.status for answer in found] == [200, 200, 400]
    assert found[0].body == pattern(50_000)
    assert service.answers == {200: 2, 400: 1}
    web.quiet()


def test_equal_requests_are_parsed_once() -> None:
    web, service = site()
    with web.connect() as sock:
        for _ in range(3):
            sock.sendall(get("/bytes/6"))
            assert answers(sock.recv(1000))[0].body == pattern(6)
        (connection,) = service.connections
        parser = connection.parser  # type: ignore[attr-defined]
        assert parser is not None
    assert list(service.plans) == [get("/bytes/6")]
    with web.connect() as sock:
        sock.sendall(get("/bytes/6"))
        assert answers(sock.recv(1000))[0].body == pattern(6)
        web.net.run(for_="10ms")
        connection = list(service.connections)[-1]
        assert connection.parser is None  # type: ignore[attr-defined]
    web.quiet()


def test_what_is_kept_is_bounded_and_never_what_changes() -> None:
    web, service = site()
    with web.connect() as sock:
        for number in range(KEPT_PLANS + 10):
            sock.sendall(get(f"/bytes/{number}"))
            assert answers(sock.recv(70_000))[0].status == 200
        for _ in range(2):
            sock.sendall(get("/"))
            sock.recv(70_000)
        sock.sendall(get("/bytes/5", "Content-Length: 1") + b"x")
        sock.recv(70_000)
        sock.sendall(get("/bytes/5", "X: " + "y" * 2000))
        sock.recv(70_000)
    assert len(service.plans) == KEPT_PLANS
    assert get("/") not in service.plans
    assert all(
        len(request) < 1000 and b"Content-Length" not in request for request in service.plans
    )
    web.quiet()


def test_the_date_is_that_of_the_clock() -> None:
    web, _ = site(epoch=1_800_000_000 * SECOND)
    with web.connect() as sock:
        dates = []
        for _ in range(4):
            sock.sendall(get("/bytes/1"))
            dates.append(answers(sock.recv(1000))[0].fields["date"][-12:])
            web.net.run(for_="600ms")
    assert dates == ["08:00:00 GMT", "08:00:00 GMT", "08:00:01 GMT", "08:00:01 GMT"]
    web.quiet()


# --- time --------------------------------------------------------------------------------------------


def closed_after(web: Site, sock: pystack.Socket) -> int:
    began = web.net.now
    web.net.run(until=lambda: sock.readable() and sock.recv(1, 2) == b"")  # MSG_PEEK
    return web.net.now - began


def test_an_idle_connection_is_closed() -> None:
    web, service = site(keepalive="15s")
    with web.connect() as sock:
        assert 15 * SECOND <= closed_after(web, sock) <= 15 * SECOND + 2 * SLOT
    with web.connect() as sock:
        for _ in range(5):
            sock.sendall(get("/bytes/1"))
            sock.recv(1000)
            web.net.run(for_="14s")
        assert service.answers == {200: 5}
        assert SECOND <= closed_after(web, sock) <= SECOND + 2 * SLOT
    web.quiet()


def test_a_head_that_does_not_end_gets_408() -> None:
    """However slowly it comes: the time is for all of it."""
    web, _ = site(keepalive="10s")
    began = web.net.now
    with web.connect() as sock:
        for octet in get("/bytes/1", "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"):
            sock.sendall(bytes([octet]))
            web.net.run(for_="1s")
            if sock.readable():
                break
        assert answers(read_all(sock))[0].status == 408
        assert 10 * SECOND <= web.net.now - began <= 12 * SECOND
    web.quiet()


def test_a_body_may_take_its_time_as_long_as_it_comes() -> None:
    web, service = site(keepalive="10s")
    with web.connect() as sock:
        sock.sendall(get("/", "Content-Length: 30", method="PUT"))
        for _ in range(30):
            sock.sendall(b"x")
            web.net.run(for_="2s")
        assert answers(sock.recv(1000))[0].status == 405
        sock.sendall(get("/", "Content-Length: 30", method="PUT"))
        web.net.run(for_="12s")
        assert answers(read_all(sock))[0].status == 408
    assert service.answers == {405: 1, 408: 1}
    web.quiet()


def test_the_time_of_an_idle_connection_begins_after_a_long_answer() -> None:
    web, _ = site(keepalive="10s", send_timeout="300s")
    with web.connect() as sock:
        sock.sendall(get("/bytes/20000000"))
        web.net.run(for_="100s")  # longer than keepalive: an answer is under way
        left = 20_000_000
        while left > 0:
            left -= len(sock.recv(1_000_000))
        assert left == -(len(web.ask(get("/bytes/20000000", method="HEAD"))))
        assert closed_after(web, sock) <= 10 * SECOND + 2 * SLOT
    web.quiet()


def test_a_peer_that_does_not_read_is_reset() -> None:
    web, service = site(send_timeout="20s", reset_timedout_connections=True)
    with web.connect() as sock:
        sock.sendall(get("/bytes/100000000"))
        web.net.run(for_="15s")
        assert len(service.connections) == 1
        web.net.run(for_="6s")
        assert not service.connections
        with pytest.raises(ConnectionResetError):
            read_all(sock)
    web.quiet()


def test_a_peer_that_reads_slowly_is_served() -> None:
    web, service = site(send_timeout="20s")
    got = 0
    with web.connect() as sock:
        sock.sendall(get("/bytes/3000000", "Connection: close"))
        while data := sock.recv(100_000):
            got += len(data)
            web.net.run(for_="5s")
    assert got == service.body_octets > 3_000_000
    web.quiet()


# --- the end -----------------------------------------------------------------------------------------

BODY = 600_000


def refused_upload(linger: str, profile: str) -> tuple[bytes, str | None, Site]:
    """A client that sends a body that is refused at its head, and reads only when all is sent."""
    web, _ = site(profile, linger=linger, body_max=1000)
    got, error = b"", None
    sock = web.connect()
    try:
        sock.sendall(get("/", f"Content-Length: {BODY}", method="POST") + b"x" * BODY)
        web.net.run(for_="1s")
        got = read_all(sock)
    except ConnectionError as caught:
        error = type(caught).__name__
    sock.close()
    return got, error, web


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14", "linux-6"])
def test_lingering_close_lets_a_refused_upload_read_its_answer(profile: str) -> None:
    got, error, web = refused_upload("lingering", profile)
    assert error is None
    assert answers(got)[0].status == 413
    web.quiet()


def test_a_plain_close_resets_a_refused_upload() -> None:
    """What lingering_close is for (facts/freebsd-tcp.md 6.1)."""
    _, error, web = refused_upload("plain", "linux-6")
    assert error is not None
    web.quiet()


@pytest.mark.parametrize(
    ("pauses", "end"),
    [([], 2), ([1.9], 3.9), ([1.9] * 3, 7.7), ([2.5], 2), ([1.5] * 30, 30)],
)
def test_how_long_a_lingering_close_waits(pauses: list[float], end: float) -> None:
    """Two seconds of silence, thirty seconds in all."""
    web, service = site()
    sock = web.connect()
    sock.sendall(get("/bytes/1", "Connection: close"))
    web.net.run(until=lambda: web.web.tcp_states()["FIN_WAIT_2"] == 1)
    began = web.net.now
    ended: list[int] = []
    wait = [began]
    for pause in pauses:
        wait.append(wait[-1] + round(pause * SECOND))

    def send() -> None:
        if service.connections:
            sock.sendall(b"more")

    for at in wait[1:]:
        web.me.call_at(at, send)
    web.net.run(until=lambda: not service.connections)
    ended.append(web.net.now - began)
    assert end * SECOND - 5_000_000 <= ended[0] <= end * SECOND + 2 * SLOT
    sock.close()
    web.quiet()


def test_lingering_ends_with_the_peer() -> None:
    web, service = site()
    with web.connect() as sock:
        sock.sendall(get("/bytes/1", "Connection: close"))
        read_all(sock)
        assert len(service.connections) == 1
    web.net.run(for_="10ms")
    assert not service.connections
    web.quiet()


def test_reset_is_what_it_says() -> None:
    web, _ = site(linger="reset")
    with web.connect() as sock:
        sock.sendall(get("/bytes/1", "Connection: close"))
        with pytest.raises(ConnectionResetError):
            read_all(sock)
    assert web.web.tcp_states() == {"LISTEN": 1}
    web.quiet()


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="linger 'soft' is none of lingering, likely, plain, "):
        HttpService(80, linger="soft")
    with pytest.raises(ValueError, match="keepalive"):
        HttpService(80, keepalive="15")
    with pytest.raises(ValueError, match="no such directory: /nowhere"):
        HttpService(80, root="/nowhere")


def test_stop_with_answers_under_way() -> None:
    web, service = site()
    socks = [web.connect() for _ in range(3)]
    for sock in socks:
        sock.sendall(get("/bytes/10000000"))
    web.net.run(for_="1s")
    service.stop()
    assert not service.connections
    for sock in socks:
        sock.close()
    web.quiet()


def test_it_all_works_over_a_bad_link() -> None:
    service = HttpService(80)
    web = Site(service, loss=0.03, reorder=0.05, duplicate=0.02, corrupt=0.01)
    found = answers(web.ask(get("/bytes/200000") + get("/bytes/5"), shut=True))
    assert [answer.body for answer in found] == [pattern(200_000), pattern(5)]
    web.quiet()
