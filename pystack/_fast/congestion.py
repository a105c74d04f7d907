"""The one interface behind which the congestion controls stand. A connection names its own by number (`Tcb.cc`)."""

import cython

from pystack._fast import cubic, cubic_count, newreno
from pystack._fast.consts import A_ACKED, A_SACKED, CA_OPEN, CC_CUBIC, RECOVERY_LINUX
from pystack._fast.flight import Flight  # noqa: F401
from pystack._fast.seq import after_eq
from pystack._fast.tcb import Stack, Tcb  # noqa: F401


def on_ack(s, t, acked):
    """`acked` new octets were acknowledged outside of recovery: grow the window, never past what scaling can say."""
    if t.cc == CC_CUBIC:
        cubic.on_ack(s, t, acked)
    else:
        newreno.on_ack(s, t, acked)
    most: cython.uint = 65535
    most = most << t.snd_scale
    if t.cwnd > most:
        t.cwnd = most


def after_loss(s, t):
    """The new ssthresh, octets; the algorithm notes what it needs to remember of the moment."""
    window: cython.uint
    if s.cfg.policy_recovery == RECOVERY_LINUX:
        window = t.cwnd // t.maxseg
        if t.cc == CC_CUBIC and t.flight is not None:
            window = cubic_count.reduced(t.flight, window)
        else:
            window = window >> 1 if window > 4 else 2
        return window * t.maxseg
    if t.cc == CC_CUBIC:
        return cubic.after_loss(s, t)
    return newreno.after_loss(s, t)


def after_mark(s, t):
    """The same after a congestion mark, octets (FreeBSD)."""
    return cubic.after_loss(s, t) if t.cc == CC_CUBIC else newreno.after_mark(s, t)


def lost_too(s, t):
    """The same when a mark has reduced the window already in this round trip, octets (FreeBSD)."""
    return t.ssthresh if t.cc == CC_CUBIC else newreno.lost_too(s, t)


def after_timeout(t):
    """Ssthresh after a timeout, octets."""
    return cubic.after_timeout(t) if t.cc == CC_CUBIC else newreno.after_timeout(t)


def undo_timeout(t):
    """The timeout was needless."""
    if t.cc == CC_CUBIC:
        cubic.undo_timeout(t)


def recovered(t, pipe):
    """The window after a recovery that leaves `pipe` octets in the network: no burst (RFC 6582 section 3.2 step 3)."""
    least: cython.uint = t.maxseg
    octets: cython.uint = pipe if pipe > 0 else 0
    window: cython.uint = t.ssthresh
    if t.cc == CC_CUBIC:
        window = cubic.recovered(t)
    if octets < t.ssthresh:
        return (octets if octets > least else least) + least
    return window


def initial_window(s, t):
    """RFC 6928 with the knob's number of segments, RFC 3390 with 0; one segment when the SYN was lost (RFC 5681)."""
    mss: cython.uint = t.maxseg
    if s.cfg.policy_recovery == RECOVERY_LINUX:
        # whole segments, and a SYN may be lost once (Linux tcp_init_transfer)
        return mss if t.syn_rexmits > 1 else initial_segments(s, t) * mss
    return mss if t.syn_rexmits > 0 else largest_initial(s, mss)


def initial_segments(s, t):
    """Linux: segments of the initial window; before 2.6.39 by the MSS (RFC 3390, tcp_init_cwnd)."""
    if s.cfg.tcp_initcwnd_segments > 0:
        return s.cfg.tcp_initcwnd_segments
    return 2 if t.maxseg > 1460 else 3 if t.maxseg > 1095 else 4


def largest_initial(s, mss):
    """What the knobs let an initial window be for this MSS, octets (FreeBSD tcp_compute_initwnd)."""
    segments: cython.uint = s.cfg.tcp_initcwnd_segments
    if segments == 0 and not s.cfg.tcp_rfc3390:
        return (2 if mss > 2190 else 3 if mss > 1095 else 4) * mss
    if segments == 0:
        return min(4 * mss, max(2 * mss, 4380))
    return min(segments * mss, max(2 * mss, segments * 1460))


def restart_window(s, t):
    """After an idle time of one RTO: no more than the initial window (RFC 5681 section 4.1); ssthresh remembers three
    quarters of what it was (RFC 2861 section 2).
    """
    initial: cython.uint = largest_initial(s, t.maxseg)
    was: cython.uint = t.cwnd - (t.cwnd >> 2)
    if t.cc == CC_CUBIC:
        cubic.after_idle(s, t)
    if was > t.ssthresh:
        t.ssthresh = was
    return initial if initial < t.cwnd else t.cwnd


# --- in segments (Linux net/ipv4/tcp_cong.c, tcp_output.c) ----------------------------------------------------------


def may_raise(s, f, found):
    """Does this acknowledgment let the window grow? Where the network reorders, SACKed segments count too."""
    if f.reordering > s.cfg.tcp_reordering:
        return found & (A_ACKED | A_SACKED) != 0
    return found & A_ACKED != 0


def in_use(t, f):
    """Is it the window that holds the sender back (RFC 7661)? In slow start half of it in use is enough."""
    if f.cwnd_limited:
        return True
    if t.cwnd < t.ssthresh:
        return t.cwnd < cython.cast(cython.uint, 2 * f.max_packets_out * t.maxseg)
    return False


def on_segments(s, t, f, delivered):
    """`delivered` segments arrived outside of a reduction: slow start, then congestion avoidance."""
    window: cython.int = t.cwnd // t.maxseg
    threshold: cython.int = t.ssthresh // t.maxseg
    every: cython.int
    grown: cython.int
    if delivered <= 0 or not in_use(t, f):
        return
    if window < threshold:
        grown = window + delivered if window + delivered < threshold else threshold
        delivered -= grown - window
        window = grown
        if delivered == 0:
            t.cwnd = window * t.maxseg
            return
    every = window
    if t.cc == CC_CUBIC:
        every = cubic_count.update(s, f, window, delivered)
    if f.cwnd_cnt >= every:
        f.cwnd_cnt = 0
        window += 1
    f.cwnd_cnt += delivered
    if f.cwnd_cnt >= every:
        grown = f.cwnd_cnt // every
        f.cwnd_cnt -= grown * every
        window += grown
    t.cwnd = window * t.maxseg


def on_timeout(s, t):
    """A retransmission timeout: what the algorithm knows of the path is worth nothing now."""
    if t.cc == CC_CUBIC and t.flight is not None:
        cubic_count.reset(t.flight)
        cubic_count.new_round(s, t, t.flight)


def on_round_trip(s, t, f, rtt):
    """A round trip took `rtt` ns."""
    if t.cc == CC_CUBIC:
        cubic_count.round_trip(s, t, f, rtt)


def after_sending(s, t, f, limited):
    """Something was sent, or would have been: was it the window that ended it (`limited`)? A window that has not been
    used for a timeout comes down (RFC 2861).
    """
    window: cython.int
    used: cython.int
    if (
        after_eq(t.snd_una, f.usage_seq)
        or limited
        or (not f.cwnd_limited and f.packets_out > f.max_packets_out)
    ):
        f.cwnd_limited = limited
        f.max_packets_out = f.packets_out
        f.usage_seq = t.snd_max
    if in_use(t, f):
        f.cwnd_used = 0
        f.cwnd_stamp = s.now
        return
    if f.packets_out > f.cwnd_used:
        f.cwnd_used = f.packets_out
    if s.cfg.tcp_slow_start_after_idle and s.now - f.cwnd_stamp >= t.rxtcur:
        if f.ca_state == CA_OPEN:
            window = t.cwnd // t.maxseg
            used = initial_segments(s, t)
            if f.cwnd_used > used:
                used = f.cwnd_used
            if used < window:
                raise_threshold(t)
                t.cwnd = ((window + used) >> 1) * t.maxseg
            f.cwnd_used = 0
        f.cwnd_stamp = s.now


def raise_threshold(t):
    """Ssthresh remembers three quarters of the window."""
    window: cython.uint = t.cwnd // t.maxseg
    window = ((window >> 1) + (window >> 2)) * t.maxseg
    if window > t.ssthresh:
        t.ssthresh = window


def restart(s, t, f, idle):
    """Nothing was sent for `idle` ns: the window halves for each timeout, down to the initial one (RFC 2861)."""
    initial: cython.uint = initial_segments(s, t) * t.maxseg
    window: cython.uint = t.cwnd // t.maxseg
    raise_threshold(t)
    if initial > t.cwnd:
        initial = t.cwnd
    idle -= t.rxtcur
    while idle > 0 and window * t.maxseg > initial:
        window = window >> 1
        idle -= t.rxtcur
    t.cwnd = window * t.maxseg
    if t.cwnd < initial:
        t.cwnd = initial
    f.cwnd_stamp = s.now
    f.cwnd_used = 0
