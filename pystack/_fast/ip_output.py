"""What leaves a machine: its interfaces, which way a packet goes, and the queue to the devices.

    output    → finish_output → go_out → send_out → txq
                                       → to_itself → loop

Whatever goes no further, in or out, passes `reject`, under its reason (`drops`).
"""

import cython

from pystack._fast import ip4
from pystack._fast.consts import Drop, Err
from pystack._fast.ipstat import IpStat
from pystack._fast.nf_hook import NF_ACCEPT, NF_FULL, NF_STOLEN
from pystack._fast.packet import Packet, PacketQueue
from pystack._fast.routes import Interface, RouteTable
from pystack._fast.tcb import Stack

IP_NEED_FRAGMENT = int(Drop.IP_NEED_FRAGMENT)
IP_NO_ROUTE = int(Drop.IP_NO_ROUTE)
MBUF = int(Drop.MBUF)
FIREWALL = int(Drop.FIREWALL)
ENOBUFS = int(Err.ENOBUFS)
TX_QUEUE = int(Drop.TX_QUEUE)
TX_LIMIT = 1 << 20
"""Packets that may wait in `txq` for the device; whoever drives the core empties it after every call."""


@cython.cclass
class IpOutput(Stack):
    """A machine that can send. `interfaces` by number; `lo`: what it says to itself goes over that one; `txq`: packets
    for the devices; `loop`: for itself; `tap`: who wants to see what is rejected.
    """

    def init_output(self):
        """Called once, after init_stack."""
        self.interfaces = []
        self.lo = Interface(-1, "lo0", 0x7F000001, 8, 16384)
        self.routes = RouteTable()
        self.txq = PacketQueue()
        self.loop = PacketQueue()
        self.path_mtu = {}
        self.tap = None
        self.hooks = None
        self.ipstat = IpStat()
        self.ip_id = self.rng.next32() & 0xFFFF
        self.piece = 0

    def add_interface(self, name, addr, prefix, mtu):
        """A new interface with the route to its own prefix; answers its number."""
        iface = Interface(len(self.interfaces), name, addr, prefix, mtu)
        self.interfaces.append(iface)
        self.routes.add(addr, prefix, iface.number, 0)
        return iface.number

    # --- questions ---------------------------------------------------------------------------------------------

    def is_local(self, addr):
        """Is `addr` one of this machine's own, or loopback?"""
        i: cython.int
        n: cython.int = len(self.interfaces)
        for i in range(n):
            iface: Interface = self.interfaces[i]
            if iface.addr == addr:
                return True
        return addr >> 24 == 127

    def is_broadcast(self, addr):
        """Is `addr` the limited broadcast, or the directed broadcast or the network of one of the interfaces?"""
        if addr == _BROADCAST:
            return True
        i: cython.int
        n: cython.int = len(self.interfaces)
        for i in range(n):
            iface: Interface = self.interfaces[i]
            if iface.prefix < 31 and addr & iface.mask == iface.addr & iface.mask:
                if addr | iface.mask == _BROADCAST or addr == iface.addr & iface.mask:
                    return True
        return False

    def mtu_to(self, dst):
        """MTU of the interface towards `dst`, 0 without a route; no packet is larger than 65535 octets."""
        if self.is_local(dst):
            return self.lo.mtu if self.lo.mtu < 65535 else 65535
        route: cython.int = self.routes.find(dst)
        if route < 0:
            return 0
        iface: Interface = self.interfaces[self.routes.iface[route]]
        if len(self.path_mtu) > 0:
            return self.known_mtu(dst, iface.mtu)
        if self.hosts is not None and self.hosts.used > 0:
            return self.hosts.mtu_of(dst, iface.mtu, self.now)
        return iface.mtu

    def source_for(self, dst):
        """The address that a connection to `dst` is made from, 0 without a route."""
        if self.is_local(dst):
            return dst
        route: cython.int = self.routes.find(dst)
        if route < 0:
            return 0
        iface: Interface = self.interfaces[self.routes.iface[route]]
        return iface.addr

    def remember_mtu(self, dst, mtu):
        """A router has told how large packets to `dst` may be."""
        if self.hosts is None:
            self.path_mtu[dst] = (mtu, self.now + self.cfg.ip_pmtu_expires)
            return 0
        self.hosts.set_mtu(dst, mtu, self.now)
        self.stat.hc_added = self.hosts.added
        self.stat.hc_overflow = self.hosts.overflows
        return 0

    def known_mtu(self, dst, mtu):
        """The MTU of the way to `dst` as routers have told, at most `mtu`."""
        entry = self.path_mtu.get(dst)
        if entry is None:
            return mtu
        size, until = entry
        if self.now >= until:
            del self.path_mtu[dst]
            return mtu
        return min(size, mtu)

    # --- out ---------------------------------------------------------------------------------------------------

    def output(self, p):
        """Send a packet of this machine: its L4 header is built, `src`, `dst`, `ttl`, `tos` are set. ENOBUFS: a hook
        had no room for it; whatever else becomes of it, nobody knows here.
        """
        route: cython.int
        self.ipstat.localout += 1
        self.ip_id = (self.ip_id + 1) & 0xFFFF
        p.ip_id = self.ip_id
        if p.gso_size > 0:
            self.ip_id = (self.ip_id + p.length // p.gso_size) & 0xFFFF
        local: cython.bint = self.is_local(p.dst)
        route = -1 if local else self.routes.find(p.dst)
        if route < 0 and not local:
            self.ipstat.noroute += 1
            return self.reject(p, IP_NO_ROUTE)
        if not local and p.df and len(self.path_mtu) > 0 and self.cfg.ip_min_pmtu > 0:
            if self.known_mtu(p.dst, 65535) <= self.cfg.ip_min_pmtu:
                p.df = False  # a way that small is not believed: routers shall cut it
        ip4.build(p)
        if self.hooks is not None:
            dst: cython.uint = p.dst
            p.iface_out = -1 if local else self.routes.iface[route]
            verdict: cython.int = self.hooks.local_out(p)
            if verdict != NF_ACCEPT:
                return self.refuse(p, verdict)
            if p.dst != dst:  # it was sent elsewhere
                local = self.is_local(p.dst)
                route = -1 if local else self.routes.find(p.dst)
                if route < 0 and not local:
                    self.ipstat.noroute += 1
                    return self.reject(p, IP_NO_ROUTE)
        if not local:
            return self.finish_output(p, route, p.dst)
        p.iface_out = -1
        if self.hooks is not None:
            verdict = self.hooks.postrouting(p)
            if verdict != NF_ACCEPT:
                return self.refuse(p, verdict)
        return self.go_out(p)

    def to_itself(self, p):
        """The machine is where the packet goes."""
        p.iface_in = -1
        self.ipstat.octets_out += p.total
        self.ipstat.transmits += 1
        self.lo.opackets += 1
        self.lo.obytes += p.total
        self.loop.push(p)
        return 0

    def point_at(self, p, route, towards):
        """`route` is the one towards an address, the packet's destination or another: that is where it leaves."""
        gateway: cython.uint = self.routes.gateway[route]
        p.nexthop = gateway if gateway != 0 else towards
        p.iface_out = self.routes.iface[route]
        return 0

    def finish_output(self, p, route, towards):
        """The packet is complete: on to its interface, in fragments if it must and may be."""
        self.point_at(p, route, towards)
        if self.hooks is not None:
            verdict: cython.int = self.hooks.postrouting(p)
            if verdict != NF_ACCEPT:
                return self.refuse(p, verdict)
        return self.go_out(p)

    def go_out(self, p):
        """A packet has passed the last hook; `iface_out` and `nexthop` say where it goes."""
        if p.iface_out < 0:
            return self.to_itself(p)
        iface: Interface = self.interfaces[p.iface_out]
        mtu: cython.int = iface.mtu
        if self.piece > 0 and self.piece < mtu and p.iface_in >= 0:
            mtu = self.piece  # it came in fragments, and so it goes on
        if p.gso_size == 0 and p.head_len + p.length > mtu:
            if p.df and mtu == iface.mtu:
                self.ipstat.cantfrag += 1
                return self.reject(p, IP_NEED_FRAGMENT)
            parts: PacketQueue = PacketQueue()
            count: cython.int = ip4.fragment(p, mtu, self.spare, parts)
            if count == 0:
                return self.reject(p, MBUF)
            p.release()
            self.ipstat.fragmented += 1
            self.ipstat.ofragments += count
            while parts.count > 0:
                part: Packet = parts.pop()
                self.send_out(part, iface)
            return 0
        return self.send_out(p, iface)

    def send_out(self, p, iface):
        """Into the queue of the devices."""
        if not iface.up or self.txq.count >= TX_LIMIT:
            iface.odrops += 1
            return self.reject(p, TX_QUEUE)
        iface.opackets += 1
        iface.obytes += p.head_len + p.length
        self.ipstat.transmits += 1
        self.ipstat.octets_out += p.head_len + p.length
        self.txq.push(p)
        return 0

    def refuse(self, p, verdict):
        """A hook does not let a packet leave: it keeps it, or the packet is rejected; if it is the machine's own,
        whoever sends it can be told.
        """
        if verdict == NF_STOLEN:
            return 0
        if verdict == NF_FULL:
            return ENOBUFS
        if p.iface_in < 0:
            self.refusals += 1
        return self.reject(p, FIREWALL)

    def reject(self, p, reason):
        """The packet goes no further; it is counted and released."""
        self.drops[reason] += 1
        p.drop = reason
        if p.ct != 0:
            self.hooks.forget(p)
        if self.tap is not None:
            self.tap(self.now, p, reason)
        p.release()
        return 0


_BROADCAST = cython.declare(cython.uint, 0xFFFFFFFF)
