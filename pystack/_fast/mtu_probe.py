"""A search for the largest packet that the way carries, by segments larger than the rest (RFC 4821; Linux).

begin             a search begins
probe             new data goes as one large segment, if enough waits
arrived           the peer has it: the MSS grows
lost              it vanished: no congestion, only too large
resegment         what has become too long for the way is marked as lost, to go again in smaller pieces (RFC 1191)
"""

import cython

from pystack._fast import prr, undo
from pystack._fast.bursts import current_mss
from pystack._fast.consts import ACK, CA_CWR, CA_LOSS, CA_OPEN, ESTABLISHED, SEG_RETRANS, SEG_SACKED
from pystack._fast.draft import Draft  # noqa: F401
from pystack._fast.flight import Flight, SegmentTable  # noqa: F401
from pystack._fast.mtu_search import Search
from pystack._fast.seq import add, after_eq, dist
from pystack._fast.tcb import TF_FORCE, TF_RCVD_TS, Stack, Tcb  # noqa: F401
from pystack._fast.tcp_emit import emit

LEAST_WINDOW = 11
"""Segments of congestion window below which nothing is risked."""


def header_of(t):
    """Octets of a segment's IP and TCP headers."""
    return 52 if t.t_flags & TF_RCVD_TS else 40


def begin(s, t, header):
    """From net.ipv4.tcp_base_mss up to what the peer and the device take."""
    high: cython.int = t.mss_peer + 40 if t.mss_peer > 0 else s.cfg.tcp_mssdflt + 40
    if 0 < t.user_mss < high - 40:
        high = t.user_mss + 40
    if 0 < s.mtu_to(t.faddr) < high:
        high = s.mtu_to(t.faddr)
    if 0 < t.pmtu < high:
        high = t.pmtu
    t.search = Search(s.cfg.tcp_blackhole_mss + header, high, s.now)


def probe(s, t):
    """Send one if it is time for that. True: it soon will be, and until then nothing new goes."""
    f = t.flight
    x = t.search
    d = s.draft
    off: cython.int = dist(t.snd_una, t.snd_nxt)
    size: cython.int = (x.high + x.low) // 2
    header: cython.int = header_of(t)
    window: cython.int = cython.cast(cython.int, t.snd_wnd)
    need: cython.int
    done: cython.int
    if f is None or x.size or f.ca_state != CA_OPEN or f.probe or t.snd_nxt != t.snd_max:
        return False
    if t.state < ESTABLISHED or t.t_flags & TF_FORCE or prr.window_of(t) < LEAST_WINDOW:
        return False
    if t.sacks is not None and (t.sacks.n > 0 or t.sacks.dup):
        return False
    if x.high - x.low < s.cfg.tcp_probe_threshold or x.high <= x.low:
        if s.now - x.since >= s.cfg.tcp_probe_interval:
            begin(s, t, header)
        return False
    size -= header
    need = size + (f.reordering + 1) * t.maxseg
    if t.sndq.cc - off < need or window < need:
        return False
    if off + need > window:
        return True
    if f.in_flight() + 2 > prr.window_of(t):
        return f.in_flight() > 0
    if t.sndq.records is not None and 0 < t.sndq.next_record(t.snd_nxt) < size:
        return False
    x.start = t.snd_nxt
    x.end = add(t.snd_nxt, size)
    d.mss = current_mss(s, t)
    d.probing = True
    done = emit(s, t, t.snd_nxt, off, size, ACK, False)
    d.probing = False
    if done < 1:
        return False
    x.size = size + header
    t.burst_end = t.snd_nxt
    t.cwnd -= t.maxseg  # it takes the place of two
    return False


def arrived(s, t, f):
    """SND.UNA has moved: if past the probe, the way carries packets of its size. True: the MSS is to be set anew."""
    x = t.search
    window: cython.int
    if x.size == 0 or not after_eq(t.snd_una, x.end):
        return False
    s.stat.mtup_success += 1
    window = prr.window_of(t) * (t.maxseg + header_of(t)) // x.size
    t.cwnd = t.maxseg * (window if window > 1 else 1)
    t.ssthresh = prr.current_ssthresh(t, f)
    f.cwnd_cnt = 0
    f.cwnd_stamp = s.now
    x.low = x.size
    x.size = 0
    return True


def lost(s, t, f):
    """Is it the probe that is missing? Then it is only too large: the window stays as it is."""
    x = t.search
    if x.size == 0 or f.ca_state >= CA_CWR or t.snd_una != x.start:
        return False
    s.stat.mtup_fail += 1
    x.high = x.size - 1
    x.size = 0
    t.cwnd += t.maxseg
    resegment(s, t, f, False)
    return True


def resegment(s, t, f, smaller):
    """Segments longer than the way carries are lost. `smaller`: the MSS has changed, and with it every piece of a
    super-segment has become too long.
    """
    table = s.segments
    row: cython.int = f.first
    start: cython.uint = f.start
    n: cython.int
    while row != 0:
        n = (dist(start, table.end[row]) + t.maxseg - 1) // t.maxseg
        if n > table.count[row] or (smaller and table.count[row] > 1):
            table.resize(f, row, dist(start, table.end[row]), t.maxseg)
            if table.mark[row] & SEG_SACKED == 0:
                if table.mark[row] & SEG_RETRANS:
                    table.mark[row] = table.mark[row] & ~SEG_RETRANS
                    f.retrans_out -= n
                table.mark_lost(f, row)
        start = table.end[row]
        row = table.next[row]
    if f.lost_out > 0 and f.ca_state != CA_LOSS:
        f.high_seq = t.snd_max
        t.ssthresh = prr.current_ssthresh(t, f)
        f.prior_ssthresh = 0
        f.undo = False
        undo.set_ca_state(t, f, CA_LOSS)
