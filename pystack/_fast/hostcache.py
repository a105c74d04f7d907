"""What FreeBSD remembers of other hosts for its next connection to them: the hostcache (netinet/tcp_hostcache.c).

A hash of short chains, the newest first. A chain that is full, or a cache that is, gives up the last entry of the
chain. An entry lives `expire` from when it was last asked for or told something; every `prune` a walk takes that much
off each, and those that had nothing left go. The walk is made up for when somebody looks next: an idle machine needs no
timer for it.
"""

import cython

from pystack._fast.hashing import sip2


@cython.final
@cython.cclass
class HostEntry:
    """One host. `rtt`, `rttvar`, `left`: ns; `mtu`, `ssthresh`, `cwnd`: octets; 0: not known."""

    def __init__(self, addr, left):
        self.addr = addr
        self.mtu = self.ssthresh = self.cwnd = 0
        self.rtt = self.rttvar = 0
        self.hits = self.updates = 0
        self.left = left


@cython.final
@cython.cclass
class HostCache:
    """The entries of a machine. `added`, `overflows`: how many were made, how many of them in another's place;
    `purge_next`: the next walk takes all.
    """

    def __init__(self, cfg, k0, k1, now):
        self.cfg = cfg
        self.k0 = k0
        self.k1 = k1
        self.chains = {}
        self.used = self.high = self.added = self.overflows = 0
        self.overflow_at = 0
        self.walked = now
        self.purge_next = 0

    def bucket(self, addr):
        """Number of the chain of a host."""
        a: cython.ulonglong = addr
        size: cython.ulonglong = self.cfg.hostcache_hashsize
        return sip2(self.k0, self.k1, a, size) % size

    def walk(self, now):
        """The walks that were due meanwhile."""
        gap: cython.longlong = self.cfg.hostcache_prune
        if gap <= 0:
            return
        while now - self.walked >= gap:
            if self.used == 0 and self.purge_next == 0:
                self.walked = now - (now - self.walked) % gap
                return
            self.walked += gap
            if self.purge_next == 2:  # and nobody can know the chains any more
                self.k0, self.k1 = sip2(self.k0, self.k1, 0, 1), sip2(self.k0, self.k1, 1, 1)
            self.prune(gap, self.purge_next != 0)
            self.purge_next = 0

    def prune(self, gap, everything):
        """One walk: who had nothing left goes."""
        for number, chain in list(self.chains.items()):
            keep = [e for e in chain if not everything and e.left > 0]
            for e in keep:
                e.left -= gap
            self.used -= len(chain) - len(keep)
            if keep:
                self.chains[number] = keep
            else:
                del self.chains[number]

    def find(self, addr, now):
        """The entry of a host, which lives on for being asked for; None."""
        if not self.cfg.hostcache_enable or self.used == 0:
            return None
        self.walk(now)
        for e in self.chains.get(self.bucket(addr), ()):
            if e.addr == addr:
                e.hits += 1
                e.left = self.cfg.hostcache_expire
                return e
        return None

    def told(self, addr, now):
        """The entry of a host that something is to be written into: made if need be, and the first of its chain. None:
        the cache is full, and there is nobody in this chain to go.
        """
        if not self.cfg.hostcache_enable:
            return None
        self.walk(now)
        found = self.find(addr, now)
        number = self.bucket(addr)
        chain = self.chains.setdefault(number, [])
        if found is None:
            if (
                len(chain) >= self.cfg.hostcache_bucketlimit
                or self.used >= self.cfg.hostcache_cachelimit
            ):
                self.overflow_at = now
                if not chain:
                    del self.chains[number]
                    return None
                chain.pop()
                self.used -= 1
                self.overflows += 1
            found = HostEntry(addr, self.cfg.hostcache_expire)
            self.used += 1
            self.added += 1
            if self.used > self.high:
                self.high = self.used
        else:
            chain.remove(found)
        chain.insert(0, found)
        found.updates += 1
        found.left = self.cfg.hostcache_expire
        return found

    def mtu_of(self, addr, mtu, now):
        """The MTU of the way to a host, at most `mtu`."""
        e: HostEntry = self.find(addr, now)
        return e.mtu if e is not None and 0 < e.mtu < mtu else mtu

    def set_mtu(self, addr, mtu, now):
        """A router has told the MTU of the way."""
        e: HostEntry = self.told(addr, now)
        if e is not None:
            e.mtu = mtu

    def purge(self):
        """Nobody is remembered any more (net.inet.tcp.hostcache.purgenow)."""
        self.chains.clear()
        self.used = 0

    def entries(self, now):
        """All entries, chain by chain."""
        self.walk(now)
        return [e for number in sorted(self.chains) for e in self.chains[number]]

    def lengths(self, now):
        """How many chains there are of each length."""
        self.walk(now)
        found = [0] * (self.cfg.hostcache_bucketlimit + 1)
        found[0] = self.cfg.hostcache_hashsize - len(self.chains)
        for chain in self.chains.values():
            found[len(chain)] += 1
        return found


def averaged(old, new):
    """What is kept when a connection has found `new`: the middle, and 0 says nothing."""
    if new == 0:
        return old
    return new if old == 0 else (old + new) // 2
