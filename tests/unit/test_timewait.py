"""TIME_WAIT rows: found by 4-tuple, ordered by expiry, limited."""

import random

from pystack._fast.consts import NEVER
from pystack._fast.timewait import TimeWaitTable

A, B = 0x0A000001, 0x0A000002


def test_order_of_expiry_whatever_the_order_of_arrival():
    chance = random.Random(1)
    table = TimeWaitTable(300, 16, 99)
    ends = [chance.randrange(1000) for _ in range(300)]
    for i, end in enumerate(ends):
        assert table.add(A, 1000 + i, B, 80, end)
    assert [r["expires"] for r in table.rows()] == sorted(ends)
    assert table.next_deadline() == min(ends)
    assert table.expire(500) == sum(e <= 500 for e in ends)
    assert [r["expires"] for r in table.rows()] == sorted(e for e in ends if e > 500)
    table.expire(1000)
    assert (table.used, table.next_deadline()) == (0, NEVER)


def test_find_restart_remove():
    table = TimeWaitTable(4, 16, 99)
    row = table.add(A, 1, B, 80, 100)
    other = table.add(A, 2, B, 80, 101)
    assert table.find(A, 1, B, 80) == row
    assert table.find(A, 1, B, 81) == 0
    assert table.find(B, 1, A, 80) == 0
    table.restart(row, 200)
    assert [r["lport"] for r in table.rows()] == [2, 1]
    assert table.port_waits(0, 2, False)
    table.remove(other)
    assert not table.port_waits(0, 2, False)
    assert table.find(A, 2, B, 80) == 0


def test_limits():
    """One below, at, one above; a lower maximum than there are rows holds for new ones."""
    table = TimeWaitTable(3, 16, 99)
    assert all(table.add(A, i, B, 80, 100) for i in (1, 2, 3))
    assert table.add(A, 4, B, 80, 100) == 0
    assert table.high_water == 3
    table.remove(table.find(A, 1, B, 80))
    table.maximum = 2
    assert table.add(A, 4, B, 80, 100) == 0
    table.maximum = 3
    assert table.add(A, 4, B, 80, 100)
