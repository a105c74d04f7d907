"""A network at both speeds: the same packets at the same nanoseconds, the same answers."""

from twin.twin import assert_twins


def test_a_network_with_everything_that_can_happen_to_a_packet():
    assert_twins(
        """
        import pystack

        net = pystack.Network(seed=11)
        web = net.host("web", ["192.0.2.1/24"], profile="freebsd-10")
        gw = net.host("gw", ["192.0.2.254/24", "198.51.100.254/24"], profile="linux-6", forwarding=True)
        me = net.host("me", "198.51.100.2/24", profile="linux-6")
        tap = net.tap("198.51.100.9/24")
        net.link(web, gw, delay="5ms", jitter="1ms", bandwidth="20Mbit/s", queue=30, loss=0.02)
        net.link(gw, me, delay="2ms", reorder=0.05, duplicate=0.02, corrupt=0.01)
        net.link(tap, gw)
        web.route("default", via="192.0.2.254")
        me.route("default", via="198.51.100.254")

        listener = web.socket()
        listener.bind(("", 80))
        listener.listen(5)
        done = []

        def accept(events):
            while listener.readable():
                conn, address = listener.accept()
                conn.setblocking(False)
                got = []

                def ready(events, conn=conn, got=got):
                    while not conn.closed and conn.readable():
                        got.append(conn.recv(4096))
                        if not got[-1]:
                            done.append((net.now, len(b"".join(got))))
                            conn.close()

                conn.on_ready = ready

        listener.on_ready = accept
        for n in (10, 5_000, 60_000):
            with me.socket() as sock:
                sock.connect(("192.0.2.1", 80))
                sock.sendall(bytes(range(256)) * (n // 256 + 1))
            print(net.now, sock, net.trace_hash())
        print(me.ping("192.0.2.1", 5, interval="20ms"))
        udp = me.socket(2)
        udp.sendto(bytes(5000), ("192.0.2.1", 9))
        tap.send(bytes(40))
        tap.send(bytes.fromhex("45000014000000004001") + bytes(10))
        net.run(for_="10min")
        print(net.now, done, len(tap.received), net.trace_hash())
        for host in (web, gw, me):
            print(host.name, sorted(host.tcp_states().items()), sorted(host.drops().items()))
            print([(name, n) for name, n in host.stats.items() if n], host.core.pool.in_use)
        for link in net.links:
            print(link.forward.counters, link.backward.counters)
        """
    )


def test_machines_of_every_profile():
    assert_twins(
        """
        import pystack
        from pystack import profiles

        net = pystack.Network(seed=5)
        names = profiles.names()
        hosts = [net.host(name, f"10.0.0.{i + 1}/24", profile=name) for i, name in enumerate(names)]
        for i, a in enumerate(hosts):
            for b in hosts[i + 1 :]:
                net.link(a, b, delay="3ms", loss=0.05)
        for a in hosts:
            for b in hosts:
                if a is b:
                    continue
                with b.socket() as listener, a.socket() as client:
                    listener.bind(("", 0))
                    listener.listen(1)
                    client.connect((b.address, listener.getsockname()[1]))
                    conn, peer = listener.accept()
                    client.sendall(bytes(30_000))
                    print(a.name, b.name, peer, len(conn.recv(30_000, 0x100)), net.now)
                    conn.close()
        net.run(for_="1h")
        print(net.trace_hash())
        """
    )
