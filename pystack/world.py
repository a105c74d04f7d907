"""What a machine lives in: something that tells the time, carries packets away, and lets time pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from pystack._fast.consts import NEVER
from pystack._fast.core import Driver


class Clock(Protocol):
    """What knows the present."""

    now: int
    """Nanoseconds."""


class World(Protocol):
    """What a host lives in (`Network`, `runner.Runner`). Times are ns of its own clock."""

    @property
    def clock(self) -> Clock:
        """Who is asked for the time."""

    @property
    def driver(self) -> Driver:
        """Who tells the machine the time, carries its packets away and lets time pass."""

    def run_until(self, condition: Callable[[], object], deadline: int) -> bool:
        """Let time pass until `condition()` is true (True) or `deadline` has come (False)."""

    def call_at(self, time: int, fn: Callable[[], object]) -> object:
        """Call `fn()` at this time."""


class Nowhere(Driver):
    """The world of a host that was not put into one yet: time stands still, nothing leaves."""

    now = 0

    @property
    def clock(self) -> Nowhere:
        return self

    @property
    def driver(self) -> Nowhere:
        return self

    def before(self, core: Any) -> int:
        return 0

    def after(self, core: Any) -> int:
        core.scheduled = NEVER
        return 0

    def step(self, deadline: int) -> NoReturn:
        raise RuntimeError("this machine is in no world: make it with Network.host, or serve it")

    def run_until(self, condition: Callable[[], object], deadline: int) -> NoReturn:
        self.step(deadline)

    def call_at(self, time: int, fn: Callable[[], object]) -> None:
        self.step(time)
