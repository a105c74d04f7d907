"""A SYN flood: SYNs from addresses that never answer, as fast as a machine can be hit with them.

Each SYN has a random source in `network`, a random port and a random sequence number, and the options of an ordinary
client without timestamps. `into` gives them to a machine and takes away what it answers; `onto` puts them on a wire.
"""

import cython

from pystack._fast.consts import OPTIONS_LINUX, PROTO_TCP, SYN
from pystack._fast.ip4 import build as build_ip
from pystack._fast.packet import Packet, PacketQueue
from pystack._fast.rng import Rng
from pystack._fast.tcp_wire import build as build_tcp
from pystack._fast.wire import Wire  # noqa: F401


@cython.final
@cython.cclass
class SynFlood:
    """SYNs to `addr`:`port` from the hosts of `network` under `mask` (an int). `sent` counts them, `answers` what the
    machine sent when it was given them directly.
    """

    def __init__(self, seed, network, mask, addr, port):
        self.rng = Rng(seed)
        self.network = network & mask
        self.hosts = ~mask & 0xFFFFFFFF
        self.addr = addr
        self.port = port
        self.spare = PacketQueue()
        self.sent = 0
        self.answers = 0

    def fill(self, p):
        """Make the cleared packet the next SYN."""
        p.proto = PROTO_TCP
        p.src = self.network | (self.rng.next32() & self.hosts)
        p.dst = self.addr
        p.sport = 1024 + self.rng.below(64512)
        p.dport = self.port
        p.seq = self.rng.next32()
        p.flags = SYN
        p.win = 64240
        p.opt_mss = 1460
        p.opt_sack_ok = True
        p.opt_wscale = 7
        p.df = True
        p.csum_ok = True
        build_tcp(p, OPTIONS_LINUX)
        build_ip(p)
        self.sent += 1
        return 0

    def into(self, core, iface, n, now):
        """`n` SYNs arrive at interface `iface` of the machine within this nanosecond; its answers go nowhere."""
        p: Packet
        for _ in range(n):
            p = core.packet()
            self.fill(p)
            p.iface_in = iface
            core.ingress(p, now)
            p = core.egress(now)
            while p is not None:
                self.answers += 1
                p.release()
                p = core.egress(now)
        return 0

    def into_nothing(self, core, n):
        """`n` SYNs are made and thrown away."""
        p: Packet
        for _ in range(n):
            p = core.packet()
            self.fill(p)
            p.release()
        return 0

    def onto(self, wire, n, now):
        """`n` SYNs leave on the wire; who called schedules it."""
        p: Packet
        for _ in range(n):
            p = self.spare.take_free()
            self.fill(p)
            wire.send(p, now)
        return 0
