# cython: overflowcheck=False
# Sequence numbers wrap; the checked build must not stop them.

"""The windows of a TCP flow as conntrack sees them: may a segment be what it claims to be, and what follows from it.

For each side the record of a flow keeps the highest sequence number sent (`W_END`), the highest that the other side has
allowed (`W_MAXEND`), the largest window offered (`W_MAXWIN`) and the highest acknowledgment sent (`W_MAXACK`). A
segment has to lie between what its sender may send and what its receiver may have acknowledged: checks I to IV.

Names: `s` is the place of the sender's words in the record, `r` that of the receiver's; `so` and `ro` are those of
their octets. The three views of the records go from function to function as arguments: they stay in registers so,
while an attribute would be read again after each octet that is written.

Source: nf_conntrack_proto_tcp.c (tcp_in_window), van Rooij, "Real Stateful TCP Packet Filtering in IP Filter", 2000;
facts: conntrack 3.8.
"""

import cython

from pystack._fast.ct_states import ACK, CT_IGNORED, F_LIBERAL, F_MAXACK, F_SACK, F_SCALE, F_UNACKED
from pystack._fast.nf_consts import (
    CT_ACCEPT,
    CT_INVALID,
    H_LAST_WIN,
    INV_ACK_OVER,
    INV_ACK_UNDER,
    INV_BEYOND,
    INV_SEQ_OVER,
    INV_SEQ_UNDER,
    O_FLAGS,
    O_LAST,
    O_REPLY,
    O_RETRANS,
    O_SCALE,
    TCPCT_SYN_RECV,
    TCPCT_SYN_SENT,
    W_END,
    W_LAST_ACK,
    W_LAST_END,
    W_LAST_SEQ,
    W_MAXACK,
    W_MAXEND,
    W_MAXWIN,
    W_REPLY,
)
from pystack._fast.packet import Packet
from pystack._fast.seq import add, after, before_eq, sub

MAX_ACK_WINDOW = 66000


@cython.cclass
class TcpWindows:
    """The windows of the flows of a table.

    `liberal`: nf_conntrack_tcp_be_liberal; `old`: the rules of kernels before 6.0. `reason` and `number` are what
    nf_conntrack_log_invalid says of a segment that failed a check: INV_* and the bound that it failed.
    """

    def __init__(self, table):
        self.t = table
        self.liberal = False
        self.old = False
        self.reason = 0
        self.number = 0

    # --- a side begins -------------------------------------------------------------------------------------------

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def kept(self) -> cython.int:
        """The flags of a side that begins anew: one that is believed in any case stays so."""
        return 0 if self.old else F_LIBERAL

    @cython.cfunc
    @cython.exceptval(check=False)
    def options(self, side: cython.Py_ssize_t, p: Packet) -> cython.void:
        """What a SYN says of its sender; `side` is its place among the octets."""
        self.t.octet[side + O_SCALE] = 0
        self.t.octet[side + O_FLAGS] &= self.kept()
        if p.opt_sack_ok:
            self.t.octet[side + O_FLAGS] |= F_SACK
        if p.opt_wscale >= 0:
            self.t.octet[side + O_FLAGS] |= F_SCALE
            self.t.octet[side + O_SCALE] = p.opt_wscale if p.opt_wscale < 14 else 14

    @cython.cfunc
    @cython.exceptval(check=False)
    def opened(self, row: cython.int, way: cython.int, p: Packet) -> cython.void:
        """The first SYN of a side."""
        o: cython.Py_ssize_t = row << 6
        s: cython.Py_ssize_t = (row << 4) + W_REPLY * way
        end: cython.uint = end_of(p)
        self.t.word[s + W_END] = end
        self.t.word[s + W_MAXEND] = end
        self.t.word[s + W_MAXWIN] = p.win if p.win > 0 else 1
        self.options(o + O_REPLY * way, p)
        if way == 1 and not (
            self.t.octet[o + O_FLAGS] & self.t.octet[o + O_REPLY + O_FLAGS] & F_SCALE
        ):
            self.t.octet[o + O_SCALE] = 0
            self.t.octet[o + O_REPLY + O_SCALE] = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def _picked_up(
        self, row: cython.int, way: cython.int, p: Packet, sack: cython.uint
    ) -> cython.void:
        """The first segment of a side in the middle of a connection."""
        s: cython.Py_ssize_t = (row << 4) + W_REPLY * way
        r: cython.Py_ssize_t = (row << 4) + W_REPLY * (1 - way)
        end: cython.uint = end_of(p)
        window: cython.uint = p.win
        window = window << self.t.octet[(row << 6) + O_REPLY * way + O_SCALE]
        self.t.word[s + W_END] = end
        self.t.word[s + W_MAXWIN] = window if window > 0 else 1
        self.t.word[s + W_MAXEND] = add(end, self.t.word[s + W_MAXWIN])
        if self.t.word[r + W_MAXWIN] == 0:
            self.t.word[r + W_END] = sack
            self.t.word[r + W_MAXEND] = sack
        elif sack == add(self.t.word[r + W_END], 1):
            self.t.word[r + W_END] = sack  # the answer to a keep-alive

    @cython.cfunc
    @cython.exceptval(check=False)
    def _begins(
        self, row: cython.int, way: cython.int, state: cython.int, p: Packet, sack: cython.uint
    ) -> cython.bint:
        """A SYN, or the first segment of a side: its windows begin where they must. True: there is nothing to check."""
        s: cython.Py_ssize_t = (row << 4) + W_REPLY * way
        alone: cython.bint = p.flags & 0x12 == 0x02
        if self.t.word[s + W_MAXWIN] == 0:
            if p.flags & 0x02 == 0:
                self._picked_up(row, way, p, sack)
                return False
            self.opened(row, way, p)
            return alone  # both open at once
        if (state == TCPCT_SYN_SENT or state == TCPCT_SYN_RECV) and after(
            end_of(p), self.t.word[s + W_END]
        ):
            self.opened(row, way, p)
            return way == 1 and alone
        return False

    # --- the checks ----------------------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def window(
        self, row: cython.int, way: cython.int, kind: cython.int, state: cython.int, p: Packet
    ) -> cython.int:
        """Does the segment lie where its sender may send and its receiver may acknowledge? CT_ACCEPT, CT_INVALID or
        CT_IGNORED. After CT_ACCEPT the windows are what it makes of them.
        """
        return _judge(self, self.t.word, self.t.half, self.t.octet, row, way, kind, state, p)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _misfit(
        self,
        row: cython.int,
        way: cython.int,
        seq: cython.uint,
        end: cython.uint,
        sack: cython.uint,
    ) -> cython.int:
        """Which of the checks failed, and so what: the numbers are those that `_judge` made of the segment."""
        s: cython.Py_ssize_t = (row << 4) + W_REPLY * way
        r: cython.Py_ssize_t = (row << 4) + W_REPLY * (1 - way)
        so: cython.Py_ssize_t = (row << 6) + O_REPLY * way
        their_window: cython.uint = self.t.word[r + W_MAXWIN]
        my_window: cython.uint = self.t.word[s + W_MAXWIN]
        if my_window < MAX_ACK_WINDOW:
            my_window = MAX_ACK_WINDOW
        low: cython.uint = sub(self.t.word[s + W_END], their_window)
        ack_low: cython.uint = sub(self.t.word[r + W_END], my_window)
        ii: cython.bint = (their_window == 0 and not self.old) or before_eq(low, end)
        iii: cython.bint = before_eq(sack, self.t.word[r + W_END])
        iv: cython.bint = before_eq(ack_low, sack)
        beyond: cython.uint = add(self.t.word[s + W_MAXEND], 1)
        if not before_eq(seq, self.t.word[s + W_MAXEND]):
            if not self.old and ii and iii and iv:
                # no more beyond than the receiver has ever offered: it may have a window that was not seen
                over: cython.uint = add(sub(end, self.t.word[s + W_MAXEND]), 1)
                if over <= their_window:
                    self.t.word[s + W_END] = end
                    self.t.octet[so + O_FLAGS] |= F_UNACKED
                    return self._failed(so, CT_IGNORED, INV_BEYOND, over)
            return self._failed(so, CT_INVALID, INV_SEQ_OVER, beyond)
        if not iii:
            return self._failed(so, CT_INVALID, INV_ACK_OVER, add(self.t.word[r + W_END], 1))
        if not ii:
            return self._failed(so, CT_IGNORED, INV_SEQ_UNDER, sub(low, 1))
        return self._failed(so, CT_IGNORED, INV_ACK_UNDER, sub(ack_low, 1))

    @cython.cfunc
    @cython.exceptval(check=False)
    def _failed(
        self, so: cython.Py_ssize_t, verdict: cython.int, reason: cython.int, bound: cython.uint
    ) -> cython.int:
        """A check failed: so what, if the flow is believed in any case."""
        if self.liberal or self.t.octet[so + O_FLAGS] & F_LIBERAL:
            return CT_ACCEPT
        self.reason = reason
        self.number = bound
        return CT_INVALID if self.old else verdict


@cython.exceptval(check=False)
def end_of(p: Packet) -> cython.uint:
    """The sequence number behind the segment."""
    n: cython.uint = p.length
    n += (p.flags >> 1) & 1
    n += p.flags & 1
    return add(p.seq, n)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _judge(
    windows: TcpWindows,
    word: cython.uint[::1],
    half: cython.ushort[::1],
    octet: cython.uchar[::1],
    row: cython.int,
    way: cython.int,
    kind: cython.int,
    state: cython.int,
    p: Packet,
) -> cython.int:
    """`TcpWindows.window` of `windows`, with the views at hand."""
    s: cython.Py_ssize_t = (row << 4) + W_REPLY * way
    r: cython.Py_ssize_t = (row << 4) + W_REPLY * (1 - way)
    ro: cython.Py_ssize_t = (row << 6) + O_REPLY * (1 - way)
    flags: cython.int = p.flags
    seq: cython.uint = p.seq
    end: cython.uint = end_of(p)
    ack: cython.uint = p.ack
    sack: cython.uint = ack
    their_window: cython.uint
    my_window: cython.uint
    i: cython.int
    if p.sack_n > 0 and flags & 0x10 and octet[ro + O_FLAGS] & F_SACK:
        for i in range(p.sack_n):
            if after(p.sack[2 * i + 1], sack):
                sack = p.sack[2 * i + 1]
    if (flags & 0x02 or word[s + W_MAXWIN] == 0) and windows._begins(row, way, state, p, sack):
        return CT_ACCEPT
    if flags & 0x14 != 0x10:
        if flags & 0x10 == 0 or ack == 0:
            ack = word[r + W_END]
            sack = ack
        if flags & 0x04 and seq == 0 and state == TCPCT_SYN_SENT:
            seq = word[s + W_END]
            end = seq
    if windows.old and seq == end and not (flags & 0x04 and seq == 0):
        seq = word[s + W_END]
        end = seq
    their_window = word[r + W_MAXWIN]
    my_window = word[s + W_MAXWIN]
    if my_window < MAX_ACK_WINDOW:
        my_window = MAX_ACK_WINDOW
    if (
        before_eq(seq, word[s + W_MAXEND])
        and (
            before_eq(sub(word[s + W_END], their_window), end)
            or (their_window == 0 and not windows.old)
        )
        and before_eq(sack, word[r + W_END])
        and before_eq(sub(word[r + W_END], my_window), sack)
    ):
        _advance(word, octet, row, way, p, ack, sack, end)
        if kind == ACK:
            _count_repeats(word, half, octet, row, way, seq, ack, end, p.win)
        return CT_ACCEPT
    return windows._misfit(row, way, seq, end, sack)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _advance(
    word: cython.uint[::1],
    octet: cython.uchar[::1],
    row: cython.int,
    way: cython.int,
    p: Packet,
    ack: cython.uint,
    sack: cython.uint,
    end: cython.uint,
) -> cython.void:
    """The segment is what it claims to be: the windows of both sides move."""
    s: cython.Py_ssize_t = (row << 4) + W_REPLY * way
    r: cython.Py_ssize_t = (row << 4) + W_REPLY * (1 - way)
    so: cython.Py_ssize_t = (row << 6) + O_REPLY * way
    ro: cython.Py_ssize_t = (row << 6) + O_REPLY * (1 - way)
    mine: cython.int = octet[so + O_FLAGS]
    theirs: cython.int = octet[ro + O_FLAGS]
    window: cython.uint = p.win
    if p.flags & 0x02 == 0:
        window = window << octet[so + O_SCALE]
    offered: cython.uint = add(window, sub(sack, ack))
    allowed: cython.uint = add(sack, window)
    if word[s + W_MAXWIN] < offered:
        word[s + W_MAXWIN] = offered
    if after(end, word[s + W_END]):
        word[s + W_END] = end
        mine |= F_UNACKED
    if p.flags & 0x10 and (mine & F_MAXACK == 0 or after(ack, word[s + W_MAXACK])):
        word[s + W_MAXACK] = ack
        mine |= F_MAXACK
    if word[r + W_MAXWIN] != 0 and after(end, word[s + W_MAXEND]):
        word[r + W_MAXWIN] = add(word[r + W_MAXWIN], sub(end, word[s + W_MAXEND]))
    if before_eq(word[r + W_MAXEND], allowed):
        word[r + W_MAXEND] = allowed if window > 0 else add(sack, 1)
    if ack == word[r + W_END]:
        theirs &= ~F_UNACKED
    octet[so + O_FLAGS] = mine
    octet[ro + O_FLAGS] = theirs


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _count_repeats(
    word: cython.uint[::1],
    half: cython.ushort[::1],
    octet: cython.uchar[::1],
    row: cython.int,
    way: cython.int,
    seq: cython.uint,
    ack: cython.uint,
    end: cython.uint,
    raw: cython.int,
) -> cython.void:
    """Segments that come again and again shorten a life."""
    w: cython.Py_ssize_t = row << 4
    o: cython.Py_ssize_t = row << 6
    h: cython.Py_ssize_t = row << 5
    if (
        word[w + W_LAST_END] == end
        and word[w + W_LAST_SEQ] == seq
        and word[w + W_LAST_ACK] == ack
        and half[h + H_LAST_WIN] == raw
        and (octet[o + O_LAST] >> 3) & 1 == way
    ):
        if octet[o + O_RETRANS] < 255:
            octet[o + O_RETRANS] += 1
        return
    word[w + W_LAST_SEQ] = seq
    word[w + W_LAST_ACK] = ack
    word[w + W_LAST_END] = end
    half[h + H_LAST_WIN] = raw
    octet[o + O_RETRANS] = 0
    octet[o + O_LAST] = (octet[o + O_LAST] & 0xF7) | way << 3
