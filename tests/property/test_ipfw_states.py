"""Dynamic rules against a model that is a list and the sentences of the facts (ipfw 2): any packets, in any order."""

from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pystack._fast import COMPILED
from pystack.ipfw_replay import Lab

FIN, SYN, RST, ACK = 1, 2, 4, 16
TCP, UDP = 6, 17
RULES = [
    "add 100 check-state",
    "add 150 allow tcp from any to me 25 setup limit src-addr 2",
    "add 200 allow tcp from any to me setup keep-state",
    "add 300 allow udp from any to me keep-state",
]
KEEP, LIMIT = 2, 2
MAXIMUM = 6


def newer(a, b):
    """Not older than b, as numbers of 32 bits that wrap."""
    return (a - b) % 2**32 < 2**31


@dataclass(eq=False)
class Entry:
    """A state, or the parent of a limit."""

    rule: int
    flow: tuple
    proto: int
    expire: int
    kind: str
    parent: "Entry | None" = None
    word: int = 0
    acks: tuple = (0, 0)
    packets: int = 0
    children: int = 0


class Model:
    """What the facts say, for one era."""

    def __init__(self, twelve):
        self.twelve = twelve
        self.now = 0
        self.entries = []
        self.buried = 0
        """States that the last tick took out, whose storage comes back with the next one."""

    def live(self, kind="SL"):
        return [e for e in self.entries if e.kind in kind]

    def find(self, flow, proto):
        for e in self.live():
            if e.proto == proto and flow == e.flow:
                return e, 0
            if e.proto == proto and flow == (*e.flow[2:], *e.flow[:2]):
                return e, 1
        return None, 0

    def room(self, parent):
        if not self.twelve:
            return len(self.entries) < MAXIMUM
        if parent:
            return True
        return len(self.live()) + self.buried < MAXIMUM

    def seen(self, e, way, flags, ack, header=True):
        """A packet of an entry."""
        if e.proto == UDP:
            e.expire = self.now + 10
            return
        e.word |= (flags & 7) << 8 * way
        state = e.word & 0x707
        if state == 0x002:
            e.expire = self.now + 20
        elif state in (0x202, 0x203, 0x302):
            if not header:
                return
            if e.acks[way] == 0 or newer(ack, e.acks[way]):
                e.acks = tuple(ack if i == way else old for i, old in enumerate(e.acks))
                e.word |= 0x10000 << way
            if e.word & 0x30000 == 0x30000:
                e.word &= 0xFFFF
                e.expire = self.now + 300
        else:
            e.expire = self.now + 1

    def packet(self, flow, proto, flags, ack):
        """The verdict on a packet."""
        e, way = self.find(flow, proto)
        if e is not None:
            self.seen(e, way, flags, ack)
            e.packets += 1
            return "pass"
        if flow[2] != "10.0.0.1" or (proto == TCP and flags & (SYN | ACK) != SYN):
            return "deny"
        number = 300 if proto == UDP else 150 if flow[3] == 25 else 200
        parent = None
        if number == 150:
            key = (flow[0], 0, "0.0.0.0", 0)
            parent = next((e for e in self.live("P") if e.flow == key), None)
            if parent is not None:
                parent.expire = self.now + 5
            elif self.room(True):
                life = 5 if self.twelve else 20
                parent = Entry(150, key, TCP, self.now + life, "P")
                self.entries.append(parent)
            if parent is None or parent.children >= LIMIT:
                return "deny"
        if not self.room(False):
            return "deny"
        e = Entry(number, flow, proto, self.now + 20, "L" if parent else "S", parent)
        if parent:
            parent.children += 1
        self.entries.append(e)
        self.seen(e, 0, flags, ack, self.twelve)
        e.packets = int(self.twelve)
        return "pass"

    def tick(self):
        """A second has passed."""
        self.now += 1
        over = [e for e in self.live() if e.expire <= self.now]
        self.take(over)
        if self.twelve:
            self.buried = len(over)
        for e in self.live("P"):
            if e.children == 0 and (e.expire <= self.now if self.twelve else over):
                self.entries.remove(e)

    def take(self, entries):
        for e in entries:
            self.entries.remove(e)
            if e.parent:
                e.parent.children -= 1


class DynamicRules(RuleBasedStateMachine):
    """The machine and the model get the same."""

    profile: str

    @initialize()
    def begin(self):
        self.lab = Lab(
            {
                "id": "",
                "rules": RULES,
                "sysctl": {"dyn_max": MAXIMUM, "dyn_keepalive": 0},
                "me": ["10.0.0.1"],
                "uptime0": 100,
                "steps": [],
            },
            self.profile,
        )
        self.model = Model(self.profile == "freebsd-14")
        self.t = 0

    @rule(
        client=st.sampled_from(["10.0.0.2", "10.0.0.3"]),
        sport=st.sampled_from([1025, 1026, 1027]),
        dport=st.sampled_from([25, 80]),
        back=st.booleans(),
        proto=st.sampled_from([TCP, TCP, TCP, UDP]),
        flags=st.sampled_from([SYN, SYN | ACK, ACK, FIN | ACK, RST, SYN | FIN, 0]),
        ack=st.sampled_from([0, 1, 2, 2**31, 2**32 - 1]),
    )
    def packet(self, client, sport, dport, back, proto, flags, ack):
        flow = (client, sport, "10.0.0.1", dport)
        if back:
            flow = (*flow[2:], *flow[:2])
        src, sport, dst, dport = flow
        packet = {"src": src, "sport": sport, "dst": dst, "dport": dport, "len": 0, "seq": 1}
        packet |= {"proto": "udp" if proto == UDP else "tcp", "flags": flags, "ack": ack}
        step = {"out": int(back), "if": ["", "em0"] if back else ["em0", ""], "pkt": packet}
        verdict = self.lab.pass_packet(step)["verdict"]
        assert verdict == self.model.packet(flow, proto, flags, ack if proto == TCP else 0)

    @rule(seconds=st.sampled_from([1, 1, 2, 5, 11, 20, 150, 299]))
    def time(self, seconds):
        self.t += seconds
        for _ in self.lab.until(self.t):
            pass
        for _ in range(seconds):
            self.model.tick()

    @invariant()
    def same_entries(self):
        if not hasattr(self, "model"):
            return
        now = self.model.now
        mine = sorted(
            (*e[:3], *e[7:10], e[11], *e[12:14])  # without ends, octets, set and name
            for e in self.lab.engine.states()
        )
        theirs = sorted(
            (
                e.rule,
                e.kind,
                e.proto,
                e.word,
                max(0, e.expire - now),
                e.packets,
                e.children,
                *e.acks,
            )
            for e in self.model.entries
        )
        assert mine == theirs


class DynamicRulesOf10(DynamicRules):
    """One table; rules are deleted, too."""

    profile = "freebsd-10"

    @rule()
    def forget(self):
        """A rule is deleted, its states with it, and comes back."""
        self.lab.tool.run(["delete", "200"])
        self.model.take([e for e in self.model.live() if e.rule == 200])
        self.lab.tool.run(RULES[2].split())


class DynamicRulesOf12(DynamicRules):
    """States and parents apart."""

    profile = "freebsd-14"


BOUNDS = settings(
    max_examples=60 if COMPILED else 12,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
DynamicRulesOf10.TestCase.settings = BOUNDS
DynamicRulesOf12.TestCase.settings = BOUNDS
TestDynamicRulesOf10 = DynamicRulesOf10.TestCase
TestDynamicRulesOf12 = DynamicRulesOf12.TestCase
