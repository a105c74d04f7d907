"""Half-open connections as rows: chains with a limit each, oldest at the tail."""

from pystack._fast.syncache import SynCache

A, B = 0x0A000001, 0x0A000002


def test_add_find_remove():
    cache = SynCache(10, 4, 5, 7)
    rows = [cache.add(A, 80, B, 1000 + i) for i in range(10)]
    assert 0 not in rows
    assert cache.add(A, 80, B, 2000) == 0
    assert (cache.used, cache.high_water) == (10, 10)
    for i, row in enumerate(rows):
        assert cache.find(A, 80, B, 1000 + i) == row
    assert cache.find(A, 80, B, 2000) == 0
    assert cache.find(B, 80, A, 1000) == 0
    cache.remove(rows[3])
    assert cache.find(A, 80, B, 1003) == 0
    assert cache.add(A, 80, B, 2000) == rows[3]


def test_the_oldest_of_a_chain():
    cache = SynCache(10, 1, 5, 7)
    assert cache.oldest_in(0) == 0
    rows = [cache.add(A, 80, B, 1000 + i) for i in range(4)]
    for row in rows:
        assert cache.oldest_in(0) == row
        cache.remove(row)
    assert cache.used == 0


def test_the_secret_spreads():
    a, b = SynCache(4, 512, 5, 7), SynCache(4, 512, 5, 8)
    chains_a = [a.bucket_of(A, 80, B, p) for p in range(1000)]
    chains_b = [b.bucket_of(A, 80, B, p) for p in range(1000)]
    assert chains_a != chains_b
    assert len(set(chains_a)) > 300
    assert max(chains_a) < 512
