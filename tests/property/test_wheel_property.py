"""The timer wheel does what a sorted list does, whatever is asked in whatever order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from model.wheel import NEVER, TICK, WheelModel

from pystack._fast.wheel import Wheel

DAY = 86_400 * 10**9
ROWS = 12

spans = st.one_of(
    st.integers(-5 * TICK, 5 * TICK),  # crowds: equal ticks, the past
    st.integers(0, 70).map(lambda ticks: ticks * TICK),
    st.integers(0, 52).map(lambda bit: 1 << bit),  # every level and the borders between them
    st.integers(0, 40 * DAY),
)
rows = st.integers(1, ROWS)


class WheelAgainstModel(RuleBasedStateMachine):
    @initialize(start=st.one_of(st.just(0), st.integers(0, 1000 * DAY)))
    def begin(self, start: int) -> None:
        self.now = start
        self.wheel = Wheel(3, start, maximum=ROWS)
        self.model = WheelModel(start)
        assert [self.wheel.alloc(n, n) for n in range(ROWS)] == list(range(1, ROWS + 1))

    @rule(row=rows, span=spans)
    def arm(self, row: int, span: int) -> None:
        self.wheel.arm(row, self.now + span)
        self.model.arm(row, self.now + span)

    @rule(
        row=rows,
        deadline=st.one_of(st.integers(-(2**63), NEVER), st.integers(NEVER - 2 * TICK, NEVER)),
    )
    def arm_anywhere(self, row: int, deadline: int) -> None:
        self.wheel.arm(row, deadline)
        self.model.arm(row, deadline)

    @rule(deadlines=st.lists(st.tuples(rows, st.integers(0, 2)), max_size=8), span=spans)
    def arm_many_for_about_one_time(self, deadlines: list[tuple[int, int]], span: int) -> None:
        for row, more in deadlines:
            self.arm(row, span + more * TICK)

    @rule(row=rows)
    def cancel(self, row: int) -> None:
        self.wheel.cancel(row)
        self.model.cancel(row)

    @rule(row=rows)
    def free_and_alloc(self, row: int) -> None:
        self.wheel.free(row)
        self.model.cancel(row)
        assert self.wheel.alloc(row, row) == row

    def _expire(self, again: dict[int, int]) -> None:
        while True:
            row = self.wheel.expire(self.now)
            assert row == self.model.expire(self.now)
            if row == 0:
                return
            if row in again:
                self.arm(row, again.pop(row))

    @rule(span=spans, again=st.dictionaries(rows, st.integers(-3 * TICK, TICK), max_size=3))
    def time_passes(self, span: int, again: dict[int, int]) -> None:
        """Handlers of `again` arm their timers once more, some of them for the past."""
        self.now += max(0, span)
        self._expire(dict(again))

    @rule()
    def one_timer_only(self) -> None:
        assert self.wheel.expire(self.now) == self.model.expire(self.now)

    @rule()
    def wake_as_told_until_something_fires(self) -> None:
        want = self.model.fires_at()
        if want > NEVER // 2:
            return
        for _ in range(10):
            assert self.wheel.next_deadline() <= want
            self.now = max(self.now, self.wheel.next_deadline())
            row = self.wheel.expire(self.now)
            assert row == self.model.expire(self.now)
            if row != 0:
                assert self.now >= want
                return
        raise AssertionError("ten wakes and nothing fired")

    @invariant()
    def both_agree(self) -> None:
        if not hasattr(self, "wheel"):
            return
        assert self.wheel.count == len(self.model.due)
        for row in range(1, ROWS + 1):
            assert self.wheel.deadline(row) == self.model.deadline(row)
            assert self.wheel.armed(row) == (row in self.model.armed)
        told, fires = self.wheel.next_deadline(), self.model.fires_at()
        assert told <= fires
        assert (told == NEVER) == (fires == NEVER)
        if fires // TICK // 64 == self.model.tick // 64:
            assert told == fires


TestWheel = WheelAgainstModel.TestCase
TestWheel.settings = settings(max_examples=150, stateful_step_count=40)
