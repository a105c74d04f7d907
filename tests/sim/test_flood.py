"""A SYN flood from spoofed addresses, and who else wants to connect."""

from typing import Any

import pytest

from pystack import Network
from pystack.traffic import SynFlooder

WEB = ("192.0.2.1", 80)
MS = 1_000_000


def flooded(profile: str, rate: int = 20_000, **knobs: object) -> tuple[Any, Any, Any, SynFlooder]:
    """A listener under a flood, and a client 10 ms away: network, server, client, flooder."""
    net = Network(seed=4)
    web = net.host("web", "192.0.2.1/24", profile=profile, sysctl=knobs)
    client = net.host("client", "192.0.2.2/24", profile="linux-6")
    tap = net.tap("192.0.2.254/24")
    net.link(client, web, delay="5ms")
    net.link(tap, web, delay="5ms")
    web.route("0.0.0.0/0", via="192.0.2.254")
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(16)
    return net, web, client, SynFlooder(net, tap, WEB, rate=rate)


def connects(net: Any, client: Any, within_ms: int) -> bool:
    begin = net.now
    with client.socket() as sock:
        sock.settimeout(within_ms / 1000)
        try:
            sock.connect(WEB)
        except TimeoutError:
            return False
        return bool(net.now - begin <= within_ms * MS)


def test_the_rate_and_the_sources():
    net, web, _, flooder = flooded("linux-6", rate=12_345)
    seen = flooder.tap.received
    flooder.start()
    net.run(for_="1s")
    flooder.stop()
    assert flooder.sent == pytest.approx(12_345, abs=13)
    net.run(for_="50ms")
    assert flooder.sent == pytest.approx(12_345, abs=13)
    answered = {octets[16:20] for _, octets in seen}
    assert len(answered) > 12_000
    assert all(where[0] == 10 for where in answered)
    assert web.stats["sc_sendcookie"] + web.stats["sc_added"] == flooder.sent


@pytest.mark.parametrize(
    ("profile", "knobs"),
    [
        ("linux-6", {"net.ipv4.tcp_syncookies": 1}),
        ("freebsd-14", {"net.inet.tcp.syncookies": 1}),
        ("freebsd-10", {"net.inet.tcp.syncookies": 1}),
    ],
)
def test_with_cookies_a_client_connects_at_once(profile: str, knobs: dict[str, object]):
    net, web, client, flooder = flooded(profile, **knobs)
    flooder.start()
    net.run(for_="500ms")
    assert connects(net, client, 10)
    assert web.stats["sc_sendcookie"] > 0


def test_without_cookies_nobody_comes_in_until_it_ends():
    net, web, client, flooder = flooded("linux-6", **{"net.ipv4.tcp_syncookies": 0})
    flooder.start()
    net.run(for_="500ms")
    assert not connects(net, client, 900)
    assert web.stats["sc_sendcookie"] == 0
    flooder.stop()
    net.run(for_="70s")  # the last SYN-ACK's repetitions
    assert connects(net, client, 10)


def test_the_same_seed_is_the_same_flood():
    hashes = set()
    for _ in range(2):
        net, _, _, flooder = flooded("freebsd-14", rate=3_000)
        flooder.start()
        net.run(for_="200ms")
        hashes.add(net.trace_hash())
    assert len(hashes) == 1


def test_what_is_no_flood():
    with pytest.raises(ValueError, match="no flood"):
        flooded("linux-6", rate=0)
