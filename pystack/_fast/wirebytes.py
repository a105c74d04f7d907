"""Octets on the wire: big-endian fields, the Internet checksum (RFC 1071), copying.

Offsets and lengths are octets unless the name says words. The caller has checked that they lie inside
the buffer: a packet is validated once, at its entry.

A running sum is a one's complement sum folded to 16 bits. It starts at 0, is passed from piece to piece
and ends in `csum_fold`. Every piece but the last must have an even length, because an odd piece is padded
with a zero octet.
"""

import cython

_U32 = cython.declare(cython.uint, 0xFFFFFFFF)

# The four field functions have two bodies, as seq.py has. Their compiled bodies stand in
# wirebytes.pxd, so that other modules inline them: a field is then one move and one turn of its octets, and a call
# into another module ten times that (docs/adr/0003-columns.md, 0030).
if not cython.compiled:

    def be16(b: memoryview, o: int) -> int:
        """The big-endian 16-bit field at offset `o`."""
        return (b[o] << 8) | b[o + 1]

    def be32(b: memoryview, o: int) -> int:
        """The big-endian 32-bit field at offset `o`."""
        return (b[o] << 24) | (b[o + 1] << 16) | (b[o + 2] << 8) | b[o + 3]

    def put16(b: memoryview, o: int, v: int) -> None:
        """Write the low 16 bits of `v` at offset `o`."""
        b[o] = (v >> 8) & 0xFF
        b[o + 1] = v & 0xFF

    def put32(b: memoryview, o: int, v: int) -> None:
        """Write `v` at offset `o`."""
        b[o] = (v >> 24) & 0xFF
        b[o + 1] = (v >> 16) & 0xFF
        b[o + 2] = (v >> 8) & 0xFF
        b[o + 3] = v & 0xFF


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _carry(total: cython.ulonglong) -> cython.uint:
    """End-around carry down to 16 bits: 0 stays 0, everything else lands in 1..0xFFFF."""
    total = (total & _U32) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return cython.cast(cython.uint, total)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _swap(folded: cython.uint) -> cython.uint:
    """Exchange the two octets of a folded sum."""
    return ((folded & 0xFF) << 8) | (folded >> 8)


@cython.exceptval(check=False)
def csum_add(
    b: cython.const[cython.uchar][::1],
    off: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
    acc: cython.uint,
) -> cython.uint:
    """The running sum `acc` plus `n` octets from `off`, one octet at a time; for headers and odd places."""
    total: cython.ulonglong = acc
    high: cython.uint
    at: cython.Py_ssize_t = off
    end: cython.Py_ssize_t = off + (n & ~1)
    while at < end:
        high = b[at]
        total += (high << 8) | b[at + 1]
        at += 2
    if n & 1:
        high = b[at]
        total += high << 8
    return _carry(total)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _sum_words(
    words: cython.const[cython.ushort][::1], first: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.uint:
    """Folded sum of `n` words as the machine reads them."""
    total: cython.ulonglong = 0
    part: cython.uint
    at: cython.Py_ssize_t = first
    end: cython.Py_ssize_t = first + n
    stop: cython.Py_ssize_t
    while at < end:
        # At most 2**16 words of 2**16 - 1 fit in the 32 bits that let the compiler add four lanes at once.
        stop = end if end - at <= 0x10000 else at + 0x10000
        part = 0
        while at < stop:
            part += words[at]
            at += 1
        total += part
    return _carry(total)


@cython.exceptval(check=False)
def csum_add16(
    words: cython.const[cython.ushort][::1],
    first_word: cython.Py_ssize_t,
    nwords: cython.Py_ssize_t,
    acc: cython.uint,
) -> cython.uint:
    """The running sum `acc` plus `nwords` words of a little-endian machine's `H` view of the octets.

    Summing native words and exchanging the octets once at the end gives the same sum (RFC 1071 section 2 (B)).
    """
    total: cython.ulonglong = acc
    total += _swap(_sum_words(words, first_word, nwords))
    return _carry(total)


@cython.exceptval(check=False)
def csum_octets(
    b: cython.const[cython.uchar][::1],
    words: cython.const[cython.ushort][::1],
    off: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
    acc: cython.uint,
) -> cython.uint:
    """The running sum `acc` plus `n` octets from `off`, any `off` and `n`, at the speed of `csum_add16`.

    `b` and `words` are two views of the same storage, `words` cast to `H` (and shorter by the last octet of
    an odd storage). From an odd offset the words lie across the machine's words; their sum is then that of the
    machine's words with its octets exchanged once more.
    """
    total: cython.ulonglong = acc
    octet: cython.uint
    if n <= 0:
        return _carry(total)
    if off & 1:
        octet = b[off]
        total += octet << 8
        total += _sum_words(words, (off + 1) >> 1, (n - 1) >> 1)
        if not n & 1:
            total += b[off + n - 1]
    else:
        total += _swap(_sum_words(words, off >> 1, n >> 1))
        if n & 1:
            octet = b[off + n - 1]
            total += octet << 8
    return _carry(total)


@cython.exceptval(check=False)
def csum_fold(acc: cython.uint) -> cython.uint:
    """The checksum field of a running sum: its 16-bit complement."""
    return _carry(acc) ^ 0xFFFF


@cython.exceptval(check=False)
def copy(
    dst: cython.uchar[::1],
    d: cython.Py_ssize_t,
    src: cython.const[cython.uchar][::1],
    s: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Copy `n` octets from `src[s:]` to `dst[d:]`. The two ranges must not overlap."""
    i: cython.Py_ssize_t
    for i in range(n):
        dst[d + i] = src[s + i]
