"""NAT as a 6.18 kernel does it (linux-6.18-netfilter.jsonl: nat): which address and port a flow gets, what happens when
none is left. Ports drawn at random are compared by their class, addresses exactly.
"""

import re
import struct

import pytest
from gateway import (
    ACK,
    CLIENT,
    FIN,
    NF,
    RECORDS,
    RST,
    SERVER,
    SYN,
    Gateway,
    checksum,
    icmp,
    ip,
    tcp,
    udp,
)

from pystack.addresses import dotted

POOL = "10.9.2.50"


def seen(name):
    return RECORDS[name]["observations"]


class Nat(Gateway):
    """A gateway with rules of nat; everything behind it is reached through the tap of the servers."""

    def __init__(self, *rules, **knobs):
        super().__init__(**knobs)
        self.gw.conntrack.track(False)
        for rule in rules:
            self.gw.iptables(f"-t nat {rule}")
        self.gw.route("10.77.0.0/16", via=SERVER)
        self.gw.route("10.20.0.0/16", via=SERVER)

    def source(self, packet):
        """(address, port) that a packet of a client leaves with, None if it does not."""
        out = self.send(packet)
        return out and end(out, 12)

    def destination(self, packet):
        """(address, port) that it goes to."""
        out = self.send(packet)
        return out and end(out, 16)

    def syn_from(self, host, sport=41000, to=SERVER, dport=80, seq=1000):
        return self.source(tcp(host, sport, to, dport, SYN, seq))

    def life(self, host, sport=41000, close=True):
        """A connection through the pool, opened and closed; the port that it got."""
        _, port = self.syn_from(host, sport)
        back = tcp(SERVER, 80, POOL, port, SYN | ACK, 5000, 1001)
        assert self.send(back, back=True)
        assert self.send(tcp(host, sport, SERVER, 80, ACK, 1001, 5001))
        if close:
            assert self.send(tcp(host, sport, SERVER, 80, FIN | ACK, 1001, 5001))
            assert self.send(tcp(SERVER, 80, POOL, port, FIN | ACK, 5001, 1002), back=True)
            assert self.send(tcp(host, sport, SERVER, 80, ACK, 1002, 5002))
        return port


def end(packet, at):
    """Address and port (or ICMP identifier) at one end of a packet; its checksums are right."""
    assert checksum(packet[:20]) == b"\0\0"
    proto = packet[9]
    if proto == 6:
        pseudo = packet[12:20] + struct.pack(">BBH", 0, 6, len(packet) - 20)
        assert checksum(pseudo + packet[20:]) == b"\0\0"
    elif proto == 1:
        assert checksum(packet[20:]) == b"\0\0"
    place = {1: 24, 12: 20, 16: 22}[1 if proto == 1 else at]
    number = int.from_bytes(packet[place : place + 2], "big") if proto != 253 else None
    return dotted(int.from_bytes(packet[at : at + 4], "big")), number


def as_recorded(lines):
    """Lines of /proc, sorted, without what is drawn (a port or identifier that the sender does not have) and with
    what a second more or less does to the time that is left.
    """
    out = []
    for line in lines:
        given = set(re.findall(r"(?:sport|id)=(\d+)", line.partition("[UNREPLIED]")[0]))
        words = [
            f"{word.partition('=')[0]}=drawn"
            if re.match("(dport|id)=", word) and place > 10 and word.partition("=")[2] not in given
            else word
            for place, word in enumerate(line.split())
        ]
        words[4] = str(-(-int(words[4]) // 30) * 30)
        out.append(" ".join(words))
    return sorted(out)


def host(number):
    return f"10.9.1.{number}"


SNAT = f"-A POSTROUTING -o eth1 -j SNAT --to-source {POOL}"


def pool(ports, proto="tcp", address=POOL):
    """SNAT with a range of ports."""
    return f"-A POSTROUTING -o eth1 -p {proto} -j SNAT --to-source {address}:{ports}"


def of_class(port):
    """The ports that may stand for this one (facts: conntrack 8.2)."""
    return range(1, 512) if port < 512 else range(600, 1024) if port < 1024 else range(1024, 65536)


def test_one_address():
    """The port stays if it can, else it is one of its class; one socket keeps one port towards all."""
    n = Nat(SNAT)
    for mapping in seen("snat_one_address")["mappings"]:
        (who, sport), (to, dport) = (part.split(":") for part in mapping["from"].split(" to "))
        got = n.syn_from(who, int(sport), to, int(dport))
        address, port = mapping["as"]
        assert got[0] == address
        if port == int(sport):
            assert got[1] == port
        else:
            assert got[1] != int(sport)
            assert got[1] in of_class(int(sport))


@pytest.mark.parametrize("sport", [41000, 700, 100])
def test_clashes_of_a_hundred_hosts(sport):
    record = seen(f"snat_clash_ports_{sport}")
    n = Nat(SNAT)
    ports = [n.syn_from(host(i), sport)[1] for i in range(2, 102)]
    assert ports[0] == sport == record["ports"][0]
    assert len(set(ports)) == 100
    assert all(port in of_class(sport) for port in ports + record["ports"])
    assert 99 <= n.counters["found"] <= record["counters"]["found"] + 30
    assert n.counters.keys() == {"found"}


@pytest.mark.parametrize("persistent", ["", "_persistent"])
def test_an_address_of_a_pool(persistent):
    """A hash of source and destination, the same in every kernel: 300 of 300."""
    n = Nat(
        f"-A POSTROUTING -o eth1 -j SNAT --to-source 10.77.0.10-10.77.0.14 {persistent.replace('_', '--')}"
    )
    last = SERVER
    for source, destination, address, port in seen(f"snat_address_range_of_5{persistent}")["rows"]:
        if destination != last:
            n.gw.conntrack("-F")  # else each socket keeps the address that it has
            last = destination
        got = n.syn_from(source, 5000, destination)
        assert got[0] == address
        if port == 5000:
            assert got[1] == 5000


def test_the_hash_over_a_range_is_that_of_iptables_too():
    """The recording says of its 40 hosts how many were not as the formula: jhash of source and destination."""
    record = seen("snat_range_by_iptables")
    n = Nat("-A POSTROUTING -o eth1 -j SNAT --to-source 10.77.0.10-10.77.0.14")
    by_rows = {
        row[0]: row[2] for row in seen("snat_address_range_of_5")["rows"] if row[1] == SERVER
    }
    others = [who for who, address in by_rows.items() if n.syn_from(who, 5000)[0] != address]
    assert len(by_rows) >= 40
    assert len(others) == record["rows_not_as_formula"] == 0
    saved = [line for line in n.gw.iptables_save().splitlines() if line[0] not in "#"]
    nat = saved[saved.index("*nat") :]
    assert [re.sub(r"\[.*]", "[0:0]", line) for line in nat[: nat.index("COMMIT") + 1]] == [
        line.replace("tunb", "eth1") for line in record["save"]
    ]


def test_the_same_mapping_for_other_destinations():
    record = seen("snat_same_mapping_for_other_destinations")
    n = Nat(SNAT)
    to = [SERVER, "10.9.2.3", "10.9.2.4", "10.20.0.1", "10.20.0.2"]
    assert [n.syn_from(host(4), 40000, one)[1] for one in to] == record["without_clash"]
    assert n.syn_from(host(4), 40001) == (POOL, 40001)
    address, port = n.syn_from(host(5), 40001)
    assert address == record["clash"][0]
    assert port in of_class(40001)
    assert port != 40001
    got = [n.syn_from(host(5), 40001, one)[1] for one in to[1:4]]
    assert got == [port] * 3
    assert record["other_destinations"] == [record["clash"][1]] * 3


@pytest.mark.parametrize("how", ["", "_random", "_fully-random"])
def test_ten_ports(how):
    """Used up: silence, insert_failed and drop; other destinations have ports at once, and flows go on."""
    option = {"": "", "_random": "--random", "_fully-random": "--random-fully"}[how]
    n = Nat(pool("50000-50009") + f" {option}")
    record = seen(f"snat_ten_ports_exhausted{how}")
    got = []
    for number, row in enumerate(record["rows"][:13]):
        before = n.counters
        got.append(n.syn_from(host(2 + number)))
        lost = {k: v - before.get(k, 0) for k, v in n.counters.items() if v != before.get(k, 0)}
        lost.pop("found", None)
        wanted = {k: v for k, v in row["counters"].items() if k != "found"}
        assert (got[-1] is None, lost, n.count) == (row["as"] is None, wanted, row["count"])
    assert sorted(port for _, port in got[:10]) == list(range(50000, 50010))
    assert got[10:] == [None] * 3
    assert n.syn_from(host(20), 41000, "10.9.2.3")[1] in range(50000, 50010)
    assert n.syn_from(host(20), 50003) == record["port_in_range"] is None
    assert n.syn_from(host(2)) == got[0]
    assert record["retransmission"] == record["rows"][0]["as"]
    ours = {name: count for name, count in n.counters.items() if name != "found"}
    assert ours == {name: count for name, count in record["counters"].items() if name != "found"}
    assert n.count == record["proc_stat"]["entries"]
    assert n.gw.dmesg() == record["dmesg"]


def test_a_port_inside_of_the_range_is_kept():
    kept, *others = seen("snat_port_range_original_port_inside")
    n = Nat(pool("50000-50009"))
    assert list(n.syn_from(host(2), 50003)) == kept
    got = [n.syn_from(host(3), 50003), n.syn_from(host(4), 41000)]
    for run in (got, others):
        assert [address for address, _ in run] == [POOL] * 2
        assert len({port for _, port in run} & (set(range(50000, 50010)) - {50003})) == 2


@pytest.mark.parametrize(
    ("how", "option"), [("random", "--random"), ("fully-random", "--random-fully")]
)
def test_random_ports(how, option):
    """Drawn anew for each flow, of the class of the client's port; no flow waits for another's port."""
    record = seen(f"snat_{how}")
    n = Nat(f"{SNAT} {option}")
    got = {
        "ports": [n.syn_from(host(2), 30000 + i)[1] for i in range(40)],
        "ports_same_source": [n.syn_from(host(3), 40000, f"10.20.0.{i}")[1] for i in range(1, 21)],
        "ports_from_700": [n.syn_from(host(4), 700, SERVER, 1000 + i)[1] for i in range(20)],
    }
    for run in (got, record):
        assert sum(port == 30000 + i for i, port in enumerate(run["ports"])) <= 1
        assert len(set(run["ports_same_source"])) >= 19
        assert all(port in of_class(30000) for port in run["ports"] + run["ports_same_source"])
        assert all(port in of_class(700) for port in run["ports_from_700"])
        assert len(run["ports_from_700"]) == 20
    assert n.counters == record["counters"]


def test_established_flows_keep_their_ports():
    record = seen("snat_2_ports_established_new_syn")
    n = Nat(pool("50000-50001"))
    for i in (1, 2):
        n.life(f"10.10.1.{i}", close=False)
    assert [n.syn_from("10.10.2.1", seq=900_000) for _ in range(3)] == record["result"]
    assert n.counters == record["counters"]
    ports = re.compile(r"dport=5000[01]")
    assert sorted(ports.sub("", line) for line in n.lines) == sorted(
        ports.sub("", line).replace(" 431999 ", " 432000 ") for line in record["lines"]
    )


@pytest.mark.parametrize("ports", [3, 10, 40])
@pytest.mark.parametrize("seq", ["higher", "lower"])
def test_what_is_over_gives_way_to_a_higher_syn(ports, seq):
    record = seen(f"snat_{ports}_ports_all_time_wait_new_syn_{seq}_seq")
    n = Nat(pool(f"50000-{49999 + ports}"))
    made = 0
    for i in range(1, 400):
        if made == ports:
            break
        made += n.life(f"10.10.1.{i}") is not None
    assert n.states == record["states"]
    before = n.counters
    got = [n.syn_from(f"10.10.2.{i}", seq=900_000 if seq == "higher" else 10) for i in range(1, 6)]
    assert [one is None for one in got] == [one is None for one in record["new_syns"]]
    grown = {k: v - before.get(k, 0) for k, v in n.counters.items() if v != before.get(k, 0)}
    assert grown == record["counters"]
    assert n.states == record["states_after"]
    if ports == 3:  # of more ports the recording shows three lines
        assert as_recorded(n.lines) == as_recorded(record["lines"])


@pytest.mark.parametrize("state", ["close", "last_ack", "syn_sent"])
def test_which_states_give_way(state):
    record = seen(f"snat_two_ports_full_of_{state}")
    n = Nat(pool("50000-50001"))
    for i in (1, 2):
        who = f"10.10.1.{i}"
        if state == "syn_sent":
            n.syn_from(who)
            continue
        port = n.life(who, close=False)
        if state == "close":
            assert n.send(tcp(who, 41000, SERVER, 80, RST, 1001))
        else:
            assert n.send(tcp(who, 41000, SERVER, 80, FIN | ACK, 1001, 5001))
            assert n.send(tcp(SERVER, 80, POOL, port, ACK, 5001, 1002), back=True)
            assert n.send(tcp(SERVER, 80, POOL, port, FIN | ACK, 5001, 1002), back=True)
    assert n.states == record["states"]
    got = n.syn_from("10.10.2.1", seq=900_000)
    assert (got is None) == (record["new"] is None)
    assert n.states == record["states_after"]
    assert n.counters == record["counters"]


def test_a_pool_does_not_spill_over():
    n = Nat(pool("50000-50001", address="10.77.0.10-10.77.0.11"))
    for source, formula, result, counters in seen("snat_2_addresses_2_ports_each"):
        before = n.counters
        got = n.syn_from(source)
        assert (got and got[0]) == (result and formula)
        grown = {k: v - before.get(k, 0) for k, v in n.counters.items() if v != before.get(k, 0)}
        assert grown == counters


def test_udp_ports_used_up():
    record = seen("snat_udp_2_ports_exhausted")
    n = Nat(pool("50000-50001", "udp"))
    for i, (port, counters) in enumerate(record["last"]):
        before = n.counters
        got = n.source(udp(host(2 + i), 5353, SERVER, 53))
        assert (got is None) == (port is None)
        if port is None:
            assert {k: v - before.get(k, 0) for k, v in n.counters.items()} == counters


def test_forty_udp_ports_used_up():
    """Forty tries find them all; nothing is left for the last two, and each says so as the recording's do."""
    record = seen("snat_udp_40_ports_exhausted")
    n = Nat(pool("50000-50039", "udp"))
    got = [n.source(udp(f"10.10.0.{i}", 5353, SERVER, 53)) for i in range(1, 41)]
    assert sorted(port for _, port in got) == list(range(50000, 50040))
    for i, (port, counters) in enumerate(record["last"][-2:]):
        before = n.counters
        assert n.source(udp(f"10.10.1.{i}", 5353, SERVER, 53)) == port is None
        assert {k: v - before.get(k, 0) for k, v in n.counters.items()} == counters
    lost = ("insert_failed", "drop")
    assert [n.counters[k] for k in lost] == [record["counters"][k] for k in lost]


def test_a_protocol_without_ports_has_one_flow_an_address():
    record = seen("snat_generic_protocol_clash")
    n = Nat(SNAT)
    got = [n.source(ip(host(i), SERVER, 253, b"x")) for i in (2, 3, 3)]
    assert [one and one[0] for one in got] == record["sources"]
    assert n.counters == record["counters"]


def test_two_hundred_ports_used_up():
    """248 tries in five rounds, of which the last 32 of a round are not counted: +128."""
    n = Nat(pool("50000-50199"))
    i = 0
    while n.count < 200:
        n.syn_from(f"10.10.{i >> 8}.{i & 255}")
        i += 1
    before = n.counters["found"]
    assert n.syn_from("10.10.200.1") is None
    assert n.counters["found"] - before == 128
    assert seen("snat_200_ports_exhausted_tcp")["from_the_196th"][-1][2]["found"] == 128


def test_dnat():
    record = seen("dnat_one")
    n = Nat("-A PREROUTING -d 10.9.9.9 -p tcp --dport 80 -j DNAT --to-destination 10.9.2.2:8080")
    behind = [n.send(tcp(who, 41000, "10.9.9.9", 80, SYN)) for who in (CLIENT, host(3))]
    assert [[*end(out, 12), *end(out, 16)] for out in behind] == record["seen_behind"]
    got = n.source(tcp(CLIENT, 41000, "10.9.2.2", 8080, SYN))
    assert got[0] == record["straight"][0]
    assert got[1] != 41000  # the reply would look like that of the first flow
    assert as_recorded(n.lines) == as_recorded(record["lines"])
    reply = n.send(tcp(SERVER, 8080, CLIENT, 41000, SYN | ACK, 1, 1001), back=True)
    assert end(reply, 12) == ("10.9.9.9", 80)


def test_dnat_over_a_range():
    n = Nat("-A PREROUTING -d 10.9.9.9 -j DNAT --to-destination 10.9.2.10-10.9.2.14")
    for source, address in seen("dnat_range_of_5")["rows"]:
        assert n.destination(tcp(source, 41000, "10.9.9.9", 80, SYN))[0] == address
    others = [n.destination(tcp("10.10.0.1", p, "10.9.9.9", 80, SYN))[0] for p in range(5, 10)]
    assert others == seen("dnat_range_of_5")["same_host_other_port"]


def test_dnat_takes_the_lowest_port():
    n = Nat("-A PREROUTING -d 10.9.9.9 -p tcp -j DNAT --to-destination 10.9.2.2:8000-8004")
    got = [n.destination(tcp(host(i), 41000, "10.9.9.9", 80, SYN))[1] for i in range(2, 32)]
    assert got == seen("dnat_port_range")["ports"]
    one = [n.destination(tcp(CLIENT, p, "10.9.9.9", 80, SYN))[1] for p in range(42000, 42010)]
    assert one == seen("dnat_port_range")["one_host"]


def test_dnat_shifts_a_range_of_ports():
    n = Nat(
        "-A PREROUTING -d 10.9.9.9 -p tcp -m tcp --dport 80:90 -j DNAT --to-destination 10.9.2.2:8080-8090/80"
    )
    got = [n.destination(tcp(CLIENT, 41000, "10.9.9.9", port, SYN))[1] for port in (80, 85, 90)]
    assert got == [8080, 8085, 8090]


def test_both():
    record = seen("snat_and_dnat")
    n = Nat(
        "-A PREROUTING -d 10.9.9.9 -p tcp --dport 80 -j DNAT --to-destination 10.9.2.2:8080", SNAT
    )
    out = n.send(tcp(CLIENT, 41000, "10.9.9.9", 80, SYN))
    assert [*end(out, 12), *end(out, 16)] == record["seen_behind"]
    assert n.lines == record["lines"]
    shown = record["conntrack_L"].splitlines()[0].replace(" 119 ", " 120 ")
    for words in ("-L", "-L --src-nat", "-L --dst-nat", "-L --any-nat"):
        assert n.gw.conntrack(words).splitlines() == [shown]
    assert record["conntrack_L_snat"] == record["conntrack_L_dnat"] == record["conntrack_L"]
    listed = n.gw.conntrack("-L -o extended,id").splitlines()
    wanted = record["extended_id"].splitlines()[0].replace(" 119 ", " 120 ")
    assert [line.partition(" id=")[0] for line in listed] == [wanted.partition(" id=")[0]]


def test_what_can_vary():
    """UDP its port, ICMP its identifier, other protocols nothing."""
    record = seen("snat_udp_icmp_generic_clash")
    n = Nat(SNAT)
    ports = [n.source(udp(host(i), 5353, SERVER, 53))[1] for i in (2, 3, 4)]
    assert ports[0] == 5353
    assert len(set(ports)) == 3
    ids = [n.source(icmp(host(i), SERVER, 8, 0, 77 << 16 | 1))[1] for i in (2, 3, 4)]
    assert ids[0] == 77
    assert len(set(ids)) == 3
    reply = n.send(icmp(SERVER, POOL, 0, 0, ids[1] << 16 | 1), back=True)
    assert end(reply, 16) == (host(3), 77)
    generic = [n.source(ip(host(i), SERVER, 253, b"x")) for i in (2, 3)]
    assert [one and one[0] for one in generic] == record["generic"]
    n.gw.conntrack(f"-D -p icmp -s {host(3)}")  # answered here, not in the recording
    assert n.source(icmp(host(3), SERVER, 8, 0, 77 << 16 | 1))
    assert as_recorded(n.lines) == as_recorded(record["lines"])
    assert n.counters["insert_failed"] == n.counters["drop"] == 1


def test_masquerade():
    record = seen("masquerade")
    n = Nat("-A POSTROUTING -o eth1 -j MASQUERADE")
    first, second, third = record["mappings"]
    assert list(n.syn_from(CLIENT)) == first
    got = n.syn_from(host(3))
    assert got[0] == second[0]
    assert got[1] != 41000
    assert list(n.syn_from(CLIENT, 41001, "10.20.0.1")) == third
    assert as_recorded(n.lines) == as_recorded(record["lines"])
    n.gw.conntrack("-F")
    assert n.source(udp(CLIENT, 5353, SERVER, 53))
    ids = [n.source(icmp(host(i), SERVER, 8, 0, 77 << 16 | 1))[1] for i in (2, 3)]
    assert ids[0] == record["icmp_ids_out"][0] == 77 != ids[1]
    assert as_recorded(n.lines) == as_recorded(record["lines_udp_icmp"])
    n.gw.set_address("eth1", None)
    n.gw.route("10.9.2.0/24", dev="eth1")
    assert n.lines == record["lines_after_address_removed"]
    assert list(n.syn_from(host(6))) == record["syn_without_address"]
    assert as_recorded(n.lines) == as_recorded(record["lines_then"])
    n = Nat("-A POSTROUTING -o eth1 -p tcp -j MASQUERADE --to-ports 50000-50001")
    got = [n.syn_from(host(i)) for i in (2, 3, 4, 5)]
    assert [one is None for one in got] == [False, False, True, True]


def test_errors_are_translated():
    """What a router says of a packet behind the gateway reaches the client in the client's own words."""
    n = Nat(SNAT)
    out = n.send(udp(CLIENT, 5353, SERVER, 53, b"question"))
    error = n.send(icmp(SERVER, POOL, 3, 3, 0, out[:28]), back=True)
    assert end(error, 16)[0] == CLIENT
    assert error[28:48][12:16] == bytes((10, 9, 1, 2))
    assert checksum(error[28:48]) == b"\0\0"
    assert error[48:52] == struct.pack(">HH", 5353, 53)
    n = Nat("-A PREROUTING -d 10.9.9.9 -p udp -j DNAT --to-destination 10.9.2.2:53")
    out = n.send(udp(CLIENT, 5353, "10.9.9.9", 5300, b"question"))
    error = n.send(icmp(SERVER, CLIENT, 3, 3, 0, out[:28]), back=True)
    assert end(error, 12)[0] == "10.9.9.9"
    assert error[28:48][16:20] == bytes((10, 9, 9, 9))
    assert error[48:52] == struct.pack(">HH", 5353, 5300)


def test_nothing_is_tracked_until_a_rule_needs_it():
    n = Nat()
    n.gw.iptables("-A FORWARD -p tcp -j ACCEPT")
    n.syn_from(CLIENT)
    assert n.lines == []
    n.gw.iptables("-A FORWARD -m conntrack --ctstate NEW -j ACCEPT")
    n.syn_from(CLIENT)
    assert len(n.lines) == 1
    n.gw.iptables("-F FORWARD")
    n.syn_from(host(3))
    assert len(n.lines) == 1
    assert n.gw.sysctl[NF + "count"] == 1
