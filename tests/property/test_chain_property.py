"""Chains and free lists do what plain lists do."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from model.chain import ChainModel, FreeListModel

from pystack._fast.chain import Chain, FreeList
from pystack._fast.columns import column

ROWS = 30
some = st.integers(0, 10**6)


class TableAgainstModel(RuleBasedStateMachine):
    """A table as its users build it: rows from a free list, in a chain by their hash."""

    @initialize(bits=st.integers(0, 4))
    def begin(self, bits: int) -> None:
        self.chain, self.lists = Chain(1 << bits, ROWS), ChainModel(1 << bits)
        self.free, self.rows = FreeList(ROWS), FreeListModel(ROWS)
        self.hashes = column("I", 4 * ROWS)
        self.live: list[int] = []

    @rule(h=st.integers(0, 2**32 - 1))
    def insert(self, h: int) -> None:
        row = self.free.take()
        assert row == self.rows.take()
        if row:
            self.hashes[row] = h
            self.chain.insert_head(h & self.chain.mask, row)
            self.lists.insert_head(h % self.chain.buckets, row)
            self.live.append(row)

    @precondition(lambda self: self.live)
    @rule(which=some)
    def remove(self, which: int) -> None:
        row = self.live.pop(which % len(self.live))
        bucket = self.hashes[row] & self.chain.mask
        self.chain.remove(bucket, row)
        self.lists.remove(bucket, row)
        self.free.give(row)
        self.rows.give(row)

    @precondition(lambda self: self.live)
    @rule(which=some)
    def move_to_front(self, which: int) -> None:
        row = self.live[which % len(self.live)]
        bucket = self.hashes[row] & self.chain.mask
        self.chain.move_to_front(bucket, row)
        self.lists.move_to_front(bucket, row)

    @rule(bits=st.integers(0, 6))
    def resize(self, bits: int) -> None:
        self.chain.resize(1 << bits, self.hashes)
        self.lists.resize(1 << bits, {row: self.hashes[row] for row in self.live})

    @rule(limit=st.integers(0, 2 * ROWS))
    def limit(self, limit: int) -> None:
        self.free.limit = self.rows.limit = limit

    @invariant()
    def both_agree(self) -> None:
        if not hasattr(self, "chain"):
            return
        for bucket, want in enumerate(self.lists.buckets):
            found, row = [], self.chain.first(bucket)
            while row:
                found.append(row)
                row = self.chain.next[row]
            assert found == want
        assert self.chain.count == len(self.live) == self.free.used
        assert self.chain.lengths() == self.lists.lengths()
        assert self.free.failures == self.rows.failures
        assert all(self.free.in_use(r) == (r in self.rows.used) for r in range(1, ROWS + 1))


TestTable = TableAgainstModel.TestCase
TestTable.settings = settings(max_examples=80, stateful_step_count=40)
