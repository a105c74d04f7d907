"""A listener's work: SYN to SYN-ACK to accepted connection, with the syncache, SYN cookies and the accept queue.

The systems differ in where they refuse (policy `listen`): FreeBSD keeps half-open connections in one table for the
machine and finds out at the third segment that the accept queue is full; Linux counts them per listener and refuses
the SYN already.

Sources: FreeBSD netinet/tcp_syncache.c, uipc_socket.c; facts: freebsd-tcp 2.1, 3.3, 3.4, conntrack 9.6.
"""

import cython

from pystack._fast.consts import (
    ACK,
    CWR,
    ECE,
    LISTEN,
    LISTEN_LINUX,
    SECOND,
    SYN,
    SYN_RECEIVED,
    TIMER_SYNCACHE,
    Drop,
)
from pystack._fast.hashing import sip3
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.seq import add, after, before, between, sub
from pystack._fast.syncache import SC_ECN, SC_SACK, SC_SCALE, SC_TS, SynCache
from pystack._fast.tcb import (
    SS_BOUND,
    SS_NOFDREF,
    TF_ECN,
    TF_NO_SACK,
    TF_NO_SCALE,
    TF_NO_TS,
    TF_NODELAY,
    TF_NOPUSH,
    TF_PASSIVE,
    TF_RCV_AUTO_OFF,
    TF_RCVD_SCALE,
    TF_RCVD_TS,
    TF_SACK_PERMIT,
    TF_SND_AUTO_OFF,
    Tcb,
)
from pystack._fast.tcp_out import blank, our_mss, stamp, transmit
from pystack._fast.tcp_reply import reset_for
from pystack._fast.tcp_window import first_window, syn_window

TCP_LISTEN_OVERFLOW = int(Drop.TCP_LISTEN_OVERFLOW)
TCP_LISTEN_STATE = int(Drop.TCP_LISTEN_STATE)
TCP_SYN_LIMIT = int(Drop.TCP_SYN_LIMIT)
TCP_BAD_ACK = int(Drop.TCP_BAD_ACK)
TCP_BAD_RST = int(Drop.TCP_BAD_RST)

UNLIMITED_HALF_OPEN = 1 << 18
"""Rows for half-open connections where the system limits them by listener only (Linux)."""
COOKIE_MSS = (216, 536, 1200, 1360, 1400, 1440, 1452, 1460)
COOKIE_SCALE = (-1, 0, 1, 2, 4, 6, 7, 8)
_U32 = 0xFFFFFFFF


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
        self.k0 = rng.next64()
        self.k1 = rng.next64()

    def queue_full(self, s, t):
        """May no further connection wait to be accepted? BSD: more than 3/2 backlog wait; Linux: more than backlog."""
        if s.cfg.policy_listen == LISTEN_LINUX:
            return t.qlen > t.backlog
        return t.qlen > 3 * t.backlog // 2

    def encode(self, p):
        """What a cookie remembers of a SYN in one octet: scale, MSS, SACK (facts: freebsd-tcp 3.4)."""
        mss: cython.int = p.opt_mss if p.opt_mss >= 0 else 536
        i: cython.int = 7
        k: cython.int = 7
        while i > 0 and COOKIE_MSS[i] > mss:
            i -= 1
        if p.opt_wscale < 0:
            k = 0
        else:
            while k > 1 and COOKIE_SCALE[k] > p.opt_wscale:
                k -= 1
        return (k << 5) | (i << 2) | (2 if p.opt_sack_ok else 0)

    def cookie(self, s, p, flags, slot):
        """The ISS that proves a later ACK: 24 bits of MAC over addresses, IRS and 15-second slot, 8 of `flags`."""
        a: cython.ulonglong = p.src
        b: cython.ulonglong = p.dst
        x: cython.ulonglong = p.sport
        y: cython.ulonglong = p.dport
        irs: cython.ulonglong = p.seq if p.flags & SYN else sub(p.seq, 1)
        when: cython.ulonglong = slot
        mac: cython.ulonglong = sip3(
            self.k0, self.k1, (a << 32) | b, (x << 48) | (y << 32) | irs, (when << 8) | flags
        )
        half: cython.uint = ((mac >> 32) ^ mac) & _U32
        low: cython.uint = (flags ^ (half >> 24)) & 0xFF
        high: cython.uint = half >> 8 << 8
        return high | low

    def on_syn(self, s, t, p):
        """A SYN for the listener `t`. Answers 0 or the drop reason."""
        cache = self.cache
        cfg = s.cfg
        now: cython.longlong = s.now
        row: cython.int = cache.find(p.dst, p.dport, p.src, p.sport)
        linux: cython.bint = cfg.policy_listen == LISTEN_LINUX
        if row != 0:
            # FreeBSD does not ask whether it is the same SYN; on Linux it is (tcp_halfopen.py)
            s.stat.sc_dupsyn += 1
            if p.opt_ts and cache.flags[row] & SC_TS and not linux:
                cache.ts_recent[row] = p.ts_val
            self.answer(s, row)
            cache.rexmits[row] = 0
            s.wheel.arm(cache.timer[row], now + cfg.tcp_rexmit_initial)
            return 0
        if self.queue_full(s, t) and linux:
            t.overflow_count += 1
            s.stat.listendrop += 1
            return TCP_LISTEN_OVERFLOW
        ts: cython.bint = p.opt_ts and cfg.tcp_timestamps and not t.t_flags & TF_NO_TS
        sack: cython.bint = p.opt_sack_ok and cfg.tcp_sack and not t.t_flags & TF_NO_SACK
        scale: cython.bint = (
            p.opt_wscale >= 0 and cfg.tcp_window_scaling and not t.t_flags & TF_NO_SCALE
        )
        ecn: cython.bint = p.flags & (ECE | CWR) == (ECE | CWR) and cfg.tcp_ecn != 0
        cookie_only: cython.bint = cfg.tcp_syncookies == 2 or (linux and t.synqlen > t.backlog)
        if cookie_only and cfg.tcp_syncookies == 0:
            s.stat.sc_dropped += 1
            return TCP_SYN_LIMIT
        ts_offset: cython.uint = s.new_ts_offset(p.dst, p.src)
        if not cookie_only:
            bucket: cython.uint = cache.bucket_of(p.dst, p.dport, p.src, p.sport)
            if not linux and cache.length[bucket] >= cache.bucket_limit:
                s.stat.sc_bucketoverflow += 1
                cache.last_overflow = now
                self.forget(s, cache.oldest_in(bucket))
            row = cache.add(p.dst, p.dport, p.src, p.sport)
            if row == 0:
                s.stat.sc_zonefail += 1
                cache.last_overflow = now
                cache.last_failure = now
                row = cache.oldest_in(bucket)
                if row != 0:
                    self.forget(s, row)
                    row = cache.add(p.dst, p.dport, p.src, p.sport)
        if row == 0:
            if cfg.tcp_syncookies == 0:
                s.stat.sc_dropped += 1
                return TCP_SYN_LIMIT
            flags: cython.int = self.encode(p)
            cache.last_overflow = now
            s.stat.sc_sendcookie += 1
            return self.send_syn_ack(
                s, p.dst, p.dport, p.src, p.sport,
                self.cookie(s, p, flags, now // (15 * SECOND)), p.seq, t,
                ts, p.ts_val, ts_offset, scale, sack, False,
            )  # fmt: skip
        timer: cython.int = s.wheel.alloc(TIMER_SYNCACHE, row)
        if timer == 0:
            cache.remove(row)
            s.stat.sc_dropped += 1
            return TCP_SYN_LIMIT
        s.stat.sc_added += 1
        t.synqlen += 1
        cache.irs[row] = p.seq
        cache.iss[row] = s.new_isn(p.dst, p.dport, p.src, p.sport)
        if cfg.tcp_syncookies and not linux:
            cache.iss[row] = self.cookie(s, p, self.encode(p), now // (15 * SECOND))
            s.stat.sc_sendcookie += 1
        cache.mss[row] = p.opt_mss if 0 <= p.opt_mss else cfg.tcp_mssdflt
        cache.win[row] = p.win
        cache.peer_scale[row] = p.opt_wscale if scale else -1
        cache.flags[row] = (
            (SC_TS if ts else 0)
            | (SC_SCALE if scale else 0)
            | (SC_SACK if sack else 0)
            | (SC_ECN if ecn else 0)
        )
        cache.ts_recent[row] = p.ts_val if ts else 0
        cache.ts_offset[row] = ts_offset
        cache.rexmits[row] = 0
        cache.listener[row] = t.row
        cache.timer[row] = timer
        cache.born[row] = now
        cache.answered[row] = now - cfg.tcp_invalid_ratelimit
        self.answer(s, row)
        s.wheel.arm(timer, now + cfg.tcp_rexmit_initial)
        return 0

    def answer(self, s, row):
        """Send the row's SYN-ACK."""
        cache = self.cache
        t: Tcb = s.tcbs[cache.listener[row]]
        flags: cython.int = cache.flags[row]
        return self.send_syn_ack(
            s, cache.laddr[row], cache.ports[row] >> 16, cache.faddr[row], cache.ports[row] & 0xFFFF,
            cache.iss[row], cache.irs[row], t, flags & SC_TS != 0, cache.ts_recent[row],
            cache.ts_offset[row], flags & SC_SCALE != 0, flags & SC_SACK != 0, flags & SC_ECN != 0,
        )  # fmt: skip

    def send_syn_ack(
        self, s, laddr, lport, faddr, fport, iss, irs, t, ts, ts_recent, ts_offset, scale, sack, ecn
    ):
        """Build and send a SYN-ACK."""
        p = blank(s, laddr, lport, faddr, fport, t.ttl, t.tos)
        p.seq = iss
        p.ack = add(irs, 1)
        p.flags = SYN | ACK | (ECE if ecn else 0)
        p.win = syn_window(s, t, our_mss(s, faddr, t.user_mss) - (12 if ts else 0))
        p.opt_mss = our_mss(s, faddr, t.user_mss)
        if scale:
            p.opt_wscale = t.request_r_scale
        p.opt_sack_ok = sack
        if ts:
            stamp(s, p, ts_offset, ts_recent)
        s.stat.sndctrl += 1
        return transmit(s, p)

    def announced(self, s, t, row):
        """The window that the row's SYN-ACK offered."""
        return syn_window(
            s,
            t,
            our_mss(s, self.cache.faddr[row], t.user_mss)
            - (12 if self.cache.flags[row] & SC_TS else 0),
        )

    def forget(self, s, row):
        """The row goes, with its timer."""
        cache = self.cache
        s.wheel.free(cache.timer[row])
        t: Tcb = s.tcbs[cache.listener[row]]
        if t is not None and t.state == LISTEN:
            t.synqlen -= 1
        cache.remove(row)
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

    def expire(self, s, row):
        """The row's timer came up: the SYN-ACK again, or the end of it."""
        cache = self.cache
        cfg = s.cfg
        limit: cython.int = cfg.syncache_rexmtlimit
        if cfg.policy_listen == LISTEN_LINUX:
            limit = cfg.tcp_synack_retries
        if cache.rexmits[row] >= limit:
            s.stat.sc_stale += 1
            self.forget(s, row)
            return 0
        cache.rexmits[row] += 1
        s.stat.sc_retransmitted += 1
        self.answer(s, row)
        shift: cython.int = cache.rexmits[row] - cfg.tcp_synack_linear_timeouts
        wait: cython.longlong = cfg.tcp_rexmit_initial << (shift if shift > 0 else 0)
        wait += cfg.tcp_synack_slop
        if wait > cfg.tcp_rexmit_max:
            wait = cfg.tcp_rexmit_max
        s.wheel.arm(cache.timer[row], s.now + wait)
        return 0

    def on_rst(self, s, t, p):
        """A RST for a half-open connection: exactly IRS+1 ends it (RFC 5961 section 3)."""
        cache = self.cache
        row: cython.int = cache.find(p.dst, p.dport, p.src, p.sport)
        if row == 0:
            return TCP_LISTEN_STATE
        if p.seq == add(cache.irs[row], 1):
            s.stat.sc_reset += 1
            self.forget(s, row)
            return 0
        if between(
            p.seq, add(cache.irs[row], 1), add(cache.irs[row], 1 + self.announced(s, t, row))
        ):
            s.stat.badrst += 1
            self.challenge(s, t, row)
        return TCP_BAD_RST

    def challenge(self, s, t, row):
        """Say where the half-open connection is: an ACK, with the timestamps that it agreed on."""
        cache = self.cache
        ports: cython.uint = cache.ports[row]
        p = blank(s, cache.laddr[row], ports >> 16, cache.faddr[row], ports & 0xFFFF, t.ttl, t.tos)
        p.flags = ACK
        p.seq = add(cache.iss[row], 1)
        p.ack = add(cache.irs[row], 1)
        p.win = self.announced(s, t, row)
        if cache.flags[row] & SC_SCALE:
            p.win >>= t.request_r_scale
        if cache.flags[row] & SC_TS:
            stamp(s, p, cache.ts_offset[row], cache.ts_recent[row])
        s.stat.challenge_acks += 1
        s.stat.sndacks += 1
        return transmit(s, p)

    def on_ack(self, s, t, p):
        """The third segment: the connection that it completes, or None with p.drop set. The caller gives the segment to
        the new connection, which is in SYN_RECEIVED still.
        """
        cache = self.cache
        cfg = s.cfg
        row: cython.int = cache.find(p.dst, p.dport, p.src, p.sport)
        iss: cython.uint
        irs: cython.uint
        flags: cython.int = -1
        slot: cython.longlong
        linux: cython.bint = cfg.policy_listen == LISTEN_LINUX
        if row != 0:
            iss = cache.iss[row]
            irs = cache.irs[row]
            if (
                p.ack != add(iss, 1)
                or not after(p.seq, irs)
                or after(p.seq, add(irs, self.announced(s, t, row)))
            ):
                s.stat.sc_badack += 1
                p.drop = TCP_BAD_ACK
                reset_for(s, p)
                return None
            if cache.flags[row] & SC_TS and p.opt_ts and before(p.ts_val, cache.ts_recent[row]):
                p.drop = TCP_BAD_ACK
                return None
        else:
            # a cookie? only after an overflow, or when there are nothing but cookies
            if cfg.tcp_syncookies == 0 or (
                cfg.tcp_syncookies != 2 and s.now - cache.last_overflow > 30 * SECOND
            ):
                s.stat.sc_badack += 1
                p.drop = TCP_BAD_ACK
                if s.icmp_limit_rst():
                    reset_for(s, p)
                return None
            iss = sub(p.ack, 1)
            irs = sub(p.seq, 1)
            slot = s.now // (15 * SECOND)
            mac: cython.uint
            guess: cython.int
            tries: cython.int
            for tries in range(2):
                if tries > slot:  # the clock has only begun
                    break
                for guess in range(128):
                    mac = self.cookie(s, p, guess << 1, slot - tries)
                    if mac == iss:
                        flags = guess << 1
                        break
                if flags >= 0:
                    break
            if flags < 0:
                s.stat.sc_badack += 1
                p.drop = TCP_BAD_ACK
                if s.icmp_limit_rst():
                    reset_for(s, p)
                return None
            s.stat.sc_recvcookie += 1
        if self.queue_full(s, t):
            t.overflow_count += 1
            s.stat.listendrop += 1
            p.drop = TCP_LISTEN_OVERFLOW
            if linux:
                if row != 0 and cfg.tcp_abort_on_overflow:
                    self.forget(s, row)
                    reset_for(s, p)
                return None
            s.stat.sc_aborted += 1
            if row != 0:
                self.forget(s, row)
            if cfg.syncache_rst_on_sock_fail:
                reset_for(s, p)
            return None
        if row != 0:
            child = self.child(
                s, t, p, iss, irs, cache.mss[row], cache.win[row], cache.peer_scale[row],
                cache.flags[row], cache.ts_recent[row], cache.ts_offset[row],
            )  # fmt: skip
            if child is not None:
                child.syn_rexmits = cache.rexmits[row]
                if linux and child.syn_rexmits == 0:
                    # the SYN-ACK's round trip is the first sample; FreeBSD's entries do not keep the time
                    child.rtt_time = cache.born[row] if cache.born[row] > 0 else 1
            self.forget(s, row)
        else:
            child = self.child(
                s, t, p, iss, irs, COOKIE_MSS[(flags >> 2) & 7], p.win, COOKIE_SCALE[flags >> 5],
                (SC_TS if p.opt_ts else 0)
                | (SC_SACK if flags & 2 else 0)
                | (SC_SCALE if flags >> 5 else 0),
                p.ts_val, s.new_ts_offset(p.dst, p.src),
            )  # fmt: skip
        if child is None:
            s.stat.sc_aborted += 1
            p.drop = TCP_LISTEN_OVERFLOW
            if cfg.syncache_rst_on_sock_fail:
                reset_for(s, p)
            return None
        s.stat.sc_completed += 1
        return child

    def child(self, s, t, p, iss, irs, mss, win, peer_scale, flags, ts_recent, ts_offset):
        """A connection out of a half-open one, in SYN_RECEIVED with the SYN-ACK sent; None at maxsockets."""
        c = s.new_tcb()
        if c is None:
            return None
        s.set_state(c, SYN_RECEIVED)
        s.demux.connect(c.row, p.dst, p.dport, p.src, p.sport)
        c.laddr = p.dst
        c.lport = p.dport
        c.faddr = p.src
        c.fport = p.sport
        c.listener = t
        c.so_state = SS_BOUND | SS_NOFDREF
        c.so_options = t.so_options
        c.linger = t.linger
        c.linger2 = t.linger2
        c.tos = t.tos
        c.ttl = t.ttl
        c.user_mss = t.user_mss
        c.user_timeout = t.user_timeout
        c.keepidle = t.keepidle
        c.keepintvl = t.keepintvl
        c.keepcnt = t.keepcnt
        c.keepinit = t.keepinit
        c.notsent_lowat = t.notsent_lowat
        c.cc = t.cc
        c.sndq.hiwat = t.sndq.hiwat
        c.sndq.lowat = t.sndq.lowat
        c.rcvq.hiwat = t.rcvq.hiwat
        c.rcvq.lowat = t.rcvq.lowat
        c.t_flags = TF_PASSIVE | (
            t.t_flags & (TF_NODELAY | TF_NOPUSH | TF_SND_AUTO_OFF | TF_RCV_AUTO_OFF)
        )
        c.iss = iss
        c.snd_una = iss
        c.snd_nxt = add(iss, 1)
        c.snd_max = c.snd_nxt
        c.recover = iss
        c.snd_up = c.snd_nxt
        c.irs = irs
        c.rcv_nxt = add(irs, 1)
        c.rcv_up = c.rcv_nxt
        c.last_ack_sent = c.rcv_nxt
        c.user_clamp = t.user_clamp
        c.rcv_wnd = first_window(s, t, our_mss(s, p.src, t.user_mss) - (12 if flags & SC_TS else 0))
        c.rcv_adv = add(c.rcv_nxt, c.rcv_wnd)
        c.snd_wnd = win
        c.max_sndwnd = win
        c.snd_wl1 = irs
        c.ts_offset = ts_offset
        c.request_r_scale = t.request_r_scale
        if flags & SC_TS:
            c.t_flags |= TF_RCVD_TS
            c.ts_recent = ts_recent
            c.ts_recent_age = s.now
        if flags & SC_SACK:
            c.t_flags |= TF_SACK_PERMIT
        if flags & SC_ECN:
            c.t_flags |= TF_ECN
            s.stat.ecn_shs += 1
        if flags & SC_SCALE:
            c.t_flags |= TF_RCVD_SCALE
            c.snd_scale = peer_scale
            c.rcv_scale = t.request_r_scale
        c.mss_peer = mss
        return c
