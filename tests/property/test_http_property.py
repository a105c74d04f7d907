"""The web server under any input, cut anywhere: the same answers, and never an exception."""

from __future__ import annotations

from itertools import pairwise

from http_kit import answers, get, read_all, site
from hypothesis import given, settings
from hypothesis import strategies as st

from pystack.services.http_plans import PATTERN

REQUESTS = {
    get("/bytes/0"): (200, 0),
    get("/bytes/5"): (200, 5),
    get("/bytes/40000"): (200, 40_000),
    get("/bytes/7", "Content-Length: 4") + b"GET ": (200, 7),
    get("/bytes/8", "Transfer-Encoding: chunked") + b"2\r\nab\r\n0\r\n\r\n": (200, 8),
    get("/nothing"): (404, None),
    get("/", "Content-Length: 2", method="POST") + b"xx": (405, None),
}


@settings(max_examples=60)
@given(
    requests=st.lists(st.sampled_from(list(REQUESTS)), min_size=1, max_size=12),
    cuts=st.lists(st.integers(0, 1500), max_size=30),
)
def test_answers_do_not_depend_on_how_the_requests_are_cut(
    requests: list[bytes], cuts: list[int]
) -> None:
    web, _ = site()
    stream = b"".join(requests)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    with web.connect() as sock:
        for begin, end in pairwise(places):
            sock.sendall(stream[begin:end])
            web.net.run(for_="3ms")
        sock.shutdown(1)
        found = answers(read_all(sock))
    assert len(found) == len(requests)
    for request, answer in zip(requests, found, strict=True):
        status, size = REQUESTS[request]
        assert answer.status == status
        if size is not None:
            assert answer.body == (PATTERN * (size // 64 + 1))[:size]
    web.quiet()


PIECES = st.sampled_from(
    [b"GET ", b"POST ", b"/", b"/bytes/9", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\r\n\r\n", b"\n", b":", b"\0",
     b"Host: x", b"Content-Length: 3", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"5\r\n", b"0\r\n\r\n",
     b"Expect: 100-continue", b"Connection: close", b"\xff\xfe", b"%00", b"%2e%2e/", b"?", b"http://x/"]
)  # fmt: skip


@settings(max_examples=150)
@given(
    octets=st.lists(PIECES | st.binary(max_size=20), max_size=25).map(b"".join),
    cut=st.integers(0, 200),
)
def test_nothing_that_is_received_can_raise(octets: bytes, cut: int) -> None:
    web, service = site()
    with web.connect() as sock:
        sock.sendall(octets[:cut])
        web.net.run(for_="3ms")
        sock.sendall(octets[cut:])
        sock.shutdown(1)
        stream = read_all(sock)
    assert not stream or stream.startswith(b"HTTP/1.1 ")
    web.net.run(for_="1s")
    assert not service.connections
    assert service.failures == {}
    web.quiet()
