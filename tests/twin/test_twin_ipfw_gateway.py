"""A FreeBSD gateway with NAT and pipes at both speeds: the same packets at the same nanoseconds, the same books."""

import pytest

from twin.twin import assert_twins

CODEL = (
    "nat 1 config if em1 log port_range 20000-20999 redirect_port tcp 10.0.0.2:80,10.0.0.3:80 8080",
    "pipe 2 config bw 900Kbit/s queue 100 codel ecn mask src-ip 0x000000ff",
    "sched 1 config pipe 1 type fq_codel quantum 300 limit 25 target 2ms interval 30ms",
)


@pytest.mark.parametrize(("profile", "more"), [("freebsd-10", ()), ("freebsd-14", CODEL)])
def test_nat_and_pipes_are_twins(profile, more):
    assert_twins(
        """
        import sys

        import pystack

        net = pystack.Network(seed=11)
        gw = net.host("gw", ["10.0.0.1/24", "192.0.2.1/24"], profile=sys.argv[1], forwarding=True)
        web = net.host("web", "192.0.2.9/24", profile="linux-6")
        net.link(web, gw, delay="3ms", loss=0.01)
        clients = []
        for n in (2, 3):
            clients.append(net.host(f"c{n}", f"10.0.0.{n}/24", profile="linux-6"))
            clients[-1].route("default", via="10.0.0.1")
            net.link(clients[-1], gw, delay="1ms")
        gw.sysctl["net.inet.ip.fw.one_pass"] = 0
        for line in (
            "nat 1 config if em1 log same_ports redirect_port tcp 10.0.0.2:80,10.0.0.3:80 8080",
            "pipe 1 config bw 7Mbit/s delay 9 queue 20 burst 3000",
            "queue 1 config pipe 1 weight 3 mask dst-ip 0xffffffff",
            "queue 2 config pipe 1 weight 1 plr 0.02",
            "pipe 2 config bw 900Kbit/s plr 0.01 mask src-ip 0x000000ff",
            *sys.argv[2:],
            "add 10 nat 1 ip from any to any in via em1",
            "add 20 queue 1 tcp from any to any out via em0",
            "add 30 queue 2 udp from any to any out via em0",
            "add 40 pipe 2 ip from 10.0.0.0/24 to any out via em1",
            "add 50 nat 1 ip from any to any out via em1",
            "add 60 allow ip from any to any",
        ):
            print(gw.ipfw(line))
        listener = web.socket()
        listener.bind(("", 80))
        listener.listen(5)
        for client in clients:
            s = client.socket()
            s.bind(("", 4000))
            s.connect(("192.0.2.9", 80))
            conn, peer = listener.accept()
            conn.setblocking(False)
            s.setblocking(False)
            print(net.now, peer, conn.send(bytes(100_000)), s.send(bytes(20_000)))
        net.run(for_="20s")
        for client in clients:
            print(client.ping("192.0.2.9", 3, interval="20ms"))
            udp = client.socket(2)
            udp.sendto(bytes(5000), ("192.0.2.9", 9))
        net.run(for_="2min")
        print(net.now, net.trace_hash())
        for command in ("show", "nat show", "pipe show", "queue show", "sched show"):
            print(gw.ipfw(command))
        print(sorted(gw.drops().items()), gw.core.pool.in_use)
        """,
        profile,
        *more,
    )
