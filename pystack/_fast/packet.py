"""One IPv4 packet inside a machine: header octets, parsed fields, the payload as a chain of mbufs.

A `Packet` is filled in place by a parser (`ip4`, `tcp_wire`, `udp_icmp`) or by whoever sends, and
handed down the line of hooks. The octets in `head` and the fields say the same thing: a hook that
changes a field of a packet that has been built patches `head` too, or builds again.
"""

from __future__ import annotations

from array import array

import cython

from pystack._fast import consts
from pystack._fast.consts import ROUTE_LOOSE, ROUTE_STRICT
from pystack._fast.wirebytes import be32, csum_add16, csum_fold

HEAD_ROOM = 128
"""Octets of `Packet.head`: the largest IP header (60), the largest TCP header (60), and 8 more."""

COOKIE_ROOM = 112
"""Where in `Packet.head` to put a TCP Fast Open cookie (at most 16 octets) for `tcp_wire.build`."""

_TCP = cython.declare(cython.int, consts.PROTO_TCP)
_UDP = cython.declare(cython.int, consts.PROTO_UDP)
_ICMP = cython.declare(cython.int, consts.PROTO_ICMP)


@cython.final
@cython.cclass
class Packet:
    """A packet and all that is known about it. Numbers are host order, lengths are octets.

    - `head[:head_len]`: the IP header (`ip_len` octets, options included), then the L4 header: TCP
      with its options, 8 octets of UDP or ICMP, nothing for a fragment or another protocol.
      `head16` is the same memory in words of the machine.
    - `m`, `length`: the payload behind `head`, a chain of `pool` (0 = none). In the octets that a
      parser read, the payload begins `head_len` octets after the packet's first.
    - `gso_size`: 0, or the TCP payload that each packet cut from this super-segment is to carry.
    - `csum_ok`: the L4 checksum is known good, or is left to whoever needs the octets; its field in
      `head` then means nothing. `csum_none`: UDP without a checksum, none is to be written.
    - `nexthop`: the neighbour that it is given to, set by routing.
    - `frag_off` in octets; `total` is the IP total length.
    - `win`, `urg` raw. `opt_mss`, `opt_wscale`, `tfo_off` are -1 where there is no such option.
      `sack` holds `sack_n` pairs left, right. `tfo_off`, `tfo_len`: the cookie's place in `head`
      (length 0: a request for a cookie).
    - `ct`: the flow that netfilter's hooks hold for the packet (a row, 0 = none), `ct_way` its
      direction there (0 original, 1 reply), `ct_state` what the packet is to it (`nf_consts.CTS_*`),
      `ct_zone` the zone that a rule gave, `ct_template` what else a flow that it begins gets from
      there (`nf_consts.CT_*`), `ct_hash` the hash of its key where it is known.
    - `mark`: netfilter's mark.
    - `drop`: `consts.Drop`. `iface_in`, `iface_out`: interface
      numbers, -1 = none.
    - `home`: the queue that `release` puts it in. `next`, `queued` belong to the queue it is in.
    """

    def __init__(self, home: PacketQueue | None = None) -> None:
        octets = bytearray(HEAD_ROOM)
        self.head = memoryview(octets)
        self.head16 = memoryview(octets).cast("H")
        self.sack = memoryview(array("I", [0] * 8))
        self.pool = None
        self.next = None
        self.home = home
        self.queued = False
        self.clear()

    @cython.exceptval(check=False)
    def clear(self) -> cython.void:
        """Every field as in a new packet. Does not free the payload: see `release`."""
        self.head_len = 0
        self.ip_len = 20
        self.m = 0
        self.length = 0
        self.gso_size = 0
        self.csum_ok = False
        self.csum_none = False
        self.iface_in = -1
        self.iface_out = -1
        self.src = 0
        self.dst = 0
        self.nexthop = 0
        self.proto = 0
        self.tos = 0
        self.ttl = 64
        self.ip_id = 0
        self.frag_off = 0
        self.total = 0
        self.df = False
        self.mf = False
        self.sport = 0
        self.dport = 0
        self.icmp_type = 0
        self.icmp_code = 0
        self.icmp_rest = 0
        self.seq = 0
        self.ack = 0
        self.flags = 0
        self.win = 0
        self.urg = 0
        self.opt_mss = -1
        self.opt_wscale = -1
        self.opt_sack_ok = False
        self.opt_ts = False
        self.opt_md5 = False
        self.ts_val = 0
        self.ts_ecr = 0
        self.sack_n = 0
        self.tfo_off = -1
        self.tfo_len = 0
        self.tfo_exp = False
        self.drop = 0
        self.mark = 0
        self.ct = 0
        self.ct_way = 0
        self.ct_state = 0
        self.ct_zone = 0
        self.ct_template = 0
        self.ct_hash = 0

    @cython.exceptval(check=False)
    def drop_payload(self) -> cython.void:
        """Free the payload chain."""
        if self.m != 0:
            self.pool.free_chain(self.m)
            self.m = 0
        self.length = 0

    @cython.exceptval(check=False)
    def release(self) -> cython.void:
        """Free the payload and go home. The packet may be used again at once."""
        if self.m != 0:
            self.pool.free_chain(self.m)
            self.m = 0
        self.length = 0
        if self.home is not None:
            self.home.push(self)

    @cython.exceptval(check=False)
    def checksum_at(self) -> cython.int:
        """Where in `head` the L4 checksum is; 0: a fragment, another protocol, UDP without one."""
        at: cython.int = 0
        if self.mf or self.frag_off != 0:
            return 0
        if self.proto == _TCP:
            at = self.ip_len + 16
        elif self.proto == _UDP:
            if not self.csum_none:
                at = self.ip_len + 6
        elif self.proto == _ICMP:
            at = self.ip_len + 2
        return at if at + 2 <= self.head_len else 0

    @cython.exceptval(check=False)
    def pseudo_sum(self) -> cython.uint:
        """Running sum of the pseudo-header of TCP and UDP, from the fields; 0 for ICMP.

        It is what VIRTIO_NET_HDR_F_NEEDS_CSUM wants in the checksum field (RFC 9293 section 3.1).
        """
        acc: cython.uint
        dst: cython.uint = self.dst
        if self.proto == _ICMP:
            return 0
        if self.ip_len > 20:
            dst = self.last_stop()
        acc = (self.src >> 16) + (self.src & 0xFFFF) + (dst >> 16) + (dst & 0xFFFF)
        acc += self.proto + (self.head_len - self.ip_len + self.length)
        acc = (acc & 0xFFFF) + (acc >> 16)
        return (acc & 0xFFFF) + (acc >> 16)

    @cython.exceptval(check=False)
    def route_at(self) -> cython.int:
        """Where in `head` a source route stands that has a length and a pointer that can be; 0: nowhere."""
        i: cython.int = 20
        while i < self.ip_len and self.head[i] != 0:
            if self.head[i] == 1:
                i += 1
                continue
            if i + 2 >= self.ip_len or self.head[i + 1] < 2:
                return 0
            if self.head[i] == ROUTE_LOOSE or self.head[i] == ROUTE_STRICT:
                fits: cython.bint = self.head[i + 1] >= 3 and i + self.head[i + 1] <= self.ip_len
                return i if fits and self.head[i + 2] >= 4 else 0
            i += self.head[i + 1]
        return 0

    @cython.exceptval(check=False)
    def last_stop(self) -> cython.uint:
        """Where the packet goes in the end: the last address of a source route that is not complete yet, or `dst`."""
        at: cython.int = self.route_at()
        if at == 0 or self.head[at + 2] + 3 > self.head[at + 1]:
            return self.dst
        return be32(self.head, at + self.head[at + 1] - 4)

    @cython.exceptval(check=False)
    def l4_checksum(self) -> cython.uint:
        """The value for the L4 checksum field over `head` and the chain, whatever stands there now.

        0 where there is no such field (`checksum_at`).
        """
        at: cython.int = self.checksum_at()
        acc: cython.uint
        if at == 0:
            return 0
        # around the field, which is even as every header length is
        acc = csum_add16(self.head16, self.ip_len >> 1, (at - self.ip_len) >> 1, self.pseudo_sum())
        acc = csum_add16(self.head16, (at >> 1) + 1, (self.head_len - at - 2) >> 1, acc)
        if self.m != 0:
            acc = self.pool.checksum(self.m, 0, self.length, acc, False)
        acc = csum_fold(acc)
        if acc == 0 and self.proto == _UDP:
            acc = 0xFFFF  # 0 would say "no checksum" (RFC 768)
        return acc

    @cython.exceptval(check=False)
    def copy_headers(self, other: Packet) -> cython.void:
        """Take over head, fields and marks of `other`.

        Not its payload, `gso_size`, `home` or place in a queue.
        """
        i: cython.int
        for i in range(other.head_len):
            self.head[i] = other.head[i]
        for i in range(8):
            self.sack[i] = other.sack[i]
        self.head_len = other.head_len
        self.ip_len = other.ip_len
        self.pool = other.pool
        self.csum_ok = other.csum_ok
        self.csum_none = other.csum_none
        self.iface_in = other.iface_in
        self.iface_out = other.iface_out
        self.src = other.src
        self.dst = other.dst
        self.nexthop = other.nexthop
        self.proto = other.proto
        self.tos = other.tos
        self.ttl = other.ttl
        self.ip_id = other.ip_id
        self.frag_off = other.frag_off
        self.total = other.total
        self.df = other.df
        self.mf = other.mf
        self.sport = other.sport
        self.dport = other.dport
        self.icmp_type = other.icmp_type
        self.icmp_code = other.icmp_code
        self.icmp_rest = other.icmp_rest
        self.seq = other.seq
        self.ack = other.ack
        self.flags = other.flags
        self.win = other.win
        self.urg = other.urg
        self.opt_mss = other.opt_mss
        self.opt_wscale = other.opt_wscale
        self.opt_sack_ok = other.opt_sack_ok
        self.opt_ts = other.opt_ts
        self.opt_md5 = other.opt_md5
        self.ts_val = other.ts_val
        self.ts_ecr = other.ts_ecr
        self.sack_n = other.sack_n
        self.tfo_off = other.tfo_off
        self.tfo_len = other.tfo_len
        self.tfo_exp = other.tfo_exp
        self.drop = other.drop
        self.mark = other.mark

    def to_bytes(self) -> bytes:
        """The packet as it would stand on the wire. The packet itself does not change.

        With `csum_ok` the L4 checksum is computed; without, the field is as it stands in `head`
        (a corrupted packet stays corrupted).
        """
        head = bytearray(self.head[: self.head_len])
        at = self.checksum_at()
        if self.csum_ok and at:
            head[at : at + 2] = self.l4_checksum().to_bytes(2, "big")
        if self.m:
            return bytes(head) + self.pool.to_bytes(self.m, 0, self.length)
        return bytes(head)


@cython.final
@cython.cclass
class PacketQueue:
    """Packets in the order of their arrival, linked through `Packet.next`.

    A packet is in one queue at most.
    """

    def __init__(self) -> None:
        self.first = None
        self.last = None
        self.count = 0

    @cython.exceptval(check=False)
    def push(self, p: Packet) -> cython.void:
        """Append `p`, which must be in no queue."""
        assert not p.queued
        p.queued = True
        p.next = None
        if self.last is None:
            self.first = p
        else:
            self.last.next = p
        self.last = p
        self.count += 1

    def pop(self) -> Packet:
        """The oldest packet, or None."""
        p: Packet = self.first
        if p is None:
            return None
        self.first = p.next
        if self.first is None:
            self.last = None
        p.next = None
        p.queued = False
        self.count -= 1
        return p

    def take_free(self) -> Packet:
        """A cleared packet that comes home to this queue: a used one, or a new one."""
        p: Packet = self.pop()
        if p is None:
            p = Packet(self)
        else:
            p.clear()
        return p
