"""Two machines over a bad wire: every packet with its nanosecond, and what was left (test_twin_tcp.py)."""

import random
import sys

from sim.test_two_stacks import PROFILES, bad_wire
from sim.world import Flow, World, pump

from pystack._fast import commands

seed = int(sys.argv[1])
chance = random.Random(seed)
left, right = chance.choice(PROFILES), chance.choice(PROFILES)
world = World(left, right, seed, {}, **bad_wire(chance))


def tap(name):
    def say(now, p, reason):
        print(now, name, int(reason), p.to_bytes().hex())

    return say


for wire, name in zip(world.wires, "ab", strict=True):
    wire.tap = tap(name)
client, server = world.connect()
print(left, right, client, server)
if client is not None:
    up, down = Flow(world.a, client, 30_000, 1), Flow(world.b, server, 20_000, 2)
    print(pump(world, up, down, 2000), up.got, down.got, up.into.hexdigest(), down.into.hexdigest())
    for t in (client, server):
        names = "state cwnd ssthresh srtt rttvar rxtcur snd_una snd_max rcv_nxt ts_recent so_error".split()
        print([int(getattr(t, name)) for name in names])
    world.do(world.a, commands.tcp_close, client)
    world.do(world.b, commands.tcp_close, server)
world.run(1000)
for core in (world.a, world.b):
    print(
        [int(n) for n in core.stat.as_dict().values()],
        [int(n) for n in core.drops],
        core.now,
        core.pool.in_use,
    )
world.assert_clean()
