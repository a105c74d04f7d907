"""Rules as text, as instructions and as text again; and rule sets as large as they get."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ipfw_kit import Machine

from pystack._fast import ipfw_ops as ops
from pystack.firewall.ipfw.run import Outcome

ERAS = ("e8", "e10", "e12")
PROTOCOLS = ("ip", "tcp", "udp", "icmp", "47", "not tcp", "{ tcp or udp }", "gre")
SOME = ("10.0.0.0/24{1,5-9,128}", "10.0.0.64/26{70-80}", "10.0.0.0/28{1-5,9}")
FIXED = (
    *(
        "in",
        "out",
        "frag",
        "established",
        "setup",
        "via em0",
        "recv em*",
        "xmit 10.0.0.1",
        "{ in or not frag or setup }",
    ),
    *(
        "tcpflags !syn",
        "tcpflags fin,psh,!rst",
        "tcpflags urg,ack",
        "tcpoptions mss,!sack",
        "ipoptions rr",
    ),
    *("iptos lowdelay,!throughput", "ipprecedence 3", "icmptypes 0,3,8", "icmptypes 31"),
)
PLAIN_ACTIONS = (
    *(
        "allow",
        "deny",
        "reject",
        "reset",
        "count",
        "reass",
        "unreach 13",
        "unreach port",
        "unreach 200",
    ),
    *("fwd 127.0.0.1,3128", "fwd 10.0.0.1", "skipto tablearg"),
)
STATES = ("keep-state", "limit src-addr 4", "limit dst-port 65534", "limit all 1")
"""Several masks are listed with commas between, which ipfw itself does not read."""


class Writer:
    """Writes rules that a listing shows in full."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.below = self.random.randrange

    def maybe(self, text):
        return text if self.below(3) == 0 else ""

    def negated(self, text):
        return f"not {text}" if self.below(4) == 0 else text

    def host(self):
        return ".".join(str(self.below(256)) for _ in range(4))

    def network(self):
        return f"{self.host()}/{self.below(1, 33)}"

    def ports(self):
        spans = []
        for _ in range(self.below(1, 31) if self.below(5) == 0 else self.below(1, 4)):
            low, high = sorted((self.below(65536), self.below(65536)))
            spans.append(str(low) if self.below(2) else f"{low}-{high}")
        return ",".join(spans)

    def address(self):
        kind = self.below(8)
        if kind < 2:
            return "any"
        if kind == 2:
            return (
                "{ "
                + " or ".join(self.negated(self.network()) for _ in range(self.below(2, 5)))
                + " }"
            )
        several = ",".join(self.network() for _ in range(self.below(2, 16)))
        masked = f"{self.host()}:255.0.255.0"
        table = self.random.choice(("table(1)", "table(2,5)", "me"))
        return self.negated(
            (self.host(), masked, several, self.random.choice(SOME), table)[kind - 3]
        )

    def option(self):
        kind = self.below(5)
        if kind == 0:
            listed = self.random.choice(("iplen", "ipid", "ipttl", "tcpdatalen"))
            return self.negated(f"{listed} {self.ports()}")
        if kind == 1:
            return f"{self.random.choice(('tcpseq', 'tcpack'))} {self.below(2**31)}"
        if kind == 2:
            return f"tagged {self.below(1, 65535)}"
        text = self.random.choice(FIXED)
        return text if text[0] == "{" else self.negated(text)

    def action(self):
        if self.below(3) == 0:
            return f"{self.random.choice(('skipto', 'pipe', 'queue'))} {self.below(1, 65535)}"
        return self.random.choice(PLAIN_ACTIONS)

    def rule(self):
        parts = [
            self.maybe(f"set {self.below(32)}"),
            self.maybe(f"prob {self.below(1, 10000) / 10000}"),
            self.action(),
            self.maybe(f"log logamount {self.below(1, 1000)}"),
            self.maybe(self.random.choice(("tag 5", "untag 65534"))),
            f"{self.random.choice(PROTOCOLS)} from {self.address()}",
            self.maybe(self.negated(self.ports())),
            f"to {self.address()}",
            self.maybe(self.negated(self.ports())),
            *(self.option() for _ in range(self.below(4))),
            self.maybe(self.random.choice(STATES)),
            self.maybe("// two words"),
        ]
        return " ".join(part for part in parts if part)


def instructions(machine):
    """What the kernel has of each rule."""
    return [(rule.number, rule.set, rule.patterns, rule.actions) for rule in machine.chain]


def reload(machine, era):
    """The rules of a listing in another machine."""
    other = Machine(era)
    for line in machine.ok("-S list").splitlines()[:-1]:
        other.ok(f"-q add {line}")
    return other


@pytest.mark.parametrize("era", ERAS)
@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_what_is_listed_reads_as_what_it_was(era, seed):
    machine = Machine(era)
    writer = Writer(seed)
    for _ in range(10):
        machine.ok(f"-q add {writer.rule()}")
    other = reload(machine, era)
    assert other.ok("-S list") == machine.ok("-S list")
    assert instructions(other) == instructions(machine)


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            "allow deny tcp udp ip from to any me 10.0.0.0/8 80 { } or not in out setup keep-state limit src-addr 5 // "
            "log logamount prob 0.5 set 3 table(1) via em0 tcpflags syn , ! :x ipttl 1-2 check-state tag".split()
        ),
        max_size=14,
    ),
    st.sampled_from(ERAS),
)
def test_words_in_any_order_are_a_rule_or_a_refusal_that_changes_nothing(words, era):
    machine = Machine(era)
    machine.ok("add 65000 deny ip from any to any")
    before = machine.ok("-S list")
    outcome = machine.run(["add", *words])
    if outcome.status == 0:
        added = len(machine.ok("-S list").splitlines()) - len(before.splitlines())
        assert added == 1
        assert outcome.out.count("\n") == 1
    else:
        assert outcome.status in (64, 65, 68, 69)
        assert outcome.err.splitlines()[-1 if not outcome.err.endswith("\n\n") else -2].startswith(
            "ipfw: "
        )
        assert machine.ok("-S list") == before


def office():
    """A thousand lines for an office's gateway: anti-spoofing, services, customers, the rest."""
    lines = ["-f flush", "# loopback", "add 100 allow ip from any to any via lo0"]
    lines += ["add 110 deny ip from any to 127.0.0.0/8", "add 120 deny ip from 127.0.0.0/8 to any"]
    lines += [
        f"add 200 deny log ip from {net} to any in recv em0"
        for net in ("10.0.0.0/8", "172.16.0.0/12")
    ]
    lines += ["add 300 check-state", "add 310 deny tcp from any to any established"]
    lines += ["add 320 allow icmp from any to any icmptypes 0,3,8,11", ""]
    for customer in range(240):
        net = f"10.{customer // 8}.{customer % 8 * 32}.0/24"
        base = 1000 + customer * 40
        lines += [
            f"add {base} count ip from {net} to any out via em0 // customer {customer}",
            f"add {base + 10} allow tcp from {net} to any 22,25,80,443,993 out setup keep-state",
            f"add {base + 20} allow udp from {net} to any 53, 123 out keep-state",
            f"add {base + 30} deny log logamount {customer + 1} ip from {net} to not me",
        ]
    while len(lines) < 1000:
        lines.append(
            f"add 60000 deny tcp from 198.51.100.{len(lines) % 256} to me 1024-65535 in via em0"
        )
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("era", ERAS)
def test_a_thousand_lines_are_the_same_when_they_come_back(era):
    text = office()
    assert len(text.splitlines()) == 1000
    machine = Machine(era, read={"/etc/ipfw.rules": text}.__getitem__)
    assert machine.run("-q /etc/ipfw.rules") == Outcome(0, "", "")
    assert len(machine.listed()) > 980
    again = "".join(f"add {line}\n" for line in machine.listed())
    other = Machine(era, read={"/again": again}.__getitem__)
    assert other.run("-q /again").status == 0
    assert other.ok("list") == machine.ok("list")
    assert instructions(other) == instructions(machine)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_as_many_rules_as_there_are_numbers():
    text = "".join(
        f"add {at} deny ip from 10.{at >> 8}.{at & 255}.0/24 to any\n" for at in range(1, 65535)
    )
    machine = Machine("e10", read={"/all": text}.__getitem__)
    assert machine.run("-q /all").status == 0
    assert len(machine.chain) == 65535
    assert machine.ok("list 40000") == "40000 deny ip from 10.156.64.0/24 to any\n"
    assert machine.ok("add deny ip from any to any").startswith("65534 ")
    machine.ok("delete 40000")
    assert machine.run("list 40000").err == "ipfw: rule 40000 does not exist\n"


def test_long_lists_of_addresses():
    machine = Machine("e10")
    fifteen = ",".join(f"10.0.{at}.1" for at in range(15))
    machine.ok(f"add 100 allow ip from {fifteen} to any")
    sixteen = machine.run(f"add 200 allow ip from {fifteen},10.1.1.1 to any")
    assert (sixteen.status, sixteen.err) == (69, "ipfw: getsockopt(IP_FW_ADD): Invalid argument\n")
    assert machine.said == [["printf", f"ipfw: opcode {ops.O_IP_SRC_MASK} size 33 wrong"]]
    thousand = ",".join(f"10.{at >> 8}.{at & 255}.1" for at in range(1000))
    assert (
        machine.run(f"add 200 allow ip from {thousand} to any").err
        == "ipfw: address list too long\n"
    )
    assert len(machine.listed()) == 1
    # That is what tables are for.
    for at in range(1000):
        machine.ok(f"table 5 add 10.{at >> 8}.{at & 255}.1")
    machine.ok("add 200 allow ip from table(5) to any")
    assert machine.chain.tables.cores[5].count == 1000
