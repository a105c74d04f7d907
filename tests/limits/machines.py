"""Machines for the tests of limits: one with a client on the other end of a wire."""

import pystack
from pystack.limits import Limit


def host(profile: str = "freebsd-10", **sysctl: object) -> pystack.Host:
    net = pystack.Network(seed=3)
    names = {name.replace("__", "."): value for name, value in sysctl.items()}
    web = net.host("web", "192.0.2.1/24", profile=profile, sysctl=names)
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    net.link(web, me)
    web.net, web.me = net, me  # type: ignore[attr-defined]
    return web


def row(web: pystack.Host, name: str) -> Limit:
    (found,) = [limit for limit in web.limits() if limit.name == name]
    return found


class Client:
    """A client of the machine `web` that reads only when told to, and has a receive buffer of 4 KiB."""

    def __init__(self, web: pystack.Host, port: int) -> None:
        self.sock = web.me.socket()  # type: ignore[attr-defined]
        self.sock.setsockopt(1, 8, 2048)  # SO_RCVBUF
        self.sock.connect(("192.0.2.1", port))
        self.ended = False
        self._got = 0
        self._reads = False

    def read_all(self) -> int:
        """Read what is there, and from now on whatever comes; how many octets were read until now."""
        if not self._reads:
            self._reads = True
            self.sock.setblocking(False)
            self.sock.on_ready = lambda events: self._read()
        self._read()
        return self._got

    def _read(self) -> None:
        while not self.ended:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return
            self._got += len(data)
            self.ended = not data
