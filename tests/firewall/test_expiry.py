"""When flows end of themselves, by era: a timer for each, or a worker with one of four schedules (facts: 2.6).

What is watched is nf_conntrack_count, because a listing never shows what has expired.
"""

import pytest
from gateway import ACK, CLIENT, NF, SERVER, SYN, Gateway, client, tcp, udp


def count_falls(g, step, until):
    """Seconds at which the count falls, and to what; looked at each `step`."""
    out, before = [], g.count
    while g.t < until:
        g.at(g.t + step)
        if g.count != before:
            before = g.count
            out.append((round(g.t, 3), before))
    return out


@pytest.mark.parametrize("profile", ["linux-4", "linux-2.6"])
def test_a_timer_for_each_flow_fires_at_its_time(profile):
    g = Gateway(profile, udp_timeout=5)
    for n in range(4):
        g.at(n / 2)
        g.send(udp(client(n), 1024, SERVER, 53))
    assert g.count == 4
    falls = count_falls(g, 0.004, 8)
    assert [left for _, left in falls] == [3, 2, 1, 0]
    for n, (t, _) in enumerate(falls):
        assert t == pytest.approx(n / 2 + 5, abs=0.01)


def test_a_timer_tells_listeners_when_it_fires():
    g = Gateway("linux-4", udp_timeout=5)
    g.gw.conntrack.listen()
    g.send(udp(CLIENT, 1024, SERVER, 53))
    g.at(4.9)
    assert [kind for _, kind, _, _ in g.gw.conntrack.events] == ["[NEW]"]
    g.at(5.1)
    time, kind, one, _ = g.gw.conntrack.events[-1]
    assert (kind, one.proto) == ("[DESTROY]", 17)
    assert time - g.begin == pytest.approx(5e9, abs=5e6)


@pytest.mark.parametrize(("profile", "left"), [("linux-4", 4.5), ("linux-2.6", 5)])
def test_timers_of_4_x_move_by_a_second_or_more(profile, left):
    """A packet half a second after the last moves the timer of 2.6, and not that of 4.x."""
    g = Gateway(profile, udp_timeout=5)
    g.send(udp(CLIENT, 1024, SERVER, 53))
    g.at(0.5)
    g.send(udp(CLIENT, 1024, SERVER, 53))
    (t, none), *_ = count_falls(g, 0.004, 7)
    assert none == 0
    assert t == pytest.approx(0.5 + left, abs=0.01)


def test_timers_of_4_x_move_after_a_second():
    g = Gateway("linux-4", udp_timeout=5)
    g.send(udp(CLIENT, 1024, SERVER, 53))
    g.at(1.0)
    g.send(udp(CLIENT, 1024, SERVER, 53))
    assert [t for t, _ in count_falls(g, 0.004, 8)] == [pytest.approx(6.0, abs=0.01)]


def test_a_timer_that_becomes_shorter_moves_at_once():
    """A flow of five days that is closed by a RST has ten seconds."""
    g = Gateway("linux-4")
    g.establish(1)
    assert g.send(tcp(SERVER, 80, client(1), 1024, 4 | ACK, 5001, 1001), back=True)
    assert g.states == {"tcp CLOSE A": 1}
    assert [t for t, _ in count_falls(g, 0.1, 20)] == [pytest.approx(10, abs=0.2)]


def test_timers_go_with_their_flows():
    """A flow that was deleted, and one whose row was used again, have no timer left behind."""
    g = Gateway("linux-4", udp_timeout=5)
    g.send(udp(CLIENT, 1024, SERVER, 53))
    g.gw.conntrack("-D -p udp")
    g.at(1)
    g.send(udp(CLIENT, 1025, SERVER, 53))
    g.at(5.5)
    assert g.count == 1
    g.at(6.1)
    assert g.count == 0


def test_flows_of_more_than_one_table_of_rows():
    """Timers grow with the table."""
    g = Gateway("linux-4")
    for n in range(3000):
        g.a.send(tcp(client(n), 1024, SERVER, 80, SYN))
    g.at(1)
    assert g.count == 3000
    g.at(119)
    assert g.count == 3000
    g.at(120.1)
    assert g.count == 0


@pytest.mark.parametrize(
    ("expiry", "earliest", "latest"),
    [("worker-16s", 2.0, 18.5), ("worker-120s", 120.9, 121.2), ("worker-mean", 35.0, 62.0)],
)
def test_a_worker_comes_in_its_own_time(expiry, earliest, latest):
    """Sixty flows of two seconds, nobody looks: the count stays until the worker has been there."""
    g = Gateway(policy={"ct_expiry": expiry}, udp_timeout=2)
    g.gw.sysctl[NF + "buckets"] = 4096
    g.at(1.5)  # behind the worker's first visit
    for n in range(60):
        g.send(udp(client(n), 1024, SERVER, 53))
    assert g.count == 60
    falls = count_falls(g, 0.05, 125)
    assert falls[-1][1] == 0
    if expiry != "worker-16s":
        assert len(falls) == 1  # all at once
    assert earliest <= falls[0][0]
    assert falls[-1][0] <= latest


def test_the_worker_of_4_9_takes_a_64th_each_five_seconds():
    g = Gateway(policy={"ct_expiry": "worker-5s"}, udp_timeout=2)
    g.gw.sysctl[NF + "buckets"] = 4096
    for n in range(60):
        g.send(udp(client(n), 1024, SERVER, 53))
    falls = count_falls(g, 0.1, 330)
    assert falls[-1][1] == 0
    times = [t for t, _ in falls]
    assert times[0] > 2
    assert (
        60 < times[-1] <= 322
    )  # 64 runs of 64 buckets, but on at once after one that found nothing else
    assert len(falls) >= 10  # a few each time


def test_a_worker_that_finds_much_comes_again_at_once():
    """Most of what it met had expired: the 4.10 worker goes on in the next tick, not after 124 ms."""
    g = Gateway(policy={"ct_expiry": "worker-16s"}, udp_timeout=2)
    g.gw.sysctl[NF + "buckets"] = 4096
    g.at(1.2)
    for n in range(4000):
        g.a.send(udp(client(n), 1024, SERVER, 53))
    g.at(3.3)
    assert 1000 < g.count < 4000
    falls = count_falls(g, 0.004, 20)
    assert falls[-1][1] == 0
    assert falls[-1][0] < 6


def test_a_full_table_wakes_no_worker_where_there_is_none():
    """Closing flows of 4.4 stay for their time: a refusal is a refusal for 120 seconds."""
    g = Gateway("linux-4", max=20)
    for n in range(20):
        g.establish(n)
        g.finish(n)
    assert not g.syn(100)
    g.at(110)
    assert g.count == 20
    assert not g.syn(101)
    g.at(121)
    assert g.syn(102)
