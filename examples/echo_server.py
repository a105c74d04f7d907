"""An echo server on one machine, driven by readiness, and a client with blocking calls on another.

python examples/echo_server.py
"""

import pystack
from pystack.sockets import StreamSocket


class Echo:
    """Sends back what comes on one connection."""

    def __init__(self, sock: StreamSocket) -> None:
        self.sock = sock
        self.rest = b""
        sock.setblocking(False)
        sock.on_ready = self.ready

    def ready(self, events: int) -> None:
        """Read and write until there is nothing left to do."""
        try:
            while True:
                data = self.rest or self.sock.recv(65536)
                if not data:
                    self.sock.close()
                    return
                self.rest = data
                self.rest = data[self.sock.send(data) :]
        except BlockingIOError:
            pass  # the next event goes on from here
        except OSError:
            self.sock.close()


class Server:
    """Accepts connections."""

    def __init__(self, host: pystack.Host, port: int) -> None:
        self.sock = host.socket()
        self.sock.bind(("", port))
        self.sock.listen(128)
        self.sock.setblocking(False)
        self.sock.on_ready = self.ready

    def ready(self, events: int) -> None:
        """Take every connection that waits."""
        while self.sock.readable():
            conn, _ = self.sock.accept()
            Echo(conn)


def main() -> bytes:
    """Set up two machines, talk, and show what happened."""
    net = pystack.Network(seed=1)
    server = net.host("server", "192.0.2.1/24", profile="freebsd-10")
    client = net.host("client", "192.0.2.2/24", profile="linux-6")
    net.link(server, client, delay="10ms")
    Server(server, 7)

    with client.socket() as sock:
        sock.connect(("192.0.2.1", 7))
        sock.sendall(b"hello, world")
        answer = sock.recv(100)
        print(f"{net.now / 1e6:.0f} ms: {answer!r}")
    net.run(for_="1s")
    print("client:", dict(client.tcp_states()), "server:", dict(server.tcp_states()))
    return answer


if __name__ == "__main__":
    main()
