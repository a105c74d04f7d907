"""Each match of netfilter with packets that fit it and packets that do not."""

from __future__ import annotations

from typing import Any

import pytest
from firewall.rules_kit import (
    A,
    B,
    Rules,
    State,
    address,
    conntrack,
    fits,
    icmp,
    load,
    ms,
    s,
    tcp,
    udp,
)
from fuzz import octets

from pystack._fast import consts, nf_consts, nf_hook
from pystack._fast.packet import Packet

ACCEPT, DROP = nf_hook.NF_ACCEPT, nf_hook.NF_DROP


def packet(name: str) -> Packet:
    """Packets that the table below speaks of."""
    return {
        "syn": lambda: tcp(),
        "ack": lambda: tcp(flags=16),
        "synack": lambda: tcp(flags=18),
        "xmas": lambda: tcp(flags=0x29),
        "null": lambda: tcp(flags=0),
        "ssh": lambda: tcp(dport=22),
        "mss": lambda: tcp(options=bytes.fromhex("020405b4")),
        "late-ts": lambda: tcp(
            options=bytes.fromhex("01010101") + bytes.fromhex("0101080a") + bytes(8)
        ),
        "dns": lambda: udp(b"x"),
        "ping": lambda: icmp(8),
        "unreach-4": lambda: icmp(3, 4),
        "first": lambda: load(octets.ip(bytes(16), octets.UDP, mf=True)),
        "later": lambda: load(octets.ip(bytes(16), octets.UDP, off=16)),
        "low-ttl": lambda: tcp(ip={"ttl": 3}),
        "tos": lambda: tcp(ip={"tos": 0xB8}),
        "other": lambda: tcp(ip={"src": address("192.0.2.7"), "dst": address("224.0.0.5")}),
    }[name]()


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        ("-s 10.0.0.0/24", "syn dns", "other"),
        ("! -s 10.0.0.0/24", "other", "syn"),
        ("-d 10.0.0.2", "syn", "other"),
        ("-s 10.0.0.1/255.0.0.255", "syn", "other"),
        ("-i eth0", "syn", ""),
        ("-i eth1", "", "syn"),
        ("-i eth+", "syn", ""),
        ("! -i eth+", "", "syn"),
        ("! -i ppp+", "syn", ""),
        ("-p tcp", "syn ack", "dns ping"),
        ("! -p tcp", "dns ping", "syn"),
        ("-f", "later", "first syn"),
        ("! -f", "first syn", "later"),
        ("-p tcp --dport 80", "syn", "ssh dns"),
        ("-p tcp ! --dport 80", "ssh", "syn"),
        ("-p tcp --sport 1000:2000 --dport :79", "ssh", "syn"),
        ("-p tcp --syn", "syn", "ack synack"),
        ("-p tcp ! --syn", "ack synack", "syn"),
        ("-p tcp --tcp-flags ALL NONE", "null", "syn xmas"),
        ("-p tcp --tcp-flags ALL FIN,PSH,URG", "xmas", "syn"),
        ("-p tcp --tcp-option 2", "mss", "syn"),
        ("-p tcp ! --tcp-option 2", "syn", "mss"),
        ("-p tcp --tcp-option 8", "late-ts", "mss"),
        ("-p udp --dport 53", "dns", "syn later"),
        ("-p icmp --icmp-type ping", "ping", "unreach-4 dns"),
        ("-p icmp --icmp-type 3/4", "unreach-4", "ping"),
        ("-p icmp --icmp-type 3/1", "", "unreach-4"),
        ("-p icmp --icmp-type 3", "unreach-4", "ping"),
        ("-p icmp --icmp-type any", "unreach-4 ping", "syn"),
        ("-p icmp ! --icmp-type 8", "unreach-4", "ping"),
        ("-p tcp -m multiport --dports 22,80:90", "syn ssh", ""),
        ("-p tcp -m multiport ! --dports 22", "syn", "ssh"),
        ("-p tcp -m multiport --sports 80", "", "syn"),
        ("-p tcp -m multiport --ports 80", "syn", "ssh"),
        ("-p udp -m multiport --ports 53", "dns", "later syn"),
        ("-m comment --comment x", "syn dns later", ""),
        ("-m iprange --src-range 10.0.0.0-10.0.0.1", "syn", "other"),
        ("-m iprange ! --dst-range 10.0.0.0-10.0.0.9", "other", "syn"),
        ("-m length --length 40", "syn", "mss dns"),
        ("-m length ! --length 41:", "syn", "mss"),
        ("-m ttl --ttl-eq 64", "syn", "low-ttl"),
        ("-m ttl ! --ttl-eq 64", "low-ttl", "syn"),
        ("-m ttl --ttl-lt 4", "low-ttl", "syn"),
        ("-m ttl --ttl-lt 3", "", "low-ttl syn"),
        ("-m ttl --ttl-gt 2", "low-ttl syn", ""),
        ("-m tos --tos 0xb8", "tos", "syn"),
        ("-m dscp --dscp-class EF", "tos", "syn"),
        ("-m dscp ! --dscp-class EF", "syn", "tos"),
        ("-m addrtype --dst-type LOCAL", "syn", "other"),
        ("-m addrtype ! --dst-type LOCAL,BROADCAST --src-type UNICAST", "other", "syn"),
        ("-m addrtype --dst-type LOCAL --limit-iface-in", "syn", "other"),
    ],
)
def test_what_fits(rule: str, yes: str, no: str):
    assert yes or no
    for name in yes.split():
        assert fits(rule, packet(name)), name
    for name in no.split():
        assert not fits(rule, packet(name)), name


@pytest.mark.parametrize("number", [0, 1, 63, 64, 100])
def test_interfaces_of_any_number(number: int):
    """A rule remembers its answer for the first 64 interfaces; for the others it asks each time."""
    rules = Rules("-A INPUT -i tun64 -j DROP", "-A INPUT -i tun+ -j DROP")
    for _ in range(2):
        p = tcp()
        p.iface_in = number
        tun = number >= 3
        assert rules.run(p) == (DROP if tun else ACCEPT)
    assert rules.counters()[0][0] == (2 if number == 64 else 0)


def test_lo_is_where_a_machine_speaks_to_itself():
    rules = Rules("-A INPUT -i lo -j DROP", "-A OUTPUT -o lo -j DROP", "-A FORWARD -i lo -j DROP")
    p = tcp()
    p.iface_in = p.iface_out = -1
    assert rules.run(p) == DROP
    assert rules.run(p, "OUTPUT") == DROP
    p.iface_in = 0
    assert rules.run(p) == ACCEPT
    p.iface_out = 1
    assert rules.run(p, "OUTPUT") == ACCEPT


def test_a_fragment_that_would_overwrite_the_flags_is_lost():
    """Where xt_tcp is asked: what the tool writes in nftables' own terms does not look at that, as a 6.18 showed."""
    rules = Rules("-A INPUT -p tcp --dport 22 --tcp-option 3 -j ACCEPT")
    p = load(octets.ip(bytes(16), octets.TCP, off=8))
    assert rules.run(p) == DROP
    assert rules.run(load(octets.ip(bytes(16), octets.TCP, off=16))) == ACCEPT
    rules = Rules("-A INPUT -p tcp --dport 22 -j ACCEPT")
    assert rules.run(load(octets.ip(bytes(16), octets.TCP, off=8))) == ACCEPT


@pytest.mark.parametrize("off", [0, 8, 16])
def test_ports_of_fragments(off: int):
    """Of the first everybody knows them; in the others nftables takes what stands there for them (a 6.18 does)."""
    p = load(octets.ip(octets.udp(b"x" * 8, sport=512, dport=53), octets.UDP, mf=not off, off=off))
    first = off == 0
    for rule, wanted in (
        ("-p udp --sport 512", True),
        ("-p udp ! --sport 500:600", False),
        ("-p udp -m multiport --sports 512", first),
        ("-p udp -m multiport ! --sports 512", False),
    ):
        assert fits(rule, p) is wanted, rule
    p = load(octets.ip(octets.tcp(flags=2), octets.TCP, mf=not off, off=off))
    assert fits("-p tcp --syn", p)
    assert fits("-p tcp ! --syn", p) is False
    p = load(octets.ip(octets.icmp(8), octets.ICMP, mf=not off, off=off))
    assert fits("-p icmp --icmp-type 8", p) is first


def test_marks():
    for mark, rule, wanted in (
        (5, "--mark 5", True),
        (5, "! --mark 5", False),
        (0x15, "--mark 0x5/0xf", True),
        (0x15, "--mark 0x5", False),
        (0x80000000, "--mark 0x80000000/0x80000000", True),
    ):
        p = tcp()
        p.mark = mark
        assert fits(f"-m mark {rule}", p) == wanted


# --- flows ----------------------------------------------------------------------------------------------------


def flow(state: State, *, answered: bool = False) -> Packet:
    """A later packet of the first side of a flow."""
    ct = conntrack(state)
    p = udp()
    ct.conntrack_in(p, state.now)
    ct.confirm(p, state.now)
    if answered:
        q = udp(sport=53, dport=1234, ip={"src": B, "dst": A})
        ct.conntrack_in(q, state.now)
    p = udp()
    ct.conntrack_in(p, state.now)
    return p


@pytest.mark.parametrize(
    ("state", "rule", "wanted"),
    [
        (nf_consts.CTS_NEW, "--ctstate NEW", True),
        (nf_consts.CTS_NEW, "--ctstate ESTABLISHED,RELATED", False),
        (nf_consts.CTS_NEW, "! --ctstate ESTABLISHED,RELATED", True),
        (nf_consts.CTS_INVALID, "--ctstate INVALID", True),
        (nf_consts.CTS_NONE, "--ctstate INVALID", True),
        (nf_consts.CTS_UNTRACKED, "--ctstate INVALID", False),
        (nf_consts.CTS_UNTRACKED, "--ctstate UNTRACKED", True),
        (nf_consts.CTS_NEW, "--ctstatus CONFIRMED", False),
        (nf_consts.CTS_INVALID, "! --ctstate NEW", True),
    ],
)
def test_states_of_packets_without_a_flow(state: int, rule: str, wanted: bool):
    p = tcp()
    p.ct_state = state if state != nf_consts.CTS_NEW else nf_consts.CTS_INVALID
    if state == nf_consts.CTS_NEW:
        rules = Rules(f"-A INPUT -m conntrack {rule} -j DROP")
        p = udp()
        conntrack(rules.state).conntrack_in(p, rules.state.now)
        assert (rules.run(p) == DROP) == wanted
        return
    assert fits(f"-m conntrack {rule}", p) == wanted
    if "status" not in rule:
        assert fits(f"-m state {rule.replace('ctstate', 'state')}", p) == wanted


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("--ctstate ESTABLISHED", True),
        ("--ctproto udp", True),
        ("! --ctproto udp", False),
        ("--ctproto tcp", False),
        ("--ctdir ORIGINAL", True),
        ("--ctdir REPLY", False),
        ("--ctorigsrc 10.0.0.1", True),
        ("--ctorigsrc 10.0.0.2", False),
        ("--ctorigdst 10.0.0.0/30", True),
        ("! --ctorigdst 10.0.0.0/30", False),
        ("--ctreplsrc 10.0.0.2", True),
        ("--ctrepldst 10.0.0.1", True),
        ("--ctrepldst 10.0.0.2", False),
        ("--ctorigsrcport 1234", True),
        ("--ctorigdstport 50:60", True),
        ("--ctorigdstport 54:60", False),
        ("--ctreplsrcport 53", True),
        ("! --ctrepldstport 1234", False),
        ("--ctstatus SEEN_REPLY", True),
        ("--ctstatus SEEN_REPLY,CONFIRMED,EXPECTED", True),
        ("--ctstatus ASSURED", False),
        ("--ctstatus NONE", False),
        ("--ctexpire 30", True),
        ("--ctexpire 0:29", False),
        ("! --ctexpire 31:40", True),
        ("--ctorigsrc 10.0.0.1 --ctorigdstport 53 --ctstate ESTABLISHED --ctproto 17", True),
        ("--ctorigsrc 10.0.0.1 --ctorigdstport 54 --ctstate ESTABLISHED", False),
    ],
)
def test_parts_of_a_flow(rule: str, wanted: bool):
    rules = Rules(f"-A INPUT -m conntrack {rule} -j DROP")
    assert (rules.run(flow(rules.state, answered=True)) == DROP) == wanted


def test_a_translated_flow_is_snat_or_dnat():
    for bit, name in ((nf_consts.IPS_SRC_NAT, "SNAT"), (nf_consts.IPS_DST_NAT, "DNAT")):
        rules = Rules(f"-A INPUT -m conntrack --ctstate {name} -j DROP")
        p = flow(rules.state)
        assert rules.run(p) == ACCEPT
        rules.state.conntrack.half[(p.ct << 5) + nf_consts.H_STATUS] |= bit
        assert rules.run(p) == DROP


def test_connmark():
    rules = Rules("-A INPUT -m connmark --mark 0x7/0xff -j DROP")
    p = flow(rules.state)
    assert rules.run(p) == ACCEPT
    rules.state.conntrack.word[(p.ct << 4) + nf_consts.W_MARK] = 0x107
    assert rules.run(p) == DROP
    p.ct = 0
    assert rules.run(p) == ACCEPT


# --- memory ---------------------------------------------------------------------------------------------------


def answers(rules: Rules, times: list[int], make: Any = tcp) -> list[bool]:
    """Was each of the packets at these ns from now dropped?"""
    begin = rules.state.now
    out = []
    for time in times:
        rules.state.now = begin + time
        out.append(rules.run(make()) == DROP)
    return out


def test_limit():
    """A bucket of three, one more each half second (facts: conntrack 7.3: 3 of 6 pass, 1.05 s later 2 of 4)."""
    rules = Rules("-A INPUT -m limit --limit 2/sec --limit-burst 3 -j DROP")
    assert answers(rules, [0] * 6) == [True] * 3 + [False] * 3
    assert answers(rules, [1050 * ms] * 4) == [True] * 2 + [False] * 2
    assert answers(rules, [3600 * s] * 5) == [True] * 3 + [False] * 2


@pytest.mark.parametrize(
    "how", ["--hashlimit-upto 2/sec", "! --hashlimit-above 2/sec", "--hashlimit 2/s"]
)
def test_hashlimit_upto(how: str):
    rules = Rules(f"-A INPUT -m hashlimit {how} --hashlimit-burst 3 --hashlimit-name x -j DROP")
    assert answers(rules, [0] * 6) == [True] * 3 + [False] * 3
    assert answers(rules, [1050 * ms] * 4) == [True] * 2 + [False] * 2


def test_hashlimit_above_by_source_and_port():
    rules = Rules(
        "-A INPUT -p tcp -m hashlimit --hashlimit-above 1/sec --hashlimit-burst 2"
        " --hashlimit-mode srcip,dstport --hashlimit-srcmask 24 --hashlimit-name x -j DROP"
    )

    def other() -> Packet:
        return tcp(ip={"src": address("10.0.1.1")})

    assert answers(rules, [0] * 3) == [False, False, True]
    assert answers(rules, [0], lambda: tcp(ip={"src": address("10.0.0.77")})) == [True]
    assert answers(rules, [0] * 3, other) == [False, False, True]
    assert answers(rules, [0] * 3, lambda: tcp(dport=22)) == [False, False, True]


def test_hashlimit_forgets_a_key_that_was_not_seen():
    rules = Rules(
        "-A INPUT -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-mode srcip"
        " --hashlimit-name x --hashlimit-htable-expire 5000 -j DROP"
    )
    assert answers(rules, [0, 1 * s, 2 * s]) == [True, False, False]
    assert answers(rules, [6 * s, 7 * s]) == [True, False]  # 5 s after it was seen last


def test_hashlimit_table_full_loses_the_packet():
    """Keys are no fewer than buckets, as a 6.18 has it."""
    rules = Rules(
        "-A INPUT -m hashlimit --hashlimit-above 1/sec --hashlimit-mode srcip"
        " --hashlimit-name x --hashlimit-htable-max 1 --hashlimit-htable-size 2 -j ACCEPT"
    )
    sources = [address(f"192.0.2.{n}") for n in (1, 2, 3, 1)]
    assert [rules.run(tcp(ip={"src": a})) for a in sources] == [ACCEPT, ACCEPT, DROP, ACCEPT]


def test_hashlimit_in_octets():
    """1 kB/s: a second's worth at once, which is 15 packets of 68 octets (5 units of 16 each)."""
    rules = Rules("-A INPUT -m hashlimit --hashlimit-above 1kb/s --hashlimit-name x -j DROP")
    dropped = answers(rules, [0] * 20, lambda: udp(bytes(40)))
    assert dropped == sorted(dropped)
    assert sum(not d for d in dropped) == 13  # 65 units of 1/65 s each
    assert answers(rules, [500 * ms] * 10, lambda: udp(bytes(40))).count(False) == 6


@pytest.mark.parametrize("how", ["upto", "above"])
@pytest.mark.parametrize(
    ("said", "at_once"),
    [
        ("", 1),
        (" --hashlimit-burst 16b", 2),
        (" --hashlimit-burst 32b", 3),
        (" --hashlimit-burst 41b", 4),
    ],
)
def test_hashlimit_burst_in_octets(how: str, said: str, at_once: int):
    """So many packets of whatever size a 6.18 let through at 16 octets a second, before it began to count."""
    rules = Rules(f"-A INPUT -m hashlimit --hashlimit-{how} 16b/s{said} --hashlimit-name x -j DROP")
    dropped = answers(rules, [0] * 9, lambda: udp(bytes(900)))
    assert dropped == [(n < at_once) == (how == "upto") for n in range(9)]


def test_hashlimit_counts_whole_windows():
    """--hashlimit-rate-match: rate and burst in one interval, none after an interval with more than the rate."""
    rules = Rules(
        "-A INPUT -m hashlimit --hashlimit-upto 2/sec --hashlimit-burst 1 --hashlimit-name x"
        " --hashlimit-rate-match --hashlimit-rate-interval 2 --hashlimit-htable-expire 60000 -j DROP"
    )
    # as a 6.18 answered at these times
    assert answers(rules, [0] * 5) == [True] * 3 + [False] * 2
    assert answers(rules, [1 * s] * 2) == [False] * 2
    assert answers(rules, [1200 * ms] * 12) == [False] * 12  # there were 7, more than 3 a second
    assert answers(rules, [2100 * ms] * 2) == [False] * 2  # there were 12
    assert answers(rules, [2100 * ms] * 4) == [True] * 3 + [False]
    assert answers(rules, [1 * s] * 3) == [False] * 3


def test_hashlimit_counts_octets_in_whole_windows():
    """1 kB/s with a burst of 3 kB: 3,072 octets in an interval, however long it is."""
    rules = Rules(
        "-A INPUT -m hashlimit --hashlimit-above 1kb/s --hashlimit-burst 3kb --hashlimit-name x"
        " --hashlimit-rate-match --hashlimit-rate-interval 3600 -j DROP"
    )
    assert answers(rules, [0] * 5, lambda: udp(bytes(996))) == [False] * 3 + [True] * 2


def test_hashlimit_knows_ports_of_other_protocols():
    """SPIs of IPsec too; what is too short for them is lost."""
    rules = Rules(
        "-A INPUT -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-mode dstport"
        " --hashlimit-name x -j ACCEPT",
        "-P INPUT DROP",
    )
    for proto, before in ((132, b""), (33, b""), (136, b""), (50, b""), (51, b"abcd")):
        one, two = (before + bytes([1, 2, proto, n]) + bytes(8) for n in (1, 2))
        got = [rules.run(load(octets.ip(data, proto))) for data in (one, one, two)]
        assert got == [ACCEPT, DROP, ACCEPT], proto
    rules = Rules(
        "-A INPUT -m hashlimit --hashlimit-upto 1/sec --hashlimit-mode dstport --hashlimit-name x"
    )
    for proto, data in ((50, b"abc"), (51, b"abcdefg")):
        assert rules.run(load(octets.ip(data, proto))) == DROP
    assert rules.run(load(octets.ip(b"", 99))) == ACCEPT


@pytest.mark.parametrize("proto", [132, 33, 136])
def test_multiport_of_other_protocols(proto: int):
    rule = f"-p {proto} -m multiport --dports 9,80:90"
    assert fits(rule, load(octets.ip(b"\0\1\0\x55" + bytes(8), proto)))
    assert not fits(rule, load(octets.ip(b"\0\1\0\x5b" + bytes(8), proto)))
    rules = Rules(f"-A INPUT {rule}")
    fault = consts.Drop.UDP_TRUNCATED if proto == consts.PROTO_UDPLITE else 0
    assert rules.run(load(octets.ip(b"\0\1\0", proto), fault)) == DROP  # lost: it has no ports


def test_rules_of_one_name_share_a_table():
    line = "-m hashlimit --hashlimit-upto 1/min --hashlimit-burst 2 --hashlimit-name both -j DROP"
    rules = Rules(f"-A INPUT -p tcp {line}", f"-A INPUT -p udp {line}")
    assert answers(rules, [0]) == [True]
    assert answers(rules, [0, 0], udp) == [True, False]


def test_statistic_nth():
    rules = Rules("-A INPUT -m statistic --mode nth --every 3 --packet 0 -j DROP")
    assert answers(rules, [0] * 7) == [True, False, False, True, False, False, True]
    rules = Rules("-A INPUT -m statistic --mode nth --every 3 --packet 2 -j DROP")
    assert answers(rules, [0] * 6) == [False, False, True] * 2
    rules = Rules("-A INPUT -m statistic --mode nth ! --every 2 --packet 0 -j DROP")
    assert answers(rules, [0] * 4) == [False, True] * 2


def test_statistic_random():
    rules = Rules("-A INPUT -m statistic --mode random --probability 0.25 -j DROP")
    hits = sum(answers(rules, [0] * 2000))
    assert 400 < hits < 600
    assert all(
        answers(Rules("-A INPUT -m statistic --mode random --probability 1 -j DROP"), [0] * 50)
    )
    never = Rules("-A INPUT -m statistic --mode random --probability 0 -j DROP")
    assert not any(answers(never, [0] * 50))


def test_recent_lets_three_in_a_minute():
    rules = Rules(
        "-A INPUT -m recent --name ssh --update --seconds 60 --hitcount 4 -j DROP",
        "-A INPUT -m recent --name ssh --set",
    )
    assert answers(rules, [0, 1 * s, 2 * s, 3 * s, 4 * s]) == [False] * 4 + [True]
    assert answers(rules, [0], lambda: tcp(ip={"src": address("10.0.0.9")})) == [False]
    # each refused packet counts, too, so knocking on keeps the door shut
    assert answers(rules, [10 * s, 20 * s, 30 * s, 40 * s]) == [True] * 4
    assert answers(rules, [61 * s]) == [False]


def test_recent_rcheck_does_not_count_and_remove_forgets():
    rules = Rules(
        "-A INPUT -p tcp --dport 1 -m recent --set -j ACCEPT",
        "-A INPUT -p tcp --dport 2 -m recent --remove -j DROP",
        "-A INPUT -p tcp --dport 3 -m recent --rcheck --seconds 10 -j DROP",
        "-A INPUT -p tcp --dport 4 -m recent ! --rcheck -j DROP",
    )

    def knock(port: int, after: int = 0) -> bool:
        rules.state.now += after
        return rules.run(tcp(dport=port)) == DROP

    assert not knock(3)
    assert knock(4)
    assert not knock(1)
    assert knock(3)
    assert not knock(4)
    assert not knock(3, 11 * s)
    assert not knock(4)  # it is in the list still
    assert knock(2)
    assert not knock(2)
    assert knock(4)


def test_recent_holds_a_hundred_addresses():
    rules = Rules(
        "-A INPUT -p tcp --dport 1 -m recent --set -j ACCEPT",
        "-A INPUT -p tcp --dport 2 -m recent --rcheck -j DROP",
    )
    sources = [address("192.0.2.0") + n for n in range(101)]
    for source in sources:
        rules.run(tcp(dport=1, ip={"src": source}))
    known = [rules.run(tcp(dport=2, ip={"src": source})) == DROP for source in sources]
    assert known == [False] + [True] * 100


def test_connlimit_as_a_real_kernel_counts():
    """Facts: conntrack 7.3. Three pass, the fourth is refused, another source passes, a packet of a flow that counts
    passes; when one of the three is closed, the next passes.
    """
    rules = Rules("-A INPUT -p tcp --syn -m connlimit --connlimit-above 3 -j DROP")
    ct = conntrack(rules.state)

    def syn(sport: int, src: int = A, after: int = 10 * ms) -> bool:
        rules.state.now += after
        p = tcp(sport=sport, ip={"src": src})
        ct.conntrack_in(p, rules.state.now)
        refused = rules.run(p) == DROP
        if refused:
            ct.forget(p)
        else:
            ct.confirm(p, rules.state.now)
        return refused

    assert [syn(n) for n in (1, 2, 3, 4, 5)] == [False, False, False, True, True]
    assert not syn(9, address("10.0.0.9"))
    assert syn(2)  # the list still has the refused one behind it
    rows = {ct.keys[4 * row + 1] >> 48: row for row in ct.flows()}
    ct.half[(rows[2] << 5) + nf_consts.H_STATUS] |= nf_consts.IPS_ASSURED
    assert not syn(2)
    ct.octet[(rows[3] << 6) + nf_consts.O_STATE] = nf_consts.TCPCT_TIME_WAIT
    assert not syn(6)
    assert syn(7)


def test_connlimit_by_network_and_upto():
    rules = Rules(
        "-A INPUT -m connlimit --connlimit-upto 2 --connlimit-mask 24 -j ACCEPT", "-P INPUT DROP"
    )
    ct = conntrack(rules.state)
    passed = []
    for n in range(4):
        rules.state.now += 10 * ms
        p = tcp(sport=n + 1, ip={"src": address("192.0.2.1") + n})
        ct.conntrack_in(p, rules.state.now)
        passed.append(rules.run(p) == ACCEPT)
        if passed[-1]:
            ct.confirm(p, rules.state.now)
        else:
            ct.forget(p)
    assert passed == [True, True, False, False]


def test_connlimit_grows_beyond_its_first_room():
    rules = Rules("-A INPUT -m connlimit --connlimit-above 0 --connlimit-mask 0 -j DROP")
    ct = conntrack(rules.state)
    for n in range(200):
        rules.state.now += 10 * ms
        p = tcp(sport=n + 1)
        ct.conntrack_in(p, rules.state.now)
        assert rules.run(p) == DROP
        ct.confirm(p, rules.state.now)
    match = rules.firewall.tables["filter"].chains["INPUT"].rules[0].first
    assert match.count[1] == 200


def test_without_conntrack_connlimit_loses_the_packet():
    rules = Rules("-A INPUT -m connlimit --connlimit-above 3 -j ACCEPT")
    assert rules.run(tcp()) == DROP
    assert not rules.state.hot_drop
