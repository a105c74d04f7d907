"""Hash chains and free rows: what a table may rely on."""

import itertools

import pytest

import pystack._fast as fast
from pystack._fast.chain import Chain, FreeList
from pystack._fast.columns import column


def rows_of(chain: Chain, bucket: int) -> list[int]:
    found = []
    row = chain.first(bucket)
    before = 0
    while row != 0:
        assert chain.prev[row] == before
        found.append(row)
        before, row = row, chain.next[row]
    return found


def test_a_new_chain_is_empty() -> None:
    chain = Chain(8, 10)
    assert (chain.buckets, chain.mask, chain.rows, chain.count) == (8, 7, 10, 0)
    assert all(rows_of(chain, b) == [] for b in range(8))
    assert chain.lengths() == [8]


@pytest.mark.parametrize("buckets", [0, -1, 3, 12, 2**31])
def test_buckets_are_a_power_of_two(buckets: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Chain(buckets, 1)
    with pytest.raises(ValueError, match="power of two"):
        Chain(1, 1).resize(buckets, column("I", 2))


@pytest.mark.parametrize("rows", [-1, 2**31 - 1])
@pytest.mark.parametrize("make", [lambda rows: Chain(1, rows), FreeList])
def test_rows_fit_an_int(make, rows: int) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="rows"):
        make(rows)


def test_the_newest_row_comes_first() -> None:
    chain = Chain(4, 9)
    for row in (3, 1, 9):
        chain.insert_head(2, row)
    chain.insert_head(0, 5)
    assert rows_of(chain, 2) == [9, 1, 3]
    assert rows_of(chain, 0) == [5]
    assert chain.head[2] == 9
    assert chain.count == 4
    assert chain.lengths() == [2, 1, 0, 1]


@pytest.mark.parametrize("gone", [*itertools.permutations([1, 2, 3])])
def test_rows_leave_in_any_order(gone: tuple[int, ...]) -> None:
    chain = Chain(1, 3)
    for row in (1, 2, 3):
        chain.insert_head(0, row)
    left = [3, 2, 1]
    for row in gone:
        chain.remove(0, row)
        left.remove(row)
        assert rows_of(chain, 0) == left
        assert (chain.next[row], chain.prev[row]) == (0, 0)
        assert chain.count == len(left)
    assert chain.first(0) == 0


@pytest.mark.parametrize("row", [1, 2, 3])
def test_a_row_moves_to_the_front(row: int) -> None:
    chain = Chain(2, 3)
    for r in (1, 2, 3):
        chain.insert_head(1, r)
    chain.move_to_front(1, row)
    assert rows_of(chain, 1) == [row, *(r for r in (3, 2, 1) if r != row)]
    assert chain.count == 3


@pytest.mark.parametrize("to", [1, 2, 4, 8, 64])
def test_resize_spreads_by_hash_and_keeps_the_order_within_a_bucket(to: int) -> None:
    chain = Chain(4, 40)
    hashes = column("I", 41)
    for row in range(1, 41):
        hashes[row] = (row * 0x9E3779B1) % 2**32
        chain.insert_head(hashes[row] & 3, row)
    old = [rows_of(chain, b) for b in range(4)]
    chain.resize(to, hashes)
    assert (chain.buckets, chain.mask, chain.count, len(chain.head)) == (to, to - 1, 40, to)
    for b in range(to):
        want = [r for rows in reversed(old) for r in rows if hashes[r] & (to - 1) == b]
        assert rows_of(chain, b) == want


def test_a_grown_chain_keeps_its_rows() -> None:
    chain = Chain(2, 2)
    chain.insert_head(1, 2)
    chain.grow(50)
    chain.insert_head(1, 50)
    assert rows_of(chain, 1) == [50, 2]
    assert chain.rows == 50
    with pytest.raises(ValueError, match="does not fit"):
        chain.grow(3)


def test_free_rows_come_in_order_and_then_the_last_given_first() -> None:
    free = FreeList(4)
    assert [free.take() for _ in range(3)] == [1, 2, 3]
    free.give(1)
    free.give(3)
    assert [free.in_use(row) for row in range(1, 5)] == [False, True, False, False]
    assert [free.take() for _ in range(4)] == [3, 1, 4, 0]
    assert (free.used, free.high_water, free.failures) == (4, 4, 1)


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_full_list_answers_zero_and_counts_it(rows: int) -> None:
    free = FreeList(rows)
    assert [free.take() for _ in range(rows + 2)] == [*range(1, rows + 1), 0, 0]
    assert (free.used, free.high_water, free.failures) == (rows, rows, 2)


def test_high_water_stays_when_rows_go() -> None:
    free = FreeList(5)
    for row in [free.take() for _ in range(4)]:
        free.give(row)
    free.take()
    assert (free.used, free.high_water) == (1, 4)


def test_a_limit_below_the_rows_refuses_and_may_change() -> None:
    free = FreeList(10)
    free.limit = 2
    assert [free.take() for _ in range(3)] == [1, 2, 0]
    free.limit = 1
    free.give(2)
    assert free.take() == 0
    free.limit = 3
    assert [free.take() for _ in range(3)] == [2, 3, 0]
    assert free.failures == 3


def test_a_limit_above_the_rows_gives_no_more_rows() -> None:
    free = FreeList(2)
    free.limit = 9
    assert [free.take() for _ in range(3)] == [1, 2, 0]
    assert free.failures == 1


def test_growing_continues_the_numbers() -> None:
    free = FreeList(2)
    assert [free.take() for _ in range(3)] == [1, 2, 0]
    free.grow(4)
    assert (free.rows, free.limit) == (4, 4)
    assert [free.take() for _ in range(3)] == [3, 4, 0]
    free.limit = 1
    free.grow(6)
    assert (free.rows, free.limit) == (6, 1)


def test_broken_use_asserts_where_it_can_be_seen() -> None:
    """Compiled, giving a row twice leaves the list as it was; interpreted, it stops the run."""
    free = FreeList(3)
    row = free.take()
    free.give(row)
    chain = Chain(2, 3)
    chain.insert_head(0, 1)
    if fast.COMPILED:
        free.give(row)
        assert free.used == 0
    else:
        with pytest.raises(AssertionError, match="row 1 is not in use"):
            free.give(row)
        with pytest.raises(AssertionError, match="is in this bucket"):
            chain.insert_head(0, 1)
        with pytest.raises(AssertionError, match="is not in bucket 1"):
            chain.remove(1, 1)
    assert [free.take() for _ in range(4)] == [1, 2, 3, 0]
