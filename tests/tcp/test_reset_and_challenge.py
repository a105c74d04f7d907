"""What an attacker may not do, and what an honest peer may: RFC 5961, RFC 7323 PAWS, RFC 9293 section 3.10.7.4."""

import pytest
from tcp.peer import PROFILES, Machine, opened

from pystack._fast import consts
from pystack._fast.consts import Err


@pytest.mark.parametrize("profile", PROFILES)
def test_reset_exactly_at_rcv_nxt(profile):
    m, p, t = opened(profile)
    p.send("R 1:1(0)")
    assert t.so_error == Err.ECONNRESET
    assert m.read(t) == -Err.ECONNRESET
    assert m.read(t) == b""
    p.quiet(100)
    m.close(t)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seq", [2, 1000, 60000])
def test_reset_in_the_window_is_challenged(profile, seq):
    _m, p, t = opened(profile)
    p.send(f"R {seq}:{seq}(0)")
    p.expect(". 1:1(0) ack 1")
    assert t.state == consts.ESTABLISHED
    p.send("R 1:1(0)")  # the peer really is gone: its answer to the challenge
    assert t.row == 0


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seq", [0, 70000, 4294967290, 2147483649])
def test_reset_outside_of_the_window_is_dropped(profile, seq):
    _m, p, t = opened(profile)
    p.send(f"R {seq}:{seq}(0)")
    p.quiet(1)
    assert t.state == consts.ESTABLISHED


def test_insecure_reset():
    _m, p, t = opened(tcp_insecure_rst=1)
    p.send("R 1000:1000(0)")
    assert t.row == 0


@pytest.mark.parametrize("seq", [0, 1, 1000, 70000, 4294967000])
@pytest.mark.parametrize("flags", ["S", "S."])
@pytest.mark.parametrize("profile", ["freebsd-14", "linux-6"])
def test_syn_in_a_synchronized_state_is_challenged(profile, flags, seq):
    """RFC 5961 section 4.2: whatever its sequence number."""
    _m, p, t = opened(profile)
    p.send(f"{flags} {seq}:{seq}(0){' ack 1' if '.' in flags else ''} win 65535 <mss 1460>")
    p.expect(". 1:1(0) ack 1")
    assert t.state == consts.ESTABLISHED


def test_syn_before_rfc_5961():
    """FreeBSD 10: an old one is an old octet, one in the window resets."""
    _m, p, t = opened("freebsd-10")
    p.send("S. 0:0(0) ack 1 win 65535 <mss 1460>")
    p.expect(". 1:1(0) ack 1")
    assert t.state == consts.ESTABLISHED
    p.send("S 5:5(0) win 65535 <mss 1460>")
    p.expect("R. 1:1(0) ack 1")
    assert t.so_error == Err.ECONNRESET


def test_challenges_are_limited():
    """RFC 5961 section 7; FreeBSD 14: five a second for a connection (ack_war)."""
    m, p, _t = opened("freebsd-14")
    for _ in range(20):
        p.send("R 100:100(0)")
    m.drain()
    assert len(p.inbox) == 5
    p.inbox.clear()
    p.quiet(1.1)
    p.send("R 100:100(0)")
    p.expect(". 1:1(0) ack 1")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("ack", [2, 1000, 2147483648, 4294900000, 2147483650])
def test_unacceptable_ack(profile, ack):
    """RFC 5961 section 5: above SND.NXT, or below SND.UNA - MAX.SND.WND: answered, and its data is not taken."""
    m, p, t = opened(profile)
    p.send(f"P. 1:11(10) ack {ack} win 65535")
    if profile == "freebsd-10" and ack in (4294900000, 2147483650):  # an old one is no reason yet
        assert len(m.read(t)) == 10
        return
    p.expect(". 1:1(0) ack 1")
    assert m.read(t) == -Err.EAGAIN
    assert t.state == consts.ESTABLISHED


@pytest.mark.parametrize("profile", PROFILES)
def test_old_ack_with_data_is_fine(profile):
    """The ACK field may lag by as much as the window."""
    m, p, t = opened(profile)
    m.write(t, 5000)
    p.inbox.clear()
    p.send(". 1:1(0) ack 5001 win 65535")
    p.send("P. 1:11(10) ack 2000 win 65535")
    assert len(m.read(t)) == 10


def test_no_ack_flag_is_dropped():
    m, p, t = opened()
    p.send("P 1:11(10)")
    p.quiet(1)
    assert m.read(t) == -Err.EAGAIN


@pytest.mark.parametrize("profile", PROFILES)
def test_reset_of_a_half_open_connection(profile):
    m = Machine(profile)
    m.listen()
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next()
    p.send("R 70001:70001(0)")
    p.quiet()
    p.send("R 5:5(0)")
    p.expect(". 1:1(0) ack 1")
    p.send("R 1:1(0)")
    p.quiet(100)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_reset_in_syn_received_of_a_simultaneous_open(profile):
    m = Machine(profile)
    t = m.connect(80)
    p = m.peer_of(t)
    p.next()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next()
    p.send("R 1:1(0)")
    assert t.so_error == (Err.ECONNRESET if profile == "linux-6" else Err.ECONNREFUSED)
    p.quiet(100)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_wrong_ack_in_the_third_segment_is_reset(profile):
    m = Machine(profile)
    listener = m.listen()
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next()
    p.send(". 1:1(0) ack 777 win 65535")
    p.expect("R 777:777(0)")
    assert m.accept(listener) is None
    p.send(". 1:1(0) ack 1 win 65535")
    assert m.accept(listener) is not None


@pytest.mark.parametrize("profile", PROFILES)
def test_paws(profile):
    """RFC 7323 section 5.3: an old timestamp is answered and dropped; not for a RST."""
    m, p, t = opened(profile, "ts")
    p.send("P. 1:11(10) ack 1 win 65535 <nop,nop,TS val 9000 ecr 0>")
    m.run(0.3)
    p.inbox.clear()
    p.send("P. 11:21(10) ack 1 win 65535 <nop,nop,TS val 8999 ecr 0>")
    p.expect(". 1:1(0) ack 11 <nop,nop,TS>")
    assert len(m.read(t)) == 10
    assert m.stat("pawsdrop") == 1
    p.send("P. 11:21(10) ack 1 win 65535 <nop,nop,TS val 9000 ecr 0>")
    assert len(m.read(t)) == 10
    m.run(0.3)
    p.inbox.clear()
    p.send("R 21:21(0) <nop,nop,TS val 1 ecr 0>")
    assert t.row == 0


def test_paws_ends_after_24_days():
    """RFC 7323 section 5.5."""
    m, p, t = opened("freebsd-14", "ts", tcp_always_keepalive=0)
    p.send("P. 1:11(10) ack 1 win 65535 <nop,nop,TS val 9000 ecr 0>")
    m.run(25 * 24 * 3600)
    p.inbox.clear()
    p.send("P. 11:21(10) ack 1 win 65535 <nop,nop,TS val 100 ecr 0>")
    assert len(m.read(t)) == 20
    assert t.ts_recent == 100


def test_timestamp_to_echo():
    """RFC 7323 section 4.3: a delayed ACK echoes the first segment; what is beyond a hole is not echoed."""
    _m, p, _t = opened("freebsd-14", "ts")
    p.send(". 1:1001(1000) ack 1 win 65535 <nop,nop,TS val 7000 ecr 0>")
    p.send(". 1001:2001(1000) ack 1 win 65535 <nop,nop,TS val 7005 ecr 0>")
    assert p.expect(". 1:1(0) ack 2001 <nop,nop,TS>").ts[1] == 7000
    p.send(". 3001:4001(1000) ack 1 win 65535 <nop,nop,TS val 7010 ecr 0>")
    assert p.expect(". 1:1(0) ack 2001 <nop,nop,TS>").ts[1] == 7000
    p.send(". 2001:3001(1000) ack 1 win 65535 <nop,nop,TS val 7020 ecr 0>")
    assert p.expect(". 1:1(0) ack 4001 <nop,nop,TS>").ts[1] == 7020


@pytest.mark.parametrize(("tolerate", "read"), [(1, 10), (0, -int(Err.EAGAIN))])
def test_segment_without_the_agreed_timestamp(tolerate, read):
    m, p, t = opened("freebsd-14", "ts", tcp_tolerate_missing_ts=tolerate)
    p.sent_ts = False
    p.send("P. 1:11(10) ack 1 win 65535")
    got = m.read(t)
    assert (len(got) if isinstance(got, bytes) else got) == read


@pytest.mark.parametrize("profile", PROFILES)
def test_segment_right_of_the_window_is_acknowledged_and_dropped(profile):
    m, p, t = opened(profile)
    p.send("P. 70001:70011(10) ack 1 win 65535")
    p.expect(". 1:1(0) ack 1")
    assert m.read(t) == -Err.EAGAIN


@pytest.mark.parametrize("profile", PROFILES)
def test_segment_that_hangs_over_the_window_is_cut(profile):
    m, p, t = opened(profile, tcp_recvbuf_auto=0)
    at = 1
    while p.mine(t.rcv_adv) - at >= 1460:
        p.send(f". {at}:{at + 1460}(1460) ack 1 win 65535")
        at += 1460
    edge = p.mine(t.rcv_adv)
    assert at <= edge < at + 1460
    p.inbox.clear()
    p.send(f"FP. {at}:{at + 1460}(1460) ack 1 win 65535")
    assert t.state == consts.ESTABLISHED
    assert len(m.read(t)) == edge - 1


@pytest.mark.parametrize("profile", PROFILES)
def test_duplicate_data_is_acknowledged_at_once(profile):
    m, p, t = opened(profile)
    p.send("P. 1:101(100) ack 1 win 65535")
    m.run(0.3)
    p.inbox.clear()
    p.send("P. 1:101(100) ack 1 win 65535")
    p.expect(". 1:1(0) ack 101")
    p.send("P. 51:151(100) ack 1 win 65535")
    m.run(0.3)
    assert len(m.read(t)) == 150


@pytest.mark.parametrize("profile", PROFILES)
def test_keep_alive_probe_of_the_peer_is_answered(profile):
    """RFC 9293 section 3.8.4: with and without the garbage octet."""
    m, p, _t = opened(profile)
    p.send("P. 1:101(100) ack 1 win 65535")
    m.run(0.3)
    p.inbox.clear()
    p.send(". 100:100(0) ack 1 win 65535")
    p.expect(". 1:1(0) ack 101")
    p.send(". 100:101(1) ack 1 win 65535")
    p.expect(". 1:1(0) ack 101")


def test_two_stacks_do_not_answer_each_other_for_ever():
    """Segments out of window beget an ACK each: never two, and never one for a RST."""
    m, p, _t = opened()
    for line in (
        ". 99999:99999(0) ack 1 win 1",
        ". 1:1(0) ack 99999 win 1",
        "R 99999:99999(0)",
        "R. 5:5(0) ack 1",
        "S. 5:5(0) ack 99999 win 3 <mss 1460>",
        "F. 99999:99999(0) ack 1 win 1",
    ):
        before = m.sent
        p.send(line)
        assert m.sent - before <= 1, line
