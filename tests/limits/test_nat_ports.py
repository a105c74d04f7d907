"""The ports of an address that flows are translated to, as a limit: towards one service of one server."""

import pystack


def gateway(ports: str) -> tuple[pystack.Host, pystack.Host]:
    net = pystack.Network(seed=4)
    gw = net.host("gw", ["10.0.0.1/16", "192.0.2.1/24"], profile="linux-6", forwarding=True)
    inside = net.host("inside", "10.0.0.2/16", profile="linux-6")
    server = net.host("server", "192.0.2.2/24", profile="linux-6")
    net.link(gw, inside)
    net.link(gw, server)
    inside.route("0.0.0.0/0", via="10.0.0.1")
    gw.iptables(f"-t nat -A POSTROUTING -o eth1 -p udp -j SNAT --to-source 192.0.2.1:{ports}")
    gw.net = net  # type: ignore[attr-defined]
    return gw, inside


def test_the_ports_of_an_address_are_a_limit():
    gw, inside = gateway("50000-50003")
    name = "NAT ports of 192.0.2.1 to 192.0.2.2:53/17"

    def ask() -> None:
        inside.socket(2).sendto(b"?", ("192.0.2.2", 53))
        gw.net.run(for_="10ms")

    def row() -> pystack.limits.Limit:
        (found,) = [limit for limit in gw.limits() if limit.name == name]
        return found

    for n in range(4):
        ask()
        assert (row().used, row().failures) == (n + 1, 0)
    assert row().knob == "--to-source"
    ask()
    assert (row().used, row().failures) == (4, 1)
    assert row().last_failure is not None
    assert gw.conntrack.counters()["insert_failed"] == 1
    first = gw.conntrack.flows()[0]
    gw.conntrack.table.kill(first.row)
    assert row().used == 3
    ask()
    assert (row().used, row().failures) == (4, 1)
