"""The send queue: what is shared of it is what was written there."""

import random

from fuzz.octets import pool as small_pool

from pystack._fast.sendq import SendQueue


def shared(pool, q, off: int, n: int) -> bytes:
    m = q.chain(off, n)
    data = pool.to_bytes(m, 0, n)
    pool.free_chain(m)
    return data


def test_against_bytes():
    """Any history of writes, acknowledgments, transmissions and retransmissions."""
    chance = random.Random(5)
    pool = small_pool(mbufs=20000, clusters=8000)
    q = SendQueue(pool, 200_000, 2048)
    model = b""
    alive = []
    for _ in range(3000):
        act = chance.random()
        if act < 0.35 and len(model) < 150_000:
            data = chance.randbytes(chance.choice((1, 7, 200, 1460, 3000, 9000, 40000)))
            n = q.append(memoryview(b"xx" + data), 2, len(data))
            assert n == len(data)
            model += data
        elif act < 0.6 and model:
            n = chance.randrange(1, len(model) + 1)
            q.drop(n)
            model = model[n:]
        elif model:
            off = chance.randrange(len(model))
            n = chance.randrange(1, min(3000, len(model) - off) + 1)
            assert shared(pool, q, off, n) == model[off : off + n]
            if chance.random() < 0.1:
                alive.append((q.chain(off, n), model[off : off + n]))
        assert q.cc == len(model)
        assert q.mbcnt >= q.cc
    assert q.to_bytes() == model
    for m, data in alive:  # a packet that is still on its way keeps its octets
        assert pool.to_bytes(m, 0, len(data)) == data
        pool.free_chain(m)
    q.flush()
    assert q.to_bytes() == b""
    assert pool.in_use == 0


def test_no_mbufs():
    pool = small_pool(mbufs=60, clusters=10, jumbo=4)
    q = SendQueue(pool, 1 << 20, 2048)
    data = memoryview(bytes(range(256)) * 100)
    taken = 0
    while (n := q.append(data, 0, 3000)) == 3000:
        taken += n
    taken += n
    assert 10_000 < taken < 200_000
    assert q.cc == taken
    assert len(q.to_bytes()) == taken
    assert q.append(data, 0, 10) in range(11)
    q.flush()
    assert pool.in_use == 0


def test_nothing():
    q = SendQueue(small_pool(), 100, 10)
    assert q.append(memoryview(b"abc"), 0, 0) == 0
    assert q.chain(0, 0) == 0
    assert q.to_bytes() == b""
