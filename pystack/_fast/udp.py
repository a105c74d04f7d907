"""Datagram sockets: UDP, and ICMP echo (what Linux calls ping sockets). Data only; the Core fills and empties them."""

import cython

from pystack._fast.packet import PacketQueue


@cython.final
@cython.cclass
class DatagramSocket:
    """A UDP or ICMP socket: received packets wait whole, up to `hiwat` octets of payload. `sndbuf` is
    the largest datagram on FreeBSD, and a number to ask for on Linux.

    For ICMP `lport` is the identifier of the echoes that it sends.
    """

    def __init__(self, proto, hiwat, ttl):
        self.proto = proto
        self.laddr = 0
        self.faddr = 0
        self.lport = 0
        self.fport = 0
        self.queue = PacketQueue()
        self.cc = 0
        self.hiwat = hiwat
        self.sndbuf = 65507
        self.error = 0
        self.fd = -1
        self.owner = None
        self.so_options = 0
        self.ttl = ttl
        self.tos = 0
        self.handler = None
        self.ready = 0
        self.wanted = 0
        self.queued = False
        self.closed = False
        self.cantrecv = False
        self.cantsend = False
        self.dropped = 0
        self.next = None
