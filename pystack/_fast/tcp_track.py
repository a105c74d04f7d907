# cython: overflowcheck=False
# Sequence numbers wrap; the checked build must not stop them.

"""The TCP tracker of conntrack: which state a segment makes of a flow, and whether it belongs there at all.

Tables (`ct_states`) say what follows from a state and a kind of segment, one for each direction; the windows of both
sides say whether a segment can be what it claims to be. A tracker sees what passes and acknowledges nothing, so it
believes more than an end does. Numbers are compared with `after` and `before_eq` only: of two that are 2**31 apart
each is before the other, as the kernel has it.

Source: nf_conntrack_proto_tcp.c; facts: conntrack 3. The names of the rules are those of the facts.
"""

import cython

from pystack._fast.consts import (
    CT_ACCEPT,
    CT_INVALID,
    CT_REPEAT,
    H_LAST_WIN,
    H_STATUS,
    INV_ACK_OVER,
    INV_ACK_UNDER,
    INV_BEYOND,
    INV_CHALLENGE,
    INV_FLAGS,
    INV_IGNORED,
    INV_RST,
    INV_SEQ_OVER,
    INV_SEQ_UNDER,
    INV_STATE,
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
from pystack._fast.ct_states import ACK, BAD, FIN, IGNORE, NEXT_STATES, NONE, RST, SYN, SYNACK
from pystack._fast.packet import Packet
from pystack._fast.seq import add, after, before_eq, sub

# Flags of a side
F_SCALE = 1
F_SACK = 2
F_CLOSE_INIT = 4
F_LIBERAL = 8
F_UNACKED = 16
F_MAXACK = 32
F_CHALLENGE = 64
F_SIMULTANEOUS = 128

_table = cython.declare(cython.const[cython.uchar][::1], memoryview(NEXT_STATES))

MAX_ACK_WINDOW = 66000
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
class TcpTracker:
    """The tracker of one table. Its knobs are copies of the machine's; `timeouts` is by TCPCT_*, in jiffies.

    After `packet`, `timeout` is what the flow is to get (-1: its timer stays as it is), `dead` says that the flow is to
    be removed, `changed` that there is something to tell, `moved` that it is the state; `reason` (INV_*) what
    nf_conntrack_log_invalid has to say, and `number` what it says it about: a state, or a bound.
    """

    def __init__(self, table):
        self.t = table
        self.loose = True
        self.liberal = False
        self.max_retrans = 3
        self.ignore_invalid_rst = False
        self.old = False
        self.old_table = False
        self.timeouts = memoryview(_new_timeouts())
        self.timeout = 0
        self.dead = False
        self.changed = False
        self.moved = False
        self.reason = 0
        self.number = 0

    # --- the first segment ---------------------------------------------------------------------------------------

    def new(self, row, p):
        """May this segment begin a flow? Its row is cleared; false leaves it so."""
        kind: cython.int = kind_of(p.flags)
        length: cython.int = p.length
        w: cython.Py_ssize_t = row << 4
        o: cython.Py_ssize_t = row << 6
        window: cython.uint = p.win if p.win > 0 else 1
        end: cython.uint
        if kind == SYN:
            end = add(p.seq, length + 1)
            self.t.word[w + W_END] = end
            self.t.word[w + W_MAXEND] = end
            self.t.word[w + W_MAXWIN] = window
            self._options(o, p)
        elif kind == ACK and self.loose:
            end = add(p.seq, length)
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

    @cython.cfunc
    @cython.exceptval(check=False)
    def _options(self, side: cython.Py_ssize_t, p: Packet) -> cython.void:
        """What a SYN says of its sender; `side` is its place among the octets."""
        self.t.octet[side + O_SCALE] = 0
        self.t.octet[side + O_FLAGS] &= self._kept()
        if p.opt_sack_ok:
            self.t.octet[side + O_FLAGS] |= F_SACK
        if p.opt_wscale >= 0:
            self.t.octet[side + O_FLAGS] |= F_SCALE
            self.t.octet[side + O_SCALE] = p.opt_wscale if p.opt_wscale < 14 else 14

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _kept(self) -> cython.int:
        """The flags of a side that begins anew: one that is believed in any case stays so."""
        return 0 if self.old else F_LIBERAL

    # --- every segment -------------------------------------------------------------------------------------------

    def packet(self, row, way, p):
        """A segment of a flow in direction `way` (0 original, 1 reply): CT_ACCEPT, CT_INVALID or CT_REPEAT."""
        kind: cython.int = kind_of(p.flags)
        o: cython.Py_ssize_t = row << 6
        w: cython.Py_ssize_t = row << 4
        old: cython.int = self.t.octet[o + O_STATE]
        last: cython.int
        last_way: cython.int
        verdict: cython.int
        self.timeout = -1
        self.dead = False
        self.changed = False
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
            if verdict == _IN_WINDOW:
                return self._in_window(row, way, kind, old, TCPCT_CLOSE)
            if verdict == _KEEP:
                new = old
        verdict = self._window(row, way, kind, old, p)
        if verdict == CT_INVALID:
            self._invalid(row, way, kind)
            return CT_INVALID
        if verdict == _IGNORED:
            return CT_ACCEPT
        return self._in_window(row, way, kind, old, new)

    def _in_window(self, row, way, kind, old, new):
        """The segment belongs to the flow: its new state, and how long it lives now (facts: conntrack 3.4, 3.5)."""
        o: cython.Py_ssize_t = row << 6
        status: cython.int = self.t.half[(row << 5) + H_STATUS]
        unack: cython.int = self.timeouts[TCPCT_UNACK]
        timeout: cython.int = self.timeouts[new]
        self._set_last(o, kind, way)
        self.t.octet[o + O_STATE] = new
        self.changed = new != old
        self.moved = self.changed
        if old != new and new == TCPCT_FIN_WAIT:
            self.t.octet[o + O_REPLY * way + O_FLAGS] |= F_CLOSE_INIT
        if (
            self.t.octet[o + O_RETRANS] >= self.max_retrans
            and timeout > self.timeouts[TCPCT_RETRANS]
        ):
            timeout = self.timeouts[TCPCT_RETRANS]
        elif not self.old and kind == RST:
            timeout = self.timeouts[TCPCT_CLOSE]  # whatever the state: see docs/adr/0025
        elif (
            self.t.octet[o + O_FLAGS] | self.t.octet[o + O_REPLY + O_FLAGS]
        ) & F_UNACKED and timeout > unack:
            timeout = unack
        elif (
            not self.old
            and self.t.half[(row << 5) + H_LAST_WIN] == 0
            and timeout > self.timeouts[TCPCT_RETRANS]
        ):
            timeout = self.timeouts[TCPCT_RETRANS]
        if status & IPS_SEEN_REPLY == 0:
            if kind == RST:
                self.dead = True  # a refused connection is forgotten at once
                return CT_ACCEPT
            if not self.old:
                if kind == SYN and old == TCPCT_SYN_SENT:
                    return CT_ACCEPT
                if new == TCPCT_ESTABLISHED and timeout > unack:
                    timeout = unack
        elif (
            status & IPS_ASSURED == 0
            and new == TCPCT_ESTABLISHED
            and (old == TCPCT_SYN_RECV or old == TCPCT_ESTABLISHED)
        ):
            self.t.half[(row << 5) + H_STATUS] = status | IPS_ASSURED
            self.changed = True
        self.timeout = timeout
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
        self.t.word[w + W_LAST_END] = _end(p)
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
        self.t.octet[o + O_REPLY * way + O_FLAGS] &= self._kept()

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

    # --- windows -------------------------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def _failed(
        self, flags: cython.int, verdict: cython.int, reason: cython.int, bound: cython.uint
    ) -> cython.int:
        """A window check failed: so what, if the flow is believed in any case."""
        if self.liberal or flags & F_LIBERAL:
            return CT_ACCEPT
        self.reason = reason
        self.number = bound
        return CT_INVALID if self.old else verdict

    @cython.cfunc
    @cython.exceptval(check=False)
    def _window(
        self, row: cython.int, way: cython.int, kind: cython.int, state: cython.int, p: Packet
    ) -> cython.int:
        """Does the segment lie where its sender may send and its receiver may acknowledge (facts: conntrack 3.8)?
        CT_ACCEPT, CT_INVALID or _IGNORED. S is the sender, R the receiver; I to IV are the checks.
        """
        o: cython.Py_ssize_t = row << 6
        s: cython.Py_ssize_t = (row << 4) + W_REPLY * way
        r: cython.Py_ssize_t = (row << 4) + W_REPLY * (1 - way)
        so: cython.Py_ssize_t = o + O_REPLY * way
        ro: cython.Py_ssize_t = o + O_REPLY * (1 - way)
        syn: cython.bint = p.flags & 0x02 != 0
        has_ack: cython.bint = p.flags & 0x10 != 0
        rst: cython.bint = p.flags & 0x04 != 0
        seq: cython.uint = p.seq
        ack: cython.uint = p.ack
        sack: cython.uint = ack
        end: cython.uint = _end(p)
        window: cython.uint = p.win
        raw: cython.int = p.win
        beyond: cython.uint
        i: cython.int
        if has_ack and self.t.octet[ro + O_FLAGS] & F_SACK:
            for i in range(p.sack_n):
                if after(p.sack[2 * i + 1], sack):
                    sack = p.sack[2 * i + 1]
        if self.t.word[s + W_MAXWIN] == 0:
            if syn:
                self._begin(row, way, p, end, window)
                if not has_ack:
                    return CT_ACCEPT  # both open at once
            else:
                # in the middle of a connection
                self.t.word[s + W_END] = end
                window = window << self.t.octet[so + O_SCALE]
                self.t.word[s + W_MAXWIN] = window if window > 0 else 1
                self.t.word[s + W_MAXEND] = add(end, self.t.word[s + W_MAXWIN])
                window = p.win
                if self.t.word[r + W_MAXWIN] == 0:
                    self.t.word[r + W_END] = sack
                    self.t.word[r + W_MAXEND] = sack
                elif sack == add(self.t.word[r + W_END], 1):
                    self.t.word[r + W_END] = sack  # the answer to a keep-alive
        elif (
            syn
            and after(end, self.t.word[s + W_END])
            and (state == TCPCT_SYN_SENT or state == TCPCT_SYN_RECV)
        ):
            self._begin(row, way, p, end, window)
            if way == 1 and not has_ack:
                return CT_ACCEPT
        if not has_ack or (rst and ack == 0):
            ack = self.t.word[r + W_END]
            sack = ack
        if rst and seq == 0 and state == TCPCT_SYN_SENT:
            seq = self.t.word[s + W_END]
            end = seq
        if self.old and seq == end and not (rst and seq == 0):
            seq = self.t.word[s + W_END]
            end = seq
        their_window: cython.uint = self.t.word[r + W_MAXWIN]
        my_window: cython.uint = self.t.word[s + W_MAXWIN]
        # the checks
        ii: cython.bint = (their_window == 0 and not self.old) or before_eq(
            sub(self.t.word[s + W_END], their_window), end
        )
        iii: cython.bint = before_eq(sack, self.t.word[r + W_END])
        iv: cython.bint = before_eq(
            sub(
                self.t.word[r + W_END],
                my_window if my_window > MAX_ACK_WINDOW else MAX_ACK_WINDOW,
            ),
            sack,
        )
        if not before_eq(seq, self.t.word[s + W_MAXEND]):
            if self.old or not (ii and iii and iv):
                beyond = add(self.t.word[s + W_MAXEND], 1)
                return self._failed(self.t.octet[so + O_FLAGS], CT_INVALID, INV_SEQ_OVER, beyond)
            beyond = add(sub(end, self.t.word[s + W_MAXEND]), 1)
            if beyond > their_window:
                beyond = add(self.t.word[s + W_MAXEND], 1)
                return self._failed(self.t.octet[so + O_FLAGS], CT_INVALID, INV_SEQ_OVER, beyond)
            self.t.word[s + W_END] = end
            self.t.octet[so + O_FLAGS] |= F_UNACKED
            return self._failed(self.t.octet[so + O_FLAGS], _IGNORED, INV_BEYOND, beyond)
        if not iii:
            beyond = add(self.t.word[r + W_END], 1)
            return self._failed(self.t.octet[so + O_FLAGS], CT_INVALID, INV_ACK_OVER, beyond)
        if not ii:
            beyond = sub(sub(self.t.word[s + W_END], their_window), 1)
            return self._failed(self.t.octet[so + O_FLAGS], _IGNORED, INV_SEQ_UNDER, beyond)
        if not iv:
            beyond = my_window if my_window > MAX_ACK_WINDOW else MAX_ACK_WINDOW
            beyond = sub(sub(self.t.word[r + W_END], beyond), 1)
            return self._failed(self.t.octet[so + O_FLAGS], _IGNORED, INV_ACK_UNDER, beyond)
        # the segment is what it claims to be
        if not syn:
            window = window << self.t.octet[so + O_SCALE]
        beyond = add(window, sub(sack, ack))
        if my_window < beyond:
            self.t.word[s + W_MAXWIN] = beyond
        if after(end, self.t.word[s + W_END]):
            self.t.word[s + W_END] = end
            self.t.octet[so + O_FLAGS] |= F_UNACKED
        if has_ack:
            if self.t.octet[so + O_FLAGS] & F_MAXACK == 0:
                self.t.word[s + W_MAXACK] = ack
                self.t.octet[so + O_FLAGS] |= F_MAXACK
            elif after(ack, self.t.word[s + W_MAXACK]):
                self.t.word[s + W_MAXACK] = ack
        if their_window != 0 and after(end, self.t.word[s + W_MAXEND]):
            self.t.word[r + W_MAXWIN] = add(their_window, sub(end, self.t.word[s + W_MAXEND]))
        if before_eq(self.t.word[r + W_MAXEND], add(sack, window)):
            self.t.word[r + W_MAXEND] = add(sack, window)
            if window == 0:
                self.t.word[r + W_MAXEND] = add(sack, 1)
        if ack == self.t.word[r + W_END]:
            self.t.octet[ro + O_FLAGS] &= ~F_UNACKED & 0xFF
        if kind == ACK:
            self._count_repeats(row, way, seq, ack, end, raw)
        return CT_ACCEPT

    @cython.cfunc
    @cython.exceptval(check=False)
    def _begin(
        self,
        row: cython.int,
        way: cython.int,
        p: Packet,
        end: cython.uint,
        window: cython.uint,
    ) -> cython.void:
        """The first SYN of a side."""
        o: cython.Py_ssize_t = row << 6
        s: cython.Py_ssize_t = (row << 4) + W_REPLY * way
        self.t.word[s + W_END] = end
        self.t.word[s + W_MAXEND] = end
        self.t.word[s + W_MAXWIN] = window if window > 0 else 1
        self._options(o + O_REPLY * way, p)
        if way == 1 and not (
            self.t.octet[o + O_FLAGS] & self.t.octet[o + O_REPLY + O_FLAGS] & F_SCALE
        ):
            self.t.octet[o + O_SCALE] = 0
            self.t.octet[o + O_REPLY + O_SCALE] = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def _count_repeats(
        self,
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
            (self.t.octet[o + O_LAST] >> 3) & 1 == way
            and self.t.word[w + W_LAST_SEQ] == seq
            and self.t.word[w + W_LAST_ACK] == ack
            and self.t.word[w + W_LAST_END] == end
            and self.t.half[h + H_LAST_WIN] == raw
        ):
            if self.t.octet[o + O_RETRANS] < 255:
                self.t.octet[o + O_RETRANS] += 1
            return
        self._set_last(o, self.t.octet[o + O_LAST] & 7, way)
        self.t.word[w + W_LAST_SEQ] = seq
        self.t.word[w + W_LAST_ACK] = ack
        self.t.word[w + W_LAST_END] = end
        self.t.half[h + H_LAST_WIN] = raw
        self.t.octet[o + O_RETRANS] = 0


_IGNORED = 20
_KEEP = 21
_IN_WINDOW = 22


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _end(p: Packet) -> cython.uint:
    """The sequence number behind the segment."""
    n: cython.uint = p.length
    if p.flags & 0x02:
        n += 1
    if p.flags & 0x01:
        n += 1
    return add(p.seq, n)


def _new_timeouts():
    """Twelve numbers of 32 bits, by TCPCT_*."""
    from pystack._fast.columns import column

    return column("i", 12)
