"""The command of ipfw with an engine that counts nothing by itself: books and states are set by hand."""

import ipaddress
import json
import lzma
from pathlib import Path
from types import SimpleNamespace

from pystack.firewall.ipfw.chain import Chain
from pystack.firewall.ipfw.names import DEBIAN
from pystack.firewall.ipfw.tool import Tool

RECORDINGS = Path(__file__).with_name("recordings")
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1}


def recorded(name):
    """The lines of a recording."""
    with lzma.open(RECORDINGS / f"ipfw-{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def ip(text):
    return int(ipaddress.ip_address(text))


class Engine:
    """What a rule set needs of the engine: a row of books for each rule, and states."""

    def __init__(self):
        self.cfg = SimpleNamespace(
            fw_default_to_accept=0,
            fw_autoinc_step=100,
            fw_verbose=0,
            fw_verbose_limit=0,
            fw_tables_max=128,
            fw_tables_sets=0,
        )
        self.packets = [0]
        self.octets = [0]
        self.stamp = [0]
        self.log_left = [0]
        self.made = []
        """States: what `states` tells of each, and the row of its rule."""

    def take_rule(self, number):
        for column in (self.packets, self.octets, self.stamp, self.log_left):
            column.append(0)
        return len(self.packets) - 1

    def give_rule(self, rule):
        self.made = [made for made in self.made if made[1] != rule.row]

    def attach(self, chain):
        """Here they are run; there is nothing to run them on."""

    def changed(self):
        """As `attach`."""

    def zero_rule(self, row):
        self.packets[row] = self.octets[row] = 0

    def states(self):
        return [state for state, _ in self.made]

    def delete_states(self, first, last):
        left = [made for made in self.made if not first <= made[0][0] <= last]
        gone = len(self.made) - len(left)
        self.made = left
        return gone


class Machine:
    """A machine's rules, its command, and what the kernel said."""

    def __init__(self, era="e10", **options):
        self.chain = Chain(Engine())
        self.engine = self.chain.engine
        self.said = []
        self.written = {}
        self.chain.log = lambda channel, text: self.said.append([channel, text])
        self.tool = Tool(self.chain, era, sysctl=self.written.__setitem__, **options)

    def run(self, line):
        """A command as words, or in one string."""
        return self.tool.run(line.split() if isinstance(line, str) else list(line))

    def ok(self, line):
        """The output of a command that has to do what it says."""
        outcome = self.run(line)
        assert (outcome.status, outcome.err) == (0, ""), (line, outcome)
        return outcome.out

    def listed(self):
        """The rules but the default one."""
        return self.ok("list").splitlines()[:-1]

    def books(self, number, packets, octets, stamp=0, set=0):
        """What a rule has counted."""
        rule = next(each for each in self.chain.between(number, number) if each.set == set)
        self.engine.packets[rule.row] = packets
        self.engine.octets[rule.row] = octets
        self.engine.stamp[rule.row] = stamp
        return rule

    def state(
        self,
        number,
        kind,
        proto,
        ends,
        left,
        packets,
        octets,
        children=0,
        *,
        word=0,
        acks=(0, 0),
        name="",
    ):
        """One more state; `ends`: source, port, destination, port."""
        rule = self.chain.between(number, number)[0]
        src, sport, dst, dport = ends
        state = (
            number,
            kind,
            PROTOCOLS[proto],
            ip(src),
            sport,
            ip(dst),
            dport,
            word,
            left,
            packets,
            octets,
        )
        self.engine.made.append(((*state, children, *acks, rule.set, name), rule.row))


def original(era):
    """The command as it was recorded: on another system's names, with modules of which this machine knows nothing."""
    return Machine(
        era, names=DEBIAN, strict_machine=False, modules=frozenset({"divert", "netgraph"})
    )


def situation(era, rules, elapsed):
    """The rules of the recorded commands after their traffic, `elapsed` seconds ago at most."""
    machine = original(era)
    for rule in rules:
        machine.ok(rule)
    machine.engine.cfg.fw_verbose = 1
    for number, packets, octets, stamp in (
        (400, 3, 120, 100),
        (500, 3, 120, 101),
        (600, 1, 84, 102),
        (700, 2, 386, 102),
        (65000, 2, 124, 102),
    ):
        machine.books(number, packets, octets, stamp)
    machine.books(600, 1, 31, 102, set=5)
    parent, mail, web = 5 - elapsed[0], 20 - elapsed[0], 300 - elapsed[1]
    server, other = "10.0.0.1", "10.0.0.2"
    machine.state(500, "P", "tcp", ("10.0.0.5", 0, "0.0.0.0", 0), parent, 0, 0, 2)
    machine.state(500, "L", "tcp", ("10.0.0.5", 51235, server, 25), mail, 0, 0)
    machine.state(500, "L", "tcp", ("10.0.0.5", 51234, server, 25), mail, 1, 40)
    machine.state(400, "S", "tcp", (other, 1025, server, 80), web, 2, 80)
    machine.state(700, "S", "udp", (other, 5353, server, 53), 10, 1, 328)
    return machine
