"""net.inet.tcp.log_debug: why a segment was rejected, in the words of tcp_syncache.c and tcp_input.c (facts: 3.8)."""

import pytest
from limits.test_kernlog import logged
from tcp.peer import Machine

ENDS = "TCP: [192.0.2.2]:4000 to [192.0.2.1]:80"


def quiet(log) -> list[str]:
    """The lines that log_debug adds."""
    return [line for line in log.lines() if line.startswith("TCP: ")]


def half_open(m: Machine):
    p = m.peer(4000)
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next(0)
    return p


@pytest.mark.parametrize("on", [0, 1])
def test_a_handshake_that_nobody_ends(on):
    m, log = logged("freebsd-10", tcp_log_debug=on)
    m.listen(80)
    half_open(m)
    m.run(60)
    again = f"{ENDS}; syncache_timer: Response timeout, retransmitting ({{}}) SYN|ACK"
    over = f"{ENDS}; syncache_timer: Retransmits exhausted, giving up and removing syncache entry"
    assert quiet(log) == ([*map(again.format, (1, 2, 3)), over] if on else [])


def test_a_syn_that_comes_again():
    m, log = logged("freebsd-10", tcp_log_debug=1)
    m.listen(80)
    p = half_open(m)
    p.send("S 0:0(0) win 65535 <mss 1460>")
    assert quiet(log) == [
        f"{ENDS} tcpflags 0x2<SYN>; syncache_add: Received duplicate SYN, resetting timer and "
        "retransmitting SYN|ACK"
    ]


def test_a_syn_ack_that_is_rejected():
    m, log = logged("freebsd-10", tcp_log_debug=1)
    m.listen(80)
    half_open(m).send("R 1:1(0) win 0")
    assert quiet(log) == [
        f"{ENDS} tcpflags 0x4<RST>; syncache_chkrst: Our SYN|ACK was rejected, connection attempt "
        "aborted by remote endpoint"
    ]


def test_acknowledgments_of_nothing():
    m, log = logged("freebsd-10", tcp_log_debug=1)
    m.listen(80)
    m.peer(4000).send(". 1:1(0) ack 1 win 65535")
    m.core.cfg.tcp_syncookies_only = 1
    m.peer(4000).send(". 1:1(0) ack 1 win 65535")
    assert quiet(log) == [
        f"{ENDS} tcpflags 0x10<ACK>; syncache_expand: Spurious ACK, segment rejected (no syncache entry)",
        f"{ENDS} tcpflags 0x10<ACK>; syncache_expand: Segment failed SYNCOOKIE authentication, "
        "segment rejected (probably spoofed)",
    ]


def test_a_connection_that_finds_no_room():
    m, log = logged("freebsd-10", tcp_log_debug=1)
    m.listen(80, backlog=0)
    for port in (4001, 4000):
        p = m.peer(port)
        p.send("S 0:0(0) win 65535 <mss 1460>")
        p.next(0)
        p.send(". 1:1(0) ack 1 win 65535")
    assert quiet(log) == [
        f"{ENDS} tcpflags 0x10<ACK>; syncache_socket: Socket create failed due to limits or memory shortage"
    ]


def test_data_after_close():
    m, log = logged("freebsd-10", tcp_log_debug=1)
    listener = m.listen(80)
    p = half_open(m)
    p.send(". 1:1(0) ack 1 win 65535")
    t = m.accept(listener)
    m.close(t)
    p.send("P. 1:11(10) ack 1 win 65535")
    assert quiet(log) == [
        f"{ENDS} tcpflags 0x18<PUSH,ACK>; tcp_do_segment: Received 10 bytes of data after socket was "
        "closed, sending RST and removing tcpcb"
    ]


def test_the_listen_queue_line_can_be_switched_off():
    """kern.ipc.sooverprio: -1 says nothing."""
    for priority, lines in ((7, 1), (-1, 0)):
        m, log = logged("freebsd-14", sooverprio=priority)
        m.listen(80, backlog=0)
        for port in range(4000, 4004):
            p = m.peer(port)
            p.send("S 0:0(0) win 65535 <mss 1460>")
            p.next(0)
            p.send(". 1:1(0) ack 1 win 65535")
        assert len(log.lines()) == lines
        assert m.stat("listendrop") == 3
