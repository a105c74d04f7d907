"""Sequence numbers against plain integers that never wrap."""

import itertools

import pytest

from pystack._fast import seq

M = 2**32
EDGES = [0, 1, 2, 2**31 - 1, 2**31, 2**31 + 1, M - 2, M - 1]


@pytest.mark.parametrize("a", EDGES)
@pytest.mark.parametrize("n", EDGES)
def test_add_and_sub_wrap(a: int, n: int) -> None:
    assert seq.add(a, n) == (a + n) % M
    assert seq.sub(a, n) == (a - n) % M


@pytest.mark.parametrize("a", EDGES)
@pytest.mark.parametrize("far", [-(2**31), -(2**31) + 1, -2, -1, 0, 1, 2, 2**31 - 1])
def test_order_follows_the_signed_distance(a: int, far: int) -> None:
    b = (a + far) % M
    assert seq.dist(a, b) == far
    assert seq.before(a, b) is (far > 0)
    assert seq.after(a, b) is (far < 0)
    assert seq.before_eq(a, b) is (far >= 0)
    assert seq.after_eq(a, b) is (far <= 0)
    assert seq.maximum(a, b) == (b if far > 0 else a)
    assert seq.minimum(a, b) == (a if far > 0 else b)


def test_at_half_the_space_neither_number_is_before_the_other() -> None:
    for a in EDGES:
        b = (a + 2**31) % M
        assert not seq.before(a, b)
        assert not seq.before(b, a)
        assert seq.after(a, b)
        assert seq.after(b, a)


@pytest.mark.parametrize("lo", EDGES)
@pytest.mark.parametrize("length", [0, 1, 2, 1000, 2**31, M - 1])
def test_between_is_half_open(lo: int, length: int) -> None:
    hi = (lo + length) % M
    for offset in itertools.chain(range(3), [length - 1, length, length + 1, M - 1]):
        offset %= M
        assert seq.between((lo + offset) % M, lo, hi) is (offset < length)
