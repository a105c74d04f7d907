"""SACK blocks of the acknowledgment before: their order, their rows, and that none is kept for nothing."""

from pystack._fast.sackseen import SackBlocks


def blocks_of(table: SackBlocks, row: int) -> list[tuple[int, int]]:
    at = 8 * row
    return [(table.edges[at + 2 * i], table.edges[at + 2 * i + 1]) for i in range(table.n[row])]


def test_blocks_stand_by_their_left_edges():
    table = SackBlocks()
    for left, right in ((500, 600), (4_294_967_000, 10), (100, 200), (100, 150)):
        table.insert(left, right)
    assert blocks_of(table, 0) == [(4_294_967_000, 10), (100, 200), (100, 150), (500, 600)]


def test_every_connection_has_a_row_of_its_own():
    """One below, at and above the first size of the table; what a row had survives its growth."""
    table = SackBlocks()
    first = table.free.rows
    rows = []
    for n in range(first + 1):
        table.n[0] = 0
        table.insert(n, n + 1)
        rows.append(table.take())
        table.keep(rows[-1])
    assert len(set(rows)) == first + 1
    assert 0 not in rows
    assert [blocks_of(table, row) for row in rows] == [[(n, n + 1)] for n in range(first + 1)]
    table.free.give(rows[3])
    assert table.take() == rows[3]
