"""Whom a full table loses, by policy: the table in docs/conntrack.md, and the two policies that no kernel has."""

from pathlib import Path

import pytest
from eviction import flood, table, time_wait
from gateway import ACK, SERVER, SYN, Gateway, client, tcp, udp

import pystack

REVIEWED = Path(__file__).with_name("eviction.txt")
DOCS = Path(__file__).parents[2] / "docs" / "conntrack.md"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_table():
    """If a change is meant: python firewall/eviction.py > firewall/eviction.txt (from tests/), and the docs."""
    assert table() == REVIEWED.read_text()


def test_the_docs_show_the_table():
    assert (
        "".join(f"    {line}\n" for line in REVIEWED.read_text().splitlines()) in DOCS.read_text()
    )


def test_a_flood_costs_the_kernel_nothing_and_lru_everything():
    lost, of, refused, _ = flood("buckets", 8)
    assert (lost, refused) == (0, 0)
    lost, _, refused, _ = flood("lru", 8)
    assert lost > of * 0.5
    assert refused == 0
    lost, _, refused, tried = flood("none", 8)
    assert lost == 0
    assert refused > tried / 3


def test_time_wait_costs_lru_nothing_and_the_kernel_what_comes_new():
    lost, _, refused, tried = time_wait("buckets", 50)
    assert lost == 0
    assert refused > tried / 8
    assert time_wait("lru", 50)[::2] == (0, 0)


def test_lru_evicts_who_was_seen_longest_ago():
    g = Gateway(policy={"ct_evict": "lru"}, max=5)
    for n in range(5):
        g.establish(n)
    g.send(tcp(client(0), 1024, SERVER, 80, ACK, 1001, 5001))  # 0 has spoken, 1 is the eldest now
    assert g.syn(10)
    left = {one.original.src & 255 for one in g.gw.conntrack.flows()}
    assert left == {0, 2, 3, 4, 10}
    g.gw.conntrack("-D -s 10.10.0.2")
    assert g.syn(11)  # there is room
    assert g.syn(12)
    left = {one.original.src & 255 for one in g.gw.conntrack.flows()}
    assert left == {0, 4, 10, 11, 12}
    assert g.counters["early_drop"] == 2


def test_lru_knows_every_flow_through_growth_and_expiry():
    g = Gateway(policy={"ct_evict": "lru"}, max=1500, udp_timeout=3)
    for n in range(3000):
        g.a.send(udp(client(n), 1024, SERVER, 53))
        if n % 500 == 499:
            g.at(g.t + 1)
    assert g.count == 1500
    assert g.counters["early_drop"] + len(g.lines) <= 3000
    g.at(g.t + 90)
    assert g.count == 0
    assert g.gw.conntrack.table.stalest == 0
    assert g.syn(1)
    assert g.gw.conntrack.table.stalest != 0


def test_adaptive_timeouts_are_those_of_pf():
    """At the maximum a third of each timeout is left: (120 - 100) / (120 - 60)."""
    g = Gateway(policy={"ct_evict": "pf-adaptive"}, max=100)
    for n in range(100):
        g.syn(n)
    assert not g.syn(200)  # nobody is thrown out for it
    g.at(39)
    assert g.count == 100
    for seconds in (60, 80, 100, 115):
        # the emptier the table, the longer the rest lives: as many stay as have (120 - flows) / 60 of 120 s behind them
        g.at(seconds)
        stay = 60 + (120 - seconds) / 2
        assert stay - 1 <= g.count <= stay + 6  # a pass takes ten seconds


def test_timeouts_below_sixty_per_cent_are_what_they_are():
    g = Gateway(policy={"ct_evict": "pf-adaptive"}, max=100)
    for n in range(60):
        g.syn(n)
    g.at(119)
    assert g.count == 60
    g.at(131)
    assert g.count == 0


def test_a_policy_is_a_word_that_the_system_has():
    with pytest.raises(ValueError, match=r"policy ct_evict is one of buckets, .*, not 'fifo'"):
        Gateway(policy={"ct_evict": "fifo"})
    with pytest.raises(ValueError, match="FreeBSD 14 has no policy 'ct_evict'"):
        pystack.Host("h", profile="freebsd-14", policy={"ct_evict": "lru"})
    host = pystack.Host("h", profile="linux-6", policy={"ct_evict": "lru"})
    assert host.profile.policy["ct_evict"] == "lru"
    assert pystack.Host("h", profile="linux-6").profile.policy["ct_evict"] == "buckets"


def test_a_syn_of_a_known_flow_is_no_new_one():
    """LRU moves a flow for each packet, whatever it is."""
    g = Gateway(policy={"ct_evict": "lru"}, max=2)
    assert g.syn(1)
    assert g.syn(2)
    assert g.send(tcp(client(1), 1024, SERVER, 80, SYN))
    assert g.syn(3)
    assert {one.original.src & 255 for one in g.gw.conntrack.flows()} == {1, 3}
