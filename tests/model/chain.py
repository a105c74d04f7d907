"""What chains and free lists mean: lists, newest first."""


class ChainModel:
    def __init__(self, buckets: int) -> None:
        self.buckets: list[list[int]] = [[] for _ in range(buckets)]

    def insert_head(self, bucket: int, row: int) -> None:
        self.buckets[bucket].insert(0, row)

    def remove(self, bucket: int, row: int) -> None:
        self.buckets[bucket].remove(row)

    def move_to_front(self, bucket: int, row: int) -> None:
        self.remove(bucket, row)
        self.insert_head(bucket, row)

    def resize(self, buckets: int, hashes: dict[int, int]) -> None:
        walk = [row for bucket in reversed(self.buckets) for row in bucket]
        self.buckets = [[r for r in walk if hashes[r] % buckets == b] for b in range(buckets)]

    def lengths(self) -> list[int]:
        longest = max(map(len, self.buckets))
        return [sum(len(b) == n for b in self.buckets) for n in range(longest + 1)]


class FreeListModel:
    def __init__(self, rows: int) -> None:
        self.free = list(range(rows, 0, -1))
        self.used: set[int] = set()
        self.limit = rows
        self.failures = 0

    def take(self) -> int:
        if len(self.used) >= self.limit or not self.free:
            self.failures += 1
            return 0
        self.used.add(self.free[-1])
        return self.free.pop()

    def give(self, row: int) -> None:
        self.used.remove(row)
        self.free.append(row)
