"""What goes wrong in a scenario: at its time, or when the watched limit is so full."""

from __future__ import annotations

from collections.abc import Callable

from pystack.scenarios.fault_kinds import FaultTable
from pystack.scenarios.model import Scenario
from pystack.scenarios.world import World


class Faults:
    """The faults of one run. `events` gets a line when one comes, and when it ends."""

    def __init__(self, scenario: Scenario, world: World, events: list[tuple[int, str]]) -> None:
        self.world = world
        self.events = events
        self._tables = scenario.faults
        self._waiting = {n: t for n, t in self._tables.items() if t.when is not None}

    def start(self) -> None:
        """Those with a time come at it."""
        for name, table in self._tables.items():
            if table.at is not None:
                self.world.net.call_later(table.at, self._due, name, table)

    def look(self, share: float) -> None:
        """The limit is so full now."""
        for name, table in list(self._waiting.items()):
            if table.when is not None and share >= table.when:
                del self._waiting[name]
                self._due(name, table)

    def _say(self, text: str) -> None:
        self.events.append((self.world.net.now, text))

    def _due(self, name: str, table: FaultTable) -> None:
        self._running(table, self._come, name, table)

    def _past(self, name: str, table: FaultTable) -> None:
        self._running(table, self._end, name, table)

    def _running(self, table: FaultTable, call: Callable[..., object], *args: object) -> None:
        """Call, or when its machine goes on."""
        machine = table.machine(self.world.scenario) if table.waits else ""
        self.world.once_running(machine, call, *args)

    def _come(self, name: str, table: FaultTable) -> None:
        self._say(f"{name}: {table.words}")
        said = table.come(self.world).strip()
        if said:
            self._say(said.splitlines()[0])
        if table.lasts is not None:
            self.world.net.call_later(table.lasts, self._past, name, table)

    def _end(self, name: str, table: FaultTable) -> None:
        self._say(f"{name}: over")
        table.over(self.world)
