"""Ends of connections: FIN in every state, half-close, aborts, TIME_WAIT, FIN_WAIT_2 (RFC 9293 section 3.6)."""

import pytest
from tcp.peer import PROFILES, Machine, opened

from pystack._fast import commands, consts
from pystack._fast.consts import Err

BSD = ("freebsd-10", "freebsd-14")


@pytest.mark.parametrize("profile", PROFILES)
def test_we_close_first(profile):
    m, p, t = opened(profile)
    m.close(t)
    p.expect("F. 1:1(0) ack 1")
    assert t.state == consts.FIN_WAIT_1
    p.send(". 1:1(0) ack 2 win 65535")
    assert m.states() == {"LISTEN": 1, "FIN_WAIT_2": 1}
    p.send("F. 1:1(0) ack 2 win 65535")
    p.expect(". 2:2(0) ack 2")
    assert m.states() == {"LISTEN": 1, "TIME_WAIT": 1}
    p.quiet(59.99)
    assert m.core.timewait.used == 1
    p.quiet(0.02)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_they_close_first(profile):
    m, p, t = opened(profile)
    p.send("F. 1:1(0) ack 1 win 65535")
    p.expect(". 1:1(0) ack 2")
    assert t.state == consts.CLOSE_WAIT
    assert m.read(t) == b""
    assert m.write(t, 100) == 100
    p.expect("P. 1:101(100) ack 2")
    p.send(". 2:2(0) ack 101 win 65535")
    m.close(t)
    p.expect("F. 101:101(0) ack 2")
    assert t.state == consts.LAST_ACK
    p.send(". 2:2(0) ack 102 win 65535")
    m.assert_clean()
    p.quiet(100)


@pytest.mark.parametrize("profile", PROFILES)
def test_fin_with_the_last_data(profile):
    m, p, t = opened(profile)
    m.write(t, 100)
    p.expect("P. 1:101(100) ack 1")
    m.write(t, 50)
    m.close(t)
    p.expect("FP. 101:151(50) ack 1")
    p.send("F. 1:1(0) ack 152 win 65535")
    p.expect(". 152:152(0) ack 2")
    assert m.core.timewait.used == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_fin_and_ack_of_fin_in_one(profile):
    m, p, t = opened(profile)
    m.close(t)
    p.expect("F. 1:1(0) ack 1")
    p.send("F. 1:1(0) ack 2 win 65535")
    p.expect(". 2:2(0) ack 2")
    assert m.states() == {"LISTEN": 1, "TIME_WAIT": 1}


@pytest.mark.parametrize("profile", PROFILES)
def test_simultaneous_close(profile):
    m, p, t = opened(profile)
    m.close(t)
    p.expect("F. 1:1(0) ack 1")
    p.send("F. 1:1(0) ack 1 win 65535")
    s = p.next()
    assert s.ack == (p.isn + 2) & 0xFFFFFFFF
    assert t.state == consts.CLOSING
    p.send(". 2:2(0) ack 2 win 65535")
    assert m.states() == {"LISTEN": 1, "TIME_WAIT": 1}
    m.run(61)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_fin_is_retransmitted(profile):
    m, p, t = opened(profile, rtt=0.1)
    m.close(t)
    p.expect("F. 1:1(0) ack 1")
    wait = {"freebsd-10": 3.0, "freebsd-14": 1.0, "linux-6": 0.3}[
        profile
    ]  # no sample on FreeBSD yet
    p.expect("F. 1:1(0) ack 1", after=wait)
    p.send("F. 1:1(0) ack 2 win 65535")
    p.expect(". 2:2(0) ack 2")


@pytest.mark.parametrize("profile", PROFILES)
def test_peer_retransmits_its_fin_in_time_wait(profile):
    """The wait begins anew (RFC 9293 section 3.10.7.4, eighth step)."""
    m, p, t = opened(profile)
    m.close(t)
    p.next()
    p.send("F. 1:1(0) ack 2 win 65535")
    p.next()
    p.send("F. 1:1(0) ack 2 win 65535", wait=30)
    p.expect(". 2:2(0) ack 2")
    p.quiet(59)
    assert m.core.timewait.used == 1
    p.quiet(1.1)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_fin_lost_and_data_out_of_order(profile):
    """A FIN beyond a hole waits for the octets before it."""
    m, p, t = opened(profile)
    p.send("F. 101:201(100) ack 1 win 65535")
    p.expect(". 1:1(0) ack 1")
    assert t.state == consts.ESTABLISHED
    p.send(". 1:101(100) ack 1 win 65535")
    p.expect(". 1:1(0) ack 202")
    assert t.state == consts.CLOSE_WAIT
    assert len(m.read(t)) == 200
    assert m.read(t) == b""


@pytest.mark.parametrize("profile", PROFILES)
def test_bare_fin_beyond_a_hole(profile):
    _m, p, t = opened(profile)
    p.send("F. 101:101(0) ack 1 win 65535")
    p.expect(". 1:1(0) ack 1")
    assert t.state == consts.ESTABLISHED
    p.send("P. 1:101(100) ack 1 win 65535")
    p.expect(". 1:1(0) ack 102")
    assert t.state == consts.CLOSE_WAIT


@pytest.mark.parametrize("profile", PROFILES)
def test_half_close(profile):
    """shutdown(SHUT_WR): the peer may send on, for as long as it likes."""
    m, p, t = opened(profile)
    assert m.shutdown(t) == 0
    p.expect("F. 1:1(0) ack 1")
    assert m.write(t, 10) == -Err.EPIPE
    p.send(". 1:1(0) ack 2 win 65535")
    assert t.state == consts.FIN_WAIT_2
    p.quiet(4000 if profile == "linux-6" else 100000)  # 0.3: no timer and no probes on FreeBSD
    p.send("P. 1:1001(1000) ack 2 win 65535")
    p.expect(". 2:2(0) ack 1001", within=0.3)
    assert len(m.read(t)) == 1000
    p.send("F. 1001:1001(0) ack 2 win 65535")
    p.expect(". 2:2(0) ack 1002")
    assert m.read(t) == b""
    m.close(t)
    m.run(61)
    m.assert_clean()


@pytest.mark.parametrize(
    ("profile", "seconds"), [("freebsd-10", 675), ("freebsd-14", 675), ("linux-6", 60)]
)
def test_fin_wait_2_after_close(profile, seconds):
    """Facts: freebsd-tcp 0.2 (the 675 s) and conntrack 9.2."""
    m, p, t = opened(profile)
    m.close(t)
    p.next()
    p.send(". 1:1(0) ack 2 win 65535")
    p.quiet(seconds - 0.1)
    assert m.states() == {"LISTEN": 1, "FIN_WAIT_2": 1}
    p.quiet(0.2)
    m.assert_clean()


@pytest.mark.parametrize("ms", [60000, 15000])
def test_fast_finwait2_recycle(ms):
    m, p, t = opened("freebsd-10", tcp_fast_finwait2_recycle=1, tcp_finwait2_timeout=ms * 1000000)
    m.close(t)
    p.next()
    p.send(". 1:1(0) ack 2 win 65535")
    p.quiet(ms / 1000 - 0.1)
    assert m.states().get("FIN_WAIT_2") == 1
    p.quiet(0.2)
    m.assert_clean()
    assert m.stat("finwait2_drops") == 1


@pytest.mark.parametrize("profile", BSD)
def test_half_close_then_close(profile):
    """close() in FIN_WAIT_2 arms the timer that shutdown did not."""
    m, p, t = opened(profile)
    m.shutdown(t)
    p.next()
    p.send(". 1:1(0) ack 2 win 65535")
    p.quiet(2000)
    m.close(t)
    p.quiet(599)
    assert m.states().get("FIN_WAIT_2") == 1
    p.quiet(100)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_data_after_close_resets(profile):
    """Facts: freebsd-tcp 2.5, conntrack 9.8: the RST names our sequence number after the FIN, without ACK."""
    m, p, t = opened(profile)
    m.close(t)
    p.expect("F. 1:1(0) ack 1")
    p.send(". 1:1(0) ack 2 win 65535")
    p.send("P. 1:11(10) ack 2 win 65535")
    p.expect("R 2:2(0) win 0")
    m.assert_clean()
    assert m.stat("rcvafterclose") == 1
    p.quiet(100)


@pytest.mark.parametrize("profile", PROFILES)
def test_duplicate_data_after_close_does_not_reset(profile):
    m, p, t = opened(profile)
    p.send("P. 1:11(10) ack 1 win 65535")
    m.read(t)
    m.run(0.3)
    p.inbox.clear()
    m.close(t)
    p.expect("F. 1:1(0) ack 11")
    p.send("P. 1:11(10) ack 2 win 65535")
    p.expect(". 2:2(0) ack 11")
    assert m.states() == {"LISTEN": 1, "FIN_WAIT_2": 1}


@pytest.mark.parametrize("profile", BSD)
def test_close_with_unread_data_sends_a_fin(profile):
    """Fact 0.4: FIN now, RST when more data comes."""
    m, p, t = opened(profile)
    p.send("P. 1:11(10) ack 1 win 65535")
    m.close(t)
    p.expect("F. 1:1(0) ack 11")
    p.send(". 11:11(0) ack 2 win 65535")
    p.send("P. 11:21(10) ack 2 win 65535")
    p.expect("R 2:2(0) win 0")
    m.assert_clean()


def test_close_with_unread_data_resets_on_linux():
    m, p, t = opened("linux-6")
    p.send("P. 1:11(10) ack 1 win 65535")
    m.run(0.1)
    p.inbox.clear()
    m.close(t)
    p.expect("R. 1:1(0) ack 11")
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_linger_zero_resets(profile):
    m, p, t = opened(profile)
    m.write(t, 100)
    p.next()
    t.linger = 0
    m.close(t)
    p.expect("R. 101:101(0) ack 1")
    m.assert_clean()
    p.quiet(100)


@pytest.mark.parametrize("profile", PROFILES)
def test_linger_zero_after_shutdown(profile):
    m, p, t = opened(profile)
    m.shutdown(t)
    p.expect("F. 1:1(0) ack 1")
    t.linger = 0
    m.close(t)
    p.expect("R. 2:2(0) ack 1")
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_close_with_unsent_data_delivers_it(profile):
    m, p, t = opened(profile, win=1000)
    m.write(t, 3000)
    if profile == "linux-6":  # segments of half the window
        p.expect(". 1:501(500) ack 1")
        p.expect(". 501:1001(500) ack 1")
    else:
        p.expect(". 1:1001(1000) ack 1", within=6)
    m.close(t)
    p.send(". 1:1(0) ack 1001 win 65535")
    p.expect(". 1001:2461(1460) ack 1")
    p.expect("FP. 2461:3001(540) ack 1")
    p.send("F. 1:1(0) ack 3002 win 65535")
    p.expect(". 3002:3002(0) ack 2")
    m.run(61)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("state", ["FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK"])
def test_reset_in_every_closing_state(profile, state):
    m, p, t = opened(profile)
    ack, at = 1, 1
    if state in ("CLOSE_WAIT", "LAST_ACK"):
        p.send("F. 1:1(0) ack 1 win 65535")
        at = 2
    if state != "CLOSE_WAIT":
        m.shutdown(t)
    if state == "FIN_WAIT_2":
        p.send(". 1:1(0) ack 2 win 65535")
    if state == "CLOSING":
        p.send("F. 1:1(0) ack 1 win 65535")
        at = 2
    m.drain()
    p.inbox.clear()
    assert m.states().get(state) == 1
    p.send(f"R. {at}:{at}(0) ack {ack}")
    assert t.row == 0
    broken = profile == "linux-6" and state == "CLOSE_WAIT"
    assert t.so_error == (Err.EPIPE if broken else Err.ECONNRESET)
    p.quiet(100)
    m.close(t)
    m.assert_clean()


def time_wait(profile, kind="plain", **knobs):
    m, p, t = opened(profile, kind, **knobs)
    m.close(t)
    p.next()
    p.send("F. 1:1(0) ack 2 win 65535")
    p.next()
    assert m.states() == {"LISTEN": 1, "TIME_WAIT": 1}
    return m, p


@pytest.mark.parametrize("profile", BSD)
def test_reset_in_time_wait_is_ignored(profile):
    """RFC 1337."""
    m, p = time_wait(profile)
    p.send("R 2:2(0)")
    p.send("R. 2:2(0) ack 2")
    assert m.core.timewait.used == 1


def test_reset_in_time_wait_assassinates_on_linux():
    m, p = time_wait("linux-6")
    p.send("R 77:77(0)")
    assert m.core.timewait.used == 1
    p.send("R 2:2(0)")
    assert m.core.timewait.used == 0
    m, p = time_wait("linux-6", tcp_rfc1337=1)
    p.send("R 2:2(0)")
    assert m.core.timewait.used == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_syn_above_reopens_time_wait(profile):
    """RFC 9293 MAY-2: a SYN beyond the old connection's sequence numbers is a new connection."""
    m, p = time_wait(profile)
    p.their_isn = None
    p.send("S 100:100(0) win 65535 <mss 1460>")
    s = p.next()
    assert s.flags == consts.SYN | consts.ACK
    assert p.mine(s.ack) == 101
    assert m.core.timewait.used == 0
    p.send(". 101:101(0) ack 1 win 65535")
    assert m.states() == {"LISTEN": 1, "ESTABLISHED": 1}


@pytest.mark.parametrize("profile", PROFILES)
def test_syn_below_is_an_old_one(profile):
    m, p = time_wait(profile)
    p.send("S 1:1(0) win 65535 <mss 1460>")
    assert m.core.timewait.used == 1
    p.expect(". 2:2(0) ack 2") if profile == "linux-6" else p.quiet()


def test_syn_with_a_newer_timestamp_reopens_on_linux():
    """RFC 6191."""
    _m, p = time_wait("linux-6", "ts")
    p.send("S 4294960000:4294960000(0) win 65535 <mss 1460,nop,nop,TS>", wait=1.5)
    assert p.next().flags == consts.SYN | consts.ACK


@pytest.mark.parametrize("profile", PROFILES)
def test_data_in_time_wait_is_acknowledged(profile):
    m, p = time_wait(profile)
    p.send("P. 2:12(10) ack 2 win 65535")
    p.expect(". 2:2(0) ack 2")
    assert m.core.timewait.used == 1


def test_time_wait_table_at_its_limit():
    """FreeBSD recycles the oldest, Linux has no TIME_WAIT then (facts: freebsd-tcp 0.8, conntrack 9.2)."""
    for profile, used, counter in (("freebsd-10", 3, "tw_recycled"), ("linux-6", 3, "tw_overflow")):
        m = Machine(profile, tcp_max_tw=3)
        listener = m.listen()
        for i in range(5):
            p = m.peer(5000 + i)
            t = p.passive(listener)
            m.close(t)
            p.next()
            p.send("F. 1:1(0) ack 2 win 65535")
        assert m.core.timewait.used == used
        assert m.stat(counter) == 2
        oldest = m.core.timewait.rows()[0]
        assert oldest["fport"] == (5002 if profile == "freebsd-10" else 5000)
        m.run(61)
        m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_listener_close(profile):
    """Queued connections are reset, half-open ones forgotten."""
    m = Machine(profile)
    listener = m.listen()
    p, q = m.peer(4000), m.peer(4001)
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next()
    p.send(". 1:1(0) ack 1 win 65535")
    q.send("S 0:0(0) win 65535 <mss 1460>")
    q.next()
    m.close(listener)
    p.expect("R. 1:1(0) ack 1")
    m.run(100)
    m.assert_clean()
    q.send(". 1:1(0) ack 1 win 65535")
    q.expect("R 1:1(0)")


@pytest.mark.parametrize("profile", PROFILES)
def test_close_in_syn_sent(profile):
    m = Machine(profile)
    t = m.connect(80)
    p = m.peer_of(t)
    p.next()
    m.close(t)
    p.quiet(100)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_close_in_syn_received(profile):
    """Simultaneous open, closed before it is done: the FIN follows the SYN; FreeBSD forgets the attempt."""
    m = Machine(profile)
    t = m.connect(80)
    p = m.peer_of(t)
    p.next()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next()
    m.close(t)
    m.run(0.001)
    p.send(". 1:1(0) ack 1 win 65535")
    if profile != "linux-6":
        p.expect("R 1:1(0)")
        m.assert_clean()
        return
    s = p.next(5)
    assert s.flags & consts.FIN
    p.inbox.clear()
    p.send("F. 1:1(0) ack 2 win 65535")
    m.run(100)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_shutdown_read(profile):
    """Facts: freebsd-tcp 2.5, conntrack 9.8."""
    m, p, t = opened(profile)
    p.send("P. 1:11(10) ack 1 win 65535")
    m.run(0.3)
    p.inbox.clear()
    assert m.shutdown(t, commands.SHUT_RD) == 0
    p.quiet(0.1)
    if profile == "linux-6":
        assert len(m.read(t)) == 10
    else:
        assert m.read(t) == b""
    p.send("P. 11:21(10) ack 1 win 65535")
    p.expect(". 1:1(0) ack 21", within=0.3)
    if profile == "linux-6":
        assert len(m.read(t)) == 10
    assert m.read(t) == b""
    assert m.write(t, 5) == 5


def test_window_stands_still_after_shutdown_read():
    """Facts: freebsd-tcp 2.5: a peer that goes on sending meets a shut window."""
    m, p, t = opened("freebsd-14")
    m.shutdown(t, commands.SHUT_RD)
    edge = p.mine(t.rcv_adv)
    at = 1
    while at < edge:
        n = min(1460, edge - at)
        p.send(f". {at}:{at + n}({n}) ack 1 win 65535")
        at += n
        assert p.mine(t.rcv_adv) == edge
    m.run(1)
    assert p.inbox[-1].win == 0
    p.inbox.clear()
    p.send(f". {at}:{at + 10}(10) ack 1 win 65535")
    p.expect(f". 1:1(0) ack {at} win 0")


def test_data_after_both_directions_are_shut():
    """Not closed, but shut: Linux resets (facts: conntrack 9.8), FreeBSD acknowledges and throws away."""
    m, p, t = opened("linux-6")
    m.shutdown(t, commands.SHUT_RDWR)
    p.expect("F. 1:1(0) ack 1")
    p.send(". 1:1(0) ack 2 win 65535")
    p.send("P. 1:11(10) ack 2 win 65535")
    p.expect("R 2:2(0) win 0")
    assert m.read(t) == -Err.ECONNRESET
    m, p, t = opened("freebsd-14")
    m.shutdown(t, commands.SHUT_RDWR)
    p.expect("F. 1:1(0) ack 1")
    p.send("P. 1:11(10) ack 2 win 65535")
    p.expect(". 2:2(0) ack 11", within=0.2)
    assert m.read(t) == b""


def test_shutdown_errors():
    m, _p, t = opened()
    assert m.shutdown(t, 3) == -Err.EINVAL
    assert m.shutdown(t, -1) == -Err.EINVAL
    assert m.shutdown(m.socket()) == -Err.ENOTCONN
