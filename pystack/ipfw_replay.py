"""What the original ipfw of FreeBSD's 10 era did with a scenario, and whether the rules here do the same.

A scenario is a line of JSON: rules, settings, and steps: a packet that is put through the firewall once, a second that
passes, a setting, a command (`ipfw-replay FILE`; facts: data/ipfw-e10). The clock is set by hand; the tick of a second
comes before its packets.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from itertools import zip_longest
from typing import Any

from pystack._fast.consts import PROTO_ICMP, PROTO_TCP, PROTO_UDP
from pystack._fast.ipfw_ground import Ground
from pystack._fast.ipfw_ops import (
    REJECT_RST,
    V_DENY,
    V_DIVERT,
    V_DUMMYNET,
    V_NAT,
    V_NETGRAPH,
    V_NGTEE,
    V_PASS,
    V_TEE,
)
from pystack._fast.packet import Packet
from pystack._fast.rng import Rng
from pystack.addresses import dotted, parse_host
from pystack.firewall.ipfw.chain import Chain
from pystack.firewall.ipfw.engine import CLAMPED, ERAS, Engine
from pystack.firewall.ipfw.logline import log_packet
from pystack.firewall.ipfw.names import DEBIAN
from pystack.firewall.ipfw.tool import Tool
from pystack.profiles import load
from pystack.replay import Difference, Result
from pystack.sysctl import Sysctl

VERDICTS = {
    V_PASS: "pass",
    V_DENY: "deny",
    V_DIVERT: "divert",
    V_TEE: "tee",
    V_DUMMYNET: "dummynet",
    V_NETGRAPH: "netgraph",
    V_NGTEE: "netgraph",
    V_NAT: "nat",
}
NUMBERED = frozenset({"divert", "tee", "dummynet", "netgraph", "nat"})
PROTOCOLS = {"icmp": PROTO_ICMP, "tcp": PROTO_TCP, "udp": PROTO_UDP}
NAMES = {number: name for name, number in PROTOCOLS.items()}
NET = "net.inet.ip.fw."
HEADERS = {PROTO_TCP: 20, PROTO_UDP: 8, PROTO_ICMP: 8}
ACK_ONLY = 16
MODULES = frozenset({"divert", "nat", "netgraph"})
"""What was loaded into the kernel of the recordings."""
QUIET = 600
"""Seconds that may lie between the last step and the listing."""


class Stand(Ground):
    """A machine that is only an address list, and writes down what is asked of it."""

    def __init__(self, own: Iterable[str]):
        self.own = {parse_host(text) for text in own}
        self.interfaces: list[str] = []
        self.lines: list[list[str]] = []
        self.sent: list[dict[str, Any]] = []
        self.errors: list[list[int]] = []
        self.tags: set[int] = set()
        self.engine: Engine
        self.chain: Chain

    def number(self, name: str) -> int:
        """The number of an interface, -1 for none."""
        if not name:
            return -1
        if name not in self.interfaces:
            self.interfaces.append(name)
        return self.interfaces.index(name)

    def renew(self) -> int:
        self.engine.renew()
        return 0

    def say(self, channel: str, text: str) -> int:
        self.lines.append([channel, text])
        return 0

    def warn(self, text: str) -> int:
        return self.say("printf", text)

    def rule_number(self, rule: int) -> int:
        return int(self.engine.rules.number[rule])

    def probe(self, src: int, sport: int, dst: int, dport: int, seq: int, ack: int) -> int:
        self.sent.append(segment(src, sport, dst, dport, seq, ack, ACK_ONLY))
        return 0

    def is_own(self, address: int) -> bool:
        return address in self.own

    def iface_fits(self, iface: int, pattern: str) -> bool:
        return fnmatchcase(self.interfaces[iface], pattern)

    def answer(self, p: Any, code: int) -> int:
        if code != REJECT_RST:
            self.errors.append([3, code])
        elif p.proto == PROTO_TCP and not p.flags & 4:
            if p.flags & 16:
                seq, ack, flags = p.ack, 0, 4
            else:
                seq, ack, flags = 0, (p.seq + (p.flags >> 1 & 1)) & 0xFFFFFFFF, 20
            self.sent.append(segment(p.dst, p.dport, p.src, p.sport, seq, ack, flags))
        return 0

    def log(self, p: Any, position: int, out: bool, arg: int) -> int:
        rule = self.engine.rule_at(position)
        name = self.interfaces[p.iface_out if out else p.iface_in]
        way = f"{'out' if out else 'in'} via {name}"
        for channel, text in log_packet(self.engine, rule, arg, p, way):
            self.say(channel, text)
        return 0

    def has_tag(self, p: Any, low: int, high: int) -> bool:
        return any(low <= tag <= high for tag in self.tags)

    def set_tag(self, p: Any, tag: int, on: bool) -> int:
        (self.tags.add if on else self.tags.discard)(tag)
        return 0


def segment(
    src: int, sport: int, dst: int, dport: int, seq: int, ack: int, flags: int
) -> dict[str, Any]:
    """A segment that the firewall sent, as recordings have it."""
    return {
        "src": dotted(src),
        "sport": sport,
        "dst": dotted(dst),
        "dport": dport,
        "seq": seq,
        "ack": ack,
        "flags": flags,
        "win": 0,
    }


class Lab:
    """One scenario under way."""

    def __init__(self, scenario: dict[str, Any], profile: str = "freebsd-10"):
        self.scenario = scenario
        self.sysctl = Sysctl(load(profile))
        self.stand = Stand(scenario.get("me", ["10.0.0.1"]))
        self.engine = Engine(self.sysctl.config, self.stand, Rng(1), 0)
        self.stand.engine = self.engine
        self.chain = self.stand.chain = Chain(self.engine)
        self.chain.log = self.stand.say
        for name in CLAMPED:
            self.sysctl.provide(NET + name, partial(getattr, self.sysctl.config, f"fw_{name}"))
        config: Any = self.sysctl.config
        self.tool = Tool(
            self.chain,
            ERAS[config.policy_ipfw],
            sysctl=self.write,
            names=DEBIAN,
            strict_machine=False,
            modules=MODULES,
        )
        self.packet = Packet()
        self.uptime = scenario["uptime0"]
        self.engine.table.last_round = self.uptime - self.uptime % 5
        self.seen: set[tuple[Any, ...]] = set()
        for rule in scenario["rules"]:
            self.tool.run(rule.split())
        self.set(scenario["sysctl"])
        self.stand.lines.clear()

    def write(self, name: str, value: int) -> None:
        """A knob that the command turns."""
        self.sysctl[name] = value

    def set(self, values: dict[str, Any]) -> None:
        """Settings by their last name."""
        for name, value in values.items():
            self.sysctl[NET + name] = value

    def until(self, t: float) -> Iterator[tuple[int, dict[str, Any]]]:
        """The ticks up to a time; those that did something, and what."""
        last = self.scenario["uptime0"] + int(t)
        while self.uptime < last:
            self.uptime += 1
            before = self.keys()
            self.engine.rules.uptime = self.uptime
            self.engine.table.tick(self.uptime)
            if self.stand.sent or self.stand.lines or self.keys() != before:
                yield self.uptime - self.scenario["uptime0"], self.outcome(tick=True)

    def keys(self) -> list[tuple[Any, ...]]:
        """Which entries there are, and how many children each has."""
        return sorted((e[:7], e[11]) for e in self.engine.states())

    def states(self) -> list[list[Any]]:
        """The entries as recordings have them."""
        return [
            [
                number,
                kind,
                NAMES.get(proto, proto),
                dotted(src),
                sport,
                dotted(dst),
                dport,
                *rest[:7],
            ]
            for number, kind, proto, src, sport, dst, dport, *rest in self.engine.states()
        ]

    def outcome(self, tick: bool = False) -> dict[str, Any]:
        """What there is to see, and forget it."""
        out: dict[str, Any] = {}
        if self.stand.sent:
            out["ka" if tick else "sent"] = list(self.stand.sent)
        if self.stand.errors:
            out["icmp"] = list(self.stand.errors)
        if self.stand.lines:
            out["msg"] = list(self.stand.lines)
        self.stand.sent.clear()
        self.stand.errors.clear()
        self.stand.lines.clear()
        out["count"] = self.engine.table.count
        out["states"] = self.states()
        return out

    def differs(self, step: int, given: dict[str, Any], expected: Any, got: Any) -> Difference:
        """A difference at a step, counted from 1; 0: in what was listed at the end."""
        return Difference(f"scenario {self.scenario['id']}, step {step}", given, expected, got)

    def play(self) -> Difference | None:
        """All steps; the first difference."""
        if "batches" in self.scenario:
            return self.grow()
        for number, step in enumerate(self.scenario["steps"], 1):
            ticks = list(self.until(step["t"]))
            if "tick" in step:
                got = ticks.pop()[1] if ticks and ticks[-1][0] == step["t"] else self.outcome()
                given, expected = {"t": step["t"], "tick": 1}, without(step, "t", "tick")
            else:
                given, expected, got = self.step(step)
            if ticks:
                return self.differs(number, {"tick": ticks[0][0]}, None, ticks[0][1])
            got = {k: v for k, v in got.items() if k in expected or k not in ("states", "count")}
            if expected != got:
                return self.differs(number, given, expected, got)
        return self.end()

    def grow(self) -> Difference | None:
        """Many new connections at once, second after second: how large the table gets."""
        batches = dict(self.scenario["batches"])
        flow = 0
        for second, *expected in self.scenario["trace"]:
            for _ in self.until(second):
                pass
            self.set(self.scenario.get("sysctl_at", {}).get(str(second), {}))
            got = [self.engine.table.chain.buckets, self.engine.table.count]
            verdicts: Counter[str] = Counter()
            for _ in range(batches.get(second, 0)):
                flow += 1
                verdicts[self.pass_packet(syn(flow))["verdict"]] += 1
            self.stand.lines.clear()
            got += [verdicts["pass"], verdicts["deny"], self.engine.table.count]
            if got != expected:
                return self.differs(second, {"t": second}, expected, got)
        return None

    def step(self, step: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """A packet, a setting or a command: what was given, what was recorded, what came."""
        if "pkt" in step:
            given = {k: step[k] for k in ("t", "out", "if", "pkt")}
            got = self.pass_packet(step)
            expected = without(step, *given)
            expected["counted"] = sorted(expected.get("counted", [expected["rule"]]))
            return given, expected, got | self.outcome()
        if "sysctl" in step:
            self.set(step["sysctl"])
            return {"sysctl": step["sysctl"]}, without(step, "t", "sysctl"), self.outcome()
        done = self.tool.run(step["ipfw"])
        got = {"exit": done.status}
        if done.out:
            got["stdout"] = done.out
        if done.err:
            got["stderr"] = done.err
        expected = {k: v for k, v in without(step, "t", "ipfw", "in2014").items() if v != ""}
        return {"ipfw": step["ipfw"]}, expected, got | self.outcome()

    def pass_packet(self, step: dict[str, Any]) -> dict[str, Any]:
        """One packet, once through the rules."""
        p = self.packet
        fill(p, step["pkt"])
        p.iface_in, p.iface_out = (self.stand.number(name) for name in step["if"])
        rules = self.engine.rules
        rules.uptime = self.uptime
        self.stand.tags.clear()
        if rules.stale:
            self.engine.renew()
        before = Counter({rule.row: rules.packets[rule.row] for rule in self.chain})
        verdict = VERDICTS[rules.check(p, p.iface_in, p.iface_out if step["out"] else -1, 0)]
        counted = Counter({rule.row: rules.packets[rule.row] for rule in self.chain}) - before
        out: dict[str, Any] = {"verdict": verdict, "rule": int(rules.number[rules.row[rules.pos]])}
        out["counted"] = sorted(int(rules.number[row]) for row in counted.elements())
        if verdict in NUMBERED:
            out["arg"] = rules.arg
        if rules.fwd_addr and verdict == "pass":
            out["fwd"] = f"{dotted(rules.fwd_addr)} {rules.fwd_port}"
        return out

    def end(self) -> Difference | None:
        """The settings and listings at the end, some seconds after the last step, in which nothing happened."""
        wanted = self.scenario.get("show")
        if wanted is not None:
            last = self.uptime
            while self.listing("show") != wanted and self.uptime < last + QUIET:
                if list(self.until(self.uptime + 1 - self.scenario["uptime0"])):
                    break
        for key, value in self.scenario.get("end", {}).items():
            if self.ending(key) != value:
                return self.differs(0, {"sysctl": key}, value, self.ending(key))
        for key in ("show", "list"):
            wanted, got = self.scenario.get(key), self.listing(key)
            if wanted not in (None, got):
                pairs = [(a, b) for a, b in zip_longest(wanted, got) if a != b]
                return self.differs(0, {"ipfw": [key]}, *pairs[0])
        return None

    def listing(self, key: str) -> list[str]:
        """The lines of `show` (with the states) or `list`."""
        return self.tool.run(["-d", "show"] if key == "show" else [key]).out.splitlines()

    def ending(self, key: str) -> int:
        """One of the figures that a recording ends with."""
        if key == "dyn_count":
            return int(self.engine.table.count)
        if key == "curr_dyn_buckets":
            return int(self.engine.table.chain.buckets)
        value = self.sysctl[NET + key]
        assert isinstance(value, int)
        return value


def syn(flow: int) -> dict[str, Any]:
    """The first segment of one of many connections."""
    packet = {
        "proto": "tcp",
        "src": dotted(0x0A000100 + (flow >> 14)),
        "sport": 1024 + (flow & 0x3FFF),
    }
    packet |= {
        "dst": "10.0.0.1",
        "dport": 80,
        "flags": 2,
        "seq": 1,
        "ack": 0,
        "win": 1000,
        "len": 0,
    }
    return {"out": 0, "if": ["em0", ""], "pkt": packet}


def without(step: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The other entries."""
    return {k: v for k, v in step.items() if k not in keys}


def fill(p: Any, packet: dict[str, Any]) -> None:
    """The packet of a recording as a parser leaves it."""
    p.clear()
    p.proto = PROTOCOLS.get(packet["proto"], packet["proto"])
    p.src, p.dst = parse_host(packet["src"]), parse_host(packet["dst"])
    p.ttl, p.tos = packet.get("ttl", 64), packet.get("tos", 0)
    p.ip_id, p.mf = packet.get("ipid", 0), bool(packet.get("mf"))
    p.frag_off = packet.get("off", 0) * 8
    options = bytes.fromhex(packet.get("ipopts", ""))
    p.head[20 : 20 + len(options)] = options
    p.ip_len = p.head_len = 20 + len(options)
    if not p.frag_off:
        p.head_len += HEADERS.get(p.proto, 0)
        p.sport, p.dport = packet.get("sport", 0), packet.get("dport", 0)
        p.icmp_type, p.icmp_code = packet.get("type", 0), packet.get("code", 0)
        p.flags, p.win = packet.get("flags", 0), packet.get("win", 0)
        p.seq, p.ack = packet.get("seq", 0), packet.get("ack", 0)
        options = bytes.fromhex(packet.get("opts", ""))
        p.head[p.head_len : p.head_len + len(options)] = options
        p.head_len += len(options)
    p.length = packet["len"]
    p.total = p.head_len + p.length


def recorded(lines: Iterable[str], name: str) -> Iterator[dict[str, Any]]:
    """The scenarios of a recording. Raises ValueError with the place of a line that is none."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            scenario = json.loads(line)
        except ValueError as e:
            raise ValueError(f"{name}:{number}: {e}") from None
        missing = {"id", "rules", "sysctl", "uptime0"} - scenario.keys()
        if "batches" not in scenario:
            missing |= {"me", "steps"} - scenario.keys()
        if missing:
            raise ValueError(f"{name}:{number}: not a scenario: no {', '.join(sorted(missing))}")
        yield scenario


def replay(scenarios: Iterable[dict[str, Any]], profile: str = "freebsd-10") -> Result:
    """Play scenarios one after the other."""
    result = Result()
    for scenario in scenarios:
        steps = len(scenario.get("steps", scenario.get("trace", ())))
        result.played(steps, Lab(scenario, profile).play())
    return result
