"""The player with the kernel in place of the machine."""

from __future__ import annotations

import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

from pystack.packetdrill.counters import Nstat
from pystack.packetdrill.play import IDLE_PATIENCE, Player
from pystack.packetdrill.script import (
    ACK,
    RST,
    Code,
    Event,
    IcmpPacket,
    Script,
    Syscall,
    TcpPacket,
    UdpPacket,
)
from pystack.packetdrill.segments import PROTO_TCP, ip_packet, tcp_segment
from pystack.packetdrill.settings import Given
from pystack.packetdrill.shell import LINUX_BASE, Shell
from pystack.packetdrill.snippets import Snippet
from pystack.packetdrill.symbols import Symbols
from pystack.packetdrill.under_test import Sut, UnderTest
from pystack.packetdrill.verdict import Failure, Skip
from pystack.views.tools import Outcome
from tests.kernel.calls import KernelCalls
from tests.kernel.files import KernelFile
from tests.kernel.world import World, urgent

ROUNDING = 8_000_000
"""What a real clock is granted on top: a tick of the kernel's timers (4 ms at 250 Hz), begun and ended."""
WHEEL = 0.125
"""And how late a timer may be: the wheel's slots are an eighth of the time asked for."""

_INFO_BYTES = ("state ca_state retransmits probes backoff options wscales limited").split()
_INFO = (
    "I:rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent last_data_recv"
    " last_ack_recv pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space"
    " total_retrans Q:pacing_rate max_pacing_rate bytes_acked bytes_received I:segs_out segs_in notsent_bytes"
    " min_rtt data_segs_in data_segs_out Q:delivery_rate busy_time rwnd_limited sndbuf_limited I:delivered"
    " delivered_ce Q:bytes_sent bytes_retrans I:dsack_dups reord_seen rcv_ooopack snd_wnd rcv_wnd rehash"
    " H:total_rto total_rto_recoveries I:total_rto_time"
)
"""struct tcp_info of include/uapi/linux/tcp.h, behind its octets."""


def tcp_info(fd: int) -> dict[str, int]:
    """All of TCP_INFO by name."""
    with socket.socket(fileno=socket.dup(fd)) as s:
        octets = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
    found = {f"tcpi_{name}": octets[i] for i, name in enumerate(_INFO_BYTES)}
    scales = found.pop("tcpi_wscales")
    found |= {"tcpi_snd_wscale": scales & 15, "tcpi_rcv_wscale": scales >> 4}
    limited = found.pop("tcpi_limited")
    found |= {
        "tcpi_delivery_rate_app_limited": limited & 1,
        "tcpi_fastopen_client_fail": limited >> 1 & 3,
    }
    at, letter = 8, "I"
    for word in _INFO.split():
        if ":" in word:
            letter, word = word.split(":")
        size = struct.calcsize(letter)
        if at + size > len(octets):
            break
        (found[f"tcpi_{word}"],) = struct.unpack_from(letter, octets, at)
        at += size
    return found


class KernelNstat(Nstat):
    """The counters of the namespace."""

    def now(self) -> dict[str, int]:
        found = {}
        for name in ("snmp", "netstat"):
            lines = [line.split() for line in Path(f"/proc/net/{name}").read_text().splitlines()]
            for (title, *names), (_, *values) in zip(lines[::2], lines[1::2], strict=True):
                found |= {title[:-1] + n: int(v) for n, v in zip(names, values, strict=True)}
        return found


class KernelShell(Shell):
    """Commands that set knobs set them in the namespace, those that look look there."""

    def __init__(self, world: World) -> None:
        super().__init__(world.host)
        self.sysctls = world.sysctls
        self.counters = KernelNstat(world.host)

    def _tool(self, name: str, args: list[str]) -> Outcome:
        done = subprocess.run([name, *args], capture_output=True, text=True, timeout=5)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def defaults(self) -> None:
        for name, value in LINUX_BASE.items():
            self._set(name, value)

    def _set(self, name: str, value: str) -> None:
        name = name.strip().replace("/", ".")
        try:
            self.sysctls.write(name, value.strip().strip("'\""))
        except OSError as e:
            raise Skip(f"the sysctl {name}={value}: {e}") from e

    def _sysctl(self, args: list[str]) -> list[str]:
        said = []
        for arg in args:
            name, equals, value = arg.partition("=")
            if arg.startswith("-"):
                continue
            if equals:
                self._set(name, value)
            else:
                said.append(self.sysctls.read(name))
        return said

    def _sockets(self) -> list[str]:
        raise Skip("sockstat")

    def _drop_timewait(self) -> None:
        raise Skip("tcpdrop")


class KernelPlayer(Player):
    """One run of one script on the kernel. The process is in a namespace of its own already."""

    calls: KernelCalls

    def __init__(self, script: Script, options: Given) -> None:
        super().__init__(script, "linux-6", options, None, 1)

    def _prepare(self) -> None:
        s = self.settings
        world = World(self.profile, s)
        self.bench = self.world = world  # type: ignore[assignment]
        self.names = Symbols("linux")
        self.under = UnderTest(s, "linux")
        self.calls = KernelCalls(self.names, self.under, world.wake)
        self.shell = KernelShell(world)
        for refused in world.refused:
            self.note("warning", refused, at=0)
        urgent()
        self.begin = world.now

    def _start_calls(self) -> None:
        super()._start_calls()
        self.calls.started += time.time_ns() - time.monotonic_ns()
        self.calls.tolerance += ROUNDING

    def _finish(self) -> None:
        self.calls.close_all()
        for sut in self.under.all:
            self._reset(sut)
        self.world.close()

    def _reset(self, sut: Sut) -> None:
        """A connection that outlives its descriptors would keep the namespace alive."""
        if sut.udp or not sut.local[1] or not sut.remote[1]:
            return
        for live in reversed(self.sent.get((sut.local, sut.remote), [])):
            body = tcp_segment(
                sut.remote[0], sut.local[0], (sut.remote[1], sut.local[1]),
                live[1], live[0], RST | ACK, 0, 0, b"", b"",
            )  # fmt: skip
            self.world.inject(ip_packet(body, PROTO_TCP, sut.remote[0], sut.local[0]), 0)
            return

    @property
    def sent(self) -> dict[Any, list[tuple[int, int]]]:
        """(next sequence number, acknowledgment) of what the kernel sent, by connection."""
        found: dict[Any, list[tuple[int, int]]] = {}
        for _, kind, what, _ in self.moments:
            if kind == ">" and not isinstance(what, str):
                live = what[0]
                if live.proto == PROTO_TCP and live.flags & ACK:
                    key = ((live.src, live.sport), (live.dst, live.dport))
                    end = live.seq + len(live.payload) + bool(live.flags & 3)
                    found.setdefault(key, []).append((end & 0xFFFFFFFF, live.ack))
        return found

    def _tolerance(self, interval: int) -> int:
        return max(super()._tolerance(interval), int(interval * WHEEL)) + ROUNDING

    def _act(self, event: Event, what: object, at: int, end: int | None) -> None:
        if isinstance(what, Code):
            snapshot = self._snapshot()
            self.snippets.append(Snippet(what.text, what.place.line, snapshot))
            self.note("code", "%{ … }%")
        else:
            super()._act(event, what, at, end)

    def _snapshot(self) -> dict[str, int]:
        sut = self.under.sut
        if sut is None or sut.udp:
            return {}
        file: Any = sut.file
        if not isinstance(file, KernelFile) or file.closed:
            return {}
        return tcp_info(file.fd)

    def _call(self, event: Event, call: Syscall, at: int, end: int | None) -> None:
        if self.blocked is not None:
            self._await_blocked(self.now + IDLE_PATIENCE)
            self.fault = event
        running = self.calls.start(call, end is not None)
        self.bench.settle()
        if end is None:
            self._returned(running)
            return
        self.blocked = (event, at, end, running)
        if not running.done:
            self.note("call", f"{call.name}(…) ...")
        self._ask_again()

    def _inject(self, p: TcpPacket | UdpPacket | IcmpPacket) -> None:
        try:
            super()._inject(p)
        except OSError as e:
            raise Failure(f"error handling packet: the device does not take it: {e}") from e
