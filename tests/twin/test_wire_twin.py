"""A wire with everything on, at both speeds: the same octets at the same nanoseconds, the same hash."""

from twin.twin import assert_twins

SCRIPT = """
from hashlib import sha256

from pystack._fast.consts import NEVER
from pystack._fast.trace import Trace
from pystack.link import Burst, Link
from wire_kit import MSS, Maker

make = Maker()
trace = Trace()
link = Link(
    "web", "client", seed=11, number=2, trace=trace, delay="5ms", jitter="300us",
    bandwidth="10Mbit/s", queue=10, loss=0.02, burst=Burst(0.01, 0.3), reorder=0.05,
    reorder_delay="400us", duplicate=0.03, corrupt=0.05, mtu=1500,
)
link.backward.update(bandwidth=0, queue=None, delay="1ms")


def drain(until):
    while True:
        way = min(link.ways(), key=lambda way: way.wire.next_time())
        now = way.wire.next_time()
        if now > until:
            return
        p = way.wire.deliver(now)
        if p is not None:
            octets = p.to_bytes()
            print(now, way.name, p.csum_ok, p.gso_size, len(octets), sha256(octets).hexdigest()[:12])
            p.release()


now = 0
for i in range(60):
    now += 700_000 + 13 * i
    link.forward.wire.send(make.tcp(i * 97 % 15_000, seq=i * 100_000, gso=MSS), now)
    link.backward.wire.send(make.tcp(i % 3 * 10, seq=i), now + 1)
    if i == 20:
        link.partition("backward")
    if i == 30:
        link.heal()
        link.forward.bandwidth = "1Gbit/s"
    if i == 40:
        link.loss = 0
    drain(now)
drain(NEVER - 1)
for way in link.ways():
    print(way, way.counters)
print(trace.packets, trace.hexdigest(), make.pool.in_use)
"""


def test_a_scripted_run_is_the_same_at_both_speeds():
    output = assert_twins(SCRIPT)
    for name in (b"LINK_QUEUE", b"LINK_LOSS", b"LINK_PARTITION"):
        assert name in output
