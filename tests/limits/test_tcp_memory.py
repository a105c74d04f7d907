"""Linux's tcp_mem: pressure, refusal, recovery; and what SO_SNDBUF counts (heads as measured with a running 6.18)."""

import pytest
from limits.machines import Client, host, row

from pystack._fast.tcp_mem import HEAD, sent_memory

NAME = "TCP memory (pages)"


def linux(low: int, pressure: int, high: int, **sysctl: object):
    web = host("linux-6", **sysctl)
    web.sysctl["net.ipv4.tcp_mem"] = (low, pressure, high)
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(50)
    return web, listener


def fill(web, listener) -> tuple:
    """A connection whose peer reads nothing: what it took of 100,000 octets."""
    client = Client(web, 80)
    sock, _ = listener.accept()
    sock.setblocking(False)
    took = 0
    try:
        while took < 100_000:
            took += sock.send(bytes(1000))
    except BlockingIOError:
        pass
    web.net.run(for_="100ms")
    return sock, client, took


def nstat(web, name: str) -> int:
    (line,) = [line for line in web.nstat().splitlines() if line.split()[0] == name]
    return int(line.split()[1])


def test_what_was_written_is_counted_with_its_heads():
    web, listener = linux(10_000, 20_000, 30_000)
    sock, client, _ = fill(web, listener)
    t = sock.row
    memory = sent_memory(t)
    assert t.sndq.cc < memory
    assert (memory - t.sndq.cc) % HEAD == 0
    assert memory - t.sndq.cc >= HEAD * 10, "a small window makes small pieces"
    assert row(web, NAME).used == (memory + t.rcvq.rmem + 4095) >> 12
    client.read_all()
    web.net.run(for_="60s")
    assert sent_memory(t) == 0
    assert row(web, NAME).used == 0
    assert row(web, NAME).high_water >= memory >> 12


def test_pressure_begins_above_its_mark_and_ends_below_the_low_one():
    web, listener = linux(8, 40, 10_000)
    held = []
    while not web.core.mem_pressure:
        assert row(web, NAME).used <= 40
        assert nstat(web, "TcpExtTCPMemoryPressures") == 0
        held.append(fill(web, listener))
    assert row(web, NAME).used > 20
    assert nstat(web, "TcpExtTCPMemoryPressures") == 1
    before = held[0][0].row.sndq.hiwat
    web.net.run(for_="3s")
    assert held[0][0].row.sndq.hiwat == before, "no buffer grows"
    for _, client, _ in held:
        client.read_all()
    web.net.run(for_="5min")
    assert row(web, NAME).used < 8
    assert not web.core.mem_pressure
    assert nstat(web, "TcpExtTCPMemoryPressuresChrono") > 3000
    assert row(web, NAME).failures >= 0


def test_the_window_stays_small_under_pressure():
    web, listener = linux(1, 2, 10_000)
    _, _, _ = fill(web, listener)
    assert web.core.mem_pressure
    sender = web.me.socket()
    sender.connect(("192.0.2.1", 80))
    sock, _ = listener.accept()
    sender.setblocking(False)
    for _ in range(100):
        try:
            sender.send(bytes(5000))
        except BlockingIOError:
            web.net.run(for_="1s")
    assert sock.row.rcv_ssthresh == 4 * sock.row.advmss


def test_above_the_maximum_who_has_nothing_gets_a_little():
    """One above the limit a writer is refused; with an empty queue it may write tcp_wmem[0] octets all the same."""
    web, listener = linux(10, 20, 30)
    held = [fill(web, listener) for _ in range(6)]
    full = row(web, NAME)
    assert full.maximum == 30
    assert full.failures > 0
    assert full.last_failure is not None
    assert full.used <= 30 + 6
    assert 0 < held[-1][2] <= 8192, "the last got no more than is guaranteed"
    assert held[0][2] > held[-1][2]
    for _, client, _ in held:
        client.read_all()
    web.net.run(for_="5min")
    assert row(web, NAME).used == 0
    assert fill(web, listener)[2] > 8192


def test_an_orphan_with_data_is_killed_above_the_maximum():
    web, listener = linux(5, 6, 8)
    sock, _, _ = fill(web, listener)
    fill(web, listener)
    web.sysctl["net.ipv4.tcp_mem"] = (1, 2, 3)
    sock.setsockopt(1, 7, 100_000)
    sock.close()
    assert web.dmesg()[-1].endswith("TCP: out of memory -- consider tuning tcp_mem")
    assert nstat(web, "TcpExtTCPAbortOnMemory") == 1
    assert web.tcp_states().total() - web.tcp_states()["LISTEN"] == 1
    assert row(web, NAME).failures >= 1


@pytest.mark.parametrize(("most", "kept"), [(40, True), (2, False)])
def test_data_that_comes_is_dropped_when_there_is_no_memory(most, kept):
    """But the first segment is kept: a connection whose queue is empty always gets on."""
    web, listener = linux(1, 1, most)
    client = web.me.socket()
    client.connect(("192.0.2.1", 80))
    sock, _ = listener.accept()
    client.setsockopt(6, 1, 1)
    for _ in range(20):
        client.send(bytes(1400))
        web.net.run(for_="5ms")
    assert sock.row.rcvq.cc >= 1400
    assert (nstat(web, "TcpExtTCPRcvQDrop") == 0) is kept
    got = 0
    while got < 20 * 1400:
        got += len(sock.recv(65_536))
    assert row(web, NAME).used == 0
