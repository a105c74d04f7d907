"""The device's code without a device: a datagram socket keeps packets apart as a TUN device does."""

import errno
import fcntl
import os
import socket
import struct
from collections import deque
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from port_kit import FakePort

from pystack import tun
from pystack._fast.consts import Drop
from pystack._fast.landing import Landing
from pystack._fast.mbuf import Pool
from pystack._fast.packet import Packet, PacketQueue
from pystack._fast.vnet import VNET_LEN
from pystack.tun import DeviceError, DeviceGone, Tun, choose_addresses


class Core(FakePort):
    """Records what lands, gives what is in `out`."""

    def __init__(self) -> None:
        super().__init__()
        self.landed: list[tuple[bytes, int, bool]] = []
        self.out: deque[Packet] = deque()
        self.home = PacketQueue()

    def ingress_landed(
        self, iface: int, skip: int, n: int, gso_size: int, csum_ok: bool, now: int
    ) -> int:
        assert (iface, now) == (3, 77)
        self.landed.append((bytes(self.place[skip : skip + n]), gso_size, csum_ok))
        return 0

    def egress(self, now: int) -> Any:
        assert now == 77
        return self.out.popleft() if self.out else None

    def send(self, octets: bytes) -> Packet:
        packet = self.home.take_free()
        for at, octet in enumerate(octets):
            packet.head[at] = octet
        packet.head_len = len(octets)
        self.out.append(packet)
        return packet


def pair(*, offload: bool) -> tuple[Tun, socket.socket]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    far.setblocking(False)
    return Tun.adopt(near.detach(), "tun9", offload=offload), far


def vnet(
    flags: int = 0, kind: int = 0, head: int = 0, gso: int = 0, at: int = 0, off: int = 0
) -> bytes:
    return struct.pack("=BBHHHH", flags, kind, head, gso, at, off)


@pytest.mark.parametrize(
    ("header", "gso_size", "csum_ok"),
    [
        (vnet(), 0, False),
        (vnet(flags=1, at=20, off=16), 0, True),
        (vnet(flags=2), 0, True),
        (vnet(flags=1, kind=1, head=52, gso=1448, at=20, off=16), 1448, True),
        (vnet(flags=1, kind=0x81, head=52, gso=0x1234, at=20, off=16), 0x1234, True),
        (vnet(flags=1, gso=1448, at=20, off=16), 0, True),
    ],
)
def test_what_the_header_says_reaches_the_core(header: bytes, gso_size: int, csum_ok: bool) -> None:
    core = Core()
    near, far = pair(offload=True)
    with near, far:
        far.send(header + b"packet")
        assert near.receive(core, 3, 77) == 1
    assert core.landed == [(b"packet", gso_size, csum_ok)]


def test_without_offload_there_is_no_header() -> None:
    core = Core()
    near, far = pair(offload=False)
    with near, far:
        far.send(b"packet")
        far.send(b"\1" * 1500)
        assert near.receive(core, 3, 77) == 2
        assert near.receive(core, 3, 77) == 0
    assert core.landed == [(b"packet", 0, False), (b"\1" * 1500, 0, False)]


@pytest.mark.parametrize("offload", [False, True])
def test_a_batch_ends_at_its_limit(offload: bool) -> None:
    core = Core()
    near, far = pair(offload=offload)
    with near, far:
        for _ in range(5):
            far.send(vnet() + b"x")
        assert [near.receive(core, 3, 77, 3) for _ in range(3)] == [3, 2, 0]


def test_a_batch_ends_when_its_octets_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tun, "BATCH_OCTETS", 3000)
    core = Core()
    near, far = pair(offload=True)
    with near, far:
        for _ in range(4):
            far.send(vnet() + bytes(1400))
        assert near.receive(core, 3, 77) == 3
        assert near.receive(core, 3, 77) == 1


class Starved(FakePort):
    """Its pool has no room for a packet to land in."""

    def __init__(self) -> None:
        super().__init__()
        pool = Pool(0, 0, 0, 0, 0, 1 << 20)
        while pool.land():
            pass
        self.landing = Landing(pool)

    def make_room(self) -> int:
        self.landing.place()
        self.room = self.landing.room
        return 0

    def ingress_landed(
        self, iface: int, skip: int, n: int, gso_size: int, csum_ok: bool, now: int
    ) -> int:
        reason: int = self.landing.parse(Packet(), skip, n)
        self.drops[reason] += 1
        return reason


@pytest.mark.parametrize("offload", [False, True])
def test_without_memory_packets_are_read_and_dropped(offload: bool) -> None:
    """Left unread they would wake the loop for ever."""
    core = Starved()
    near, far = pair(offload=offload)
    with near, far:
        for _ in range(3):
            far.send(vnet() + bytes(1000))
        assert [near.receive(core, 3, 77) for _ in range(2)] == [3, 0]
    assert core.dropped() == {Drop.MBUF: 3}


def test_a_packet_shorter_than_the_header_does_not_raise() -> None:
    core = Core()
    near, far = pair(offload=True)
    with near, far:
        far.send(vnet())
        assert near.receive(core, 3, 77) == 1
    assert core.landed == [(b"", 0, False)]


@pytest.mark.parametrize(("offload", "before"), [(False, b""), (True, bytes(VNET_LEN))])
def test_written_packets_go_home(offload: bool, before: bytes) -> None:
    core = Core()
    near, far = pair(offload=offload)
    with near, far:
        core.send(b"first packet")
        core.send(b"second")
        assert near.transmit(core, 77) == 2
        assert far.recv(100) == before + b"first packet"
        assert far.recv(100) == before + b"second"
        assert near.transmit(core, 77) == 0
    assert core.home.count == 2
    assert not core.dropped()


def test_a_full_queue_drops_and_counts() -> None:
    core = Core()
    near, far = pair(offload=False)
    with near, far:
        sent = 0
        while not core.dropped():
            core.send(b"x" * 100)
            assert near.transmit(core, 77) == 1
            sent += 1
    assert core.dropped() == {Drop.TX_QUEUE: 1}
    assert near.refused == {"EAGAIN": 1}
    assert core.home.count == 1, "the packet went home each time"
    assert sent > 1


def test_a_device_that_is_down_drops_and_counts() -> None:
    core = Core()
    near, far = pair(offload=False)
    far.close()
    with near:
        packet = core.send(b"x")
        assert near.transmit(core, 77) == 1
    assert core.dropped() == {Drop.NO_DEVICE: 1}
    assert packet.drop == Drop.NO_DEVICE
    assert near.refused == {"ECONNREFUSED": 1}


def test_a_closed_device_reads_and_writes_nothing() -> None:
    """Its number may be another file's by now."""
    core = Core()
    near, far = pair(offload=False)
    near.close()
    with far:
        core.send(b"x")
        assert near.transmit(core, 77) == 1
        assert near.refused == {"EBADF": 1}
        with pytest.raises(DeviceGone):
            near.receive(core, 3, 77)


def test_a_vanished_device_is_said_in_one_line() -> None:
    near, far = pair(offload=False)
    far.close()
    os.close(near.fileno())
    with pytest.raises(DeviceGone, match=r"^tun9 has been taken away$"):
        near.receive(Core(), 3, 77)


def test_close_twice_and_repr() -> None:
    near, far = pair(offload=True)
    assert repr(near) == "<Tun tun9 no address offload>"
    near.close()
    near.close()
    far.close()
    assert near.fileno() == -1
    assert repr(near) == "<Tun tun9 no address closed>"


@pytest.mark.parametrize(
    ("given", "kernel", "expected"),
    [
        ("10.9.0.2/24", None, "10.9.0.1"),
        ("10.9.0.1/24", None, "10.9.0.2"),
        ("10.9.0.2/24", "10.9.0.77", "10.9.0.77"),
        ("10.9.0.0/31", None, "10.9.0.1"),
        ("10.9.0.5/32", "192.0.2.1", "192.0.2.1"),
    ],
)
def test_the_kernels_address(given: str, kernel: str | None, expected: str) -> None:
    ours, theirs = choose_addresses(given, kernel)
    assert ours == IPv4Interface(given)
    assert str(theirs) == expected


@pytest.mark.parametrize(
    ("given", "kernel", "text"),
    [
        ("10.9.0.2/33", None, "not an IPv4 address with a prefix: '10.9.0.2/33'"),
        ("10.9.0/24", None, "not an IPv4 address with a prefix"),
        ("", None, "not an IPv4 address with a prefix"),
        ("fd00::1/64", None, "not an IPv4 address with a prefix"),
        ("10.9.0.0/24", None, r"10\.9\.0\.0 is no host's address"),
        ("10.9.0.255/24", None, r"10\.9\.0\.255 is no host's address"),
        ("127.0.0.1/8", None, "cannot be the address of a machine"),
        ("224.0.0.5/24", None, "cannot be the address of a machine"),
        ("10.9.0.2/32", None, "leaves no address for the kernel's side"),
        ("10.9.0.2/24", "10.9.0.2", "cannot be the address of both ends"),
        ("10.9.0.2/24", "nonsense", "not an IPv4 address: 'nonsense'"),
    ],
)
def test_bad_addresses(given: str, kernel: str | None, text: str) -> None:
    with pytest.raises(DeviceError, match=text) as caught:
        choose_addresses(given, kernel)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a:b", "a b", "tun%d", "x" * 16])
def test_bad_names(name: str) -> None:
    with pytest.raises(DeviceError, match="device name"):
        Tun(name)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EACCES, "no permission for /dev/net/tun: run as root"),
        (errno.ENOENT, "no TUN devices here: /dev/net/tun: No such file or directory"),
        (errno.ENODEV, "no TUN devices here: /dev/net/tun: No such device"),
    ],
)
def test_no_clone_device(monkeypatch: pytest.MonkeyPatch, number: int, text: str) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DeviceError) as caught:
        Tun()
    assert str(caught.value) == text


def test_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tun.sys, "platform", "darwin")
    with pytest.raises(DeviceError, match="need Linux, this is darwin"):
        Tun()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EPERM, r"no permission to make tun0: run as root \(CAP_NET_ADMIN\)"),
        (errno.EBUSY, "there is a device named tun0 already"),
        (errno.EINVAL, "tun0 is no name for a TUN device"),
        (errno.ENOSPC, "cannot make tun0: No space left on device"),
    ],
)
@pytest.mark.parametrize("offload", [False, True])
def test_refused_devices(
    monkeypatch: pytest.MonkeyPatch, offload: bool, number: int, text: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    before = set(Path("/proc/self/fd").iterdir())
    monkeypatch.setattr(tun, "CLONE", os.devnull)
    monkeypatch.setattr(fcntl, "ioctl", refuse)
    with pytest.raises(DeviceError, match=text):
        Tun(offload=offload)
    assert set(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.parametrize("refused", [0x400454CA, 0x400454D8, 0x400454D0])
def test_falls_back_where_the_kernel_refuses_offload(
    monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    """Whichever of the three steps it does not know, a plain device comes out."""
    flags: list[int] = []

    def ioctl(fd: int, number: int, argument: Any) -> int:
        if number == 0x400454CA:
            flags.append(struct.unpack_from("H", argument, 16)[0])
        if number == refused and flags[-1] & 0x4000:
            raise OSError(errno.EINVAL, "Invalid argument")
        return 0

    monkeypatch.setattr(tun, "CLONE", os.devnull)
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    with Tun() as device:
        assert not device.offload
        assert device.why == "refused by the kernel (Invalid argument)"
    assert flags == [0xD001, 0x9001]


def test_no_offload_by_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tun, "CLONE", os.devnull)
    monkeypatch.setattr(fcntl, "ioctl", lambda *_: 0)
    with Tun(offload=False) as device:
        assert not device.offload
        assert device.why == "not asked for"


@pytest.mark.parametrize(
    ("present", "text"),
    [
        ("10.9.0.2/8", r"address 10\.9\.0\.2 is in use on eth0: choose another"),
        ("10.9.0.1/8", r"address 10\.9\.0\.1 is in use on eth0: choose another"),
        ("10.9.0.9/24", r"10\.9\.0\.0/24 overlaps 10\.9\.0\.9/24 on eth0"),
        ("10.9.0.3/30", r"10\.9\.0\.0/24 overlaps 10\.9\.0\.3/30 on eth0"),
    ],
)
def test_addresses_in_use_are_refused(present: str, text: str) -> None:
    ours, theirs = choose_addresses("10.9.0.2/24")
    with pytest.raises(DeviceError, match=text):
        tun._refuse_used([("eth0", IPv4Interface(present))], ours, theirs)


@pytest.mark.parametrize("present", ["10.1.0.1/8", "192.0.2.1/24", "10.9.0.9/29"])
def test_other_addresses_are_not(present: str) -> None:
    ours, theirs = choose_addresses("10.9.0.2/24")
    tun._refuse_used([("eth0", IPv4Interface(present))], ours, theirs)


@pytest.mark.parametrize("mtu", [67, 65_536])
def test_bad_mtu(mtu: int) -> None:
    near, far = pair(offload=False)
    with near, far, pytest.raises(DeviceError, match=f"MTU {mtu} is not from 68 to 65535"):
        near.configure("10.9.0.2/24", mtu=mtu)


def test_bad_route() -> None:
    near, far = pair(offload=False)
    with near, far, pytest.raises(DeviceError, match=r"not an IPv4 prefix: '192\.0\.2\.1/24'"):
        near.configure("10.9.0.2/24", routes=["192.0.2.1/24"])
