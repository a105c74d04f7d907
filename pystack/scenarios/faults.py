"""What goes wrong in a scenario: at its time, or when the watched limit is so full."""

from __future__ import annotations

from pystack.scenarios.model import FaultTable, Scenario
from pystack.scenarios.world import World
from pystack.units import format_time


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
                self.world.net.call_later(table.at, self._come, name, table)

    def look(self, share: float) -> None:
        """The limit is so full now."""
        for name, table in list(self._waiting.items()):
            if table.when is not None and share >= table.when:
                del self._waiting[name]
                self._come(name, table)

    def _say(self, text: str) -> None:
        self.events.append((self.world.net.now, text))

    def _come(self, name: str, table: FaultTable) -> None:
        world = self.world
        self._say(f"{name}: {_words(table)}")
        for link in world.links[table.link] if table.link else ():
            if table.kind == "partition":
                link.partition()
            else:
                link.loss = table.loss
        if table.kind == "kill" and table.service:
            for service in world.services[table.service]:
                service.stop()
        elif table.kind == "forget" and table.host:
            world.command(table.host, "conntrack -F")
        elif table.kind == "command" and table.host:
            said = world.command(table.host, table.command).strip()
            if said:
                self._say(said.splitlines()[0])
        if table.lasting is not None:
            world.net.call_later(table.lasting, self._end, name, table)

    def _end(self, name: str, table: FaultTable) -> None:
        self._say(f"{name}: over")
        for link in self.world.links[table.link] if table.link else ():
            if table.kind == "partition":
                link.heal()
            else:
                link.loss = self.world.scenario.links[table.link or ""].loss
        if table.kind == "kill" and table.service:
            self.world.serve(table.service)


def _words(table: FaultTable) -> str:
    """A fault in words."""
    lasting = f" for {format_time(table.lasting)}" if table.lasting else ""
    return {
        "partition": f"{table.link} carries nothing{lasting}",
        "loss": f"{table.link} loses {table.loss}{lasting}",
        "kill": f"{table.service} is killed{lasting}",
        "forget": f"{table.host} forgets its flows",
        "command": f"{table.host}# {table.command}",
    }[table.kind]
