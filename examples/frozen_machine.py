"""A machine stands still for seven seconds, a program is stopped, a clock jumps: who notices, and what it costs.

python examples/frozen_machine.py
"""

from pystack._fast.consts import SECOND
from pystack.scenarios.load import load
from pystack.scenarios.result import Result
from pystack.scenarios.run import run

SMALL = [
    "traffic.devices.clients=300",
    "traffic.devices.think=4s",
    "services.api.like=nginx",
    "services.api.options.worker_connections=off",
    "services.api.options.keepalive=6s",
    "services.api.options.timers=wall",
    "lasting=60s",
]
FROZEN = '{{ kind = "pause", at = "30s", lasting = "7s", {} }}'
JUMPS = '{{ kind = "clock-jump", at = "30s", host = "web", {} }}'
FAULTS = {
    "nothing": "",
    "the machine, its clock ran": FROZEN.format('host = "web"'),
    "the machine, its clock stood": FROZEN.format('host = "web", clock = "stood"'),
    "the program (SIGSTOP)": FROZEN.format('service = "api"'),
    "it misses seven seconds": JUMPS.format('by = "7s"'),
    "its wall clock is set ahead": JUMPS.format('by = "1h", clock = "wall"'),
    "its wall clock is set back": JUMPS.format('by = "-1h", clock = "wall"'),
}


def main() -> dict[str, Result]:
    """Requests that had no answer, connections that were lost, segments that were sent again."""
    found = {}
    for name, fault in FAULTS.items():
        settings = [*SMALL, f"faults={{ freeze = {fault} }}" if fault else "faults={}"]
        found[name] = result = run(load("deploy-reset", settings), views=False)
        slow = sum(ns > SECOND for ns in result.latencies)
        print(f"{name:29} {result.answered:5} answered, {slow:3} late, {result.failed:3} failed")
    return found


if __name__ == "__main__":
    main()
