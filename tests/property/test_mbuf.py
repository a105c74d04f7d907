"""Any history of a pool: the octets are those of a model, nothing leaks, all books agree, whatever is denied."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)
from mbuf_audit import audit

from pystack._fast import mbuf_zones as z
from pystack._fast.mbuf import Pool

DATA = memoryview(bytes((i * 7 + (i >> 8) * 13) & 0xFF for i in range(200_000)))
ALL = 1 << 30

lengths = st.one_of(
    st.integers(1, 400),
    st.sampled_from([1447, 1448, 2047, 2048, 2049, 4096, 9216, 9217, 16384, 16385, 65536, 65537]),
    st.integers(1, 100_000),
)
parts = st.floats(0, 1, allow_nan=False)


class Chain:
    """The model of a chain: its octets. `head` and `pool` say where the real one is."""

    def __init__(self, pool: Pool, head: int, octets: bytes) -> None:
        self.pool = pool
        self.head = head
        self.octets = octets


class PoolAgainstBytes(RuleBasedStateMachine):
    chains = Bundle("chains")

    @initialize(
        clusters=st.sampled_from([0, 5, 40, 120]),
        nmbufs=st.sampled_from([0, 30, 130]),
        bulk=st.sampled_from([z.CLUSTER, z.JUMBO_PAGE]),
        arena=st.sampled_from([1 << 20, 16 << 20]),
    )
    def begin(self, clusters: int, nmbufs: int, bulk: int, arena: int) -> None:
        self.pools = [Pool(nmbufs, clusters, clusters, 4, 0, arena_bytes=arena) for _ in range(2)]
        self.live: list[Chain] = []
        self.landing = [0, 0]
        self.before = [0, 0]
        self.lowered = False
        for pool in self.pools:
            pool.bulk_zone = bulk

    def denied(self, pool: Pool) -> bool:
        """Whether the pool refused something since the last time that this was asked."""
        i = self.pools.index(pool)
        now = sum(row["fail"] + row["sleep"] for row in pool.zones())
        self.before[i], before = now, self.before[i]
        return now > before

    def made(self, pool: Pool, head: int, octets: bytes):
        assert self.denied(pool) is (head == 0)
        if head == 0:
            return multiple()
        self.live.append(Chain(pool, head, octets))
        return self.live[-1]

    @rule(target=chains, which=st.integers(0, 1), n=lengths, off=st.integers(0, 99_000))
    def new(self, which: int, n: int, off: int):
        pool = self.pools[which]
        return self.made(pool, pool.new_chain(DATA, off, n), bytes(DATA[off : off + n]))

    @rule(chain=chains, n=lengths, off=st.integers(0, 99_000))
    def append(self, chain: Chain, n: int, off: int) -> None:
        done = chain.pool.append_bytes(chain.pool.tail(chain.head), DATA, off, n)
        assert self.denied(chain.pool) is (done < n)
        chain.octets += bytes(DATA[off : off + done])

    @rule(target=chains, chain=chains, a=parts, b=parts)
    def share(self, chain: Chain, a: float, b: float):
        skip = int(a * (len(chain.octets) - 1))
        n = 1 + int(b * (len(chain.octets) - skip - 1))
        head = chain.pool.share(chain.head, skip, n)
        return self.made(chain.pool, head, chain.octets[skip : skip + n])

    @rule(target=chains, chain=chains, which=st.integers(0, 1), a=parts, b=parts)
    def imports(self, chain: Chain, which: int, a: float, b: float):
        skip = int(a * (len(chain.octets) - 1))
        n = 1 + int(b * (len(chain.octets) - skip - 1))
        head = self.pools[which].import_chain(chain.pool, chain.head, skip, n)
        return self.made(self.pools[which], head, chain.octets[skip : skip + n])

    @rule(target=chains, chain=consumes(chains), part=parts, front=st.booleans())
    def trim(self, chain: Chain, part: float, front: bool):
        n = int(part * len(chain.octets))
        if front:
            chain.head = chain.pool.trim_front(chain.head, n)
            chain.octets = chain.octets[n:]
        else:
            chain.head = chain.pool.truncate(chain.head, n)
            chain.octets = chain.octets[:n]
        if chain.octets:
            return chain
        assert chain.head == 0
        self.live.remove(chain)
        return multiple()

    @rule(chain=consumes(chains))
    def free(self, chain: Chain) -> None:
        chain.pool.free_chain(chain.head)
        self.live.remove(chain)

    @rule(
        target=chains,
        which=st.integers(0, 1),
        n=st.one_of(
            st.sampled_from([1, 168, 169, 1448, 16384, 16385, 65_495]), st.integers(1, 65_495)
        ),
        skip=st.sampled_from([0, 28, 40, 52]),
    )
    def land(self, which: int, n: int, skip: int):
        pool = self.pools[which]
        m = self.landing[which]
        if m == 0:
            m = self.landing[which] = pool.land()
            if self.denied(pool):
                assert m == 0
                return multiple()
        start = pool.column("m_off")[m] + skip
        pool.arena_bytes[start : start + n] = DATA[n : 2 * n]
        head = pool.keep_landed(m, skip, n)
        if head == m:
            self.landing[which] = 0
        return self.made(pool, head, bytes(DATA[n : 2 * n]))

    @rule(which=st.integers(0, 1), n=st.integers(0, 3))
    def injure(self, which: int, n: int) -> None:
        self.pools[which].deny_nth(n)

    @rule(
        which=st.integers(0, 1), zone=st.sampled_from([z.MBUF, 2, 3, 4]), value=st.integers(0, 60)
    )
    def set_limit(self, which: int, zone: int, value: int) -> None:
        self.pools[which].set_limit(zone, value)
        self.lowered = True

    @rule(which=st.integers(0, 1))
    def wait(self, which: int) -> None:
        self.pools[which].wait = not self.pools[which].wait

    @rule(chain=chains, a=parts, b=parts, odd=st.booleans())
    def checksum(self, chain: Chain, a: float, b: float, odd: bool) -> None:
        skip = int(a * len(chain.octets))
        n = int(b * (len(chain.octets) - skip))
        octets = bytes(odd) + chain.octets[skip : skip + n]
        octets += bytes(len(octets) & 1)
        want = sum(memoryview(octets).cast("H").tolist()) % 0xFFFF
        want = int.from_bytes(want.to_bytes(2, "little"), "big")
        got = chain.pool.checksum(chain.head, skip, n, 0, odd)
        assert got <= 0xFFFF
        assert got % 0xFFFF == want % 0xFFFF

    @invariant()
    def octets_are_right(self) -> None:
        for chain in self.live:
            assert chain.pool.to_bytes(chain.head, 0, ALL) == chain.octets
            assert chain.pool.chain_length(chain.head) == len(chain.octets)

    @invariant()
    def books_agree(self) -> None:
        for pool, landing in zip(self.pools, self.landing, strict=True):
            heads = [chain.head for chain in self.live if chain.pool is pool]
            audit(pool, [*heads, landing] if landing else heads, lowered=self.lowered)

    def teardown(self) -> None:
        for chain in self.live:
            chain.pool.free_chain(chain.head)
        for pool, landing in zip(self.pools, self.landing, strict=True):
            pool.free_chain(landing)
            audit(pool, [], lowered=self.lowered)
            assert pool.in_use == 0
            assert not any(pool.column("z_used"))


TestPool = PoolAgainstBytes.TestCase
TestPool.settings = settings(max_examples=150, stateful_step_count=40)
