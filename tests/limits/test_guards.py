"""What an operator may set against strangers, each obeyed: logs of what came in vain, silence, limits with chance in
them, how much waits out of order (facts: freebsd-tcp 3.5 to 3.8).
"""

import socket as std

import pytest
from limits.machines import host, row
from tcp.peer import Machine, opened

from pystack._fast.consts import MS, SECOND


def vain(profile: str, level: int) -> list[str]:
    web = host(
        profile, **{"net.inet.tcp.log_in_vain": level, "net.inet.udp.log_in_vain": level and 1}
    )
    client = web.me.socket()
    client.bind(("", 5000))
    with pytest.raises(ConnectionRefusedError):
        client.connect(("192.0.2.1", 23))
    sock = web.me.socket(std.SOCK_DGRAM)
    sock.bind(("", 5353))
    sock.sendto(b"?", ("192.0.2.1", 53))
    web.net.run(for_="1s")
    return web.dmesg()


@pytest.mark.parametrize("profile", ["freebsd-7", "freebsd-10", "freebsd-14"])
def test_log_in_vain(profile):
    assert vain(profile, 0) == []
    assert vain(profile, 1) == [
        "TCP: [192.0.2.2]:5000 to [192.0.2.1]:23 tcpflags 0x2<SYN>; tcp_input: Connection attempt to closed port",
        "Connection attempt to UDP 192.0.2.1:53 from 192.0.2.2:5353",
    ]


def test_log_in_vain_of_freebsd_4():
    assert vain("freebsd-4", 1)[0] == (
        "Connection attempt to TCP 192.0.2.1:23 from 192.0.2.2:5000 flags:0x2"
    )


def test_log_in_vain_2_is_for_every_segment():
    for level, lines in ((1, 0), (2, 1)):
        m = Machine("freebsd-10", tcp_log_in_vain=level)
        seen = []
        m.core.log = lambda note, *rest, seen=seen: seen.append(note)
        m.peer(4000).send("FP. 1:1(0) ack 1 win 65535")
        assert len(seen) == lines
        if lines:
            assert m.core.vain[4] == 0x19


def test_udp_blackhole():
    for silent in (0, 1):
        web = host("freebsd-10", **{"net.inet.udp.blackhole": silent})
        sock = web.me.socket(std.SOCK_DGRAM)
        sock.connect(("192.0.2.1", 53))
        sock.send(b"?")
        web.net.run(for_="1s")
        sock.setblocking(False)
        with pytest.raises(BlockingIOError if silent else ConnectionRefusedError):
            sock.recv(10)


def test_isn_reseed_interval():
    """The key is another one in each interval; within one, sequence numbers go up by the clock alone."""
    m = Machine("freebsd-10", tcp_isn_reseed_interval=10 * SECOND)
    ask = (0xC0000201, 80, 0xC0000202, 4000)
    m.core.settle(1 * SECOND)
    first = m.core.new_isn(*ask)
    m.core.settle(9 * SECOND)
    assert (m.core.new_isn(*ask) - first) % 2**32 == 8 * SECOND // 4000
    m.core.settle(11 * SECOND)
    assert (m.core.new_isn(*ask) - first) % 2**32 != 10 * SECOND // 4000
    m = Machine("freebsd-10", tcp_isn_reseed_interval=0)
    m.core.settle(1 * SECOND)
    first = m.core.new_isn(*ask)
    m.core.settle(1001 * SECOND)
    assert (m.core.new_isn(*ask) - first) % 2**32 == 1000 * SECOND // 4000


def test_maxunacktime():
    """net.inet.tcp.maxunacktime: what is not acknowledged for so long ends the connection."""
    for most, ends in ((0, False), (5 * SECOND, True)):
        m, _, t = opened("freebsd-14", tcp_maxunacktime=most)
        m.write(t, 1000)
        m.run(12)
        assert (t.row == 0) is ends


@pytest.mark.parametrize(("profile", "octets"), [("freebsd-10", 28), ("linux-6", 548)])
def test_how_much_an_icmp_error_quotes(profile, octets):
    web = host(profile)
    tap = web.net.tap("192.0.2.77/24")
    web.net.link(tap, web)
    data = bytes(1000)
    udp = (
        (4000).to_bytes(2, "big")
        + (53).to_bytes(2, "big")
        + (1008).to_bytes(2, "big")
        + b"\0\0"
        + data
    )
    ip = bytearray(
        b"\x45\0"
        + (1028).to_bytes(2, "big")
        + b"\0\1\0\0\x40\x11\0\0"
        + bytes((192, 0, 2, 77, 192, 0, 2, 1))
    )
    total = sum(int.from_bytes(ip[i : i + 2], "big") for i in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    ip[10:12] = (~total & 0xFFFF).to_bytes(2, "big")
    tap.send(bytes(ip) + udp)
    web.net.run(for_="1s")
    seen = [packet for _, packet in tap.received if packet[9] == 1]
    assert len(seen) == 1
    assert len(seen[0]) == 20 + 8 + octets


def test_a_broadcast_ping_is_answered_where_that_is_wanted():
    for wanted in (0, 1):
        web = host("freebsd-10", **{"net.inet.icmp.bmcastecho": wanted})
        sock = web.me.socket(std.SOCK_DGRAM, 1)
        sock.setsockopt(std.SOL_SOCKET, std.SO_BROADCAST, 1)
        sock.sendto(bytes((8, 0, 0, 0, 0, 0, 0, 1)) + b"hello", ("192.0.2.255", 0))
        web.net.run(for_="1s")
        sock.setblocking(False)
        if wanted:
            assert sock.recvfrom(100)[1][0] == "192.0.2.1"
        else:
            with pytest.raises(BlockingIOError):
                sock.recvfrom(100)


def test_icmplim_with_jitter_is_another_one_each_second():
    m = Machine("freebsd-14", icmp_icmplim=100, icmp_icmplim_jitter=16)
    counts = []
    for second in range(1, 9):
        m.core.settle(second * 2 * SECOND)
        counts.append(sum(m.core.bandlim(3) for _ in range(200)))
    assert min(counts) >= 84
    assert max(counts) <= 117
    assert len(set(counts)) > 3
    m = Machine("freebsd-14", icmp_icmplim=100, icmp_icmplim_jitter=0)
    m.core.settle(2 * SECOND)
    assert sum(m.core.bandlim(3) for _ in range(200)) == 100


def test_segments_out_of_order_have_a_limit_in_the_machine():
    m = Machine("freebsd-10", tcp_reass_maxsegments=3)
    listener = m.listen()
    peers = [m.peer(4000 + i) for i in range(2)]
    socks = [p.passive(listener) for p in peers]
    for i in range(3):
        peers[0].send(f". {1001 + 200 * i}:{1101 + 200 * i}(100) ack 1 win 65535")
    assert (m.core.reass_segments, m.core.reass_failures, m.stat("rcvmemdrop")) == (3, 0, 0)
    m.core.settle(5 * SECOND)
    peers[1].send(". 501:601(100) ack 1 win 65535")
    assert (m.core.reass_segments, m.core.reass_failures, m.stat("rcvmemdrop")) == (3, 1, 1)
    assert (m.core.reass_high, m.core.reass_failed_at) == (3, m.core.now)
    peers[1].send(". 1:101(100) ack 1 win 65535")  # what is in order has nothing to do with it
    assert socks[1].rcvq.cc == 100
    peers[0].send(". 1:1001(1000) ack 1 win 65535")
    assert m.core.reass_segments == 2
    peers[1].send(". 501:601(100) ack 1 win 65535")
    assert m.core.reass_segments == 3
    m.close(socks[0])
    peers[0].send("R. 1101:1101(0) ack 1 win 0")
    assert m.core.reass_segments == 1


def test_the_rows_of_guards():
    web = host("freebsd-14")
    found = {limit.name: limit for limit in web.limits()}
    assert found["challenge ACKs"].maximum == 5
    assert found["segments out of order"].maximum == web.sysctl["net.inet.tcp.reass.maxsegments"]
    assert row(host("linux-6"), "challenge ACKs").maximum is None
    limited = host("linux-4", **{"net.ipv4.tcp_challenge_ack_limit": 100})
    assert row(limited, "challenge ACKs").maximum == 100


def test_challenges_of_a_connection_are_counted_in_the_row():
    m, p, t = opened("freebsd-14")
    for n in range(5):
        p.send("R 100:100(0)")
        assert (t.challenge_count, m.stat("challenge_suppressed")) == (n + 1, 0)
    m.core.settle(m.core.now + 100 * MS)
    p.send("R 100:100(0)")
    assert (t.challenge_count, m.stat("challenge_suppressed")) == (5, 1)
    assert (m.core.challenge_high, m.core.challenge_failed_at) == (5, m.core.now)
    m.run(1.1)
    p.send("R 100:100(0)")
    assert (t.challenge_count, m.stat("challenge_suppressed")) == (1, 1)


@pytest.mark.parametrize(("local", "error"), [(0, ConnectionRefusedError), (1, TimeoutError)])
def test_blackhole_spares_the_machine_itself(local, error):
    """FreeBSD 14, blackhole_local: strangers meet silence in any case."""
    web = host("freebsd-14", **{"net.inet.tcp.blackhole": 2, "net.inet.tcp.blackhole_local": local})
    for address, machine, failure in (
        ("127.0.0.1", web, error),
        ("192.0.2.1", web.me, TimeoutError),
    ):
        sock = machine.socket()
        sock.settimeout(2)
        with pytest.raises(failure):
            sock.connect((address, 23))


@pytest.mark.parametrize(("new", "short", "long"), [(0, 40, 40), (1, 5, 40)])
def test_reass_queueguard(new, short, long):
    """FreeBSD 13 and later: with new_limit short segments are refused behind queueguard others, long ones never."""
    for size, most in ((100, short), (256, long)):
        m, p, t = opened("freebsd-14", tcp_reass_new_limit=new, tcp_reass_queueguard=4)
        for i in range(40):
            at = 1001 + i * 1000
            p.send(f". {at}:{at + size}({size}) ack 1 win 65535")
        assert t.reass.n == most
        assert m.stat("rcvmemdrop") == 40 - most
        p.send(f". 1:{size + 1}({size}) ack 1 win 65535")
        assert t.rcvq.cc == size, "what comes in order is always taken"


def test_new_limit_has_no_other():
    """maxqueuelen and the size of the buffer count no more."""
    for new, most in ((0, 8), (1, 40)):
        m, p, t = opened("freebsd-14", tcp_reass_new_limit=new, tcp_reass_maxqueuelen=8)
        for i in range(40):
            at = 1001 + i * 1000
            p.send(f". {at}:{at + 300}(300) ack 1 win 65535")
        assert (t.reass.n, m.stat("rcvmemdrop")) == (most, 40 - most)
