"""Plays the recorded experiments with a Linux kernel's socket limits on two linux-6 machines.

Each player gets a record and answers what it saw, in the words of the record; the tests compare.
"""

import re
import struct

from limits.linux_kit import counted

import pystack
from pystack._fast import consts
from pystack.views.counters import nstat
from pystack.views.table import tcp_sockets

SS_NAMES = {
    consts.ESTABLISHED: "ESTAB",
    consts.CLOSE_WAIT: "CLOSE-WAIT",
    consts.FIN_WAIT_1: "FIN-WAIT-1",
    consts.FIN_WAIT_2: "FIN-WAIT-2",
    consts.TIME_WAIT: "TIME-WAIT",
}


class Two:
    """Client 10.9.5.1 and server 10.9.5.2, both linux-6, and a listener on 80, 81 and 82."""

    def __init__(self, seed: int = 5, **knobs: object):
        self.net = pystack.Network(seed=seed)
        plain = {"net.ipv4.tcp_rmem": "4096 131072 33554432"}
        self.client = self.net.host("c", "10.9.5.1/24", profile="linux-6", sysctl=plain)
        self.server = self.net.host("s", "10.9.5.2/24", profile="linux-6", sysctl=plain)
        for name, value in knobs.items():
            self.client.sysctl[f"net.ipv4.{name}"] = value
        self.net.link(self.client, self.server)
        self.listeners = {}
        for port in (80, 81, 82):
            self.listeners[port] = self.server.socket()
            self.listeners[port].bind(("10.9.5.2", port))
            self.listeners[port].listen(1000)

    def connect(self, local: int = 0, port: int = 80):
        """(client's socket, server's)."""
        c = self.client.socket()
        if local:
            c.bind(("10.9.5.1", local))
        c.connect(("10.9.5.2", port))
        s, _ = self.listeners[port].accept()
        return c, s

    def run(self, seconds: float) -> None:
        self.net.run(for_=round(seconds * 1e9))

    def until(self, seconds: float, begin: int) -> None:
        self.run(max(0.0, seconds - (self.net.now - begin) / 1e9))


def error(call, *arguments) -> str:
    """The kernel's words for what a call fails with, or its answer as text."""
    try:
        return str(call(*arguments))
    except OSError as e:
        return e.strerror


def port_order(record: dict) -> dict:
    """connect_port_order_…: 34 kept, then 30 one after the other."""
    first, last = record["settings"]["ip_local_port_range"]
    two = Two(ip_local_port_range=f"{first} {last}")
    kept, sockets = [], []
    for _ in range(34):
        c = two.client.socket()
        sockets.append(c)
        answer = error(c.connect, ("10.9.5.2", 80))
        kept.append(c.getsockname()[1] if answer == "None" else answer)
    for c in sockets:
        c.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
        c.close()
    one = []
    for _ in range(30):
        c, s = two.connect()
        one.append(c.getsockname()[1])
        c.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
        c.close()
        s.close()
    return {"kept": kept, "one_at_a_time": one}


def bind_order(record: dict) -> dict:
    """bind_port_0_order_…: 34 times bind(0)."""
    first, last = record["settings"]["ip_local_port_range"]
    two = Two(ip_local_port_range=f"{first} {last}")
    ports, sockets = [], []
    for _ in range(34):
        c = two.client.socket()
        sockets.append(c)
        answer = error(c.bind, ("10.9.5.1", 0))
        ports.append(c.getsockname()[1] if answer == "None" else answer)
    return {"ports": ports}


def tw_reuse(record: dict) -> dict:
    """tcp_tw_reuse_N: the range is full of TIME_WAIT."""
    settings = record["settings"]
    first, last = settings["ip_local_port_range"]
    two = Two(ip_local_port_range=f"{first} {last}", tcp_tw_reuse=settings["tcp_tw_reuse"])
    four = []
    begin = two.net.now
    for _ in range(4):
        c, s = two.connect()
        four.append(c.getsockname()[1])
        c.close()
        s.close()
        two.run(0.0005)
    before: dict[str, int] = {}
    connects = [{"t": 0, "first_four": four}]
    for row in record["observations"]["connects"][1:]:
        two.until(row["t"], begin)
        c = two.client.socket()
        answer = error(c.connect, ("10.9.5.2", 80))
        if answer == "None":
            s, _ = two.listeners[80].accept()
            answer = c.getsockname()[1]
            c.close()
            s.close()
            two.run(0.0005)
        connects.append({"t": row["t"], "connect": answer})
    explicit = two.client.socket()
    explicit.setsockopt(1, 2, 1)
    return {
        "connects": connects,
        "explicit_bind_reuseaddr_connect": error(explicit.bind, ("10.9.5.1", first + 1)),
        "explicit_bind_plain": error(two.client.socket().bind, ("10.9.5.1", first + 2)),
        "nstat": counted(two.client.core, before),
        "time_wait": two.client.tcp_states()["TIME_WAIT"],
    }


def max_tw_buckets(record: dict) -> dict:
    """tcp_max_tw_buckets_3 with 12 in TIME_WAIT before."""
    two = Two()
    for _ in range(record["settings"]["time_wait_before"]):
        c, s = two.connect()
        c.close()
        s.close()
        two.run(0.001)
    before = nstat(two.client.core)
    held = two.client.tcp_states()["TIME_WAIT"]
    two.client.sysctl["net.ipv4.tcp_max_tw_buckets"] = record["settings"]["tcp_max_tw_buckets"]
    rows = []
    for i in range(8):
        c, s = two.connect()
        c.close()
        two.run(0.001)
        s.close()
        two.run(0.001)
        rows.append(
            {
                "close": i + 1,
                "new": two.client.tcp_states()["TIME_WAIT"] - held,
                "overflow": nstat(two.client.core)["TcpExtTCPTimeWaitOverflow"],
            }
        )
    after = nstat(two.client.core)
    return {
        "after_each": rows,
        "dmesg": two.client.dmesg(),
        "nstat": {k: v - before[k] for k, v in after.items() if v != before[k]},
    }


def shown(host) -> dict[int, tuple[str, str, float]]:
    """Local port -> (state, timer, seconds left), as ss shows the client's sockets."""
    return {
        s.lport: (SS_NAMES[s.state], s.timer, s.left / 1e9)
        for s in tcp_sockets(host.core, host.now)
        if s.state in SS_NAMES
    }


def read_shown(lines: list[str]) -> dict[int, tuple[str, str, float]]:
    """The same of a record's lines."""
    out = {}
    for line in lines:
        state, _, _, local = line.split()[:4]
        timer, left = "", 0.0
        found = re.search(r"timer:\((\w+),([^,]*),", line)
        if found:
            timer, text = found.groups()
            number = re.match(r"[\d.]*", text)[0]
            if text.endswith("min"):
                left = float(number) * 60
            elif "." in number or text.endswith("sec"):
                left = float(number)
            elif number:
                left = float(number) / 1000
        out[int(local.rsplit(":", 1)[1])] = (state, timer, left)
    return out


def fin_wait_2(record: dict) -> dict:
    """fin_wait_2_and_time_wait_fin_timeout_N: four ways to stay behind."""
    two = Two(**record["settings"])
    pairs = {port: two.connect(local=port) for port in (30001, 30002, 30003, 30004)}
    two.run(0.1)
    begin = two.net.now
    pairs[30001][0].close()
    pairs[30002][0].close()
    two.run(0.001)
    pairs[30002][1].close()
    pairs[30003][0].shutdown(1)
    pairs[30004][0].close()
    closed = False
    samples = []
    for sample in record["observations"]["ss_samples_at_change"]:
        if sample["t"] > 3 and not closed:
            two.until(3.0, begin)
            pairs[30004][1].close()
            closed = True
        two.until(sample["t"], begin)
        samples.append({"t": sample["t"], "client": shown(two.client)})
    waiting = [
        (s.recv_q + s.peer_fin, s.fport) for s in tcp_sockets(two.server.core, two.net.now)
        if s.state == consts.CLOSE_WAIT
    ]  # fmt: skip
    return {"samples": samples, "waiting": sorted(waiting), "nstat": counted(two.client.core)}


def fill(two: Two, socks: list) -> None:
    """Write until there is no room any more, at either end."""
    written = True
    while written:
        written = False
        for sock in socks:
            sock.setblocking(False)
            try:
                while sock.send(bytes(4096)):
                    written = True
            except BlockingIOError:
                sock.setblocking(True)
        two.run(3)


def max_orphans(record: dict) -> dict:
    """tcp_max_orphans_4: twelve sockets with full queues are closed, one each 0.163 s."""
    two = Two(tcp_max_orphans=record["settings"]["tcp_max_orphans"])
    pairs = [two.connect() for _ in range(12)]
    fill(two, [c for c, _ in pairs])
    # the probes of the shut windows came 27 ms after the eighth close; so they do here
    probe = 0.0
    while probe < 1.3:
        two.run(probe + 0.01)
        waits = [s.left for s in tcp_sockets(two.client.core, two.net.now) if s.timer]
        probe = min(waits) / 1e9
    two.run(probe - 0.027 - 7 * 0.163)
    before = nstat(two.client.core)
    rows = []
    for c, _ in pairs:
        c.close()
        two.run(0.15)
        killed = nstat(two.client.core)["TcpExtTCPAbortOnMemory"]
        states = two.client.tcp_states()
        (limit,) = (each for each in two.client.limits() if each.name == "orphans")
        shown = (limit.used, limit.maximum, limit.failures, limit.knob)
        assert shown == (two.client.core.orphans, 4, killed, "net.ipv4.tcp_max_orphans")
        rows.append(
            {
                "fin_wait_1": states["FIN_WAIT_1"],
                "inuse": sum(states.values()) - states["TIME_WAIT"],
                "orphan": two.client.core.orphans,
                "abort": killed - before["TcpExtTCPAbortOnMemory"],
            }
        )
        two.run(0.013)
    return {"after_each_close": rows, "dmesg": two.client.dmesg()}


def segment_text(data: bytes, isn: dict[int, int]) -> str:
    """A packet as the records write it: direction, flags, numbers from each side's first."""
    tcp = data[20:]
    sport, _, seq, ack, off, flags, win = struct.unpack_from(">HHIIBBH", tcp)
    n = len(tcp) - (off >> 4) * 4
    server = sport in (80, 99)
    letters = "".join(c for bit, c in ((1, "F"), (2, "S"), (4, "R"), (8, "P")) if flags & bit)
    letters += "." if flags & 16 else ""
    if flags & 2:
        isn[server] = seq
    at = (seq - isn.get(server, 0)) & 0xFFFFFFFF if isn.get(server) is not None else seq
    text = f"{'S > C' if server else 'C > S'}: [{letters}] {at}:{at + n}"
    if flags & 16:
        text += f" ack {(ack - isn.get(not server, 0)) & 0xFFFFFFFF}"
    return f"{text} win {win}"


def recorded_text(line: str, isn: dict[int, int]) -> tuple[float, str]:
    """(time, the same text) of a packet of a record."""
    line = line.replace("10.9.5.2.99", "S")
    when, who, flags, rest = re.match(r"([\d.]+) (\w > \w): Flags \[([^]]+)\], (.*)", line).groups()
    server = who.startswith("S")
    numbers = re.search(r"seq (\d+)(?::(\d+))?", rest)
    ack = re.search(r"ack (\d+)", rest)
    n = int(re.search(r"length (\d+)", rest)[1])
    at = int(numbers[1]) if numbers else None
    if "S" in flags:
        isn[server] = at
        at = 0
    elif at is not None and isn.get(server) is not None and at > 1 << 24:
        at = (at - isn[server]) & 0xFFFFFFFF  # tcpdump knows no number to begin from
    if at is None:
        at = isn.setdefault(f"next{server}", 1)
    text = f"{who}: [{''.join(c for c in 'FSRP' if c in flags)}{'.' if '.' in flags else ''}] {at}:{at + n}"
    isn[f"next{server}"] = at + n + ("S" in flags) + ("F" in flags)
    if ack:
        number = int(ack[1])
        if number > 1 << 24:
            number = (number - isn[not server]) & 0xFFFFFFFF
        text += f" ack {number}"
    window = re.search(r"win (\d+)", rest)[1]
    return float(when), f"{text} win {window}"


def close_case(record: dict) -> dict:
    """The first fourteen: what one way to end a connection sends, and what the peer sees."""
    name = record["name"]
    two = Two()
    isn: dict[int, int] = {}
    packets: list[tuple[float, str]] = []
    begin = two.net.now

    def seen(now, packet, _reason):
        packets.append(((now - begin) / 1e9, segment_text(packet.to_bytes(), isn)))

    for wire in two.net._fabric.wires:
        wire.tap = seen
    out: dict = {}
    if name == "connect_to_closed_port":
        c = two.client.socket()
        out["connect"] = error(c.connect, ("10.9.5.2", 99))
        return out | {"packets": packets, "nstat_client": counted(two.client.core)}
    c, s = two.connect(local=31001)

    def at(seconds: float) -> None:
        two.until(seconds, begin)

    def said(sock, n: int = 100) -> str:
        sock.setblocking(False)
        return error(sock.recv, n)

    at(0.053)
    if name == "close_with_unread_data":
        s.send(b"hello")
        at(0.104)
        c.close()
        at(0.2)
        out["peer_recv"] = said(s)
    elif name == "close_with_linger_0":
        c.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
        c.close()
        at(0.2)
        out["peer_recv"] = said(s)
    elif name == "close_then_peer_sends_late_data":
        c.close()
        at(0.15)
        out["peer_recv"] = said(s)
        out["peer_send_1"] = error(s.send, b"late")
        at(0.2)
        out["peer_send_2"] = error(s.send, b"late")
        out["peer_recv_2"] = said(s)
    elif name == "shutdown_wr_half_close":
        c.shutdown(1)
        at(0.104)
        s.send(b"answer")
        at(0.154)
        s.close()
        at(0.2)
        out["client_recv"] = said(c)
        c.close()
    elif name == "shutdown_rd_then_peer_sends":
        c.shutdown(0)
        at(0.104)
        s.send(b"data")
        at(0.2)
        out["client_recv_1"] = said(c)
        out["client_recv_2"] = said(c)
        out["ss_client"] = [v[0] for v in shown(two.client).values()]
        out["nstat_client"] = counted(two.client.core)
        at(0.42)
        c.close()
        two.net.run(until=lambda: two.server.tcp_states()["CLOSE_WAIT"])
        s.close()
        two.run(0.01)
        return out | {"packets": packets}
    elif name == "shutdown_rdwr_then_peer_sends":
        c.shutdown(2)
        at(0.104)
        out["peer_recv"] = said(s)
        s.send(b"data")
        at(0.2)
        out["client_recv"] = said(c)
    elif name == "shutdown_wr_then_close_with_unread_data":
        c.shutdown(1)
        at(0.104)
        s.send(b"answer")
        at(0.154)
        c.close()
        at(0.2)
        out["peer_recv"] = said(s)
    elif name == "both_close_at_once":
        c.close()
        two.net.run(until=lambda: two.server.tcp_states()["CLOSE_WAIT"])
        s.close()
    elif name == "close_linger_1s_with_unsent_data":
        s.setsockopt(1, 8, 4096)
        c.setsockopt(1, 13, b"\1\0\0\0\1\0\0\0")
        c.setblocking(False)
        out["queued"] = 0
        try:
            while True:
                out["queued"] += c.send(bytes(4096))
        except BlockingIOError:
            c.setblocking(True)
        closing = two.net.now
        c.close()
        out["close_blocked_s"] = round((two.net.now - closing) / 1e9, 1)
        (left,) = [
            v for v in tcp_sockets(two.client.core, two.net.now) if v.state == consts.FIN_WAIT_1
        ]
        out["ss_client"] = [(SS_NAMES[left.state], left.send_q + left.own_fin, left.timer)]
        (held,) = [
            v for v in tcp_sockets(two.server.core, two.net.now) if v.state == consts.ESTABLISHED
        ]
        out["ss_server"] = [(SS_NAMES[held.state], held.recv_q)]
        return out | {"packets": packets, "nstat_client": counted(two.client.core)}
    elif name == "tcp_linger2_minus_1":
        c.setsockopt(6, 8, -1)
        c.close()
        at(0.2)
        out["peer_recv"] = said(s)
    elif name == "tcp_linger2_2":
        c.setsockopt(6, 8, 2)
        c.close()
        at(0.154)
        out["after_close"] = shown(two.client)[31001]
        at(2.36)
        out["later"] = shown(two.client)
        out["peer_send"] = error(s.send, b"x")
    elif name == "peer_closed_then_send_twice":
        s.close()
        at(0.104)
        out["send_1"] = error(c.send, b"x")
        at(0.2)
        out["send_2"] = error(c.send, b"x")
        out["recv"] = said(c)
    elif name == "linger_0_after_shutdown_wr":
        c.shutdown(1)
        at(0.104)
        c.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
        c.close()
        at(0.2)
        out["peer_recv"] = said(s)
    two.run(0.05)
    out["ss_client"] = [v[0] for v in shown(two.client).values()]
    return out | {"packets": packets, "nstat_client": counted(two.client.core)}
