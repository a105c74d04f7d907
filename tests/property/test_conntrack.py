"""conntrack against a model: a dict of keys and a list sorted by expiry, under any order of packets and time.

The model knows UDP only, whose rules fit into a few lines; TCP is compared with recordings (tests/firewall).
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sortedcontainers import SortedList

from pystack._fast.config import Config
from pystack._fast.conntrack import Conntrack
from pystack._fast.consts import PROTO_UDP
from pystack._fast.nf_consts import (
    CT_DROP,
    CTS_ESTABLISHED,
    CTS_NEW,
    H_STATUS,
    IPS_ASSURED,
    IPS_SEEN_REPLY,
    JIFFY,
)
from pystack._fast.packet import Packet
from pystack._fast.rng import Rng

SECOND = 250
"""Jiffies."""
MAXIMUM = 4
PAIRS = [((1, 10), (2, 20 + n)) for n in range(6)]


class Flow:
    def __init__(self, first, now):
        self.first = first
        self.begun = now
        self.replied = self.assured = False
        self.expires = now + 30 * SECOND


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        cfg = Config()
        cfg.ct_buckets, cfg.ct_max, cfg.ct_chain_min = 3, MAXIMUM, 0
        self.table = Conntrack(cfg, Rng(1), 0)
        self.packet = Packet()
        self.now = 0
        self.flows = {}
        self.by_expiry = SortedList(key=lambda flow: flow.expires)

    # --- the model ---------------------------------------------------------------------------------------

    def expire(self):
        while self.by_expiry and self.by_expiry[0].expires <= self.now:
            gone = self.by_expiry.pop(0)
            for key in (gone.first, gone.first[::-1]):
                if self.flows.get(key) is gone:
                    del self.flows[key]

    def refresh(self, flow, seconds):
        self.by_expiry.discard(flow)
        flow.expires = self.now + seconds * SECOND
        self.by_expiry.add(flow)

    def expected(self, key):
        """What a packet is and does; None where there may be no room for it."""
        self.expire()
        flow = self.flows.get(key)
        if flow is None:
            flow = Flow(key, self.now)
            self.flows[key] = self.flows[key[::-1]] = flow
            self.by_expiry.add(flow)
            return CTS_NEW
        stream = flow.replied and self.now - flow.begun >= 2 * SECOND
        flow.assured |= stream
        self.refresh(flow, 120 if stream else 30)
        if key != flow.first:
            flow.replied = True
        return CTS_ESTABLISHED if flow.replied else CTS_NEW

    # --- the rules ---------------------------------------------------------------------------------------

    def give(self, source, destination):
        p = self.packet
        p.clear()
        p.proto, p.ip_len, p.head_len = PROTO_UDP, 20, 28
        (p.src, p.sport), (p.dst, p.dport) = source, destination
        return p

    @rule(
        pair=st.sampled_from(PAIRS),
        words=st.lists(
            st.tuples(st.booleans(), st.sampled_from([0, 0, 1, 2])), min_size=1, max_size=5
        ),
    )
    def talk(self, pair, words):
        """Datagrams of one pair, forth or back, with seconds behind each."""
        for back, seconds in words:
            self.datagram(pair[::-1] if back else pair)
            self.alike()
            self.now += seconds * SECOND

    def datagram(self, key):
        p = self.give(*key)
        full = len(self.live()) >= MAXIMUM
        self.rows()  # what has expired is gone
        verdict = self.table.conntrack_in(p, self.now * JIFFY)
        if verdict == CT_DROP:
            assert full
            assert key not in self.live()
            self.expire()
            return
        assert self.table.confirm(p, self.now * JIFFY)
        if full and key not in self.live():
            self.evict()
        assert self.expected(key) == p.ct_state

    def evict(self):
        """The table made room: what is gone of it was not ASSURED, and goes from the model, too."""
        self.expire()
        there = {self.key(row) for row in self.rows()}
        for flow in set(self.flows.values()):
            if flow.first not in there:
                assert not flow.assured
                self.by_expiry.discard(flow)
                del self.flows[flow.first]
                del self.flows[flow.first[::-1]]

    @rule(seconds=st.sampled_from([1, 15, 31, 121]))
    def wait(self, seconds):
        self.now += seconds * SECOND

    @rule()
    def worker(self):
        self.table.gc(self.now * JIFFY)

    @rule(buckets=st.integers(1, 9))
    def resize(self, buckets):
        self.table.resize(buckets)

    @precondition(lambda self: self.flows)
    @rule(data=st.data())
    def kill(self, data):
        self.expire()
        rows = self.rows()
        if not rows:
            return
        row = data.draw(st.sampled_from(rows))
        flow = self.flows.pop(self.key(row))
        del self.flows[flow.first[::-1]]
        self.by_expiry.discard(flow)
        self.table.kill(row)

    # --- both --------------------------------------------------------------------------------------------

    def live(self):
        return {k: f for k, f in self.flows.items() if f.expires > self.now and k == f.first}

    def rows(self):
        self.table.settle(self.now * JIFFY)
        return self.table.flows()

    def key(self, row):
        addrs, ports = self.table.keys[4 * row], self.table.keys[4 * row + 1]
        return (addrs >> 32, ports >> 48), (addrs & 0xFFFFFFFF, ports >> 32 & 0xFFFF)

    @invariant()
    def alike(self):
        """The same flows, as far as ASSURED, replies and seconds."""
        found = {}
        for row in self.rows():
            status = self.table.half[(row << 5) + H_STATUS]
            found[self.key(row)] = (
                bool(status & IPS_SEEN_REPLY),
                bool(status & IPS_ASSURED),
                self.table.left(row),
            )
        assert found == {
            k: (f.replied, f.assured, f.expires - self.now) for k, f in self.live().items()
        }
        assert self.table.count == len(found) <= MAXIMUM
        assert sum(n * i for i, n in enumerate(self.table.chain.lengths())) == 2 * len(found)


TestConntrack = Machine.TestCase
TestConntrack.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
