"""Connections that only wait: what each takes, and what an hour over a crowd of them costs.

So many connections are closed by the machine and acknowledged by peers that never say FIN (FIN_WAIT_2), and as many
by peers that do (TIME_WAIT). Then an hour passes, in which the timers of all of them run: TIME_WAIT ends after a
minute, FIN_WAIT_2 after 675 s on FreeBSD and after a minute on Linux. For "half-closed ones" the application has only
shut its sending side, and no timer frees them. What a row takes is by how much the process grew.
"""

from __future__ import annotations

import socket as std
from typing import Any

from pystack._fast.crowd import Crowd
from pystack.bench import memory
from pystack.bench.report import Report, Stopwatch, Target, no_collector
from pystack.network import Network

PROFILES = ("freebsd-10", "freebsd-14", "linux-6")
SERVER, NUMBER, PORT = "192.0.2.1", 0xC0000201, 80
PEERS = 0x0A000001
BATCH = 1_000
FREEBSD: dict[str, object] = {
    "kern.ipc.maxsockets": 1_000_000,
    "kern.ipc.soacceptqueue": 2 * BATCH,
}
LINUX: dict[str, object] = {"net.ipv4.tcp_max_tw_buckets": 1_000_000}


class Park:
    """A machine of a network, and the crowd that its connections wait for."""

    def __init__(self, profile: str, limit: int) -> None:
        self.net = Network(seed=1, record=False, trace=False)
        linux = profile.startswith("linux")
        sysctl = dict(LINUX if linux else FREEBSD)
        if profile == "freebsd-10":
            sysctl["net.inet.tcp.maxtcptw"] = limit + BATCH
        self.host = self.net.host(
            "park", f"{SERVER}/24", profile=profile, sysctl=sysctl, ram="64GiB"
        )
        self.host.route("0.0.0.0/0", via="192.0.2.254")
        self.listener = self.host.socket()
        self.listener.bind(("", PORT))
        self.listener.listen(2 * BATCH)
        self.crowd = Crowd(PEERS, NUMBER, PORT, limit)
        self.kept: list[Any] = []

    def park(self, n: int, fin: bool, half: bool = False) -> float:
        """`n` more connections wait; `half`: the application keeps the socket. Octets that each takes."""
        core: Any = self.host.core
        now = self.net.now
        self.batch(core, min(BATCH, n), now, fin, half)  # what there is once
        before = memory.resident()
        done = 0
        while done < n - BATCH:
            done += self.batch(core, min(BATCH, n - BATCH - done), now, fin, half)
        self.host.after(core)
        return (memory.resident() - before) / max(1, done)

    def batch(self, core: Any, n: int, now: int, fin: bool, half: bool) -> int:
        """Some of them."""
        first = self.crowd.count
        made = self.crowd.open(core, n, now)
        assert made == n, f"{made} of {n} connections were made"
        for _ in range(n):
            child, _ = self.listener.accept()
            if half:
                child.shutdown(std.SHUT_WR)
                self.kept.append(child)
            else:
                child.close()
        back = self.crowd.part(core, first, n, fin, now)
        assert back == (n if fin else 0), f"{back} answers to {n} connections that took leave"
        return n

    def hour(self) -> float:
        """CPU time of an hour of virtual time, ms."""
        with no_collector():
            watch = Stopwatch()
            self.net.run(for_="1h")
            return watch.ns() / 1e6


def measure(scale: float, repeat: int) -> Report:
    """A hundred thousand of each at scale 1; the shortest hour of `repeat` rounds, each with machines of its own."""
    n = max(BATCH + 10, round(100_000 * scale))
    report = Report("parked", f"{n:,} of each kind, one core, CPU time, best of {repeat} rounds")
    for profile in PROFILES:
        key = profile.replace("-", "_")
        octets, hours, kept = [], [], []
        for _ in range(repeat):
            park = Park(profile, 2 * n)
            octets.append(park.park(n, True))
            park.park(n, False)
            states = park.host.tcp_states()
            assert (states["TIME_WAIT"], states["FIN_WAIT_2"]) == (n, n), states
            hours.append(park.hour())
            assert park.host.tcp_states() == {"LISTEN": 1}, "an hour ends all of them"
            park = Park(profile, 2 * n)
            park.park(n, True)
            park.park(n, False, half=True)
            kept.append(park.hour())
            assert park.host.tcp_states()["FIN_WAIT_2"] == n, "half-closed connections stay"
        most = Target(most=2000)
        report.figure(
            f"{key}_time_wait_octets",
            max(octets),
            f"{profile}: a connection in TIME_WAIT",
            "",
            Target(most=168),
        )
        report.figure(f"{key}_hour_ms", min(hours), f"{profile}: an hour", "", most)
        title = f"{profile}: an hour, half-closed ones"
        report.figure(f"{key}_half_closed_hour_ms", min(kept), title, "", most)
    return report
