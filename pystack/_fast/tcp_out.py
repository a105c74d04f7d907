"""What a connection sends, and when: RFC 9293 section 3.8.6 (Nagle, silly windows), RFC 5681, RFC 6675.

`tcp_output` is called whenever something may have become sendable: the application wrote, a segment or a timer changed
the state, an acknowledgment is owed. It sends all that may be sent and returns. `send_one` decides on one segment, by
rules that stand elsewhere:

    holes      recovery: what the peer is missing
    persist    its window is shut
    bursts     how much at once
    nagle      is that worth sending now
    mtu_probe  would a larger one go through
    tcp_emit   the segment is built, noted and sent
"""

import cython

from pystack._fast import bursts, congestion, holes, nagle, persist
from pystack._fast.consts import (
    ACK,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN,
    FIN_WAIT_1,
    LAST_ACK,
    LISTEN,
    NAGLE_LINUX,
    NEVER,
    PERSIST_LINUX,
    PUSH_LINUX,
    RECOVERY_LINUX,
    RST,
    SYN,
    SYN_RECEIVED,
    SYN_SENT,
)
from pystack._fast.departures import room, sent_segments
from pystack._fast.draft import Draft  # noqa: F401
from pystack._fast.mtu_probe import probe
from pystack._fast.seq import before, dist, sub
from pystack._fast.tcb import (
    FO_DATA,
    FO_QUEUED,
    FO_WAIT,
    TF_FASTRECOVERY,
    TF_FORCE,
    TF_LASTIDLE,
    TF_MORETOCOME,
    TF_SENTFIN,
    TF_SND_AUTO_OFF,
)
from pystack._fast.tcp_emit import emit
from pystack._fast.tcp_sent import note_limits
from pystack._fast.tcp_window import grow_send_buffer, minimum_i


def tcp_output(s, t):
    """Send what may be sent."""
    if t.row == 0 or t.state == CLOSED or t.state == LISTEN or t.fo & FO_WAIT:
        return 0
    idle: cython.bint = t.snd_max == t.snd_una
    out: cython.int = 0
    unsent: cython.bint = False
    if t.flight is not None:
        out = t.flight.packets_out
        unsent = t.sndq.cc > dist(t.snd_una, t.snd_nxt)
    restart_after_idle(s, t, idle, unsent)
    if t.t_flags & TF_MORETOCOME == 0:
        t.t_flags &= ~TF_LASTIDLE
    elif idle:
        t.t_flags |= TF_LASTIDLE
    if t.sndq.cc > 0 and s.cfg.tcp_sendbuf_auto and not t.t_flags & TF_SND_AUTO_OFF:
        grow_send_buffer(s, t)
    s.draft.limited = False
    s.draft.held = t.search is not None and probe(s, t)
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


def restart_after_idle(s, t, idle, unsent):
    """The connection was silent for a timeout: its window begins again (RFC 5681 section 4.1)."""
    f = t.flight
    if not s.cfg.tcp_slow_start_after_idle:
        return
    if f is not None:
        if f.packets_out == 0 and unsent and s.now - f.data_sent_at > t.rxtcur:
            congestion.restart(s, t, f, s.now - f.data_sent_at)
    elif idle and (
        s.now - t.rcvtime >= t.rxtcur or (t.data_sent >= 0 and s.now - t.data_sent >= t.rxtcur)
    ):  # nothing was heard, or (FreeBSD from 13 on) no data sent
        t.cwnd = congestion.restart_window(s, t)


def send_one(s, t, idle):
    """Decide on one segment and send it. 1: there may be another; 0: nothing more now."""
    d = s.draft
    at: cython.uint
    more: cython.bint
    waits: cython.bint
    done: cython.int
    begin(s, t, d)
    if d.flags & SYN and not place_syn(t, d):
        return 0
    if t.t_flags & TF_FASTRECOVERY and holes.find_hole(t, d):
        return holes.send_hole(s, t, d)
    if t.flight is not None:
        d.win = minimum_i(t.snd_wnd, d.off + room(t, t.flight) * d.mss)
    if t.t_flags & TF_FORCE:
        persist.force(t, d)
    d.length = (d.queued if d.queued < d.win else d.win) - d.off
    if d.length < 0:
        persist.shrank(s, t, d)
    if t.snd_wnd == 0 and d.length == 0 and d.queued > 0:
        persist.shut(s, t, d)
    if t.sndq.records is not None and d.length > 0:
        cut_at_record(t, d)
    if d.length >= d.mss and may_defer(s, t) and bursts.defers(s, t, d):
        d.length = 0
        d.flags &= ~FIN
    elif d.length > d.mss:
        bursts.cut(s, t, d)
    if d.flags & FIN:
        place_fin(s, t, d)
    if d.held or (
        0 < d.length < d.mss and s.cfg.policy_nagle == NAGLE_LINUX and nagle.holds_back(t, d)
    ):
        d.length = 0  # an ACK that is owed goes alone
        d.flags &= ~FIN
    if not nagle.worth_sending(s, t, d, idle):
        if d.queued > 0 and t.state >= ESTABLISHED:
            persist.begin(s, t)
        return 0
    if d.flags & FIN and t.t_flags & TF_SENTFIN and t.snd_nxt == t.snd_max:
        t.snd_nxt = sub(t.snd_nxt, 1)
    at = t.snd_nxt
    if d.length == 0 and d.flags & (SYN | FIN) == 0 and t.at_persist == NEVER:
        at = t.snd_max
    more = d.more
    waits = (
        d.length == 0
        and d.queued > 0
        and t.state >= ESTABLISHED
        and t.snd_max == t.snd_una
        and s.cfg.policy_persist == PERSIST_LINUX
    )
    done = emit(s, t, at, d.off, d.length, d.flags, before(t.snd_nxt, t.snd_max))
    if done < 1:
        return 0
    if waits:
        persist.begin(s, t)  # an ACK has gone alone, and what is written still waits
    return 1 if more or done > 1 else 0


def begin(s, t, d):
    """The next segment before any rule has spoken: all that is queued, from SND.NXT on."""
    if t.board is not None and before(t.snd_nxt, t.snd_max):
        holes.skip_sacked(t)
    d.flags = flags_of(t)
    d.queued = t.sndq.cc
    d.off = dist(t.snd_una, t.snd_nxt)
    d.win = minimum_i(t.snd_wnd, t.cwnd)
    d.mss = bursts.current_mss(s, t)
    d.more = d.record = False


def may_defer(s, t):
    """New data of a system whose bursts wait for company (Linux)."""
    if s.cfg.policy_push != PUSH_LINUX or t.flight is None or t.flight.probe:
        return False
    return t.snd_nxt == t.snd_max and not t.t_flags & TF_FORCE


def cut_at_record(t, d):
    """Octets of two records do not share a segment, be it new or sent again."""
    n: cython.int = t.sndq.next_record(t.snd_nxt)
    if 0 < n < d.length:
        d.length = n
        d.flags &= ~FIN
        d.more = d.record = True
    elif n == d.length and d.off + n < d.queued:
        d.record = True


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


def place_syn(t, d):
    """The segment is, or follows, our SYN. False: the SYN is out, and its answer is awaited."""
    if d.off > 0:  # it is sent again only after the timer took SND.NXT back
        d.flags &= ~SYN
        d.off = 0
        if t.state == SYN_SENT:
            return False
    d.queued = 0
    d.win = d.mss
    if t.fo & FO_DATA and t.rxtshift == 0 and t.state == SYN_SENT:
        # the first SYN takes data along, as far as they fit (RFC 7413 section 4.2.1)
        d.queued = t.sndq.cc if t.sndq.cc < t.fo_qlen else t.fo_qlen
        d.win = d.queued
        d.mss = d.queued
    return True


def place_fin(s, t, d):
    """Does our FIN go with this segment? Behind the last octet, once, and on Linux only into the window."""
    if d.off + d.length < d.queued:
        d.flags &= ~FIN
    elif t.snd_nxt != t.snd_max:
        pass
    elif t.t_flags & TF_SENTFIN:
        # it is out already and not asked for again; but every acknowledgment of a BSD repeats it
        if s.cfg.policy_persist == PERSIST_LINUX or t.snd_una == t.snd_max:
            d.flags &= ~FIN
    elif s.cfg.policy_persist == PERSIST_LINUX and (
        d.off + d.length >= cython.cast(cython.int, t.snd_wnd)
        or (d.length == 0 and t.flight is not None and room(t, t.flight) == 0)
    ):
        d.flags &= ~FIN  # there is no room for it in the window, theirs or that of congestion
        if d.length == 0:
            persist.begin(s, t)
