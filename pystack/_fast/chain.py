"""Rows in hash buckets, and rows that are free: the bookkeeping that every table shares.

A table is a user of these two: `FreeList` says which row to use, `Chain` finds a row by its hash. Both
know rows only as numbers from 1; 0 means "no row". What a row holds is the table's own columns.

All operations take constant time except `resize`, `grow` and `lengths`. Nothing is allocated for a row.
"""

import cython

from pystack._fast.columns import column, grown

_MANY = 1 << 19
"""Buckets that fill a large page."""


def _power_of_two(buckets):
    if not 0 < buckets <= 1 << 30 or buckets & (buckets - 1):
        raise ValueError(f"{buckets} buckets are not a power of two in [1, 2**30]")
    return buckets


def _row_count(rows):
    if not 0 <= rows <= 0x7FFFFFFE:
        raise ValueError(f"{rows} rows are not in [0, 2**31 - 2]")
    return rows


@cython.final
@cython.cclass
class Chain:
    """Hash buckets over the rows 1..`rows`, each a doubly linked chain of row numbers.

    The bucket of a hash `h` is `h & mask`; it is not stored, so whoever removes a row says its bucket. Walk a
    bucket with `first(bucket)` and the column `next`:

        row = chain.head[h & chain.mask]
        while row != 0:
            ...
            row = chain.next[row]

    A row is in at most one bucket. Putting it in twice or removing it when it is in none breaks the chains; the
    interpreted run asserts against the cases that it can see.

    With `any_size` there may be any number of buckets; whoever uses such a chain has its own rule for the bucket of a
    hash (netfilter multiplies), and `mask` is 0.

    Raises ValueError for a number of buckets that cannot be.
    """

    def __init__(self, buckets: int, rows: int, any_size: bool = False):
        if any_size:
            if not 0 < buckets <= 1 << 30:
                raise ValueError(f"{buckets} buckets are not in [1, 2**30]")
            self.buckets = buckets
            self.mask = 0
        else:
            self.buckets = _power_of_two(buckets)
            self.mask = self.buckets - 1
        self.rows = _row_count(rows)
        self.count = 0
        self.head = column("i", buckets, buckets >= _MANY)
        self.next = column("i", rows + 1)
        self.prev = column("i", rows + 1)

    @cython.exceptval(check=False)
    def first(self, bucket: cython.uint) -> cython.int:
        """The newest row of a bucket, or 0."""
        return self.head[bucket]

    @cython.exceptval(check=False)
    def insert_head(self, bucket: cython.uint, row: cython.int) -> cython.void:
        """Put a row that is in no bucket at the front of one."""
        if not cython.compiled:
            assert self.next[row] == 0 == self.prev[row], f"row {row} is in a bucket"
            assert self.head[bucket] != row, f"row {row} is in this bucket"
        after: cython.int = self.head[bucket]
        self.next[row] = after
        self.prev[row] = 0
        if after != 0:
            self.prev[after] = row
        self.head[bucket] = row
        self.count += 1

    @cython.exceptval(check=False)
    def remove(self, bucket: cython.uint, row: cython.int) -> cython.void:
        """Take a row out of its bucket. Its `next` and `prev` are 0 afterwards."""
        before: cython.int = self.prev[row]
        after: cython.int = self.next[row]
        if not cython.compiled:
            assert before or self.head[bucket] == row, f"row {row} is not in bucket {bucket}"
        if before != 0:
            self.next[before] = after
        else:
            self.head[bucket] = after
        if after != 0:
            self.prev[after] = before
        self.next[row] = 0
        self.prev[row] = 0
        self.count -= 1

    @cython.exceptval(check=False)
    def move_to_front(self, bucket: cython.uint, row: cython.int) -> cython.void:
        """Make a row of this bucket the first that a walk meets."""
        if self.head[bucket] != row:
            self.remove(bucket, row)
            self.insert_head(bucket, row)

    def lengths(self) -> list:
        """How many buckets are so long: item n counts the buckets with n rows. Walks everything."""
        histogram = [0]
        bucket: cython.uint
        row: cython.int
        n: cython.int
        for bucket in range(self.buckets):
            n = 0
            row = self.head[bucket]
            while row != 0:
                n += 1
                row = self.next[row]
            while len(histogram) <= n:
                histogram.append(0)
            histogram[n] += 1
        return histogram

    def resize(self, new_buckets: int, hashes: cython.const[cython.uint][::1]):
        """Spread all rows over another number of buckets by the column of their hashes.

        Rows that meet in a bucket are in the order of their old buckets' numbers from the last to the first, and
        within an old bucket as they were. `head`, `buckets` and `mask` change: fetch them anew.

        Raises ValueError unless `new_buckets` is a power of two.
        """
        new_head: cython.int[::1] = column("i", _power_of_two(new_buckets))
        mask: cython.uint = new_buckets - 1
        bucket: cython.uint
        to: cython.uint
        row: cython.int
        before: cython.int
        after: cython.int
        for bucket in range(self.buckets):
            row = self.head[bucket]
            while row != 0 and self.next[row] != 0:
                row = self.next[row]
            # Backwards, because each row goes to the front of its new bucket.
            while row != 0:
                before = self.prev[row]
                to = hashes[row] & mask
                after = new_head[to]
                self.next[row] = after
                self.prev[row] = 0
                if after != 0:
                    self.prev[after] = row
                new_head[to] = row
                row = before
        self.head = new_head
        self.buckets = new_buckets
        self.mask = mask

    def grow(self, rows: int, huge: bool = False):
        """Allow the rows up to `rows`, no fewer than now. `next` and `prev` change: fetch them anew."""
        self.next = grown(memoryview(self.next), _row_count(rows) + 1, huge)
        self.prev = grown(memoryview(self.prev), rows + 1, huge)
        self.rows = rows


@cython.final
@cython.cclass
class FreeList:
    """Which of the rows 1..`rows` are in use.

    The row given back last is taken first, because it is still in the cache; rows never taken follow in
    ascending order, so a table touches only as much memory as it has had rows in use at once.

    `limit` may be set at any time, to at most `rows`: `take` refuses while `used` is at or above it. A limit that
    shall go beyond `rows` needs `grow` first.

    Counters: `used` now, `high_water` its maximum so far, `failures` how often `take` answered 0.
    """

    def __init__(self, rows: int):
        self.rows = _row_count(rows)
        self.limit = self.rows
        self.used = 0
        self.high_water = 0
        self.failures = 0
        self._top = 0
        self._fresh = 1
        self._link = column("i", rows + 1)

    @cython.exceptval(check=False)
    def take(self) -> cython.int:
        """A row that is now in use, or 0 (counted as a failure) when `limit` rows are."""
        row: cython.int = self._top
        if self.used >= self.limit:
            self.failures += 1
            return 0
        if row != 0:
            self._top = self._link[row]
        elif self._fresh <= self.rows:
            row = self._fresh
            self._fresh += 1
        else:
            self.failures += 1
            return 0
        self._link[row] = -1
        self.used += 1
        if self.used > self.high_water:
            self.high_water = self.used
        return row

    @cython.exceptval(check=False)
    def give(self, row: cython.int) -> cython.void:
        """Give back a row in use. One that is not in use stays as it is (interpreted: assertion)."""
        if not cython.compiled:
            assert self._link[row] == -1, f"row {row} is not in use"
        if self._link[row] == -1:
            self._link[row] = self._top
            self._top = row
            self.used -= 1

    @cython.exceptval(check=False)
    def in_use(self, row: cython.int) -> cython.bint:
        """Has this row been taken and not given back?"""
        return self._link[row] == -1

    def grow(self, rows: int):
        """Have the rows up to `rows`, no fewer than now. A `limit` equal to the old `rows` follows."""
        self._link = grown(memoryview(self._link), _row_count(rows) + 1)
        if self.limit == self.rows:
            self.limit = rows
        self.rows = rows
