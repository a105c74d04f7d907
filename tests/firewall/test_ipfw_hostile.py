"""Whatever arrives, ipfw's tables hold no more than they may, and the machine goes on."""

import random
import struct

import pytest
from gateway import checksum

from pystack import Network
from pystack._fast import COMPILED

FW = "net.inet.ip.fw."
RULES = """
nat 1 config ip 198.51.100.1
pipe 1 config bw 1Mbit/s queue 3 mask src-ip 0x0000000f
add 100 check-state
add 200 nat 1 ip from 10.0.0.0/28 to any in
add 300 pipe 1 udp from any to any 53 in
add 400 allow tcp from any to any limit src-addr src-port 1
add 500 allow ip from any to any keep-state
""".strip().splitlines()
STATES, PARENTS = 7, 3
PACKETS = 1500 if COMPILED else 300


def hostile(rng):
    """A packet whose IP header is good, and little else; or nothing that is one."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(1, 64))
    protocol = rng.choice([1, 6, 6, 6, 17, 17, 47, 132, 255])
    source = rng.choice([0x0A000000 + rng.randrange(64), rng.randrange(1 << 32)])
    target = rng.choice([0xC6336401, rng.randrange(1 << 32)])
    options = rng.choice([b"", b"", b"", bytes((7, 7, 4, 0, 0, 0, 0, 0)), b"\x83\x03\0\0"])
    payload = rng.randbytes(rng.choice([0, 4, 8, 20, 40]))
    if protocol == 6 and rng.random() < 0.7:
        ports = rng.choice([80, rng.randrange(65536)]), rng.choice([80, rng.randrange(65536)])
        flags = rng.choice([2, 16, 17, 18, 4, rng.randrange(256)])
        payload = struct.pack(">HHIIBBHHH", *ports, 1, 1, 0x50, flags, 100, 0, 0) + payload
        pseudo = struct.pack(">IIBBH", source, target, 0, 6, len(payload))
        payload = payload[:16] + checksum(pseudo + payload) + payload[18:]
    if protocol == 17 and rng.random() < 0.7:
        payload = struct.pack(">HHHH", rng.randrange(65536), 53, 8 + len(payload), 0) + payload
    head = struct.pack(
        ">BBHHHBBHII",
        0x40 | 5 + len(options) // 4,
        rng.randrange(256),
        20 + len(options) + len(payload),
        rng.randrange(8),
        rng.choice([0, 0, 0, 0x2000, 0x2001, 0x00B9, 0x1FFF]),
        rng.randrange(256),
        protocol,
        0,
        source,
        target,
    )
    head += options
    return head[:10] + checksum(head) + head[12:] + payload


@pytest.mark.parametrize("profile", ["freebsd-7", "freebsd-10", "freebsd-14"])
def test_hostile_packets_make_no_more_than_the_tables_allow(profile):
    rng = random.Random(5)
    net = Network(seed=1)
    gw = net.host("gw", "198.51.100.1/24", profile=profile, forwarding=True)
    tap = net.tap("198.51.100.2/24")
    net.link(tap, gw)
    gw.sysctl[FW + "dyn_max"] = STATES
    if profile == "freebsd-14":
        gw.sysctl[FW + "dyn_parent_max"] = PARENTS
    for line in RULES:
        gw.ipfw(line)
    table = gw.ipfw.engine.table
    pipe = gw.ipfw.chain.pipes.pipes[1]
    apart = profile == "freebsd-14"  # states and parents
    room = STATES + (
        profile == "freebsd-7"
    )  # which looks once, and then adds a parent and its child
    most = parents = 0
    for _ in range(PACKETS):
        tap.send(hostile(rng))
        net.run(for_=rng.choice([10**4, 10**4, 10**4, 10**9]))
        assert table.count <= room
        assert table.parent_count <= (PARENTS if apart else room)
        assert gw.sysctl[FW + "dyn_count"] == table.count
        rows = gw.ipfw.states()
        limited = [row for row in rows if row[1] == "P"]
        assert len(limited) == table.parent_count
        assert len(rows) == table.count + (table.parent_count if apart else 0)
        assert sum(row[11] for row in limited) == sum(row[1] == "L" for row in rows)
        for line in pipe.lines.values():
            assert all(flow.waiting.count <= 3 for flow in line.flows.values())
        most, parents = max(most, table.count), max(parents, table.parent_count)
    assert (most, parents >= 3) == (room, True)  # they were full
    assert table.failures > 0
    assert len(pipe.lines) <= 16
    net.run(for_="400s")
    left = {row[1] for row in gw.ipfw.states()}
    if profile == "freebsd-10":  # a parent that got no child waits for somebody else to expire
        assert left <= {"P"}
    if profile == "freebsd-14":  # 7 forgets what it meets
        assert not left
