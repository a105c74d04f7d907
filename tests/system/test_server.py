"""`Server` used as a library: sockets of the machine against sockets of the kernel."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from netlab import Lab, Namespace

import pystack
from pystack.server import ServiceError
from pystack.services import DiscardService, EchoService, HttpService
from pystack.tun import DeviceError

pytestmark = pytest.mark.system

US, KERNEL = "10.9.0.2", "10.9.0.1"


def serve(space: Namespace, host: pystack.Host | None = None, **options: Any) -> pystack.Server:
    host = host or pystack.Host("web", f"{US}/24", profile="freebsd-14")
    return space.call(lambda: pystack.Server(host, "tun0", **options))


def links(space: Namespace) -> set[str]:
    return {link["ifname"] for link in json.loads(space.ip("-json", "link"))}


def in_thread(call: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


@pytest.mark.parametrize("offload", [True, False])
def test_our_client_and_a_server_of_the_kernel(lab: Lab, offload: bool) -> None:
    space = lab.namespace()
    data = random.Random(1).randbytes(1_000_000)
    got = bytearray()
    with serve(space, offload=offload) as server:
        listener = space.call(lambda: socket.create_server((KERNEL, 5000)))

        def answer() -> None:
            conn, _ = listener.accept()
            with conn:
                while piece := conn.recv(65536):
                    got.extend(piece)
                conn.sendall(bytes(got[::-1]))

        thread = in_thread(answer)
        with listener, server.host.socket() as sock:
            sock.settimeout(20)
            sock.connect((KERNEL, 5000))
            assert sock.getpeername() == (KERNEL, 5000)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            back = bytearray()
            while piece := sock.recv(65536):
                back += piece
        thread.join()
    assert got == data
    assert back == data[::-1]
    assert links(space) == {"lo"}


def test_refused_and_ping(lab: Lab) -> None:
    with serve(lab.namespace()) as server:
        with server.host.socket() as sock, pytest.raises(ConnectionRefusedError):
            sock.connect((KERNEL, 5001))
        rtts = server.host.ping(KERNEL, count=3, interval="10ms")
        assert all(rtt is not None and rtt < 10**9 for rtt in rtts)


def test_a_client_that_is_not_in_the_prefix_is_answered(lab: Lab) -> None:
    """Through the default route that comes with the device."""
    space, far = lab.namespace(), lab.namespace()
    lab.veth(space, "10.1.0.1/24", far, "10.1.0.2/24")
    far.route("default", via="10.1.0.1")
    space.sysctl("net.ipv4.ip_forward", 1)
    with serve(space, services=[HttpService(80)]) as server:
        child = far.popen(["curl", "-sS", "-m", "10", f"http://{US}/bytes/4"])
        assert server.run(until=lambda: child.poll() is not None, timeout=0.01) in (True, False)
        ticking = server.runner.call_every(0.05, lambda: None)  # so that the child is looked at
        assert server.run(until=lambda: child.poll() is not None, timeout=15)
        ticking.cancel()
        assert child.communicate() == ("0123", "")


def test_what_cannot_be_leaves_nothing_behind(lab: Lab) -> None:
    space = lab.namespace()
    echo = EchoService(7)
    with pytest.raises(ServiceError, match=r"^discard cannot listen on port 7: .*in use$"):
        serve(space, services=[echo, DiscardService(7)])
    assert not echo.connections
    assert links(space) == {"lo"}
    with pytest.raises(ValueError, match="loss"):
        serve(space, loss="2")
    with pytest.raises(FileNotFoundError):
        serve(space, pcap="/nowhere/x.pcapng")
    assert links(space) == {"lo"}
    two = pystack.Host("two", ["10.9.0.2/24", "10.8.0.2/24"])
    with pytest.raises(ValueError, match="two has 2 interfaces; a TUN is one"):
        serve(space, two)
    with serve(space), pytest.raises(DeviceError, match="tun0 already"):
        serve(space)
    assert links(space) == {"lo"}


def test_stop_from_another_thread(lab: Lab) -> None:
    space = lab.namespace()
    with serve(space, services=[HttpService(80)]) as server:
        threading.Timer(0.2, server.runner.stop).start()
        began = time.monotonic()
        assert not server.run()
        assert 0.1 < time.monotonic() - began < 10
    server.close()


def test_many_connections_then_every_mbuf_is_back(lab: Lab) -> None:
    space = lab.namespace()
    echo = EchoService(7)
    with serve(space, services=[echo]) as server:

        def clients() -> None:
            socks = [socket.create_connection((US, 7), timeout=20) for _ in range(100)]
            for sock in socks:
                sock.sendall(b"x" * 10_000)
            for sock in socks:
                left = 10_000
                while left:
                    left -= len(sock.recv(65536))
            for sock in socks:
                sock.close()

        thread = in_thread(lambda: space.call(clients))
        assert server.run(until=lambda: echo.accepted == 100 and not echo.connections, timeout=30)
        thread.join()
        server.run(timeout=0.1)
        assert echo.octets == 1_000_000
        server.host.core.make_room()  # made by this call at the latest
        assert server.host.core.pool.in_use == 1
