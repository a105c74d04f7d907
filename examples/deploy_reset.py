"""A server is restarted: when do its clients have their answers again, with a herd and without one?

python examples/deploy_reset.py
"""

from pystack._fast.consts import SECOND
from pystack.scenarios.load import load
from pystack.scenarios.result import Result
from pystack.scenarios.run import run

SMALL = ["web:net.core.somaxconn=16", "traffic.devices.clients=300"]
CURES = {
    "all after one second": [],
    "within half a minute": ["traffic.devices.spread=30s"],
    "cookies": ["web:net.ipv4.tcp_syncookies=1"],
    "a longer queue of SYNs alone": ["web:net.ipv4.tcp_max_syn_backlog=8192"],
}


def main() -> dict[str, Result]:
    """Failures, and when the last one was."""
    found = {}
    for name, settings in CURES.items():
        found[name] = result = run(load("deploy-reset", [*SMALL, *settings]), views=False)
        failed = result.clients["devices"].failed
        last = result.times[failed.index(failed[-1])] / SECOND
        print(f"{name:29} {failed[-1]:4} failed, the last at {last:4.1f} s; restarted at 30 s")
    return found


if __name__ == "__main__":
    main()
