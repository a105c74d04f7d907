"""A scenario in virtual time: built, let go, looked at each `sample`, and answered with a `Result`.

result = run(load("fin-wait-2-ipfw"), seed=1)

playing = Play(scenario)
for _ in playing:              # one look each; stop whenever you like
    print(playing.result.answered)
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from pystack.host import Host
from pystack.limits import Limit
from pystack.scenarios.faults import Faults
from pystack.scenarios.model import Scenario
from pystack.scenarios.owners import chains, owners, state_names
from pystack.scenarios.result import Bite, Column, Moment, Result, Seen, passed
from pystack.scenarios.world import World
from pystack.services import HttpService
from pystack.views.tools import UsageError

KEPT = 1000
"""Lines of the log."""
HEAD = 24
"""Lines of a view."""
WORSE = {"failures": 1.5, "chain": 2.0}
"""How many times as bad it must be for another picture of the worst moment; as a chain for states."""
AT_LAST = 1.1
"""The same at the end of the run."""
BAD, FAILS = 0.95, 0.3
"""How bad for the first one: 1 is a full table, or that nobody is answered. Less is enough where somebody fails."""


class Play:
    """One run. Iterate over it: each step is one look later. `result` is what is known so far."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        seed: int | None = None,
        for_: int | None = None,
        views: bool = True,
        pcap: str | os.PathLike[str] | None = None,
        settings: list[str] | None = None,
    ) -> None:
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        self.world = World(scenario, self.seed, record=pcap is not None)
        self.end = scenario.lasting if for_ is None else for_
        self.views = views
        self.pcap = pcap
        watch = scenario.watch
        counted = watch.clients or [n for n, t in scenario.traffic.items() if t.asks]
        profile = self.world.watched.profile.name
        self.result = Result(
            scenario.title,
            watch.host,
            profile,
            watch.limit,
            watch.symptom,
            self.seed,
            list(settings or ()),
        )
        self.result.counted = counted
        self.now_limits: list[Limit] = []
        self.faults = Faults(scenario, self.world, self.result.events)
        self._logged = 0
        self._worst = 0.0

    def __iter__(self) -> Iterator[Result]:
        net, result = self.world.net, self.result
        began = time.perf_counter_ns()
        for name, table in self.scenario.traffic.items():
            result.clients[name] = Seen(name, table.kind)
        self.world.start()
        self.faults.start()
        with net.capture(self.pcap) if self.pcap is not None else nullcontext(), seldom_collected():
            while net.now < self.end:
                net.run(for_=min(self.scenario.sample, self.end - net.now))
                self._look()
                result.wall = time.perf_counter_ns() - began
                yield result
        if self.views and self._badness() > self._worst * AT_LAST:
            result.worst = self.moment()
        result.whole = True
        result.trace_hash = net.trace_hash()

    # --- one look ------------------------------------------------------------------------------------

    def _look(self) -> None:
        host, result = self.world.watched, self.result
        before = result.times[-1] if result.times else 0
        looks = len(result.times)
        result.times.append(self.world.net.now)
        states = host.tcp_states()
        for name in {*states, *result.states}:
            result.states.setdefault(name, [0] * looks).append(states.get(name, 0))
        self.now_limits = host.limits()
        for limit in self.now_limits:
            self._limit(limit, looks, before)
        for column in result.limits.values():
            if len(column.used) <= looks:  # it is gone: a listener, a process
                column.used.append(0)
                column.failures.append(column.failed)
        self._clients()
        self._log()
        self.faults.look(self._share())
        if result.symptom == "chain":
            result.final_chains = self._chains()
        if self.views:
            self._picture()

    def _limit(self, limit: Limit, looks: int, before: int) -> None:
        result = self.result
        column = result.limits.get(limit.name)
        if column is None:
            column = result.limits[limit.name] = Column(limit.name, limit.knob, [0] * looks)
            column.failures = [0] * looks
        if limit.failures and not column.failed:
            now = result.times[-1]
            if limit.failures == 1 and limit.last_failure is not None:
                before = now = self.world.watched.when(limit.last_failure)
            place = (result.host, limit.name, limit.knob)
            result.bites.append(Bite(*place, before, now, limit.used, limit.maximum))
        column.used.append(limit.used)
        column.maximum = limit.maximum
        column.high_water = limit.high_water
        column.failures.append(limit.failures)

    def _clients(self) -> None:
        for name, made in self.world.traffic.items():
            seen = self.result.clients[name]
            now = made.tally()
            seen.started.append(now.started)
            seen.answered.append(now.answered)
            seen.failed.append(now.failed)
            seen.errors, seen.latencies = dict(now.errors), now.latencies
            seen.in_flight = now.in_flight

    def _log(self) -> None:
        result, log = self.result, self.world.watched.log
        lines = list(log.entries)
        for services in self.world.services.values():
            for service in services:
                if isinstance(service, HttpService) and service.host is self.world.watched:
                    lines += list(service.log)
        result.said = len(lines)
        if len(lines) != self._logged or len(lines) >= KEPT:
            self._logged = len(lines)
            newest = sorted(lines, key=lambda line: line[0])[-KEPT:]
            result.log = [(self.world.watched.when(ns), text) for ns, text in newest]

    # --- the worst moment ----------------------------------------------------------------------------

    def _share(self) -> float:
        """How full the limit is."""
        main = self.result.main
        return main.used[-1] / main.maximum if main and main.maximum else 0.0

    def _failing(self) -> float:
        """Of those who ended since the look before, how many failed; where few did, of as many as usual."""
        seen = self.result.seen
        fresh = sum(_newest(one.failed) for one in seen)
        ended = fresh + sum(_newest(one.answered) for one in seen)
        usual = sum(one.total for one in seen) / len(self.result.times)
        return fresh / (max(ended, usual) or 1)

    def _chains(self) -> list[int]:
        main = self.result.main
        return chains(self.world.watched, main.name if main else self.result.limit)

    def _badness(self) -> float:
        """How bad it is, in terms of the question: entries that a look-up passes, connections in the state, or how full
        the limit is and how many fail.
        """
        result = self.result
        if result.symptom == "failures":
            return self._share() + self._failing()
        if result.symptom == "chain":
            return passed(result.final_chains)
        return float(result.states[result.symptom][-1]) if result.symptom in result.states else 0.0

    def _picture(self) -> None:
        """The machine as it is now, where it never was so bad."""
        symptom = self.result.symptom
        badness = self._badness()
        least = 1.0
        if symptom == "failures":
            least = FAILS if self._failing() else BAD
        if badness > max(self._worst * WORSE.get(symptom, WORSE["chain"]), least):
            self._worst = badness
            self.result.worst = self.moment()

    def moment(self) -> Moment:
        """The watched machine as it stands."""
        watch, main = self.scenario.watch, self.result.main
        states = summary(self.world.watched)
        moment = Moment(self.world.net.now, {SUMMARY: states} if states else {})
        for line in watch.views:
            try:
                text = self.world.command(watch.host, line)
            except UsageError as error:
                text = str(error)
            lines = text.splitlines()
            more = [f"… {len(lines) - HEAD:,} more lines"] if len(lines) > HEAD else []
            moment.views[line] = "\n".join(lines[:HEAD] + more)
        host = self.world.watched
        moment.owners = owners(host, main.name if main else watch.limit)
        moment.chains = self._chains()
        return moment


SUMMARY = "netstat -an | awk '/^tcp/ { print $6 }' | sort | uniq -c"


def summary(host: Host) -> str:
    """What that prints: how many connections are in each state, by the names of the system's netstat."""
    counts = zip(state_names(host), host.core.tcp_states(), strict=True)
    width = 7 if host.system == "linux" else 4
    return "\n".join(f"{n:{width}} {name}" for name, n in sorted(counts) if n)


def _newest(column: list[int]) -> int:
    """What was added at the last look."""
    return column[-1] - (column[-2] if len(column) > 1 else 0)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Python looks for cycles less often: a run has hundreds of thousands of objects and hardly any."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def run(
    scenario: Scenario,
    *,
    seed: int | None = None,
    for_: int | None = None,
    views: bool = True,
    pcap: str | os.PathLike[str] | None = None,
    settings: list[str] | None = None,
) -> Result:
    """The whole of it. `settings` are what the scenario was changed by, for whoever reads the result."""
    playing = Play(scenario, seed=seed, for_=for_, views=views, pcap=pcap, settings=settings)
    for _ in playing:
        pass
    return playing.result
