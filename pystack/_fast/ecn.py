"""Explicit congestion notification as FreeBSD keeps it (netinet/tcp_ecn.c): RFC 3168, and RFC 9768's counters.

    syn_flags        what our SYN asks for
    asked            what a SYN asks a listener for; syn_ack_flags: the answer to it
    child            the connection of a half-open one
    answered         the SYN-ACK came: what is agreed
    crossed          a SYN crossed ours
    arrived          a segment of the connection: does it tell of congestion?
    say              what a segment of ours tells

net.inet.tcp.ecn.enable is 1 to ask and agree, 2 to agree only, 3 and 4 the same with Accurate ECN, where a segment's
three bits count the marked segments that its sender received (`rcep`, and `scep` for what the peer said last).
"""

import cython

from pystack._fast.consts import AE, CWR, ECE, SYN, SYN_RECEIVED, SYN_SENT
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.seq import dist
from pystack._fast.tcb import (  # noqa: F401
    TF_ACKNOW,
    TF_ECN,
    TF_ECN_SND_ECE,
    TF_NO_ECN,
    Stack,
    Tcb,
)

# Tcb.ace: the counters are agreed on, they count
ACE_AGREED = 1
ACE_COUNTS = 2

# what a SYN asked for: as RFC 3168 has it, or 1 + the mark with which it came
ASKED_CLASSIC = 5

_BITS = ECE | CWR | AE


def bits_of(p):
    """The segment's ECE, CWR and AE; the last is not among `Packet.flags`."""
    flags: cython.int = p.flags & (ECE | CWR)
    return flags | AE if p.head[p.ip_len + 12] & 1 else flags


def mark_bits(mark):
    """How the handshake says with which mark the other one's segment came (RFC 9768 table 2)."""
    if mark == 0:
        return CWR
    if mark == 1:
        return CWR | ECE
    return AE if mark == 2 else AE | CWR


def count_bits(count):
    """The three bits of a counter."""
    return (ECE if count & 1 else 0) | (CWR if count & 2 else 0) | (AE if count & 4 else 0)


def syn_flags(s, t):
    """What our SYN asks for, in its first repetitions too (net.inet.tcp.ecn.maxretries)."""
    if t.state != SYN_SENT or t.t_flags & TF_NO_ECN or t.rxtshift > s.cfg.tcp_ecn_maxretries:
        return 0
    if s.cfg.tcp_ecn == 1:
        return ECE | CWR
    return _BITS if s.cfg.tcp_ecn == 3 else 0


def asked(s, p):
    """What the SYN asks for: 0, ASKED_CLASSIC, or 1 + its own mark. Bits of the future ask for the counters."""
    bits: cython.int = bits_of(p)
    if s.cfg.tcp_ecn == 0 or bits == 0:
        return 0
    if bits == ECE | CWR or (bits == _BITS and s.cfg.tcp_ecn < 3):
        return ASKED_CLASSIC
    return 1 + (p.tos & 3) if s.cfg.tcp_ecn >= 3 else 0


def syn_ack_flags(what):
    """How a SYN-ACK answers what was asked."""
    if what == 0:
        return 0
    return ECE if what == ASKED_CLASSIC else mark_bits(what - 1)


def child(s, t, what):
    """The connection `t` was made of a half-open one whose SYN asked for `what`."""
    if what == 0:
        return
    s.stat.ecn_shs += 1
    if what == ASKED_CLASSIC:
        t.t_flags |= TF_ECN
        return
    t.ace = ACE_AGREED
    t.scep = t.rcep = 6 if what == 4 else 5


def answered(s, t, p):
    """The SYN-ACK: what is agreed, and how our SYN got there. True: marked; the window begins with two segments."""
    bits: cython.int = bits_of(p)
    if s.cfg.tcp_ecn == 0:
        return False
    if bits == ECE or (bits == ECE | AE and s.cfg.tcp_ecn < 3):
        t.t_flags |= TF_ECN
        s.stat.ecn_shs += 1
        return False
    if s.cfg.tcp_ecn < 3 or bits == 0 or bits == _BITS or bits == ECE | AE:
        return False
    agree(s, t, p)
    t.scep = 6 if bits == AE | CWR else 5
    return bits == AE | CWR


def crossed(s, t, p):
    """A SYN that crossed ours (simultaneous open) asks for it, too."""
    bits: cython.int = bits_of(p)
    if s.cfg.tcp_ecn == 0:
        return
    if bits == ECE | CWR or (bits == _BITS and s.cfg.tcp_ecn < 3):
        t.t_flags |= TF_ECN | TF_ECN_SND_ECE
        s.stat.ecn_shs += 1
    elif bits == _BITS:
        agree(s, t, p)


def agree(s, t, p):
    """The counters are agreed on; the first answer says with which mark the peer's segment came."""
    t.ace = ACE_AGREED
    t.rcep = 0
    if p.tos & 3 == 0:
        t.rcep = 2
    elif p.tos & 3 == 1:
        t.rcep = 3
    elif p.tos & 3 == 2:
        t.rcep = 4
    else:
        t.rcep = 6
    s.stat.ecn_shs += 1


def arrived(s, t, p):
    """A segment of a connection that does ECN came, acceptable or not. True: it tells of congestion."""
    marked: cython.bint = p.tos & 3 == 3
    if marked:
        s.stat.ecn_ce += 1
    if t.ace:
        return counted(t, p, marked)
    if p.flags & CWR:
        # the peer's window may be small by now: it is answered at once (RFC 3168 section 6.1.5 leaves it open)
        t.t_flags &= ~TF_ECN_SND_ECE
        t.t_flags |= TF_ACKNOW
    if marked:
        t.t_flags |= TF_ECN_SND_ECE
    return p.flags & (SYN | ECE) == ECE


def counted(t, p, marked):
    """The peer's counter: how many more of our segments were marked? It is three bits wide, and what an acknowledgment
    of many segments says is taken for the most that it can mean (RFC 9768 section 3.2.2.5).
    """
    bits: cython.int = bits_of(p)
    ace: cython.int = (1 if bits & ECE else 0) | (2 if bits & CWR else 0) | (4 if bits & AE else 0)
    more: cython.int
    segments: cython.int = dist(t.snd_una, p.ack) // t.maxseg
    if segments < 1:
        segments = 1
    if marked:
        t.rcep += 1
    if t.t_flags & TF_ECN == 0:
        # the third segment of the handshake: how our SYN-ACK got there
        t.scep = 6 if ace == 6 else 5
        if ace == 6:
            t.cwnd = 2 * t.maxseg
        t.t_flags |= TF_ECN
        t.ace = ACE_COUNTS
        return False
    more = (ace + 8 - (t.scep & 7)) & 7
    if more < segments:
        more = segments - ((segments - more) & 7)
    t.scep += more
    return more > 0


def say(t):
    """The bits of the next segment where the counters are agreed on; the first one is the handshake's."""
    bits: cython.int = count_bits(t.rcep)
    if t.t_flags & TF_ECN == 0:
        t.rcep = 6 if t.rcep == 6 else 5
        t.t_flags |= TF_ECN
        t.ace = ACE_COUNTS
    return bits


def say_crossed(t):
    """The bits of the SYN-ACK that answers a SYN which crossed ours."""
    if t.ace:
        return say(t)
    if t.state == SYN_RECEIVED and t.t_flags & TF_ECN_SND_ECE:
        t.t_flags &= ~TF_ECN_SND_ECE
        return ECE
    return 0
