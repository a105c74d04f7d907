# cython: overflowcheck=False
# Wrapping is what this module is about; the checked build must not stop it.

"""Hashes of packet keys: SipHash-2-4 and Bob Jenkins's lookup3.

SipHash (Aumasson and Bernstein, 2012) is keyed: peers who do not know the key cannot aim at one bucket.
Linux uses it for conntrack and for initial sequence numbers. lookup3 (public domain, 2006) is what
FreeBSD calls jenkins_hash32 and Linux jhash.

Keys and words are u64 for SipHash, u32 for lookup3.
"""

import cython

_GOLDEN = cython.declare(cython.uint, 0xDEADBEEF)

# "somepseudorandomlygeneratedbytes": the start of SipHash's state.
_INIT0 = cython.declare(cython.ulonglong, 0x736F6D6570736575)
_INIT1 = cython.declare(cython.ulonglong, 0x646F72616E646F6D)
_INIT2 = cython.declare(cython.ulonglong, 0x6C7967656E657261)
_INIT3 = cython.declare(cython.ulonglong, 0x7465646279746573)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _ones64() -> cython.ulonglong:
    """2**64 - 1 as the C compiler can fold it, which drops the masks: with a C variable sip2 takes 40 ns."""
    ones: cython.ulonglong = 0x7FFFFFFF
    return (ones << 33) | (ones << 2) | 3


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _ones32() -> cython.uint:
    """2**32 - 1, likewise."""
    ones: cython.uint = 0x7FFFFFFF
    return (ones << 1) | 1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _sip(
    k0: cython.ulonglong,
    k1: cython.ulonglong,
    words: cython.int,
    a: cython.ulonglong,
    b: cython.ulonglong,
    c: cython.ulonglong,
) -> cython.ulonglong:
    """SipHash-2-4 of the first `words` of three 8-octet words.

    One loop holds the only copy of the round: two rounds for each word and for the length, then four, whose word is 0.
    """
    m64: cython.ulonglong = _ones64()
    v0: cython.ulonglong = k0 ^ _INIT0
    v1: cython.ulonglong = k1 ^ _INIT1
    v2: cython.ulonglong = k0 ^ _INIT2
    v3: cython.ulonglong = k1 ^ _INIT3
    m: cython.ulonglong
    length: cython.ulonglong = words * 8
    block: cython.int
    rounds: cython.int
    i: cython.int
    for block in range(words + 2):
        rounds = 2
        if block < words:
            m = a if block == 0 else (b if block == 1 else c)
        elif block == words:
            m = length << 56
        else:
            m = 0
            v2 ^= 0xFF
            rounds = 4
        v3 ^= m
        for i in range(rounds):  # noqa: B007
            v0 = (v0 + v1) & m64
            v1 = ((v1 << 13) | (v1 >> 51)) & m64
            v1 ^= v0
            v0 = ((v0 << 32) | (v0 >> 32)) & m64
            v2 = (v2 + v3) & m64
            v3 = ((v3 << 16) | (v3 >> 48)) & m64
            v3 ^= v2
            v0 = (v0 + v3) & m64
            v3 = ((v3 << 21) | (v3 >> 43)) & m64
            v3 ^= v0
            v2 = (v2 + v1) & m64
            v1 = ((v1 << 17) | (v1 >> 47)) & m64
            v1 ^= v2
            v2 = ((v2 << 32) | (v2 >> 32)) & m64
        v0 ^= m
    return v0 ^ v1 ^ v2 ^ v3


@cython.exceptval(check=False)
def sip1(k0: cython.ulonglong, k1: cython.ulonglong, a: cython.ulonglong) -> cython.ulonglong:
    """SipHash-2-4 of the 8 octets of `a`, least significant first."""
    return _sip(k0, k1, 1, a, 0, 0)


@cython.exceptval(check=False)
def sip2(
    k0: cython.ulonglong, k1: cython.ulonglong, a: cython.ulonglong, b: cython.ulonglong
) -> cython.ulonglong:
    """SipHash-2-4 of the 16 octets of `a` and `b`, each least significant first."""
    return _sip(k0, k1, 2, a, b, 0)


@cython.exceptval(check=False)
def sip3(
    k0: cython.ulonglong,
    k1: cython.ulonglong,
    a: cython.ulonglong,
    b: cython.ulonglong,
    c: cython.ulonglong,
) -> cython.ulonglong:
    """SipHash-2-4 of the 24 octets of `a`, `b` and `c`, each least significant first."""
    return _sip(k0, k1, 3, a, b, c)


@cython.exceptval(check=False)
def siphash_bytes(
    k0: cython.ulonglong, k1: cython.ulonglong, data: cython.const[cython.uchar][:]
) -> cython.ulonglong:
    """SipHash-2-4 of octets (a memoryview of them, where the code runs interpreted)."""
    m64: cython.ulonglong = _ones64()
    v0: cython.ulonglong = k0 ^ _INIT0
    v1: cython.ulonglong = k1 ^ _INIT1
    v2: cython.ulonglong = k0 ^ _INIT2
    v3: cython.ulonglong = k1 ^ _INIT3
    m: cython.ulonglong = 0
    octet: cython.ulonglong
    size: cython.Py_ssize_t = data.shape[0]
    words: cython.Py_ssize_t = size >> 3
    i: cython.Py_ssize_t
    at: cython.Py_ssize_t
    end: cython.Py_ssize_t
    for i in range(2 * words + 6):
        if i & 1 == 0:
            if i >> 1 <= words:
                # The last word has what is left of the data and the length in its top octet.
                m = (size & 0xFF) if i >> 1 == words else 0
                m = m << 56
                at = i << 2
                end = size if i >> 1 == words else at + 8
                while at < end:
                    octet = data[at]
                    m |= octet << ((at & 7) << 3)
                    at += 1
                v3 ^= m
            elif i >> 1 == words + 1:
                v2 ^= 0xFF
        v0 = (v0 + v1) & m64
        v1 = ((v1 << 13) | (v1 >> 51)) & m64
        v1 ^= v0
        v0 = ((v0 << 32) | (v0 >> 32)) & m64
        v2 = (v2 + v3) & m64
        v3 = ((v3 << 16) | (v3 >> 48)) & m64
        v3 ^= v2
        v0 = (v0 + v3) & m64
        v3 = ((v3 << 21) | (v3 >> 43)) & m64
        v3 ^= v0
        v2 = (v2 + v1) & m64
        v1 = ((v1 << 17) | (v1 >> 47)) & m64
        v1 ^= v2
        v2 = ((v2 << 32) | (v2 >> 32)) & m64
        if i & 1 and i >> 1 <= words:
            v0 ^= m
    return v0 ^ v1 ^ v2 ^ v3


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _rot(x: cython.uint, k: cython.int) -> cython.uint:
    return ((x << k) | (x >> (32 - k))) & _ones32()


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _final(a: cython.uint, b: cython.uint, c: cython.uint) -> cython.uint:
    """lookup3's last mixing of three words; the hash is the third."""
    u32: cython.uint = _ones32()
    c = ((c ^ b) - _rot(b, 14)) & u32
    a = ((a ^ c) - _rot(c, 11)) & u32
    b = ((b ^ a) - _rot(a, 25)) & u32
    c = ((c ^ b) - _rot(b, 16)) & u32
    a = ((a ^ c) - _rot(c, 4)) & u32
    b = ((b ^ a) - _rot(a, 14)) & u32
    return ((c ^ b) - _rot(b, 24)) & u32


@cython.exceptval(check=False)
def swab32(x: cython.uint) -> cython.uint:
    """A word in network order as the little-endian machines read it that the old kernels hashed on."""
    return ((x & 0xFF) << 24 | (x & 0xFF00) << 8 | (x >> 8) & 0xFF00 | x >> 24) & _ones32()


@cython.exceptval(check=False)
def swab16(x: cython.uint) -> cython.uint:
    """The same of half a word."""
    return (x & 0xFF) << 8 | x >> 8


@cython.exceptval(check=False)
def jhash_3words(
    a: cython.uint, b: cython.uint, c: cython.uint, initval: cython.uint
) -> cython.uint:
    """lookup3 of three words, as Linux's function of this name (lookup3's hashword with a length of 3)."""
    u32: cython.uint = _ones32()
    start: cython.uint = (_GOLDEN + (3 << 2) + initval) & u32
    return _final((a + start) & u32, (b + start) & u32, (c + start) & u32)


@cython.exceptval(check=False)
def jenkins_hash32(
    words: cython.const[cython.uint][::1], count: cython.Py_ssize_t, initval: cython.uint
) -> cython.uint:
    """lookup3 of the first `count` words, as FreeBSD's function of this name (lookup3's hashword)."""
    u32: cython.uint = _ones32()
    length: cython.uint = (count << 2) & 0x7FFFFFFF
    a: cython.uint = (_GOLDEN + length + initval) & u32
    b: cython.uint = a
    c: cython.uint = a
    at: cython.Py_ssize_t = 0
    left: cython.Py_ssize_t = count
    while left > 3:
        a = (a + words[at]) & u32
        b = (b + words[at + 1]) & u32
        c = (c + words[at + 2]) & u32
        a = ((a - c) & u32) ^ _rot(c, 4)
        c = (c + b) & u32
        b = ((b - a) & u32) ^ _rot(a, 6)
        a = (a + c) & u32
        c = ((c - b) & u32) ^ _rot(b, 8)
        b = (b + a) & u32
        a = ((a - c) & u32) ^ _rot(c, 16)
        c = (c + b) & u32
        b = ((b - a) & u32) ^ _rot(a, 19)
        a = (a + c) & u32
        c = ((c - b) & u32) ^ _rot(b, 4)
        b = (b + a) & u32
        at += 3
        left -= 3
    if left == 0:
        return c
    a = (a + words[at]) & u32
    if left > 1:
        b = (b + words[at + 1]) & u32
    if left > 2:
        c = (c + words[at + 2]) & u32
    return _final(a, b, c)
