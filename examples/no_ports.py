"""Seed 004: a load balancer whose ports are all in TIME_WAIT, and what helps.

python examples/no_ports.py
"""

from pystack.scenarios import ephemeral_ports as ports

CASES = {
    "one address": {},
    "five addresses": {"addresses": 5},
    "net.ipv4.tcp_tw_reuse=1": {"sysctl": {"net.ipv4.tcp_tw_reuse": 1}},
    "the web server closes first": {"closes": "web"},
}


HOW = {"rate": 100, "ports": (40000, 42999), "lasting": "90s"}


def main() -> dict[str, ports.Result]:
    """100 connections a second for a minute and a half, 3,000 ports."""
    found = {}
    for name, how in CASES.items():
        result = found[name] = ports.run(**HOW, **how)
        failed = f"{result.failed} of {result.started} failed"
        if result.first_failure is not None:
            failed += f", from {result.first_failure / 1e9:.0f} s on: {', '.join(result.errors)}"
        wait = result.waiting
        print(f"{name:28} TIME_WAIT {wait['balancer']:5} here, {wait['web']:5} there; {failed}")
    return found


if __name__ == "__main__":
    main()
