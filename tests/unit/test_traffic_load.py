"""Load of short connections: how many, when, and whose time is counted."""

from __future__ import annotations

from typing import Any

import pytest
from http_kit import Site, site

from pystack._fast.consts import MS, SECOND
from pystack.services import EchoService, HttpService
from pystack.traffic import Browser, ClosedLoad, OpenLoad, Shell

WEB = ("192.0.2.1", 80)


def test_a_closed_loop_has_its_clients_in_flight_and_no_more() -> None:
    web, service = site(profile="linux-6")
    load = ClosedLoad(web.me, WEB, clients=7, path="/bytes/10")
    load.start()
    web.net.run(for_="200ms")
    assert (load.in_flight, load.most_in_flight) == (7, 7)
    load.stop()
    web.net.run(for_="1s")
    assert (load.in_flight, load.failed) == (0, 0)
    assert load.started == len(load.latencies) == service.answers[200]
    # two round trips of 2 ms each, seven at once
    assert load.started == pytest.approx(7 * 200 / 4, rel=0.03)
    assert load.latencies.percentile(99) == pytest.approx(4 * MS, rel=0.01)
    web.quiet()


def test_its_clients_may_think() -> None:
    web, _ = site()
    load = ClosedLoad(web.me, WEB, clients=2, think="96ms")
    load.start()
    web.net.run(for_="10s")
    load.stop()
    assert load.started == pytest.approx(2 * 100, abs=3)
    web.net.run(for_="1s")
    web.quiet()


@pytest.mark.parametrize("arrivals", ["random", "even"])
def test_an_open_loop_keeps_its_rate(arrivals: str) -> None:
    web, service = site()
    load = OpenLoad(web.me, WEB, rate=250, arrivals=arrivals)
    load.start()
    web.net.run(for_="4s")
    load.stop()
    web.net.run(for_="1s")
    slack = 1 if arrivals == "even" else 3 * 1000**0.5
    assert load.started == pytest.approx(1000, abs=slack)
    assert service.answers == {200: load.started}
    assert set(load.delays) == {0}
    gaps = {load.latencies.percentile(0), load.latencies.percentile(50)}
    assert all(4 * MS <= gap < 5 * MS for gap in gaps)
    web.quiet()


def test_a_seed_is_a_load() -> None:
    runs = []
    for seed in (1, 1, 2):
        web, _ = site()
        load = OpenLoad(web.me, WEB, rate=100, seed=seed)
        load.start()
        web.net.run(for_="3s")
        runs.append((load.started, tuple(load.latencies), web.web.stats["rcvpack"]))
        load.stop()
        web.quiet()
    assert runs[0] == runs[1] != runs[2]


def paused(load: Any, web: Site) -> Any:
    """Ten seconds of load, of which the server's line is dead for one."""
    load.start()
    web.net.run(for_="5s")
    web.link.partition()
    web.net.run(for_="1s")
    web.link.heal()
    web.net.run(for_="4s")
    load.stop()
    web.net.run(for_="40s")
    return load.latencies


def test_a_closed_loop_hides_a_pause_that_an_open_one_shows() -> None:
    """Coordinated omission: the closed loop asked ten times in that second's stead, the open one 100 times."""
    first, _ = site()
    closed = paused(ClosedLoad(first.me, WEB, clients=1, think="6ms"), first)
    second, _ = site()
    opened = paused(OpenLoad(second.me, WEB, rate=100, arrivals="even"), second)
    assert len(opened) == pytest.approx(len(closed), rel=0.2)
    late = [sum(ns > 50 * MS for ns in times) for times in (closed, opened)]
    assert late[0] == 1
    assert late[1] == pytest.approx(100, abs=5)
    assert closed.percentile(99) < 10 * MS
    assert opened.percentile(95) > 100 * MS


def test_who_may_have_one_at_a_time_waits_and_its_time_runs() -> None:
    """Five are due each 100 ms when each takes 4 ms: the queue is in the load, and in its figures."""
    web, _ = site()
    link = web.link
    load = OpenLoad(web.me, WEB, rate=100, arrivals="even", most=1)
    load.start()
    web.net.run(for_="1s")
    assert (load.waiting, load.most_in_flight) == (0, 1)
    link.delay = "10ms"  # 40 ms each: 25 a second are done of the 100 that come
    web.net.run(for_="4s")
    assert load.waiting == pytest.approx(300, abs=5)
    assert load.latencies.percentile(100) == pytest.approx(3 * SECOND, rel=0.05)
    assert load.delays.percentile(100) == pytest.approx(3 * SECOND, rel=0.05)
    load.stop()
    web.net.run(for_="40s")
    assert load.started == pytest.approx(500, abs=2)
    web.quiet()


def test_who_gets_no_answer_gives_up() -> None:
    web, _ = site()
    load = OpenLoad(web.me, WEB, rate=10, arrivals="even", timeout="3s")
    load.start()
    web.net.run(for_="1s")
    web.link.partition()
    web.net.run(for_="3500ms")
    assert load.errors == {"ETIMEDOUT": 6}  # due at 1.0 s to 1.5 s
    load.stop()
    web.net.run(for_="10s")
    assert load.errors == {"ETIMEDOUT": 36}
    assert (load.failed, len(load.latencies)) == (36, 9)
    web.link.heal()
    web.quiet()


def test_errors_have_the_names_of_their_numbers() -> None:
    web = Site(HttpService(81))
    load = ClosedLoad(web.me, WEB, clients=1, think="10ms")
    load.start()
    web.net.run(for_="100ms")
    load.stop()
    assert set(load.errors) == {"ECONNREFUSED"}
    assert load.errors["ECONNREFUSED"] == load.started - load.in_flight > 5
    web.net.run(for_="1s")
    web.quiet()


def test_a_machine_without_ports_fails_at_once_and_recovers() -> None:
    web, _ = site()
    few = web.net.host(
        "few",
        "192.0.2.3/24",
        profile="linux-6",
        sysctl={"net.ipv4.ip_local_port_range": "40000 40019", "net.ipv4.tcp_tw_reuse": 0},
    )
    web.net.link(web.web, few, delay="1ms")
    load = OpenLoad(few, WEB, rate=10, arrivals="even", ending="closes")
    load.start()
    web.net.run(for_="5s")
    assert few.tcp_states()["TIME_WAIT"] == 20
    assert load.errors == {"EADDRNOTAVAIL": load.started - 20}
    assert len(load.latencies) == 20
    web.net.run(for_="57s")  # the first ports are free again, and taken
    before = load.failed
    assert 35 <= len(load.latencies) <= 40
    assert few.tcp_states()["TIME_WAIT"] in (19, 20)
    load.stop()
    web.net.run(for_="70s")
    load.start()
    web.net.run(for_="1s")
    assert load.failed == before
    load.stop()
    web.net.run(for_="70s")
    web.quiet()


def test_load_from_several_machines_takes_turns() -> None:
    web, _ = site()
    other = web.net.host("other", "192.0.2.3/24", profile="linux-6")
    web.net.link(web.web, other, delay="1ms")
    load = ClosedLoad([web.me, other], WEB, clients=4)
    load.start()
    web.net.run(for_="100ms")
    load.stop()
    web.net.run(for_="1s")
    made = [host.stats["connattempt"] for host in (web.me, other)]
    assert abs(made[0] - made[1]) <= 1
    assert sum(made) == load.started
    web.quiet()


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        (OpenLoad, {"rate": 0}, "a rate of 0 a second is no load"),
        (OpenLoad, {"rate": 1, "most": 0}, "most=0 lets nobody begin"),
        (OpenLoad, {"rate": 1, "arrivals": "poisson"}, "'poisson' are none of random, even"),
        (ClosedLoad, {"clients": 0}, "0 clients are none"),
        (ClosedLoad, {"clients": 1, "ending": "never"}, "a short connection asks or closes"),
        (ClosedLoad, {"clients": 1, "timeout": "30"}, "timeout '30' has no unit"),
        (ClosedLoad, {"clients": 1, "hosts": []}, "at least one host"),
    ],
)
def test_loads_that_cannot_be(kind: Any, options: dict[str, Any], text: str) -> None:
    web, _ = site()
    hosts = options.pop("hosts", web.me)
    with pytest.raises(ValueError, match=text):
        kind(hosts, WEB, **options)
    web.quiet()


def test_a_load_of_other_clients_and_no_more_than_so_many() -> None:
    web, service = site(profile="linux-6")
    paths = ["/bytes/10", "/bytes/20"]
    load = OpenLoad(
        web.me,
        WEB,
        rate=100,
        visits=5,
        make=lambda host, over: Browser(host, WEB, paths, on_done=over),
    )
    load.start()
    web.net.run(for_="2s")
    assert (load.started, len(load.latencies), load.failed) == (5, 5, 0)
    assert service.answers == {200: 10}


def test_a_shell_counts_what_comes_back() -> None:
    web, _ = site(profile="linux-6")
    EchoService(22).start(web.web)
    shell = Shell(web.me, ("192.0.2.1", 22), every="1s", timeout="500ms")
    shell.start()
    web.net.run(for_="5500ms")
    assert (shell.sent, len(shell.latencies), shell.late) == (6, 6, 0)
    web.net.links[0].partition()
    web.net.run(for_="3s")
    assert (shell.sent, shell.late) == (9, 3)
    web.net.links[0].heal()
    web.net.run(for_="5s")
    assert shell.error is None
    assert len(shell.latencies) > 8
