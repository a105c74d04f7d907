"""When received data is acknowledged: at once, with the next segment, or after a delay (RFC 9293 section 3.8.6.3).

    delay_bsd     FreeBSD: every second segment, else after `delacktime`
    data_came     Linux: what a segment in order says about the peer's pace (RFC 5681 section 4.2)
    answer_data   Linux: the decision, once a segment with data or FIN was taken
    ack_due       the timer came up
    ack_sent      a segment carried the acknowledgment

Linux counts: the first segments of a burst are acknowledged each (`quick_acks`, so that slow start is not slowed down),
unless the connection is a conversation (`pingpong`: an answer followed soon after what came); then the delay is an
estimate of the time between segments (`ato`), 40 ms at least. From the fourth duplicate on acknowledgments are
compressed (RFC 9293 does not know this; Linux tcp_comp_sack_delay_ns).

Source: Linux 6.18 as measured (ADR 0018), FreeBSD netinet/tcp_input.c (DELAY_ACK).
"""

import cython

from pystack._fast.consts import DELACK_LINUX, MS, NEVER, PSH
from pystack._fast.seq import dist
from pystack._fast.tcb import (
    ACK_PUSHED,
    ACK_SCHEDULED,
    TF_ACKNOW,
    TF_DELACK,
    TF_ECN,
    TF_ECN_SND_ECE,
    TF_NOMEM,
    TF_RCVD_TS,
    TF_RXWIN0SENT,
    TF_SACK_PERMIT,
)
from pystack._fast.tcp_window import (
    measure_echo,
    measure_round_trip,
    measure_segments,
    open_window,
    usable_window,
)

QUICK = 16
_QUICK = QUICK


def delay_bsd(s, t, length):
    """FreeBSD: `length` octets came in order. The second segment is acknowledged, and any after a window of zero."""
    if (
        t.at_delack != NEVER
        or t.t_flags & TF_RXWIN0SENT
        or length > t.maxseg + (12 if t.t_flags & TF_RCVD_TS else 0)
        or not s.cfg.tcp_delayed_ack
    ):
        t.t_flags |= TF_ACKNOW
        return
    t.t_flags |= TF_DELACK
    t.at_delack = s.now + s.cfg.tcp_delacktime
    s.stat.delack += 1


# --- Linux ------------------------------------------------------------------------------------------------


def more_quick(t, most):
    """The next acknowledgments are not delayed: as many as half the window has segments, at most `most`."""
    quick: cython.int = dist(t.last_ack_sent, t.rcv_adv) // (2 * t.rcv_mss)
    if quick <= 0:
        quick = 2
    if quick > most:
        quick = most
    if quick > t.quick_acks:
        t.quick_acks = quick


def quick_mode(s, t, most):
    """Something is amiss (a duplicate, data out of the window): the peer shall know each time."""
    more_quick(t, most)
    t.pingpong = 0
    t.ato = s.cfg.tcp_delack_min


def see_mark(s, t, tos):
    """The mark of a segment with data (RFC 3168 section 6.1.3): CE is echoed, and told at once; after a segment that
    could be marked one that cannot be is probably sent again.
    """
    if tos & 3 == 0:
        if t.ecn_seen:
            quick_mode(s, t, 2)
        return
    t.ecn_seen = True
    if tos & 3 == 3:
        s.stat.ecn_ce += 1
        if t.t_flags & TF_ECN_SND_ECE == 0:
            quick_mode(s, t, 2)
            t.t_flags |= TF_ECN_SND_ECE


def converse(s, t):
    """The application answers soon, or will not be asked again: acknowledgments can wait for its data."""
    t.pingpong = s.cfg.tcp_pingpong_thresh


def measure(s, t, p, length):
    """What the segment of `length` octets, in order or not, says about the peer's segments."""
    size: cython.int = p.gso_size if p.gso_size else length
    measure_segments(s, t, length, size, p.head_len - p.ip_len, p.flags & PSH != 0)


def data_came(s, t, p, length, memory):
    """`length` octets came in order and are in the queue, where they take `memory` octets."""
    least: cython.longlong = s.cfg.tcp_delack_min
    since: cython.longlong = s.now - t.data_recv
    if p.opt_ts and t.t_flags & TF_RCVD_TS:
        measure_echo(s, t, length, p.ts_ecr)
    t.ack_pending |= ACK_SCHEDULED
    measure(s, t, p, length)
    measure_round_trip(s, t)
    if t.ato == 0:
        more_quick(t, _QUICK)
        t.ato = least
    elif since <= least // 2:
        t.ato = t.ato // 2 + least // 2
    elif since < t.ato:
        t.ato = t.ato // 2 + since
        if t.ato > t.rxtcur:
            t.ato = t.rxtcur
    elif since > t.rxtcur:
        more_quick(t, _QUICK)
    t.data_recv = s.now
    if t.t_flags & TF_ECN:
        see_mark(s, t, p.tos)
    if length >= 128 and t.rcvq.account:
        open_window(s, t, length, memory)


def answer_data(s, t):
    """A segment with data or FIN was taken: is it acknowledged now, or later?"""
    delay: cython.longlong
    if not t.ack_pending & ACK_SCHEDULED:
        return
    if not s.cfg.tcp_delayed_ack:
        t.t_flags |= TF_ACKNOW
    if t.t_flags & TF_ACKNOW:
        return
    if (t.quick_acks > 0 and t.pingpong < s.cfg.tcp_pingpong_thresh) or (
        dist(t.last_ack_sent, t.rcv_nxt) > t.rcv_mss
        and (t.rcvq.cc < t.rcvq.lowat or usable_window(s, t) >= dist(t.last_ack_sent, t.rcv_adv))
    ):
        t.t_flags |= TF_ACKNOW
        return
    if t.reass is None:
        delay_ack(s, t)
        return
    if not t.t_flags & TF_SACK_PERMIT or t.comp_acks >= s.cfg.tcp_comp_sack_nr:
        t.t_flags |= TF_ACKNOW
        return
    if t.comp_rcv_nxt != t.rcv_nxt:
        t.comp_rcv_nxt = t.rcv_nxt
        t.dup_answers = 0
    if t.dup_answers < 3:
        t.dup_answers += 1
        t.t_flags |= TF_ACKNOW
        return
    delay = t.rcv_rtt if t.srtt == 0 or t.rcv_rtt < t.srtt else t.srtt
    delay //= 20
    if delay > s.cfg.tcp_comp_sack_delay:
        delay = s.cfg.tcp_comp_sack_delay
    if delay <= 0:
        t.t_flags |= TF_ACKNOW
        return
    t.comp_acks += 1
    if t.comp_acks == 1 and s.now + delay < t.at_delack:
        t.at_delack = s.now + delay


def delay_ack(s, t):
    """Acknowledge after the estimate of the time between segments; a timer that runs is not put off."""
    least: cython.longlong = s.cfg.tcp_delack_min
    ato: cython.longlong = t.ato
    most: cython.longlong = 500 * MS
    if ato > least:
        if t.pingpong >= s.cfg.tcp_pingpong_thresh or t.ack_pending & ACK_PUSHED:
            most = s.cfg.tcp_delacktime
        if t.srtt != 0:
            if t.srtt > least and t.srtt < most:
                most = t.srtt
            elif t.srtt <= least:
                most = least
        if ato > most:
            ato = most
    most = longest_delay(s, t)
    if ato > most:
        ato = most
    if t.at_delack != NEVER:
        if t.at_delack <= s.now + ato // 4:
            t.t_flags |= TF_ACKNOW
            return
        if t.at_delack <= s.now + ato:
            return
    t.t_flags |= TF_DELACK
    t.at_delack = s.now + ato


def longest_delay(s, t):
    """No acknowledgment waits as long as the shortest retransmission timeout."""
    most: cython.longlong = t.rttmin - 4 * MS
    return most if most < s.cfg.tcp_delacktime else s.cfg.tcp_delacktime


def ack_due(s, t):
    """The timer of acknowledgments came up: one is sent now if any is owed."""
    t.at_delack = NEVER
    if s.cfg.policy_delack == DELACK_LINUX:
        if t.comp_acks > 0:
            t.t_flags |= TF_ACKNOW
        elif t.ack_pending & ACK_SCHEDULED:
            s.stat.delack += 1  # only one that was late counts
            if t.pingpong < s.cfg.tcp_pingpong_thresh:
                t.ato *= 2  # the peer is slower than thought
                if t.ato > t.rxtcur:
                    t.ato = t.rxtcur
                if t.ato > longest_delay(s, t):
                    t.ato = longest_delay(s, t)
            else:
                t.pingpong = 0  # nobody answered
                t.ato = s.cfg.tcp_delack_min
            t.t_flags |= TF_ACKNOW
    else:
        t.t_flags |= TF_ACKNOW
    return t.t_flags & TF_ACKNOW != 0


def ack_sent(s, t, length):
    """A segment with `length` octets of data said how far we are."""
    t.last_ack_sent = t.rcv_nxt
    t.t_flags &= ~(TF_ACKNOW | TF_DELACK | TF_NOMEM)
    t.at_delack = NEVER
    if s.cfg.policy_delack == DELACK_LINUX:
        s.stat.ack_compressed += t.comp_acks
        t.comp_acks = 0
        if t.quick_acks > 0 and t.ack_pending & ACK_SCHEDULED:
            t.quick_acks -= 1
            if t.quick_acks == 0:
                t.ato = s.cfg.tcp_delack_min
        t.ack_pending = 0
        if length > 0 and s.now - t.data_recv < t.ato and t.pingpong < 255:
            t.pingpong += 1
