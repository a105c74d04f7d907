"""Two machines that forward between two devices and track what they forward: this computer's kernel, and ours.

Both are asked in the same way: `send` a packet on one side and see what comes out on either, `entries` are the lines
of /proc/net/nf_conntrack, `counters` what /proc/net/stat/nf_conntrack counts. Clients are 10.9.1.x (side 0, eth0),
servers 10.9.2.x (side 1, eth1); the machine itself is .1 on both.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pystack
from pystack.sysctl.errors import NoEffect

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import netlab

SIDES = ("eth0", "eth1")
ADDRESSES = ("10.9.1.1/24", "10.9.2.1/24")
COUNTERS = ("found", "invalid", "insert_failed", "drop", "early_drop", "error", "chaintoolong")
"""Those of `conntrack -S` that both have."""
Heard = list[tuple[int, bytes]]
"""Side and octets of each packet that came out."""

NETLINK_NETFILTER = 12
CTNETLINK_DELETE = 1 << 8 | 2
"""NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE; with no attributes it means all."""
REQUEST_ACK = 0x0005
LOST = 0.004
"""Seconds after which a packet of the kernel that has not come is taken as dropped."""


class Router(Protocol):
    """What can be asked of either."""

    def send(self, side: int, packet: bytes) -> Heard:
        """The packet arrives on a side; what leaves by it."""

    changed: set[str]
    """Knobs that were set since they were last reset."""

    def wait(self, seconds: float) -> None:
        """Time passes."""

    def set(self, name: str, value: int) -> None:
        """A knob gets a value."""

    def entries(self) -> list[str]:
        """Lines of /proc/net/nf_conntrack, runs of blanks made one, in no order."""

    def counters(self) -> dict[str, int]:
        """Counts since the machine was made, by `COUNTERS`."""

    def flush(self) -> None:
        """All flows go."""


class KernelRouter:
    """The kernel, in a namespace of a laboratory. Raises LabError where it cannot be had."""

    def __init__(self, lab: netlab.Lab, rules: str, knobs: Mapping[str, int]) -> None:
        self.space = lab.namespace()
        self.changed: set[str] = set()
        self._tuns = []
        for device, address in zip(SIDES, ADDRESSES, strict=True):
            self._tuns.append(self.space.open_tun(device, vnet_hdr=False))
            self.space.address(device, address)
            self.space.up(device, txqueuelen=10_000)
            self.space.sysctl(f"net.ipv4.conf.{device}.send_redirects", 0)
        self.space.route("10.10.0.0/16", via="10.9.1.2")
        self.space.sysctl("net.ipv4.conf.all.send_redirects", 0)
        self.space.sysctl("net.ipv4.ip_forward", 1)
        self.space.sysctl("net.ipv4.icmp_ratelimit", 0)
        self.space.sysctl("net.ipv4.icmp_msgs_per_sec", 1000000)
        self.space.sysctl("net.ipv4.icmp_msgs_burst", 1000000)
        for name, value in knobs.items():
            self.space.sysctl(name, value)
        self._restore(rules)
        self._poll = select.poll()
        for tun in self._tuns:
            self._poll.register(tun, select.POLLIN)
        proc = "/proc/thread-self/net"
        self._table = self.space.call(lambda: os.open(f"{proc}/nf_conntrack", os.O_RDONLY))
        self._stat = self.space.call(lambda: os.open(f"{proc}/stat/nf_conntrack", os.O_RDONLY))
        self._netlink = self.space.call(
            lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        )
        self._hear()

    def _restore(self, rules: str) -> None:
        child = self.space.popen(["sh", "-c", 'printf %s "$0" | iptables-restore', rules])
        self.space.finish(child)

    def _hear(self) -> Heard:
        heard = []
        for side, tun in enumerate(self._tuns):
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard.append((side, os.read(tun, 65536)))
        return heard

    def send(self, side: int, packet: bytes) -> Heard:
        """As `Router` has it. The kernel forwards while it is written to; now and then a little later."""
        os.write(self._tuns[side], packet)
        if not (heard := self._hear()):
            self._poll.poll(LOST * 1000)
            heard = self._hear()
        return heard

    def wait(self, seconds: float) -> None:
        """As `Router` has it."""
        time.sleep(seconds)

    def set(self, name: str, value: int) -> None:
        """As `Router` has it."""
        self.space.sysctl(name, value)
        self.changed.add(name)

    def _read(self, descriptor: int) -> list[str]:
        os.lseek(descriptor, 0, os.SEEK_SET)
        text = b""
        while piece := os.read(descriptor, 65536):
            text += piece
        return text.decode().splitlines()

    def entries(self) -> list[str]:
        """As `Router` has it."""
        return [" ".join(line.split()) for line in self._read(self._table)]

    def counters(self) -> dict[str, int]:
        """As `Router` has it: of all processors."""
        head, *lines = self._read(self._stat)
        names = head.replace("icmp_error", "error").replace("chainlength", "chaintoolong").split()
        total = dict.fromkeys(COUNTERS, 0)
        for line in lines:
            for name, value in zip(names, line.split(), strict=True):
                if name in total:
                    total[name] += int(value, 16)
        return total

    def flush(self) -> None:
        """As `Router` has it."""
        family = struct.pack("=BBH", socket.AF_INET, 0, 0)
        self._netlink.send(struct.pack("=IHHII", 20, CTNETLINK_DELETE, REQUEST_ACK, 0, 0) + family)
        answer = self._netlink.recv(4096)
        code = struct.unpack_from("=i", answer, 16)[0]
        if code:
            raise OSError(-code, f"ctnetlink: {os.strerror(-code)}")

    def close(self) -> None:
        """The devices go; the namespace goes with its laboratory."""
        for descriptor in (*self._tuns, self._table, self._stat):
            os.close(descriptor)
        self._netlink.close()


class OurRouter:
    """Ours, of the profile that the kernel is."""

    def __init__(self, rules: str, knobs: Mapping[str, int]) -> None:
        self.net = pystack.Network(seed=7)
        self.changed: set[str] = set()
        self.host = self.net.host("gw", list(ADDRESSES), profile="linux-6", forwarding=True)
        self.taps = [self.net.tap("10.9.1.2/24"), self.net.tap("10.9.2.2/24")]
        for tap in self.taps:
            self.net.link(tap, self.host)
        self.host.route("10.10.0.0/16", via="10.9.1.2")
        self.host.core.cfg.ip_redirect = 0  # send_redirects, which has no knob
        self.host.sysctl["net.ipv4.icmp_ratelimit"] = 0
        self.host.sysctl["net.ipv4.icmp_msgs_per_sec"] = 1000000
        self.host.sysctl["net.ipv4.icmp_msgs_burst"] = 1000000
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoEffect)
            for name, value in knobs.items():
                self.host.sysctl[name] = value
        self.host.iptables_restore(rules)

    def send(self, side: int, packet: bytes) -> Heard:
        """As `Router` has it."""
        self.taps[side].send(packet)
        self.net.run(for_="200us")
        heard = [(side, data) for side, tap in enumerate(self.taps) for _, data in tap.received]
        for tap in self.taps:
            tap.received.clear()
        return heard

    def wait(self, seconds: float) -> None:
        """As `Router` has it."""
        self.net.run(for_=round(seconds * 1e9))

    def set(self, name: str, value: int) -> None:
        """As `Router` has it."""
        self.host.sysctl[name] = value
        self.changed.add(name)

    def entries(self) -> list[str]:
        """As `Router` has it."""
        text = self.host.proc("/proc/net/nf_conntrack")
        return [" ".join(line.split()) for line in text.splitlines()]

    def counters(self) -> dict[str, int]:
        """As `Router` has it."""
        counted = self.host.conntrack.counters()
        return {name: counted[name] for name in COUNTERS}

    def flush(self) -> None:
        """As `Router` has it."""
        self.host.conntrack("-F")
