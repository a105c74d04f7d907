"""What an application can ask of a connection: the calls of a BSD socket, without blocking.

Each answers a count or 0, or the negative of an error (consts.Err); none raises for anything that a program can do.
Blocking is the face's business (`sockets.py`): it runs the world until the call no longer answers EAGAIN.
"""

import cython

from pystack._fast import prr
from pystack._fast.consts import (
    CALLS_LINUX,
    CLOSED,
    EV_ACCEPT,
    EV_READ,
    EV_WRITE,
    LISTEN,
    MBUF_SHORTAGE_SLEEP,
    PUSH_LINUX,
    SHUT_LISTENER_CLOSES,
    SHUT_RD_LINUX,
    SOCKBUF_LINUX,
    SYN_SENT,
    WINDOW_LINUX,
    WRITE_GRANTED,
    WRITE_MORE,
    WRITE_PAGES,
    WRITE_RECORD,
    Err,
)
from pystack._fast.flight import Flight  # noqa: F401
from pystack._fast.internet import Internet  # noqa: F401
from pystack._fast.opening import stop_listening, take_error, tcp_connect, tcp_disconnect
from pystack._fast.rates import pause
from pystack._fast.reports import wrote
from pystack._fast.seq import add, dist
from pystack._fast.space import send_space, writable
from pystack._fast.tcb import (
    FO_WAIT,
    OOB_EXPECTED,
    SS_CANTRCVMORE,
    SS_CANTSENDMORE,
    SS_CONNECTED,
    SS_CONNECTING,
    SS_DONE,
    SS_WRITE_BLOCKED,
    TF_ACKNOW,
    TF_CORK_FLUSH,
    TF_MORETOCOME,
)
from pystack._fast.tcp_close import application_close, application_shutdown_send
from pystack._fast.tcp_mem import account, may_send, piece_of
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_window import moderate, read_opens, worth_an_update
from pystack._fast.tfo import FastOpen
from pystack._fast.tfo_calls import fast_open, first_write

EACCES = int(Err.EACCES)
EAGAIN = int(Err.EAGAIN)
ECONNABORTED = int(Err.ECONNABORTED)
EINPROGRESS = int(Err.EINPROGRESS)
EINVAL = int(Err.EINVAL)
ENOBUFS = int(Err.ENOBUFS)
ENOTCONN = int(Err.ENOTCONN)
EOPNOTSUPP = int(Err.EOPNOTSUPP)
EPIPE = int(Err.EPIPE)

SHUT_RD = 0
SHUT_WR = 1
SHUT_RDWR = 2


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
    if n > send_space(s, t):
        n = send_space(s, t)
    done = t.sndq.append(data, off, n) if n > 0 else 0
    if done > 0:
        t.sndq.mark(add(t.iss, 1 + done))
    tcp_output(s, t)
    return done if done > 0 else -EINPROGRESS


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
    linux: cython.bint = s.cfg.policy_sockbuf == SOCKBUF_LINUX
    room = send_space(s, t) if how & WRITE_GRANTED == 0 else n
    if linux and room > 0:
        room = may_send(s, t, room if room < n else n)
    if unsent(t) >= t.notsent_lowat:
        room = 0
    if room <= 0 or (room < n and room < t.sndq.lowat):
        t.so_state |= SS_WRITE_BLOCKED
        return -EAGAIN
    if n > room:
        n = room
        t.so_state |= SS_WRITE_BLOCKED
    if t.t_flags & TF_CORK_FLUSH and unsent(t) == 0:
        t.t_flags &= ~TF_CORK_FLUSH  # what was to be flushed has gone
    if t.flight is not None:
        pauses(s, t, t.flight)
    s.pool.wait = s.cfg.policy_mbuf_shortage == MBUF_SHORTAGE_SLEEP
    done = t.sndq.append(data, off, n, how & WRITE_PAGES != 0)
    s.pool.wait = False
    if done == 0:
        return -ENOBUFS
    if s.cfg.policy_push == PUSH_LINUX:
        room = t.max_sndwnd // 2 if t.max_sndwnd > 1 else 0x3FFFFFFF
        held = t.sndq.written(
            add(t.snd_una, t.sndq.cc - done),
            done,
            t.snd_max,
            piece_of(t),
            room,
            how & WRITE_MORE != 0,
        )
        if how & WRITE_RECORD and done == wanted:
            t.sndq.end_record(add(t.snd_una, t.sndq.cc))
        if t.reports is not None:
            wrote(t, done, how, held, done == wanted)
    if linux:
        account(s, t)
    if how & WRITE_MORE:
        t.t_flags |= TF_MORETOCOME
    refusals: cython.uint = s.refusals
    s.draft.writing = True
    tcp_output(s, t)
    s.draft.writing = False
    t.t_flags &= ~TF_MORETOCOME
    if s.refusals != refusals and s.cfg.policy_calls != CALLS_LINUX:
        return (
            -EACCES
        )  # the machine's own firewall; what was written is sent again later all the same
    return done


def pauses(s, t, f):
    """Linux: has the application had nothing to send until this write, with the window open?"""
    if unsent(t) < t.maxseg and f.in_flight() < prr.window_of(t) and f.lost_out <= f.retrans_out:
        pause(f.rate, f.delivered, f.in_flight())
    return 0


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


def tcp_writable(s, t):
    """What send would do now: octets of room, or a negative error (EAGAIN: none)."""
    if t.so_state & SS_CANTSENDMORE:
        return -EPIPE
    if t.so_error:
        return -t.so_error
    if not t.so_state & SS_CONNECTED:
        if t.fo & FO_WAIT:
            return t.sndq.hiwat
        return -EAGAIN if t.so_state & SS_CONNECTING else -ENOTCONN
    if not writable(s, t) or 2 * unsent(t) >= t.notsent_lowat:
        t.so_state |= SS_WRITE_BLOCKED
        return -EAGAIN
    return send_space(s, t)


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
    account(s, t)
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
