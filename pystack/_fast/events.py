"""The event queue of virtual time: what happens next, and when.

A heap of rows in columns, four children to a parent: half the levels of a binary heap, and the children's
times lie in one cache line. An entry is four numbers and no object.
"""

import cython

from pystack._fast.columns import column, grown

NEVER = (1 << 63) - 1
"""The time of no event, in nanoseconds."""

_NEVER = cython.declare(cython.longlong, NEVER)
_START = 64


@cython.final
@cython.cclass
class EventQueue:
    """Events ordered by time, and by the order of their pushing where times are equal.

    Times are integer nanoseconds of the virtual clock. `kind` and `arg` mean what the user of the queue wants them
    to. `pop` leaves the event in the attributes `time`, `kind` and `arg`; nothing is allocated per event.

    The storage doubles when it is full; `push` raises MemoryError or OSError when there is none left.
    """

    def __init__(self) -> None:
        self.count = 0
        self.high_water = 0
        self.time = NEVER
        self.kind = 0
        self.arg = 0
        self._pushed = 0
        self._capacity = _START
        self._times = column("q", _START)
        self._orders = column("q", _START)
        self._kinds = column("i", _START)
        self._args = column("i", _START)

    def __len__(self):
        return self.count

    @cython.exceptval(check=False)
    def next_time(self) -> cython.longlong:
        """The time of the event that `pop` would give, or NEVER."""
        return self._times[0] if self.count else _NEVER

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _grow(self) -> cython.int:
        more = self._capacity * 2
        self._times = grown(memoryview(self._times), more)
        self._orders = grown(memoryview(self._orders), more)
        self._kinds = grown(memoryview(self._kinds), more)
        self._args = grown(memoryview(self._args), more)
        self._capacity = more
        return 0

    @cython.exceptval(-1, check=False)
    def push(self, time: cython.longlong, kind: cython.int, arg: cython.int) -> cython.int:
        """Put an event into the queue. Answers 0."""
        at: cython.Py_ssize_t = self.count
        parent: cython.Py_ssize_t
        if at == self._capacity:
            self._grow()
        # A new event is younger than all others, so only a strictly later parent gives way to it.
        while at > 0:
            parent = (at - 1) >> 2
            if self._times[parent] <= time:
                break
            self._move(parent, at)
            at = parent
        self._times[at] = time
        self._orders[at] = self._pushed
        self._kinds[at] = kind
        self._args[at] = arg
        self._pushed += 1
        self.count += 1
        if self.count > self.high_water:
            self.high_water = self.count
        return 0

    @cython.exceptval(check=False)
    def pop(self) -> cython.bint:
        """Take the next event out of the queue and into `time`, `kind`, `arg`. False when there is none."""
        last: cython.Py_ssize_t = self.count - 1
        at: cython.Py_ssize_t = 0
        child: cython.Py_ssize_t
        best: cython.Py_ssize_t
        end: cython.Py_ssize_t
        time: cython.longlong
        order: cython.longlong
        best_time: cython.longlong
        best_order: cython.longlong
        if last < 0:
            return False
        self.time = self._times[0]
        self.kind = self._kinds[0]
        self.arg = self._args[0]
        self.count = cython.cast(cython.int, last)
        time = self._times[last]
        order = self._orders[last]
        while True:
            child = 4 * at + 1
            if child >= last:
                break
            end = child + 4
            if end > last:
                end = last
            best = child
            best_time = self._times[child]
            best_order = self._orders[child]
            child += 1
            while child < end:
                if self._times[child] < best_time or (
                    self._times[child] == best_time and self._orders[child] < best_order
                ):
                    best = child
                    best_time = self._times[child]
                    best_order = self._orders[child]
                child += 1
            if best_time > time or (best_time == time and best_order > order):
                break
            self._move(best, at)
            at = best
        self._move(last, at)
        return True

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _move(self, source: cython.Py_ssize_t, to: cython.Py_ssize_t) -> cython.void:
        self._times[to] = self._times[source]
        self._orders[to] = self._orders[source]
        self._kinds[to] = self._kinds[source]
        self._args[to] = self._args[source]

    @cython.exceptval(check=False)
    def clear(self) -> cython.void:
        """Forget all events. The storage stays."""
        self.count = 0
