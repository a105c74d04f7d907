"""A segment has been sent: what its connection and its machine know of it from now on.

sent            all of it: called once for each segment of `tcp_emit.emit`
note_sent       SND.NXT and SND.MAX, the sample of the round trip, the retransmission timer
count_sent      netstat -s and TCP_INFO
note_limits     TCP_INFO: what limits the connection, since when
"""

import cython

from pystack._fast.consts import ACK, FIN, NEVER, RECOVERY_LINUX, RST, SYN
from pystack._fast.departures import note_segment, room
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.seq import add, after, dist
from pystack._fast.tcb import (
    LIMIT_BUFFER,
    LIMIT_PEER,
    LIMIT_SELF,
    SS_WRITE_BLOCKED,
    TF_ACKNOW,
    TF_CONGRECOVERY,
    TF_FASTRECOVERY,
    TF_FORCE,
    TF_RCV_AUTO_OFF,
    TF_SENTFIN,
)
from pystack._fast.tcp_delack import ack_sent


def sent(s, t, p, mss, rexmit, synchronized):
    """The segment `p`, built for one of at most `mss` octets, is about to leave; a SYN and its answer are not
    `synchronized`.
    """
    length: cython.int = p.length
    if t.board is not None and t.t_flags & (TF_FASTRECOVERY | TF_CONGRECOVERY):
        t.board.prr_out += length
    count_sent(s, t, p.flags, length, rexmit)
    note_sent(s, t, p.seq, length, p.flags)
    if synchronized and s.cfg.policy_recovery == RECOVERY_LINUX:
        note_segment(s, t, p.seq, length, mss, p.flags, rexmit)
    if length > 0:
        t.data_sent = s.now
        if (
            length % mss and not rexmit and not s.draft.probing
        ):  # a burst with a short segment at its end, too
            t.snd_small = add(p.seq, length)
    if p.flags & ACK:
        ack_sent(s, t, length)
    if t.rcv_auto_start == 0 and not t.t_flags & TF_RCV_AUTO_OFF:
        t.rcv_auto_start = s.now if s.now > 0 else 1
    t.last_sent = s.now
    return 0


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


def count_sent(s, t, flags, length, rexmit):
    """The sender's part of netstat -s. To Linux a super-segment is as many as will leave, and a SYN or FIN can be sent
    again, too.
    """
    st = s.stat
    segments: cython.int = 1
    linux: cython.bint = s.cfg.policy_recovery == RECOVERY_LINUX
    if length > t.maxseg and not s.draft.probing:
        segments = (length + t.maxseg - 1) // t.maxseg
    t.segs_out += segments
    if linux:
        st.sndtotal += segments - 1
    if length > 0:
        t.data_segs_out += segments
        t.bytes_sent += length
        if rexmit:
            t.bytes_retrans += length
            t.segs_again += segments
        if t.t_flags & TF_FORCE and length == 1:
            st.sndprobe += 1
        elif rexmit:
            st.sndrexmitpack += segments if linux else 1
            st.sndrexmitbyte += length
        else:
            st.sndpack += 1
            st.sndbyte += length
    elif flags & (SYN | FIN | RST):
        st.sndctrl += 1
        if rexmit and linux:
            st.sndrexmitpack += 1
    elif t.t_flags & TF_ACKNOW:
        st.sndacks += 1
    else:
        st.sndwinup += 1


def note_limits(s, t):
    """TCP_INFO's busy time, and how much of it the peer's window or the send buffer limited what was sent."""
    limit: cython.int = what_limits(t)
    since: cython.longlong
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


def what_limits(t):
    """Why there is not more on its way: LIMIT_*, 0 when all is acknowledged."""
    sent: cython.int = dist(t.snd_una, t.snd_nxt)
    waits: cython.int = t.sndq.cc - sent
    if t.sndq.cc == 0:
        return 0
    if waits > t.maxseg:
        waits = t.maxseg
    if waits > 0:
        if sent + waits > cython.cast(cython.int, t.snd_wnd) and has_room(t):
            return LIMIT_PEER
    elif t.so_state & SS_WRITE_BLOCKED and has_room(t):
        return LIMIT_BUFFER
    return LIMIT_SELF


def has_room(t):
    """Does the window of congestion leave room?"""
    return t.flight is None or room(t, t.flight) > 0
