"""What a connection that looks for the largest packet of its way knows (RFC 4821 section 7; Linux tcp_mtu_probing)."""

import cython


@cython.final
@cython.cclass
class Search:
    """Packet sizes in octets, with IP and TCP headers: `low` arrives, and nothing larger than `high` is tried.

    `size`: of the probe that is on its way, 0 none; `start` and `end`: its sequence numbers. `since`: when the search
    began, ns.
    """

    def __init__(self, low, high, now):
        self.low = low
        self.high = high
        self.since = now
        self.size = 0
        self.start = self.end = 0
