"""One direction of a link: times to the nanosecond, order, every way to lose a packet, the trace hash."""

import itertools

import pytest
from wire_kit import MSS, PATTERN, Maker, arrivals, balanced, make_pool, make_wire

from pystack._fast import consts, ip4
from pystack._fast.consts import NEVER, Drop
from pystack._fast.packet import Packet
from pystack._fast.rng import Rng
from pystack._fast.trace import Trace
from pystack._fast.wire import Wire

MS = consts.MS
ALWAYS = 2**64 - 1
HALF = 1 << 63


@pytest.fixture
def make():
    maker = Maker()
    yield maker
    assert maker.pool.in_use == 0, "mbufs leaked"


def seqs(got: list[tuple[int, bytes]]) -> list[int]:
    return [int.from_bytes(data[24:28], "big") for _, data in got]


def times(got: list[tuple[int, bytes]]) -> list[int]:
    return [now for now, _ in got]


# --- time --------------------------------------------------------------------------------------------


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


# --- the queue ---------------------------------------------------------------------------------------


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


# --- super-segments ----------------------------------------------------------------------------------


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


# --- losing ------------------------------------------------------------------------------------------


def test_a_partition_drops_what_is_sent_and_not_what_is_on_the_way(make: Maker):
    wire = make_wire(delay=MS)
    wire.send(make.tcp(0, 1), 0)
    wire.partitioned = True
    wire.send(make.tcp(10, 2), 0)
    wire.partitioned = False
    wire.send(make.tcp(0, 3), 0)
    assert seqs(arrivals(wire)) == [1, 3]
    assert wire.drops[Drop.LINK_PARTITION] == 1
    assert balanced(wire)


def test_the_mtu_one_below_at_and_above(make: Maker):
    wire = make_wire(mtu=1500)
    for n in (1459, 1460, 1461):
        wire.send(make.tcp(n, n), 0)
    assert seqs(arrivals(wire)) == [1459, 1460]
    assert wire.drops[Drop.LINK_MTU] == 1


def test_the_mtu_is_for_the_pieces_of_a_super_segment(make: Maker):
    wire = make_wire(mtu=1488)
    wire.send(make.tcp(10 * MSS, gso=MSS), 0)
    assert wire.in_flight == 1
    arrivals(wire)
    wire.mtu = 1487
    wire.send(make.tcp(9 * MSS + 1, gso=MSS), 0)
    assert wire.drops[Drop.LINK_MTU] == 9
    assert [len(data) for _, data in arrivals(wire)] == [41]
    assert balanced(wire)


def test_loss_takes_the_share_it_says(make: Maker):
    wire = make_wire(loss=int(0.1 * 2**64))
    for seq in range(10_000):
        wire.send(make.tcp(0, seq), 0)
    assert 900 < wire.drops[Drop.LINK_LOSS] < 1100
    assert balanced(wire)
    arrivals(wire)


def test_bursts_have_the_mean_length_that_leave_says(make: Maker):
    wire = make_wire(burst_enter=int(0.02 * 2**64), burst_leave=HALF // 2, burst_loss_bad=ALWAYS)
    lost = []
    for seq in range(20_000):
        before = wire.dropped_packets
        wire.send(make.tcp(0, seq), 0)
        lost.append(wire.dropped_packets - before)
    bursts = [len(list(group)) for hit, group in itertools.groupby(lost) if hit]
    assert 3.6 < sum(bursts) / len(bursts) < 4.4  # 1 / 0.25
    assert 0.063 < sum(lost) / len(lost) < 0.086  # 0.02 / (0.02 + 0.25)
    arrivals(wire)


def test_the_good_state_may_lose_too(make: Maker):
    wire = make_wire(burst_enter=1, burst_loss_good=HALF)
    for seq in range(1000):
        wire.send(make.tcp(0, seq), 0)
    assert 430 < wire.drops[Drop.LINK_LOSS] < 570
    arrivals(wire)


def test_a_lost_packet_has_used_the_transmitter(make: Maker):
    wire = make_wire(rate=8 * 10**6, loss=ALWAYS)
    wire.send(make.tcp(60), 0)
    wire.loss = 0
    wire.send(make.tcp(60), 0)
    assert times(arrivals(wire)) == [200_000]


# --- corruption, duplication, reordering -------------------------------------------------------------


def test_corruption_flips_one_bit_of_completed_octets(make: Maker):
    wire = make_wire(corrupt=ALWAYS)
    where = set()
    for _ in range(400):
        p = make.tcp(25)
        good = p.to_bytes()
        wire.send(p, 0)
        got = wire.deliver(NEVER - 1)
        assert not got.csum_ok
        bad = got.to_bytes()
        flipped = int.from_bytes(good, "big") ^ int.from_bytes(bad, "big")
        assert flipped.bit_count() == 1
        where.add(flipped.bit_length() // 8)
        got.release()
    assert wire.corrupted == 400
    assert wire.dropped_packets == 0
    assert len(where) > 55  # of 65 octets: headers and payload alike


def test_corruption_leaves_the_senders_octets_alone(make: Maker):
    p = make.tcp(5000)
    kept = make.pool.share(p.m, 0, 5000)
    wire = make_wire(corrupt=ALWAYS)
    wire.send(p, 0)
    got = wire.deliver(NEVER - 1)
    assert make.pool.to_bytes(kept, 0, 5000) == PATTERN[:5000]
    got.release()
    make.pool.free_chain(kept)


def test_corruption_without_mbufs_is_a_loss():
    pool = make_pool(mbufs=10)
    make = Maker(pool)
    wire = make_wire(corrupt=ALWAYS)
    p = make.tcp(2000)
    hoard = []
    while m := pool.get():
        hoard.append(m)
    wire.send(p, 0)
    assert (wire.drops[Drop.MBUF], wire.corrupted, wire.in_flight) == (1, 0, 0)
    assert balanced(wire)
    for m in hoard:
        pool.free(m)
    assert pool.in_use == 0


def test_a_duplicate_comes_right_behind_and_is_equal(make: Maker):
    wire = make_wire(delay=MS, duplicate=ALWAYS)
    wire.send(make.tcp(3000, 1), 0)
    wire.send(make.tcp(0, 2), 0)
    got = arrivals(wire)
    assert seqs(got) == [1, 1, 2, 2]
    assert got[0] == got[1]
    assert got[0][1][40:] == PATTERN[:3000]
    assert wire.duplicated == 2
    assert balanced(wire)


def test_a_reordered_packet_is_overtaken(make: Maker):
    wire = make_wire(delay=MS, reorder=ALWAYS, reorder_delay=1000)
    wire.send(make.tcp(5, 1), 0)
    wire.reorder = 0
    wire.send(make.tcp(5, 2), 500)
    wire.send(make.tcp(5, 3), 1000)  # arrives at the same time as number 1, which was sent first
    wire.send(make.tcp(5, 4), 1001)
    got = arrivals(wire)
    assert seqs(got) == [2, 1, 3, 4]
    assert times(got) == [MS + 500, MS + 1000, MS + 1000, MS + 1001]
    assert wire.reordered == 1


def test_an_in_order_packet_sent_first_wins_a_tie(make: Maker):
    wire = make_wire(delay=2000)
    wire.send(make.tcp(0, 1), 0)
    wire.delay = 1000
    wire.reorder, wire.reorder_delay = ALWAYS, 1000
    wire.send(make.tcp(0, 2), 0)
    got = arrivals(wire)
    assert (seqs(got), times(got)) == ([1, 2], [2000, 2000])


def test_late_packets_are_sorted_among_themselves(make: Maker):
    wire = make_wire(reorder=ALWAYS, jitter=10_000, reorder_delay=5)
    for seq in range(200):
        wire.send(make.tcp(0, seq), seq * 10)
    got = arrivals(wire)
    assert times(got) == sorted(times(got))
    assert sorted(seqs(got)) == list(range(200))
    assert seqs(got) != list(range(200))


# --- randomness --------------------------------------------------------------------------------------


def test_what_is_off_draws_nothing(make: Maker):
    wire = make_wire(seed=5, delay=MS, rate=10**9, queue_packets=10, mtu=1500)
    for seq in range(50):
        wire.send(make.tcp(MSS, seq), seq)
    arrivals(wire)
    assert wire.rng.next64() == Rng(5).next64()


def test_the_fates_of_one_seed_are_always_the_same(make: Maker):
    def run(seed: int) -> tuple[list[tuple[int, bytes]], str]:
        make.ip_id = 0
        wire = make_wire(
            seed, delay=MS, jitter=500_000, rate=10**9, loss=HALF // 8, corrupt=HALF // 8,
            duplicate=HALF // 8, reorder=HALF // 8, queue_packets=50,
        )  # fmt: skip
        wire.trace = Trace()
        for i in range(40):
            wire.send(make.tcp(10 * MSS, gso=MSS, seq=i * 10 * MSS), i * 100_000)
        return arrivals(wire), wire.trace.hexdigest()

    first, again, other = run(3), run(3), run(4)
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


# --- onlookers ---------------------------------------------------------------------------------------


def test_taps_see_what_is_sent_with_its_reason_and_what_arrives(make: Maker):
    wire = make_wire(delay=MS, mtu=1500)
    sent, come = [], []
    wire.tap = lambda ns, p, reason: sent.append((ns, len(p.to_bytes()), reason))
    wire.tap_arrival = lambda ns, p, reason: come.append((ns, len(p.to_bytes()), reason))
    wire.send(make.tcp(10), 5)
    wire.send(make.tcp(2000), 6)
    wire.partitioned = True
    wire.send(make.tcp(10), 7)
    assert sent == [(5, 50, 0), (6, 2040, Drop.LINK_MTU), (7, 50, Drop.LINK_PARTITION)]
    arrivals(wire)
    assert come == [(MS + 5, 50, 0)]


def test_a_tap_changes_nothing(make: Maker):
    def run(tap: object) -> tuple[list[tuple[int, bytes]], str, list[int]]:
        make.ip_id = 0
        wire = make_wire(
            9, delay=MS, rate=10**9, loss=HALF // 4, queue_packets=30, duplicate=HALF // 4,
            reorder=HALF // 4, corrupt=HALF // 4, jitter=1000,
        )  # fmt: skip
        wire.trace = Trace()
        wire.tap = wire.tap_arrival = tap
        for i in range(20):
            wire.send(make.tcp(9 * MSS + 3, gso=MSS), i * 50_000)
        return arrivals(wire), wire.trace.hexdigest(), list(wire.drops)

    seen = []
    assert run(None) == run(lambda *what: seen.append(what))
    assert len(seen) > 200


def test_a_broken_tap_is_taken_off_and_its_error_kept(make: Maker):
    def broken(ns: int, p: Packet, reason: int) -> None:
        raise OSError(28, "No space left on device")

    wire = make_wire()
    wire.tap = wire.tap_arrival = broken
    wire.send(make.tcp(10), 0)
    wire.send(make.tcp(10), 0)
    assert len(arrivals(wire)) == 2
    assert isinstance(wire.error, OSError)
    assert wire.tap is None
    assert wire.tap_arrival is None


def test_clear_frees_everything_on_the_way_and_counts_it(make: Maker):
    wire = make_wire(delay=MS, rate=10**9, reorder=HALF)
    for _ in range(5):
        wire.send(make.tcp(5 * MSS, gso=MSS), 0)
    assert wire.in_flight == 25
    wire.clear()
    assert wire.in_flight == 0
    assert wire.drops[Drop.NO_DEVICE] == 25
    assert make.pool.in_use == 0
    assert balanced(wire)


# --- the trace hash ----------------------------------------------------------------------------------


def digest(*steps: tuple[Packet, int, int], payload: bool = True) -> str:
    trace = Trace(payload)
    for p, now, number in steps:
        trace.update(p, now, number)
    return trace.hexdigest()


def test_the_digest_of_a_fixed_packet_never_changes(make: Maker):
    p = make.tcp(100, seq=12345)
    assert Trace().hexdigest() == "49eaa7409ee381f887e41cebb85432c6"
    assert digest((p, 5, 1)) == "5c86c815c427463344e16f6c5edba144"
    p.release()


def test_everything_about_a_packet_counts(make: Maker):
    p = make.tcp(100)
    base = digest((p, 1, 1))
    different = {base, digest((p, 2, 1)), digest((p, 1, 2)), digest((p, 1, 1), (p, 1, 1))}
    for at in range(40):
        p.head[at] ^= 1
        different.add(digest((p, 1, 1)))
        p.head[at] ^= 1
    longer = make.tcp(101)
    different.add(digest((longer, 1, 1)))
    assert len(different) == 45
    assert digest((p, 1, 1)) == base
    p.release()
    longer.release()


def test_the_payload_counts_by_content_and_not_by_place(make: Maker):
    def build(*cuts: int) -> Packet:
        make.ip_id = 0
        p = make.tcp()
        p.m = make.pool.get()
        for start, end in itertools.pairwise((0, *cuts, 3000)):
            last = make.pool.tail(p.m)
            assert (
                make.pool.append_bytes(last, memoryview(PATTERN), start, end - start) == end - start
            )
        p.length = 3000
        return p

    one, two = build(), build(7, 333, 2001)
    assert one.to_bytes()[40:] == two.to_bytes()[40:]
    assert len(make.pool.views(one.m, 0, 3000)) != len(make.pool.views(two.m, 0, 3000))
    assert digest((one, 1, 1)) == digest((two, 1, 1))
    view = make.pool.views(one.m, 0, 3000)[-1]
    view[-1] ^= 4
    assert digest((one, 1, 1)) != digest((two, 1, 1))
    assert digest((one, 1, 1), payload=False) == digest((two, 1, 1), payload=False)
    one.release()
    two.release()


def test_fates_are_part_of_the_trace(make: Maker):
    def run(**settings: object) -> str:
        make.ip_id = 0
        wire = Wire(Rng(1), 1, Trace())
        for name, value in settings.items():
            setattr(wire, name, value)
        wire.send(make.tcp(10), 0)
        arrivals(wire)
        return wire.trace.hexdigest()

    runs = [run(), run(delay=1), run(loss=ALWAYS), run(partitioned=True), run(corrupt=ALWAYS)]
    assert len(set(runs)) == 5
    assert run(delay=1) == runs[1]
