"""Loss recovery by segments: what an acknowledgment, or time, says of what is in flight, and what is sent again.

The state machine OPEN, DISORDER, CWR, RECOVERY, LOSS as Linux has it (net/ipv4/tcp_input.c, tcp_recovery.c):

segments_acked   one acknowledgment: blocks and SND.UNA into the marks, the round trip, the machine, the window, sending
    tag_blocks       SACK blocks (RFC 2018), duplicates reported by the first (RFC 2883)
    clean            what is acknowledged leaves
    alert            the machine; identify finds losses: RACK (RFC 8985), else duplicates
    send_lost        retransmissions, as far as the window goes

loss_timers.py has what time does.
"""

import cython

from pystack._fast import congestion, dupacks, frto, mtu_probe, prr, rack, rtt, undo
from pystack._fast.bursts import current_mss
from pystack._fast.consts import (
    A_ACKED,
    A_ADVANCED,
    A_DATA,
    A_DSACK,
    A_DSACK_TLP,
    A_ECE,
    A_LOST_RETRANS,
    A_MAYBE_DELAYED,
    A_ORIGINAL,
    A_RENEGING,
    A_RETRANS_ACKED,
    A_SACKED,
    A_SET_TIMER,
    A_WINDOW,
    ACK,
    CA_CWR,
    CA_DISORDER,
    CA_LOSS,
    CA_OPEN,
    CA_RECOVERY,
    FIN,
    GSO_MAX,
    MS,
    PSH,
    SEG_LOST,
    SEG_RETRANS,
    SEG_SACKED,
    SEND_LOST,
    SEND_NEW,
    SEND_NOTHING,
    WAIT_REO,
    WAIT_RTO,
)
from pystack._fast.flight import Flight, SegmentTable  # noqa: F401
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.reports import joined
from pystack._fast.sackseen import SackBlocks
from pystack._fast.seq import add, after, after_eq, before, before_eq, dist
from pystack._fast.tcb import (  # noqa: F401
    TF_ECN,
    TF_ECN_SND_CWR,
    TF_MORETOCOME,
    TF_NODELAY,
    TF_NOPUSH,
    TF_RCVD_TS,
    TF_SACK_PERMIT,
    TF_SENTFIN,
    Stack,
    Tcb,
)
from pystack._fast.tcp_emit import emit
from pystack._fast.tcp_out import tcp_output

# --- sending again --------------------------------------------------------------------------------------------------


def fin_of(t, end):
    """Is the octet before `end` our FIN? 1 or 0."""
    return 1 if end == t.snd_max and t.t_flags & TF_SENTFIN else 0


def send_again(s, t, f, row, start, segments, probe):
    """Send the row that begins at `start` again, `segments` of it at most; a `probe` is not marked as on its way
    again. -1: not now.
    """
    table = s.segments
    mss: cython.int = current_mss(s, t)
    end: cython.uint = table.end[row]
    length: cython.int = dist(start, end)
    most: cython.int = segments * mss
    room: cython.int = dist(start, add(t.snd_una, t.snd_wnd))
    off: cython.int = dist(t.snd_una, start)
    flags: cython.int = ACK
    mark: cython.int
    behind: cython.int
    if t.search is not None:
        t.search.size = 0  # what becomes of a probe now proves nothing
    if room <= 0:
        if start != t.snd_una:
            return -1
        room = mss
    if most > room:
        most = room - room % mss if room >= mss else room
    if length - fin_of(t, end) > most:
        table.split(f, row, start, add(start, most), mss, fin_of(t, end))
        end = table.end[row]
    elif table.size[row] != mss and length >= mss:
        table.resize(f, row, length, mss)
    elif length < mss and s.cfg.tcp_retrans_collapse:
        # small neighbours go along (Linux tcp_retrans_collapse)
        behind = table.next[row]
        most = mss if mss < room else room
        while behind != 0:
            # our FIN goes along, it takes no room
            if dist(start, table.end[behind]) - fin_of(t, table.end[behind]) > most:
                break
            mark = table.mark[behind]
            if table.count[behind] > 1 or mark & SEG_SACKED:
                break
            if t.sndq.records is not None and t.sndq.ends_record(table.end[row]):
                break
            f.packets_out -= 1
            if mark & SEG_LOST:
                f.lost_out -= 1
            if mark & SEG_RETRANS:
                f.retrans_out -= 1
            table.drop_next(f, row)
            behind = table.next[row]
        end = table.end[row]
        if t.reports is not None:
            joined(t, start, end)
    if row == f.first:
        f.head = f.start
    if table.count[row] > 1:
        flags |= PSH  # on the last of many that leave in one go
    length = dist(start, end)
    if off + length > t.sndq.cc:
        length = t.sndq.cc - off
        if length < 0:
            length = 0
        flags |= FIN
    if emit(s, t, start, off, length, flags, True) < 1:
        return -1
    if before(table.sent_end, end) and after(table.sent_end, start):
        table.split(f, row, start, table.sent_end, mss, fin_of(t, end))  # options took room
    table.sent_end = start  # no new segment goes on from here
    if t.t_flags & TF_SACK_PERMIT:
        s.stat.sack_rexmits += 1
        s.stat.sack_rexmit_bytes += length
    f.total_retrans += table.count[row]
    if probe:
        table.probed(f, row, s.now)
        return 0
    table.resent(f, row, s.now)
    if f.retrans_at == 0:
        f.retrans_at = s.now if s.now > 0 else 1
        f.retrans_ts = s.ts_clock(t)
    if f.undo_retrans < 0:
        f.undo_retrans = 0
    f.undo_retrans += table.count[row]
    return 0


def send_lost(s, t, f):
    """Retransmit what is lost, as far as the window goes."""
    table = s.segments
    row: cython.int = f.first
    start: cython.uint = f.start
    rearm: cython.bint = False
    room: cython.int
    most: cython.int = GSO_MAX // t.maxseg if s.cfg.tcp_tso else 1
    marks: cython.int
    while row != 0:
        room = prr.window_of(t) - f.in_flight()
        if room <= 0 or f.retrans_out >= f.lost_out:
            break
        marks = table.mark[row]
        if marks & SEG_LOST and marks & (SEG_SACKED | SEG_RETRANS) == 0:
            if send_again(s, t, f, row, start, room if room < most else most, False) < 0:
                break
            if f.ca_state == CA_LOSS:
                s.stat.slow_start_retrans += table.count[row]
            else:
                s.stat.fast_retrans += table.count[row]
            if prr.reducing(f):
                f.prr_out += table.count[row]
            if row == f.first and f.pending != WAIT_REO:
                rearm = True
        start = table.end[row]
        row = table.next[row]
    if rearm:
        f.pending = WAIT_RTO
        t.at_rexmt = s.now + t.rxtcur
    return 0


# --- an acknowledgment ----------------------------------------------------------------------------------------------


def duplicate_reported(s, t, f, left, right):
    """The first block reports what arrived twice (RFC 2883). More than was ever sent again proves nothing."""
    table = s.segments
    n: cython.int = 1
    if dist(left, right) > t.maxseg:
        n = (dist(left, right) + t.maxseg - 1) // t.maxseg
    if before(left, s.segments.blocks_ack):
        s.stat.dsack_rcv += 1
    else:
        s.stat.dsack_ofo_rcv += 1
    if f.dsack_dups + n > f.total_retrans:
        s.stat.dsack_dubious += 1
        return
    s.stat.dsack_segs += n
    f.dsack_dups += n
    f.delivered += n
    if f.tlp and f.tlp_high == right:
        table.found |= A_DSACK_TLP
    table.found |= A_DSACK
    f.rack_dsack = True
    if f.undo and f.undo_retrans > 0 and before_eq(right, t.snd_una):
        if after(right, f.undo_marker):
            f.undo_retrans -= n
            if f.undo_retrans < 0:
                f.undo_retrans = 0


def tag_blocks(s, t, f, p, prior_una):
    """The SACK blocks of the segment into the marks."""
    table = s.segments
    left: cython.uint
    right: cython.uint
    i: cython.int = 0
    seen: cython.int = f.seen if f.sacked_out > 0 else 0
    at: cython.int = 8 * seen
    blocks: SackBlocks = table.blocks
    left = p.sack[0]
    right = p.sack[1]
    table.blocks_ack = p.ack
    s.stat.sack_rcv_blocks += p.sack_n
    if before(left, right):
        if before(left, p.ack):
            duplicate_reported(s, t, f, left, right)
            i = 1
        elif p.sack_n > 1 and after_eq(left, p.sack[2]) and before_eq(right, p.sack[3]):
            duplicate_reported(s, t, f, left, right)
            if f.packets_out and after(left, t.snd_una):
                table.tag_twice(f, left, right)
            i = 1
    if f.packets_out == 0:
        return 0
    blocks.n[0] = 0
    while i < p.sack_n:
        left = p.sack[2 * i]
        right = p.sack[2 * i + 1]
        i += 1
        if before(left, right) and after(left, t.snd_una) and before_eq(right, t.snd_max):
            blocks.insert(left, right)
        elif p.ack == t.snd_una or after(right, t.snd_una):
            s.stat.sack_discard += 1
    for i in range(blocks.n[0]):
        at = table.tag_unseen(f, blocks.edges[2 * i], blocks.edges[2 * i + 1], seen, at, s.now)
    if f.sacked_out > 0:
        if f.seen == 0:
            f.seen = blocks.take()
        blocks.keep(f.seen)
    if f.ca_state != CA_LOSS or f.undo:
        if undo.note_reordering(s, t, f, table.reord):
            s.stat.sack_reorder += 1
    return 0


def elapsed(s, at):
    """Ns since a transmission."""
    return s.now - at if s.now > at else 0


def sample(s, t, f, p):
    """The round trip that this acknowledgment shows (RFC 6298 section 3; RFC 7323 section 4). True: there was one."""
    table = s.segments
    first: cython.longlong = -1
    last: cython.longlong = -1
    ticks: cython.int
    if table.first_acked != 0 and table.found & A_RETRANS_ACKED == 0:
        first = elapsed(s, table.first_acked)
        last = elapsed(s, table.last_acked)
    if table.first_sacked != 0:
        last = elapsed(s, table.last_sacked)
        if first < 0:
            first = elapsed(s, table.first_sacked)
    if first < 0 and table.found & A_ACKED and table.ts_ecr != 0:
        ticks = dist(table.ts_ecr, s.ts_clock(t))
        if ticks >= 0:
            first = (ticks if ticks > 0 else 1) * MS
            last = first
    if first < 0:
        return False
    if not (table.found & A_MAYBE_DELAYED and f.min_rtt != 0 and last > f.min_rtt):
        f.note_rtt(last, s.now, s.cfg.tcp_min_rtt_wlen)
    rtt.sample(s, t, first)
    congestion.on_round_trip(s, t, f, last)
    return True


def clean(s, t, f, p, prior_una, prior_fack):
    """Acknowledged segments leave, the round trip is sampled, reordering is seen."""
    table = s.segments
    sacked: cython.int = f.sacked_out
    sack: cython.bint = t.t_flags & TF_SACK_PERMIT != 0
    sampled: cython.bint
    reord: cython.uint = table.reord
    table.reord = t.snd_max
    table.acknowledge(f, p.ack, sack, s.now)
    if (
        table.acked == 1
        and sacked == 0
        and f.sacked_out == 0
        and dist(prior_una, t.snd_una) < t.maxseg
    ):
        table.found |= A_MAYBE_DELAYED
    sampled = sample(s, t, f, p)
    if table.found & A_ACKED:
        table.found |= A_SET_TIMER
        if not sack:
            dupacks.remove(s, f, table.acked)
            if table.found & A_RETRANS_ACKED:
                table.found &= ~A_ORIGINAL  # nothing tells which transmission it was
        elif before(table.reord, prior_fack) and undo.note_reordering(s, t, f, table.reord):
            s.stat.sack_reorder += 1
    elif f.first != 0 and sampled and table.first_sacked != 0:
        if table.first_sacked < table.sent_at[f.first]:
            table.found |= A_SET_TIMER  # what was SACKed had been sent before the first segment was
    table.reord = reord


def identify(s, t, f):
    """What is lost, as far as this acknowledgment tells."""
    table = s.segments
    retrans: cython.int = f.retrans_out
    if f.first == 0:
        return 0
    if t.t_flags & TF_SACK_PERMIT == 0:
        dupacks.mark_first(s, t, f, table.found & A_ADVANCED != 0)
    else:
        if rack.mark(s, t, f):
            table.found &= ~A_SET_TIMER
        if retrans > f.retrans_out:
            table.found |= A_LOST_RETRANS
    return 0


def enter(s, t, f):
    """Recovery begins (RFC 6675 section 5, RFC 5681 section 3.2)."""
    ece: cython.bint = s.segments.found & A_ECE != 0
    if t.t_flags & TF_SACK_PERMIT:
        s.stat.sack_recovery_episode += 1
    else:
        s.stat.reno_recovery += 1
    if not undo.any_retransmitted(s, f):
        f.retrans_at = 0
    f.prior_ssthresh = 0
    undo.start(t, f)
    if not prr.reducing(f):
        if not ece:
            f.prior_ssthresh = prr.current_ssthresh(t, f)
        prr.begin(s, t, f)
    undo.set_ca_state(t, f, CA_RECOVERY)


def alert(s, t, f, prior_una, dups):
    """The state machine: something is not as it should be. Answers what to send (frto.SEND_*)."""
    table = s.segments
    sack: cython.bint = t.t_flags & TF_SACK_PERMIT != 0
    advanced: cython.bint = table.found & A_ADVANCED != 0
    answer: cython.int
    wait: cython.longlong
    if f.packets_out == 0 and f.sacked_out:
        f.sacked_out = 0
    if table.found & A_ECE:
        f.prior_ssthresh = 0
    if table.found & A_RENEGING and advanced:
        # the peer may have dropped what it had reported: see soon (RFC 2018 section 8)
        wait = t.srtt // 2 if t.srtt // 2 > 10 * MS else 10 * MS
        f.pending = WAIT_RTO
        t.at_rexmt = s.now + wait
        table.found &= ~A_SET_TIMER
        return SEND_NOTHING
    if f.ca_state == CA_OPEN:
        f.retrans_at = 0
    elif after_eq(t.snd_una, f.high_seq):
        if f.ca_state == CA_CWR:
            # something above must be acknowledged, for the CWR bit to have reached the peer
            if t.snd_una != f.high_seq:
                prr.end(s, t, f)
                undo.set_ca_state(t, f, CA_OPEN)
        elif f.ca_state == CA_RECOVERY:
            if not sack:
                dupacks.reset(f)
            if undo.after_recovery(s, t, f):
                return SEND_NOTHING
            prr.end(s, t, f)
    if f.ca_state == CA_RECOVERY:
        if not advanced:
            if not sack:
                dupacks.add(s, f, dups)
        elif undo.partial(s, t, f, prior_una):
            return SEND_NOTHING
        if undo.by_dsack(s, t, f):
            try_to_open(s, t, f)
        identify(s, t, f)
        if f.ca_state != CA_RECOVERY:
            if f.lost_out == 0:
                return SEND_NOTHING
            enter(s, t, f)
    else:
        if f.ca_state == CA_LOSS:
            answer = frto.in_loss(s, t, f, table.found, dups)
            if f.ca_state != CA_LOSS and t.rto_since != 0:
                t.rto_time += s.now - t.rto_since
                t.rto_since = 0
            identify(s, t, f)
            if f.ca_state != CA_OPEN and table.found & A_LOST_RETRANS == 0:
                return answer
        if not sack:
            if advanced:
                dupacks.reset(f)
            dupacks.add(s, f, dups)
        if f.ca_state <= CA_DISORDER:
            undo.by_dsack(s, t, f)
        identify(s, t, f)
        if f.lost_out == 0:
            try_to_open(s, t, f)
            return SEND_NOTHING
        if t.search is not None and mtu_probe.lost(s, t, f):
            return SEND_LOST
        enter(s, t, f)
    return SEND_LOST


def try_to_open(s, t, f):
    """No recovery: OPEN or DISORDER, CWR when the peer echoes a mark."""
    if not undo.any_retransmitted(s, f):
        f.retrans_at = 0
    if s.segments.found & A_ECE:
        prr.enter_cwr(s, t, f)
    if f.ca_state != CA_CWR:
        undo.keep_open(s, t, f)


def segments_acked(s, t, p, prior_una, old):
    """The acknowledgment of segment `p`; SND.UNA has moved from `prior_una` already. The caller has put A_DATA and
    A_WINDOW into `found`. `old`: it is below SND.UNA, only its blocks count.
    """
    table = s.segments
    f = t.flight
    prior_fack: cython.uint = f.high_sack
    packets: cython.int = f.packets_out
    delivered: cython.int = f.delivered
    reneging: cython.bint = f.reneging
    lost: cython.int = f.lost
    dups: cython.int = 0
    answer: cython.int = SEND_NOTHING
    if f.sacked_out == 0 or before(prior_fack, prior_una):
        prior_fack = prior_una
    if p.opt_ts and t.t_flags & TF_RCVD_TS and p.ts_ecr:
        table.ts_ecr = p.ts_ecr
        table.echoed = (s.now // MS - dist(p.ts_ecr, s.ts_clock(t)) + 1) * MS
    if t.snd_una != prior_una:
        table.found |= A_ADVANCED
        f.retransmits = 0
    if p.sack_n > 0 and t.t_flags & TF_SACK_PERMIT:
        tag_blocks(s, t, f, p, prior_una)
    if old:
        answer = alert(s, t, f, prior_una, 0)
        s.stat.delivered += f.delivered - delivered
        return send(s, t, f, answer)
    if packets == 0:
        if table.found & A_DSACK:
            s.stat.delivered += f.delivered - delivered
            alert(s, t, f, prior_una, 0)
        if f.tlp:
            rack.probe_acked(s, t, f, p.ack, table.found)
        return 0
    clean(s, t, f, p, prior_una, prior_fack)
    if f.seen != 0 and f.sacked_out == 0:
        table.forget_seen(f)
    rack.adapt(s, f, delivered)
    if f.tlp:
        rack.probe_acked(s, t, f, p.ack, table.found)
    if (
        table.found & (A_DATA | A_WINDOW | A_ACKED) == 0
        or table.found & (A_SACKED | A_ECE | A_DSACK)
        or f.ca_state != CA_OPEN
    ):
        if table.found & (A_ADVANCED | A_DATA | A_WINDOW | A_ACKED | A_DSACK) == 0:
            dups = 1
            s.stat.rcvdupack += 1
        answer = alert(s, t, f, prior_una, dups)
    if table.found & A_SET_TIMER:
        rack.set_timer(s, t, f)
    delivered = f.delivered - delivered
    s.stat.delivered += delivered
    if table.found & A_ECE:
        f.delivered_ce += delivered
        s.stat.delivered_ce += delivered
    if not reneging:
        table.rates.sample(f.rate, f.delivered, delivered, s.now, f.min_rtt)
    if prr.reducing(f):
        prr.reduce(s, t, f, delivered, f.lost - lost, table.found & A_ADVANCED != 0)
    elif congestion.may_raise(s, f, table.found):
        congestion.on_segments(s, t, f, delivered)
    return send(s, t, f, answer)


def send(s, t, f, answer):
    """What `alert` said."""
    if answer == SEND_NOTHING:
        return 0
    if answer == SEND_NEW:
        push(s, t)
        if after(t.snd_max, f.high_seq):
            return 0
        f.frto = False
    return send_lost(s, t, f)


def push(s, t):
    """Send new data now, small segments too, be they corked."""
    held: cython.int = t.t_flags & (TF_NODELAY | TF_NOPUSH | TF_MORETOCOME)
    t.t_flags = t.t_flags & ~(TF_NOPUSH | TF_MORETOCOME) | TF_NODELAY
    tcp_output(s, t)
    t.t_flags = t.t_flags & ~TF_NODELAY | held
    return 0
