"""Two machines and a link, as most tests of the faces want them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import pystack
from pystack.sockets import StreamSocket

SERVER = ("192.0.2.1", 80)


@dataclass
class Pair:
    """`web` listens at SERVER, `me` connects."""

    net: pystack.Network
    web: pystack.Host
    me: pystack.Host
    link: pystack.Link
    listener: StreamSocket = field(init=False)

    def __post_init__(self) -> None:
        self.listener = self.web.socket()
        self.listener.bind(("", 80))
        self.listener.listen(16)

    def connect(self) -> tuple[StreamSocket, StreamSocket]:
        """The client's socket and the server's."""
        client = self.me.socket()
        client.connect(SERVER)
        conn, _ = self.listener.accept()
        return client, conn

    def pools(self) -> tuple[int, int]:
        """Mbufs in use: nobody may keep any."""
        return self.web.core.pool.in_use, self.me.core.pool.in_use


def pair(
    seed: int = 1, web: str = "freebsd-10", me: str = "linux-6", delay: str = "5ms", **settings: Any
) -> Pair:
    """A fresh network with both."""
    net = pystack.Network(seed=seed)
    first = net.host("web", "192.0.2.1/24", profile=web)
    second = net.host("me", "192.0.2.2/24", profile=me)
    return Pair(net, first, second, net.link(first, second, delay=delay, **settings))


def fails(number: int, call: Callable[..., object], *args: object) -> OSError:
    """`call(*args)` raises an OSError with this errno."""
    with pytest.raises(OSError) as caught:
        call(*args)
    assert caught.value.errno == number, caught.value
    return caught.value
