"""What protocols give back when storage runs out, and the limits of what a machine remembers for all its connections
(facts: freebsd-tcp 1.4, 3.8).
"""

import pytest
from limits.machines import host, row
from limits.test_mbufs import SPACE, accepted, server
from tcp.peer import Machine, opened

OUT = "P. 1461:2921(1460) ack 1 win 65535"


def starved(profile: str, **knobs: int) -> tuple[Machine, object, object]:
    """A machine with a segment out of order, to which storage is denied once."""
    m, p, t = opened(profile, "sack" if profile != "freebsd-4" else "plain", **knobs)
    p.send(OUT)
    assert t.reass is not None
    m.core.pool.deny_nth(1)
    m.write(t, 100)
    m.run(0.1)
    return m, p, t


@pytest.mark.parametrize(
    ("profile", "knob", "kept"),
    [
        ("freebsd-10", 1, False),
        ("freebsd-14", 1, False),
        ("freebsd-10", 0, True),
        ("freebsd-7", 1, True),
        ("linux-6", 0, True),
    ],
)
def test_tcp_drain(profile, knob, kept):
    """mb_reclaim of 10 and later; releases 5 to 9 had no action at the limit."""
    m, p, t = starved(profile, do_tcpdrain=knob)
    assert (t.reass is not None) == kept
    assert m.core.reass_segments == kept
    while p.inbox:
        p.next(0)
    p.send("P. 1:1461(1460) ack 1 win 65535")
    m.run(0.3)
    assert t.rcvq.cc == (2920 if kept else 1460)


def test_what_was_drained_is_not_reported_any_more():
    m, p, t = starved("freebsd-10")
    while p.inbox:
        p.next(0)
    p.send("P. 4381:5841(1460) ack 1 win 65535")
    told = p.next(1)
    assert len(told.sacks) == 1
    (left, right) = told.sacks[0]
    assert (right - left) % 2**32 == 1460
    assert m.core.reass_segments == 1
    assert t.reass.n == 1


def test_freebsd_4_counts_the_calls():
    m, _, _ = starved("freebsd-4")
    assert m.core.pool.drained == 1


def flight(m: Machine, port: int) -> tuple[object, object]:
    """A connection with 20 segments out."""
    p = m.peer(port)
    t = p.passive(m.core.tcbs[1], "sack")
    t.cwnd = 100_000
    m.write(t, 20 * 1460)
    m.run(0.01)
    while p.inbox:
        p.next(0)
    return p, t


def test_sack_globalmaxholes():
    """Three holes in all: one below, at and above; what is beyond is counted, and not remembered."""
    m = Machine("freebsd-10", tcp_sack_globalmaxholes=3)
    m.listen()
    (p, t), (q, u) = flight(m, 4000), flight(m, 4001)
    p.send(". 1:1(0) ack 1 win 65535 <sack 2921:4381>")
    p.send(". 1:1(0) ack 1 win 65535 <sack 5841:7301 2921:4381>")
    assert (m.core.sack_holes, m.stat("sack_overflow")) == (2, 0)
    q.send(". 1:1(0) ack 1 win 65535 <sack 2921:4381>")
    assert (m.core.sack_holes, m.stat("sack_overflow")) == (3, 0)
    q.send(". 1:1(0) ack 1 win 65535 <sack 5841:7301 2921:4381>")
    assert (m.core.sack_holes, m.stat("sack_overflow")) == (3, 1)
    assert (t.board.n, u.board.n) == (2, 1)
    q.send(". 1:1(0) ack 1 win 65535 <sack 2921:5841>")
    assert u.board.n == 1, "what touches a known one needs no place"
    p.send(". 1:1(0) ack 7301 win 65535")
    assert m.core.sack_holes == 1
    q.send(". 1:1(0) ack 1 win 65535 <sack 7301:8761>")
    assert (m.core.sack_holes, u.board.n) == (2, 2)
    for peer in (p, q):
        peer.send("R 1:1(0) win 0")
    assert m.core.sack_holes == 0


def test_holes_are_a_limit_like_others():
    web = host("freebsd-10", **{"net.inet.tcp.sack.globalmaxholes": 3})
    before = row(web, "SACK holes")
    assert (before.used, before.maximum, before.failures) == (0, 3, 0)
    assert before.knob == "net.inet.tcp.sack.globalmaxholes"
    assert web.sysctl["net.inet.tcp.sack.globalholes"] == 0
    web.core.sack_holes = 2
    assert web.sysctl["net.inet.tcp.sack.globalholes"] == 2
    assert row(web, "SACK holes").used == 2


@pytest.mark.parametrize(("knob", "grown"), [(0, 0), (1, 8192)])
def test_sendbuf_auto_lowat(knob, grown):
    """12 and later: a buffer grows when it is full but for the low-water mark."""
    m, p, t = opened("freebsd-14", tcp_sendbuf_auto_lowat=knob)
    size = t.sndq.hiwat
    t.cwnd = 1 << 20
    t.snd_wnd = t.max_sndwnd = 1 << 20
    m.write(t, size // 8 * 7 - 1000)
    m.run(0.01)
    assert p.inbox
    assert t.sndq.hiwat - size == grown


def test_a_datagram_waits_for_mbufs_too():
    """sosend allocates with M_WAITOK for every socket; whether it blocks or not."""
    web = server(kern__ipc__nmbclusters=4)
    (first,), (reader,) = accepted(web, 1)
    first.setblocking(False)
    first.send(bytes(SPACE))
    hold = web.socket(2)
    hold.setblocking(False)
    pool = web.core.pool
    chains = []
    while not pool.would_deny(1000):
        chains.append(pool.new_chain(bytes(1000), 0, 1000))
    web.net.call_later("100s", lambda: [pool.free_chain(m) for m in chains])
    begin = web.net.now
    assert hold.sendto(bytes(1000), ("192.0.2.2", 9)) == 1000
    assert web.net.now >= begin + 100 * 10**9
    assert reader is not None
    assert any(zone["sleep"] for zone in pool.zones())
