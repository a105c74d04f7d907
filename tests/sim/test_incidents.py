"""The incidents whose limits exist: the symptom appears, and each cure does what it is said to do, or does not."""

from __future__ import annotations

import pytest

from pystack._fast.consts import SECOND
from pystack.scenarios import ephemeral_ports, mbuf_exhaustion
from pystack.scenarios import fin_wait_2_apache as apache

# --- FIN_WAIT_2: seed 003 ----------------------------------------------------------------------------

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
"""Seconds that a system waits for a browser that never closes; None: for ever."""


def test_the_table_is_that_of_the_scenario() -> None:
    assert tuple(LASTS) == apache.SYSTEMS


@pytest.mark.parametrize("profile", apache.SYSTEMS)
def test_which_systems_suffer(profile: str) -> None:
    result = apache.run(profile, visitors=60)
    assert result.served == 60
    lasts = LASTS[profile]
    if lasts is None:
        assert (result.most, result.left, result.gone) == (60, 60, None)
        return
    assert result.left == 0
    assert result.gone is not None
    # 60 s of visits, 15 s of keep-alive, then the system's time; looked at each five seconds
    assert 74 + lasts <= result.gone / SECOND <= 75 + lasts + 7
    assert result.most >= 55


def test_keepalive_finds_out_who_hung_up_and_keeps_who_only_forgot() -> None:
    """HP-UX 11: after two minutes, and eight probes 75 s apart. SunOS never asks."""
    asks = apache.run("hp-ux", visitors=20, vanishing=0.5)
    assert (asks.most, asks.left) == (20, 10)
    first = 15 + 120 + 8 * 75
    before = {n for time, n in asks.samples if 80 * SECOND <= time <= first * SECOND}
    after = {n for time, n in asks.samples if time >= (first + 35) * SECOND}
    assert (before, after) == ({20}, {10})
    never = apache.run("sunos-4", visitors=20, vanishing=0.5, watched="3h")
    assert never.left == 20


@pytest.mark.slow
def test_four_thousand_on_a_system_without_a_timeout() -> None:
    result = apache.run("sunos-4", watched="1h")
    assert (result.served, result.most, result.left) == (4000, 4000, 4000)


def test_browsers_that_close_leave_nothing() -> None:
    for ending in ("asks", "follows"):
        result = apache.run("sunos-4", visitors=60, ending=ending)
        assert (result.served, result.left) == (60, 0)
        assert result.gone is not None


@pytest.mark.parametrize(
    ("profile", "cure"),
    [
        ("sunos-4", "keepalive off"),
        ("freebsd-10", "keepalive off"),
        ("freebsd-10", "recycle"),
        ("linux-6", "fin timeout"),
    ],
)
def test_the_cures(profile: str, cure: str) -> None:
    ill = apache.run(profile, visitors=120)
    well = apache.cured(profile, cure, visitors=120)
    assert well.served == ill.served == 120
    assert well.left == 0
    assert well.gone is not None
    assert well.most < ill.most / 2
    if ill.gone is not None:
        assert well.gone < ill.gone - 25 * SECOND


def test_a_cure_that_a_system_does_not_have() -> None:
    with pytest.raises(ValueError, match=r"fast_finwait2_recycle=1, .* is not for sunos-4"):
        apache.cured("sunos-4", "recycle")


def test_a_seed_is_an_incident() -> None:
    runs = [apache.run("freebsd-10", visitors=20, seed=seed).trace_hash for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


# --- no clusters: seed 002 ---------------------------------------------------------------------------


@pytest.mark.slow
def test_readers_who_do_not_read_take_everybodys_clusters() -> None:
    ill = mbuf_exhaustion.run(readers=80, clusters=1024, watched="30s")
    assert ill.most == 1024
    assert ill.full is not None
    assert ill.full < 10 * SECOND
    assert ill.asleep == ill.full  # zoneli
    assert ill.refused > 0
    assert ill.before.percentile(100) < SECOND
    assert len(ill.after) <= 5
    assert ill.unanswered > 100
    assert not ill.recovered
    assert ill.freed
    assert "1024/0/1024/1024 mbuf clusters in use (current/cache/total/max)" in ill.netstat


def test_just_enough_clusters_are_enough() -> None:
    """One fewer is one too few."""
    whole = mbuf_exhaustion.run(readers=20, clusters=1024, watched="20s")
    assert whole.full is None
    assert whole.unanswered == 0
    same = mbuf_exhaustion.run(readers=20, clusters=whole.most, watched="20s")
    assert (same.full, same.unanswered, same.most) == (None, 0, whole.most)
    fewer = mbuf_exhaustion.run(readers=20, clusters=whole.most - 1, watched="20s")
    assert fewer.full is not None


@pytest.mark.slow
def test_to_close_who_does_not_read_does_not_help() -> None:
    """What was written for them stays, until their system has been asked in vain often enough."""
    ill = mbuf_exhaustion.cured("timeout alone", readers=80, clusters=1024, watched="30s")
    assert ill.full is not None
    assert ill.unanswered > 100


@pytest.mark.slow
@pytest.mark.parametrize("cure", ["small buffers", "reset", "sendfile", "more clusters"])
def test_what_helps_against_readers(cure: str) -> None:
    well = mbuf_exhaustion.cured(cure, readers=80, clusters=1024, watched="30s")
    assert (well.full, well.asleep) == (None, None)
    assert well.unanswered == 0
    assert well.before.percentile(100) < SECOND


def test_the_newer_systems_say_it_in_their_log() -> None:
    result = mbuf_exhaustion.run("freebsd-10", readers=80, clusters=1024, watched="5s")
    assert any("kern.ipc.nmbjumbop limit reached" in line for line in result.dmesg)


# --- ports: seeds 002 and 004 ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["freebsd-4", "freebsd-10", "freebsd-14", "linux-4", "linux-6"])
def test_a_balancer_runs_out_of_ports(profile: str) -> None:
    """300 ports, 10 connections a second: the last one is taken after 30 s, the first is free after 60."""
    ill = ephemeral_ports.run(profile, rate=10, ports=(40000, 40299))
    assert ill.errors == {"EADDRNOTAVAIL": ill.failed}
    assert ill.first_failure is not None
    assert 30 * SECOND < ill.first_failure <= 32 * SECOND
    assert ill.waiting == {"balancer": 300, "web": 0}
    assert ill.answered == pytest.approx(600, abs=5)
    assert ill.started == 900
    assert ill.answered + ill.failed == ill.started


@pytest.mark.slow
@pytest.mark.parametrize(("ports", "fails"), [(600, True), (601, False), (640, False)])
def test_ports_for_a_minute_are_enough(ports: int, fails: bool) -> None:
    """At 10 a second each one is taken for 60 s and two round trips."""
    result = ephemeral_ports.run("freebsd-10", rate=10, ports=(40000, 40000 + ports - 1))
    assert bool(result.failed) == fails


@pytest.mark.slow
def test_more_addresses_are_more_ports() -> None:
    result = ephemeral_ports.run(rate=10, ports=(40000, 40299), addresses=5)
    assert (result.failed, result.waiting["balancer"]) == (0, pytest.approx(600, abs=5))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "sysctl"),
    [
        ("linux-6", {"net.ipv4.tcp_tw_reuse": 1}),
        ("linux-4", {"net.ipv4.tcp_tw_reuse": 1}),
        ("freebsd-10", {"net.inet.tcp.msl": 5000}),
        ("freebsd-14", {"net.inet.tcp.msl": 5000}),
    ],
)
def test_the_knobs_that_help(profile: str, sysctl: dict[str, object]) -> None:
    result = ephemeral_ports.run(profile, rate=10, ports=(40000, 40299), sysctl=sysctl)
    assert result.failed == 0


@pytest.mark.slow
def test_where_the_server_closes_first_the_ports_come_round_to_its_time_wait() -> None:
    result = ephemeral_ports.run(rate=10, ports=(40000, 40299), closes="web")
    assert result.failed == 0
    assert result.waiting["balancer"] == 0
    # Linux takes every other port as long as there are such
    assert result.waiting["web"] == pytest.approx(150, abs=2)
    assert result.reused > 700  # SYNs that were taken, for their timestamps are newer


def test_nobody_closes_but_these() -> None:
    with pytest.raises(ValueError, match="neither balancer nor web"):
        ephemeral_ports.run(closes="nobody")
