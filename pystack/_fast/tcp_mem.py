"""Linux: the memory of TCP's buffers, and what happens when all of them take too much (net.ipv4.tcp_mem).

    sent_memory        what the send queue of a connection takes: octets, and a head for each piece (sk_wmem_queued)
    account            a connection takes more or less now: the sum of all, in pages, and whether that is a pressure
    may_take           may it take so much more?

What was written lies in pieces of up to `piece_of` octets, each with a head of 832: that is counted against SO_SNDBUF,
not the octets alone, and it is looked at only when a piece is begun. So a buffer of 4,608 octets can hold 76,416.

Below tcp_mem[0] pages all is well; from tcp_mem[1] on there is pressure until it is well again, in which windows and
buffers do not grow and who has more than a fair share gets nothing; above tcp_mem[2] only who has nothing gets any.

Sources: Linux 6.18 net/core/sock.c (__sk_mem_raise_allocated) and net/ipv4/tcp.c by behaviour; the heads and pieces as
measured with a running 6.18 (SO_MEMINFO).
"""

import cython

from pystack._fast.consts import MIN_SNDBUF, MS
from pystack._fast.seq import add, after, before_eq, dist
from pystack._fast.tcb import TF_SND_AUTO_OFF, Stack, Tcb  # noqa: F401  (the types in the .pxd)

HEAD = 832
"""Octets of the head of a piece (skb)."""
LARGEST_PIECE = 65215

_HEAD = cython.declare(cython.int, HEAD)


def piece_of(t):
    """Octets of the largest piece that writes are made into: whole segments, at most half the peer's window."""
    half: cython.longlong = t.max_sndwnd // 2
    most: cython.int = LARGEST_PIECE
    if t.max_sndwnd > 1 and half < LARGEST_PIECE:
        most = half
    if t.maxseg <= 0:
        return most
    most -= most % t.maxseg
    return most if most > t.maxseg else t.maxseg


def sent_memory(t):
    """Octets of memory that the send queue takes."""
    queued: cython.int = t.sndq.cc
    unsent: cython.int
    pieces: cython.int = 0
    piece: cython.int
    if queued == 0:
        return 0
    unsent = queued - dist(t.snd_una, t.snd_nxt)
    if t.flight is not None:
        pieces = t.flight.rows
    if unsent > 0:
        piece = piece_of(t)
        pieces += (unsent + piece - 1) // piece
    if pieces == 0:
        pieces = 1
    return queued + pieces * _HEAD


def piece_room(t):
    """Octets that the last piece still takes: it has not been sent, and is no record of its own."""
    q = t.sndq
    end: cython.uint = add(t.snd_una, q.cc)
    begin: cython.uint = q.piece
    held: cython.int
    if before_eq(end, t.snd_max) or (q.records is not None and q.ends_record(end)):
        return 0
    if after(t.snd_max, begin):
        begin = t.snd_max
    held = dist(begin, end)
    return piece_of(t) - held if held < piece_of(t) else 0


def send_room(t):
    """Octets that a write may bring now: what the last piece has room for, and new pieces as long as memory is left."""
    q = t.sndq
    rest: cython.int = piece_room(t)
    left: cython.longlong = q.hiwat - sent_memory(t) - rest
    whole: cython.longlong = piece_of(t)
    pieces: cython.longlong = 0
    if left > 0:
        pieces = (left + whole + _HEAD - 1) // (whole + _HEAD)
    pieces = rest + pieces * whole
    return pieces if pieces < 0x7FFFFFFF else 0x7FFFFFFF


# --- all connections together ----------------------------------------------------------------------------------------


def memory_of_socket(t):
    """Octets of memory that a connection takes."""
    return sent_memory(t) + t.rcvq.rmem


def pages(octets):
    """Pages that so many octets are counted as."""
    return (octets + 4095) >> 12


def account(s, t):
    """The connection's buffers changed: the sum follows."""
    now: cython.longlong = pages(memory_of_socket(t))
    if now == t.mem_pages:
        return 0
    s.mem_pages += now - t.mem_pages
    t.mem_pages = now
    if s.mem_pages > s.mem_high:
        s.mem_high = s.mem_pages
    look(s, s.mem_pages)
    return 0


def look(s, allocated):
    """Is there pressure with so many pages?"""
    if s.mem_pressure:
        if allocated < s.cfg.tcp_mem_low:
            s.mem_pressure = False
            s.stat.mem_pressure_ms += (s.now - s.mem_since) // MS
    elif s.cfg.tcp_mem_pressure > 0 and allocated > s.cfg.tcp_mem_pressure:
        s.mem_pressure = True
        s.mem_since = s.now
        s.stat.mem_pressures += 1
    return 0


def refused(s):
    """There is too little memory for somebody: that is counted."""
    s.mem_failures += 1
    s.mem_failed_at = s.now
    return False


def fair(s, t):
    """If all sockets took as much as this one, would that be within the limit?"""
    mine: cython.longlong = pages(memory_of_socket(t))
    return s.cfg.tcp_mem_max > s.demux.used * mine


def may_receive(s, t, octets):
    """May a segment that takes so many octets be kept, as far as all connections together are concerned?"""
    allocated: cython.longlong
    if s.cfg.tcp_mem_max <= 0:
        return True
    allocated = s.mem_pages + pages(memory_of_socket(t) + octets) - t.mem_pages
    look(s, allocated)
    if allocated <= s.cfg.tcp_mem_max:
        if not s.mem_pressure or t.rcvq.rmem < s.cfg.tcp_rmem_min or fair(s, t):
            return True
    return refused(s)


def may_send(s, t, octets):
    """How many octets of a write of so many are taken, as far as all connections together are concerned."""
    allocated: cython.longlong
    memory: cython.int
    least: cython.longlong
    if s.cfg.tcp_mem_max <= 0:
        return octets
    memory = sent_memory(t)
    allocated = s.mem_pages + pages(memory_of_socket(t) + octets + _HEAD) - t.mem_pages
    look(s, allocated)
    if allocated <= s.cfg.tcp_mem_max:
        if not s.mem_pressure or memory < s.cfg.tcp_wmem_min or fair(s, t):
            return octets
    elif not t.t_flags & TF_SND_AUTO_OFF:
        # the buffer is made smaller, so that its writer waits for its own octets to be acknowledged
        least = memory >> 1
        if least < MIN_SNDBUF:
            least = MIN_SNDBUF
        if least < t.sndq.hiwat:
            t.sndq.hiwat = least
    refused(s)
    least = s.cfg.tcp_wmem_min - memory  # some progress is guaranteed
    if least <= 0:
        return 0
    return least if least < octets else octets
