"""`Link`: a cable between two interfaces, in human units. The work is done in `_fast/wire.py`.

    link = net.link(web, client, delay="5ms", bandwidth="1Gbit/s", queue="64KiB", loss=0.01)
    link.loss = 0.1                     # both directions
    link.forward.delay = "20ms"         # from the first end to the second only
    link.partition(); link.heal()

Probabilities are floats or "1%"; every other quantity is an int or a string with its unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pystack import units
from pystack._fast.consts import Drop
from pystack._fast.rng import Rng
from pystack._fast.trace import Trace
from pystack._fast.wire import Wire
from pystack.addresses import parse_host

BOTH = "both"
FORWARD = "forward"
BACKWARD = "backward"


@dataclass(frozen=True, slots=True)
class Burst:
    """Bursty loss after Gilbert and Elliott: a good and a bad state, drawn anew with each packet.

    All are probabilities in [0, 1]. The mean length of a burst is 1 / `leave` packets, and the share of
    packets sent in the bad state enter / (enter + leave). Raises ValueError outside of the range.
    """

    enter: float
    """From good to bad."""
    leave: float
    """From bad to good."""
    loss: float = 1.0
    """Of a packet in the bad state."""
    loss_good: float = 0.0
    """Of a packet in the good state."""

    def __post_init__(self) -> None:
        for name in ("enter", "leave", "loss", "loss_good"):
            units.parse_probability(getattr(self, name), f"burst {name}")


@dataclass(frozen=True, slots=True)
class WireCounters:
    """What one direction did so far.

    sent + duplicated == delivered + sum of drops + in_flight, in packets. A super-segment counts as
    one packet where it passes whole, otherwise each of its pieces counts.
    """

    sent: int
    sent_octets: int
    delivered: int
    delivered_octets: int
    duplicated: int
    corrupted: int
    reordered: int
    in_flight: int
    drops: dict[str, int]
    """By name of the `Drop` reason, those that happened only."""


class Direction:
    """One direction of a link. Every setting may be changed at any time.

    A change acts on packets sent from then on, never on those on the way. Settings read back as
    numbers: times in ns, bandwidth in bit/s, sizes in octets, probabilities as floats. ValueError for
    what cannot be meant.
    """

    __slots__ = ("name", "wire")

    def __init__(self, name: str, wire: Wire) -> None:
        self.name = name
        self.wire = wire

    def __repr__(self) -> str:
        return f"<{self.name}: {self.describe()}>"

    def describe(self) -> str:
        """The settings that are not at their defaults, in one line."""
        said = []
        for name in _SETTINGS:
            value = getattr(self, name)
            if value != _SETTINGS[name]:
                form = _FORMS.get(name)
                said.append(f"{name} {form(value) if form else value}")
        if self.partitioned:
            said.append("partitioned")
        return ", ".join(said) or "ideal"

    def update(self, **settings: object) -> None:
        """Set several at once, all or (when one of them is wrong) none.

        Raises TypeError for a name that is no setting.
        """
        _check_names(settings)
        before = {name: getattr(self, name) for name in settings}
        try:
            for name, value in settings.items():
                setattr(self, name, value)
        except ValueError:
            for name, value in before.items():
                setattr(self, name, value)
            raise

    @property
    def delay(self) -> int:
        """Propagation time. "5ms", or int ns."""
        return int(self.wire.delay)

    @delay.setter
    def delay(self, value: int | str) -> None:
        self.wire.delay = units.parse_time(value, "delay")

    @property
    def jitter(self) -> int:
        """Each packet takes up to this much longer, evenly spread; order is kept."""
        return int(self.wire.jitter)

    @jitter.setter
    def jitter(self, value: int | str) -> None:
        self.wire.jitter = units.parse_time(value, "jitter")

    @property
    def bandwidth(self) -> int:
        """Bits per second of the transmitter, 0 for no limit. "100Mbit/s", or int bit/s."""
        return int(self.wire.rate)

    @bandwidth.setter
    def bandwidth(self, value: int | str) -> None:
        rate = units.parse_rate(value, "bandwidth")
        if rate > 10**15:
            raise ValueError(f"bandwidth {value!r} is more than 1000Tbit/s; 0 means no limit")
        self.wire.rate = rate

    @property
    def queue(self) -> int | str | None:
        """What may wait for the transmitter: 100 (packets), "64KiB" (octets), None for no limit."""
        if self.wire.queue_octets:
            return units.format_size(self.wire.queue_octets)
        return int(self.wire.queue_packets) or None

    @queue.setter
    def queue(self, value: int | str | None) -> None:
        packets = octets = 0
        if isinstance(value, str):
            octets = units.parse_size(value, "queue")
            if not octets:
                raise ValueError(f"queue {value!r} holds nothing; None means no limit")
        elif value is not None:
            if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
                raise ValueError(
                    f"queue {value!r}: give packets (100), octets ('64KiB') or None for no limit"
                )
            packets = value
        self.wire.queue_packets = packets
        self.wire.queue_octets = octets

    @property
    def loss(self) -> float:
        """Probability that a packet is lost, each by itself. 0.01 or "1%"."""
        return units.probability(self.wire.loss)

    @loss.setter
    def loss(self, value: float | str) -> None:
        self.wire.loss = units.threshold(units.parse_probability(value, "loss"))

    @property
    def burst(self) -> Burst | None:
        """Loss in bursts; comes on top of `loss`. None switches it off."""
        wire = self.wire
        if not wire.burst_enter:
            return None
        return Burst(
            units.probability(wire.burst_enter),
            units.probability(wire.burst_leave),
            units.probability(wire.burst_loss_bad),
            units.probability(wire.burst_loss_good),
        )

    @burst.setter
    def burst(self, value: Burst | None) -> None:
        if value is not None and not isinstance(value, Burst):
            raise ValueError(f"burst {value!r} is not a Burst or None")
        wire = self.wire
        wire.burst_enter = units.threshold(value.enter) if value else 0
        wire.burst_leave = units.threshold(value.leave) if value else 0
        wire.burst_loss_bad = units.threshold(value.loss) if value else 0
        wire.burst_loss_good = units.threshold(value.loss_good) if value else 0
        wire.burst_bad = False

    @property
    def reorder(self) -> float:
        """Probability that a packet takes `reorder_delay` longer, so that others overtake it."""
        return units.probability(self.wire.reorder)

    @reorder.setter
    def reorder(self, value: float | str) -> None:
        self.wire.reorder = units.threshold(units.parse_probability(value, "reorder"))

    @property
    def reorder_delay(self) -> int:
        """How much longer a reordered packet takes; 1 ms unless set."""
        return int(self.wire.reorder_delay)

    @reorder_delay.setter
    def reorder_delay(self, value: int | str) -> None:
        self.wire.reorder_delay = units.parse_time(value, "reorder_delay")

    @property
    def duplicate(self) -> float:
        """Probability that a packet arrives twice."""
        return units.probability(self.wire.duplicate)

    @duplicate.setter
    def duplicate(self, value: float | str) -> None:
        self.wire.duplicate = units.threshold(units.parse_probability(value, "duplicate"))

    @property
    def corrupt(self) -> float:
        """Probability that one bit of a packet is inverted on the way."""
        return units.probability(self.wire.corrupt)

    @corrupt.setter
    def corrupt(self, value: float | str) -> None:
        self.wire.corrupt = units.threshold(units.parse_probability(value, "corrupt"))

    @property
    def mtu(self) -> int:
        """Larger packets vanish, without a word to the sender; 0 for no limit."""
        return int(self.wire.mtu)

    @mtu.setter
    def mtu(self, value: int | str) -> None:
        octets = units.parse_size(value, "mtu")
        if octets and not 68 <= octets <= 65535:
            raise ValueError(f"mtu {value!r} is not between 68 (RFC 791) and 65535 octets")
        self.wire.mtu = octets

    @property
    def offload(self) -> bool:
        """Whether super-segments may pass whole, where nothing acts on packets one by one."""
        return bool(self.wire.offload)

    @offload.setter
    def offload(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise ValueError(f"offload {value!r} is not True or False")
        self.wire.offload = value

    @property
    def partitioned(self) -> bool:
        """Whether everything sent is dropped."""
        return bool(self.wire.partitioned)

    @property
    def counters(self) -> WireCounters:
        """A snapshot."""
        wire = self.wire
        return WireCounters(
            sent=int(wire.sent_packets),
            sent_octets=int(wire.sent_octets),
            delivered=int(wire.delivered_packets),
            delivered_octets=int(wire.delivered_octets),
            duplicated=int(wire.duplicated),
            corrupted=int(wire.corrupted),
            reordered=int(wire.reordered),
            in_flight=int(wire.in_flight),
            drops={drop.name: int(wire.drops[drop]) for drop in Drop if wire.drops[drop]},
        )


_SETTINGS: dict[str, object] = {
    "delay": 0,
    "jitter": 0,
    "bandwidth": 0,
    "queue": None,
    "loss": 0.0,
    "burst": None,
    "reorder": 0.0,
    "reorder_delay": 1_000_000,
    "duplicate": 0.0,
    "corrupt": 0.0,
    "mtu": 0,
    "offload": True,
}
"""Every setting of a direction and its default, in the order in which they are shown."""

_FORMS = {
    "delay": units.format_time,
    "jitter": units.format_time,
    "reorder_delay": units.format_time,
    "bandwidth": units.format_rate,
}


def _check_names(settings: dict[str, object]) -> None:
    for name in settings:
        if name not in _SETTINGS:
            raise TypeError(f"a link has no {name!r}; it has {', '.join(_SETTINGS)}")


def _end(end: tuple[str, int]) -> int:
    """The number by which a wire knows an address and port."""
    host, port = end
    return parse_host(host) << 16 | port


class _Both:
    """A setting of a `Link`: reads as one value where both directions agree, as a pair otherwise."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.__doc__ = (getattr(Direction, name).__doc__ or "") + " Sets both directions."

    def __get__(self, link: Link | None, owner: type[Link]) -> object:
        if link is None:
            return self
        one, two = (getattr(way, self._name) for way in (link.forward, link.backward))
        return one if one == two else (one, two)

    def __set__(self, link: Link, value: object) -> None:
        setattr(link.forward, self._name, value)
        setattr(link.backward, self._name, value)


class Link:
    """Two directions between the ends `a` and `b`; `forward` carries from `a` to `b`.

    `**settings` are those of `Direction` and go for both. Each direction draws from a stream of its own
    out of `seed` and its own wire number, so a setting of one never changes what befalls the other.
    Wire numbers are 2 * `number` and 2 * `number` + 1.

    Raises ValueError for a value that cannot be meant, TypeError for a name that is no setting.
    """

    delay = _Both("delay")
    jitter = _Both("jitter")
    bandwidth = _Both("bandwidth")
    queue = _Both("queue")
    loss = _Both("loss")
    burst = _Both("burst")
    reorder = _Both("reorder")
    reorder_delay = _Both("reorder_delay")
    duplicate = _Both("duplicate")
    corrupt = _Both("corrupt")
    mtu = _Both("mtu")
    offload = _Both("offload")

    def __init__(
        self,
        a: str,
        b: str,
        *,
        seed: int = 0,
        number: int = 0,
        trace: Trace | None = None,
        **settings: object,
    ) -> None:
        self.a = a
        self.b = b
        root = Rng(seed)
        ways = []
        for side, (start, end) in enumerate(((a, b), (b, a))):
            wire_number = 2 * number + side
            rng = root.fork(b"wire %d" % wire_number)
            ways.append(Direction(f"{start} -> {end}", Wire(rng, wire_number, trace)))
        self.forward, self.backward = ways
        self.update(**settings)

    def __repr__(self) -> str:
        there, back = self.forward.describe(), self.backward.describe()
        said = there if there == back else f"forward {there}; backward {back}"
        return f"<Link {self.a} - {self.b}: {said}>"

    def update(self, **settings: object) -> None:
        """Set several at once in both directions, all or (when one of them is wrong) none."""
        self.forward.update(**settings)
        self.backward.update(**settings)

    def ways(self, direction: str = BOTH) -> tuple[Direction, ...]:
        """The directions that "both", "forward" or "backward" means."""
        if direction == BOTH:
            return (self.forward, self.backward)
        if direction == FORWARD:
            return (self.forward,)
        if direction == BACKWARD:
            return (self.backward,)
        raise ValueError(f"direction {direction!r} is not 'both', 'forward' or 'backward'")

    def partition(self, direction: str = BOTH) -> None:
        """Drop everything that is sent from now on. What is on the way arrives."""
        for way in self.ways(direction):
            way.wire.partitioned = True

    def heal(self, direction: str = BOTH) -> None:
        """End a partition, and every `cut`."""
        for way in self.ways(direction):
            way.wire.partitioned = False
            way.wire.severed = None

    def cut(self, end: tuple[str, int]) -> None:
        """Drop what comes from or goes to one address and port: the line of one caller among many that share a link.

        Until `mend` or `heal`.
        """
        number = _end(end)
        for way in self.ways():
            wire: Any = way.wire
            if wire.severed is None:
                wire.severed = set()
            wire.severed.add(number)

    def mend(self, end: tuple[str, int]) -> None:
        """End a `cut`."""
        number = _end(end)
        for way in self.ways():
            wire: Any = way.wire
            wire.severed = {end for end in wire.severed or () if end != number} or None

    @property
    def partitioned(self) -> bool:
        """Whether either direction is partitioned."""
        return self.forward.partitioned or self.backward.partitioned

    @property
    def in_flight(self) -> int:
        """Packets on the way, both directions."""
        return int(self.forward.wire.in_flight) + int(self.backward.wire.in_flight)

    def clear(self) -> None:
        """Drop everything on the way, in both directions (`NO_DEVICE` in the counters)."""
        self.forward.wire.clear()
        self.backward.wire.clear()
