"""A firewall and a server that keep each other's dead connections alive, and which lines end that.

python examples/keepalive_storm.py
"""

from pystack.scenarios.load import load
from pystack.scenarios.result import Result
from pystack.scenarios.run import run

VISITS = "traffic.forgetful.rate=0.2"
LINES = {
    "as it is": [],
    "the firewall does not ask": ["fw:net.inet.ip.fw.dyn_keepalive=0"],
    "rules live for a minute": ["fw:net.inet.ip.fw.dyn_ack_lifetime=60"],
    "both": ["fw:net.inet.ip.fw.dyn_keepalive=0", "fw:net.inet.ip.fw.dyn_ack_lifetime=60"],
}


def main() -> dict[str, Result]:
    """The same visitors four times."""
    found = {}
    for name, settings in LINES.items():
        scenario = load("keepalive-storm", [VISITS, "sample=30s", *settings])
        found[name] = result = run(scenario, views=False)
        rules = result.main
        assert rules is not None
        print(f"{name:28} {max(rules.used):4} rules at most, {rules.used[-1]:4} at the end")
    return found


if __name__ == "__main__":
    main()
