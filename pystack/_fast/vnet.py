"""What a TUN device is given for one packet: its octets, and the virtio header where that is used.

Sources: OASIS virtio 1.2 section 5.1.6 (struct virtio_net_hdr, the 10 octets without num_buffers)
and the kernel's Documentation/networking/tuntap. Its numbers are in the machine's byte order.
"""

from __future__ import annotations

import sys

import cython

from pystack._fast import consts
from pystack._fast.ip4 import split, split_count
from pystack._fast.packet import HEAD_ROOM, Packet

VNET_LEN = 10
"""Octets of the header: flags, gso_type, then four u16: hdr_len, gso_size, csum_start, csum_offset."""

NEEDS_CSUM = 1
DATA_VALID = 2
GSO_TCPV4 = 1
GSO_ECN = 0x80

SMALL = 4096
"""Payloads up to this many octets are copied behind their headers: one buffer is written faster than
two, and the copy costs less than the list of views would."""

_VNET_LEN = cython.declare(cython.int, VNET_LEN)
_NEEDS_CSUM = cython.declare(cython.int, NEEDS_CSUM)
_GSO_TCPV4 = cython.declare(cython.int, GSO_TCPV4)
_GSO_ECN = cython.declare(cython.int, GSO_ECN)
_SMALL = cython.declare(cython.int, SMALL)
_WHOLE = cython.declare(cython.int, 65536)
_ICMP = cython.declare(cython.int, consts.PROTO_ICMP)
_CWR = cython.declare(cython.int, consts.CWR)
_LOW = cython.declare(cython.int, 0 if sys.byteorder == "little" else 1)


@cython.final
@cython.cclass
class Framer:
    """Lays packets out for a device, one at a time, in a buffer of its own.

    `vnet` says whether the device takes the virtio header (and with it super-segments and packets
    whose checksum somebody else completes). `view[:n]` after `n = frame(packet)` is what to write.
    """

    def __init__(self, vnet: cython.bint) -> None:
        octets = bytearray(VNET_LEN + HEAD_ROOM + 65536)
        self.cut = Packet()
        self.vnet = vnet
        self.out = memoryview(octets)
        self.view = memoryview(octets)

    @cython.exceptval(check=False)
    def _u16(self, at: cython.int, value: cython.int) -> cython.void:
        self.out[at + _LOW] = value & 0xFF
        self.out[at + 1 - _LOW] = (value >> 8) & 0xFF

    @cython.exceptval(check=False)
    def frame(self, p: Packet) -> cython.int:
        """Octets in `view` of the whole packet; or, negative, of what comes before its payload.

        0: a super-segment, which this device does not take: write its `pieces`. The packet does not
        change.
        """
        if not self.vnet and split_count(p) > 1:
            return 0
        return self._lay(p, _SMALL)

    @cython.exceptval(check=False)
    def pieces(self, p: Packet) -> cython.int:
        """How many packets a super-segment is to be cut into."""
        return split_count(p)

    @cython.exceptval(check=False)
    def piece(self, p: Packet, index: cython.int) -> cython.int:
        """Octets in `view` of one piece of a super-segment; 0 when the pool denied an mbuf."""
        n: cython.int
        self.cut.clear()
        if not split(p, index, self.cut):
            return 0
        n = self._lay(self.cut, _WHOLE)
        self.cut.drop_payload()
        return n

    @cython.exceptval(check=False)
    def _lay(self, p: Packet, most: cython.int) -> cython.int:
        """Header, head, and the payload unless it is longer than `most`."""
        begin: cython.int = 0
        at: cython.int = p.checksum_at()
        i: cython.int
        n: cython.int = p.head_len
        partial: cython.bint = False
        acc: cython.uint
        if self.vnet:
            begin = _VNET_LEN
            for i in range(_VNET_LEN):
                self.out[i] = 0
            partial = p.csum_ok and at != 0 and p.proto != _ICMP
            if partial:
                self.out[0] = _NEEDS_CSUM
                self._u16(6, p.ip_len)
                self._u16(8, at - p.ip_len)
            if p.gso_size != 0 and p.length > p.gso_size:
                self.out[1] = _GSO_TCPV4 | (_GSO_ECN if p.flags & _CWR else 0)
                self._u16(2, n)
                self._u16(4, p.gso_size)
        for i in range(n):
            self.out[begin + i] = p.head[i]
        if p.csum_ok and at != 0:
            acc = p.pseudo_sum() if partial else p.l4_checksum()
            self.out[begin + at] = (acc >> 8) & 0xFF
            self.out[begin + at + 1] = acc & 0xFF
        n += begin
        if p.m == 0:
            return n
        if p.length > most:
            return -n
        p.pool.copy_out(p.m, 0, self.out, n, p.length)
        return n + p.length
