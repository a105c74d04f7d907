"""The demonstration, small: many clients, a lossy link, everything served, the same each time."""

from pathlib import Path

import pytest

from pystack import capture
from pystack._fast.consts import SECOND
from pystack.network import Network
from pystack.scenarios import demo
from pystack.services import HttpService
from pystack.traffic import Browser


def test_all_are_served_and_the_capture_tells_it(tmp_path: Path) -> None:
    file = tmp_path / "demo.pcapng"
    result = demo.in_virtual_time(seed=3, clients=12, loss=0.05, capture=file)
    sizes = [int(path.rpartition("/")[2] or 0) for path in demo.PATHS]
    assert (result.requests, result.failed) == (12 * 4, 0)
    assert 12 * sum(sizes) < result.octets < 12 * (sum(sizes) + 5000)
    assert len(result.answer_times) == 48
    assert min(result.answer_times) >= 40_000_000  # there and back
    assert result.lost > 0
    assert result.retransmitted > 0
    records = list(capture.read(file))
    assert len(records) == result.packets
    assert sum("dropped: LINK_LOSS" in record.comment for record in records) == result.lost
    assert {record.interface for record in records} == {"web", "clients"}


def test_the_server_goes_through_the_states_until_it_is_quiet() -> None:
    result = demo.in_virtual_time(seed=3, clients=12, loss=0.05)
    every = {name for _, states in result.states for name in states}
    assert {"ESTABLISHED", "TIME_WAIT"} <= every
    assert result.states[0] == (0, {})
    assert result.states[-1] == (result.virtual_ns, {})
    # TIME_WAIT of FreeBSD lasts 60 s
    assert result.virtual_ns - result.traffic_ns >= 59 * SECOND


def test_a_seed_is_a_run() -> None:
    first, again, other = (
        demo.in_virtual_time(seed=seed, clients=5, loss=0.05) for seed in (1, 1, 2)
    )
    assert first.trace_hash == again.trace_hash != other.trace_hash
    assert first.answer_times == again.answer_times


def test_a_browser_says_what_went_wrong() -> None:
    net = Network(seed=1, record=False)
    web = net.host("web", "192.0.2.1/24")
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    net.link(web, me, delay="1ms")
    done: list[Browser] = []
    refused = Browser(me, ("192.0.2.1", 80), ["/"], on_done=done.append)
    refused.start()
    net.run(until=lambda: done)
    assert refused.error is not None
    assert "refused" in refused.error
    service = HttpService(80, requests_max=1)
    service.start(web)
    cut = Browser(me, ("192.0.2.1", 80), ["/bytes/1", "/bytes/2"], on_done=done.append)
    cut.start()
    net.run(until=lambda: len(done) == 2)
    assert cut.error == "the server closed early"
    assert cut.answers == [(200, 1)]
    nowhere = Browser(me, ("203.0.113.1", 80), ["/"], on_done=done.append)
    nowhere.start()
    assert nowhere.done
    assert nowhere.error is not None
    assert "unreachable" in nowhere.error


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14", "linux-6"])
def test_every_system_serves_every_system(profile: str) -> None:
    for other in ("freebsd-10", "freebsd-14", "linux-6"):
        net = Network(seed=9, record=False)
        web = net.host("web", "192.0.2.1/24", profile=profile)
        me = net.host("me", "192.0.2.2/24", profile=other)
        net.link(web, me, delay="3ms", bandwidth="20Mbit/s", loss=0.02)
        service = HttpService(80)
        service.start(web)
        browser = Browser(me, ("192.0.2.1", 80), ["/", "/bytes/200000", "/bytes/9"])
        browser.start()
        net.run(until=lambda browser=browser: browser.done)
        assert browser.error is None
        assert browser.answers[1:] == [(200, 200_000), (200, 9)]
