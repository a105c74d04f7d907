"""A listener's half-open connections: SYN to SYN-ACK, kept as rows or answered by a cookie, repeated, given up.

The systems differ in where they keep them and what refuses a SYN (policy `half_open`): FreeBSD has one table for the
machine and finds out at the third segment that the accept queue is full; Linux counts requests by listener and refuses
the SYN already. What later segments do to a half-open connection is in `tcp_halfopen`.

Sources: FreeBSD netinet/tcp_syncache.c, uipc_socket.c; facts: freebsd-tcp 2.1, 3.3, 3.4, conntrack 9.6; Linux 6.18 as
measured (duplicate SYNs, TCP_DEFER_ACCEPT, cookies with timestamps, Fast Open).
"""

import cython

from pystack._fast import ecn
from pystack._fast.consts import (
    ACK,
    BACKLOG_AND_ONE,
    COOKIES_LINUX,
    CWR,
    ECE,
    HALF_OPEN_REQUEST,
    LISTEN,
    OVERFLOW_LOG_LISTENER,
    SECOND,
    SYN,
    TIMER_SYNCACHE,
    Drop,
    Err,
    Note,
)
from pystack._fast.host_memory import proven
from pystack._fast.packet import COOKIE_ROOM
from pystack._fast.seq import add
from pystack._fast.source_routes import forget, lay
from pystack._fast.syncache import (
    SC_ACE,
    SC_ACKED,
    SC_COOKIE,
    SC_COOKIE_EXP,
    SC_ECN,
    SC_SACK,
    SC_SCALE,
    SC_TS,
    SC_UNREACH,
    SynCache,
)
from pystack._fast.syncookies import TS_ECN, TS_NO_SCALE, TS_SACK, Cookies
from pystack._fast.tcb import (
    FO_LISTEN,
    FO_NO_COOKIE,
    SO_NO_TCP_OPTIONS,
    TF_NO_SACK,
    TF_NO_SCALE,
    TF_NO_TS,
    Tcb,
)
from pystack._fast.tcp_build import blank, our_mss, stamp, transmit
from pystack._fast.tcp_close import drop
from pystack._fast.tcp_window import syn_window
from pystack._fast.tfo import SERVER, SERVER_NO_COOKIE, FastOpen

TCP_LISTEN_OVERFLOW = int(Drop.TCP_LISTEN_OVERFLOW)
TCP_SYN_LIMIT = int(Drop.TCP_SYN_LIMIT)
TCP_BAD_SYN = int(Drop.TCP_BAD_SYN)
ETIMEDOUT = int(Err.ETIMEDOUT)
LISTEN_OVERFLOW = int(Note.LISTEN_OVERFLOW)
SYN_FLOOD = int(Note.SYN_FLOOD)
SYNCACHE_PAUSE = int(Note.SYNCACHE_PAUSE)
SYNCACHE_STALE = int(Note.SYNCACHE_STALE)
SYNCACHE_AGAIN = int(Note.SYNCACHE_AGAIN)
SYNCACHE_DUPLICATE = int(Note.SYNCACHE_DUPLICATE)

UNLIMITED_HALF_OPEN = 1 << 18
"""Rows for half-open connections where the system limits them by listener only (Linux)."""
LONG_AGO = -(2**62)
PAUSE = 15 * SECOND
"""How long FreeBSD 12 and later answers with cookies only once a bucket was full."""


def reflected(tos, ours):
    """The TOS of a SYN for its connection; the bits of ECN are our own."""
    return tos & 0xFC | ours & 3


@cython.final
@cython.cclass
class Listener:
    """The half-open connections of a machine, and the keys of its cookies."""

    def __init__(self, cfg, rng):
        self.cache = SynCache(
            cfg.syncache_cachelimit or UNLIMITED_HALF_OPEN,
            cfg.syncache_hashsize,
            cfg.syncache_bucketlimit or UNLIMITED_HALF_OPEN,
            rng.next32(),
        )
        self.cookies = Cookies(rng)
        self.paused_until = LONG_AGO
        self.pauses = 0
        self.last_syn = None
        self.overflows = 0
        self.overflow_told = LONG_AGO

    def queue_full(self, s, t):
        """May no further connection wait to be accepted? BSD: more than 3/2 backlog wait; Linux: more than backlog."""
        if s.cfg.policy_backlog == BACKLOG_AND_ONE:
            return t.qlen > t.backlog
        return t.qlen > 3 * t.backlog // 2

    # --- a SYN -----------------------------------------------------------------------------------------------------

    def on_syn(self, s, t, p):
        """A SYN for the listener `t`. Answers 0 or the drop reason; -1: Fast Open, its data may go to a connection now
        (`tcp_halfopen.fast_child`).
        """
        cache = self.cache
        cfg = s.cfg
        now: cython.longlong = s.now
        requests: cython.bint = cfg.policy_half_open == HALF_OPEN_REQUEST
        cookie_only: cython.bint = cfg.tcp_syncookies == 2 or cfg.tcp_syncookies_only != 0
        if requests and t.synqlen > t.backlog:
            if cfg.tcp_syncookies == 0:
                s.stat.reqq_drop += 1
                self.flooded(s, t, False)
                return self.refuse(s, t)
            cookie_only = True
        if requests and cookie_only:
            s.stat.reqq_cookies += 1
            if cfg.tcp_syncookies != 2:
                self.flooded(s, t, True)
        if requests and self.queue_full(s, t):
            s.stat.listendrop += 1
            self.refuse(s, t)
            return TCP_LISTEN_OVERFLOW
        if requests and cfg.tcp_syncookies == 0:
            # the last quarter is for peers that are known to be there (facts: conntrack 9.6)
            if cfg.tcp_max_syn_backlog - t.synqlen < (cfg.tcp_max_syn_backlog >> 2) and not proven(
                s, p.dst, p.src
            ):
                return self.refuse(s, t)
        if not requests and now < self.paused_until and cfg.tcp_syncookies:
            cookie_only = True
        flags: cython.int = self.agree(s, t, p)
        if cookie_only:
            return self.answer_cookie(s, t, p, flags)
        flags |= self.fast_open(s, t, p)
        if flags < 0:
            return -1
        row: cython.int = self.new_row(s, t, p)
        if row == 0:
            if cfg.tcp_syncookies == 0 or requests:
                s.stat.sc_dropped += 1
                return TCP_SYN_LIMIT
            return self.answer_cookie(s, t, p, flags)
        s.stat.sc_added += 1
        t.synqlen += 1
        if t.synqlen > t.books.synqlen_high:
            t.books.synqlen_high = t.synqlen
        t.young += 1
        if cfg.tcp_syncookies and not requests:
            cache.iss[row] = self.cookies.make(p, self.cookies.encode(p), now)
            s.stat.sc_sendcookie += 1
        self.fill(s, row, p, flags)
        cache.listener[row] = t.row
        self.answer(s, row)
        cache.flags[row] &= ~(SC_COOKIE | SC_COOKIE_EXP)  # a cookie is for the first SYN-ACK only
        s.wheel.arm(cache.timer[row], now + cfg.tcp_rexmit_initial)
        return 0

    def refuse(self, s, t):
        """Linux: a SYN is not answered, or the last segment of a handshake comes to nothing (ListenDrops)."""
        t.books.overflows += 1
        t.books.when = s.now
        s.stat.listen_refused += 1
        return TCP_SYN_LIMIT

    def overflowed(self, s, t):
        """FreeBSD: the accept queue is full; said once in a while, of the machine or of each listener."""
        t.books.overflows += 1
        t.books.when = s.now
        if s.cfg.sooverprio < 0:
            return 0
        if s.cfg.policy_overflow_log == OVERFLOW_LOG_LISTENER:
            if s.now >= t.books.told:
                t.books.told = s.now + s.cfg.sooverinterval
                s.say(LISTEN_OVERFLOW, t, t.books.overflows - t.books.said, t.qlen)
                t.books.said = t.books.overflows
            return 0
        self.overflows += 1
        if s.now >= self.overflow_told:
            self.overflow_told = s.now + s.cfg.sooverinterval
            s.say(LISTEN_OVERFLOW, t, self.overflows, t.qlen)
            self.overflows = 0
        return 0

    def flooded(self, s, t, cookies):
        """Linux says once of each listener that its queue of requests is full."""
        if not t.books.flood_told:
            t.books.flood_told = True
            s.say(SYN_FLOOD, t, cookies, 0)
        return 0

    def agree(self, s, t, p):
        """Which of the SYN's offers the answer takes up (SC_*)."""
        cfg = s.cfg
        flags: cython.int = 0
        if p.opt_ts and cfg.tcp_timestamps and not t.t_flags & TF_NO_TS:
            flags |= SC_TS
        if p.opt_sack_ok and cfg.tcp_sack and not t.t_flags & TF_NO_SACK:
            flags |= SC_SACK
        if p.opt_wscale >= 0 and cfg.tcp_window_scaling and not t.t_flags & TF_NO_SCALE:
            flags |= SC_SCALE
        return flags | self.ecn_asked(s, p)

    def ecn_asked(self, s, p):
        """SC_ECN, or SC_ACE and more, for a SYN that asks for ECN, and is not marked itself on Linux (RFC 3168 section
        6.1.1).
        """
        what: cython.int
        if s.cfg.policy_half_open == HALF_OPEN_REQUEST:
            if s.cfg.tcp_ecn == 0 or p.flags & (ECE | CWR) != (ECE | CWR):
                return 0
            return SC_ECN if p.tos & 3 == 0 else 0
        what = ecn.asked(s, p)
        return SC_ECN if what == ecn.ASKED_CLASSIC else what * SC_ACE

    def new_row(self, s, t, p):
        """A row and its timer, in whose place an old one may go; 0 when there is no room."""
        cache = self.cache
        row: cython.int = cache.find(p.dst, p.dport, p.src, p.sport)
        if row != 0:  # of a listener that is gone
            self.forget(s, row)
        bucket: cython.uint = cache.bucket_of(p.dst, p.dport, p.src, p.sport)
        if cache.length[bucket] >= cache.bucket_limit:
            s.stat.sc_bucketoverflow += 1
            self.overflow(s, bucket, p)
            self.forget(s, cache.oldest_in(bucket))
        row = cache.add(p.dst, p.dport, p.src, p.sport)
        if row == 0:
            s.stat.sc_zonefail += 1
            cache.last_failure = s.now
            self.overflow(s, bucket, p)
            row = cache.oldest_in(bucket)
            if row == 0:
                return 0
            self.forget(s, row)
            row = cache.add(p.dst, p.dport, p.src, p.sport)
        timer: cython.int = s.wheel.alloc(TIMER_SYNCACHE, row)
        if timer == 0:
            cache.remove(row)
            return 0
        cache.timer[row] = timer
        cache.iss[row] = s.new_isn(p.dst, p.dport, p.src, p.sport)
        return row

    def overflow(self, s, bucket, p):
        """There was no room: for a while cookies are believed, and FreeBSD 12 sends nothing else (syncache_pause)."""
        self.cache.overflowed[bucket] = s.now
        self.cache.last_overflow = s.now
        if s.cfg.syncache_pause and s.cfg.tcp_syncookies and s.now >= self.paused_until:
            span: cython.longlong = PAUSE << self.pauses
            if s.now - self.paused_until < span:
                self.pauses = self.pauses + 1 if self.pauses < 6 else 6
            else:
                self.pauses = 0
            self.paused_until = s.now + (PAUSE << self.pauses)
            self.last_syn = (p.src, p.sport, p.dst, p.dport)
            s.say(SYNCACHE_PAUSE, None, (PAUSE << self.pauses) // SECOND, 0)

    def fill(self, s, row, p, flags):
        """What the SYN said, into its row."""
        cache = self.cache
        cache.irs[row] = p.seq
        cache.mss[row] = p.opt_mss if 0 <= p.opt_mss else s.cfg.tcp_mssdflt
        cache.win[row] = p.win
        cache.peer_scale[row] = p.opt_wscale if flags & SC_SCALE else -1
        cache.flags[row] = flags & (SC_ACE - 1)
        cache.ecn[row] = flags // SC_ACE
        cache.ts_recent[row] = p.ts_val if flags & SC_TS else 0
        cache.ts_offset[row] = s.new_ts_offset(p.dst, p.src)
        cache.ts_first[row] = s.ts_at(cache.ts_offset[row])
        cache.tos[row] = p.tos
        cache.rexmits[row] = 0
        cache.born[row] = s.now
        cache.answered[row] = LONG_AGO

    def answer_cookie(self, s, t, p, flags):
        """A SYN-ACK that nothing is kept of."""
        cfg = s.cfg
        cache = self.cache
        iss: cython.uint
        offset: cython.uint = s.new_ts_offset(p.dst, p.src)
        clock: cython.uint = s.ts_at(0)
        s.stat.sc_sendcookie += 1
        t.books.last_cookie = s.now
        if cfg.policy_cookies == COOKIES_LINUX:
            iss = self.cookies.linux_make(p, s.now)
            if flags & SC_TS:
                clock = self.cookies.hide(
                    clock,
                    (p.opt_wscale if flags & SC_SCALE else TS_NO_SCALE)
                    | (TS_SACK if flags & SC_SACK else 0)
                    | (TS_ECN if flags & SC_ECN else 0),
                )
            else:
                flags = 0
        else:
            iss = self.cookies.make(p, self.cookies.encode(p), s.now)
            flags &= SC_ACE - 1 - SC_ECN
            if not cfg.tcp_syncookies_only:
                cache.overflowed[cache.bucket_of(p.dst, p.dport, p.src, p.sport)] = s.now
                cache.last_overflow = s.now
        out = self.syn_ack(s, t, p.dst, p.dport, p.src, p.sport, iss, add(p.seq, 1), flags)
        if cfg.tcp_reflect_tos:
            out.tos = reflected(p.tos, t.tos)
        if flags & SC_TS:
            out.opt_ts = True
            out.ts_val = add(clock, offset)
            out.ts_ecr = p.ts_val
        return transmit(s, out)

    # --- Fast Open -------------------------------------------------------------------------------------------------

    def fast_open(self, s, t, p):
        """The SYN's Fast Open option (RFC 7413 section 4.1.2): SC_COOKIE when the SYN-ACK brings a cookie, negative
        when the SYN may become a connection at once.
        """
        cfg = s.cfg
        asked: cython.bint = p.tfo_off >= 0
        any_cookie: cython.bint
        give: cython.int = SC_COOKIE | (SC_COOKIE_EXP if p.tfo_exp else 0)
        if cfg.policy_half_open == HALF_OPEN_REQUEST:
            if asked and p.tfo_len == 0:
                s.stat.fo_cookie_reqd += 1
            if cfg.tcp_fastopen & SERVER == 0 or t.fo_qlen == 0:
                return 0
            any_cookie = cfg.tcp_fastopen & SERVER_NO_COOKIE != 0 or t.fo & FO_NO_COOKIE != 0
            if asked and p.tfo_len == 0 and not any_cookie:
                return give
            if not asked and not (any_cookie and p.length > 0):
                return 0
        else:
            if not cfg.tcp_fastopen_server or t.fo & FO_LISTEN == 0 or not asked:
                return 0
            any_cookie = cfg.tcp_fastopen_acceptany != 0 and p.tfo_len > 0
        if not self.may_open(s, t):
            return 0
        if any_cookie:
            return -1
        fastopen: FastOpen = s.fastopen
        cookie: bytes = fastopen.cookie(s, t.fo_key, p.src, p.dst)
        if p.tfo_len == len(cookie) and bytes(p.head[p.tfo_off : p.tfo_off + p.tfo_len]) == cookie:
            return -1
        return give

    def may_open(self, s, t):
        """Is there room for one more connection that has not proved its address (RFC 7413 section 5.1)?"""
        if s.cfg.policy_half_open != HALF_OPEN_REQUEST:
            return t.fo_pending <= t.backlog // 2
        if t.fo_pending >= t.fo_qlen:
            held = t.fo_held
            if not held or held[0] > s.now:
                return False
            held.pop(0)
            t.fo_pending -= 1
        return True

    # --- what is sent ----------------------------------------------------------------------------------------------

    def syn_ack(self, s, t, laddr, lport, faddr, fport, iss, ack, flags):
        """A SYN-ACK but for its timestamp, not sent yet."""
        p = blank(s, laddr, lport, faddr, fport, t.ttl, t.tos)
        if len(s.ways) > 0:
            lay(s, p)
        p.seq = iss
        p.ack = ack
        p.flags = SYN | ACK | (ECE if flags & SC_ECN else ecn.syn_ack_flags(flags // SC_ACE))
        p.opt_mss = our_mss(s, faddr, t.user_mss)
        p.win = syn_window(s, t, p.opt_mss - (12 if flags & SC_TS else 0))
        if t.so_options & SO_NO_TCP_OPTIONS:
            p.opt_mss = -1
        if flags & SC_SCALE:
            p.opt_wscale = t.request_r_scale
        p.opt_sack_ok = flags & SC_SACK != 0
        s.stat.sndctrl += 1
        return p

    def answer(self, s, row):
        """Send the row's SYN-ACK."""
        cache = self.cache
        t: Tcb = s.tcbs[cache.listener[row]]
        flags: cython.int = cache.all_flags(row)
        ack: cython.uint = add(cache.irs[row], 1)
        i: cython.int
        if t.fo_row == row:
            ack = t.rcv_nxt
        p = self.syn_ack(
            s, t, cache.laddr[row], cache.ports[row] >> 16, cache.faddr[row],
            cache.ports[row] & 0xFFFF, cache.iss[row], ack, flags,
        )  # fmt: skip
        if s.cfg.tcp_reflect_tos:
            p.tos = reflected(cache.tos[row], t.tos)
        if flags & SC_TS:
            stamp(s, p, cache.ts_offset[row], cache.ts_recent[row])
            cache.ts_last[row] = p.ts_val
        if flags & SC_COOKIE:
            fastopen: FastOpen = s.fastopen
            cookie: bytes = fastopen.cookie(s, t.fo_key, p.dst, p.src)
            p.tfo_off = COOKIE_ROOM
            p.tfo_len = len(cookie)
            p.tfo_exp = flags & SC_COOKIE_EXP != 0
            for i in range(p.tfo_len):
                p.head[COOKIE_ROOM + i] = cookie[i]
        return transmit(s, p)

    def say_ack(self, s, row):
        """An ACK of the half-open connection: it is here, what came was not what it waits for."""
        cache = self.cache
        t: Tcb = s.tcbs[cache.listener[row]]
        flags: cython.int = cache.flags[row]
        p = blank(
            s, cache.laddr[row], cache.ports[row] >> 16, cache.faddr[row],
            cache.ports[row] & 0xFFFF, t.ttl, t.tos,
        )  # fmt: skip
        if len(s.ways) > 0:
            lay(s, p)
        p.seq = add(cache.iss[row], 1)
        p.ack = add(cache.irs[row], 1)
        p.flags = ACK
        p.win = self.announced(s, t, row) >> (t.request_r_scale if flags & SC_SCALE else 0)
        if flags & SC_TS:
            stamp(s, p, cache.ts_offset[row], cache.ts_recent[row])
        s.stat.sndacks += 1
        return transmit(s, p)

    def announced(self, s, t, row):
        """The window that the row's SYN-ACK offered."""
        return syn_window(
            s,
            t,
            our_mss(s, self.cache.faddr[row], t.user_mss)
            - (12 if self.cache.flags[row] & SC_TS else 0),
        )

    def duplicate(self, s, row, p):
        """The SYN again: the SYN-ACK again, at most so often on Linux, whose timer goes on from where it is."""
        cache = self.cache
        cfg = s.cfg
        what: cython.int
        if cfg.policy_half_open == HALF_OPEN_REQUEST:
            if s.now - cache.answered[row] < cfg.tcp_invalid_ratelimit:
                s.stat.challenge_suppressed += 1
                s.stat.skipped_syn_recv += 1
                return TCP_BAD_SYN
            cache.answered[row] = s.now
            s.stat.syn_retrans += 1
            s.stat.sndrexmitpack += 1
            self.answer(s, row)
            s.wheel.arm(cache.timer[row], s.now + self.timeout(s, row))
        else:
            if cache.flags[row] & SC_TS:
                if p.opt_ts:
                    cache.ts_recent[row] = p.ts_val
                else:
                    cache.flags[row] &= ~SC_TS
            if cfg.tcp_log_debug:
                s.say_of(SYNCACHE_DUPLICATE, p, 0)
            if cache.all_flags(row) & ~(SC_ACE - 1 - SC_ECN):
                cache.without_ecn(row)  # asked for once more, and perhaps otherwise
                what = self.ecn_asked(s, p)
                cache.flags[row] |= what & (SC_ACE - 1)
                cache.ecn[row] = what // SC_ACE
            self.answer(s, row)
            cache.rexmits[row] = 0
            s.wheel.arm(cache.timer[row], s.now + cfg.tcp_rexmit_initial)
        s.stat.sc_dupsyn += 1
        return 0

    # --- time, and the end -----------------------------------------------------------------------------------------

    def timeout(self, s, row):
        """How long the SYN-ACK waits for its answer, ns."""
        cfg = s.cfg
        shift: cython.int = self.cache.rexmits[row] - cfg.tcp_synack_linear_timeouts
        if shift > 12:
            shift = 12
        wait: cython.longlong = cfg.tcp_rexmit_initial << (shift if shift > 0 else 0)
        if self.cache.rexmits[row] > 0:
            wait += cfg.tcp_synack_slop
        return wait if wait < cfg.tcp_rexmit_max else cfg.tcp_rexmit_max

    def retries(self, s, t):
        """How often the SYN-ACKs of a listener are repeated. Linux repeats less when half of its queue is old."""
        cfg = s.cfg
        if cfg.policy_half_open != HALF_OPEN_REQUEST:
            return cfg.syncache_rexmtlimit
        limit: cython.int = t.syncnt if t.syncnt > 0 else cfg.tcp_synack_retries
        if t.fo_row != 0:
            return limit + 1
        young: cython.int = t.young << 1
        if t.synqlen << 1 > max(8, t.backlog):
            while limit > 2 and t.synqlen >= young:
                limit -= 1
                young <<= 1
        return limit

    def expire(self, s, row):
        """The row's timer came up: the SYN-ACK again, or the end of it."""
        cache = self.cache
        t: Tcb = s.tcbs[cache.listener[row]]
        if t is None or (t.state != LISTEN and t.fo_row != row):
            return self.forget(s, row)
        tries: cython.int = cache.rexmits[row]
        again: cython.bint = True
        over: cython.bint = tries >= self.retries(s, t)
        if s.cfg.policy_half_open == HALF_OPEN_REQUEST:
            s.stat.rexmttimeo += 1
        if t.defer_accept > 0 and t.state == LISTEN and cache.flags[row] & SC_ACKED:
            # the peer is there and has nothing to say: remind it when the time of grace is over
            over = over and tries >= t.defer_accept
            again = tries >= t.defer_accept - 1
        if s.now < self.paused_until and t.state == LISTEN:
            over = True
        if over:
            s.stat.sc_stale += 1
            if s.cfg.tcp_log_debug:
                self.say_of_row(s, SYNCACHE_STALE, row, 0)
            if t.state != LISTEN:
                self.forget(s, row)
                return drop(s, t, ETIMEDOUT, False)
            return self.forget(s, row)
        if tries == 0 and t.state == LISTEN:
            t.young -= 1
        if tries < 255:
            cache.rexmits[row] += 1
        if again:
            if s.cfg.policy_half_open != HALF_OPEN_REQUEST and tries >= s.cfg.tcp_ecn_maxretries:
                cache.without_ecn(row)
            s.stat.sc_retransmitted += 1
            s.stat.syn_retrans += 1
            if s.cfg.policy_half_open == HALF_OPEN_REQUEST:
                s.stat.sndrexmitpack += 1
            if s.cfg.tcp_log_debug:
                self.say_of_row(s, SYNCACHE_AGAIN, row, tries + 1)
            self.answer(s, row)
        s.wheel.arm(cache.timer[row], s.now + self.timeout(s, row))
        return 0

    def say_of_row(self, s, note, row, number):
        """The kernel says something of a half-open connection, of no segment."""
        cache = self.cache
        s.vain = (
            cache.faddr[row],
            cache.ports[row] & 0xFFFF,
            cache.laddr[row],
            cache.ports[row] >> 16,
            0,
        )
        return s.say(note, None, number, 0)

    def forget(self, s, row):
        """The row goes, with its timer."""
        cache = self.cache
        s.wheel.free(cache.timer[row])
        t: Tcb = s.tcbs[cache.listener[row]]
        if t is not None:
            if t.state == LISTEN:
                t.synqlen -= 1
                if cache.rexmits[row] == 0:
                    t.young -= 1
            elif t.fo_row == row:
                t.fo_row = 0
                if t.listener is not None:
                    t.listener.fo_pending -= 1
        if len(s.ways) > 0:
            self.forget_way(s, row)
        cache.remove(row)
        return 0

    def forget_way(self, s, row):
        """A source route goes with the row, unless a connection came of it."""
        cache = self.cache
        ports: cython.uint = cache.ports[row]
        laddr: cython.uint = cache.laddr[row]
        faddr: cython.uint = cache.faddr[row]
        if s.demux.find(laddr, ports >> 16, faddr, ports & 0xFFFF) == 0:
            forget(s, laddr, ports >> 16, faddr, ports & 0xFFFF)
        return 0

    def forget_of(self, s, t):
        """The listener closes: its half-open connections go (not hot)."""
        cache = self.cache
        row: cython.int
        bucket: cython.int
        after_: cython.int
        if t.synqlen <= 0:
            return 0
        for bucket in range(cache.mask + 1):
            row = cache.chain.head[bucket]
            while row != 0:
                after_ = cache.chain.next[row]
                if cache.listener[row] == t.row:
                    self.forget(s, row)
                row = after_
        return 0

    def unreachable(self, s, row, seq, hard):
        """ICMP about our SYN-ACK, which must be quoted exactly. Linux gives up on `hard` ones at once; FreeBSD on any,
        at the second one after three repetitions.
        """
        cache = self.cache
        if cache.iss[row] != seq:
            return 0
        if s.cfg.policy_half_open == HALF_OPEN_REQUEST:
            if hard:
                self.forget(s, row)
            return 0
        if cache.flags[row] & SC_UNREACH and cache.rexmits[row] >= 4:
            s.stat.sc_unreach += 1
            return self.forget(s, row)
        cache.flags[row] |= SC_UNREACH
        return 0
