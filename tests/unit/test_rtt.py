"""Round-trip time and timeouts: RFC 6298 and each system's floor."""

import pytest
from tcp.peer import PROFILES, Machine

from pystack._fast import rtt
from pystack._fast.consts import MS, SECOND


def connection(profile: str):
    m = Machine(profile)
    return m.core, m.socket()


@pytest.mark.parametrize("profile", PROFILES)
def test_first_and_second_sample(profile):
    """RFC 6298 sections 2.2 and 2.3: variance before mean, 1/4 and 1/8."""
    s, t = connection(profile)
    assert rtt.rto(s, t) == (3 if profile == "freebsd-10" else 1) * SECOND
    rtt.sample(s, t, 100 * MS)
    assert (t.srtt, t.rttvar) == (100 * MS, 50 * MS)
    rtt.sample(s, t, 180 * MS)
    assert t.rttvar == 50 * MS + (80 - 50) * MS // 4
    assert t.srtt == 110 * MS
    assert s.stat.rttupdated == 2


def test_floors_and_ceilings():
    s, t = connection("freebsd-14")
    rtt.sample(s, t, 1000)
    assert rtt.rto(s, t) == 230 * MS, "the floor of 30 ms, then the slop"
    s, t = connection("linux-6")
    rtt.sample(s, t, 1000)
    assert rtt.rto(s, t) == pytest.approx(200 * MS, abs=10000)
    rtt.sample(s, t, 3000 * SECOND)
    assert rtt.rto(s, t) == 120 * SECOND
    assert rtt.backoff(s, t, 15) == 120 * SECOND


def test_linux_floor_is_of_the_variance():
    s, t = connection("linux-6")
    for _ in range(200):
        rtt.sample(s, t, 100 * MS)
    assert rtt.rto(s, t) == pytest.approx(300 * MS, abs=MS)


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14"])
def test_a_near_peer_that_vanished_is_not_given_up_within_seconds(profile):
    """What is doubled is never below 30 ms (FreeBSD's TCP_REXMTVAL), so twelve retransmissions take over a minute."""
    s, t = connection(profile)
    rtt.sample(s, t, 100_000)
    waits = [rtt.backoff(s, t, n) for n in range(13)]
    assert waits[0] == rtt.rto(s, t) == 230 * MS
    assert sum(waits) == (30 * 2559 + 13 * 200) * MS


@pytest.mark.parametrize("profile", PROFILES)
def test_backoff_doubles(profile):
    s, t = connection(profile)
    rtt.sample(s, t, 100 * MS)
    first = rtt.backoff(s, t, 0)
    assert first == rtt.rto(s, t)
    slop = 0 if profile == "linux-6" else 200 * MS  # once, however often the rest was doubled
    for n in range(1, 7):
        assert rtt.backoff(s, t, n) == min(((first - slop) << n) + slop, s.cfg.tcp_rexmit_max)


def test_smallest_sample():
    s, t = connection("linux-6")
    for _ in range(100):
        rtt.sample(s, t, 0)
    assert t.srtt == 1
