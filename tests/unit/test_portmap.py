"""The bits that spare a search the ports that are taken: the port it finds is the one it would find without them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pystack._fast.portmap import PLACES, RESERVED, PortMap

US, THEM = 0x0A000001, 0x0A000002


def naive(taken: set[int], port: int, last: int, stride: int) -> int:
    while port <= last and port in taken:
        port += stride
    return port


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 65535),
    st.integers(0, 200),
    st.sampled_from([1, 2]),
    st.sets(st.integers(0, 200)),
)
def test_next_clear_is_a_walk_over_the_ports(first, size, stride, offsets):
    bits = PortMap(7)
    last = min(first + size, 65535)
    taken = {first + offset for offset in offsets if first + offset <= 65535}
    for port in taken:
        bits.use(port)
    assert bits.next_clear(0, first, last, stride) == naive(taken, first, last, stride)
    for port in taken:
        bits.disuse(port)
    assert bits.next_clear(0, first, last, stride) == first


def test_a_destination_is_remembered_and_forgotten():
    bits = PortMap(7)
    assert bits.row_of(US, THEM, 80) < 0
    for port in (40000, 40001, 40003):
        bits.mark(US, port, THEM, 80)
    row = bits.row_of(US, THEM, 80)
    assert row > RESERVED
    assert bits.row_of(US, THEM, 81) < 0
    assert bits.next_clear(row, 40000, 40010, 1) == 40002
    bits.freed(US, 40000, THEM, 81)
    assert bits.next_clear(row, 40000, 40010, 1) == 40002, "another destination's"
    bits.freed(US, 40000, THEM, 80)
    bits.freed(US, 40000, THEM, 80)
    assert bits.next_clear(row, 40000, 40010, 1) == 40000
    assert bits.marks == 2
    bits.forget_all()
    assert (bits.marks, bits.row_of(US, THEM, 80)) == (0, -1)


def test_a_destination_gives_way_to_another_with_all_that_was_known_of_it():
    bits = PortMap(7)
    for fport in range(1, 20 * PLACES):
        bits.mark(US, 40000, THEM, fport)
        assert bits.next_clear(bits.row_of(US, THEM, fport), 39999, 40010, 1) == 39999
        assert bits.next_clear(bits.row_of(US, THEM, fport), 40000, 40010, 1) == 40001
    assert bits.marks <= PLACES
    assert sum(bits.row_of(US, THEM, fport) >= 0 for fport in range(1, 20 * PLACES)) == bits.marks


def test_reserved_ports_are_replaced():
    bits = PortMap(7)
    bits.reserve([80, 40000])
    assert [bits.is_reserved(port) for port in (79, 80, 40000)] == [False, True, True]
    bits.reserve([])
    assert not bits.is_reserved(80)
