"""One TCP connection's data (`Tcb`), and what all connections of a machine share (`Stack`).

Data only: what happens to it is in tcp_in, tcp_out and tcp_timers. Names are those of RFC 9293 section 3.3.1 where it
has one, else FreeBSD's. All sequence numbers are u32 and compared by `seq` alone; times are ns of the machine's clock,
NEVER when off.
"""

import cython

from pystack._fast.columns import column
from pystack._fast.consts import (
    BANDLIM_NAMES,
    HOSTS_BSD,
    HOSTS_LINUX,
    MS,
    NEVER,
    SOCKBUF_LINUX,
    STATE_NAMES,
    TIMEWAIT_BSD_14,
    WINDOW_LINUX,
    Note,
)
from pystack._fast.demux import Demux  # noqa: F401
from pystack._fast.draft import Draft
from pystack._fast.flight import Flight, SegmentTable  # noqa: F401
from pystack._fast.hashing import sip2
from pystack._fast.hostcache import HostCache
from pystack._fast.mtu_search import Search  # noqa: F401
from pystack._fast.packet import PacketQueue
from pystack._fast.peer_metrics import PeerMetrics
from pystack._fast.port import Port
from pystack._fast.recvq import RecvQueue
from pystack._fast.sendq import SendQueue
from pystack._fast.tcp_state import ARROWS, N_STATES
from pystack._fast.timewait import TimeWaitTable  # noqa: F401

# t_flags
TF_ACKNOW = 0x1
TF_DELACK = 0x2
TF_NODELAY = 0x4
TF_NOPUSH = 0x8
TF_SENTFIN = 0x10
TF_RCVD_SCALE = 0x20
TF_RCVD_TS = 0x40
TF_SACK_PERMIT = 0x80
TF_FORCE = 0x100
TF_FASTRECOVERY = 0x200
TF_RTO_RECOVERY = 0x400
TF_ECN = 0x800
TF_ECN_SND_CWR = 0x1000
TF_ECN_SND_ECE = 0x2000
TF_LASTIDLE = 0x4000
TF_RXWIN0SENT = 0x8000
TF_MORETOCOME = 0x10000
TF_FIN_PENDING = 0x20000
TF_CONGRECOVERY = 0x40000
TF_DSACK = 0x80000
TF_PASSIVE = 0x100000
TF_WAS_FAST = 0x200000
TF_NO_TS = 0x400000
TF_NO_SCALE = 0x800000
TF_NO_SACK = 0x1000000
TF_CORK_FLUSH = 0x2000000
TF_SND_AUTO_OFF = 0x4000000
TF_RCV_AUTO_OFF = 0x8000000
TF_WAS_CONG = 0x10000000
TF_NO_ECN = 0x20000000
TF_NOMEM = 0x40000000

# ack_pending (Linux): an acknowledgment is owed; a write may have ended; it ended with a short segment
ACK_SCHEDULED = 0x1
ACK_PUSHED = 0x2
ACK_PUSHED2 = 0x4

# limit: what keeps a connection with data from sending more
LIMIT_SELF = 1
LIMIT_PEER = 2
LIMIT_BUFFER = 3

# so_state
SS_BOUND = 0x1
SS_CONNECTING = 0x2
SS_CONNECTED = 0x4
SS_CANTSENDMORE = 0x8
SS_CANTRCVMORE = 0x10
SS_NOFDREF = 0x20
SS_DISCONNECTED = 0x40
SS_INQUEUE = 0x80
SS_WRITE_BLOCKED = 0x100
SS_DEAD = 0x200
SS_ASKED = 0x400
SS_UNCONNECTED = 0x800
SS_PORT_CHOSEN = 0x1000
SS_ORPHAN = 0x2000
SS_DONE = 0x4000
SS_FILTERED = 0x8000

# oob_state: is there urgent data, and where is its last octet; oob_left: octets that are read before it;
# oob_mark: it was announced, and no read has passed it
OOB_NONE = 0
OOB_EXPECTED = 1
OOB_HERE = 2
OOB_READ = 3

# fo: Fast Open (RFC 7413)
FO_LISTEN = 0x1
FO_SOCKET = 0x2
FO_CONNECT = 0x4
FO_NO_COOKIE = 0x8
FO_ASK = 0x10
FO_DATA = 0x20
FO_WAIT = 0x40
FO_EXP = 0x80
FO_SENT = 0x100
FO_TAKEN = 0x200
FO_QUEUED = 0x400

# so_options, FreeBSD's bits (sys/socket.h)
SO_DEBUG = 0x1
SO_REUSEADDR = 0x4
SO_KEEPALIVE = 0x8
SO_BROADCAST = 0x20
SO_OOBINLINE = 0x100
SO_REUSEPORT = 0x200
# and our own
SO_PMTU_OFF = 0x1000000
SO_ERRORS_NOW = 0x2000000
SO_THIN = 0x4000000
SO_NO_TCP_OPTIONS = 0x8000000
SO_PORT_HIGH = 0x10000000
SO_PORT_LOW = 0x20000000
SO_ROUTED = 0x40000000
SO_NOSIGPIPE = 0x800

STAT_NAMES = tuple(
    """sndtotal sndpack sndbyte sndrexmitpack sndrexmitbyte mturesent sndacks delack sndurg sndprobe sndwinup sndctrl
    rcvtotal rcvackpack rcvackbyte rcvdupack rcvacktoomuch rcvpack rcvbyte rcvduppack rcvdupbyte pawsdrop
    rcvpartduppack rcvpartdupbyte rcvoopack rcvoobyte rcvpackafterwin rcvbyteafterwin rcvwinprobe rcvwinupd
    rcvafterclose rcvbadsum rcvbadoff rcvshort rcvmemdrop connattempt accepts badsyn listendrop badrst connects
    closed drops conndrops rttupdated segstimed rexmttimeo timeoutdrop persisttimeo persistdrop finwait2_drops
    keeptimeo keepprobe keepdrops sc_added sc_retransmitted sc_dupsyn sc_dropped sc_completed sc_bucketoverflow
    sc_reset sc_stale sc_unreach sc_aborted sc_badack sc_zonefail sc_sendcookie sc_recvcookie sack_recovery_episode
    sack_rexmits sack_rexmit_bytes sack_rcv_blocks sack_send_blocks sack_overflow ecn_ce ecn_ect0 ecn_shs ecn_rcwnd
    dsack_rcv dsack_sent badrexmt challenge_acks challenge_suppressed tw_started tw_recycled tw_reused tw_connects
    tw_overflow fo_active fo_active_fail fo_passive fo_passive_fail fo_cookie_reqd pmtud_activated pmtud_minmss
    pmtud_failed mtup_success mtup_fail abort_on_close abort_on_data abort_on_memory abort_on_linger listen_refused
    reqq_drop reqq_cookies cookie_failed embryonic_rsts out_rsts estab_resets tw_short paws_passive
    mem_pressures mem_pressure_ms prune_called rcv_pruned rcvq_drop
    reno_recovery sack_reneging sack_reorder reno_reorder ts_reorder full_undo partial_undo dsack_undo loss_undo
    spurious_rtos reno_failures sack_failures loss_failures reno_recovery_fail sack_recovery_fail fast_retrans
    slow_start_retrans loss_probes loss_probe_recovery dsack_old_sent dsack_ofo_sent dsack_ofo_rcv dsack_segs
    dsack_dubious sack_discard ofo_queue ofo_drop ofo_merge syn_challenge to_zero_window from_zero_window
    syn_retrans orig_data_sent delivered delivered_ce hystart_train hystart_train_cwnd hystart_delay
    hystart_delay_cwnd skipped_syn_recv skipped_paws skipped_seq skipped_finwait2 skipped_timewait skipped_challenge
    ack_compressed delack_lost zero_window_drop min_ttl_drop md5_unexpected defer_drop beyond_window icmp_out_of_window
    hp_hits hp_acks pure_acks rehashes hc_added hc_overflow usedrtt usedrttvar usedssthresh cachedrtt cachedrttvar
    cachedssthresh""".split()
)
"""The counters of `TcpStat`, FreeBSD's tcpstat names (netinet/tcp_var.h) and a few of our own."""


@cython.final
@cython.cclass
class TcpStat:
    """Counters of a machine's TCP; `netstat -s` is a rendering of them."""

    def __init__(self):
        for name in STAT_NAMES:
            self.set(name, 0)

    def set(self, name, value):
        """Set one counter by name."""
        setattr(self, name, value)

    def as_dict(self):
        """All counters by name."""
        return {name: getattr(self, name) for name in STAT_NAMES}


@cython.final
@cython.cclass
class ListenBooks:
    """What a listener remembers of its queues: how full they were, what they refused and when, what was said of it."""

    def __init__(self):
        self.overflows = self.said = self.when = 0
        self.told = self.last_cookie = -(2**62)
        self.flood_told = False
        self.qlen_high = self.synqlen_high = 0
        self.filtered = []


@cython.final
@cython.cclass
class Tcb:
    """A socket and its transmission control block in one: every field of one connection or listener.

    `row` is its number in the demultiplexer, 0 once it is detached. The receive and send queues are always there; the
    reassembly queue and the scoreboard only while data is out of order.
    """

    def __init__(self):
        self.laddr = self.faddr = 0
        self.row = self.lport = self.fport = self.state = 0
        self.t_flags = self.so_state = self.so_options = self.so_error = self.soft_error = 0
        self.linger = -1
        self.linger2 = 0
        self.uid = 0
        self.owner = None
        self.fd = -1
        self.mem_pages = 0
        self.iss = self.snd_una = self.snd_nxt = self.snd_max = self.snd_up = 0
        self.snd_wl1 = self.snd_wl2 = self.recover = self.snd_wnd = self.max_sndwnd = 0
        self.snd_scale = self.rcv_scale = self.request_r_scale = 0
        self.irs = self.rcv_nxt = self.rcv_adv = self.rcv_up = self.last_ack_sent = self.rcv_wnd = 0
        self.oob = self.oob_state = self.oob_left = 0
        self.oob_mark = False
        self.maxseg = self.mss_peer = self.user_mss = self.pmtu = 0
        self.ts_recent = self.ts_offset = 0
        self.ts_recent_age = 0
        self.segs_in = self.segs_out = self.data_segs_in = self.data_segs_out = 0
        self.bytes_sent = self.bytes_retrans = 0
        self.zero_windows = self.segs_again = 0
        self.ecn_seen = False
        self.ooo_in = self.rto_count = self.rto_episodes = 0
        self.rto_since = self.rto_time = 0
        self.srtt = self.rttvar = self.rttmin = self.rxtcur = self.rtt_time = 0
        self.rtt_min_window = 0
        self.rtt_seq = self.rtt_round = 0
        self.mdev = self.mdev_max = self.rto_var = 0
        self.rxtshift = self.syn_rexmits = self.timer = 0
        self.timer_at = NEVER
        self.at_rexmt = self.at_persist = self.at_keep = self.at_2msl = self.at_delack = NEVER
        self.rcvtime = self.starttime = self.last_sent = self.rexmt_start = self.user_timeout = 0
        self.keepidle = self.keepintvl = self.keepcnt = self.keepinit = self.keep_probes = 0
        self.cc = 0
        self.cwnd = self.ssthresh = self.cwnd_prev = self.ssthresh_prev = self.recover_prev = 0
        self.badrxtwin = 0
        self.dupacks = self.bytes_acked = self.limited = 0
        self.w_max = self.undo_w_max = self.badrxt_ts = 0
        self.epoch_start = self.cubic_k = self.undo_epoch = self.undo_k = 0
        self.cubic_min_rtt = self.cubic_mean_rtt = self.cubic_sum_rtt = 0
        self.cubic_acks = self.cubic_flags = self.rtt_updates = 0
        self.sndq = None
        self.rcvq = None
        self.reports = None
        self.reass = None
        self.board = None
        self.flight = None
        self.search = None
        self.sacks = None
        self.rcv_auto_bytes = 0
        self.rcv_auto_start = 0
        self.advmss = self.rcv_mss = self.last_seg = 0
        self.window_clamp = self.user_clamp = self.rcv_ssthresh = 0
        self.rcv_space = 0
        self.rcv_space_seq = self.rcv_rtt_seq = self.rcv_rtt_echo = 0
        self.rcv_space_at = self.rcv_rtt = self.rcv_rtt_at = 0
        self.quick_acks = self.pingpong = self.ack_pending = 0
        self.comp_acks = self.dup_answers = 0
        self.comp_rcv_nxt = 0
        self.ato = 0
        self.data_recv = self.data_sent = self.ack_recv = -(2**62)
        self.snd_small = 0
        self.burst_end = 0
        self.burst_long = False
        self.limit = 0
        self.limit_at = self.busy_time = self.rwnd_time = self.sndbuf_time = 0
        self.notsent_lowat = 0
        self.fin_seq = 0
        self.challenge_start = 0
        self.invalid_at = -(2**62)
        self.challenge_count = self.bh_mss = self.tos = self.ttl = self.min_ttl = 0
        self.known_reordering = 0
        self.accept_filter = self.ace = self.scep = self.rcep = 0
        self.listener = self.accept_first = self.accept_last = self.accept_next = None
        self.backlog = self.qlen = self.synqlen = self.young = 0
        self.defer_accept = self.syncnt = 0
        self.fo = self.fo_row = self.fo_qlen = self.fo_pending = 0
        self.fo_cookie = b""
        self.fo_key = b""
        self.extras = None
        self.fo_held = None
        self.books = None
        self.handler = None
        self.ready = self.wanted = 0
        self.queued = False
        self.pending = False

    def __repr__(self):
        def dotted(addr, port):
            host = ".".join(str(addr >> s & 255) for s in (24, 16, 8, 0)) if addr else "*"
            return f"{host}.{port or '*'}"

        local, foreign = dotted(self.laddr, self.lport), dotted(self.faddr, self.fport)
        return f"<tcp4 {local} {foreign} {STATE_NAMES[self.state]}>"


@cython.cclass
class Stack(Port):
    """What the connections of one machine share: buffers, timers, tables, knobs, counters, the present.

    `Core` is the machine itself; it overrides the methods through which TCP reaches the layers below:
    `output`, `mtu_to`, `is_local`, and two that are the listeners'. `refusals`: packets of its own that a firewall did
    not let out.
    """

    def output(self, p):
        """Send a packet whose L4 header is built; takes ownership."""
        raise AssertionError("Stack.output is the Core's")

    def mtu_to(self, dst):
        """MTU of the way to `dst` in octets, 0 without a route."""
        raise AssertionError("Stack.mtu_to is the Core's")

    def is_local(self, addr):
        """Is `addr` one of this machine's own?"""
        raise AssertionError("Stack.is_local is the Core's")

    def forget_half_open(self, row):
        """The SYN-ACK of this row need not be repeated."""
        raise AssertionError("Stack.forget_half_open is the Core's")

    def repeat_syn_ack(self, row, p):
        """The SYN of this row came again."""
        raise AssertionError("Stack.repeat_syn_ack is the Core's")

    def init_stack(self, pool, wheel, cfg, rng, demux, timewait, now):
        """The parts; called once by the Core."""
        self.pool = pool
        self.wheel = wheel
        self.refusals = 0
        self.cfg = cfg
        self.rng = rng
        self.now = now
        self.stat = TcpStat()
        self.demux = demux
        self.segments = SegmentTable()
        self.draft = Draft()
        self.timewait = timewait
        self.tcbs = [None]
        self.ready = []
        self.n_ready = 0
        self.pending = []
        self.n_pending = 0
        self.arrows = ARROWS
        self.states = column("i", len(STATE_NAMES))
        self.init_port()
        self.spare = PacketQueue()
        self.log = None
        self.fastopen = None
        self.files = None
        self.vain = None
        self.mem_pages = self.mem_high = self.mem_since = self.mem_failures = self.mem_failed_at = 0
        self.mem_pressure = False
        self.reass_segments = self.reass_high = self.reass_failures = self.reass_failed_at = 0
        self.sack_holes = self.sack_holes_high = self.sack_holes_failed_at = 0
        self.challenge_high = self.challenge_failed_at = 0
        self.isn_k0 = rng.next64()
        self.isn_k1 = rng.next64()
        self.isn_ahead = 0
        self.tw_timer = 0
        self.port_given = column("i", 3)
        self.reuse_known = 0
        kinds = len(BANDLIM_NAMES)
        self.rate_start = column("q", kinds)
        self.rate_count = column("i", kinds)
        self.rate_high = column("i", kinds)
        self.rate_fail = column("q", kinds)
        self.rate_last = column("q", kinds)
        self.challenge_start = -1
        self.challenge_left = 0
        self.orphans = 0
        self.orphans_seen = 0
        self.orphans_at = 0
        self.orphans_failed_at = 0
        self.orphans_high = 0
        self.perturb = None
        self.peers = {}
        self.ways = {}
        self.hosts = self.metrics = None
        if cfg.policy_hosts == HOSTS_BSD:
            self.hosts = HostCache(cfg, self.isn_k1, self.isn_k0, now)
        elif cfg.policy_hosts == HOSTS_LINUX:
            self.metrics = PeerMetrics(self.isn_k1, self.isn_k0)
        self.port_second = self.port_count = self.port_stop = 0
        self.sockets_told = -_ZONE_WARNING
        self.ports_failed = 0
        self.ports_failed_at = 0

    def packet(self):
        """A cleared packet of this machine."""
        p = self.spare.take_free()
        p.pool = self.pool
        return p

    def defer(self, t):
        """The connection has something to send, at the end of the batch: one answer to many segments (MUST-58)."""
        if not t.pending:
            t.pending = True
            self.pending.append(t)
            self.n_pending += 1
        return 0

    def wakeup(self, t, events):
        """Something happened that the application of `t` may be waiting for (consts.EV_*)."""
        t.ready |= events
        if not t.queued and (t.wanted & events) != 0:
            t.queued = True
            self.ready.append(t)
            self.n_ready += 1

    def set_state(self, t, state):
        """The only place that changes a connection's state, along an arrow of tcp_state.TABLE."""
        assert self.arrows[t.state * N_STATES + state]
        self.states[t.state] -= 1
        self.states[state] += 1
        t.state = state

    def arm(self, t):
        """The wheel knows the earliest of the connection's timers.

        A timer that moved to a later time is left where it is: it comes up early once and is put right then. So
        restarting the retransmission timer at each ACK costs a store, not a change of the wheel.
        """
        first: cython.longlong = t.at_rexmt
        if t.at_delack < first:
            first = t.at_delack
        if t.at_keep < first:
            first = t.at_keep
        if t.at_persist < first:
            first = t.at_persist
        if t.at_2msl < first:
            first = t.at_2msl
        if first < t.timer_at:
            t.timer_at = first
            self.wheel.arm(t.timer, first)

    def stop_timers(self, t):
        """No timer of the connection runs any more."""
        t.at_rexmt = t.at_persist = t.at_keep = t.at_2msl = t.at_delack = NEVER

    def new_isn(self, laddr, lport, faddr, fport):
        """Initial sequence number: a 4 us clock plus a keyed hash of the addresses (RFC 6528, MUST-8).

        With `tcp_isn_reseed_interval` the key is another one in each interval: then a connection's successor may begin
        below it, and meets TIME_WAIT (tcp(4)). `isn_ahead`: how far the clock was set, in its ticks, where it is the
        wall clock (Linux: secure_seq.c, seq_scale).
        """
        interval: cython.longlong = self.cfg.tcp_isn_reseed_interval
        a: cython.ulonglong = laddr
        b: cython.ulonglong = faddr
        local: cython.ulonglong = lport
        foreign: cython.ulonglong = fport
        ports: cython.ulonglong = (local << 16) | foreign
        if interval > 0:
            seeds: cython.ulonglong = self.now // interval
            ports |= seeds << 32
        f: cython.ulonglong = sip2(self.isn_k0, self.isn_k1, (a << 32) | b, ports)
        clock: cython.ulonglong = self.now // 4000
        return (f + clock + self.isn_ahead) & _U32

    def new_ts_offset(self, laddr, faddr):
        """Where a connection's timestamp clock begins: keyed by the address pair (RFC 7323 section 5.4)."""
        a: cython.ulonglong = laddr
        b: cython.ulonglong = faddr
        f: cython.ulonglong = sip2(self.isn_k1, self.isn_k0, (a << 32) | b, 1)
        return f & _U32

    def ts_at(self, offset):
        """TSval of now for a clock that began at `offset`: ticks of one millisecond."""
        ticks: cython.ulonglong = self.now // MS
        return (ticks + offset) & _U32

    def ts_clock(self, t):
        """TSval of now of a connection."""
        return self.ts_at(t.ts_offset)

    def new_tcb(self):
        """A socket with empty queues and the defaults of the knobs, or None when there are maxsockets already."""
        row: cython.int = 0
        if (
            self.cfg.policy_timewait == TIMEWAIT_BSD_14
            and self.demux.used + self.demux.others + self.timewait.used >= self.demux.maximum
        ):
            self.demux.refuse(self.now)  # whole sockets wait in TIME_WAIT there
        else:
            row = self.demux.take(self.now)
        if row == 0:
            self.no_sockets()
            return None
        timer: cython.int = self.wheel.alloc(0, row)
        if timer == 0:
            self.demux.give(row)
            return None
        cfg = self.cfg
        t = Tcb()
        t.row = row
        t.timer = timer
        lowat: cython.longlong = (
            0 if cfg.policy_sockbuf == SOCKBUF_LINUX else min(2048, cfg.tcp_sendspace)
        )
        t.sndq = SendQueue(self.pool, cfg.tcp_sendspace, lowat)
        t.rcvq = RecvQueue(self.pool, cfg.tcp_recvspace, cfg.policy_window == WINDOW_LINUX)
        t.cc = cfg.tcp_cc
        t.rxtcur = cfg.tcp_rexmit_initial
        t.rttmin = cfg.tcp_rexmit_min
        t.keepidle = cfg.tcp_keepidle // MS
        t.keepintvl = cfg.tcp_keepintvl // MS
        t.keepcnt = cfg.tcp_keepcnt
        t.keepinit = cfg.tcp_keepinit // MS
        t.notsent_lowat = cfg.tcp_notsent_lowat
        t.user_timeout = cfg.tcp_maxunacktime
        t.ttl = cfg.ip_ttl
        t.rcvtime = t.starttime = self.now
        self.states[t.state] += 1
        while len(self.tcbs) <= row:
            self.tcbs.append(None)
        self.tcbs[row] = t
        return t

    def no_sockets(self):
        """There are maxsockets already: said once in five minutes, as of every zone."""
        if self.cfg.zone_warnings and self.now - self.sockets_told >= _ZONE_WARNING:
            self.sockets_told = self.now
            self.say(_SOCKETS, None, self.demux.maximum, 0)
        return 0

    def detach(self, t):
        """The connection is gone from the machine; what the application has not read yet stays in its receive queue."""
        if t.row == 0:
            return
        self.states[t.state] -= 1
        t.state = 0
        self.mem_pages -= t.mem_pages
        t.mem_pages = 0
        if t.so_state & _ORPHAN:
            self.count_orphan(-1)
            t.so_state &= ~_ORPHAN
        self.stop_timers(t)
        self.wheel.free(t.timer)
        t.timer = 0
        t.timer_at = NEVER
        t.sndq.flush()
        if t.reass is not None:
            self.reass_segments -= t.reass.n
            t.reass.flush()
            t.reass = None
        if t.board is not None:
            self.count_holes(t, 0)
            t.board = None
        if t.flight is not None:
            self.segments.clear(t.flight)
        if len(self.ways) > 0:
            self.ways.pop((t.laddr, t.lport, t.faddr, t.fport), None)
        self.demux.give(t.row)
        self.tcbs[t.row] = None
        t.row = 0

    def count_holes(self, t, n):
        """The connection's scoreboard has `n` ranges now (net.inet.tcp.sack.globalholes)."""
        self.sack_holes += n - t.board.counted
        t.board.counted = n
        if t.board.refused:
            self.stat.sack_overflow += t.board.refused
            t.board.refused = 0
            self.sack_holes_failed_at = self.now
        if self.sack_holes > self.sack_holes_high:
            self.sack_holes_high = self.sack_holes
        return 0

    def say_of(self, note, p, number):
        """The kernel says something of the segment `p`, with a number."""
        if self.log is not None:
            self.vain = (p.src, p.sport, p.dst, p.dport, p.flags)
            self.log(note, None, number, 0)
        return 0

    def count_orphan(self, by):
        """A connection lost its application, or is gone. Linux looks at a number that is renewed ten times a second;
        so does `orphans_known`.
        """
        self.orphans_known()
        self.orphans += by
        if self.orphans > self.orphans_high:
            self.orphans_high = self.orphans

    def orphans_known(self):
        """How many connections without an application there were when the last tenth of a second began."""
        if self.now - self.orphans_at >= _ORPHAN_TICK:
            self.orphans_at = self.now - self.now % _ORPHAN_TICK
            self.orphans_seen = self.orphans
        return self.orphans_seen

    def say(self, note, t, number, other):
        """The kernel has something to say (consts.Note), of the socket `t` if of any, with two numbers."""
        if self.log is not None:
            self.log(note, t, number, other)
        return 0

    def drawn(self, which, when, below):
        """A number in [0, below) that nobody outside can know, the same whenever it is asked for."""
        kind: cython.ulonglong = which
        time: cython.ulonglong = when
        most: cython.ulonglong = below
        return sip2(self.isn_k1, self.isn_k0, time, 2 + kind) % most

    def port_failed(self):
        """There was no local port left for a connection or a bind."""
        self.ports_failed += 1
        self.ports_failed_at = self.now
        return 0

    def bandlim(self, which):
        """May another answer of this kind (BANDLIM_*) go out in this second (net.inet.icmp.icmplim)? What was too much
        is told by the first one of a later second.
        """
        limit: cython.longlong = self.cfg.icmp_icmplim
        jitter: cython.longlong = self.cfg.icmp_icmplim_jitter
        if limit <= 0:
            return True
        if 0 < jitter < limit:
            # each second has a limit of its own, so that nobody can count on it
            limit += self.drawn(which, self.rate_start[which], 2 * jitter + 1) - jitter
        count: cython.int = self.rate_count[which]
        if count == 0 or self.now - self.rate_start[which] >= 1000 * MS:
            self.rate_start[which] = self.now
            self.rate_count[which] = 1
            if count > self.rate_high[which]:
                self.rate_high[which] = count
            if count > limit and self.cfg.icmp_icmplim_output:
                self.say(_BANDLIM, None, which, count)
            return True
        self.rate_count[which] = count + 1
        if count >= limit:
            self.rate_fail[which] += 1
            self.rate_last[which] = self.now
            return False
        return True


_BANDLIM = cython.declare(cython.int, int(Note.BANDLIM))
_SOCKETS = cython.declare(cython.int, int(Note.SOCKETS))
_ZONE_WARNING = cython.declare(cython.longlong, 300_000 * MS)
_ORPHAN = cython.declare(cython.int, SS_ORPHAN)
_ORPHAN_TICK = cython.declare(cython.longlong, 100 * MS)
_U32 = cython.declare(cython.ulonglong, 0xFFFFFFFF)
