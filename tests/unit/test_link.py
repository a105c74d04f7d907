"""The face of a link: human units in, numbers out, both directions or one."""

import pytest
from wire_kit import Maker, arrivals

from pystack import units
from pystack._fast.consts import NEVER
from pystack._fast.trace import Trace
from pystack.link import Burst, Link


@pytest.fixture
def link() -> Link:
    return Link("web", "client", seed=7)


def test_settings_go_to_both_wires():
    link = Link(
        "web", "client", delay="5ms", jitter="1ms", bandwidth="1Gbit/s", queue="64KiB", loss="1%",
        burst=Burst(0.01, 0.25), reorder=0.02, reorder_delay="3ms", duplicate=0.03, corrupt=0.04,
        mtu=1500, offload=False,
    )  # fmt: skip
    for wire in (link.forward.wire, link.backward.wire):
        assert (wire.delay, wire.jitter, wire.rate) == (5_000_000, 1_000_000, 10**9)
        assert (wire.queue_packets, wire.queue_octets) == (0, 65536)
        assert wire.loss == units.threshold(0.01)
        assert wire.burst_enter == units.threshold(0.01)
        assert wire.burst_leave == units.threshold(0.25)
        assert wire.burst_loss_bad == 2**64 - 1
        assert wire.burst_loss_good == 0
        assert wire.reorder == units.threshold(0.02)
        assert wire.reorder_delay == 3_000_000
        assert wire.duplicate == units.threshold(0.03)
        assert wire.corrupt == units.threshold(0.04)
        assert (wire.mtu, wire.offload) == (1500, False)


def test_settings_read_back_as_numbers(link: Link):
    link.delay = "5ms"
    link.loss = 0.1
    link.bandwidth = "100kbit/s"
    link.burst = Burst(0.5, 1.0, 0.75, 0.125)
    assert (link.delay, link.loss, link.bandwidth) == (5_000_000, 0.1, 100_000)
    assert link.burst == Burst(0.5, 1.0, 0.75, 0.125)
    link.burst = None
    assert link.burst is None


def test_one_direction_can_differ(link: Link):
    link.delay = "5ms"
    link.forward.delay = "20ms"
    assert link.backward.delay == 5_000_000
    assert link.delay == (20_000_000, 5_000_000)
    assert repr(link) == "<Link web - client: forward delay 20ms; backward delay 5ms>"
    link.delay = 0
    assert repr(link) == "<Link web - client: ideal>"


def test_the_queue_takes_packets_octets_or_none(link: Link):
    for value, packets, octets in ((100, 100, 0), ("64KiB", 0, 65536), (None, 0, 0)):
        link.queue = value
        wire = link.forward.wire
        assert (wire.queue_packets, wire.queue_octets, link.queue) == (packets, octets, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("delay", 0.005),
        ("delay", "5"),
        ("delay", "-1ms"),
        ("jitter", "fast"),
        ("bandwidth", "1Gb"),
        ("bandwidth", "2000Tbit/s"),
        ("queue", 0),
        ("queue", "0B"),
        ("queue", True),
        ("queue", 1.5),
        ("queue", "64K"),
        ("loss", 2),
        ("burst", 0.1),
        ("reorder", -0.5),
        ("reorder_delay", "1"),
        ("duplicate", "one"),
        ("corrupt", 1.5),
        ("mtu", 67),
        ("mtu", 65536),
        ("offload", 1),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(link: Link, name: str, value: object):
    before = repr(link)
    with pytest.raises(ValueError, match=name):
        setattr(link, name, value)
    with pytest.raises(ValueError, match=name):
        link.update(**{name: value})
    with pytest.raises(ValueError, match=name):
        Link("a", "b", **{name: value})
    assert repr(link) == before


def test_of_several_settings_with_one_wrong_none_is_set(link: Link):
    with pytest.raises(ValueError, match="loss"):
        link.update(delay="5ms", queue=10, loss=7)
    assert (link.delay, link.queue, link.loss) == (0, None, 0.0)


def test_the_limits_of_the_mtu(link: Link):
    for value in (68, 65535, 0):
        link.mtu = value
        assert link.mtu == value


def test_a_name_that_is_no_setting_is_a_type_error():
    with pytest.raises(TypeError, match="no 'latency'; it has delay, jitter"):
        Link("a", "b", latency="5ms")


def test_burst_checks_its_probabilities():
    with pytest.raises(ValueError, match="burst leave"):
        Burst(0.1, 2)


def test_partition_and_heal(link: Link):
    for direction, forward, backward in (
        ("both", True, True),
        ("forward", True, False),
        ("backward", False, True),
    ):
        link.partition(direction)
        assert (link.forward.partitioned, link.backward.partitioned) == (forward, backward)
        assert link.partitioned
        link.heal()
        assert not link.partitioned
    link.partition()
    link.heal("forward")
    assert (link.forward.partitioned, link.backward.partitioned) == (False, True)
    with pytest.raises(ValueError, match="'up' is not 'both', 'forward' or 'backward'"):
        link.partition("up")
    assert "backward partitioned" in repr(link)


def test_counters_speak_names(link: Link):
    make = Maker()
    link.update(delay="1ms", mtu=1500)
    link.forward.wire.send(make.tcp(10), 0)
    link.forward.wire.send(make.tcp(2000), 0)
    link.forward.wire.send(make.tcp(20), 5_000_000)
    p = link.forward.wire.deliver(1_000_000)
    p.release()
    counters = link.forward.counters
    assert (counters.sent, counters.delivered, counters.in_flight) == (3, 1, 1)
    assert (counters.sent_octets, counters.delivered_octets) == (50 + 2040 + 60, 50)
    assert counters.drops == {"LINK_MTU": 1}
    assert link.backward.counters.sent == 0
    assert link.in_flight == 1
    link.clear()
    assert link.forward.counters.drops == {"LINK_MTU": 1, "NO_DEVICE": 1}
    assert make.pool.in_use == 0


def fates(link: Link, direction: str) -> list[int]:
    make = Maker()
    (way,) = link.ways(direction)
    for seq in range(200):
        way.wire.send(make.tcp(0, seq), 0)
    got = [int.from_bytes(data[24:28], "big") for _, data in arrivals(way.wire, NEVER - 1)]
    assert make.pool.in_use == 0
    return got


def test_directions_and_links_have_their_own_chances():
    runs = [
        fates(Link("a", "b", seed=seed, number=number, loss=0.5), direction)
        for seed, number, direction in (
            (1, 0, "forward"), (1, 0, "backward"), (1, 1, "forward"), (2, 0, "forward"),
            (1, 0, "forward"),
        )
    ]  # fmt: skip
    assert runs[0] == runs[4]
    assert len({tuple(run) for run in runs}) == 4


def test_a_feature_of_one_direction_does_not_disturb_the_other():
    plain = Link("a", "b", seed=1, loss=0.5)
    busy = Link("a", "b", seed=1, loss=0.5)
    busy.backward.update(jitter="1ms", duplicate=0.5, corrupt=0.5)
    fates(busy, "backward")
    assert fates(plain, "forward") == fates(busy, "forward")


def test_wires_carry_their_number_into_the_trace():
    trace = Trace()
    link = Link("a", "b", number=3, trace=trace)
    assert (link.forward.wire.number, link.backward.wire.number) == (6, 7)
    assert link.forward.wire.trace is link.backward.wire.trace is trace
    fates(link, "forward")
    assert trace.packets == 200
