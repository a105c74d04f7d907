# cython: overflowcheck=False
# Sequence numbers wrap; the checked build must not stop them.

"""The TCP tracker of conntrack: which state a segment makes of a flow, and whether it belongs there at all.

Tables (`ct_states`) say what follows from a state and a kind of segment, one for each direction; the windows of both
sides (`ct_window`) say whether a segment can be what it claims to be. A tracker sees what passes and acknowledges
nothing, so it believes more than an end does. Numbers are compared with `after` and `before_eq` only: of two that are
2**31 apart each is before the other, as the kernel has it.

Source: nf_conntrack_proto_tcp.c; facts: conntrack 3. The names of the rules are those of the facts.
"""

import cython

from pystack._fast.ct_states import (
    ACK,
    BAD,
    CT_IGNORED,
    F_CHALLENGE,
    F_CLOSE_INIT,
    F_LIBERAL,
    F_MAXACK,
    F_SACK,
    F_SCALE,
    F_SIMULTANEOUS,
    F_UNACKED,
    FIN,
    IGNORE,
    NEXT_STATES,
    NONE,
    RST,
    SYN,
    SYNACK,
)
from pystack._fast.ct_window import TcpWindows, end_of
from pystack._fast.nf_consts import (
    CT_ACCEPT,
    CT_INVALID,
    CT_REPEAT,
    H_LAST_WIN,
    H_STATUS,
    INV_CHALLENGE,
    INV_FLAGS,
    INV_IGNORED,
    INV_RST,
    INV_STATE,
    IPCT_ASSURED,
    IPCT_PROTOINFO,
    IPS_ASSURED,
    IPS_SEEN_REPLY,
    O_FLAGS,
    O_LAST,
    O_LAST_FLAGS,
    O_REPLY,
    O_RETRANS,
    O_SCALE,
    O_STATE,
    TCPCT_CLOSE,
    TCPCT_ESTABLISHED,
    TCPCT_FIN_WAIT,
    TCPCT_LAST_ACK,
    TCPCT_RETRANS,
    TCPCT_SYN_RECV,
    TCPCT_SYN_SENT,
    TCPCT_SYN_SENT2,
    TCPCT_TIME_WAIT,
    TCPCT_UNACK,
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
from pystack._fast.seq import add, after

_table = cython.declare(cython.const[cython.uchar][::1], memoryview(NEXT_STATES))

SECOND = 250
"""Jiffies."""
_UNACK_LEFT = 120 * SECOND


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def kind_of(flags: cython.int) -> cython.int:
    """The kind of a segment, or -1 for flags that no segment has (facts: conntrack 3.1)."""
    f: cython.int = flags & 0x37
    if f == 0x10 or f == 0x30:
        return ACK
    if f == 0x02 or f == 0x22:
        return SYN
    if f == 0x12:
        return SYNACK
    if f == 0x11 or f == 0x31:
        return FIN
    if f == 0x04 or f == 0x14:
        return RST
    return -1


@cython.final
@cython.cclass
class TcpTracker(TcpWindows):
    """The tracker of one table. Its knobs are copies of the machine's; `timeouts` is by TCPCT_*, in jiffies.

    After `packet`, `timeout` is what the flow is to get (-1: its timer stays as it is), `dead` says that the flow is to
    be removed, `told` what there is to tell (IPCT_*); `reason` (INV_*) what
    nf_conntrack_log_invalid has to say, and `number` what it says it about: a state, or a bound.
    """

    def __init__(self, table):
        TcpWindows.__init__(self, table)
        self.loose = True
        self.max_retrans = 3
        self.ignore_invalid_rst = False
        self.old_table = False
        self.timeouts = memoryview(_new_timeouts())
        self.timeout = 0
        self.dead = False
        self.told = 0

    # --- the first segment ---------------------------------------------------------------------------------------

    def new(self, row, p):
        """May this segment begin a flow? Its row is cleared; false leaves it so."""
        kind: cython.int = kind_of(p.flags)
        w: cython.Py_ssize_t = row << 4
        o: cython.Py_ssize_t = row << 6
        window: cython.uint = p.win if p.win > 0 else 1
        end: cython.uint
        if kind == SYN:
            self.opened(row, 0, p)
        elif kind == ACK and self.loose:
            end = end_of(p)
            self.t.word[w + W_END] = end
            self.t.word[w + W_MAXWIN] = window
            self.t.word[w + W_MAXEND] = add(end, window)
            self.t.octet[o + O_FLAGS] = F_SACK | F_LIBERAL
            self.t.octet[o + O_REPLY + O_FLAGS] = F_SACK | F_LIBERAL
        else:
            self.reason = INV_FLAGS if kind < 0 else 0
            return False
        self.t.octet[o + O_LAST] = NONE
        return True

    # --- every segment -------------------------------------------------------------------------------------------

    def packet(self, row, way, p):
        """A segment of a flow in direction `way` (0 original, 1 reply): CT_ACCEPT, CT_INVALID or CT_REPEAT."""
        kind: cython.int = kind_of(p.flags)
        o: cython.Py_ssize_t = row << 6
        w: cython.Py_ssize_t = row << 4
        old: cython.int = self.t.octet[o + O_STATE]
        last: cython.int
        last_way: cython.int
        verdict: cython.int = CT_ACCEPT
        self.timeout = -1
        self.dead = False
        self.told = 0
        self.reason = 0
        self.number = old
        if kind < 0:
            self.reason = INV_FLAGS
            return CT_INVALID
        new: cython.int = _table[(120 if self.old_table else 0) + 60 * way + 10 * kind + old]
        last = self.t.octet[o + O_LAST] & 7
        last_way = (self.t.octet[o + O_LAST] >> 3) & 1
        if new == TCPCT_SYN_SENT and old >= TCPCT_TIME_WAIT:
            if (self.t.octet[o + O_FLAGS] | self.t.octet[o + O_REPLY + O_FLAGS]) & F_CLOSE_INIT or (
                last_way == way and last == RST
            ):
                self.dead = True
                return CT_REPEAT  # a connection of its own: look at it anew
            new = IGNORE
        if new == IGNORE:
            if (
                kind == SYNACK
                and last == SYN
                and last_way != way
                and p.ack == self.t.word[w + W_LAST_END]
            ):
                self._resync(row, way)
                old = TCPCT_SYN_SENT
                new = TCPCT_SYN_RECV
            else:
                self._remember(row, way, kind, p, old)
                self.reason = INV_IGNORED
                return CT_ACCEPT
        elif new == BAD:
            self.reason = INV_STATE
            return CT_INVALID
        elif new == TCPCT_TIME_WAIT:
            if (
                old == TCPCT_LAST_ACK
                and kind == ACK
                and last_way != way
                and last == SYN
                and self.t.octet[o + O_LAST_FLAGS] & F_CHALLENGE
            ):
                self.t.octet[o + O_LAST_FLAGS] &= ~F_CHALLENGE & 0xFF
                self.reason = INV_CHALLENGE
                return CT_ACCEPT
        elif new == TCPCT_SYN_SENT2:
            self.t.octet[o + O_LAST_FLAGS] |= F_SIMULTANEOUS
        elif new == TCPCT_SYN_RECV:
            if way == 1 and kind == ACK and self.t.octet[o + O_LAST_FLAGS] & F_SIMULTANEOUS:
                new = TCPCT_ESTABLISHED
        elif new == TCPCT_CLOSE and kind == RST:
            verdict = self._reset(row, way, p, old)
            if verdict == CT_INVALID:
                self.reason = INV_RST
                return CT_INVALID
            if verdict == _KEEP:
                new = old
        if verdict != _IN_WINDOW:
            verdict = self.window(row, way, kind, old, p)
            if verdict == CT_INVALID:
                self._invalid(row, way, kind)
                return CT_INVALID
            if verdict == CT_IGNORED:
                return CT_ACCEPT
        _settle(self, self.t.half, self.t.octet, row, way, kind, old, new)
        return CT_ACCEPT

    # --- what is remembered --------------------------------------------------------------------------------------

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _set_last(self, o: cython.Py_ssize_t, kind: cython.int, way: cython.int) -> cython.void:
        self.t.octet[o + O_LAST] = (self.t.octet[o + O_LAST] & 0xF0) | kind | way << 3

    @cython.cfunc
    @cython.exceptval(check=False)
    def _remember(
        self, row: cython.int, way: cython.int, kind: cython.int, p: Packet, old: cython.int
    ) -> cython.void:
        """A segment that is let through and changes nothing: the answer to it may explain it (facts: 3.6)."""
        o: cython.Py_ssize_t = row << 6
        w: cython.Py_ssize_t = row << 4
        self._set_last(o, kind, way)
        self.t.word[w + W_LAST_SEQ] = p.seq
        self.t.word[w + W_LAST_END] = end_of(p)
        self.t.half[(row << 5) + H_LAST_WIN] = p.win
        if kind == SYN and way == 0:
            flags: cython.int = 0
            scale: cython.int = 0
            if p.opt_wscale >= 0:
                scale = p.opt_wscale if p.opt_wscale < 14 else 14
                flags = F_SCALE
            if p.opt_sack_ok:
                flags |= F_SACK
            if old == TCPCT_LAST_ACK and not self.old:
                flags |= F_CHALLENGE
            self.t.octet[o + O_LAST] = (self.t.octet[o + O_LAST] & 0x0F) | scale << 4
            self.t.octet[o + O_LAST_FLAGS] = flags
        if old == TCPCT_SYN_SENT and kind == ACK and way == 1 and not self.old:
            self.t.word[w + W_LAST_ACK] = p.ack

    @cython.cfunc
    @cython.exceptval(check=False)
    def _resync(self, row: cython.int, way: cython.int) -> cython.void:
        """A SYN that was ignored is answered: both ends begin anew, so does the flow."""
        o: cython.Py_ssize_t = row << 6
        opener: cython.int = 1 - way
        w: cython.Py_ssize_t = (row << 4) + W_REPLY * opener
        window: cython.uint = self.t.half[(row << 5) + H_LAST_WIN]
        end: cython.uint = self.t.word[(row << 4) + W_LAST_END]
        self.t.word[w + W_END] = end
        self.t.word[w + W_MAXEND] = end
        self.t.word[w + W_MAXWIN] = window if window > 0 else 1
        self.t.octet[o + O_REPLY * opener + O_SCALE] = self.t.octet[o + O_LAST] >> 4
        self.t.octet[o + O_LAST_FLAGS] &= ~F_CHALLENGE & 0xFF
        self.t.octet[o + O_REPLY * opener + O_FLAGS] = self.t.octet[o + O_LAST_FLAGS]
        w = (row << 4) + W_REPLY * way
        self.t.word[w + W_END] = 0
        self.t.word[w + W_MAXEND] = 0
        self.t.word[w + W_MAXWIN] = 0
        self.t.word[w + W_MAXACK] = 0
        self.t.octet[o + O_REPLY * way + O_SCALE] = 0
        self.t.octet[o + O_REPLY * way + O_FLAGS] &= self.kept()

    @cython.cfunc
    @cython.exceptval(check=False)
    def _invalid(self, row: cython.int, way: cython.int, kind: cython.int) -> cython.void:
        """A FIN or RST that does not fit, and one the other way: such a flow is probably dead (facts: 3.8)."""
        o: cython.Py_ssize_t = row << 6
        last: cython.int = self.t.octet[o + O_LAST] & 7
        if self.old or (kind != FIN and kind != RST):
            return
        if self.t.half[(row << 5) + H_STATUS] & IPS_ASSURED == 0:
            return
        if (self.t.octet[o + O_LAST] >> 3) & 1 != way and (last == FIN or last == RST):
            left: cython.int = self.t.left(row)
            if left >= _UNACK_LEFT and left > self.timeouts[TCPCT_UNACK]:
                self.timeout = self.timeouts[TCPCT_UNACK]
        else:
            self._set_last(o, kind, way)

    # --- a reset -------------------------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def _reset(self, row: cython.int, way: cython.int, p: Packet, old: cython.int) -> cython.int:
        """A RST that would close the flow (facts: conntrack 3.7): CT_INVALID, _KEEP (the state stays), _IN_WINDOW
        (closed, windows unseen), or CT_ACCEPT (the windows decide).
        """
        o: cython.Py_ssize_t = row << 6
        w: cython.Py_ssize_t = row << 4
        last: cython.int = self.t.octet[o + O_LAST] & 7
        last_way: cython.int = (self.t.octet[o + O_LAST] >> 3) & 1
        status: cython.int = self.t.half[(row << 5) + H_STATUS]
        other: cython.int = 1 - way
        maxack: cython.uint = self.t.word[w + W_REPLY * other + W_MAXACK]
        known: cython.bint = self.t.octet[o + O_REPLY * other + O_FLAGS] & F_MAXACK != 0
        established: cython.bint
        if not self.old:
            if TCPCT_FIN_WAIT <= old <= TCPCT_CLOSE:
                return _IN_WINDOW
            if (
                old == TCPCT_SYN_SENT
                and last == ACK
                and last_way == 1
                and p.seq == self.t.word[w + W_LAST_ACK]
            ):
                return _IN_WINDOW  # the answer to a challenge ACK, whoever sends it
            if known and last != SYN:
                established = old == TCPCT_ESTABLISHED and status & IPS_ASSURED != 0
                if p.seq == 0 and not established:
                    return CT_ACCEPT
                if after(maxack, p.seq) and not self.ignore_invalid_rst:
                    return CT_INVALID
                if not established or p.seq == maxack:
                    return CT_ACCEPT
                if last == ACK and last_way == way and p.seq == self.t.word[w + W_LAST_END]:
                    return CT_ACCEPT
                return _KEEP
        elif known and after(maxack, p.seq):
            return CT_INVALID
        if (
            (status & IPS_SEEN_REPLY and last == SYN and last_way != way)
            or (status & IPS_ASSURED == 0 and last == ACK)
        ) and p.ack == self.t.word[w + W_LAST_END]:
            return _IN_WINDOW
        return CT_ACCEPT


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _settle(
    tracker: TcpTracker,
    half: cython.ushort[::1],
    octet: cython.uchar[::1],
    row: cython.int,
    way: cython.int,
    kind: cython.int,
    old: cython.int,
    new: cython.int,
) -> cython.void:
    """The segment belongs to the flow: its new state, and how long it lives now (facts: conntrack 3.4, 3.5)."""
    o: cython.Py_ssize_t = row << 6
    status: cython.int = half[(row << 5) + H_STATUS]
    unack: cython.int = tracker.timeouts[TCPCT_UNACK]
    timeout: cython.int = tracker.timeouts[new]
    octet[o + O_LAST] = (octet[o + O_LAST] & 0xF0) | kind | way << 3
    octet[o + O_STATE] = new
    tracker.told = IPCT_PROTOINFO if new != old else 0
    if old != new and new == TCPCT_FIN_WAIT:
        octet[o + O_REPLY * way + O_FLAGS] |= F_CLOSE_INIT
    if octet[o + O_RETRANS] >= tracker.max_retrans and timeout > tracker.timeouts[TCPCT_RETRANS]:
        timeout = tracker.timeouts[TCPCT_RETRANS]
    elif not tracker.old and kind == RST:
        timeout = tracker.timeouts[TCPCT_CLOSE]  # whatever the state: see docs/adr/0025
    elif (octet[o + O_FLAGS] | octet[o + O_REPLY + O_FLAGS]) & F_UNACKED and timeout > unack:
        timeout = unack
    elif (
        not tracker.old
        and half[(row << 5) + H_LAST_WIN] == 0
        and timeout > tracker.timeouts[TCPCT_RETRANS]
    ):
        timeout = tracker.timeouts[TCPCT_RETRANS]
    if status & IPS_SEEN_REPLY == 0:
        if kind == RST:
            tracker.dead = True  # a refused connection is forgotten at once
            return
        if not tracker.old:
            if kind == SYN and old == TCPCT_SYN_SENT:
                return
            if new == TCPCT_ESTABLISHED and timeout > unack:
                timeout = unack
    elif (
        status & IPS_ASSURED == 0
        and new == TCPCT_ESTABLISHED
        and (old == TCPCT_SYN_RECV or old == TCPCT_ESTABLISHED)
    ):
        half[(row << 5) + H_STATUS] = status | IPS_ASSURED
        tracker.told |= IPCT_ASSURED
    tracker.timeout = timeout


_KEEP = 21
_IN_WINDOW = 22


def _new_timeouts():
    """Twelve numbers of 32 bits, by TCPCT_*."""
    from pystack._fast.columns import column

    return column("i", 12)
