"""A server that stops for a second, measured twice: by a client who waits its turn, and by requests that just come.

python examples/open_loop.py
"""

import pystack
from pystack.services import HttpService
from pystack.traffic import ClosedLoad, Latencies, Load, OpenLoad

WEB = ("192.0.2.1", 80)


def measure(kind: str) -> Latencies:
    """20 s of 100 requests a second; the line is dead from the tenth second to the eleventh."""
    net = pystack.Network(seed=5)
    web = net.host("web", "192.0.2.1/24", profile="freebsd-14")
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    link = net.link(web, me, delay="1ms")
    HttpService(80).start(web)
    load: Load
    if kind == "closed":
        load = ClosedLoad(me, WEB, clients=1, think="6ms")
    else:
        load = OpenLoad(me, WEB, rate=100)
    load.start()
    net.run(for_="10s")
    link.partition()
    net.run(for_="1s")
    link.heal()
    net.run(for_="9s")
    load.stop()
    net.run(for_="10s")
    return load.latencies


def main() -> dict[str, Latencies]:
    """Percentiles of both."""
    found = {kind: measure(kind) for kind in ("closed", "open")}
    for kind, times in found.items():
        print(f"{kind:6} {times}")
    return found


if __name__ == "__main__":
    main()
