"""Every example runs, shows what it says, and stays short."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_echo_server(capsys: pytest.CaptureFixture[str]):
    assert load("echo_server").main() == b"hello, world"
    assert "40 ms: b'hello, world'" in capsys.readouterr().out


def test_lossy_transfer():
    module = load("lossy_transfer")
    module.SIZE = 200_000
    rows = module.main()
    assert [loss for loss, _, _ in rows] == [0, 0.001, 0.01, 0.05]
    assert rows[-1][1] > 2 * rows[0][1]
    assert rows[-1][2] > 0


def test_two_routers():
    times, dropped = load("two_routers").main()
    assert len(times) == 3
    assert all(ns is not None and 44_000_000 < ns < 46_000_000 for ns in times)
    assert dropped == 1


@pytest.mark.slow
def test_frozen_machine():
    found = load("frozen_machine").main()
    failed = {name: result.failed for name, result in found.items()}
    late = {name: sum(ns > 10**9 for ns in one.latencies) for name, one in found.items()}
    assert failed["nothing"] == failed["its wall clock is set back"] == 0
    assert failed["the machine, its clock ran"] > failed["the machine, its clock stood"] > 100
    assert failed["the program (SIGSTOP)"] > 100
    # who only has to connect again is not a failure, but late
    for name in ("it misses seven seconds", "its wall clock is set ahead"):
        assert failed[name] < 20
        assert late[name] > 100


def test_replay(tmp_path: Path):
    module = load("replay")
    first = module.record(tmp_path / "run.pcapng")
    assert b"".join(first) == b"one two three"
    packets = list(module.read(tmp_path / "run.pcapng"))
    assert module.replay(packets) == first


def test_who_answers():
    answers = load("who_answers").main()
    assert answers["linux-6"].startswith("S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,TS val ")
    assert answers["freebsd-14"].startswith(
        "S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 6,sackOK"
    )
    assert answers["no RFC 1323"].endswith("win 65535 <mss 1460,sackOK,eol,eol>")


@pytest.mark.slow
def test_fin_wait_2():
    module = load("fin_wait_2")
    module.VISITS = 100
    found = module.main()
    left = [found[name].states["FIN_WAIT_2"][-1] for name in module.SYSTEMS]
    assert left == [100, 100, 0, 0, 0]
    assert found["sunos-4, KeepAlive Off"].high("FIN_WAIT_2") < 20
    waits = {name: sum(result.states["FIN_WAIT_2"]) for name, result in found.items()}
    assert waits["freebsd-10, recycled"] < waits["freebsd-10"] / 5


def test_lost_error_page():
    seen = load("lost_error_page").main()
    assert {key for key, status in seen.items() if not status} == {
        ("plain", "windows", False),
        ("plain", "windows", True),
        ("plain", "linux-6", False),
    }
    assert set(seen.values()) == {0, 413}


@pytest.mark.slow
def test_syn_flood():
    took = load("syn_flood").main()
    assert took["linux-6", 0] is None
    assert took["linux-6", 1] == took["freebsd-14", 1] == 10_000_000


@pytest.mark.slow
def test_open_loop():
    found = load("open_loop").main()
    assert found["closed"].percentile(99) < 10_000_000
    assert found["open"].percentile(99) > 500_000_000


def test_no_nat_ports(capsys: pytest.CaptureFixture[str]):
    seen = load("no_nat_ports").main()
    assert [seen[name] for name in seen] == [(10, 3), (10, 3), (13, 0)]
    assert "insert_failed=3 drop=3" in capsys.readouterr().out


@pytest.mark.slow
def test_no_clusters(capsys: pytest.CaptureFixture[str]):
    found = load("no_clusters").main()
    bad = {"", "sendfile-alone", "timeout-alone"}
    assert {name for name, result in found.items() if result.failed > 100} == bad
    assert all(result.failed == 0 for name, result in found.items() if name not in bad)
    assert re.search(r"10\d\d/\d/1024/1024 mbuf clusters in use", capsys.readouterr().out)


@pytest.mark.slow
def test_no_ports():
    failed = load("no_ports").main()
    assert [failed[rate] > 0 for rate in (10, 15, 17, 20, 30)] == [False, False, True, True, True]
    assert failed[20] == pytest.approx(200, abs=3)


@pytest.mark.slow
def test_full_firewall():
    found = load("full_firewall").main()
    assert found["fin-wait-2-ipfw"].result.first.knob == "net.inet.ip.fw.dyn_max"
    assert found["conntrack-table-full"].result.first.knob == "net.netfilter.nf_conntrack_max"


@pytest.mark.slow
def test_snat_ports():
    failed = load("snat_ports").main()
    assert failed["one address"] == failed["tcp_tw_reuse on the servers"] > 0.03
    assert failed["five addresses"] < failed["one address"] / 4
    assert failed["tcp_tw_recycle on the servers"] > 0.3


@pytest.mark.slow
def test_keepalive_storm():
    rules = {name: result.main.used[-1] for name, result in load("keepalive_storm").main().items()}
    assert rules["both"] < 30
    assert (
        rules["the firewall does not ask"]
        == rules["rules live for a minute"]
        == rules["as it is"]
        > 200
    )


def test_hash_flood():
    found = load("hash_flood").main()
    assert found["sum"] > 100
    assert max(found["jhash3"], found["jhash2"], found["sip"]) < 2


@pytest.mark.slow
def test_deploy_reset():
    found = load("deploy_reset").main()
    assert (
        found["a longer queue of SYNs alone"].failed == found["all after one second"].failed > 300
    )
    assert max(found["within half a minute"].failed, found["cookies"].failed) < 10


def test_nat_forgets():
    found = load("nat_forgets").main()
    assert {name for name, result in found.items() if not result.failed} == {
        "longer-timeout",
        "shorter-idle",
    }
    assert set(found["as it is"].errors) == {"ECONNRESET"}
    assert set(found["not-loose"].errors) == {"ETIMEDOUT"}


@pytest.mark.slow
def test_tcb_hash():
    few, more, most = load("tcb_hash").main().values()
    assert few > 2 * more > 2.5 * most


def test_listen_overflow():
    found = load("listen_overflow").main()
    assert found["a longer queue"].success < 0.6
    assert found["more children"].success == found["KeepAliveTimeout 2"].success == 1


@pytest.mark.slow
def test_too_many_files(capsys: pytest.CaptureFixture[str]):
    found = load("too_many_files").main()
    ill = {name for name, result in found.items() if result.failed}
    assert ill == {"as it is", "maxfiles"}
    assert capsys.readouterr().out.endswith("accept() failed (24: Too many open files)\n")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.stem)
def test_it_is_under_80_lines_and_tested(path: Path):
    assert len(path.read_text().splitlines()) < 80
    assert f'load("{path.stem}")' in Path(__file__).read_text()
