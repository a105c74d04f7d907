"""Tables of ipfw: values by address prefix, the longest one that fits; interfaces and numbers are prefixes of 32 bits.

A binary tree with a node for each bit of a prefix. Nodes are rows: `_child[2 * row + bit]` is the next node or 0,
`_held[row]` tells whether a prefix ends there and `_values[row]` is its value. Row 1 is the root. Nodes that lead
nowhere are given back.
"""

import cython

from pystack._fast.chain import FreeList
from pystack._fast.columns import column, grown

ROOT = 1
FIRST_ROWS = 63
BITS = 32


@cython.final
@cython.cclass
class Table:
    """One table. `count`: entries; `value`: of the entry that was found last."""

    def __init__(self):
        self.count = 0
        self.value = 0
        self.free = FreeList(FIRST_ROWS)
        self._child = column("i", 2 * (FIRST_ROWS + 1))
        self._held = column("B", FIRST_ROWS + 1)
        self._values = column("I", FIRST_ROWS + 1)
        self.free.take()

    @cython.exceptval(check=False)
    def find(self, key: cython.uint) -> cython.int:
        """1 if an entry fits, the longest of which has the `value`; 0 if none does."""
        child: cython.int[::1] = self._child
        node: cython.int = ROOT
        best: cython.int = 0
        shift: cython.int = BITS - 1
        while node != 0:
            if self._held[node]:
                best = node
            if shift < 0:
                break
            node = child[2 * node + ((key >> shift) & 1)]
            shift -= 1
        if best == 0:
            return 0
        self.value = self._values[best]
        return 1

    @cython.exceptval(check=False)
    def exact(self, key: cython.uint, length: cython.int) -> cython.int:
        """1 if there is an entry for just this prefix, which has the `value`."""
        node: cython.int = self._node(key, length)
        if node == 0 or not self._held[node]:
            return 0
        self.value = self._values[node]
        return 1

    @cython.exceptval(check=False)
    def _node(self, key: cython.uint, length: cython.int) -> cython.int:
        """The node of a prefix, or 0."""
        node: cython.int = ROOT
        at: cython.int = 0
        while at < length and node != 0:
            node = self._child[2 * node + ((key >> (BITS - 1 - at)) & 1)]
            at += 1
        return node

    def put(self, key: cython.uint, length: cython.int, value: cython.uint):
        """An entry for a prefix; one that is there gets the new value. 1: it is new, 0: it was there."""
        node: cython.int = ROOT
        at: cython.int
        for at in range(length):
            place: cython.int = 2 * node + ((key >> (BITS - 1 - at)) & 1)
            follows: cython.int = self._child[place]
            if follows == 0:
                follows = self._take()
                self._child[place] = follows
            node = follows
        new: cython.bint = not self._held[node]
        self._held[node] = 1
        self._values[node] = value
        self.count += new
        return new

    def _take(self):
        """A node without children."""
        if self.free.used == self.free.rows:
            rows: cython.int = 2 * self.free.rows + 1
            self.free.grow(rows)
            self._child = grown(memoryview(self._child), 2 * (rows + 1))
            self._held = grown(memoryview(self._held), rows + 1)
            self._values = grown(memoryview(self._values), rows + 1)
        return self.free.take()

    def take_out(self, key: cython.uint, length: cython.int):
        """The entry for a prefix goes. 1: there was one."""
        node: cython.int = ROOT
        cut: cython.int = 2 * ROOT + ((key >> (BITS - 1)) & 1)
        at: cython.int
        for at in range(length):
            place: cython.int = 2 * node + ((key >> (BITS - 1 - at)) & 1)
            if self._held[node] or self._child[place ^ 1] != 0:
                cut = place
            node = self._child[place]
            if node == 0:
                return 0
        if not self._held[node]:
            return 0
        self._held[node] = 0
        self.count -= 1
        if node != ROOT and self._child[2 * node] == 0 and self._child[2 * node + 1] == 0:
            self._cut_off(cut)
        return 1

    def _cut_off(self, place: cython.int):
        """The nodes from here on, each with no more than one child, are given back."""
        node: cython.int = self._child[place]
        self._child[place] = 0
        while node != 0:
            follows: cython.int = self._child[2 * node] | self._child[2 * node + 1]
            self._child[2 * node] = 0
            self._child[2 * node + 1] = 0
            self.free.give(node)
            node = follows
        return 0

    def entries(self):
        """All entries as (key, length, value): by key, and of one key the longest first."""
        found = []
        waiting = [(ROOT, 0, 0)]
        node: cython.int
        bit: cython.int
        while waiting:
            node, key, length = waiting.pop()
            if self._held[node]:
                found.append((key, length, self._values[node]))
            for bit in range(2):
                follows: cython.int = self._child[2 * node + bit]
                if follows:
                    waiting.append((follows, key | bit << (BITS - 1 - length), length + 1))
        found.sort(key=lambda entry: (entry[0], -entry[1]))
        return found
