"""Who owns the flows of a table: by source, destination, ports, and by the rule that let them in."""

import json

import pytest
from gateway import ACK, CLIENT, SERVER, SYN, Gateway, client, tcp, udp

from pystack.firewall.conntrack_tool import ToolError

WEB = "-A FORWARD -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -j ACCEPT"
OLD = "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT"
NAMES = "-A NAMES -p udp -m udp --dport 53 -j ACCEPT"


def firewall():
    g = Gateway()
    g.gw.conntrack.track(False)
    g.gw.iptables("-N NAMES")
    for rule in (OLD, WEB, "-A FORWARD -p udp -j NAMES", NAMES):
        g.gw.iptables(rule)
    return g


def test_by_the_parts_of_a_flow():
    g = Gateway()
    for n, sport, dport in ((1, 1024, 80), (1, 1025, 80), (2, 1024, 443)):
        g.syn(n, sport, dport)
    assert g.gw.conntrack.top() == [("10.10.0.1", 2), ("10.10.0.2", 1)]
    assert g.gw.conntrack.top("dst") == [(SERVER, 3)]
    assert g.gw.conntrack.top("sport") == [("1024", 2), ("1025", 1)]
    assert g.gw.conntrack.top("dport", n=1) == [("80", 2)]
    assert g.gw.conntrack.top("rule") == [("no rule", 3)]


def test_the_rule_is_that_of_the_first_packet():
    """Later packets pass by another rule; the flow stays with the one that let it in, and what is dropped is none."""
    g = firewall()
    g.gw.iptables("-P FORWARD DROP")
    for n in range(3):
        g.establish(n)
    assert g.send(udp(client(7), 5353, SERVER, 53))
    assert g.send(udp(client(7), 5353, SERVER, 99)) is None
    assert g.gw.conntrack.top("rule") == [(WEB, 3), (NAMES, 1)]
    g.gw.iptables("-P FORWARD ACCEPT")
    g.send(udp(client(7), 5353, SERVER, 99))
    assert g.gw.conntrack.top("rule")[-1] == ("-P FORWARD ACCEPT", 1)


def test_a_rule_that_was_deleted_still_owns_what_it_let_in():
    g = firewall()
    g.syn(1)
    g.gw.iptables(WEB.replace("-A", "-D", 1))
    assert g.gw.conntrack.top("rule") == [
        ("deleted: -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -j ACCEPT", 1)
    ]


def test_a_row_that_is_used_again_forgets_its_rule():
    g = firewall()
    g.syn(1)
    g.gw.conntrack("-F")
    g.gw.iptables("-F FORWARD")
    g.gw.conntrack.track()
    g.syn(1)
    assert g.gw.conntrack.top("rule") == [("-P FORWARD ACCEPT", 1)]


def test_without_a_filter_it_is_the_rule_that_translates():
    g = Gateway()
    rule = "-A POSTROUTING -o eth1 -j MASQUERADE"
    g.gw.iptables(f"-t nat {rule}")
    g.establish(1)
    g.syn(2)
    assert g.gw.conntrack.top("rule") == [(f"-t nat {rule}", 2)]


def test_the_machine_itself_owns_by_its_own_chains():
    g = firewall()
    g.gw.iptables("-A INPUT -p udp -m udp --dport 7 -j ACCEPT")
    g.send(udp(CLIENT, 5353, "10.9.1.1", 7))
    assert g.gw.conntrack.top("rule") == [("-A INPUT -p udp -m udp --dport 7 -j ACCEPT", 1)]


def test_a_table_that_grows_keeps_its_owners():
    g = firewall()
    for n in range(3000):
        g.a.send(tcp(client(n), 1024, SERVER, 80, SYN))
    g.at(1)
    assert g.gw.conntrack.top("rule") == [(WEB, 3000)]


def test_the_command():
    g = firewall()
    for n in range(12):
        g.syn(n)
    g.send(udp(client(7), 5353, SERVER, 53))
    g.send(tcp(client(7), 9, SERVER, 22, ACK))
    assert g.gw.conntrack("--top rule").splitlines() == [
        "    flows  rule",
        f"       12  {WEB}",
        f"        1  {NAMES}",
        "        1  -P FORWARD ACCEPT",
    ]
    assert len(g.gw.conntrack("--top src").splitlines()) == 11  # ten, and the head
    assert len(g.gw.conntrack("--top src --limit 3").splitlines()) == 4
    assert json.loads(g.gw.conntrack("--top dport -p udp -o json")) == [{"dport": "53", "flows": 1}]
    with pytest.raises(ToolError, match="Bad parameter `mark'"):
        g.gw.conntrack("--top mark")
