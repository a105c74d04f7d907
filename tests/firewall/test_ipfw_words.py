"""ipfw's language where no recording has it: later eras, refusals of this machine, files, options of the command."""

import pytest
from ipfw_kit import Machine

from pystack._fast import ipfw_ops as ops


def refused(machine, line, status, text):
    """A command that is refused in these words and changes nothing."""
    before = machine.ok("-S list"), machine.ok("set show")
    outcome = machine.run(line)
    assert (outcome.status, outcome.out, outcome.err) == (status, "", f"ipfw: {text}\n"), line
    assert (machine.ok("-S list"), machine.ok("set show")) == before


@pytest.mark.parametrize(
    ("rule", "status", "text"),
    [
        ("add allow tcp from 1.2.3.4/33 to any", 65, "bad width ``33''"),
        ("add allow tcp from 1.2.3.4:x to any", 65, "bad netmask ``x''"),
        ("add allow tcp from not 1.2.3.4/0 to any", 65, "not any never matches"),
        ("add allow tcp from 1.2.3.4,10.0.0.0/24{1} to any", 65, "address set cannot be in a list"),
        ("add allow tcp from 10.0.0.0/20{1} to any", 65, "invalid set with mask 20\n"),
        ("add allow tcp from 10.0.0.0/28{99} to any", 65, "addr 99 out of range [0-15]\n"),
        ("add allow tcp from 10.0.0.0/24{9-5} to any", 65, "invalid range 9-5"),
        ("add allow tcp from 10.0.0.0/24{5-6-7} to any", 65, "double '-' in range"),
        ("add allow tcp from nowhere.example to any", 68, "hostname ``nowhere.example'' unknown"),
        ("add allow log logamount -1 tcp from any to any", 65, "logamount must be positive"),
        (
            "add allow log logamount 1 log ip from any to any",
            65,
            "log cannot be specified more than once",
        ),
        ("add allow log logamount", 64, "logamount requires argument"),
        (
            "add allow tag 1 untag 2 ip from any to any",
            64,
            "tag and untag cannot be specified more than once",
        ),
        ("add allow { { tcp } } from any to any", 64, '+nested "(" not allowed\n'),
        ("add allow tcp from any to any { setup { in } }", 64, '+nested "(" not allowed\n'),
        ("add allow { tcp from any to any", 64, 'missing ")"\n'),
        (
            "add allow tcp from any to any { keep-state }",
            64,
            "keep-state cannot be part of an or block",
        ),
        (
            "add allow tcp from any to any limit src-addr 0",
            65,
            "limit: argument is out of range (1..65534): 0",
        ),
        ("add allow tcp from any to any icmptypes x", 65, "invalid ICMP type"),
        ("add allow tcp from any to any icmptypes 32", 65, "ICMP type out of range"),
        ("add allow tcp from any to any dst-port x", 65, "invalid destination port x"),
        ("add allow tcp from any to any src-port x", 65, "invalid source port x"),
        ("add allow tcp from any to any proto x", 65, "invalid protocol ``x''"),
        ("add allow tcp from any to any via 1.2.3.x", 65, "bad ip address ``1.2.3.x''"),
        ("add allow tcp from any to any ipttl 1-x", 65, "invalid ipttl 1-x"),
        ("add allow tcp from any to any jail x", 65, "jail requires prison ID"),
        ("add set 32 allow ip from any to any", 65, "illegal set 32"),
        ("add skipto 65535 ip from any to any", 65, "illegal argument for skipto"),
        ("add skipto", 64, "missing argument for skipto"),
        ("add unreach", 64, "missing reject code"),
        ("add fwd", 64, "missing forward address[:port]"),
        ("add allow tcp from any to any // " + "long " * 20, 65, "comment too long (max 80 chars)"),
        ("delete", 64, "missing rule specification"),
        ("set swap 1", 64, "set swap needs 2 set numbers\n"),
        ("set swap 1 x", 65, "invalid set number x\n"),
        ("set move 1 2", 64, "syntax: set move [rule] X to Y\n"),
        ("set move 40 to 1", 65, "invalid source number 40\n"),
        ("set move 1 to 40", 65, "invalid dest. set to\n"),
        ("set disable 1 enable 1", 65, "cannot enable and disable the same set\n"),
        ("set disable 32", 65, "invalid set number 32\n"),
        ("set disable x", 65, "invalid set command x\n"),
        ("set 77 list", 65, "invalid set number 77\n"),
        ("zero x", 64, "invalid rule number ``x''"),
        ("zero 70000", 65, "invalid rule number 70000\n"),
        ("-p cat list", 64, "An absolute pathname must be used with -p option."),
        ("frob", 64, "bad command `frob'"),
        ("pipe 1 config bw 1Mbit/s", 69, "pipe: there is no dummynet on this machine"),
        ("queue 1 show", 69, "queue: there is no dummynet on this machine"),
    ],
)
def test_refusals(rule, status, text):
    machine = Machine("e10")
    machine.ok("add 100 set 3 allow ip from any to any")
    refused(machine, rule, status, text)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (
            "add divert 8668 ip from any to any",
            "divert: there are no divert sockets on this machine",
        ),
        ("add tee 8668 ip from any to any", "tee: there are no divert sockets on this machine"),
        ("add netgraph 1 ip from any to any", "netgraph: there is no netgraph on this machine"),
        ("add allow ip from any to any uid root", "uid: sockets have no owners on this machine"),
        ("add allow ip from any to any gid wheel", "gid: sockets have no owners on this machine"),
        ("add allow ip from any to any jail 1", "jail: there are no jails on this machine"),
        ("add allow ip from any to any layer2", "layer2: frames do not pass ipfw on this machine"),
        ("add allow mac any any any", "mac: frames do not pass ipfw on this machine"),
        ("add setfib 0 ip from any to any", "setfib: there is one routing table on this machine"),
        (
            "add allow ip from any to any diverted",
            "diverted: there are no divert sockets on this machine",
        ),
    ],
)
def test_what_this_machine_cannot_do_is_refused_when_it_is_added(rule, text):
    refused(Machine("e12"), rule, 69, text)
    lenient = Machine("e12", strict_machine=False, modules=frozenset({"divert", "netgraph"}))
    lenient.ok(rule)
    assert len(lenient.listed()) == 1


@pytest.mark.parametrize(
    ("rule", "listed"),
    [
        ("add 1 allow ip from any to any via lo0", "00001 allow ip from any to any via lo0"),
        ("add 1 allow tcp from any to me 22,80", "00001 allow tcp from any to me 22,80"),
        ("add 1 allow tcp from any to me dst-port 22", "00001 allow tcp from any to me 22"),
        (
            "add 1 allow tcp from any to any { dst-port 80 or src-port 80 }",
            "00001 allow tcp from any to any { dst-port 80 or src-port 80 }",
        ),
        ("add 1 allow in", "00001 allow in"),
        (
            "add 1 allow tcp from any to me setup keep-state",
            "00001 allow tcp from any to me setup keep-state :default",
        ),
        (
            "add 1 allow udp from any to any keep-state :dns",
            "00001 allow udp from any to any keep-state :dns",
        ),
        (
            "add 1 allow tcp from any to any limit src-addr 4",
            "00001 allow tcp from any to any limit src-addr 4 :default",
        ),
        (
            "add 1 allow tcp from any to any record-state",
            "00001 allow tcp from any to any record-state :default",
        ),
        (
            "add 1 allow tcp from any to any set-limit dst-addr dst-port 9 :x defer-immediate-action",
            "00001 allow tcp from any to any set-limit dst-addr,dst-port 9 :x defer-immediate-action",
        ),
        ("add 1 check-state", "00001 check-state :default"),
        ("add 1 check-state :any // all of them", "00001 check-state :any // all of them"),
        (
            "add 1 unreach needfrag 1400 ip from any to any",
            "00001 unreach needfrag 1400 ip from any to any",
        ),
        ("add 1 abort ip from any to any", "00001 abort ip from any to any"),
        ("add 1 tcp-setmss 1300 tcp from any to any", "00001 tcp-setmss 1300 tcp from any to any"),
        (
            "add 1 allow tcp from any to any tcpmss 1-500",
            "00001 allow tcp from any to any tcpmss 1-500",
        ),
        ("add 1 setdscp ef ip from any to any", "00001 setdscp ef ip from any to any"),
        (
            "add 1 allow ip from any to any dscp af11,ef",
            "00001 allow ip from any to any dscp af11,ef",
        ),
        (
            "add 1 skipto tablearg ip from table(t) to any",
            "00001 skipto tablearg ip from table(t) to any",
        ),
        (
            "add 1 allow ip4 from me to any src-ip 1.2.3.4",
            "00001 allow ip4 from me to any src-ip 1.2.3.4",
        ),
        (
            "add 1 allow ip from any to any via table(ifs)",
            "00001 allow ip from any to any via table(ifs)",
        ),
        ("add 1 // nothing else", "00001 count // nothing else"),
    ],
)
def test_the_language_of_12(rule, listed):
    machine = Machine("e12")
    machine.ok(rule)
    assert machine.listed() == [listed]


def test_what_is_about_ipv6_says_that_there_is_none():
    machine = Machine("e12")
    for rule, word in (
        ("allow ip from any to me6", "me6"),
        ("deny ip from ::1 to any", "::1"),
        ("deny ip from any to fe80::/10", "fe80::/10"),
        ("allow ipv6-icmp from any to any icmp6types 1", "icmp6types"),
    ):
        outcome = machine.run(f"add {rule}")
        assert outcome.err == f"ipfw: {word}: there is no IPv6 on this machine\n"
        assert outcome.status == 69
    machine.ok("add 5 deny ip6 from any to any")
    assert machine.listed() == ["00005 deny ip6 from any to any"]


def test_deleting_what_is_not_there_may_be_no_matter_since_12():
    """-q says nothing of it, -f takes it for no failure."""
    missing = {"e10": "rule 7: setsockopt(IP_FW_DEL): Invalid argument", "e12": "rule 7 not found"}
    for era, text in missing.items():
        machine = Machine(era)
        later = era == "e12"
        for flags, status, said in (
            ("", 69, True),
            ("-q", 69, not later),
            ("-f", 0 if later else 69, True),
            ("-fq", 0 if later else 69, not later),
        ):
            outcome = machine.run(f"{flags} delete 7")
            assert outcome.status == status
            assert outcome.err == (f"ipfw: {text}\n" if said else "")


@pytest.mark.parametrize(
    "word", ["record-state", "set-limit src-addr 1", "defer-action", "tcpmss 1", "flow table(x)"]
)
def test_what_came_later_is_unknown_before(word):
    refused(
        Machine("e10"),
        f"add allow tcp from any to any {word}",
        64,
        f"unrecognised option [-1] {word.split()[0]}\n",
    )


@pytest.mark.parametrize("action", ["call 10", "return"])
def test_actions_that_8_does_not_have(action):
    refused(
        Machine("e8"),
        f"add {action} ip from any to any",
        65,
        f"invalid action {action.split()[0]}\n",
    )
    Machine("e10").ok(f"add {action} ip from any to any")


def test_names_of_states_are_looked_at():
    machine = Machine("e12")
    for rule in (
        "check-state foo",
        "allow tcp from any to any keep-state :any",
        "check-state :a/b",
    ):
        word = rule.split()[-1]
        refused(machine, f"add {rule}", 65, f"Invalid state name {word}")
    refused(
        machine,
        "add allow tcp from any to any keep-state set-limit src-addr 1",
        64,
        "only one of keep-state, record-state,  limit and set-limit is allowed",
    )


def test_a_rule_that_names_something_is_told_without_its_number():
    machine = Machine("e12")
    assert machine.ok("add allow tcp from any to any keep-state").startswith("00000 allow")
    assert machine.ok("add allow tcp from any to any").startswith("00200 allow")
    assert machine.ok("add check-state :any").startswith("00300 check-state")


def test_instructions_stand_in_the_order_of_the_kernel():
    machine = Machine("e12")
    machine.ok("add prob 0.5 allow log tag 3 tcp from any to me keep-state in // text")
    rule = next(iter(machine.chain))
    assert [insn.op for insn in rule.patterns] == [
        ops.O_PROB,
        ops.O_PROBE_STATE,
        ops.O_PROTO,
        ops.O_IP_DST_ME,
        ops.O_IN,
        ops.O_NOP,
        ops.O_KEEP_STATE,
    ]
    assert [insn.op for insn in rule.actions] == [ops.O_LOG, ops.O_TAG, ops.O_ACCEPT]
    machine.ok("add 50 allow tcp from any to me record-state defer-immediate-action")
    rule = next(iter(machine.chain))
    assert [insn.op for insn in rule.patterns][-2:] == [ops.O_KEEP_STATE, ops.O_SKIP_ACTION]
    assert ops.O_PROBE_STATE not in [insn.op for insn in rule.patterns]


def test_a_not_that_nothing_took_is_the_next_ones():
    machine = Machine("e10")
    machine.ok("add 1 allow not ip from any to 1.2.3.4")
    machine.ok("add 2 allow tcp from any to any not via any in")
    machine.ok("add 3 allow tcp from any to any not tcpseq 5")
    assert machine.listed() == [
        "00001 allow ip from any to not 1.2.3.4",
        "00002 allow tcp from any to any in",
        "00003 allow tcp from any to any tcpseq 5",
    ]


def test_dates_and_seconds():
    machine = Machine("e10", boot=lambda: 1_000_000_000)
    machine.ok("add 100 allow ip from any to any")
    machine.books(100, 1, 40, stamp=100)
    lines = machine.ok("-t list").splitlines()
    assert lines == [
        "00100 Sun Sep  9 01:48:20 2001 allow ip from any to any",
        "65535 " + " " * 24 + "deny ip from any to any",
    ]
    assert machine.ok("-T list").splitlines()[0] == "00100 1000000100 allow ip from any to any"


def test_states_of_12():
    machine = Machine("e12")
    machine.ok("-q add 100 allow tcp from any to me keep-state :web")
    machine.books(100, 12, 3456)
    ends = ("10.0.0.2", 1025, "10.0.0.1", 80)
    machine.state(100, "S", "tcp", ends, 90, 3, 120, word=0x10302, acks=(0x1A, 0x2B), name="web")
    machine.state(100, "S", "tcp", ("10.0.0.3", 1, "10.0.0.1", 80), 0, 3, 120, name="web")
    state = "STATE tcp 10.0.0.2 1025 <-> 10.0.0.1 80 :web"
    assert machine.ok("-d list").splitlines()[2:] == [
        "## Dynamic rules (2 288):",
        f"00100 {state}",
        "",
    ]
    assert machine.ok("-D show").splitlines()[:2] == [
        "## Dynamic rules (2 288):",
        f"00100  3  120 (90s) {state}",
    ]
    assert machine.ok("-v -d list 100").splitlines()[1:3] == [
        "## Dynamic rules:",
        f"00100 {state} state 0x00010302 BOTH_SYN,R_FIN, f_ack 0x1a, r_ack 0x2b",
    ]
    machine.ok("-D delete 100")
    assert machine.engine.made == []
    assert len(machine.listed()) == 1


def test_ranges_are_deleted_since_12():
    machine = Machine("e12")
    for number in (100, 200, 300, 400):
        machine.ok(f"-q add {number} allow ip from any to any")
    machine.ok("delete 150-300")
    assert [line[:5] for line in machine.listed()] == ["00100", "00400"]
    refused(machine, "delete 500-600", 69, "no rules rules in 500-600 range")


def test_a_file():
    text = """
    # a comment
    -f flush
    add 100 allow ip from any to any via lo0   # and another
    add 200 allow tcp from 10.0.0.1, 10.0.0.2 to any 22, 80 setup keep-state
    200 add deny ip from any to any
    """
    machine = Machine("e10", read={"/etc/ipfw.rules": text}.__getitem__)
    outcome = machine.run("-q /etc/ipfw.rules")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    assert machine.listed() == [
        "00100 allow ip from any to any via lo0",
        "00200 allow tcp from 10.0.0.1,10.0.0.2 to any dst-port 22,80 setup keep-state",
        "00200 deny ip from any to any",
    ]


def test_a_file_ends_at_the_first_line_that_is_refused():
    def read(path):
        if path != "/rules":
            raise FileNotFoundError(path)
        return (
            "add 100 allow ip from any to any\n\nadd 200 frob\nadd 300 allow ip from any to any\n"
        )

    machine = Machine("e10", read=read)
    outcome = machine.run("/rules")
    assert outcome.status == 65
    assert outcome.out == "00100 allow ip from any to any\n"
    assert outcome.err == "Line 3: invalid action frob\n\n"
    assert len(machine.listed()) == 1
    assert machine.run("/nothing").err == "ipfw: pathname: /nothing: No such file or directory\n"
    assert (
        machine.run("-p m4 /rules").err
        == "ipfw: -p: a preprocessor cannot be run on this machine\n"
    )


def test_only_looking():
    machine = Machine("e10")
    assert machine.ok("-n add allow ip from any to any") == "00000 allow ip from any to any\n"
    assert machine.ok("-n -f flush") == "Flushed all rules.\n"
    assert machine.listed() == []
    assert machine.run("-n add frob").status == 65


def test_flush_asks_a_person():
    asked = []
    answers = iter(["maybe\n", "n\n", "y\n", ""])
    machine = Machine("e10", answer=lambda question: asked.append(question) or next(answers))
    machine.ok("add 100 allow ip from any to any")
    question = "Are you sure? [yn] "
    assert machine.ok("flush") == question * 2 + "\n"
    assert len(machine.listed()) == 1
    assert machine.ok("flush") == question + "\nFlushed all rules.\n"
    machine.ok("add 100 allow ip from any to any")
    assert machine.ok("flush") == question
    assert len(machine.listed()) == 1
    assert asked == [question] * 4


def test_switches_are_sysctls():
    machine = Machine("e10")
    machine.ok("disable one_pass")
    machine.ok("enable firewall")
    assert machine.written == {"net.inet.ip.fw.one_pass": 0, "net.inet.ip.fw.enable": 1}
    assert machine.run("enable frob").err == "ipfw: unrecognize enable/disable keyword: frob\n\n"


def test_one_set():
    machine = Machine("e10")
    for number, which in ((100, 1), (200, 2), (200, 1), (300, 0)):
        machine.ok(f"add {number} set {which} allow ip from any to any")
    assert [line[:5] for line in machine.ok("set 1 list").splitlines()] == ["00100", "00200"]
    machine.ok("set 2 delete 200")
    assert machine.run("set 2 delete 100").err == (
        f"ipfw: rule {100 | 5 << 24 | 2 << 16}: setsockopt(IP_FW_DEL): Invalid argument\n"
    )
    machine.ok("set 1 flush")
    assert [line[:5] for line in machine.listed()] == ["00300"]


def test_nothing_is_a_question_for_help():
    machine = Machine("e10")
    for words in ([], [""], ["  # only a comment"], ["-Z", "list"], ["-s"]):
        outcome = machine.run(words)
        assert outcome.status == 64
        assert outcome.err.startswith("usage: ipfw [options]\n")
    assert machine.run(["-h"]).status == 0
