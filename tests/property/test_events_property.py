"""The event queue does what a stable sort does."""

import heapq

from hypothesis import given
from hypothesis import strategies as st

from pystack._fast.events import NEVER, EventQueue

times = st.one_of(st.integers(0, 5), st.integers(-(2**63), NEVER))


@given(st.lists(st.one_of(times, st.none()), max_size=300))
def test_pushes_and_pops_follow_heapq(steps: list[int | None]) -> None:
    """A number is a push at that time, None is a pop."""
    queue = EventQueue()
    heap: list[tuple[int, int]] = []
    for n, time in enumerate(steps):
        if time is not None:
            queue.push(time, -n, n)
            heapq.heappush(heap, (time, n))
        elif heap:
            assert queue.pop()
            assert (queue.time, queue.arg) == heapq.heappop(heap)
            assert queue.kind == -queue.arg
        else:
            assert not queue.pop()
        assert queue.next_time() == (heap[0][0] if heap else NEVER)
        assert len(queue) == len(heap)
