"""The calls that open: bind, listen, accept, connect, and connect to AF_UNSPEC, which gives a connection up.

Each answers 0, or the negative of an error (consts.Err); none raises for anything that a program can do.
"""

import cython

from pystack._fast import mtu_probe
from pystack._fast.consts import (
    CALLS_LINUX,
    CLOSED,
    CONNECT_PORT_LINUX,
    ESTABLISHED,
    EV_ACCEPT,
    EV_CONNECT,
    EV_HANGUP,
    EV_READ,
    EV_WRITE,
    LISTEN,
    MS,
    NEVER,
    SYN_RECEIVED,
    SYN_SENT,
    Err,
)
from pystack._fast.internet import Internet  # noqa: F401
from pystack._fast.ports import choose_port, tuple_free
from pystack._fast.seq import add
from pystack._fast.source_routes import adopt, towards
from pystack._fast.tcb import (
    FO_CONNECT,
    FO_DATA,
    FO_LISTEN,
    FO_NO_COOKIE,
    FO_SOCKET,
    FO_WAIT,
    SO_NO_TCP_OPTIONS,
    SO_PORT_LOW,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SS_ASKED,
    SS_BOUND,
    SS_CONNECTED,
    SS_CONNECTING,
    SS_DISCONNECTED,
    SS_INQUEUE,
    SS_NOFDREF,
    SS_PORT_CHOSEN,
    SS_UNCONNECTED,
    TF_NO_SACK,
    TF_NO_SCALE,
    TF_NO_TS,
    TF_NODELAY,
    TF_NOPUSH,
    TF_RCV_AUTO_OFF,
    TF_SND_AUTO_OFF,
    ListenBooks,
    Tcb,
)
from pystack._fast.tcp_close import abort_queue, drop, remove_timewait
from pystack._fast.tcp_handshake import set_mss
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_window import offered_scale
from pystack._fast.tfo import SERVER, SERVER_ALL
from pystack._fast.tfo_calls import fast_open

EACCES = int(Err.EACCES)
EADDRINUSE = int(Err.EADDRINUSE)
EADDRNOTAVAIL = int(Err.EADDRNOTAVAIL)
EAFNOSUPPORT = int(Err.EAFNOSUPPORT)
EALREADY = int(Err.EALREADY)
ECONNABORTED = int(Err.ECONNABORTED)
ECONNREFUSED = int(Err.ECONNREFUSED)
ECONNRESET = int(Err.ECONNRESET)
EINPROGRESS = int(Err.EINPROGRESS)
EINVAL = int(Err.EINVAL)
EISCONN = int(Err.EISCONN)
ENETUNREACH = int(Err.ENETUNREACH)
ENOBUFS = int(Err.ENOBUFS)
EOPNOTSUPP = int(Err.EOPNOTSUPP)


def take_error(t):
    """The pending error, which is then no longer pending (SO_ERROR)."""
    err: cython.int = t.so_error
    t.so_error = 0
    return err


def prepare(s, t):
    """What a connection or listener will offer, from the knobs of now."""
    cfg = s.cfg
    t.request_r_scale = offered_scale(s, t)
    if not cfg.tcp_window_scaling:
        t.t_flags |= TF_NO_SCALE
    if not cfg.tcp_timestamps:
        t.t_flags |= TF_NO_TS
    if not cfg.tcp_sack:
        t.t_flags |= TF_NO_SACK
    if t.so_options & SO_NO_TCP_OPTIONS:
        t.t_flags |= TF_NO_SCALE | TF_NO_TS | TF_NO_SACK
    return 0


def bind_conflict(s, t, addr, port):
    """Does another socket's use of the port forbid this bind (facts: freebsd-tcp 2.5, SO_REUSEADDR)?"""
    if s.demux.port_use[port] == 0:
        return False
    reuse = t.so_options & SO_REUSEADDR
    at: cython.int = 0
    while True:
        at = s.demux.next_on_port(at, port)
        if at == 0:
            break
        other: Tcb = s.tcbs[at]
        if other is None or other is t:
            continue
        if t.so_options & other.so_options & SO_REUSEPORT:
            continue
        if addr and other.laddr and addr != other.laddr:
            continue
        if reuse and other.so_options & SO_REUSEADDR and other.state != LISTEN:
            continue
        if reuse and other.state >= ESTABLISHED:
            continue
        if reuse and addr != other.laddr and s.cfg.policy_connect_port != CONNECT_PORT_LINUX:
            continue
        return True
    linux: cython.bint = s.cfg.policy_connect_port == CONNECT_PORT_LINUX
    if reuse and not linux:
        return False
    return s.timewait.port_waits(addr, port, reuse != 0)


def tcp_bind(s, t, addr, port):
    """bind(2): address 0 for any, port 0 for one that the machine chooses."""
    if t.so_state & SS_BOUND or t.row == 0:
        return -EINVAL
    if addr and not s.is_local(addr):
        return -EADDRNOTAVAIL
    if port == 0:
        if t.uid and t.so_options & SO_PORT_LOW:
            return -EACCES
        port = choose_port(s, t, addr, 0, 0)
        if port == 0:
            return -(
                EADDRINUSE if s.cfg.policy_connect_port == CONNECT_PORT_LINUX else EADDRNOTAVAIL
            )
    elif bind_conflict(s, t, addr, port):
        return -EADDRINUSE
    if t.uid and s.cfg.port_reservedlow <= port <= s.cfg.port_reservedhigh:
        return -EACCES
    t.laddr = addr
    t.lport = port
    t.so_state |= SS_BOUND
    s.demux.bind(t.row, addr, port)
    return 0


def tcp_listen(s, t, backlog):
    """listen(2): SYNs are answered from now on; again, to change the backlog."""
    if t.so_state & (SS_CONNECTED | SS_CONNECTING | SS_DISCONNECTED) or t.row == 0:
        return -EINVAL
    if not t.so_state & SS_BOUND:
        err: cython.int = tcp_bind(s, t, 0, 0)
        if err < 0:
            return err
    if t.state != LISTEN and s.cfg.policy_calls == CALLS_LINUX:
        if bind_conflict(s, t, t.laddr, t.lport):
            return -EADDRINUSE  # both have SO_REUSEADDR, and the other one listens already
    limit: cython.longlong = s.cfg.somaxconn
    if backlog < 0:
        backlog = limit
    if backlog > limit:
        backlog = limit
    t.backlog = backlog
    if t.state != LISTEN:
        t.books = ListenBooks()
        prepare(s, t)
        s.set_state(t, LISTEN)
        s.demux.listen(t.row)
        if s.cfg.tcp_fastopen & SERVER and s.cfg.tcp_fastopen & SERVER_ALL and t.fo_qlen == 0:
            t.fo_qlen = backlog
    return 0


def tcp_accept(s, t):
    """accept(2): the oldest connection in the queue, or None. One that was reset meanwhile is SS_DEAD."""
    child: Tcb = t.accept_first
    if child is None:
        return None
    t.accept_first = child.accept_next
    if t.accept_first is None:
        t.accept_last = None
    child.accept_next = None
    t.qlen -= 1
    child.so_state &= ~(SS_INQUEUE | SS_NOFDREF)
    return child


def tcp_connect(s, t, addr, port):
    """connect(2): sends the SYN; EINPROGRESS, and later EV_CONNECT or EV_ERROR. 0: a call before began it and it is
    done, or it waits for the first write (TCP_FASTOPEN_CONNECT).
    """
    err: cython.int = asked_before(s, t)
    if err <= 0:
        return err
    if port == 0 and s.cfg.policy_calls != CALLS_LINUX:
        return -EADDRNOTAVAIL
    if addr == 0:
        addr = s.source_for(0x7F000001)
    if addr >> 28 >= 14 or s.is_broadcast(addr):
        if s.cfg.policy_calls == CALLS_LINUX:
            return -ENETUNREACH
        return -(EAFNOSUPPORT if addr >> 28 == 14 else EACCES)
    err = choose_ends(s, t, addr, port)
    if err < 0:
        return err
    begin_numbers(s, t)
    adopt(s, t)
    prepare(s, t)
    if s.cfg.tcp_mtu_search:
        mtu_probe.begin(s, t, 40 if t.t_flags & TF_NO_TS else 52)
    set_mss(s, t)
    t.cwnd = t.maxseg
    t.ssthresh = 0x40000000
    t.so_state |= SS_CONNECTING | SS_BOUND | SS_ASKED
    t.so_error = 0
    t.rexmt_start = s.now
    if t.keepinit > 0:
        t.at_keep = s.now + t.keepinit * MS
    s.stat.connattempt += 1
    s.set_state(t, SYN_SENT)
    if t.fo & FO_CONNECT:
        fast_open(s, t)
        if t.fo & FO_DATA:
            t.fo |= FO_WAIT  # the SYN goes with the first write
            t.so_state &= ~SS_ASKED
            s.wakeup(t, EV_CONNECT | EV_WRITE)
            return 0
    refusals: cython.uint = s.refusals
    tcp_output(s, t)
    if s.refusals != refusals and s.cfg.policy_calls != CALLS_LINUX:
        # the machine's own firewall: the call says so, the SYN is repeated all the same
        t.so_state &= ~SS_CONNECTING
        return -EACCES
    return -EINPROGRESS


def asked_before(s, t):
    """What connect(2) says on a socket that listens, or has been asked already; 1: it may begin."""
    if t.state == LISTEN:
        return -EOPNOTSUPP if s.cfg.policy_calls != CALLS_LINUX else -EISCONN
    if t.so_state & SS_CONNECTING:
        return -(EISCONN if t.fo & FO_WAIT else EALREADY)
    if t.so_state & SS_CONNECTED:
        if s.cfg.policy_calls == CALLS_LINUX and t.so_state & SS_ASKED:
            t.so_state &= ~SS_ASKED
            return 0
        return -EISCONN
    if t.row == 0:
        if s.cfg.policy_calls != CALLS_LINUX:
            return -(EINVAL if t.snd_una != t.iss else ECONNREFUSED)
        if t.so_state & SS_ASKED:
            # what became of the call before; the next one begins anew
            err: cython.int = take_error(t)
            revive(s, t)
            return -(err if err != 0 else ECONNABORTED)
        if not t.so_state & SS_UNCONNECTED:
            return -EISCONN
        if revive(s, t) < 0:
            return -ENOBUFS
    return 1 if t.state == CLOSED else -EINVAL


def choose_ends(s, t, addr, port):
    """The addresses and ports of a connection to be, in `t`. 0, or the error of connect(2)."""
    src: cython.uint = t.laddr
    if src == 0:
        src = s.source_for(towards(s, t, addr))
    if src == 0 or s.mtu_to(addr) == 0:
        return -ENETUNREACH
    if t.lport == 0:
        if t.uid and t.so_options & SO_PORT_LOW:
            return -EACCES
        t.lport = choose_port(s, t, src, addr, port)
        if t.lport == 0:
            return -EADDRNOTAVAIL
        t.so_state |= SS_PORT_CHOSEN
    elif not tuple_free(s, src, t.lport, addr, port, False):
        return -(EADDRNOTAVAIL if s.cfg.policy_connect_port == CONNECT_PORT_LINUX else EADDRINUSE)
    t.laddr = src
    t.faddr = addr
    t.fport = port
    return 0


def begin_numbers(s, t):
    """The first sequence number, beyond that of a connection in TIME_WAIT whose ends these are; segments are found."""
    row: cython.int = s.timewait.find(t.laddr, t.lport, t.faddr, t.fport)
    t.iss = s.new_isn(t.laddr, t.lport, t.faddr, t.fport)
    t.ts_offset = s.new_ts_offset(t.laddr, t.faddr)
    if row != 0:
        t.iss = add(s.timewait.snd_nxt[row], 65537)
        remove_timewait(s, row)
        s.stat.tw_connects += 1
    s.demux.connect(t.row, t.laddr, t.lport, t.faddr, t.fport)
    if t.so_state & SS_PORT_CHOSEN:
        s.demux.choose(t.row)
    t.snd_una = t.snd_nxt = t.snd_max = t.snd_up = t.recover = t.iss
    return 0


def revive(s, t):
    """A socket whose connection failed can be used for another (Linux). -1: there are no sockets left."""
    row: cython.int = s.demux.take(s.now)
    timer: cython.int
    if row == 0:
        return -1
    timer = s.wheel.alloc(0, row)
    if timer == 0:
        s.demux.give(row)
        return -1
    t.row = row
    t.timer = timer
    t.timer_at = NEVER
    chosen: cython.bint = t.so_state & SS_PORT_CHOSEN != 0
    t.so_state = 0
    t.so_error = t.soft_error = 0
    t.t_flags &= TF_NODELAY | TF_NOPUSH | TF_SND_AUTO_OFF | TF_RCV_AUTO_OFF
    t.faddr = t.snd_wnd = t.max_sndwnd = 0
    t.fport = t.snd_scale = t.rcv_scale = t.pmtu = t.bh_mss = t.mss_peer = t.maxseg = 0
    t.irs = t.rcv_nxt = t.rcv_adv = t.rcv_up = t.last_ack_sent = t.rcv_wnd = 0
    t.ts_recent = 0
    t.srtt = t.rttvar = t.rtt_time = t.rtt_min_window = 0
    t.mdev = t.mdev_max = t.rto_var = 0
    t.rtt_seq = t.rtt_round = t.fin_seq = 0
    t.flight = None
    t.board = None
    t.sacks = None
    t.search = None
    t.advmss = t.rcv_mss = t.last_seg = t.window_clamp = t.rcv_ssthresh = t.rcv_space = 0
    t.rcv_space_at = t.rcv_rtt = t.rcv_rtt_at = t.ato = 0
    t.quick_acks = t.pingpong = t.ack_pending = t.comp_acks = t.dup_answers = 0
    t.burst_long = False
    t.rxtcur = s.cfg.tcp_rexmit_initial
    t.rxtshift = t.syn_rexmits = t.dupacks = t.keep_probes = 0
    t.zero_windows = t.segs_again = 0
    t.ecn_seen = False
    t.ace = t.scep = t.rcep = 0
    t.ooo_in = t.rto_count = t.rto_episodes = 0
    t.rto_since = t.rto_time = 0
    t.fo &= FO_LISTEN | FO_SOCKET | FO_CONNECT | FO_NO_COOKIE
    t.oob_state = 0
    t.oob_mark = False
    t.rcvq.flush()
    t.sndq.flush()
    t.rcvtime = t.starttime = s.now
    s.states[CLOSED] += 1
    s.tcbs[row] = t
    if chosen:
        t.laddr = 0
        t.lport = 0
    elif t.lport:
        t.so_state |= SS_BOUND
        s.demux.bind(row, t.laddr, t.lport)
    return 0


def tcp_disconnect(s, t):
    """connect(2) to AF_UNSPEC: the connection is given up, with a RST if the peer knows of it; the socket lives on."""
    if s.cfg.policy_calls != CALLS_LINUX:
        return -EAFNOSUPPORT
    if t.row == 0 or t.state == CLOSED:
        return 0
    if t.state == LISTEN:
        return stop_listening(s, t)
    t.soft_error = 0
    drop(s, t, ECONNRESET, t.state >= SYN_RECEIVED)
    if revive(s, t) < 0:
        return -ENOBUFS
    t.so_error = ECONNRESET
    return 0


def stop_listening(s, t):
    """No SYN is answered any more; who was not accepted is reset (Linux: shutdown of a listener's receiving side)."""
    s.listeners.forget_of(s, t)
    abort_queue(s, t)
    s.demux.unlink(t.row)
    s.set_state(t, CLOSED)
    s.wakeup(t, EV_ACCEPT | EV_READ | EV_HANGUP)
    return 0
