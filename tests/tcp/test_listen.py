"""Listeners: backlog and overflow on both families, SYN cookies, syncache limits.

Facts: freebsd-tcp 2.1, 3.3, 3.4; conntrack 9.6.
"""

import pytest
from tcp.peer import PROFILES, Machine

from pystack._fast import consts
from pystack._fast.consts import ACK, SYN


def knock(m, port, kind="plain", win=65535):
    """A complete handshake, as the client sees it; answers its peer and what came back to the SYN."""
    p = m.peer(port)
    p.send(f"S 0:0(0) win {win} <{p.SYN[kind]}>")
    if not p.inbox:
        return p, None
    s = p.next(0)
    p.send(f". 1:1(0) ack 1 win {win}")
    return p, s


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14"])
@pytest.mark.parametrize(
    ("backlog", "held"), [(0, 1), (1, 2), (2, 4), (5, 8), (10, 16), (128, 193)]
)
def test_bsd_accept_queue(profile, backlog, held):
    """More than 3/2 of the backlog: fact 0.5, the famous 193. The next is refused with a RST at its third segment."""
    m = Machine(profile)
    listener = m.listen(backlog=backlog)
    for i in range(held):
        p, _ = knock(m, 2000 + i)
        p.quiet()
    assert listener.qlen == held
    p, s = knock(m, 3000)
    assert s.flags == SYN | ACK
    p.expect("R 1:1(0)")
    assert listener.qlen == held
    assert m.stat("listendrop") == 1
    assert m.accept(listener).fport == 2000
    p, _ = knock(m, 3001)
    p.quiet()
    assert listener.qlen == held


@pytest.mark.parametrize(("backlog", "held"), [(0, 1), (1, 2), (2, 3), (5, 6), (128, 129)])
def test_linux_accept_queue(backlog, held):
    """Backlog and one; then a SYN is not answered at all."""
    m = Machine("linux-6")
    listener = m.listen(backlog=backlog)
    for i in range(held):
        knock(m, 2000 + i)
    assert listener.qlen == held
    p, s = knock(m, 3000)
    assert s is None
    p.quiet(10)
    m.accept(listener)
    p, s = knock(m, 3001)
    assert s.flags == SYN | ACK


def half_open_with_full_queue(**knobs):
    """A kept request whose accept queue filled up meanwhile."""
    m = Machine("linux-6", **knobs)
    listener = m.listen(backlog=1)
    p = m.peer(3000)
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.expect("S. 0:0(0) ack 1")
    for i in range(2):
        knock(m, 2000 + i)
    assert listener.qlen == 2
    return m, listener, p


def test_linux_third_segment_at_a_full_queue():
    """Silence, the SYN-ACK again, and the client's next segment completes it once there is room."""
    m, listener, p = half_open_with_full_queue()
    p.send(". 1:1(0) ack 1 win 65535")
    p.quiet(0.9)
    p.expect("S. 0:0(0) ack 1", within=1)
    m.accept(listener)
    p.send("P. 1:11(10) ack 1 win 65535")
    m.accept(listener)
    t = m.accept(listener)
    assert t.fport == 3000
    assert len(m.read(t)) == 10


def test_linux_abort_on_overflow():
    _m, _, p = half_open_with_full_queue(tcp_abort_on_overflow=1)
    p.send(". 1:1(0) ack 1 win 65535")
    p.expect("R 1:1(0)")
    p.quiet(10)


@pytest.mark.parametrize("kind", ["none", "plain", "sack", "scale", "all"])
def test_linux_cookies(kind):
    """With cookies only: nothing is kept, and the third segment brings it all back."""
    m = Machine("linux-6", tcp_syncookies=2)
    listener = m.listen()
    p, s = knock(m, 2000, kind)
    assert s.flags == SYN | ACK
    t = m.accept(listener)
    assert t is not None
    assert m.core.listeners.cache.high_water == 0
    assert t.mss_peer == (536 if kind == "none" else 1460)
    p.send("P. 1:101(100) ack 1 win 65535")
    assert len(m.read(t)) == 100
    assert m.stat("sc_recvcookie") == 1


def test_cookie_after_a_full_half_open_queue():
    m = Machine("linux-6")
    listener = m.listen(backlog=2)
    for i in range(3):
        q = m.peer(5000 + i)
        q.send("S 0:0(0) win 65535 <mss 1460>")
        q.next(0)
    _p, s = knock(m, 3000)
    assert s.flags == SYN | ACK
    assert m.accept(listener).fport == 3000
    assert m.core.listeners.cache.used == 3


@pytest.mark.parametrize("profile", PROFILES)
def test_cookie_is_not_forever(profile):
    """Facts: freebsd-tcp 3.4: a cookie lives 15 to 30 seconds; on Linux one to two minutes."""
    m = Machine(profile, tcp_syncookies=2)
    listener = m.listen()
    p = m.peer(2000)
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next(0)
    p.send(". 1:1(0) ack 1 win 65535", wait=121 if profile == "linux-6" else 31)
    p.expect("R 1:1(0)")
    assert m.accept(listener) is None


@pytest.mark.parametrize("profile", PROFILES)
def test_forged_cookie(profile):
    m = Machine(profile, tcp_syncookies=2)
    listener = m.listen()
    p = m.peer(2000)
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next(0)
    near = () if profile == "linux-6" else (0, 4294967295)  # there they name a smaller MSS
    for ack in (2, 3, 256, 257, *near):
        p.send(f". 1:1(0) ack {ack} win 65535")
    if profile != "linux-6":
        p.send(". 2:2(0) ack 1 win 65535")
    assert m.accept(listener) is None


def test_freebsd_cookie_after_a_bucket_overflow():
    """An entry that was pushed out is taken back from its cookie (facts: freebsd-tcp 3.3)."""
    m = Machine("freebsd-10", syncache_bucketlimit=1, syncache_hashsize=1)
    listener = m.listen()
    p, q = m.peer(2000), m.peer(2001)
    p.send(
        "S 0:0(0) win 65535 <mss 1460,nop,wscale 7,sackOK,TS>".replace("sackOK,TS", "nop,nop,TS")
    )
    p.next(0)
    q.send("S 0:0(0) win 65535 <mss 1460>")
    q.next(0)
    assert m.stat("sc_bucketoverflow") == 1
    assert m.core.listeners.cache.used == 1
    p.send(". 1:1(0) ack 1 win 512")
    t = m.accept(listener)
    assert t.fport == 2000
    assert t.snd_scale == 7
    q.send(". 1:1(0) ack 1 win 65535")
    assert m.accept(listener).fport == 2001


def test_no_cookie_without_an_overflow():
    """Facts: freebsd-tcp 3.3: an ACK without entry is a spurious one."""
    m = Machine("freebsd-10")
    m.listen()
    p = m.peer()
    p.send(". 1:1(0) ack 777 win 65535")
    p.expect("R 777:777(0)")
    assert m.stat("sc_badack") == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_syn_flood(profile):
    """Ten thousand SYNs, and an honest client still gets through."""
    m = Machine(profile, syncache_cachelimit=500 if profile != "linux-6" else 0)
    listener = m.listen(backlog=64)
    for i in range(1200):
        p = m.peer(1024 + i)
        p.send("S 0:0(0) win 65535 <mss 1460>")
        p.inbox.clear()
    p, s = knock(m, 60000)
    assert s is not None
    t = m.accept(listener)
    assert t.fport == 60000
    m.run(200)
    assert m.core.listeners.cache.used == 0


@pytest.mark.parametrize("profile", PROFILES)
def test_listeners_on_one_port_by_address(profile):
    """MUST-42, MUST-43: the exact address before the wildcard."""
    from tcp.peer import US

    from pystack._fast import opening

    m = Machine(profile)
    exact, wild = m.socket(), m.socket()
    for t, addr in ((wild, 0), (exact, US)):
        t.so_options |= 4 if profile != "linux-6" else 0x200
        assert m.call(opening.tcp_bind, t, addr, 80) == 0
        assert m.call(opening.tcp_listen, t, 5) == 0
    knock(m, 2000)
    assert m.accept(wild) is None
    assert m.accept(exact).fport == 2000


@pytest.mark.parametrize("profile", PROFILES)
def test_reset_in_the_accept_queue(profile):
    """Reset before accept: the connection leaves the queue on BSD, accept gives it with its error on Linux."""
    m = Machine(profile)
    listener = m.listen()
    p, _ = knock(m, 2000)
    p.send("R 1:1(0)")
    t = m.accept(listener)
    if t is not None:
        assert t.so_error
        m.close(t)
    assert listener.qlen == 0
    m.assert_clean()


def test_data_and_end_before_accept():
    m = Machine()
    listener = m.listen()
    p, _ = knock(m, 2000)
    p.send("FP. 1:101(100) ack 1 win 65535")
    t = m.accept(listener)
    assert len(m.read(t)) == 100
    assert m.read(t) == b""
    assert t.state == consts.CLOSE_WAIT
