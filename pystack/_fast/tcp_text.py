"""The data of a segment: sixth to eighth steps of RFC 9293 section 3.10.7.4.

    text               URG, the data, FIN
    in_order           the next octets: into the receive queue, and the application may read
    out_of_order       islands beyond a hole, and the segment that fills it
    got_fin            the peer sends no more
    note_duplicate, tell_of_overlap, tell_of_text
                       what the next acknowledgment reports of it (RFC 2018, RFC 2883)

When it is acknowledged is decided in `tcp_delack`.
"""

import cython

from pystack._fast.consts import (
    CALLS_LINUX,
    CLOSE_WAIT,
    CLOSING,
    DELACK_LINUX,
    ESTABLISHED,
    EV_ERROR,
    EV_READ,
    FIN,
    FIN_WAIT_1,
    FIN_WAIT_2,
    SACK_REPORT_LINUX,
    SHUT_RD_LINUX,
    SYN_RECEIVED,
    TIME_WAIT,
    URG,
    WINDOW_LINUX,
)
from pystack._fast.recvq import Reassembly
from pystack._fast.reports import arrived
from pystack._fast.sackreport import SackReport
from pystack._fast.seq import (
    add,
    after,
    after_eq,
    before,
    before_eq,
    dist,
    maximum,
    minimum,
)
from pystack._fast.tcb import (
    ACK_SCHEDULED,
    FO_QUEUED,
    OOB_EXPECTED,
    OOB_HERE,
    OOB_NONE,
    SO_OOBINLINE,
    SS_CANTRCVMORE,
    SS_DONE,
    SS_FILTERED,
    TF_ACKNOW,
    TF_DSACK,
    TF_ECN,
    TF_FIN_PENDING,
    TF_NOMEM,
    TF_SACK_PERMIT,
)
from pystack._fast.tcp_close import enter_timewait
from pystack._fast.tcp_delack import (
    answer_data,
    converse,
    data_came,
    delay_bsd,
    measure,
    see_mark,
)
from pystack._fast.tcp_handshake import let_pass
from pystack._fast.tcp_mem import account, may_receive
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_window import grow_buffer, grow_linux, memory_of, open_window, room_behind


def text(s, t, p):
    """The data, the urgent pointer and the FIN (RFC 9293 section 3.10.7.4 sixth to eighth steps)."""
    length: cython.int = p.length
    fin: cython.bint = p.flags & FIN != 0
    if p.flags & URG and p.urg > 0 and t.state <= FIN_WAIT_2:
        if after(add(p.seq, p.urg), t.rcv_up):
            t.rcv_up = add(p.seq, p.urg)
            t.oob_state = OOB_EXPECTED
            t.oob_mark = True
            s.wakeup(t, EV_ERROR)
    if (
        t.state != ESTABLISHED
        and t.state != FIN_WAIT_1
        and t.state != FIN_WAIT_2
        and not (t.state == SYN_RECEIVED and t.fo & FO_QUEUED)
    ):
        return 0  # after the peer's FIN its text is nothing, and not answered
    if length > 0:
        if t.reports is not None:
            arrived(s, t, p.seq, length)
        if p.seq == t.rcv_nxt and t.reass is None:
            in_order(s, t, p, length)
        else:
            out_of_order(s, t, p, length)
    if t.oob_state == OOB_EXPECTED and after_eq(t.rcv_nxt, t.rcv_up):
        pull_urgent(s, t)
    if fin and add(p.seq, length) != t.rcv_nxt:
        t.t_flags |= TF_FIN_PENDING
        t.fin_seq = add(p.seq, length)
        if s.cfg.policy_delack == DELACK_LINUX:
            t.ack_pending |= ACK_SCHEDULED
            if length == 0 and t.t_flags & TF_SACK_PERMIT:
                report_of(s, t).arrived(t.fin_seq, add(t.fin_seq, 1))  # a FIN is an octet too
        else:
            t.t_flags |= TF_ACKNOW
    elif fin:
        got_fin(s, t)
    elif t.t_flags & TF_FIN_PENDING and t.fin_seq == t.rcv_nxt:
        t.t_flags |= TF_ACKNOW  # a gap is filled
        got_fin(s, t)
    if (length > 0 or fin) and t.row != 0 and s.cfg.policy_delack == DELACK_LINUX:
        answer_data(s, t)
    if t.so_state & SS_FILTERED:
        let_pass(s, t)
    return 0


def in_order(s, t, p, length):
    """The next octets, and nothing waits beyond a hole."""
    m: cython.int
    memory: cython.int = 0
    linux: cython.bint = s.cfg.policy_window == WINDOW_LINUX
    if t.so_state & SS_CANTRCVMORE and s.cfg.policy_shut_rd != SHUT_RD_LINUX:
        t.rcv_nxt = add(t.rcv_nxt, length)
        t.t_flags |= TF_ACKNOW
        return 0
    if linux:
        memory = memory_of(p.head_len + length, p.gso_size)
        if t.rcvq.cc > 0 and not (has_memory(s, t, length) and may_receive(s, t, memory)):
            s.stat.rcvmemdrop += 1
            s.stat.rcvq_drop += 1
            t.t_flags |= TF_ACKNOW | TF_NOMEM
            t.ack_pending |= ACK_SCHEDULED
            s.wakeup(t, EV_READ)
            return 0
    m = take_payload(s, p)
    if m == 0:
        s.stat.rcvmemdrop += 1
        t.t_flags |= TF_ACKNOW
        return 0
    s.stat.rcvpack += 1
    s.stat.rcvbyte += length
    if s.cfg.policy_delack != DELACK_LINUX:
        delay_bsd(s, t, length)
        if t.sacks is not None and t.t_flags & TF_DSACK == 0:
            t.sacks.clear()  # all is in order, and nothing was cut off before this
    t.rcv_nxt = add(t.rcv_nxt, length)
    if not linux:
        grow_buffer(s, t, length)
    t.rcvq.append(m, length)
    if t.rcvq.account:
        t.rcvq.charge(length, memory, room_behind(p.head_len + length, memory))
        account(s, t)
    if s.cfg.policy_delack == DELACK_LINUX:
        data_came(s, t, p, length, memory)
    if t.rcvq.cc >= t.rcvq.lowat:
        s.wakeup(t, EV_READ)
    return 0


def has_memory(s, t, length):
    """Linux: does the buffer's memory allow `length` octets more? If not, what is read next moves closer together."""
    q = t.rcvq
    dense: cython.int
    if q.rmem + length <= q.hiwat:
        return True
    s.stat.prune_called += 1
    if q.cc > 0:
        dense = (q.cc + 3775) // 3776 * 4352
        if dense < q.rmem - (t.reass.rmem if t.reass is not None else 0):
            q.collapse(dense)
    if q.rmem + length <= q.hiwat or q.cc == 0:
        return True
    s.stat.rcv_pruned += 1
    return False


def out_of_order(s, t, p, length):
    """Octets beyond a hole, or those that fill it."""
    m: cython.int
    new: cython.int
    memory: cython.int = 0
    linux: cython.bint = s.cfg.policy_delack == DELACK_LINUX
    was: cython.uint = t.rcv_nxt
    if linux:
        t.ack_pending |= ACK_SCHEDULED
        if t.t_flags & TF_ECN:
            see_mark(s, t, p.tos)
    else:
        t.t_flags |= TF_ACKNOW
    if t.reass is None:
        begin_reassembly(s, t)
    if t.rcvq.account:
        memory = memory_of(p.head_len + length, p.gso_size)
        if (p.seq != t.rcv_nxt or t.rcvq.cc > 0) and not (
            has_memory(s, t, length) and may_receive(s, t, memory)
        ):
            s.stat.rcvmemdrop += 1
            s.stat.ofo_drop += 1
            return end_reassembly(t)
        if p.seq != t.rcv_nxt:
            s.stat.ofo_queue += 1
            t.rcvq.last_charge = memory
            measure(s, t, p, length)
    t.ooo_in += 1
    if linux and t.t_flags & TF_SACK_PERMIT and tell_of_overlap(s, t, p.seq, length):
        s.stat.rcvduppack += 1
        s.stat.rcvdupbyte += length
        s.stat.ofo_merge += 1
        return 0
    if s.cfg.tcp_reass_maxsegments > 0 and not may_wait(s, t, p):
        return end_reassembly(t)
    if s.cfg.tcp_reass_new_limit and not guarded(s, t, p, length):
        return end_reassembly(t)
    m = take_payload(s, p)
    if m == 0:
        s.stat.rcvmemdrop += 1
        return end_reassembly(t)
    s.reass_segments -= t.reass.n
    s.stat.rcvoopack += 1
    s.stat.rcvoobyte += length
    new = t.reass.insert(p.seq, m, length)
    s.reass_segments += t.reass.n
    if s.reass_segments > s.reass_high:
        s.reass_high = s.reass_segments
    if new < 0:
        s.stat.rcvmemdrop += 1
        return end_reassembly(t)
    if t.rcvq.account and p.seq != t.rcv_nxt:
        if t.t_flags & TF_SACK_PERMIT:
            open_window(s, t, length, memory)
    if t.rcvq.account and new > 0:
        t.reass.charge(memory, t.rcvq)
        account(s, t)
    if t.reass.left[0] == t.rcv_nxt:
        fill_hole(s, t, p, length, memory)
    elif t.rcvq.account:
        grow_linux(s, t, t.rcv_space)
    if t.t_flags & TF_SACK_PERMIT:
        if linux:
            if t.rcv_nxt != was:
                if t.sacks is not None:
                    t.sacks.covered(t.rcv_nxt)
            else:
                report_of(s, t).arrived(p.seq, add(p.seq, length))
        else:
            tell_of_text(s, t, p.seq, length, was)
    return 0


def may_wait(s, t, p):
    """FreeBSD: is there room for one more segment out of order in the whole machine (net.inet.tcp.reass.maxsegments)?
    What fills the hole is always taken.
    """
    if p.seq == t.rcv_nxt or s.reass_segments < s.cfg.tcp_reass_maxsegments:
        return True
    s.reass_failures += 1
    s.reass_failed_at = s.now
    s.stat.rcvmemdrop += 1
    return False


def guarded(s, t, p, length):
    """FreeBSD 13's other limit: may a segment wait that is shorter than an mbuf, behind so many that wait already?"""
    if p.seq == t.rcv_nxt or length >= 256 or t.reass.n <= s.cfg.tcp_reass_queueguard:
        return True
    s.reass_failures += 1
    s.reass_failed_at = s.now
    s.stat.rcvmemdrop += 1
    return False


def fill_hole(s, t, p, length, memory):
    """The hole before the first island is gone: RCV.NXT moves to its end."""
    new: cython.int = t.reass.take(t.rcv_nxt, t.rcvq)
    s.reass_segments -= 1
    t.rcv_nxt = add(t.rcv_nxt, new)
    if t.so_state & SS_CANTRCVMORE and s.cfg.policy_shut_rd != SHUT_RD_LINUX:
        t.rcvq.flush()
    end_reassembly(t)
    if s.cfg.policy_delack == DELACK_LINUX:
        t.rcvq.last_charge = memory
        data_came(s, t, p, length, memory)
        if t.reass is None:
            t.t_flags |= TF_ACKNOW  # RFC 5681 section 4.2: the gap is filled
    if t.rcvq.cc >= t.rcvq.lowat:
        s.wakeup(t, EV_READ)
    return 0


def end_reassembly(t):
    """Is nothing out of order any more?"""
    if t.reass is not None and t.reass.n == 0:
        t.reass = None
    return 0


# --- what the peer is told of it --------------------------------------------------------------------------


def report_of(s, t):
    """The list of blocks to report; made when it is needed first."""
    if t.sacks is None:
        t.sacks = SackReport(4 if s.cfg.policy_sack_report == SACK_REPORT_LINUX else 6)
    return t.sacks


def note_duplicate(s, t, left, right):
    """[left, right), at or below RCV.NXT, came again (RFC 2883)."""
    if not t.t_flags & TF_SACK_PERMIT or not s.cfg.tcp_dsack:
        return 0
    t.t_flags |= TF_DSACK
    s.stat.dsack_old_sent += 1
    if s.cfg.policy_sack_report == SACK_REPORT_LINUX:
        report_of(s, t).duplicate(left, right)
    else:
        report_of(s, t).dropped(left, right, t.rcv_nxt)
    return 0


def tell_of_overlap(s, t, left, length):
    """Linux: what of the segment [left, left + length) is known already, beyond RCV.NXT? True when all of it is.

    Octets that continue RCV.NXT are new by themselves; of those that come out of order the first piece that is known
    is reported, and others as far as they touch it.
    """
    r = t.reass
    right: cython.uint = add(left, length)
    i: cython.int
    first: cython.bint = left != t.rcv_nxt
    for i in range(r.n):
        if not before(left, r.right[i]):
            continue
        if not before(r.left[i], right):
            break
        if first and after_eq(left, r.left[i]) and before_eq(right, r.right[i]):
            if s.cfg.tcp_dsack:
                report_of(s, t).duplicate(left, right)
                t.t_flags |= TF_DSACK
                s.stat.dsack_ofo_sent += 1
            report_of(s, t).arrived(left, right)
            return True
        if s.cfg.tcp_dsack:
            if not t.t_flags & TF_DSACK and first:
                s.stat.dsack_ofo_sent += 1
            elif not t.t_flags & TF_DSACK:
                s.stat.dsack_old_sent += 1  # by then it will be below RCV.NXT
            t.t_flags |= TF_DSACK
            if first and after(left, r.left[i]):
                report_of(s, t).duplicate(left, r.right[i])
            else:
                report_of(s, t).duplicate_more(maximum(left, r.left[i]), minimum(right, r.right[i]))
        first = False
    return False


def tell_of_text(s, t, left, length, was):
    """FreeBSD: the segment [left, left + length) is in the queue; RCV.NXT `was` there before."""
    right: cython.uint = add(left, length)
    report = report_of(s, t)
    if not s.cfg.tcp_dsack:
        report.covered(t.rcv_nxt)
        if after(right, t.rcv_nxt):
            report.arrived(left, right)
        return 0
    if after(t.rcv_nxt, was) and report.n > 0 and report.right[0] == left:
        report.dropped(report.left[0], report.right[0], t.rcv_nxt)
    else:
        report.received(left, right, t.rcv_nxt)
    if report.n > 0 and before_eq(report.right[0], t.rcv_nxt):
        t.t_flags |= TF_DSACK
    return 0


def pull_urgent(s, t):
    """The last urgent octet is here: out of the stream, unless the application wants it there (SO_OOBINLINE)."""
    at: cython.int = t.rcvq.cc - dist(t.rcv_up, t.rcv_nxt) - 1
    octet: cython.int = -1
    if not t.so_options & SO_OOBINLINE and at >= 0:
        octet = t.rcvq.pull(at)
    t.oob_state = OOB_HERE if octet >= 0 else OOB_NONE
    t.oob = octet
    t.oob_left = at if at > 0 else 0
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
    if s.cfg.tcp_reass_new_limit:
        most = 1 << 20
    elif s.cfg.policy_window != WINDOW_LINUX and t.rcvq.hiwat // t.maxseg + 1 < most:
        most = t.rcvq.hiwat // t.maxseg + 1
    t.reass = Reassembly(s.pool, most if most > 0 else 1000)
    return 0


def give_up_islands(s, t):
    """What came out of order is forgotten, a FIN with it: the peer will send it again (FreeBSD's tcp_drain)."""
    if t.reass is None:
        return 0
    t.rcvq.rmem -= t.reass.rmem
    s.reass_segments -= t.reass.n
    t.reass.flush()
    t.reass = None
    t.t_flags &= ~TF_FIN_PENDING
    if t.sacks is not None:
        t.sacks.clear()
    return 0


def got_fin(s, t):
    """The peer's FIN is next: it sends no more (RFC 9293 section 3.10.7.4 eighth step)."""
    t.t_flags &= ~TF_FIN_PENDING
    if t.state == TIME_WAIT:
        return 0
    t.rcv_nxt = add(t.rcv_nxt, 1)
    t.so_state |= SS_CANTRCVMORE
    if s.cfg.policy_calls == CALLS_LINUX:
        t.so_state |= SS_DONE  # whatever comes later, reading says that this is the end
    if s.cfg.policy_delack == DELACK_LINUX and t.state <= ESTABLISHED:
        # the application will answer with its own FIN, perhaps soon
        t.ack_pending |= ACK_SCHEDULED
        converse(s, t)
    else:
        t.t_flags |= TF_ACKNOW
    if t.reass is not None:  # octets beyond a FIN: a peer that lies, and nobody will read them
        give_up_islands(s, t)
    if t.sacks is not None:
        t.sacks.covered(t.rcv_nxt)
    s.wakeup(t, EV_READ)
    if t.state == ESTABLISHED or t.state == SYN_RECEIVED:
        s.set_state(t, CLOSE_WAIT)
    elif t.state == FIN_WAIT_1:
        s.set_state(t, CLOSING)
    elif t.state == FIN_WAIT_2:
        tcp_output(s, t)
        enter_timewait(s, t)
    return 0
