"""Interfaces and routes of one machine. Addresses are IPv4, host order."""

import cython

from pystack._fast.columns import column, grown

ALL_ONES = 0xFFFFFFFF


def mask_of(prefix):
    """The netmask of a prefix length 0..32."""
    return ALL_ONES << (32 - prefix) & ALL_ONES


@cython.final
@cython.cclass
class Interface:
    """One interface: an address with its prefix, an MTU, counters as `netstat -i` shows them."""

    def __init__(self, number, name, addr, prefix, mtu):
        if not 0 <= prefix <= 32:
            raise ValueError(f"prefix length {prefix} is not between 0 and 32")
        if not 68 <= mtu <= 65535:
            raise ValueError(f"MTU {mtu} is not between 68 and 65535")
        self.number = number
        self.name = name
        self.addr = addr
        self.prefix = prefix
        self.mask = mask_of(prefix)
        self.mtu = mtu
        self.up = True
        self.ipackets = self.ibytes = self.idrops = 0
        self.opackets = self.obytes = self.odrops = 0


@cython.final
@cython.cclass
class RouteTable:
    """Routes, longest prefix first; among equals the one that was added first."""

    def __init__(self):
        self.net = column("I", 8)
        self.mask = column("I", 8)
        self.gateway = column("I", 8)
        self.iface = column("i", 8)
        self.n = 0

    def add(self, net, prefix, iface, gateway):
        """A route to net/prefix through `iface`, by `gateway` or, with 0, direct."""
        mask: cython.uint = mask_of(prefix)
        if self.n == self.net.shape[0]:
            size = 2 * self.n
            self.net = grown(memoryview(self.net), size)
            self.mask = grown(memoryview(self.mask), size)
            self.gateway = grown(memoryview(self.gateway), size)
            self.iface = grown(memoryview(self.iface), size)
        at: cython.int = self.n
        while at > 0 and self.mask[at - 1] < mask:
            self.net[at] = self.net[at - 1]
            self.mask[at] = self.mask[at - 1]
            self.gateway[at] = self.gateway[at - 1]
            self.iface[at] = self.iface[at - 1]
            at -= 1
        self.net[at] = net & mask
        self.mask[at] = mask
        self.gateway[at] = gateway
        self.iface[at] = iface
        self.n += 1
        return 0

    def delete(self, net, prefix):
        """Remove the first route to net/prefix; False when there is none."""
        mask = mask_of(prefix)
        for at in range(self.n):
            if self.net[at] == net & mask and self.mask[at] == mask:
                for i in range(at, self.n - 1):
                    self.net[i] = self.net[i + 1]
                    self.mask[i] = self.mask[i + 1]
                    self.gateway[i] = self.gateway[i + 1]
                    self.iface[i] = self.iface[i + 1]
                self.n -= 1
                return True
        return False

    def find(self, dst):
        """Row of the route to `dst`, -1 when there is none."""
        i: cython.int
        for i in range(self.n):
            if dst & self.mask[i] == self.net[i]:
                return i
        return -1

    def rows(self):
        """[(net, mask, gateway, interface)] in order of match."""
        return [(self.net[i], self.mask[i], self.gateway[i], self.iface[i]) for i in range(self.n)]
