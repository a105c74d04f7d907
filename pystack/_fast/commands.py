"""What an application can ask of a connection: the calls of a BSD socket, without blocking.

Each answers a count or 0, or the negative of an error (consts.Err); none raises for anything that a program can do.
Blocking is the face's business (`sockets.py`): it runs the world until the call no longer answers EAGAIN.
"""

import cython

from pystack._fast.consts import (
    CLOSED,
    CONNECT_PORT_LINUX,
    ESTABLISHED,
    EV_ACCEPT,
    EV_READ,
    EV_WRITE,
    LISTEN,
    LISTEN_LINUX,
    MS,
    PUSH_LINUX,
    SHUT_RD_LINUX,
    SYN_SENT,
    WINDOW_LINUX,
    Err,
)
from pystack._fast.internet import Internet  # noqa: F401
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.ports import choose_port, tuple_free
from pystack._fast.seq import add, dist
from pystack._fast.tcb import (
    SO_REUSEADDR,
    SO_REUSEPORT,
    SS_BOUND,
    SS_CANTRCVMORE,
    SS_CANTSENDMORE,
    SS_CONNECTED,
    SS_CONNECTING,
    SS_DISCONNECTED,
    SS_INQUEUE,
    SS_NOFDREF,
    SS_UNTOLD,
    SS_WRITE_BLOCKED,
    TF_ACKNOW,
    TF_MORETOCOME,
    TF_NO_SACK,
    TF_NO_SCALE,
    TF_NO_TS,
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

EACCES = int(Err.EACCES)
EADDRINUSE = int(Err.EADDRINUSE)
EADDRNOTAVAIL = int(Err.EADDRNOTAVAIL)
EAFNOSUPPORT = int(Err.EAFNOSUPPORT)
EAGAIN = int(Err.EAGAIN)
EALREADY = int(Err.EALREADY)
ECONNABORTED = int(Err.ECONNABORTED)
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
    for row in s.demux.rows_on_port(port):
        other: Tcb = s.tcbs[row]
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
        if reuse and addr != other.laddr and s.cfg.policy_listen != LISTEN_LINUX:
            continue
        return True
    if reuse:
        return False
    return s.timewait.port_waits(port)


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
    if t.state != LISTEN and s.cfg.policy_listen == LISTEN_LINUX:
        if bind_conflict(s, t, t.laddr, t.lport):
            return -EADDRINUSE  # both were bound with SO_REUSEADDR, and the other one listens already
    limit: cython.longlong = s.cfg.somaxconn
    if backlog < 0:
        backlog = limit
    if backlog > limit:
        backlog = limit
    t.backlog = backlog
    if t.state != LISTEN:
        prepare(s, t)
        s.set_state(t, LISTEN)
        s.demux.listen(t.row)
    return 0


def tcp_connect(s, t, addr, port):
    """connect(2): sends the SYN; EINPROGRESS, and later EV_CONNECT or EV_ERROR."""
    row: cython.int
    src: cython.uint
    code: cython.int
    if t.state == LISTEN:
        return -EOPNOTSUPP if s.cfg.policy_listen != LISTEN_LINUX else -EISCONN
    if t.so_state & SS_CONNECTING:
        return -EALREADY
    if t.so_state & SS_UNTOLD and s.cfg.policy_listen == LISTEN_LINUX:
        # a connect() that did not wait has come to its end, and this one tells how
        t.so_state &= ~SS_UNTOLD
        if not t.so_state & SS_DISCONNECTED:
            return 0
        code = t.so_error if t.so_error else ECONNABORTED
        t.so_error = 0
        return -code
    if t.so_state & SS_CONNECTED:
        return -EISCONN
    if t.row == 0 or t.state != CLOSED:
        # Linux: what was connected once stays so, even after a RST
        linux: cython.bint = s.cfg.policy_listen == LISTEN_LINUX
        return -EISCONN if linux and t.snd_una != t.iss else -EINVAL
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
    elif not tuple_free(s, src, t.lport, addr, port):
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
        s.stat.tw_reused += 1
    s.demux.connect(t.row, src, t.lport, addr, port)
    t.snd_una = t.snd_nxt = t.snd_max = t.snd_up = t.recover = t.iss
    prepare(s, t)
    set_mss(s, t)
    t.cwnd = t.maxseg
    t.ssthresh = 0x40000000
    t.so_state |= SS_CONNECTING | SS_BOUND | SS_UNTOLD
    t.rexmt_start = s.now
    if t.keepinit > 0:
        t.at_keep = s.now + t.keepinit * MS
    s.stat.connattempt += 1
    s.set_state(t, SYN_SENT)
    tcp_output(s, t)
    return -EINPROGRESS


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


def tcp_send(s, t, data, off, n, more):
    """send(2) of data[off:off+n]: the octets taken. EAGAIN when the queue has no room; `more` is MSG_MORE."""
    room: cython.int
    done: cython.int
    if t.so_state & SS_CONNECTING and s.cfg.policy_listen == LISTEN_LINUX and not t.so_error:
        return -EAGAIN  # be the sending side shut already or not
    if t.so_state & SS_CANTSENDMORE:
        if t.so_error and s.cfg.policy_listen == LISTEN_LINUX:
            return -take_error(t)
        return -EPIPE
    if t.so_error:
        return -take_error(t)
    if not t.so_state & SS_CONNECTED:
        if t.so_state & SS_CONNECTING:
            return -ENOTCONN
        return -ENOTCONN if s.cfg.policy_listen != LISTEN_LINUX else -EPIPE
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
        t.sndq.written(
            add(t.snd_una, t.sndq.cc - done),
            done,
            t.snd_max,
            goal(t, room),
            room,
            more,
        )
    if more:
        t.t_flags |= TF_MORETOCOME
    tcp_output(s, t)
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
    if not peek and t.oob_left > 0:
        t.oob_left -= got
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
    if not peek and t.oob_left > 0:
        t.oob_left -= len(data)
    if not peek and t.row != 0:
        after_read(s, t, len(data))
    return data


def to_the_mark(t, n):
    """Of `n` octets, those that a read may take at once: it stops before the urgent octet, or where that was."""
    return t.oob_left if 0 < t.oob_left < n else n


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
        return shutdown_listener(s, t, how)
    if not t.so_state & (SS_CONNECTED | SS_CONNECTING) or t.row == 0:
        if s.cfg.policy_shut_rd == SHUT_RD_LINUX and how != SHUT_WR:
            t.so_state |= SS_CANTRCVMORE  # though it says that this cannot be
        return -ENOTCONN
    if t.state == SYN_SENT and s.cfg.policy_shut_rd == SHUT_RD_LINUX:
        # the attempt is over, and the socket as new, with an error to ask for
        drop(s, t, ECONNRESET, False)
        t.so_state &= ~(SS_CANTRCVMORE | SS_CANTSENDMORE)
        return 0
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


def shutdown_listener(s, t, how):
    """shutdown(2) of a listener: on Linux it stops listening, unless only sending ends; FreeBSD calls it not connected,
    but an accept(2) that waits is told ECONNABORTED.
    """
    if s.cfg.policy_shut_rd == SHUT_RD_LINUX:
        if how == SHUT_WR:
            t.so_state |= SS_CANTSENDMORE
            return 0
        s.listeners.forget_of(s, t)
        abort_queue(s, t)
        s.demux.unlink(t.row)
        s.set_state(t, CLOSED)
        return 0
    if how != SHUT_WR:
        t.so_error = ECONNABORTED
        s.wakeup(t, EV_ACCEPT | EV_READ)
    return -ENOTCONN


def tcp_close(s, t):
    """close(2). A lingering close (SO_LINGER with a time) is waited for by the face."""
    if t.state == LISTEN:
        s.listeners.forget_of(s, t)
    return application_close(s, t)
