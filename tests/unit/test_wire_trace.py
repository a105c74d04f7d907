"""Who watches a wire: taps, and the trace hash."""

import itertools

from wire_kit import MSS, PATTERN, Maker, arrivals, balanced, make_wire

from pystack._fast import consts
from pystack._fast.consts import Drop
from pystack._fast.packet import Packet
from pystack._fast.rng import Rng
from pystack._fast.trace import Trace
from pystack._fast.wire import Wire

MS = consts.MS
ALWAYS = 2**64 - 1
HALF = 1 << 63


# --- onlookers ----------------------------------------------------------------------------------------


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


# --- the trace hash -----------------------------------------------------------------------------------


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
