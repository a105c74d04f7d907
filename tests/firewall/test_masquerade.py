"""MASQUERADE and the address that it borrows: without one, and when the interface loses it (facts: conntrack 8.1)."""

import pytest
from gateway import ACK, CLIENT, RECORDS, SERVER, SYN, Gateway, client, tcp, udp


def masquerading(**knobs):
    g = Gateway(**knobs)
    g.gw.iptables("-t nat -A POSTROUTING -o eth1 -j MASQUERADE")
    return g


def test_an_interface_without_an_address_takes_another_one():
    g = masquerading()
    g.gw.set_address("eth1", None)
    g.gw.route("10.9.2.0/24", dev="eth1")
    out = g.send(tcp(CLIENT, 41000, SERVER, 80, SYN))
    assert out[12:16] == bytes((10, 9, 1, 1))


def test_no_address_anywhere():
    record = RECORDS["masquerade_no_address_anywhere"]["observations"]
    g = masquerading()
    for face in ("eth0", "eth1"):
        g.gw.set_address(face, None)
    g.gw.route("10.9.2.0/24", dev="eth1")
    assert (g.send(tcp(CLIENT, 41000, SERVER, 80, SYN)) is not None) == record["forwarded"]
    assert g.counters == record["counters"]
    assert g.count == record["count"]
    said = [line.partition("] ")[2] for line in g.gw.dmesg()]
    assert said == [record["dmesg"][0].partition("] ")[2].replace("tunb", "eth1")]


@pytest.mark.parametrize("how", ["down", "address", "other address"])
def test_flows_end_with_the_interface(how):
    """Those that were masqueraded there; others stay, and so do their sources of the same port."""
    g = masquerading()
    assert g.send(tcp(CLIENT, 41000, SERVER, 80, SYN))
    assert g.send(udp(CLIENT, 5353, SERVER, 53))
    g.b.send(udp(SERVER, 99, CLIENT, 99))  # the other way: not masqueraded
    g.at(1)
    assert g.count == 3
    if how == "down":
        g.gw.set_up("eth1", False)
    else:
        g.gw.set_address("eth1", None if how == "address" else "10.9.2.9/24")
    assert [one.original.src & 0xFF for one in g.gw.conntrack.flows()] == [2]
    assert g.count == 1
    if how == "down":
        assert g.send(tcp(CLIENT, 41000, SERVER, 80, SYN)) is None
        g.gw.set_up("eth1")
        assert g.send(tcp(CLIENT, 41000, SERVER, 80, SYN))
    elif how == "other address":
        out = g.send(tcp(CLIENT, 41000, SERVER, 80, SYN))
        assert out[12:16] == bytes((10, 9, 2, 9))


def test_other_interfaces_are_none_of_its_business():
    g = masquerading()
    assert g.send(tcp(CLIENT, 41000, SERVER, 80, SYN))
    g.gw.set_up("eth0", False)
    assert g.count == 1


def test_a_row_that_is_used_again_is_nobodys():
    """The row of a flow that was masqueraded belongs to one that is not."""
    g = masquerading()
    assert g.send(tcp(CLIENT, 41000, SERVER, 80, SYN))
    g.gw.conntrack("-D -p tcp")
    g.b.send(udp(SERVER, 99, CLIENT, 99))
    g.at(1)
    g.gw.set_up("eth1", False)
    assert g.count == 1


def test_two_ports_for_four():
    record = RECORDS["masquerade_two_ports"]["observations"]
    g = Gateway()
    g.gw.iptables("-t nat -A POSTROUTING -o eth1 -p tcp -j MASQUERADE --to-ports 50000-50001")
    got = []
    before = {}
    for n in range(4):
        out = g.send(tcp(client(n), 41000, SERVER, 80, SYN))
        port = None if out is None else int.from_bytes(out[20:22], "big")
        now = g.counters
        grown = {k: v - before.get(k, 0) for k, v in now.items() if v != before.get(k, 0)}
        got.append((port, grown.get("insert_failed", 0), grown.get("drop", 0)))
        before = now
    wanted = [(at and at[1], c.get("insert_failed", 0), c.get("drop", 0)) for at, c in record]
    assert sorted(p for p, _, _ in got if p) == sorted(p for p, _, _ in wanted if p)
    assert [line[1:] for line in got] == [line[1:] for line in wanted]


def test_names_that_there_are_not():
    g = Gateway()
    with pytest.raises(ValueError, match="gw has no interface eth7"):
        g.gw.set_up("eth7")
    with pytest.raises(ValueError, match=r"gw has 10\.9\.1\.1 already"):
        g.gw.set_address("eth1", "10.9.1.1/24")
    assert g.send(tcp(CLIENT, 1, SERVER, 2, ACK))
