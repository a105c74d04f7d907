"""Timeouts of many connections with one timer.

A connection that is busy only writes down its new deadline; it is moved to another slot when its old
one comes. So traffic costs a store, and closing a dictionary's `pop`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pystack.process import Process
    from pystack.timer import Timer

SLOT_BITS = 28
"""A slot is 2**28 ns = 0.27 s: a timeout comes up to so much late, never early."""


class Timed(Protocol):
    """What can be late. `slot` belongs to `Deadlines`."""

    deadline: int
    slot: int

    def overdue(self) -> None:
        """The deadline has passed."""


class Deadlines:
    """Calls `overdue` of what was added when its `deadline` (ns) has passed.

    `deadline` may be moved later at any time by writing it; call `sooner` after moving it earlier.
    """

    def __init__(self, program: Process) -> None:
        self._program = program
        self._slots: dict[int, dict[Timed, None]] = {}
        self._timer: Timer | None = None

    def add(self, item: Timed) -> None:
        """From now on `item` can be late. It must not be in here."""
        item.slot = slot = (item.deadline >> SLOT_BITS) + 1
        items = self._slots.get(slot)
        if items is None:
            self._slots[slot] = {item: None}
            self._arm(slot << SLOT_BITS)
        else:
            items[item] = None

    def remove(self, item: Timed) -> None:
        """No longer."""
        items = self._slots.get(item.slot)
        if items is not None:
            items.pop(item, None)

    def sooner(self, item: Timed) -> None:
        """Its deadline was moved to an earlier time."""
        if (item.deadline >> SLOT_BITS) + 1 < item.slot:
            self.remove(item)
            self.add(item)

    def set_ahead(self, by: int) -> None:
        """The clock by which they are counted was set: all are `by` ns nearer, or farther away."""
        items = [item for slot in self._slots.values() for item in slot]
        self._slots.clear()
        for item in items:
            item.deadline -= by
            self.add(item)

    def _arm(self, time: int) -> None:
        timer = self._timer
        if timer is None or not timer.active or time < timer.time:
            if timer is not None:
                timer.cancel()
            self._timer = self._program.call_at(time, self._due)

    def _due(self) -> None:
        now = self._program.now
        for slot in sorted(self._slots):
            if slot << SLOT_BITS > now:
                break
            for item in self._slots.pop(slot):
                if item.deadline <= now:
                    item.slot = 0
                    item.overdue()
                else:
                    self.add(item)
        # slots that were emptied by `remove` need no call
        for slot in [slot for slot, items in self._slots.items() if not items]:
            del self._slots[slot]
        if self._slots:
            self._arm(min(self._slots) << SLOT_BITS)
