"""One timer wheel for everything that has a deadline.

A hierarchical wheel (Varghese and Lauck, 1987): nine levels of 64 slots, a tick of 2**10 ns, so the slots
of level n are 2**(10 + 6n) ns wide and the whole wheel spans every time that an int of 64 bits can say. A
timer waits at the level of the highest 6-bit digit in which its tick differs from the wheel's, and moves down
when the wheel enters its slot. Two timers of one tick therefore always share a slot, in the order
in which they were armed.

A bitmap for each level says which slots have timers, so time may jump over idle days at no cost.
"""

import cython

from pystack._fast.chain import FreeList
from pystack._fast.columns import column, grown

NEVER = (1 << 63) - 1
"""The deadline of a timer that is not armed, in nanoseconds."""

TICK = 1 << 10
"""Nanoseconds a tick."""

LEVELS = 9

# A row is one record of 24 octets, so that one that is not in the cache costs one miss (or, for every fourth, two) and
# not six. `_when`, `_link` and `_half` are three views of the records:
#   _when[3 * row]  deadline   _link[6 * row + 2]  next row of the slot   + 3  row before   + 4  owner
#   _half[12 * row + 10]  kind   + 11  number of the slot + 1, or 0 when not armed

_NEVER = cython.declare(cython.longlong, NEVER)
_LAST = cython.declare(cython.longlong, NEVER - TICK + 1)
_LEVELS = cython.declare(cython.int, LEVELS)


def lowest_bit(bits):
    """The number of the lowest bit that is set, by halving; `bits` is not 0."""
    low: cython.ulonglong = bits ^ (bits & (bits - 1))
    n: cython.int = 0
    if low >> 32:
        n = 32
    if (low >> n) >> 16:
        n += 16
    if (low >> n) >> 8:
        n += 8
    if (low >> n) >> 4:
        n += 4
    if (low >> n) >> 2:
        n += 2
    if (low >> n) >> 1:
        n += 1
    return n


@cython.final
@cython.cclass
class Wheel:
    """Timers by row: `alloc` one for an owner, then `arm` and `cancel` it as often as needed, `free` it.

    `kind` (16 bits) and `owner` (32) say what the timer of a row is for; they mean what the user of the wheel wants
    them to.
    There are `capacity` rows at first and `maximum` at most (as many as `capacity` unless given); between them
    the storage doubles when it is full. `rows` counts the rows in use.

    Times are integer nanoseconds of the machine's clock, which starts at `start`. A deadline is rounded **up**
    to a whole tick, so a timer fires up to 1,023 ns late and never early. A deadline in the past fires at the
    next `expire`, after the timers of the tick that the wheel has reached. NEVER
    disarms, and so does a deadline less than a tick before it.

    Raises ValueError for a negative `start` or a `maximum` below `capacity`.
    """

    def __init__(self, capacity: int, start: int = 0, maximum: int = 0):
        if start < 0:
            raise ValueError(f"a wheel cannot start at {start} ns")
        self.maximum = maximum or capacity
        if self.maximum < capacity:
            raise ValueError(f"a maximum of {maximum} timers is below the capacity of {capacity}")
        self.rows = FreeList(capacity)
        self.count = 0
        self._records(column("q", 3 * (capacity + 1)))
        self._head = column("i", 64 * LEVELS)
        self._tail = column("i", 64 * LEVELS)
        self._bits = column("Q", LEVELS)
        self._tick = start >> 10

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _records(self, records: object) -> cython.int:
        """The three views of the rows."""
        self._when = records
        self._link = records.cast("B").cast("i")
        self._half = records.cast("B").cast("h")
        return 0

    @property
    def capacity(self):
        """Rows that there is storage for now."""
        return self.rows.rows

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _grow(self) -> cython.int:
        rows = min(max(2 * self.rows.rows, 64), self.maximum)
        self._records(grown(memoryview(self._when), 3 * (rows + 1)))
        self.rows.grow(rows)
        return 0

    @cython.exceptval(-1, check=False)
    def alloc(self, kind: cython.short, owner: cython.int) -> cython.int:
        """A row for a timer, not armed; 0 when `maximum` rows are in use."""
        row: cython.int
        if self.rows.used == self.rows.rows and self.rows.rows < self.maximum:
            self._grow()
        row = self.rows.take()
        if row != 0:
            self._half[row * 12 + 10] = kind
            self._link[row * 6 + 4] = owner
        return row

    @cython.exceptval(check=False)
    def kind(self, row: cython.int) -> cython.int:
        """What kind of timer a row is, as `alloc` was told."""
        return self._half[row * 12 + 10]

    @cython.exceptval(check=False)
    def owner(self, row: cython.int) -> cython.int:
        """Whose timer a row is, as `alloc` was told."""
        return self._link[row * 6 + 4]

    @cython.exceptval(check=False)
    def free(self, row: cython.int) -> cython.void:
        """Cancel a timer and give its row back."""
        self.cancel(row)
        self.rows.give(row)

    @cython.exceptval(check=False)
    def arm(self, row: cython.int, deadline: cython.longlong) -> cython.void:
        """Let a timer fire at `deadline` and not when it was to fire before."""
        if not cython.compiled:
            assert self.rows.in_use(row), f"row {row} is not in use"
        if self._half[row * 12 + 11] != 0:
            self._unlink(row)
        if deadline <= _LAST:
            self._when[row * 3] = deadline
            self._place(row)
            self.count += 1

    @cython.exceptval(check=False)
    def cancel(self, row: cython.int) -> cython.void:
        """Disarm a timer, if it is armed."""
        if self._half[row * 12 + 11] != 0:
            self._unlink(row)

    @cython.exceptval(check=False)
    def armed(self, row: cython.int) -> cython.bint:
        """Will this timer fire?"""
        return self._half[row * 12 + 11] != 0

    @cython.exceptval(check=False)
    def deadline(self, row: cython.int) -> cython.longlong:
        """The deadline that the timer was armed with, or NEVER."""
        return self._when[row * 3] if self._half[row * 12 + 11] != 0 else _NEVER

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _place(self, row: cython.int) -> cython.void:
        """Append a row with a deadline to the slot that follows from it and from the wheel's tick."""
        deadline: cython.longlong = self._when[row * 3]
        tick: cython.longlong = deadline >> 10
        differ: cython.longlong
        shift: cython.int = 0
        level: cython.int = 0
        slot: cython.int
        before: cython.int
        one: cython.ulonglong = 1
        if deadline & 1023:
            tick += 1
        if tick < self._tick:
            tick = self._tick
        differ = tick ^ self._tick
        while differ > 63:
            differ >>= 6
            shift += 6
            level += 1
        slot = cython.cast(cython.int, (tick >> shift) & 63)
        self._bits[level] |= one << slot
        slot += level << 6
        before = self._tail[slot]
        if before != 0:
            self._link[before * 6 + 2] = row
        else:
            self._head[slot] = row
        self._tail[slot] = row
        self._link[row * 6 + 3] = before
        self._link[row * 6 + 2] = 0
        self._half[row * 12 + 11] = slot + 1

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _unlink(self, row: cython.int) -> cython.void:
        """Take an armed row out of its slot."""
        slot: cython.int = self._half[row * 12 + 11] - 1
        before: cython.int = self._link[row * 6 + 3]
        after: cython.int = self._link[row * 6 + 2]
        one: cython.ulonglong = 1
        if before != 0:
            self._link[before * 6 + 2] = after
        else:
            self._head[slot] = after
        if after != 0:
            self._link[after * 6 + 3] = before
        else:
            self._tail[slot] = before
        if before == 0 and after == 0:
            self._bits[slot >> 6] ^= one << (slot & 63)
        self._half[row * 12 + 11] = 0
        self.count -= 1

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _first_slot(self) -> cython.int:
        """The slot with the earliest timers, or -1. Lower levels are earlier, and so are lower slots."""
        level: cython.int
        for level in range(_LEVELS):
            if self._bits[level] != 0:
                return (level << 6) + lowest_bit(self._bits[level])
        return -1

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _slot_start(self, slot: cython.int) -> cython.longlong:
        """The first tick of a slot, on the wheel's present turn."""
        shift: cython.int = 6 * (slot >> 6)
        index: cython.longlong = slot & 63
        return ((self._tick >> (shift + 6)) << (shift + 6)) | (index << shift)

    @cython.exceptval(check=False)
    def next_deadline(self) -> cython.longlong:
        """When to call `expire` next, NEVER while nothing is armed.

        Never later than the earliest timer fires. Exact when that timer is on the lowest level; else it is
        the time at which its slot begins: `expire` then moves it down, at most eight times.
        """
        slot: cython.int = self._first_slot()
        return _NEVER if slot < 0 else self._slot_start(slot) << 10

    @cython.exceptval(check=False)
    def expire(self, now: cython.longlong) -> cython.int:
        """Disarm the next timer that is due at `now` and answer its row; 0 when there is none. Call until 0.

        Timers come by tick, and within a tick in the order in which they were armed. One that its handler arms
        again for a time up to `now` comes again before the 0.
        """
        target: cython.longlong = now >> 10
        start: cython.longlong
        slot: cython.int
        row: cython.int
        while True:
            slot = self._first_slot()
            start = self._slot_start(slot) if slot >= 0 else target + 1
            if start > target:
                # No slot lies between the wheel and the target, so it may stand there at once.
                if target > self._tick:
                    self._tick = target
                return 0
            self._tick = start
            if slot < 64:
                row = self._head[slot]
                self._unlink(row)
                return row
            self._move_down(slot)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _move_down(self, slot: cython.int) -> cython.void:
        """Place the rows of a slot that the wheel has entered anew, in their order."""
        row: cython.int = self._head[slot]
        after: cython.int
        one: cython.ulonglong = 1
        self._head[slot] = 0
        self._tail[slot] = 0
        self._bits[slot >> 6] ^= one << (slot & 63)
        while row != 0:
            after = self._link[row * 6 + 2]
            self._place(row)
            row = after
