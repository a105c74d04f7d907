"""The ACK field of a segment: what is acknowledged, what is lost, how the window changes.

acknowledge           fifth step of RFC 9293 section 3.10.7.4
    fast_recovery.py      duplicates and partial acknowledgments where losses are repaired with the scoreboard
    acknowledge_segments  where they are repaired by segments: recovery.py
new_ack               SND.UNA moves: round trip, timer, congestion window, a needless timeout
tell                  what follows for the application and the state
ecn_congestion        the peer echoes a mark (RFC 3168 section 6.1.2)
"""

import cython

from pystack._fast import congestion, rtt
from pystack._fast.consts import (
    A_DATA,
    A_ECE,
    A_WINDOW,
    ACK,
    CLOSING,
    ECE,
    ESTABLISHED,
    EV_WRITE,
    FIN,
    FIN_WAIT_1,
    LAST_ACK,
    MS,
    NAGLE_LINUX,
    NEVER,
    PERSIST_LINUX,
    PSH,
    RECOVERY_LINUX,
    SOCKBUF_LINUX,
    SYN_RECEIVED,
    WAIT_RTO,
)
from pystack._fast.fast_recovery import advancing_ack, duplicate_ack, note_sack
from pystack._fast.host_memory import learn_linux, round_trip_bsd
from pystack._fast.mtu_probe import arrived
from pystack._fast.recovery import segments_acked
from pystack._fast.reports import acknowledged
from pystack._fast.seq import add, after, after_eq, before, before_eq, dist, sub
from pystack._fast.space import writable
from pystack._fast.tcb import (
    FO_QUEUED,
    OOB_EXPECTED,
    SS_CANTSENDMORE,
    SS_NOFDREF,
    SS_WRITE_BLOCKED,
    TF_ACKNOW,
    TF_CONGRECOVERY,
    TF_ECN,
    TF_ECN_SND_CWR,
    TF_FASTRECOVERY,
    TF_PASSIVE,
    TF_RCVD_TS,
    TF_RXWIN0SENT,
    TF_SACK_PERMIT,
    TF_SENTFIN,
    TF_WAS_CONG,
    TF_WAS_FAST,
)
from pystack._fast.tcp_close import close, enter_timewait, fin_acknowledged
from pystack._fast.tcp_handshake import established, set_mss
from pystack._fast.tcp_mem import account, memory_of_socket
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_sent import note_limits
from pystack._fast.tcp_window import memory_of

PAGE = 4096


def acknowledge(s, t, p):
    """The ACK field (RFC 9293 section 3.10.7.4 fifth step), which is acceptable (tcp_check.py)."""
    win: cython.uint = p.win
    news: cython.int
    win = win << t.snd_scale
    if t.fo_row and after(p.ack, t.iss):
        s.forget_half_open(t.fo_row)
        if t.at_rexmt == NEVER and after(t.snd_max, add(t.iss, 1)):
            t.at_rexmt = s.now + t.rxtcur
    if t.state == SYN_RECEIVED:
        fin: cython.bint = t.so_state & SS_CANTSENDMORE != 0
        if s.hosts is not None:
            round_trip_bsd(s, t)
        if t.rtt_time != 0 and t.rxtshift == 0:
            rtt.sample(s, t, s.now - t.rtt_time)
            t.rtt_time = 0
        elif t.t_flags & TF_RCVD_TS and p.opt_ts and p.ts_ecr != 0 and t.srtt == 0:
            ticks: cython.longlong = dist(p.ts_ecr, s.ts_clock(t))
            if ticks >= 0:
                rtt.sample(s, t, ticks * MS if ticks > 0 else MS)
        if not t.fo & FO_QUEUED:
            t.at_rexmt = NEVER
        t.rxtshift = 0
        t.snd_una = add(t.iss, 1)
        if before(t.snd_nxt, t.snd_una):
            t.snd_nxt = t.snd_una
        t.snd_wl1 = sub(p.seq, 1)
        t.snd_up = t.snd_una
        if t.t_flags & TF_PASSIVE and not t.fo & FO_QUEUED:
            t.so_state &= ~SS_NOFDREF
        t.snd_wnd = t.max_sndwnd = win
        established(s, t)
        if fin:
            s.set_state(t, FIN_WAIT_1)
    if s.cfg.policy_recovery == RECOVERY_LINUX:
        return acknowledge_segments(s, t, p)
    news = note_sack(s, t, p)
    if before_eq(p.ack, t.snd_una):
        if duplicate_ack(s, t, p, news):
            return 0
    else:
        advancing_ack(s, t, p, news)
        new_ack(s, t, p)
        if t.row == 0:
            return 0
    # the window (RFC 9293 section 3.10.7.4; SND.WL1, SND.WL2)
    if (
        before(t.snd_wl1, p.seq)
        or (t.snd_wl1 == p.seq and before(t.snd_wl2, p.ack))
        or (t.snd_wl1 == p.seq and t.snd_wl2 == p.ack and win > t.snd_wnd)
    ):
        if p.length == 0 and t.snd_wl2 == p.ack and win > t.snd_wnd:
            s.stat.rcvwinupd += 1
        opened: cython.bint = t.snd_wnd == 0 and win > 0
        t.snd_wnd = win
        t.snd_wl1 = p.seq
        t.snd_wl2 = p.ack
        if win > t.max_sndwnd:
            t.max_sndwnd = win
        if opened and t.at_persist != NEVER:
            t.at_persist = NEVER
            t.rxtshift = 0
            t.snd_nxt = t.snd_una if before(t.snd_una, t.snd_nxt) else t.snd_nxt
            tcp_output(s, t)
    return 0


def acknowledge_segments(s, t, p):
    """As `acknowledge` goes on where losses are repaired by segments: the window first, then recovery.py."""
    table = s.segments
    win: cython.uint = p.win
    una: cython.uint = t.snd_una
    fin_acked: cython.bint = False
    data: cython.int = 0
    win = win << t.snd_scale
    table.begin(t.snd_max)
    if before(p.ack, una):
        if p.sack_n > 0 and t.t_flags & TF_SACK_PERMIT and t.flight is not None:
            segments_acked(s, t, p, una, True)
        return 0
    predicted: cython.bint = expected(s, t, p, win)
    if predicted and p.length > 0:
        s.stat.hp_hits += 1
        if p.ack == una:
            t.snd_wl1 = p.seq
            return 0  # its acknowledgment says nothing new, and is not even looked at
    if predicted and p.ack != una:
        s.stat.hp_acks += 1
    elif p.length == 0 and p.flags & FIN == 0:
        s.stat.pure_acks += 1
    t.ack_recv = s.now
    if p.length > 0 or p.flags & FIN:
        table.found |= A_DATA
    if p.flags & ECE and t.t_flags & TF_ECN:
        table.found |= A_ECE
    opened: cython.bint = False
    if (
        after(p.ack, una)
        or before(t.snd_wl1, p.seq)
        or (t.snd_wl1 == p.seq and (win > t.snd_wnd or win == 0))
    ):
        if p.ack == una:
            table.found |= A_WINDOW
            if p.length == 0 and win > t.snd_wnd:
                s.stat.rcvwinupd += 1
        opened = t.snd_wnd == 0 and win > 0
        t.snd_wnd = win
        t.snd_wl1 = p.seq
        t.snd_wl2 = p.ack
        if win > t.max_sndwnd:
            t.max_sndwnd = win
            if t.maxseg < t.advmss and s.cfg.policy_nagle == NAGLE_LINUX:
                set_mss(s, t)  # no longer bounded by half of a small window
    if after(p.ack, una):
        s.stat.rcvackpack += 1
        s.stat.rcvackbyte += dist(una, p.ack)
        t.soft_error = 0
        if t.reports is not None:
            acknowledged(s, t, p.ack)
        data = drop_acknowledged(t, p.ack)
        fin_acked = data < dist(una, p.ack) and t.t_flags & TF_SENTFIN != 0
        if data > 0 and t.sndq.cc == 0:
            note_limits(s, t)
    if t.flight is not None:
        larger: cython.bint = t.search is not None and arrived(s, t, t.flight)
        segments_acked(s, t, p, una, False)
        if larger:
            set_mss(s, t)  # only now: what is acknowledged was counted in segments of the old one
        if t.flight.packets_out == 0 and t.flight.pending == WAIT_RTO:
            t.at_rexmt = NEVER
    tell(s, t, data, fin_acked, p.length > 0 or p.flags & FIN != 0)
    if t.row != 0 and t.at_persist != NEVER and s.cfg.policy_persist == PERSIST_LINUX:
        opened = window_admits(s, t)
    if t.row != 0 and opened and t.at_persist != NEVER:
        t.at_persist = NEVER
        t.rxtshift = 0
        tcp_output(s, t)
    return 0


def expected(s, t, p, win):
    """Linux: is this what a peer sends when nothing happens: the next octets, or an acknowledgment, with the window as
    before? The memory that the socket has charged must do for the octets.
    """
    if t.state != ESTABLISHED or p.seq != t.rcv_nxt or win != t.snd_wnd:
        return False
    if p.flags & ~PSH != ACK or p.sack_n > 0 or t.reass is not None or t.oob_state == OOB_EXPECTED:
        return False
    if t.t_flags & TF_RXWIN0SENT:
        return False
    if p.length == 0:
        return True
    return t.rcvq.account and t.mem_pages * PAGE - memory_of_socket(t) >= memory_of(
        p.head_len + p.length, p.gso_size
    )


def ecn_congestion(s, t, ack):
    """The peer, whose segment acknowledges `ack`, echoes a congestion mark: reduce once a window (RFC 3168 section
    6.1.2). Where losses are repaired by segments the acknowledgment as a whole says what to do: recovery.py.
    """
    if t.t_flags & TF_CONGRECOVERY and before(ack, t.recover):
        return 0
    t.t_flags &= ~TF_CONGRECOVERY
    s.stat.ecn_rcwnd += 1
    t.recover = add(t.snd_max, 1)
    t.t_flags |= TF_ECN_SND_CWR
    t.ssthresh = congestion.after_mark(s, t)
    t.cwnd = t.ssthresh
    t.t_flags |= TF_CONGRECOVERY
    return 0


def new_ack(s, t, p):
    """SND.UNA moves."""
    acked: cython.int = dist(t.snd_una, p.ack)
    data: cython.int
    ticks: cython.longlong
    s.stat.rcvackpack += 1
    s.stat.rcvackbyte += acked
    if t.rxtshift == 1 and t.badrxtwin != 0 and needless(s, t, p):
        undo_timeout(s, t)
    ticks = -1
    if t.t_flags & TF_RCVD_TS and p.opt_ts and p.ts_ecr != 0:
        ticks = dist(p.ts_ecr, s.ts_clock(t))
    if ticks >= 0:
        # every echo counts, in ticks; the first one is rounded up (tcp_xmit_timer)
        rtt.sample(s, t, (ticks + 1 if t.srtt == 0 else ticks) * MS)
        t.rtt_time = 0
    elif t.rtt_time != 0 and after(p.ack, t.rtt_seq):
        rtt.sample(s, t, s.now - t.rtt_time)
        t.rtt_time = 0
    t.soft_error = 0
    if p.ack == t.snd_max:
        t.at_rexmt = NEVER
    elif t.at_persist == NEVER:
        t.at_rexmt = s.now + t.rxtcur
        t.rexmt_start = s.now
    if t.t_flags & (TF_FASTRECOVERY | TF_CONGRECOVERY) == 0:
        congestion.on_ack(s, t, acked)
    elif after_eq(p.ack, t.recover):
        t.t_flags &= ~(TF_FASTRECOVERY | TF_CONGRECOVERY)
    data = drop_acknowledged(t, p.ack)
    if t.board is not None:
        t.board.advance(p.ack)
        if before(t.board.high_rxt, p.ack):
            t.board.high_rxt = p.ack
        s.count_holes(t, t.board.n)
        if t.board.n == 0 and t.t_flags & (TF_FASTRECOVERY | TF_CONGRECOVERY) == 0:
            t.board = None
    if t.t_flags & TF_SACK_PERMIT and after(t.snd_una, t.recover):
        t.recover = t.snd_una
    fin_acked: cython.bint = data < acked and t.t_flags & TF_SENTFIN != 0
    return tell(s, t, data, fin_acked, p.length > 0 or p.flags & FIN != 0)


def drop_acknowledged(t, ack):
    """SND.UNA moves to `ack`. Answers how many octets leave the send queue: a SYN or a FIN is none of them."""
    data: cython.int = dist(t.snd_una, ack)
    if data > t.sndq.cc:
        data = t.sndq.cc
    t.snd_una = ack
    if data > 0:
        t.sndq.drop(data)
        if t.sndq.n_marks > 0:
            t.sndq.forget_marks(ack)
        if t.sndq.records is not None:
            t.sndq.forget_records(ack)
    if before(t.snd_up, ack):
        t.snd_up = ack
    if before(t.snd_nxt, ack):
        t.snd_nxt = ack
    return data


def needless(s, t, p):
    """Does this acknowledgment answer the original, not the retransmission? Eifel detection (RFC 3522), or on older
    systems an answer within half a round trip.
    """
    if s.cfg.tcp_eifel:
        return p.opt_ts and p.ts_ecr != 0 and before(p.ts_ecr, t.badrxt_ts)
    return s.now < t.badrxtwin


def undo_timeout(s, t):
    """The timeout was spurious: everything is as it was (FreeBSD CC_RTO_ERR)."""
    s.stat.badrexmt += 1
    t.cwnd = t.cwnd_prev
    t.ssthresh = t.ssthresh_prev
    t.recover = t.recover_prev
    if t.t_flags & TF_WAS_FAST:
        t.t_flags |= TF_FASTRECOVERY
    if t.t_flags & TF_WAS_CONG:
        t.t_flags |= TF_CONGRECOVERY
    t.snd_nxt = t.snd_max
    t.badrxtwin = 0
    congestion.undo_timeout(t)


def tell(s, t, data, fin_acked, more):
    """`data` octets have left the send queue, the FIN was acknowledged: what follows from it. `more`: the segment
    brings data, or the peer's FIN.
    """
    if data > 0 and s.cfg.policy_sockbuf == SOCKBUF_LINUX:
        account(s, t)
    if data > 0 and t.wanted & EV_WRITE and t.so_state & SS_WRITE_BLOCKED:
        if writable(s, t):
            t.so_state &= ~SS_WRITE_BLOCKED
            s.wakeup(t, EV_WRITE)
    if fin_acked:
        if t.state == FIN_WAIT_1:
            fin_acknowledged(s, t, more)
        elif t.state == CLOSING:
            if t.t_flags & TF_ACKNOW:
                tcp_output(s, t)
            enter_timewait(s, t)
        elif t.state == LAST_ACK:
            if s.metrics is not None:
                learn_linux(s, t)
            close(s, t)
    return 0


def window_admits(s, t):
    """Linux: may what waits to be sent go now? If not, the next probe is as far away from now as it was."""
    waits: cython.int = t.sndq.cc - dist(t.snd_una, t.snd_nxt)
    if t.state >= FIN_WAIT_1 and t.t_flags & TF_SENTFIN == 0:
        waits += 1
    if waits > t.maxseg:
        waits = t.maxseg
    if dist(t.snd_una, t.snd_nxt) + waits <= cython.cast(cython.int, t.snd_wnd):
        return True
    t.at_persist = s.now + rtt.probe_wait(s, t, t.rxtshift - 1 if t.rxtshift > 0 else 0)
    return False
