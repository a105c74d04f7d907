"""What a run comes to, as plain data: columns over time, who bit first, what clients saw. It goes between processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from pystack._fast.consts import SECOND
from pystack.traffic.latency import Latencies


@dataclass
class Column:
    """One limit over time."""

    name: str
    knob: str
    used: list[int] = field(default_factory=list)
    maximum: int | None = None
    high_water: int = 0
    failures: list[int] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How often it refused something."""
        return self.failures[-1] if self.failures else 0


@dataclass
class Bite:
    """A limit that refused something for the first time, between two looks at it."""

    host: str
    limit: str
    knob: str
    after: int
    before: int
    """ns."""
    used: int
    maximum: int | None


@dataclass
class Seen:
    """What one table of traffic saw."""

    name: str
    kind: str
    started: list[int] = field(default_factory=list)
    """So far, at each look; those that follow likewise."""
    answered: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    latencies: Latencies = field(default_factory=Latencies)
    in_flight: int = 0

    @property
    def total(self) -> int:
        """Ended well or not."""
        return self.answered[-1] + self.failed[-1] if self.answered else 0

    @property
    def success(self) -> float | None:
        """Share of those that ended; None where none did."""
        return self.answered[-1] / self.total if self.total else None


@dataclass
class Moment:
    """The machine when it was worst."""

    ns: int
    views: dict[str, str] = field(default_factory=dict)
    """Command -> what it printed, its head."""
    owners: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """Who owns the entries of the limit: by rule, by source, by state; most first."""
    chains: list[int] = field(default_factory=list)
    """How many chains of the table's hash have 0, 1, 2 … entries."""


@dataclass
class Result:
    """One run of a scenario. Times in ns of virtual time."""

    title: str
    host: str
    profile: str
    limit: str
    symptom: str
    seed: int
    settings: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    states: dict[str, list[int]] = field(default_factory=dict)
    limits: dict[str, Column] = field(default_factory=dict)
    clients: dict[str, Seen] = field(default_factory=dict)
    counted: list[str] = field(default_factory=list)
    """The tables of traffic whose success is the verdict."""
    log: list[tuple[int, str]] = field(default_factory=list)
    """The kernel's lines of the watched machine, and of its programs."""
    said: int = 0
    """How many lines there were; the newest are kept."""
    events: list[tuple[int, str]] = field(default_factory=list)
    """Faults, as they came."""
    bites: list[Bite] = field(default_factory=list)
    """In the order in which they came."""
    worst: Moment | None = None
    final_chains: list[int] = field(default_factory=list)
    """`Moment.chains` at the last look."""
    whole: bool = False
    """It was not interrupted."""
    wall: int = 0
    trace_hash: str = ""

    @property
    def suffering(self) -> float:
        """How much of the symptom there is: the less the better."""
        if self.symptom == "failures":
            return self.failed
        if self.symptom == "chain":
            return passed(self.final_chains)
        return self.states[self.symptom][-1] if self.symptom in self.states else 0

    @property
    def main(self) -> Column | None:
        """The limit that the story is about."""
        found = [one for name, one in self.limits.items() if name.startswith(self.limit)]
        return max(found, key=lambda one: (one.failed, one.high_water), default=None)

    @property
    def first(self) -> Bite | None:
        """The limit that bit first."""
        return self.bites[0] if self.bites else None

    @property
    def seen(self) -> list[Seen]:
        """The traffic that the verdict is about."""
        return [self.clients[name] for name in self.counted]

    @property
    def answered(self) -> int:
        """Of the traffic that counts."""
        return sum(one.answered[-1] for one in self.seen if one.answered)

    @property
    def failed(self) -> int:
        """Of the traffic that counts."""
        return sum(one.failed[-1] for one in self.seen if one.failed)

    @property
    def success(self) -> float:
        """Share of answers among all that ended; 1 where nobody asked."""
        total = self.answered + self.failed
        return self.answered / total if total else 1.0

    @property
    def errors(self) -> Counter[str]:
        """By the name of the errno, of the traffic that counts."""
        out: Counter[str] = Counter()
        for one in self.seen:
            out.update(one.errors)
        return out

    @property
    def latencies(self) -> Latencies:
        """Of the traffic that counts, from when each was due."""
        out = Latencies()
        for one in self.seen:
            for ns in one.latencies:
                out.add(ns)
        return out

    @property
    def first_failure(self) -> int | None:
        """When a client had failed for the first time, ns."""
        for number, ns in enumerate(self.times):
            if any(one.failed[number] for one in self.seen):
                return ns
        return None

    def late(self, share: float = 0.25) -> tuple[int, int]:
        """(answered, failed) in the last part of the run: how it stands at the end."""
        if not self.times:
            return 0, 0
        at = int(len(self.times) * (1 - share)) - 1
        begin = max(at, 0)
        good = sum(one.answered[-1] - one.answered[begin] for one in self.seen)
        return good, sum(one.failed[-1] - one.failed[begin] for one in self.seen)

    def high(self, state: str) -> int:
        """The most connections in a state at the same time."""
        return max(self.states.get(state, ()), default=0)

    @property
    def seconds(self) -> float:
        """Virtual time that was played."""
        return self.times[-1] / SECOND if self.times else 0.0

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        plain = asdict(self)
        for name, one in self.clients.items():
            plain["clients"][name]["latencies"] = one.latencies.summary()
            plain["clients"][name]["success"] = one.success
        first = asdict(self.first) if self.first else None
        plain |= {"answered": self.answered, "failed": self.failed, "success": self.success}
        return plain | {"first_bite": first, "latency": self.latencies.summary()}


def passed(chains: list[int]) -> float:
    """Entries that it takes to find one in a hash table, on the average: itself and half the others of its chain."""
    entries = sum(n * count for n, count in enumerate(chains))
    return sum(n * count * (n + 1) / 2 for n, count in enumerate(chains)) / (entries or 1)
