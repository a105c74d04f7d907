"""A megabyte over a link that loses packets: how long it takes, and what it costs.

python examples/lossy_transfer.py
"""

import hashlib

import pystack

SIZE = 1_000_000


def transfer(loss: float, seed: int = 7) -> tuple[int, int]:
    """Nanoseconds and retransmitted segments for SIZE octets at this probability of loss."""
    net = pystack.Network(seed=seed)
    web = net.host("web", "192.0.2.1/24", profile="freebsd-10")
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    net.link(web, me, delay="10ms", bandwidth="100Mbit/s", queue=100, loss=loss)

    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(1)
    client = me.socket()
    client.connect(("192.0.2.1", 80))
    server, _ = listener.accept()

    data = bytes(range(256)) * (SIZE // 256 + 1)
    data = data[:SIZE]
    left = memoryview(data)

    def write(events: int = 0) -> None:
        """Send while there is room; called again when there is."""
        nonlocal left
        try:
            while left:
                left = left[server.send(left) :]
            server.close()
        except BlockingIOError:
            pass

    server.setblocking(False)
    server.on_ready = write

    begin = net.now
    got = hashlib.sha256()
    while part := client.recv(65536):
        got.update(part)
    assert got.digest() == hashlib.sha256(data).digest()
    return net.now - begin, web.stats["sndrexmitpack"]


def main() -> list[tuple[float, int, int]]:
    """Print a line for each probability of loss."""
    rows = []
    for loss in (0, 0.001, 0.01, 0.05):
        took, again = transfer(loss)
        rows.append((loss, took, again))
        rate = SIZE * 8 / (took / 1e9) / 1e6
        print(f"loss {loss:5.1%}  {took / 1e9:8.3f} s  {rate:6.2f} Mbit/s  {again:4} sent again")
    return rows


if __name__ == "__main__":
    main()
