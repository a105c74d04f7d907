"""Whole firewalls of many kinds (rulesets/): loaded, saved as the tool saves them, loaded again, and with traffic.

`.rules` is what a person would write, `.saved` what iptables-save 1.8.9 made of it on a 6.18 kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from firewall.rule_words import filter_rule
from firewall.rules_kit import Rules, tcp, udp
from hypothesis import given, settings
from hypothesis import strategies as st

import pystack
from pystack.firewall import Firewall, FirewallError, iptables_restore, iptables_save

FOLDER = Path(__file__).with_name("rulesets")
RULESETS = sorted(FOLDER.glob("*.rules"))


def plain(text: str) -> str:
    """Without dates."""
    return "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("#"))


def test_there_is_more_than_a_dozen():
    assert len(RULESETS) >= 12
    assert [p.with_suffix(".saved").is_file() for p in RULESETS] == [True] * len(RULESETS)


@pytest.mark.parametrize("path", RULESETS, ids=lambda p: p.stem)
def test_it_is_saved_as_the_tool_saves_it(path: Path):
    firewall = Firewall()
    iptables_restore(firewall, path.read_text())
    assert plain(iptables_save(firewall)) == path.with_suffix(".saved").read_text()


@pytest.mark.parametrize("path", RULESETS, ids=lambda p: p.stem)
def test_what_was_saved_loads_again(path: Path):
    firewall = Firewall()
    iptables_restore(firewall, path.with_suffix(".saved").read_text())
    assert plain(iptables_save(firewall)) == path.with_suffix(".saved").read_text()


@settings(max_examples=60, deadline=None)
@given(st.lists(filter_rule(), min_size=1, max_size=5))
def test_any_rules_survive_a_round_trip(rules: list[str]):
    """Saved, loaded and saved again they are the same, and do the same to packets."""
    text = "*filter\n:USER - [0:0]\n" + "".join(f"-A FORWARD {r}\n" for r in rules) + "COMMIT\n"
    first, second = Rules(), Rules()
    iptables_restore(first.firewall, text)
    saved = iptables_save(first.firewall)
    iptables_restore(second.firewall, saved)
    assert iptables_save(second.firewall) == saved
    for make in (tcp, udp, lambda: tcp(flags=16, ip={"ttl": 1, "tos": 8}), lambda: udp(bytes(900))):
        packets = [make(), make()]
        for p in packets:
            p.iface_out = 1
            p.ct_state = 1  # invalid: there is no conntrack here
        verdicts = [r.run(p, "FORWARD") for r, p in zip((first, second), packets, strict=True)]
        assert verdicts[0] == verdicts[1]
    assert first.counters("FORWARD") == second.counters("FORWARD")


@settings(max_examples=100, deadline=None)
@given(st.text("-ADjpms tcp!,:/[]*0\n\"'\\FORWARDCOMMITfilter", max_size=80))
def test_any_text_is_refused_or_loaded_whole(text: str):
    """Nothing but a FirewallError comes out, and then the table is as it was."""
    firewall = Firewall()
    iptables_restore(firewall, "*filter\n-A FORWARD -j DROP\nCOMMIT\n")
    before = iptables_save(firewall)
    try:
        iptables_restore(firewall, f"*filter\n{text}\nCOMMIT\n")
    except FirewallError as error:
        assert error.line > 0
        if "\nCOMMIT\n" not in f"\n{text}\n":
            assert iptables_save(firewall) == before


# --- with traffic -----------------------------------------------------------------------------------------------


class Site:
    """A client 10.9.1.2, a gateway (eth0 10.9.1.1, eth1 10.9.2.1) and a server 10.9.2.2 behind it."""

    def __init__(self, name: str) -> None:
        self.net = pystack.Network(seed=5)
        self.client = self.net.host("client", "10.9.1.2/24", profile="linux-6")
        self.gw = self.net.host(
            "gw", ["10.9.1.1/24", "10.9.2.1/24"], profile="linux-6", forwarding=True
        )
        self.net.link(self.client, self.gw)
        self.client.route("0.0.0.0/0", via="10.9.1.1")
        self.server = self.net.host("server", "10.9.2.2/24", profile="linux-6")
        self.server.route("0.0.0.0/0", via="10.9.2.1")
        self.net.link(self.gw, self.server)
        self.gw.iptables_restore((FOLDER / f"{name}.rules").read_text())


def serve(host: pystack.Host, port: int) -> pystack.StreamSocket:
    listener = host.socket()
    listener.bind(("", port))
    listener.listen(5)
    return listener


def attempt(host: pystack.Host, address: str, port: int) -> str:
    """How a connection ends: open, refused, or silence."""
    sock = host.socket()
    sock.settimeout(5)
    try:
        sock.connect((address, port))
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silence"
    except OSError as error:
        return str(error)
    return "open"


@pytest.fixture
def web() -> Iterator[tuple[pystack.Network, pystack.Host, pystack.Host]]:
    """A web server with its rules, and somebody far away."""
    net = pystack.Network(seed=6)
    server = net.host("web", "198.51.100.1/24", profile="linux-6")
    other = net.host("other", "198.51.100.2/24", profile="linux-6")
    net.link(server, other)
    server.iptables_restore((FOLDER / "web-server.rules").read_text())
    yield net, server, other


def test_web_server(web: tuple[pystack.Network, pystack.Host, pystack.Host]):
    net, server, other = web
    for port in (80, 22):
        serve(server, port)
    assert attempt(other, "198.51.100.1", 80) == "open"
    assert attempt(other, "198.51.100.1", 22) == "refused"  # not from the office
    assert (
        attempt(other, "198.51.100.1", 443) == "refused"
    )  # nobody listens, and the kernel says so
    served = serve(server, 8000)
    assert attempt(server, "198.51.100.1", 8000) == "open"  # over lo
    assert served
    answered = [other.ping("198.51.100.1", timeout="10ms")[0] is not None for _ in range(8)]
    assert answered == [True] * 5 + [False] * 3  # the burst; each ping is a flow of its own
    net.run(for_="1s")
    many = other.ping("198.51.100.1", count=9, interval="1ms")
    assert None not in many  # one flow: the first of them opens it


def test_snat_gateway():
    site = Site("snat-gateway")
    listener = serve(site.server, 80)
    assert attempt(site.client, "10.9.2.2", 80) == "open"
    assert (
        listener.accept()[1][0] == "10.9.2.11"
    )  # what 6.18 chose for this pair (facts: conntrack 8.3)
    assert "src=10.9.2.2 dst=10.9.2.11 sport=80" in site.gw.conntrack("-L")
    assert attempt(site.server, "10.9.1.2", 80) == "silence"
    assert any("gw drop: IN=eth1 OUT=eth0" in line for line in site.gw.dmesg())


def test_home_router():
    site = Site("home-router")
    serve(site.server, 80)
    ssh = serve(site.client, 22)
    assert attempt(site.client, "10.9.2.2", 80) == "open"
    assert "src=10.9.2.2 dst=10.9.2.1" in site.gw.conntrack("-L")
    assert attempt(site.server, "10.9.2.1", 2222) == "open"
    conn, peer = ssh.accept()
    assert peer[0] == "10.9.2.2"
    assert attempt(site.server, "10.9.2.1", 22) == "silence"
    assert attempt(site.server, "10.9.1.2", 22) == "silence"
    # out: a SYN, and the SYN-ACK of the forwarded port; in: its SYN, a SYN-ACK, and five SYNs in vain
    mangle = site.gw.iptables("-t mangle -L FORWARD -n -v").splitlines()
    assert [line.split()[0] for line in mangle[2:]] == ["2", "7"]
    assert conn


def test_containers():
    site = Site("containers")
    inside = serve(site.server, 80)
    serve(site.client, 90)
    assert attempt(site.client, "10.9.1.1", 8080) == "open"
    assert inside.accept()[1][0] == "10.9.1.2"
    assert attempt(site.client, "10.9.2.2", 81) == "silence"
    assert attempt(site.server, "10.9.1.2", 90) == "open"
    assert "dst=10.9.1.1 sport=90" in site.gw.conntrack("-L").replace("src=10.9.1.2 ", "")


def test_cluster():
    """One of the two pods is there: what is sent to it is open, and masqueraded."""
    site = Site("cluster")
    serve(site.server, 8080)
    ends = {attempt(site.client, "10.96.0.10", 80) for _ in range(6)}
    assert "open" in ends
    assert ends <= {"open", "silence", "[Errno 113] No route to host"}
    assert "src=10.9.2.2 dst=10.9.2.1 sport=8080" in site.gw.conntrack("-L")


def test_bastion_shuts_out_who_knocks_too_often():
    net = pystack.Network(seed=6)
    bastion = net.host("bastion", "198.51.100.1/24", profile="linux-6")
    other = net.host("other", "198.51.100.2/24", profile="linux-6")
    net.link(bastion, other)
    bastion.iptables_restore((FOLDER / "bastion.rules").read_text())
    serve(bastion, 22)
    assert [attempt(other, "198.51.100.1", 22) for _ in range(6)] == ["open"] * 4 + ["refused"] * 2
    net.run(for_="61s")
    assert attempt(other, "198.51.100.1", 22) == "open"


def test_name_server_is_not_tracked():
    net = pystack.Network(seed=6)
    server = net.host("ns", "198.51.100.1/24", profile="linux-6")
    other = net.host("other", "198.51.100.2/24", profile="linux-6")
    net.link(server, other)
    server.iptables_restore((FOLDER / "name-server.rules").read_text())
    serve(server, 53)
    assert attempt(other, "198.51.100.1", 53) == "open"
    assert server.conntrack("-L") == ""
    assert attempt(other, "198.51.100.1", 54) == "silence"


def test_an_operating_system_without_netfilter_says_so():
    net = pystack.Network(seed=1)
    host = net.host("bsd", "192.0.2.1/24", profile="freebsd-10")
    for call in (
        lambda: host.iptables("-L"),
        host.iptables_save,
        lambda: host.iptables_restore("*filter\nCOMMIT\n"),
    ):
        with pytest.raises(ValueError, match="has no netfilter: its firewall is ipfw"):
            call()


def test_conntrack_rests_again_when_the_last_rule_that_needs_it_is_gone():
    net = pystack.Network(seed=1)
    host = net.host("h", "192.0.2.1/24", profile="linux-6")
    host.iptables("-A INPUT -p tcp -j ACCEPT")
    assert not host.conntrack.tracking
    host.iptables("-A INPUT -m conntrack --ctstate NEW -j ACCEPT")
    assert host.conntrack.tracking
    host.iptables("-F")
    assert not host.conntrack.tracking
    host.conntrack.track()
    host.iptables("-A INPUT -p udp -j ACCEPT")
    assert host.conntrack.tracking  # that was asked for by hand
