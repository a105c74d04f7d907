"""The receive queue: octets in, octets out."""

import random

from fuzz.octets import pool as small_pool

from pystack._fast.recvq import RecvQueue


def test_against_bytes():
    chance = random.Random(6)
    pool = small_pool(mbufs=20000, clusters=8000)
    q = RecvQueue(pool, 100_000, 0)
    model = b""
    buf = bytearray(50_000)
    for _ in range(2000):
        act = chance.random()
        if act < 0.5 and len(model) < 90_000:
            data = chance.randbytes(chance.choice((1, 50, 1460, 9000)))
            q.append(pool.new_chain(memoryview(data), 0, len(data)), len(data))
            model += data
        else:
            n = chance.choice((0, 1, 100, 5000, 40_000))
            peek = chance.random() < 0.3
            if chance.random() < 0.5:
                got = q.read_bytes(n, peek)
            else:
                count = q.read_into(memoryview(buf), 7, n, peek)
                got = bytes(buf[7 : 7 + count])
            assert got == model[:n]
            if not peek:
                model = model[n:]
        assert q.cc == len(model)
        assert q.space() == 100_000 - len(model)
    q.flush()
    assert (q.cc, pool.in_use) == (0, 0)


def filled(q, pool, n, memory, room):
    q.append(pool.new_chain(memoryview(bytes(n)), 0, n), n)
    q.charge(n, memory, room)


def test_memory_is_counted_where_the_buffer_is_memory():
    """Linux: half of it is thought to be data at first; a block gives its memory back when all of it was read."""
    pool = small_pool()
    q = RecvQueue(pool, 131072, 1)
    assert q.limit() == q.space() == 65536
    filled(q, pool, 1000, 2304, 624)
    filled(q, pool, 600, 832, 0)  # there is room for these behind the first
    assert q.rmem == 2304
    filled(q, pool, 100, 832, 52)
    assert q.rmem == 2304 + 832
    assert q.space() == (131072 - 3136) // 2
    assert len(q.read_bytes(1500, False)) == 1500
    assert q.rmem == 3136
    assert len(q.read_bytes(100, False)) == 100
    assert q.rmem == 832
    q.ratio = 200
    assert q.limit() == 131072 * 200 // 256
    q.flush()
    assert q.rmem == 0


def test_many_blocks_of_memory():
    pool = small_pool(mbufs=2000)
    q = RecvQueue(pool, 1 << 20, 1)
    for i in range(100):
        filled(q, pool, 10 + i, 832, 0)
    assert q.rmem == 83200
    q.drop(sum(10 + i for i in range(40)))
    assert q.rmem == 60 * 832
    for _ in range(50):
        filled(q, pool, 10, 832, 0)
    assert q.rmem == 110 * 832
    q.collapse(4352)
    assert q.rmem == 4352
    q.flush()
    assert (q.rmem, pool.in_use) == (0, 0)


def test_fuller_than_its_limit():
    """A buffer that was made smaller has no room; less than none is none."""
    pool = small_pool()
    q = RecvQueue(pool, 1000, 0)
    data = memoryview(bytes(900))
    q.append(pool.new_chain(data, 0, 900), 900)
    q.hiwat = 500
    assert q.space() == 0
    q.flush()
