"""A segment of a connection is built, noted and sent.

`emit` is told which octets and flags; what else a segment says is the connection's: options, PSH, ECN, its window, the
urgent pointer.
"""

import cython

from pystack._fast import ecn
from pystack._fast.bursts import current_mss
from pystack._fast.consts import (
    ACK,
    CWR,
    ECE,
    ESTABLISHED,
    FIN,
    NEVER,
    PSH,
    PUSH_LINUX,
    RECOVERY_LINUX,
    RST,
    SIMULTANEOUS_BSD_14,
    SYN,
    URG,
    WINDOW_LINUX,
)
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.reports import departed
from pystack._fast.seq import add, after, dist
from pystack._fast.source_routes import lay
from pystack._fast.tcb import (
    FO_QUEUED,
    SO_ROUTED,
    TF_ECN,
    TF_ECN_SND_CWR,
    TF_ECN_SND_ECE,
    TF_FORCE,
    TF_RCVD_TS,
    TF_RXWIN0SENT,
    TF_SACK_PERMIT,
)
from pystack._fast.tcp_build import blank, fill_sack, fill_syn_options, our_mss, stamp, transmit
from pystack._fast.tcp_sent import sent
from pystack._fast.tcp_window import offered, receive_window, syn_window, window_field
from pystack._fast.tcp_wire import option_length


def emit(s, t, at, off, length, flags, rexmit):
    """Build the segment at sequence number `at` (octet `off` of the send queue), send it, note it.

    0: no mbufs; 2: options took room of the text.
    """
    p = blank(s, t.laddr, t.lport, t.faddr, t.fport, t.ttl, t.tos)
    if t.so_options & SO_ROUTED:
        lay(s, p)
    synchronized: cython.bint = t.state >= ESTABLISHED or t.fo & FO_QUEUED != 0
    mss: cython.int = current_mss(s, t)
    win: cython.int = receive_window(s, t) if synchronized else 0
    p.df = s.cfg.tcp_path_mtu_discovery != 0 and t.bh_mss == 0
    p.seq = at
    p.flags = flags
    whole: cython.int = length
    length = fit(s, t, p, length, add_options(s, t, p, synchronized), rexmit)
    if length > 0 and not add_text(s, t, p, off, length, rexmit):
        return 0
    if (t.t_flags & TF_ECN or t.ace) and synchronized:
        mark_ecn(s, t, p, rexmit)
    elif flags & SYN and s.cfg.tcp_ecn:
        p.flags |= ecn.syn_flags(s, t)
        if s.cfg.policy_simultaneous == SIMULTANEOUS_BSD_14:
            p.flags |= ecn.say_crossed(t)
    if flags & ACK:
        p.ack = t.rcv_nxt
    if synchronized:
        offer_window(s, t, p, win)
    else:
        offer_first_window(s, t, p)
    if after(t.snd_up, at):
        point_at_urgent(s, t, p)
    sent(s, t, p, mss, rexmit, synchronized)
    transmit(s, p)
    if length > 0 and t.reports is not None:
        departed(s, t, p, at, length)
    return 1 if length == whole else 2


def fit(s, t, p, length, room, rexmit):
    """How many of `length` octets go, in segments that have `room` for so many each."""
    most: cython.int = room
    if length <= room or s.draft.probing:
        return length
    p.gso_size = room
    if rexmit:
        most = (length + t.maxseg - 1) // t.maxseg * room
    elif s.cfg.tcp_tso and s.cfg.policy_push == PUSH_LINUX:
        most = length
    if length > most:
        length = most
        p.flags &= ~FIN
    if length <= room:
        p.gso_size = 0
    return length


def add_options(s, t, p, synchronized):
    """The segment's options. Answers how many octets of text a segment has room for beside them."""
    if p.flags & SYN:
        fill_syn_options(s, t, p)
        return 65535
    if t.t_flags & TF_RCVD_TS and p.flags & RST == 0:
        stamp(s, p, t.ts_offset, t.ts_recent)
    if t.t_flags & TF_SACK_PERMIT and synchronized:
        if t.sacks is not None and (t.sacks.n > 0 or t.sacks.dup):
            if fill_sack(s, t, p):
                return t.maxseg - option_length(p, s.cfg.policy_options) + (12 if p.opt_ts else 0)
    return t.maxseg


def add_text(s, t, p, off, length, rexmit):
    """Octets of the send queue, shared with it. False: no mbufs; the packet is gone, and a timer will try again."""
    p.m = t.sndq.chain(off, length)
    if p.m == 0:
        p.release()
        if t.at_rexmt == NEVER and t.at_persist == NEVER:
            t.at_rexmt = s.now + t.rxtcur
        if s.cfg.policy_recovery != RECOVERY_LINUX:
            t.cwnd = t.maxseg
        return False
    p.length = length
    if p.flags & SYN:
        pass  # the data of a Fast Open are not pushed
    elif s.cfg.policy_push == PUSH_LINUX:
        push_linux(s, t, p, rexmit)
    elif off + length >= t.sndq.cc:
        p.flags |= PSH
    return True


def push_linux(s, t, p, rexmit):
    """Linux: PSH stands where a piece that was written ends, at the end of a burst, on a probe; of what had to wait
    pieces were joined.
    """
    mark: cython.int = t.sndq.next_mark(p.seq)
    if mark < p.length and not rexmit and not s.draft.writing:
        mark = 0
    if 0 < mark <= p.length or (
        t.burst_long and not rexmit and add(p.seq, p.length) == t.burst_end
    ):
        p.flags |= PSH
    elif t.t_flags & TF_FORCE:
        p.flags |= PSH
        t.sndq.mark(add(p.seq, p.length))
    return 0


def mark_ecn(s, t, p, rexmit):
    """The connection does ECN: new data are ECN-capable, and CWR or ECE say what is due (RFC 3168 section 6.1)."""
    if p.length > 0 and not rexmit and not t.t_flags & TF_FORCE:
        p.tos = (p.tos & 0xFC) | 2
        s.stat.ecn_ect0 += 1
        if t.ace == 0 and t.t_flags & TF_ECN_SND_CWR:
            p.flags |= CWR
            t.t_flags &= ~TF_ECN_SND_CWR
    if t.ace:
        p.flags |= ecn.say(t)
    elif t.t_flags & TF_ECN_SND_ECE:
        p.flags |= ECE


def offer_window(s, t, p, win):
    """The segment offers `win` octets, as exactly as its field can say."""
    p.win = window_field(s, t, win)
    if s.cfg.policy_window != WINDOW_LINUX:
        win = p.win << t.rcv_scale
    offered(s, t, win)
    if p.win == 0:
        if not t.t_flags & TF_RXWIN0SENT:
            s.stat.to_zero_window += 1
        t.t_flags |= TF_RXWIN0SENT
        t.zero_windows += 1
    elif t.t_flags & TF_RXWIN0SENT:
        s.stat.from_zero_window += 1
        t.t_flags &= ~TF_RXWIN0SENT


def offer_first_window(s, t, p):
    """A SYN's window: never scaled, and it takes nothing back."""
    p.win = syn_window(s, t, our_mss(s, t.faddr, t.user_mss))
    if after(add(t.rcv_nxt, p.win), t.rcv_adv):
        t.rcv_adv = add(t.rcv_nxt, p.win)
    t.t_flags &= ~TF_RXWIN0SENT
    return 0


def point_at_urgent(s, t, p):
    """The urgent pointer: to the octet after the urgent data (MUST-62)."""
    ahead: cython.int = dist(p.seq, t.snd_up)
    p.urg = ahead if ahead < 65535 else 65535
    p.flags |= URG
    if p.length == 0:
        s.stat.sndurg += 1
