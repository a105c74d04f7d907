"""A call that is to come, and whose it is: a stopped program calls nothing, nor does a paused machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Owner(Protocol):
    """Whose a timer is: a machine, or a program on one."""

    @property
    def halted(self) -> bool:
        """Does it execute nothing now?"""

    def later(self, call: Callable[[], object]) -> None:
        """Call when it goes on."""


class Timer:
    """A call that is to come; `cancel()` prevents it. `time` is by the clock of its owner's machine, or the world's."""

    __slots__ = ("args", "fn", "owner", "time")

    def __init__(
        self,
        time: int,
        fn: Callable[..., object],
        args: tuple[Any, ...],
        owner: Owner | None = None,
    ) -> None:
        self.time = time
        self.fn: Callable[..., object] | None = fn
        self.args = args
        self.owner = owner

    def __call__(self) -> None:
        fn = self.fn
        if fn is None:
            return
        owner = self.owner
        if owner is not None and owner.halted:
            owner.later(self)
            return
        self.fn = None
        fn(*self.args)

    def cancel(self) -> None:
        """It is not called, or not again."""
        self.fn = None
        self.args = ()

    @property
    def active(self) -> bool:
        """Is the call still to come?"""
        return self.fn is not None
