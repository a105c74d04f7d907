"""Goodput of two stacks by loss and receive buffer: the table in goodput.txt.

    python -m sim.goodput > tests/sim/goodput.txt       (from tests/, compiled)

1 MB over a link of 10 Mbit/s and 20 ms each way with a queue of 50 packets; kbit/s of virtual time. The numbers
are a function of the seed: where they change, congestion control has changed, which is to be agreed to.
"""

from sim.world import Flow, World, pump, threshold

from pystack._fast.consts import CC_CUBIC, CC_NEWRENO, MS, SECOND

LOSSES = (0.0, 0.001, 0.01, 0.03, 0.1)
BUFFERS = (4096, 16384, 65536, 262144)
CONTROLS = (("newreno", CC_NEWRENO), ("cubic", CC_CUBIC))
SIZE = 1_000_000


def goodput(control: int, loss: float, buffer: int, size: int = SIZE) -> int:
    """kbit/s of one transfer."""
    knobs = {
        "tcp_cc": control, "tcp_recvspace": buffer, "tcp_recvbuf_auto": 0, "tcp_sendspace": 262144,
        "tcp_sendbuf_auto": 0, "tcp_tso": 0,
    }  # fmt: skip
    world = World(
        "freebsd-14",
        "freebsd-14",
        11,
        knobs,
        delay=20 * MS,
        rate=10_000_000,
        queue_packets=50,
        loss=threshold(loss),
    )
    client, server = world.connect()
    begin = world.now
    up, down = Flow(world.a, client, size, 1), Flow(world.b, server, 0, 2)
    assert pump(world, up, down, 3600)
    assert up.into.digest() == up.out.digest()
    return size * 8 * SECOND // (world.now - begin) // 1000


def table() -> str:
    lines = [f"{'control':8} {'loss':>6} " + " ".join(f"{b:>8}" for b in BUFFERS)]
    for name, control in CONTROLS:
        for loss in LOSSES:
            cells = [f"{goodput(control, loss, b):>8}" for b in BUFFERS]
            lines.append(f"{name:8} {loss:>6} " + " ".join(cells))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
