"""What a segment does: RFC 9293 section 3.10.7, in the order of its steps, with RFC 7323, 5961, 5681, 6582 and 6675.

    tcp_input        whose segment is it: a connection's, a waiting row's, a listener's, nobody's
    segment_arrives  a connection's segment, step by step:
                       reset_input     second, RST (RFC 5961 section 3)
                       trim            first, the sequence number: cut to what is in the window
                       acknowledge     fifth, ACK: new_ack, duplicate_ack, recovery_ack
                       text            seventh, the data
                       got_fin         eighth, FIN

Functions answer 0 or the drop reason (consts.Drop) of the segment; nothing that arrives can raise.
"""

import cython

from pystack._fast import congestion, rtt
from pystack._fast.consts import (
    ACK,
    CLOSE_WAIT,
    CLOSING,
    CWR,
    DELACK_LINUX,
    ECE,
    ESTABLISHED,
    EV_ACCEPT,
    EV_CONNECT,
    EV_ERROR,
    EV_READ,
    EV_WRITE,
    FIN,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    MS,
    NEVER,
    PSH,
    RST,
    SECOND,
    SYN,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
    TIMEWAIT_LINUX,
    URG,
    Drop,
    Err,
)
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.recvq import Reassembly
from pystack._fast.scoreboard import Scoreboard
from pystack._fast.seq import (
    add,
    after,
    after_eq,
    before,
    before_eq,
    between,
    dist,
    maximum,
    sub,
)
from pystack._fast.tcb import (
    SO_KEEPALIVE,
    SS_CANTRCVMORE,
    SS_CANTSENDMORE,
    SS_CONNECTED,
    SS_CONNECTING,
    SS_INQUEUE,
    SS_NOFDREF,
    SS_WRITE_BLOCKED,
    TF_ACKNOW,
    TF_DELACK,
    TF_DSACK,
    TF_ECN,
    TF_ECN_SND_CWR,
    TF_ECN_SND_ECE,
    TF_FASTRECOVERY,
    TF_FIN_PENDING,
    TF_NO_SACK,
    TF_NO_SCALE,
    TF_NO_TS,
    TF_PASSIVE,
    TF_RCV_AUTO_OFF,
    TF_RCVD_SCALE,
    TF_RCVD_TS,
    TF_RTO_RECOVERY,
    TF_RXWIN0SENT,
    TF_SACK_PERMIT,
    TF_SENTFIN,
    Tcb,
)
from pystack._fast.tcp_close import (
    arm_finwait2,
    arm_timewait,
    close,
    drop,
    enter_timewait,
    remove_timewait,
)
from pystack._fast.tcp_listen import Listener  # noqa: F401
from pystack._fast.tcp_out import (
    receive_window,
    reset_for,
    respond,
    send_ack_only,
    syn_window,
    tcp_output,
)
from pystack._fast.tcp_wire import build

_U32 = 0xFFFFFFFF
TCP_NO_PORT = int(Drop.TCP_NO_PORT)
TCP_BLACKHOLE = int(Drop.TCP_BLACKHOLE)
TCP_WINDOW = int(Drop.TCP_WINDOW)
TCP_OLD = int(Drop.TCP_OLD)
TCP_PAWS = int(Drop.TCP_PAWS)
TCP_NO_TIMESTAMP = int(Drop.TCP_NO_TIMESTAMP)
TCP_BAD_ACK = int(Drop.TCP_BAD_ACK)
TCP_BAD_RST = int(Drop.TCP_BAD_RST)
TCP_BAD_SYN = int(Drop.TCP_BAD_SYN)
TCP_NO_ACK = int(Drop.TCP_NO_ACK)
TCP_AFTER_CLOSE = int(Drop.TCP_AFTER_CLOSE)
TCP_TIME_WAIT = int(Drop.TCP_TIME_WAIT)
TCP_REASSEMBLY = int(Drop.TCP_REASSEMBLY)
TCP_LISTEN_STATE = int(Drop.TCP_LISTEN_STATE)
TCP_SYNFIN = int(Drop.TCP_SYNFIN)
TCP_FROM_SELF = int(Drop.TCP_FROM_SELF)
MBUF = int(Drop.MBUF)
ECONNREFUSED = int(Err.ECONNREFUSED)
ECONNRESET = int(Err.ECONNRESET)

PAWS_IDLE = 24 * 24 * 60 * 60 * SECOND
"""A timestamp older than this says nothing any more (RFC 7323 section 5.5)."""


def tcp_input(s, listeners, p):
    """A valid segment for one of this machine's addresses. The caller releases the packet afterwards."""
    s.stat.rcvtotal += 1
    if s.cfg.tcp_drop_synfin and p.flags & (SYN | FIN) == (SYN | FIN):
        return TCP_SYNFIN
    row: cython.int = s.demux.find(p.dst, p.dport, p.src, p.sport)
    if row != 0:
        t: Tcb = s.tcbs[row]
        if t.state == SYN_SENT:
            return syn_sent_input(s, t, p)
        return segment_arrives(s, t, p)
    if s.timewait.used:
        row = s.timewait.find(p.dst, p.dport, p.src, p.sport)
        if row != 0:
            return timewait_input(s, listeners, row, p)
    row = s.demux.find_listener(p.dst, p.dport)
    if row != 0:
        return listen_input(s, listeners, s.tcbs[row], p)
    return closed_input(s, p)


def closed_input(s, p):
    """Nobody's segment (RFC 9293 section 3.10.7.1)."""
    blackhole: cython.longlong = s.cfg.tcp_blackhole
    if blackhole >= 2 or (blackhole == 1 and p.flags & SYN):
        return TCP_BLACKHOLE
    if p.flags & RST == 0 and s.icmp_limit_rst():
        reset_for(s, p)
    return TCP_NO_PORT


def listen_input(s, listeners, t, p):
    """A listener's segment (RFC 9293 section 3.10.7.2)."""
    if p.flags & RST:
        return listeners.on_rst(s, t, p)
    if p.flags & SYN and p.flags & ACK == 0:
        if p.src == p.dst and p.sport == p.dport:
            s.stat.badsyn += 1
            return TCP_FROM_SELF
        return listeners.on_syn(s, t, p)
    if p.flags & ACK:
        if p.flags & SYN:
            if s.icmp_limit_rst():
                reset_for(s, p)
            return TCP_BAD_ACK
        child = listeners.on_ack(s, t, p)
        if child is None:
            return p.drop
        set_mss(s, child)
        child.cwnd = congestion.initial_window(s, child)
        child.ssthresh = 0x40000000
        return segment_arrives(s, child, p)
    return TCP_LISTEN_STATE


def timewait_input(s, listeners, row, p):
    """A segment for a waiting row: RFC 9293 section 3.10.7.4 for TIME-WAIT, RFC 1337, RFC 6191."""
    tw = s.timewait
    rcv_nxt: cython.uint = tw.rcv_nxt[row]
    linux: cython.bint = s.cfg.policy_timewait == TIMEWAIT_LINUX
    length: cython.int = p.length
    paws_bad: cython.bint = (
        p.opt_ts
        and tw.has_ts[row]
        and tw.ts_recent[row] != 0
        and before(p.ts_val, tw.ts_recent[row])
        and s.now - tw.ts_stamp[row] < PAWS_IDLE
    )
    if p.flags & RST:
        if linux and not paws_bad and p.seq == rcv_nxt and not s.cfg.tcp_rfc1337:
            remove_timewait(s, row)
            return 0
        return TCP_TIME_WAIT
    if p.flags & SYN and p.flags & ACK == 0:
        newer: cython.bint = after(p.seq, rcv_nxt) or (
            linux and p.opt_ts and tw.has_ts[row] and after(p.ts_val, tw.ts_recent[row])
        )
        listener: cython.int = s.demux.find_listener(p.dst, p.dport)
        if newer and not paws_bad and listener != 0:
            remove_timewait(s, row)
            arm_timewait(s)
            s.stat.tw_reused += 1
            return listen_input(s, listeners, s.tcbs[listener], p)
    if p.flags & ACK == 0 and not linux:
        return TCP_TIME_WAIT
    if linux:
        if not paws_bad and p.seq == rcv_nxt and length == 0 and p.flags & (SYN | FIN) == 0:
            tw.restart(row, s.now + s.cfg.tcp_timewait)
            arm_timewait(s)
            return 0
        if paws_bad or p.flags & ACK:
            tw.restart(row, s.now + s.cfg.tcp_timewait)
            arm_timewait(s)
    else:
        if p.flags & FIN and add(add(p.seq, length), 1) == rcv_nxt:
            tw.restart(row, s.now + s.cfg.tcp_timewait)
            arm_timewait(s)
        elif (
            length == 0
            and p.flags & (SYN | FIN) == 0
            and p.seq == rcv_nxt
            and p.ack == tw.snd_nxt[row]
        ):
            return 0
    timewait_ack(s, row)
    return TCP_TIME_WAIT


def timewait_ack(s, row):
    """The acknowledgment that the row's connection would send."""
    tw = s.timewait
    p = s.packet()
    p.proto = 6
    p.src = tw.laddr[row]
    p.dst = tw.faddr[row]
    p.sport = tw.ports[row] >> 16
    p.dport = tw.ports[row] & 0xFFFF
    p.seq = tw.snd_nxt[row]
    p.ack = tw.rcv_nxt[row]
    p.flags = ACK
    p.win = tw.win[row] if tw.win[row] < 65535 else 65535
    p.ttl = s.cfg.ip_ttl
    p.csum_ok = True
    p.df = s.cfg.tcp_path_mtu_discovery != 0
    if tw.has_ts[row]:
        ticks: cython.ulonglong = s.now // MS
        p.opt_ts = True
        p.ts_val = (ticks + tw.ts_offset[row]) & _U32
        p.ts_ecr = tw.ts_recent[row]
    s.stat.sndtotal += 1
    s.stat.sndacks += 1
    build(p, s.cfg.policy_options)
    s.output(p)
    return 0


def peer_options(s, t, p):
    """What the peer's SYN or SYN-ACK offers, as far as we offered it too."""
    if p.opt_wscale >= 0 and s.cfg.tcp_window_scaling and not t.t_flags & TF_NO_SCALE:
        t.t_flags |= TF_RCVD_SCALE
        t.snd_scale = p.opt_wscale
        t.rcv_scale = t.request_r_scale
    if p.opt_ts and s.cfg.tcp_timestamps and not t.t_flags & TF_NO_TS:
        t.t_flags |= TF_RCVD_TS
        t.ts_recent = p.ts_val
        t.ts_recent_age = s.now
    if p.opt_sack_ok and s.cfg.tcp_sack and not t.t_flags & TF_NO_SACK:
        t.t_flags |= TF_SACK_PERMIT
    t.mss_peer = p.opt_mss if p.opt_mss >= 0 else s.cfg.tcp_mssdflt
    return set_mss(s, t)


def set_mss(s, t):
    """The effective MSS: what the peer takes, what the way carries, less the options of every segment (MUST-16)."""
    mtu: cython.int = s.mtu_to(t.faddr)
    mss: cython.int = mtu - 40 if mtu > 0 else s.cfg.tcp_mssdflt
    if t.pmtu > 0 and t.pmtu - 40 < mss:
        mss = t.pmtu - 40
    if t.bh_mss > 0 and t.bh_mss < mss:
        mss = t.bh_mss
    if t.mss_peer > 0 and t.mss_peer < mss:
        mss = t.mss_peer
    if t.user_mss > 0 and t.user_mss < mss:
        mss = t.user_mss
    if mss < s.cfg.tcp_minmss:
        mss = s.cfg.tcp_minmss
    if t.t_flags & TF_RCVD_TS:
        mss -= 12
    t.maxseg = mss
    return 0


def established(s, t):
    """The handshake is done."""
    s.stat.connects += 1
    s.set_state(t, ESTABLISHED)
    t.so_state &= ~SS_CONNECTING
    t.so_state |= SS_CONNECTED
    t.starttime = s.now
    t.quick_acks = 16
    t.at_keep = NEVER
    if s.cfg.tcp_always_keepalive or t.so_options & SO_KEEPALIVE:
        t.at_keep = s.now + t.keepidle * MS
    t.keep_probes = 0
    t.rcv_auto_start = s.now
    t.rcv_auto_seq = t.rcv_nxt
    listener = t.listener
    if t.t_flags & TF_PASSIVE and listener is not None:
        s.stat.accepts += 1
        t.so_state |= SS_INQUEUE
        t.accept_next = None
        if listener.accept_last is None:
            listener.accept_first = t
        else:
            listener.accept_last.accept_next = t
        listener.accept_last = t
        listener.qlen += 1
        s.wakeup(listener, EV_ACCEPT | EV_READ)
    s.wakeup(t, EV_CONNECT | EV_WRITE)
    return 0


def syn_sent_input(s, t, p):
    """SYN-SENT (RFC 9293 section 3.10.7.3)."""
    if p.flags & ACK and (before_eq(p.ack, t.iss) or after(p.ack, t.snd_max)):
        reset_for(s, p)
        return TCP_BAD_ACK
    if p.flags & RST:
        if p.flags & ACK:
            drop(s, t, ECONNREFUSED, False)
            return 0
        return TCP_BAD_RST
    if p.flags & SYN == 0:
        return TCP_BAD_SYN
    t.rcvtime = s.now
    t.irs = p.seq
    t.rcv_nxt = add(p.seq, 1)
    t.rcv_up = t.rcv_nxt
    t.rcv_adv = add(t.rcv_nxt, syn_window(s, t, t.maxseg))
    t.last_ack_sent = t.rcv_nxt
    peer_options(s, t, p)
    t.snd_wl1 = p.seq
    t.snd_wl2 = t.iss
    if p.flags & ACK:
        if p.flags & ECE and p.flags & CWR == 0 and s.cfg.tcp_ecn == 1:
            t.t_flags |= TF_ECN
            s.stat.ecn_shs += 1
        t.snd_wnd = p.win
        t.max_sndwnd = p.win
        if t.rxtshift == 0 and t.rtt_time != 0:
            rtt.sample(s, t, s.now - t.rtt_time)
        elif t.t_flags & TF_RCVD_TS and p.ts_ecr != 0:
            ticks: cython.longlong = dist(p.ts_ecr, s.ts_clock(t))
            rtt.sample(s, t, ticks * MS)
        t.syn_rexmits = t.rxtshift
        t.rxtshift = 0
        t.rxtcur = rtt.rto(s, t)
        t.rtt_time = 0
        t.snd_una = p.ack
        t.snd_nxt = maximum(t.snd_nxt, p.ack)
        t.snd_up = t.snd_una
        t.at_rexmt = NEVER
        t.cwnd = congestion.initial_window(s, t)
        t.ssthresh = 0x40000000
        t.t_flags |= TF_ACKNOW
        fin: cython.bint = t.so_state & SS_CANTSENDMORE != 0
        established(s, t)
        if fin:
            s.set_state(t, FIN_WAIT_1)
    else:
        # simultaneous open (MUST-10): answer the SYN with a SYN-ACK of the same ISS
        s.set_state(t, SYN_RECEIVED)
        t.snd_nxt = t.snd_una
        t.t_flags |= TF_ACKNOW
        t.at_rexmt = NEVER
        t.snd_wnd = p.win
        t.max_sndwnd = p.win
        t.cwnd = congestion.initial_window(s, t)
        t.ssthresh = 0x40000000
        tcp_output(s, t)
        return 0
    if t.rcv_wnd == 0:
        t.rcv_wnd = receive_window(s, t)
    p.seq = add(p.seq, 1)
    if p.length > 0 or p.flags & FIN:
        t.rcv_wnd = receive_window(s, t)
        trim(s, t, p)
        text(s, t, p)
    tcp_output(s, t)
    return 0


def challenge(s, t):
    """A challenge ACK, within the limit (RFC 5961 sections 3.2, 4.2, 7)."""
    cfg = s.cfg
    limit: cython.longlong = cfg.tcp_challenge_ack_limit
    if limit >= 0 and cfg.tcp_challenge_ack_window > 0:
        if s.now - t.challenge_start >= cfg.tcp_challenge_ack_window or t.challenge_count == 0:
            t.challenge_start = s.now
            t.challenge_count = 0
        if t.challenge_count >= limit:
            s.stat.challenge_suppressed += 1
            return 0
        t.challenge_count += 1
    s.stat.challenge_acks += 1
    send_ack_only(s, t, t.snd_max)
    return 0


def reset_input(s, t, p):
    """RST (RFC 5961 section 3): exactly RCV.NXT resets, elsewhere in the window is challenged, outside is dropped."""
    inside: cython.bint = between(p.seq, t.last_ack_sent, add(t.last_ack_sent, t.rcv_wnd)) or (
        p.seq == t.last_ack_sent or p.seq == t.rcv_nxt
    )
    if not inside:
        return TCP_BAD_RST
    if p.seq != t.rcv_nxt and p.seq != t.last_ack_sent and not s.cfg.tcp_insecure_rst:
        s.stat.badrst += 1
        challenge(s, t)
        return TCP_BAD_RST
    err: cython.int = ECONNRESET
    if t.state == SYN_RECEIVED:
        err = ECONNREFUSED
    elif t.state == CLOSING or t.state == LAST_ACK:
        err = 0
    s.stat.drops += 1
    drop(s, t, err, False)
    return 0


def segment_arrives(s, t, p):
    """A segment of a connection that is past SYN-SENT."""
    reason: cython.int
    if p.flags & RST == 0:
        t.rcvtime = s.now
        if t.keep_probes:
            t.keep_probes = 0
    t.rcv_wnd = receive_window(s, t)
    if p.flags & RST:
        return reset_input(s, t, p)
    if t.t_flags & TF_RCVD_TS:
        if p.opt_ts:
            if t.ts_recent != 0 and before(p.ts_val, t.ts_recent):
                if s.now - t.ts_recent_age >= PAWS_IDLE:
                    t.ts_recent = 0
                else:
                    s.stat.pawsdrop += 1
                    if p.length > 0 or p.flags & (SYN | FIN):
                        send_ack_only(s, t, t.snd_max)
                    return TCP_PAWS
        elif not s.cfg.tcp_tolerate_missing_ts:
            return TCP_NO_TIMESTAMP
    if p.flags & SYN:
        if t.state == SYN_RECEIVED and p.seq == t.irs:
            if p.flags & ACK and p.ack == add(t.iss, 1):
                # the answer to our half of a simultaneous open: a SYN-ACK with the SYN that we know
                p.seq = add(p.seq, 1)
                p.flags &= ~SYN
            else:
                t.t_flags |= TF_ACKNOW
                t.snd_nxt = t.snd_una
                tcp_output(s, t)
                return TCP_BAD_SYN
        elif s.cfg.tcp_insecure_syn and t.state >= ESTABLISHED and before(p.seq, t.rcv_nxt):
            # before RFC 5961: an old SYN is an octet that is known already
            p.seq = add(p.seq, 1)
            p.flags &= ~SYN
            t.t_flags |= TF_ACKNOW
        elif s.cfg.tcp_insecure_syn and t.state >= ESTABLISHED and between(
            p.seq, t.rcv_nxt, add(t.rcv_nxt, t.rcv_wnd)
        ):
            drop(s, t, ECONNRESET, True)
            return TCP_BAD_SYN
        else:
            challenge(s, t)
            return TCP_BAD_SYN
    reason = trim(s, t, p)
    if reason:
        return reason
    if t.row == 0:
        return TCP_AFTER_CLOSE
    if p.opt_ts and t.t_flags & TF_RCVD_TS and before_eq(p.seq, t.last_ack_sent):
        if after_eq(p.ts_val, t.ts_recent) or t.ts_recent == 0:
            t.ts_recent = p.ts_val
            t.ts_recent_age = s.now
    if p.flags & ACK == 0:
        return TCP_NO_ACK
    if t.t_flags & TF_ECN:
        if p.flags & CWR:
            t.t_flags &= ~TF_ECN_SND_ECE
        if p.tos & 3 == 3:
            s.stat.ecn_ce += 1
            t.t_flags |= TF_ECN_SND_ECE | TF_ACKNOW
        if p.flags & ECE:
            ecn_congestion(s, t)
    reason = acknowledge(s, t, p)
    if reason or t.row == 0:
        return reason
    text(s, t, p)
    if t.row == 0:
        return 0
    if t.reass is not None or t.t_flags & (TF_FASTRECOVERY | TF_DSACK) or t.snd_nxt != t.snd_max:
        tcp_output(s, t)  # the peer counts these answers: one for each segment
    elif (
        t.t_flags & TF_ACKNOW
        or t.sndq.cc > dist(t.snd_una, t.snd_max)
        or t.state == FIN_WAIT_1
        or t.state == LAST_ACK
        or t.state == CLOSING
    ):
        s.defer(t)
    else:
        s.arm(t)
    return 0


def note_dsack(t, left, right):
    """[left, right) arrived twice: the next acknowledgment says so (RFC 2883)."""
    t.t_flags |= TF_DSACK
    t.dsack_left = left
    t.dsack_right = right
    return True


def trim(s, t, p):
    """Cut the segment to the window (RFC 9293 section 3.4, 3.10.7.4 first step). 0: go on with what is left."""
    old: cython.int = dist(p.seq, t.rcv_nxt)
    beyond: cython.int
    if old > 0:
        if old > p.length or (old == p.length and p.flags & FIN == 0):
            # nothing new in it; but its ACK counts, and it is acknowledged again
            if p.length > 0:
                s.stat.rcvduppack += 1
                s.stat.rcvdupbyte += p.length
                if t.t_flags & TF_SACK_PERMIT and s.cfg.tcp_dsack:
                    note_dsack(t, p.seq, add(p.seq, p.length))
            elif p.flags & FIN == 0 and old > 1 and t.state != SYN_RECEIVED:
                # an old ACK without data, or a keep-alive probe: outside of the window
                t.t_flags |= TF_ACKNOW
                tcp_output(s, t)
                return TCP_OLD
            t.t_flags |= TF_ACKNOW
            if old > p.length:
                p.flags &= ~FIN
            p.drop_payload()
            p.length = 0
            p.seq = t.rcv_nxt
        else:
            s.stat.rcvpartduppack += 1
            s.stat.rcvpartdupbyte += old
            if t.t_flags & TF_SACK_PERMIT and s.cfg.tcp_dsack:
                note_dsack(t, p.seq, t.rcv_nxt)
            p.m = p.pool.trim_front(p.m, old)
            p.length -= old
            p.seq = t.rcv_nxt
            if p.urg > old:
                p.urg -= old
            else:
                p.flags &= ~URG
                p.urg = 0
    if (
        t.so_state & SS_NOFDREF
        and t.state > CLOSE_WAIT
        and p.length > 0
        and not t.so_state & SS_INQUEUE
    ):
        # data for nobody: the application has closed (facts: freebsd-tcp 2.5)
        s.stat.rcvafterclose += 1
        respond(s, t.laddr, t.lport, t.faddr, t.fport, p.ack, 0, RST, 0, t.ttl, t.tos)
        close(s, t)
        return TCP_AFTER_CLOSE
    beyond = dist(add(t.rcv_nxt, t.rcv_wnd), add(p.seq, p.length + (1 if p.flags & FIN else 0)))
    if beyond > 0 and (p.length > 0 or p.flags & FIN):
        s.stat.rcvpackafterwin += 1
        if beyond >= p.length + (1 if p.flags & FIN else 0):
            s.stat.rcvbyteafterwin += p.length
            if t.rcv_wnd == 0 and p.seq == t.rcv_nxt:
                s.stat.rcvwinprobe += 1
                t.t_flags |= TF_ACKNOW
                p.drop_payload()
                p.length = 0
                p.flags &= ~(FIN | PSH)
                return 0
            t.t_flags |= TF_ACKNOW
            tcp_output(s, t)
            return TCP_WINDOW
        s.stat.rcvbyteafterwin += beyond
        if p.flags & FIN:
            p.flags &= ~FIN
            beyond -= 1
        if beyond > 0:
            p.pool.truncate(p.m, p.length - beyond)
            p.length -= beyond
        p.flags &= ~PSH
    elif p.length == 0 and after(p.seq, add(t.rcv_nxt, t.rcv_wnd)):
        t.t_flags |= TF_ACKNOW
        tcp_output(s, t)
        return TCP_WINDOW
    return 0


def acknowledge(s, t, p):
    """The ACK field (RFC 9293 section 3.10.7.4 fifth step, RFC 5961 section 5)."""
    win: cython.uint = p.win
    news: cython.bint = False
    win = win << t.snd_scale
    if t.state == SYN_RECEIVED:
        if before_eq(p.ack, t.snd_una) or after(p.ack, t.snd_max):
            reset_for(s, p)
            return TCP_BAD_ACK
        fin: cython.bint = t.so_state & SS_CANTSENDMORE != 0
        if t.rtt_time != 0 and t.rxtshift == 0:
            rtt.sample(s, t, s.now - t.rtt_time)
            t.rtt_time = 0
        elif t.t_flags & TF_RCVD_TS and p.opt_ts and p.ts_ecr != 0 and t.srtt == 0:
            ticks: cython.longlong = dist(p.ts_ecr, s.ts_clock(t))
            if ticks >= 0:
                rtt.sample(s, t, ticks * MS if ticks > 0 else MS)
        t.at_rexmt = NEVER
        t.rxtshift = 0
        t.snd_una = add(t.iss, 1)
        if before(t.snd_nxt, t.snd_una):
            t.snd_nxt = t.snd_una
        t.snd_wl1 = sub(p.seq, 1)
        t.snd_up = t.snd_una
        if t.t_flags & TF_PASSIVE:
            t.so_state &= ~SS_NOFDREF
        established(s, t)
        if fin:
            s.set_state(t, FIN_WAIT_1)
    if after(p.ack, t.snd_max):
        s.stat.rcvacktoomuch += 1
        t.t_flags |= TF_ACKNOW
        tcp_output(s, t)
        return TCP_BAD_ACK
    if before(p.ack, sub(t.snd_una, t.max_sndwnd)) and before(p.ack, t.snd_una):
        challenge(s, t)
        return TCP_BAD_ACK
    if p.sack_n > 0 and t.t_flags & TF_SACK_PERMIT:
        news = note_sack(s, t, p)
    if before_eq(p.ack, t.snd_una):
        duplicate_ack(s, t, p, news)
    else:
        new_ack(s, t, p)
        if t.row == 0:
            return 0
    # the window (RFC 9293 section 3.10.7.4; SND.WL1, SND.WL2)
    if (
        before(t.snd_wl1, p.seq)
        or (t.snd_wl1 == p.seq and before(t.snd_wl2, p.ack))
        or (t.snd_wl2 == p.ack and win > t.snd_wnd)
        or (t.snd_wl1 == p.seq and t.snd_wl2 == p.ack and win != t.snd_wnd)
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


def note_sack(s, t, p):
    """SACK blocks into the scoreboard; is there news in them (RFC 6675 section 3, RFC 2883 for the first block)?"""
    i: cython.int
    left: cython.uint
    right: cython.uint
    news: cython.int = 0
    for i in range(p.sack_n):
        left = p.sack[2 * i]
        right = p.sack[2 * i + 1]
        s.stat.sack_rcv_blocks += 1
        if not before(left, right) or after(right, t.snd_max):
            continue
        if before_eq(right, p.ack) or before_eq(right, t.snd_una):
            s.stat.dsack_rcv += 1
            continue
        if before(left, t.snd_una):
            left = t.snd_una
        if before(left, p.ack):
            left = p.ack
        if t.board is None:
            t.board = Scoreboard(s.cfg.tcp_sack_maxholes)
            t.board.high_rxt = t.snd_una
        news += t.board.add_block(left, right)
    return news > 0


def duplicate_ack(s, t, p, sack_news):
    """An ACK that acknowledges nothing new: is it one of the three (RFC 5681 section 2, RFC 6675)?"""
    win: cython.uint = p.win
    win = win << t.snd_scale
    sack: cython.bint = t.t_flags & TF_SACK_PERMIT != 0
    limited: cython.uint
    if p.ack != t.snd_una or t.snd_una == t.snd_max or p.flags & FIN:
        return 0
    if not (sack_news if sack and t.board is not None else (p.length == 0 and win == t.snd_wnd)):
        if p.length == 0 and t.t_flags & TF_FASTRECOVERY == 0 and not sack:
            t.dupacks = 0
        return 0
    s.stat.rcvdupack += 1
    t.dupacks += 1
    if t.t_flags & TF_FASTRECOVERY:
        if not sack:
            t.cwnd += t.maxseg
        tcp_output(s, t)
        return 0
    if t.t_flags & TF_RTO_RECOVERY and before(t.snd_una, t.recover):
        return 0
    lost: cython.bint = (
        sack and t.board is not None and after(t.board.lost_edge(t.snd_una, t.maxseg, 3), t.snd_una)
    )
    if t.dupacks >= 3 or lost:
        if not sack and before_eq(t.snd_una, t.recover) and t.recover != t.iss:
            # RFC 6582 section 3.2 step 1: these duplicates are answers to our own retransmissions
            t.dupacks = 0
            return 0
        enter_recovery(s, t)
        return 0
    if s.cfg.tcp_rfc3042 and t.sndq.cc > dist(t.snd_una, t.snd_max):
        # limited transmit (RFC 3042): one new segment for each of the first two
        limited = t.cwnd
        t.cwnd = dist(t.snd_una, t.snd_max) + t.maxseg
        if t.cwnd > limited + 2 * t.maxseg:
            t.cwnd = limited + 2 * t.maxseg
        tcp_output(s, t)
        t.cwnd = limited
    return 0


def enter_recovery(s, t):
    """Three duplicates: fast retransmit and fast recovery (RFC 5681 section 3.2, RFC 6675 section 5)."""
    flight: cython.uint = dist(t.snd_una, t.snd_max)
    sack: cython.bint = t.t_flags & TF_SACK_PERMIT != 0 and t.board is not None
    keep: cython.uint
    window: cython.uint
    s.stat.sack_recovery_episode += 1 if sack else 0
    t.ssthresh = congestion.after_loss(s, t, flight)
    t.recover = t.snd_max
    t.t_flags |= TF_FASTRECOVERY
    t.rtt_time = 0
    t.bytes_acked = 0
    if t.t_flags & TF_ECN:
        t.t_flags |= TF_ECN_SND_CWR
    if sack:
        t.cwnd = t.ssthresh
        t.board.high_rxt = t.snd_una
        t.board.rescued = False
        t.at_rexmt = s.now + t.rxtcur
        tcp_output(s, t)
        return 0
    keep = t.snd_nxt
    window = t.ssthresh + 3 * t.maxseg
    t.at_rexmt = NEVER
    t.snd_nxt = t.snd_una
    t.cwnd = t.maxseg
    tcp_output(s, t)
    t.cwnd = window
    if after(keep, t.snd_nxt):
        t.snd_nxt = keep
    tcp_output(s, t)
    return 0


def ecn_congestion(s, t):
    """The peer echoes a congestion mark: reduce once a window (RFC 3168 section 6.1.2)."""
    if t.t_flags & TF_FASTRECOVERY or before(t.snd_una, t.recover):
        return 0
    s.stat.ecn_rcwnd += 1
    t.ssthresh = congestion.after_loss(s, t, dist(t.snd_una, t.snd_max))
    t.cwnd = t.ssthresh
    t.recover = t.snd_max
    t.t_flags |= TF_ECN_SND_CWR
    return 0


def recovery_ack(s, t, acked):
    """New data was acknowledged in recovery: the end of it, or a partial acknowledgment (RFC 6582 section 3.2)."""
    flight: cython.uint
    sack: cython.bint = t.t_flags & TF_SACK_PERMIT != 0 and t.board is not None
    keep: cython.uint
    if after_eq(t.snd_una, t.recover):
        t.t_flags &= ~TF_FASTRECOVERY
        t.dupacks = 0
        if not sack:
            flight = dist(t.snd_una, t.snd_max)
            flight = flight + t.maxseg if flight > 0 else 2 * t.maxseg
            t.cwnd = minimum_u(t.ssthresh, flight)
        else:
            t.cwnd = t.ssthresh
        return 0
    t.at_rexmt = s.now + t.rxtcur
    if sack:
        return 0  # tcp_output goes on with the scoreboard
    # the next hole begins at SND.UNA: send it, deflate by what was acknowledged, one segment back
    keep = t.snd_nxt
    flight = t.cwnd
    t.at_rexmt = NEVER
    t.rtt_time = 0
    t.snd_nxt = t.snd_una
    t.cwnd = t.maxseg
    tcp_output(s, t)
    t.cwnd = flight
    if after(keep, t.snd_nxt):
        t.snd_nxt = keep
    if t.cwnd > cython.cast(cython.uint, acked):
        t.cwnd -= acked
    else:
        t.cwnd = 0
    t.cwnd += t.maxseg
    return 0


def minimum_u(a, b):
    """The smaller of two windows."""
    return a if a < b else b


def new_ack(s, t, p):
    """SND.UNA moves."""
    acked: cython.int = dist(t.snd_una, p.ack)
    data: cython.int
    fin_acked: cython.bint = False
    ticks: cython.longlong
    s.stat.rcvackpack += 1
    s.stat.rcvackbyte += acked
    if t.rxtshift == 1 and t.badrxtwin != 0 and s.now < t.badrxtwin:
        # the answer came too soon to be one to the retransmission: the timeout was spurious
        s.stat.badrexmt += 1
        t.cwnd = t.cwnd_prev
        t.ssthresh = t.ssthresh_prev
        t.recover = t.recover_prev
        t.t_flags &= ~TF_RTO_RECOVERY
        t.snd_nxt = t.snd_max
        t.badrxtwin = 0
    if t.t_flags & TF_RCVD_TS and p.opt_ts and p.ts_ecr != 0:
        ticks = dist(p.ts_ecr, s.ts_clock(t))
        if t.rtt_time != 0 and after(p.ack, t.rtt_seq) and t.rxtshift == 0:
            rtt.sample(
                s, t, s.now - t.rtt_time
            )  # finer than the timestamp's tick, and safe by Karn
            t.rtt_time = 0
        elif t.rtt_time == 0 and ticks >= 0 and ticks < 3600000:
            rtt.sample(s, t, (ticks if ticks > 0 else 1) * MS)
    elif t.rtt_time != 0 and after(p.ack, t.rtt_seq):
        rtt.sample(s, t, s.now - t.rtt_time)
        t.rtt_time = 0
    t.rxtshift = 0
    t.soft_error = 0
    t.badrxtwin = 0
    if p.ack == t.snd_max:
        t.at_rexmt = NEVER
    elif t.at_persist == NEVER:
        t.rxtcur = rtt.rto(s, t)
        t.at_rexmt = s.now + t.rxtcur
        t.rexmt_start = s.now
    if t.t_flags & TF_FASTRECOVERY == 0:
        if t.cwnd < 2 * cython.cast(cython.uint, dist(t.snd_una, t.snd_max)):
            congestion.on_ack(s, t, acked)  # a window that is not used proves nothing (RFC 7661)
        t.dupacks = 0
        if t.t_flags & TF_RTO_RECOVERY and after_eq(p.ack, t.recover):
            t.t_flags &= ~TF_RTO_RECOVERY
    data = acked
    if data > t.sndq.cc:
        data = t.sndq.cc
        fin_acked = t.t_flags & TF_SENTFIN != 0
    t.snd_una = p.ack
    if data > 0:
        t.sndq.drop(data)
    if t.board is not None:
        t.board.advance(p.ack)
        if before(t.board.high_rxt, p.ack):
            t.board.high_rxt = p.ack
        if t.board.n == 0 and t.t_flags & TF_FASTRECOVERY == 0:
            t.board = None
    if before(t.snd_up, t.snd_una):
        t.snd_up = t.snd_una
    if before(t.snd_nxt, t.snd_una):
        t.snd_nxt = t.snd_una
    if t.t_flags & TF_FASTRECOVERY:
        recovery_ack(s, t, acked)
    if data > 0 and t.wanted & EV_WRITE and t.so_state & SS_WRITE_BLOCKED:
        if t.sndq.hiwat - t.sndq.cc >= t.sndq.lowat:
            t.so_state &= ~SS_WRITE_BLOCKED
            s.wakeup(t, EV_WRITE)
    if fin_acked:
        if t.state == FIN_WAIT_1:
            s.set_state(t, FIN_WAIT_2)
            arm_finwait2(s, t)
        elif t.state == CLOSING:
            enter_timewait(s, t)
        elif t.state == LAST_ACK:
            close(s, t)
    return 0


def take_payload(s, p):
    """The segment's payload as a chain of this machine's pool, 0 when mbufs are denied. It is the caller's now."""
    m: cython.int
    if p.pool is s.pool:
        m = p.m
        p.m = 0
        return m
    return s.pool.import_chain(p.pool, p.m, 0, p.length)


def text(s, t, p):
    """The data, the urgent pointer and the FIN (RFC 9293 section 3.10.7.4 sixth to eighth steps)."""
    m: cython.int
    new: cython.int
    length: cython.int = p.length
    fin: cython.bint = p.flags & FIN != 0
    if p.flags & URG and p.urg > 0 and t.state <= FIN_WAIT_2:
        if after(add(p.seq, p.urg), t.rcv_up):
            t.rcv_up = add(p.seq, p.urg)
            t.oob_state = 1
            s.wakeup(t, EV_ERROR)
    if t.state != ESTABLISHED and t.state != FIN_WAIT_1 and t.state != FIN_WAIT_2:
        if (length > 0 or fin) and t.state > ESTABLISHED:
            t.t_flags |= TF_ACKNOW
        return 0
    if length > 0:
        if p.seq == t.rcv_nxt and t.reass is None:
            if t.so_state & SS_CANTRCVMORE:
                t.rcv_nxt = add(t.rcv_nxt, length)
                t.t_flags |= TF_ACKNOW
            else:
                m = take_payload(s, p)
                if m == 0:
                    s.stat.rcvmemdrop += 1
                    t.t_flags |= TF_ACKNOW
                    return 0
                s.stat.rcvpack += 1
                s.stat.rcvbyte += length
                owe_ack(s, t, length)
                deliver(s, t, m, length)
        else:
            m = take_payload(s, p)
            t.t_flags |= TF_ACKNOW
            if m == 0:
                s.stat.rcvmemdrop += 1
                return 0
            if t.reass is None:
                t.reass = Reassembly(
                    s.pool, s.cfg.tcp_reass_maxqueuelen if s.cfg.tcp_reass_maxqueuelen > 0 else 1000
                )
            s.stat.rcvoopack += 1
            s.stat.rcvoobyte += length
            new = t.reass.insert(p.seq, m, length)
            if new < 0:
                s.stat.rcvmemdrop += 1
                if t.reass.n == 0:
                    t.reass = None
                return 0
            if new < length and t.t_flags & TF_SACK_PERMIT and s.cfg.tcp_dsack and new == 0:
                note_dsack(t, p.seq, add(p.seq, length))
            if t.reass.left[0] == t.rcv_nxt:
                new = t.reass.take(t.rcv_nxt, t.rcvq)
                t.rcv_nxt = add(t.rcv_nxt, new)
                if t.so_state & SS_CANTRCVMORE:
                    t.rcvq.flush()
                t.reass.forget(t.rcv_nxt)
                if t.reass.n == 0:
                    t.reass = None
                grow_receive_buffer(s, t, new)
                if t.rcvq.cc >= t.rcvq.lowat:
                    s.wakeup(t, EV_READ)
            elif t.t_flags & TF_SACK_PERMIT:
                t.reass.report(t.reass.new_left, t.reass.new_right)
    if fin:
        if add(p.seq, length) == t.rcv_nxt:
            return got_fin(s, t)
        t.t_flags |= TF_FIN_PENDING | TF_ACKNOW
        t.fin_seq = add(p.seq, length)
    elif t.t_flags & TF_FIN_PENDING and t.fin_seq == t.rcv_nxt:
        return got_fin(s, t)
    return 0


def deliver(s, t, m, length):
    """Data in order: into the receive queue, and the application may read."""
    t.rcv_nxt = add(t.rcv_nxt, length)
    grow_receive_buffer(s, t, length)
    t.rcvq.append(m, length)
    if t.rcvq.cc >= t.rcvq.lowat:
        s.wakeup(t, EV_READ)
    return 0


def owe_ack(s, t, length):
    """Acknowledge `length` octets in order: at once, with the next segment, or after a delay (RFC 5681 section 4.2)."""
    cfg = s.cfg
    if not cfg.tcp_delayed_ack or t.t_flags & TF_RXWIN0SENT:
        t.t_flags |= TF_ACKNOW
        return 0
    if cfg.policy_delack == DELACK_LINUX:
        t.unacked_segs += (length + t.maxseg - 1) // t.maxseg
        if t.quick_acks > 0 or t.unacked_segs >= 2:
            t.t_flags |= TF_ACKNOW
            return 0
    elif t.t_flags & TF_DELACK or length > t.maxseg:
        t.t_flags |= TF_ACKNOW
        return 0
    t.t_flags |= TF_DELACK
    t.at_delack = s.now + (
        cfg.tcp_delack_min if cfg.policy_delack == DELACK_LINUX else cfg.tcp_delacktime
    )
    s.stat.delack += 1
    return 0


def grow_receive_buffer(s, t, length):
    """Automatic receive buffer: half as much again when a round trip brought more than 3/8 of it
    (FreeBSD tcp_autorcvbuf; with a fixed step before 12).
    """
    cfg = s.cfg
    hiwat: cython.int
    limit: cython.int
    if not cfg.tcp_recvbuf_auto or t.t_flags & TF_RCV_AUTO_OFF or t.srtt == 0:
        return
    t.rcv_auto_bytes += length
    if s.now - t.rcv_auto_start < t.srtt // 2:
        return
    hiwat = t.rcvq.hiwat
    limit = t.rcvq.limit()
    if t.rcv_auto_bytes > limit // 8 * 3 and hiwat < cfg.tcp_recvbuf_max:
        hiwat = hiwat + (cfg.tcp_recvbuf_inc if cfg.tcp_recvbuf_inc > 0 else hiwat // 2)
        if hiwat > cfg.tcp_recvbuf_max:
            hiwat = cfg.tcp_recvbuf_max
        t.rcvq.hiwat = hiwat
    t.rcv_auto_bytes = 0
    t.rcv_auto_start = s.now


def got_fin(s, t):
    """The peer's FIN is next: it sends no more (RFC 9293 section 3.10.7.4 eighth step)."""
    t.t_flags &= ~TF_FIN_PENDING
    if t.state == TIME_WAIT:
        return 0
    t.rcv_nxt = add(t.rcv_nxt, 1)
    t.t_flags |= TF_ACKNOW
    t.so_state |= SS_CANTRCVMORE
    s.wakeup(t, EV_READ)
    if t.state == ESTABLISHED or t.state == SYN_RECEIVED:
        s.set_state(t, CLOSE_WAIT)
    elif t.state == FIN_WAIT_1:
        s.set_state(t, CLOSING)
    elif t.state == FIN_WAIT_2:
        tcp_output(s, t)
        enter_timewait(s, t)
    return 0
