"""sendfile(2): pages of a file that are mapped and not copied, and the buffers that map them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from http_kit import Site, answers, get, read_all, site
from net_kit import pair

from pystack._fast import mbuf_books
from pystack._fast.mbuf import Pool
from pystack._fast.mbuf_zones import CLUSTER, JUMBO_PAGE, MBUF, SFBUF
from pystack.sockets import MSG_SPLICE_PAGES

PAGE = 4096


def used(pool: Any, zone: int) -> int:
    return int(pool.zones()[zone]["used"])


@pytest.mark.parametrize("n", [1, PAGE, PAGE + 1, 65536, 65537, 300_000])
def test_pages_take_an_mbuf_and_a_buffer_each(n: int) -> None:
    pool = Pool(0, 0, 0, 0, 0)
    data = bytes(i * 7 & 0xFF for i in range(n))
    head = mbuf_books.map_pages(pool, 0, memoryview(data), 0, n)
    pages = -(-n // PAGE)
    assert pool.to_bytes(head, 0, n) == data
    assert [used(pool, zone) for zone in (MBUF, SFBUF, CLUSTER, JUMBO_PAGE)] == [pages, pages, 0, 0]
    shared = pool.share(head, n // 2, n - n // 2)
    pool.free_chain(head)
    assert pool.to_bytes(shared, 0, n - n // 2) == data[n // 2 :]
    assert used(pool, SFBUF) > 0
    pool.free_chain(shared)
    assert [used(pool, zone) for zone in (MBUF, SFBUF)] == [0, 0]
    assert pool.in_use == 0


@pytest.mark.parametrize(("limit", "taken"), [(4, 3 * PAGE + 5), (3, 3 * PAGE), (1, PAGE)])
def test_the_limit_of_buffers_gives_what_fits(limit: int, taken: int) -> None:
    """One fewer, just as many, and one more than there are."""
    pool = Pool(0, 0, 0, 0, 0)
    pool.set_limit(SFBUF, limit)
    data = bytes(3 * PAGE + 5)
    head = mbuf_books.map_pages(pool, 0, memoryview(data), 0, len(data))
    assert pool.chain_length(head) == taken
    assert (pool.zones()[SFBUF]["fail"] > 0) == (limit < 4)
    assert used(pool, SFBUF) == min(limit, 4)
    if limit < 4:
        assert mbuf_books.map_pages(pool, 0, memoryview(data), 0, 1) == 0
    pool.free_chain(head)
    again = mbuf_books.map_pages(pool, 0, memoryview(data), 0, PAGE)
    assert pool.chain_length(again) == PAGE
    pool.free_chain(again)


@pytest.mark.parametrize("profile", ["freebsd-7", "freebsd-14", "linux-6"])
def test_a_file_arrives_whole(profile: str, tmp_path: Path) -> None:
    net = pair(web=profile, loss=0.02, bandwidth="100Mbit/s")
    client, conn = net.connect()
    data = bytes(i * i & 0xFF for i in range(200_003))
    (tmp_path / "file").write_bytes(data)
    got = bytearray()

    def read(events: int) -> None:
        try:
            while part := client.recv(65536):
                got.extend(part)
        except BlockingIOError:
            pass

    client.setblocking(False)
    client.on_ready = read
    conn.sendall(b"head:")
    with (tmp_path / "file").open("rb") as file:
        assert conn.sendfile(file, 3) == 200_000
        assert file.tell() == 200_003
        assert conn.sendfile(file, 10, 20) == 20
    conn.send(b":tail")
    conn.close()
    net.net.run(for_="60s")
    assert bytes(got) == b"head:" + data[3:] + data[10:30] + b":tail"


def test_calls_that_cannot_be() -> None:
    net = pair()
    _, conn = net.connect()
    with pytest.raises(ValueError, match="positive"):
        conn.sendfile(io.BytesIO(b"x"), 0, 0)
    conn.setblocking(False)
    with pytest.raises(ValueError, match="non-blocking"):
        conn.sendfile(io.BytesIO(b"x"))


def test_copies_and_pages_follow_each_other_in_one_queue() -> None:
    net = pair(web="freebsd-7")
    client, conn = net.connect()
    parts = [b"a" * 300, b"b" * 5000, b"c" * 10, b"d" * 3000, b"e" * 9000, b"f"]
    for number, part in enumerate(parts):
        assert conn.send(part, MSG_SPLICE_PAGES if number % 2 else 0) == len(part)
    got = b""
    while len(got) < sum(map(len, parts)):
        got += client.recv(65536)
    assert got == b"".join(parts)
    net.net.run(for_="1s")
    assert used(net.web.core.pool, SFBUF) == 0


def stuck(sendfile: bool, **sysctl: object) -> tuple[Site, Any]:
    """A reader who does not read, and what it costs the machine."""
    from pystack.services import HttpService

    service = HttpService(80, sendfile=sendfile, send_timeout="1000s")
    web = Site(profile="freebsd-7")
    web.web = web.net.host("i386", "192.0.2.3/24", profile="freebsd-7", sysctl=sysctl)
    web.net.link(web.web, web.me, delay="1ms")
    service.start(web.web)
    sock = web.me.socket()
    sock.connect(("192.0.2.3", 80))
    sock.sendall(get("/bytes/10000000"))
    web.net.run(for_="1s")
    return web, sock


def test_what_waits_for_a_slow_reader_takes_no_clusters() -> None:
    copied, first = stuck(False)
    mapped, second = stuck(True)
    assert used(copied.web.core.pool, CLUSTER) > 15
    assert used(copied.web.core.pool, SFBUF) == 0
    assert used(mapped.web.core.pool, CLUSTER) <= 2
    pages = used(mapped.web.core.pool, SFBUF)
    assert pages >= 8
    assert f"{pages}/" in mapped.web.netstat("-m").splitlines()[9]
    assert (
        mapped.web.netstat("-m").splitlines()[9].endswith("/6656 sfbufs in use (current/peak/max)")
    )
    assert mapped.web.sysctl["kern.ipc.nsfbufsused"] == pages
    (limit,) = (each for each in mapped.web.limits() if each.name == "sfbuf")
    assert (limit.used, limit.maximum, limit.knob) == (pages, 6656, "kern.ipc.nsfbufs")
    assert "sfbuf" not in mapped.web.vmstat("-z")
    for sock in (first, second):
        sock.close()


def test_without_buffers_nobody_is_served_by_sendfile_until_one_is_free() -> None:
    web, sock = stuck(True, **{"kern.ipc.nsfbufs": 4})
    assert used(web.web.core.pool, SFBUF) == 4
    other = web.me.socket()
    other.connect(("192.0.2.3", 80))
    other.setblocking(False)
    other.sendall(get("/bytes/50000", "Connection: close"))
    web.net.run(for_="5s")
    with pytest.raises(BlockingIOError):
        other.recv(65536)
    assert web.web.program.asleep, "in sfbufa"
    (full,) = (each for each in web.web.limits() if each.name == "sfbuf")
    assert (full.used, full.maximum, full.high_water) == (4, 4, 4)
    assert full.failures > 0
    assert full.last_failure is not None
    (delayed,) = [line for line in web.web.netstat("-m").splitlines() if "sfbufs delayed" in line]
    assert delayed.endswith(" requests for sfbufs delayed")
    assert int(delayed.split()[0]) > 0
    sock.close()
    web.net.run(for_="5s")
    other.setblocking(True)
    assert len(answers(read_all(other))[0].body) == 50_000
    (again,) = (each for each in web.web.limits() if each.name == "sfbuf")
    assert (again.used, again.high_water) == (0, 4)
    assert used(web.web.core.pool, SFBUF) == 0


def test_where_all_memory_is_mapped_there_are_none() -> None:
    web, _ = site("freebsd-10", sendfile=True)
    with web.connect() as sock:
        sock.sendall(get("/bytes/10000000"))
        web.net.run(for_="1s")
        assert used(web.web.core.pool, CLUSTER) <= 2
        assert "0/0/0 sfbufs in use (current/peak/max)" in web.web.netstat("-m")
        assert web.web.sysctl["kern.ipc.nsfbufsused"] == 0
    web.quiet()
