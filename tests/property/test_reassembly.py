"""The reassembly queue against a model: a dict of octets and a list of ranges."""

from fuzz.octets import pool as small_pool
from hypothesis import given
from hypothesis import strategies as st

from pystack._fast.recvq import Reassembly, RecvQueue

M32 = 0xFFFFFFFF
BASES = st.sampled_from([0, 5, 2**31 - 40, 2**32 - 60, 2**32 - 1, 123456])
SEGMENTS = st.lists(st.tuples(st.integers(1, 120), st.integers(1, 60), st.booleans()), max_size=40)


def octets(at: int, n: int, flavour: int) -> bytes:
    return bytes((x * 3 + flavour * 101) & 255 for x in range(at, at + n))


def chain(pool, data: bytes, split: bool) -> int:
    """The octets as one mbuf, or as a chain of many."""
    if not split or len(data) < 3:
        return pool.new_chain(memoryview(data), 0, len(data))
    third = len(data) // 3
    q = RecvQueue(pool, 1 << 20, 0)  # only to link them
    heads = []
    for part in (data[:third], data[third : 2 * third], data[2 * third :]):
        heads.append(pool.new_chain(memoryview(part), 0, len(part)))
        q.append(heads[-1], len(part))
    return heads[0]


class Model:
    """What is held beyond RCV.NXT: the first octet to arrive at a place stays."""

    def __init__(self):
        self.held: dict[int, int] = {}

    def insert(self, at: int, data: bytes) -> int:
        new = 0
        for i, octet in enumerate(data):
            if at + i not in self.held:
                self.held[at + i] = octet
                new += 1
        return new

    def ranges(self) -> list[tuple[int, int]]:
        out: list[list[int]] = []
        for at in sorted(self.held):
            if out and out[-1][1] == at:
                out[-1][1] += 1
            else:
                out.append([at, at + 1])
        return [(a, b) for a, b in out]


@given(base=BASES, segments=SEGMENTS)
def test_islands(base, segments):
    pool = small_pool()
    queue = Reassembly(pool, 100)
    model = Model()
    for flavour, (at, n, split) in enumerate(segments):
        data = octets(at, n, flavour)
        new = queue.insert((base + at) & M32, chain(pool, data, split), n)
        assert new == model.insert(at, data)
        ranges = model.ranges()
        assert queue.ranges() == [((base + a) & M32, (base + b) & M32) for a, b in ranges]
        assert queue.octets == len(model.held)
        island = next((a, b) for a, b in ranges if a <= at and at + n <= b)
        assert queue.ranges()[queue.new_at] == tuple((base + x) & M32 for x in island)
    # all of it can be read, island by island, and is what arrived first
    q = RecvQueue(pool, 1 << 20, 0)
    for left, right in model.ranges():
        assert queue.take((base + left) & M32, q) == right - left
        assert q.read_bytes(1 << 20, False) == bytes(model.held[x] for x in range(left, right))
    assert queue.n == 0
    assert queue.octets == 0
    assert pool.in_use == 0


@given(segments=SEGMENTS, maximum=st.integers(1, 4))
def test_limit_of_islands(segments, maximum):
    """A segment that would need one island too many is refused and its buffers are free."""
    pool = small_pool()
    queue = Reassembly(pool, maximum)
    model = Model()
    for at, n, split in segments:
        data = octets(at, n, 0)
        new = queue.insert(at, chain(pool, data, split), n)
        if new < 0:
            assert len(model.ranges()) == maximum
        else:
            model.insert(at, data)
        assert queue.ranges() == model.ranges()
    queue.flush()
    assert pool.in_use == 0


@given(segments=SEGMENTS, keep=st.integers(3, 40))
def test_no_mbufs(segments, keep):
    """With a pool that runs dry: what is held is right, whatever was denied; nothing leaks."""
    pool = small_pool(mbufs=max(keep, 3), clusters=10, jumbo=4)
    queue = Reassembly(pool, 100)
    source: dict[int, int] = {}
    for at, n, _ in segments:
        data = octets(at, n, 0)
        m = pool.new_chain(memoryview(data), 0, n)
        if m == 0:
            continue
        got = pool.chain_length(m)
        if got < n:
            pool.free_chain(m)
            continue
        queue.insert(at, m, n)
        source.update(enumerate(data, at))
    q = RecvQueue(pool, 1 << 20, 0)
    for left, right in queue.ranges():
        assert queue.take(left, q) == right - left
        assert q.read_bytes(1 << 20, False) == bytes(source[x] for x in range(left, right))
    assert pool.in_use == 0
