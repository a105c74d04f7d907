"""What limits a sender, as TCP_INFO tells it; and a socket that is full before its buffer is (TCP_NOTSENT_LOWAT).

The kernel's rules: busy is the time with data to send, and of it the time in which the peer's window, or a send buffer
that the application would fill, kept the connection from sending more.
"""

from tcp.peer import opened

from pystack._fast.consts import Err
from pystack._fast.tcb import LIMIT_BUFFER, LIMIT_PEER, LIMIT_SELF


def test_busy_while_there_is_something_to_send():
    m, p, t = opened("linux-6", rtt=0.1)
    assert t.limit == 0
    m.write(t, 1000)
    assert t.limit == LIMIT_SELF
    p.next()
    p.send(". 1:1(0) ack 1001 win 65535", wait=0.05)
    assert (t.limit, t.busy_time, t.rwnd_time) == (0, 50_000_000, 0)


def test_the_window_limits():
    m, p, t = opened("linux-6", win=4000, rtt=0.1, tcp_early_retrans=0)
    m.write(t, 5000)
    assert t.limit == LIMIT_PEER
    p.inbox.clear()
    p.send(". 1:1(0) ack 2921 win 4000", wait=0.05)
    assert t.limit == LIMIT_SELF
    assert t.rwnd_time == t.busy_time == 50_000_000
    p.send(". 1:1(0) ack 5001 win 4000", wait=0.03)
    assert (t.limit, t.busy_time, t.rwnd_time) == (0, 80_000_000, 50_000_000)


def test_the_buffer_limits():
    m, p, t = opened("linux-6", win=65535, rtt=0.1, tcp_sendbuf_auto=0, tcp_early_retrans=0)
    t.sndq.hiwat = 4000
    assert m.write(t, 5000) == 5000  # room is asked for when a piece is begun
    assert m.write(t, 1000) == -Err.EAGAIN
    p.send(". 1:1(0) ack 1461 win 65535", wait=0.05)
    assert t.limit in (LIMIT_BUFFER, LIMIT_SELF)


def test_not_sent_low_water_mark():
    """What is on its way does not count: only so much more may wait behind it."""
    m, p, t = opened("linux-6", win=3000)
    t.notsent_lowat = 2000
    assert m.write(t, 3000) == 3000
    assert m.write(t, 2500) == 2500
    assert m.write(t, 10) == -Err.EAGAIN
    p.inbox.clear()
    p.send(". 1:1(0) ack 2921 win 65535")
    assert m.write(t, 10) == 10
