"""The event queue: time first, then who came first."""

import random

from pystack._fast.events import NEVER, EventQueue


def drain(queue: EventQueue) -> list[tuple[int, int, int]]:
    out = []
    while queue.pop():
        out.append((queue.time, queue.kind, queue.arg))
    return out


def test_an_empty_queue_has_nothing_and_never() -> None:
    queue = EventQueue()
    assert queue.next_time() == NEVER == 2**63 - 1
    assert queue.pop() is False
    assert len(queue) == queue.count == 0


def test_events_come_by_time() -> None:
    queue = EventQueue()
    for time in (50, 10, 40, 10**18, 0, -5):
        queue.push(time, time % 7, time % 11)
    assert queue.next_time() == -5
    assert [time for time, _, _ in drain(queue)] == [-5, 0, 10, 40, 50, 10**18]
    assert queue.next_time() == NEVER


def test_pop_leaves_the_event_in_the_attributes() -> None:
    queue = EventQueue()
    queue.push(NEVER, 2**31 - 1, -(2**31))
    assert queue.pop() is True
    assert (queue.time, queue.kind, queue.arg) == (NEVER, 2**31 - 1, -(2**31))
    assert queue.pop() is False
    assert (queue.time, queue.kind, queue.arg) == (NEVER, 2**31 - 1, -(2**31))


def test_equal_times_keep_the_order_of_pushing() -> None:
    queue = EventQueue()
    for arg in range(1000):
        queue.push(arg % 3, 1, arg)
    assert [(t, a) for t, _, a in drain(queue)] == sorted((a % 3, a) for a in range(1000))


def test_order_survives_pushes_between_pops() -> None:
    queue = EventQueue()
    rnd = random.Random(5)
    waiting: list[tuple[int, int]] = []
    for n in range(5000):
        if rnd.random() < 0.55 or not waiting:
            time = rnd.randrange(50)
            queue.push(time, 0, n)
            waiting.append((time, n))
        else:
            waiting.sort()
            assert queue.next_time() == waiting[0][0]
            queue.pop()
            assert (queue.time, queue.arg) == waiting.pop(0)
        assert len(queue) == len(waiting)


def test_the_storage_grows_and_clear_empties_it() -> None:
    queue = EventQueue()
    for n in range(10_000):
        queue.push(10_000 - n, n & 7, n)
    assert (queue.count, queue.high_water) == (10_000, 10_000)
    assert queue.pop() is True
    assert (queue.time, queue.arg) == (1, 9_999)
    queue.clear()
    assert queue.pop() is False
    assert (queue.count, queue.high_water) == (0, 10_000)
    queue.push(3, 4, 5)
    assert drain(queue) == [(3, 4, 5)]
