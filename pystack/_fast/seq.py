# cython: overflowcheck=False
# Wrapping is what this module is about; the checked build must not stop it.

"""TCP sequence numbers: arithmetic modulo 2**32 (RFC 9293 section 3.4).

The only file that subtracts or compares sequence numbers. Every argument is a number in [0, 2**32).
Two numbers are compared as if they were less than 2**31 apart; at exactly 2**31 both `before(a, b)`
and `before(b, a)` are false and both `after` are true (the distance is -2**31 either way).
"""

import cython

_U32 = cython.declare(cython.uint, 0xFFFFFFFF)


@cython.exceptval(check=False)
def add(seq: cython.uint, n: cython.uint) -> cython.uint:
    """The number `n` octets after `seq`."""
    return (seq + n) & _U32


@cython.exceptval(check=False)
def sub(seq: cython.uint, n: cython.uint) -> cython.uint:
    """The number `n` octets before `seq`."""
    return (seq - n) & _U32


@cython.exceptval(check=False)
def dist(a: cython.uint, b: cython.uint) -> cython.int:
    """Signed octets from `a` to `b`, in [-2**31, 2**31)."""
    d: cython.uint = (b - a) & _U32
    if d <= 0x7FFFFFFF:
        return cython.cast(cython.int, d)
    return -1 - cython.cast(cython.int, _U32 - d)


@cython.exceptval(check=False)
def before(a: cython.uint, b: cython.uint) -> cython.bint:
    """Is `a` older than `b`?"""
    return dist(a, b) > 0


@cython.exceptval(check=False)
def after(a: cython.uint, b: cython.uint) -> cython.bint:
    """Is `a` newer than `b`?"""
    return dist(a, b) < 0


@cython.exceptval(check=False)
def before_eq(a: cython.uint, b: cython.uint) -> cython.bint:
    """Is `a` older than `b`, or the same?"""
    return dist(a, b) >= 0


@cython.exceptval(check=False)
def after_eq(a: cython.uint, b: cython.uint) -> cython.bint:
    """Is `a` newer than `b`, or the same?"""
    return dist(a, b) <= 0


@cython.exceptval(check=False)
def between(x: cython.uint, lo: cython.uint, hi: cython.uint) -> cython.bint:
    """Is `x` in [lo, hi)? The interval may be up to 2**32 - 1 long and is empty when lo == hi."""
    return ((x - lo) & _U32) < ((hi - lo) & _U32)


@cython.exceptval(check=False)
def maximum(a: cython.uint, b: cython.uint) -> cython.uint:
    """The newer of two numbers."""
    return b if dist(a, b) > 0 else a


@cython.exceptval(check=False)
def minimum(a: cython.uint, b: cython.uint) -> cython.uint:
    """The older of two numbers."""
    return a if dist(a, b) > 0 else b
