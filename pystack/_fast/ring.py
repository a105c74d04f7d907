"""A ring of numbers that grows: first in, first out, and seldom needed.

A typed column inside of an object is 64 octets of it, used or not. So an object that every connection has keeps its
usual one number as a field, and makes a `Ring` when there is a second.
"""

import cython

from pystack._fast.columns import column


@cython.final
@cython.cclass
class Ring:
    """`count` numbers of 64 bits, the oldest first."""

    def __init__(self):
        self.items = column("q", 8)
        self.mask = 7
        self.first = 0
        self.count = 0

    def at(self, i):
        """Number `i`, 0 <= i < count."""
        return self.items[(self.first + i) & self.mask]

    def put(self, i, value):
        """Change number `i`."""
        self.items[(self.first + i) & self.mask] = value

    def push(self, value):
        """One more, the newest."""
        i: cython.int
        if self.count > self.mask:
            bigger = column("q", 2 * (self.mask + 1))
            for i in range(self.count):
                bigger[i] = self.items[(self.first + i) & self.mask]
            self.items = bigger
            self.mask = 2 * self.mask + 1
            self.first = 0
        self.items[(self.first + self.count) & self.mask] = value
        self.count += 1
        return 0

    def shift(self):
        """Take the oldest."""
        value: cython.longlong = self.items[self.first]
        self.first = (self.first + 1) & self.mask
        self.count -= 1
        return value

    def pop(self):
        """Take the newest."""
        self.count -= 1
        return self.items[(self.first + self.count) & self.mask]
