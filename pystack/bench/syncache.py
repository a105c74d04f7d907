"""A SYN flood against one listener: SYNs answered a second, and a client that connects meanwhile.

The SYNs are made and given to the machine inside the core, on one processor. The reference is the same SYNs made and
thrown away: what the flood itself costs.
"""

from __future__ import annotations

from typing import Any

from pystack._fast.consts import MS
from pystack._fast.flood import SynFlood
from pystack.bench import memory
from pystack.bench.report import Report, Stopwatch, Target, interleaved, no_collector
from pystack.host import Host
from pystack.network import Network
from pystack.traffic import SynFlooder

SERVER, PORT = "192.0.2.1", 80
NUMBER = 0xC0000201
SOURCES, MASK = 0x0A000000, 0xFF000000
BATCH = 1_000
CASES: dict[str, tuple[str, dict[str, object], str]] = {
    "linux_cookies": ("linux-6", {}, "Linux 6, cookies"),
    "freebsd_cookies": (
        "freebsd-14",
        {"net.inet.tcp.syncookies_only": 1},
        "FreeBSD 14, cookies only",
    ),
    "freebsd_evict": ("freebsd-10", {}, "FreeBSD 10, eviction"),
}
"""Key → profile, knobs, title."""


class Flooded:
    """A machine with a listener, and the flood that it is under."""

    def __init__(self, profile: str, sysctl: dict[str, object]) -> None:
        self.host = Host("web", f"{SERVER}/24", profile=profile, sysctl=sysctl, seed=1)
        self.host.route("0.0.0.0/0", via="192.0.2.254")
        self.listener = self.host.socket()
        self.listener.bind(("", PORT))
        self.listener.listen(128)
        self.flood = SynFlood(1, SOURCES, MASK, NUMBER, PORT)
        self.now = 10**9

    def hit(self, n: int) -> float:
        """`n` SYNs, a thousand each millisecond; how many a second of CPU time."""
        core = self.host.core
        watch = Stopwatch()
        for _ in range(max(1, n // BATCH)):
            self.now += MS
            self.flood.into(core, 0, BATCH, self.now)
            core.tick(self.now)
        rate = max(1, n // BATCH) * BATCH * 1e9 / watch.ns()
        again: int = self.host.stats["sc_retransmitted"]  # a second later, those that are kept
        assert self.flood.answers == self.flood.sent + again, "every SYN is answered"
        return rate


def made(n: int) -> float:
    """The SYNs made and thrown away: a machine without an address has nobody to take them."""
    host = Host("nobody", profile="linux-6", seed=1)
    flood = SynFlood(1, SOURCES, MASK, NUMBER, PORT)
    watch = Stopwatch()
    flood.into_nothing(host.core, n)
    return n * 1e9 / watch.ns()


def connect_ms(profile: str, sysctl: dict[str, object], rate: int) -> float:
    """Virtual ms until a client is connected, 10 ms away, while `rate` SYNs a second come."""
    net = Network(seed=1, record=False, trace=False)
    web = net.host("web", f"{SERVER}/24", profile=profile, sysctl=sysctl)
    client = net.host("client", "192.0.2.2/24", profile="linux-6")
    tap = net.tap("192.0.2.254/24")
    net.link(client, web, delay="5ms")
    net.link(tap, web, delay="5ms")
    web.route("0.0.0.0/0", via="192.0.2.254")
    tap.keep = False
    with web.socket() as listener:
        listener.bind(("", PORT))
        listener.listen(128)
        flooder = SynFlooder(net, tap, (SERVER, PORT), rate=rate)
        flooder.start()
        net.run(for_="200ms")
        begin = net.now
        with client.socket() as sock:
            sock.settimeout(30)
            sock.connect((SERVER, PORT))
            took = (net.now - begin) / MS
            child, _ = listener.accept()
            child.close()
        flooder.stop()
    return took


def entry_octets(n: int) -> float:
    """Memory of one half-open connection, by what the process grows for `n` of them."""
    sysctl: dict[str, object] = {
        "net.inet.tcp.syncache.cachelimit": n + 1,
        "net.inet.tcp.syncache.hashsize": 1 << (n // 8).bit_length(),
        "net.inet.tcp.syncache.bucketlimit": 100,
    }
    target = Flooded("freebsd-10", sysctl)
    target.flood.into(target.host.core, 0, 1, target.now)  # what there is once
    before = memory.resident()
    target.flood.into(target.host.core, 0, n - 1, target.now)
    held: Any = target.host.core.listeners.cache.used
    assert held > 0.99 * n, f"{held} of {n} are held"
    return float((memory.resident() - before) / (held - 1))


def measure(scale: float, repeat: int) -> Report:
    """A million SYNs at scale 1."""
    n = max(BATCH, round(1_000_000 * scale))
    targets = {key: Flooded(profile, sysctl) for key, (profile, sysctl, _) in CASES.items()}
    for target in targets.values():
        target.hit(40_000)  # until the tables are full
    with no_collector():
        found = interleaved(
            repeat,
            {"made": lambda: made(n)}
            | {key: (lambda t=target: t.hit(n)) for key, target in targets.items()},
        )
    best = {name: max(runs) for name, runs in found.items()}
    report = Report("syncache", f"{n:,} SYNs, one core, CPU time, best of {repeat} rounds")
    report.reference("reference_syn_per_second", best["made"], "made and thrown away")
    for key, (_, _, title) in CASES.items():
        goal = Target(least=1_000_000) if key.endswith("cookies") else None
        report.figure(f"{key}_per_second", best[key], title, "reference_syn_per_second", goal)
    report.reference("reference_round_trip_ms", 10.0, "round trip, 50,000 SYN/s")
    for key, (profile, sysctl, title) in CASES.items():
        took = connect_ms(profile, sysctl, 50_000)
        limit = Target(most=1.01, ratio=True)
        name = f"{title}: a client"
        report.figure(f"{key}_connect_ms", took, name, "reference_round_trip_ms", limit)
    octets = entry_octets(max(1000, round(200_000 * min(1.0, scale))))
    report.figure("syncache_entry_octets", octets, "a half-open connection", "", Target(most=160))
    return report
