"""SYN cookies: a half-open connection that is nowhere but in its own SYN-ACK (RFC 4987 section 3.6).

FreeBSD (policy `bsd`): 24 bits of a MAC over addresses, IRS and a 15-second slot, and an octet that says window scale,
MSS and SACK. Linux: a counter of minutes in the top octet and the MSS, one of four, in the rest; what else the peer
offered stands in the six low bits of the timestamp, or is lost.

Sources: FreeBSD netinet/tcp_syncache.c (facts: freebsd-tcp 3.4); Linux 6.18 as measured: the four sizes, the six bits,
and that a segment one octet late is taken for a cookie of the next smaller size.
"""

import cython

from pystack._fast.consts import SECOND, SYN
from pystack._fast.hashing import sip3
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.seq import add, sub

COOKIE_MSS = (216, 536, 1200, 1360, 1400, 1440, 1452, 1460)
COOKIE_SCALE = (-1, 0, 1, 2, 4, 6, 7, 8)
LINUX_MSS = (536, 1300, 1440, 1460)
SLOT = 15 * SECOND
MINUTE = 60 * SECOND
TS_SACK = 0x10
TS_ECN = 0x20
TS_NO_SCALE = 0xF
_U32 = 0xFFFFFFFF


@cython.final
@cython.cclass
class Cookies:
    """The keys of a machine's cookies. Times are ns."""

    def __init__(self, rng):
        self.k0 = rng.next64()
        self.k1 = rng.next64()

    def derived(self, use):
        """64 bits for another use of the same secret."""
        number: cython.ulonglong = use
        return sip3(self.k0, self.k1, number, number, number)

    # --- FreeBSD ---------------------------------------------------------------------------------------------------

    def encode(self, p):
        """What a cookie remembers of a SYN in one octet: scale, MSS, SACK."""
        mss: cython.int = p.opt_mss if p.opt_mss >= 0 else 536
        i: cython.int = 7
        k: cython.int = 7
        while i > 0 and COOKIE_MSS[i] > mss:
            i -= 1
        if p.opt_wscale < 0:
            k = 0
        else:
            while k > 1 and COOKIE_SCALE[k] > p.opt_wscale:
                k -= 1
        return (k << 5) | (i << 2) | (2 if p.opt_sack_ok else 0)

    def make(self, p, flags, now):
        """The ISS that proves a later ACK of this SYN."""
        return self.at_slot(p, flags, now // SLOT)

    def at_slot(self, p, flags, slot):
        """The ISS for `flags` in a slot; `p` is the SYN, or the segment that answers the SYN-ACK."""
        a: cython.ulonglong = p.src
        b: cython.ulonglong = p.dst
        x: cython.ulonglong = p.sport
        y: cython.ulonglong = p.dport
        irs: cython.ulonglong = p.seq if p.flags & SYN else sub(p.seq, 1)
        when: cython.ulonglong = slot
        mac: cython.ulonglong = sip3(
            self.k0, self.k1, (a << 32) | b, (x << 48) | (y << 32) | irs, (when << 8) | flags
        )
        half: cython.uint = ((mac >> 32) ^ mac) & _U32
        low: cython.uint = (flags ^ (half >> 24)) & 0xFF
        high: cython.uint = half >> 8 << 8
        return high | low

    def check(self, p, now):
        """The octet of the cookie that `p` acknowledges, -1 when it is none of the last 15 to 30 seconds."""
        iss: cython.uint = sub(p.ack, 1)
        slot: cython.longlong = now // SLOT
        tries: cython.int
        guess: cython.int
        for tries in range(2):
            if tries > slot:  # the clock has only begun
                break
            for guess in range(128):
                if self.at_slot(p, guess << 1, slot - tries) == iss:
                    return guess << 1
        return -1

    # --- Linux -----------------------------------------------------------------------------------------------------

    def mac(self, p, count):
        """32 bits over the addresses; `count` is 0 for those that do not change with time."""
        a: cython.ulonglong = p.src
        b: cython.ulonglong = p.dst
        x: cython.ulonglong = p.sport
        y: cython.ulonglong = p.dport
        when: cython.ulonglong = count
        mac: cython.ulonglong = sip3(self.k1, self.k0, (a << 32) | b, (x << 16) | y, when)
        return mac & _U32

    def linux_make(self, p, now):
        """The ISS of Linux: a counter of minutes above, below it a sum of hashes, the IRS and the MSS's number."""
        mss: cython.int = p.opt_mss if p.opt_mss >= 0 else 536
        i: cython.int = 3
        count: cython.longlong = now // MINUTE + 1
        while i > 0 and LINUX_MSS[i] > mss:
            i -= 1
        top: cython.uint = (count & 0xFF) << 24
        low: cython.uint = add(self.mac(p, count), i) & 0xFFFFFF
        return add(add(add(self.mac(p, 0), p.seq), top), low)

    def linux_check(self, p, now):
        """The MSS of the cookie that `p` acknowledges, 0 when it is none of the last two minutes."""
        count: cython.longlong = now // MINUTE + 1
        rest: cython.uint = sub(sub(sub(p.ack, 1), self.mac(p, 0)), sub(p.seq, 1))
        age: cython.uint = (cython.cast(cython.uint, count & 0xFF) - (rest >> 24)) & 0xFF
        if age >= 2 or age >= count:
            return 0
        i: cython.uint = sub(rest, self.mac(p, count - age)) & 0xFFFFFF
        if i > 3:
            return 0
        return LINUX_MSS[i]

    def hide(self, ticks, flags):
        """A timestamp not above `ticks` whose six low bits are `flags`."""
        out: cython.uint = (ticks & ~0x3F & _U32) | flags
        if out > ticks:
            out = sub(out, 64)
        return out
