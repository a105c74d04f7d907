"""What a connection sends, and when: RFC 9293 section 3.8.6 (Nagle, silly windows), RFC 5681, RFC 6675.

`tcp_output` is called whenever something may have become sendable: the application wrote, a segment or a timer changed
the state, an acknowledgment is owed. It sends all that may be sent and returns.

    send_one   decides on one segment: how much, which flags, whether it is worth sending
    emit       builds it, sends it, and notes in the Tcb that it was sent
"""

import cython

from pystack._fast import congestion, rtt
from pystack._fast.consts import (
    ACK,
    CLOSED,
    CLOSING,
    CWR,
    ECE,
    ESTABLISHED,
    FIN,
    FIN_WAIT_1,
    GSO_MAX,
    LAST_ACK,
    LISTEN,
    MS,
    NAGLE_LINUX,
    NEVER,
    OPTIONS_LINUX,
    PERSIST_BSD,
    PERSIST_LINUX,
    PROTO_TCP,
    PSH,
    PUSH_LINUX,
    RECOVERY_LINUX,
    RST,
    SACK_REPORT_BSD,
    SYN,
    SYN_RECEIVED,
    SYN_SENT,
    URG,
    WINDOW_LINUX,
)
from pystack._fast.departures import note_segment, room, sent_segments
from pystack._fast.packet import COOKIE_ROOM, Packet  # noqa: F401
from pystack._fast.seq import (
    add,
    after,
    after_eq,
    before,
    dist,
    maximum,
)
from pystack._fast.tcb import (
    FO_ASK,
    FO_DATA,
    FO_EXP,
    FO_QUEUED,
    FO_WAIT,
    LIMIT_BUFFER,
    LIMIT_PEER,
    LIMIT_SELF,
    SS_WRITE_BLOCKED,
    TF_ACKNOW,
    TF_CONGRECOVERY,
    TF_CORK_FLUSH,
    TF_DSACK,
    TF_ECN,
    TF_ECN_SND_CWR,
    TF_ECN_SND_ECE,
    TF_FASTRECOVERY,
    TF_FORCE,
    TF_LASTIDLE,
    TF_MORETOCOME,
    TF_NO_ECN,
    TF_NO_SACK,
    TF_NO_SCALE,
    TF_NO_TS,
    TF_NODELAY,
    TF_NOPUSH,
    TF_RCV_AUTO_OFF,
    TF_RCVD_SCALE,
    TF_RCVD_TS,
    TF_RXWIN0SENT,
    TF_SACK_PERMIT,
    TF_SENTFIN,
    TF_SND_AUTO_OFF,
)
from pystack._fast.tcp_delack import ack_sent
from pystack._fast.tcp_window import (
    grow_send_buffer,
    minimum_i,
    offered,
    receive_window,
    syn_window,
    window_field,
    worth_an_update,
)
from pystack._fast.tcp_wire import build, option_length


def flags_of(t):
    """The flags that a segment of this state carries by itself (RFC 9293 section 3.3.2)."""
    if t.state >= ESTABLISHED:
        if t.state == FIN_WAIT_1 or t.state == CLOSING or t.state == LAST_ACK:
            return FIN | ACK
        return ACK
    if t.state == SYN_SENT:
        return SYN
    if t.state == SYN_RECEIVED:
        return ACK if t.fo & FO_QUEUED else SYN | ACK
    return RST | ACK


def tcp_output(s, t):
    """Send what may be sent. Answers 0, or -Err when the first segment was denied a buffer."""
    if t.row == 0 or t.state == CLOSED or t.state == LISTEN or t.fo & FO_WAIT:
        return 0
    idle: cython.bint = t.snd_max == t.snd_una
    out: cython.int = 0
    unsent: cython.bint = False
    f = t.flight
    if f is not None:
        out = f.packets_out
        unsent = t.sndq.cc > dist(t.snd_una, t.snd_nxt)
        if out == 0 and unsent and s.cfg.tcp_slow_start_after_idle:
            if s.now - f.data_sent_at > t.rxtcur:
                congestion.restart(s, t, f, s.now - f.data_sent_at)
    elif (
        idle and t.srtt != 0 and s.cfg.tcp_slow_start_after_idle and s.now - t.last_sent >= t.rxtcur
    ):
        t.cwnd = congestion.restart_window(s, t)
    if t.t_flags & TF_MORETOCOME == 0:
        t.t_flags &= ~TF_LASTIDLE
    elif idle:
        t.t_flags |= TF_LASTIDLE
    if t.sndq.cc > 0 and s.cfg.tcp_sendbuf_auto and not t.t_flags & TF_SND_AUTO_OFF:
        grow_send_buffer(s, t)
    more: cython.int = 1
    while more > 0:
        more = send_one(s, t, idle)
    if t.flight is not None:
        sent_segments(s, t, t.flight, t.flight.packets_out - out, unsent)
    if t.row != 0:
        if s.cfg.policy_recovery == RECOVERY_LINUX:
            note_limits(s, t)
        s.arm(t)
    return 0


def note_limits(s, t):
    """TCP_INFO's busy time, and how much of it the peer's window or the send buffer limited what was sent."""
    limit: cython.int = 0
    waits: cython.int
    sent: cython.int = dist(t.snd_una, t.snd_nxt)
    since: cython.longlong
    if t.sndq.cc > 0:
        limit = LIMIT_SELF
        waits = t.sndq.cc - sent
        if waits > t.maxseg:
            waits = t.maxseg
        if waits > 0:
            if sent + waits > cython.cast(cython.int, t.snd_wnd) and (
                t.flight is None or room(t, t.flight) > 0
            ):
                limit = LIMIT_PEER
        elif t.so_state & SS_WRITE_BLOCKED and (t.flight is None or room(t, t.flight) > 0):
            limit = LIMIT_BUFFER
    if limit == t.limit:
        return
    since = s.now - t.limit_at
    if t.limit != 0:
        t.busy_time += since
    if t.limit == LIMIT_PEER:
        t.rwnd_time += since
    elif t.limit == LIMIT_BUFFER:
        t.sndbuf_time += since
    t.limit = limit
    t.limit_at = s.now


def choose_hole(s, t):
    """In SACK recovery: the next octets to send again, board.hole_left and hole_right; not beyond what was out when the
    recovery began. False: there are none, or the window has no room.
    """
    board = t.board
    start: cython.uint = maximum(board.high_rxt, t.snd_una)
    if board.rescue_left != board.rescue_right:
        board.hole_left = add(board.rescue_left, board.rescued)
        board.hole_right = board.rescue_right
        return before(board.hole_left, board.hole_right)
    if not board.next_hole(start):
        return False
    if after(board.hole_right, t.recover):
        board.hole_right = t.recover
    return before(board.hole_left, board.hole_right)


def send_one(s, t, idle):
    """Decide on one segment and send it. 1: there may be another; 0: nothing more now."""
    flags: cython.int = flags_of(t)
    cc: cython.int = t.sndq.cc
    off: cython.int = dist(t.snd_una, t.snd_nxt)
    at: cython.uint = t.snd_nxt
    win: cython.int = minimum_i(t.snd_wnd, t.cwnd)
    length: cython.int
    rexmit: cython.bint = False
    more: cython.bint = False
    mss: cython.int = current_mss(s, t)
    again: cython.int

    if t.board is not None and before(t.snd_nxt, t.snd_max):
        skip_sacked(t)
        off = dist(t.snd_una, t.snd_nxt)
        at = t.snd_nxt
    if flags & SYN:
        if off > 0:  # the SYN is out; it is sent again only after the timer took SND.NXT back
            flags &= ~SYN
            off = 0
            if t.state == SYN_SENT:
                return 0
        cc = 0
        win = mss
        if t.fo & FO_DATA and t.rxtshift == 0 and t.state == SYN_SENT:
            # the first SYN takes data along, as far as they fit (RFC 7413 section 4.2.1)
            cc = t.sndq.cc if t.sndq.cc < t.fo_qlen else t.fo_qlen
            win = cc
            mss = cc
    if t.t_flags & TF_FASTRECOVERY and t.t_flags & TF_SACK_PERMIT and t.board is not None:
        again = t.board.resent(t.snd_una)
        if choose_hole(s, t):
            length = win - again
            if length > dist(t.board.hole_left, t.board.hole_right):
                length = dist(t.board.hole_left, t.board.hole_right)
            if length > mss:
                length = mss
            if length > 0:
                return send_hole(s, t, length, flags)
        if again > 0:
            # all holes have been sent: new data, as far as the window goes beyond what was sent since
            length = dist(t.recover, t.snd_nxt)
            win = cython.cast(cython.int, t.cwnd) - (length if length > 0 else 0) - again
            win = minimum_i(t.snd_wnd, off + (win if win > 0 else 0))

    if t.flight is not None:
        win = minimum_i(t.snd_wnd, off + room(t, t.flight) * mss)

    if t.t_flags & TF_FORCE:
        if win == 0:
            if off < cc:
                flags &= ~FIN
            win = 1
        else:
            t.at_persist = NEVER
            t.rxtshift = 0

    length = (cc if cc < win else win) - off
    if length < 0:
        length = 0
        if t.snd_wnd == 0 and off > 0 and before(t.snd_nxt, t.snd_max):
            t.at_rexmt = NEVER
            t.rxtshift = 0
            t.snd_nxt = t.snd_una
            off = 0
            at = t.snd_nxt
            if t.at_persist == NEVER:
                set_persist(s, t)
    if (
        length == 0
        and cc > 0
        and t.snd_wnd == 0
        and t.state >= ESTABLISHED
        and t.at_rexmt == NEVER
        and t.at_persist == NEVER
        and not t.t_flags & TF_FORCE
        and not (flags & FIN and off >= cc)
    ):
        t.rxtshift = 0
        set_persist(s, t)

    if (
        length > mss
        and s.cfg.policy_push == PUSH_LINUX
        and t.snd_nxt == t.snd_max
        and not t.t_flags & TF_FORCE
    ):
        if dist(t.snd_nxt, t.burst_end) < mss or after(t.burst_end, add(t.snd_nxt, length)):
            one_burst(s, t, off, length, mss)
        if dist(t.snd_nxt, t.burst_end) < length:
            length = dist(t.snd_nxt, t.burst_end)
            more = True
    if length > mss:
        if s.cfg.tcp_tso and not t.t_flags & TF_FORCE:
            if length > GSO_MAX:
                length = GSO_MAX - GSO_MAX % mss
                more = True
            elif off + length < cc or flags & FIN == 0:
                if off + length < cc:
                    length -= length % mss
                    more = True
        else:
            length = mss
            more = True
    if off + length < cc:
        flags &= ~FIN
    elif flags & FIN and t.t_flags & TF_SENTFIN and t.snd_nxt == t.snd_max:
        flags &= ~FIN  # it is out already and not asked for again
    if (
        flags & FIN
        and s.cfg.policy_persist == PERSIST_LINUX
        and t.snd_nxt == t.snd_max
        and (
            off + length >= cython.cast(cython.int, t.snd_wnd)
            or (length == 0 and t.flight is not None and room(t, t.flight) == 0)
        )
    ):
        flags &= ~FIN  # there is no room for it in the window, theirs or that of congestion
        if length == 0 and t.at_rexmt == NEVER and t.at_persist == NEVER:
            t.rxtshift = 0
            set_persist(s, t)

    if (
        0 < length < mss
        and s.cfg.policy_nagle == NAGLE_LINUX
        and not t.t_flags & TF_FORCE
        and t.snd_nxt == t.snd_max
        and not short_goes(t, flags, off, length, cc)
    ):
        length = 0  # an ACK that is owed goes alone
        flags &= ~FIN
    if not worth_sending(s, t, idle, flags, off, length, cc, mss):
        if cc > 0 and t.at_rexmt == NEVER and t.at_persist == NEVER and t.state >= ESTABLISHED:
            t.rxtshift = 0
            set_persist(s, t)
        return 0
    rexmit = before(t.snd_nxt, t.snd_max)
    if not length and flags & (SYN | FIN) == 0 and t.at_persist == NEVER:
        at = t.snd_max
    if emit(s, t, at, off, length, flags, rexmit) < 1:
        return 0
    return 1 if more else 0


def send_hole(s, t, length, flags):
    """Send octets of a hole again. 1: there may be more to send."""
    board = t.board
    at: cython.uint = board.hole_left
    off: cython.int = dist(t.snd_una, at)
    if off + length > t.sndq.cc:  # the hole reaches over our FIN
        length = t.sndq.cc - off
    if length < 0 or (length == 0 and t.t_flags & TF_SENTFIN == 0):
        return 0
    if off + length < t.sndq.cc or before(add(at, length + 1), t.snd_max):
        flags &= ~FIN
    if board.rescue_left != board.rescue_right:
        board.rescued += length if length > 0 else 1
    else:
        board.high_rxt = add(at, length if length > 0 else 1)
        board.resent_max = t.snd_max
    s.stat.sack_rexmits += 1
    s.stat.sack_rexmit_bytes += length
    emit(s, t, at, off, length, flags, True)
    return 1


def skip_sacked(t):
    """After a timeout: SND.NXT goes over what the peer has (FreeBSD tcp_sack_adjust)."""
    board = t.board
    if board.n == 0 or after_eq(t.snd_nxt, board.highest()):
        return
    if board.next_hole(t.snd_nxt):
        t.snd_nxt = board.hole_left
    else:
        t.snd_nxt = board.highest()


def worth_sending(s, t, idle, flags, off, length, cc, mss):
    """Is the segment that could be sent worth it: Nagle, sender's silly window avoidance (MUST-38), window updates."""
    if length > 0:
        if length >= mss or t.t_flags & TF_FORCE or before(t.snd_nxt, t.snd_max):
            return True
        if s.cfg.policy_nagle == NAGLE_LINUX:
            return True  # short_goes has let it
        else:
            if off + length >= cc and t.t_flags & TF_MORETOCOME == 0:
                if t.t_flags & TF_NOPUSH and not t.t_flags & TF_CORK_FLUSH and flags & FIN == 0:
                    pass
                elif idle or t.t_flags & TF_NODELAY or flags & FIN:
                    return True
            if t.max_sndwnd > 0 and length >= cython.cast(cython.int, t.max_sndwnd // 2):
                return True
    if t.t_flags & TF_ACKNOW:
        return True
    if flags & SYN:
        return True
    if t.state >= ESTABLISHED and s.cfg.policy_window != WINDOW_LINUX and worth_an_update(s, t):
        return True
    if after(t.snd_up, t.snd_una):
        return True
    return flags & FIN != 0 and (t.t_flags & TF_SENTFIN == 0 or t.snd_nxt == t.snd_una)


def short_goes(t, flags, off, length, cc):
    """Linux: does a short segment go? What ends the write, unless it waits; what the window cuts off a burst."""
    if off + length >= cc and (flags & FIN or after(t.snd_up, t.snd_una) or not short_waits(t)):
        return True
    return t.burst_long and add(t.snd_nxt, length) == t.burst_end


def short_waits(t):
    """Linux: does a short segment wait? While corked, or while one before it is not acknowledged (Minshall)."""
    if t.t_flags & TF_CORK_FLUSH:
        return False
    if t.t_flags & (TF_NOPUSH | TF_MORETOCOME):
        return True
    if t.t_flags & TF_NODELAY or t.snd_max == t.snd_una:
        return False
    return after(t.snd_small, t.snd_una) and not after(t.snd_small, t.snd_max)


def current_mss(s, t):
    """Octets of a full segment: Linux leaves room for the SACK blocks that it reports with it."""
    n: cython.int
    if s.cfg.policy_push != PUSH_LINUX or t.sacks is None or not t.t_flags & TF_SACK_PERMIT:
        return t.maxseg
    n = t.sacks.n + (1 if t.sacks.dup else 0)
    if n == 0:
        return t.maxseg
    if n > 3:
        n = 3 if t.t_flags & TF_RCVD_TS else 4
    return t.maxseg - 4 - 8 * n


def burst(s, t, mss):
    """Linux: octets that leave in one go: a millisecond's worth at the pace of the window, more when the round trip is
    short, two segments at least. The last segment of more than one carries PSH.
    """
    cfg = s.cfg
    size: cython.longlong = 65215
    quota: cython.longlong
    shift: cython.longlong
    if t.srtt > 0:
        size = max(cython.cast(cython.int, t.cwnd), dist(t.snd_una, t.snd_max))
        size *= cfg.tcp_pacing_ss_ratio if t.cwnd < t.ssthresh // 2 else cfg.tcp_pacing_ca_ratio
        size = size * 10 * MS // t.srtt >> 10
        if cfg.tcp_tso_rtt_log:
            shift = t.rtt_min_window // 1000 >> cfg.tcp_tso_rtt_log
            if shift < 32:
                size += 65215 >> shift
        if size > 65215:
            size = 65215
    size -= size % mss
    if size < cfg.tcp_min_tso_segs * mss:
        size = cfg.tcp_min_tso_segs * mss
    quota = t.cwnd // t.maxseg // 2 * mss
    if quota < mss:
        quota = mss
    return size if size < quota else quota


def one_burst(s, t, off, room, mss):
    """Linux: new data from octet `off` on, at most `room` of it: as many octets as leave in one go."""
    most: cython.int = burst(s, t, mss)
    piece: cython.int = t.sndq.next_mark(t.snd_nxt)
    if 0 < piece < room and piece % mss == 0:
        room = piece
    if room > most:
        room = most
    elif room > mss and room % mss and short_waits(t):
        room -= room % mss
    t.burst_end = add(t.snd_nxt, room)
    t.burst_long = room > mss
    return room


def set_persist(s, t):
    """The peer's window is shut: probe it after one timeout, then with backoff (SHLD-29, SHLD-30)."""
    wait: cython.longlong = 0
    left: cython.longlong
    if s.cfg.policy_persist == PERSIST_LINUX:
        wait = rtt.backoff(s, t, t.rxtshift)
        if t.rxtshift == 0:
            t.rexmt_start = s.now
        elif t.user_timeout > 0:
            left = t.rexmt_start + t.user_timeout - s.now
            if wait > left:
                wait = left if left > 8 * MS else 8 * MS
    else:
        if t.srtt == 0:
            wait = 2 * s.cfg.tcp_rexmit_initial
        else:
            wait = 4 * t.srtt + 8 * t.rttvar
        wait <<= t.rxtshift if t.rxtshift < 9 else 9
    if wait < s.cfg.tcp_persmin and (s.cfg.policy_persist == PERSIST_BSD or t.user_timeout == 0):
        wait = s.cfg.tcp_persmin
    if wait > s.cfg.tcp_persmax:
        wait = s.cfg.tcp_persmax
    t.at_persist = s.now + wait
    if t.rxtshift < s.cfg.tcp_retries:
        t.rxtshift += 1


def our_mss(s, faddr, user_mss):
    """The MSS to announce: the way's MTU less both headers, or what the application wants if that is less."""
    mtu: cython.int = s.mtu_to(faddr)
    mss: cython.int = mtu - 40 if mtu > 0 else s.cfg.tcp_mssdflt
    if user_mss > 0 and user_mss < mss:
        mss = user_mss
    return mss


def fill_syn_options(s, t, p):
    """The options of a SYN or SYN-ACK: what we offer, or what the peer's SYN offered and we accept."""
    # Linux answers in a simultaneous open with the very SYN that it had sent, and offers everything again
    i: cython.int
    answer: cython.bint = t.state == SYN_RECEIVED and s.cfg.policy_options != OPTIONS_LINUX
    p.opt_mss = our_mss(s, t.faddr, t.user_mss)
    if not t.t_flags & TF_NO_SCALE and (not answer or t.t_flags & TF_RCVD_SCALE):
        p.opt_wscale = t.request_r_scale
    if not t.t_flags & TF_NO_SACK and (not answer or t.t_flags & TF_SACK_PERMIT):
        p.opt_sack_ok = True
    if not t.t_flags & TF_NO_TS and (not answer or t.t_flags & TF_RCVD_TS):
        stamp(s, p, t.ts_offset, t.ts_recent if t.state == SYN_RECEIVED else 0)
    if t.fo & FO_ASK and t.rxtshift == 0 and t.state == SYN_SENT:
        # a Fast Open cookie, or the wish for one: on the first SYN only
        p.tfo_off = COOKIE_ROOM
        p.tfo_len = len(t.fo_cookie)
        p.tfo_exp = t.fo & FO_EXP != 0
        for i in range(p.tfo_len):
            p.head[COOKIE_ROOM + i] = t.fo_cookie[i]
    return 0


def fill_sack(s, t, p):
    """SACK blocks to report, DSACK first (RFC 2018 section 4, RFC 2883). Answers how many."""
    n: cython.int = 0
    room: cython.int = 3 if p.opt_ts else 4
    i: cython.int = 0
    r = t.sacks
    if t.t_flags & TF_DSACK:
        s.stat.dsack_sent += 1
        t.t_flags &= ~TF_DSACK
    if r.dup:
        p.sack[0] = r.dup_left
        p.sack[1] = r.dup_right
        n = 1
        r.dup = False
    while i < r.n and n < room:
        p.sack[2 * n] = r.left[i]
        p.sack[2 * n + 1] = r.right[i]
        n += 1
        i += 1
    if s.cfg.policy_sack_report == SACK_REPORT_BSD:
        r.sent(t.rcv_nxt)
    p.sack_n = n
    if n:
        s.stat.sack_send_blocks += 1
    return n


def blank(s, laddr, lport, faddr, fport, ttl, tos):
    """A segment with nothing in it but who sends it to whom."""
    p = s.packet()
    p.proto = PROTO_TCP
    p.src = laddr
    p.dst = faddr
    p.sport = lport
    p.dport = fport
    p.ttl = ttl
    p.tos = tos
    p.csum_ok = True
    p.df = s.cfg.tcp_path_mtu_discovery != 0
    return p


def stamp(s, p, offset, echo):
    """The timestamp option: the clock of now from `offset` on, and what is echoed (RFC 7323 section 3)."""
    p.opt_ts = True
    p.ts_val = s.ts_at(offset)
    p.ts_ecr = echo


def transmit(s, p):
    """The segment is complete: write its header and send it."""
    s.stat.sndtotal += 1
    build(p, s.cfg.policy_options)
    return s.output(p)


def emit(s, t, at, off, length, flags, rexmit):
    """Build the segment at sequence number `at` (octet `off` of the send queue), send it, note it. 0: no mbufs."""
    p = blank(s, t.laddr, t.lport, t.faddr, t.fport, t.ttl, t.tos)
    established: cython.bint = t.state >= ESTABLISHED or t.fo & FO_QUEUED != 0
    mss: cython.int = current_mss(s, t)
    win: cython.int = receive_window(s, t) if established else 0
    spare: cython.int
    p.df = s.cfg.tcp_path_mtu_discovery != 0 and t.bh_mss == 0
    if flags & SYN:
        fill_syn_options(s, t, p)
    else:
        if t.t_flags & TF_RCVD_TS and flags & RST == 0:
            stamp(s, p, t.ts_offset, t.ts_recent)
        if t.t_flags & TF_SACK_PERMIT and established:
            if t.sacks is not None and (t.sacks.n > 0 or t.sacks.dup):
                if fill_sack(s, t, p) and length > 0:
                    spare = option_length(p, s.cfg.policy_options) - (12 if p.opt_ts else 0)
                    if length > t.maxseg - spare:
                        length = t.maxseg - spare
                        flags &= ~FIN
    if length > 0:
        p.m = t.sndq.chain(off, length)
        if p.m == 0:
            p.release()
            if t.at_rexmt == NEVER and t.at_persist == NEVER:
                t.at_rexmt = s.now + t.rxtcur
            if s.cfg.policy_recovery != RECOVERY_LINUX:
                t.cwnd = t.maxseg
            return 0
        p.length = length
        if flags & SYN:
            pass  # the data of a Fast Open are not pushed
        elif s.cfg.policy_push == PUSH_LINUX:
            spare = t.sndq.next_mark(at)
            if 0 < spare <= length or (
                t.burst_long and not rexmit and add(at, length) == t.burst_end
            ):
                flags |= PSH
            elif t.t_flags & TF_FORCE:
                flags |= PSH
                t.sndq.mark(add(at, length))
        elif off + length >= t.sndq.cc:
            flags |= PSH
        if length > t.maxseg:
            p.gso_size = t.maxseg
    if t.t_flags & TF_ECN and established:
        if length > 0 and not rexmit and not t.t_flags & TF_FORCE:
            p.tos = (p.tos & 0xFC) | 2
            s.stat.ecn_ect0 += 1
            if t.t_flags & TF_ECN_SND_CWR:
                flags |= CWR
                t.t_flags &= ~TF_ECN_SND_CWR
        if t.t_flags & TF_ECN_SND_ECE:
            flags |= ECE
    elif flags & SYN and s.cfg.tcp_ecn == 1 and not t.t_flags & TF_NO_ECN:
        if t.state == SYN_SENT and t.rxtshift <= s.cfg.tcp_ecn_maxretries:
            flags |= ECE | CWR
    p.seq = at
    p.ack = t.rcv_nxt if flags & ACK else 0
    if not established:
        p.win = syn_window(s, t, our_mss(s, t.faddr, t.user_mss))
        win = p.win
    else:
        p.win = window_field(s, t, win)
        if s.cfg.policy_window != WINDOW_LINUX:
            win = p.win << t.rcv_scale
    if after(t.snd_up, at):
        spare = dist(at, t.snd_up)
        p.urg = spare if spare < 65535 else 65535
        flags |= URG
        if length == 0:
            s.stat.sndurg += 1
    p.flags = flags
    if t.board is not None and t.t_flags & (TF_FASTRECOVERY | TF_CONGRECOVERY):
        t.board.prr_out += length
    count_sent(s, t, flags, length, rexmit)
    note_sent(s, t, at, length, flags)
    if established and s.cfg.policy_recovery == RECOVERY_LINUX:
        note_segment(s, t, at, length, flags, rexmit)
    if established:
        offered(s, t, win)
    elif after(add(t.rcv_nxt, win), t.rcv_adv):
        t.rcv_adv = add(t.rcv_nxt, win)
    if p.win == 0 and established:
        t.t_flags |= TF_RXWIN0SENT
    else:
        t.t_flags &= ~TF_RXWIN0SENT
    if length > 0:
        t.data_sent = s.now
        if length < mss and not rexmit:
            t.snd_small = add(at, length)
    if flags & ACK:
        ack_sent(s, t, length)
    if t.rcv_auto_start == 0 and not t.t_flags & TF_RCV_AUTO_OFF:
        t.rcv_auto_start = s.now if s.now > 0 else 1
    t.last_sent = s.now
    transmit(s, p)
    return 1


def count_sent(s, t, flags, length, rexmit):
    """The sender's part of netstat -s."""
    st = s.stat
    segments: cython.int = (length + t.maxseg - 1) // t.maxseg if length > t.maxseg else 1
    t.segs_out += segments
    if length > 0:
        t.data_segs_out += segments
        t.bytes_sent += length
        if rexmit:
            t.bytes_retrans += length
        if t.t_flags & TF_FORCE and length == 1:
            st.sndprobe += 1
        elif rexmit:
            st.sndrexmitpack += 1
            st.sndrexmitbyte += length
        else:
            st.sndpack += 1
            st.sndbyte += length
    elif flags & (SYN | FIN | RST):
        st.sndctrl += 1
    elif t.t_flags & TF_ACKNOW:
        st.sndacks += 1
    else:
        st.sndwinup += 1


def note_sent(s, t, at, length, flags):
    """SND.NXT, SND.MAX, the sample for the round trip and the timer after sending [at, at + length)."""
    end: cython.uint = add(at, length)
    if flags & (SYN | FIN):
        end = add(end, 1)
        if flags & FIN:
            t.t_flags |= TF_SENTFIN
    if t.t_flags & TF_FORCE and t.at_persist != NEVER:
        if after(end, t.snd_max):
            t.snd_max = end
        return
    if t.snd_nxt == at:
        t.snd_nxt = end
    if after(t.snd_nxt, t.snd_max):
        t.snd_max = t.snd_nxt
        if t.rtt_time == 0 and end != at:
            t.rtt_time = s.now if s.now > 0 else 1
            t.rtt_seq = at
            s.stat.segstimed += 1
    if t.at_rexmt == NEVER and end != at:
        if (
            t.at_persist != NEVER
        ):  # the window has opened: from here on it is a matter of retransmission
            t.at_persist = NEVER
            t.rxtshift = 0
        t.at_rexmt = s.now + t.rxtcur
        if t.rxtshift == 0:
            t.rexmt_start = s.now
