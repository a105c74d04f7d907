"""Connect, request, answer, close: conversations a second between two machines through the public sockets.

    python bench/bench_sockets.py [conversations] [--profile] [--json]

Everything runs on one core in virtual time: two whole stacks, the wires between them, the trace hash, and
some ten calls of the socket API a conversation. The reference beside it is the same program over the
kernel's loopback with the standard library's sockets.
"""

import argparse
import cProfile
import json
import pstats
import socket
import time
from typing import Any

import pystack
from pystack import _fast

REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n".ljust(40)
ANSWER = bytes(100)


def converse(
    server: Any, make: Any, address: tuple[str, int], n: int, kernel: bool = False
) -> None:
    """`n` conversations one after the other, the client closes first."""
    for _ in range(n):
        client = make()
        client.connect(address)
        conn, _ = server.accept()
        client.send(REQUEST)
        assert len(conn.recv(1000)) == 40
        conn.send(ANSWER)
        assert len(client.recv(1000)) == 100
        client.close()
        assert conn.recv(1000) == b""
        conn.close()


def build(**options: Any) -> tuple[Any, Any, Any]:
    """A network of two machines and a listener."""
    net = pystack.Network(seed=1, **options)
    web = net.host("web", "192.0.2.1/24", profile="linux-6")
    me = net.host("client", "192.0.2.2/24", profile="linux-6")
    net.link(web, me, delay="5ms")
    server = web.socket()
    server.bind(("", 80))
    server.listen(128)
    return net, me, server


def rate(n: int, **options: Any) -> float:
    """Conversations a second, after a warm-up."""
    _, me, server = build(**options)
    converse(server, me.socket, ("192.0.2.1", 80), n // 10)
    start = time.perf_counter()
    converse(server, me.socket, ("192.0.2.1", 80), n)
    return n / (time.perf_counter() - start)


def kernel_rate(n: int) -> float:
    """The same over the kernel's loopback."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        start = time.perf_counter()
        converse(server, socket.socket, server.getsockname(), n)
        return n / (time.perf_counter() - start)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("conversations", type=int, nargs="?", default=20_000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    n = args.conversations
    if args.profile:
        _, me, server = build()
        with cProfile.Profile() as profile:
            converse(server, me.socket, ("192.0.2.1", 80), n)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    result = {
        "conversations_per_s": rate(n),
        "conversations_per_s_bare": rate(n, record=False, trace=False),
        "reference_kernel_per_s": kernel_rate(min(n, 5_000)),
        "compiled": _fast.COMPILED,
    }
    if args.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:28} {value:>12,.0f}" if not isinstance(value, bool) else f"{name:28} {value}")


if __name__ == "__main__":
    main()
