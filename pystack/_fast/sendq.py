"""The send queue of a connection: what the application wrote and the peer has not acknowledged.

A chain of mbufs of which segments are shared pieces: a transmission, and each retransmission of it, references the
same clusters. Offsets count from SND.UNA. A cached position makes finding the next octet to send O(1), as FreeBSD's
sbsndptr does.
"""

import cython

from pystack._fast.mbuf import Pool  # noqa: F401  (the type in the .pxd)


@cython.final
@cython.cclass
class SendQueue:
    """Octets in order; `cc` of them, of at most `hiwat`.

    `lowat`: room that makes a full queue writable again; 0 for half of what is queued, as Linux has it
    (sk_stream_is_writeable), so that a writer is called for a third of the buffer and not for each ACK.
    """

    def __init__(self, pool, hiwat, lowat):
        self.pool = pool
        self.head = 0
        self.tail = 0
        self.near = 0
        self.near_off = 0
        self.cc = 0
        self.hiwat = hiwat
        self.lowat = lowat

    def space(self):
        """Octets that may be written now."""
        return self.hiwat - self.cc if self.hiwat > self.cc else 0

    def roomy(self):
        """Is there enough room to tell a writer of it?"""
        room: cython.int = self.hiwat - self.cc
        least: cython.int = self.lowat if self.lowat > 0 else self.cc >> 1
        return room > 0 and room >= least

    def append(self, data, off, n):
        """Take `n` octets of `data` from `off` on; answers how many the pool had room for."""
        done: cython.Py_ssize_t
        if n <= 0:
            return 0
        if self.head == 0:
            self.head = self.pool.new_chain(data, off, n)
            if self.head == 0:
                return 0
            done = self.pool.chain_length(self.head)
            self.tail = self.pool.tail(self.head)
        else:
            done = self.pool.append_bytes(self.tail, data, off, n)
            self.tail = self.pool.tail(self.tail)
        self.cc += done
        return done

    def drop(self, n):
        """The first `n` octets were acknowledged."""
        if n >= self.cc:
            self.flush()
            return
        if self.near != 0:
            self.near_off -= n
            if self.near_off < 0:
                self.near = 0
        self.head = self.pool.trim_front(self.head, n)
        self.cc -= n

    def chain(self, off, length):
        """A chain that shares `length` octets from `off` on; 0 when mbufs are denied."""
        if length == 0:
            return 0
        m: cython.int = self.near
        at: cython.int = self.near_off
        if m == 0 or at > off:
            m = self.head
            at = 0
        while at + self.pool.m_len[m] <= off:
            at += self.pool.m_len[m]
            m = self.pool.m_next[m]
        self.near = m
        self.near_off = at
        return self.pool.share(m, off - at, length)

    def flush(self):
        """Everything goes."""
        if self.head != 0:
            self.pool.free_chain(self.head)
        self.head = 0
        self.tail = 0
        self.near = 0
        self.near_off = 0
        self.cc = 0

    def to_bytes(self):
        """What is queued (for views and tests)."""
        return self.pool.to_bytes(self.head, 0, self.cc) if self.cc else b""
