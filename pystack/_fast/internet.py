"""The internet layer of one machine: what arrives, what is passed on, what ICMP says about it.

The way of a packet, in (docs/packet_path.md has the picture; out is `ip_output`):

    ip_input → came_in → local_input → reassembly → tcp_input | udp_input | icmp_input
                       → forward     → finish_output

Rules: RFC 1122 section 3, RFC 1812 section 5.3 for forwarding, RFC 792 and 1191 for ICMP. Nothing that arrives raises:
a packet that goes no further is counted under its reason (`drops`).
"""

import cython

from pystack._fast import ip4, source_routes, udp_icmp
from pystack._fast.consts import (
    ACCEPTANCE_LINUX,
    BAD_ADDRESS,
    BANDLIM_ECHO,
    BANDLIM_UNREACH,
    ESTABLISHED,
    EV_ERROR,
    EV_READ,
    GO_ON,
    ICMP_ECHO,
    ICMP_ECHO_REPLY,
    ICMP_ERRORS_LINUX,
    ICMP_PARAM_PROBLEM,
    ICMP_REDIRECT,
    ICMP_SOURCE_QUENCH,
    ICMP_TIME_EXCEEDED,
    ICMP_UNREACH,
    ICMP_UNREACH_FILTER_PROHIB,
    ICMP_UNREACH_HOST,
    ICMP_UNREACH_NEEDFRAG,
    ICMP_UNREACH_NET,
    ICMP_UNREACH_PORT,
    ICMP_UNREACH_PROTOCOL,
    ICMP_UNREACH_SRCFAIL,
    ONE_STOP,
    PROTO_ICMP,
    PROTO_TCP,
    PROTO_UDP,
    REFUSE,
    ROUTE_STRICT,
    SYN_RECEIVED,
    SYN_SENT,
    TIMER_FRAG,
    Drop,
    Err,
    Note,
)
from pystack._fast.frag import Reassembler
from pystack._fast.icmp_limit import IcmpLimit
from pystack._fast.ip4 import is_checksum_fault, is_l4_fault
from pystack._fast.ip_output import IpOutput
from pystack._fast.nf_consts import CTS_RELATED
from pystack._fast.nf_hook import NF_ACCEPT, NF_STOLEN
from pystack._fast.packet import Packet
from pystack._fast.reports import refused
from pystack._fast.routes import Interface
from pystack._fast.seq import after, before
from pystack._fast.tcb import FO_QUEUED, SO_PMTU_OFF, Tcb
from pystack._fast.tcp_close import drop
from pystack._fast.tcp_halfopen import fast_established
from pystack._fast.tcp_icmp import error_of, told_of, too_big
from pystack._fast.tcp_in import tcp_input
from pystack._fast.tcp_listen import Listener
from pystack._fast.tfo import FastOpen
from pystack._fast.udp import DatagramSocket
from pystack._fast.udp_icmp import Quote

INTERNETWORK_CONTROL = 0xC0
"""The precedence of what routers tell (RFC 791, RFC 1812 section 4.3.2.5)."""
FRAG_HELD = int(Drop.FRAG_HELD)
FRAG_TIMEOUT = int(Drop.FRAG_TIMEOUT)
ICMP_LIMIT = int(Drop.ICMP_LIMIT)
ICMP_TYPE = int(Drop.ICMP_TYPE)
IP_DESTINATION_INVALID = int(Drop.IP_DESTINATION_INVALID)
IP_NEED_FRAGMENT = int(Drop.IP_NEED_FRAGMENT)
IP_NOT_OURS = int(Drop.IP_NOT_OURS)
IP_NO_ROUTE = int(Drop.IP_NO_ROUTE)
IP_PROTOCOL = int(Drop.IP_PROTOCOL)
IP_SOURCE_ROUTE = int(Drop.IP_SOURCE_ROUTE)
IP_TTL = int(Drop.IP_TTL)
MBUF = int(Drop.MBUF)
FIREWALL = int(Drop.FIREWALL)
TCP_BROADCAST = int(Drop.TCP_BROADCAST)
TCP_CHECKSUM = int(Drop.TCP_CHECKSUM)
TCP_OFFSET = int(Drop.TCP_OFFSET)
TCP_PORT_ZERO = int(Drop.TCP_PORT_ZERO)
TCP_TRUNCATED = int(Drop.TCP_TRUNCATED)
UDP_BUFFER = int(Drop.UDP_BUFFER)
UDP_NO_PORT = int(Drop.UDP_NO_PORT)
DATAGRAM_IN_VAIN = int(Note.DATAGRAM_IN_VAIN)
ECONNREFUSED = int(Err.ECONNREFUSED)
EHOSTUNREACH = int(Err.EHOSTUNREACH)
ENOPROTOOPT = int(Err.ENOPROTOOPT)


@cython.cclass
class Internet(IpOutput):
    """A machine up to its internet layer: what it does with a packet that came."""

    def init_internet(self):
        """Called once, after init_stack."""
        cfg = self.cfg
        self.frags = Reassembler(
            self.pool,
            cfg.ip_maxfragpackets,
            cfg.ip_frag_bytes if cfg.ip_frag_bytes > 0 else 0x7FFFFFFF,
            cfg.ip_maxfragsperpacket,
            cfg.ip_frag_timeout,
        )
        self.listeners = Listener(cfg, self.rng)
        keys = self.listeners.cookies
        self.fastopen = FastOpen(keys.derived(1), keys.derived(2))
        self.udp = {}
        self.echo = {}
        self.icmp_limit = IcmpLimit()
        self.quote = Quote()
        self.init_output()
        self.frag_timer = self.wheel.alloc(TIMER_FRAG, 0)

    def forget_half_open(self, row):
        """The SYN-ACK of a Fast Open connection is acknowledged, or nobody waits for that any more."""
        return fast_established(self.listeners, self, self.tcbs[self.listeners.cache.listener[row]])

    def repeat_syn_ack(self, row, p):
        """The SYN of a Fast Open connection came again."""
        return self.listeners.duplicate(self, row, p)

    def drain_loop(self):
        """What the machine sent to itself arrives."""
        while self.loop.count > 0:
            p: Packet = self.loop.pop()
            self.count_in(p)
            self.lo.ipackets += 1
            self.lo.ibytes += p.total
            if self.hooks is None or self.may_go_on(p, self.hooks.prerouting(p)):
                self.local_input(p)
        return 0

    # --- in ----------------------------------------------------------------------------------------------------

    def count_in(self, p):
        """A packet came, from an interface or from the machine itself."""
        self.ipstat.total += 1
        self.ipstat.octets_in += p.head_len + p.length
        self.ipstat.ecn[p.tos & 3] += 1
        return 0

    def ip_input(self, p):
        """A parsed packet from an interface; takes ownership."""
        self.count_in(p)
        if p.iface_in >= 0:
            iface: Interface = self.interfaces[p.iface_in]
            iface.ipackets += 1
            iface.ibytes += p.head_len + p.length
        if self.hooks is not None:
            if self.hooks.defrag and (p.mf or p.frag_off != 0):
                if not self.reassembled(p):
                    return 0
                self.piece = self.frags.largest
            if not self.may_go_on(p, self.hooks.prerouting(p)):
                self.piece = 0
                return 0
        self.came_in(p)
        self.piece = 0
        if self.loop.count:
            self.drain_loop()
        return 0

    def passes_on(self, reason):
        """Is a packet with this fault taken as far as whom it is for? Routers look at no checksum but that of IP, and
        firewalls and conntrack see what passes. Only who tracks reads what has no L4 header.
        """
        if reason == 0 or not is_l4_fault(reason):
            return False
        if self.hooks is None:
            return self.cfg.ip_forwarding != 0
        return self.hooks.defrag or is_checksum_fault(reason)

    def count_bad(self, reason):
        """A segment that was none: the three lines of netstat -s."""
        if reason == TCP_CHECKSUM:
            self.stat.rcvbadsum += 1
        elif reason == TCP_OFFSET:
            self.stat.rcvbadoff += 1
        elif reason == TCP_TRUNCATED:
            self.stat.rcvshort += 1
        return 0

    def may_go_on(self, p, verdict):
        """What the first hook says of a packet that came; one that may not is rejected, or is the hook's."""
        if verdict == NF_ACCEPT:
            return True
        if verdict != NF_STOLEN:
            self.reject(p, FIREWALL)
        return False

    def came_in(self, p):
        """A packet from an interface has passed the first hook: is it for this machine, for another, or for nobody?
        Takes ownership.
        """
        if p.ip_len > 20 and not self.by_source_route(p):
            pass
        elif self.is_local(p.dst):
            if p.dst >> 24 == 127 or p.src >> 24 == 127:
                return self.reject(p, IP_DESTINATION_INVALID)  # loopback does not come from outside
            self.local_input(p)
        elif self.is_broadcast(p.dst):
            self.ipstat.bcast_in += 1
            if p.proto == PROTO_TCP:
                return self.reject(p, TCP_BROADCAST)  # MUST-57
            self.local_input(p)
        elif p.dst >> 28 >= 14:
            return self.reject(p, IP_DESTINATION_INVALID)
        elif self.cfg.ip_forwarding:
            self.forward(p, p.dst)
        else:
            self.ipstat.cantforward += 1
            return self.reject(p, IP_NOT_OURS)
        return 0

    def by_source_route(self, p):
        """Whether a packet with options is for `ip_input`; else it is refused, or goes to the next stop of a route."""
        verdict: cython.int = source_routes.judge(self, p)
        route: cython.int
        if verdict == GO_ON:
            return True
        if verdict == ONE_STOP:
            route = self.routes.find(source_routes.next_stop(p))
            if route >= 0 and (
                p.head[p.route_at()] != ROUTE_STRICT or self.routes.gateway[route] == 0
            ):
                iface: Interface = self.interfaces[self.routes.iface[route]]
                source_routes.step(p, iface.addr)
                self.forward(p, p.dst)
                return False
            verdict = REFUSE
        if verdict == REFUSE:
            self.icmp_error(p, ICMP_UNREACH, ICMP_UNREACH_SRCFAIL, 0)
        elif verdict == BAD_ADDRESS:
            self.icmp_error(p, ICMP_PARAM_PROBLEM, 0, 16 << 24)
        self.reject(p, IP_SOURCE_ROUTE)
        return False

    def own_payload(self, p):
        """The payload into this machine's own pool; False when mbufs are denied."""
        if p.pool is self.pool or p.m == 0:
            p.pool = self.pool
            return True
        m: cython.int = self.pool.import_chain(p.pool, p.m, 0, p.length)
        if m == 0:
            return False
        p.pool.free_chain(p.m)
        p.pool = self.pool
        p.m = m
        return True

    def reassembled(self, p):
        """Is the fragment `p` now the whole datagram? If not, it is not the caller's any more."""
        reason: cython.int
        if not self.own_payload(p):
            self.reject(p, MBUF)
            return False
        reason = self.frags.add(p, self.now)
        if self.frag_timer:
            self.wheel.arm(self.frag_timer, self.frags.next_deadline())
        if reason == FRAG_HELD:
            self.drops[reason] += 1
            p.release()
            return False
        if reason != 0 and not self.passes_on(reason):
            self.reject(p, reason)
            return False
        return True

    def local_input(self, p):
        """A packet for this machine: whole, then to its protocol. Takes ownership."""
        reason: cython.int
        if p.mf or p.frag_off != 0:
            if not self.reassembled(p):
                return 0
        if self.hooks is not None and self.hooks.local_in(p) != NF_ACCEPT:
            return self.reject(p, FIREWALL)
        if p.drop != 0:
            self.count_bad(p.drop)
            return self.reject(p, p.drop)
        self.ipstat.delivered += 1
        if p.proto == PROTO_TCP:
            if p.src >> 28 >= 14 or self.is_broadcast(p.src):
                return self.reject(p, TCP_BROADCAST)
            if p.sport == 0 or p.dport == 0:
                # on Linux nobody listens there, and says so
                if self.cfg.policy_acceptance != ACCEPTANCE_LINUX:
                    return self.reject(p, TCP_PORT_ZERO)
            reason = tcp_input(self, self.listeners, p)
        elif p.proto == PROTO_UDP:
            reason = self.udp_input(p)
        elif p.proto == PROTO_ICMP:
            reason = self.icmp_input(p)
        else:
            reason = IP_PROTOCOL
            self.icmp_error(p, ICMP_UNREACH, ICMP_UNREACH_PROTOCOL, 0)
        if reason > 0:
            return self.reject(p, reason)
        if reason == 0:
            p.release()
        return 0

    def forward(self, p, towards):
        """A packet for somebody else (RFC 1812 section 5.3), or for whoever stands `towards`. Takes ownership."""
        route: cython.int = self.routes.find(towards)
        # Linux asks for the way first
        if p.ttl <= 1 and (route >= 0 or self.cfg.policy_icmp_errors != ICMP_ERRORS_LINUX):
            self.icmp_error(p, ICMP_TIME_EXCEEDED, 0, 0)
            return self.reject(p, IP_TTL)
        if route < 0:
            self.ipstat.cantforward += 1
            self.icmp_error(p, ICMP_UNREACH, ICMP_UNREACH_NET, 0)
            return self.reject(p, IP_NO_ROUTE)
        iface: Interface = self.interfaces[self.routes.iface[route]]
        size: cython.int = p.head_len + (p.gso_size if p.gso_size > 0 else p.length)
        if self.piece > 0:
            size = self.piece
        if p.df and size > iface.mtu:
            self.ipstat.cantfrag += 1
            self.ipstat.cantforward += 1
            self.icmp_error(p, ICMP_UNREACH, ICMP_UNREACH_NEEDFRAG, iface.mtu)
            return self.reject(p, IP_NEED_FRAGMENT)
        ip4.forward(p)
        if p.iface_in == iface.number and self.cfg.ip_redirect and towards == p.dst:
            self.redirect(p, route, iface)
        if self.hooks is not None:
            p.iface_out = iface.number
            if self.hooks.forwarding(p) != NF_ACCEPT:
                return self.reject(p, FIREWALL)
        self.ipstat.forwarded += 1
        return self.finish_output(p, route, towards)

    def redirect(self, p, route, iface):
        """The packet leaves where it came from: its sender, if on that network, is told the shorter way (RFC 1812
        section 5.2.7.2; ip_forward: for the host, not by a default route).
        """
        if p.src & iface.mask != iface.addr & iface.mask or self.routes.mask[route] == 0:
            return 0
        gateway: cython.uint = self.routes.gateway[route]
        self.ipstat.redirectsent += 1
        return self.icmp_error(p, ICMP_REDIRECT, 1, gateway if gateway != 0 else p.dst)

    # --- ICMP --------------------------------------------------------------------------------------------------

    def icmp_error(self, p, kind, code, rest):
        """Tell the sender of `p`, unless the rules forbid it or enough was said in this second."""
        if kind != ICMP_REDIRECT:
            self.ipstat.icmp_error += 1
        if not udp_icmp.may_answer(p) or self.is_broadcast(p.dst):
            self.ipstat.icmp_old += 1
            return 0
        if not self.bandlim(BANDLIM_UNREACH):
            return 0
        if not self.icmp_limit.may_send(self, self.ipstat, kind, code, p.src):
            return 0
        out = self.packet()
        out.csum_ok = True
        if not udp_icmp.build_error(p, out, self.pool, kind, code, rest, self.cfg.icmp_quotelen):
            out.release()
            return 0
        out.src = self.source_for(p.src)
        if self.is_local(p.dst):
            out.src = p.dst
        if out.src == 0:
            out.release()
            return 0
        out.ttl = self.cfg.ip_ttl
        if self.cfg.policy_icmp_errors == ICMP_ERRORS_LINUX:
            out.tos = (p.tos & 0x1E) | INTERNETWORK_CONTROL
        self.ipstat.icmp_out[kind] += 1
        if p.ct != 0:
            out.ct = p.ct
            out.ct_way = 1 - p.ct_way
            out.ct_state = CTS_RELATED
        self.output(out)
        return 0

    def icmp_input(self, p):
        """An ICMP message. -1: the packet is not the caller's any more."""
        self.ipstat.icmp_in[p.icmp_type] += 1
        if p.icmp_type == ICMP_ECHO:
            if self.cfg.icmp_echo_ignore_all:
                return ICMP_TYPE
            if self.is_broadcast(p.dst) and not self.cfg.icmp_bmcastecho:
                self.ipstat.icmp_bmcast += 1
                return ICMP_TYPE
            if not self.bandlim(BANDLIM_ECHO):
                return ICMP_LIMIT
            if not self.icmp_limit.may_send(self, self.ipstat, ICMP_ECHO_REPLY, 0, p.src):
                return ICMP_LIMIT
            out = self.packet()
            out.proto = PROTO_ICMP
            out.csum_ok = True
            out.icmp_type = ICMP_ECHO_REPLY
            out.icmp_code = p.icmp_code
            out.icmp_rest = p.icmp_rest
            out.src = self.source_for(p.src) if self.is_broadcast(p.dst) else p.dst
            out.dst = p.src
            out.tos = p.tos
            out.ttl = self.cfg.ip_ttl
            if p.length > 0:
                out.m = self.pool.import_chain(p.pool, p.m, 0, p.length)
                if out.m == 0:
                    out.release()
                    return MBUF
                out.length = p.length
            udp_icmp.build_icmp(out)
            self.ipstat.icmp_reflect += 1
            self.ipstat.icmp_out[ICMP_ECHO_REPLY] += 1
            self.output(out)
            return 0
        if p.icmp_type == ICMP_ECHO_REPLY:
            d = self.echo.get(p.icmp_rest >> 16)
            if d is None:
                return ICMP_TYPE
            return self.queue_datagram(d, p)
        if p.icmp_type == ICMP_SOURCE_QUENCH:
            return ICMP_TYPE  # MUST-55: silently
        if udp_icmp.is_error(p.icmp_type):
            return self.icmp_quote(p)
        return ICMP_TYPE

    def icmp_quote(self, p):
        """An error about a packet of ours: to the connection or socket that sent it."""
        reason: cython.int = self.quote.parse(p)
        q = self.quote
        row: cython.int
        if reason:
            return reason
        if q.q_proto == PROTO_TCP:
            row = self.demux.find(q.q_src, q.q_sport, q.q_dst, q.q_dport)
            if row == 0:
                row = self.listeners.cache.find(q.q_src, q.q_sport, q.q_dst, q.q_dport)
                if row == 0:
                    return _ICMP_QUOTE
                return self.half_open_unreachable(row, p)
            t: Tcb = self.tcbs[row]
            if before(q.q_seq, t.snd_una) or after(q.q_seq, t.snd_max):
                self.stat.icmp_out_of_window += 1
                return _ICMP_QUOTE  # not something that is on its way: a forgery, or too late
            if q.q_seq == t.snd_max and self.cfg.policy_icmp_errors != ICMP_ERRORS_LINUX:
                return _ICMP_QUOTE
            return self.tcp_unreachable(t, p)
        if q.q_proto == PROTO_UDP and p.icmp_type == ICMP_UNREACH:
            d = self.udp.get(q.q_sport)
            while d is not None:
                if d.faddr == q.q_dst and d.fport == q.q_dport:
                    d.error = ECONNREFUSED if p.icmp_code == ICMP_UNREACH_PORT else EHOSTUNREACH
                    self.wakeup_datagram(d, EV_ERROR)
                d = d.next
        return 0

    def half_open_unreachable(self, row, p):
        """ICMP about a SYN-ACK. Linux gives up where the peer's host or net is out of reach."""
        hard: cython.bint = p.icmp_type != ICMP_UNREACH or p.icmp_code <= ICMP_UNREACH_HOST
        if p.icmp_type == ICMP_UNREACH and p.icmp_code == ICMP_UNREACH_NEEDFRAG:
            return 0
        return self.listeners.unreachable(self, row, self.quote.q_seq, hard)

    def tcp_unreachable(self, t, p):
        """ICMP about a segment of `t` (RFC 1122 section 4.2.3.9, RFC 1191): only a handshake can end by it, and what
        ends it is the policy `icmp_errors`; the rest is remembered (MUST-56).
        """
        err: cython.int
        opening: cython.bint = t.state == SYN_SENT or (
            t.state == SYN_RECEIVED and t.fo & FO_QUEUED == 0
        )
        if p.icmp_type == ICMP_UNREACH and p.icmp_code == ICMP_UNREACH_NEEDFRAG:
            return self.tcp_too_big(t)
        if self.cfg.policy_icmp_errors == ICMP_ERRORS_LINUX:
            err = error_of(p.icmp_type, p.icmp_code)
            if opening and err != 0:
                refused(self, t, p, err)
            return told_of(self, t, p.icmp_type, p.icmp_code, self.quote.q_seq)
        err = bsd_error(p.icmp_type, p.icmp_code)
        if err == 0:
            return 0
        if t.state == SYN_SENT and self.cfg.icmp_may_rst:
            if err == ECONNREFUSED or p.icmp_type == ICMP_TIME_EXCEEDED:
                drop(self, t, err, False)
                return 0
        if err == EHOSTUNREACH and t.state == ESTABLISHED:
            return 0  # the way may come back
        if opening and t.rxtshift > 3 and t.soft_error != 0:
            drop(self, t, err, False)
            return 0
        t.soft_error = err
        return 0

    def tcp_too_big(self, t):
        """A router says how large packets on this way may be (RFC 1191): smaller segments, and at once."""
        mtu: cython.int = self.quote.q_mtu
        least: cython.int = self.cfg.tcp_minmss + 40
        if not self.cfg.tcp_path_mtu_discovery or t.so_options & SO_PMTU_OFF:
            return 0
        if mtu == 0:
            mtu = plateau_below(self.quote.q_total)
        if self.cfg.ip_min_pmtu > least:
            least = self.cfg.ip_min_pmtu
        if mtu < least:
            mtu = least
        if t.pmtu != 0 and mtu >= t.pmtu:
            return 0
        if mtu < self.mtu_to(t.faddr):
            self.remember_mtu(t.faddr, mtu)
        return too_big(self, t, mtu)

    # --- UDP ---------------------------------------------------------------------------------------------------

    def datagram_socket(self, addr, port, p):
        """The socket that is bound most exactly for a datagram to this address and port, or None."""
        best: DatagramSocket = None
        score: cython.int
        best_score: cython.int = -1
        d: DatagramSocket = self.udp.get(port)
        while d is not None:
            score = 0
            if d.laddr != 0:
                score = 1 if d.laddr == addr else -4
            if d.fport != 0:
                score += 2 if d.faddr == p.src and d.fport == p.sport else -8
            if score > best_score:
                best = d
                best_score = score
            d = d.next
        return best

    def udp_input(self, p):
        """A datagram: to the socket that it is for, or that a firewall has sent it to (`nexthop`, and `ct_hash` for the
        port), unless it is part of a connection. -1: the packet is not the caller's any more.
        """
        best: DatagramSocket = self.datagram_socket(p.dst, p.dport, p)
        self.ipstat.udp_ipackets += 1
        if p.csum_none:
            self.ipstat.udp_nosum += 1
        if p.nexthop != 0 and (best is None or best.fport == 0):
            best = self.datagram_socket(p.nexthop, p.ct_hash if p.ct_hash != 0 else p.dport, p)
        if best is None:
            if self.is_broadcast(p.dst):
                self.ipstat.udp_noportbcast += 1
            else:
                self.ipstat.udp_noport += 1
            if self.cfg.udp_log_in_vain:
                self.vain = (p.src, p.sport, p.dst, p.dport, 0)
                self.say(DATAGRAM_IN_VAIN, None, 0, 0)
            if not self.cfg.udp_blackhole:
                self.icmp_error(p, ICMP_UNREACH, ICMP_UNREACH_PORT, 0)
            return UDP_NO_PORT
        return self.queue_datagram(best, p)

    def queue_datagram(self, d, p):
        """The packet waits for the application."""
        if d.cantrecv or d.cc + p.length > d.hiwat:
            d.dropped += 1
            if p.proto == PROTO_UDP:
                self.ipstat.udp_fullsock += 1
            return UDP_BUFFER
        copy = self.packet()
        copy.copy_headers(p)
        copy.pool = self.pool
        if p.length > 0:
            if p.pool is self.pool:
                copy.m = p.m
                p.m = 0
            else:
                copy.m = self.pool.import_chain(p.pool, p.m, 0, p.length)
            if copy.m == 0:
                copy.release()
                return MBUF
            copy.length = p.length
        if p.proto == PROTO_UDP:
            self.ipstat.udp_delivered += 1
        d.cc += copy.length
        d.queue.push(copy)
        self.wakeup_datagram(d, EV_READ)
        return 0

    def wakeup_datagram(self, d, events):
        """Something happened that the application of the datagram socket may be waiting for."""
        d.ready |= events
        if not d.queued and d.wanted & events:
            d.queued = True
            self.ready.append(d)
            self.n_ready += 1

    def expire_fragments(self):
        """Datagrams that never became whole (RFC 792: time exceeded, code 1, when the first fragment is known)."""
        p = self.packet()
        while self.frags.expire(self.now, p):
            self.drops[FRAG_TIMEOUT] += 1
            if p.head_len > 0:
                self.icmp_error(p, ICMP_TIME_EXCEEDED, 1, 0)
            p.drop_payload()
            p.clear()
            p.pool = self.pool
        p.release()
        if self.frags.waiting():
            self.wheel.arm(self.frag_timer, self.frags.next_deadline())


def bsd_error(kind, code):
    """The error that FreeBSD makes of an ICMP message, 0 for none (icmp_errmap, before 14 inetctlerrmap)."""
    if kind == ICMP_TIME_EXCEEDED:
        return EHOSTUNREACH if code == 0 else 0
    if kind == ICMP_PARAM_PROBLEM:
        return ENOPROTOOPT if code <= 1 else 0
    if kind != ICMP_UNREACH:
        return 0
    if code == ICMP_UNREACH_PROTOCOL or code == ICMP_UNREACH_PORT:
        return ECONNREFUSED
    if code == 9 or code == 10 or code == ICMP_UNREACH_FILTER_PROHIB:
        return ECONNREFUSED  # by an administrator
    return EHOSTUNREACH


def plateau_below(total):
    """The next lower plateau of RFC 1191 section 7.1 for routers that do not say their MTU."""
    for size in (32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68):
        if size < total:
            return size
    return 68


_ICMP_QUOTE = cython.declare(cython.int, int(Drop.ICMP_QUOTE))
