"""What an application can ask of a datagram socket, without blocking: UDP, and ICMP echo as Linux's ping sockets.

Each call answers a count or 0, or the negative of an error (consts.Err), as in `commands`. Sending takes the whole
datagram at once or refuses it. Sources: RFC 768, RFC 1122 section 4.1, FreeBSD netinet/udp_usrreq.c.
"""

import cython

from pystack._fast import udp_icmp
from pystack._fast.consts import (
    CALLS_LINUX,
    EV_WRITE,
    ICMP_ECHO,
    MBUF_SHORTAGE_SLEEP,
    PROTO_UDP,
    SOCKBUF_LINUX,
    Err,
)
from pystack._fast.internet import Internet  # noqa: F401
from pystack._fast.packet import Packet
from pystack._fast.ports import port_range
from pystack._fast.tcb import SO_BROADCAST, SO_REUSEADDR, SO_REUSEPORT
from pystack._fast.udp import DatagramSocket

EACCES = int(Err.EACCES)
EPERM = int(Err.EPERM)
EADDRINUSE = int(Err.EADDRINUSE)
EADDRNOTAVAIL = int(Err.EADDRNOTAVAIL)
EAGAIN = int(Err.EAGAIN)
EDESTADDRREQ = int(Err.EDESTADDRREQ)
EINVAL = int(Err.EINVAL)
EMSGSIZE = int(Err.EMSGSIZE)
ENETUNREACH = int(Err.ENETUNREACH)
ENOBUFS = int(Err.ENOBUFS)
ENOTCONN = int(Err.ENOTCONN)
EPIPE = int(Err.EPIPE)

MAX_PAYLOAD = 65507
"""65535 less an IP header and a UDP or ICMP header."""
ECHO_HEAD = 8
_BROADCAST = cython.declare(cython.uint, 0xFFFFFFFF)


def new_datagram(s, proto):
    """A socket for PROTO_UDP or PROTO_ICMP with the defaults of the knobs; None when there are maxsockets already."""
    cfg = s.cfg
    if not s.demux.take_other(s.now):
        s.no_sockets()
        return None
    if cfg.policy_sockbuf == SOCKBUF_LINUX:
        d = DatagramSocket(proto, cfg.rmem_default, cfg.ip_ttl)
        d.sndbuf = cfg.wmem_default
    else:
        d = DatagramSocket(proto, cfg.udp_recvspace, cfg.ip_ttl)
        d.sndbuf = cfg.udp_maxdgram
    return d


def table_of(s, d):
    """Where sockets of this protocol are found: by local port, or by identifier of an echo."""
    return s.udp if d.proto == PROTO_UDP else s.echo


def conflict(s, d, addr, port):
    """Does another socket's use of the port forbid this bind?"""
    other: DatagramSocket = table_of(s, d).get(port)
    while other is not None:
        if d.so_options & other.so_options & (SO_REUSEPORT | SO_REUSEADDR):
            pass
        elif addr == 0 or other.laddr == 0 or addr == other.laddr:
            return True
        other = other.next
    return False


def free_port(s, d, addr):
    """A port that the socket may be bound to, from anywhere in its range upwards; 0 when there is none. Datagrams have
    ports of their own, and never count as connections in a hurry.
    """
    first: cython.int
    last: cython.int
    port: cython.int
    first, last = port_range(s, d.so_options)
    if first > last:
        first, last = last, first
    port = first + s.rng.below(last - first) if last > first else last
    for _i in range(last - first + 1):
        port += 1
        if port > last:
            port = first
        if not s.demux.map.is_reserved(port) and not conflict(s, d, addr, port):
            return port
    s.port_failed()
    return 0


def datagram_bind(s, d, addr, port):
    """bind(2): address 0 for any, port 0 for one that the machine chooses."""
    if d.lport != 0 or d.closed:
        return -EINVAL
    if addr != 0 and not s.is_local(addr) and not s.is_broadcast(addr):
        return -EADDRNOTAVAIL
    if port == 0:
        port = free_port(s, d, addr)
        if port == 0:
            return -EADDRNOTAVAIL if s.cfg.policy_sockbuf != SOCKBUF_LINUX else -EADDRINUSE
    elif conflict(s, d, addr, port):
        return -EADDRINUSE
    d.laddr = addr
    d.lport = port
    table = table_of(s, d)
    d.next = table.get(port)
    table[port] = d
    return 0


def datagram_connect(s, d, addr, port):
    """connect(2): only what comes from there is received, and where `send` goes. Address 0 ends it."""
    err: cython.int
    if d.closed:
        return -EINVAL
    if addr == 0:
        d.faddr = 0
        d.fport = 0
        return 0
    if s.source_for(addr) == 0:
        return -ENETUNREACH
    err = prepare(s, d, addr)
    if err < 0:
        return err
    d.faddr = addr
    d.fport = port
    return 0


def prepare(s, d, addr):
    """May the socket send there? It has a port from now on."""
    if s.is_broadcast(addr) and not d.so_options & SO_BROADCAST:
        return -EACCES
    return datagram_bind(s, d, 0, 0) if d.lport == 0 else 0


def datagram_send(s, d, data, off, n, addr, port):
    """sendto(2) of data[off:off+n]; address 0: where the socket is connected to.

    An ICMP socket is given the message with its 8 octets of header, an echo request; identifier and checksum are
    filled in.
    """
    err: cython.int
    skip: cython.int = 0
    if d.cantsend or d.closed:
        return -EPIPE
    if d.error != 0:
        err = d.error
        d.error = 0
        return -err
    if addr == 0:
        if d.faddr == 0:
            return -EDESTADDRREQ
        addr = d.faddr
        port = d.fport
    if d.proto == PROTO_UDP:
        if port == 0:
            return -EADDRNOTAVAIL
        if n > MAX_PAYLOAD or (n > d.sndbuf and s.cfg.policy_sockbuf != SOCKBUF_LINUX):
            return -EMSGSIZE
    else:
        if n < ECHO_HEAD or data[off] != ICMP_ECHO or data[off + 1] != 0:
            return -EINVAL
        if n > MAX_PAYLOAD + ECHO_HEAD:
            return -EMSGSIZE
        skip = ECHO_HEAD
    err = prepare(s, d, addr)
    if err < 0:
        return err
    src: cython.uint = d.laddr if d.laddr != 0 else s.source_for(addr)
    if src == 0:
        return -ENETUNREACH
    p: Packet = s.packet()
    if n > skip:
        s.pool.wait = s.cfg.policy_mbuf_shortage == MBUF_SHORTAGE_SLEEP
        p.m = s.pool.new_chain(data, off + skip, n - skip)
        s.pool.wait = False
        if p.m == 0 or s.pool.chain_length(p.m) < n - skip:
            p.release()
            return -ENOBUFS
        p.length = n - skip
    p.proto = d.proto
    p.src = src
    p.dst = addr
    p.ttl = d.ttl
    p.tos = d.tos
    p.csum_ok = True
    if s.is_broadcast(addr):
        s.ipstat.bcast_out += 1
    if d.proto == PROTO_UDP:
        p.sport = d.lport
        p.dport = port
        p.csum_none = not s.cfg.udp_checksum
        s.ipstat.udp_opackets += 1
        udp_icmp.build_udp(p)
    else:
        ident: cython.uint = d.lport
        high: cython.uint = data[off + 6]
        low: cython.uint = data[off + 7]
        p.icmp_type = ICMP_ECHO
        p.icmp_code = 0
        p.icmp_rest = (ident << 16) | (high << 8) | low
        s.ipstat.icmp_out[ICMP_ECHO] += 1
        udp_icmp.build_icmp(p)
    refusals: cython.uint = s.refusals
    err = s.output(p)
    if err > 0:
        return -err
    if s.refusals != refusals:
        return -(EPERM if s.cfg.policy_calls == CALLS_LINUX else EACCES)
    return n


def datagram_readable(d):
    """What receiving would do now: 1, a datagram waits; 0, the end; or a negative error."""
    if d.queue.count > 0:
        return 1
    if d.error != 0:
        return -d.error
    return 0 if d.cantrecv or d.closed else -EAGAIN


def datagram_receive(s, d, n, peek):
    """recvfrom(2): (bytes, address, port, octets that the datagram had), or a negative error as int.

    What does not fit in `n` is lost. The end is (b"", 0, 0, 0).
    """
    if d.queue.count == 0:
        err = datagram_readable(d)
        d.error = 0
        return err if err < 0 else (b"", 0, 0, 0)
    p: Packet = d.queue.first if peek else d.queue.pop()
    if d.proto == PROTO_UDP:
        data = p.pool.to_bytes(p.m, 0, min(n, p.length)) if p.m and n > 0 else b""
        size = p.length
    else:
        head = bytes((p.icmp_type, p.icmp_code, 0, 0)) + p.icmp_rest.to_bytes(4, "big")
        body = p.pool.to_bytes(p.m, 0, p.length) if p.m else b""
        data = (head + body)[:n]
        size = p.length + ECHO_HEAD
    out = data, p.src, p.sport, size
    if not peek:
        if d.proto == PROTO_UDP:
            s.ipstat.udp_read += 1
        d.cc -= p.length
        p.release()
    return out


def datagram_shutdown(s, d, how):
    """shutdown(2): 0 receiving, 1 sending, 2 both."""
    if how < 0 or how > 2:
        return -EINVAL
    if d.faddr == 0:
        return -ENOTCONN
    if how != 1:
        d.cantrecv = True
    if how != 0:
        d.cantsend = True
    s.wakeup_datagram(d, 1 | EV_WRITE)
    return 0


def datagram_close(s, d):
    """close(2): what waits is lost, the port is free."""
    if d.closed:
        return 0
    d.closed = True
    s.demux.others -= 1
    d.wanted = 0
    d.handler = None
    while d.queue.count > 0:
        p: Packet = d.queue.pop()
        p.release()
    d.cc = 0
    if d.lport != 0:
        table = table_of(s, d)
        first: DatagramSocket = table.get(d.lport)
        if first is d:
            if d.next is None:
                del table[d.lport]
            else:
                table[d.lport] = d.next
        else:
            while first.next is not d:
                first = first.next
            first.next = d.next
        d.next = None
        d.lport = 0
    return 0
