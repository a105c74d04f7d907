"""The timer wheel, case by case. tests/property/test_wheel_property.py has the rest of the truth."""

import pytest

import pystack._fast as fast
from pystack._fast.wheel import LEVELS, NEVER, TICK, Wheel

SECOND = 10**9
DAY = 86_400 * SECOND
LAST = NEVER - TICK + 1  # the last tick


def expire_all(wheel: Wheel, now: int) -> list[int]:
    rows = []
    while row := wheel.expire(now):
        rows.append(row)
    return rows


def armed(wheel: Wheel, *deadlines: int) -> list[int]:
    rows = [wheel.alloc(0, 0) for _ in deadlines]
    for row, deadline in zip(rows, deadlines, strict=True):
        wheel.arm(row, deadline)
    return rows


def test_an_empty_wheel_never_fires() -> None:
    wheel = Wheel(4)
    assert wheel.next_deadline() == NEVER == 2**63 - 1
    assert wheel.expire(10**18) == 0
    assert wheel.count == 0


def test_rows_carry_kind_and_owner() -> None:
    wheel = Wheel(3)
    rows = [wheel.alloc(kind, owner) for kind, owner in [(1, 2**31 - 1), (-5, -1), (7, 0)]]
    assert rows == [1, 2, 3]
    assert [wheel.kind(r) for r in rows] == [1, -5, 7]
    assert [wheel.owner(r) for r in rows] == [2**31 - 1, -1, 0]
    assert wheel.alloc(1, 1) == 0
    assert (wheel.rows.used, wheel.rows.high_water, wheel.rows.failures) == (3, 3, 1)
    wheel.free(2)
    assert wheel.alloc(9, 9) == 2


@pytest.mark.parametrize("deadline", [0, 1, 1023, 1024, 1025, 65_535, 65_536, 65_537, SECOND, DAY])
def test_a_deadline_is_rounded_up_to_a_tick_and_never_early(deadline: int) -> None:
    wheel = Wheel(1)
    (row,) = armed(wheel, deadline)
    fires = -(-deadline // TICK) * TICK
    assert wheel.deadline(row) == deadline
    assert wheel.armed(row) is True
    assert wheel.next_deadline() <= fires
    assert wheel.expire(fires - 1) == 0
    assert wheel.next_deadline() == fires
    assert wheel.expire(fires) == row
    assert wheel.armed(row) is False
    assert wheel.deadline(row) == NEVER
    assert wheel.expire(fires) == 0


@pytest.mark.parametrize("level", range(LEVELS))
@pytest.mark.parametrize("digit", [1, 2, 32, 63])
def test_every_level_holds_its_timers_and_gives_them_in_time(level: int, digit: int) -> None:
    deadline = min(TICK * digit << 6 * level, LAST)
    wheel = Wheel(1)
    (row,) = armed(wheel, deadline)
    assert wheel.expire(deadline - 1) == 0
    assert wheel.expire(deadline) == row


@pytest.mark.parametrize("level", range(LEVELS))
def test_waking_at_each_next_deadline_reaches_the_timer_in_few_steps(level: int) -> None:
    deadline = min((TICK << 6 * level + 5) + 12_345_678, LAST)
    wheel = Wheel(1)
    (row,) = armed(wheel, deadline)
    wakes = 0
    while True:
        now = wheel.next_deadline()
        assert now <= deadline + TICK - 1
        wakes += 1
        if wheel.expire(now):
            break
        assert wheel.armed(row)
    assert wakes <= LEVELS
    assert deadline <= now < deadline + TICK


def test_next_deadline_is_exact_on_the_lowest_level() -> None:
    wheel = Wheel(3, start=5 * 65_536)
    armed(wheel, 5 * 65_536 + 3000, 5 * 65_536 + 2000, DAY)
    assert wheel.next_deadline() == 5 * 65_536 + 2048


def test_timers_come_by_tick_and_then_by_arming() -> None:
    wheel = Wheel(6)
    a, b, c, d, e, f = armed(wheel, DAY, 5000, 5100, SECOND, 5120, 5001)
    assert expire_all(wheel, DAY + TICK) == [b, c, e, f, d, a]  # 5000 to 5120 are one tick


def test_equal_ticks_keep_their_order_through_the_levels() -> None:
    wheel = Wheel(4)
    when = 3 * DAY
    (a,) = armed(wheel, when)
    assert expire_all(wheel, when - 100 * SECOND) == []
    (b,) = armed(wheel, when)
    assert expire_all(wheel, when - 10_000) == []
    (c,) = armed(wheel, when)
    wheel.arm(b, when)
    assert expire_all(wheel, when + TICK) == [a, c, b]


def test_past_deadlines_fire_at_once_after_those_already_waiting() -> None:
    wheel = Wheel(5, start=SECOND)
    now = SECOND // TICK * TICK
    a, b, c, d = armed(wheel, now, 5, -7, -(2**63))
    assert wheel.next_deadline() == now
    assert expire_all(wheel, now) == [a, b, c, d]
    assert wheel.deadline(b) == NEVER


def test_arming_again_moves_a_timer() -> None:
    wheel = Wheel(2)
    a, b = armed(wheel, 5000, 6000)
    wheel.arm(a, 9000)
    assert wheel.count == 2
    assert expire_all(wheel, 8000) == [b]
    assert expire_all(wheel, 10_000) == [a]


def test_cancelled_and_freed_timers_do_not_fire() -> None:
    wheel = Wheel(3)
    a, b, c = armed(wheel, 5000, 5000, 5000)
    wheel.cancel(b)
    wheel.cancel(b)
    wheel.free(a)
    assert wheel.count == 1
    assert expire_all(wheel, 10_000) == [c]
    assert wheel.next_deadline() == NEVER


@pytest.mark.parametrize("deadline", [NEVER, NEVER - 1, LAST + 1])
def test_never_disarms(deadline: int) -> None:
    wheel = Wheel(1)
    (row,) = armed(wheel, 5000)
    wheel.arm(row, deadline)
    assert (wheel.armed(row), wheel.deadline(row), wheel.count) == (False, NEVER, 0)


def test_a_handler_may_arm_again_into_the_same_loop() -> None:
    wheel = Wheel(2)
    a, b = armed(wheel, 1024, 4096)
    now = 10_240
    seen = []
    while row := wheel.expire(now):
        seen.append(row)
        if row == a and len(seen) < 10:
            wheel.arm(a, 1024 + 2048 * len(seen))
    assert seen == [a, a, b, a, a]  # at ticks 1, 3, 4, 5 and 9; the next, at 11, is after now
    assert wheel.deadline(a) == 11 * 1024


def test_time_jumps_over_idle_years() -> None:
    wheel = Wheel(2)
    assert wheel.expire(300 * DAY) == 0
    (row,) = armed(wheel, 300 * DAY + SECOND)
    assert expire_all(wheel, 290 * 365 * DAY) == [row]
    assert expire_all(wheel, 0) == []  # a clock that goes back does no harm
    wheel.arm(row, 290 * 365 * DAY + SECOND)
    assert wheel.expire(0) == 0
    assert wheel.expire(290 * 365 * DAY + SECOND) == 0
    assert wheel.expire(290 * 365 * DAY + SECOND + TICK) == row


def test_the_wheel_grows_to_its_maximum() -> None:
    wheel = Wheel(1, maximum=200)
    rows = [wheel.alloc(i, -i) for i in range(200)]
    for row in rows:
        wheel.arm(row, row * 1_000_000)
    assert rows == list(range(1, 201))
    assert (wheel.capacity, wheel.maximum, wheel.alloc(0, 0), wheel.rows.failures) == (
        200,
        200,
        0,
        1,
    )
    assert [(wheel.kind(r), wheel.owner(r)) for r in rows] == [(i, -i) for i in range(200)]
    assert expire_all(wheel, SECOND) == rows


def test_wrong_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot start"):
        Wheel(1, start=-1)
    with pytest.raises(ValueError, match="below the capacity"):
        Wheel(10, maximum=9)


def test_arming_a_row_that_is_not_in_use_stops_an_interpreted_run() -> None:
    wheel = Wheel(2)
    if not fast.COMPILED:
        with pytest.raises(AssertionError, match="row 2 is not in use"):
            wheel.arm(2, 5)
    assert wheel.count == 0
