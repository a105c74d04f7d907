"""SYN-SENT against everything, and how connect() reports. Linux as seen on 6.18, FreeBSD by its sources."""

import pytest
from tcp.peer import PROFILES, THEM, Machine
from tcp.test_ecn_icmp import icmp

from pystack._fast import consts, opening
from pystack._fast.consts import ESTABLISHED, SECOND, SYN_RECEIVED, SYN_SENT, Err

MSS = "<mss 1460>"


def connecting(profile, **knobs):
    m = Machine(profile, **knobs)
    t = m.connect(80)
    p = m.peer_of(t)
    p.next()
    return m, t, p


EVENTS = {
    "rst": ("R 0:0(0)", None, SYN_SENT),
    "rst-ack-0": ("R. 0:0(0) ack 0", None, SYN_SENT),
    "rst-ack-2": ("R. 0:0(0) ack 2", None, SYN_SENT),
    "ack": (". 1:1(0) ack 1 win 1", None, SYN_SENT),
    "ack-0": (". 1:1(0) ack 0 win 1", "R 0:0(0)", SYN_SENT),
    "ack-2": (". 1:1(0) ack 2 win 1", "R 2:2(0)", SYN_SENT),
    "syn-ack-0": (f"S. 0:0(0) ack 0 win 1 {MSS}", "R 0:0(0)", SYN_SENT),
    "syn-ack-2": (f"S. 0:0(0) ack 2 win 1 {MSS}", "R 2:2(0)", SYN_SENT),
    "fin": ("F 0:0(0) win 1", None, SYN_SENT),
    "fin-ack": ("F. 0:0(0) ack 1 win 1", None, SYN_SENT),
    "data": ("P 0:10(10) win 1", None, SYN_SENT),
    "data-ack": ("P. 1:11(10) ack 1 win 1", None, SYN_SENT),
    "syn-ack": (f"S. 0:0(0) ack 1 win 1000 {MSS}", ". 1:1(0) ack 1", ESTABLISHED),
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("profile", PROFILES)
def test_event(profile, event):
    line, answer, state = EVENTS[event]
    _, t, p = connecting(profile)
    p.send(line)
    if answer:
        p.expect(answer)
    p.quiet()
    assert t.state == state
    assert t.so_error == 0


@pytest.mark.parametrize("line", ["R. 0:0(0) ack 1", f"SR. 0:0(0) ack 1 win 1 {MSS}"])
@pytest.mark.parametrize("profile", PROFILES)
def test_refused(profile, line):
    m, t, p = connecting(profile)
    p.send(line)
    assert t.so_error == Err.ECONNREFUSED
    p.quiet(100)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_data_on_the_syn_ack(profile):
    m, t, p = connecting(profile)
    p.send(f"S. 0:100(100) ack 1 win 65535 {MSS}")
    s = p.next(1)
    assert (s.flags, p.mine(s.ack)) in ((consts.ACK, 101), (consts.ACK, 1))
    if p.mine(s.ack) == 101:
        assert len(m.read(t)) == 100


@pytest.mark.parametrize(("off", "good"), [(-1000, True), (-2000, False), (0, True), (1, False)])
def test_linux_and_the_echo_of_the_syn_ack(off, good):
    """What this clock did not say since the SYN is refused (6.18: a second before it is let pass)."""
    _, t, p = connecting("linux-6")
    p.send(
        f"S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 7 ecr {(p.their_ts + off) & 0xFFFFFFFF}>"
    )
    if good:
        p.expect(". 1:1(0) ack 1 <nop,nop,TS>")
        assert t.state == ESTABLISHED
    else:
        p.expect("R 1:1(0)")
        assert t.state == SYN_SENT


# --- simultaneous open ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "offer", "options"),
    [
        ("linux-6", "mss 1460", "mss 1460,sackOK,TS,nop,wscale 10"),
        ("linux-6", "mss 1460,sackOK,TS,nop,wscale 7", "mss 1460,sackOK,TS,nop,wscale 10"),
        ("freebsd-14", "mss 1460", "mss 1460"),
        ("freebsd-14", "mss 1460,nop,wscale 7,sackOK,TS", "mss 1460,nop,wscale 6,sackOK,TS"),
    ],
)
def test_simultaneous_open(profile, offer, options):
    """Linux repeats its own SYN with an ACK, whatever the peer's said; FreeBSD answers the peer's."""
    _, t, p = connecting(profile)
    p.send(f"S 0:0(0) win 65535 <{offer}>")
    p.expect(f"S. 0:0(0) ack 1 <{options}>")
    assert t.state == SYN_RECEIVED
    p.send(". 1:1(0) ack 1 win 65535")
    assert t.state == ESTABLISHED
    p.quiet(1)


def test_a_simultaneous_syn_ack_is_a_duplicate_on_linux():
    """The SYN in it came twice: DSACK (6.18)."""
    _, t, p = connecting("linux-6")
    p.send("S 0:0(0) win 65535 <mss 1460,sackOK,TS,nop,wscale 7>")
    p.next()
    p.send("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS,nop,wscale 7>")
    p.expect(". 1:1(0) ack 1 <nop,nop,TS,nop,nop,sack 0:1>")
    assert t.state == ESTABLISHED


@pytest.mark.parametrize("line", [f"S 0:0(0) win 65535 {MSS}", f"S 100:100(0) win 65535 {MSS}"])
def test_another_syn_in_syn_received_on_linux(line):
    _, t, p = connecting("linux-6")
    p.send(f"S 0:0(0) win 65535 {MSS}")
    p.next()
    p.send(line)
    p.expect(". 1:1(0) ack 1")
    assert t.state == SYN_RECEIVED


def test_the_schedule_of_a_simultaneous_syn_ack_on_linux():
    """It doubles from a second on, and syn_retries ends it (6.18)."""
    m, t, p = connecting("linux-6")
    p.expect("S 0:0(0)", after=1.0)
    p.send(f"S 0:0(0) win 65535 {MSS}")
    p.expect("S. 0:0(0) ack 1")
    for wait in (1, 2, 4, 8, 16):
        p.expect("S. 0:0(0) ack 1", after=wait)
    m.run(100)
    assert t.so_error == Err.ETIMEDOUT


@pytest.mark.parametrize("profile", PROFILES)
def test_self_connect(profile):
    """A socket that connects to itself is a simultaneous open with one machine."""
    m = Machine(profile)
    t = m.socket()
    assert m.call(opening.tcp_bind, t, 0x7F000001, 7777) == 0
    m.call(opening.tcp_connect, t, 0x7F000001, 7777)
    m.run(0.1)
    assert t.state == ESTABLISHED
    assert m.write(t, 5) == 5
    m.run(0.1)
    assert len(m.read(t)) == 5


# --- giving up -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "times", "end"),
    [
        (1, [1, 2], 3),
        (2, [1, 2, 3, 4, 5], 7),
        (3, [1, 2, 3, 4, 5, 7, 11], 19),
        (8, [1, 2, 3, 4, 5, 7, 11, 19, 35, 67, 131, 251], 371),
    ],
)
def test_syn_count(count, times, end):
    """TCP_SYNCNT: so many repetitions, but no longer than so many doublings would take (6.18)."""
    m = Machine("linux-6")
    t = m.socket()
    t.syncnt = count
    m.connect(80, t)
    p = m.peer_of(t)
    p.next()
    m.run(1000, stop=lambda: t.row == 0)
    assert [round(s.time / SECOND, 2) for s in p.inbox] == times
    assert round(m.now / SECOND, 2) == end
    assert t.so_error == Err.ETIMEDOUT


@pytest.mark.parametrize(
    ("ms", "times"), [(2500, [1, 2]), (5000, [1, 2, 3, 4]), (20000, [1, 2, 3, 4, 5, 7, 11, 19])]
)
def test_user_timeout_of_a_connect(ms, times):
    """TCP_USER_TIMEOUT ends it to the millisecond (6.18)."""
    m = Machine("linux-6")
    t = m.socket()
    t.user_timeout = ms * 1_000_000
    m.connect(80, t)
    p = m.peer_of(t)
    p.next()
    m.run(1000, stop=lambda: t.row == 0)
    assert [round(s.time / SECOND, 2) for s in p.inbox] == times
    assert round(m.now / SECOND, 2) == ms / 1000


def test_freebsd_drops_its_options_at_the_third_repetition():
    """net.inet.tcp.rexmit_drop_options."""
    _, _, p = connecting("freebsd-14", tcp_rexmit_drop_options=1)
    for wait, options in (
        (1.0, "mss 1460,nop,wscale 6,sackOK,TS"),
        (2.2, "mss 1460,nop,wscale 6,sackOK,TS"),
        (4.2, "mss 1460"),
        (8.2, "mss 1460"),
    ):
        p.expect(f"S 0:0(0) <{options}>", after=wait)


@pytest.mark.parametrize(
    ("profile", "knob", "asking"),
    [("linux-6", 0, 1), ("linux-6", 255, 4), ("freebsd-14", 1, 2), ("freebsd-14", 0, 1)],
)
def test_how_many_syns_ask_for_ecn(profile, knob, asking):
    """net.ipv4.tcp_ecn_fallback (1 sets 0 here), net.inet.tcp.ecn.maxretries."""
    m = Machine(profile, tcp_ecn=1, tcp_ecn_maxretries=knob)
    t = m.connect(80)
    p = m.peer_of(t)
    m.run(7.5)
    seen = [bool(s.flags & consts.ECE) for s in p.inbox][:4]
    assert seen == [True] * asking + [False] * (4 - asking)


@pytest.mark.parametrize(
    ("profile", "stamped", "wait"),
    [("linux-6", False, 3.0), ("linux-6", True, 0.2), ("freebsd-14", False, 1.0)],
)
def test_the_timeout_after_a_syn_that_was_lost(profile, stamped, wait):
    """RFC 6298 section 5.7: 3 s where there is no sample; timestamps give one (6.18)."""
    m, t, p = connecting(profile)
    p.expect("S 0:0(0)", after=1.0)
    p.send(f"S. 0:0(0) ack 1 win 65535 {'<mss 1460,sackOK,TS>' if stamped else MSS}")
    p.next()
    assert m.write(t, 100) == 100
    p.next()
    s = p.next(5)
    assert abs((s.time - 1_000_000_000) / SECOND - wait) < 0.1


# --- ICMP ----------------------------------------------------------------------------------------------------------

LINUX_ERRORS = {
    0: Err.ENETUNREACH, 1: Err.EHOSTUNREACH, 2: Err.ENOPROTOOPT, 3: Err.ECONNREFUSED, 5: Err.EOPNOTSUPP,
    6: Err.ENETUNREACH, 7: Err.EHOSTDOWN, 8: Err.ENONET, 9: Err.ENETUNREACH, 10: Err.EHOSTUNREACH,
    11: Err.ENETUNREACH, 12: Err.EHOSTUNREACH, 13: Err.EHOSTUNREACH, 14: Err.EHOSTUNREACH, 15: Err.EHOSTUNREACH,
}  # fmt: skip


@pytest.mark.parametrize("code", LINUX_ERRORS)
def test_any_unreachable_ends_a_syn_on_linux(code):
    m, t, p = connecting("linux-6")
    icmp(m, p, 3, code, 5)
    assert t.state == SYN_SENT
    icmp(m, p, 3, code, 0)
    assert t.so_error == LINUX_ERRORS[code]


@pytest.mark.parametrize(
    ("kind", "code", "error"),
    [(11, 0, Err.EHOSTUNREACH), (11, 1, 0), (12, 0, Err.EPROTO), (4, 0, 0), (5, 1, 0)],
)
def test_other_icmp_and_a_syn_on_linux(kind, code, error):
    m, t, p = connecting("linux-6")
    icmp(m, p, kind, code, 0)
    assert t.so_error == error


@pytest.mark.parametrize("may", [0, 1])
@pytest.mark.parametrize(
    ("kind", "code", "hard"),
    [(3, 0, 0), (3, 1, 0), (3, 2, 1), (3, 3, 1), (3, 9, 1), (3, 10, 1), (3, 13, 1), (3, 5, 0),
     (11, 0, Err.EHOSTUNREACH), (12, 0, 0)],
)  # fmt: skip
def test_icmp_and_a_syn_on_freebsd(kind, code, hard, may):
    """Hard: port, protocol, prohibitions, and time exceeded; with icmp_may_rst alone. The number must be right."""
    m, t, p = connecting("freebsd-14", icmp_may_rst=may)
    icmp(m, p, kind, code, 1)
    assert t.state == SYN_SENT
    icmp(m, p, kind, code, 0)
    want = Err.ECONNREFUSED if hard == 1 else hard
    assert t.so_error == (want if may else 0)


def test_a_soft_error_is_told_once_by_so_error_on_linux():
    import socket

    import pystack

    net = pystack.Network(seed=1)
    host = net.host("a", "192.0.2.1/24", profile="linux-6")
    sock = host.socket()
    sock.row.soft_error = int(Err.EHOSTUNREACH)
    import errno

    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EHOSTUNREACH
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


# --- what connect says ---------------------------------------------------------------------------------------------


def again(m, t):
    return -m.call(opening.tcp_connect, t, THEM, 80)


def test_connect_again_on_linux():
    """EALREADY; once it is made, 0 and then EISCONN."""
    m, t, p = connecting("linux-6")
    assert again(m, t) == Err.EALREADY
    p.send(f"S. 0:0(0) ack 1 win 65535 {MSS}")
    assert again(m, t) == 0
    assert again(m, t) == Err.EISCONN


def test_connect_again_after_a_failure_on_linux():
    """The error, or ECONNABORTED where that was told already; then the socket begins anew."""
    m, t, p = connecting("linux-6")
    p.send("R. 0:0(0) ack 1")
    assert again(m, t) == Err.ECONNREFUSED
    assert again(m, t) == Err.EINPROGRESS
    q = m.peer_of(t)
    q.expect("S 0:0(0) <mss 1460,sackOK,TS,nop,wscale 10>")
    q.send("R. 0:0(0) ack 1")
    assert opening.take_error(t) == Err.ECONNREFUSED
    assert again(m, t) == Err.ECONNABORTED
    assert again(m, t) == Err.EINPROGRESS
    q = m.peer_of(t)
    q.next()
    q.send(f"S. 0:0(0) ack 1 win 65535 {MSS}")
    q.expect(". 1:1(0) ack 1")
    assert m.write(t, 10) == 10
    q.expect("P. 1:11(10) ack 1")


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14"])
def test_connect_again_on_freebsd(profile):
    """EALREADY, EISCONN; and a socket that failed is of no more use: ECONNREFUSED."""
    m, t, p = connecting(profile)
    assert again(m, t) == Err.EALREADY
    p.send(f"S. 0:0(0) ack 1 win 65535 {MSS}")
    assert again(m, t) == Err.EISCONN
    m, t, p = connecting(profile)
    p.send("R. 0:0(0) ack 1")
    assert again(m, t) == Err.ECONNREFUSED
    assert again(m, t) == Err.ECONNREFUSED


def test_disconnect_on_linux():
    """connect() to AF_UNSPEC: nothing is said of a SYN, an established peer gets RST,ACK, a listener ends (6.18)."""
    m, t, p = connecting("linux-6")
    assert m.call(opening.tcp_disconnect, t) == 0
    p.quiet(2)
    assert t.state == consts.CLOSED
    assert again(m, t) == Err.EINPROGRESS
    q = m.peer_of(t)
    q.next()
    q.send(f"S. 0:0(0) ack 1 win 65535 {MSS}")
    q.next()
    assert m.call(opening.tcp_disconnect, t) == 0
    q.expect("R. 1:1(0) ack 1")
    assert m.read(t) == -Err.ECONNRESET
    assert m.write(t, 1) == -Err.EPIPE
    assert again(m, t) == Err.EINPROGRESS
    m, t, p = connecting("freebsd-14")
    assert m.call(opening.tcp_disconnect, t) == -Err.EAFNOSUPPORT


def test_a_bound_socket_keeps_its_port_when_it_connects_anew():
    m = Machine("linux-6")
    t = m.connect(80, local=1025)
    p = m.peer_of(t)
    p.next()
    p.send("R. 0:0(0) ack 1")
    assert again(m, t) == Err.ECONNREFUSED
    assert again(m, t) == Err.EINPROGRESS
    assert t.lport == 1025


@pytest.mark.parametrize("profile", PROFILES)
def test_shutdown_of_a_connect(profile):
    """Linux gives it up; BSD sends a FIN once there is a connection."""
    m, t, p = connecting(profile)
    assert m.shutdown(t) == 0
    if profile == "linux-6":
        assert t.state == consts.CLOSED
        p.quiet(2)
        return
    p.send(f"S. 0:0(0) ack 1 win 65535 {MSS}")
    p.expect("F. 1:1(0) ack 1")


@pytest.mark.parametrize("profile", PROFILES)
def test_close_of_a_connect(profile):
    m, t, p = connecting(profile)
    m.close(t)
    p.quiet(2)
    p.send(f"S. 0:0(0) ack 1 win 65535 {MSS}")
    p.expect("R 1:1(0)")
    m.assert_clean()


# --- path MTU ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "told", "kept"),
    [
        ("linux-6", 1200, 1200),
        ("linux-6", 300, 552),
        ("freebsd-14", 1200, 1200),
        ("freebsd-14", 100, 256),
    ],
)
def test_a_path_is_remembered(profile, told, kept):
    """The next connection to the same peer begins with it, and announces it (6.18; FreeBSD's host cache)."""
    m, t, p = connecting(profile)
    p.send(f"S. 0:0(0) ack 1 win 65535 {MSS}")
    p.next()
    m.write(t, 1460)
    p.next()
    icmp(m, p, 3, 4, 1, told)
    s = p.next(1)
    assert len(s.payload) == kept - 40
    assert s.df is not (profile == "linux-6" and told < 552)
    u = m.connect(81)
    q = m.peer_of(u)
    s = q.next()
    assert s.options[0] == f"mss {kept - 40}"
    m.run(4300)
    u = m.connect(82)
    assert m.peer_of(u).next().options[0] == "mss 1460"
