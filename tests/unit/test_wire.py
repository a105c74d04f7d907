"""One direction of a link: times to the nanosecond, order, the queue, super-segments."""

import itertools

import pytest
from wire_kit import MSS, PATTERN, Maker, arrivals, balanced, make_pool, make_wire, seqs, times

from pystack._fast import consts, ip4
from pystack._fast.consts import NEVER, Drop
from pystack._fast.packet import Packet

MS = consts.MS
ALWAYS = 2**64 - 1
HALF = 1 << 63


# --- time ---------------------------------------------------------------------------------------------


def test_an_idle_wire_has_nothing_due():
    wire = make_wire()
    assert wire.next_time() == NEVER
    assert wire.deliver(10**18) is None
    assert wire.in_flight == 0


def test_delay_is_exact_and_nothing_comes_before_it(make: Maker):
    wire = make_wire(delay=5 * MS)
    p = make.tcp(100)
    octets = p.to_bytes()
    wire.send(p, 1000)
    assert wire.next_time() == 5 * MS + 1000
    assert wire.deliver(5 * MS + 999) is None
    assert wire.in_flight == 1
    got = wire.deliver(5 * MS + 1000)
    assert got is p
    assert got.to_bytes() == octets
    assert wire.next_time() == NEVER
    got.release()
    assert (wire.sent_packets, wire.sent_octets) == (1, 140)
    assert (wire.delivered_packets, wire.delivered_octets) == (1, 140)


def test_packets_of_one_instant_keep_their_order_past_the_first_growth(make: Maker):
    wire = make_wire(delay=MS)
    for seq in range(300):
        wire.send(make.tcp(0, seq), 0)
    assert seqs(arrivals(wire)) == list(range(300))


def test_the_ring_grows_when_its_head_is_in_the_middle(make: Maker):
    wire = make_wire(delay=MS, rate=10**6)
    numbers = itertools.count()
    got = []
    for burst in (40, 50, 100, 300):
        for _ in range(burst):
            wire.send(make.tcp(0, next(numbers)), 0)
        for _ in range(burst // 2):
            p = wire.deliver(NEVER - 1)
            got.append(p.seq)
            p.release()
    got += seqs(arrivals(wire))
    assert got == list(range(490))


def test_serialisation_time_carries_fractions_of_a_nanosecond(make: Maker):
    # 40 octets at 3 bit/ns: 106 2/3 ns each
    wire = make_wire(rate=3 * 10**9)
    for seq in range(6):
        wire.send(make.tcp(0, seq), 0)
    assert times(arrivals(wire)) == [106, 213, 320, 426, 533, 640]


def test_the_transmitter_rests_when_nothing_waits(make: Maker):
    wire = make_wire(rate=3 * 10**9)
    wire.send(make.tcp(), 0)
    wire.send(make.tcp(), 1000)
    wire.send(make.tcp(), 1000)
    assert times(arrivals(wire)) == [106, 1106, 1213]


@pytest.mark.parametrize("rate", [1, 999, 10**6 + 7, 10**9, 10**10 - 1, 10**13])
def test_a_long_burst_ends_when_exact_arithmetic_says(make: Maker, rate: int):
    wire = make_wire(rate=rate)
    sizes = [0, 1, 100, 1448, 1448, 7] * 5
    for n in sizes:
        wire.send(make.tcp(n), 0)
    bits = sum(40 + n for n in sizes) * 8
    assert times(arrivals(wire))[-1] == bits * 10**9 // rate


def test_a_rate_changed_on_the_way_acts_on_what_is_sent_later(make: Maker):
    wire = make_wire(rate=8 * 10**6)  # 1 octet a microsecond
    wire.send(make.tcp(60), 0)
    wire.rate = 80 * 10**6
    wire.send(make.tcp(60), 0)
    wire.rate = 0
    wire.send(make.tcp(60), 0)
    assert times(arrivals(wire)) == [100_000, 110_000, 110_000]


def test_a_shorter_delay_does_not_overtake(make: Maker):
    wire = make_wire(delay=10 * MS)
    wire.send(make.tcp(0, 1), 0)
    wire.delay = MS
    wire.send(make.tcp(0, 2), 0)
    got = arrivals(wire)
    assert (seqs(got), times(got)) == ([1, 2], [10 * MS, 10 * MS])


def test_jitter_stays_in_its_range_and_keeps_order(make: Maker):
    wire = make_wire(delay=MS, jitter=1000)
    for seq in range(2000):
        wire.send(make.tcp(0, seq), seq * 2000)  # apart by more than the jitter: each shows its own
    got = arrivals(wire)
    extra = [now - MS - 2000 * seq for now, seq in zip(times(got), seqs(got), strict=True)]
    assert seqs(got) == list(range(2000))
    assert min(extra) >= 0
    assert max(extra) <= 1000
    assert min(extra) < 20
    assert max(extra) > 980
    assert 480 < sum(extra) / len(extra) < 520
    for seq in range(100):
        wire.send(make.tcp(0, seq), 10**9)  # all at once
    assert seqs(arrivals(wire)) == list(range(100))


# --- the queue ----------------------------------------------------------------------------------------


def test_the_queue_holds_its_packets_and_one_is_on_the_transmitter(make: Maker):
    wire = make_wire(rate=8 * 10**6, queue_packets=3)
    for seq in range(6):
        wire.send(make.tcp(60, seq), 0)
    assert wire.waiting == 3
    assert wire.drops[Drop.LINK_QUEUE] == 2
    wire.send(make.tcp(60, 9), 99_999)  # the first is not out yet
    assert wire.drops[Drop.LINK_QUEUE] == 3
    wire.send(make.tcp(60, 10), 100_000)
    assert seqs(arrivals(wire)) == [0, 1, 2, 3, 10]
    assert balanced(wire)


def test_the_queue_in_octets_one_below_at_and_above(make: Maker):
    for room, kept in ((199, 2), (200, 3), (201, 3)):
        wire = make_wire(rate=8 * 10**6, queue_octets=room)
        for seq in range(4):
            wire.send(make.tcp(60, seq), 0)
        assert len(arrivals(wire)) == kept
        assert balanced(wire)


def test_without_a_rate_nothing_waits(make: Maker):
    wire = make_wire(queue_packets=1)
    for seq in range(10):
        wire.send(make.tcp(0, seq), 0)
    assert len(arrivals(wire)) == 10


def test_the_ring_of_waiting_packets_grows(make: Maker):
    wire = make_wire(rate=8 * 10**6, queue_packets=200)
    for seq in range(50):
        wire.send(make.tcp(60, seq), 0)
    for seq in range(50, 250):
        wire.send(make.tcp(60, seq), 2_000_000)  # 20 are out
    assert wire.waiting == 200
    assert wire.drops[Drop.LINK_QUEUE] == 250 - 20 - 1 - 200
    assert seqs(arrivals(wire)) == list(range(221))


# --- super-segments -----------------------------------------------------------------------------------


def test_a_super_segment_passes_whole_where_nothing_acts_on_packets(make: Maker):
    wire = make_wire(delay=MS, jitter=10)
    p = make.tcp(45 * MSS, gso=MSS)
    wire.send(p, 0)
    got = wire.deliver(NEVER - 1)
    assert got is p
    assert got.gso_size == MSS
    assert wire.delivered_packets == 1
    got.release()


def test_a_rate_cuts_a_super_segment_and_times_each_piece(make: Maker):
    wire = make_wire(delay=MS, rate=8 * 10**9)  # 1 octet a nanosecond
    p = make.tcp(44 * MSS + 10, seq=2**32 - 2000, gso=MSS, flags=consts.ACK | consts.PSH)
    expected = []
    for i in range(ip4.split_count(p)):
        out = Packet()
        assert ip4.split(p, i, out)
        expected.append(out.to_bytes())
        out.release()
    wire.send(p, 500)
    assert wire.in_flight == 45
    got = arrivals(wire)
    assert [data for _, data in got] == expected
    assert times(got) == [
        *(500 + MS + 1488 * (i + 1) for i in range(44)),
        500 + MS + 1488 * 44 + 50,
    ]
    assert b"".join(data[40:] for _, data in got) == PATTERN[: 44 * MSS + 10]
    assert wire.sent_packets == wire.delivered_packets == 45
    assert wire.sent_octets == wire.delivered_octets == 44 * MSS + 10 + 45 * 40


def test_without_offload_it_is_cut_even_on_an_ideal_wire(make: Maker):
    wire = make_wire(offload=False)
    wire.send(make.tcp(3 * MSS, gso=MSS), 0)
    assert [len(data) for _, data in arrivals(wire)] == [1488] * 3


def test_a_full_queue_drops_the_pieces_that_do_not_fit(make: Maker):
    wire = make_wire(rate=8 * 10**9, queue_packets=4)
    wire.send(make.tcp(10 * MSS, gso=MSS), 0)
    assert (wire.in_flight, wire.drops[Drop.LINK_QUEUE]) == (5, 5)
    assert seqs(arrivals(wire)) == [1 + i * MSS for i in range(5)]
    assert balanced(wire)


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("loss", HALF),
        ("burst_enter", HALF),
        ("corrupt", HALF),
        ("duplicate", HALF),
        ("reorder", HALF),
        ("queue_packets", 7),
        ("queue_octets", 10**5),
    ],
)
def test_each_feature_that_acts_on_packets_cuts(make: Maker, feature: str, value: int):
    wire = make_wire(**{feature: value})
    assert wire.acts_per_packet()
    wire.send(make.tcp(20 * MSS, gso=MSS), 0)
    assert wire.sent_packets == 20
    arrivals(wire)
    assert balanced(wire)


def test_a_super_segment_whose_pieces_are_all_lost_is_freed_at_once(make: Maker):
    wire = make_wire(loss=ALWAYS)
    wire.send(make.tcp(20 * MSS, gso=MSS), 0)
    assert make.pool.in_use == 0
    assert wire.drops[Drop.LINK_LOSS] == 20
    assert wire.next_time() == NEVER


def test_pieces_survive_the_loss_of_the_last_and_the_lateness_of_others(make: Maker):
    wire = make_wire(delay=MS, loss=HALF // 2, reorder=HALF // 2, duplicate=HALF // 2)
    for round_ in range(30):
        wire.send(make.tcp(9 * MSS + 5, gso=MSS), round_ * 1000)
    got = arrivals(wire)
    assert balanced(wire)
    assert len(got) == 300 + wire.duplicated - wire.dropped_packets
    for _, data in got:
        seq = int.from_bytes(data[24:28], "big")
        assert data[40:] == PATTERN[: 9 * MSS + 5][seq - 1 : seq - 1 + MSS]


def test_no_mbufs_for_a_piece_loses_it_and_says_so():
    pool = make_pool(mbufs=100)
    make = Maker(pool)
    wire = make_wire(rate=10**9)
    wire.send(make.tcp(20 * MSS, gso=MSS), 0)
    hoard = []
    while m := pool.get():
        hoard.append(m)
    assert wire.deliver(NEVER - 1) is None
    assert (wire.drops[Drop.MBUF], wire.in_flight) == (20, 0)
    assert balanced(wire)
    for m in hoard:
        pool.free(m)
    assert pool.in_use == 0
