"""What a wire does to packets: every way to lose one, to damage, double and delay it, by chance that replays."""

import itertools

from wire_kit import MSS, PATTERN, Maker, arrivals, balanced, make_pool, make_wire, seqs, times

from pystack._fast import consts
from pystack._fast.consts import NEVER, Drop
from pystack._fast.rng import Rng
from pystack._fast.trace import Trace

MS = consts.MS
ALWAYS = 2**64 - 1
HALF = 1 << 63


# --- losing -------------------------------------------------------------------------------------------


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


# --- corruption, duplication, reordering --------------------------------------------------------------


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


# --- randomness ---------------------------------------------------------------------------------------


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
