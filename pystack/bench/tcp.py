"""TCP on the fake network: two machines, two wires and the application on one core, in virtual time.

Everything goes through the public face: `Network`, sockets, `on_ready`. The references do the same work with
the kernel's sockets over its loopback, in this same thread, so that both are what one core can do.
"""

from __future__ import annotations

import errno
import random
import socket as std
from collections.abc import Callable
from typing import Any

from pystack._fast.consts import MS
from pystack.bench import memory
from pystack.bench.report import Report, Stopwatch, Target, interleaved, no_collector
from pystack.network import Network
from pystack.sockopts import SO_RCVLOWAT

SERVER, CLIENT, PORT = "192.0.2.1", "192.0.2.2", 80
CHUNK = 256 * 1024
LOW_WATER = 128 * 1024
REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n".ljust(40)
ANSWER = bytes(100)
BUFFER = 1 << 20
"""Socket buffers of the bulk figures: more than the link holds, less than the second-level cache."""
BUFFERS: dict[str, object] = {
    "net.ipv4.tcp_rmem": f"4096 {BUFFER} {BUFFER}",
    "net.ipv4.tcp_wmem": f"4096 {BUFFER} {BUFFER}",
}
_AGAIN = errno.EAGAIN


def network(sysctl: dict[str, object] | None = None, **settings: Any) -> tuple[Network, Any, Any]:
    """A network without records, its client and its server, joined by one link."""
    net = Network(seed=1, record=False, trace=False)
    server = net.host("server", f"{SERVER}/24", profile="linux-6", sysctl=sysctl)
    client = net.host("client", f"{CLIENT}/24", profile="linux-6", sysctl=sysctl)
    net.link(client, server, **settings)
    return net, client, server


def pair(client: Any, server: Any, port: int = PORT) -> tuple[Any, Any]:
    """A connection: the client's end and the server's, non-blocking."""
    with server.socket() as listener:
        listener.bind(("", port))
        listener.listen(1)
        ours = client.socket()
        ours.connect((SERVER, port))
        theirs, _ = listener.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


class Bulk:
    """One connection on which the client writes `total` octets and closes, driven by readiness.

    The low-water marks are those of an application that wants large pieces: it is called once for
    `LOW_WATER` octets and not once for each packet.
    """

    def __init__(self, total: int, **settings: Any) -> None:
        self.net, client, server = network(BUFFERS, **settings)
        self.sender, self.receiver = pair(client, server)
        self.receiver.setsockopt(std.SOL_SOCKET, SO_RCVLOWAT, LOW_WATER)
        self.client = client
        self.total = total
        self.sent = self.got = self.calls = 0
        self.ended = False
        self._data = memoryview(bytes(CHUNK))
        self._room = memoryview(bytearray(4 * CHUNK))

    def _write(self, _events: int) -> None:
        send, data = self.sender.send, self._data
        try:
            while self.sent < self.total:
                self.sent += send(data[: min(CHUNK, self.total - self.sent)])
        except BlockingIOError:
            return
        self.sender.on_ready = None
        self.sender.close()

    def _read(self, _events: int) -> None:
        self.calls += 1
        receive, room = self.receiver.recv_into, self._room
        try:
            while n := receive(room):
                self.got += n
        except BlockingIOError:
            return
        self.ended = True

    def gbit(self) -> float:
        """Run it; what arrived for each second of CPU time."""
        self.receiver.on_ready = self._read
        watch = Stopwatch()
        self.sender.on_ready = self._write
        while not self.ended:  # not `until`, which is asked after every event
            self.net.run(for_="100ms")
        ns = watch.ns()
        assert self.got == self.total, (self.got, self.total)
        return self.got * 8 / ns


def kernel_bulk(total: int, mss: int = 0) -> float:
    """The same over the kernel's loopback: Gbit for each second of CPU time of this thread."""
    with std.create_server(("127.0.0.1", 0)) as listener:
        sender = std.socket()
        if mss:
            sender.setsockopt(std.IPPROTO_TCP, std.TCP_MAXSEG, mss)
        sender.connect(listener.getsockname())
        receiver, _ = listener.accept()
    data, room = memoryview(bytes(CHUNK)), memoryview(bytearray(4 * CHUNK))
    sent = got = 0
    with sender, receiver:
        sender.setblocking(False)
        receiver.setblocking(False)
        watch = Stopwatch()
        while got < total:
            try:
                while sent < total:
                    sent += sender.send(data[: min(CHUNK, total - sent)])
            except BlockingIOError:
                pass
            try:
                while got < total:
                    got += receiver.recv_into(room)
            except BlockingIOError:
                pass
        return total * 8 / watch.ns()


def memcpy(total: int) -> float:
    """Gbit that `bytearray` copies in a second, 256 KiB at a time."""
    source, target = memoryview(bytes(CHUNK)), memoryview(bytearray(CHUNK))
    rounds = max(1, total // CHUNK)
    watch = Stopwatch()
    for _ in range(rounds):
        target[:] = source
    return rounds * CHUNK * 8 / watch.ns()


def _converse(listener: Any, make: Callable[[], Any], address: Any, n: int) -> float:
    """`n` times connect, request, answer, close, the client first; how many a second of CPU time."""
    watch = Stopwatch()
    for _ in range(n):
        ours = make()
        ours.connect(address)
        theirs, _ = listener.accept()
        ours.send(REQUEST)
        assert len(theirs.recv(1000)) == len(REQUEST)
        theirs.send(ANSWER)
        assert len(ours.recv(1000)) == len(ANSWER)
        ours.close()
        assert theirs.recv(1000) == b""
        theirs.close()
    return n * 1e9 / watch.ns()


def conversations(n: int) -> float:
    """Between two machines, blocking sockets."""
    _net, client, server = network(delay="1ms")
    with server.socket() as listener:
        listener.bind(("", PORT))
        listener.listen(128)
        return _converse(listener, client.socket, (SERVER, PORT), n)


def kernel_conversations(n: int) -> float:
    """Over the kernel's loopback."""
    with std.create_server(("127.0.0.1", 0), backlog=128) as listener:
        return _converse(listener, std.socket, listener.getsockname(), n)


class Crowd:
    """Many idle connections between two machines, and what a packet costs among them."""

    PORTS = 8
    """Servers' ports: one pair of addresses has fewer than 28,232 connections to each."""

    def __init__(self) -> None:
        # no delay: the network is idle between the steps
        self.net, self.client, self.server = network(delay="1ms")
        self.ours: list[Any] = []
        self.theirs: list[Any] = []
        self.listeners = []
        for port in range(PORT, PORT + self.PORTS):
            listener = self.server.socket()
            listener.bind(("", port))
            listener.listen(4096)
            listener.setblocking(False)
            self.listeners.append(listener)
        self._order = random.Random(1)

    def grow(self, n: int) -> None:
        """Until there are `n` connections."""
        while len(self.ours) < n:
            batch = min(512, n - len(self.ours))
            listener = self.listeners[(len(self.ours) // 512) % self.PORTS]
            address = (SERVER, listener.getsockname()[1])
            for _ in range(batch):
                sock = self.client.socket()
                sock.setblocking(False)
                code = sock.connect_ex(address)
                assert code == errno.EINPROGRESS, errno.errorcode[code]
                self.ours.append(sock)
            self.net.run(for_="10ms")
            for _ in range(batch):
                sock, _ = listener.accept()
                self.theirs.append(sock)
        self.net.run(for_="1s")
        assert self.client.tcp_states()["ESTABLISHED"] == n

    def packet_ns(self, n: int, spread: int, scattered: bool) -> float:
        """CPU time of a packet, from wire to wire: the network's part, the application's is not timed.

        `n` packets of data with their acknowledgments, one on each of `spread` connections in turn; of the
        rounds the quickest. Connections made one after the other lie side by side in memory; `scattered`
        ones do not, and cost what the processor's caches make of that.
        """
        everyone = range(len(self.ours))
        first = (len(everyone) - spread) // 2
        chosen = self._order.sample(everyone, spread) if scattered else everyone[first:][:spread]
        best = float("inf")
        for _ in range(max(1, n // len(chosen))):
            for row in chosen:
                self.ours[row].send(ANSWER)
            before = self.net._fabric.delivered
            watch = Stopwatch()
            self.net.run(for_="100ms")
            best = min(best, watch.ns() / (self.net._fabric.delivered - before))
            for row in chosen:
                assert len(self.theirs[row].recv(1000)) == len(ANSWER)
        return best

    def stream_ns(self, octets: int) -> float:
        """CPU time of a packet of one connection that is busy alone."""
        ours, theirs = self.ours[len(self.ours) // 2], self.theirs[len(self.ours) // 2]
        data = bytes(1448)
        before = self.net._fabric.delivered
        watch = Stopwatch()
        for _ in range(max(1, octets // (10 * len(data)))):
            for _ in range(10):
                ours.send(data)
            self.net.run(for_="50ms")
            assert len(theirs.recv(1 << 20)) == 10 * len(data)
        return watch.ns() / (self.net._fabric.delivered - before)


def _idle(report: Report, scale: float, repeat: int) -> None:
    """Memory of an idle connection, and what it does to the others."""
    few, many = max(2, round(100 * min(1, scale))), max(4, round(100_000 * scale))
    packets = max(2 * few, round(20_000 * scale))
    crowd = Crowd()
    crowd.grow(few)
    found: dict[tuple[str, int], float] = {}
    before = memory.resident()
    for n in (few, many):
        crowd.grow(n)
        if n == many:
            octets = (memory.resident() - before) / (many - few) / 2
        for _ in range(repeat):
            for kind, ns in (
                ("busy", crowd.stream_ns(1448 * packets // 4)),
                ("turn", crowd.packet_ns(packets, few, scattered=False)),
                ("scattered", crowd.packet_ns(packets, few, scattered=True)),
            ):
                found[kind, n] = min(ns, found.get((kind, n), ns))
    kernel = memory.kernel_socket()
    report.reference("reference_kernel_socket_octets", kernel, "a socket of this kernel")
    reference = "reference_kernel_socket_octets" if kernel else ""
    title = f"an idle connection, one of {2 * many:,} ends in this process"
    report.figure("idle_connection_octets", octets, title, reference, Target(most=1536))
    limit = Target(most=1.5, ratio=True)
    for kind, said, target in (
        ("busy", "of one connection", limit),
        ("turn", f"of {few} connections in turn", limit),
        ("scattered", f"of {few} connections anywhere in memory", None),
    ):
        key = f"packet_{kind}_few_ns"
        report.reference(key, found[kind, few], f"among {few}")
        title = f"a packet {said}, among {many:,}"
        report.figure(f"packet_{kind}_ns", found[kind, many], title, key, target)
    report.notes["connections"] = many
    report.notes["connections_few"] = few


def measure(scale: float, repeat: int) -> Report:
    """Half a GiB of bulk, 20,000 conversations and 100,000 connections at scale 1."""
    total = max(1 << 20, round((512 << 20) * scale))
    talks = max(20, round(20_000 * scale))
    conversations(min(talks, 500))
    with no_collector():
        found = interleaved(
            repeat,
            {
                "memcpy": lambda: memcpy(total),
                "kernel": lambda: kernel_bulk(total),
                "kernel_mss": lambda: kernel_bulk(total // 4, 1448),
                "super": lambda: Bulk(total, delay="1ms").gbit(),
                "packets": lambda: Bulk(total // 4, delay="1ms", bandwidth="10Gbit/s").gbit(),
                "kernel_talks": lambda: kernel_conversations(min(talks, 5_000)),
                "talks": lambda: conversations(talks),
            },
        )
        best = {name: max(runs) for name, runs in found.items()}
        how = "one core: both machines, links and application; per second of CPU time, best of"
        report = Report("tcp", f"{how} {repeat} rounds")
        report.reference("reference_memcpy_gbit", best["memcpy"], "memcpy")
        report.reference("reference_kernel_gbit", best["kernel"], "kernel's loopback")
        report.reference(
            "reference_kernel_mss1448_gbit", best["kernel_mss"], "kernel's loopback, MSS 1448"
        )
        report.reference(
            "reference_kernel_conversations_per_second", best["kernel_talks"], "kernel's loopback"
        )
        report.figure(
            "super_segments_gbit",
            best["super"],
            "bulk in super-segments, 1 ms",
            "reference_kernel_gbit",
            Target(least=15),
        )
        report.figure(
            "mss1448_gbit",
            best["packets"],
            "bulk packet by packet, 1 ms, 10 Gbit/s",
            "reference_kernel_mss1448_gbit",
            Target(least=4, aim=12),
        )
        report.figure(
            "conversations_per_second",
            best["talks"],
            "connect, request, answer, close",
            "reference_kernel_conversations_per_second",
            Target(least=30_000),
        )
        _idle(report, scale, repeat)
    report.notes["receive_low_water_octets"] = LOW_WATER
    report.notes["buffer_octets"] = BUFFER
    report.notes["link_ns"] = MS
    return report
