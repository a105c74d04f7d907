# cython: overflowcheck=False
# Hashes and jiffies wrap; the checked build must not stop them.

"""The storage of conntrack: flows as rows, each direction of a flow a node in the chain of its own hash.

A flow is a row from 1; its original direction is node `2 * row`, its reply direction node `2 * row + 1`. A node's key
is two words of 64 bits:

    addrs   source << 32 | destination
    ports   source port << 48 | destination port << 32 | protocol << 16 | zone      (ICMP: id, type << 8 | code)

What a packet reads and writes of a flow is one record of 64 octets, a line of the cache, seen through three views of
the same memory: `word[row << 4 | …]`, `half[row << 5 | …]`, `octet[row << 6 | …]`; the places have names (nf_consts:
W_*, H_*, O_*).
`column("state")` is such a place of all rows as a NumPy view.

Chains have any number of buckets, because netfilter multiplies: bucket = hash * buckets >> 32. New nodes go to the
head, so the tail of a chain is its oldest. Source: nf_conntrack_core.c; facts: conntrack 1.
"""

import cython

from pystack._fast.chain import Chain, FreeList
from pystack._fast.columns import column, grown
from pystack._fast.consts import CT_HASH_JHASH2, CT_HASH_JHASH3, CT_HASH_SIP
from pystack._fast.hashing import jenkins_hash32, jhash_3words, sip2, swab16, swab32
from pystack._fast.nf_consts import (
    CLASH,
    H_STATUS,
    IPS_DYING,
    IPS_SRC_NAT_DONE,
    O_RETRANS,
    O_STATE,
    TOO_LONG,
    W_END,
    W_EXPIRES,
    W_MARK,
    W_MAXACK,
    W_MAXEND,
    W_MAXWIN,
    W_REPLY,
)

FIELDS = {
    "end": ("word", W_END),
    "maxend": ("word", W_MAXEND),
    "maxwin": ("word", W_MAXWIN),
    "maxack": ("word", W_MAXACK),
    "reply_end": ("word", W_REPLY + W_END),
    "reply_maxend": ("word", W_REPLY + W_MAXEND),
    "reply_maxwin": ("word", W_REPLY + W_MAXWIN),
    "reply_maxack": ("word", W_REPLY + W_MAXACK),
    "expires": ("word", W_EXPIRES),
    "mark": ("word", W_MARK),
    "status": ("half", H_STATUS),
    "state": ("octet", O_STATE),
    "retrans": ("octet", O_RETRANS),
}
"""Names that `column` knows for places of a record."""

_U32 = cython.declare(cython.uint, 0xFFFFFFFF)
_FIRST_ROWS = 1024
_MANY = 32768
"""Flows from which on a table is large enough for large pages."""
_words = cython.declare(cython.uint[::1], column("I", 12))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _over(expires: cython.uint, jiffies: cython.uint) -> cython.bint:
    """Is this time over (signed distance of 32-bit jiffies)?"""
    left: cython.uint = (expires - jiffies) & _U32
    return left == 0 or left > 0x7FFFFFFF


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _bucket(kind: cython.int, h: cython.uint, buckets: cython.uint) -> cython.uint:
    """The bucket of a hash: by multiplication, in the old kernels by division."""
    wide: cython.ulonglong = h
    if kind == CT_HASH_SIP or kind == CT_HASH_JHASH2:
        return cython.cast(cython.uint, (wide * buckets) >> 32)
    return h % buckets


@cython.cclass
class ConnTable:
    """Flows and their chains. `buckets` is the size of the hash, `kind` one of CT_HASH_*, the keys are its secret.

    `jiffies` is the present, set by whoever calls; `removed` is called for each flow that goes. What kernels to 4.8
    count of their table: `searched` nodes that were no match, `hits`, `begun` flows, `linked` and `unlinked` ones, and
    those that `ended`.
    """

    def __init__(self, buckets, kind, key0, key1):
        self.kind = kind
        self.key0 = key0
        self.key1 = key1
        self.jiffies = 0
        self.capacity = _FIRST_ROWS
        rows = self.capacity + 1
        self.free = FreeList(self.capacity)
        self.chain = Chain(buckets, 2 * rows - 1, any_size=True)
        self.keys = column("Q", 4 * rows)
        self.hashes = column("I", 2 * rows)
        self.serial = column("I", rows)
        self.next_serial = 1
        self.sources = None
        self.rules = None
        self.searched = self.hits = self.begun = self.linked = self.unlinked = self.ended = 0
        self._ahead = column("i", 64)
        self._record(column("Q", 8 * rows))

    def _record(self, records):
        """The three views of the records."""
        octets = memoryview(records).cast("B")
        self.octet = octets
        self.half = octets.cast("H")
        self.word = octets.cast("I")

    def reserve(self, capacity):
        """Room for so many flows at least. Not for each packet: storage doubles."""
        if capacity <= self.capacity:
            return
        rows = capacity + 1
        huge = capacity >= _MANY
        self.free.grow(capacity)
        self.chain.grow(2 * rows - 1, huge)
        self.keys = grown(memoryview(self.keys), 4 * rows, huge)
        self.hashes = grown(memoryview(self.hashes), 2 * rows, huge)
        self.serial = grown(memoryview(self.serial), rows)
        if self.sources is not None:
            self.sources.grow(rows)
        if self.rules is not None:
            self.rules.extend([None] * (rows - len(self.rules)))
        self._record(grown(memoryview(self.octet).cast("Q"), 8 * rows, huge))
        self.capacity = capacity

    def column(self, name):
        """A place of all rows, row 0 first, as a NumPy view of the live table: no copy. KeyError for another name."""
        import numpy

        view, place = FIELDS[name]
        memory = {"word": self.word, "half": self.half, "octet": self.octet}[view]
        flat = numpy.asarray(memoryview(memory))
        return flat[place :: 64 // flat.itemsize]

    # --- keys ------------------------------------------------------------------------------------------------

    @cython.exceptval(check=False)
    def hash_of(self, addrs: cython.ulonglong, ports: cython.ulonglong) -> cython.uint:
        """The 32-bit hash of a key, by the function of the era."""
        if self.kind == CT_HASH_SIP:
            return cython.cast(cython.uint, sip2(self.key0, self.key1, addrs, ports) & _U32)
        seed: cython.uint = cython.cast(cython.uint, self.key0 & _U32)
        src: cython.uint = cython.cast(cython.uint, addrs >> 32)
        dst: cython.uint = cython.cast(cython.uint, addrs & _U32)
        sport: cython.uint = cython.cast(cython.uint, ports >> 48)
        dport: cython.uint = cython.cast(cython.uint, (ports >> 32) & 0xFFFF)
        proto: cython.uint = cython.cast(cython.uint, (ports >> 16) & 0xFF)
        zone: cython.uint = cython.cast(cython.uint, ports & 0xFFFF)
        if self.kind == CT_HASH_JHASH2:
            # the source with its port and family, and the destination: nine words, most of them empty for IPv4
            _words[0] = swab32(src)
            _words[4] = 2 << 16 | swab16(sport)
            _words[5] = swab32(dst)
            return jenkins_hash32(_words, 9, zone ^ seed ^ (swab16(dport) << 16 | proto))
        if self.kind == CT_HASH_JHASH3:
            return jhash_3words(
                swab32(src), swab32(dst) ^ proto, swab16(sport) | swab16(dport) << 16, seed
            )
        total: cython.uint = (
            swab32(src) + swab32(dst) + swab16(sport) + swab16(dport) + proto
        ) & _U32
        return (swab32(total) + sport) & _U32

    @cython.exceptval(check=False)
    def bucket_of(self, h: cython.uint) -> cython.uint:
        """The bucket of a hash."""
        return _bucket(self.kind, h, self.chain.buckets)

    @cython.exceptval(check=False)
    def set_key(
        self, node: cython.int, addrs: cython.ulonglong, ports: cython.ulonglong, h: cython.uint
    ) -> cython.void:
        """Write the key of a node that is in no chain."""
        self.keys[2 * node] = addrs
        self.keys[2 * node + 1] = ports
        self.hashes[node] = h

    # --- rows ------------------------------------------------------------------------------------------------

    def take(self):
        """A cleared row, growing the storage where needed; 0 never."""
        i: cython.int
        row: cython.int
        if self.free.used >= self.capacity:
            self.reserve(2 * self.capacity)
        row = self.free.take()
        for i in range(16):
            self.word[(row << 4) + i] = 0
        if self.rules is not None:
            self.rules[row] = None
        self.begun += 1
        self.serial[row] = self.next_serial
        self.next_serial = (self.next_serial + 1) & _U32
        return row

    @cython.exceptval(check=False)
    def expired(self, row: cython.int) -> cython.bint:
        """Is its time over?"""
        return _over(self.word[(row << 4) + W_EXPIRES], self.jiffies)

    @cython.exceptval(check=False)
    def left(self, row: cython.int) -> cython.int:
        """Jiffies that a confirmed flow still has, 0 for an expired one."""
        if self.expired(row):
            return 0
        return cython.cast(
            cython.int, (self.word[(row << 4) + W_EXPIRES] - self.jiffies) & 0x7FFFFFFF
        )

    def removed(self, row):
        """The flow is out of its chains and will be gone: for whoever keeps more about flows. Answers 0."""
        return 0

    def detach(self, row):
        """Out of both chains: no packet finds it any more. The row stays until it is released. Answers 0."""
        node: cython.int = row << 1
        self.half[(row << 5) + H_STATUS] |= IPS_DYING
        self.unlinked += 1
        self.chain.remove(self.bucket_of(self.hashes[node]), node)
        self.chain.remove(self.bucket_of(self.hashes[node + 1]), node + 1)
        self.removed(row)
        return 0

    def release(self, row):
        """The row of a flow that is in no chain may be used again. Answers 0."""
        if self.half[(row << 5) + H_STATUS] & IPS_SRC_NAT_DONE:
            self.sources.remove(self._source_bucket(row), row)
        self.ended += 1
        self.free.give(row)
        return 0

    def unlink(self, row):
        """Out of both chains, and away. Answers 0."""
        self.detach(row)
        return self.release(row)

    def reap(self, node):
        """The flow of a node that a walk has met ends; the node of the chain that the walk goes on with."""
        after: cython.int = self.chain.next[node]
        if after >> 1 == node >> 1:
            after = self.chain.next[after]  # the other node of the same flow goes, too
        self.unlink(node >> 1)
        return after

    def own(self, row, rule):
        """The flow is there because this rule let its first packet pass. Answers 0."""
        if self.rules is None:
            self.rules = [None] * (self.capacity + 1)
        self.rules[row] = rule
        return 0

    # --- by source, for NAT ----------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def source_hash(self, node: cython.int) -> cython.uint:
        """The hash of the source of a node: its address, port and protocol."""
        addrs: cython.ulonglong = self.keys[2 * node] >> 32
        ports: cython.ulonglong = self.keys[2 * node + 1]
        return cython.cast(
            cython.uint,
            sip2(self.key1, self.key0, addrs, ports >> 48 << 32 | (ports & _U32)) & _U32,
        )

    @cython.cfunc
    @cython.exceptval(check=False)
    def _source_bucket(self, row: cython.int) -> cython.uint:
        wide: cython.ulonglong = self.source_hash(row << 1)
        return cython.cast(cython.uint, (wide * self.sources.buckets) >> 32)

    def link_source(self, row):
        """The source of the flow is mapped: others of the same address and port ask where to. Answers 0."""
        if self.sources is None:
            self.sources = Chain(self.chain.buckets, self.capacity + 1, any_size=True)
        self.half[(row << 5) + H_STATUS] |= IPS_SRC_NAT_DONE
        self.sources.insert_head(self._source_bucket(row), row)
        return 0

    def first_of_source(self, row):
        """The newest flow with a mapping in the chain that this flow's source is in, or 0."""
        if self.sources is None:
            return 0
        return self.sources.head[self._source_bucket(row)]

    # --- chains ----------------------------------------------------------------------------------------------

    def find(self, addrs, ports, h):
        """The node with this key, or 0. Expired flows that are met on the way are removed, as the kernel does."""
        node: cython.Py_ssize_t = self.chain.head[_bucket(self.kind, h, self.chain.buckets)]
        while node != 0:
            if _over(self.word[(node >> 1 << 4) + W_EXPIRES], self.jiffies):
                node = self.reap(node)
            elif self.keys[2 * node] == addrs and self.keys[2 * node + 1] == ports:
                self.hits += 1
                return node
            else:
                self.searched += 1
                node = self.chain.next[node]
        return 0

    def fetch(self, hashes, n):
        """What `n` packets with these hashes will need comes into the cache: their chains, the nodes that they will
        walk past (three at most), their records. Few instructions a step, so that the processor waits for many of
        them at once. The answer is of no use.
        """
        i: cython.int
        node: cython.Py_ssize_t
        depth: cython.int
        sink: cython.ulonglong = 0
        for i in range(n):
            self._ahead[i] = self.chain.head[_bucket(self.kind, hashes[i], self.chain.buckets)]
        for depth in range(3):  # noqa: B007
            for i in range(n):
                node = self._ahead[i]
                sink += self.keys[2 * node] + self.octet[node >> 1 << 6]
                if self.hashes[node] != hashes[i]:
                    self._ahead[i] = self.chain.next[node]  # behind the last is 0, and so behind 0
        return sink

    @cython.cfunc
    @cython.exceptval(check=False)
    def _room(self, node: cython.int, limit: cython.int) -> cython.int:
        """May this node go into its chain? 0, CLASH or TOO_LONG (more than `limit` nodes; 0: no limit)."""
        length: cython.int = 0
        other: cython.int = self.chain.head[self.bucket_of(self.hashes[node])]
        while other != 0:
            if (
                self.keys[2 * other] == self.keys[2 * node]
                and self.keys[2 * other + 1] == self.keys[2 * node + 1]
            ):
                return CLASH
            length += 1
            if limit > 0 and length > limit:
                return TOO_LONG
            other = self.chain.next[other]
        return 0

    def insert(self, row, limit):
        """Both nodes at the heads of their chains: 0; or why not (CLASH, TOO_LONG), and nothing was done."""
        node: cython.int = row << 1
        refused: cython.int = self._room(node, limit)
        if refused == 0:
            refused = self._room(node + 1, limit)
        if refused == 0:
            self.linked += 1
            self.chain.insert_head(self.bucket_of(self.hashes[node]), node)
            self.chain.insert_head(self.bucket_of(self.hashes[node + 1]), node + 1)
        return refused

    def resize(self, buckets):
        """Another number of buckets on the live table, in the kernel's way: each chain from its head, each node to
        the head of its new one, so the order within turns round.
        """
        old = self.chain
        self.chain = Chain(buckets, old.rows, any_size=True)
        bucket: cython.uint
        node: cython.int
        for bucket in range(old.buckets):
            node = old.head[bucket]
            while node != 0:
                self.chain.insert_head(self.bucket_of(self.hashes[node]), node)
                node = old.next[node]

    def flows(self):
        """The rows of the table as the kernel lists them: bucket by bucket, at the original node; expired ones go."""
        out = []
        for bucket in range(self.chain.buckets):
            node = self.chain.head[bucket]
            while node != 0:
                if self.expired(node >> 1):
                    node = self.reap(node)
                    continue
                if node & 1 == 0:
                    out.append(node >> 1)
                node = self.chain.next[node]
        return out
