"""The receive window: what a connection offers, what it accepts, and how its buffer grows.

    accepted_window   how far from RCV.NXT on a segment may reach
    receive_window    what the next segment offers: never less than before (SHLD-14), never silly (MUST-39)
    first_window      what the SYN says, and what that leaves to grow
    settle_buffers    the handshake is done: buffers and windows fit the segments
    after_read        the application made room: does the peer need to know?
    grow_buffer       FreeBSD: half as much again when half a round trip brought much
    data_came, moderate   Linux: the window opens with each segment that uses memory well, the buffer with each round
                      trip in which the application read more than ever

FreeBSD offers the room of the buffer. Linux offers a part of what is left of the memory (`RecvQueue.ratio`, taken from
the last large segment's share of data), at most `rcv_ssthresh`, which begins at the first window.

Sources: RFC 9293 sections 3.8.6.2.2, RFC 7323 section 2; FreeBSD netinet/tcp_output.c, tcp_input.c (tcp_mss,
tcp_autorcvbuf) of 14; Linux 6.18 as measured (ADR 0018).
"""

import cython

from pystack._fast.consts import (
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    MS,
    SOCKBUF_LINUX,
    WINDOW_BSD_14,
    WINDOW_LINUX,
)
from pystack._fast.seq import add, after, before, dist
from pystack._fast.space import recv_space
from pystack._fast.tcb import (
    ACK_PUSHED,
    ACK_PUSHED2,
    ACK_SCHEDULED,
    TF_DELACK,
    TF_NOMEM,
    TF_RCV_AUTO_OFF,
    TF_RCVD_SCALE,
    TF_RCVD_TS,
)

LARGEST = 65535 << 14
"""The largest window that can be said (RFC 7323 section 2.3)."""
_LARGEST = LARGEST


def whole_mss(t):
    """The MSS with the room of the options that each segment carries (FreeBSD's t_maxseg)."""
    return t.maxseg + (12 if t.t_flags & TF_RCVD_TS else 0)


def aligned(win, scale):
    """`win` rounded up to what a window field with this scale can say."""
    unit: cython.int = 1 << scale
    return (win + unit - 1) & ~(unit - 1)


# --- what is accepted, what is offered --------------------------------------------------------------------


def accepted_window(s, t):
    """Octets from RCV.NXT on that a segment may occupy: what was offered, on FreeBSD also what has room by now."""
    offered: cython.int = dist(t.rcv_nxt, t.rcv_adv)
    space: cython.int
    if offered < 0:
        offered = 0
    if s.cfg.policy_window == WINDOW_LINUX:
        return offered
    space = recv_space(s, t)
    return space if space > offered else offered


def receive_window(s, t):
    """The window to offer, octets."""
    win: cython.int
    offered: cython.int = dist(t.rcv_nxt, t.rcv_adv)
    if offered < 0:
        offered = 0
    if s.cfg.policy_window == WINDOW_LINUX:
        if t.t_flags & TF_NOMEM:
            return 0
        win = usable_window(s, t)
        if win < offered and not (s.cfg.tcp_shrink_window and t.rcv_scale):
            win = aligned(offered, t.rcv_scale)
        return win
    win = recv_space(s, t)
    if win > 65535 << t.rcv_scale:
        win = 65535 << t.rcv_scale
    if win < t.rcvq.hiwat // 4 and win < whole_mss(t):
        win = 0
    if win < offered:
        win = offered
    if s.cfg.policy_window == WINDOW_BSD_14:
        win = aligned(win, t.rcv_scale)
    return win


def usable_window(s, t):
    """Linux: the window that memory, the clamp and `rcv_ssthresh` allow, whatever was offered before."""
    q = t.rcvq
    mss: cython.int = t.rcv_mss
    allowed: cython.int = q.limit()
    full: cython.int = allowed if allowed < t.window_clamp else t.window_clamp
    free: cython.int = q.space()
    unit: cython.int = 1 << t.rcv_scale
    win: cython.int
    if mss >= full:
        mss = full
        if mss <= 0:
            return 0
    if s.cfg.tcp_shrink_window and t.rcv_scale:
        free &= ~(unit - 1)
        if free < full >> 1:
            t.quick_acks = 0
            if free < allowed >> 4 or free < mss or free < unit:
                return 0
        return free if free <= t.rcv_ssthresh else aligned(t.rcv_ssthresh, t.rcv_scale)
    if free < full >> 1:
        t.quick_acks = 0
        free &= ~(unit - 1)
        if s.mem_pressure:
            shrink_under_pressure(t)
        if free < allowed >> 4 or free < mss:
            return 0
    if free > t.rcv_ssthresh:
        free = t.rcv_ssthresh
    if t.rcv_scale:
        return aligned(free, t.rcv_scale)
    win = dist(t.last_ack_sent, t.rcv_adv)
    if win <= free - mss or win > free:
        return free - free % mss
    if mss == full and free > win + (full >> 1):
        return free
    return win


def shrink_under_pressure(t):
    """Linux: memory is short everywhere: no more than four segments are offered."""
    if t.rcv_ssthresh > 4 * t.advmss:
        t.rcv_ssthresh = 4 * t.advmss


def window_field(s, t, win):
    """What the 16 bits of the header say for `win`."""
    most: cython.int = 65535 << t.rcv_scale
    return (win if win < most else most) >> t.rcv_scale


def offered(s, t, win):
    """A segment offered `win` octets from RCV.NXT on."""
    if s.cfg.policy_window == WINDOW_LINUX or after(add(t.rcv_nxt, win), t.rcv_adv):
        t.rcv_adv = add(t.rcv_nxt, win)


# --- the first window -------------------------------------------------------------------------------------


def offered_scale(s, t):
    """The window scale to offer: the smallest that lets the largest buffer be announced (facts: freebsd-tcp 2.4)."""
    cfg = s.cfg
    shift: cython.int = 0
    space: cython.longlong
    if not cfg.tcp_window_scaling:
        return 0
    if cfg.policy_window == WINDOW_LINUX:
        space = cfg.tcp_rmem_max if cfg.tcp_rmem_max > cfg.rmem_max else cfg.rmem_max
        if space < t.rcvq.limit():
            space = t.rcvq.limit()
        if clamp_of(t) < space:
            space = clamp_of(t)
        while space > 65535 and shift < 14:
            space >>= 1
            shift += 1
        return shift
    while shift < 14 and 65535 << shift < cfg.sb_max:
        shift += 1
    return shift


def clamp_of(t):
    """Linux: what the application lets the window be: TCP_WINDOW_CLAMP, the buffer that it chose, or anything."""
    clamp: cython.int = t.user_clamp if t.user_clamp > 0 else _LARGEST
    if t.t_flags & TF_RCV_AUTO_OFF and t.rcvq.limit() < clamp:
        clamp = t.rcvq.limit()
    return clamp


def first_window(s, t, mss):
    """Octets that a connection of socket (or listener) `t` can take before anything is known of the peer."""
    win: cython.int = t.rcvq.limit()
    if s.cfg.policy_window == WINDOW_LINUX:
        if clamp_of(t) < win:
            win = clamp_of(t)
        if mss > 0 and win > mss:
            win -= win % mss
        return win
    return win if win < 65535 else 65535


def syn_window(s, t, mss):
    """The window field of a SYN or SYN-ACK: never scaled, at most 65535 (RFC 7323 section 2.2)."""
    win: cython.int = first_window(s, t, mss)
    return win if win < 65535 else 65535


def settle_buffers(s, t):
    """The handshake is done: buffers and windows fit the segments. Called once, before anything else is sent."""
    q = t.rcvq
    cfg = s.cfg
    settle_linux(s, t)
    if cfg.policy_window == WINDOW_LINUX:
        return
    mss: cython.int = whole_mss(t)
    q.hiwat = rounded_up(q.hiwat, mss, cfg.sb_max)
    t.sndq.hiwat = rounded_up(t.sndq.hiwat, mss, cfg.sb_max)


def rounded_up(size, mss, most):
    """A buffer of `size` as FreeBSD has it once the MSS is known: whole segments."""
    if size > mss:
        size += mss - 1
        size -= size % mss
        if size > most:
            size = most
    return size


def settle_linux(s, t):
    """Linux: what can be offered, the estimate of the peer's segments, and where the two measurements begin."""
    q = t.rcvq
    cfg = s.cfg
    advmss: cython.int = t.advmss
    most: cython.int = q.limit()
    clamp: cython.int = clamp_of(t)
    mss: cython.int
    win: cython.int = dist(t.rcv_nxt, t.rcv_adv)
    if not t.t_flags & TF_RCVD_SCALE and clamp > 65535:
        clamp = 65535
    if clamp > 65535 << t.rcv_scale:
        clamp = 65535 << t.rcv_scale
    if clamp >= most:
        clamp = most
        if cfg.tcp_app_win and most > 4 * advmss:
            clamp = most - (most >> cfg.tcp_app_win)
            if clamp < 4 * advmss:
                clamp = 4 * advmss
    if cfg.tcp_app_win and clamp > 2 * advmss and clamp + advmss > most:
        # one segment stays in reserve
        clamp = most - advmss if most - advmss > 2 * advmss else 2 * advmss
    t.window_clamp = clamp
    t.rcv_ssthresh = win if win < clamp else clamp
    mss = advmss if advmss < t.maxseg else t.maxseg
    if mss > win >> 1:
        mss = win >> 1
    if mss > 536:
        mss = 536
    if mss < 88:
        mss = 88
    t.rcv_mss = mss
    t.rcv_space = 10 * advmss
    if t.rcv_space > win:
        t.rcv_space = win
    if t.rcv_space > t.rcv_ssthresh:
        t.rcv_space = t.rcv_ssthresh
    t.rcv_space_seq = t.rcv_nxt
    t.rcv_space_at = s.now


def memory_of(length, gso):
    """Octets of memory that a packet of `length` octets takes when it comes from a TUN device: a head of fitting size,
    or (beyond a page) pages; and the book of the kernel about it. Measured.
    """
    size: cython.int
    if length <= 192:
        return 832
    size = ((64 + length + 63) & ~63) + 320
    if 64 + length < 4096 and gso == 0:
        return 1280 if size <= 1024 else 2304 if size <= 2048 else 4352 if size <= 4096 else 8448
    return 4352 + ((length - 3712 + 4095) & ~4095) if length > 3712 else 4352


def room_behind(length, memory):
    """Octets that such a packet's head has room for behind its end: small segments are copied there."""
    if memory == 832:
        return 192 - length
    if memory == 1280 or memory == 2304 or memory == 4352:
        return memory - 256 - 320 - 64 - length if memory - 640 > length else 0
    return 0


# --- Linux: growing ---------------------------------------------------------------------------------------


def first_unread(t):
    """The sequence number of the first octet that the application has not read."""
    return add(t.rcv_nxt, 0 - t.rcvq.cc)


def measure_segments(s, t, length, size, header, push):
    """A segment of `length` octets came (each piece of a super-segment has `size`) that took `t.rcvq.last_charge`
    octets of memory: how large are the peer's segments, and how much of the memory is data?

    `header`: octets of the TCP header; `push`: was PSH set? What the segment says about the end of a write goes to
    `ack_pending`.
    """
    q = t.rcvq
    known: cython.int = t.last_seg
    ratio: cython.longlong
    clamp: cython.int
    t.last_seg = 0
    if size >= t.rcv_mss:
        if size != t.rcv_mss and q.account:
            ratio = length
            ratio = (ratio << 8) // q.last_charge
            if ratio > 255:
                ratio = 255
            if ratio < 1:
                ratio = 1
            if ratio != q.ratio:
                q.ratio = ratio
                clamp = q.limit()
                set_clamp(t, clamp)
                if t.window_clamp < t.rcv_space:
                    t.rcv_space = t.window_clamp
        t.rcv_mss = size if size < t.advmss else t.advmss
        if push:
            t.ack_pending |= ACK_PUSHED
        return
    # a shorter one may be all that the peer ever sends
    if size + header >= 556 or (size + header >= 108 and not push):
        size += header - 20 - (12 if t.t_flags & TF_RCVD_TS else 0)
        t.last_seg = size
        if size == known:
            t.rcv_mss = size
            return
    t.ack_pending |= ACK_PUSHED2 | ACK_PUSHED if t.ack_pending & ACK_PUSHED else ACK_PUSHED


def set_clamp(t, clamp):
    """Linux: the most that may ever be offered is `clamp` now; what may be offered at present follows."""
    now: cython.int
    if clamp < 1152:
        clamp = 1152  # half of the smallest buffer
    if clamp < t.window_clamp:
        t.window_clamp = clamp
        if t.rcv_ssthresh > clamp:
            t.rcv_ssthresh = clamp
    elif clamp > t.window_clamp:
        t.window_clamp = clamp
        now = dist(t.last_ack_sent, t.rcv_adv)
        if now > clamp:
            now = clamp
        if now > t.rcv_ssthresh:
            t.rcv_ssthresh = now


def open_window(s, t, length, charge):
    """Linux: a segment of `length` octets came that took `charge` octets of memory. If windows full of such fit into
    the buffer, more may be offered: two segments, or twice what came.
    """
    q = t.rcvq
    room: cython.int = q.space()
    more: cython.int = 0
    if s.mem_pressure:
        shrink_under_pressure(t)
        return
    cost: cython.int
    size: cython.int
    if room > t.window_clamp:
        room = t.window_clamp
    room -= t.rcv_ssthresh
    if room <= 0:
        return
    if q.window_of(charge) <= length:
        more = 2 * t.advmss
    else:
        # how full may the buffer be with segments like this one?
        cost = q.window_of(charge) >> 1
        size = (
            q.window_of(s.cfg.tcp_rmem_max if s.cfg.tcp_rmem_max < 0x40000000 else 0x40000000) >> 1
        )
        while t.rcv_ssthresh <= size:
            if cost <= length:
                more = 2 * t.rcv_mss
                break
            cost >>= 1
            size >>= 1
    if more:
        if more < 2 * length:
            more = 2 * length
        t.rcv_ssthresh += room if room < more else more
        t.quick_acks |= 1


def sample_round_trip(t, took, by_window):
    """A round trip as the receiver sees it took so many ns: the shortest, when a window of data measured it."""
    if t.rcv_rtt == 0 or took < t.rcv_rtt:
        t.rcv_rtt = took
    elif not by_window and t.rcvq.cc == 0:
        t.rcv_rtt += (took - t.rcv_rtt) >> 3


def measure_round_trip(s, t):
    """Linux without timestamps: how long does a window take to arrive?"""
    took: cython.longlong
    if t.rcv_rtt_at != 0:
        if before(t.rcv_nxt, t.rcv_rtt_seq):
            return
        took = s.now - t.rcv_rtt_at
        sample_round_trip(t, took if took > 1000 else 1000, True)
    t.rcv_rtt_seq = add(t.rcv_nxt, dist(t.last_ack_sent, t.rcv_adv))
    t.rcv_rtt_at = s.now if s.now > 0 else 1


def measure_echo(s, t, length, echo):
    """Linux with timestamps: how long ago did we say what a full segment echoes?"""
    ticks: cython.longlong
    if echo == t.rcv_rtt_echo:
        return
    t.rcv_rtt_echo = echo
    if length >= t.rcv_mss:
        ticks = dist(echo, s.ts_clock(t))
        if 0 < ticks < 2147483:
            sample_round_trip(t, ticks * MS, False)


def moderate(s, t):
    """Linux: the application read. Once in a round trip: did it read more than ever? Then the buffer is made for twice
    that, and for the growth of a sender in slow start.
    """
    copied: cython.int
    if t.rcv_rtt == 0 or s.now - t.rcv_space_at < t.rcv_rtt:
        return
    copied = dist(t.rcv_space_seq, first_unread(t)) - t.rcvq.cc
    if copied > t.rcv_space:
        grow_linux(s, t, copied)
    t.rcv_space_seq = first_unread(t)
    t.rcv_space_at = s.now


def grow_linux(s, t, space):
    """Linux: a round trip brings `space` octets now."""
    q = t.rcvq
    before_: cython.longlong = t.rcv_space
    win: cython.longlong = space
    t.rcv_space = space
    if not s.cfg.tcp_recvbuf_auto or t.t_flags & TF_RCV_AUTO_OFF:
        return
    win *= 2
    if before_ > 0:
        win += 2 * (win * (space - before_) // before_)
    if t.reass is not None:
        win += dist(t.rcv_nxt, t.reass.right[t.reass.n - 1])
    win = (win << 8) // q.ratio
    if win > s.cfg.tcp_recvbuf_max:
        win = s.cfg.tcp_recvbuf_max
    if win > q.hiwat:
        q.hiwat = win
        t.window_clamp = q.limit()


# --- FreeBSD: growing -------------------------------------------------------------------------------------


def grow_buffer(s, t, length):
    """FreeBSD: half as much again (before 12 a fixed step) when half a round trip brought more than 3/8 of the buffer.

    The time begins with the first segment sent after the last decision (`rcv_auto_start` 0: not yet).
    """
    cfg = s.cfg
    hiwat: cython.int
    if not cfg.tcp_recvbuf_auto or t.t_flags & TF_RCV_AUTO_OFF:
        return
    if t.srtt == 0 or t.rcv_auto_start == 0 or s.now - t.rcv_auto_start <= t.srtt // 2:
        t.rcv_auto_bytes += length
        return
    hiwat = t.rcvq.hiwat
    if t.rcv_auto_bytes > hiwat // 8 * 3 and hiwat < cfg.tcp_recvbuf_max:
        hiwat = hiwat + (cfg.tcp_recvbuf_inc if cfg.tcp_recvbuf_inc > 0 else hiwat // 2)
        if hiwat > cfg.tcp_recvbuf_max:
            hiwat = cfg.tcp_recvbuf_max
        t.rcvq.hiwat = hiwat
    t.rcv_auto_bytes = 0
    t.rcv_auto_start = 0


def open_lowat(t):
    """Linux: the application waits for `lowat` octets (SO_RCVLOWAT): the buffer and the window have room for them."""
    q = t.rcvq
    memory: cython.longlong = q.lowat
    memory = (memory << 8) // q.ratio
    if memory > q.hiwat:
        q.hiwat = memory
        set_clamp(t, q.lowat)


# --- the send buffer ---------------------------------------------------------------------------------------


def grow_send_buffer(s, t):
    """Automatic send buffer: larger while the peer's window and ours both fill it (tcp_sendbuf_auto)."""
    q = t.sndq
    hiwat: cython.int = q.hiwat
    cfg = s.cfg
    wanted: cython.longlong
    segment: cython.int
    if cfg.policy_sockbuf == SOCKBUF_LINUX:
        # Linux: memory for two windows, whatever the peer offers (tcp_sndbuf_expand; measured with CUBIC and with Reno)
        if s.mem_pressure or (cfg.tcp_mem_low > 0 and s.mem_pages >= cfg.tcp_mem_low):
            return
        segment = 1024
        while segment < t.maxseg + 512:
            segment *= 2
        wanted = max(cython.cast(cython.int, t.cwnd) // t.maxseg, 10)
        wanted *= 2 * (segment + 256)
        if wanted > cfg.tcp_sendbuf_max:
            wanted = cfg.tcp_sendbuf_max
        if wanted > hiwat:
            q.hiwat = wanted
        return
    spare: cython.int = q.lowat if cfg.tcp_sendbuf_auto_lowat else 0
    if (
        cython.cast(cython.longlong, t.snd_wnd) // 4 * 5 >= hiwat - spare
        and q.cc >= hiwat // 8 * 7 - spare
        and q.cc < cfg.tcp_sendbuf_max
        and minimum_i(t.cwnd, t.snd_wnd) >= q.cc - dist(t.snd_una, t.snd_nxt)
    ):
        hiwat += cfg.tcp_sendbuf_inc if cfg.tcp_sendbuf_inc > 0 else hiwat
        if hiwat > cfg.tcp_sendbuf_max:
            hiwat = cfg.tcp_sendbuf_max
        q.hiwat = hiwat


def minimum_i(a, b):
    """The smaller of two windows, as an int."""
    m: cython.uint = a if a < b else b
    return m if m < 0x40000000 else 0x40000000


# --- after a read -----------------------------------------------------------------------------------------


def worth_an_update(s, t):
    """FreeBSD: does the right edge move far enough for a segment of its own (MUST-39)?

    Two segments that are a quarter of the buffer (or anything of two segments when the buffer is small or nearly full),
    or half of the buffer. Not for a segment whose acknowledgment was just put off.
    """
    win: cython.int = recv_space(s, t)
    old: cython.int = dist(t.rcv_nxt, t.rcv_adv)
    hiwat: cython.int = t.rcvq.hiwat
    most: cython.int = 65535 << t.rcv_scale
    mss: cython.int = whole_mss(t)
    advance: cython.int
    if t.t_flags & TF_DELACK or not takes_data(t):
        return False
    if win > most:
        win = most
    if win <= 0:
        return False
    if old < 0:
        old = 0
    advance = win - old
    if advance <= 0 or old >> t.rcv_scale >= win >> t.rcv_scale:
        return False
    if advance >= 2 * mss and (
        advance >= hiwat // 4 or win <= hiwat // 8 or hiwat <= 8 * mss or advance >= most
    ):
        return True
    return 2 * advance >= hiwat


def takes_data(t):
    """Can the peer still send?"""
    return t.state == ESTABLISHED or t.state == FIN_WAIT_1 or t.state == FIN_WAIT_2


def read_opens(s, t, copied):
    """Linux: the application read `copied` octets. Is an acknowledgment due, because two segments were not
    acknowledged, a write was read to its end, or the window can double?
    """
    now: cython.int
    win: cython.int
    if t.ack_pending & ACK_SCHEDULED:
        if dist(t.last_ack_sent, t.rcv_nxt) > t.rcv_mss:
            return True
        if copied > 0 and t.rcvq.rmem == 0 and t.reass is None:
            if t.ack_pending & ACK_PUSHED2 or (
                t.ack_pending & ACK_PUSHED and t.pingpong < s.cfg.tcp_pingpong_thresh
            ):
                return True
    if copied > 0 and takes_data(t):
        now = dist(t.rcv_nxt, t.rcv_adv)
        if now < 0:
            now = 0
        if 2 * now <= t.window_clamp:
            win = usable_window(s, t)
            return win > 0 and win >= 2 * now
    return False
