"""The mbuf pool: chains, sharing, what a limit does, and the real system's books."""

import os

import pytest
from mbuf_audit import audit

from pystack._fast import mbuf_zones as z
from pystack._fast.mbuf import BIG, KEEP, MHLEN, MLEN, Pool
from pystack._fast.wirebytes import csum_add, csum_fold

DATA = memoryview(os.urandom(256) * 1024)
ALL = 1 << 30


def pool(nmbufs=0, nmbclusters=0, jumbop=0, jumbo9=0, jumbo16=0, **more) -> Pool:
    return Pool(nmbufs, nmbclusters, jumbop, jumbo9, jumbo16, **more)


def chain(p: Pool, n: int, off: int = 0) -> int:
    m = p.new_chain(DATA, off, n)
    assert m
    return m


def zones(p: Pool) -> dict[str, dict]:
    return {row["name"]: row for row in p.zones()}


def used(p: Pool) -> dict[str, tuple[int, int]]:
    return {
        row["name"]: (row["used"], row["free"]) for row in p.zones() if row["used"] or row["free"]
    }


def failures(p: Pool) -> dict[str, int]:
    return {row["name"]: row["fail"] for row in p.zones() if row["fail"]}


EDGES = [1, 2, MHLEN, MHLEN + 1, MLEN, MLEN + 1, 2047, 2048, 2049, 4096, 4097, 9216, 9217, 16384]
EDGES += [16385, 65535, 65536, 65537, 66048, 131072, 200_001]


@pytest.mark.parametrize("n", EDGES)
def test_octets_go_in_and_come_out(n: int) -> None:
    p = pool()
    m = chain(p, n, off=3)
    assert p.chain_length(m) == n
    assert p.to_bytes(m, 0, ALL) == DATA[3 : 3 + n]
    out = bytearray(n + 2)
    assert p.copy_out(m, 0, out, 1, n) == n
    assert out[1:-1] == DATA[3 : 3 + n]
    assert sum(len(v) for v in p.views(m, n // 2, n)) == n - n // 2
    audit(p, [m])
    p.free_chain(m)
    audit(p, [])


def test_an_mbuf_is_plain_up_to_mhlen_and_a_pair_above() -> None:
    p = pool()
    small = chain(p, MHLEN)
    assert used(p) == {"mbuf": (1, 0)}
    pair = chain(p, MHLEN + 1)
    assert used(p) == {"mbuf": (1, 0), "mbuf_packet": (1, 0), "mbuf_cluster": (1, 0)}
    p.free_chain(small)
    p.free_chain(pair)
    # a pair that was given back stays a pair: its cluster stays in use for the cluster zone
    assert used(p) == {"mbuf": (0, 1), "mbuf_packet": (0, 1), "mbuf_cluster": (1, 0)}


@pytest.mark.parametrize("n", [2049, 4096, 5000, 16384, 16385, 40_000, 65536])
def test_big_storage_is_charged_as_pairs(n: int) -> None:
    p = pool()
    m = chain(p, n)
    pairs = -(-n // 2048)
    assert p.in_use == 1
    assert used(p) == {"mbuf_packet": (pairs, 0), "mbuf_cluster": (pairs, 0)}
    assert zones(p)["mbuf_packet"]["requests"] == pairs
    p.free_chain(m)
    audit(p, [])


def test_big_storage_may_be_charged_as_page_clusters() -> None:
    p = pool()
    p.bulk_zone = z.JUMBO_PAGE
    m = chain(p, 10_000)
    assert used(p) == {"mbuf": (3, 0), "mbuf_jumbo_page": (3, 0)}
    p.free_chain(m)
    assert used(p) == {"mbuf": (0, 3), "mbuf_jumbo_page": (0, 3)}


def test_the_charge_follows_what_is_read_away() -> None:
    p = pool()
    m = chain(p, 65536)
    for left in range(65536 - 1448, 0, -1448):
        m = p.trim_front(m, 1448)
        assert zones(p)["mbuf_packet"]["used"] == -(-left // 2048)
        audit(p, [m])
    p.free_chain(m)


@pytest.mark.parametrize(
    ("size", "zone"),
    [
        (0, "mbuf_cluster"),
        (2048, "mbuf_cluster"),
        (2049, "mbuf_jumbo_page"),
        (9000, "mbuf_jumbo_9k"),
        (16384, "mbuf_jumbo_16k"),
        (BIG, "mbuf_cluster"),
    ],
)
def test_get_cluster_takes_from_the_zone_that_fits(size: int, zone: str) -> None:
    p = pool()
    m = p.get_cluster(size)
    assert zones(p)[zone]["used"] == 1
    assert p.room_after(m) >= min(size, 65536)
    assert p.chain_length(m) == 0
    p.free(m)
    audit(p, [])


def test_appending_fills_the_room_first() -> None:
    p = pool()
    m = chain(p, 1)
    assert p.append_bytes(m, DATA, 1, MLEN - 1) == MLEN - 1
    assert p.in_use == 1
    assert p.append_bytes(m, DATA, MLEN, 1) == 1
    assert p.in_use == 2
    tail = p.tail(m)
    assert tail != m
    assert p.append_bytes(tail, DATA, MLEN + 1, 3000) == 3000
    assert p.to_bytes(m, 0, ALL) == DATA[: MLEN + 3001]
    p.free_chain(m)
    audit(p, [])


def test_a_shared_tail_grows_without_touching_what_is_shared() -> None:
    p = pool()
    m = chain(p, 1000)
    whole, front = p.share(m, 0, 1000), p.share(m, 0, 500)
    assert p.room_after(front) == 0  # not at the tail: the octets behind it belong to others
    assert p.room_after(m) == 1048
    assert p.append_bytes(m, DATA, 1000, 100) == 100
    assert p.room_after(whole) == 0
    p.append_bytes(whole, DATA, 70_000, 50)
    assert p.to_bytes(m, 0, ALL) == DATA[:1100]
    assert p.to_bytes(whole, 0, ALL) == bytes(DATA[:1000]) + DATA[70_000:70_050]
    assert p.to_bytes(front, 0, ALL) == DATA[:500]
    audit(p, [m, whole, front])
    for head in (m, whole, front):
        p.free_chain(head)
    audit(p, [])


def test_sharing_copies_nothing_but_plain_mbufs() -> None:
    p = pool()
    m = chain(p, 5000)
    p.append_bytes(p.tail(m), DATA, 5000, 4216 + 100)  # fills the 9 KiB piece, then a plain mbuf
    before = zones(p)["mbuf_packet"]["used"]
    s = p.share(m, 100, 9216)
    assert zones(p)["mbuf_packet"]["used"] == before
    assert p.to_bytes(s, 0, ALL) == DATA[100:9316]
    p.free_chain(m)
    assert p.to_bytes(s, 0, ALL) == DATA[100:9316]
    p.free_chain(s)
    audit(p, [])


def test_sharing_nothing_is_no_chain_and_no_failure() -> None:
    p = pool()
    m = chain(p, 100)
    assert p.share(m, 0, 0) == 0
    assert p.share(m, 100, 5) == 0
    assert p.share(0, 0, 5) == 0
    assert failures(p) == {}
    p.free_chain(m)


@pytest.mark.parametrize("cut", [0, 1, 223, 224, 225, 2271, 2272, 2273, 5000])
def test_trim_and_truncate(cut: int) -> None:
    p = pool()
    m = chain(p, 1)
    for at, n in ((1, 223), (224, 2048), (2272, 2728)):
        assert p.append_bytes(p.tail(m), DATA, at, n) == n
    m = p.trim_front(m, cut)
    assert p.to_bytes(m, 0, ALL) == DATA[cut:5000]
    assert (m == 0) is (cut == 5000)
    m = p.truncate(m, (5000 - cut) // 2)
    assert p.to_bytes(m, 0, ALL) == DATA[cut : cut + (5000 - cut) // 2]
    audit(p, [m] if m else [])
    p.free_chain(m)
    audit(p, [])


def test_trimming_by_nothing_keeps_an_empty_mbuf() -> None:
    p = pool()
    m = p.get()
    assert p.trim_front(m, 0) == m
    assert p.free(m) == 0


@pytest.mark.parametrize("n", [1, 168, 169, 1448, 2048, 2049, 30_000, 65536, 70_001])
@pytest.mark.parametrize("skip", [0, 1, 77])
def test_import_copies_into_storage_that_fits(n: int, skip: int) -> None:
    p, q = pool(), pool()
    m = chain(p, 80_000)
    i = q.import_chain(p, m, skip, n)
    p.free_chain(m)
    assert q.to_bytes(i, 0, ALL) == DATA[skip : skip + n]
    if n <= MHLEN:
        assert used(q) == {"mbuf": (1, 0)}
    else:
        # a piece holds at most 64 KiB; what is over fills its last cluster by itself
        pairs = sum(-(-part // 2048) for part in (min(n, 65536), n - min(n, 65536)))
        assert zones(q)["mbuf_packet"]["used"] == pairs
    q.free_chain(i)
    audit(p, [])
    audit(q, [])


def test_import_within_one_pool() -> None:
    p = pool()
    m = chain(p, 5000)
    i = p.import_chain(p, m, 10, 3000)
    assert p.to_bytes(i, 0, ALL) == DATA[10:3010]
    audit(p, [m, i])
    p.free_chain(m)
    p.free_chain(i)
    audit(p, [])


@pytest.mark.parametrize("skip", [0, 1, 2, 7])
@pytest.mark.parametrize("n", [0, 1, 2, 223, 1448, 4001])
@pytest.mark.parametrize("before", [b"", b"\xab", b"\xab\xcd\xef"])
def test_checksum_at_any_place(skip: int, n: int, before: bytes) -> None:
    p = pool()
    m = chain(p, 1)
    for at, k in ((1, 222), (223, 1), (224, 2049), (2273, 3)):  # pieces of odd and even lengths
        p.append_bytes(p.tail(m), DATA, at, k)
    p.append_bytes(p.tail(m), DATA, 2276, 4000)
    acc = csum_add(memoryview(before), 0, len(before), 0)
    got = p.checksum(m, skip, n, acc, len(before) & 1)
    whole = memoryview(before + bytes(DATA[skip : skip + n]))
    assert csum_fold(got) == csum_fold(csum_add(whole, 0, len(whole), 0))
    p.free_chain(m)


def put(p: Pool, m: int, at: int, octets: bytes) -> None:
    start = p.column("m_off")[m] + at
    p.arena_bytes[start : start + len(octets)] = octets


def test_a_small_packet_is_copied_out_of_its_landing() -> None:
    p = pool()
    m = p.land()
    assert used(p) == {}
    put(p, m, 0, bytes(DATA[:1488]))
    k = p.keep_landed(m, 40, 1448)
    assert k != m
    assert used(p) == {"mbuf_packet": (1, 0), "mbuf_cluster": (1, 0)}
    put(p, m, 0, bytes(2000))
    assert p.to_bytes(k, 0, ALL) == DATA[40:1488]
    assert p.keep_landed(m, 40, 0) == 0
    audit(p, [m, k])
    p.free_chain(k)
    p.free(m)
    audit(p, [])
    assert failures(p) == {}


@pytest.mark.parametrize("n", [KEEP + 1, 40_000, 65_495, 65_535])
def test_a_big_packet_keeps_its_landing(n: int) -> None:
    p = pool()
    m = p.land()
    put(p, m, 40, bytes(DATA[:n]))
    assert p.keep_landed(m, 40, n) == m
    assert p.to_bytes(m, 0, ALL) == DATA[:n]
    assert zones(p)["mbuf_cluster"]["used"] == -(-n // 2048)
    audit(p, [m])
    m = p.trim_front(m, n - 1)
    assert zones(p)["mbuf_packet"]["used"] == 1
    p.free_chain(m)
    audit(p, [])


def test_extend_gives_room_for_the_caller_to_fill() -> None:
    p = pool(nmbclusters=5)
    m = p.get_for(60_000)
    assert p.extend(m, 5000) == 5000
    assert p.extend(m, 60_000) == 5 * 2048 - 5000  # the limit stops it on a cluster's border
    assert failures(p) == {"mbuf_packet": 1, "mbuf_cluster": 1}
    assert p.extend(m, 0) == 0
    assert p.chain_length(m) == 5 * 2048
    p.free(m)
    audit(p, [])


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_nmbufs_one_below_at_and_above(limit: int) -> None:
    p = pool(nmbufs=limit)
    p.now = 42
    taken = [p.get() for _ in range(limit)]
    assert all(taken)
    assert p.would_deny(1)
    assert p.get() == 0
    assert failures(p) == {"mbuf": 1}
    assert zones(p)["mbuf"]["last_failure"] == 42
    assert p.denied_zone == z.MBUF
    p.free(taken.pop())
    assert not p.would_deny(1)
    taken.append(p.get())
    assert taken[-1]
    for m in taken:
        p.free(m)
    audit(p, [])


@pytest.mark.parametrize("limit", [1, 2, 33])
def test_nmbclusters_one_below_at_and_above(limit: int) -> None:
    p = pool(nmbclusters=limit)
    taken = [p.get_cluster(2048) for _ in range(limit)]
    assert all(taken)
    assert p.get_cluster(2048) == 0
    assert failures(p) == {"mbuf_packet": 1, "mbuf_cluster": 1}
    assert zones(p)["mbuf_cluster"]["hits"] == 1
    assert p.denied_zone == z.CLUSTER
    assert p.get_for(100)  # plain mbufs are another zone
    p.free(taken[0])
    assert p.get_cluster(1)


@pytest.mark.parametrize(
    ("zone", "size"), [(z.JUMBO_PAGE, 4096), (z.JUMBO_9K, 9216), (z.JUMBO_16K, 16384)]
)
def test_jumbo_limits(zone: int, size: int) -> None:
    p = pool()
    p.set_limit(zone, 2)
    taken = [p.get_cluster(size) for _ in range(3)]
    assert [bool(m) for m in taken] == [True, True, False]
    assert failures(p) == {z.NAMES[zone]: 1}
    assert p.in_use == 2


def test_a_request_that_would_sleep_is_not_a_failure() -> None:
    p = pool(nmbclusters=1)
    m = chain(p, 2000)
    p.wait = True
    assert p.new_chain(DATA, 0, 2000) == 0
    p.wait = False
    row = zones(p)["mbuf_packet"]
    assert (row["sleep"], row["fail"]) == (1, 0)
    assert zones(p)["mbuf_cluster"]["sleep"] == 1
    p.free_chain(m)


def test_a_short_append_says_how_much_went_in() -> None:
    p = pool(nmbclusters=4)
    m = chain(p, 1000)
    assert p.append_bytes(m, DATA, 1000, 60_000) == 1048 + 3 * 2048
    assert failures(p) == {"mbuf_packet": 1, "mbuf_cluster": 1}
    assert p.to_bytes(m, 0, ALL) == DATA[: 4 * 2048]
    p.free_chain(m)
    audit(p, [])


def test_cached_pairs_are_broken_up_when_plain_mbufs_run_out() -> None:
    p = pool(nmbufs=10)
    for m in [p.get_cluster(2048) for _ in range(10)]:
        p.free(m)
    assert used(p) == {"mbuf_packet": (0, 10), "mbuf_cluster": (10, 0)}
    taken = [p.get() for _ in range(10)]
    assert all(taken)
    assert used(p) == {"mbuf": (10, 0), "mbuf_cluster": (0, 10)}
    assert failures(p) == {}
    audit(p, taken)


def test_raising_a_limit_lets_more_in_and_lowering_waits() -> None:
    p = pool(nmbclusters=1)
    m = chain(p, 2048)
    assert p.new_chain(DATA, 0, 2048) == 0
    p.set_limit(z.CLUSTER, 300_000)
    more = [chain(p, 2048) for _ in range(50)]
    p.set_limit(z.CLUSTER, 10)
    assert p.limit(z.CLUSTER) == 10
    for head in more[:41]:
        assert p.new_chain(DATA, 0, 2048) == 0
        p.free_chain(head)
    assert p.new_chain(DATA, 0, 2048) == 0
    p.free_chain(more[41])
    more[41] = chain(p, 2048)
    for head in (m, *more[41:]):
        p.free_chain(head)
    audit(p, [])


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"kern\.ipc\.nmbjumbo9: a limit of -1"):
        pool(jumbo9=-1)
    with pytest.raises(ValueError, match="arena"):
        pool(arena_bytes=4096)
    p = pool()
    with pytest.raises(IndexError):
        p.set_limit(z.PACKET, 5)
    with pytest.raises(IndexError):
        p.limit(7)
    with pytest.raises(ValueError, match="below 0"):
        p.set_limit(z.CLUSTER, -5)
    with pytest.raises(ValueError, match="past"):
        p.deny_nth(-1)
    with pytest.raises(KeyError):
        p.column("m_colour")


def test_netstat_formulas_of_a_known_state() -> None:
    """1 plain, 3 + 2 cached pairs, one page cluster: the lines that `netstat -m` makes of it."""
    p = pool(nmbufs=1000, nmbclusters=500, jumbop=250)
    plain, page = p.get(), p.get_cluster(4096)
    pairs = [p.get_cluster(2048) for _ in range(5)]
    for m in pairs[3:]:
        p.free(m)
    m, packet, cluster, jumbo = p.zones()[:4]
    assert (m["used"] + packet["used"], m["free"] + packet["free"]) == (5, 2)
    assert (cluster["used"] - packet["free"], cluster["free"] + packet["free"]) == (3, 2)
    assert (cluster["used"] + cluster["free"], cluster["limit"]) == (5, 500)
    assert (packet["used"], packet["free"]) == (3, 2)
    assert (jumbo["used"], jumbo["free"], jumbo["limit"]) == (1, 0, 250)
    assert (m["limit"], packet["limit"], m["high"]) == (1000, 1000, 7)
    audit(p, [plain, page, *pairs[:3]])


def test_the_arena_may_run_out_before_the_limits() -> None:
    p = pool(arena_bytes=1 << 20)
    heads = []
    while m := p.new_chain(DATA, 0, 65536):
        heads.append(m)
    assert failures(p)["mbuf_packet"] == 1
    while m := p.get_cluster(9216):
        heads.append(m)
    assert failures(p)["mbuf_jumbo_9k"] == 1
    while m := p.get():
        heads.append(m)
    assert len(heads) == 511  # one row for each 2 KiB of arena, row 0 is none
    audit(p, heads)
    for m in heads:
        p.free_chain(m)
    audit(p, [])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_double_free_is_seen_and_changes_nothing() -> None:
    p = pool()
    m, other = p.get(), p.get()
    p.free(m)
    try:
        assert p.free(m) == 0  # compiled: the assertion is reported and ignored
    except AssertionError as e:
        assert "freed twice" in str(e)  # noqa: PT017
    assert p.double_frees == 1
    assert p.in_use == 1
    p.free(other)
    assert p.in_use == 0


def test_many_pools_are_cheap() -> None:
    """200 machines in one process: address space is not memory."""
    pools = [pool(nmbclusters=25600) for _ in range(200)]
    heads = [chain(p, 3000) for p in pools]
    assert all(p.to_bytes(m, 0, ALL) == DATA[:3000] for p, m in zip(pools, heads, strict=True))


# --- anomalies: the n-th request is denied, whatever it is ------------------------------------------------------------


def story(p: Pool, q: Pool) -> bool:
    """A bit of everything; stops at the first denial and gives back what it has. True if it got through."""
    held: list[tuple[Pool, int]] = []

    def hold(where: Pool, m: int) -> bool:
        if m:
            held.append((where, m))
        return bool(m)

    def run() -> bool:
        if not hold(p, p.new_chain(DATA, 0, 100)):
            return False
        m = held[0][1]
        for at, n in ((100, 5000), (5100, 70_000), (75_100, 10)):
            if p.append_bytes(p.tail(m), DATA, at, n) != n:
                return False
        if not (hold(p, p.share(m, 50, 74_000)) and hold(q, q.import_chain(p, m, 20, 70_000))):
            return False
        if not hold(q, q.get_cluster(9216)):
            return False
        if not hold(q, q.land()):
            return False
        landing = held[-1][1]
        if not hold(q, q.keep_landed(landing, 0, 3000)):
            return False
        if not q.keep_landed(landing, 0, 30_000):
            return False
        assert p.to_bytes(held[1][1], 0, ALL) == DATA[50:74_050]
        assert q.to_bytes(held[2][1], 0, ALL) == DATA[20:70_020]
        return True

    done = run()
    for where in (p, q):
        audit(where, [m for pool, m in held if pool is where])
    for where, m in held:
        where.free_chain(m)
    for where in (p, q):
        audit(where, [])
    return done


@pytest.mark.parametrize("which", [0, 1])
def test_nothing_leaks_when_the_nth_request_is_denied(which: int) -> None:
    n = 0
    done = False
    while not done:
        n += 1
        pools = pool(), pool()
        pools[which].deny_nth(n)
        done = story(*pools)
        assert sum(failures(pools[which]).values()) == (0 if done else 1)
        assert failures(pools[1 - which]) == {}
    assert n > 4


@pytest.mark.parametrize("zone", [z.MBUF, z.CLUSTER, z.JUMBO_9K])
def test_nothing_leaks_at_any_limit(zone: int) -> None:
    limit = 0
    done = False
    while not done:
        limit += 1
        p, q = pool(), pool()
        p.set_limit(zone, limit)
        q.set_limit(zone, limit)
        done = story(p, q)
        for name, (now, _) in used(p).items():
            assert now == 0 or name == "mbuf_cluster"
    assert limit >= (1 if zone == z.JUMBO_9K else 37)


def test_an_injected_failure_happens_once_and_changes_no_limit() -> None:
    p = pool(nmbufs=5)
    p.deny_nth(2)
    taken = [p.get() for _ in range(7)]
    assert [bool(m) for m in taken] == [True, False, True, True, True, True, False]
    p.deny_nth(3)
    p.deny_nth(0)
    for m in taken:
        if m:
            p.free(m)
    assert 0 not in [p.get() for _ in range(5)]


@pytest.mark.parametrize("bulk", [z.CLUSTER, z.JUMBO_PAGE])
@pytest.mark.parametrize("nmbufs", [1, 20, 40])
@pytest.mark.parametrize("n", [1, 168, 169, 2048, 2049, 30_000, 65536])
def test_would_deny_knows(n: int, nmbufs: int, bulk: int) -> None:
    for limit in (1, 8, 15, 16, 32):
        p = pool(nmbufs=nmbufs, nmbclusters=limit, jumbop=limit)
        p.bulk_zone = bulk
        for _ in range(3):
            foretold = p.would_deny(n)
            assert bool(p.new_chain(DATA, 0, n)) is not foretold
