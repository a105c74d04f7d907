"""What an application can ask of a connection: the calls of a BSD socket, without blocking.

Each answers a count or 0, or the negative of an error (consts.Err); none raises for anything that a program can do.
Blocking is the face's business (`sockets.py`): it runs the world until the call no longer answers EAGAIN.
"""

import cython

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
    PUSH_LINUX,
    SHUT_LISTENER_CLOSES,
    SHUT_RD_LINUX,
    SYN_RECEIVED,
    SYN_SENT,
    WINDOW_LINUX,
    WRITE_MORE,
    WRITE_RECORD,
    Err,
)
from pystack._fast.internet import Internet  # noqa: F401
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.ports import choose_port, tuple_free
from pystack._fast.reports import wrote
from pystack._fast.seq import add, dist
from pystack._fast.tcb import (
    FO_ASK,
    FO_CONNECT,
    FO_DATA,
    FO_EXP,
    FO_LISTEN,
    FO_NO_COOKIE,
    FO_SOCKET,
    FO_WAIT,
    OOB_EXPECTED,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SS_ASKED,
    SS_BOUND,
    SS_CANTRCVMORE,
    SS_CANTSENDMORE,
    SS_CONNECTED,
    SS_CONNECTING,
    SS_DISCONNECTED,
    SS_DONE,
    SS_INQUEUE,
    SS_NOFDREF,
    SS_PORT_CHOSEN,
    SS_UNCONNECTED,
    SS_WRITE_BLOCKED,
    TF_ACKNOW,
    TF_MORETOCOME,
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
from pystack._fast.tcp_close import (
    abort_queue,
    application_close,
    application_shutdown_send,
    drop,
    remove_timewait,
)
from pystack._fast.tcp_handshake import set_mss
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_window import (
    moderate,
    offered_scale,
    read_opens,
    worth_an_update,
)
from pystack._fast.tfo import SERVER, SERVER_ALL, FastOpen, Remembered

EACCES = int(Err.EACCES)
EADDRINUSE = int(Err.EADDRINUSE)
EADDRNOTAVAIL = int(Err.EADDRNOTAVAIL)
EAFNOSUPPORT = int(Err.EAFNOSUPPORT)
EAGAIN = int(Err.EAGAIN)
EALREADY = int(Err.EALREADY)
ECONNABORTED = int(Err.ECONNABORTED)
ECONNREFUSED = int(Err.ECONNREFUSED)
ECONNRESET = int(Err.ECONNRESET)
EINPROGRESS = int(Err.EINPROGRESS)
EINVAL = int(Err.EINVAL)
EISCONN = int(Err.EISCONN)
ENETUNREACH = int(Err.ENETUNREACH)
ENOBUFS = int(Err.ENOBUFS)
ENOTCONN = int(Err.ENOTCONN)
EOPNOTSUPP = int(Err.EOPNOTSUPP)
EPIPE = int(Err.EPIPE)

SHUT_RD = 0
SHUT_WR = 1
SHUT_RDWR = 2


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
    return s.timewait.port_waits(port, reuse)


def tcp_bind(s, t, addr, port):
    """bind(2): address 0 for any, port 0 for one that the machine chooses."""
    if t.so_state & SS_BOUND or t.row == 0:
        return -EINVAL
    if addr and not s.is_local(addr):
        return -EADDRNOTAVAIL
    if port == 0:
        port = choose_port(s, addr, 0, 0, False)
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


def tcp_connect(s, t, addr, port):
    """connect(2): sends the SYN; EINPROGRESS, and later EV_CONNECT or EV_ERROR. 0: a call before began it and it is
    done, or it waits for the first write (TCP_FASTOPEN_CONNECT).
    """
    row: cython.int
    src: cython.uint
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
    if t.state != CLOSED:
        return -EINVAL
    if port == 0:
        return -EADDRNOTAVAIL
    if addr >> 28 >= 14:
        return -(EAFNOSUPPORT if addr >> 28 == 14 else EACCES)
    if addr == 0:
        addr = s.source_for(0x7F000001)
    if s.is_broadcast(addr):
        return -EACCES
    src = t.laddr
    if src == 0:
        src = s.source_for(addr)
    if src == 0 or s.mtu_to(addr) == 0:
        return -ENETUNREACH
    if t.lport == 0:
        t.lport = choose_port(s, src, addr, port, True)
        if t.lport == 0:
            return -EADDRNOTAVAIL
        t.so_state |= SS_PORT_CHOSEN
    elif not tuple_free(s, src, t.lport, addr, port, False):
        return -(EADDRNOTAVAIL if s.cfg.policy_connect_port == CONNECT_PORT_LINUX else EADDRINUSE)
    t.laddr = src
    t.faddr = addr
    t.fport = port
    t.iss = s.new_isn(src, t.lport, addr, port)
    t.ts_offset = s.new_ts_offset(src, addr)
    row = s.timewait.find(src, t.lport, addr, port)
    if row != 0:
        t.iss = add(s.timewait.snd_nxt[row], 65537)
        remove_timewait(s, row)
        s.stat.tw_connects += 1
    s.demux.connect(t.row, src, t.lport, addr, port)
    if t.so_state & SS_PORT_CHOSEN:
        s.demux.choose(t.row)
    t.snd_una = t.snd_nxt = t.snd_max = t.snd_up = t.recover = t.iss
    prepare(s, t)
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
    tcp_output(s, t)
    return -EINPROGRESS


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
    t.advmss = t.rcv_mss = t.last_seg = t.window_clamp = t.rcv_ssthresh = t.rcv_space = 0
    t.rcv_space_at = t.rcv_rtt = t.rcv_rtt_at = t.ato = 0
    t.quick_acks = t.pingpong = t.ack_pending = t.comp_acks = t.dup_answers = 0
    t.burst_long = False
    t.rxtcur = s.cfg.tcp_rexmit_initial
    t.rxtshift = t.syn_rexmits = t.dupacks = t.keep_probes = 0
    t.zero_windows = t.segs_again = 0
    t.ecn_seen = False
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


# --- Fast Open (RFC 7413 section 4.2.1) ------------------------------------------------------------------------------


def fast_open(s, t):
    """The SYN shall ask for a cookie, or carry data if there is one: how many octets may go with it."""
    fastopen: FastOpen = s.fastopen
    if not fastopen.client_on(s, t):
        return 0
    known: Remembered = fastopen.recall(s, t)
    if known is None:
        return 0
    t.fo_cookie = b""
    if fastopen.needs_cookie(s, t):
        t.fo |= FO_ASK
        t.fo &= ~FO_EXP
        if known.exp if len(known.cookie) > 0 else known.ask_exp == 1:
            t.fo |= FO_EXP
        if len(known.cookie) == 0:
            s.stat.fo_cookie_reqd += 1
            return 0
        t.fo_cookie = known.cookie
    t.fo |= FO_DATA
    room: cython.int = s.mtu_to(t.faddr) - 40
    if known.mss > 0 and known.mss < room:
        room = known.mss
    t.fo_qlen = room - 40 if room > 40 else 0
    return t.fo_qlen


def tcp_send_to(s, t, addr, port, data, off, n):
    """sendto(2) of a socket that is not connected: Linux with MSG_FASTOPEN, FreeBSD at any time. The octets that were
    queued; EINPROGRESS when the connection is being made and took none.
    """
    fastopen: FastOpen = s.fastopen
    done: cython.int
    answer: cython.int
    linux: cython.bint = s.cfg.policy_calls == CALLS_LINUX
    if linux and not fastopen.client_on(s, t):
        return -EOPNOTSUPP
    if t.state != CLOSED or t.so_state & (SS_CONNECTED | SS_CONNECTING):
        answer = tcp_connect(s, t, addr, port)
        return answer if answer < 0 else tcp_send(s, t, data, off, n, False)
    t.fo |= FO_WAIT  # the SYN is not sent yet
    answer = tcp_connect(s, t, addr, port)
    t.fo &= ~FO_WAIT
    if answer != -EINPROGRESS and answer != 0:
        return answer
    done = fast_open(s, t)
    if linux and n > done:
        n = done
    if n > t.sndq.hiwat - t.sndq.cc:
        n = t.sndq.hiwat - t.sndq.cc
    done = t.sndq.append(data, off, n) if n > 0 else 0
    if done > 0:
        t.sndq.mark(add(t.iss, 1 + done))
    tcp_output(s, t)
    return done if done > 0 else -EINPROGRESS


def first_write(s, t, data, off, n):
    """The write that a TCP_FASTOPEN_CONNECT waited for: it goes with the SYN."""
    if n > t.fo_qlen:
        n = t.fo_qlen
    t.fo &= ~FO_WAIT
    t.so_state |= SS_ASKED
    if n > 0:
        n = t.sndq.append(data, off, n)
        t.sndq.mark(add(t.iss, 1 + n))
    tcp_output(s, t)
    return n if n > 0 else -EINPROGRESS


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


def tcp_send(s, t, data, off, n, how):
    """send(2) of data[off:off+n]: the octets taken. EAGAIN when the queue has no room; `how`: consts.WRITE_*."""
    room: cython.int
    done: cython.int
    held: cython.int
    wanted: cython.Py_ssize_t = n
    if t.fo & FO_WAIT:
        return first_write(s, t, data, off, n)
    if t.so_state & SS_CONNECTING and s.cfg.policy_calls == CALLS_LINUX and not t.so_error:
        return -EAGAIN  # be the sending side shut already or not
    if t.so_state & SS_CANTSENDMORE:
        if t.so_error and s.cfg.policy_calls == CALLS_LINUX:
            return -take_error(t)
        return -EPIPE
    if t.so_error:
        return -take_error(t)
    if not t.so_state & SS_CONNECTED:
        if t.so_state & SS_CONNECTING:
            return -ENOTCONN
        return -ENOTCONN if s.cfg.policy_calls != CALLS_LINUX else -EPIPE
    if n == 0:
        return 0
    room = t.sndq.hiwat - t.sndq.cc
    if unsent(t) >= t.notsent_lowat:
        room = 0
    if room <= 0 or (room < n and room < t.sndq.lowat):
        t.so_state |= SS_WRITE_BLOCKED
        return -EAGAIN
    if n > room:
        n = room
        t.so_state |= SS_WRITE_BLOCKED
    done = t.sndq.append(data, off, n)
    if done == 0:
        return -ENOBUFS
    if s.cfg.policy_push == PUSH_LINUX:
        room = t.max_sndwnd // 2 if t.max_sndwnd > 1 else 0x3FFFFFFF
        held = t.sndq.written(
            add(t.snd_una, t.sndq.cc - done),
            done,
            t.snd_max,
            goal(t, room),
            room,
            how & WRITE_MORE != 0,
        )
        if how & WRITE_RECORD and done == wanted:
            t.sndq.end_record(add(t.snd_una, t.sndq.cc))
        if t.reports is not None:
            wrote(t, done, how, held, done == wanted)
    if how & WRITE_MORE:
        t.t_flags |= TF_MORETOCOME
    s.draft.writing = True
    tcp_output(s, t)
    s.draft.writing = False
    t.t_flags &= ~TF_MORETOCOME
    return done


def goal(t, half):
    """Linux: octets of the largest piece that writes are made into: whole segments, at most half the peer's window."""
    most: cython.int = 65215 if half > 65215 else half
    most -= most % t.maxseg
    return most if most > t.maxseg else t.maxseg


def unsent(t):
    """Octets that were written and not sent; with `notsent_lowat` of them a socket is full (Linux)."""
    n: cython.longlong = t.sndq.cc - dist(t.snd_una, t.snd_nxt)
    return n


def tcp_readable(t):
    """What recv would do now: octets ready (> 0), 0 for end of file, or a negative error."""
    if t.rcvq.cc > 0:
        return t.rcvq.cc
    if t.so_state & SS_DONE:
        return 0
    if t.so_error:
        return -t.so_error
    if t.so_state & SS_CANTRCVMORE:
        return 0
    if not t.so_state & (SS_CONNECTED | SS_CONNECTING):
        return -ENOTCONN
    return -EAGAIN


def tcp_writable(t):
    """What send would do now: octets of room, or a negative error (EAGAIN: none)."""
    if t.so_state & SS_CANTSENDMORE:
        return -EPIPE
    if t.so_error:
        return -t.so_error
    if not t.so_state & SS_CONNECTED:
        if t.fo & FO_WAIT:
            return t.sndq.hiwat
        return -EAGAIN if t.so_state & SS_CONNECTING else -ENOTCONN
    if not t.sndq.roomy() or 2 * unsent(t) >= t.notsent_lowat:
        t.so_state |= SS_WRITE_BLOCKED
        return -EAGAIN
    return t.sndq.hiwat - t.sndq.cc


def tcp_recv_into(s, t, data, off, n, peek):
    """recv(2) into data[off:off+n]: octets, 0 at the end of the stream; EAGAIN when there is nothing yet."""
    got: cython.int
    if t.rcvq.cc == 0:
        got = tcp_readable(t)
        if got < 0 and t.so_error:
            t.so_error = 0
        return got
    got = t.rcvq.read_into(data, off, to_the_mark(t, n), peek)
    if not peek:
        towards_the_mark(t, got)
    if not peek and t.row != 0:
        after_read(s, t, got)
    return got


def tcp_recv_bytes(s, t, n, peek):
    """As `tcp_recv_into`, answering bytes, or a negative error as int."""
    if t.rcvq.cc == 0:
        got = tcp_readable(t)
        if got < 0 and t.so_error:
            t.so_error = 0
        return got if got < 0 else b""
    data = t.rcvq.read_bytes(to_the_mark(t, n), peek)
    if not peek:
        towards_the_mark(t, len(data))
    if not peek and t.row != 0:
        after_read(s, t, len(data))
    return data


def to_the_mark(t, n):
    """Of `n` octets, those that a read may take at once: it stops before the urgent octet, or where that was."""
    return t.oob_left if 0 < t.oob_left < n else n


def towards_the_mark(t, n):
    """`n` octets were read: the urgent mark is nearer, or was passed."""
    if t.oob_left > 0:
        t.oob_left -= n
    elif n > 0 and t.oob_state != OOB_EXPECTED:
        t.oob_mark = False


def tcp_at_mark(t):
    """Is the next octet to be read the first behind the urgent one, or with SO_OOBINLINE that one (sockatmark(3))?"""
    if not t.oob_mark:
        return False
    if t.oob_state == OOB_EXPECTED:
        return t.rcvq.cc + dist(t.rcv_nxt, t.rcv_up) == 1
    return t.oob_left == 0


def after_read(s, t, copied):
    """There is room again: does the peer need to know (RFC 9293 MUST-39)?"""
    if s.cfg.policy_window != WINDOW_LINUX:
        if worth_an_update(s, t):
            tcp_output(s, t)
        return 0
    moderate(s, t)
    if read_opens(s, t, copied):
        t.t_flags |= TF_ACKNOW
        tcp_output(s, t)
    return 0


def tcp_shutdown(s, t, how):
    """shutdown(2)."""
    if how < SHUT_RD or how > SHUT_RDWR:
        return -EINVAL
    if t.state == LISTEN:
        return shut_listener(s, t, how)
    if not t.so_state & (SS_CONNECTED | SS_CONNECTING) or t.row == 0:
        if s.cfg.policy_shut_rd == SHUT_RD_LINUX and how != SHUT_WR:
            t.so_state |= SS_CANTRCVMORE  # though it says that this cannot be
        return -ENOTCONN
    if t.state == SYN_SENT and s.cfg.policy_calls == CALLS_LINUX:
        return tcp_disconnect(s, t)
    if how != SHUT_WR:
        t.so_state |= SS_CANTRCVMORE
        if s.cfg.policy_shut_rd != SHUT_RD_LINUX:
            t.rcvq.flush()
            t.rcvq.hiwat = 0  # the window's right edge stands still from now on
        s.wakeup(t, EV_READ)
    if how != SHUT_RD and not t.so_state & SS_CANTSENDMORE:
        application_shutdown_send(s, t)
        s.wakeup(t, EV_WRITE)
    return 0


def shut_listener(s, t, how):
    """shutdown(2) of a listener: Linux ends it, FreeBSD wakes who waits in accept (policy `shut_listener`)."""
    if s.cfg.policy_shut_listener == SHUT_LISTENER_CLOSES:
        return stop_listening(s, t) if how != SHUT_WR else 0
    if how != SHUT_WR:
        t.so_error = ECONNABORTED
        s.wakeup(t, EV_ACCEPT | EV_READ)
    return -ENOTCONN


def tcp_close(s, t):
    """close(2). A lingering close (SO_LINGER with a time) is waited for by the face."""
    if t.state == LISTEN:
        s.listeners.forget_of(s, t)
    return application_close(s, t)
