"""A SYN flood from spoofed addresses, and one honest client: with SYN cookies it comes in at once.

python examples/syn_flood.py
"""

import pystack
from pystack.traffic import SynFlooder

WEB = ("192.0.2.1", 80)
COOKIES = {"linux-6": "net.ipv4.tcp_syncookies", "freebsd-14": "net.inet.tcp.syncookies"}


def knock(profile: str, cookies: int) -> tuple[int | None, int]:
    """Half a second of 20,000 SYNs a second; how long the client's connect took, in ns, and cookies sent."""
    net = pystack.Network(seed=4, record=False)
    web = net.host("web", "192.0.2.1/24", profile=profile, sysctl={COOKIES[profile]: cookies})
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    tap = net.tap("192.0.2.254/24")
    net.link(me, web, delay="5ms")
    net.link(tap, web, delay="5ms")
    web.route("0.0.0.0/0", via="192.0.2.254")  # where the answers to nobody go
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(16)
    SynFlooder(net, tap, WEB, rate=20_000).start()
    net.run(for_="500ms")
    begin = net.now
    with me.socket() as sock:
        sock.settimeout(1)
        try:
            sock.connect(WEB)
        except TimeoutError:
            return None, web.stats["sc_sendcookie"]
    return net.now - begin, web.stats["sc_sendcookie"]


def main() -> dict[tuple[str, int], int | None]:
    """Both systems, without cookies and with them."""
    found = {}
    for profile in COOKIES:
        for cookies in (0, 1):
            took, sent = found[profile, cookies] = knock(profile, cookies)
            came = "not within a second" if took is None else f"after {took / 1e6:.0f} ms"
            print(
                f"{profile:10} {COOKIES[profile]}={cookies}: connected {came}, {sent:,} cookies sent"
            )
    return {case: took for case, (took, _) in found.items()}


if __name__ == "__main__":
    main()
