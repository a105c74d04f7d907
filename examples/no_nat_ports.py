"""Thirteen clients behind a pool of ten ports: silence, two counters, and no line in the log.

python examples/no_nat_ports.py
"""

import pystack

RULE = "-t nat -A POSTROUTING -o eth1 -p tcp -j SNAT --to-source {pool}"
CASES = {
    "ten ports": "198.51.100.1:50000-50009",
    "ten ports, drawn at random": "198.51.100.1:50000-50009 --random-fully",
    "all ports of the address": "198.51.100.1",
}


def try_all(pool: str) -> tuple[int, int, pystack.Host]:
    """How many of thirteen clients, all from port 41000, get through; how many do not; and the gateway."""
    net = pystack.Network(seed=1)
    gw = net.host("gw", ["10.0.0.254/24", "198.51.100.1/24"], profile="linux-6", forwarding=True)
    web = net.host("web", "198.51.100.80/24", profile="freebsd-14")
    net.link(gw, web, delay="1ms")
    gw.iptables(RULE.format(pool=pool))
    with web.socket() as listener:
        listener.bind(("", 80))
        listener.listen(128)
        through = 0
        for number in range(1, 14):
            client = net.host(f"c{number}", f"10.0.0.{number}/24", profile="linux-6")
            net.link(client, gw, delay="1ms")
            client.route("0.0.0.0/0", via="10.0.0.254")
            sock = client.socket()
            sock.bind(("", 41000))
            sock.settimeout(0.2)  # all are done before a SYN is sent again
            try:
                sock.connect(("198.51.100.80", 80))
                through += 1
            except TimeoutError:
                pass
    return through, 13 - through, gw


def main() -> dict[str, tuple[int, int]]:
    """Each pool, and what `conntrack -S` says afterwards."""
    seen = {}
    for name, pool in CASES.items():
        through, lost, gw = try_all(pool)
        seen[name] = (through, lost)
        print(f"{name:28} {through:2} got through, {lost} heard nothing")
        print(f"  {gw.conntrack('-S').strip()}")
        assert not gw.dmesg(), "the kernel says nothing about it"
    return seen


if __name__ == "__main__":
    main()
