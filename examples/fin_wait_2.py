"""Seed 003: 4,000 browsers that never close. How long does each system hold on to their connections?

python examples/fin_wait_2.py
"""

from pystack.scenarios.load import load
from pystack.scenarios.result import Result
from pystack.scenarios.run import run

VISITS = 4000
SYSTEMS = ("sunos-4", "hp-ux", "freebsd-10", "windows", "linux-6")
CURES = {
    "sunos-4, KeepAlive Off": ["services.apache.options.keepalive=off"],
    "freebsd-10, recycled": [
        "hosts.web.profile=freebsd-10",
        "web:net.inet.tcp.fast_finwait2_recycle=1",
        "web:net.inet.tcp.finwait2_timeout=15000",
    ],
}


def play(*settings: str) -> Result:
    """The scenario, changed."""
    return run(
        load("fin-wait-2-apache", [f"traffic.forgetful.visits={VISITS}", *settings]), views=False
    )


def main() -> dict[str, Result]:
    """The systems as they are, then what helps where nothing else does."""
    found = {name: play(f"hosts.web.profile={name}") for name in SYSTEMS}
    found |= {name: play(*settings) for name, settings in CURES.items()}
    for name, result in found.items():
        waiting = result.states["FIN_WAIT_2"]
        print(f"{name:24} {max(waiting):5,} in FIN_WAIT_2 at once, {waiting[-1]:5,} at the end")
    return found


if __name__ == "__main__":
    main()
