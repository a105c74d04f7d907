"""Seed 002: thousands of idle connections in few chains. What does a look-up pass, with how many chains?

python examples/tcb_hash.py
"""

from pystack.scenarios.load import load
from pystack.scenarios.run import run

SMALL = ["traffic.people.visits=3000", "traffic.people.rate=300", "lasting=20s"]
CHAINS = (512, 2048, 8192)


def main() -> dict[int, float]:
    """Entries that are passed to find one."""
    found = {}
    for chains in CHAINS:
        knob = f"web:net.inet.tcp.tcbhashsize={chains}"
        found[chains] = run(load("tcb-hash", [*SMALL, knob]), views=False).suffering
        print(f"{chains:5,} chains of 8 octets: {found[chains]:5.1f} entries to find one of 3,000")
    return found


if __name__ == "__main__":
    main()
