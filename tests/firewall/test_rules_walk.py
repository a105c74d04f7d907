"""The walk of a packet through chains: verdicts, jumps, gotos, returns, policies, counters; and what may be loaded."""

from __future__ import annotations

import random

import pytest
from firewall.rules_kit import Rules, address, tcp, udp
from fuzz import octets

from pystack._fast import ip4, nf_hook
from pystack.firewall import FirewallError, iptables, iptables_restore, iptables_save

ACCEPT, DROP = nf_hook.NF_ACCEPT, nf_hook.NF_DROP


def marks(rules: Rules, chain: str = "INPUT") -> tuple[int, int]:
    """Verdict, and the mark that shows which way was taken: a hexadecimal digit a rule."""
    p = tcp()
    return rules.run(p, chain, "mangle"), p.mark


def note(chain: str, digit: int) -> str:
    """A rule that writes a digit behind those that are there."""
    return f"-t mangle -A {chain} -j MARK --or-mark {1 << digit:#x}"


@pytest.mark.parametrize(
    ("way", "verdict", "seen"),
    [
        ("-j U", ACCEPT, {0, 1, 2, 3}),  # all of it, and the policy
        ("-g U", ACCEPT, {1, 2}),  # the end of a goto's chain is the end
        ("-p udp -j U", ACCEPT, {0, 3}),
    ],
)
def test_jump_and_goto(way: str, verdict: int, seen: set[int]):
    rules = Rules(
        "-t mangle -N U",
        "-t mangle -N V",
        f"-t mangle -A INPUT {way}",
        note("INPUT", 0),
        note("INPUT", 3),
        note("U", 1),
        "-t mangle -A U -j V",
        note("V", 2),
    )
    found = marks(rules)
    assert found == (verdict, sum(1 << n for n in seen))


def test_goto_under_a_jump_returns_to_where_the_jump_was():
    rules = Rules(
        "-t mangle -N U",
        "-t mangle -N V",
        "-t mangle -A INPUT -j U",
        note("INPUT", 0),
        "-t mangle -A U -g V",
        note("U", 1),
        note("V", 2),
    )
    assert marks(rules) == (ACCEPT, 0b101)


def test_return():
    rules = Rules(
        "-t mangle -N U",
        "-t mangle -A INPUT -j U",
        note("INPUT", 0),
        "-t mangle -A INPUT -j RETURN",
        note("INPUT", 1),
        "-t mangle -A U -j RETURN",
        note("U", 2),
        "-t mangle -P INPUT DROP",
    )
    assert marks(rules) == (DROP, 1)


@pytest.mark.parametrize(("policy", "verdict"), [("ACCEPT", ACCEPT), ("DROP", DROP)])
def test_policies_and_their_counters(policy: str, verdict: int):
    rules = Rules(f"-P INPUT {policy}", "-A INPUT -s 192.0.2.1 -j DROP")
    for _ in range(3):
        assert rules.run(tcp()) == verdict
    chain = rules.firewall.tables["filter"].chains["INPUT"]
    assert (chain.packets, chain.octets) == (3, 120)
    assert rules.counters() == [(0, 0)]


def test_a_hook_without_a_chain_lets_pass():
    assert Rules("-P INPUT DROP").run(tcp(), "PREROUTING") == ACCEPT


def test_every_packet_is_counted_once_by_a_rule_or_the_policy():
    rules = Rules(
        "-A INPUT -p tcp --dport 22 -j ACCEPT",
        "-A INPUT -p udp -j DROP",
        "-N U",
        "-A INPUT -s 192.0.2.0/24 -j U",
        "-A U -j DROP",
    )
    packets = [tcp(dport=22), udp(b"abc"), tcp(ip={"src": address("192.0.2.9")}), tcp(), tcp(b"xy")]
    for p in packets:
        rules.run(p)
    assert rules.counters() == [(1, 40), (1, 31), (1, 40)]
    assert rules.counters("U") == [(1, 40)]
    chain = rules.firewall.tables["filter"].chains["INPUT"]
    assert (chain.packets, chain.octets) == (2, 82)


def test_a_super_segment_counts_as_what_it_is_cut_into():
    rules = Rules("-A INPUT -j ACCEPT")
    p = tcp(bytes(3000), flags=16)
    p.gso_size = 1000
    rules.run(p)
    assert rules.counters() == [(3, 3000 + 3 * 40)]


def test_fifteen_chains_deep_and_back():
    """As deep as the kernel lets a rule set be; each level leaves its trace on the way back."""
    commands = [f"-t mangle -N c{n:02}" for n in range(15)]
    commands += ["-t mangle -A INPUT -j c00"]
    commands += [f"-t mangle -A c{n:02} -j c{n + 1:02}" for n in range(14)]
    commands += [note(f"c{n:02}", n) for n in range(15)]
    rules = Rules(*commands)
    for _ in range(2):
        assert marks(rules) == (ACCEPT, (1 << 15) - 1)
    iptables(rules.firewall, "-t mangle -N deeper")
    with pytest.raises(FirewallError, match="Too many links"):
        iptables(rules.firewall, "-t mangle -A c14 -j deeper")


@pytest.mark.parametrize("jump", ["-j", "-g"])
def test_no_way_leads_back(jump: str):
    rules = Rules("-N A", "-N B", f"-A A {jump} B", f"-A B {jump} A")
    with pytest.raises(FirewallError, match=r"Too many links.*INPUT") as caught:
        iptables(rules.firewall, "-A INPUT -j A")
    assert caught.value.status == 4
    assert rules.run(tcp()) == ACCEPT


# --- what stays when rules change -------------------------------------------------------------------------------


def test_counters_and_memory_stay_when_another_rule_changes():
    rules = Rules("-A INPUT -m limit --limit 1/hour --limit-burst 2 -j ACCEPT", "-P INPUT DROP")
    assert [rules.run(tcp()) for _ in range(2)] == [ACCEPT, ACCEPT]
    iptables(rules.firewall, "-I INPUT -s 192.0.2.1 -j ACCEPT")
    iptables(rules.firewall, "-N U")
    iptables(rules.firewall, "-E U V")
    assert rules.run(tcp()) == DROP
    assert rules.counters() == [(0, 0), (2, 80)]
    assert iptables(rules.firewall, "-S").splitlines()[3] == "-N V"


def test_a_jump_follows_a_chain_that_is_renamed():
    rules = Rules("-N OLD", "-A OLD -j DROP", "-A INPUT -j OLD")
    iptables(rules.firewall, "-E OLD NEW")
    assert rules.run(tcp()) == DROP
    assert iptables(rules.firewall, "-S INPUT").splitlines()[1] == "-A INPUT -j NEW"


def test_a_bad_rule_leaves_the_table_as_it_was():
    rules = Rules("-N U", "-A U -j DROP", "-A INPUT -p tcp -j U")
    before = iptables_save(rules.firewall, "-c")
    live = list(rules.firewall.tables["filter"].chains["INPUT"].rules)
    text = (
        "*filter\n:INPUT DROP [0:0]\n:V - [0:0]\n-A INPUT -j V\n-A V -p tcp --dport 80 -j ACCEPT\n"
        "-A INPUT -p tcp --dport 99999 -j ACCEPT\nCOMMIT\n"
    )
    for bad in (text, text.replace("99999", "99 -j TOS --set-tos 1"), text.replace("COMMIT\n", "")):
        with pytest.raises(FirewallError):
            iptables_restore(rules.firewall, bad)
        assert iptables_save(rules.firewall, "-c") == before
        assert rules.firewall.tables["filter"].chains["INPUT"].rules == live
    assert rules.run(tcp()) == DROP
    assert rules.run(udp()) == ACCEPT
    iptables_restore(rules.firewall, text.replace("99999", "99"))
    assert rules.run(tcp()) == ACCEPT
    assert rules.run(udp()) == DROP


def test_tables_before_the_bad_one_are_loaded():
    """The tool commits table by table (restores.jsonl has it from the tool)."""
    rules = Rules("-A INPUT -j ACCEPT")
    with pytest.raises(FirewallError) as caught:
        iptables_restore(
            rules.firewall, "*filter\n-A INPUT -j DROP\nCOMMIT\n*nat\n-A PREROUTING --no\nCOMMIT\n"
        )
    assert caught.value.line == 5
    assert rules.run(tcp()) == DROP


def test_test_changes_nothing_and_noflush_adds():
    rules = Rules("-A INPUT -p udp -j DROP")
    text = "*filter\n-A INPUT -p tcp -j DROP\nCOMMIT\n"
    iptables_restore(rules.firewall, text, "--test")
    assert rules.run(tcp()) == ACCEPT
    iptables_restore(rules.firewall, text, "-n")
    assert rules.run(tcp()) == rules.run(udp()) == DROP
    iptables_restore(rules.firewall, text)
    assert rules.run(udp()) == ACCEPT


def test_a_failed_rule_of_a_list_of_addresses_adds_none():
    rules = Rules()
    with pytest.raises(FirewallError, match=r"host/network `10\.0\.0\.x' not found"):
        iptables(rules.firewall, "-A INPUT -s 10.0.0.1,10.0.0.x -j DROP")
    assert rules.counters() == []


@pytest.mark.parametrize(
    ("command", "conntrack", "nat"),
    [
        ("-A INPUT -p tcp --dport 80 -j ACCEPT", False, False),
        ("-A INPUT -m state --state NEW", True, False),
        ("-A INPUT -m conntrack --ctstate NEW", True, False),
        ("-A INPUT -m connlimit --connlimit-above 1", True, False),
        ("-A INPUT -m connmark --mark 1", True, False),
        ("-t mangle -A INPUT -j CONNMARK --set-mark 1", True, False),
        ("-t raw -A PREROUTING -j NOTRACK", True, False),
        ("-t raw -A PREROUTING -j CT --zone 1", True, False),
        ("-t nat -A POSTROUTING -j MASQUERADE", True, True),
        ("-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 1", True, True),
        ("-t nat -A PREROUTING -j ACCEPT", False, False),
        ("-A INPUT -m hashlimit --hashlimit-upto 1/s --hashlimit-name x", False, False),
        ("-A INPUT -m recent --set", False, False),
    ],
)
def test_what_needs_conntrack(command: str, conntrack: bool, nat: bool):
    firewall = Rules(command).firewall
    assert (firewall.needs_conntrack, firewall.needs_nat) == (conntrack, nat)
    table = command.split()[1] if command.startswith("-t") else "filter"
    iptables(firewall, f"-t {table} -F")
    assert not firewall.needs_conntrack
    assert not firewall.needs_nat


def test_lists_of_names_are_forgotten_with_the_last_rule_that_uses_them():
    rules = Rules(
        "-A INPUT -m recent --name a --set",
        "-A INPUT -m recent --name a --rcheck -j DROP",
        "-A INPUT -m hashlimit --hashlimit-upto 1/s --hashlimit-name h",
    )
    shared = rules.firewall.shared
    assert (list(shared.recent_tables), list(shared.hash_tables)) == (["a"], ["h"])
    iptables(rules.firewall, "-D INPUT 1")
    assert list(shared.recent_tables) == ["a"]
    iptables(rules.firewall, "-F")
    assert (shared.recent_tables, shared.hash_tables) == ({}, {})


def test_packets_of_any_kind_do_not_stop_the_walk():
    """Octets that are hardly packets through rules that read them: none raises, and all that arrived are counted."""
    rules = Rules(
        "-A INPUT -p tcp --tcp-option 5",
        "-A INPUT -p tcp -m multiport --dports 1:9",
        "-A INPUT -p icmp --icmp-type any",
        "-A INPUT -m length --length 1:9",
        "-A INPUT -m hashlimit --hashlimit-upto 1/s --hashlimit-mode srcip,dstport --hashlimit-name x",
        "-A INPUT -m recent --set",
        "-A INPUT -j ACCEPT",
    )
    draw = random.Random(3)
    arrived = 0
    for _ in range(300):
        proto, size = draw.choice([1, 6, 17, 47, 132]), draw.choice([0, 3, 8, 20, 33, 60])
        off = draw.choice([0, 0, 8, 64])
        body = bytes(draw.randrange(256) for _ in range(size))
        data = octets.ip(body, proto, off=off, mf=bool(off), src=draw.randrange(1 << 24))
        p = ip4.load(octets.pool(), data)
        if p.drop == 0:
            lost = rules.run(p) == DROP  # a TCP fragment at 8, by its rule
            arrived += not lost
    assert rules.counters()[5][0] == rules.counters()[6][0] == arrived > 100
