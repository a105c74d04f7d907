# cython: overflowcheck=False
# Wrapping is what this module is about; the checked build must not stop it.

"""Random numbers from a seed: xoshiro256** (Blackman and Vigna, 2018), seeded through SplitMix64.

Everything random in a run comes from here, so that a seed replays it. Not for secrets towards the outside:
on a real device the seed comes from os.urandom and keys are drawn once, but the generator itself is not a
cryptographic one.
"""

import hashlib

import cython

_U32 = cython.declare(cython.ulonglong, 0xFFFFFFFF)
_SPLIT_STEP = cython.declare(cython.ulonglong, 0x9E3779B97F4A7C15)
_SPLIT_MIX1 = cython.declare(cython.ulonglong, 0xBF58476D1CE4E5B9)
_SPLIT_MIX2 = cython.declare(cython.ulonglong, 0x94D049BB133111EB)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _ones64() -> cython.ulonglong:
    """2**64 - 1 as the C compiler can fold it, which drops the masks (see hashing.py)."""
    ones: cython.ulonglong = 0x7FFFFFFF
    return (ones << 33) | (ones << 2) | 3


@cython.cfunc
@cython.exceptval(check=False)
def _splitmix(state: cython.ulonglong) -> cython.ulonglong:
    """The output of SplitMix64 at `state`."""
    m64: cython.ulonglong = _ones64()
    z: cython.ulonglong = state
    z = ((z ^ (z >> 30)) * _SPLIT_MIX1) & m64
    z = ((z ^ (z >> 27)) * _SPLIT_MIX2) & m64
    return z ^ (z >> 31)


@cython.final
@cython.cclass
class Rng:
    """A stream of random numbers, the same for the same `seed` in [0, 2**64) on every machine.

    Raises ValueError for a seed outside the range.
    """

    def __init__(self, seed: int):
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"seed {seed} is not in [0, 2**64)")
        m64: cython.ulonglong = _ones64()
        self.seed = seed
        self._s0 = _splitmix((self.seed + _SPLIT_STEP) & m64)
        self._s1 = _splitmix((self.seed + 2 * _SPLIT_STEP) & m64)
        self._s2 = _splitmix((self.seed + 3 * _SPLIT_STEP) & m64)
        self._s3 = _splitmix((self.seed + 4 * _SPLIT_STEP) & m64)

    @cython.exceptval(check=False)
    def next64(self) -> cython.ulonglong:
        """A number in [0, 2**64)."""
        m64: cython.ulonglong = _ones64()
        s1: cython.ulonglong = self._s1
        s2: cython.ulonglong = self._s2 ^ self._s0
        s3: cython.ulonglong = self._s3 ^ s1
        result: cython.ulonglong = (s1 * 5) & m64
        result = (((result << 7) | (result >> 57)) & m64) * 9 & m64
        self._s1 = s1 ^ s2
        self._s0 = self._s0 ^ s3
        self._s2 = s2 ^ ((s1 << 17) & m64)
        self._s3 = ((s3 << 45) | (s3 >> 19)) & m64
        return result

    @cython.exceptval(check=False)
    def next32(self) -> cython.uint:
        """A number in [0, 2**32): the upper half of a `next64`."""
        return cython.cast(cython.uint, self.next64() >> 32)

    @cython.exceptval(check=False)
    def below(self, n: cython.uint) -> cython.uint:
        """A number in [0, n), every one equally likely; 0 when `n` is 0.

        Lemire's multiplication with rejection ("Fast random integer generation in an interval", 2019), so it
        draws more than once with a probability below n / 2**32.
        """
        wide: cython.ulonglong = self.next32()
        wide *= n
        if (wide & _U32) < n:
            reject: cython.ulonglong = (_U32 + 1 - n) % n
            while (wide & _U32) < reject:
                wide = self.next32()
                wide *= n
        return cython.cast(cython.uint, wide >> 32)

    @cython.exceptval(check=False)
    def chance(self, threshold: cython.ulonglong) -> cython.bint:
        """True with the probability threshold / 2**64; always draws one number.

        A probability p is min(int(p * 2**64), 2**64 - 1), computed once where p is configured.
        """
        return self.next64() < threshold

    def fork(self, label: bytes):
        """A new Rng: an independent stream for one purpose, from the seed and `label` alone.

        What was drawn from this stream does not matter, so a new user of randomness never shifts another's.
        """
        digest = hashlib.blake2b(
            label, digest_size=8, key=int(self.seed).to_bytes(8, "little")
        ).digest()
        return Rng(int.from_bytes(digest, "little"))
