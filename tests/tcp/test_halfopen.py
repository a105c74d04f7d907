"""A half-open connection against every segment: Linux as seen on 6.18, FreeBSD as its syncache has it.

Facts: freebsd-tcp 3.3, conntrack 9.6. `EVENTS` is the table: what comes, what each system says to it, and whether the
right third segment makes a connection afterwards.
"""

import pytest
from tcp.peer import PROFILES, Machine

from pystack import sockopts
from pystack._fast import consts
from pystack._fast.consts import ESTABLISHED, SECOND, Note

SYN = "S 0:0(0) win 65535 <mss 1460>"
TS_SYN = "S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>"
ACK = ". 1:1(0) ack 1 win 65535"

# segment, Linux's answer, FreeBSD 14's answer, alive afterwards on (Linux, FreeBSD 14)
EVENTS = {
    "rst": ("R 1:1(0)", None, None, (False, False)),
    "rst-ack": ("R. 1:1(0) ack 1", None, None, (False, False)),
    "rst-bad-ack": ("R. 1:1(0) ack 5", None, None, (False, False)),
    "rst-in-window": ("R 100:100(0)", ". 1:1(0) ack 1", ". 1:1(0) ack 1", (True, True)),
    "rst-outside": ("R 100000:100000(0)", None, None, (True, True)),
    "rst-irs": ("R 0:0(0)", None, None, (True, True)),
    "syn-rst": ("SR 0:0(0)", None, None, (True, True)),
    "ack-0": (". 1:1(0) ack 0 win 1", "R 0:0(0)", "R 0:0(0)", (True, True)),
    "ack-2": (". 1:1(0) ack 2 win 1", "R 2:2(0)", "R 2:2(0)", (True, True)),
    "ack-2-data": ("P. 1:11(10) ack 2 win 1", "R 2:2(0)", "R 2:2(0)", (True, True)),
    "seq-0": (". 0:0(0) ack 1 win 1", ". 1:1(0) ack 1", "R 1:1(0)", (True, True)),
    "seq-far": (". 100000:100000(0) ack 1 win 1", ". 1:1(0) ack 1", "R 1:1(0)", (True, True)),
    "data-no-ack": ("P 1:11(10) win 1", None, None, (True, True)),
    "fin-no-ack": ("F 1:1(0) win 1", None, None, (True, True)),
    "syn-ack": ("S. 0:0(0) ack 1 win 1 <mss 1460>", ". 1:1(0) ack 1", "R 1:1(0)", (True, False)),
    "syn-ack-1": ("S. 1:1(0) ack 1 win 1 <mss 1460>", "R 1:1(0)", "R 1:1(0)", (False, False)),
    "syn-ack-bad": ("S. 0:0(0) ack 5 win 1 <mss 1460>", "R 5:5(0)", "R 5:5(0)", (True, False)),
    "syn-far": (
        "S 100000:100000(0) win 1 <mss 1460>",
        ". 1:1(0) ack 1",
        "S. 0:0(0) ack 1",
        (True, True),
    ),
    "syn-old": (
        "S 4294966296:4294966296(0) win 1 <mss 1460>",
        ". 1:1(0) ack 1",
        "S. 0:0(0) ack 1",
        (True, True),
    ),
}


def half_open(profile, syn=SYN, **knobs):
    m = Machine(profile, **knobs)
    listener = m.listen()
    p = m.peer()
    p.send(syn)
    p.next(0)
    return m, listener, p


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
def test_event(profile, event):
    line, linux, bsd, alive = EVENTS[event]
    answer = linux if profile == "linux-6" else bsd
    m, listener, p = half_open(profile)
    p.send(line)
    if answer:
        p.expect(answer)
    p.quiet()
    p.send(ACK)
    t = m.accept(listener)
    if alive[profile != "linux-6"]:
        assert t.state == ESTABLISHED
        p.quiet()
    else:
        assert t is None
        p.expect("R 1:1(0)")


def test_a_syn_in_the_window_begins_anew_on_linux():
    """RST,ACK for the new number, and nothing is left."""
    m, listener, p = half_open("linux-6")
    isn = p.their_isn
    p.send("S 1000:1000(0) win 65535 <mss 1460>")
    p.their_isn = 0
    p.expect("R. 0:0(0) ack 1001")
    p.their_isn = isn
    assert m.core.listeners.cache.used == 0
    assert m.accept(listener) is None


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seq", [64240, 64241, 64242])
def test_the_edge_of_the_window(profile, seq):
    """An ACK without data at the edge itself is in the window; FreeBSD counts from IRS."""
    m, listener, p = half_open(profile)
    p.send(f". {seq}:{seq}(0) ack 1 win 65535")
    t = m.accept(listener)
    if profile == "linux-6" and seq == 64242:
        p.expect(". 1:1(0) ack 1")
        assert t is None
    else:
        assert t.state == ESTABLISHED


def test_linux_says_so_at_most_twice_a_second():
    """tcp_invalid_ratelimit: duplicate SYNs and segments outside of the window share it; data are not limited."""
    m, _, p = half_open("linux-6")
    p.send(SYN)
    p.expect("S. 0:0(0) ack 1")
    p.send(SYN, wait=0.1)
    p.send(". 100000:100000(0) ack 1 win 1", wait=0.1)
    p.quiet(0.2)
    p.send("P. 100000:100010(10) ack 1 win 1")
    p.expect(". 1:1(0) ack 1")
    p.send(SYN, wait=0.11)
    p.expect("S. 0:0(0) ack 1")
    assert m.stat("challenge_suppressed") == 2


def test_linux_keeps_the_schedule_at_a_duplicate_syn():
    """The timer begins anew with the wait that it had: seen on 6.18 with SYNs at 0, 0.5 and 2.5 s."""
    _, _, p = half_open("linux-6")
    seen = [0.0]
    m = p.m
    for at in (0.5, 2.5, 70):
        while m.now < at * SECOND:
            m.run(until=round(at * SECOND), stop=lambda: bool(p.inbox))
            while p.inbox:
                seen.append(p.next(0).time / SECOND)
        if at < 70:
            p.send(SYN)
    assert [round(x, 2) for x in seen] == [0.0, 0.5, 1.5, 2.5, 4.5, 8.5, 16.5, 32.5]
    assert m.core.listeners.cache.used == 0


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14"])
def test_freebsd_begins_its_schedule_anew_at_a_duplicate_syn(profile):
    first = 3.0 if profile == "freebsd-10" else 1.0
    _, _, p = half_open(profile)
    p.expect("S. 0:0(0) ack 1", after=first)
    p.send(SYN)
    p.expect("S. 0:0(0) ack 1")
    p.expect("S. 0:0(0) ack 1", after=first)


def test_timestamps_of_a_duplicate_syn():
    """FreeBSD echoes the newest and forgets them when the SYN has none; Linux keeps the first."""
    newer = TS_SYN.replace("100", "150")
    _, _, p = half_open("linux-6", TS_SYN)
    p.send(newer)
    assert p.next(0).ts[1] == 100
    _, _, p = half_open("freebsd-14", TS_SYN)
    p.send(newer)
    assert p.next(0).ts[1] == 150
    p.send(SYN)
    assert p.next(0).ts is None


@pytest.mark.parametrize(
    ("options", "answer"),
    [("TS val 99 ecr", ". 1:1(0) ack 1 <nop,nop,TS>"), ("TS val 101 ecr", None), ("", None)],
)
def test_linux_and_the_timestamp_of_the_third_segment(options, answer):
    """Older than the SYN's: an ACK, no connection. None at all is let pass."""
    m, listener, p = half_open("linux-6", TS_SYN)
    spec = f"<nop,nop,{options} {p.their_ts}>" if options else "<>"
    p.sent_ts = False
    p.send(f"{ACK} {spec}")
    if answer:
        p.expect(answer)
    assert (m.accept(listener) is None) is (answer is not None)


def test_linux_and_an_echo_of_what_it_never_said():
    m, listener, p = half_open("linux-6", TS_SYN)
    p.sent_ts = False
    p.send(f"{ACK} <nop,nop,TS val 101 ecr 7>")
    p.expect(". 1:1(0) ack 1 <nop,nop,TS>")
    assert m.accept(listener) is None


@pytest.mark.parametrize("tolerate", [0, 1])
def test_freebsd_and_a_third_segment_without_its_timestamp(tolerate):
    m, listener, p = half_open("freebsd-14", TS_SYN, tcp_tolerate_missing_ts=tolerate)
    p.sent_ts = False
    p.send(ACK)
    p.quiet(0.5)
    assert (m.accept(listener) is not None) is bool(tolerate)


@pytest.mark.parametrize("insecure", [0, 1])
def test_freebsd_insecure_rst(insecure):
    """net.inet.tcp.insecure_rst: any RST in the window counts (before RFC 5961)."""
    m, _, p = half_open("freebsd-14", tcp_insecure_rst=insecure)
    p.send("R 100:100(0)")
    if not insecure:
        p.expect(". 1:1(0) ack 1")
    assert m.core.listeners.cache.used == (0 if insecure else 1)


@pytest.mark.parametrize(
    ("profile", "kind", "code", "gone"),
    [
        ("linux-6", 3, 0, True),
        ("linux-6", 3, 1, True),
        ("linux-6", 3, 2, False),
        ("linux-6", 3, 3, False),
        ("linux-6", 3, 13, False),
        ("linux-6", 11, 0, True),
        ("linux-6", 12, 0, True),
        ("freebsd-14", 3, 1, False),
        ("freebsd-14", 3, 3, False),
    ],
)
def test_icmp_about_a_syn_ack(profile, kind, code, gone):
    """Linux gives up where host or net cannot be reached; only the exact number is believed."""
    from tcp.test_ecn_icmp import icmp

    m, listener, p = half_open(profile)
    icmp(m, p, kind, code, 1)
    assert m.core.listeners.cache.used == 1
    icmp(m, p, kind, code, 0)
    assert m.core.listeners.cache.used == (0 if gone else 1)
    assert listener.synqlen == (0 if gone else 1)


def test_freebsd_believes_the_second_icmp_after_three_repetitions():
    from tcp.test_ecn_icmp import icmp

    m, _, p = half_open("freebsd-14", syncache_rexmtlimit=6)
    icmp(m, p, 3, 1, 0)
    for wait in (1.0, 2.2, 4.2, 8.2):
        assert m.core.listeners.cache.used == 1
        p.expect("S. 0:0(0) ack 1", after=wait)
    icmp(m, p, 3, 1, 0)
    assert m.core.listeners.cache.used == 0
    assert m.stat("sc_unreach") == 1


# --- listeners -----------------------------------------------------------------------------------------------------


def test_linux_repeats_less_when_half_of_the_queue_is_old():
    """reqsk_timer: more than half of the backlog half-open, and hardly any of them young."""
    m = Machine("linux-6")
    m.listen(backlog=10)
    for port in range(2000, 2006):
        m.peer(port).send(SYN)
    m.run(70)
    # the first goes after two repetitions; then half of the queue is free, and the others have their five
    assert sorted(len(p.inbox) for p in m.peers.values()) == [3, 6, 6, 6, 6, 6]


@pytest.mark.parametrize(("seconds", "reads"), [(0, 0), (1, 1), (2, 3), (5, 7), (30, 31), (60, 63)])
def test_defer_accept_is_kept_as_a_count(seconds, reads):
    import pystack

    net = pystack.Network(seed=1)
    sock = net.host("a", "192.0.2.1/24", profile="linux-6").socket()
    sock.setsockopt(sockopts.IPPROTO_TCP, sockopts.TCP_DEFER_ACCEPT, seconds)
    assert sock.getsockopt(sockopts.IPPROTO_TCP, sockopts.TCP_DEFER_ACCEPT) == reads


def deferring(count=3):
    m = Machine("linux-6")
    listener = m.listen()
    listener.defer_accept = count
    p = m.peer()
    p.send(SYN)
    p.next(0)
    return m, listener, p


def test_defer_accept_waits_for_data():
    m, listener, p = deferring()
    p.send(ACK)
    p.quiet(1.5)
    assert m.accept(listener) is None
    p.send("P. 1:11(10) ack 1 win 65535")
    p.expect(". 1:1(0) ack 11")
    assert len(m.read(m.accept(listener))) == 10


def test_defer_accept_reminds_at_the_end_of_its_time():
    """Silence at 1 and 3 s, the SYN-ACK at 7 s, and an ACK is enough then; seen on 6.18 with 5 seconds."""
    m, listener, p = deferring()
    p.send(ACK)
    p.expect("S. 0:0(0) ack 1", after=7.0)
    p.send(ACK)
    assert m.accept(listener).state == ESTABLISHED


def test_syn_count_of_a_listener():
    """TCP_SYNCNT counts its SYN-ACKs: two repetitions, at 1 and 3 s."""
    m = Machine("linux-6")
    m.listen().syncnt = 2
    p = m.peer()
    p.send(SYN)
    p.next(0)
    p.expect("S. 0:0(0) ack 1", after=1.0)
    p.expect("S. 0:0(0) ack 1", after=2.0)
    p.quiet(100)
    m.core.settle(m.now)
    assert m.core.listeners.cache.used == 0


@pytest.mark.parametrize("profile", PROFILES)
def test_a_syn_with_fin(profile):
    """Linux's listeners do not take it; FreeBSD ignores the FIN, unless drop_synfin is set."""
    m = Machine(profile)
    m.listen()
    p = m.peer()
    p.send("SF 0:0(0) win 65535 <mss 1460>")
    if profile == "linux-6":
        p.quiet(1)
    else:
        p.expect("S. 0:0(0) ack 1")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (". 1:1(0) ack 7 win 1", "R 7:7(0)"),
        ("F. 1:1(0) ack 7 win 1", "R 7:7(0)"),
        ("P. 1:11(10) ack 7 win 1", "R 7:7(0)"),
        ("S. 1:1(0) ack 7 win 1", "R 7:7(0)"),
        ("R. 1:1(0) ack 7", None),
        ("R 1:1(0)", None),
        ("F 1:1(0) win 1", None),
        ("P 1:6(5) win 1", None),
        ("SR 1:1(0) win 1", None),
    ],
)
@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_not_for_a_listener(profile, line, answer):
    m = Machine(profile)
    m.listen()
    p = m.peer()
    p.send(line)
    if answer:
        p.expect(answer)
    p.quiet(2)


@pytest.mark.parametrize("profile", PROFILES)
def test_closing_a_listener(profile):
    """Who waits to be accepted is reset; the half-open are forgotten and reset when they speak."""
    m = Machine(profile)
    listener = m.listen()
    a, b, c = (m.peer(2000 + i) for i in range(3))
    for p in (a, b, c):
        p.send(SYN)
        p.next(0)
    b.send(ACK)
    c.send("P. 1:11(10) ack 1 win 65535")
    m.run(0.2)
    c.inbox.clear()
    m.close(listener)
    b.expect("R. 1:1(0) ack 1")
    c.expect("R. 1:1(0) ack 11")
    a.send(ACK)
    a.expect("R 1:1(0)")
    m.assert_clean()


@pytest.mark.parametrize("how", [0, 1, 2])
def test_shutdown_of_a_listener_on_linux(how):
    """SHUT_RD ends the listening, and listen() begins it again; SHUT_WR changes nothing (6.18)."""
    m = Machine("linux-6")
    listener = m.listen()
    a, b = m.peer(2000), m.peer(2001)
    for p in (a, b):
        p.send(SYN)
        p.next(0)
    b.send(ACK)
    assert m.shutdown(listener, how) == 0
    if how == 1:
        a.send(ACK)
        assert m.accept(listener).fport == 2001
        assert m.accept(listener).fport == 2000
        return
    b.expect("R. 1:1(0) ack 1")
    assert listener.state == consts.CLOSED
    c = m.peer(2002)
    c.send(SYN)
    assert c.next(0).flags == consts.RST | consts.ACK
    a.send(ACK)
    a.expect("R 1:1(0)")
    assert m.call(_listen, listener, 5) == 0
    d = m.peer(2003)
    d.send(SYN)
    d.expect("S. 0:0(0) ack 1")


def _listen(core, t, backlog):
    from pystack._fast.opening import tcp_listen

    return tcp_listen(core, t, backlog)


def test_shutdown_of_a_listener_on_freebsd():
    """accept() fails with ECONNABORTED, and shutdown itself with ENOTCONN (soshutdown, 12 and later)."""
    import errno

    import pystack

    net = pystack.Network(seed=1)
    sock = net.host("a", "192.0.2.1/24", profile="freebsd-14").socket()
    sock.bind(("", 80))
    sock.listen(5)
    sock.setblocking(False)
    with pytest.raises(OSError, match="ot connected"):
        sock.shutdown(0)
    with pytest.raises(OSError) as failed:
        sock.accept()
    assert failed.value.errno == errno.ECONNABORTED


# --- cookies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mss", "kept"),
    [(0, 536), (535, 536), (536, 536), (1299, 536), (1300, 1300), (1439, 1300), (1440, 1440),
     (1459, 1440), (1460, 1460), (9000, 1460)],
)  # fmt: skip
def test_the_four_sizes_of_a_linux_cookie(mss, kept):
    m = Machine("linux-6", tcp_syncookies=2, tcp_minmss=48)
    listener = m.listen()
    p = m.peer()
    p.send(f"S 0:0(0) win 65535 <mss {mss}>")
    p.expect("S. 0:0(0) ack 1 <mss 1460>")
    p.send(ACK)
    assert m.accept(listener).mss_peer == kept


@pytest.mark.parametrize("ecn", [False, True])
@pytest.mark.parametrize("sack", [False, True])
@pytest.mark.parametrize("scale", [None, 0, 7, 14])
def test_what_a_timestamp_of_linux_hides(scale, sack, ecn):
    """Four bits of scale, one of SACK, one of ECN (6.18, with tcp_timestamps=2: the bits are seen on the wire)."""
    m = Machine("linux-6", tcp_syncookies=2, tcp_ecn=2)
    listener = m.listen()
    p = m.peer()
    options = "mss 1460" + (",sackOK,TS" if sack else ",nop,nop,TS")
    if scale is not None:
        options += f",nop,wscale {scale}"
    p.send(f"{'SEW' if ecn else 'S'} 0:0(0) win 65535 <{options}>")
    s = p.next(0)
    assert bool(s.flags & consts.ECE) is ecn
    hidden = (s.ts[0] - m.core.new_ts_offset(0xC0000201, 0xC0000202)) & 63
    assert hidden == (15 if scale is None else scale) | (16 if sack else 0) | (32 if ecn else 0)
    p.send(". 1:1(0) ack 1 win 1000 <nop,nop,TS>")
    t = m.accept(listener)
    from pystack._fast import tcb

    assert t.snd_scale == (scale or 0)
    assert bool(t.t_flags & tcb.TF_SACK_PERMIT) is sack
    assert bool(t.t_flags & tcb.TF_ECN) is ecn
    assert t.rcv_scale == (0 if scale is None else 10)


def test_a_linux_cookie_without_timestamps_loses_all_but_the_mss():
    m = Machine("linux-6", tcp_syncookies=2)
    listener = m.listen()
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 7>")
    p.expect("S. 0:0(0) ack 1 <mss 1460>")
    p.send(ACK)
    assert m.accept(listener).snd_scale == 0


@pytest.mark.parametrize(("seq", "kept"), [(1, 1460), (2, 1440), (3, 1300), (4, 536), (5, None)])
def test_a_linux_cookie_one_octet_late_is_one_of_a_smaller_size(seq, kept):
    """The number of the size is added to the rest of the cookie (6.18)."""
    m = Machine("linux-6", tcp_syncookies=2)
    listener = m.listen()
    p = m.peer()
    p.send(SYN)
    p.next(0)
    p.send(f". {seq}:{seq}(0) ack 1 win 65535")
    t = m.accept(listener)
    if kept:
        assert t.mss_peer == kept
    else:
        assert t is None
        p.expect("R 1:1(0)")


def test_linux_without_cookies_keeps_a_quarter_for_known_peers():
    """Facts: conntrack 9.6: tcp_max_syn_backlog 8 lets 7 unknown peers in."""
    m = Machine("linux-6", tcp_syncookies=0, tcp_max_syn_backlog=8)
    m.listen(backlog=100)
    for port in range(2000, 2010):
        m.peer(port).send(SYN)
    assert m.core.listeners.cache.used == 7


def test_freebsd_believes_cookies_only_after_an_overflow_of_their_bucket():
    m = Machine("freebsd-14", syncache_bucketlimit=1, syncache_hashsize=1, syncache_pause=0)
    listener = m.listen()
    a, b = m.peer(2000), m.peer(2001)
    a.send(SYN)
    a.next(0)
    b.send(SYN)
    b.next(0)
    m.run(16)
    a.inbox.clear()
    a.send(ACK)
    a.expect("R 1:1(0)")
    assert m.accept(listener) is None


def test_freebsd_answers_with_nothing_but_cookies_after_an_overflow():
    """syncache_pause, 12 and later: for 15 s nothing is kept; and it says so."""
    m = Machine("freebsd-14", syncache_bucketlimit=1, syncache_hashsize=1)
    said = []
    m.core.log = lambda note, socket, number, other: said.append((note, number))
    m.listen()
    for port in (2000, 2001, 2002):
        m.peer(port).send(SYN)
        m.peers[80, port].next(0)
    assert m.core.listeners.cache.used == 1
    assert said == [(Note.SYNCACHE_PAUSE, 15)]
    m.run(15)
    assert m.core.listeners.cache.used == 0
    m.peer(2003).send(SYN)
    assert m.core.listeners.cache.used == 1


def test_freebsd_cookies_only():
    m = Machine("freebsd-14", tcp_syncookies_only=1)
    listener = m.listen()
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1400,nop,wscale 7,sackOK,TS>")
    p.expect("S. 0:0(0) ack 1 <mss 1460,nop,wscale 6,sackOK,TS>")
    assert m.core.listeners.cache.used == 0
    p.send(". 1:1(0) ack 1 win 1000 <nop,nop,TS>")
    t = m.accept(listener)
    assert (t.mss_peer, t.snd_scale) == (1400, 7)
