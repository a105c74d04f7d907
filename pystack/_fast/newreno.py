"""NewReno's window: RFC 5681 slow start and congestion avoidance, byte counting of RFC 3465."""

import cython

from pystack._fast.tcb import TF_RTO_RECOVERY, Stack, Tcb  # noqa: F401


def on_ack(s, t, acked):
    """`acked` new octets were acknowledged outside of recovery."""
    mss: cython.uint = t.maxseg
    limit: cython.uint
    more: cython.uint = acked
    if t.cwnd < t.ssthresh:
        limit = s.cfg.tcp_abc_l_var * mss
        if t.t_flags & TF_RTO_RECOVERY or s.cfg.tcp_abc == 0:
            limit = mss  # RFC 3465 section 2.3: L is one segment in the slow start after a timeout
        if more > limit:
            # a stretch acknowledgment of a super-segment stands for one ACK every second segment
            more = limit * ((more + 2 * mss - 1) // (2 * mss))
        t.cwnd += more
        return
    t.bytes_acked += acked
    if t.bytes_acked >= cython.cast(cython.int, t.cwnd):
        t.bytes_acked -= t.cwnd
        t.cwnd += mss


def after_loss(s, t, flight):
    """Ssthresh after a loss or an ECN mark: half the flight, two segments at least (RFC 5681 section 3.1)."""
    half: cython.uint = flight // 2
    floor: cython.uint = 2 * t.maxseg
    return half if half > floor else floor
