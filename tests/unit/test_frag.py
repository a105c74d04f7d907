"""Reassembly: order, overlaps, limits, time."""

import itertools

import pytest
from fuzz import octets
from fuzz.octets import TCP, UDP

from pystack._fast import ip4, udp_icmp
from pystack._fast.consts import NEVER, SECOND, Drop
from pystack._fast.frag import Reassembler
from pystack._fast.mbuf import Pool
from pystack._fast.packet import Packet, PacketQueue

BODY = bytes(i * 5 & 255 for i in range(100))
DATAGRAM = octets.udp(BODY)
WHOLE = octets.ip(DATAGRAM, UDP)


class Bench:
    """A reassembler, and fragments put into it as octets."""

    def __init__(self, **limits: int) -> None:
        self.pool = octets.pool()
        self.r = Reassembler(self.pool, **limits)
        self.whole: Packet | None = None

    def put(self, lo: int, hi: int, now: int = 0, data: bytes = DATAGRAM, **fields) -> int:
        """Add octets `lo` to `hi` of the datagram; MF unless they are its end."""
        mf = fields.pop("mf", hi < len(data))
        return self.put_raw(octets.ip(data[lo:hi], UDP, off=lo, mf=mf, **fields), now)

    def put_raw(self, raw: bytes, now: int = 0) -> int:
        p = ip4.load(self.pool, raw)
        assert p.drop == 0
        reason = self.r.add(p, now)
        if reason == 0:
            if self.whole is not None:
                self.whole.release()
            self.whole = p
        else:
            p.release()
        return reason

    def end(self) -> None:
        """Nothing is left behind."""
        if self.whole is not None:
            self.whole.release()
        self.r.flush()
        assert self.r.octets == 0
        assert self.r.waiting() == 0
        assert self.pool.in_use == 0


HELD = Drop.FRAG_HELD
CUTS = [(0, 24), (24, 32), (32, 80), (80, 108)]


@pytest.mark.parametrize("order", list(itertools.permutations(CUTS)))
def test_any_order_gives_the_datagram(order):
    b = Bench()
    answers = [b.put(lo, hi) for lo, hi in order]
    assert answers == [HELD, HELD, HELD, 0]
    p = b.whole
    assert (p.sport, p.dport, p.length, p.mf, p.frag_off) == (1234, 53, 100, False, 0)
    assert p.csum_ok
    assert p.to_bytes() == WHOLE
    assert (b.r.completed, b.r.received, b.r.waiting()) == (1, 4, 0)
    b.end()


def test_header_of_the_whole_is_that_of_the_first():
    b = Bench()
    option = b"\x94\x04\0\0"
    b.put(24, 108, tos=4)
    b.put_raw(octets.ip(DATAGRAM[:24], UDP, mf=True, df=True, options=option, tos=8, ttl=9))
    assert b.whole.to_bytes() == octets.ip(DATAGRAM, UDP, df=True, options=option, tos=8, ttl=9)
    b.end()


def test_whole_is_read_as_any_packet():
    """A bad checksum shows only now."""
    b = Bench()
    bad = DATAGRAM[:50] + b"!" + DATAGRAM[51:]
    assert b.put(0, 24, data=bad) == HELD
    assert b.put(24, 108, data=bad) == Drop.UDP_CHECKSUM
    assert b.r.completed == 0
    b.end()


def test_datagrams_are_told_apart():
    b = Bench()
    for i, other in enumerate(({"ident": 2}, {"src": 7}, {"dst": 7}, {})):
        assert b.put(0, 24, **other) == HELD
        assert b.r.waiting() == i + 1
    assert b.put_raw(octets.ip(DATAGRAM[24:], TCP, off=24)) == HELD
    assert b.r.waiting() == 5
    assert b.put(24, 108) == 0
    assert b.r.waiting() == 4
    b.end()


def test_big_datagram():
    b = Bench(max_per_packet=64)
    data = octets.udp(bytes(i & 255 for i in range(65507)))
    for lo in range(0, len(data), 1480):
        last = b.put(lo, min(lo + 1480, len(data)), data=data)
    assert last == 0
    assert b.whole.to_bytes() == octets.ip(data, UDP)
    b.end()


def test_first_fragment_with_options_makes_too_much():
    """Data of 65,515 octets fits a header of 20, not the 24 of the first fragment."""
    b = Bench(max_per_packet=64)
    data = bytes(65515)
    for lo in range(65515 // 1480 * 1480, -1, -1480):
        part = data[lo : lo + 1480]
        raw = octets.ip(part, 89, off=lo, mf=lo + 1480 < 65515, options=bytes(0 if lo else 4))
        answer = b.put_raw(raw)
    assert answer == Drop.FRAG_BAD
    b.end()


@pytest.mark.parametrize(
    "raw",
    [
        octets.ip(b"", UDP, off=8),
        octets.ip(b"", UDP, mf=True),
        octets.ip(b"x" * 7, UDP, mf=True),
        octets.ip(b"x" * 9, UDP, mf=True, off=8),
        octets.ip(b"x" * 8, UDP, off=65528),  # "ping of death"
        octets.ip(b"x" * 100, UDP, off=65520),
    ],
)
def test_impossible_fragments(raw: bytes):
    b = Bench()
    assert b.put_raw(raw) == Drop.FRAG_BAD
    assert b.r.waiting() == 0
    b.end()


@pytest.mark.parametrize("again", CUTS)
def test_exact_duplicates_are_ignored(again):
    b = Bench()
    for cut in (CUTS[0], CUTS[3], CUTS[1]):
        assert b.put(*cut) == HELD
    assert b.put(*again) == (0 if again == CUTS[2] else HELD)
    assert b.r.duplicates == (again != CUTS[2])
    if b.whole is None:
        assert b.put(*CUTS[2]) == 0
    assert b.whole.to_bytes() == WHOLE
    b.end()


@pytest.mark.parametrize(
    "evil",
    [
        {"lo": 24, "hi": 40, "data": DATAGRAM[:30] + b"!" + DATAGRAM[31:]},  # other octets
        {"lo": 16, "hi": 32},
        {"lo": 32, "hi": 48},
        {"lo": 24, "hi": 32},
        {"lo": 32, "hi": 40},
        {"lo": 0, "hi": 80},
        {"lo": 72, "hi": 88},
        {"lo": 88, "hi": 96},
        {"lo": 88, "hi": 108},
        {"lo": 80, "hi": 104, "mf": False},  # another end
        {"lo": 40, "hi": 48, "mf": False},
        {"lo": 24, "hi": 40, "mf": False},  # the same place, now the end
        {"lo": 108, "hi": 116, "data": DATAGRAM + bytes(8), "mf": False},
        {"lo": 112, "hi": 120, "data": DATAGRAM + bytes(12), "mf": True},
    ],
)
def test_overlaps_kill_the_datagram(evil):
    """The policy of RFC 5722, until the time of the datagram is over."""
    b = Bench()
    assert b.put(24, 40) == HELD
    assert b.put(80, 108) == HELD
    assert b.put(**evil) == Drop.FRAG_OVERLAP
    assert b.pool.in_use == 0
    assert b.r.octets == 0
    for cut in ((0, 24), (24, 40), (40, 80), (80, 108)):
        assert b.put(*cut, now=29 * SECOND) == Drop.FRAG_OVERLAP
    assert b.r.overlapped == 1
    assert not b.r.expire(30 * SECOND, Packet())
    assert b.r.timed_out == 0
    for cut in CUTS:
        last = b.put(*cut, now=30 * SECOND)
    assert last == 0
    b.end()


def test_an_end_before_what_is_there_kills():
    b = Bench()
    assert b.put(80, 88) == HELD
    assert b.put(24, 40, mf=False) == Drop.FRAG_OVERLAP
    b.end()


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_the_oldest_makes_room(limit: int):
    b = Bench(max_packets=limit)
    for ident in range(limit + 3):
        assert b.put(0, 24, ident=ident, now=ident) == HELD
        assert b.r.waiting() == min(ident + 1, limit)
    assert b.r.evicted == 3
    assert b.put(24, 108, ident=3) == 0
    b.end()


def test_no_limit_of_datagrams():
    b = Bench(max_packets=-1, max_per_packet=-1)
    for ident in range(1000):
        assert b.put(0, 8, ident=ident) == HELD
    assert b.r.waiting() == 1000
    b.end()


@pytest.mark.parametrize("limits", [{"max_packets": 0}, {"max_per_packet": 0}])
def test_fragments_refused_at_all(limits):
    b = Bench(**limits)
    assert b.put(0, 24) == Drop.FRAG_MEMORY
    b.end()


@pytest.mark.parametrize(
    ("limit", "answer"), [(1, Drop.FRAG_MEMORY), (3, Drop.FRAG_MEMORY), (4, 0), (5, 0)]
)
def test_fragments_of_one_datagram(limit: int, answer: int):
    b = Bench(max_per_packet=limit)
    for cut in CUTS[:limit][:3]:
        assert b.put(*cut) == HELD
    assert b.put(*CUTS[min(limit, 3)]) == answer
    assert b.r.waiting() == 0
    assert b.r.evicted == (answer != 0)
    b.end()


@pytest.mark.parametrize(("limit", "left"), [(72, [2, 3, 4]), (71, [3, 4]), (24, [4])])
def test_octets_in_all(limit: int, left: list[int]):
    b = Bench(max_bytes=limit)
    for ident in range(5):
        assert b.put(0, 24, ident=ident) == HELD
    assert b.r.octets == 24 * len(left)
    assert b.r.waiting() == len(left)
    assert b.r.evicted == 5 - len(left)
    b.r.max_bytes = 1 << 20
    assert [i for i in range(5) if b.put(24, 108, ident=i) == 0] == left
    b.end()


def test_one_datagram_above_the_octets_in_all():
    b = Bench(max_bytes=60)
    assert b.put(0, 24, ident=9) == HELD
    assert b.put(0, 24) == HELD
    assert b.put(32, 80) == Drop.FRAG_MEMORY
    assert b.r.waiting() == 1
    assert b.put(24, 56, ident=9) == HELD
    b.end()


def test_time_is_over():
    b = Bench()
    assert b.r.next_deadline() == NEVER
    b.put(0, 24, now=5)
    b.put(0, 24, now=7, ident=2)
    assert b.r.next_deadline() == 30 * SECOND + 5
    b.put(24, 32, now=20 * SECOND)  # does not renew
    assert b.r.next_deadline() == 30 * SECOND + 5
    out = Packet()
    assert not b.r.expire(30 * SECOND + 4, out)
    assert b.r.expire(30 * SECOND + 5, out)
    assert not b.r.expire(30 * SECOND + 5, Packet())
    assert b.r.next_deadline() == 30 * SECOND + 7
    assert (b.r.timed_out, b.r.waiting()) == (1, 1)
    b.end()


def test_the_sender_is_told_what_was_lost():
    b = Bench()
    b.put(24, 32)
    b.put(0, 24, tos=4, options=bytes(8))
    out = Packet()
    assert b.r.expire(NEVER, out)
    assert (out.src, out.dst, out.proto, out.ip_id, out.tos) == (octets.A, octets.B, UDP, 1, 4)
    assert (out.ip_len, out.head_len) == (28, 36)
    assert udp_icmp.may_answer(out)
    error = Packet()
    assert udp_icmp.build_error(out, error, b.pool, 11, 1, 0, 8)
    first = octets.ip(DATAGRAM[:24], UDP, mf=True, tos=4, options=bytes(8))
    assert error.to_bytes()[20:] == octets.icmp(11, 1, 0, first[:36])
    error.release()
    b.end()


def test_without_the_first_fragment_nobody_is_told():
    b = Bench()
    b.put(24, 32)
    assert not b.r.expire(NEVER, Packet())
    assert (b.r.timed_out, b.r.waiting()) == (1, 0)
    b.end()


def test_late_fragment_starts_anew():
    b = Bench()
    b.put(0, 24)
    assert b.put(24, 108, now=30 * SECOND) == HELD
    assert (b.r.timed_out, b.r.waiting()) == (1, 1)
    b.end()


@pytest.mark.parametrize("room", range(1, 8))
def test_pool_without_room(room: int):
    """Denied at the n-th mbuf, for every n: nothing leaks, and what was held can still end well."""
    other = octets.pool()
    pool = Pool(room, 1000, 100, 100, 100, 16 << 20)
    r = Reassembler(pool)
    denied = 0
    p = None
    for lo, hi in CUTS:
        p = ip4.load(other, octets.ip(DATAGRAM[lo:hi], UDP, off=lo, mf=hi < 108))
        answer = r.add(p, 0)
        assert answer in (HELD, Drop.MBUF, 0)
        denied += answer == Drop.MBUF
        p.release()
    assert (denied > 0) is (room < len(CUTS))
    r.flush()
    assert (pool.in_use, other.in_use) == (0, 0)


def test_fragments_of_a_neighbour_in_the_process():
    """They carry the L4 header in `head` and the payload in the sender's pool."""
    sender = octets.pool()
    b = Bench()
    p = ip4.load(sender, octets.ip(octets.tcp(BODY * 10), TCP))
    free, to = PacketQueue(), PacketQueue()
    count = ip4.fragment(p, 300, free, to)
    assert count == 4
    parts = [to.pop() for _ in range(count)]
    for i, part in enumerate(reversed(parts)):
        answer = b.r.add(part, 0)
        assert answer == (HELD if i < count - 1 else 0)
        if answer == 0:
            assert part.to_bytes() == octets.ip(octets.tcp(BODY * 10), TCP)
            assert part.pool is b.pool
        part.release()
    p.release()
    assert sender.in_use == 0
    b.end()
