"""Each target of netfilter: its verdict, what it asks of the machine, what it does to a packet."""

from __future__ import annotations

from typing import Any

import pytest
from firewall.rules_kit import A, B, Rules, address, conntrack, load, tcp, udp
from fuzz import octets
from hypothesis import given
from hypothesis import strategies as st

from pystack._fast import ip4, nf_consts, nf_hook
from pystack._fast.packet import Packet

ACCEPT, DROP = nf_hook.NF_ACCEPT, nf_hook.NF_DROP
ANY = 0xFFFFFFFF


def apply(target: str, p: Packet, chain: str, table: str) -> Rules:
    """One rule with this target, and the packet through it."""
    words = target if "-p " in target else f"-j {target}"
    rules = Rules(f"-t {table} -A {chain} {words}")
    rules.verdict = rules.run(p, chain, table)  # type: ignore[attr-defined]
    return rules


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("icmp-net-unreachable", 0),
        ("icmp-host-unreachable", 1),
        ("icmp-proto-unreachable", 2),
        ("icmp-port-unreachable", 3),
        ("icmp-net-prohibited", 9),
        ("icmp-host-prohibited", 10),
        ("icmp-admin-prohibited", 13),
        ("tcp-reset", -1),
    ],
)
def test_reject_tells_and_drops(kind: str, code: int):
    rules = Rules(f"-A INPUT -p tcp -j REJECT --reject-with {kind}")
    assert rules.run(tcp()) == DROP
    assert rules.state.asked == [("reject", code)]


def test_log_says_and_goes_on():
    rules = Rules(
        '-A INPUT -j LOG --log-prefix "a b " --log-level 6 --log-tcp-sequence --log-uid',
        "-A INPUT -j DROP",
    )
    assert rules.run(tcp()) == DROP
    assert rules.state.asked == [("log", "a b ", 6, 9)]


@pytest.mark.parametrize(
    ("target", "chain", "asked"),
    [
        ("SNAT --to-source 192.0.2.1", "POSTROUTING", ("snat", "192.0.2.1", "192.0.2.1", 0, 0)),
        (
            "SNAT --to-source 192.0.2.1-192.0.2.9 --persistent --random-fully",
            "POSTROUTING",
            ("snat", "192.0.2.1", "192.0.2.9", 0, 0, "random_fully", "persistent"),
        ),
        (
            "-p tcp -j SNAT --to-source :1000-2000 --random",
            "INPUT",
            ("snat", "0.0.0.0", "0.0.0.0", 1000, 2000, "random"),
        ),
        (
            "-p tcp -j DNAT --to-destination 10.1.1.1:8080",
            "PREROUTING",
            ("dnat", "10.1.1.1", "10.1.1.1", 8080, 8080),
        ),
        (
            "-p tcp -j REDIRECT --to-ports 81",
            "PREROUTING",
            ("dnat", "10.0.0.2", "10.0.0.2", 81, 81),
        ),
        ("REDIRECT", "OUTPUT", ("dnat", "127.0.0.1", "127.0.0.1", 0, 0)),
        (
            "NETMAP --to 10.9.0.0/16",
            "PREROUTING",
            ("dnat", "10.9.0.0", "10.9.255.255", 0, 0, "netmap"),
        ),
        (
            "NETMAP --to 10.9.0.0/16",
            "POSTROUTING",
            ("snat", "10.9.0.0", "10.9.255.255", 0, 0, "netmap"),
        ),
    ],
)
def test_nat_asks_for_a_range(target: str, chain: str, asked: tuple[Any, ...]):
    rules = apply(target, tcp(), chain, "nat")
    kind, low, high, *rest = asked
    assert rules.state.asked == [(kind, address(low), address(high), *rest)]


def test_masquerade_and_the_base_of_a_port_range():
    rules = apply("-p tcp -j MASQUERADE --to-ports 5-9", tcp(), "POSTROUTING", "nat")
    assert rules.state.asked == [("masquerade", 5, 9)]
    rules = Rules("-t nat -A PREROUTING -p tcp -j DNAT --to-destination 1.2.3.4:80-90/8000")
    target = rules.firewall.tables["nat"].chains["PREROUTING"].rules[0].target
    wanted = target.wanted
    assert (wanted.port_low, wanted.port_high, wanted.port_base) == (80, 90, 8000)


def test_redirect_where_the_interface_has_no_address():
    p = tcp()
    p.iface_in = 2
    rules = apply("REDIRECT", p, "PREROUTING", "nat")
    assert rules.verdict == DROP  # type: ignore[attr-defined]
    assert rules.state.asked == []


@pytest.mark.parametrize("target", ["NOTRACK", "CT --notrack"])
def test_notrack(target: str):
    p = tcp()
    apply(target, p, "PREROUTING", "raw")
    assert p.ct_state == nf_consts.CTS_UNTRACKED
    q = tcp()
    q.ct_state = nf_consts.CTS_ESTABLISHED
    apply(target, q, "PREROUTING", "raw")
    assert q.ct_state == nf_consts.CTS_ESTABLISHED  # it has been seen


def test_zones():
    p = tcp()
    apply("CT --zone 7", p, "PREROUTING", "raw")
    assert p.ct_zone == 7
    for other in ("CT --zone 9", "CT", "NOTRACK"):  # the first counts, as 6.18 has it
        apply(other, p, "PREROUTING", "raw")
        assert (p.ct_zone, p.ct_state) == (7, nf_consts.CTS_NONE)
    p = tcp()
    p.mark = 0x12345
    apply("CT --zone mark", p, "PREROUTING", "raw")
    assert p.ct_zone == 0x2345
    p = tcp()
    apply("CT", p, "PREROUTING", "raw")
    apply("CT --zone 5", p, "PREROUTING", "raw")
    assert p.ct_zone == 0


@pytest.mark.parametrize(
    ("words", "old", "new"),
    [
        ("--set-mark 5", 0xF0, 5),
        ("--set-mark 5/0xf", 0xF2, 0xF5),
        ("--set-xmark 5/0x1", 0xF2, 0xF7),
        ("--and-mark 0xf0", 0xFF, 0xF0),
        ("--or-mark 0x0f", 0xF0, 0xFF),
        ("--xor-mark 0xff", 0xF0, 0x0F),
        ("--set-mark 0xffffffff", 0, ANY),
    ],
)
def test_marks(words: str, old: int, new: int):
    p = tcp()
    p.mark = old
    apply(f"MARK {words}", p, "PREROUTING", "mangle")
    assert p.mark == new
    rules = Rules(f"-t mangle -A PREROUTING -j CONNMARK {words}")
    ct = conntrack(rules.state)
    q = udp()
    ct.conntrack_in(q, rules.state.now)
    ct.word[(q.ct << 4) + nf_consts.W_MARK] = old
    rules.run(q, "PREROUTING", "mangle")
    assert ct.word[(q.ct << 4) + nf_consts.W_MARK] == new
    assert q.mark == 0


@pytest.mark.parametrize(
    ("words", "mark", "flow"),
    [
        ("--set-mark 3 --left-shift-mark 4", 0xABCD, 0x30),
        ("--set-mark 0xf0 --right-shift-mark 3", 0xABCD, 0x1E),
        ("--set-xmark 1/1 --left-shift-mark 31", 0xABCD, 0x80000000),
        ("--save-mark --left-shift-mark 3", 0xABCD, 0xABCD << 3),
        ("--save-mark --nfmask 0xff --ctmask 0xff00 --right-shift-mark 4", 0xABCD, 0x0C ^ 0x35),
        ("--restore-mark --right-shift-mark 1", 0x1A, 0x35),
        ("--restore-mark --nfmask 0xff --ctmask 0xf --left-shift-mark 4", 0xAB50, 0x35),
    ],
)
def test_connmark_shifts(words: str, mark: int, flow: int):
    """(x & ~mask) ^ value of what is set or copied, shifted; the flow had 0x35, the packet 0xabcd."""
    rules = Rules(f"-t mangle -A PREROUTING -j CONNMARK {words}")
    ct = conntrack(rules.state)
    p = tcp()
    ct.conntrack_in(p, rules.state.now)
    ct.word[(p.ct << 4) + nf_consts.W_MARK] = 0x35
    p.mark = 0xABCD
    rules.run(p, "PREROUTING", "mangle")
    assert (p.mark, ct.word[(p.ct << 4) + nf_consts.W_MARK]) == (mark, flow)


def test_connmark_saves_and_restores():
    rules = Rules(
        "-t mangle -A PREROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xf",
        "-t mangle -A POSTROUTING -j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xf0",
    )
    ct = conntrack(rules.state)
    p = udp()
    ct.conntrack_in(p, rules.state.now)
    ct.word[(p.ct << 4) + nf_consts.W_MARK] = 0xABC
    p.mark = 0x123
    rules.run(p, "PREROUTING", "mangle")
    assert ct.word[(p.ct << 4) + nf_consts.W_MARK] == 0xAB0 ^ 0x23
    p.mark = 0xF5
    rules.run(p, "POSTROUTING", "mangle")
    assert p.mark == 0xF0 ^ ((0xAB0 ^ 0x23) & 0xF0)
    p.ct = 0
    p.mark = 7
    rules.run(p, "PREROUTING", "mangle")
    assert p.mark == 7


def test_a_mark_of_a_flow_is_an_event():
    rules = Rules("-t mangle -A PREROUTING -j CONNMARK --set-mark 1")
    ct = conntrack(rules.state)
    p = udp()
    ct.conntrack_in(p, rules.state.now)
    ct.confirm(p, rules.state.now)
    q = udp()
    ct.conntrack_in(q, rules.state.now)
    heard: list[tuple[int, int]] = []
    ct.listener = lambda event, row: heard.append((event, row))
    for _ in range(2):
        rules.run(q, "PREROUTING", "mangle")
    assert heard == []  # not before it leaves
    row = q.ct
    ct.confirm(q, rules.state.now)
    assert heard == [(2, row)]  # once: the second time nothing changed


# --- packets that are changed -----------------------------------------------------------------------------------


def sound(p: Packet) -> bytes:
    """The octets of a packet whose checksums and fields agree with them."""
    data = p.to_bytes()
    head = (data[0] & 15) * 4
    assert octets.checksum(data[:head]) == 0
    assert int.from_bytes(data[2:4], "big") == len(data) == p.total
    again = ip4.load(octets.pool(), data)
    assert again.drop == 0
    for name in ("tos", "ttl", "src", "dst", "head_len", "opt_mss", "sport", "flags", "total"):
        assert getattr(again, name) == getattr(p, name), name
    return data


@pytest.mark.parametrize(
    ("target", "field", "old", "new"),
    [
        ("TOS --set-tos 0x10", "tos", 0xE3, 0x10),
        ("TOS --set-tos Minimize-Delay", "tos", 0xE3, 0xD0),
        ("TOS --or-tos 0x10", "tos", 0x03, 0x13),
        ("TOS --and-tos 0x3c", "tos", 0xFF, 0x3C),
        ("TOS --xor-tos 0xff", "tos", 0x0F, 0xF0),
        ("DSCP --set-dscp-class EF", "tos", 0x03, 0xBB),
        ("TTL --ttl-set 9", "ttl", 64, 9),
        ("TTL --ttl-dec 5", "ttl", 3, 0),
        ("TTL --ttl-dec 5", "ttl", 64, 59),
        ("TTL --ttl-inc 5", "ttl", 252, 255),
        ("TTL --ttl-inc 5", "ttl", 64, 69),
    ],
)
def test_headers(target: str, field: str, old: int, new: int):
    p = tcp(b"data", ip={field: old}, flags=16)
    apply(target, p, "PREROUTING", "mangle")
    assert getattr(p, field) == new
    sound(p)


MSS_1460 = bytes.fromhex("020405b4")


@pytest.mark.parametrize("open_checksum", [False, True])
@pytest.mark.parametrize(
    ("options", "wanted", "mss"),
    [
        (MSS_1460, "--set-mss 1400", 1400),
        (MSS_1460, "--set-mss 1460", 1460),
        (MSS_1460, "--set-mss 1500", 1460),  # never a larger one
        (bytes.fromhex("01") + MSS_1460 + bytes.fromhex("010101"), "--set-mss 1000", 1000),
        (bytes.fromhex("0303070101") + MSS_1460 + bytes(3), "--set-mss 1000", 1000),
        (MSS_1460, "--clamp-mss-to-pmtu", 1360),
        (b"", "--set-mss 1400", 536),  # RFC 1122: the default is all that may be told
        (b"", "--set-mss 500", 500),
        (bytes.fromhex("01030307"), "--set-mss 1400", 536),
    ],
)
def test_tcpmss(options: bytes, wanted: str, mss: int, open_checksum: bool):
    rules = Rules(f"-t mangle -A FORWARD -p tcp --syn -j TCPMSS {wanted}")
    rules.state.mtu = 1400
    p = tcp(options=options)
    p.csum_ok = open_checksum
    before = p.to_bytes()
    assert rules.run(p, "FORWARD", "mangle") == ACCEPT
    after = sound(p)
    assert p.opt_mss == mss
    added = 0 if MSS_1460 in options else 4
    assert len(after) == len(before) + added


def test_tcpmss_leaves_alone_what_it_must():
    rules = Rules("-t mangle -A FORWARD -p tcp -j TCPMSS --set-mss 500")
    with_data = tcp(b"fast open")
    full = tcp(options=bytes([1]) * 40)
    later = load(octets.ip(bytes(40), octets.TCP, off=16))
    for p in (with_data, full, later):
        before = p.to_bytes()
        assert rules.run(p, "FORWARD", "mangle") == ACCEPT
        assert p.to_bytes() == before


def test_tcpmss_clamps_to_nothing():
    rules = Rules("-t mangle -A FORWARD -p tcp -j TCPMSS --clamp-mss-to-pmtu")
    rules.state.mtu = 40
    assert rules.run(tcp(), "FORWARD", "mangle") == DROP


@given(
    options=st.lists(
        st.sampled_from([MSS_1460, b"\1", bytes.fromhex("030307"), bytes.fromhex("0402")]),
        max_size=6,
    ),
    mss=st.integers(0, 2000),
    wrong=st.integers(0, 0xFFFF),
)
def test_tcpmss_keeps_a_wrong_checksum_wrong(options: list[bytes], mss: int, wrong: int):
    """What TCPMSS does to the sum is the difference that it makes, whatever the sum was."""
    padded = b"".join(options)
    padded += b"\1" * (-len(padded) % 4)
    rules = Rules(f"-t mangle -A FORWARD -p tcp -j TCPMSS --set-mss {mss}")
    p = tcp(options=padded)
    p.csum_ok = False
    good = int.from_bytes(p.to_bytes()[36:38], "big")
    p.head[36] ^= wrong >> 8
    p.head[37] ^= wrong & 0xFF
    bad = int.from_bytes(p.head[36:38], "big")
    rules.run(p, "FORWARD", "mangle")
    now = int.from_bytes(p.head[36:38], "big")
    segment = p.to_bytes()[20:]
    right = octets.with_pseudo(segment, 16, octets.TCP, A, B)
    truth = int.from_bytes(right[16:18], "big")
    assert (now - truth - (bad - good)) % 0xFFFF == 0
