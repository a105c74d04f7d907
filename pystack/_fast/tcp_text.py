"""The data of a segment: sixth to eighth steps of RFC 9293 section 3.10.7.4.

text               URG, the octets in order or beyond a hole, FIN
owe_ack          at once, with the next segment, or after a delay (RFC 5681 section 4.2)
got_fin          the peer sends no more
"""

import cython

from pystack._fast.consts import (
    CLOSE_WAIT,
    CLOSING,
    DELACK_LINUX,
    ESTABLISHED,
    EV_ERROR,
    EV_READ,
    FIN,
    FIN_WAIT_1,
    FIN_WAIT_2,
    SHUT_RD_LINUX,
    SYN_RECEIVED,
    TIME_WAIT,
    URG,
)
from pystack._fast.recvq import Reassembly
from pystack._fast.seq import add, after, after_eq, dist
from pystack._fast.tcb import (
    OOB_EXPECTED,
    OOB_HERE,
    OOB_NONE,
    SO_OOBINLINE,
    SS_CANTRCVMORE,
    TF_ACKNOW,
    TF_DELACK,
    TF_DSACK,
    TF_FIN_PENDING,
    TF_RCV_AUTO_OFF,
    TF_RXWIN0SENT,
    TF_SACK_PERMIT,
)
from pystack._fast.tcp_close import enter_timewait
from pystack._fast.tcp_out import tcp_output


def text(s, t, p):
    """The data, the urgent pointer and the FIN (RFC 9293 section 3.10.7.4 sixth to eighth steps)."""
    m: cython.int
    new: cython.int
    length: cython.int = p.length
    fin: cython.bint = p.flags & FIN != 0
    if p.flags & URG and p.urg > 0 and t.state <= FIN_WAIT_2:
        if after(add(p.seq, p.urg), t.rcv_up):
            t.rcv_up = add(p.seq, p.urg)
            t.oob_state = OOB_EXPECTED
            s.wakeup(t, EV_ERROR)
    if t.state != ESTABLISHED and t.state != FIN_WAIT_1 and t.state != FIN_WAIT_2:
        return 0  # after the peer's FIN its text is nothing, and not answered
    if length > 0:
        if p.seq == t.rcv_nxt and t.reass is None:
            if t.so_state & SS_CANTRCVMORE and s.cfg.policy_shut_rd != SHUT_RD_LINUX:
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
                begin_reassembly(s, t)
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
                if t.so_state & SS_CANTRCVMORE and s.cfg.policy_shut_rd != SHUT_RD_LINUX:
                    t.rcvq.flush()
                t.reass.forget(t.rcv_nxt)
                if t.reass.n == 0:
                    t.reass = None
                grow_receive_buffer(s, t, new)
                if t.rcvq.cc >= t.rcvq.lowat:
                    s.wakeup(t, EV_READ)
            elif t.t_flags & TF_SACK_PERMIT:
                t.reass.report(t.reass.new_left, t.reass.new_right)
    if t.oob_state == OOB_EXPECTED and after_eq(t.rcv_nxt, t.rcv_up):
        pull_urgent(s, t)
    if fin:
        if add(p.seq, length) == t.rcv_nxt:
            return got_fin(s, t)
        t.t_flags |= TF_FIN_PENDING | TF_ACKNOW
        t.fin_seq = add(p.seq, length)
    elif t.t_flags & TF_FIN_PENDING and t.fin_seq == t.rcv_nxt:
        return got_fin(s, t)
    return 0


def pull_urgent(s, t):
    """The last urgent octet is here: out of the stream, unless the application wants it there (SO_OOBINLINE)."""
    at: cython.int = t.rcvq.cc - dist(t.rcv_up, t.rcv_nxt) - 1
    octet: cython.int = -1
    if not t.so_options & SO_OOBINLINE and at >= 0:
        octet = t.rcvq.pull(at)
    t.oob_state = OOB_HERE if octet >= 0 else OOB_NONE
    t.oob = octet
    s.wakeup(t, EV_ERROR)
    return 0


def take_payload(s, p):
    """The segment's payload as a chain of this machine's pool, 0 when mbufs are denied. It is the caller's now."""
    m: cython.int
    if p.pool is s.pool:
        m = p.m
        p.m = 0
        return m
    return s.pool.import_chain(p.pool, p.m, 0, p.length)


def begin_reassembly(s, t):
    """Something is out of order: from now on the connection holds islands."""
    most: cython.longlong = s.cfg.tcp_reass_maxqueuelen
    t.reass = Reassembly(s.pool, most if most > 0 else 1000)
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
    if t.reass is not None:  # octets beyond a FIN: a peer that lies, and nobody will read them
        t.reass.flush()
        t.reass = None
    s.wakeup(t, EV_READ)
    if t.state == ESTABLISHED or t.state == SYN_RECEIVED:
        s.set_state(t, CLOSE_WAIT)
    elif t.state == FIN_WAIT_1:
        s.set_state(t, CLOSING)
    elif t.state == FIN_WAIT_2:
        tcp_output(s, t)
        enter_timewait(s, t)
    return 0


def note_dsack(t, left, right):
    """[left, right) arrived twice: the next acknowledgment says so (RFC 2883)."""
    t.t_flags |= TF_DSACK
    t.dsack_left = left
    t.dsack_right = right
    return True
