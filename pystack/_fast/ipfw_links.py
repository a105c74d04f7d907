"""The links of one NAT instance of ipfw: which address and port inside is which one outside (libalias: alias_db.c).

A link is a row. Inside it is `src`, `sport`, outside `alias`, `aport`; its peer is `dst`, `dport`. Where the peer's
address or port is 0 the link is one of a redirection, and stands for whoever comes: the first packet that it fits makes
a link of its own. An address of 0 in `src` or `alias` is the instance's own, whatever that is at the time.

A port outside is taken only for one peer: two links may have it when their peers differ. Links that are over go when
somebody looks: a few buckets with the packets of each second. A connection that both sides have opened and neither has
closed stays for good.
"""

import cython

from pystack._fast.chain import Chain, FreeList
from pystack._fast.columns import column, grown
from pystack._fast.consts import FIN, PROTO_ICMP, PROTO_TCP, PROTO_UDP, RST, SYN
from pystack._fast.ipfw_kinds import DRAWN, LINK_ADDR, LINK_BUCKETS, LINK_FRAGMENT, LINKS_MAX

SPOKES = 30
"""Buckets that are cleaned at once, at most."""
CLEANING = 60
"""Seconds that a round through all buckets is to take (the limit of `SPOKES` makes it more)."""
TRIES = 20
PORT_BASE = 0x8000
PORT_COUNT = 0x8000
"""Ports outside are drawn from here, so often, unless a range is set."""

L_PERMANENT = 1
L_ANY_ADDR = 2
L_ANY_PORT = 4
L_SERVERS = 8
_PARTIAL = L_ANY_ADDR | L_ANY_PORT

_CLOSED = 0
_OPEN = 1
_OVER = 2
"""States of one side of a TCP connection."""

_SYN_LIFE = 300
_OPEN_LIFE = 86400
_HALF_LIFE = 90
_DEAD_LIFE = 10
_FRAGMENT_LIFE = 10
_LIFE = 60
_FIRST_ROWS = 63
_U32 = cython.declare(cython.uint, 0xFFFFFFFF)
_COLUMNS = {
    "src": "I",
    "dst": "I",
    "alias": "I",
    "sport": "i",
    "dport": "i",
    "aport": "i",
    "kind": "i",
    "stamp": "q",
    "life": "i",
    "flags": "B",
    "seen_in": "B",
    "seen_out": "B",
}


@cython.final
@cython.cclass
class Links:
    """`address`: the instance's own outside. `same_ports`: a port is kept if it is free. `create_in`: a packet from
    outside that nothing fits makes a link, too. `servers`: of a row, the (address, port) that take turns.
    """

    def __init__(self, rng):
        self.rng = rng
        self.address = 0
        self.same_ports = False
        self.create_in = True
        self.port_base = PORT_BASE
        self.port_count = PORT_COUNT
        self.now = 0
        self.cleaned = 0
        self.spoke = 0
        self.failures = 0
        self.servers = {}
        self.free = FreeList(_FIRST_ROWS)
        self.by_out = Chain(LINK_BUCKETS, _FIRST_ROWS, True)
        self.by_in = Chain(LINK_BUCKETS, _FIRST_ROWS, True)
        for name, code in _COLUMNS.items():
            setattr(self, name, column(code, _FIRST_ROWS + 1))

    def draw_from(self, low, high):
        """Ports outside are drawn from these from now on (0: as long as nothing is said)."""
        self.port_base = low or PORT_BASE
        self.port_count = high - low + 1 if low else PORT_COUNT

    # --- buckets ---------------------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def _in_bucket(self, row: cython.int) -> cython.uint:
        return in_bucket(self.alias[row], self.aport[row], self.kind[row])

    @cython.cfunc
    @cython.exceptval(check=False)
    def _out_bucket(self, row: cython.int) -> cython.uint:
        return out_bucket(
            self.src[row], self.dst[row], self.sport[row], self.dport[row], self.kind[row]
        )

    # --- new and gone ----------------------------------------------------------------------------------------

    def add(self, src, dst, alias, sport, dport, aport, kind):
        """A new link; 0 if there is no room, or no port (`aport` DRAWN) that is free."""
        row: cython.int
        if self.free.used >= self.free.rows and self.free.rows < LINKS_MAX:
            self._grow()
        row = self.free.take()
        if row == 0:
            self.failures += 1
            return 0
        self.src[row] = src
        self.dst[row] = dst
        self.alias[row] = alias
        self.sport[row] = sport
        self.dport[row] = dport
        self.kind[row] = kind
        self.stamp[row] = self.now
        self.seen_in[row] = _CLOSED
        self.seen_out[row] = _CLOSED
        self.flags[row] = (L_ANY_ADDR if dst == 0 else 0) | (L_ANY_PORT if dport == 0 else 0)
        self.life[row] = _LIFE
        if kind == PROTO_TCP:
            self.life[row] = _SYN_LIFE
        elif kind == LINK_FRAGMENT:
            self.life[row] = _FRAGMENT_LIFE
        if aport == DRAWN:
            aport = self._new_port(row)
            if aport < 0:
                self.free.give(row)
                self.failures += 1
                return 0
        self.aport[row] = aport
        self.by_out.insert_head(self._out_bucket(row), row)
        self.by_in.insert_head(self._in_bucket(row), row)
        return row

    def _grow(self):
        rows = min(2 * self.free.rows + 1, LINKS_MAX)
        for name in _COLUMNS:
            setattr(self, name, grown(memoryview(getattr(self, name)), rows + 1))
        self.by_out.grow(rows)
        self.by_in.grow(rows)
        self.free.grow(rows)
        return 0

    def _new_port(self, row):
        """A port outside that no link to the same peer has, -1 when so many tries found none. One that only a
        redirection has is good enough.
        """
        port: cython.int = self.sport[row]
        other: cython.int
        tries: cython.int = TRIES
        if not self.same_ports:
            port = self._random_port()
        while tries > 0:
            tries -= 1
            other = self.find_in(
                self.dst[row], self.alias[row], self.dport[row], port, self.kind[row], False
            )
            if other == 0 or (not self.flags[row] & _PARTIAL and self.flags[other] & _PARTIAL):
                return port
            port = self._random_port()
        return -1

    @cython.cfunc
    @cython.exceptval(check=False)
    def _random_port(self) -> cython.int:
        n: cython.uint = self.port_count
        return self.port_base + cython.cast(cython.int, self.rng.next32() % n)

    def remove(self, row):
        """A link is gone, a redirection's too."""
        self.by_out.remove(self._out_bucket(row), row)
        self.by_in.remove(self._in_bucket(row), row)
        if self.flags[row] & L_SERVERS:
            del self.servers[row]
        self.free.give(row)
        return 0

    def keep(self, row, servers):
        """The link is that of a redirection, to one of these servers in turn (or, without any, to its `src`)."""
        self.flags[row] |= L_PERMANENT
        if servers:
            self.flags[row] |= L_SERVERS
            self.servers[row] = list(servers)

    def clear(self):
        """All links but those of redirections go (libalias: CleanupAliasData)."""
        for row in self.rows():
            if not self.flags[row] & L_PERMANENT:
                self.remove(row)

    def rows(self):
        """All links, by the buckets of the way out."""
        found = []
        for bucket in range(LINK_BUCKETS):
            row = self.by_out.first(bucket)
            while row != 0:
                found.append(row)
                row = self.by_out.next[row]
        return found

    def clean(self, now):
        """A packet comes in this second: links that are over in the next few buckets go."""
        n: cython.longlong
        self.now = now
        n = LINK_BUCKETS * (now - self.cleaned) // CLEANING
        if n <= 0:
            return 0
        self.cleaned = now
        if n > SPOKES:
            n = SPOKES
        while n > 0:
            self._clean_bucket()
            n -= 1
        return 0

    def _clean_bucket(self):
        row: cython.int = self.by_out.first(self.spoke)
        after: cython.int
        while row != 0:
            after = self.by_out.next[row]
            if (
                self.now - self.stamp[row] > self.life[row]
                and not self.flags[row] & L_PERMANENT
                and (
                    self.kind[row] != PROTO_TCP
                    or self.seen_in[row] != _OPEN
                    or self.seen_out[row] != _OPEN
                )
            ):
                self.remove(row)
            row = after
        self.spoke += 1
        if self.spoke == LINK_BUCKETS:
            self.spoke = 0
        return 0

    # --- who is it -------------------------------------------------------------------------------------------

    def find_in(self, dst, alias, dport, aport, kind, replace):
        """The link of a packet that comes from the peer `dst`, `dport` to `alias`, `aport`; 0: none. With `replace`
        a redirection makes a link of its own for that peer.
        """
        row: cython.int = self._find_in(dst, alias, dport, aport, kind, replace)
        if row == 0 and self.address != 0 and alias == self.address:
            row = self._find_in(dst, 0, dport, aport, kind, replace)
        return row

    def _find_in(self, dst, alias, dport, aport, kind, replace):
        any_addr: cython.int = 0
        any_port: cython.int = 0
        any_all: cython.int = 0
        asked: cython.int = (L_ANY_ADDR if dst == 0 else 0) | (L_ANY_PORT if dport == 0 else 0)
        known: cython.int
        row: cython.int = self.by_in.first(in_bucket(alias, aport, kind))
        while row != 0:
            if self.alias[row] == alias and self.aport[row] == aport and self.kind[row] == kind:
                known = (asked | self.flags[row]) & _PARTIAL
                if known == 0:
                    if self.dst[row] == dst and self.dport[row] == dport:
                        break
                elif known == _PARTIAL:
                    if any_all == 0:
                        any_all = row
                elif known == L_ANY_ADDR:
                    if any_addr == 0 and self.dport[row] == dport:
                        any_addr = row
                elif any_port == 0 and self.dst[row] == dst:
                    any_port = row
            row = self.by_in.next[row]
        if row != 0:
            self.stamp[row] = self.now
        elif any_port != 0:
            row = any_port
        elif any_addr != 0:
            row = any_addr
        else:
            row = any_all
        if row == 0 or not replace or not self.flags[row] & (_PARTIAL | L_SERVERS):
            return row
        src: cython.uint = self.src[row]
        sport: cython.int = self.sport[row]
        if self.flags[row] & L_SERVERS:
            src, sport = self.next_server(row)
        return self._relink(row, src, dst, alias, sport, dport, aport, kind)

    def next_server(self, row):
        """(address, port) of the server whose turn it is."""
        servers = self.servers[row]
        server = servers.pop(0)
        servers.append(server)
        return server

    def find_out(self, src, dst, sport, dport, kind, replace):
        """The link of a packet that goes from `src`, `sport` to the peer; 0: none. `replace` as in `find_in`."""
        row: cython.int = self._find_out(src, dst, sport, dport, kind, replace)
        if row == 0 and self.address != 0 and src == self.address:
            row = self._find_out(0, dst, sport, dport, kind, replace)
        return row

    def _find_out(self, src, dst, sport, dport, kind, replace):
        row: cython.int = self.by_out.first(out_bucket(src, dst, sport, dport, kind))
        while row != 0:
            if (
                self.dst[row] == dst
                and self.src[row] == src
                and self.sport[row] == sport
                and self.dport[row] == dport
                and self.kind[row] == kind
                and not self.flags[row] & L_SERVERS
            ):
                self.stamp[row] = self.now
                return row
            row = self.by_out.next[row]
        if not replace:
            return 0
        if dport != 0 and dst != 0:
            row = self._find_out(src, dst, sport, 0, kind, False)
            if row == 0:
                row = self._find_out(src, 0, sport, dport, kind, False)
        if row == 0 and (dport != 0 or dst != 0):
            row = self._find_out(src, 0, sport, 0, kind, False)
        if row == 0:
            return 0
        return self._relink(row, src, dst, self.alias[row], sport, dport, self.aport[row], kind)

    def _relink(self, row, src, dst, alias, sport, dport, aport, kind):
        """A link for one peer in place of one that stood for all, which stays if it is a redirection's."""
        new: cython.int = self.add(src, dst, alias, sport, dport, aport, kind)
        if not self.flags[row] & L_PERMANENT:
            self.remove(row)
        return new

    # --- what it says ----------------------------------------------------------------------------------------

    @cython.exceptval(check=False)
    def inside(self, row: cython.int) -> cython.uint:
        """The address inside."""
        return self.src[row] or self.address

    @cython.exceptval(check=False)
    def outside(self, row: cython.int) -> cython.uint:
        """The address outside."""
        return self.alias[row] or self.address

    def inside_of(self, alias):
        """Whose is an address outside, for a packet that has no link?"""
        row: cython.int = self.find_in(0, alias, 0, 0, LINK_ADDR, False)
        if row == 0:
            return alias
        if self.flags[row] & L_SERVERS:
            return self.next_server(row)[0]
        return self.src[row] or self.address or alias

    def outside_of(self, src):
        """Behind which address does one inside stand?"""
        row: cython.int = self.find_out(src, 0, 0, 0, LINK_ADDR, False)
        alias: cython.uint = 0 if row == 0 else self.alias[row]
        return alias or self.address or src

    @cython.exceptval(check=False)
    def saw_in(self, row: cython.int, flags: cython.int) -> cython.void:
        """A segment of a connection came in: how long its link lasts."""
        if self.seen_in[row] == _CLOSED:
            if flags & RST:
                self._ended(row, True)
            elif flags & SYN:
                self.seen_in[row] = _OPEN
                if self.seen_out[row] == _OPEN:
                    self.life[row] = _OPEN_LIFE
        elif self.seen_in[row] == _OPEN and flags & (FIN | RST):
            self._ended(row, True)

    @cython.exceptval(check=False)
    def saw_out(self, row: cython.int, flags: cython.int) -> cython.void:
        """The same of one that goes out."""
        if self.seen_out[row] == _CLOSED:
            if flags & RST:
                self._ended(row, False)
            elif flags & SYN:
                self.seen_out[row] = _OPEN
                if self.seen_in[row] == _OPEN:
                    self.life[row] = _OPEN_LIFE
        elif self.seen_out[row] == _OPEN and flags & (FIN | RST):
            self._ended(row, False)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _ended(self, row: cython.int, came_in: cython.bint) -> cython.void:
        """One side has nothing more to say."""
        other: cython.int = self.seen_out[row] if came_in else self.seen_in[row]
        self.life[row] = _HALF_LIFE if other == _OPEN else _DEAD_LIFE
        if came_in:
            self.seen_in[row] = _OVER
        else:
            self.seen_out[row] = _OVER

    def counts(self):
        """Links by kind, as `nat show` names them."""
        names = {PROTO_ICMP: "icmp", PROTO_UDP: "udp", PROTO_TCP: "tcp", LINK_FRAGMENT: "frag_id"}
        counted = dict.fromkeys(
            ("icmp", "udp", "tcp", "sctp", "pptp", "proto", "frag_id", "frag_ptr"), 0
        )
        for row in self.rows():
            if self.kind[row] != LINK_ADDR:
                counted[names.get(self.kind[row], "proto")] += 1
        return counted


@cython.exceptval(check=False)
def in_bucket(alias: cython.uint, aport: cython.int, kind: cython.int) -> cython.uint:
    """The bucket of a link for packets that come in."""
    total: cython.ulonglong = alias
    return cython.cast(cython.uint, ((total + aport + kind) & _U32) % LINK_BUCKETS)


@cython.exceptval(check=False)
def out_bucket(
    src: cython.uint, dst: cython.uint, sport: cython.int, dport: cython.int, kind: cython.int
) -> cython.uint:
    """The bucket of a link for packets that go out."""
    total: cython.ulonglong = src
    return cython.cast(cython.uint, ((total + dst + sport + dport + kind) & _U32) % LINK_BUCKETS)
