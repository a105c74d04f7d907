"""The TUN device: packets of the real kernel, read and written by this process (Linux).

With offload a packet may be a super-segment of up to 64 KiB and its checksum may be left to whoever
needs it (IFF_VNET_HDR, TUNSETOFFLOAD; kernel Documentation/networking/tuntap). This is the only
file with an ioctl. Nothing of a device outlives its descriptor: close it, or die, and the device,
its address and its routes are gone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import Any, Self

from pystack._fast.device import Device
from pystack._fast.port import Port
from pystack._fast.vnet import VNET_LEN

CLONE = "/dev/net/tun"

_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETHDRSZ = 0x400454D8
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
_IFF_EXCL = 0x8000
_TUN_F_CSUM = 1
_TUN_F_TSO4 = 2

_NAME_MAX = 15
MTU_MIN = 68
MTU_MAX = 65535
_VANISHED = frozenset({errno.EBADFD, errno.EBADF, errno.ENODEV, errno.ENXIO})

BATCH = 64
"""Packets of one `receive` at most, so that answers and timers are never far behind."""
BATCH_OCTETS = 512 * 1024
"""And octets: more would leave the first-level caches and let the sender's window run dry."""
TXQUEUELEN = 10_000
"""Packets that the kernel may queue towards us. Without offload a window of a few MiB does not fit
in its default of 500."""


class DeviceError(Exception):
    """The device cannot be had, set up or used any more. The text is one line for the user."""


class DeviceGone(DeviceError):
    """The device was taken away while it was in use."""


class Tun:
    """A TUN device of this process, non-blocking.

    `offload` says whether super-segments and checksums are left to the kernel; `why`, where they
    are not although that was asked for, who refused.

    Raises DeviceError: no /dev/net/tun, no permission, a bad name, a name that is taken.
    """

    def __init__(self, name: str = "tun0", *, offload: bool = True) -> None:
        _check_name(name)
        why = "not asked for"
        fd = -1
        if offload:
            fd, why = _open_offload(name)
        if fd < 0:  # without offloads the header would only cost
            fd = _open_plain(name)
        self._take(fd, name, why)

    @classmethod
    def adopt(cls, fd: int, name: str, *, offload: bool) -> Self:
        """A descriptor that is open already, one packet a read: inherited, or a test's socket.

        `offload` must say what it was set up with. It belongs to the new object.
        """
        self = cls.__new__(cls)
        os.set_blocking(fd, False)
        self._take(fd, name, "" if offload else "not asked for")
        return self

    def _take(self, fd: int, name: str, why: str) -> None:
        self.offload = not why
        self.why = why
        self.name = name
        self._fd = fd
        self._device = Device(fd, self.offload, BATCH_OCTETS)
        self.address: IPv4Interface | None = None
        self.kernel_address: IPv4Address | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._fd < 0 else "offload" if self.offload else "no offload"
        return f"<Tun {self.name} {self.address or 'no address'} {state}>"

    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return self._fd

    def close(self) -> None:
        """The device vanishes with all that was set on it. Again does nothing."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self._device.fd = -1
            os.close(fd)

    def receive(self, core: Port, iface: int, now: int, limit: int = BATCH) -> int:
        """Read what waits, `limit` packets at most; how many it was.

        Fewer than `limit` and not `BATCH_OCTETS`: nothing waits any more. Raises DeviceGone.
        """
        count: int = self._device.receive(core, iface, now, limit)
        if count < 0:
            raise self._gone(OSError(-count, os.strerror(-count)))
        return count

    def transmit(self, core: Port, now: int) -> int:
        """Write all that the core has to send; how many packets it was.

        A packet that the kernel does not take is dropped and counted, nothing is raised.
        """
        count: int = self._device.transmit(core, now)
        return count

    @property
    def refused(self) -> Counter[str]:
        """Failed writes by errno name."""
        failed: dict[int, int] = self._device.refused
        return Counter({errno.errorcode.get(e, "unknown"): n for e, n in failed.items()})

    def _gone(self, error: OSError) -> OSError | DeviceGone:
        if error.errno in _VANISHED:
            return DeviceGone(f"{self.name} has been taken away")
        return error

    def configure(
        self,
        address: str,
        *,
        kernel_address: str | None = None,
        mtu: int = 1500,
        txqueuelen: int = TXQUEUELEN,
        routes: Iterable[str] = (),
    ) -> None:
        """Set the device up: `address` ("10.9.0.2/24") is this machine's, not the kernel's.

        The kernel gets `kernel_address`, by default the first other address of the prefix, and the
        prefix (and `routes`, more prefixes) as routes to the device. `mtu` in octets.

        Raises DeviceError: a bad address, one that is in use on this system, a refusal.
        """
        ours, theirs = choose_addresses(address, kernel_address)
        if not MTU_MIN <= mtu <= MTU_MAX:
            raise DeviceError(f"MTU {mtu} is not from {MTU_MIN} to {MTU_MAX}")
        wanted = [_network(route) for route in routes]
        from pyroute2 import IPRoute, NetlinkError  # 0.3 s; only real devices need it

        try:
            with IPRoute() as netlink:
                index = self._index(netlink)
                _refuse_used(_addresses(netlink), ours, theirs)
                # no router solicitations to a machine that does not speak IPv6
                with contextlib.suppress(OSError):
                    path = f"/proc/sys/net/ipv6/conf/{self.name}/disable_ipv6"
                    Path(path).write_text("1", encoding="ascii")
                netlink.link("set", index=index, mtu=mtu, txqlen=txqueuelen)
                if theirs in ours.network and ours.network.prefixlen < 32:
                    netlink.addr(
                        "add", index=index, address=str(theirs), prefixlen=ours.network.prefixlen
                    )
                else:
                    wanted.insert(0, ours.network)
                    netlink.addr("add", index=index, address=str(theirs), prefixlen=32)
                netlink.link("set", index=index, state="up")
                for route in wanted:
                    netlink.route("add", dst=str(route), oif=index)
        except NetlinkError as error:
            raise DeviceError(f"cannot set up {self.name}: {error.args[-1]}") from None
        self.address = ours
        self.kernel_address = theirs

    def _index(self, netlink: Any) -> int:
        found = netlink.link_lookup(ifname=self.name)
        if not found:
            raise DeviceGone(f"{self.name} has been taken away")
        return int(found[0])


def choose_addresses(
    address: str, kernel_address: str | None = None
) -> tuple[IPv4Interface, IPv4Address]:
    """This machine's address with its prefix, and the kernel's. Raises DeviceError."""
    try:
        ours = IPv4Interface(address)
    except (AddressValueError, NetmaskValueError) as error:
        raise DeviceError(f"not an IPv4 address with a prefix: {address!r} ({error})") from None
    network = ours.network
    if network.prefixlen < 31 and ours.ip in (network.network_address, network.broadcast_address):
        raise DeviceError(f"{ours.ip} is no host's address in {network}")
    if ours.ip.is_multicast or ours.ip.is_loopback or ours.ip.is_unspecified:
        raise DeviceError(f"{ours.ip} cannot be the address of a machine")
    if kernel_address is None:
        other = next((host for host in network.hosts() if host != ours.ip), None)
        if other is None:
            raise DeviceError(f"{ours} leaves no address for the kernel's side: give one")
        return ours, other
    try:
        theirs = IPv4Address(kernel_address)
    except AddressValueError as error:
        raise DeviceError(f"not an IPv4 address: {kernel_address!r} ({error})") from None
    if theirs == ours.ip:
        raise DeviceError(f"{theirs} cannot be the address of both ends")
    return ours, theirs


def _network(text: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except ValueError as error:
        raise DeviceError(f"not an IPv4 prefix: {text!r} ({error})") from None


def _addresses(netlink: Any) -> list[tuple[str, IPv4Interface]]:
    """Interface name and address of each IPv4 address of the system."""
    names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in netlink.get_links()}
    return [
        (
            names.get(entry["index"], "?"),
            IPv4Interface((entry.get_attr("IFA_LOCAL"), entry["prefixlen"])),
        )
        for entry in netlink.get_addr(family=socket.AF_INET)
    ]


def _refuse_used(
    present: Sequence[tuple[str, IPv4Interface]], ours: IPv4Interface, theirs: IPv4Address
) -> None:
    for name, there in present:
        for mine in (ours.ip, theirs):
            if there.ip == mine:
                raise DeviceError(f"address {mine} is in use on {name}: choose another")
        # packets to our machine would go to that interface instead of this one
        if there.network.prefixlen >= ours.network.prefixlen and ours.ip in there.network:
            raise DeviceError(f"{ours.network} overlaps {there} on {name}: choose another prefix")


def _check_name(name: str) -> None:
    """The kernel's rules (net/core/dev.c), told before it answers "invalid argument"."""
    if not name or name in {".", ".."} or any(c in "/:%" or c.isspace() for c in name):
        raise DeviceError(f"not a device name: {name!r}")
    if len(name.encode()) > _NAME_MAX:
        raise DeviceError(f"device name {name!r} is longer than {_NAME_MAX} octets")


def _open_clone() -> int:
    if sys.platform != "linux":
        raise DeviceError(f"TUN devices need Linux, this is {sys.platform}")
    try:
        return os.open(CLONE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            text = f"no permission for {CLONE}: run as root"
        else:
            text = f"no TUN devices here: {CLONE}: {error.strerror}"
        raise DeviceError(text) from None


def _attach(fd: int, name: str, flags: int) -> None:
    flags |= _IFF_TUN | _IFF_NO_PI | _IFF_EXCL
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))


def _attach_error(name: str, error: OSError) -> DeviceError:
    if error.errno == errno.EPERM:
        return DeviceError(f"no permission to make {name}: run as root (CAP_NET_ADMIN)")
    if error.errno in (errno.EBUSY, errno.EEXIST):
        return DeviceError(f"there is a device named {name} already: choose another name")
    if error.errno == errno.EINVAL:
        return DeviceError(f"{name} is no name for a TUN device, or has another kind of device")
    return DeviceError(f"cannot make {name}: {error.strerror}")


def _open_plain(name: str) -> int:
    fd = _open_clone()
    try:
        _attach(fd, name, 0)
    except OSError as error:
        os.close(fd)
        raise _attach_error(name, error) from None
    return fd


def _open_offload(name: str) -> tuple[int, str]:
    """A descriptor, or -1 and why the kernel refuses to leave work to us."""
    fd = _open_clone()
    try:
        _attach(fd, name, _IFF_VNET_HDR)
        fcntl.ioctl(fd, _TUNSETVNETHDRSZ, struct.pack("i", VNET_LEN))
        fcntl.ioctl(fd, _TUNSETOFFLOAD, _TUN_F_CSUM | _TUN_F_TSO4)
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EPERM, errno.EBUSY, errno.EEXIST):
            raise _attach_error(name, error) from None
        return -1, f"refused by the kernel ({error.strerror})"
    return fd, ""
