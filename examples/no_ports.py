"""Seeds 002 and 004: a machine whose local ports are all in TIME_WAIT, by the number of its connections a second.

python examples/no_ports.py
"""

from pystack.scenarios.load import load
from pystack.scenarios.run import run

PORTS = 1000
RATES = (10, 15, 17, 20, 30)
RANGE = [
    f"balancer:net.inet.ip.portrange.{end}" for end in ("first=40000", f"last={39999 + PORTS}")
]


def main() -> dict[int, int]:
    """So many failed at each rate: none as long as the ports are enough for a minute."""
    failed = {}
    for rate in RATES:
        scenario = load("ephemeral-ports", [*RANGE, f"traffic.requests.rate={rate}", "lasting=90s"])
        result = run(scenario, views=False)
        failed[rate] = result.failed
        need = rate * 60
        said = ", ".join(f"{n} × {name}" for name, n in result.errors.items()) or "none failed"
        print(f"{rate:3} a second need {need:5,} of {PORTS:,} ports: {said}")
    return failed


if __name__ == "__main__":
    main()
