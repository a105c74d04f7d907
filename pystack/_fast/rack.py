"""RACK-TLP: loss by time (RFC 8985), and the timer that retransmission, loss probe and reordering window share.

A segment is lost when one that was sent after it has been delivered, and a round trip and the reordering window have
passed since it was sent. The window is a quarter of the smallest round trip, wider once the network was seen to
reorder. The tail of a flight has nothing after it: a probe after two round trips makes it have something.
Knobs: tcp_early_retrans, tcp_recovery (bits: 2 the window does not adapt, 4 no threshold of duplicates; 1 has no effect
since 6.17: there is no other way to find losses any more).
"""

import cython

from pystack._fast import prr, undo
from pystack._fast.consts import (
    A_ACKED,
    A_ADVANCED,
    A_DATA,
    A_DSACK_TLP,
    A_SACKED,
    A_WINDOW,
    CA_CWR,
    CA_OPEN,
    CA_RECOVERY,
    MS,
    NEVER,
    SEG_ASIDE,
    SEG_EVER,
    SEG_LOST,
    SEG_RETRANS,
    SEG_SACKED,
    US,
    WAIT_REO,
    WAIT_RTO,
    WAIT_TLP,
)
from pystack._fast.flight import Flight, SegmentTable  # noqa: F401
from pystack._fast.seq import after, before
from pystack._fast.tcb import TF_SACK_PERMIT, Stack, Tcb  # noqa: F401

RACK_STATIC = 2
RACK_NO_DUPTHRESH = 4
RACK_PERSIST = 16
LEAST = 2 * MS
"""What is added to short timers, ns (Linux TCP_TIMEOUT_MIN_US)."""


def reordering_window(s, t, f):
    """How long a segment may be late, ns (RFC 8985 section 6.2 step 4)."""
    window: cython.longlong
    if f.reord_seen == 0:
        if f.ca_state >= CA_RECOVERY:
            return 0
        if f.sacked_out >= f.reordering and not s.cfg.tcp_recovery & RACK_NO_DUPTHRESH:
            return 0
    window = (f.min_rtt >> 2) * f.reo_steps
    return window if window < t.srtt else t.srtt


def detect(s, t, f):
    """Mark what is lost by now; answers how long to wait for the rest, ns, 0 not at all (step 5)."""
    table = s.segments
    row: cython.int = f.first
    window: cython.longlong = reordering_window(s, t, f)
    left: cython.longlong
    wait: cython.longlong = 0
    sent: cython.longlong
    marks: cython.int
    while row != 0:
        marks = table.mark[row]
        sent = table.sent_at[row]
        if sent > f.rack_sent_at and marks & SEG_EVER == 0:
            break  # what lies beyond was sent later still
        if marks & (SEG_SACKED | SEG_ASIDE) == 0 and (
            marks & SEG_LOST == 0 or marks & SEG_RETRANS != 0
        ):
            if sent < f.rack_sent_at or (
                sent == f.rack_sent_at and after(f.rack_end, table.end[row])
            ):
                left = sent + f.rack_rtt + window - s.now
                if left < US:
                    # Linux looks at it again only once it was sent again, be the loss taken back or not
                    table.mark_lost(f, row)
                    table.mark[row] = table.mark[row] | SEG_ASIDE
                elif left > wait:
                    wait = left
        row = table.next[row]
    return wait


def mark(s, t, f):
    """After an acknowledgment. True: the timer now stands for the reordering window."""
    wait: cython.longlong
    if not f.rack_advanced:
        return False
    f.rack_advanced = False
    wait = detect(s, t, f)
    if wait == 0:
        return False
    wait += LEAST
    f.pending = WAIT_REO
    t.at_rexmt = s.now + (wait if wait < t.rxtcur else t.rxtcur)
    return True


def adapt(s, f, prior_delivered):
    """DSACKs widen the reordering window, once in a round trip; without any it comes back after 16 recoveries."""
    if s.cfg.tcp_recovery & RACK_STATIC or prior_delivered == 0:
        return
    if f.rack_dsack and prior_delivered < f.rack_delivered:
        f.rack_dsack = False
    if f.rack_dsack:
        f.rack_dsack = False
        f.reo_steps = f.reo_steps + 1 if f.reo_steps < 255 else 255
        f.rack_delivered = f.delivered
        f.reo_persist = RACK_PERSIST
    elif f.reo_persist == 0:
        f.reo_steps = 1


def rto_left(s, t, f):
    """How much of the timeout is left, counted from the last transmission of the first segment, ns."""
    return s.segments.sent_at[f.first] + t.rxtcur - s.now


def rearm(s, t, f):
    """The timer stands for the retransmission timeout (RFC 6298 section 5)."""
    wait: cython.longlong = t.rxtcur
    if f.packets_out == 0:
        f.pending = WAIT_RTO
        t.at_rexmt = NEVER
        return
    if f.pending != WAIT_RTO and f.first != 0:
        wait = rto_left(s, t, f)
        if wait < 1000:
            wait = 1000
    f.pending = WAIT_RTO
    t.at_rexmt = s.now + wait


def schedule_probe(s, t, f, advancing):
    """The timer stands for a loss probe if one may be sent (RFC 8985 section 7.2)."""
    early: cython.longlong = s.cfg.tcp_early_retrans
    wait: cython.longlong = s.cfg.tcp_rexmit_initial
    left: cython.longlong
    if (early != 3 and early != 4) or f.packets_out == 0 or t.t_flags & TF_SACK_PERMIT == 0:
        return False
    if f.ca_state != CA_OPEN and f.ca_state != CA_CWR:
        return False
    if t.srtt > 0:
        # one segment alone may be waiting for a delayed acknowledgment
        wait = 2 * t.srtt + (t.rttmin if f.packets_out == 1 else LEAST)
    left = t.rxtcur if advancing else rto_left(s, t, f)
    if left > 0 and left < wait:
        wait = left
    f.pending = WAIT_TLP
    t.at_rexmt = s.now + wait
    return True


def set_timer(s, t, f):
    """After progress: a probe or the timeout."""
    if not schedule_probe(s, t, f, True):
        rearm(s, t, f)


def probe_acked(s, t, f, ack, found):
    """Did the loss probe repair a loss (RFC 8985 section 7.4.2)? Then the window comes down for it."""
    if before(ack, f.tlp_high):
        return
    if not f.tlp_retrans or found & A_DSACK_TLP:
        f.tlp = False  # new data arrived, or both copies did
    elif after(ack, f.tlp_high):
        s.stat.loss_probe_recovery += 1
        prr.begin(s, t, f)
        undo.set_ca_state(t, f, CA_CWR)
        prr.end(s, t, f)
        undo.keep_open(s, t, f)
    elif found & (A_ADVANCED | A_DATA | A_WINDOW | A_ACKED | A_SACKED) == 0:
        f.tlp = False
