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


def test_overhead_halves_the_room():
    """Linux, tcp_adv_win_scale 1: half of the buffer is thought to be bookkeeping."""
    q = RecvQueue(small_pool(), 131072, 1)
    assert q.limit() == q.space() == 65536


def test_fuller_than_its_limit():
    """A buffer that was made smaller has no room; less than none is none."""
    pool = small_pool()
    q = RecvQueue(pool, 1000, 0)
    data = memoryview(bytes(900))
    q.append(pool.new_chain(data, 0, 900), 900)
    q.hiwat = 500
    assert q.space() == 0
    q.flush()
