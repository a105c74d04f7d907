"""The socket demultiplexer: from a segment's four addresses to the row of its connection or listener.

Three stages, as in FreeBSD's in_pcblookup: the exact 4-tuple, then a listener on address and port, then a listener on
the port with any address. A row is the number of a `Tcb`; this table knows addresses only.

Source: FreeBSD netinet/in_pcb.c (order of match), RFC 9293 section 3.10.
"""

import cython

from pystack._fast.chain import Chain, FreeList
from pystack._fast.columns import column
from pystack._fast.hashing import jhash_3words
from pystack._fast.portmap import PortMap

FREE = 0
UNBOUND = 1
BOUND = 2
LISTENING = 3
CONNECTED = 4

_UNBOUND = cython.declare(cython.int, UNBOUND)
_BOUND = cython.declare(cython.int, BOUND)
_LISTENING = cython.declare(cython.int, LISTENING)
_CONNECTED = cython.declare(cython.int, CONNECTED)


@cython.final
@cython.cclass
class Demux:
    """Rows of sockets found by address. `capacity` rows of storage, of which `maximum` may be used; `buckets` chains (a
    power of two).

    `used` rows and `others`, sockets of other kinds, are at most `maximum` together. `take` answers 0 when no more rows
    may be used; the caller decides which errno that is.
    """

    def __init__(self, capacity, buckets, secret):
        self.capacity = self.maximum = capacity
        self.used = 0
        self.others = 0
        self.high_water = 0
        self.taken = 0
        self.failures = 0
        self.last_failure = 0
        self.laddr = column("I", capacity + 1)
        self.faddr = column("I", capacity + 1)
        self.ports = column("I", capacity + 1)
        self.kind = column("B", capacity + 1)
        self.chosen = column("B", capacity + 1)
        self.port_use = column("i", 65536)
        self.port_chosen = column("i", 65536)
        self.map = PortMap(secret)
        self.first = 1
        self.last = 0
        self.range_used = 0
        self.range_high = 0
        self.free = FreeList(capacity)
        self.connections = Chain(buckets, capacity)
        self.listeners = Chain(64, capacity)
        self.on_port = Chain(65536, capacity)
        self.secret = secret
        self.mask = buckets - 1
        self.listen_mask = 63

    def take(self, now):
        """A fresh row, or 0 when the table is full."""
        row: cython.int = self.free.take() if self.used + self.others < self.maximum else 0
        if row == 0:
            return self.refuse(now)
        self.kind[row] = _UNBOUND
        self.laddr[row] = 0
        self.faddr[row] = 0
        self.ports[row] = 0
        self.used += 1
        self.taken += 1
        if self.used + self.others > self.high_water:
            self.high_water = self.used + self.others
        return row

    def take_other(self, now):
        """One more socket that is no row of this table (datagrams). False: there may be no more."""
        if self.used + self.others >= self.maximum:
            self.refuse(now)
            return False
        self.others += 1
        if self.used + self.others > self.high_water:
            self.high_water = self.used + self.others
        return True

    def refuse(self, now):
        """There may be no more rows: that is counted. Answers 0, for none."""
        self.failures += 1
        self.last_failure = now
        return 0

    def give(self, row):
        """The row is no longer anybody's."""
        self.unlink(row)
        self.unbind(row)
        self.kind[row] = 0
        self.free.give(row)
        self.used -= 1

    def bind(self, row, laddr, lport):
        """The row has a local address (0: any) and port."""
        port: cython.uint = lport
        before: cython.uint = self.ports[row] >> 16
        self.laddr[row] = laddr
        if before != port:
            if before:
                self.release(before)
                self.unchoose(row)
                self.on_port.remove(before, row)
            self.ports[row] = (port << 16) | (self.ports[row] & 0xFFFF)
            if port:
                self.hold(port)
                self.on_port.insert_head(port, row)
        if self.kind[row] == _UNBOUND:
            self.kind[row] = _BOUND

    def unbind(self, row):
        """The row's local port is free again, as far as this row is concerned."""
        port: cython.uint = self.ports[row] >> 16
        if port:
            self.release(port)
            self.unchoose(row)
            self.on_port.remove(port, row)
            self.ports[row] = 0
        self.laddr[row] = 0

    def hold(self, port):
        """One more uses this local port."""
        self.port_use[port] += 1
        if self.port_use[port] > 1:
            return
        self.map.use(port)
        if self.first <= port <= self.last:
            self.range_used += 1
            if self.range_used > self.range_high:
                self.range_high = self.range_used

    def release(self, port):
        """One less."""
        self.port_use[port] -= 1
        if self.port_use[port] > 0:
            return
        self.map.disuse(port)
        if self.first <= port <= self.last:
            self.range_used -= 1

    def watch(self, first, last):
        """`range_used` is how many ports of first … last are in use, `range_high` the most that there ever were (not
        hot: the range seldom changes).
        """
        if first == self.first and last == self.last:
            return
        self.first = first
        self.last = last
        self.range_used = 0
        for port in range(first, last + 1):
            self.range_used += self.port_use[port] > 0
        self.range_high = self.range_used

    def choose(self, row):
        """The machine chose the row's port, for a connect: others may share it (Linux)."""
        if not self.chosen[row]:
            self.chosen[row] = 1
            self.port_chosen[self.ports[row] >> 16] += 1

    def unchoose(self, row):
        """The row's port is no longer one that the machine chose."""
        if self.chosen[row]:
            self.chosen[row] = 0
            self.port_chosen[self.ports[row] >> 16] -= 1

    def connect(self, row, laddr, lport, faddr, fport):
        """The row is the connection of these four; it must not be linked yet."""
        self.bind(row, laddr, lport)
        low: cython.uint = fport
        self.faddr[row] = faddr
        self.ports[row] = (self.ports[row] >> 16 << 16) | low
        self.kind[row] = _CONNECTED
        bucket: cython.uint = (
            jhash_3words(self.laddr[row], self.faddr[row], self.ports[row], self.secret) & self.mask
        )
        self.connections.insert_head(bucket, row)

    def listen(self, row):
        """The bound row takes SYNs for its port from now on."""
        if self.kind[row] == _LISTENING:
            return
        self.kind[row] = _LISTENING
        self.listeners.insert_head((self.ports[row] >> 16) & self.listen_mask, row)

    def unlink(self, row):
        """Out of the chain that finds it; the local port stays bound."""
        if self.kind[row] == _CONNECTED:
            bucket: cython.uint = (
                jhash_3words(self.laddr[row], self.faddr[row], self.ports[row], self.secret)
                & self.mask
            )
            self.connections.remove(bucket, row)
            self.map.freed(
                self.laddr[row], self.ports[row] >> 16, self.faddr[row], self.ports[row] & 0xFFFF
            )
        elif self.kind[row] == _LISTENING:
            self.listeners.remove((self.ports[row] >> 16) & self.listen_mask, row)
        else:
            return
        self.kind[row] = _BOUND

    def find(self, laddr, lport, faddr, fport):
        """Row of the connection with these four addresses, or 0."""
        local: cython.uint = lport
        foreign: cython.uint = fport
        ports: cython.uint = (local << 16) | foreign
        bucket: cython.uint = jhash_3words(laddr, faddr, ports, self.secret) & self.mask
        row: cython.int = self.connections.head[bucket]
        while row != 0:
            if self.ports[row] == ports and self.faddr[row] == faddr and self.laddr[row] == laddr:
                return row
            row = self.connections.next[row]
        return 0

    def find_listener(self, laddr, lport):
        """Row of the listener for this address and port: bound to the address before bound to any."""
        wild: cython.int = 0
        row: cython.int = self.next_listener(0, laddr, lport)
        while row != 0:
            if self.laddr[row] != 0:
                return row
            if wild == 0:
                wild = row
            row = self.next_listener(row, laddr, lport)
        return wild

    def next_listener(self, row, laddr, lport):
        """The next listener after `row` (0: the first) that would take a SYN to this address and port."""
        port: cython.uint = lport
        if row == 0:
            row = self.listeners.head[port & self.listen_mask]
        else:
            row = self.listeners.next[row]
        while row != 0:
            if (self.ports[row] >> 16) == port and (
                self.laddr[row] == 0 or self.laddr[row] == laddr
            ):
                return row
            row = self.listeners.next[row]
        return 0

    def port_users(self, port):
        """How many use this local port: sockets, and connections that only wait."""
        return self.port_use[port]

    def next_on_port(self, row, port):
        """The next row after `row` (0: the first) that is bound to this local port, whatever it does with it; 0."""
        return self.on_port.next[row] if row else self.on_port.head[port]

    def rehash(self, buckets):
        """Spread the connections over another number of chains, as a machine with that table would have them: for
        comparisons, no real machine can. Raises ValueError unless it is a power of two.
        """
        row: cython.int
        hashes = column("I", self.capacity + 1)
        for row in range(1, self.capacity + 1):
            if self.kind[row] == _CONNECTED:
                hashes[row] = jhash_3words(
                    self.laddr[row], self.faddr[row], self.ports[row], self.secret
                )
        self.connections.resize(buckets, hashes)
        self.mask = buckets - 1

    def chain_lengths(self):
        """How many chains of connections are so long: item n counts the chains of n."""
        return self.connections.lengths()
