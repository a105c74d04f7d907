"""`pystack demo`: the main job, shown in a few seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pystack.cli.common import Json, fail, print_json, table

if TYPE_CHECKING:
    from pystack.scenarios.demo import Fetched, Result

ROWS = 14
"""Moments of the table of states at most."""


def demo(
    clients: Annotated[int, typer.Option(min=1, max=5000, help="Number of clients.")] = 200,
    loss: Annotated[str, typer.Option(help="Share of packets that the link loses.")] = "2%",
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 1,
    pcap: Annotated[
        str, typer.Option(metavar="FILE", help="Where the capture goes (pcapng).")
    ] = "demo.pcapng",
    device: Annotated[
        bool, typer.Option("--device/--no-device", help="Show it on a TUN device too, if possible.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Show what pystack is for: no root and no device needed.

    A web server inside a machine serves many clients over a lossy link, in virtual time. As root on
    Linux, the same machine then serves the system's curl through a TUN device.
    """
    from pystack import units
    from pystack.scenarios import demo as scenario
    from pystack.tun import DeviceError

    try:
        share = units.parse_probability(loss, "loss")
        if share > 0.5:
            fail(f"loss {loss}: more than half of the packets is no network")
        result = scenario.in_virtual_time(seed=seed, clients=clients, loss=share, capture=pcap)
    except (ValueError, OSError) as error:
        fail(error)
    why = scenario.why_no_device() if device else "it was not asked for"
    fetched = None
    if not as_json:
        _show(result)
    if why is None:
        try:
            fetched = scenario.on_a_device()
        except (DeviceError, OSError) as error:
            why = str(error)
    if as_json:
        print_json(_plain(result) | {"device": asdict(fetched) if fetched else None, "why": why})
    elif fetched is not None:
        _show_device(fetched)
    else:
        print(f"\nNot shown on a TUN device: {why}.")
    if result.failed or (fetched is not None and fetched.status):
        raise typer.Exit(1)


def _plain(result: Result) -> dict[str, Any]:
    plain = asdict(result)
    plain["states"] = [{"ns": ns, "states": states} for ns, states in result.states]
    times = sorted(plain.pop("answer_times"))
    plain["answer_ns"] = {name: times[at] for name, at in _quantiles(len(times)).items()}
    return plain


def _quantiles(n: int) -> dict[str, int]:
    return {"median": n // 2, "p99": n * 99 // 100, "worst": n - 1} if n else {}


def _show(result: Result) -> None:
    times = sorted(result.answer_times)
    answer = {name: f"{times[at] / 1e6:,.0f} ms" for name, at in _quantiles(len(times)).items()}
    print(
        f"A web server (FreeBSD 14) and {result.clients} clients (Linux 6),"
        f" {result.delay} and {result.bandwidth} apart,\n{result.loss:.1%} of the packets lost:\n"
    )
    failed = f", {result.failed} failed" if result.failed else ""
    rows = [
        ("requests served", f"{result.requests:,}{failed}"),
        ("octets received", f"{result.octets:,}"),
        ("packets on the link", f"{result.packets:,}"),
        ("lost", f"{result.lost:,}"),
        ("sent again by the server", f"{result.retransmitted:,}"),
        *((f"time of an answer, {name}", value) for name, value in answer.items()),
        ("all clients served in", f"{result.traffic_ns / 1e9:.1f} s of virtual time"),
        ("watched for", f"{result.virtual_ns / 1e9:.1f} s of virtual time"),
        ("which took", f"{result.wall_ns / 1e9:.1f} s of real time"),
        ("trace hash", result.trace_hash),
    ]
    table((("", ""), ("", "right")), rows)
    print("\nConnections of the server, by state:\n")
    _show_states(result)
    print(f"\nEvery packet is in {result.capture}, lost ones with a comment: open it in Wireshark,")
    print(f"or: tcpdump -r {result.capture} | head")


def _show_states(result: Result) -> None:
    names = list(dict.fromkeys(name for _, states in result.states for name in states))
    moments = [
        moment
        for before, moment in zip([(0, {}), *result.states], result.states, strict=False)
        if moment[1] != before[1]
    ]
    step = -(-len(moments) // ROWS)
    shown = moments[::step]
    if moments and shown[-1] != moments[-1]:
        shown.append(moments[-1])
    rows = [
        (f"{ns / 1e9:.1f} s", *(f"{states.get(name, 0) or '·'}" for name in names))
        for ns, states in shown
    ]
    table((("at", "right"), *((name, "right") for name in names)), rows)


def _show_device(fetched: Fetched) -> None:
    print(f"\nIn real time ({fetched.device}), asked by the system's curl:")
    for command, output in zip(fetched.commands, fetched.outputs, strict=False):
        print(f"\n$ {command}")
        lines = output.rstrip("\n").splitlines()
        for line in lines[:ROWS]:
            print(f"  {line[:76]}{'…' if len(line) > 76 else ''}")
        if len(lines) > ROWS:
            print(f"  … {len(lines) - ROWS} more lines")
    print("\nThe device and its network namespace are gone.")
