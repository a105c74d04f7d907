"""Rules without a machine: a firewall, packets from octets, and a hook state whose answers the test gives."""

from __future__ import annotations

from typing import Any

from fuzz import octets

from pystack._fast import ip4, nf_hook
from pystack._fast.config import Config
from pystack._fast.conntrack import Conntrack
from pystack._fast.nf_hook import HookState
from pystack._fast.packet import Packet
from pystack._fast.rng import Rng
from pystack.firewall import Firewall, iptables
from pystack.firewall.tables import HOOKS

A, B = octets.A, octets.B
ms = 1_000_000
s = 1_000_000_000


def address(text: str) -> int:
    return int.from_bytes(bytes(map(int, text.split("."))), "big")


class State(HookState):
    """Interfaces eth0 (10.0.0.2) and eth1 (192.0.2.1); what targets asked for is in `asked`."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = Rng(1)
        self.now = 1000 * s
        self.asked: list[tuple[Any, ...]] = []
        self.types = {A: nf_hook.ADDR_UNICAST, B: nf_hook.ADDR_LOCAL}
        self.mtu = 1500

    def address_type(self, addr: int, iface: int) -> int:
        if iface == 1 and addr == B:
            return nf_hook.ADDR_UNICAST  # it is eth0's
        return self.types.get(addr, nf_hook.ADDR_UNICAST)

    def iface_name(self, number: int) -> str:
        return ("eth0", "eth1", "ppp0")[number] if number < 3 else f"tun{number}"

    def iface_addr(self, number: int) -> int:
        return (B, address("192.0.2.1"), 0)[number]

    def reject(self, p: Packet, kind: int) -> int:
        self.asked.append(("reject", kind))
        return 0

    def log(self, p: Packet, prefix: str, level: int) -> int:
        self.asked.append(("log", prefix, level, self.log_flags))
        return 0

    def set_nat(self, p: Packet, wanted: Any, source: bool) -> int:
        fields = (wanted.low, wanted.high, wanted.port_low, wanted.port_high)
        ways = [w for w in ("random", "random_fully", "persistent", "netmap") if getattr(wanted, w)]
        self.asked.append(("snat" if source else "dnat", *fields, *ways))
        return nf_hook.NF_ACCEPT

    def masquerade(self, p: Packet, wanted: Any) -> int:
        self.asked.append(("masquerade", wanted.port_low, wanted.port_high))
        return nf_hook.NF_ACCEPT

    def clamp_mss(self, p: Packet) -> int:
        return self.mtu


def load(data: bytes, fault: int = 0) -> Packet:
    """A packet, with this fault of its L4 part (`consts.Drop`)."""
    p = ip4.load(octets.pool(), data)
    assert p.drop == fault
    p.iface_in = 0
    return p


def tcp(payload: bytes = b"", *, ip: dict[str, Any] | None = None, **fields: Any) -> Packet:
    """From 10.0.0.1:1234 to 10.0.0.2:80 unless told otherwise; flags are a SYN."""
    around = dict(ip or {})
    ends = {k: around[k] for k in ("src", "dst") if k in around}
    fields = {"flags": 2} | fields | ends
    return load(octets.ip(octets.tcp(payload, **fields), octets.TCP, **around))


def udp(payload: bytes = b"", *, ip: dict[str, Any] | None = None, **fields: Any) -> Packet:
    around = dict(ip or {})
    ends = {k: around[k] for k in ("src", "dst") if k in around}
    return load(octets.ip(octets.udp(payload, **fields, **ends), octets.UDP, **around))


def icmp(kind: int, code: int = 0) -> Packet:
    return load(octets.ip(octets.icmp(kind, code), octets.ICMP))


def conntrack(state: State) -> Conntrack:
    """A conntrack for this state."""
    config = Config()
    config.ct_buckets = 64
    config.ct_max = 1000
    state.conntrack = Conntrack(config, Rng(2), state.now)
    return state.conntrack


class Rules:
    """A firewall of its own. `Rules("-A INPUT …", …)` in the filter table unless a command says otherwise."""

    def __init__(self, *commands: str) -> None:
        self.firewall = Firewall()
        for command in commands:
            iptables(self.firewall, command)
        self.state = State()

    def run(self, p: Packet, chain: str = "INPUT", table: str = "filter") -> int:
        self.state.hook = HOOKS[chain]
        return int(self.firewall.tables[table].run(HOOKS[chain], p, self.state))

    def counters(self, chain: str = "INPUT", table: str = "filter") -> list[tuple[int, int]]:
        return [(r.packets, r.octets) for r in self.firewall.tables[table].chains[chain].rules]


def fits(rule: str, p: Packet, chain: str = "INPUT") -> bool:
    """Does a rule of these words fit the packet?"""
    rules = Rules(f"-A {chain} {rule} -j DROP")
    return rules.run(p, chain) == nf_hook.NF_DROP
