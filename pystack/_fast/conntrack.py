# cython: overflowcheck=False
# Jiffies wrap; the checked build must not stop them.

"""conntrack: to which flow a packet belongs, what that makes of the flow, and when flows end.

    conntrack_in(p, now)   first: the flow of a packet is found or begun, its tracker looks at it
    confirm(p, now)        last: a flow that was begun goes into the table
    forget(p)              instead: the packet goes no further, and nor does a flow that it began
    gc(now)                the worker that removes what has expired; `time_out`, for kernels with a timer for each flow

Between the first and the last a packet holds its flow (`Packet.ct`, a row) and says what it is to it
(`Packet.ct_state`, CTS_*; `Packet.ct_way`). What rules and NAT do in between does not concern this module.

Source: nf_conntrack_core.c and the trackers beside it; facts: conntrack 2 to 4.
"""

import cython

from pystack._fast.consts import (
    CT_TRACKER_3,
    CT_TRACKER_6,
    PROTO_GRE,
    PROTO_ICMP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
)
from pystack._fast.ct_extend import ConnExtend
from pystack._fast.ip4 import is_checksum_fault
from pystack._fast.nf_consts import (
    CLASH,
    CT_ACCEPT,
    CT_DROP,
    CT_INVALID,
    CT_MASKED,
    CT_REPEAT,
    CTS_ESTABLISHED,
    CTS_INVALID,
    CTS_NEW,
    CTS_RELATED,
    EVENT_DESTROY,
    EVENT_NEW,
    EVENT_UPDATE,
    H_STATUS,
    INV_FLAGS,
    INV_ICMP,
    IPCT_ASSURED,
    IPCT_DESTROY,
    IPCT_MARK,
    IPCT_NEW,
    IPCT_PROTOINFO,
    IPCT_REPLY,
    IPS_ASSURED,
    IPS_CONFIRMED,
    IPS_DYING,
    IPS_EXPECTED,
    IPS_SEEN_REPLY,
    JIFFY,
    O_STATE,
    TCPCT_CLOSE,
    TCPCT_CLOSE_WAIT,
    TCPCT_ESTABLISHED,
    TCPCT_FIN_WAIT,
    TCPCT_LAST_ACK,
    TCPCT_RETRANS,
    TCPCT_SYN_RECV,
    TCPCT_SYN_SENT,
    TCPCT_SYN_SENT2,
    TCPCT_TIME_WAIT,
    TCPCT_UNACK,
    W_LAST_SEQ,
    W_MARK,
    ZONE_ORIGINAL,
)
from pystack._fast.packet import Packet
from pystack._fast.tcp_track import TcpTracker
from pystack._fast.udp_icmp import Quote

_U32 = cython.declare(cython.uint, 0xFFFFFFFF)
_NO_CALL = cython.declare(cython.ulonglong, 0x10000)
"""GRE of version 1 that carries anything but PPP is INVALID."""
_gre = cython.declare(cython.uchar[::1], memoryview(bytearray(8)))
_ICMP_REPLY = cython.declare(
    cython.const[cython.uchar][::1],
    memoryview(
        bytes(
            {8: 1, 0: 9, 13: 15, 14: 14, 15: 17, 16: 16, 17: 19, 18: 18}.get(i, 0)
            for i in range(19)
        )
    ),
)
"""Type -> type of the other direction, 1 higher; 0: neither a question nor an answer."""


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def zone_of(zone: cython.int, way: cython.int) -> cython.int:
    """The zone of a packet (`Packet.ct_zone`) as that of a direction: 0 where it is the other's only."""
    if zone < ZONE_ORIGINAL or zone >> 16 == way + 1:
        return zone & 0xFFFF
    return 0


def ticks(ns):
    """A time of a knob in jiffies, as many as 32 bits hold; none for a time before now."""
    return max(0, min(ns // JIFFY, 0x7FFFFFFF))


@cython.final
@cython.cclass
class Conntrack(ConnExtend):
    """The flows of one machine, its counters (`conntrack -S`), its knobs and its worker.

    `listener(event, row)`, if there is one, is called for each event, and `moved` says then whether there is a new
    state; `complain(p, reason, number)` is called for each packet of the protocol that nf_conntrack_log_invalid names
    (INV_*). `refused` says that the table was full for the
    last packet: whoever has a log says so. Counters: `found` is NAT's, `inserted` the administrator's, `ignored` are
    packets that are tracked already or never.
    """

    def __init__(self, cfg, rng, now, wheel=None):
        ConnExtend.__init__(self, cfg, rng, now, wheel)
        self.tcp = TcpTracker(self)
        self.quote = Quote()
        self.listener = None
        self.late = {}
        self.moved = False
        self.complain = None
        self.refused = False
        self.found = 0
        self.invalid = 0
        self.inserted = 0
        self.insert_failed = 0
        self.drop = 0
        self.error = 0
        self.clash_resolve = 0
        self.chaintoolong = 0
        self.ignored = 0
        self.high_water = 0
        self.last_failure = 0
        self.configure()

    def configure(self):
        """What knobs say, taken over: call after a write. Flows keep the time that they have."""
        cfg = self.cfg
        t = self.tcp.timeouts
        t[TCPCT_SYN_SENT] = ticks(cfg.ct_tcp_syn_sent)
        t[TCPCT_SYN_RECV] = ticks(cfg.ct_tcp_syn_recv)
        t[TCPCT_ESTABLISHED] = ticks(cfg.ct_tcp_established)
        t[TCPCT_FIN_WAIT] = ticks(cfg.ct_tcp_fin_wait)
        t[TCPCT_CLOSE_WAIT] = ticks(cfg.ct_tcp_close_wait)
        t[TCPCT_LAST_ACK] = ticks(cfg.ct_tcp_last_ack)
        t[TCPCT_TIME_WAIT] = ticks(cfg.ct_tcp_time_wait)
        t[TCPCT_CLOSE] = ticks(cfg.ct_tcp_close)
        t[TCPCT_SYN_SENT2] = ticks(cfg.ct_tcp_syn_sent2)
        t[TCPCT_RETRANS] = ticks(cfg.ct_tcp_retrans)
        t[TCPCT_UNACK] = ticks(cfg.ct_tcp_unacknowledged)
        self.tcp.loose = cfg.ct_tcp_loose != 0
        self.tcp.liberal = cfg.ct_tcp_be_liberal != 0
        self.tcp.max_retrans = cfg.ct_tcp_max_retrans
        self.tcp.ignore_invalid_rst = cfg.ct_tcp_ignore_invalid_rst != 0
        self.tcp.old = cfg.policy_ct_tracker != CT_TRACKER_6
        self.tcp.old_table = cfg.policy_ct_tracker == CT_TRACKER_3
        self.udp = ticks(cfg.ct_udp)
        self.udp_stream = ticks(cfg.ct_udp_stream)
        self.udp_age = ticks(cfg.ct_udp_stream_age)
        self.icmp = ticks(cfg.ct_icmp)
        self.generic = ticks(cfg.ct_generic)
        self.gre = ticks(cfg.ct_gre)
        self.gre_stream = ticks(cfg.ct_gre_stream)
        self.extend()
        if cfg.ct_buckets != self.chain.buckets:
            self.resize(cfg.ct_buckets)

    @property
    def count(self):
        """Flows that there are: those that are begun and those that have expired unseen included."""
        return self.free.used

    def settle(self, now):
        """The present is `now`: before questions. Answers 0."""
        if now > self.now:
            self.now = now
        self.jiffies = cython.cast(cython.uint, (self.now // JIFFY) & _U32)
        return 0

    def set_mark(self, row, value, mask):
        """The mark of a flow: the bits of `mask` become those of `value`. Answers 0."""
        mark: cython.uint = self.word[(row << 4) + W_MARK]
        self.word[(row << 4) + W_MARK] = (mark & ~mask & _U32) | value
        return 0

    def create(self, addrs, ports, back, back_ports, status, state, timeout, mark):
        """A flow by hand (`conntrack -I`): its row, 0 if there is one of either key."""
        row = self.take()
        node = row << 1
        self.clean(row)
        self.set_key(node, addrs, ports, self.hash_of(addrs, ports))
        self.set_key(node + 1, back, back_ports, self.hash_of(back, back_ports))
        if self.find(addrs, ports, self.hashes[node]) or self.insert(row, 0) != 0:
            self.release(row)
            return 0
        self.refresh(row, timeout)
        self.half[(row << 5) + H_STATUS] = status & ~IPS_CONFIRMED & 0xFFFF
        self.octet[(row << 6) + O_STATE] = state
        self.word[(row << 4) + W_MARK] = mark
        self.start(row)
        self.born(row, self.now)
        self.inserted += 1
        self.tell(EVENT_NEW, row, self._news(row))
        return row

    # --- life ------------------------------------------------------------------------------------------------

    def tell(self, event, row, told):
        """An event of a flow, of these kinds (IPCT_*), to whoever listens, if the flow's rule wants one. Answers 0."""
        if self.listener is not None and self.wants(row, told):
            self.moved = told & IPCT_PROTOINFO != 0
            self.listener(event, row)
        return 0

    def note(self, row, told):
        """This has happened to the flow (IPCT_*): told when the packet leaves, all at once. Answers 0."""
        if self.listener is not None:
            self.late[row] = told | self.late.get(row, 0)
        return 0

    def removed(self, row):
        """As `ConnTable` has it."""
        if self.listener is not None:
            self.late.pop(row, None)
            self.tell(EVENT_DESTROY, row, IPCT_DESTROY)
        return ConnExtend.removed(self, row)

    # --- the first of the hooks ------------------------------------------------------------------------------

    def conntrack_in(self, p, now):
        """CT_ACCEPT: the packet goes on, `ct_state` says what it is. CT_DROP: there is no room for its flow."""
        verdict: cython.int
        if p.ct_state != 0:
            self.ignored += 1
            return CT_ACCEPT  # untracked by a rule, or it was here already
        self.now = now
        self.jiffies = cython.cast(cython.uint, (now // JIFFY) & _U32)
        self.refused = False
        if p.drop != 0 and self._faulty(p):
            return self._wrong(p) if p.proto == PROTO_ICMP else self._reject(p)
        if p.proto == PROTO_ICMP and p.head_len > p.ip_len:
            if p.icmp_type <= 12 and _IS_ERROR[p.icmp_type]:
                return self.icmp_error(p)
            if p.icmp_type > 18:
                if self.cfg.ct_log_invalid != 0:
                    self._say(p, INV_ICMP, 0)
                return self._wrong(p)
        verdict = self._look_up(p)
        if verdict != CT_ACCEPT:
            return verdict
        if p.ct == 0:
            return CT_ACCEPT  # invalid
        verdict = self._track(p)
        while verdict == CT_REPEAT:
            self.kill(p.ct)
            p.ct = 0
            verdict = self._look_up(p)
            if verdict != CT_ACCEPT or p.ct == 0:
                return verdict
            verdict = self._track(p)
        if verdict == CT_INVALID:
            if self.half[(p.ct << 5) + H_STATUS] & IPS_CONFIRMED == 0:
                self.release(p.ct)
            return self._reject(p)
        if p.ct_way == 1:
            status: cython.int = self.half[(p.ct << 5) + H_STATUS]
            if status & IPS_SEEN_REPLY == 0:
                self.half[(p.ct << 5) + H_STATUS] = status | IPS_SEEN_REPLY
                self.tcp.told |= IPCT_REPLY
        if self.tcp.told != 0 and self.listener is not None:
            if self.half[(p.ct << 5) + H_STATUS] & (IPS_CONFIRMED | IPS_DYING) == IPS_CONFIRMED:
                self.note(p.ct, self.tcp.told)
        return CT_ACCEPT

    @cython.exceptval(check=False)
    def _faulty(self, p):
        """Does the fault of its L4 part make the packet INVALID? A wrong checksum only where it is looked at."""
        return self.cfg.ct_checksum != 0 or not is_checksum_fault(p.drop)

    def _say(self, p, reason, number):
        """nf_conntrack_log_invalid: a line about a packet of this protocol, or of any (255). Answers 0."""
        wanted: cython.longlong = self.cfg.ct_log_invalid
        if self.complain is not None and (wanted == 255 or wanted == p.proto):
            self.complain(p, reason, number)
        return 0

    def _reject(self, p):
        """The packet is INVALID, and goes on."""
        p.ct = 0
        p.ct_state = CTS_INVALID
        self.invalid += 1
        return CT_ACCEPT

    def _wrong(self, p):
        """An ICMP message that belongs nowhere: INVALID, under a counter of its own."""
        p.ct_state = CTS_INVALID
        self.error += 1
        return CT_ACCEPT

    @cython.exceptval(check=False)
    def ports_of(self, p: Packet) -> cython.ulonglong:
        """The second word of the key of a packet."""
        ports: cython.ulonglong = 0
        if p.proto == PROTO_TCP or p.proto == PROTO_UDP or p.proto == PROTO_UDPLITE:
            ports = p.sport
            ports = ports << 16 | p.dport
        elif p.proto == PROTO_ICMP:
            ports = p.icmp_rest >> 16
            ports = ports << 16 | p.icmp_type << 8 | p.icmp_code
        elif p.proto == PROTO_GRE:
            ports = self._call_of(p)
        return ports << 32 | p.proto << 16 | zone_of(p.ct_zone, 0)

    @cython.exceptval(check=False)
    def _call_of(self, p: Packet) -> cython.ulonglong:
        """The key of GRE of version 1, which PPTP uses: the call that it belongs to. Others have none."""
        o: cython.uchar[::1] = _gre
        if p.m == 0 or p.length < 8 or p.head_len > p.ip_len:
            return 0
        p.pool.copy_out(p.m, 0, o, 0, 8)
        if o[1] & 7 != 1:
            return 0
        if o[2] != 0x88 or o[3] != 0x0B:
            return _NO_CALL
        return o[6] << 8 | o[7]

    @cython.exceptval(check=False)
    def turned(self, ports: cython.ulonglong) -> cython.ulonglong:
        """The second word of the key of the other direction; 0: there is none."""
        first: cython.ulonglong = ports >> 48
        second: cython.ulonglong = (ports >> 32) & 0xFFFF
        proto: cython.int = (ports >> 16) & 0xFF
        kind: cython.int
        if proto == PROTO_ICMP:
            kind = cython.cast(cython.int, second >> 8)
            if kind > 18 or _ICMP_REPLY[kind] == 0:
                return 0
            second = (_ICMP_REPLY[kind] - 1) << 8 | (second & 0xFF)
            return first << 48 | second << 32 | (ports & _U32)
        return second << 48 | first << 32 | (ports & _U32)

    def _node_of(self, p, addrs, ports, h):
        """The node of a key that was made with the zone of the original direction, or 0. Where the zone of a packet is
        that of one direction only, a reply has another key.
        """
        node: cython.int = self.find(addrs, ports, h)
        if p.ct_zone >= ZONE_ORIGINAL:
            if node != 0 and node & 1 == 0:
                return node
            ports = (ports >> 16) << 16 | zone_of(p.ct_zone, 1)
            node = self.find(addrs, ports, self.hash_of(addrs, ports))
            if node & 1 == 0:
                return 0
        return node

    def foresee(self, p):
        """The packet is one of a batch: its hash is computed before others are looked at."""
        addrs: cython.ulonglong = p.src
        p.ct_hash = self.hash_of(addrs << 32 | p.dst, self.ports_of(p))

    def _look_up(self, p):
        """The flow of the packet into `p.ct`, begun if there is none: CT_ACCEPT, or CT_DROP without room."""
        addrs: cython.ulonglong = p.src
        addrs = addrs << 32 | p.dst
        ports: cython.ulonglong = self.ports_of(p)
        h: cython.uint = p.ct_hash if p.ct_hash != 0 else self.hash_of(addrs, ports)
        node: cython.int
        status: cython.int
        if p.proto == PROTO_GRE and ports >> 48 != 0:
            return self._reject(p)
        node = self._node_of(p, addrs, ports, h)
        if node == 0:
            return self._begin(p, addrs, ports, h)
        p.ct = node >> 1
        p.ct_way = node & 1
        self.seen(p.ct)
        status = self.half[(p.ct << 5) + H_STATUS]
        if p.ct_way == 1 or status & IPS_SEEN_REPLY:
            p.ct_state = CTS_ESTABLISHED
        elif status & IPS_EXPECTED:
            p.ct_state = CTS_RELATED
        else:
            p.ct_state = CTS_NEW
        return CT_ACCEPT

    def _begin(self, p, addrs, ports, h):
        """A flow of its own for a packet that has none."""
        other: cython.ulonglong = self.turned(ports)
        back: cython.ulonglong = (addrs & _U32) << 32 | addrs >> 32
        row: cython.int
        node: cython.int
        if other == 0 or (p.proto == PROTO_ICMP and not _IS_QUESTION[p.icmp_type]):
            return self._reject(p)
        if self.cfg.ct_max != 0 and self.free.used >= self.cfg.ct_max:
            if not self._make_room(h):
                self.drop += 1
                self.refused = True
                self.last_failure = self.now
                self.gc_wanted = True
                return CT_DROP
        row = self.take()
        if self.free.used > self.high_water:
            self.high_water = self.free.used
        self.clean(row)
        if p.ct_template & CT_MASKED:
            self.want(row, p.ct_template)
        node = row << 1
        self.set_key(node, addrs, ports, h)
        if p.ct_zone >= ZONE_ORIGINAL:
            other = (other >> 16) << 16 | zone_of(p.ct_zone, 1)
        self.set_key(node + 1, back, other, self.hash_of(back, other))
        if p.proto == PROTO_TCP and not self.tcp.new(row, p):
            self.release(row)
            if self.tcp.reason == INV_FLAGS and self.cfg.ct_log_invalid != 0:
                self._say(p, INV_FLAGS, 0)
            return self._reject(p)
        p.ct = row
        p.ct_way = 0
        p.ct_state = CTS_NEW
        return CT_ACCEPT

    # --- the trackers ----------------------------------------------------------------------------------------

    def _track(self, p):
        """The tracker of its protocol looks at a packet of the flow `p.ct`."""
        verdict: cython.int = CT_ACCEPT
        row: cython.int = p.ct
        timeout: cython.int
        self.tcp.told = 0
        if p.proto == PROTO_TCP:
            verdict = self.tcp.packet(row, p.ct_way, p)
            if self.tcp.reason != 0 and self.cfg.ct_log_invalid != 0:
                self._say(p, self.tcp.reason, self.tcp.number)
            timeout = self.tcp.timeout
            if verdict == CT_INVALID and timeout >= 0:
                self.refresh(row, timeout)
                return verdict
            if verdict != CT_ACCEPT:
                return verdict
            if self.tcp.dead and self.half[(row << 5) + H_STATUS] & IPS_CONFIRMED:
                self.account(row, p)
                self.detach(row)  # and away at the last hook
                return CT_ACCEPT
        elif p.proto == PROTO_UDP or p.proto == PROTO_UDPLITE:
            timeout = self._datagram(row, self.udp, self.udp_stream)
        elif p.proto == PROTO_ICMP:
            timeout = self.icmp
        elif p.proto == PROTO_GRE:
            timeout = self.gre
            if self.half[(row << 5) + H_STATUS] & IPS_SEEN_REPLY:
                timeout = self.gre_stream
                self._assure(row)
        else:
            timeout = self.generic
        if timeout >= 0:
            self.refresh(row, timeout)
            if self.packets is not None:
                self.account(row, p)  # what changes nothing is not counted either
        return CT_ACCEPT

    @cython.cfunc
    @cython.exceptval(check=False)
    def _assure(self, row: cython.int) -> cython.void:
        if self.half[(row << 5) + H_STATUS] & IPS_ASSURED == 0:
            self.half[(row << 5) + H_STATUS] |= IPS_ASSURED
            self.tcp.told |= IPCT_ASSURED

    @cython.cfunc
    @cython.exceptval(check=False)
    def _datagram(self, row: cython.int, short: cython.int, stream: cython.int) -> cython.int:
        """The timeout of a UDP flow: it is a stream once it was answered and is older than two seconds (facts: 4)."""
        w: cython.int = row << 4
        left: cython.uint
        if self.half[(row << 5) + H_STATUS] & IPS_CONFIRMED == 0:
            self.word[w + W_LAST_SEQ] = (self.jiffies + self.udp_age) & _U32
        if self.half[(row << 5) + H_STATUS] & IPS_SEEN_REPLY == 0:
            return short
        left = (self.word[w + W_LAST_SEQ] - self.jiffies) & _U32
        if self.udp_age > 0 and left != 0 and left <= 0x7FFFFFFF:
            return short
        self._assure(row)
        return stream

    def icmp_error(self, p):
        """An error about a packet: RELATED to the flow of that packet, or INVALID."""
        q = self.quote
        addrs: cython.ulonglong
        ports: cython.ulonglong
        node: cython.int
        least: cython.int = 0
        if q.parse_some(p) != 0:
            return self._wrong(p)
        if q.q_proto == PROTO_ICMP:
            least = 8
        elif q.q_proto == PROTO_TCP or q.q_proto == PROTO_UDP or q.q_proto == PROTO_UDPLITE:
            least = 4  # ports are enough
        if q.q_have < least:
            return self._wrong(p)
        # the flow as the other side names it: the error comes back along its way
        addrs = q.q_dst
        addrs = addrs << 32 | q.q_src
        if q.q_proto == PROTO_ICMP:
            ports = self._quoted_ping(p)
        elif q.q_proto == PROTO_TCP or q.q_proto == PROTO_UDP or q.q_proto == PROTO_UDPLITE:
            ports = q.q_dport
            ports = ports << 16 | q.q_sport
            ports = ports << 32 | q.q_proto << 16 | zone_of(p.ct_zone, 0)
        else:
            ports = 0
            if q.q_proto == PROTO_GRE and q.q_have >= 4 and q.q_sport & 7 == 1:
                if q.q_dport != 0x880B:
                    return self._wrong(p)
                ports = q.q_seq & 0xFFFF  # the call
            ports = ports << 48 | q.q_proto << 16 | zone_of(p.ct_zone, 0)
        node = self._node_of(p, addrs, ports, self.hash_of(addrs, ports)) if ports != 0 else 0
        if node == 0:
            return self._wrong(p)
        p.ct = node >> 1
        p.ct_way = node & 1
        p.ct_state = CTS_RELATED
        return CT_ACCEPT

    def _quoted_ping(self, p):
        """The key's second word of the answer to a quoted echo request, or the like; 0 for none."""
        q = self.quote
        ports: cython.ulonglong = q.q_ping
        ports = ports << 16 | q.q_sport
        return self.turned(ports << 32 | PROTO_ICMP << 16 | zone_of(p.ct_zone, 0))

    # --- the last of the hooks -------------------------------------------------------------------------------

    def confirm(self, p, now):
        """The packet leaves, or has arrived: CT_ACCEPT; CT_DROP if its flow cannot be in the table."""
        row: cython.int = p.ct
        status: cython.int
        limit: cython.int = 0
        refused: cython.int
        p.ct = 0
        if row == 0 or p.ct_state == CTS_RELATED:
            return CT_ACCEPT
        status = self.half[(row << 5) + H_STATUS]
        if status & IPS_DYING:
            self.release(row)
            return CT_ACCEPT
        if status & IPS_CONFIRMED:
            if self.listener is not None and row in self.late:
                self.tell(EVENT_UPDATE, row, self.late.pop(row))
            return CT_ACCEPT
        if self.cfg.ct_chain_min > 0:
            limit = self.cfg.ct_chain_min + self.rng.below(self.cfg.ct_chain_random)
        refused = self.insert(row, limit)
        if refused != 0:
            self.insert_failed += 1
            if refused == CLASH:
                return self._clash(row, p)
            self.chaintoolong += 1
            self.release(row)
            return CT_DROP
        self.start(row)
        self.born(row, now)
        if self.listener is not None:
            self.tell(EVENT_NEW, row, self._news(row))
        return CT_ACCEPT

    def _news(self, row):
        """What the first message of a flow tells (IPCT_*)."""
        told: cython.int = IPCT_NEW
        if (self.keys[4 * row + 1] >> 16) & 0xFF == PROTO_TCP:
            told |= IPCT_PROTOINFO
        if self.word[(row << 4) + W_MARK] != 0:
            told |= IPCT_MARK
        return told

    def _clash(self, row, p):
        """Another flow has a key of this one: the packet is lost, its sender will try again (facts: conntrack 2.3)."""
        self.drop += 1
        self.last_failure = self.now
        self.release(row)
        return CT_DROP

    def forget(self, p):
        """The packet goes no further: what it began is away, what it ended, too. Answers 0."""
        row: cython.int = p.ct
        p.ct = 0
        if row != 0 and p.ct_state != CTS_RELATED:
            if self.half[(row << 5) + H_STATUS] & (IPS_CONFIRMED | IPS_DYING) != IPS_CONFIRMED:
                self.release(row)
        return 0

    def close(self, p):
        """The packet is answered by a RST of the firewall: its flow is over. Answers 0."""
        row: cython.int = p.ct
        if row != 0 and self.half[(row << 5) + H_STATUS] & IPS_CONFIRMED:
            self.octet[(row << 6) + O_STATE] = TCPCT_CLOSE
            self.refresh(row, self.tcp.timeouts[TCPCT_CLOSE])
        return 0


_IS_QUESTION = cython.declare(
    cython.const[cython.uchar][::1], memoryview(bytes(i in (8, 13, 15, 17) for i in range(19)))
)
_IS_ERROR = cython.declare(
    cython.const[cython.uchar][::1], memoryview(bytes(i in (3, 4, 5, 11, 12) for i in range(13)))
)
