"""TCP sequence numbers: arithmetic modulo 2**32 (RFC 9293 section 3.4).

The only file that subtracts or compares sequence numbers. Every argument is a number in [0, 2**32).
Two numbers are compared as if they were less than 2**31 apart; at exactly 2**31 both `before(a, b)`
and `before(b, a)` are false and both `after` are true (the distance is -2**31 either way).
"""

import cython

# Compiled, these are inlined everywhere: their bodies stand in seq.pxd, as those of wirebytes.py do.
if not cython.compiled:
    _U32 = 0xFFFFFFFF

    def add(seq: int, n: int) -> int:
        """The number `n` octets after `seq`."""
        return (seq + n) & _U32

    def sub(seq: int, n: int) -> int:
        """The number `n` octets before `seq`."""
        return (seq - n) & _U32

    def dist(a: int, b: int) -> int:
        """Signed octets from `a` to `b`, in [-2**31, 2**31)."""
        d = (b - a) & _U32
        return d if d <= 0x7FFFFFFF else d - (1 << 32)

    def before(a: int, b: int) -> bool:
        """Is `a` older than `b`?"""
        return dist(a, b) > 0

    def after(a: int, b: int) -> bool:
        """Is `a` newer than `b`?"""
        return dist(a, b) < 0

    def before_eq(a: int, b: int) -> bool:
        """Is `a` older than `b`, or the same?"""
        return dist(a, b) >= 0

    def after_eq(a: int, b: int) -> bool:
        """Is `a` newer than `b`, or the same?"""
        return dist(a, b) <= 0

    def between(x: int, lo: int, hi: int) -> bool:
        """Is `x` in [lo, hi)? The interval may be up to 2**32 - 1 long and is empty when lo == hi."""
        return ((x - lo) & _U32) < ((hi - lo) & _U32)

    def maximum(a: int, b: int) -> int:
        """The newer of two numbers."""
        return b if dist(a, b) > 0 else a

    def minimum(a: int, b: int) -> int:
        """The older of two numbers."""
        return a if dist(a, b) > 0 else b
