"""TCP Fast Open (RFC 7413): the cookies of a server, and what a client remembers of servers.

`net.ipv4.tcp_fastopen` is a sum: 1 client, 2 server, 4 a client needs no cookie, 0x200 a server needs none, 0x400 every
listener takes data on SYNs without being asked. FreeBSD has a switch for each side.

Sources: RFC 7413 sections 4.1 and 4.2; ip-sysctl; FreeBSD netinet/tcp_fastopen.c (facts: freebsd-tcp 3.8). The formula
of Linux's cookie was established with a 6.18 kernel and fixed keys: SipHash-2-4 of the two addresses.
"""

import cython

from pystack._fast.consts import COOKIES_LINUX
from pystack._fast.hashing import siphash_bytes
from pystack._fast.tcb import FO_DATA, FO_EXP, FO_NO_COOKIE, FO_SOCKET, Stack, Tcb  # noqa: F401

CLIENT = 1
SERVER = 2
CLIENT_NO_COOKIE = 4
SERVER_NO_COOKIE = 0x200
SERVER_ALL = 0x400
_U32 = 0xFFFFFFFF


@cython.final
@cython.cclass
class Remembered:
    """What a client knows of one server: its cookie and whether that came in the experimental option, its MSS, which
    option to ask with (`ask_exp` 1: the experimental one, 2: it did not help), until when not to try.
    """

    def __init__(self):
        self.cookie = b""
        self.mss = 0
        self.exp = False
        self.ask_exp = 0
        self.off_until = 0


@cython.final
@cython.cclass
class FastOpen:
    """One machine's Fast Open: the server's key, the client's cache by address, and whether a black hole was met."""

    def __init__(self, k0, k1):
        self.k0 = k0
        self.k1 = k1
        self.cache = {}
        self.off_until = 0
        self.times_off = 0

    def set_key_text(self, text):
        """The key as `net.ipv4.tcp_fastopen_key` has it: four words, each little-endian."""
        words = [int(word, 16) for word in text.split("-")]
        self.k0 = words[0] | words[1] << 32
        self.k1 = words[2] | words[3] << 32

    def key_text(self):
        """The key in that form."""
        low: cython.ulonglong = self.k0
        high: cython.ulonglong = self.k1
        return f"{low & _U32:08x}-{low >> 32:08x}-{high & _U32:08x}-{high >> 32:08x}"

    def cookie(self, s, key, src, dst):
        """The cookie of the client `src` at our address `dst`, 8 octets. FreeBSD's is of the client alone. `key`: the
        listener's own (TCP_FASTOPEN_KEY), b"" for the machine's.
        """
        k0: cython.ulonglong = self.k0
        k1: cython.ulonglong = self.k1
        if len(key) > 0:
            k0 = int.from_bytes(key[:8], "little")
            k1 = int.from_bytes(key[8:16], "little")
        data: bytes = int(src).to_bytes(4, "big")
        if s.cfg.policy_cookies == COOKIES_LINUX:
            data += int(dst).to_bytes(4, "big")
        mac: cython.ulonglong = siphash_bytes(k0, k1, memoryview(data))
        return int(mac).to_bytes(8, "little")

    def client_on(self, s, t):
        """May this socket put data on its SYN?"""
        return (s.cfg.tcp_fastopen & CLIENT) != 0 or (
            s.cfg.tcp_fastopen_client != 0 and (t.fo & FO_SOCKET) != 0
        )

    def recall(self, s, t):
        """What is remembered of the connection's peer; None: nothing, or Fast Open is off for it now."""
        if s.now < self.off_until:
            return None
        known: Remembered = self.cache.get(t.faddr)
        if known is None:
            known = Remembered()
        if s.now < known.off_until:
            return None
        return known

    def needs_cookie(self, s, t):
        """Must the client have a cookie before it sends data?"""
        return not (s.cfg.tcp_fastopen & CLIENT_NO_COOKIE or t.fo & FO_NO_COOKIE)

    def learn(self, s, t, mss, cookie, exp):
        """A SYN-ACK came: the peer's MSS, and a new cookie (or b"")."""
        known: Remembered = self.cache.get(t.faddr)
        if known is None:
            known = Remembered()
            self.cache[t.faddr] = known
        if mss > 0:
            known.mss = mss
        if len(cookie) > 0:
            known.cookie = cookie
            known.exp = exp
        elif len(known.cookie) == 0 and t.fo & FO_DATA == 0:
            # it was asked and gave none: next time with the other option, once
            tried: cython.int = 2 if t.fo & FO_EXP else 1
            if tried > known.ask_exp:
                known.ask_exp = tried

    def lost_path(self, s, t):
        """A SYN of Fast Open was lost: none to this server for a while (FreeBSD)."""
        known: Remembered = self.cache.get(t.faddr)
        if known is None:
            known = Remembered()
            self.cache[t.faddr] = known
        known.off_until = s.now + s.cfg.tcp_fastopen_path_disable

    def black_hole(self, s):
        """Something on the way eats Fast Open: none for `tcp_fastopen_disable`, twice as long each further time."""
        span: cython.longlong = s.cfg.tcp_fastopen_disable
        if span > 0:
            shift: cython.int = self.times_off if self.times_off < 6 else 6
            self.off_until = s.now + (span << shift)
            self.times_off += 1
