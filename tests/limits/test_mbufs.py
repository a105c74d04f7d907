"""mbufs run out: who waits for them and how long, what is dropped, what the log and `netstat -m` say, and what a
socket's buffer counts (facts: freebsd-tcp 1.4, 1.6, 2.4; seed 002).
"""

import errno
import re

import pytest
from limits.machines import Client, host, row

import pystack
from pystack._fast.space import recv_space
from pystack.errors import DeadlockError
from pystack.services import EchoService

PAGE = 4096
SPACE = 32768
"""net.inet.tcp.sendspace: eight pages."""


def server(pages: int = 8, profile: str = "freebsd-10", **sysctl: object) -> pystack.Host:
    """A machine that may have so many clusters of a page, which is what writes go into."""
    return host(profile, **{"kern.ipc.nmbjumbop": pages} | sysctl)


def accepted(web: pystack.Host, n: int, port: int = 80) -> tuple[list, list]:
    """(the ends of the machine, their clients, which read nothing by themselves)."""
    listener = web.socket()
    listener.bind(("", port))
    listener.listen(n)
    clients = [Client(web, port) for _ in range(n)]
    return [listener.accept()[0] for _ in range(n)], clients


def delayed(web: pystack.Host) -> str:
    (line,) = [line for line in web.netstat("-m").splitlines() if "jumbo clusters delayed" in line]
    return line


@pytest.mark.parametrize("timeout", [None, 0, 1.5])
def test_a_writer_hangs_in_zonelimit_until_a_cluster_is_freed(timeout):
    """Whether the socket blocks or not, and whatever its timeout: sosend allocates with M_WAITOK."""
    web = server()
    (first, second), (reader, _) = accepted(web, 2)
    first.setblocking(False)
    assert first.send(bytes(SPACE)) == SPACE
    web.net.run(for_="5s")
    page = row(web, "mbuf_jumbo_page")
    assert (page.maximum, page.failures) == (8, 0)
    second.settimeout(timeout)
    web.net.call_later("100s", reader.read_all)
    begin = web.net.now
    assert second.send(bytes(SPACE)) == SPACE
    assert web.net.now >= begin + 100 * 10**9
    assert row(web, "mbuf_jumbo_page").last_failure == begin
    assert delayed(web) == "1/0/0 requests for jumbo clusters delayed (4k/9k/16k)"
    assert web.dmesg() == ["[zone: mbuf_jumbo_page] kern.ipc.nmbjumbop limit reached"]


def test_without_anybody_who_reads_it_hangs_for_ever():
    """The process cannot be killed, and only a reboot helps: "the system stops to answer to any network requests"."""
    web = server()
    (first, second), _ = accepted(web, 2)
    first.setblocking(False)
    first.send(bytes(SPACE))

    def power_off() -> None:
        raise SystemExit("a reboot")

    web.net.call_later("1h", power_off)
    with pytest.raises(SystemExit, match="a reboot"):
        second.send(bytes(SPACE))
    assert row(web, "mbuf_jumbo_page").failures == 1


def test_one_below_at_and_one_above():
    """A write of eight pages; where there are seven, its caller holds what it has and waits for the last, for ever."""
    for pages in (9, 8):
        web = server(pages)
        (sock,), (reader,) = accepted(web, 1)
        begin = web.net.now
        assert sock.send(bytes(SPACE)) == SPACE
        assert web.net.now == begin
        assert row(web, "mbuf_jumbo_page").failures == 0
    web = server(7)
    (sock,), (reader,) = accepted(web, 1)
    reader.read_all()
    with pytest.raises(DeadlockError):
        sock.send(bytes(SPACE))
    assert row(web, "mbuf_jumbo_page").failures == 1


def test_more_clusters_wake_who_waits():
    """`sysctl kern.ipc.nmbjumbop=…` on the running machine."""
    web = server()
    (first, second), _ = accepted(web, 2)
    first.setblocking(False)
    first.send(bytes(SPACE))
    web.net.call_later("7s", web.sysctl.__setitem__, "kern.ipc.nmbjumbop", 20)
    second.send(bytes(SPACE))
    assert web.net.now // 10**9 == 7


def test_freebsd_4_waits_a_third_of_a_second():
    """kern.ipc.mbuf_wait, and its writes take clusters of 2 KiB."""
    web = host("freebsd-4", **{"kern.ipc.nmbclusters": 16})
    (first, second), _ = accepted(web, 2)
    first.setblocking(False)
    first.send(bytes(SPACE))
    web.net.run(for_="10s")
    begin = web.net.now
    with pytest.raises(OSError, match="No buffer space available") as caught:
        second.send(bytes(SPACE))
    assert caught.value.errno == errno.ENOBUFS
    assert web.net.now == begin + 320_000_000
    assert "requests for memory delayed" in web.netstat("-m")
    assert "0 requests for memory delayed" not in web.netstat("-m")


def patched(tmp_path) -> pystack.Host:
    """FreeBSD 10 with the patch of seed 002."""
    path = tmp_path / "patched.toml"
    path.write_text(
        'title = "FreeBSD 10 with a patch"\ndoc = "zonelimit is ENOBUFS."\nsource = "seed 002"\n'
        'extends = "freebsd-10"\n[policy]\nmbuf_shortage = "enobufs"\n'
    )
    net = pystack.Network(seed=3)
    profile = pystack.profiles.read(path)
    web = net.host("web", "192.0.2.1/24", profile=profile, sysctl={"kern.ipc.nmbjumbop": 8})
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    net.link(web, me)
    web.net, web.me = net, me
    return web


def test_with_the_patch_the_write_fails(tmp_path):
    web = patched(tmp_path)
    (first, second), (reader, _) = accepted(web, 2)
    first.setblocking(False)
    first.send(bytes(SPACE))
    web.net.run(for_="1s")
    begin = web.net.now
    with pytest.raises(OSError, match="No buffer space available") as caught:
        second.send(bytes(SPACE))
    assert caught.value.errno == errno.ENOBUFS
    assert web.net.now == begin
    assert "1/0/0 requests for jumbo clusters denied (4k/9k/16k)" in web.netstat("-m")
    reader.read_all()
    web.net.run(for_="5s")
    assert second.send(bytes(PAGE)) == PAGE


# --- a program that callbacks make: it falls asleep --------------------------------------------------------------


def test_a_program_sleeps_with_all_of_its_sockets():
    """An echo server that cannot store an echo serves nobody; another program of the machine does."""
    web = server(pages=8)
    (hog,), (reader,) = accepted(web, 1, port=99)
    hog.setblocking(False)
    hog.send(bytes(SPACE - PAGE))
    service = EchoService(7)
    service.start(web)
    one, two = Client(web, 7), Client(web, 7)
    web.net.run(for_="1s")
    one.sock.send(bytes(3 * PAGE))  # the echo needs three pages; there is one
    web.net.run(for_="1s")
    assert web.program.asleep
    two.sock.send(b"hello")
    web.net.run(for_="1h")
    assert two.read_all() == 0
    assert web.program.asleep
    assert web.core.asleep == 1
    other = web.process("sshd").socket()
    other.setblocking(False)
    assert other.row.owner is not web.program
    reader.read_all()
    one.read_all()
    web.net.run(for_="30s")
    assert not web.program.asleep
    assert web.core.asleep == 0
    assert two.read_all() == 5
    assert one.read_all() == 3 * PAGE
    two.sock.close()
    one.sock.close()
    web.net.run(for_="5s")
    assert not service.connections


def test_what_a_sleeping_program_calls_is_put_off():
    web = server(pages=8)
    (hog, sock), (reader, client) = accepted(web, 2)
    hog.setblocking(False)
    hog.send(bytes(SPACE))
    seen = []

    def answer(events: int) -> None:
        seen.append(sock.send(bytes(2 * PAGE)))
        seen.append(web.program.asleep)
        with pytest.raises(BlockingIOError):
            sock.send(b"more")
        with pytest.raises(BlockingIOError):
            sock.recv(10)
        assert not sock.readable()
        assert not sock.writable()
        sock.close()

    sock.setblocking(False)
    sock.on_ready = answer
    sock.wanted = 1
    client.sock.send(b"GET /")
    web.net.run(for_="1h")
    assert seen == [2 * PAGE, True]
    assert web.tcp_states()["ESTABLISHED"] == 2
    reader.read_all()
    client.read_all()
    web.net.run(for_="30s")
    assert not web.program.asleep
    assert client.read_all() == 2 * PAGE
    assert client.ended
    assert web.tcp_states()["FIN_WAIT_2"] == 1


def test_a_timer_of_a_program_driven_by_events_puts_it_to_sleep_too():
    web = server(pages=8)
    (hog, sock), (reader, client) = accepted(web, 2)
    hog.setblocking(False)
    hog.send(bytes(SPACE))
    sock.setblocking(False)
    sock.on_ready = lambda events: None
    web.call_later("5s", sock.send, bytes(PAGE))
    web.net.run(for_="1h")
    assert web.program.asleep
    reader.read_all()
    client.read_all()
    web.net.run(for_="30s")
    assert not web.program.asleep
    assert client.read_all() == PAGE


def test_a_blocking_call_of_a_sleeping_program_waits_for_it():
    web = server(pages=8)
    (hog, sock, quiet), (reader, client, third) = accepted(web, 3)
    hog.setblocking(False)
    hog.send(bytes(SPACE))
    sock.setblocking(False)
    sock.on_ready = lambda events: sock.send(bytes(PAGE))
    sock.wanted = 1
    client.sock.send(b"x")
    third.sock.send(b"hello")
    web.net.run(for_="10s")
    assert web.program.asleep
    web.net.call_later("90s", reader.read_all)
    assert quiet.recv(10) == b"hello"
    assert web.net.now >= 100 * 10**9


def test_a_reset_while_asleep_is_heard_of_afterwards():
    web = server(pages=8)
    (hog, sock), (reader, client) = accepted(web, 2)
    hog.setblocking(False)
    hog.send(bytes(SPACE))
    sock.setblocking(False)
    heard = []

    def answer(events: int) -> None:
        try:
            heard.append(sock.send(bytes(PAGE)))
        except OSError as error:
            heard.append(error.errno)

    sock.on_ready = answer
    sock.wanted = 1
    client.sock.send(b"x")
    web.net.run(for_="1s")
    client.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER 1, 0
    client.sock.close()
    web.net.run(for_="1s")
    assert heard == [PAGE]
    reader.read_all()
    web.net.run(for_="5s")
    assert not web.program.asleep
    assert heard[0] == PAGE
    assert set(heard[1:]) <= {errno.EPIPE, errno.ECONNRESET}
    assert web.tcp_states()["ESTABLISHED"] == 1


# --- what is received, and the log ---------------------------------------------------------------------------------


def test_what_comes_is_dropped_without_a_word_to_the_sender():
    """NOWAIT: the driver has no cluster to receive into; the peer sends again until there is one."""
    web = host("freebsd-10", **{"kern.ipc.nmbclusters": 4})
    (sock,), (client,) = accepted(web, 1)
    client.sock.setblocking(False)
    client.sock.send(bytes(20 * 1400))
    web.net.run(for_="1s")
    clusters = row(web, "mbuf_cluster")
    assert clusters.failures > 0
    assert clusters.high_water == 4
    assert re.search(r"\n0/\d+/\d+ requests for mbufs denied", web.netstat("-m"))
    assert web.stats["rcvmemdrop"] > 0
    got = 0
    sock.settimeout(60)
    while got < 20 * 1400:
        got += len(sock.recv(65536))
    assert row(web, "mbuf_cluster").used <= 4


def test_the_log_speaks_once_in_300_s_for_a_zone(tmp_path):
    web = patched(tmp_path)
    (first, second), _ = accepted(web, 2)
    first.setblocking(False)
    first.send(bytes(SPACE))

    def refused() -> None:
        with pytest.raises(OSError, match="No buffer space"):
            second.send(bytes(SPACE))

    refused()
    begin = web.net.now
    web.net.run(until_ns=begin + 300 * 10**9 - 1)
    refused()
    assert len(web.dmesg()) == 1
    web.net.run(for_=1)
    refused()
    assert web.dmesg() == 2 * ["[zone: mbuf_jumbo_page] kern.ipc.nmbjumbop limit reached"]
    web.sysctl["vm.zone_warnings"] = 0
    web.net.run(for_="301s")
    refused()
    assert len(web.dmesg()) == 2
    assert row(web, "mbuf_jumbo_page").failures == 4


# --- mbcnt -----------------------------------------------------------------------------------------------------------


def test_a_send_buffer_counts_memory_beside_octets():
    """Eight times the buffer, or kern.ipc.maxsockbuf, whichever is less, is the most."""
    web = server(pages=0)
    (sock,), (client,) = accepted(web, 1)
    client.read_all()
    t = sock.row
    sock.setblocking(False)
    assert sock.send(bytes(5000)) == 5000
    assert (t.sndq.cc, t.sndq.mbcnt) == (5000, 2 * (PAGE + 256))
    web.sysctl["kern.ipc.sockbuf_waste_factor"] = 1
    t.sndq.hiwat = 10_000  # 10,000 octets of memory
    web.net.run(for_="1s")
    assert (t.sndq.cc, t.sndq.mbcnt) == (0, 0)
    assert sock.send(bytes(10_000)) == 10_000
    assert t.sndq.mbcnt == 3 * (
        PAGE + 256
    )  # more than there may be: the last write was let in whole
    t.sndq.hiwat = 13_000
    with pytest.raises(BlockingIOError):
        sock.send(b"x")  # there is room for octets, but not for memory
    assert not sock.writable()
    web.sysctl["kern.ipc.sockbuf_waste_factor"] = 8
    assert sock.writable()
    assert sock.send(bytes(2000)) == 2000


def test_maxsockbuf_bounds_the_memory():
    web = server(pages=0, **{"kern.ipc.maxsockbuf": 8704})
    (sock,), _ = accepted(web, 1)
    sock.row.sndq.hiwat = 20_000
    sock.setblocking(False)
    assert sock.send(bytes(8000)) == 8000
    with pytest.raises(BlockingIOError):  # two pages with their mbufs are 8,704 octets
        sock.send(b"x")


def test_a_receive_buffer_counts_memory_beside_octets():
    """A segment of more than 168 octets has a cluster, and one of 513 and more is not copied behind another."""
    web = host("freebsd-10", **{"kern.ipc.sockbuf_waste_factor": 1, "net.inet.tcp.recvbuf_auto": 0})
    (sock,), (client,) = accepted(web, 1)
    client.sock.setsockopt(6, 1, 1)  # TCP_NODELAY
    q = sock.row.rcvq
    for n in range(1, 11):
        client.sock.send(bytes(600))
        web.net.run(for_="10ms")
        assert (q.cc, q.mbcnt) == (600 * n, 2304 * n)
    client.sock.setblocking(False)
    for _ in range(100):
        client.sock.send(bytes(600))
        web.net.run(for_="10ms")
    assert q.cc > 60_000
    assert q.mbcnt == q.cc // 600 * 2304, "what was offered is taken, whatever memory it costs"
    core = web.core
    sock.recv(600 * 50)
    assert q.hiwat - q.cc > 30_000, "there is room for octets"
    assert recv_space(core, sock.row) == 0, "but not for memory"
    while recv_space(core, sock.row) == 0:
        sock.recv(600)
    assert q.hiwat - 2304 <= q.mbcnt < q.hiwat
    sock.recv(100_000)
    assert (q.cc, q.mbcnt) == (0, 0)


def test_short_segments_move_together():
    """sbcompress: those of at most 512 octets are copied behind the last, where it has room."""
    web = host("freebsd-10")
    (sock,), (client,) = accepted(web, 1)
    client.sock.setsockopt(6, 1, 1)
    q = sock.row.rcvq
    for n in range(1, 101):
        client.sock.send(bytes([n]))
        web.net.run(for_="10ms")
    assert q.cc == 100
    assert q.mbcnt == 256, "all of them in one mbuf"
    client.sock.send(bytes(600))
    web.net.run(for_="10ms")
    assert q.mbcnt == 256 + 2304
    client.sock.send(bytes(512))
    web.net.run(for_="10ms")
    assert q.mbcnt == 256 + 2304
    assert sock.recv(2000) == bytes(range(1, 101)) + bytes(1112)
    assert (q.cc, q.mbcnt) == (0, 0)
    assert web.core.pool.zones()[2]["used"] == web.core.pool.zones()[1]["free"]


def test_linux_counts_otherwise():
    web = host("linux-6")
    (sock,), (client,) = accepted(web, 1)
    client.sock.send(bytes(600))
    web.net.run(for_="10ms")
    assert (sock.row.rcvq.mbcnt, sock.row.rcvq.rmem > 600) == (0, True)


# --- kmem, as seed 002 counts it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clusters", "mebibytes"), [(25_000, 54.9), (32_000, 70.3), (65_000, 142.8)]
)
def test_the_memory_of_clusters_is_that_of_pairs(clusters, mebibytes):
    """ "25000 mbuf clusters take about 50 Mb, 32000 74 Mb, 65000 144 Mb": each with the mbuf that it hangs on."""
    web = host("freebsd-7", **{"kern.ipc.nmbclusters": clusters})
    pool = web.core.pool
    taken = [pool.get_cluster(2048) for _ in range(clusters)]
    assert 0 not in taken
    assert pool.get_cluster(2048) == 0
    (line,) = [line for line in web.netstat("-m").splitlines() if "bytes allocated" in line]
    kibibytes = int(line.split("K")[0])
    assert kibibytes == clusters * 2304 // 1024
    assert round(kibibytes / 1024, 1) == mebibytes
    for m in taken:
        pool.free(m)
    assert row(web, "mbuf_cluster").used == row(web, "mbuf_cluster").maximum  # cached in pairs
    assert pool.get_cluster(2048) != 0
