"""A socket's own state, and the calls of a stream that are made for every message: compiled, so that a message costs no
walk through the interpreter.

Each call does the same: tell the machine the time (`Driver.before`), give it the command, let its packets go
(`Driver.after`); where the command says EAGAIN and the socket may wait, let the world go on (`Driver.step`) until the
socket was told something. What is seldom (flags, other buffers than bytes, errors, a closed socket) is for the methods
of the same name with an underscore, which the face (`pystack.sockets`) has.
"""

import cython

from pystack._fast.commands import (
    tcp_close,
    tcp_readable,
    tcp_recv_bytes,
    tcp_recv_into,
    tcp_send,
    tcp_writable,
)
from pystack._fast.consts import (
    EV_ACCEPT,
    EV_CONNECT,
    EV_ERROR,
    EV_HANGUP,
    EV_READ,
    EV_WRITE,
    FILES_LINUX,
    LISTEN,
    NEVER,
    Err,
)
from pystack._fast.core import Core, Driver  # noqa: F401
from pystack._fast.files import Descriptors
from pystack._fast.opening import take_error, tcp_accept, tcp_connect
from pystack._fast.tcb import (
    SS_ASKED,
    SS_CONNECTED,
    SS_CONNECTING,
    SS_DISCONNECTED,
    SS_UNCONNECTED,
    Tcb,
)

EAGAIN = int(Err.EAGAIN)
EINPROGRESS = int(Err.EINPROGRESS)
EINVAL = int(Err.EINVAL)
EPIPE = int(Err.EPIPE)
ACCEPTING = EV_ACCEPT | EV_ERROR | EV_HANGUP
CONNECTING = EV_CONNECT | EV_ERROR | EV_HANGUP
READING = EV_READ | EV_ERROR | EV_HANGUP


def plain(buffer):
    """Is it a memoryview that the core takes as it is: octets in one piece?"""
    return (
        type(buffer) is memoryview
        and buffer.format == "B"
        and buffer.ndim == 1
        and buffer.contiguous
    )


def dozes(core, t):
    """Does the program of this socket sleep, so that nobody would be answered?"""
    owner: Descriptors = t.owner
    return core.asleep != 0 and owner is not None and owner.asleep


def let_go(row):
    """The program's descriptor is closed: nobody holds the row (a `Tcb` or a `DatagramSocket`) any more."""
    owner: Descriptors = row.owner
    if owner is not None:
        owner.give(row.fd)
        row.owner = None
        row.fd = -1
    return 0


@cython.cclass
class Endpoint:
    """What every socket is: a machine (`host`, with its `core`), the core's `row`, and how long calls may wait.

    `_timeout` in ns: -1 for ever, 0 not at all. `core` is None once the socket is closed.
    """

    def __init__(self, host, row):
        self.host = self._host = host
        self.core = host.core
        self.row = row
        self._timeout = -1
        self._wanted = 0

    @cython.exceptval(check=False)
    def _deadline(self):
        """When a call that begins now gives up, ns of the world's clock; NEVER."""
        if self._timeout < 0:
            return NEVER
        return self._host.world.clock.now + self._timeout

    def _pause(self, events, deadline):
        """Let the world go on until one of `events` may have happened. Raises TimeoutError."""
        row = self.row
        row.wanted = self._wanted | events
        try:
            more = self.core.driver.step(deadline)
        finally:
            row.wanted = self._wanted
        if not more:
            raise TimeoutError("timed out")


@cython.cclass
class StreamEndpoint(Endpoint):
    """The calls of a TCP socket that every message makes; what they are is said in `pystack.sockets`."""

    def wait(self, t, events, deadline):
        """`_pause` of a stream."""
        driver = self.core.driver
        more: cython.int
        t.wanted = self._wanted | events
        try:
            more = driver.step(deadline)
        finally:
            t.wanted = self._wanted
        if not more:
            raise TimeoutError("timed out")
        return 0

    def connect(self, address):
        """connect(2): waits until the connection is made, unless the socket does not block."""
        answer: cython.int = self._connect(address)
        if answer < 0:
            self._fail(answer)

    def _connect(self, address):
        """The answer of the command, or what became of it for a socket that waits."""
        answer: cython.int
        core = self.core
        addr, port = self._address(address)
        if core is None:
            self._fail(0)
        t: Tcb = self.row
        core.driver.before(core)
        answer = tcp_connect(core, t, addr, port)
        core.driver.after(core)
        if answer != -EINPROGRESS or self._timeout == 0:
            return answer
        return self.await_connection(t)

    def await_connection(self, t):
        """A connection is being made: 0, or the negative error that it came to."""
        deadline: cython.longlong = self._deadline()
        while t.so_state & SS_CONNECTING:
            self.wait(t, CONNECTING, deadline)
        t.so_state &= ~SS_ASKED
        if not t.so_error:
            return 0
        t.so_state |= SS_UNCONNECTED
        return -take_error(t)

    def next_child(self):
        """The oldest connection that waits to be accepted, with a descriptor, which is taken before the queue is looked
        at: where there is none, the connection stays there.
        """
        core = self.core
        fd: cython.int = -1
        if core is None:
            self._fail(0)
        if core.asleep:
            self._awake(EV_ACCEPT)
        t: Tcb = self.row
        if t.state != LISTEN and core.cfg.policy_files != FILES_LINUX:
            self._fail(-EINVAL)
        owner: Descriptors = t.owner
        if owner is not None:
            fd = owner.take(core)
            if fd < 0:
                self._fail(fd)
        try:
            child: Tcb = self.oldest_child(core, t)
        except BaseException:
            if owner is not None:
                owner.give(fd)
            raise
        child.owner = owner
        child.fd = fd
        child.uid = t.uid
        return child

    def oldest_child(self, core, t):
        """Wait for a connection in the queue of `t`, and take it."""
        deadline: cython.longlong
        if t.state == LISTEN and t.so_error:
            self._fail(-take_error(t))
        child: Tcb = tcp_accept(core, t)
        if child is not None:
            return child
        deadline = self._deadline()
        while True:
            if t.state != LISTEN:
                self._fail(-EINVAL)
            if t.so_error:
                self._fail(-take_error(t))
            if self._timeout == 0:
                self._fail(-EAGAIN)
            self.wait(t, ACCEPTING, deadline)
            child = tcp_accept(core, t)
            if child is not None:
                return child

    def readable(self):
        """Would receiving (or `accept`) answer at once, be it with the end or an error?"""
        core = self.core
        answer: cython.int
        if core is None:
            self._fail(0)
        t: Tcb = self.row
        if dozes(core, t):
            return False
        if t.state == LISTEN:
            return t.qlen > 0
        if t.rcvq.cc:
            return t.rcvq.cc >= t.rcvq.lowat or t.so_state & SS_DISCONNECTED != 0
        answer = tcp_readable(t)
        return answer != -EAGAIN and (
            answer == 0 or t.so_error != 0 or t.so_state & SS_DISCONNECTED != 0
        )

    def writable(self):
        """Would sending answer at once?"""
        core = self.core
        answer: cython.int
        if core is None:
            self._fail(0)
        t: Tcb = self.row
        if t.state == LISTEN or dozes(core, t):
            return False
        answer = tcp_writable(core, t)
        return answer >= 0 or answer == -EPIPE or t.so_error != 0

    def level(self):
        """The events (EV_*) that describe the socket as it is now."""
        found: cython.int = 0
        if self.readable():
            found |= EV_READ
        t: Tcb = self.row
        if t.state == LISTEN:
            return EV_READ | EV_ACCEPT if t.qlen > 0 else 0
        if self.writable():
            found |= EV_WRITE
        if t.so_error or (t.reports is not None and t.reports.errors):
            found |= EV_ERROR
        if t.so_state & SS_DISCONNECTED:
            found |= EV_HANGUP | EV_CONNECT
        elif t.so_state & SS_CONNECTED:
            found |= EV_CONNECT
        return found

    def send(self, data, flags=0):
        """send(2): octets taken. A socket without a timeout waits until all are, one with a timeout until some are."""
        core = self.core
        n: cython.Py_ssize_t
        done: cython.int
        if core is None or flags != 0 or not (type(data) is bytes or plain(data)):
            return self._send(data, flags)
        n = len(data)
        t: Tcb = self.row
        if t.reports is not None or core.asleep:
            return self._send(data, 0)
        core.driver.before(core)
        done = tcp_send(core, t, data, 0, n, 0)
        core.driver.after(core)
        return done if done == n else self._sent(data, done, 0)

    def await_data(self, core, t):
        """Go on until a read has something to say, unless the socket does not block; the core is settled then."""
        deadline: cython.longlong = 0
        core.driver.before(core)
        while t.rcvq.cc == 0 and self._timeout != 0 and tcp_readable(t) == -EAGAIN:
            if deadline == 0:
                deadline = self._deadline()
            self.wait(t, READING, deadline)
            core.driver.before(core)
        return 0

    def recv(self, bufsize, flags=0):
        """recv(2): up to `bufsize` octets; b"" at the end of the stream."""
        core = self.core
        n: cython.Py_ssize_t = bufsize
        if core is None or flags != 0 or n <= 0 or core.asleep:
            return self._recv(bufsize, flags)
        t: Tcb = self.row
        self.await_data(core, t)
        data = tcp_recv_bytes(core, t, n, False)
        core.driver.after(core)
        return data if type(data) is bytes else self._fail(data)

    def recv_into(self, buffer, nbytes=0, flags=0):
        """recv(2) into a buffer: how many octets; 0 at the end of the stream."""
        core = self.core
        got: cython.int
        if core is None or flags != 0 or nbytes != 0 or not plain(buffer) or len(buffer) == 0:
            return self._recv_into(buffer, nbytes, flags)
        if core.asleep:
            return self._recv_into(buffer, nbytes, flags)
        if buffer.readonly:
            return self._recv_into(buffer, nbytes, flags)
        t: Tcb = self.row
        self.await_data(core, t)
        got = tcp_recv_into(core, t, buffer, 0, len(buffer), False)
        core.driver.after(core)
        return got if got >= 0 else self._fail(got)

    def close(self):
        """close(2): the connection ends in order, by the rules of the machine's profile and SO_LINGER.

        With a linger time a blocking socket waits for the peer to acknowledge everything; when the time is over,
        FreeBSD answers EWOULDBLOCK, and the connection goes on without its socket.
        """
        core = self.core
        connected: cython.bint
        if core is None:
            return
        t: Tcb = self.row
        if core.asleep and self._put_off(self.close):
            return
        self._retire()
        let_go(t)
        core.driver.before(core)
        connected = t.so_state & SS_CONNECTED != 0
        tcp_close(core, t)
        core.driver.after(core)
        if t.linger > 0 and connected and self._timeout != 0 and t.row:
            self._linger(t)
