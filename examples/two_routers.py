"""Two networks, two routers between them, and a ping whose time to live runs out on the way.

alice -- r1 -- r2 -- bob        python examples/two_routers.py
"""

import pystack


def build() -> tuple[pystack.Network, pystack.Host, pystack.Host]:
    """The four machines, their links and routes."""
    net = pystack.Network(seed=3)
    alice = net.host("alice", "10.1.0.2/24", profile="linux-6")
    bob = net.host("bob", "10.2.0.2/24", profile="freebsd-14")
    r1 = net.host("r1", ["10.1.0.1/24", "10.9.0.1/30"], profile="linux-6", forwarding=True)
    r2 = net.host("r2", ["10.9.0.2/30", "10.2.0.1/24"], profile="freebsd-10", forwarding=True)
    net.link(alice, r1, delay="1ms")
    net.link(r1, r2, delay="20ms", bandwidth="10Mbit/s")
    net.link(r2, bob, delay="1ms")
    alice.route("0.0.0.0/0", via="10.1.0.1")
    bob.route("0.0.0.0/0", via="10.2.0.1")
    r1.route("10.2.0.0/24", via="10.9.0.2")
    r2.route("10.1.0.0/24", via="10.9.0.1")
    return net, alice, bob


def main() -> tuple[list[int | None], int]:
    """Ping through both routers, fetch something, and let a packet die at the first."""
    net, alice, bob = build()
    times = alice.ping("10.2.0.2", count=3)
    print("ping:", ", ".join(f"{ns / 1e6:.2f} ms" if ns else "lost" for ns in times))

    listener = bob.socket()
    listener.bind(("", 80))
    listener.listen(5)
    client = alice.socket()
    client.connect(("10.2.0.2", 80))
    conn, peer = listener.accept()
    print("bob sees", peer[0])
    conn.sendall(b"through two routers")
    print(client.recv(100))

    alice.sysctl["net.ipv4.ip_default_ttl"] = 1
    lost = alice.ping("10.2.0.2", count=1)
    dropped = net.hosts["r1"].drops()["IP_TTL"]
    print("with a TTL of 1:", "lost" if lost == [None] else lost, "- r1 dropped", dropped)
    return times, dropped


if __name__ == "__main__":
    main()
