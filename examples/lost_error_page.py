"""The appendix of seed 003: an upload is refused, and whether its client ever learns why depends on the server's close.

python examples/lost_error_page.py
"""

import pystack
from pystack.services import HttpService
from pystack.traffic import Poster


def post(linger: str, system: str, insists: bool) -> Poster:
    """600 kB to a server that refuses more than 1 kB, 20 ms and 10 Mbit/s away."""
    net = pystack.Network(seed=3)
    web = net.host("web", "192.0.2.1/24", profile="freebsd-10")
    me = net.host("me", "192.0.2.2/24", profile=system)
    net.link(web, me, delay="20ms", bandwidth="10Mbit/s")
    HttpService(80, like="apache-1.3", linger=linger, body_max="1kB").start(web)
    poster = Poster(me, ("192.0.2.1", 80), octets="600kB", insists=insists)
    poster.start()
    net.run(until=lambda: poster.done)
    return poster


def main() -> dict[tuple[str, str, bool], int]:
    """The status that each client saw, 0 for none."""
    seen = {}
    for linger in ("plain", "lingering"):
        for system in ("windows", "linux-6"):
            for insists in (False, True):
                poster = post(linger, system, insists)
                seen[linger, system, insists] = poster.refused
                client = f"{system}, {'reads on after an error' if insists else 'gives up'}"
                page = f"sees {poster.refused}" if poster.refused else "sees nothing"
                print(f"{linger:10} {client:34} {page:13} {poster.error or ''}")
    return seen


if __name__ == "__main__":
    main()
