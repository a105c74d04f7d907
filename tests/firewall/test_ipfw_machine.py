"""ipfw in whole machines: what rules do to packets on their way, and what their counters say of it."""

import socket

import pytest

from pystack import Network

PROFILES = ("freebsd-7", "freebsd-10", "freebsd-14")
SECOND = 10**9


@pytest.fixture(params=PROFILES)
def pair(request):
    """A machine with ipfw, and another one."""
    net = Network(seed=5)
    web = net.host("web", "10.0.0.1/24", profile=request.param)
    other = net.host("other", "10.0.0.2/24", profile="linux-6")
    net.link(web, other)
    web.ipfw("add 65000 allow ip from any to any")
    return net, web, other


def packets(host, number):
    """How often a rule has counted."""
    return int(host.ipfw(f"show {number}").split()[1])


def test_an_answer_of_the_firewall_meets_the_rules_and_the_rule_counts_once(pair):
    """The ICMP error goes out through the same rules while its own rule is not done."""
    net, web, other = pair
    web.ipfw("add 100 count icmp from any to any out")
    web.ipfw("add 200 unreach host udp from any to me 53")
    sock = other.socket(socket.SOCK_DGRAM)
    sock.bind(("10.0.0.2", 999))
    sock.sendto(b"x", ("10.0.0.1", 53))
    net.run(for_=SECOND)
    assert (packets(web, 100), packets(web, 200), packets(web, 65000)) == (1, 1, 1)


def test_a_reset_of_the_firewall_meets_no_rule(pair):
    _, web, other = pair
    web.ipfw("add 100 count ip from any to any out")
    web.ipfw("add 200 reset tcp from any to me 80")
    with pytest.raises(ConnectionRefusedError):
        other.socket().connect(("10.0.0.1", 80))
    assert (packets(web, 100), packets(web, 200)) == (0, 1)


def test_reass_makes_a_datagram_whole(pair):
    """Behind `reass` there are no fragments: a rule about ports sees all of it."""
    net, web, other = pair
    web.ipfw("add 100 reass ip from any to me in")
    web.ipfw("add 200 count udp from any to me 53 in")
    web.ipfw("add 300 count ip from any to me frag in")
    here = web.socket(socket.SOCK_DGRAM)
    here.bind(("10.0.0.1", 53))
    there = other.socket(socket.SOCK_DGRAM)
    there.sendto(bytes(4000), ("10.0.0.1", 53))
    net.run(for_=SECOND)
    assert len(here.recvfrom(5000)[0]) == 4000
    assert (packets(web, 200), packets(web, 300)) == (1, 0)


def test_whoever_is_refused_by_its_own_firewall_is_told(pair):
    _, web, _other = pair
    web.ipfw("add 100 deny ip from me to 10.0.0.2 out")
    with pytest.raises(PermissionError):
        web.socket().connect(("10.0.0.2", 80))
    with pytest.raises(PermissionError):
        web.socket(socket.SOCK_DGRAM).sendto(b"x", ("10.0.0.2", 53))
    assert packets(web, 100) == 2
