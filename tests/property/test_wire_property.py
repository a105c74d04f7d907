"""A wire against a small model, and what holds for every setting: nothing is lost without a reason."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from wire_kit import MSS, Maker, arrivals, balanced, make_wire

from pystack._fast.consts import NEVER, Drop
from pystack._fast.trace import Trace

CHANCES = st.sampled_from([0, 1 << 61, 1 << 63, 2**64 - 1])
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "delay": st.integers(0, 10**7),
        "jitter": st.integers(0, 10**6),
        "rate": st.sampled_from([0, 1, 10**6, 10**9 - 1, 10**10]),
        "queue_packets": st.integers(0, 20),
        "queue_octets": st.integers(0, 20_000),
        "loss": CHANCES,
        "burst_enter": CHANCES,
        "burst_leave": CHANCES,
        "burst_loss_bad": CHANCES,
        "burst_loss_good": CHANCES,
        "reorder": CHANCES,
        "reorder_delay": st.integers(0, 10**6),
        "duplicate": CHANCES,
        "corrupt": CHANCES,
        "partitioned": st.booleans(),
        "mtu": st.sampled_from([0, 1400, 1488]),
        "offload": st.booleans(),
    },
)
SENDS = st.tuples(st.just("send"), st.integers(0, 20_000), st.sampled_from([0, 100, MSS]))
STEPS = st.lists(
    st.one_of(
        SENDS,
        SENDS,
        st.tuples(st.just("set"), SETTINGS),
        st.tuples(st.just("wait"), st.integers(0, 10**7)),
        st.tuples(st.just("clear")),
    ),
    min_size=1,
    max_size=25,
)


@given(STEPS, st.integers(0, 2**64 - 1), st.booleans())
@settings(max_examples=150)
def test_nothing_is_lost_without_a_reason(steps: list[tuple], seed: int, tapped: bool):
    make = Maker()
    wire = make_wire(seed)
    wire.trace = Trace()
    if tapped:
        wire.tap = wire.tap_arrival = lambda ns, p, reason: p.to_bytes()
    now = last = 0
    for step in steps:
        if step[0] == "send":
            wire.send(make.tcp(step[1], gso=step[2]), now)
        elif step[0] == "set":
            for name, value in step[1].items():
                setattr(wire, name, value)
        elif step[0] == "clear":
            wire.clear()
            assert (wire.in_flight, make.pool.in_use) == (0, 0)
        else:
            now += step[1]
            for when, data in arrivals(wire, now):
                assert last <= when <= now
                last = when
                assert int.from_bytes(data[2:4], "big") == len(data) or wire.corrupted
        assert balanced(wire)
    arrivals(wire)
    assert wire.error is None
    assert balanced(wire)
    assert wire.in_flight == 0
    assert make.pool.in_use == 0


@dataclass
class ModelWire:
    """Delay, rate, queue and nothing random, from their definitions: one list, exact fractions."""

    delay: int
    rate: int
    queue: int
    free: int = 0  # when the transmitter is free, in ns * rate
    starts: list[int] = field(default_factory=list)
    out: list[tuple[int, int]] = field(default_factory=list)

    def send(self, octets: int, now: int) -> None:
        """One packet."""
        due = now
        if self.rate:
            if self.free // self.rate > now:
                waiting = sum(start // self.rate > now for start in self.starts)
                if self.queue and waiting >= self.queue:
                    return
            self.free = max(self.free, now * self.rate)
            self.starts.append(self.free)
            self.free += octets * 8 * 10**9
            due = self.free // self.rate
        self.out.append((due + self.delay, octets))


@given(
    st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 9000)), min_size=1, max_size=60),
    st.integers(0, 10**6),
    st.sampled_from([0, 3, 10**6, 10**9 // 7, 10**9, 3 * 10**9]),
    st.sampled_from([0, 1, 5]),
    st.booleans(),
)
@settings(max_examples=200)
def test_times_and_queue_are_those_of_the_model(
    sends: list[tuple[int, int]], delay: int, rate: int, queue: int, cut: bool
):
    make = Maker()
    wire = make_wire(delay=delay, rate=rate, queue_packets=queue, offload=False)
    model = ModelWire(delay, rate, queue)
    now = 0
    for wait, length in sends:
        now += wait
        wire.send(make.tcp(length, gso=MSS if cut else 0), now)
        step = MSS if cut else length
        sizes = [min(step, length - at) for at in range(0, length, step)] if length else [0]
        for size in sizes:
            model.send(40 + size, now)
    assert [(when, len(data)) for when, data in arrivals(wire)] == model.out
    assert make.pool.in_use == 0


def test_the_fates_of_seed_2026_are_these():
    """A snapshot: changes when, and only when, the order of draws or the generator changes."""
    make = Maker()
    wire = make_wire(
        2026, delay=10**6, jitter=10**5, rate=10**9, queue_packets=100, mtu=1500,
        loss=int(0.02 * 2**64), burst_enter=int(0.01 * 2**64), burst_leave=int(0.3 * 2**64),
        burst_loss_bad=2**64 - 1, reorder=int(0.05 * 2**64), reorder_delay=10**5,
        duplicate=int(0.01 * 2**64), corrupt=int(0.03 * 2**64),
    )  # fmt: skip
    wire.trace = Trace()
    for i in range(500):
        wire.send(make.tcp(10 * MSS, gso=MSS), i * 115_000)
    got = arrivals(wire, NEVER - 1)
    drops = {drop.name: wire.drops[drop] for drop in Drop if wire.drops[drop]}
    assert drops == {"LINK_LOSS": 272, "LINK_QUEUE": 79}
    assert (wire.sent_packets, len(got)) == (5000, 4694)
    assert (wire.duplicated, wire.corrupted, wire.reordered) == (45, 133, 248)
    assert wire.trace.hexdigest() == "8ab6c029136efbc6cddf2f782ed04af8"
    assert balanced(wire)
