"""NewReno: slow start with byte counting, then one segment a window (RFC 5681 section 3.1, RFC 3465)."""

from tcp.peer import Machine

from pystack._fast import newreno


def connection(**knobs: int):
    m = Machine("freebsd-10", **knobs)
    t = m.socket()
    t.maxseg = 1000
    t.snd_wnd = 65535
    return m.core, t


def test_slow_start():
    s, t = connection()
    t.cwnd, t.ssthresh = 10_000, 1 << 30
    newreno.on_ack(s, t, 1000)
    assert t.cwnd == 11_000
    newreno.on_ack(s, t, 2000)
    assert t.cwnd == 13_000, "L is two segments"
    newreno.on_ack(s, t, 10_000)
    assert t.cwnd == 15_000, "however much one acknowledgment says"
    newreno.on_ack(s, t, 100)
    assert t.cwnd == 15_100
    t.snd_max = 5000
    newreno.on_ack(s, t, 2000)
    assert t.cwnd == 16_100, "L is one segment after a timeout"


def test_without_byte_counting():
    s, t = connection(tcp_abc=0)
    t.cwnd, t.ssthresh = 10_000, 1 << 30
    newreno.on_ack(s, t, 100)
    assert t.cwnd == 11_000
    t.ssthresh = 5_000
    newreno.on_ack(s, t, 1000)
    assert t.cwnd == 11_090


def test_avoidance():
    s, t = connection()
    t.cwnd, t.ssthresh = 10_000, 5_000
    for _ in range(9):
        newreno.on_ack(s, t, 1000)
    assert t.cwnd == 10_000
    newreno.on_ack(s, t, 1000)
    assert t.cwnd == 11_000
    for _ in range(11):
        newreno.on_ack(s, t, 1000)
    assert t.cwnd == 12_000


def test_a_window_larger_than_the_peers_does_not_grow():
    s, t = connection()
    t.cwnd, t.ssthresh, t.snd_wnd = 10_000, 1 << 30, 9_999
    newreno.on_ack(s, t, 1000)
    assert t.cwnd == 10_000


def test_losses():
    s, t = connection()
    t.cwnd = 11_900
    assert newreno.after_loss(s, t) == 5_000, "whole segments"
    t.cwnd = 1_000
    assert newreno.after_loss(s, t) == 2_000
    t.cwnd, t.snd_wnd = 20_000, 10_000
    assert newreno.after_timeout(t) == 5_000


def test_a_mark_costs_less():
    s, t = connection(tcp_abe=1, tcp_abe_frlossreduce=1)
    t.cwnd = 10_000
    assert newreno.after_mark(s, t) == 8_000
    t.ssthresh = 8_000
    assert newreno.lost_too(s, t) == 5_000, "as if the loss had come alone"
    s, t = connection()
    t.cwnd, t.ssthresh = 10_000, 8_000
    assert newreno.after_mark(s, t) == 5_000
    assert newreno.lost_too(s, t) == 8_000
