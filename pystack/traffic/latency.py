"""Times of answers: collected, and what they come to."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

PERCENTILES = (50.0, 90.0, 99.0, 99.9)


class Latencies:
    """Durations in ns, in the order in which they were added."""

    def __init__(self) -> None:
        self._times = array("q")
        self._sorted: array[int] | None = None

    def __len__(self) -> int:
        return len(self._times)

    def __iter__(self) -> Iterator[int]:
        return iter(self._times)

    def __repr__(self) -> str:
        said = ", ".join(f"{name} {ns / 1e6:.1f} ms" for name, ns in self.summary().items())
        return f"<{len(self)} answers{': ' if said else ''}{said}>"

    def add(self, ns: int) -> None:
        """One more."""
        self._times.append(ns)
        self._sorted = None

    def percentile(self, share: float) -> int:
        """The smallest time that `share` percent of all do not exceed (nearest rank).

        Raises ValueError where there are none, or for a share outside of 0 to 100.
        """
        if not self._times:
            raise ValueError("no times: nothing was answered")
        if not 0 <= share <= 100:
            raise ValueError(f"{share} percent are not from 0 to 100")
        if self._sorted is None:
            self._sorted = array("q", sorted(self._times))
        n = len(self._sorted)
        rank = -(-round(share * 1000) * n // 100_000)  # exact: 99.9 is 99,900 of 100,000
        return self._sorted[max(rank, 1) - 1]

    def summary(self) -> dict[str, int]:
        """{"p50": …, "p90": …, "p99": …, "p99.9": …, "worst": …}; empty where there are none."""
        if not self._times:
            return {}
        found = {f"p{share:g}": self.percentile(share) for share in PERCENTILES}
        return found | {"worst": self.percentile(100)}
