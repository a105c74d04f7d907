"""The laboratory and the reference programs of `pystack bench tun` do what the numbers rest on.

Nothing here is timed: the runs are short, and what is checked is that bytes and conversations are
counted right, that offloads are on or off as asked, and that nothing stays behind.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import netlab
import pytest
import reference_tun
from netlab import Lab, LabError, Namespace

pytestmark = pytest.mark.system

SHORT = 0.3
MSS = 1460
NEEDS_CSUM = 1  # VIRTIO_NET_HDR_F_NEEDS_CSUM


def host_state() -> tuple[str, str, set[str]]:
    """Links and congestion control of our own namespace, and the names of our namespaces."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text()
    folder = Path("/run/netns")
    ours = {p.name for p in folder.glob(f"ps-{os.getpid()}-*")} if folder.exists() else set()
    return links, control, ours


def no_errors(result: reference_tun.Result) -> bool:
    return not any(result["errors"].values())


@pytest.mark.parametrize("offload", [True, False], ids=["offload", "no-offload"])
@pytest.mark.parametrize("direction", ["receive", "send"])
def test_bulk_over_tun_counts_the_same_at_both_ends(
    reference_programs: Path, direction: str, offload: bool
) -> None:
    measure = {
        "receive": reference_tun.reference_receive,
        "send": reference_tun.reference_send,
    }[direction]
    result = measure(offload, seconds=SHORT)
    assert 0 < result["bytes"] <= result["peer"]["bytes"]  # the client leaves its warm-up out
    assert result["gbit"] == pytest.approx(result["bytes"] * 8e-9 / result["seconds"], rel=1e-3)
    if offload:
        assert result["peer"]["longest"] > 10 * MSS, "no super-segments went through the device"
    else:
        assert result["peer"]["longest"] == MSS


@pytest.mark.parametrize("direction", ["receive", "send"])
def test_bulk_of_the_kernel_over_veth(
    reference_programs: Path, direction: reference_tun.Direction
) -> None:
    result = reference_tun.kernel_veth_bulk(direction, seconds=SHORT)
    assert 0 < result["bytes"] <= result["peer"]["bytes"]


@pytest.mark.parametrize("closer", ["server", "client"])
def test_short_conversations_leave_time_wait_where_the_close_began(
    reference_programs: Path, lab: Lab, closer: reference_tun.Closer
) -> None:
    server, client = lab.namespace(), lab.namespace()
    lab.veth(server, f"{reference_tun.PEER}/24", client, f"{reference_tun.KERNEL}/24")
    reference_tun.widen_ports(client, "veth0")
    child = server.start([reference_programs / "http_server", reference_tun.PEER, "80"])
    result = reference_tun.short_load(
        client, closer, address=reference_tun.PEER, port=80, seconds=SHORT
    )
    waiting = {"server": time_wait(server), "client": time_wait(client)}
    child.terminate()
    served = reference_tun._json(server.finish(child))

    assert no_errors(result)
    assert 0 < result["connections"] <= served["requests"] <= served["connections"]
    assert result["requests"] == result["connections"]
    other = "client" if closer == "server" else "server"
    assert waiting[closer] >= result["connections"]
    assert waiting[other] <= 64  # those that the end of the load cut off


def time_wait(namespace: Namespace) -> int:
    """Rows in TIME_WAIT (state 06), as /proc/net/tcp of this namespace shows them."""
    text = namespace.call(lambda: Path("/proc/thread-self/net/tcp").read_text())
    return sum(line.split()[3] == "06" for line in text.splitlines()[1:])


def test_a_short_load_tells_a_refused_connection_from_an_answer(
    reference_programs: Path, lab: Lab
) -> None:
    server, client = lab.namespace(), lab.namespace()
    lab.veth(server, f"{reference_tun.PEER}/24", client, f"{reference_tun.KERNEL}/24")
    reference_tun.widen_ports(client, "veth0")
    argv = reference_tun.program("http_load", reference_tun.PEER, 80, "--close", "client")
    child = client.popen([*argv, "--seconds", "0.1"])
    output, _ = child.communicate(timeout=20)
    result = reference_tun._json(output)
    assert child.returncode == 1
    assert result["connections"] == 0
    assert result["errors"]["connect"] > 0


def test_kept_connections_carry_many_requests_each(reference_programs: Path) -> None:
    result = reference_tun.kernel_keepalive(seconds=1.0)
    assert no_errors(result)
    assert result["requests"] > result["peer"]["connections"] > 0


def test_kept_connections_without_wrk(
    reference_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    result = reference_tun.kernel_keepalive(seconds=SHORT)
    assert result["tool"] == "http_load"
    assert no_errors(result)
    assert result["requests"] > result["peer"]["connections"] == 64


def test_the_report_of_wrk_is_read_with_its_errors() -> None:
    text = (
        "Running 1s test @ http://10.9.0.2:80/\n"
        "  95417 requests in 1.00s, 12.74MB read\n"
        "  Socket errors: connect 0, read 3, write 0, timeout 7\n"
        "  Non-2xx or 3xx responses: 5\n"
        "Requests/sec:  95373.29\nTransfer/sec:     12.73MB\n"
    )
    result = reference_tun.parse_wrk(text)
    assert result["per_second"] == 95373.29
    assert result["requests"] == 95417
    assert result["errors"] == {"connect": 0, "read": 3, "write": 0, "timeout": 7, "answer": 5}
    with pytest.raises(LabError, match="nothing that we understand"):
        reference_tun.parse_wrk("unable to connect")


@pytest.mark.parametrize("offload", [True, False], ids=["offload", "no-offload"])
def test_a_tun_opened_from_outside_keeps_its_offloads(lab: Lab, offload: bool) -> None:
    namespace = lab.namespace()
    fd = namespace.open_tun("tun0", vnet_hdr=True, offload=offload)
    try:
        namespace.address("tun0", "10.9.0.1/24")
        namespace.up("tun0", txqueuelen=netlab.NO_OFFLOAD_QUEUE)
        assert f"qlen {netlab.NO_OFFLOAD_QUEUE}" in namespace.ip("link", "show", "tun0")
        with namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
            sender.sendto(b"hello", ("10.9.0.2", 9))
        readable, _, _ = select.select([fd], [], [], 5)
        assert readable
        packet = os.read(fd, 2048)
    finally:
        os.close(fd)
    flags = packet[0]
    assert packet[10:][-5:] == b"hello"
    assert flags == (NEEDS_CSUM if offload else 0)
    assert "tun0" not in namespace.ip("link", "show")


def test_connections_of_a_namespace_use_cubic(lab: Lab) -> None:
    a, b = lab.namespace(), lab.namespace()
    lab.veth(a, "10.9.1.1/24", b, "10.9.1.2/24")
    with (
        a.call(lambda: socket.create_server(("10.9.1.1", 80))) as server,
        b.call(lambda: socket.create_connection(("10.9.1.1", 80), timeout=5)) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            for end in (client, accepted):
                name = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
                assert name.rstrip(b"\0") == b"cubic"


def test_a_laboratory_changes_nothing_of_the_host(lab: Lab) -> None:
    lab.close()
    before = host_state()
    with Lab() as other:
        a, b = other.namespace(), other.namespace()
        other.veth(a, "10.9.1.1/24", b, "10.9.1.2/24")
        os.close(a.open_tun("tun7"))
        assert host_state()[:2] == before[:2]
        assert host_state()[2] == {a.name, b.name}
    assert host_state() == before


def test_a_laboratory_goes_when_its_block_raises(lab: Lab) -> None:
    before = host_state()
    children = []

    def fail_inside() -> None:
        with Lab() as other:
            children.append(other.namespace().popen(["sleep", "60"]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert children[0].returncode == -signal.SIGTERM
    assert host_state() == before


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 128 + signal.SIGTERM)],
)
@pytest.mark.parametrize("opening", ["with Lab() as lab:", "lab = Lab()\nif True:"])
def test_a_laboratory_goes_on_a_signal(
    lab: Lab, number: signal.Signals, status: int, opening: str
) -> None:
    if number == signal.SIGTERM and opening.startswith("lab"):
        opening = "lab = Lab().__enter__()\nif True:"  # SIGTERM is taken on entry only
    script = f"""
import signal
from netlab import Lab
{opening}
    made = lab.namespace()
    child = made.popen(["sleep", "60"])
    print(made.name, child.pid, flush=True)
    signal.pause()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(reference_tun.REFERENCE.parent)},
    )
    assert child.stdout is not None
    name, sleeper = child.stdout.readline().split()
    assert Path("/run/netns", name).exists()
    child.send_signal(number)
    child.communicate(timeout=20)
    assert child.returncode == status
    assert not Path("/run/netns", name).exists()
    assert not Path("/proc", sleeper).exists()


def test_a_tool_that_refuses_is_quoted(lab: Lab, tmp_path: Path) -> None:
    namespace = lab.namespace()
    with pytest.raises(LabError, match=r"ip .*nosuch0"):
        namespace.up("nosuch0")
    with pytest.raises(LabError, match="ip_local_port_range"):
        namespace.sysctl("net.ipv4.ip_local_port_range", "not numbers")
    with pytest.raises(LabError, match="exit 3: said so"):
        namespace.run(["sh", "-c", "echo said so >&2; exit 3"])
    with pytest.raises(LabError, match=r"sleep: no end after 0\.05 s"):
        namespace.run(["sleep", "60"], timeout=0.05)
    with pytest.raises(LabError, match="did not start: quiet"):
        namespace.start(["sh", "-c", "echo quiet"])
    with pytest.raises(OSError, match="Invalid argument"):
        namespace.open_tun("a/bad/name")
    assert struct.calcsize("16sH22x") == 40  # struct ifreq, as open_tun packs it
