"""NewReno: slow start with byte counting, then one segment a window (RFC 5681 section 3.1, RFC 3465)."""

from tcp.peer import Machine

from pystack._fast import newreno
from pystack._fast.tcb import TF_RTO_RECOVERY


def connection(**knobs: int):
    m = Machine("freebsd-10", **knobs)
    t = m.socket()
    t.maxseg = 1000
    return m.core, t


def test_slow_start():
    s, t = connection()
    t.cwnd, t.ssthresh = 10_000, 1 << 30
    newreno.on_ack(s, t, 1000)
    assert t.cwnd == 11_000
    newreno.on_ack(s, t, 2000)
    assert t.cwnd == 13_000, "L is two segments"
    newreno.on_ack(s, t, 100)
    assert t.cwnd == 13_100
    t.t_flags |= TF_RTO_RECOVERY
    newreno.on_ack(s, t, 2000)
    assert t.cwnd == 14_100, "L is one segment after a timeout"


def test_a_window_of_slow_start_doubles_at_most():
    s, t = connection()
    t.cwnd, t.ssthresh = 10_000, 1 << 30
    newreno.on_ack(s, t, 10_000)  # one acknowledgment for a super-segment
    assert 15_000 <= t.cwnd <= 20_000


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
