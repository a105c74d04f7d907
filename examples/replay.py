"""Record a conversation, then play one side of it, packet by packet, against a fresh machine.

    python examples/replay.py [capture.pcapng]

The replay is a tap: it sends what the client sent, when it sent it. The machine has the same seed, so
that its sequence numbers are those that the recorded acknowledgements mean.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import pystack
from pystack.capture import Record, read
from pystack.sockets import StreamSocket

SERVER, CLIENT = "192.0.2.1", "192.0.2.2"


def server_of(net: pystack.Network) -> tuple[pystack.Host, list[bytes]]:
    """A machine that keeps what it is sent on port 9."""
    web = net.host("web", f"{SERVER}/24", profile="freebsd-10", seed=42)
    kept: list[bytes] = []
    listener = web.socket()
    listener.bind(("", 9))
    listener.listen(5)
    listener.setblocking(False)

    def accept(events: int) -> None:
        while listener.readable():
            conn, _ = listener.accept()
            conn.on_ready = partial(keep, conn)

    def keep(conn: StreamSocket, events: int) -> None:
        while not conn.closed and conn.readable():
            kept.append(conn.recv(65536))
            if not kept[-1]:
                conn.close()

    listener.on_ready = accept
    return web, kept


def record(path: Path) -> list[bytes]:
    """A conversation between two machines, written to `path`; what the server got."""
    net = pystack.Network(seed=1)
    web, kept = server_of(net)
    me = net.host("me", f"{CLIENT}/24", profile="linux-6")
    net.link(me, web, delay="3ms")
    with me.socket() as sock:
        sock.connect((SERVER, 9))
        for word in (b"one ", b"two ", b"three"):
            sock.sendall(word)
            net.run(for_="50ms")
    net.run(for_="1s")
    net.capture(path)
    return kept


def replay(packets: list[Record]) -> list[bytes]:
    """Send the client's packets of a capture to a fresh server; what it got."""
    net = pystack.Network(seed=1)
    web, kept = server_of(net)
    tap = net.tap(f"{CLIENT}/24")
    net.link(tap, web, delay="3ms")
    for packet in packets:
        if packet.interface == "me.eth0" and not packet.comment:
            net.run(until_ns=packet.ns)
            tap.send(packet.data)
    net.run(for_="1s")
    print(f"{len(tap.received)} answers, the server got {b''.join(kept)!r}")
    return kept


if __name__ == "__main__":
    file = Path(sys.argv[1] if sys.argv[1:] else tempfile.mkdtemp() + "/replay.pcapng")
    first = record(file)
    assert replay(list(read(file))) == first
