"""What must hold in a machine after every step, whatever it was sent (`check`), and after a day of silence (`at_rest`).

The deep checks read what only the interpreted classes show: chains, islands, fragments, the rows of the pool.
"""

import struct

from fuzz import octets
from mbuf_audit import audit, rows_of

import pystack._fast as fast
from pystack._fast import consts
from pystack._fast.core import Core
from pystack._fast.seq import dist
from pystack._fast.tcb import TF_ACKNOW, TF_DELACK, TF_NOPUSH

STATES = 11
NEVER = consts.NEVER


def packets(queue) -> list:
    """The packets of a PacketQueue, oldest first (interpreted)."""
    found, p = [], queue.first
    while p is not None:
        found.append(p)
        p = p.next
    return found


def connections(core: Core, held: list) -> list:
    """All that live on the machine or that the application holds, each once."""
    seen = {id(t): t for t in core.tcbs if t is not None}
    seen |= {id(t): t for t in held}
    for t in list(seen.values()):
        child = t.accept_first
        while child is not None:
            seen[id(child)] = child
            child = child.accept_next
    return list(seen.values())


def heads(core: Core, held: list, datagrams: list) -> list[int]:
    """Every chain that somebody owns."""
    chains = [core.land.m]
    for t in connections(core, held):
        chains += [t.sndq.head, t.rcvq.head]
        if t.reass is not None:
            chains += [t.reass.head[i] for i in range(t.reass.n)]
    for d in datagrams:
        chains += [p.m for p in packets(d.queue)]
    for queue in (core.txq, core.loop):
        chains += [p.m for p in packets(queue) if p.pool is core.pool]
    for waiting in core.frags._waiting.values():
        chains += [waiting.chain[i] for i in range(waiting.count)]
    return [m for m in chains if m]


def length_of(core: Core, head: int) -> int:
    sizes = core.pool.column("m_len")
    return sum(sizes[m] for m in rows_of(core.pool, head))


def check_connection(core: Core, t) -> None:
    """One connection's own numbers."""
    assert 0 <= t.state < STATES
    assert t.state != consts.TIME_WAIT, "TIME_WAIT is a row, not a connection"
    if t.row == 0:
        assert t.state == consts.CLOSED
        assert t.sndq.cc == 0
        return
    assert core.tcbs[t.row] is t
    if t.state <= consts.LISTEN:
        return
    flight = dist(t.snd_una, t.snd_max)
    assert dist(t.snd_una, t.snd_nxt) >= 0, "SND.NXT before SND.UNA"
    assert dist(t.snd_nxt, t.snd_max) >= 0, "SND.NXT beyond SND.MAX"
    assert dist(t.iss, t.snd_una) >= 0 or dist(t.iss, t.snd_max) < 0
    controls = (t.snd_una == t.iss) + 1
    assert flight <= t.sndq.cc + controls, "sent what was never written"
    if t.state >= consts.ESTABLISHED:
        owed = t.t_flags & (TF_ACKNOW | TF_DELACK)
        assert owed or dist(t.rcv_nxt, t.rcv_adv) >= 0, "the window was drawn back"
        assert dist(t.rcv_nxt, t.rcv_adv) <= 65535 << 14
        assert t.maxseg > 0
        assert t.cwnd > 0
    first = min(t.at_rexmt, t.at_persist, t.at_keep, t.at_2msl, t.at_delack)
    if first < NEVER:
        assert core.wheel.armed(t.timer), "a timer that nobody will fire"
        assert t.timer_at <= first
    if flight and t.state != consts.FIN_WAIT_2:
        assert min(t.at_rexmt, t.at_persist) < NEVER, "nothing would ever send it again"
    elif t.sndq.cc and t.state in (consts.ESTABLISHED, consts.CLOSE_WAIT):
        corked = t.t_flags & TF_NOPUSH
        assert corked or min(t.at_rexmt, t.at_persist) < NEVER, "written data waits for nothing"
    if t.state in (consts.SYN_SENT, consts.SYN_RECEIVED):
        assert first < NEVER, "a handshake without an end"


def check_deep(core: Core, held: list, datagrams: list) -> None:
    """Queues, islands, accept queues and the pool, row by row."""
    for t in connections(core, held):
        for q in (t.sndq, t.rcvq):
            assert length_of(core, q.head) == q.cc, "a queue and its chain differ"
        if t.reass is not None:
            edge = t.rcv_nxt
            assert t.reass.n > 0
            for left, right in t.reass.ranges():
                assert dist(edge, left) > 0, "islands touch, or lie below RCV.NXT"
                assert dist(left, right) > 0
                edge = right
            total = sum(dist(left, right) for left, right in t.reass.ranges())
            assert t.reass.octets == total
            chains = [t.reass.head[i] for i in range(t.reass.n)]
            assert sum(length_of(core, m) for m in chains) == total
        if t.state == consts.LISTEN:
            waiting, child = 0, t.accept_first
            while child is not None:
                waiting, child = waiting + 1, child.accept_next
            assert waiting == t.qlen
    half_open = sum(t.synqlen for t in core.tcbs if t is not None)
    assert half_open == core.listeners.cache.used
    audit(core.pool, heads(core, held, datagrams))


def check(core: Core, held: list, datagrams: list) -> None:
    """All that must hold between two calls."""
    for t in core.tcbs:
        if t is not None:
            check_connection(core, t)
    for t in held:
        if t.row == 0:
            check_connection(core, t)
    states = list(core.states)
    assert min(states) >= 0, states
    waiting = [row["state"] for row in core.timewait.rows()]
    assert waiting.count(consts.TIME_WAIT) == states[consts.TIME_WAIT]
    assert sum(states) == core.demux.used + core.timewait.used == core.demux.used + len(waiting)
    if not fast.COMPILED:
        check_deep(core, held, datagrams)


def at_rest(core: Core, listeners: list) -> None:
    """All is closed but the listeners, and time has passed."""
    left = {consts.STATE_NAMES[i]: n for i, n in enumerate(core.states) if n}
    assert left == ({"LISTEN": len(listeners)} if listeners else {}), left
    assert core.timewait.used == 0
    assert core.listeners.cache.used == 0
    assert core.frags.waiting() == 0
    assert core.next_deadline() == NEVER, "a timer for nobody"
    if not fast.COMPILED:
        kept = sum(core.demux.port_use)
        assert kept == len(listeners), "a port that nobody uses is in use"
        assert min(core.demux.port_use) >= 0
    core.close()
    assert core.pool.in_use == 0, f"{core.pool.in_use} mbufs leaked"


def check_wire(data: bytes) -> None:
    """What a machine sends, read by somebody strict."""
    size = (data[0] & 15) * 4
    assert data[0] >> 4 == 4
    assert 20 <= size <= len(data)
    assert octets.checksum(data[:size]) == 0, "IP header checksum"
    total, frag = struct.unpack_from(">2xH2xH", data)
    assert total == len(data), "total length"
    if frag & 0x3FFF:
        return
    src, dst = struct.unpack_from(">II", data, 12)
    body = data[size:]
    if data[9] in (octets.TCP, octets.UDP):
        if data[9] == octets.UDP and body[6:8] == b"\0\0":
            return
        pseudo = struct.pack(">IIBBH", src, dst, 0, data[9], len(body))
        assert octets.checksum(pseudo + body) == 0, "L4 checksum"
        if data[9] == octets.TCP:
            assert 20 <= (body[12] >> 4) * 4 <= len(body)
            assert body[13] & 16 or body[8:12] == b"\0\0\0\0", "no ACK flag, no ACK field"
    elif data[9] == octets.ICMP:
        assert octets.checksum(body) == 0, "ICMP checksum"
