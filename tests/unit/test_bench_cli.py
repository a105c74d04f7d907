"""`pystack bench`: what its JSON says and when it refuses. Sizes are tiny and no number is judged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from pystack import bench
from pystack.bench import report, tun
from pystack.bench.report import Report, Target
from pystack.cli.app import app

TINY = ["--scale", "0.0005", "--repeat", "1"]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["bench", *arguments])


@pytest.mark.parametrize(
    ("group", "keys"),
    [
        ("timers", ["timer_arm_ns", "timer_cancel_ns", "reference_heapq_arm_ns"]),
        ("mbuf", ["mbuf_get_free_ns", "mbuf_import_1448_ns", "reference_memcpy_65536_ns"]),
        pytest.param(
            "syncache",
            [
                "linux_cookies_per_second",
                "freebsd_cookies_per_second",
                "freebsd_evict_connect_ms",
                "reference_syn_per_second",
            ],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "parked",
            ["freebsd_10_hour_ms", "freebsd_14_hour_ms", "linux_6_half_closed_hour_ms"],
            marks=pytest.mark.slow,
        ),
        (
            "conntrack",
            ["packets_100_per_second", "new_flows_per_second", "packets_in_1024_per_second"],
        ),
        (
            "ipfw",
            [
                "packets_1_per_second",
                "walked_1000_per_second",
                "state_hits_per_second",
                "states_in_256_per_second",
            ],
        ),
        ("hash", ["look_up_512_ns", "look_up_131072_ns", "packet_131072_ns"]),
        pytest.param(
            "timeouts", ["flows_10_s", "ports_120_s", "little_ports_60"], marks=pytest.mark.slow
        ),
        ("demux", ["packets_250_128_per_second", "packets_10_alone_per_second"]),
        (
            "tcp",
            [
                "super_segments_gbit",
                "mss1448_gbit",
                "conversations_per_second",
                "packet_busy_ns",
                "packet_turn_ns",
                "packet_scattered_ns",
                "reference_kernel_gbit",
                "reference_memcpy_gbit",
                "reference_kernel_conversations_per_second",
            ],
        ),
    ],
)
def test_each_group_answers_flat_json(group: str, keys: list[str]) -> None:
    done = run(group, "--json", *TINY)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    for key in keys:
        assert found[key] > 0, key
    assert all(isinstance(value, str | int | float | bool) for value in found.values())
    targets = [key.removesuffix("_target") for key in found if key.endswith("_target")]
    assert all(isinstance(found[f"{key}_met"], bool) for key in targets)
    assert found["processors"] >= 1
    assert "load_1m" in found
    assert found["version"].startswith("pystack ")


def test_the_table_names_reference_and_target() -> None:
    done = run("timers", *TINY)
    assert done.exit_code == 0, done.output
    assert "heapq, push" in done.stdout
    assert "≤ 200" in done.stdout
    assert "load " in done.stdout


def test_an_unknown_group_is_refused_in_one_line() -> None:
    done = run("tcq")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "tcp, tun, syncache, parked, demux, conntrack, ipfw, mbuf, timers" in done.stderr
    with pytest.raises(KeyError):
        bench.measure("tcq")


def test_tun_without_a_source_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(tun, "_FOLDER", tmp_path)
    done = run("tun", *TINY)
    assert done.exit_code == 2
    assert "source checkout" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_group_that_cannot_run_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(tun, "_FOLDER", tmp_path)
    monkeypatch.setattr(bench, "GROUPS", {"tun": "", "timers": ""})
    done = run("--json", *TINY)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert "source checkout" in found["tun_unavailable"]
    assert found["timer_arm_ns"] > 0


@pytest.mark.parametrize(
    ("target", "value", "ratio", "met"),
    [
        (Target(least=15), 15.0, None, True),
        (Target(least=15), 14.9, None, False),
        (Target(most=200), 200.0, None, True),
        (Target(most=200), 201.0, None, False),
        (Target(least=0.5, ratio=True), 1.0, 0.5, True),
        (Target(least=0.5, ratio=True), 9.0, 0.49, False),
        (Target(least=0.5, ratio=True), 9.0, None, False),
        (Target(most=1.5, ratio=True), 900.0, 1.5, True),
    ],
)
def test_targets(target: Target, value: float, ratio: float | None, met: bool) -> None:
    assert target.met(value, ratio) is met


def test_ratio_is_figure_over_reference() -> None:
    found = Report("x", "")
    found.reference("reference_gbit", 40.0, "C program")
    found.figure("x_gbit", 10.0, "x", "reference_gbit", Target(least=0.5, ratio=True, aim=0.8))
    assert found.flat() == {
        "reference_gbit": 40.0,
        "x_gbit": 10.0,
        "x_gbit_ratio": 0.25,
        "x_gbit_target": "≥ 0.5 × (0.8)",
        "x_gbit_met": False,
    }
    assert list(found.rows()) == [
        ("x", "10 Gbit/s", "40 C program", "0.25", "≥ 0.5 × (0.8)", "missed")
    ]


def test_measures_take_turns() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return len(order)

    found = report.interleaved(2, {"a": lambda: measure("a"), "b": lambda: measure("b")})
    assert order == ["a", "b", "a", "b"]
    assert found == {"a": [1, 3], "b": [2, 4]}


def sweep_found():
    found = {f"packets_in_{1 << n}_per_second": 1e6 * n for n in range(10, 21)}
    return found | {f"chain_mean_{1 << n}": 2.0 ** (20 - n) for n in range(10, 21)}


def test_a_picture_of_the_sweep(tmp_path):
    from xml.etree import ElementTree

    from pystack.bench import picture

    curve = picture.points(sweep_found())
    assert [buckets for buckets, _, _ in curve] == [1 << n for n in range(10, 21)]
    picture.write(tmp_path / "sweep.svg", sweep_found())
    root = ElementTree.parse(tmp_path / "sweep.svg").getroot()
    drawn = {id_: group for group in root.iter() if (id_ := group.get("id"))}
    paths = [
        [float(word) for word in drawn[line][0].get("d").split() if word not in "ML"]
        for line in drawn
        if line.startswith("line2d") and len(drawn[line][0].get("d", "").split()) == 33
    ]
    rates, chains = (path[1::2] for path in paths)  # 11 points each; y grows downwards
    assert rates == sorted(rates, reverse=True)
    assert chains == sorted(chains)
    with pytest.raises(picture.NoCurve):
        picture.points({"new_flows_per_second": 3.0})


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("PDF", b"%PDF"), ("svg", b"<?xml")]
)
def test_a_picture_has_the_format_of_its_name(tmp_path, suffix, magic):
    from pystack.bench import picture

    file = tmp_path / f"sweep.{suffix}"
    picture.check(file)
    picture.write(file, sweep_found())
    assert file.read_bytes().startswith(magic)


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (
            ["conntrack", "--picture", "{}/sweep.gif"],
            "a picture is svg, png or pdf, not 'sweep.gif'",
        ),
        (["conntrack", "--picture", "{}/no/sweep.svg"], "No such file or directory"),
        (["mbuf", "--picture", "{}/sweep.svg"], "the picture is of `bench conntrack`"),
    ],
)
def test_a_picture_that_cannot_be_is_refused_before_anything_is_measured(tmp_path, args, why):
    done = run(*(arg.format(tmp_path) for arg in args))
    assert done.exit_code == 2
    assert why in done.stderr
    assert not done.stdout


def test_the_kernel_is_measured_or_said_not_to_be(monkeypatch):
    from pystack.bench import kernel_conntrack, kernel_path, kernel_rules
    from pystack.bench.report import Report

    monkeypatch.setattr(kernel_path, "why_not", lambda tools: f"it takes root and {tools[0]}")
    report = Report("conntrack", "")
    kernel_conntrack.figures(report, [], [], 1)
    kernel_rules.figures(report, [], 1)
    assert report.notes == {
        "kernel_not_measured": "it takes root and iptables",
        "nft_not_measured": "it takes root and nft",
    }
    assert not report.figures


def test_the_rules_that_nft_gets():
    from pystack.bench.kernel_rules import ruleset

    assert ruleset(1).count("drop\n") == 0
    text = ruleset(1000).splitlines()
    assert [line for line in text if line.endswith(" drop")][::998] == [
        "ip saddr 172.16.0.0/24 drop",
        "ip saddr 172.19.230.0/24 drop",
    ]
    assert text[-3:] == ["accept", "}", "}"]


@pytest.mark.slow
def test_occupancy_is_what_littles_law_says() -> None:
    found = bench.measure("timeouts", scale=0.25).flat()
    for seconds in (10, 30, 60, 120):
        for what in ("flows", "ports"):
            law, seen = found[f"little_{what}_{seconds}"], found[f"{what}_{seconds}_s"]
            assert seen == pytest.approx(law, rel=0.12), (what, seconds)


def test_the_help_names_every_group():
    words = CliRunner().invoke(app, ["bench", "--help"], env={"COLUMNS": "200"}).stdout
    assert [group for group in bench.GROUPS if f"{group}," not in words.replace(";", ",")] == []
