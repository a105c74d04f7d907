"""NAT against a model: a dict of what clients have asked, and the set of what replies look like, under any order of
questions, answers, pauses and deletions. A gateway hides three clients behind two addresses of three ports each and
turns a service over to two servers; the port that it draws is its own business, that no two flows share one is not.
"""

import struct

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import pystack
from pystack._fast import COMPILED
from pystack.addresses import dotted, parse_host

SECONDS = 30
FIRST, LAST = 50000, 50002
POOL = ("192.0.2.10", "192.0.2.11")
SERVERS = ("192.0.2.2", "192.0.2.3")
SERVICE = "203.0.113.1"
CLIENTS = ("10.0.0.2", "10.0.0.3", "10.0.0.4")
SPORTS = (5353, 50001, 700)
PROTO_UDP = 17


def checked(octets: bytes) -> int:
    total = sum(int.from_bytes(octets[i : i + 2], "big") for i in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(src: str, sport: int, dst: str, dport: int) -> bytes:
    """A datagram with its checksum, which NAT has to keep right."""
    ends = struct.pack(">II", parse_host(src), parse_host(dst))
    udp = struct.pack(">HHHH", sport, dport, 12, 0) + b"data"
    udp = udp[:6] + struct.pack(">H", checked(ends + struct.pack(">HH", 17, 12) + udp)) + udp[8:]
    head = struct.pack(">BBHHHBBH", 0x45, 0, 32, 0, 0, 64, PROTO_UDP, 0) + ends
    return head[:10] + struct.pack(">H", checked(head)) + head[12:] + udp


def ends(packet: bytes) -> tuple[str, int, str, int]:
    """Who sends it to whom; its checksums are right."""
    assert checked(packet[:20]) == 0
    assert checked(packet[12:20] + struct.pack(">HH", 17, len(packet) - 20) + packet[20:]) == 0
    src, dst, sport, dport = struct.unpack_from(">IIHH", packet, 12)
    return dotted(src), sport, dotted(dst), dport


class Flow:
    """`asked`: client, port, whom it asked; `out`: how that looks behind the gateway."""

    def __init__(self, asked: tuple, out: tuple, begun: int) -> None:
        self.asked = asked
        self.out = out
        self.expires = begun + SECONDS
        self.replied = False


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.net = pystack.Network(seed=9, record=False)
        self.gw = self.net.host(
            "gw", ["10.0.0.1/24", "192.0.2.1/24"], profile="linux-6", forwarding=True
        )
        self.inside, self.outside = self.net.tap("10.0.0.2/24"), self.net.tap("192.0.2.2/24")
        self.net.link(self.inside, self.gw)
        self.net.link(self.outside, self.gw)
        self.gw.iptables(
            f"-t nat -A POSTROUTING -o eth1 -p udp -j SNAT --to-source {POOL[0]}-{POOL[1]}:{FIRST}-{LAST}"
        )
        self.gw.iptables(
            f"-t nat -A PREROUTING -d {SERVICE} -p udp --dport 53 -j DNAT --to-destination {SERVERS[0]}-{SERVERS[1]}"
        )
        for name in ("udp_timeout", "udp_timeout_stream"):
            self.gw.sysctl[f"net.netfilter.nf_conntrack_{name}"] = SECONDS
        self.flows: dict[tuple, Flow] = {}
        self.seconds = 0
        self.lost = 0

    # --- the model -----------------------------------------------------------------------------------------------

    def taken(self) -> set[tuple]:
        """How replies look, each once."""
        return {flow.out for flow in self.flows.values()}

    def send(self, tap: object, other: object, packet: bytes) -> tuple | None:
        """What comes out on the other side."""
        before = len(other.received)
        tap.send(packet)
        self.net.run(for_="1us")
        seen = [data for _, data in other.received[before:]]
        assert len(seen) <= 1
        return ends(seen[0]) if seen else None

    # --- what happens ----------------------------------------------------------------------------------------------

    @rule(
        client=st.sampled_from(CLIENTS),
        sport=st.sampled_from(SPORTS),
        whom=st.sampled_from([*SERVERS, SERVICE]),
    )
    def ask(self, client: str, sport: int, whom: str) -> None:
        asked = client, sport, whom, 53
        out = self.send(self.inside, self.outside, datagram(*asked))
        flow = self.flows.get(asked)
        if flow is not None:
            assert out == flow.out, "a flow keeps what it was given"
            flow.expires = self.seconds + SECONDS
            return
        servers = SERVERS if whom == SERVICE else (whom,)
        if out is None:
            # an address is chosen by a hash, and never another one: some one of them had no port left
            full = [
                all((pool, port, server, 53) in self.taken() for port in range(FIRST, LAST + 1))
                for pool in POOL
                for server in servers
            ]
            assert any(full)
            self.lost += 1
            return
        assert out not in self.taken(), "two flows would have the same replies"
        pool, port, server, dport = out
        assert pool in POOL
        assert FIRST <= port <= LAST
        assert server in servers
        assert dport == 53
        self.flows[asked] = Flow(asked, out, self.seconds)

    @precondition(lambda self: self.flows)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        flow = data.draw(st.sampled_from(list(self.flows.values())))
        pool, port, server, dport = flow.out
        back = self.send(self.outside, self.inside, datagram(server, dport, pool, port))
        client, sport, whom, _ = flow.asked
        assert back == (whom, 53, client, sport), "as if whom it asked had answered"
        flow.replied = True
        flow.expires = self.seconds + SECONDS

    @precondition(lambda self: self.flows)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(list(self.flows)))
        client, sport, whom, _ = asked
        self.gw.conntrack(f"-D -p udp -s {client} --sport {sport} -d {whom}")
        del self.flows[asked]

    @rule(seconds=st.sampled_from([1, 14, 31]))
    def wait(self, seconds: int) -> None:
        self.seconds += seconds
        self.net.run(for_=f"{seconds}s")
        self.flows = {a: f for a, f in self.flows.items() if f.expires > self.seconds}

    # --- both ------------------------------------------------------------------------------------------------------

    @invariant()
    def alike(self) -> None:
        """The same flows with the same translations, the same refusals, the same ports in use."""
        found = {}
        for one in self.gw.conntrack.flows():
            first, back = one.original, one.reply
            key = dotted(first.src), first.sport, dotted(first.dst), first.dport
            out = dotted(back.dst), back.dport, dotted(back.src), back.sport
            found[key] = out, not one.unreplied
        assert found == {a: (f.out, f.replied) for a, f in self.flows.items()}
        counters = self.gw.conntrack.counters()
        assert counters["insert_failed"] == counters["drop"] == self.lost
        used = [limit.used for limit in self.gw.limits() if limit.name.startswith("NAT ports of")]
        assert sum(used) == len(self.flows)


TestNat = Machine.TestCase
TestNat.settings = settings(
    max_examples=40 if COMPILED else 8, stateful_step_count=40, deadline=None
)
