"""Sweeps: every point once, whatever happens to who computes it; what is kept is not computed again."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from cli_kit import pystack as command

import pystack
from pystack.sweeping import PlanError, Point, Table, parse_vary, plan
from pystack.sweeping.run import WorkLost, work

FILE = """title = "doors"
lasting = "10s"
[hosts.web]
profile = "linux-6"
address = "192.0.2.1/24"
[hosts.me]
profile = "freebsd-10"
address = "192.0.2.2/24"
[hosts.me.sysctl]
"net.inet.tcp.maxtcptw" = 1000
[links.lan]
between = ["web", "me"]
[services.http]
host = "web"
[traffic.load]
kind = "browsers"
from = "me"
to = "web:80"
rate = 10
ending = "closes"
[watch]
host = "me"
limit = "local ports"
"""
FIRST, LAST = "me:net.inet.ip.portrange.first", "me:net.inet.ip.portrange.last"


@pytest.fixture
def doors(tmp_path: Path) -> Path:
    """Some hundred connections, each of which takes a port for a minute."""
    path = tmp_path / "doors.toml"
    path.write_text(FILE)
    return path


VARY = {LAST: [40049, 40099, 40149, 40199], "traffic.load.rate": [5, 10]}
HOW = {"settings": [f"{FIRST}=40000"], "seeds": 2}


def swept(doors: Path, **how) -> Table:
    with ThreadPoolExecutor(1) as pool:
        return pystack.sweep(doors, VARY, **{"executor": pool, **HOW, **how})


def test_all_points_and_what_they_say(doors: Path):
    table = swept(doors)
    assert len(table) == 4 * 2 * 2
    assert table.smallest(LAST) == "40149"  # 150 ports for some 100 connections
    columns = table.columns()
    assert len({len(column) for column in columns.values()}) == 1
    assert columns[LAST][0] == 40049
    assert set(columns["seed"]) == {1, 2}
    full = [
        cell
        for cell in table.cells()
        if dict(cell.values) == {LAST: "40049", "traffic.load.rate": "10"}
    ]
    assert len(full) == 1
    (cell,) = full
    assert cell.n == 2
    assert cell.low <= cell.mean <= cell.high
    assert cell.mean == pytest.approx(50, abs=15)


def test_interrupted_it_goes_on(doors: Path, tmp_path: Path):
    out = tmp_path / "results.sqlite"

    class Tired(Exception):
        pass

    def told(done: int, total: int) -> None:
        assert total == 16
        if done == 5:
            raise Tired

    with pytest.raises(Tired):
        swept(doors, out=out, told=told)
    counts: list[int] = []
    whole = swept(doors, out=out, told=lambda done, _: counts.append(done))
    assert counts == list(range(5, 17))
    assert sqlite3.connect(out).execute("SELECT count(*) FROM runs").fetchone() == (16,)
    again = swept(doors, out=out, executor=None)  # nothing is left to do
    assert list(again) == list(whole) == list(swept(doors))


def test_another_scenario_is_another_sweep(doors: Path, tmp_path: Path):
    out = tmp_path / "results.sqlite"
    swept(doors, out=out)
    swept(doors, out=out, settings=[f"{FIRST}=40000", "lasting=2s"])
    assert sqlite3.connect(out).execute("SELECT count(*) FROM runs").fetchone() == (32,)


class Mortal:
    """An executor whose first `deaths` pieces of work are lost."""

    def __init__(self, deaths: int):
        self.deaths = deaths

    def submit(self, fn, *arguments):
        future: Future = Future()
        if self.deaths:
            self.deaths -= 1
            future.set_exception(type("KilledWorker", (Exception,), {})("gone"))
        else:
            future.set_result(fn(*arguments))
        return future


def test_lost_work_is_given_out_again(doors: Path):
    assert list(swept(doors, executor=Mortal(3))) == list(swept(doors))
    with pytest.raises(WorkLost, match="gone"):
        swept(doors, executor=Mortal(100))


def test_what_the_work_raises_is_raised(doors: Path):
    class Refuses:
        def submit(self, *_):
            future: Future = Future()
            future.set_exception(ValueError("no"))
            return future

    with pytest.raises(ValueError, match="no"):
        swept(doors, executor=Refuses())


def kill_once(directory: str, scenario, seed, for_):
    """The first worker that comes here kills itself."""
    mark = Path(directory) / "killed"
    try:
        mark.touch(exist_ok=False)
        os.kill(os.getpid(), signal.SIGKILL)
    except FileExistsError:
        pass
    return work(scenario, seed, for_)


@pytest.mark.slow
def test_a_killed_process_loses_nothing(
    doors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from functools import partial

    monkeypatch.setattr("pystack.sweeping.run.work", partial(kill_once, str(tmp_path)))
    table = swept(doors, executor=None)
    assert (tmp_path / "killed").exists()
    monkeypatch.undo()
    assert list(table) == list(swept(doors))


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.filterwarnings("ignore")
def test_a_killed_dask_worker_loses_nothing_and_doubles_nothing(doors: Path, tmp_path: Path):
    distributed = pytest.importorskip("distributed")
    out = tmp_path / "results.sqlite"
    killed: list[int] = []
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            memory_limit=0,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = sorted(client.run(os.getpid).values())

        def told(done: int, _: int) -> None:
            if done == 3 and not killed:
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)

        table = swept(doors, executor=client.get_executor(), out=out, told=told)
    assert killed
    assert list(table) == list(swept(doors))
    assert sqlite3.connect(out).execute("SELECT count(*) FROM runs").fetchone() == (16,)


@pytest.mark.parametrize("frames", ["pandas", "polars"])
def test_data_frames_take_the_table(frames: str):
    """As it is, and by its columns; numbers are numbers."""
    library = pytest.importorskip(frames)
    rows = {
        Point(((LAST, str(last)), ("mode", "x")), seed): {"failed": last * seed, "first": None}
        for last in (40049, 40099)
        for seed in (1, 2)
    }
    table = Table([LAST, "mode"], rows)
    for frame in (library.DataFrame(table), library.DataFrame(table.columns())):
        assert list(frame.columns) == [LAST, "mode", "seed", "failed", "first"]
        assert int(frame["failed"].sum()) == 3 * (40049 + 40099)
        assert list(frame[LAST]) == [40049, 40049, 40099, 40099]


def test_headings_are_short_where_they_can_be():
    assert Table(["fw:net.a.max", "traffic.b.rate"], {}).headings == ["max", "rate"]
    both = ["fw:net.a.max", "web:net.b.max"]
    assert Table(both, {}).headings == both


def test_a_table_is_a_sequence():
    table = made({1: [5, 6], 2: [7]})
    assert [row["n"] for row in table] == [1, 1, 2]
    assert table[2] == {"n": 2, "seed": 0, "failed": 7}
    assert table[-1:] == [table[2]]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a:b=1,2,3", ["1", "2", "3"]),
        ("a=10..50+20", ["10", "30", "50"]),
        ("a=1024..65536*8", ["1024", "8192", "65536"]),
        ("a=0.5..1+0.25,9", ["0.5", "0.75", "1", "9"]),
        ("a=off,30s", ["off", "30s"]),
        ("a=3..5", ["3", "4", "5"]),
    ],
)
def test_values(text: str, values: list[str]):
    assert parse_vary(text) == (text.partition("=")[0], values)


@pytest.mark.parametrize("text", ["a", "a=", "=3", "a=5..1", "a=1..5*1", "a=1..5+0"])
def test_no_values(text: str):
    with pytest.raises(PlanError, match="--vary"):
        parse_vary(text)


def test_plans():
    assert [point.settings for point in plan({"a": [1, 2], "b": ["x"]}, [7])] == [
        ["a=1", "b=x"],
        ["a=2", "b=x"],
    ]
    for vary in ({"a": []}, {"a": [1, 1]}):
        with pytest.raises(PlanError):
            plan(vary, [1])


def made(values: dict[int, list[float]]) -> Table:
    rows = {
        Point((("n", str(n)),), seed): {"failed": y}
        for n, found in values.items()
        for seed, y in enumerate(found)
    }
    return Table(["n"], rows)


def test_the_knee_and_the_smallest():
    bent = made({n: [max(0, 100 - 10 * n)] for n in (0, 5, 10, 20, 40)})
    assert (bent.knee("n"), bent.smallest("n")) == ("10", "10")
    straight = made({n: [100 - 10 * n] for n in (0, 3, 7)})
    assert (straight.knee("n"), straight.smallest("n")) == (None, None)
    level = made({1: [1200], 2: [1219], 3: [1220]})
    assert level.knee("n") is None
    timeout = made({10: [0], 30: [0, 0], 120: [9]})
    assert (timeout.smallest("n"), timeout.largest("n")) == (None, "30")
    assert timeout.answer("n") == "no failures up to 30"
    assert bent.answer("n") == "no failures from 10 on"
    assert made({1: [2], 2: [1]}).answer("n") == "failures at every value"
    island = made({1: [0], 2: [5], 3: [0, 0], 4: [0]})
    assert island.smallest("n") == "3"  # from there on, and not where luck was


def test_the_interval_is_students():
    (cell,) = made({1: [10, 12, 14]}).cells()
    assert cell.mean == 12
    assert (cell.low, cell.high) == pytest.approx(
        (12 - 4.968, 12 + 4.968), abs=1e-3
    )  # t(2) = 4.303, s = 2
    assert made({1: [3, 3]}).cells()[0].low == 3


def test_as_a_command(doors: Path, tmp_path: Path):
    page = tmp_path / "sweep.html"
    words = ["sweep", str(doors), "--vary", f"{LAST}=40049,40069,40199", "--set", f"{FIRST}=40000"]
    words += ["--vary", "traffic.load.rate=5,10", "--workers", "1", "--report", str(page)]
    status, out, err = command(tmp_path, *words)
    assert (status, err) == (0, "")
    assert f"{LAST}: no failures from 40199 on" in out
    assert "traffic.load.rate: failures at every value" in out
    text = page.read_text()
    assert text.count("<svg") == 5
    assert "the smallest value with no failures is <b>40199</b>" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "--vary", "a=1"], "no scenario 'nowhere'"),
        (["ephemeral-ports", "--vary", "a=1", "--report", "/nowhere/x.html"], "there is no directory /nowhere"),
        (["ephemeral-ports", "--vary", "a"], "write NAME=V1,V2"),
        (["ephemeral-ports", "--vary", "balancer:net.inet.ip.portrange.frist=1"], "did you mean net.inet.ip.port"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(tmp_path: Path, words: list[str], said: str):
    status, out, err = command(tmp_path, "sweep", *words)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_results_come_while_others_run(doors: Path):
    """`told` is called in the caller's thread, as they come."""
    seen = []
    started = time.monotonic()
    swept(
        doors,
        told=lambda done, _: seen.append((done, threading.get_ident(), time.monotonic() - started)),
    )
    assert {ident for _, ident, _ in seen} == {threading.get_ident()}
    assert seen[1][2] < seen[-1][2] / 2
