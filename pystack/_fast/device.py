"""The driver of a device that gives and takes one packet a call: a TUN device, or what stands for one.

Nothing here raises for what a packet or the device does; `receive` answers -errno for a device that cannot be read.
"""

from __future__ import annotations

import errno
import sys

import cython

from pystack._fast import consts
from pystack._fast.fdio import read_packet, write_gathered, write_packet
from pystack._fast.packet import Packet
from pystack._fast.port import Port
from pystack._fast.vnet import VNET_LEN, Framer

_AGAIN = cython.declare(cython.int, errno.EAGAIN)
_MBUF = cython.declare(cython.int, consts.Drop.MBUF)
_TX_QUEUE = cython.declare(cython.int, consts.Drop.TX_QUEUE)
_NO_DEVICE = cython.declare(cython.int, consts.Drop.NO_DEVICE)
_VNET_LEN = cython.declare(cython.int, VNET_LEN)
_LOW = cython.declare(cython.int, 0 if sys.byteorder == "little" else 1)
_CSUM_KNOWN = cython.declare(cython.int, 3)
"""VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID: nobody need look at the checksum."""

FULL = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})


@cython.final
@cython.cclass
class Device:
    """An open, non-blocking descriptor. `offload`: packets have the virtio header before them.

    `batch_octets`: a `receive` ends after so many. `refused` counts failed writes by errno.
    """

    def __init__(self, fd: cython.int, offload: cython.bint, batch_octets: cython.longlong) -> None:
        self.fd = fd
        self.offload = offload
        self.batch_octets = batch_octets
        self.framer = Framer(offload)
        self.refused = {}

    def receive(
        self, port: Port, iface: cython.int, now: cython.longlong, limit: cython.int
    ) -> cython.int:
        """Read what waits, `limit` packets at most; how many it was, or -errno when there was none.

        Fewer than `limit` and not `batch_octets`: nothing waits any more.
        """
        count: cython.int = 0
        left: cython.longlong = self.batch_octets
        skip: cython.int = _VNET_LEN if self.offload else 0
        gso_size: cython.int = 0
        csum_ok: cython.bint = False
        n: cython.longlong
        while count < limit and left > 0:
            port.make_room()
            n = read_packet(self.fd, port.room)
            if n < 0:
                if n == -_AGAIN or count > 0:
                    break
                return cython.cast(cython.int, n)
            if self.offload:
                # native byte order: TUNSETVNETLE was not used
                gso_size = 0
                if port.room[1]:
                    gso_size = port.room[4 + _LOW] | (port.room[5 - _LOW] << 8)
                csum_ok = port.room[0] & _CSUM_KNOWN != 0
            port.ingress_landed(
                iface, skip, cython.cast(cython.int, n) - skip, gso_size, csum_ok, now
            )
            left -= n
            count += 1
        return count

    def transmit(self, port: Port, now: cython.longlong) -> cython.int:
        """Write all that the machine has to send; how many packets it was.

        A packet that the device does not take is dropped and counted.
        """
        p: Packet = port.egress(now)
        count: cython.int = 0
        n: cython.longlong
        while p is not None:
            n = self.framer.frame(p)
            if n == 0:
                count += self.write_pieces(port, p) - 1
            else:
                if n > 0:
                    n = write_packet(self.fd, self.framer.out, n)
                else:
                    n = write_gathered(self.fd, self.framer.out, -n, p.pool, p.m)
                if n < 0:
                    p.drop = self.refuse(port, -n)
            p.release()
            count += 1
            p = port.egress(now)
        return count

    def write_pieces(self, port: Port, p: Packet) -> cython.int:
        """A super-segment for a device that takes none: this is the last place to cut it. How many pieces."""
        pieces: cython.int = self.framer.pieces(p)
        i: cython.int
        n: cython.longlong
        for i in range(pieces):
            n = self.framer.piece(p, i)
            if n == 0:
                port.drops[_MBUF] += 1
                continue
            n = write_packet(self.fd, self.framer.out, n)
            if n < 0:
                self.refuse(port, -n)
        return pieces

    def refuse(self, port: Port, error: cython.longlong) -> cython.int:
        """Count a failed write: a full queue, or a device that is down, gone or of another mind."""
        reason: cython.int = _TX_QUEUE if error in FULL else _NO_DEVICE
        self.refused[error] = self.refused.get(error, 0) + 1
        port.drops[reason] += 1
        return reason
