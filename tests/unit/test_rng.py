"""The generator against an independent xoshiro256**, and what a seed promises."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice

import pytest

from pystack._fast.rng import Rng

M = 2**64


def reference(seed: int) -> Iterator[int]:
    """xoshiro256** as its authors describe it, state from four SplitMix64 outputs."""

    def rotl(x: int, k: int) -> int:
        return ((x << k) | (x >> (64 - k))) % M

    state = []
    for _ in range(4):
        seed = (seed + 0x9E3779B97F4A7C15) % M
        z = seed
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % M
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % M
        state.append(z ^ (z >> 31))
    while True:
        yield rotl(state[1] * 5 % M, 7) * 9 % M
        t = (state[1] << 17) % M
        state[2] ^= state[0]
        state[3] ^= state[1]
        state[1] ^= state[2]
        state[0] ^= state[3]
        state[2] ^= t
        state[3] = rotl(state[3], 45)


@pytest.mark.parametrize("seed", [0, 1, 7, 2**31, 2**32, 2**63, M - 1])
def test_the_stream_is_xoshiro256starstar(seed: int) -> None:
    rng = Rng(seed)
    assert [rng.next64() for _ in range(200)] == list(islice(reference(seed), 200))


def test_the_first_numbers_of_seed_zero() -> None:
    # SplitMix64 from 0 is published; so is this start of xoshiro256** seeded by it.
    assert Rng(0).next64() == 0x99EC5F36CB75F2B4


def test_next32_is_the_upper_half() -> None:
    a, b = Rng(5), Rng(5)
    assert [a.next32() for _ in range(50)] == [b.next64() >> 32 for _ in range(50)]


@pytest.mark.parametrize("seed", [-1, M])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="seed"):
        Rng(seed)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 1000, 2**31, 2**31 + 1, 2**32 - 1])
def test_below_stays_below_and_follows_lemire(n: int) -> None:
    rng, raw = Rng(n), reference(n)
    for _ in range(200):
        while True:
            wide = (next(raw) >> 32) * n
            if wide % 2**32 >= 2**32 % n:
                break
        assert rng.below(n) == wide >> 32 < n


def test_below_zero_is_zero() -> None:
    assert Rng(1).below(0) == 0


def test_below_reaches_every_number_about_equally() -> None:
    rng = Rng(11)
    seen = Counter(rng.below(6) for _ in range(6000))
    assert sorted(seen) == list(range(6))
    assert all(850 < n < 1150 for n in seen.values())


def test_chance_compares_the_next_number() -> None:
    rng, raw = Rng(3), reference(3)
    for threshold in [0, 1, 2**63, M - 1, M // 10] * 20:
        assert rng.chance(threshold) is (next(raw) < threshold)


def test_chance_is_as_likely_as_asked() -> None:
    rng = Rng(9)
    assert 900 < sum(rng.chance(M // 10) for _ in range(10_000)) < 1100
    assert not any(rng.chance(0) for _ in range(100))
    assert all(rng.chance(M - 1) for _ in range(100))


def test_a_fork_depends_on_seed_and_label_only() -> None:
    drawn, fresh = Rng(7), Rng(7)
    for _ in range(10):
        drawn.next64()
    a = drawn.fork(b"isn")
    assert a.seed == fresh.fork(b"isn").seed
    assert a.next64() == fresh.fork(b"isn").next64()
    others = {Rng(7).fork(b"port").seed, Rng(8).fork(b"isn").seed, Rng(7).seed, a.seed}
    assert len(others) == 4
    assert fresh.next64() == Rng(7).next64()
