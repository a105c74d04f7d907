"""How a connection ends: closing in order, dropping, TIME_WAIT, FIN_WAIT_2's timer.

    application_close      close(2): by SO_LINGER and unread data, FIN or RST (policy `close_unread`)
    user_closed            the state that follows when the sending side ends (RFC 9293 section 3.10.4)
    drop                   the connection fails with an error, with or without a RST
    close                  the connection is over: nothing of it stays on the machine
    enter_timewait         nothing stays but a row that waits
    out_of_resources       Linux: too many connections without an application, or too much memory

The FIN_WAIT_2 rule is a policy: FreeBSD arms a timer only once the receive side is shut (facts: freebsd-tcp 3.6), Linux
only for a connection that no application holds, and such a one is a row, too, for its last minute; others never.
"""

import cython

from pystack._fast import accept_filter
from pystack._fast.consts import (
    ACCEPTANCE_LINUX,
    CLOSE_UNREAD_RST,
    CLOSE_WAIT,
    CLOSING,
    ESTABLISHED,
    EV_CONNECT,
    EV_ERROR,
    EV_HANGUP,
    EV_READ,
    EV_WRITE,
    FIN_WAIT_1,
    FIN_WAIT_2,
    FW2_ANY,
    FW2_KEEPALIVE,
    FW2_NONE,
    FW2_ORPHAN,
    FW2_RECEIVE_SHUT,
    LAST_ACK,
    LISTEN,
    MIN_SNDBUF,
    MS,
    NEVER,
    RST,
    SECOND,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
    TIMEWAIT_BSD_14,
    TIMEWAIT_LINUX,
    Err,
    Note,
)
from pystack._fast.host_memory import learn_bsd, learn_linux
from pystack._fast.reports import abandoned
from pystack._fast.seq import after
from pystack._fast.tcb import (
    FO_QUEUED,
    SO_REUSEADDR,
    SS_CANTRCVMORE,
    SS_CANTSENDMORE,
    SS_CONNECTED,
    SS_CONNECTING,
    SS_DEAD,
    SS_DISCONNECTED,
    SS_FILTERED,
    SS_INQUEUE,
    SS_NOFDREF,
    SS_ORPHAN,
    SS_PORT_CHOSEN,
    TF_RCVD_TS,
)
from pystack._fast.tcp_mem import sent_memory
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_reply import bare_room, respond, send_reset_of
from pystack._fast.tcp_window import accepted_window
from pystack._fast.timewait import TWO_CHOSEN, TWO_REUSE

ECONNABORTED = int(Err.ECONNABORTED)
ETIMEDOUT = int(Err.ETIMEDOUT)
ORPHANS = int(Note.ORPHANS)
TCP_MEMORY = int(Note.TCP_MEMORY)
TIME_WAIT_OVERFLOW = int(Note.TIME_WAIT_OVERFLOW)
SHORT_WAIT = 4 * SECOND
"""Linux counts rows that wait no longer apart (TWKilled)."""


def disconnected(s, t):
    """No more data either way; whoever waits is told."""
    t.so_state &= ~(SS_CONNECTED | SS_CONNECTING)
    t.so_state |= SS_CANTRCVMORE | SS_CANTSENDMORE | SS_DISCONNECTED
    s.wakeup(t, EV_READ | EV_WRITE | EV_HANGUP | EV_CONNECT)
    return 0


def send_reset(s, t):
    """RST,ACK at SND.NXT, as drop sends it."""
    return send_reset_of(s, t, t.snd_max if after(t.snd_max, t.snd_nxt) else t.snd_nxt)


def drop(s, t, err, reset):
    """The connection fails with `err` (consts.Err); with `reset` the peer is told by a RST."""
    if t.row == 0:
        return 0
    if t.state >= SYN_RECEIVED:
        s.stat.drops += 1
        if reset:
            send_reset(s, t)
    else:
        s.stat.conndrops += 1
    if err == ETIMEDOUT and t.soft_error != 0:
        err = t.soft_error
    t.so_error = err
    if err != 0:
        s.wakeup(t, EV_ERROR)
    return close(s, t)


def close(s, t):
    """The connection is over. Data that was received stays readable."""
    s.stat.closed += 1
    if t.state == ESTABLISHED or t.state == CLOSE_WAIT:
        s.stat.estab_resets += 1
    if t.fo_row:
        s.forget_half_open(t.fo_row)
    if s.hosts is not None:
        learn_bsd(s, t)
    disconnected(s, t)
    if t.reports is not None:
        abandoned(s, t)
    if t.so_state & SS_FILTERED:
        accept_filter.leave(t)
    s.detach(t)
    t.so_state |= SS_DEAD
    if t.so_state & SS_NOFDREF and not t.so_state & SS_INQUEUE:
        t.rcvq.flush()
        t.handler = None
    return 0


def leave_queue(t):
    """Out of the accept queue of its listener."""
    listener = t.listener
    if listener is None or not t.so_state & SS_INQUEUE:
        return 0
    at = listener.accept_first
    before = None
    while at is not None and at is not t:
        before = at
        at = at.accept_next
    if at is None:
        return 0
    if before is None:
        listener.accept_first = t.accept_next
    else:
        before.accept_next = t.accept_next
    if listener.accept_last is t:
        listener.accept_last = before
    listener.qlen -= 1
    t.accept_next = None
    t.so_state &= ~SS_INQUEUE
    return 0


def fin_time(s, t):
    """Linux: how long FIN_WAIT_2 lasts without an application, ns: the knob, TCP_LINGER2, or 3.5 timeouts."""
    wait: cython.longlong = s.cfg.tcp_fin_timeout
    if t.linger2 > 0:
        wait = t.linger2 * SECOND
    if wait < 3 * t.rxtcur + t.rxtcur // 2:
        wait = 3 * t.rxtcur + t.rxtcur // 2
    return wait


def arm_finwait2(s, t, more):
    """The state is FIN_WAIT_2: does a timer bound it, and which (facts: freebsd-tcp 3.6 and 5, conntrack 9.2)?

    `more`: the peer's FIN, or data, came with the acknowledgment of ours, and has yet to be read.
    """
    cfg = s.cfg
    wait: cython.longlong = 0
    if cfg.policy_fin_wait_2 == FW2_ANY and t.at_2msl != NEVER:
        return 0  # it began with the state, and close() does not begin it anew
    if cfg.policy_fin_wait_2 != FW2_NONE and (
        cfg.policy_fin_wait_2 != FW2_ORPHAN or t.so_state & SS_NOFDREF
    ):
        t.at_keep = NEVER
    if cfg.policy_fin_wait_2 == FW2_RECEIVE_SHUT:
        if t.so_state & SS_CANTRCVMORE:
            if cfg.tcp_fast_finwait2_recycle:
                wait = cfg.tcp_finwait2_timeout
            else:
                interval: cython.longlong = t.keepintvl
                wait = t.keepcnt * interval * 1000000  # beyond 31 bits
            t.at_2msl = s.now + wait
    elif cfg.policy_fin_wait_2 == FW2_KEEPALIVE and t.so_state & SS_NOFDREF:
        t.keepidle = (
            cfg.tcp_finwait2_timeout // MS
        )  # from now on it is asked whether anybody is there
        t.at_keep = s.now + cfg.tcp_finwait2_timeout
    elif cfg.policy_fin_wait_2 == FW2_ANY:
        t.at_2msl = s.now + cfg.tcp_finwait2_timeout
    elif cfg.policy_fin_wait_2 == FW2_ORPHAN and t.so_state & SS_NOFDREF:
        wait = fin_time(s, t)
        if wait > cfg.tcp_timewait:
            t.at_2msl = s.now + wait - cfg.tcp_timewait
        elif more:
            t.at_2msl = s.now + wait
        else:
            return become_row(s, t, FIN_WAIT_2, wait)
    s.arm(t)
    return 0


def user_closed(s, t):
    """The application will send no more: the next state (RFC 9293 figure 5)."""
    if t.state == SYN_RECEIVED or t.state == ESTABLISHED:
        s.set_state(t, FIN_WAIT_1)
    elif t.state == CLOSE_WAIT:
        s.set_state(t, LAST_ACK)
    elif t.state == FIN_WAIT_2 and t.linger2 < 0 and t.so_state & SS_ORPHAN:
        s.stat.abort_on_linger += 1  # TCP_LINGER2: no wait at all
        drop(s, t, 0, True)
    elif t.state == FIN_WAIT_2:
        arm_finwait2(s, t, False)
    return 0


def fin_acknowledged(s, t, more):
    """FIN_WAIT_1 is over: the peer has our FIN."""
    s.set_state(t, FIN_WAIT_2)
    if t.linger2 < 0 and t.so_state & SS_ORPHAN and s.cfg.policy_fin_wait_2 == FW2_ORPHAN:
        s.stat.abort_on_data += 1
        s.stat.out_rsts += 1
        respond(s, t.laddr, t.lport, t.faddr, t.fport, t.snd_una, 0, RST, 0, t.ttl, t.tos)
        return close(s, t)
    return arm_finwait2(s, t, more)


def application_shutdown_send(s, t):
    """shutdown(SHUT_WR): a FIN follows what is queued."""
    t.so_state |= SS_CANTSENDMORE
    if t.state == SYN_RECEIVED and not t.fo & FO_QUEUED:
        return 0  # the FIN goes when the handshake is done
    user_closed(s, t)
    tcp_output(s, t)
    return 0


def abort_queue(s, t):
    """The connections that wait for accept(2), or for its filter, are reset: their listener listens no more."""
    child = t.accept_first
    for held in list(t.books.filtered):
        held.so_state |= SS_NOFDREF
        drop(s, held, ECONNABORTED, True)
    while child is not None:
        following = child.accept_next
        child.so_state &= ~SS_INQUEUE
        child.so_state |= SS_NOFDREF
        drop(s, child, ECONNABORTED, True)
        child.rcvq.flush()
        child = following
    t.accept_first = t.accept_last = None
    t.qlen = 0
    return 0


def application_close(s, t):
    """close(2) on a connection, a listener or a socket that is neither."""
    unread = t.rcvq.cc > 0
    t.so_state |= SS_NOFDREF
    t.wanted = 0
    t.handler = None
    if t.row == 0:
        t.rcvq.flush()
        return 0
    if t.state == LISTEN:
        abort_queue(s, t)
        return close(s, t)
    linux: cython.bint = s.cfg.policy_acceptance == ACCEPTANCE_LINUX
    if t.state <= SYN_SENT or (t.state == SYN_RECEIVED and not linux and not t.fo & FO_QUEUED):
        return close(s, t)
    if t.linger == 0:
        s.stat.abort_on_data += 1
        # Linux: once both have said FIN, and all is sent, the peer needs no RST
        return drop(s, t, 0, not linux or (t.state != CLOSING and t.state != LAST_ACK))
    if unread and s.cfg.policy_close_unread == CLOSE_UNREAD_RST:
        s.stat.abort_on_close += 1
        return drop(s, t, 0, True)
    t.rcvq.flush()
    t.so_state |= SS_CANTRCVMORE | SS_CANTSENDMORE | SS_ORPHAN
    s.count_orphan(1)
    user_closed(s, t)
    if t.row != 0:
        tcp_output(s, t)
    if t.row != 0 and linux:
        out_of_resources(s, t, 0, True)
    return 0


def out_of_resources(s, t, shift, reset):
    """Linux: are there too many connections without an application, or is the memory for TCP used up? Then this one
    goes, with a RST if that helps. Whose peer was silent for long counts twice for each `shift`.
    """
    many: cython.bint = s.orphans_known() << shift > s.cfg.tcp_max_orphans
    poor: cython.bint = s.cfg.tcp_mem_max > 0 and s.mem_pages > s.cfg.tcp_mem_max
    if poor:
        poor = sent_memory(t) > MIN_SNDBUF  # who holds no more is not asked to give it back
    if many:
        s.say(ORPHANS, t, s.orphans_seen, 0)
    if poor:
        s.say(TCP_MEMORY, t, s.mem_pages, 0)
    if not many and not poor:
        return False
    if many:
        s.orphans_failed_at = s.now
    else:
        s.mem_failures += 1
        s.mem_failed_at = s.now
    s.stat.abort_on_memory += 1
    drop(s, t, 0, reset)
    return True


def arm_timewait(s):
    """One timer of the wheel serves the whole table: it stands at the oldest row's end."""
    if s.timewait.oldest != 0:
        s.wheel.arm(s.tw_timer, s.timewait.expires[s.timewait.oldest])
    return 0


def remove_timewait(s, row):
    """A row's wait is over, or cut short."""
    tw = s.timewait
    s.demux.release(tw.ports[row] >> 16)
    s.demux.map.freed(tw.laddr[row], tw.ports[row] >> 16, tw.faddr[row], tw.ports[row] & 0xFFFF)
    if tw.options[row] & TWO_CHOSEN:
        s.demux.port_chosen[tw.ports[row] >> 16] -= 1
    s.states[tw.state[row]] -= 1
    tw.remove(row)
    return 0


def expire_timewait(s):
    """The wheel's timer of the TIME_WAIT table came up."""
    tw = s.timewait
    while tw.oldest != 0 and tw.expires[tw.oldest] <= s.now:
        remove_timewait(s, tw.oldest)
    return arm_timewait(s)


def enter_timewait(s, t):
    """Both FINs are acknowledged: a row waits in the connection's place (2 MSL, RFC 9293 section 3.6)."""
    wait: cython.longlong = s.cfg.tcp_timewait
    if s.cfg.tcp_nolocaltimewait and s.is_local(t.faddr):
        return close(s, t)
    if s.cfg.tcp_tw_recycle and t.t_flags & TF_RCVD_TS:
        # Linux until 4.11: a short wait is enough, if every SYN of that host must come with a later clock
        s.peers[t.faddr] = (t.ts_recent, t.ts_recent_age)
        wait = 3 * t.rxtcur + t.rxtcur // 2
    return become_row(s, t, TIME_WAIT, wait)


def become_row(s, t, state, wait):
    """A row waits in the connection's place, in this state and so long; at the limit, what the system does there."""
    tw = s.timewait
    if s.metrics is not None:
        learn_linux(s, t)
    if tw.used >= tw.maximum:
        if s.cfg.policy_timewait == TIMEWAIT_LINUX or tw.oldest == 0:
            tw.overflow += 1
            tw.last_failure = s.now
            s.stat.tw_overflow += 1
            s.say(TIME_WAIT_OVERFLOW, t, tw.maximum, 0)
            return close(s, t)
        tw.recycled += 1
        tw.last_failure = s.now
        s.stat.tw_recycled += 1
        remove_timewait(s, tw.oldest)
    laddr, lport, faddr, fport = t.laddr, t.lport, t.faddr, t.fport
    close(s, t)
    row = tw.add(laddr, lport, faddr, fport, s.now + wait)
    if row == 0:
        return 0
    tw.state[row] = state
    tw.snd_nxt[row] = t.snd_max
    tw.rcv_nxt[row] = t.rcv_nxt
    tw.win[row] = accepted_window(s, t) if state == FIN_WAIT_2 else t.rcv_wnd
    if state == TIME_WAIT and s.cfg.policy_timewait == TIMEWAIT_BSD_14:
        tw.win[row] = bare_room(s, t)
    tw.scale[row] = t.rcv_scale
    tw.has_ts[row] = 1 if t.t_flags & TF_RCVD_TS else 0
    tw.ts_recent[row] = t.ts_recent
    tw.ts_stamp[row] = t.ts_recent_age
    tw.ts_offset[row] = t.ts_offset
    if t.so_options & SO_REUSEADDR:
        tw.options[row] |= TWO_REUSE
    if t.so_state & SS_PORT_CHOSEN:
        tw.options[row] |= TWO_CHOSEN
        s.demux.port_chosen[lport] += 1
    s.demux.hold(lport)
    s.states[state] += 1
    if wait > SHORT_WAIT:
        s.stat.tw_started += 1
    else:
        s.stat.tw_short += 1
    return arm_timewait(s)
