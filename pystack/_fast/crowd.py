"""Many peers of one machine that do nothing by themselves: they connect, acknowledge, and take leave when told to.

What a packet costs a machine among many connections can be measured with them; nothing else is in the measurement. The
peers have consecutive addresses from `network` on, `PORTS` connections each.
"""

import cython

from pystack._fast.columns import column
from pystack._fast.consts import ACK, FIN, OPTIONS_LINUX, PROTO_TCP, SYN
from pystack._fast.ip4 import build as build_ip
from pystack._fast.packet import Packet
from pystack._fast.rng import Rng
from pystack._fast.seq import add
from pystack._fast.tcp_wire import build as build_tcp

PORTS = 50_000
FIRST_PORT = 10_000


@cython.final
@cython.cclass
class Crowd:
    """At most `limit` connections to `addr`:`port` of a machine; `count` of them are open."""

    def __init__(self, network, addr, port, limit, seed=1):
        self.network = network
        self.addr = addr
        self.port = port
        self.limit = limit
        self.count = 0
        self.snd_nxt = column("I", limit)
        self.rcv_nxt = column("I", limit)
        self.rng = Rng(seed)

    def give(self, core, i, flags, now):
        """Segment of connection `i` arrives at interface 0. Answers the machine's packet, or None."""
        p = core.packet()
        p.proto = PROTO_TCP
        p.src = self.network + i // PORTS
        p.dst = self.addr
        p.sport = FIRST_PORT + i % PORTS
        p.dport = self.port
        p.seq = self.snd_nxt[i]
        p.ack = self.rcv_nxt[i] if flags & ACK else 0
        p.flags = flags
        p.win = 64240
        if flags & SYN:
            p.opt_mss = 1460
        p.df = True
        p.csum_ok = True
        build_tcp(p, OPTIONS_LINUX)
        build_ip(p)
        p.iface_in = 0
        core.ingress(p, now)
        return core.egress(now)

    def open(self, core, n, now):
        """`n` more connections; the listener's queue must have room for them. Answers how many were made."""
        answer: Packet
        made: cython.int = 0
        while made < n and self.count < self.limit:
            i: cython.int = self.count
            self.snd_nxt[i] = self.rng.next32()
            answer = self.give(core, i, SYN, now)
            if answer is None:
                break
            self.rcv_nxt[i] = add(answer.seq, 1)
            self.snd_nxt[i] = add(self.snd_nxt[i], 1)
            answer.release()
            answer = self.give(core, i, ACK, now)
            if answer is not None:
                answer.release()
                break
            self.count += 1
            made += 1
        return made

    def poke(self, core, order, now):
        """An acknowledgment of nothing new from each connection of `order`. Answers how many packets came back: 0."""
        i: cython.Py_ssize_t
        n: cython.Py_ssize_t = len(order)
        back: cython.int = 0
        for i in range(n):
            answer: Packet = self.give(core, order[i], ACK, now)
            while answer is not None:
                back += 1
                answer.release()
                answer = core.egress(now)
        return back

    def part(self, core, first, n, fin, now):
        """The machine said FIN to connections `first` … `first + n`: they acknowledge it, and say FIN too if `fin`.
        Answers how many packets came back.
        """
        i: cython.int
        back: cython.int = 0
        answer: Packet = core.egress(now)
        while answer is not None:
            answer.release()
            answer = core.egress(now)
        for i in range(first, first + n):
            self.rcv_nxt[i] = add(self.rcv_nxt[i], 1)
            answer = self.give(core, i, FIN | ACK if fin else ACK, now)
            while answer is not None:
                back += 1
                answer.release()
                answer = core.egress(now)
        return back
