"""What a timer wheel means, without a wheel: a sorted list of (tick, order of arming, row)."""

from sortedcontainers import SortedList

NEVER = 2**63 - 1
TICK = 1024


class WheelModel:
    def __init__(self, start: int = 0) -> None:
        self.tick = start // TICK
        self.order = 0
        self.due: SortedList[tuple[int, int, int]] = SortedList()
        self.armed: dict[int, tuple[tuple[int, int, int], int]] = {}

    def arm(self, row: int, deadline: int) -> None:
        self.cancel(row)
        if deadline > NEVER - TICK + 1:
            return
        self.order += 1
        entry = (max(-(-deadline // TICK), self.tick), self.order, row)
        self.due.add(entry)
        self.armed[row] = entry, deadline

    def cancel(self, row: int) -> None:
        if row in self.armed:
            self.due.remove(self.armed.pop(row)[0])

    def deadline(self, row: int) -> int:
        return self.armed[row][1] if row in self.armed else NEVER

    def fires_at(self) -> int:
        """When the earliest timer fires."""
        return self.due[0][0] * TICK if self.due else NEVER

    def expire(self, now: int) -> int:
        if self.due and self.due[0][0] <= now // TICK:
            tick, _, row = self.due[0]
            self.tick = tick
            self.cancel(row)
            return row
        self.tick = max(self.tick, now // TICK)
        return 0
