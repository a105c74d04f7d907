"""The references of `pystack bench tun`: what this machine does without pystack, measured here.

Two kinds. The C programs `tun_sink` and `tun_source` over a TUN device are the physical limit:
TCP for one peer that only acknowledges, or only sends from one buffer. The kernel's own TCP over
a veth pair is what a user would pick instead.

The loads (`bulk_load`, `short_load`, `keepalive_load`) take a namespace, an address and a port, so
that pystack is measured by the very same programs. Directions are named as the server sees them:
"receive" means that the kernel's client pushes. Every function is bounded in time, makes its own
namespaces and leaves nothing. Kernel clients use cubic.

Import it with this folder on `sys.path`, or run `python bench/reference_tun.py --json`.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from netlab import NO_OFFLOAD_QUEUE, Lab, LabError, Namespace, why_not

Result = dict[str, Any]
Direction = Literal["receive", "send"]
Closer = Literal["server", "client"]

REFERENCE = Path(__file__).resolve().parent / "reference"
PROGRAMS = REFERENCE / "build"

KERNEL, PEER, PORT = "10.9.0.1", "10.9.0.2", 80
"""The two ends of every measurement: the kernel's client, and whoever serves."""

SOURCES = [f"10.9.0.{n}" for n in range(101, 109)]
"""More client addresses: 64,512 ports last for less than three seconds of short connections."""

REQUEST_PATH = "/bytes/100"


def program(name: str, *arguments: object) -> list[str]:
    """Command line of one of the C programs."""
    return [str(PROGRAMS / name), *map(str, arguments)]


def build() -> None:
    """Compile the C programs where they are older than their source. Raises LabError."""
    done = subprocess.run(
        ["make", "-s", "-C", str(REFERENCE)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LabError(f"bench/reference: {done.stderr.strip() or done.stdout.strip()}")


def widen_ports(namespace: Namespace, device: str) -> None:
    """Make a client namespace fit for many short connections: ports, addresses, TIME_WAIT reuse."""
    namespace.sysctl("net.ipv4.ip_local_port_range", "1024 65535")
    namespace.sysctl("net.ipv4.tcp_tw_reuse", 1)
    namespace.sysctl("net.ipv4.tcp_max_tw_buckets", 1_000_000)
    namespace.address(device, *(f"{source}/24" for source in SOURCES))


def bulk_load(
    client: Namespace, direction: Direction, *, address: str, port: int, seconds: float = 2.0
) -> Result:
    """One connection from `client`, pushing or pulling: `bytes`, `seconds`, `gbit`.

    Bytes count when the other side has acknowledged them (push) or they were read (pull).
    """
    flag = "--push" if direction == "receive" else "--pull"
    argv = program("tcp_client", address, port, flag, "--seconds", seconds)
    return _json(client.run(argv, timeout=seconds + 20))


def short_load(
    client: Namespace,
    closer: Closer,
    *,
    address: str,
    port: int,
    seconds: float = 2.0,
    connections: int = 64,
    path: str = REQUEST_PATH,
) -> Result:
    """Connect, request, answer, close, `connections` at a time: `per_second` and `errors` by kind.

    `client` must have been prepared by `widen_ports`.
    """
    argv = _http_load(address, port, closer, seconds, connections, path)
    return _json(client.run([*argv, "--source", ",".join(SOURCES)], timeout=seconds + 20))


def keepalive_load(
    client: Namespace,
    *,
    address: str,
    port: int,
    seconds: float = 2.0,
    connections: int = 64,
    path: str = REQUEST_PATH,
) -> Result:
    """Request after request on kept connections: `per_second`, `errors`, and the `tool` that asked.

    The tool is wrk (one thread) where it is installed, else http_load.
    """
    if shutil.which("wrk") is None:
        argv = _http_load(address, port, "never", seconds, connections, path)
        return {**_json(client.run(argv, timeout=seconds + 20)), "tool": "http_load"}
    whole = max(1, round(seconds))  # wrk knows whole seconds only
    url = f"http://{address}:{port}{path}"
    text = client.run(["wrk", "-t1", f"-c{connections}", f"-d{whole}s", url], timeout=whole + 20)
    return {**parse_wrk(text), "seconds": float(whole), "tool": "wrk"}


def parse_wrk(text: str) -> Result:
    """`requests`, `per_second` and `errors` from wrk's report. Raises LabError on another text."""
    rate = re.search(r"^Requests/sec:\s*([\d.]+)", text, re.MULTILINE)
    count = re.search(r"^\s*(\d+) requests in ", text, re.MULTILINE)
    if rate is None or count is None:
        raise LabError(f"wrk said nothing that we understand: {text!r}")
    kinds = re.search(r"Socket errors: (.*)$", text, re.MULTILINE)
    errors = {k: int(n) for k, n in re.findall(r"(\w+) (\d+)", kinds.group(1) if kinds else "")}
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if wrong:
        errors["answer"] = int(wrong.group(1))
    return {"requests": int(count[1]), "per_second": float(rate[1]), "errors": errors}


def reference_receive(offload: bool = True, *, seconds: float = 2.0) -> Result:
    """The kernel pushes into `tun_sink`: the limit of receiving. `peer` is the sink's own count."""
    return _over_tun("tun_sink", "receive", offload, seconds)


def reference_send(offload: bool = True, *, seconds: float = 2.0) -> Result:
    """The kernel pulls from `tun_source`: the limit of sending. `peer` is the source's count."""
    return _over_tun("tun_source", "send", offload, seconds)


def kernel_veth_bulk(direction: Direction, *, seconds: float = 2.0) -> Result:
    """The kernel on both ends of a veth pair, one connection."""
    mode = "--sink" if direction == "receive" else "--source"
    with Lab() as lab:
        server, client = _veth_pair(lab)
        child = server.start(program("tcp_server", PEER, PORT, mode, "--seconds", seconds + 5))
        result = bulk_load(client, direction, address=PEER, port=PORT, seconds=seconds)
        return {**result, "peer": _json(server.finish(child))}


def kernel_short(closer: Closer, *, seconds: float = 2.0) -> Result:
    """Short HTTP conversations with `http_server` on the kernel's TCP over veth."""
    return _kernel_http(
        lambda client: short_load(client, closer, address=PEER, port=PORT, seconds=seconds),
        seconds,
    )


def kernel_keepalive(*, seconds: float = 2.0) -> Result:
    """Kept HTTP connections with `http_server` on the kernel's TCP over veth."""
    return _kernel_http(
        lambda client: keepalive_load(client, address=PEER, port=PORT, seconds=seconds), seconds
    )


def _json(text: str) -> Result:
    result: Result = json.loads(text)
    return result


def _http_load(
    address: str, port: int, closer: str, seconds: float, connections: int, path: str
) -> list[str]:
    argv = program("http_load", address, port, "--close", closer, "--path", path)
    return [*argv, "--seconds", str(seconds), "--connections", str(connections)]


def _veth_pair(lab: Lab) -> tuple[Namespace, Namespace]:
    build()
    server, client = lab.namespace(), lab.namespace()
    lab.veth(server, f"{PEER}/24", client, f"{KERNEL}/24")
    return server, client


def _over_tun(peer: str, direction: Direction, offload: bool, seconds: float) -> Result:
    build()
    with Lab() as lab:
        namespace = lab.namespace()
        argv = program(peer, "--dev", "tun0", "--seconds", seconds + 5)
        child = namespace.start(argv if offload else [*argv, "--no-offload"])
        # Up only now that a program holds the device: no carrier to wait for.
        namespace.address("tun0", f"{KERNEL}/24")
        namespace.up("tun0", mtu=1500, txqueuelen=None if offload else NO_OFFLOAD_QUEUE)
        result = bulk_load(namespace, direction, address=PEER, port=PORT, seconds=seconds)
        return {**result, "peer": _json(namespace.finish(child))}


def _kernel_http(load: Callable[[Namespace], Result], seconds: float) -> Result:
    with Lab() as lab:
        server, client = _veth_pair(lab)
        widen_ports(client, "veth0")
        server.sysctl("net.ipv4.tcp_max_tw_buckets", 1_000_000)
        child = server.start(program("http_server", PEER, PORT, "--seconds", seconds + 10))
        result = load(client)
        child.terminate()
        return {**result, "peer": _json(server.finish(child))}


MEASURES: dict[str, tuple[Callable[[float], Result], str]] = {
    "reference_receive_gbit": (lambda s: reference_receive(seconds=s), "gbit"),
    "reference_send_gbit": (lambda s: reference_send(seconds=s), "gbit"),
    "reference_receive_gbit_no_offload": (lambda s: reference_receive(False, seconds=s), "gbit"),
    "reference_send_gbit_no_offload": (lambda s: reference_send(False, seconds=s), "gbit"),
    "kernel_veth_receive_gbit": (lambda s: kernel_veth_bulk("receive", seconds=s), "gbit"),
    "kernel_veth_send_gbit": (lambda s: kernel_veth_bulk("send", seconds=s), "gbit"),
    "kernel_short_server_closes": (lambda s: kernel_short("server", seconds=s), "per_second"),
    "kernel_short_client_closes": (lambda s: kernel_short("client", seconds=s), "per_second"),
    "kernel_keepalive_requests": (lambda s: kernel_keepalive(seconds=s), "per_second"),
}
"""Key of the report → (measure of so many seconds, the field that is the number)."""


def measure_all(*, seconds: float = 2.0, repeat: int = 1) -> dict[str, dict[str, Any]]:
    """Every reference: `{"best": …, "runs": […], "detail": …}` by key; the detail is the best run's.

    Best and not mean: another process on the same machine can only make a run slower.
    """
    report: dict[str, dict[str, Any]] = {}
    for key, (measure, field) in MEASURES.items():
        results = [measure(seconds) for _ in range(repeat)]
        best = max(results, key=lambda result: float(result[field]))
        runs = [result[field] for result in results]
        report[key] = {"best": best[field], "runs": runs, "detail": best}
    return report


def main() -> int:
    """Print the references: a line each, or JSON."""
    parser = argparse.ArgumentParser(description="references of `pystack bench tun`")
    parser.add_argument("--json", action="store_true", help="print JSON with every run's detail")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each measurement")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the best counts")
    options = parser.parse_args()
    reason = why_not()
    if reason:
        print(f"reference_tun: {reason}", file=sys.stderr)
        return 2
    report = measure_all(seconds=options.seconds, repeat=max(1, options.repeat))
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        for key, entry in report.items():
            print(f"{key:36} {entry['best']:>12,.1f}   {entry['runs']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
