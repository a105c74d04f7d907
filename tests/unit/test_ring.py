"""A ring against a deque, over many growths and turns."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from pystack._fast.ring import Ring

STEP = st.one_of(
    st.tuples(st.just("push"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.sampled_from(["shift", "pop", "put"]), st.integers(0, 2**32)),
)


@given(st.lists(STEP, max_size=200))
def test_as_a_deque(steps: list[tuple[str, int]]) -> None:
    ring, model = Ring(), deque[int]()
    for name, value in steps:
        if name == "push":
            ring.push(value)
            model.append(value)
        elif not model:
            continue
        elif name == "put":
            ring.put(value % len(model), value)
            model[value % len(model)] = value
        elif name == "shift":
            assert ring.shift() == model.popleft()
        else:
            assert ring.pop() == model.pop()
        assert ring.count == len(model)
        assert [ring.at(i) for i in range(ring.count)] == list(model)


def test_it_grows_in_order() -> None:
    ring = Ring()
    for i in range(5):
        ring.push(i)
    assert [ring.shift() for _ in range(3)] == [0, 1, 2]
    for i in range(5, 100):
        ring.push(i)
    assert [ring.shift() for _ in range(ring.count)] == list(range(3, 100))
