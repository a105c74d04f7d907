"""`nat N config ...`: read, handed on, printed."""

import pytest
from ipfw_kit import Machine


class Kept:
    """Keeps what it is told."""

    def __init__(self):
        self.told = {}

    def config(self, config):
        self.told[config.number] = config

    def configs(self):
        return [self.told[number] for number in sorted(self.told)]

    def counts(self, number):
        return {"icmp": 1, "udp": 2, "tcp": number, "frag_id": 0, "frag_ptr": 0}

    def delete(self, number):
        return self.told.pop(number, None) is not None


@pytest.fixture
def machine():
    made = Machine("e12")
    made.chain.nat = Kept()
    return made


@pytest.mark.parametrize(
    "config",
    [
        "if em0 log deny_in same_ports",
        "ip 192.0.2.1 same_ports skip_global unreg_only reset",
        "if em0 redirect_port tcp 10.0.0.2:80 8080",
        "if em0 redirect_port tcp 10.0.0.2:8000-8009 192.0.2.1:9000-9009 198.51.100.7:1024",
        "if em0 redirect_port udp 10.0.0.2:53,10.0.0.3:53 53",
        "if em0 redirect_addr 10.0.0.2 192.0.2.2 redirect_addr 10.0.0.3,10.0.0.4 192.0.2.3",
        "if em0 redirect_proto gre 10.0.0.2 redirect_proto esp 10.0.0.3 192.0.2.3 198.51.100.7",
        "ip 192.0.2.1 reverse proxy_only",
        "if em0 same_ports unreg_cgn port_range 20000-29999",
        "if em0 port_range 1024-65535 redirect_port tcp 10.0.0.2:80 80",
    ],
)
def test_a_configuration_is_printed_as_it_was_given(machine, config):
    assert machine.ok(f"nat 7 config {config}") == f"ipfw nat 7 config {config}\n"
    assert machine.ok("nat 7 show config") == f"ipfw nat 7 config {config}\n"
    assert machine.ok("-q nat 7 config if em1") == ""
    assert machine.ok("nat show config") == "ipfw nat 7 config if em1\n"


def test_the_order_of_flags_is_ipfws_own(machine):
    machine.ok("nat 1 config same_ports if em0 deny_in log")
    assert machine.ok("nat 1 show config") == "ipfw nat 1 config if em0 log deny_in same_ports\n"


def test_names_of_ports_are_numbers(machine):
    machine.ok("nat 1 config if em0 redirect_port tcp 10.0.0.2:http 8080")
    redirect = machine.chain.nat.told[1].redirects[0]
    assert (redirect.local, redirect.port, redirect.count) == (((0x0A000002, 80),), 8080, 1)


def test_links_are_counted_and_instances_deleted(machine):
    machine.ok("nat 1 config if em0")
    machine.ok("nat 2 config if em1")
    assert machine.ok("nat show") == (
        "nat 1: icmp=1, udp=2, tcp=1, frag_id=0 frag_ptr=0 / tot=4\n"
        "nat 2: icmp=1, udp=2, tcp=2, frag_id=0 frag_ptr=0 / tot=5\n"
    )
    machine.ok("nat 1 delete")
    assert machine.ok("nat 1 show") == ""
    assert machine.run("nat delete 1").status == 69


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ("nat config", 65, "missing nat id"),
        ("nat 1 config", 65, "missing option"),
        ("nat 1 config if", 65, "missing option"),
        ("nat 1 config ip 1.2.3.x", 65, "bad ip address ``1.2.3.x''"),
        ("nat 1 config frob", 65, "unrecognised option ``frob''"),
        (
            "nat 1 config redirect_port tcp 10.0.0.1:1-3 5-6",
            65,
            "redirect_port: port ranges must be equal in size",
        ),
        ("nat 1 config if em0 port_range", 65, "missing option"),
        (
            "nat 1 config if em0 port_range 1000-2000",
            65,
            "You need a range of port(s) from 1024 <= x < 65536",
        ),
        (
            "nat 1 config if em0 port_range 2000",
            65,
            "You need a range of port(s) from 1024 <= x < 65536",
        ),
        (
            "nat 1 config if em0 port_range 3000-3000",
            65,
            "Upper port has to be greater than lower port",
        ),
        (
            "nat 1 config if em0 udp_eim",
            69,
            "udp_eim: a port outside is that of one peer on this machine",
        ),
        ("nat 1 frob", 64, "bad command `frob'"),
        ("nat", 64, "missing command"),
    ],
)
def test_refusals(machine, words, status, text):
    outcome = machine.run(words)
    assert (outcome.status, outcome.out, outcome.err.rstrip("\n")) == (status, "", f"ipfw: {text}")
    assert machine.chain.nat.told == {}


@pytest.mark.parametrize("word", ["port_range 2000-3000", "unreg_cgn"])
def test_words_that_came_later_are_unknown_before(word):
    made = Machine("e10")
    made.chain.nat = Kept()
    outcome = made.run(f"nat 1 config if em0 {word}")
    assert outcome.err == f"ipfw: unrecognised option ``{word.split()[0]}''\n"
    assert outcome.status == 65


def test_a_machine_without_nat_says_so():
    machine = Machine("e12")
    outcome = machine.run("nat 1 config if em0")
    assert (outcome.status, outcome.err) == (
        69,
        "ipfw: nat: there is no NAT within ipfw on this machine\n",
    )
    assert machine.run("nat 1 config frob").err == "ipfw: unrecognised option ``frob''\n"
