"""Loss recovery by segments, as time goes by: the timeout, the reordering window, the loss probe; and a smaller MSS.

enter_loss       a timeout (RFC 5681 section 3.1, RFC 5682)
reordering_over  what has not come by now is lost (RFC 8985 section 6.3)
send_probe       the tail of a flight gets an acknowledgment (RFC 8985 section 7.3)
"""

import cython

from pystack._fast import congestion, dupacks, frto, prr, rack, undo
from pystack._fast.bursts import current_mss
from pystack._fast.consts import (
    CA_DISORDER,
    CA_LOSS,
    CA_RECOVERY,
    FIN_WAIT_1,
    SEG_SACKED,
    WAIT_RTO,
)
from pystack._fast.flight import Flight, SegmentTable  # noqa: F401
from pystack._fast.recovery import enter, push, send_again, send_lost
from pystack._fast.seq import add, after_eq, before_eq, dist
from pystack._fast.tcb import (  # noqa: F401
    TF_ECN,
    TF_ECN_SND_CWR,
    TF_SACK_PERMIT,
    TF_SENTFIN,
    Stack,
    Tcb,
)


def enter_loss(s, t, f):
    """The timeout: all that is out is lost, but for what was sent so lately that RACK would wait for it."""
    table = s.segments
    row: cython.int = f.first
    head: cython.int = f.first
    again: cython.bint = frto.allowed(s, f)
    clock: cython.bint = t.t_flags & TF_SACK_PERMIT != 0
    if head != 0 and table.mark[head] & SEG_SACKED:
        table.forget_sacked(f)
        s.stat.sack_reneging += 1
        f.reneging = True
    elif t.t_flags & TF_SACK_PERMIT == 0:
        dupacks.reset(f)
    while row != 0:
        if row == head or f.reneging or not clock:
            table.mark_lost(f, row)
        elif table.sent_at[row] + f.rack_rtt - s.now <= 0:
            table.mark_lost(f, row)
        row = table.next[row]
    if (
        f.ca_state <= CA_DISORDER
        or before_eq(f.high_seq, t.snd_una)
        or (f.ca_state == CA_LOSS and f.retransmits == 0)
    ):
        f.prior_ssthresh = prr.current_ssthresh(t, f)
        f.prior_cwnd = prr.window_of(t)
        t.ssthresh = congestion.after_loss(s, t)
        undo.start(t, f)
    prr.set_window(t, f.in_flight() + 1)
    f.cwnd_cnt = 0
    f.cwnd_stamp = s.now
    if f.ca_state <= CA_DISORDER and f.sacked_out >= s.cfg.tcp_reordering:
        if f.reordering > s.cfg.tcp_reordering:
            f.reordering = s.cfg.tcp_reordering
    undo.set_ca_state(t, f, CA_LOSS)
    congestion.on_timeout(s, t)
    f.high_seq = t.snd_max
    f.tlp = False
    if t.t_flags & TF_ECN:
        t.t_flags |= TF_ECN_SND_CWR
    f.frto = again


def reordering_over(s, t, f):
    """The reordering window has passed: what has not come is lost (RFC 8985 section 6.3)."""
    flight: cython.int = f.in_flight()
    lost: cython.int = f.lost
    rack.detect(s, t, f)
    if flight != f.in_flight():
        s.segments.begin(t.snd_max)
        if f.ca_state != CA_RECOVERY:
            enter(s, t, f)
            prr.reduce(s, t, f, 1, f.lost - lost, False)
        send_lost(s, t, f)
    if f.pending != WAIT_RTO:
        rack.rearm(s, t, f)
    return 0


def send_probe(s, t, f):
    """The loss probe (RFC 8985 section 7.3): new data if the window allows, else the last segment again."""
    table = s.segments
    row: cython.int
    start: cython.uint
    mss: cython.int
    out: cython.int = f.packets_out
    if f.tlp:
        rack.rearm(s, t, f)
        return 0
    f.tlp_retrans = False
    unsent: cython.int = t.sndq.cc - dist(t.snd_una, t.snd_max)
    if t.state >= FIN_WAIT_1 and t.t_flags & TF_SENTFIN == 0:
        unsent += 1
    if unsent > t.maxseg:
        unsent = t.maxseg
    if unsent > 0 and after_eq(add(t.snd_una, t.snd_wnd), add(t.snd_max, unsent)):
        f.probe = 1
        push(s, t)
        f.probe = 0
        if f.packets_out == out:
            rack.rearm(s, t, f)
            return 0
    else:
        if f.first == 0:
            return 0
        row = f.first
        start = f.start
        while row != f.last:
            start = table.end[row]
            row = table.next[row]
        mss = current_mss(s, t)
        if table.count[row] > 1 and dist(start, table.end[row]) > (table.count[row] - 1) * mss:
            # its last segment, as it would be made now
            table.split(f, row, start, add(start, (table.count[row] - 1) * mss), mss)
            start = table.end[row]
            row = f.last
        if send_again(s, t, f, row, start, 1, True) < 0:
            rack.rearm(s, t, f)
            return 0
        f.tlp_retrans = True
    s.stat.loss_probes += 1
    f.tlp = True
    f.tlp_high = t.snd_max
    f.pending = WAIT_RTO
    rack.rearm(s, t, f)
    s.arm(t)
    return 0
