"""The numbers behind the stories: how long each system waits, how many ports are enough, what one cluster decides."""

from __future__ import annotations

import pytest

from pystack import profiles
from pystack._fast.consts import SECOND
from pystack.scenarios.load import load
from pystack.scenarios.result import Result
from pystack.scenarios.run import run

LASTS = {
    "sunos-4": None,
    "solaris-2": 675,
    "hp-ux": None,  # as long as anything answers its keep-alives
    "irix": None,
    "bsd-os": 675,
    "ncr-mp-ras": 600,
    "ptx": 675,
    "windows": 240,
    "freebsd-4": 675,
    "freebsd-10": 675,
    "freebsd-14": 675,
    "linux-2.6": 60,
    "linux-6": 60,
}
"""Seconds that a system waits for a browser that never closes; None: for ever. The table of seed 003 and later."""


def apache(*settings: str) -> Result:
    few = ("traffic.forgetful.visits=20", "traffic.forgetful.rate=2", "traffic.uploads.visits=1")
    return run(load("fin-wait-2-apache", [*few, *settings]), views=False)


@pytest.mark.parametrize("profile", LASTS)
def test_which_systems_suffer(profile: str) -> None:
    result = apache(f"hosts.web.profile={profile}")
    waiting = result.states["FIN_WAIT_2"]
    lasts = LASTS[profile]
    assert max(waiting) == 20
    assert result.clients["forgetful"].answered[-1] == 20
    if lasts is None:
        assert waiting[-1] == 20
        return
    gone = result.times[len(waiting) - waiting[::-1].index(next(n for n in waiting[::-1] if n))]
    # the last of them came after 10 s, 15 s of keep-alive, then the system's time; looked at each five seconds
    assert 24 + lasts <= gone / SECOND <= 25 + lasts + 7


def test_keepalive_finds_out_who_hung_up_and_keeps_who_only_forgot() -> None:
    """HP-UX 11: after two minutes, and eight probes 75 s apart. SunOS never asks."""
    for profile, left in (("hp-ux", 0), ("sunos-4", 20)):
        vanish = ("traffic.forgetful.hangs_up=40s", f"hosts.web.profile={profile}")
        assert apache(*vanish).suffering == left
    assert apache("hosts.web.profile=hp-ux").suffering == 20


@pytest.mark.parametrize(("ending", "left"), [("asks", 0), ("follows", 0), ("never", 20)])
def test_browsers_that_close_leave_nothing(ending: str, left: int) -> None:
    assert apache(f"traffic.forgetful.ending={ending}").suffering == left


def ports(profile: str, n: int, *settings: str) -> Result:
    """Ten connections a second with so many local ports, for 90 seconds."""
    both = [f"hosts.balancer.profile={profile}", "traffic.requests.rate=10", "lasting=90s"]
    if profile.startswith("linux"):
        knobs = [f"balancer:net.ipv4.ip_local_port_range=40000 {40000 + n - 1}"]
    else:
        knobs = ["first=40000", f"last={40000 + n - 1}"]
        knobs = [f"balancer:net.inet.ip.portrange.{knob}" for knob in knobs]
        if profiles.load(profile).find(
            "net.inet.tcp.maxtcptw"
        ):  # it follows from the ports at boot
            knobs.append("balancer:net.inet.tcp.maxtcptw=30000")
    both.append("hosts.balancer.sysctl={}")
    return run(load("ephemeral-ports", [*both, *knobs, *settings]), views=False)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["freebsd-4", "freebsd-10", "freebsd-14", "linux-4", "linux-6"])
def test_three_hundred_ports_are_thirty_seconds(profile: str) -> None:
    """The last one is taken after 30 s, the first is free after 60."""
    ill = ports(profile, 300)
    assert ill.errors == {"EADDRNOTAVAIL": ill.failed}
    assert ill.first_failure is not None
    assert 30 * SECOND < ill.first_failure <= 32 * SECOND
    assert ill.high("TIME_WAIT") == 300
    assert ill.answered == pytest.approx(600, abs=5)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "fails"), [(600, True), (601, False), (640, False)])
def test_ports_for_a_minute_are_enough(n: int, fails: bool) -> None:
    """At 10 a second each one is taken for 60 s and two round trips."""
    assert bool(ports("freebsd-10", n).failed) == fails


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["linux-4", "linux-6"])
def test_tw_reuse_helps_who_connects(profile: str) -> None:
    assert ports(profile, 300, "balancer:net.ipv4.tcp_tw_reuse=1").failed == 0


def clusters(n: int, *settings: str) -> Result:
    few = ["traffic.readers.visits=20", "traffic.readers.rate=10", "lasting=25s"]
    return run(
        load("mbuf-exhaustion", [*few, f"web:kern.ipc.nmbclusters={n}", *settings]), views=False
    )


def test_just_enough_clusters_are_enough() -> None:
    """One fewer is one too few."""
    whole = clusters(1024)
    assert (whole.bites, whole.failed) == ([], 0)
    assert whole.main is not None
    most = whole.main.high_water
    assert clusters(most).bites == []
    assert [bite.limit for bite in clusters(most - 1).bites] == ["mbuf_cluster"]


def test_the_newer_systems_say_it_in_their_log() -> None:
    """From FreeBSD 10 on it is pages, half as many, and another knob."""
    result = clusters(25600, "hosts.web.profile=freebsd-10", "web:kern.ipc.nmbjumbop=128")
    assert any("kern.ipc.nmbjumbop limit reached" in text for _, text in result.log)
