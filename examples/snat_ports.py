"""Seed 004: a load balancer with one address for all, five of them, and the knob that the forums recommend.

python examples/snat_ports.py
"""

from pystack.scenarios.load import read
from pystack.scenarios.run import run

POOL = """hosts.balancer.iptables=
-t nat -A PREROUTING -d 192.0.2.1 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.10
-t nat -A POSTROUTING -o eth1 -p tcp -j SNAT --to-source 10.0.0.101{last}:1024-4249"""
CASES = {
    "one address": [POOL.format(last="")],
    "five addresses": [POOL.format(last="-10.0.0.105")],
    "tcp_tw_reuse on the servers": [POOL.format(last=""), "web:net.ipv4.tcp_tw_reuse=1"],
    "tcp_tw_recycle on the servers": [POOL.format(last=""), "web:net.ipv4.tcp_tw_recycle=1"],
}
RATE = "traffic.test.rate=75"


def main() -> dict[str, float]:
    """A twentieth of the ports and of the rate of the report."""
    source = read("snat-port-exhaustion")
    shares = {}
    for name, settings in CASES.items():
        result = run(source.changed([RATE, *settings]), views=False)
        shares[name] = 1 - result.success
        print(f"{name:30} {shares[name]:6.1%} of {result.answered + result.failed:,} failed")
    return shares


if __name__ == "__main__":
    main()
