"""linux-6 at its socket limits does what a running Linux 6.18 did: every recorded experiment, one by one."""

import pytest
from limits import linux_listeners as listeners
from limits import linux_records as play
from limits.linux_kit import RECORDS


def names(*beginnings: str) -> list[str]:
    return [name for name in RECORDS if name.startswith(beginnings)]


def test_every_record_is_played() -> None:
    """A new record without a player would be passed over in silence."""
    groups = (LISTENERS, ACCEPT, PORTS, BINDS, REUSE, BUCKETS, FIN_WAIT, ORPHANS, CLOSES)
    played = [name for group in groups for name in group]
    assert sorted(played) == sorted(RECORDS)
    assert len(RECORDS) == 86


LISTENERS = names("listen_", "syn_queue_", "cookie_")
ACCEPT = names("accept_queue_")
PORTS = names("connect_port_order_")
BINDS = names("bind_port_0_")
REUSE = names("tcp_tw_reuse_")
BUCKETS = names("tcp_max_tw_buckets_")
FIN_WAIT = names("fin_wait_2_")
ORPHANS = names("tcp_max_orphans_")
CLOSES = names(
    "close_", "shutdown_", "both_close", "tcp_linger2", "peer_closed", "linger_0", "connect_to"
)
LATE = 2.1
"""The kernel's timers of a minute may be so late, s: the grain of its wheel."""


@pytest.mark.parametrize("name", LISTENERS)
def test_listener(name: str) -> None:
    """Who is answered, what is counted, what is logged: one below, at and above each limit."""
    assert listeners.listen(RECORDS[name]) == RECORDS[name]["observations"]


@pytest.mark.parametrize("name", ACCEPT)
def test_accept_queue(name: str) -> None:
    """The last segment of a handshake that has no room, the SYN-ACK again, and what becomes of it when there is."""
    got, want = listeners.accept_queue(RECORDS[name]), dict(RECORDS[name]["observations"])
    # the record rounds a SYN-ACK after 1 s down when its clock began a little later
    for times in (got, want):
        for row in times.get("sent_by_server_meanwhile", []):
            row[0] = round(row[0] + 0.04)
    assert got == want


@pytest.mark.parametrize("name", PORTS)
def test_order_of_ports(name: str) -> None:
    """Drawn at random, so the structure: each port once, the first port's parity first, EADDRNOTAVAIL at the end;
    one at a time never another parity.
    """
    first, last = RECORDS[name]["settings"]["ip_local_port_range"]
    for run in (play.port_order(RECORDS[name]), RECORDS[name]["observations"]):
        kept = [port for port in run["kept"] if isinstance(port, int)]
        assert sorted(kept) == sorted(set(kept))
        assert len(kept) >= (last - first + 1) // 2 * 2
        half = (last - first + 1) // 2
        assert all(port % 2 == first % 2 for port in kept[: half if half > 2 else 2])
        assert set(run["kept"]) - set(kept) == {"Cannot assign requested address"}
        assert all(port % 2 == first % 2 for port in run["one_at_a_time"])
        moved = set(run["one_at_a_time"])
        assert len(moved) >= min(2, half)


@pytest.mark.parametrize("name", BINDS)
def test_order_of_binds(name: str) -> None:
    """bind(0): the other parity first, then EADDRINUSE."""
    first, last = RECORDS[name]["settings"]["ip_local_port_range"]
    for run in (play.bind_order(RECORDS[name]), RECORDS[name]["observations"]):
        kept = [port for port in run["ports"] if isinstance(port, int)]
        assert sorted(kept) == list(range(first, last + 1))
        assert all(port % 2 != first % 2 for port in kept[: len(kept) // 2])
        assert run["ports"][len(kept) :] == ["Address already in use"] * (34 - len(kept))


@pytest.mark.parametrize("name", REUSE)
def test_time_wait_reuse(name: str) -> None:
    """Which attempts find a port, by age and tcp_tw_reuse; a bind never does."""
    got, want = play.tw_reuse(RECORDS[name]), RECORDS[name]["observations"]
    assert len(set(got["connects"][0]["first_four"])) == 4

    def words(rows: list[dict]) -> list[object]:
        return [r["connect"] if isinstance(r["connect"], str) else "a port" for r in rows[1:]]

    assert words(got["connects"]) == words(want["connects"])
    for key in ("explicit_bind_reuseaddr_connect", "explicit_bind_plain", "nstat"):
        assert got[key] == want[key]
    assert got["time_wait"] == 4


@pytest.mark.parametrize("name", BUCKETS)
def test_time_wait_at_its_limit(name: str) -> None:
    """No new one, at once and in silence; those that are there stay."""
    got, want = play.max_tw_buckets(RECORDS[name]), RECORDS[name]["observations"]
    assert [row["overflow"] for row in got["after_each"]] == list(range(1, 9))
    assert {row["new"] for row in got["after_each"]} == {0}
    assert got["dmesg"] == want["dmesg"] == []
    for name, value in got["nstat"].items():
        assert want["nstat"].get(name) == value, name
    assert {"TcpOutRsts", "TcpInSegs", "TcpOutSegs", "TcpExtTCPTimeWaitOverflow"} <= set(
        got["nstat"]
    )


@pytest.mark.parametrize("name", FIN_WAIT)
def test_fin_wait_2_and_time_wait(name: str) -> None:
    """Every socket at every sample: its state, which timer it has, and how long that has to go."""
    got, want = play.fin_wait_2(RECORDS[name]), RECORDS[name]["observations"]
    assert len(got["samples"]) == len(want["ss_samples_at_change"])
    for ours, theirs in zip(got["samples"], want["ss_samples_at_change"], strict=True):
        recorded = play.read_shown(theirs["client"])
        assert ours["client"].keys() <= recorded.keys()
        for port, (state, timer, left) in recorded.items():
            where = f"{port} at {ours['t']} s"
            if port not in ours["client"]:
                assert timer == "timewait", where
                assert left <= LATE, where
                continue
            mine = ours["client"][port]
            assert mine[0] == state, where
            if mine[1] != timer:  # due, and the kernel is late
                assert timer == "keepalive", where
                assert left == 0, where
                continue
            assert abs(mine[2] - left) <= LATE, where
    waiting = sorted(
        (int(line.split()[0]), int(line.rsplit(":", 1)[1]))
        for line in want["server_close_wait_at_end"]
    )
    assert got["waiting"] == waiting
    assert got["nstat"] == want["nstat_client"]


@pytest.mark.parametrize("name", ORPHANS)
def test_too_many_orphans(name: str) -> None:
    """The count lags a tenth of a second, so one more lives; then each close is killed, the others at their timers."""
    got, want = play.max_orphans(RECORDS[name]), RECORDS[name]["observations"]
    for mine, theirs in zip(got["after_each_close"], want["after_each_close"], strict=True):
        inuse, orphan = map(
            int, __import__("re").findall(r"(?:inuse|orphan) (\d+)", theirs["sockstat"])
        )
        wanted = {
            "fin_wait_1": theirs["fin_wait_1"],
            "inuse": inuse,
            "orphan": orphan,
            "abort": theirs["abort"].get("TcpExtTCPAbortOnMemory", 0),
        }
        assert mine == wanted
    assert [line.split("] ")[1] for line in got["dmesg"]] == [
        line.split("] ")[1] for line in want["dmesg"]
    ]


@pytest.mark.parametrize("name", CLOSES)
def test_what_a_close_sends(name: str) -> None:
    """Packet by packet: flags, numbers, windows, time; what the peer's calls answer; what is counted and left."""
    want = RECORDS[name]["observations"]
    got = play.close_case(RECORDS[name])
    if name != "close_linger_1s_with_unsent_data":
        isn: dict = {}
        recorded = [play.recorded_text(line, isn) for line in want["packets"]]
        assert [text for _, text in got["packets"]] == [text for _, text in recorded]
        for (mine, text), (theirs, _) in zip(got["packets"], recorded, strict=True):
            assert abs(mine - theirs) < 0.012, text
    else:
        assert got["close_blocked_s"] == 1.0
        assert got["ss_client"][0][0] == want["ss_client"][0].split()[0]
        assert got["ss_client"][0][1] == got["queued"] + 1 - got["ss_server"][0][1]
        assert got["ss_client"][0][2] == "on"
        probes = [
            round(time, 1)
            for time, text in got["packets"]
            if text.startswith("C > S: [.]") and time > 0.06
        ]
        assert probes[:2] == [0.3, 0.7]
    assert got.get("nstat_client", {}) == want.get("nstat_client", {})
    for key in ("peer_recv", "peer_recv_2", "client_recv", "client_recv_1", "client_recv_2", "recv",
                "peer_send", "peer_send_1", "peer_send_2", "send_1", "send_2", "connect"):  # fmt: skip
        assert (key in got) == (key in want)
        assert got.get(key) == want.get(key), key
    if name != "close_linger_1s_with_unsent_data" and "ss_client" in want:
        assert got["ss_client"] == [line.split()[0] for line in want["ss_client"]]
    if name == "tcp_linger2_2":
        state, timer, left = got["after_close"]
        assert (state, timer) == ("FIN-WAIT-2", "timewait")
        assert 1.8 < left <= 2
        assert got["later"] == {}
