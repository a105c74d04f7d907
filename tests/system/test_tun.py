"""The device on a real kernel, with a stand-in for the core (`tcp_discard.py`)."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from netlab import Lab, Namespace
from port_kit import FakePort

from pystack._fast import consts, ip4
from pystack._fast.consts import MS, NEVER, Drop
from pystack._fast.mbuf import Pool
from pystack._fast.packet import Packet, PacketQueue
from pystack.runner import Runner
from pystack.tun import DeviceError, DeviceGone, Tun

sys.path.insert(0, str(Path(__file__).parent))

from tcp_discard import DiscardCore

pytestmark = pytest.mark.system

US, KERNEL = "10.9.0.2", "10.9.0.1"


def open_tun(
    space: Namespace, address: str = f"{US}/24", *, name: str = "tun0", **options: Any
) -> Tun:
    offload = options.pop("offload", True)

    def make() -> Tun:
        device = Tun(name, offload=offload)
        try:
            device.configure(address, **options)
        except BaseException:
            device.close()
            raise
        return device

    return space.call(make)


def links(space: Namespace) -> dict[str, Any]:
    return {link["ifname"]: link for link in json.loads(space.ip("-json", "addr"))}


class Sender(FakePort):
    """A core that only sends what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(10_000, 10_000, 100, 100, 100, 1 << 26)
        self.out: deque[Packet] = deque()
        self.came: list[bytes] = []
        self.free = PacketQueue()

    def ingress_landed(
        self, iface: int, skip: int, n: int, gso_size: int, csum_ok: bool, now: int
    ) -> int:
        self.came.append(bytes(self.place[skip : skip + n]))
        return 0

    def egress(self, now: int) -> Any:
        return self.out.popleft() if self.out else None

    def add(self, proto: int, header: bytes, payload: bytes, dst: str = KERNEL) -> Packet:
        p = self.free.take_free()
        p.src = int.from_bytes(socket.inet_aton(US))
        p.dst = int.from_bytes(socket.inet_aton(dst))
        p.proto, p.df, p.csum_ok = proto, True, True
        p.ip_len, p.head_len, p.length = 20, 20 + len(header), len(payload)
        for at, octet in enumerate(header):
            p.head[20 + at] = octet
        p.pool = self.pool
        p.m = self.pool.new_chain(memoryview(payload), 0, len(payload)) if payload else 0
        assert self.pool.chain_length(p.m) == len(payload)
        ip4.build(p)
        self.out.append(p)
        return p


def test_address_routes_and_settings_come_and_go(lab: Lab) -> None:
    space = lab.namespace()
    with open_tun(space, mtu=1400, txqueuelen=777, routes=["192.0.2.0/24"]) as device:
        assert str(device.address) == f"{US}/24"
        assert str(device.kernel_address) == KERNEL
        link = links(space)["tun0"]
        assert (link["mtu"], link["txqlen"]) == (1400, 777)
        assert "UP" in link["flags"]
        assert [(a["local"], a["prefixlen"]) for a in link["addr_info"]] == [(KERNEL, 24)]
        routes = {r["dst"]: r["dev"] for r in json.loads(space.ip("-json", "route"))}
        assert routes == {"10.9.0.0/24": "tun0", "192.0.2.0/24": "tun0"}
    assert "tun0" not in links(space)
    assert json.loads(space.ip("-json", "route")) == []


def test_a_host_prefix_is_a_route(lab: Lab) -> None:
    space = lab.namespace()
    with open_tun(space, "198.51.100.7/32", kernel_address="192.0.2.1"):
        routes = json.loads(space.ip("-json", "route", "get", "198.51.100.7"))
        assert (routes[0]["dev"], routes[0]["prefsrc"]) == ("tun0", "192.0.2.1")


def test_offload_is_what_this_kernel_gives(lab: Lab) -> None:
    space = lab.namespace()
    with open_tun(space) as device:
        assert device.offload, device.why
        assert device.why == ""
    with open_tun(space, offload=False) as device:
        assert not device.offload


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (f"{US}/24", f"address {KERNEL} is in use on tun0: choose another"),
        (f"{KERNEL}/24", f"address {KERNEL} is in use on tun0: choose another"),
        ("10.9.0.9/25", f"address {KERNEL} is in use on tun0: choose another"),
        ("10.9.0.200/25", None),
    ],
)
def test_a_second_machine_needs_another_address(lab: Lab, address: str, text: str | None) -> None:
    space = lab.namespace()
    with open_tun(space):
        before = links(space)
        if text is None:
            open_tun(space, address, name="tun1").close()
        else:
            with pytest.raises(DeviceError) as caught:
                open_tun(space, address, name="tun1")
            assert str(caught.value) == text
        assert links(space) == before


def test_a_taken_prefix_is_refused(lab: Lab) -> None:
    space = lab.namespace()
    with (
        open_tun(space),
        pytest.raises(DeviceError, match=r"^10\.9\.0\.0/24 overlaps 10\.9\.0\.1/24 on tun0"),
    ):
        open_tun(space, "10.9.0.7/24", name="tun1", kernel_address="10.9.0.8")


@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tun0", "there is a device named tun0 already: choose another name"),
        ("lo", "there is a device named lo already: choose another name"),
    ],
)
def test_a_taken_name_is_refused(lab: Lab, name: str, text: str, offload: bool) -> None:
    space = lab.namespace()
    with open_tun(space):
        with pytest.raises(DeviceError) as caught:
            space.call(lambda: Tun(name, offload=offload))
        assert str(caught.value) == text
        assert set(links(space)) == {"lo", "tun0"}


def test_without_privileges_one_line_says_so(lab: Lab) -> None:
    """In a process of its own that has given up root."""
    script = (
        "import os, sys\n"
        "from pystack.tun import Tun, DeviceError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: Tun('tun7')\n"
        "except DeviceError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "run as root" in done.stderr.splitlines()[-1]


def push(space: Namespace, data: bytes) -> threading.Thread:
    """A kernel client that sends `data` and waits for the end."""

    def client() -> None:
        with socket.create_connection((US, 9), timeout=20) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            assert s.recv(1) == b""

    thread = threading.Thread(target=lambda: space.call(client))
    thread.start()
    return thread


@pytest.mark.parametrize("spin", [0, MS // 20])
def test_byte_streams_are_the_same_with_and_without_offload(lab: Lab, spin: int) -> None:
    data = random.Random(7).randbytes(8 << 20)
    space = lab.namespace()
    supers = {}
    for offload in (True, False):
        core = DiscardCore()
        with (
            open_tun(space, offload=offload) as device,
            Runner(core, device, spin=spin) as runner,
        ):
            thread = push(space, data)
            assert runner.run(until=lambda core=core: core.finished, timeout=30)
            runner.run(timeout=0.01)
            thread.join()
        assert core.octets == len(data)
        assert core.digest is not None
        assert core.digest.digest() == hashlib.sha256(data).digest()
        assert not core.dropped()
        supers[offload] = core.super_segments
        assert core.packets["csum left" if offload else "csum full"] > core.super_segments
        assert core.packets["csum full" if offload else "csum left"] == 0
    assert supers[True] > 20
    assert supers[False] == 0


@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("size", [0, 1, 1400, 4097, 65_000])
def test_what_we_send_is_what_the_kernel_receives(lab: Lab, offload: bool, size: int) -> None:
    space = lab.namespace()
    payload = random.Random(size).randbytes(size)
    core = Sender()
    with open_tun(space, offload=offload) as device:
        receiver = space.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with receiver:
            receiver.bind((KERNEL, 5000))
            receiver.settimeout(20)
            header = b"\x1b\x58\x13\x88" + (8 + size).to_bytes(2) + b"\xff\xff"
            core.add(consts.PROTO_UDP, header, payload)
            assert device.transmit(core, 0) == 1
            assert receiver.recvfrom(66_000) == (payload, (US, 7000))
    assert core.pool.in_use == 0
    assert not core.dropped()


@pytest.mark.parametrize("offload", [True, False], ids=["the kernel", "we"])
@pytest.mark.parametrize("last", [1, 1000])
def test_whoever_cuts_a_super_segment(lab: Lab, last: int, offload: bool) -> None:
    """Forwarded to a device without offload it comes out as `ip4.split` makes it, a hop on.

    The kernel cuts it with offload; without, we do before we write it.
    """
    space = lab.namespace()
    space.sysctl("net.ipv4.ip_forward", 1)
    core, other = Sender(), Sender()
    payload = random.Random(last).randbytes(20_000 + last)
    header = b"\x1b\x58\x13\x88" + b"\0\0\1\0" + b"\0\0\2\0" + b"\x50\x18\xff\xff" + b"\xff\xff\0\0"
    with (
        open_tun(space, offload=offload) as near,
        open_tun(space, "10.8.0.2/24", name="tun1", offload=False) as far,
    ):
        p = core.add(consts.PROTO_TCP, header, payload, dst="10.8.0.2")
        p.gso_size, p.seq, p.flags = 1000, 0x100, consts.ACK | consts.PSH
        expected = []
        for index in range(ip4.split_count(p)):
            piece = Packet()
            assert ip4.split(p, index, piece)
            assert ip4.forward(piece) == 0
            expected.append(piece.to_bytes())
            piece.release()
        assert near.transmit(core, 0) == (1 if offload else 21)
        while far.receive(other, 0, 0):
            pass
        assert other.came == expected
        assert len(expected) == 21
    assert core.pool.in_use == 0


def test_a_device_that_is_down_takes_nothing_and_says_so(lab: Lab) -> None:
    space = lab.namespace()
    core = Sender()
    with open_tun(space) as device:
        space.ip("link", "set", "tun0", "down")
        core.add(consts.PROTO_UDP, bytes(8), b"")
        assert device.transmit(core, 0) == 1
        assert device.receive(core, 0, 0) == 0
        assert core.dropped() == {Drop.NO_DEVICE: 1}
        assert device.refused == {"EIO": 1}


@pytest.mark.parametrize("offload", [False, True])
def test_a_device_that_is_taken_away_ends_the_loop(lab: Lab, offload: bool) -> None:
    space = lab.namespace()
    core = DiscardCore()
    with open_tun(space, offload=offload) as device, Runner(core, device) as runner:
        runner.call_soon(lambda: space.ip("link", "delete", "tun0"))
        with pytest.raises(DeviceGone, match=r"^tun0 has been taken away$"):
            runner.run(timeout=20)
        # what is still to be sent is dropped
        sender = Sender()
        sender.add(consts.PROTO_UDP, bytes(8), b"")
        device.transmit(sender, 0)
        assert sender.dropped() == {Drop.NO_DEVICE: 1}


def test_an_idle_device_costs_no_rounds(lab: Lab) -> None:
    space = lab.namespace()
    core = DiscardCore()
    assert core.next_deadline() == NEVER
    with open_tun(space) as device, Runner(core, device) as runner:
        runner.run(timeout=0.2)
        assert runner.rounds <= 5
