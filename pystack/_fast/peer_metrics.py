"""What Linux remembers of other hosts for its next connection to them: tcp_metrics (net/ipv4/tcp_metrics.c).

By both addresses, in chains of a hash; a sixth entry takes the place of the oldest. What is an hour old says nothing.
"""

import cython

from pystack._fast.consts import SECOND
from pystack._fast.hashing import sip2

CHAINS = 16384
DEPTH = 5
LIFE = 3600 * SECOND


@cython.final
@cython.cclass
class PeerMetric:
    """One pair of addresses. `rtt`, `rttvar`: ns; `ssthresh`, `cwnd`, `reordering`: segments; 0: not known. `stamp`:
    when it was told something last.
    """

    def __init__(self, laddr, faddr):
        self.laddr = laddr
        self.faddr = faddr
        self.stamp = 0
        self.forget()

    def forget(self):
        """Nothing is known."""
        self.rtt = self.rttvar = 0
        self.ssthresh = self.cwnd = self.reordering = 0


@cython.final
@cython.cclass
class PeerMetrics:
    """The entries of a machine."""

    def __init__(self, k0, k1):
        self.k0 = k0
        self.k1 = k1
        self.chains = {}

    def chain(self, laddr, faddr):
        """Number of the chain of a pair of addresses."""
        a: cython.ulonglong = laddr
        b: cython.ulonglong = faddr
        chains: cython.ulonglong = CHAINS
        return sip2(self.k0, self.k1, (a << 32) | b, chains) % chains

    def find(self, laddr, faddr, now):
        """The entry of a pair, None."""
        if not self.chains:
            return None
        for m in self.chains.get(self.chain(laddr, faddr), ()):
            if m.faddr == faddr and m.laddr == laddr:
                if now - m.stamp > LIFE:
                    m.forget()
                    m.stamp = now
                return m
        return None

    def told(self, laddr, faddr, now):
        """The entry of a pair that something is to be written into, made if need be."""
        m: PeerMetric = self.find(laddr, faddr, now)
        if m is not None:
            return m
        chain = self.chains.setdefault(self.chain(laddr, faddr), [])
        if len(chain) > DEPTH:
            chain.remove(min(chain, key=_stamp))
        m = PeerMetric(laddr, faddr)
        m.stamp = now
        chain.append(m)
        return m

    def remove(self, m):
        """An entry goes."""
        number = self.chain(m.laddr, m.faddr)
        self.chains[number].remove(m)
        if not self.chains[number]:
            del self.chains[number]

    def entries(self):
        """All entries, chain by chain."""
        return [m for number in sorted(self.chains) for m in self.chains[number]]


def _stamp(m):
    return m.stamp
