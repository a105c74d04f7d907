"""Zones: the same tuple in several tables, and zones of one direction (linux-6.18-netfilter.jsonl: zone_*)."""

import pytest
from gateway import ACK, CLIENT, RECORDS, SERVER, SYN, icmp, tcp, udp
from test_recorded_rules import Rules


def seen(name):
    return RECORDS[name]["observations"]


def words(lines):
    return [" ".join(line.split()) for line in lines]


def test_a_zone_of_the_original_direction():
    record = seen("zone_orig_7")
    r = Rules(
        "-t raw -A PREROUTING -i eth0 -j CT --zone-orig 7",
        "-A FORWARD -p tcp -m tcp --dport 80 -j CONNMARK --set-mark 42",
    )
    assert r.send(tcp(CLIENT, 5000, SERVER, 80, SYN))
    answered = r.send(tcp(SERVER, 80, CLIENT, 5000, SYN | ACK, 5000, 1001), back=True)
    assert (answered is not None) == record["synack_forwarded"]
    assert [w.replace(" 60 ", " 59 ") for w in r.lines] == words(record["proc"])
    assert "-A PREROUTING -i eth0 -j CT --zone-orig 7" in r.saved()
    assert "zone-orig=7" in r.gw.conntrack("-L")


def test_a_zone_of_the_reply_direction():
    """Servers of two zones, clients of none: the reply key is in the zone, and so is the reply."""
    r = Rules(
        "-t raw -A PREROUTING -i eth0 -j CT --zone-reply 9",
        "-t raw -A PREROUTING -i eth1 -j CT --zone-reply 9",
        "-A FORWARD -m conntrack --ctstate NEW -j ACCEPT",
    )
    assert r.send(udp(CLIENT, 5000, SERVER, 53))
    assert "zone-reply=9" in r.lines[0]
    assert r.send(udp(SERVER, 53, CLIENT, 5000), back=True)
    assert r.count == 1
    assert "[UNREPLIED]" not in r.lines[0]


def test_a_reply_without_the_zone_is_a_clash():
    """It would be a flow of its own, whose reply key is the other's first one: dropped, as on a 6.18 kernel."""
    r = Rules(
        "-t raw -A PREROUTING -i eth0 -j CT --zone-reply 9",
        "-A FORWARD -m conntrack --ctstate NEW -j ACCEPT",
    )
    assert r.send(udp(CLIENT, 5000, SERVER, 53))
    assert r.send(udp(SERVER, 53, CLIENT, 5000), back=True) is None
    assert r.count == 1
    assert r.counters == {"insert_failed": 1, "drop": 1}


def test_one_tuple_in_two_zones():
    record = seen("same_tuple_in_two_zones")
    r = Rules(
        "-t raw -A PREROUTING -i eth0 -j CT --zone 1",
        "-t raw -A PREROUTING -i eth1 -j CT --zone 2",
        "-A FORWARD -p tcp -m tcp --dport 80 -j CONNMARK --set-mark 42",
    )
    r.a.send(tcp(CLIENT, 5000, SERVER, 80, SYN))
    r.b.send(tcp(CLIENT, 5000, SERVER, 80, SYN))
    r.at(0.5)
    assert sorted(w.replace(" 120 ", " 119 ") for w in r.lines) == sorted(words(record["proc"]))
    assert len(r.gw.conntrack("-L --zone 1").splitlines()) == 1


def test_the_zone_of_a_mark():
    """Packets are marked in no table before raw, so a mark is a zone where raw sets both."""
    r = Rules(
        "-t raw -A PREROUTING -s 10.9.1.2 -j MARK --set-mark 5",
        "-t raw -A PREROUTING -j CT --zone mark",
        "-A FORWARD -m conntrack --ctstate NEW -j ACCEPT",
    )
    r.send(udp(CLIENT, 5000, SERVER, 53))
    r.send(udp("10.9.1.3", 5000, SERVER, 53))
    assert sorted(w.split("zone=")[1].split()[0] for w in r.lines) == ["0", "5"]


@pytest.mark.parametrize("which", ["--zone-orig", "--zone-reply", "--zone"])
def test_an_error_finds_the_flow_of_its_zone(which):
    """An unreachable of the server about a datagram: RELATED, whatever direction has the zone."""
    r = Rules(
        f"-t raw -A PREROUTING -j CT {which} 7",
        "-A FORWARD -m conntrack --ctstate NEW,RELATED,INVALID -j ACCEPT",
    )
    asked = udp(CLIENT, 5000, SERVER, 53)
    assert r.send(asked)
    r.send(icmp(SERVER, CLIENT, 3, 3, 0, asked[:28]), back=True)
    assert r.counters == {}
    assert r.count == 1


def test_nat_keeps_the_zone_of_each_direction():
    r = Rules(
        "-t raw -A PREROUTING -i eth0 -j CT --zone-orig 7",
        "-t nat -A POSTROUTING -o eth1 -j SNAT --to-source 10.9.2.50",
    )
    assert r.send(tcp(CLIENT, 5000, SERVER, 80, SYN))
    assert "zone-orig=7" in r.lines[0]
    answer = r.send(tcp(SERVER, 80, "10.9.2.50", 5000, SYN | ACK, 5000, 1001), back=True)
    assert answer is not None
    assert answer[16:20] == bytes((10, 9, 1, 2))
