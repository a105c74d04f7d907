"""SACK blocks in their order, and what of them the acknowledgment before has said already.

Linux looks at no octet of a block again that the last acknowledgment with blocks had, too. It is the same octets, but
not always the same segments: an acknowledgment that ends in the middle of a segment moves the edges of the rest, and
a piece that now lies whole in an old block is not marked.
"""

import cython

from pystack._fast.chain import FreeList
from pystack._fast.columns import column, grown
from pystack._fast.seq import before

MOST = 4
"""Blocks that an acknowledgment has at most."""
ROWS = 16
"""Rows of a new table; it doubles when they are all in use."""


@cython.final
@cython.cclass
class SackBlocks:
    """The blocks of the acknowledgment at hand, row 0, and of the last one of each connection that has some of its
    segments SACKed. Row r: `n[r]` blocks, left and right in turn from `edges[8 * r]` on, by their left edges.
    """

    def __init__(self):
        self.free = FreeList(ROWS)
        self.edges = column("I", 2 * MOST * (ROWS + 1))
        self.n = column("i", ROWS + 1)

    @cython.exceptval(check=False)
    def insert(self, left, right) -> cython.void:
        """One more block of the acknowledgment at hand, behind those that begin where it does."""
        at: cython.int = self.n[0]
        while at > 0 and before(left, self.edges[2 * at - 2]):
            self.edges[2 * at] = self.edges[2 * at - 2]
            self.edges[2 * at + 1] = self.edges[2 * at - 1]
            at -= 1
        self.edges[2 * at] = left
        self.edges[2 * at + 1] = right
        self.n[0] += 1

    def take(self):
        """A free row; the table grows when there is none."""
        row: cython.int = self.free.take()
        if row == 0:
            rows = 2 * self.free.rows
            self.free.grow(rows)
            self.edges = grown(memoryview(self.edges), 2 * MOST * (rows + 1))
            self.n = grown(memoryview(self.n), rows + 1)
            row = self.free.take()
        return row

    @cython.exceptval(check=False)
    def keep(self, row) -> cython.void:
        """The blocks at hand are those of `row` now."""
        i: cython.int
        for i in range(2 * self.n[0]):
            self.edges[2 * MOST * row + i] = self.edges[i]
        self.n[row] = self.n[0]
