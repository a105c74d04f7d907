"""The same SYNs against the hashes of four eras: a sum, jhash with a key in two forms, siphash.

python examples/hash_flood.py
"""

from pystack.scenarios.load import load
from pystack.scenarios.run import run

SMALL = ["traffic.flood.rate=20", "traffic.visitors.rate=2", "lasting=40s"]
ERAS = {"sum": "Linux 2.4", "jhash3": "2.6.18", "jhash2": "2.6.32 to 5.14", "sip": "5.15 and later"}


def main() -> dict[str, float]:
    """Entries that a look-up passes, and the longest chain."""
    found = {}
    for kind, era in ERAS.items():
        result = run(load("hash-flood", [*SMALL, f"hosts.fw.policy.ct_hash={kind}"]), views=False)
        found[kind] = result.suffering
        longest = len(result.final_chains) - 1
        print(f"{era:15} {kind:7} {found[kind]:7.1f} entries to find one, longest chain {longest}")
    return found


if __name__ == "__main__":
    main()
