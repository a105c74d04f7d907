"""Everything that must hold in an mbuf pool between two calls, checked row by row.

A test calls `audit(pool, heads)` with all chains that it still owns; what it freed must really be free,
and each counter must be what the rows add up to.
"""

from collections import Counter
from collections.abc import Iterable

from pystack._fast.mbuf import BIG, Pool
from pystack._fast.mbuf_zones import CLUSTER, MBUF, PACKET

SIZES = (2048, 4096, 9216, 16384, BIG)
CLASSES = len(SIZES)


def rows_of(pool: Pool, head: int) -> list[int]:
    after = pool.column("m_next")
    rows = []
    while head:
        assert head not in rows, f"chain {rows[0]} runs in a circle"
        rows.append(head)
        head = after[head]
    return rows


def audit(pool: Pool, heads: Iterable[int], lowered: bool = False) -> None:
    """Assert that these chains, and nothing else, are in use, and that the books agree with the rows.

    `lowered`: a limit was lowered, and more may still be in use.
    """
    c = {name: pool.column(name) for name in "m_off m_len m_ext c_refs c_zone c_base".split()}
    c |= {name: pool.column(name) for name in "c_charge c_class c_low c_fill c_next".split()}
    owned = [m for head in heads for m in rows_of(pool, head)]
    free = rows_of(pool, pool.m_free)
    assert len(owned) == len(set(owned)), "a row is in two chains"
    assert sorted(owned + free) == list(range(1, pool.m_top)), (
        "a row is lost, or both owned and free"
    )
    assert pool.in_use == len(owned)
    assert pool.double_frees == 0
    assert all(c["m_ext"][m] == -1 for m in free)

    references = Counter(c["m_ext"][m] for m in owned if c["m_ext"][m])
    live = {row: c["c_refs"][row] for row in range(1, pool.c_top) if c["c_refs"][row]}
    assert live == dict(references), "reference counts"
    spare = []
    for cls in range(CLASSES):
        row = pool.column("s_free")[cls]
        while row:
            assert c["c_class"][row] == cls
            spare.append(row)
            row = c["c_next"][row]
    assert sorted([*spare, *live]) == list(range(1, pool.c_top)), (
        "a cluster is lost or free and live"
    )

    for m in owned:
        row = c["m_ext"][m]
        start, length = c["m_off"][m], c["m_len"][m]
        base = c["c_base"][row] if row else m * 256
        size = SIZES[c["c_class"][row]] if row else 256
        assert base <= start
        assert start + length <= base + size, "data outside its storage"
        if row and references[row] > 1:
            assert start + length <= base + c["c_fill"][row], "shared data behind the fill mark"

    used, total, limit = (pool.column(name) for name in ("z_used", "z_total", "z_limit"))
    charged = Counter()
    for row in live:
        charged[c["c_zone"][row]] += c["c_charge"][row]
    for zone in range(CLUSTER, 6):
        assert used[zone] == charged[zone], f"zone {zone}"
    assert used[MBUF] == len(owned) + sum(c["c_charge"][row] - 1 for row in live)
    cached = total[PACKET] - used[CLUSTER]
    assert cached >= 0
    assert total[MBUF] >= used[MBUF] + cached
    assert total[CLUSTER] >= total[PACKET]
    for zone in (MBUF, *range(CLUSTER, 6)):
        assert total[zone] >= used[zone]
        assert lowered or not limit[zone] or total[zone] <= limit[zone]
    for row in pool.zones():
        assert row["used"] >= 0, row
        assert row["free"] >= 0, row
        assert row["high"] >= row["used"] or row["name"] == "mbuf_cluster", row
