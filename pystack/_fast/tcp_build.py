"""A segment is built: who sends it to whom, its options, its header.

blank, transmit    the beginning and the end of every segment, a connection's or nobody's
stamp, fill_syn_options, fill_sack    options
"""

import cython

from pystack._fast.consts import OPTIONS_LINUX, PROTO_TCP, SACK_REPORT_BSD, SYN_RECEIVED, SYN_SENT
from pystack._fast.packet import COOKIE_ROOM, Packet  # noqa: F401
from pystack._fast.tcb import (
    FO_ASK,
    FO_EXP,
    SO_NO_TCP_OPTIONS,
    TF_DSACK,
    TF_NO_SACK,
    TF_NO_SCALE,
    TF_NO_TS,
    TF_RCVD_SCALE,
    TF_RCVD_TS,
    TF_SACK_PERMIT,
)
from pystack._fast.tcp_wire import build


def blank(s, laddr, lport, faddr, fport, ttl, tos):
    """A segment with nothing in it but who sends it to whom."""
    p = s.packet()
    p.proto = PROTO_TCP
    p.src = laddr
    p.dst = faddr
    p.sport = lport
    p.dport = fport
    p.ttl = ttl
    p.tos = tos
    p.csum_ok = True
    p.df = s.cfg.tcp_path_mtu_discovery != 0
    return p


def transmit(s, p):
    """The segment is complete: write its header and send it."""
    s.stat.sndtotal += 1
    build(p, s.cfg.policy_options)
    return s.output(p)


def stamp(s, p, offset, echo):
    """The timestamp option: the clock of now from `offset` on, and what is echoed (RFC 7323 section 3)."""
    p.opt_ts = True
    p.ts_val = s.ts_at(offset)
    p.ts_ecr = echo


def our_mss(s, faddr, user_mss):
    """The MSS to announce: the way's MTU less both headers, or what the application wants if that is less."""
    mtu: cython.int = s.mtu_to(faddr)
    mss: cython.int = mtu - 40 if mtu > 0 else s.cfg.tcp_mssdflt
    if user_mss > 0 and user_mss < mss:
        mss = user_mss
    return mss


def fill_syn_options(s, t, p):
    """The options of a SYN or SYN-ACK: what we offer, or what the peer's SYN offered and we accept."""
    # Linux answers in a simultaneous open with the very SYN that it had sent, and offers everything again
    i: cython.int
    answer: cython.bint = t.state == SYN_RECEIVED and s.cfg.policy_options != OPTIONS_LINUX
    if not t.so_options & SO_NO_TCP_OPTIONS:
        p.opt_mss = our_mss(s, t.faddr, t.user_mss)
    if not t.t_flags & TF_NO_SCALE and (not answer or t.t_flags & TF_RCVD_SCALE):
        p.opt_wscale = t.request_r_scale
    if not t.t_flags & TF_NO_SACK and (not answer or t.t_flags & TF_SACK_PERMIT):
        p.opt_sack_ok = True
    if not t.t_flags & TF_NO_TS and (not answer or t.t_flags & TF_RCVD_TS):
        stamp(s, p, t.ts_offset, t.ts_recent if t.state == SYN_RECEIVED else 0)
    if t.fo & FO_ASK and t.rxtshift == 0 and t.state == SYN_SENT:
        # a Fast Open cookie, or the wish for one: on the first SYN only
        p.tfo_off = COOKIE_ROOM
        p.tfo_len = len(t.fo_cookie)
        p.tfo_exp = t.fo & FO_EXP != 0
        for i in range(p.tfo_len):
            p.head[COOKIE_ROOM + i] = t.fo_cookie[i]
    return 0


def fill_sack(s, t, p):
    """SACK blocks to report, DSACK first (RFC 2018 section 4, RFC 2883). Answers how many."""
    n: cython.int = 0
    room: cython.int = 3 if p.opt_ts else 4
    i: cython.int = 0
    r = t.sacks
    if t.t_flags & TF_DSACK:
        s.stat.dsack_sent += 1
        t.t_flags &= ~TF_DSACK
    if r.dup:
        p.sack[0] = r.dup_left
        p.sack[1] = r.dup_right
        n = 1
        r.dup = False
    while i < r.n and n < room:
        p.sack[2 * n] = r.left[i]
        p.sack[2 * n + 1] = r.right[i]
        n += 1
        i += 1
    if s.cfg.policy_sack_report == SACK_REPORT_BSD:
        r.sent(t.rcv_nxt)
    p.sack_n = n
    if n:
        s.stat.sack_send_blocks += 1
    return n
