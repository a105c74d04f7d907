"""The mbuf pool does the same at both speeds: rows, octets, refusals, counters."""

from twin.twin import assert_twins

SCRIPT = """
import random
import zlib

from pystack._fast import mbuf_zones as z
from pystack._fast.mbuf import Pool

rng = random.Random(7)
data = memoryview(rng.randbytes(200_000))
SIZES = (1, 100, 168, 169, 224, 1448, 2048, 2049, 5000, 9216, 16384, 16385, 65_495, 65536, 90_000)
OPS = "new new append share import trim truncate free free land cluster deny limit wait sum extend".split()
COLUMNS = "m_next m_off m_len m_ext c_refs c_zone c_base c_charge c_class c_low c_fill c_next".split()


def size():
    return rng.choice(SIZES) if rng.random() < 0.6 else rng.randrange(1, 3000)


def pick(chains):
    return rng.randrange(len(chains))


def play(limits, bulk, steps):
    pools = [Pool(*limits, arena_bytes=4 << 20) for _ in range(2)]
    chains = [[], []]
    landing = [0, 0]
    for step in range(steps):
        w = rng.randrange(2)
        p, mine = pools[w], chains[w]
        p.bulk_zone = bulk
        p.now = step * 1000
        op = rng.choice(OPS)
        answer = None
        if op == "new":
            answer = p.new_chain(data, rng.randrange(1000), size())
        elif op == "cluster":
            answer = p.get_cluster(rng.choice((0, 2048, 4096, 9000, 16384, 66048)))
        elif op == "deny":
            p.deny_nth(rng.randrange(4))
        elif op == "limit" and rng.random() < 0.3:
            p.set_limit(rng.choice((z.MBUF, z.CLUSTER, z.JUMBO_PAGE)), rng.randrange(20, 200))
        elif op == "wait":
            p.wait = rng.random() < 0.5
        elif op == "land":
            landing[w] = landing[w] or p.land()
            if landing[w]:
                n = rng.choice((1, 168, 1448, 16384, 16385, 65_000))
                answer = p.keep_landed(landing[w], rng.choice((0, 28, 41)), n)
                if answer == landing[w]:
                    landing[w] = 0
        elif chains[w]:
            i = pick(mine)
            m = mine[i]
            n = p.chain_length(m)
            if op == "append":
                print("appended", p.append_bytes(p.tail(m), data, rng.randrange(1000), size()))
            elif op == "extend":
                print("extended", p.room_after(p.tail(m)), p.extend(p.tail(m), size()))
            elif op == "share":
                answer = p.share(m, rng.randrange(n + 1), size())
            elif op == "import":
                answer = pools[1 - w].import_chain(p, m, rng.randrange(n + 1), size())
                if answer:
                    chains[1 - w].append(answer)
                print("import", answer)
                answer = None
            elif op == "trim":
                mine[i] = p.trim_front(m, rng.randrange(n + 2))
            elif op == "truncate":
                mine[i] = p.truncate(m, rng.randrange(n + 2))
            elif op == "free":
                p.free_chain(mine.pop(i))
            elif op == "sum":
                skip = rng.randrange(n + 1)
                part = rng.randrange(n - skip + 1)
                print("sum", p.checksum(m, skip, part, rng.randrange(65536), rng.random() < 0.5))
                print("octets", zlib.crc32(p.to_bytes(m, skip, part)), [len(v) for v in p.views(m, skip, part)])
            chains[w] = [m for m in mine if m]
        if answer:
            chains[w].append(answer)
        print(step, op, answer, p.in_use, p.denied_zone, p.would_deny(size()))
        if step % 50 == 0:
            print(p.zones())
    for p, mine, m in zip(pools, chains, landing):
        for name in COLUMNS:
            column = p.column(name)
            print(name, zlib.crc32(bytes(column)[: 4 * 8192]))
        for head in (*mine, m):
            p.free_chain(head)
        print(p.in_use, p.zones())


play((0, 0, 0, 0, 0), z.CLUSTER, 400)
play((150, 100, 50, 3, 1), z.CLUSTER, 600)
play((150, 100, 50, 3, 1), z.JUMBO_PAGE, 600)
"""


def test_a_random_history_is_the_same_at_both_speeds() -> None:
    wrote = assert_twins(SCRIPT)
    assert wrote.count(b"\n") > 1600
