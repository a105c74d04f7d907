"""What goes wrong: each kind of fault is a table of the file, and does it to the machines of a run."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Tag

from pystack.network import CLOCKS
from pystack.scenarios.fields import (
    TAG,
    Number,
    Share,
    Shift,
    Span,
    Table,
    Time,
    kind_of,
    one_of,
)
from pystack.units import format_time

if TYPE_CHECKING:
    from pystack.scenarios.model import Scenario
    from pystack.scenarios.world import World


class FaultTable(Table):
    """It comes `at` a time, or `when` the limit of the watched machine is so full."""

    at: Time | None = None
    when: Share | None = None

    def model_post_init(self, _: Any) -> None:
        """A fault comes once."""
        if (self.at is None) == (self.when is None):
            raise ValueError("give at (a time) or when (how full the limit is)")

    @property
    def lasts(self) -> int | None:
        """How long, ns; None: it happens, and that is all."""
        return None

    def machine(self, scenario: Scenario) -> str:
        """The table of hosts to which it happens; "" for none."""
        return ""

    waits: ClassVar[bool] = True
    """Does it wait until that goes on, where it is paused?"""

    @property
    @abstractmethod
    def words(self) -> str:
        """What happens."""

    @abstractmethod
    def come(self, world: World) -> str:
        """It happens; what a machine says to it."""

    def over(self, world: World) -> None:
        """It ends."""


class LastingTable(FaultTable):
    """It ends by itself when it was `lasting` so long."""

    lasting: Span | None = None

    @property
    def lasts(self) -> int | None:
        return self.lasting

    @property
    def span(self) -> str:
        """How long, in words."""
        return f" for {format_time(self.lasting)}" if self.lasting else ""


class PartitionTable(LastingTable):
    """A link carries nothing."""

    kind: Literal["partition"]
    link: str

    @property
    def words(self) -> str:
        return f"{self.link} carries nothing{self.span}"

    def come(self, world: World) -> str:
        for link in world.links[self.link]:
            link.partition()
        return ""

    def over(self, world: World) -> None:
        for link in world.links[self.link]:
            link.heal()


class LossTable(LastingTable):
    """A link loses packets."""

    kind: Literal["loss"]
    link: str
    loss: float | str

    @property
    def words(self) -> str:
        return f"{self.link} loses {self.loss}{self.span}"

    def come(self, world: World) -> str:
        for link in world.links[self.link]:
            link.loss = self.loss
        return ""

    def over(self, world: World) -> None:
        for link in world.links[self.link]:
            link.loss = world.scenario.links[self.link].loss


class KillTable(LastingTable):
    """A service is killed, and begins anew."""

    kind: Literal["kill"]
    service: str

    def machine(self, scenario: Scenario) -> str:
        return scenario.services[self.service].host

    @property
    def words(self) -> str:
        return f"{self.service} is killed{self.span}"

    def come(self, world: World) -> str:
        for service in world.services[self.service]:
            service.process.go_on()  # SIGKILL ends a program that is stopped too
            service.stop()
        return ""

    def over(self, world: World) -> None:
        world.serve(self.service)


class ForgetTable(FaultTable):
    """A firewall loses its flows."""

    kind: Literal["forget"]
    host: str

    def machine(self, scenario: Scenario) -> str:
        return self.host

    @property
    def words(self) -> str:
        return f"{self.host} forgets its flows"

    def come(self, world: World) -> str:
        return world.command(self.host, "conntrack -F")


class CommandTable(FaultTable):
    """A line for the host's shell: sysctl NAME=VALUE, ipfw …, iptables …, conntrack …."""

    kind: Literal["command"]
    host: str
    command: str

    def machine(self, scenario: Scenario) -> str:
        return self.host

    @property
    def words(self) -> str:
        return f"{self.host}# {self.command}"

    def come(self, world: World) -> str:
        return world.command(self.host, self.command)


class PauseTable(LastingTable):
    """A machine executes nothing for a time (a virtual machine that is moved, a host that is too busy), or a program
    does not (SIGSTOP, a garbage collector) while its system goes on.

    Of a machine: its `clock` "ran" meanwhile, and all that has come due fires at once; or it "stood", and the machine
    knows of nothing. `ring` packets wait at its network card.
    """

    kind: Literal["pause"]
    host: str | None = None
    service: str | None = None
    lasting: Span
    clock: Annotated[str, one_of(*CLOCKS)] | None = None
    ring: Number | None = None

    def model_post_init(self, context: Any) -> None:
        """A machine or a program."""
        super().model_post_init(context)
        if (self.host is None) == (self.service is None):
            raise ValueError("pause needs host (a machine) or service (a program on it)")
        if self.service is not None and (self.clock is not None or self.ring is not None):
            raise ValueError("clock and ring are a machine's: a program that stops has neither")

    waits: ClassVar[bool] = False

    def machine(self, scenario: Scenario) -> str:
        return scenario.services[self.service].host if self.service else self.host or ""

    @property
    def words(self) -> str:
        if self.service is not None:
            return f"{self.service} is stopped{self.span}"
        stood = ", and so does its clock" if self.clock == "stood" else ""
        return f"{self.host} stands still{self.span}{stood}"

    def come(self, world: World) -> str:
        key = ("service", self.service) if self.service is not None else ("host", self.host)
        world.pauses[key] += 1
        if world.pauses[key] == 1:
            for service in world.services[self.service] if self.service is not None else ():
                service.process.stop()
            for host in world.hosts[self.host] if self.host is not None else ():
                world.net.pause(host, ring=256 if self.ring is None else self.ring)
        return ""

    def over(self, world: World) -> None:
        key = ("service", self.service) if self.service is not None else ("host", self.host)
        world.pauses[key] -= 1
        if not world.pauses[key]:
            for service in world.services[self.service] if self.service is not None else ():
                service.process.go_on()
            for host in world.hosts[self.host] if self.host is not None else ():
                world.net.resume(host, clock=self.clock or CLOCKS[0])


class ClockJumpTable(FaultTable):
    """The clock of a machine jumps `by` so much. The "monotonic" one, only ahead: of that time the machine has seen
    nothing, and all that has come due fires at once. Or the "wall" clock is set, ahead or back: no timer of the kernel
    looks at it, but programs may.
    """

    kind: Literal["clock-jump"]
    host: str
    by: Shift
    clock: Annotated[str, one_of("monotonic", "wall")] = "monotonic"

    def model_post_init(self, context: Any) -> None:
        """No clock that is monotonic goes back."""
        super().model_post_init(context)
        if not self.by or (self.clock == "monotonic" and self.by < 0):
            raise ValueError("by: a monotonic clock jumps ahead only; the wall clock may go back")

    def machine(self, scenario: Scenario) -> str:
        return self.host

    @property
    def words(self) -> str:
        way = f"{'ahead' if self.by > 0 else 'back'} by {format_time(abs(self.by))}"
        clock = "wall clock is set" if self.clock == "wall" else "clock jumps"
        return f"the {clock} {way} on {self.host}"

    def come(self, world: World) -> str:
        for host in world.hosts[self.host]:
            if self.clock == "wall":
                host.set_clock(self.by)
            else:
                world.net.jump(host, self.by)
        return ""


AnyFault = Annotated[
    Annotated[PartitionTable, Tag(f"{TAG}partition")]
    | Annotated[LossTable, Tag(f"{TAG}loss")]
    | Annotated[KillTable, Tag(f"{TAG}kill")]
    | Annotated[ForgetTable, Tag(f"{TAG}forget")]
    | Annotated[CommandTable, Tag(f"{TAG}command")]
    | Annotated[PauseTable, Tag(f"{TAG}pause")]
    | Annotated[ClockJumpTable, Tag(f"{TAG}clock-jump")],
    Discriminator(kind_of),
]
"""One of them, by its `kind`."""
