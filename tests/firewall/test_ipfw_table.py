"""The tree of a table against a list that is searched from end to end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pystack._fast.ipfw_table import Table

ALL = 0xFFFFFFFF


def mask(length):
    return ALL << (32 - length) & ALL


near = st.integers(0, 15).map(lambda low: 0x0A000000 | low * 0x01010101 & ALL) | st.integers(0, ALL)
prefixes = st.tuples(near, st.integers(0, 32)).map(lambda pair: (pair[0] & mask(pair[1]), pair[1]))


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.booleans(), prefixes, st.integers(0, ALL)), max_size=60),
    st.lists(near, max_size=20),
)
def test_the_longest_prefix_is_found(steps, keys):
    table = Table()
    model = {}
    for adds, (key, length), value in steps:
        if adds:
            assert table.put(key, length, value) == ((key, length) not in model)
            model[key, length] = value
        else:
            assert table.take_out(key, length) == ((key, length) in model)
            model.pop((key, length), None)
        assert table.exact(key, length) == ((key, length) in model)
    assert table.count == len(model)
    assert table.entries() == sorted(
        ((key, length, value) for (key, length), value in model.items()),
        key=lambda e: (e[0], -e[1]),
    )
    for key in keys + [each for each, _ in model]:
        fitting = [
            (length, model[net, length]) for net, length in model if key & mask(length) == net
        ]
        assert table.find(key) == bool(fitting)
        if fitting:
            assert table.value == max(fitting)[1]


def test_nodes_that_lead_nowhere_are_given_back():
    table = Table()
    for low in range(1000):
        table.put(low << 10, 32, low)
    assert table.free.used > 1000
    for low in range(1000):
        assert table.take_out(low << 10, 32)
    assert table.free.used == 1
    assert table.count == 0
    assert table.find(5 << 10) == 0


@pytest.mark.parametrize("length", [0, 1, 31, 32])
def test_an_entry_is_changed_where_it_is(length):
    table = Table()
    assert table.put(0, length, 1)
    assert not table.put(0, length, 2)
    assert table.count == 1
    assert table.find(0)
    assert table.value == 2
