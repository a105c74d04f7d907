"""How it stands with some traffic, whatever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pystack.traffic.latency import Latencies


class Tally(NamedTuple):
    """So far: begun, answered, failed and why (by the name of the errno, or in words), and how long answers took from
    when each was due; `in_flight` are those under way.
    """

    started: int
    answered: int
    failed: int
    errors: Mapping[str, int]
    latencies: Latencies
    in_flight: int = 0
