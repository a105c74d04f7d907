"""The walk that leaves out what cannot match: verdicts, counters, states and the random numbers used are those of the
plain walk.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pystack._fast.consts import PROTO_ICMP, PROTO_TCP, PROTO_UDP
from pystack._fast.ipfw_skip import SkipIndex
from pystack._fast.packet import Packet
from pystack.firewall.ipfw import skipping
from pystack.ipfw_replay import Lab, fill

ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.130", "10.0.1.1", "192.0.2.9")
PORTS = (22, 25, 53, 80, 1025)

address = st.sampled_from(
    [
        "any",
        "me",
        "10.0.0.0/24",
        "10.0.0.0/25",
        "not 10.0.0.0/24",
        "10.0.0.2",
        "0.0.0.2:0.0.0.255",
        "10.0.0.0/24{1,2,130}",
        "{ 10.0.0.2 or 192.0.2.0/24 }",
        "{ 10.0.0.1 or not 10.0.0.0/8 }",
    ]
)
port = st.sampled_from(["", "80", "not 80", "22,25,53", "1-1024", "80-70"])
proto = st.sampled_from(["ip", "tcp", "udp", "icmp", "{ tcp or udp }", "not tcp", "not icmp"])
option = st.sampled_from(
    [
        "",
        "in",
        "out",
        "not in",
        "setup",
        "established",
        "not established",
        "tcpflags syn,!ack",
        "frag",
        "via em0",
        "{ in or setup }",
        "{ dst-port 80 or src-port 80 }",
        "iplen 40",
        "src-port 53",
    ]
)
state = st.sampled_from(["", "", "", "keep-state", "limit src-addr 2"])
action = st.sampled_from(
    [
        "allow",
        "deny",
        "deny",
        "count",
        "count",
        "count",
        "skipto 50000",
        "skipto 3000",
        "prob 0.5 count",
        "check-state",
    ]
)


@st.composite
def rule(draw):
    what = draw(action)
    if what == "check-state":
        return what
    source, target = draw(address), draw(address)
    kept = draw(state)
    if "{" in source or "{" in target:
        kept = ""
    words = (
        what,
        draw(proto),
        "from",
        source,
        draw(port),
        "to",
        target,
        draw(port),
        draw(option),
        kept,
    )
    return " ".join(word for word in words if word)


@st.composite
def packet(draw):
    kind = draw(st.sampled_from(["tcp", "tcp", "udp", "icmp", 47]))
    out = {
        "proto": kind,
        "src": draw(st.sampled_from(ADDRESSES)),
        "dst": draw(st.sampled_from(ADDRESSES)),
    }
    out |= {"len": draw(st.sampled_from([0, 20])), "sport": draw(st.sampled_from(PORTS))}
    out |= {"dport": draw(st.sampled_from(PORTS)), "type": 8}
    out |= {"flags": draw(st.sampled_from([2, 16, 18, 17, 4, 0])), "ack": 1, "seq": 1}
    if draw(st.integers(0, 9)) == 0:
        out["off"] = 185
    way = draw(st.booleans())
    return {"out": int(way), "if": ["", "em0"] if way else ["em0", ""], "pkt": out}


def played(rules, packets, indexed):
    """What packets come to, with or without the index."""
    lab = Lab(
        {"id": "x", "rules": rules, "sysctl": {}, "me": ["10.0.0.1"], "uptime0": 100, "steps": []}
    )
    lab.engine.indexed = indexed
    lab.engine.changed()
    seen = [lab.pass_packet(each) | lab.outcome() for each in packets]
    return seen, lab.tool.run(["-d", "show"]).out, lab.engine.rules.skip


@pytest.mark.slow
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(rule(), min_size=20, max_size=90), st.lists(packet(), min_size=1, max_size=12))
def test_the_index_changes_nothing(rules, packets):
    rules = [f"add {text}" for text in rules]
    plain = played(rules, packets, False)
    fast = played(rules, packets, True)
    assert fast[:2] == plain[:2]
    assert plain[2] is None
    assert isinstance(fast[2], SkipIndex)


@pytest.mark.slow
def test_many_rules_share_bits():
    """Beyond `BITS` rules a bit stands for several; what is left of the walk is found all the same."""
    rules = [
        f"add deny udp from 10.{n >> 8}.{n & 255}.0/24 to any" for n in range(3 * skipping.BITS)
    ]
    rules.append("add allow udp from any to any 53")
    asked = {"proto": "udp", "sport": 1, "dport": 53, "len": 0, "dst": "10.0.0.1"}
    for source, verdict in (("10.20.7.1", "deny"), ("192.0.2.1", "pass")):
        step = {"out": 0, "if": ["em0", ""], "pkt": {**asked, "src": source}}
        seen, _, skip = played(rules, [step], True)
        assert seen[0]["verdict"] == verdict
        assert skip.shift == 2


@pytest.mark.parametrize("kind", [PROTO_TCP, PROTO_UDP, PROTO_ICMP])
def test_what_cannot_match_is_not_looked_at(kind):
    lab = Lab(
        {"id": "x", "rules": [], "sysctl": {}, "me": ["10.0.0.1"], "uptime0": 100, "steps": []}
    )
    for name in ("tcp", "udp", "icmp") * 10:
        lab.tool.run(f"add deny {name} from 172.16.0.0/12 to any".split())
        lab.tool.run(f"add allow {name} from any to any".split())
    lab.engine.renew()
    index = lab.engine.rules.skip
    p = Packet()
    fill(
        p, {"proto": kind, "src": "10.0.0.9", "dst": "10.0.0.1", "len": 0, "sport": 5, "dport": 80}
    )
    index.locate(p, False)
    first = index.next(0, True)
    assert first == {PROTO_TCP: 1, PROTO_UDP: 3, PROTO_ICMP: 5}[kind]
    assert index.next(first + 1, True) == first + 6
    assert index.next(60, True) == 60  # the default rule
