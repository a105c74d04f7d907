"""conntrack against a model of TCP: the table of states as the facts print it, a list sorted by expiry, accounts,
marks, and a full table with early drop.

Segments are such that windows never matter (be_liberal, each with the number that is due and another window); what
windows do is compared with recordings and with the kernel itself (tests/firewall, tests/system).
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sortedcontainers import SortedList

from pystack._fast import COMPILED
from pystack._fast.config import Config
from pystack._fast.conntrack import Conntrack
from pystack._fast.consts import PROTO_TCP
from pystack._fast.nf_consts import (
    CT_DROP,
    CTS_ESTABLISHED,
    CTS_INVALID,
    CTS_NEW,
    H_STATUS,
    IPS_ASSURED,
    IPS_SEEN_REPLY,
    JIFFY,
    O_STATE,
    W_MARK,
)
from pystack._fast.packet import Packet
from pystack._fast.rng import Rng

HZ = 250
MAXIMUM = 5
FIN, SYN, RST, ACK = 1, 2, 4, 16
SYNACK, FINACK = SYN | ACK, FIN | ACK
STATES = "NO SS SR ES FW CW LA TW CL".split()
SECONDS = {"SS": 120, "SR": 60, "ES": 432000, "FW": 120, "CW": 60, "LA": 30, "TW": 120, "CL": 10}
# facts: conntrack 3.2, without the second SYN of a simultaneous open
TABLE = {
    (0, SYN): "SS SS IG IG IG IG IG SS SS",
    (0, SYNACK): "IV IV SR IV IV IV IV IV IV",
    (0, FINACK): "IV IV FW FW LA LA LA TW CL",
    (0, ACK): "ES IV ES ES CW CW TW TW CL",
    (0, RST): "IV CL CL CL CL CL CL CL CL",
    (1, SYNACK): "IV SR IG IG IG IG IG IG IG",
    (1, FINACK): "IV IV FW FW LA LA LA TW CL",
    (1, ACK): "IV IG SR ES CW CW TW TW CL",
    (1, RST): "IV CL CL CL CL CL CL CL CL",
}
TABLE = {key: dict(zip(STATES, words.split(), strict=True)) for key, words in TABLE.items()}
PORTS = range(1, 8)


class Flow:
    """What the model knows of one flow."""

    def __init__(self, port, now):
        self.port = port
        self.state = "SS"
        self.replied = self.assured = False
        self.mark = 0
        self.packets = [0, 0]
        self.octets = [0, 0]
        self.expires = now + SECONDS["SS"] * HZ


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        cfg = Config()
        cfg.ct_buckets, cfg.ct_max, cfg.ct_chain_min = 3, MAXIMUM, 0
        cfg.ct_tcp_be_liberal = cfg.ct_acct = 1
        self.table = Conntrack(cfg, Rng(1), 0)
        self.packet = Packet()
        self.now = self.sent = 0
        self.flows = {}
        self.by_expiry = SortedList(key=lambda flow: (flow.expires, flow.port))

    # --- the model ---------------------------------------------------------------------------------------

    def expire(self):
        while self.by_expiry and self.by_expiry[0].expires <= self.now:
            del self.flows[self.by_expiry.pop(0).port]

    def forget(self, flow):
        self.by_expiry.remove(flow)
        del self.flows[flow.port]

    def refresh(self, flow, seconds):
        self.by_expiry.remove(flow)
        flow.expires = self.now + seconds * HZ
        self.by_expiry.add(flow)

    def expected(self, port, way, flags, octets):
        """What a segment of a flow that there is is to conntrack, and what becomes of it."""
        flow = self.flows[port]
        new = TABLE[way, flags][flow.state]
        if new == "IV":
            return CTS_INVALID
        answer = CTS_ESTABLISHED if way or flow.replied else CTS_NEW
        if new != "IG":
            old, flow.state = flow.state, new
            if flags == RST and not flow.replied:
                self.forget(flow)
                return answer
            if flow.replied or not (flags == SYN and old == "SS"):
                self.refresh(flow, SECONDS[new])
                flow.packets[way] += 1  # what renews no timer is not counted
                flow.octets[way] += octets
            if flow.replied and new == "ES" and old in ("SR", "ES"):
                flow.assured = True
        flow.replied |= bool(way)
        return answer

    # --- the rules ---------------------------------------------------------------------------------------

    def segment(self, port, way, flags):
        p = self.packet
        p.clear()
        self.sent += 1
        p.proto, p.ip_len, p.head_len, p.flags = PROTO_TCP, 20, 40, flags
        p.win = 1000 + self.sent % 60000  # no two are alike, so none is a retransmission
        ends = (10, port), (20, 80)
        (p.src, p.sport), (p.dst, p.dport) = ends[::-1] if way else ends
        syn = flags & SYN != 0
        p.seq = (5000 if way else 1000) + (not syn)
        p.ack = (1001 if way else 5001) if flags & ACK else 0
        return p

    @rule(
        port=st.sampled_from(PORTS),
        script=st.lists(
            st.tuples(st.sampled_from(sorted(TABLE)), st.sampled_from([0, 0, 0, 1, 9])),
            min_size=1,
            max_size=6,
        ),
    )
    def wild(self, port, script):
        """Any segments in any order, with seconds behind each."""
        for (way, flags), seconds in script:
            self.give(port, way, flags)
            self.now += seconds * HZ

    @rule(port=st.sampled_from(PORTS), close=st.booleans())
    def orderly(self, port, close):
        """A handshake, and perhaps an end."""
        for way, flags in ((0, SYN), (1, SYNACK), (0, ACK)):
            self.give(port, way, flags)
        if close:
            for way, flags in ((0, FINACK), (1, ACK), (1, FINACK), (0, ACK)):
                self.give(port, way, flags)

    def give(self, port, way, flags):
        self.rows()
        self.expire()
        known = port in self.flows
        if flags == RST and known and not self.certain(self.flows[port]):
            return
        begun = ("SS",) if flags == SYN else ("SS", "SR")
        if flags & SYN and known and self.flows[port].state not in begun:
            return  # who opens anew is compared with recordings
        if way == 1 and known and self.flows[port].state == "SS" and flags == ACK:
            return
        if not known and (way, flags) != (0, SYN):
            return
        full = len(self.flows) >= MAXIMUM
        p = self.segment(port, way, flags)
        verdict = self.table.conntrack_in(p, self.now * JIFFY)
        state = p.ct_state
        if verdict == CT_DROP:
            assert full
            assert not known
            return
        assert self.table.confirm(p, self.now * JIFFY)
        if known:
            assert self.expected(port, way, flags, 40) == state
            return
        if full:
            self.evict()
        flow = Flow(port, self.now)
        flow.packets[0], flow.octets[0] = 1, 40
        self.flows[port] = flow
        self.by_expiry.add(flow)
        assert state == CTS_NEW

    def certain(self, flow):
        """Does a RST with the number that is due end this flow, whatever was acknowledged?"""
        return flow.state in ("FW", "CW", "LA", "TW", "CL")

    def evict(self):
        """The table made room: what is gone of it was not ASSURED."""
        there = {self.port(row) for row in self.rows()}
        gone = [flow for flow in self.flows.values() if flow.port not in there]
        assert gone
        for flow in gone:
            assert not flow.assured
            self.forget(flow)

    @rule(seconds=st.sampled_from([1, 11, 31, 61, 121]))
    def wait(self, seconds):
        self.now += seconds * HZ

    @rule()
    def worker(self):
        """Where the table was full before, it may end what nobody answered or what closes anyway."""
        wanted = self.table.gc_wanted
        self.expire()
        self.table.gc(self.now * JIFFY)
        there = {self.port(row) for row in self.rows()}
        for flow in [flow for flow in self.flows.values() if flow.port not in there]:
            assert wanted
            assert not flow.assured or self.certain(flow)
            self.forget(flow)

    @rule(buckets=st.integers(1, 9))
    def resize(self, buckets):
        self.table.resize(buckets)

    @precondition(lambda self: self.flows)
    @rule(data=st.data(), value=st.integers(0, 0xFFFF), mask=st.sampled_from([0xFF, 0xFFFF]))
    def mark(self, data, value, mask):
        self.expire()
        rows = self.rows()
        if rows:
            row = data.draw(st.sampled_from(rows))
            flow = self.flows[self.port(row)]
            self.table.set_mark(row, value & mask, mask)
            flow.mark = flow.mark & ~mask | value & mask

    # --- both --------------------------------------------------------------------------------------------

    def rows(self):
        self.table.settle(self.now * JIFFY)
        return self.table.flows()

    def port(self, row):
        return self.table.keys[4 * row + 1] >> 48

    @invariant()
    def alike(self):
        """The same flows: state, replies, ASSURED, ticks left, mark, packets and octets of each direction."""
        self.expire()
        found = {}
        for row in self.rows():
            status = self.table.half[(row << 5) + H_STATUS]
            found[self.port(row)] = (
                STATES[self.table.octet[(row << 6) + O_STATE]],
                bool(status & IPS_SEEN_REPLY),
                bool(status & IPS_ASSURED),
                self.table.left(row),
                self.table.word[(row << 4) + W_MARK],
                list(self.table.packets[2 * row : 2 * row + 2]),
                list(self.table.octets[2 * row : 2 * row + 2]),
            )
        assert found == {
            f.port: (
                f.state,
                f.replied,
                f.assured,
                f.expires - self.now,
                f.mark,
                f.packets,
                f.octets,
            )
            for f in self.flows.values()
        }
        assert self.table.count == len(found) <= MAXIMUM


TestConntrackTcp = Machine.TestCase
TestConntrackTcp.settings = settings(
    max_examples=50 if COMPILED else 10, stateful_step_count=30, deadline=None
)
