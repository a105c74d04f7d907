"""The trace hash: one number that says whether two runs were the same, packet by packet.

A rolling 128-bit state in two words takes in, for every packet that a wire is given: the nanosecond,
the wire, every header octet, the payload's length and its Internet checksum; the wire adds what became
of it. The result depends on the content alone, never on where in the pool it lies, on PYTHONHASHSEED, on
the byte order of the machine or on the speed (compiled or interpreted).

It tells runs apart, an adversary can fool it, and so can a run that only exchanges 16-bit words within
the payload of a packet. A stronger sum of the payload costs eight times the time: the checksum takes
2 microseconds for a super-segment of 64 KiB and 50 ns for 1448 octets, the headers take 30 ns.
`payload = False` leaves the sum out.
"""

import cython

from pystack._fast.packet import Packet

_M64 = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
# odd, with about half of their bits set: the primes of xxHash64
_K1 = cython.declare(cython.ulonglong, 0x9E3779B185EBCA87)
_K2 = cython.declare(cython.ulonglong, 0xC2B2AE3D27D4EB4F)
_K3 = cython.declare(cython.ulonglong, 0x165667B19E3779F9)
_K4 = cython.declare(cython.ulonglong, 0x27D4EB2F165667C5)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _word(b: cython.const[cython.uchar][::1], o: cython.longlong) -> cython.ulonglong:
    """Eight octets at `o`, little end first."""
    b0: cython.ulonglong = b[o]
    b1: cython.ulonglong = b[o + 1]
    b2: cython.ulonglong = b[o + 2]
    b3: cython.ulonglong = b[o + 3]
    b4: cython.ulonglong = b[o + 4]
    b5: cython.ulonglong = b[o + 5]
    b6: cython.ulonglong = b[o + 6]
    b7: cython.ulonglong = b[o + 7]
    return (
        b0 | (b1 << 8) | (b2 << 16) | (b3 << 24) | (b4 << 32) | (b5 << 40) | (b6 << 48) | (b7 << 56)
    )


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _part(
    b: cython.const[cython.uchar][::1], o: cython.longlong, n: cython.int
) -> cython.ulonglong:
    """Fewer than eight octets at `o`, padded with zeros."""
    word: cython.ulonglong = 0
    octet: cython.ulonglong
    i: cython.int
    for i in range(n):
        octet = b[o + i]
        word |= octet << (8 * i)
    return word


@cython.cfunc
@cython.inline
@cython.overflowcheck(False)
@cython.exceptval(check=False)
def _stir(lane: cython.ulonglong, word: cython.ulonglong) -> cython.ulonglong:
    """One step of a lane: a bijection of the lane for each word, and of the word for each lane."""
    lane = ((lane ^ word) * _K1) & _M64
    return ((lane << 29) | (lane >> 35)) & _M64


@cython.cfunc
@cython.overflowcheck(False)
@cython.exceptval(check=False)
def _finish(word: cython.ulonglong) -> cython.ulonglong:
    """Every bit of the result depends on every bit of `word`."""
    word = ((word ^ (word >> 33)) * _K2) & _M64
    word = ((word ^ (word >> 29)) * _K3) & _M64
    return word ^ (word >> 32)


@cython.final
@cython.cclass
class Trace:
    """The packets so far as one hash. Two runs with equal `hexdigest` had the same packets.

    `payload`: whether the payload's octets count (its length always does). `packets`: how many were taken
    in. One Trace serves all wires of a network: the order across wires counts too.
    """

    def __init__(self, payload: cython.bint = True) -> None:
        self.payload = payload
        self.packets = 0
        self._a = _K3
        self._b = _K4

    @cython.overflowcheck(False)
    @cython.exceptval(check=False)
    def mix(self, word: cython.ulonglong) -> cython.void:
        """Take in 64 bits of whatever belongs to the run."""
        t: cython.ulonglong = _stir(self._a, word)
        self._a = (self._b + t) & _M64
        self._b = t

    @cython.exceptval(check=False)
    def update(self, p: Packet, time: cython.longlong, wire_id: cython.int) -> cython.void:
        """Packet `p` met `wire_id` at `time` (ns): its head octets, length and payload count.

        The L4 checksum field counts as it stands, filled or not.
        """
        lengths: cython.ulonglong = p.length
        self.packets += 1
        self.mix(cython.cast(cython.ulonglong, time))
        lengths = (lengths << 32) | (cython.cast(cython.ulonglong, wire_id & 0xFFFF) << 16)
        self.mix(lengths | cython.cast(cython.ulonglong, p.head_len))
        self.mix(cython.cast(cython.ulonglong, p.gso_size))
        self._mix_head(p.head, p.head_len)
        if self.payload and p.m != 0:
            self.mix(p.pool.checksum(p.m, 0, p.length, 0, False))

    @cython.exceptval(check=False)
    def _mix_head(self, head: cython.const[cython.uchar][::1], n: cython.int) -> cython.void:
        at: cython.int = 0
        while n - at >= 8:
            self.mix(_word(head, at))
            at += 8
        if at < n:
            self.mix(_part(head, at, n - at))

    def hexdigest(self) -> str:
        """32 hex digits. Asking changes nothing."""
        a: cython.ulonglong = _finish(self._a ^ _finish(self._b))
        b: cython.ulonglong = _finish(self._b ^ a)
        return f"{int(a):016x}{int(b):016x}"
