# cython: overflowcheck=False
# A count of 64 bits may be UNCOUNTED; the checked build must not stop that.

"""What flows have besides, where it is asked for: accounts, the time of their birth, which events are told,
the interface they masquerade for.

Each is a column that is there from the time on that somebody wants it (nf_conntrack_acct, nf_conntrack_timestamp, the
first CT --ctevents or MASQUERADE), and that a flow begun before has nothing in.

Source: nf_conntrack_extend.c, nf_conntrack_acct.c, nf_conntrack_timestamp.c,
nf_conntrack_ecache.c, nf_nat_masquerade.c.
"""

import cython

from pystack._fast.columns import column, grown
from pystack._fast.ct_age import ConnAge
from pystack._fast.nf_consts import CT_MASKED, UNCOUNTED

_U32 = cython.declare(cython.uint, 0xFFFFFFFF)


@cython.cclass
class ConnExtend(ConnAge):
    """`packets` and `octets` by direction (node), `since` in ns or -1, `faces` the number of an interface + 1 or 0,
    `wanted` CT_MASKED and kinds of events, or 0 for all; each is None as long as nobody has asked for it.
    """

    def __init__(self, cfg, rng, now, wheel):
        ConnAge.__init__(self, cfg, rng, now, wheel)
        self.packets = None
        self.octets = None
        self.since = None
        self.faces = None
        self.wanted = None

    def extend(self):
        """The columns that the knobs ask for; flows that there are have nothing in them. Answers 0."""
        if self.cfg.ct_acct and self.packets is None:
            self.packets = column("Q", 2 * (self.capacity + 1))
            self.octets = column("Q", 2 * (self.capacity + 1))
            for row in self._earlier():
                self.packets[2 * row] = UNCOUNTED
        if self.cfg.ct_timestamp and self.since is None:
            self.since = column("q", self.capacity + 1)
            for row in self._earlier():
                self.since[row] = -1
        return 0

    def _earlier(self):
        """The flows that began before a knob was set."""
        return self.flows() if self.free.used > 0 else []

    def reserve(self, capacity):
        """As `ConnTable` has it."""
        ConnAge.reserve(self, capacity)
        if self.packets is not None:
            self.packets = grown(memoryview(self.packets), 2 * (self.capacity + 1))
            self.octets = grown(memoryview(self.octets), 2 * (self.capacity + 1))
        if self.since is not None:
            self.since = grown(memoryview(self.since), self.capacity + 1)
        if self.faces is not None:
            self.faces = grown(memoryview(self.faces), self.capacity + 1)
        if self.wanted is not None:
            self.wanted = grown(memoryview(self.wanted), self.capacity + 1)

    def clean(self, row):
        """What a flow before has left beside its record is away. Answers 0."""
        if self.packets is not None:
            self.packets[2 * row] = 0 if self.cfg.ct_acct else UNCOUNTED
            self.packets[2 * row + 1] = 0
            self.octets[2 * row] = 0
            self.octets[2 * row + 1] = 0
        if self.since is not None:
            self.since[row] = -1
        if self.faces is not None:
            self.faces[row] = 0
        if self.wanted is not None:
            self.wanted[row] = 0
        return 0

    def born(self, row, now):
        """A flow is confirmed: since when, if that is asked for. Answers 0."""
        if self.since is not None and self.cfg.ct_timestamp:
            self.since[row] = now
        return 0

    def began(self, row):
        """When the flow was confirmed, ns; None where nf_conntrack_timestamp was not set then."""
        if self.since is None or self.since[row] < 0:
            return None
        return self.since[row]

    def want(self, row, template):
        """Only some kinds of events of the flow are told (CT_MASKED and IPCT_*; CT --ctevents). Answers 0."""
        if self.wanted is None:
            self.wanted = column("H", self.capacity + 1)
        self.wanted[row] = template & 0xFFFF
        return 0

    def wants(self, row, told):
        """Is a message about these kinds of events (IPCT_*) wanted?"""
        if self.wanted is None or self.wanted[row] & CT_MASKED == 0:
            return True
        return self.wanted[row] & told != 0

    def masqueraded(self, row, iface):
        """The flow has the address of this interface, and ends with it. Answers 0."""
        if self.faces is None:
            self.faces = column("i", self.capacity + 1)
        self.faces[row] = iface + 1
        return 0

    def face_lost(self, iface, address):
        """An interface is down, or has lost this address (0: any): what was masqueraded there ends. How many."""
        gone = 0
        if self.faces is not None:
            for row in self.flows():
                if self.faces[row] == iface + 1 and address in (0, self.keys[4 * row + 2] & _U32):
                    self.kill(row)
                    gone += 1
        return gone

    def account(self, row, p):
        """Packets and octets of a direction, where they are counted; a super-segment counts as what it is cut into."""
        pieces: cython.ulonglong = 1
        octets: cython.ulonglong = p.head_len + p.length
        if self.packets is None or self.packets[2 * row] == UNCOUNTED:
            return 0
        if p.gso_size > 0 and p.length > p.gso_size:
            pieces = (p.length + p.gso_size - 1) // p.gso_size
            octets += (pieces - 1) * p.head_len
        self.packets[2 * row + p.ct_way] += pieces
        self.octets[2 * row + p.ct_way] += octets
        return 0
