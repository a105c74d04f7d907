"""TCP Fast Open, RFC 7413, both ends and both systems. What Linux does was seen on 6.18, packet by packet."""

import socket

import pytest
from tcp.peer import THEM, US, Machine, pattern

from pystack import sockopts
from pystack._fast import commands, consts, opening, tcb
from pystack._fast.consts import ACK, ESTABLISHED, SYN, SYN_RECEIVED, SYN_SENT, Err

KEY = "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"
COOKIE = "f100000102030405"
MSS = "mss 1460"


def server(profile="linux-6", backlog=16, qlen=5, **knobs):
    """A listener that takes data on SYNs, and the cookie of our address."""
    on = {"tcp_fastopen": 3} if profile == "linux-6" else {"tcp_fastopen_server": 1}
    m = Machine(profile, **(on | knobs))
    listener = m.listen(backlog=backlog)
    listener.fo |= tcb.FO_LISTEN
    listener.fo_qlen = qlen
    return m, listener, m.core.fastopen.cookie(m.core, b"", THEM, US).hex()


def fast_syn(m, cookie, n=100, port=4000, options=MSS):
    p = m.peer(port)
    p.send(f"S 0:{n}({n}) win 65535 <{options},FO {cookie}>")
    return p


def test_the_cookie_is_the_one_that_linux_gives():
    """Seen on 6.18 with these keys, client 192.0.2.1, server 192.168.0.1."""
    m = Machine("linux-6")
    seen = {
        "00000000-00000000-00000000-00000000": "b7c12350a90dc8f5",
        KEY: "3021b9d889017eeb",
        "00000001-00000002-00000003-00000004": "6d239c6d1b1d2410",
    }
    for key, cookie in seen.items():
        m.core.fastopen.set_key_text(key)
        assert m.core.fastopen.key_text() == key
        assert m.core.fastopen.cookie(m.core, b"", 0xC0000201, 0xC0A80001).hex() == cookie


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
@pytest.mark.parametrize("n", [0, 100])
def test_a_cookie_is_asked_for(profile, n):
    """An empty option brings a cookie on the first SYN-ACK; data without one wait for the handshake (4.1.2)."""
    m, listener, cookie = server(profile)
    p = fast_syn(m, "", n)
    pad = "nop,nop" if profile == "linux-6" else "eol,eol"
    p.expect(f"S. 0:0(0) ack 1 <mss 1460,FO {cookie},{pad}>")
    p.expect("S. 0:0(0) ack 1 <mss 1460>", after=1.0)
    p.send(". 1:1(0) ack 1 win 65535")
    assert m.accept(listener).state == ESTABLISHED


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ("mss 1460,sackOK,TS,nop,wscale 7", "mss 1460,sackOK,TS,nop,wscale 10"),
        ("mss 1460,nop,nop,sackOK,nop,wscale 7", "mss 1460,nop,nop,sackOK,nop,wscale 10"),
        ("mss 1460", "mss 1460"),
    ],
)
def test_the_option_comes_last_on_linux(options, answer):
    m, _, cookie = server()
    p = fast_syn(m, "", 0, options=options)
    p.expect(f"S. 0:0(0) ack 1 <{answer},FO {cookie},nop,nop>")


def test_the_experimental_option_is_answered_in_kind():
    """RFC 7413 appendix A: option 254 with 0xF989."""
    m, listener, cookie = server()
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460,FOEXP >")
    p.expect(f"S. 0:0(0) ack 1 <mss 1460,FOEXP {cookie}>")
    q = m.peer(4001)
    q.send(f"S 0:10(10) win 65535 <mss 1460,FOEXP {cookie}>")
    q.expect("S. 0:0(0) ack 11 <mss 1460>")
    assert len(m.read(m.accept(listener))) == 10


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
def test_data_on_the_syn(profile):
    """Read, and answered, before the handshake is over (4.2.2)."""
    m, listener, cookie = server(profile)
    p = fast_syn(m, cookie)
    p.expect("S. 0:0(0) ack 101 <mss 1460>")
    t = m.accept(listener)
    assert t.state == SYN_RECEIVED
    assert t.fo & tcb.FO_TAKEN
    assert len(m.read(t)) == 100
    assert m.write(t, 50) == 50
    p.expect("P. 1:51(50) ack 101")
    p.send(". 101:101(0) ack 1 win 65535", wait=0.05)
    assert t.state == ESTABLISHED
    p.send(". 101:101(0) ack 51 win 65535", wait=0.05)
    assert t.sndq.cc == 0
    p.quiet(5)
    p.send("F. 101:101(0) ack 51 win 65535")
    m.close(t)
    m.run(0.1)
    p.inbox.clear()
    p.send(". 102:102(0) ack 52 win 65535")
    m.close(listener)
    m.assert_clean()


def test_a_good_cookie_without_data():
    m, listener, cookie = server()
    p = fast_syn(m, cookie, 0)
    p.expect("S. 0:0(0) ack 1 <mss 1460>")
    t = m.accept(listener)
    assert t.state == SYN_RECEIVED
    assert not t.fo & tcb.FO_TAKEN
    p.send("P. 1:11(10) ack 1 win 65535")
    assert len(m.read(t)) == 10


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
@pytest.mark.parametrize("bad", ["0102030405060708", "01020304", "0102030405060708" * 2])
def test_a_bad_cookie_brings_a_good_one(profile, bad):
    m, listener, cookie = server(profile)
    p = fast_syn(m, bad)
    s = p.expect("S. 0:0(0) ack 1")
    assert f"FO {cookie}" in s.options
    assert m.accept(listener) is None


def test_the_syn_ack_is_repeated_and_data_wait_for_its_ack():
    """1, 3, 7, 15, 31, 63 s: once more than without Fast Open; seen on 6.18."""
    m, listener, cookie = server()
    p = fast_syn(m, cookie, 10)
    p.expect("S. 0:0(0) ack 11 <mss 1460>")
    t = m.accept(listener)
    m.write(t, 20)
    p.expect("P. 1:21(20) ack 11")
    for wait in (1, 2, 4, 8, 16, 32):
        p.expect("S. 0:0(0) ack 11 <mss 1460>", after=wait)
    m.run(64.1)
    assert t.so_error == Err.ETIMEDOUT
    assert not p.inbox
    m.read(t)
    m.close(t)
    m.close(listener)
    m.assert_clean()


def test_a_lost_answer_is_repeated_once_the_handshake_is_over():
    m, listener, cookie = server()
    p = fast_syn(m, cookie, 10)
    p.next()
    t = m.accept(listener)
    m.write(t, 20)
    p.next()
    p.send(". 11:11(0) ack 1 win 65535", wait=0.1)
    s = p.expect("P. 1:21(20) ack 11", within=2)
    assert s.time > 100_000_000
    p.send(". 11:11(0) ack 21 win 65535")
    p.quiet(10)


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
def test_the_syn_again(profile):
    """With or without its data and option: the SYN-ACK again, on Linux at most twice a second."""
    m, _listener, cookie = server(profile)
    p = fast_syn(m, cookie)
    p.expect("S. 0:0(0) ack 101")
    p.send(f"S 0:100(100) win 65535 <mss 1460,FO {cookie}>", wait=0.02)
    p.expect("S. 0:0(0) ack 101 <mss 1460>")
    p.send("S 0:0(0) win 65535 <mss 1460>", wait=0.05)
    if profile == "linux-6":
        p.quiet(0.5)
        p.send("S 0:0(0) win 65535 <mss 1460>")
    p.expect("S. 0:0(0) ack 101 <mss 1460>")


@pytest.mark.parametrize("accepted", [False, True])
def test_reset_before_the_handshake_is_over(accepted):
    """What was received stays readable; then the error."""
    m, listener, cookie = server()
    p = fast_syn(m, cookie)
    p.next()
    t = m.accept(listener) if accepted else None
    p.send("R. 101:101(0) ack 1 win 0")
    t = t or m.accept(listener)
    assert len(m.read(t)) == 100
    assert m.read(t) == -Err.ECONNRESET
    p.quiet(100)
    assert listener.fo_pending == (0 if not accepted else 1)


@pytest.mark.parametrize(("seq", "answer"), [(1, None), (200, ". 1:1(0) ack 101")])
def test_other_resets_do_not_count(seq, answer):
    m, listener, cookie = server()
    p = fast_syn(m, cookie)
    p.next()
    p.send(f"R {seq}:{seq}(0) win 0")
    if answer:
        p.expect(answer)
    p.quiet(0.5)
    assert m.accept(listener).state == SYN_RECEIVED


def test_a_wrong_ack_is_reset_and_the_connection_lives():
    m, listener, cookie = server()
    p = fast_syn(m, cookie)
    p.next()
    p.send(". 101:101(0) ack 5 win 65535")
    p.expect("R 5:5(0)")
    assert m.accept(listener).state == SYN_RECEIVED


def test_close_before_the_handshake_is_over():
    """Unread data: RST. Read: a FIN, and the SYN-ACK goes on until it is acknowledged."""
    m, listener, cookie = server()
    p = fast_syn(m, cookie)
    p.next()
    m.close(m.accept(listener))
    p.expect("R. 1:1(0) ack 101")
    q = fast_syn(m, cookie, port=4001)
    q.next()
    t = m.accept(listener)
    m.read(t)
    m.close(t)
    q.expect("F. 1:1(0) ack 101")
    q.expect("S. 0:0(0) ack 101", after=1.0)
    q.send(". 101:101(0) ack 2 win 65535")
    q.send("F. 101:101(0) ack 2 win 65535")
    q.expect(". 2:2(0) ack 102")
    m.close(listener)
    m.run(61)
    m.assert_clean()


def test_no_more_than_the_limit_wait_for_their_proof():
    """TCP_FASTOPEN's queue: the third of two is an ordinary SYN; a place is free again when one has proved itself."""
    m, listener, cookie = server(qlen=2)
    a = fast_syn(m, cookie, port=4001)
    a.expect("S. 0:0(0) ack 101")
    b = fast_syn(m, cookie, port=4002)
    b.expect("S. 0:0(0) ack 101")
    c = fast_syn(m, cookie, port=4003)
    c.expect("S. 0:0(0) ack 1 <mss 1460>")
    a.send(". 101:101(0) ack 1 win 65535")
    assert listener.fo_pending == 1
    d = fast_syn(m, cookie, port=4004)
    d.expect("S. 0:0(0) ack 101")


def test_a_reset_after_accept_holds_its_place_for_a_minute():
    """RFC 7413 section 5.1: else the limit would not limit who sends SYNs and RSTs."""
    m, listener, cookie = server(qlen=1)
    p = fast_syn(m, cookie)
    p.next()
    m.accept(listener)
    p.send("R. 101:101(0) ack 1 win 0")
    q = fast_syn(m, cookie, port=4001)
    q.expect("S. 0:0(0) ack 1 <mss 1460>")
    m.run(60.0)
    r = fast_syn(m, cookie, port=4002)
    r.expect("S. 0:0(0) ack 101")


@pytest.mark.parametrize(
    ("knob", "qlen", "option", "taken"),
    [
        (0x2, 0, True, False),  # nobody asked for it
        (0x402, 0, True, True),  # all listeners
        (0x1, 5, True, False),  # no server
        (0x202, 5, False, True),  # no cookie needed
        (0x2, 5, False, False),
    ],
)
def test_who_takes_data(knob, qlen, option, taken):
    m = Machine("linux-6", tcp_fastopen=knob)
    listener = m.listen()
    if qlen:
        listener.fo_qlen = qlen
    cookie = m.core.fastopen.cookie(m.core, b"", THEM, US).hex()
    p = m.peer()
    p.send(f"S 0:10(10) win 65535 <mss 1460{f',FO {cookie}' if option else ''}>")
    p.expect(f"S. 0:0(0) ack {11 if taken else 1} <mss 1460>")


def test_a_listener_that_needs_no_cookie():
    m, listener, _ = server()
    listener.fo |= tcb.FO_NO_COOKIE
    p = m.peer()
    p.send("S 0:10(10) win 65535 <mss 1460>")
    p.expect("S. 0:0(0) ack 11 <mss 1460>")


def test_freebsd_takes_any_cookie_if_told_so():
    m, _, _ = server("freebsd-14", tcp_fastopen_acceptany=1)
    p = fast_syn(m, "01020304", 10)
    p.expect("S. 0:0(0) ack 11 <mss 1460>")


def test_closing_the_listener_resets_who_was_not_accepted():
    m, listener, cookie = server()
    p = fast_syn(m, cookie)
    p.next()
    m.close(listener)
    p.expect("R. 1:1(0) ack 101")
    m.assert_clean()


# --- the client ----------------------------------------------------------------------------------------------------


def fast_connect(m, n=100, port=80, t=None):
    """sendto with MSG_FASTOPEN; what it answers, the socket, its peer."""
    t = t or m.socket()
    done = m.call(commands.tcp_send_to, t, THEM, port, memoryview(pattern(1, n)), 0, n)
    m.written[id(t)] = 1 + max(done, 0)
    p = m.peer_of(t)
    return done, t, p


def client(cookie=COOKIE, mss=1460, profile="linux-6", **knobs):
    """A machine that knows the cookie of its peer."""
    on = {"tcp_fastopen": 3} if profile == "linux-6" else {"tcp_fastopen_client": 1}
    m = Machine(profile, **(on | knobs))
    t = m.socket()
    t.fo |= tcb.FO_SOCKET
    done, t, p = fast_connect(m, t=t)
    assert done == (-Err.EINPROGRESS if profile == "linux-6" else 100)
    s = p.next()
    assert "FO" in s.options
    assert s.payload == b""
    p.send(f"S. 0:0(0) ack 1 win 65535 <mss {mss},FO {cookie},nop,nop>")
    p.next()
    return m


def test_a_client_asks_for_a_cookie():
    m = Machine("linux-6", tcp_fastopen=1)
    done, t, p = fast_connect(m)
    assert done == -Err.EINPROGRESS
    p.expect("S 0:0(0) <mss 1460,sackOK,TS,nop,wscale 10,FO,nop,nop>")
    p.send(f"S. 0:0(0) ack 1 win 65535 <mss 1460,FO {COOKIE},nop,nop>", wait=0.01)
    p.expect(". 1:1(0) ack 1")
    assert m.write(t, 50) == 50
    p.expect("P. 1:51(50) ack 1")


def test_data_goes_with_the_syn():
    m = client()
    done, t, p = fast_connect(m)
    assert done == 100
    p.expect(f"S 0:100(100) <mss 1460,sackOK,TS,nop,wscale 10,FO {COOKIE},nop,nop>")
    assert m.write(t, 1) == -Err.EAGAIN
    p.send("S. 0:0(0) ack 101 win 65535 <mss 1460>", wait=0.01)
    p.expect(". 101:101(0) ack 1")
    assert t.fo & tcb.FO_TAKEN
    assert t.sndq.cc == 0
    m.write(t, 10)
    p.expect("P. 101:111(10) ack 1")


def test_a_freebsd_client_queues_what_the_syn_cannot_take():
    m = client(profile="freebsd-14")
    t = m.socket()
    t.fo |= tcb.FO_SOCKET
    done, t, p = fast_connect(m, 3000, t=t)
    assert done == 3000
    s = p.expect(f"S 0:1420(1420) <mss 1460,nop,wscale 6,sackOK,TS,FO {COOKIE},eol,eol>")
    assert s.flags == SYN
    p.send("S. 0:0(0) ack 1421 win 65535 <mss 1460>", wait=0.01)
    p.expect(". 1421:2881(1460) ack 1")
    p.expect("P. 2881:3001(120) ack 1")


@pytest.mark.parametrize(("ack", "rest"), [(1, "P. 1:101(100)"), (51, "P. 51:101(50)")])
def test_what_the_server_did_not_take_goes_at_once(ack, rest):
    m = client()
    _, t, p = fast_connect(m)
    p.next()
    p.send(f"S. 0:0(0) ack {ack} win 65535 <mss 1460>", wait=0.01)
    p.expect(f"{rest} ack 1")
    assert not t.fo & tcb.FO_TAKEN
    p.send(". 1:1(0) ack 101 win 65535", wait=0.01)
    assert t.sndq.cc == 0
    p.quiet(10)


def test_the_syn_again_is_an_ordinary_one():
    m = client()
    _, t, p = fast_connect(m)
    p.next()
    p.expect("S 0:0(0) <mss 1460,sackOK,TS,nop,wscale 10>", after=1.0)
    p.expect("S 0:0(0) <mss 1460,sackOK,TS,nop,wscale 10>", after=1.0)
    p.send("S. 0:0(0) ack 1 win 65535 <mss 1460>")
    p.expect("P. 1:101(100) ack 1")
    assert t.state == ESTABLISHED


def test_the_mss_is_remembered_with_the_cookie():
    """940 octets of MSS, 40 for options: 900; seen on 6.18."""
    m = client(mss=940)
    done, _, p = fast_connect(m, 3000)
    assert done == 900
    p.expect(f"S 0:900(900) <mss 1460,sackOK,TS,nop,wscale 10,FO {COOKIE},nop,nop>")


def test_nothing_to_send():
    m = client()
    done, _, p = fast_connect(m, 0)
    assert done == -Err.EINPROGRESS
    p.expect(f"S 0:0(0) <mss 1460,sackOK,TS,nop,wscale 10,FO {COOKIE},nop,nop>")


def test_data_come_back_with_the_syn_ack():
    m = client()
    _, t, p = fast_connect(m)
    p.next()
    p.send("S. 0:20(20) ack 101 win 65535 <mss 1460>")
    p.expect(". 101:101(0) ack 21")
    assert len(m.read(t)) == 20


def test_simultaneous_open_gives_fast_open_up():
    m = client()
    _, t, p = fast_connect(m)
    p.next()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.expect("S. 0:0(0) ack 1 <mss 1460,sackOK,TS,nop,wscale 10>")
    p.send(". 1:1(0) ack 1 win 65535")
    assert t.state == ESTABLISHED
    p.expect("P. 1:101(100) ack 1", within=2)


def test_refused():
    m = client()
    _, t, p = fast_connect(m)
    p.next()
    p.send("R. 0:0(0) ack 101 win 0")
    assert t.so_error == Err.ECONNREFUSED
    assert t.sndq.cc == 0


def test_the_other_option_is_tried_once():
    """No cookie for option 34: ask with 254, and if that does not help either, with 34 for ever (seen on 6.18)."""
    m = Machine("linux-6", tcp_fastopen=1)
    for i, option in enumerate(("FO,nop,nop", "FOEXP", "FO,nop,nop", "FO,nop,nop")):
        _, t, p = fast_connect(m, port=80 + i)
        p.expect(f"S 0:0(0) <mss 1460,sackOK,TS,nop,wscale 10,{option}>")
        p.send("S. 0:0(0) ack 1 win 65535 <mss 1460>")
    _, t, p = fast_connect(m, port=90)
    p.next()
    p.send("S. 0:0(0) ack 1 win 65535 <mss 1460,FOEXP 0102030405060708>")
    _, t, p = fast_connect(m, port=91)
    p.expect("S 0:100(100) <mss 1460,sackOK,TS,nop,wscale 10,FOEXP 0102030405060708>")
    assert t.state == SYN_SENT


def test_a_black_hole_ends_it_for_a_while():
    """Three timeouts of a SYN with Fast Open, where the knob is set (ip-sysctl, RFC 7413 section 4.4)."""
    m = client(tcp_fastopen_disable=3600 * consts.SECOND)
    _, _, p = fast_connect(m)
    p.next()
    for _ in range(3):
        p.expect("S 0:0(0)", after=1.0)
    done, _, q = fast_connect(m, port=81)
    assert done == -Err.EINPROGRESS
    q.expect("S 0:0(0) <mss 1460,sackOK,TS,nop,wscale 10>")
    m.run(3600)
    done, _, q = fast_connect(m, port=82)
    assert done == 100


def test_a_freebsd_path_is_given_up_at_the_first_loss():
    m = client(profile="freebsd-14", tcp_fastopen_path_disable=900 * consts.SECOND)
    t = m.socket()
    t.fo |= tcb.FO_SOCKET
    _, t, p = fast_connect(m, t=t)
    p.next()
    p.expect("S 0:0(0)", after=1.0)
    u = m.socket()
    u.fo |= tcb.FO_SOCKET
    _, _, q = fast_connect(m, port=81, t=u)
    q.expect("S 0:0(0) <mss 1460,nop,wscale 6,sackOK,TS>")
    q.send("S. 0:0(0) ack 1 win 65535 <mss 1460>")
    q.expect("P. 1:101(100) ack 1")


@pytest.mark.parametrize("how", ["knob", "socket"])
def test_a_client_without_a_cookie(how):
    m = Machine("linux-6", tcp_fastopen=5 if how == "knob" else 1)
    t = m.socket()
    if how == "socket":
        t.fo |= tcb.FO_NO_COOKIE
    done, _, p = fast_connect(m, 30, t=t)
    assert done == 30
    p.expect("S 0:30(30) <mss 1460,sackOK,TS,nop,wscale 10>")


def test_errors_of_a_fast_open():
    m = Machine("linux-6", tcp_fastopen=2)
    assert fast_connect(m)[0] == -Err.EOPNOTSUPP
    m = client()
    _, t, _ = fast_connect(m)
    again = m.call(commands.tcp_send_to, t, THEM, 80, memoryview(b"x"), 0, 1)
    assert again == -Err.EALREADY
    assert m.call(opening.tcp_connect, t, THEM, 80) == -Err.EALREADY


# --- the face ------------------------------------------------------------------------------------------------------


def two_hosts():
    import pystack

    net = pystack.Network(seed=3)
    a = net.host("a", "192.0.2.1/24", profile="linux-6")
    b = net.host("b", "192.0.2.2/24", profile="linux-6")
    net.link(a, b, delay="10ms")
    a.sysctl["net.ipv4.tcp_fastopen"] = 0x403
    a.sysctl["net.ipv4.tcp_fastopen_key"] = KEY
    b.sysctl["net.ipv4.tcp_fastopen"] = 1
    listener = a.socket()
    listener.bind(("", 80))
    listener.listen(8)
    return net, a, b, listener


def test_two_machines():
    """The first connection asks, the second is a round trip quicker."""
    net, a, b, listener = two_hosts()
    assert a.sysctl["net.ipv4.tcp_fastopen_key"] == KEY
    assert listener.getsockopt(sockopts.IPPROTO_TCP, sockopts.TCP_FASTOPEN) == 8
    took = []
    for _ in range(2):
        client = b.socket()
        start = net.now
        if took:
            client.setblocking(False)
        assert client.sendto(b"hello", socket_flag(), ("192.0.2.1", 80)) == 5
        conn, _ = listener.accept()
        assert conn.recv(10) == b"hello"
        took.append(net.now - start)
    assert took == [30_000_000, 10_000_000]


def socket_flag() -> int:
    from pystack import sockbase

    return sockbase.MSG_FASTOPEN


def test_connect_that_waits_for_the_first_write():
    net, _a, b, listener = two_hosts()
    first = b.socket()
    first.sendto(b"hello", socket_flag(), ("192.0.2.1", 80))
    listener.accept()
    client = b.socket()
    client.setsockopt(sockopts.IPPROTO_TCP, sockopts.TCP_FASTOPEN_CONNECT, 1)
    client.connect(("192.0.2.1", 80))
    assert client.writable()
    with pytest.raises(OSError, match="connected"):
        client.connect(("192.0.2.1", 80))
    assert client.send(b"world") == 5
    conn, _ = listener.accept()
    assert conn.recv(10) == b"world"
    net.run(for_="1s")
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO)
    assert info.tcpi_options & 32
    assert conn.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO).tcpi_options & 32


def test_flags_of_a_fast_syn_ack():
    m, _, cookie = server()
    p = fast_syn(m, cookie)
    assert p.next().flags == SYN | ACK
