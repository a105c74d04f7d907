"""IPv4 reassembly (RFC 791 section 3.2, RFC 815, RFC 1122 section 3.3.2), with limits.

Overlap policy, after RFC 5722 (written for IPv6, as sound here): a fragment that repeats another one,
same place and same octets, is ignored; one that overlaps another in any other way, or contradicts where the
datagram ends, kills the datagram, and what else comes of it is refused until its time is over.

Limits, as FreeBSD's: datagrams waiting (net.inet.ip.maxfragpackets; the oldest makes room), fragments
of one (net.inet.ip.maxfragsperpacket; too many drop the datagram), and octets waiting in all, which is
ours. The clock of a datagram starts with its first arrival and is not renewed.
"""

from collections import OrderedDict

import cython

from pystack._fast import consts
from pystack._fast.columns import column
from pystack._fast.ip4 import is_l4_fault, parse_faulty, parse_landed
from pystack._fast.mbuf import Pool
from pystack._fast.packet import Packet
from pystack._fast.wirebytes import be16, csum_add, csum_fold, put16

_NEVER = cython.declare(cython.longlong, consts.NEVER)
_BAD = cython.declare(cython.int, consts.Drop.FRAG_BAD)
_OVERLAP = cython.declare(cython.int, consts.Drop.FRAG_OVERLAP)
_MEMORY = cython.declare(cython.int, consts.Drop.FRAG_MEMORY)
_HELD = cython.declare(cython.int, consts.Drop.FRAG_HELD)
_MBUF = cython.declare(cython.int, consts.Drop.MBUF)


@cython.final
@cython.cclass
class Datagram:
    """One datagram on its way to be whole: its fragments in order, and the head of the first one.

    `lo`, `hi`, `chain`: first octet, end and mbuf chain of each of `count` fragments. `end` is -1
    until the last fragment is there. `head` is the IP header of the first one and 8 octets behind.
    """

    def __init__(self, key: tuple, deadline: int, room: int) -> None:
        self.key = key
        self.deadline = deadline
        self.dead = False
        self.count = 0
        self.octets = 0
        self.end = -1
        self.lo = column("i", room)
        self.hi = column("i", room)
        self.chain = column("i", room)
        self.head = column("B", 68)
        self.head_len = 0
        self.ip_len = 0
        self.iface_in = -1


@cython.final
@cython.cclass
class Reassembler:
    """Fragments of one machine until their datagrams are whole. Payload is in `pool`.

    `max_packets`, `max_per_packet`: 0 refuses fragments at all, negative sets no limit of datagrams
    (64 fragments for one). `max_bytes` octets of data in all. `timeout_ns` from the first arrival
    on; RFC 1122 wants 60 to 120 s, FreeBSD and Linux take 30. Counters are of datagrams but for
    `received` and `duplicates`, which are of fragments.
    """

    def __init__(
        self,
        pool: Pool,
        max_packets: int = 800,
        max_bytes: int = 4 << 20,
        max_per_packet: int = 16,
        timeout_ns: int = 30 * consts.SECOND,
    ) -> None:
        self.pool = pool
        self.max_packets = max_packets
        self.max_bytes = max_bytes
        self.max_per_packet = max_per_packet
        self.timeout_ns = timeout_ns
        self.octets = 0
        self.received = 0
        self.completed = 0
        self.largest = 0
        self.duplicates = 0
        self.overlapped = 0
        self.evicted = 0
        self.timed_out = 0
        self._waiting = OrderedDict()

    @cython.exceptval(check=False)
    def waiting(self) -> cython.int:
        """Datagrams that are not whole, killed ones included until their time is over."""
        return len(self._waiting)

    @cython.exceptval(check=False)
    def add(self, p: Packet, now: cython.longlong) -> cython.int:
        """Take the fragment `p` (`mf` or `frag_off` is set).

        0: the datagram is whole and `p` now is that datagram, parsed, with its payload in `pool`.
        Drop.FRAG_HELD: waiting for the rest; the payload was taken out of `p`. Any other Drop: the
        fragment, or the datagram when it was whole, was refused. The caller releases `p` unless 0.
        """
        d: Datagram
        lo: cython.int = p.frag_off
        size: cython.int = p.head_len - p.ip_len + p.length
        i: cython.int
        m: cython.int
        self.received += 1
        if size <= 0 or (p.mf and size & 7) or p.ip_len + lo + size > 65535:
            return _BAD
        if self.max_packets == 0 or self.max_per_packet == 0:
            return _MEMORY
        d = self._find(p, now)
        if d.dead:
            return _OVERLAP
        i = self._place(d, lo, lo + size, p.mf)
        if i >= 0 and i < d.count and d.lo[i] == lo:
            if self._same(d, i, p):
                self.duplicates += 1
                return _HELD
            i = -1
        if i < 0:
            self.overlapped += 1
            self._empty(d)
            d.dead = True
            return _OVERLAP
        if d.count == d.lo.shape[0] or not self._make_room(d, size):
            self._forget(d)
            self.evicted += 1
            return _MEMORY
        if lo == 0:
            self._remember_head(d, p)
        m = self._take(p)
        if m == 0:
            if d.count == 0:
                self._forget(d)
            return _MBUF
        self._insert(d, i, lo, lo + size, m)
        if not p.mf:
            d.end = lo + size
        if d.octets == d.end:
            return self._complete(d, p)
        return _HELD

    def _find(self, p: Packet, now: cython.longlong) -> Datagram:
        """The datagram that `p` is a part of, a new one if need be."""
        key = (p.src, p.dst, p.ip_id, p.proto)
        d = self._waiting.get(key)
        if d is not None:
            if cython.cast(Datagram, d).deadline > now:
                return d
            self.timed_out += 1
            self._forget(d)
        if self.max_packets > 0 and len(self._waiting) >= self.max_packets:
            self.evicted += 1
            self._forget(next(iter(self._waiting.values())))
        room: cython.int = self.max_per_packet if self.max_per_packet > 0 else 64
        d = Datagram(key, now + self.timeout_ns, room)
        self._waiting[key] = d
        return d

    @cython.exceptval(check=False)
    def _place(self, d: Datagram, lo: cython.int, hi: cython.int, mf: cython.bint) -> cython.int:
        """Where `lo` to `hi` belongs; the index of a fragment of that very place; -1 = contradiction."""
        i: cython.int = 0
        last: cython.bint
        while i < d.count and d.lo[i] < lo:
            i += 1
        if i < d.count and d.lo[i] == lo and d.hi[i] == hi:
            last = d.end == hi
            return i if last != mf else -1
        if i > 0 and d.hi[i - 1] > lo:
            return -1
        if i < d.count and d.lo[i] < hi:
            return -1
        if d.end >= 0 and (hi > d.end or not mf):
            return -1
        if not mf and i < d.count:
            return -1
        return i

    @cython.exceptval(check=False)
    def _same(self, d: Datagram, i: cython.int, p: Packet) -> cython.bint:
        """Whether `p` has the octets of fragment `i`, which has its place and size."""
        octets = bytes(p.head[p.ip_len : p.head_len])
        if p.m != 0:
            octets += p.pool.to_bytes(p.m, 0, p.length)
        return octets == self.pool.to_bytes(d.chain[i], 0, d.hi[i] - d.lo[i])

    @cython.exceptval(check=False)
    def _make_room(self, keep: Datagram, n: cython.int) -> cython.bint:
        """Drop the oldest datagrams, but not `keep`, until `n` more octets are within `max_bytes`."""
        if keep.octets + n > self.max_bytes:
            return False
        while self.octets + n > self.max_bytes:
            for d in self._waiting.values():
                if d is not keep and cython.cast(Datagram, d).octets > 0:
                    self.evicted += 1
                    self._forget(d)
                    break
        return True

    @cython.exceptval(check=False)
    def _take(self, p: Packet) -> cython.int:
        """The data of `p` as a chain of our pool, out of `p` where it can be; 0 = denied."""
        pool: Pool = self.pool
        inside: cython.int = p.head_len - p.ip_len
        front: cython.int = 0
        rest: cython.int = 0
        if inside > 0:
            front = pool.new_chain(p.head, p.ip_len, inside)
            if front == 0:
                return 0
        if p.m != 0:
            if p.pool is pool:
                rest = p.m
                p.m = 0
            else:
                rest = pool.import_chain(p.pool, p.m, 0, p.length)
                if rest == 0:
                    pool.free_chain(front)
                    return 0
            p.length = 0
        if front == 0:
            return rest
        pool.m_next[pool.tail(front)] = rest
        return front

    @cython.exceptval(check=False)
    def _insert(
        self, d: Datagram, at: cython.int, lo: cython.int, hi: cython.int, m: cython.int
    ) -> cython.void:
        i: cython.int = d.count
        while i > at:
            d.lo[i] = d.lo[i - 1]
            d.hi[i] = d.hi[i - 1]
            d.chain[i] = d.chain[i - 1]
            i -= 1
        d.lo[at] = lo
        d.hi[at] = hi
        d.chain[at] = m
        d.count += 1
        d.octets += hi - lo
        self.octets += hi - lo

    @cython.exceptval(check=False)
    def _remember_head(self, d: Datagram, p: Packet) -> cython.void:
        """Keep the IP header and 8 octets behind it: for the whole, or to say that it never was."""
        i: cython.int
        size: cython.int = p.head_len if p.head_len < p.ip_len + 8 else p.ip_len + 8
        for i in range(size):
            d.head[i] = p.head[i]
        if size < p.ip_len + 8 and p.m != 0:
            size += p.pool.copy_out(p.m, 0, d.head, size, p.ip_len + 8 - size)
        d.head_len = size
        d.ip_len = p.ip_len
        d.iface_in = p.iface_in

    @cython.exceptval(check=False)
    def _complete(self, d: Datagram, p: Packet) -> cython.int:
        """All octets are there: lay them in one piece, and read `p` from that."""
        pool: Pool = self.pool
        i: cython.int
        total: cython.int = d.ip_len + d.end
        m: cython.int = pool.land()
        at: cython.longlong
        reason: cython.int = _MBUF
        p.drop_payload()
        if m != 0 and total <= 65535:
            put16(d.head, 2, total)
            put16(d.head, 6, be16(d.head, 6) & 0x4000)
            put16(d.head, 10, 0)
            put16(d.head, 10, csum_fold(csum_add(d.head, 0, d.ip_len, 0)))
            at = pool.m_off[m]
            for i in range(d.ip_len):
                pool.arena[at + i] = d.head[i]
            at += d.ip_len
            self.largest = 0
            for i in range(d.count):
                pool.copy_out(d.chain[i], 0, pool.arena, at + d.lo[i], d.hi[i] - d.lo[i])
                if d.ip_len + d.hi[i] - d.lo[i] > self.largest:
                    self.largest = d.ip_len + d.hi[i] - d.lo[i]
        self._forget(d)
        if m == 0:
            return _MBUF
        if total > 65535:
            reason = _BAD
        else:
            p.csum_ok = False
            p.gso_size = 0
            reason = parse_landed(p, pool, m, 0, total)
            if is_l4_fault(reason) and parse_faulty(p, pool, m, 0, total, reason) != 0:
                reason = _MBUF
        if p.m != m:
            pool.free(m)
        if reason == 0:
            self.completed += 1
        return reason

    @cython.exceptval(check=False)
    def next_deadline(self) -> cython.longlong:
        """When `expire` is to be called next; consts.NEVER if nothing waits."""
        d: Datagram
        if not self._waiting:
            return _NEVER
        d = next(iter(self._waiting.values()))
        return d.deadline

    @cython.exceptval(check=False)
    def expire(self, now: cython.longlong, out: Packet) -> cython.bint:
        """Drop datagrams whose time is over; call until False.

        True: `out`, a cleared packet, is the IP header and the next 8 octets of one whose first
        fragment had arrived: its sender is to be told (ICMP time exceeded, code 1, RFC 792).
        """
        d: Datagram
        i: cython.int
        told: cython.bint
        while self._waiting:
            d = next(iter(self._waiting.values()))
            if d.deadline > now:
                return False
            told = d.head_len > 0 and not d.dead
            if not d.dead:
                self.timed_out += 1
            self._forget(d)
            if told:
                for i in range(d.head_len):
                    out.head[i] = d.head[i]
                out.head_len = d.head_len
                out.ip_len = d.ip_len
                out.iface_in = d.iface_in
                out.src, out.dst, out.ip_id, out.proto = d.key
                out.tos = d.head[1]
                out.mf = True
                return True
        return False

    @cython.exceptval(check=False)
    def flush(self) -> cython.void:
        """Forget everything: the machine goes down."""
        while self._waiting:
            self._forget(next(iter(self._waiting.values())))

    @cython.exceptval(check=False)
    def _empty(self, d: Datagram) -> cython.void:
        """Free what a datagram holds."""
        i: cython.int
        for i in range(d.count):
            self.pool.free_chain(d.chain[i])
        self.octets -= d.octets
        d.count = 0
        d.octets = 0

    @cython.exceptval(check=False)
    def _forget(self, d: Datagram) -> cython.void:
        self._empty(d)
        del self._waiting[d.key]
