"""One direction of a link: what may happen to a packet between two machines, and when it arrives.

The order of events for a packet: partition, MTU, queue, transmitter, loss, corruption, jitter,
reordering, duplication. A packet lost on the way has used the transmitter like any other. Everything
about a packet is decided in `send`; `deliver` hands out what is due. Changing a setting changes
nothing for packets that are on the way, a partition included.

A super-segment passes whole where nothing acts on packets one by one. Otherwise each of its pieces has
a place of its own in the line, with its own time and fate, but is cut out of the super-segment only when
it is delivered: a line of thousands of packets costs a few columns, and the cutting happens in cache.

Randomness comes from the Rng of this direction, one draw for each feature that is on, none for one that
is off. Times are nanoseconds, probabilities u64 thresholds (see `rng.Rng.chance`), lengths octets.
"""

import cython

from pystack._fast import consts
from pystack._fast.columns import column
from pystack._fast.ip4 import finish, split, split_count
from pystack._fast.packet import Packet, PacketQueue
from pystack._fast.record import CORRUPTED, Record  # noqa: F401
from pystack._fast.rng import Rng
from pystack._fast.trace import Trace
from pystack._fast.transit import LAST, Transit

_NEVER = cython.declare(cython.longlong, consts.NEVER)
_BIT_NS_PER_OCTET = cython.declare(cython.longlong, 8 * consts.SECOND)
_M64 = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_MBUF = cython.declare(cython.int, int(consts.Drop.MBUF))
_GONE = cython.declare(cython.int, int(consts.Drop.NO_DEVICE))
_LOSS = cython.declare(cython.int, int(consts.Drop.LINK_LOSS))
_QUEUE = cython.declare(cython.int, int(consts.Drop.LINK_QUEUE))
_PARTITION = cython.declare(cython.int, int(consts.Drop.LINK_PARTITION))
_MTU = cython.declare(cython.int, int(consts.Drop.LINK_MTU))


@cython.final
@cython.cclass
class Wire:
    """One direction of a link. All settings may change at any time; 0 switches a feature off.

    - `delay`; `jitter`: each packet takes `delay` plus 0..`jitter` ns more, evenly spread. Order is
      kept (a packet never arrives before one sent earlier) except by `reorder`.
    - `rate`: bits a second; the time on the transmitter is exact, fractions of a nanosecond carry over.
      `queue_packets`, `queue_octets`: how many may wait for it, the one on the transmitter not
      counted; what does not fit is dropped. Without a rate nothing ever waits.
    - `loss`; and bursts after Gilbert and Elliott: a packet meets the state that the wire is in (good,
      or bad = `burst_bad`), is lost with `burst_loss_good` or `burst_loss_bad`, and then the state
      moves with `burst_enter` or `burst_leave`.
    - `corrupt`: one bit of the octets, headers included, is inverted. Checksums are completed first and
      `csum_ok` is False, so that the receiver has to look at the octets again.
    - `reorder`: such a packet takes `reorder_delay` (at first 1 ms) longer; others may overtake it.
    - `duplicate`: a second copy arrives right behind the first.
    - `partitioned`: what is sent is dropped. `severed`: what comes from or goes to one of these ends is, each
      addr << 16 | port; None for none. `mtu`: larger packets are dropped, without an ICMP error:
      telling the sender is for the machine in front of the wire.
    - `offload`: super-segments may pass whole. They do where no rate, queue, loss, corruption,
      reordering or duplication acts on packets one by one.

    Onlookers: `trace` takes in every packet sent and its fate, `record` keeps it for a capture.
    `tap(ns, packet, reason)` is called in `send` for each packet as it is on the wire, `reason` a
    `consts.Drop` or 0; `tap_arrival(ns, packet, 0)` when it is delivered. They must not keep the
    packet. The first exception of a tap is kept in `error` and both taps are taken off.

    Counters: sent_packets + duplicated == delivered_packets + dropped_packets + in_flight. A
    super-segment that passes whole is one packet, otherwise each piece is. `drops[reason]`.
    """

    def __init__(self, rng: Rng, number: cython.int = 0, trace: Trace | None = None) -> None:
        self.rng = rng
        self.number = number
        self.trace = trace
        self.record = None
        self._own_piece = -1
        self.tap = None
        self.tap_arrival = None
        self.error = None
        self.delay = 0
        self.jitter = 0
        self.rate = 0
        self.queue_packets = 0
        self.queue_octets = 0
        self.loss = 0
        self.burst_enter = 0
        self.burst_leave = 0
        self.burst_loss_good = 0
        self.burst_loss_bad = 0
        self.burst_bad = False
        self.reorder = 0
        self.reorder_delay = consts.MS
        self.duplicate = 0
        self.corrupt = 0
        self.partitioned = False
        self.severed = None
        self.mtu = 0
        self.offload = True
        self.sent_packets = 0
        self.sent_octets = 0
        self.delivered_packets = 0
        self.delivered_octets = 0
        self.dropped_packets = 0
        self.duplicated = 0
        self.corrupted = 0
        self.reordered = 0
        self.drops = column("q", consts.N_DROPS)
        self._ordered = Transit()
        self._late = Transit()
        self._backlog = Transit()
        self._backlog_octets = 0
        self._free = PacketQueue()
        self._sequence = 0
        self._last_due = 0
        self._free_at = 0
        self._free_part = 0
        self._unit_rate = 0
        self._unit_octets = -1
        self._unit_ns = 0
        self._unit_part = 0

    @property
    def in_flight(self) -> int:
        """Packets sent and not yet delivered; pieces of super-segments count one by one."""
        return self._ordered.count + self._late.count

    @property
    def waiting(self) -> int:
        """Packets that waited for the transmitter when the last one was sent."""
        return self._backlog.count

    @cython.exceptval(check=False)
    def acts_per_packet(self) -> cython.bint:
        """Whether anything is on that treats each packet by itself, so that super-segments are cut."""
        return (
            self.rate != 0
            or self.queue_packets != 0
            or self.queue_octets != 0
            or self.loss != 0
            or self.burst_enter != 0
            or self.burst_bad
            or self.corrupt != 0
            or self.duplicate != 0
            or self.reorder != 0
        )

    # --- sending -------------------------------------------------------------------------------------

    @cython.exceptval(check=False)
    def send(self, p: Packet, now: cython.longlong) -> cython.void:
        """Put `p` on the wire; it belongs to the wire from here on."""
        if self.trace is not None:
            self.trace.update(p, now, self.number)
        if self.record is not None:
            self.record.add(p, now, self.number)
        if p.gso_size > 0 and p.length > p.gso_size:
            if (
                not self.offload
                or (self.mtu != 0 and p.head_len + p.gso_size > self.mtu)
                or self.acts_per_packet()
            ):
                self._send_pieces(p, now)
                return
        self._one(p, -1, p.head_len + p.length, now)

    @cython.exceptval(check=False)
    def _send_pieces(self, p: Packet, now: cython.longlong) -> cython.void:
        """Give every piece of a super-segment its place and fate."""
        n: cython.int = split_count(p)
        i: cython.int
        at: cython.int
        octets: cython.int = p.head_len + p.gso_size
        last: cython.int = -1
        own: Packet
        for i in range(n):
            if i == n - 1:
                octets = p.head_len + p.length - i * p.gso_size
            if self.tap is None:
                at = self._one(p, i, octets, now)
                if at >= 0:
                    last = at
                continue
            own = self._cut(p, i)
            if own is None:
                self.sent_packets += 1
                self.sent_octets += octets
                self._drop(p, i, _MBUF, now)
            else:
                self._own_piece = i
                self._one(own, -1, octets, now)
                self._own_piece = -1
        if last < 0:
            p.release()
        else:
            at = (self._ordered._head + last) & self._ordered._mask
            self._ordered._piece[at] |= LAST

    @cython.exceptval(check=False)
    def _one(
        self, p: Packet, piece: cython.int, octets: cython.int, now: cython.longlong
    ) -> cython.int:
        """A whole packet (`piece` -1) or a piece: decide its fate.

        The answer is where in `_ordered` the latest place that refers to the super-segment `p` is, -1
        when this piece left none.
        """
        due: cython.longlong
        twice: cython.bint = False
        own: Packet
        place: cython.int = -1
        self.sent_packets += 1
        self.sent_octets += octets
        if self.partitioned or (self.severed is not None and self._is_severed(p)):
            self._drop(p, piece, _PARTITION, now)
            return -1
        if (
            self.mtu != 0
            and octets > self.mtu
            and (piece >= 0 or p.gso_size == 0 or p.length <= p.gso_size)
        ):
            self._drop(p, piece, _MTU, now)
            return -1
        due = now
        if self.rate != 0:
            due = self._transmit(octets, now)
            if due < 0:
                self._drop(p, piece, _QUEUE, now)
                return -1
        if (self.loss != 0 or self.burst_enter != 0 or self.burst_bad) and self._lost():
            self._drop(p, piece, _LOSS, now)
            return -1
        if self.corrupt != 0 and self.rng.chance(self.corrupt):
            own = self._damaged(p, piece)
            if own is None:
                self._drop(p, piece, _MBUF, now)
                return -1
            p = own
            piece = -1
            self.corrupted += 1
        due += self.delay
        if self.jitter != 0:
            due += cython.cast(
                cython.longlong,
                self.rng.next64() % cython.cast(cython.ulonglong, self.jitter + 1),
            )
        if self.tap is not None and piece < 0:
            self._tell(self.tap, now, p, 0)
        if self.reorder != 0 and self.rng.chance(self.reorder):
            if self.duplicate != 0:
                twice = self.rng.chance(self.duplicate)
            self._late_one(p, piece, octets, due + self.reorder_delay, now, twice)
            return -1
        if self.duplicate != 0:
            twice = self.rng.chance(self.duplicate)
        if due < self._last_due:
            due = self._last_due
        self._last_due = due
        self._fate(due)
        place = self._ordered.push(p, piece, due, self._sequence)
        self._sequence += 1
        if twice:
            own = p if piece >= 0 else self._copy(p)
            if own is not None:
                self.duplicated += 1
                place = self._ordered.push(own, piece, due, self._sequence)
                self._sequence += 1
        return place if piece >= 0 else -1

    @cython.exceptval(check=False)
    def _is_severed(self, p: Packet) -> cython.bint:
        """Has the packet an end whose line was cut?"""
        source: cython.ulonglong = p.src
        target: cython.ulonglong = p.dst
        ends = self.severed
        return (source << 16 | p.sport) in ends or (target << 16 | p.dport) in ends

    @cython.exceptval(check=False)
    def _late_one(
        self,
        p: Packet,
        piece: cython.int,
        octets: cython.int,
        due: cython.longlong,
        now: cython.longlong,
        twice: cython.bint,
    ) -> cython.void:
        """A packet that others may overtake. A piece is cut at once: its super-segment may be gone."""
        own: Packet = p
        if piece >= 0:
            own = self._cut(p, piece)
            if own is None:
                self._drop(p, piece, _MBUF, now)
                return
        self.reordered += 1
        self._fate(due)
        self._late.insert(own, due, self._sequence)
        self._sequence += 1
        if twice:
            own = self._copy(own)
            if own is not None:
                self.duplicated += 1
                self._late.insert(own, due, self._sequence)
                self._sequence += 1

    @cython.exceptval(check=False)
    def _transmit(self, octets: cython.int, now: cython.longlong) -> cython.longlong:
        """When the last bit has left, or -1 when the queue is full.

        The transmitter is free at `_free_at` + `_free_part` / rate ns. `_backlog` has those waiting for
        it, by the time of their turn, with their octets in place of a piece.
        """
        bits: cython.longlong
        if self.rate != self._unit_rate or octets != self._unit_octets:
            if self.rate != self._unit_rate:
                self._free_part = 0
            self._unit_rate = self.rate
            self._unit_octets = octets
            bits = octets * _BIT_NS_PER_OCTET
            self._unit_ns = bits // self.rate
            self._unit_part = bits % self.rate
        while self._backlog.count > 0 and self._backlog._due[self._backlog._head] <= now:
            self._backlog_octets -= self._backlog._piece[self._backlog._head]
            self._backlog.forget_first()
        if self._free_at > now:
            if (self.queue_packets != 0 and self._backlog.count >= self.queue_packets) or (
                self.queue_octets != 0 and self._backlog_octets + octets > self.queue_octets
            ):
                return -1
            self._backlog.push(None, octets, self._free_at, 0)
            self._backlog_octets += octets
        elif self._free_at < now:
            self._free_at = now
            self._free_part = 0
        self._free_at += self._unit_ns
        self._free_part += self._unit_part
        if self._free_part >= self.rate:
            self._free_part -= self.rate
            self._free_at += 1
        return self._free_at

    @cython.exceptval(check=False)
    def _lost(self) -> cython.bint:
        """Draw for bursty and for plain loss. Both draw, whatever the other says."""
        lost: cython.bint = False
        limit: cython.ulonglong
        if self.burst_enter != 0 or self.burst_bad:
            limit = self.burst_loss_bad if self.burst_bad else self.burst_loss_good
            if limit != 0:
                lost = self.rng.chance(limit)
            limit = self.burst_leave if self.burst_bad else self.burst_enter
            if limit != 0 and self.rng.chance(limit):
                self.burst_bad = not self.burst_bad
        if self.loss != 0 and self.rng.chance(self.loss):
            lost = True
        return lost

    def _damaged(self, p: Packet, piece: cython.int) -> Packet:
        """`p` or a piece of it with one bit inverted; None (and nothing changed) without mbufs.

        The payload is copied first: its octets may be those of a send queue.
        """
        own: Packet = p
        bit: cython.longlong
        at: cython.int
        m: cython.int
        if piece >= 0:
            own = self._cut(p, piece)
            if own is None:
                return None
        if own.m != 0:
            m = own.pool.import_chain(own.pool, own.m, 0, own.length)
            if m == 0:
                if piece >= 0:
                    own.release()
                return None
            own.pool.free_chain(own.m)
            own.m = m
        finish(own)
        own.csum_ok = False
        bit = self.rng.below((own.head_len + own.length) * 8)
        if self.trace is not None:
            self.trace.mix(cython.cast(cython.ulonglong, bit))
        if self.record is not None:
            self.record.note(
                piece if piece >= 0 else self._own_piece,
                cython.cast(cython.int, CORRUPTED - bit),
            )
        at = cython.cast(cython.int, bit >> 3)
        if at < own.head_len:
            own.head[at] ^= 1 << (bit & 7)
            return own
        at -= own.head_len
        m = own.m
        while at >= own.pool.m_len[m]:
            at -= own.pool.m_len[m]
            m = own.pool.m_next[m]
        own.pool.arena[own.pool.m_off[m] + at] ^= 1 << (bit & 7)
        return own

    def _cut(self, p: Packet, piece: cython.int) -> Packet:
        """A piece of a super-segment as a packet of its own; None without mbufs."""
        out: Packet = self._free.take_free()
        if not split(p, piece, out):
            out.release()
            return None
        return out

    def _copy(self, p: Packet) -> Packet:
        """A second `p` that shares its payload; None without mbufs."""
        out: Packet = self._free.take_free()
        out.copy_headers(p)
        out.gso_size = p.gso_size
        if p.m != 0:
            out.m = p.pool.share(p.m, 0, p.length)
            if out.m == 0:
                out.release()
                return None
            out.length = p.length
        return out

    @cython.exceptval(check=False)
    def _drop(
        self, p: Packet, piece: cython.int, reason: cython.int, now: cython.longlong
    ) -> cython.void:
        """Count; a whole packet is released, a super-segment stays for its other pieces."""
        self.drops[reason] += 1
        self.dropped_packets += 1
        self._fate(-reason)
        if self.record is not None:
            self.record.note(piece if piece >= 0 else self._own_piece, reason)
        if piece < 0:
            p.drop = reason
            if self.tap is not None:
                self._tell(self.tap, now, p, reason)
            p.release()

    @cython.exceptval(check=False)
    def _fate(self, word: cython.longlong) -> cython.void:
        """The trace takes in the time of arrival, or the reason of the drop as a negative number."""
        if self.trace is not None:
            self.trace.mix(cython.cast(cython.ulonglong, word) & _M64)

    @cython.exceptval(check=False)
    def _tell(
        self, hook: object, time: cython.longlong, p: Packet, reason: cython.int
    ) -> cython.void:
        """Call a tap. A broken tap must not break the wire."""
        try:
            hook(time, p, reason)
        except BaseException as e:
            self.tap = None
            self.tap_arrival = None
            if self.error is None:
                self.error = e

    # --- arriving ------------------------------------------------------------------------------------

    @cython.exceptval(check=False)
    def next_time(self) -> cython.longlong:
        """When the next packet arrives; `consts.NEVER` when none is on the way."""
        due: cython.longlong = _NEVER
        if self._ordered.count > 0:
            due = self._ordered._due[self._ordered._head]
        if self._late.count > 0 and self._late._due[self._late._head] < due:
            due = self._late._due[self._late._head]
        return due

    def deliver(self, now: cython.longlong) -> Packet:
        """The next packet whose time has come, or None. It is the caller's to release."""
        line: Transit
        p: Packet
        out: Packet
        due: cython.longlong
        piece: cython.int
        at: cython.int
        while True:
            line = self._ordered
            if self._late.count > 0 and self._late_first():
                line = self._late
            if line.count == 0:
                return None
            at = line._head
            due = line._due[at]
            if due > now:
                return None
            p = cython.cast(Packet, line._packets[at])
            piece = line._piece[at]
            line.forget_first()
            if piece >= 0:
                out = self._cut(p, piece & ~LAST)
                if piece & LAST:
                    p.release()
                if out is None:
                    self.drops[_MBUF] += 1
                    self.dropped_packets += 1
                    continue
                p = out
            self.delivered_packets += 1
            self.delivered_octets += p.head_len + p.length
            if self.tap_arrival is not None:
                self._tell(self.tap_arrival, due, p, 0)
            return p

    @cython.cfunc
    @cython.exceptval(check=False)
    def _late_first(self) -> cython.bint:
        """Is the first of the late packets before the first in order? Ties go to what was sent first."""
        late: cython.int = self._late._head
        at: cython.int = self._ordered._head
        if self._ordered.count == 0:
            return True
        if self._late._due[late] != self._ordered._due[at]:
            return self._late._due[late] < self._ordered._due[at]
        return self._late._order[late] < self._ordered._order[at]

    @cython.exceptval(check=False)
    def clear(self) -> cython.void:
        """Release everything on the way, for an end of the link that is gone (`Drop.NO_DEVICE`)."""
        line: Transit
        p: Packet
        piece: cython.int
        for line in (self._ordered, self._late):
            while line.count > 0:
                p = cython.cast(Packet, line._packets[line._head])
                piece = line._piece[line._head]
                line.forget_first()
                self.drops[_GONE] += 1
                self.dropped_packets += 1
                if piece < 0 or piece & LAST:
                    p.release()
