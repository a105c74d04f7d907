"""Sockets: BSD-shaped calls over the core's commands, in virtual or real time.

A blocking call tries first; only where that says EAGAIN does it let the world go on (`Driver.step`) until
something happened to the socket. Errors are OSError with the errno of the real call. Addresses are
("192.0.2.1", 80), or ("", 80) for any. `on_ready` makes a socket event-driven; see `Socket.on_ready`.

    Socket             what all sockets can: `sockbase`
    StreamSocket       TCP: this file, and the options of `sockopts`
    DatagramSocket     UDP and ICMP echo: `datagram`
"""

from __future__ import annotations

import socket as std
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from pystack import shortage, sockreports
from pystack._fast.commands import (
    tcp_at_mark,
    tcp_close,
    tcp_recv_bytes,
    tcp_recv_into,
    tcp_send,
    tcp_send_to,
    tcp_shutdown,
)
from pystack._fast.consts import (
    CALLS_LINUX,
    DEAD_CHILD_ABORTED,
    EV_CONNECT,
    EV_ERROR,
    EV_HANGUP,
    EV_READ,
    EV_WRITE,
    FIN_WAIT_2,
    NEVER,
    SECOND,
    SOCKBUF_LINUX,
    SOCKOPT_LINUX,
    STATE_NAMES,
    WRITE_MORE,
    WRITE_PAGES,
    WRITE_RECORD,
    WRITE_WAITS,
    WRITE_ZEROCOPY,
    Err,
)
from pystack._fast.endpoint import StreamEndpoint, let_go
from pystack._fast.opening import tcp_bind, tcp_disconnect, tcp_listen
from pystack._fast.tcb import (
    SS_CONNECTED,
    SS_CONNECTING,
    SS_DEAD,
)
from pystack.addresses import dotted
from pystack.errors import error_of, number_of
from pystack.sockbase import (
    EV_ALL,
    MSG_CTRUNC,
    MSG_DONTWAIT,
    MSG_EOR,
    MSG_ERRQUEUE,
    MSG_FASTOPEN,
    MSG_MORE,
    MSG_NOSIGNAL,
    MSG_OOB,
    MSG_PEEK,
    MSG_SPLICE_PAGES,
    MSG_TRUNC,
    MSG_WAITALL,
    MSG_ZEROCOPY,
    Address,
    Buffer,
    Socket,
    address_of,
    octets,
)
from pystack.sockio import makefile, sendfile
from pystack.urgent import receive_urgent, send_urgent

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterable


__all__ = [
    "EV_ALL",
    "MSG_CTRUNC",
    "MSG_DONTWAIT",
    "MSG_EOR",
    "MSG_ERRQUEUE",
    "MSG_FASTOPEN",
    "MSG_MORE",
    "MSG_NOSIGNAL",
    "MSG_OOB",
    "MSG_PEEK",
    "MSG_SPLICE_PAGES",
    "MSG_TRUNC",
    "MSG_WAITALL",
    "MSG_ZEROCOPY",
    "Address",
    "Buffer",
    "Socket",
    "StreamSocket",
    "address_of",
    "octets",
]

_AGAIN = -int(Err.EAGAIN)
_IN_PROGRESS = -int(Err.EINPROGRESS)
_ENDED = EV_ERROR | EV_HANGUP
_READING = EV_READ | _ENDED
_WRITING = EV_WRITE | _ENDED
_CONNECTING = EV_CONNECT | _ENDED


class StreamSocket(StreamEndpoint, Socket):
    """A TCP socket: a new one, a listener or a connection."""

    __slots__ = ()

    type = std.SOCK_STREAM
    proto = std.IPPROTO_TCP

    _address = staticmethod(address_of)

    if TYPE_CHECKING:  # the compiled face has them

        def readable(self) -> bool: ...

        def writable(self) -> bool: ...

    def __repr__(self) -> str:
        if self.closed:
            return f"<{self.host.name}: tcp4 closed>"
        t = self.row
        local, foreign = (
            f"{dotted(addr) if addr else '*'}.{port or '*'}"
            for addr, port in ((t.laddr, t.lport), (t.faddr, t.fport))
        )
        state = STATE_NAMES[t.state]
        return f"<{self.host.name}: tcp4 {t.rcvq.cc} {t.sndq.cc} {local} {foreign} {state}>"

    # --- opening -----------------------------------------------------------------------------------

    def bind(self, address: Address) -> None:
        """bind(2). Port 0: the machine chooses one."""
        addr, port = address_of(address)
        core = self._host.core
        self._host.before(core)
        answer = tcp_bind(core, self.row, addr, port)
        if answer < 0:
            raise error_of(answer)

    def listen(self, backlog: int = 128) -> None:
        """listen(2). Again, to change the backlog."""
        core = self._host.core
        self._host.before(core)
        answer = tcp_listen(core, self.row, min(max(backlog, -1), 2**31 - 1))
        if answer < 0:
            raise error_of(answer)

    def connect_ex(self, address: Address) -> int:
        """`connect` with the errno as its answer: 0 for success, EAGAIN when the timeout ends the wait."""
        try:
            answer = self._connect(address)
        except TimeoutError:
            return number_of(Err.EAGAIN)
        return number_of(-answer)

    def disconnect(self) -> None:
        """connect(2) to AF_UNSPEC: the connection is given up and the socket can be used again (Linux)."""
        host = self._host
        host.core.settle(host.clock.now)
        answer = tcp_disconnect(host.core, self.row)
        host.after(host.core)
        if answer < 0:
            raise error_of(answer)

    def accept(self) -> tuple[StreamSocket, Address]:
        """accept(2): the oldest connection that waits, and the address of its peer."""
        child: Any = self.next_child()
        if child.so_state & SS_DEAD and self._host.core.cfg.policy_dead_child == DEAD_CHILD_ABORTED:
            let_go(child)
            tcp_close(self._host.core, child)
            raise error_of(Err.ECONNABORTED)
        return StreamSocket(self.host, child), (dotted(child.faddr), child.fport)

    # --- data --------------------------------------------------------------------------------------

    def _send(self, data: Buffer, flags: int) -> int:
        """`send`, whatever it is given."""
        if type(data) is not bytes:
            data = octets(data)
        if flags & MSG_OOB:
            return send_urgent(self, data)
        n = len(data)
        host = self._host
        core = host.core
        how = self._how(flags)
        if core.asleep:
            self._awake(EV_WRITE)
        host.before(core)
        done: int = tcp_send(core, self.row, data, 0, n, how)
        host.after(core)
        return done if done == n else self._sent(data, done, flags)

    def _how(self, flags: int) -> int:
        """WRITE_* of a call: its flags, and whether it waits until all of its octets are taken."""
        how = WRITE_MORE if flags & MSG_MORE else 0
        if flags & (MSG_EOR | MSG_ZEROCOPY):
            linux = self._host.core.cfg.policy_sockopt == SOCKOPT_LINUX
            if flags & MSG_EOR:
                if not linux:
                    raise error_of(Err.EINVAL)  # a stream has no records (FreeBSD, sosend_generic)
                how |= WRITE_RECORD
            if flags & MSG_ZEROCOPY and linux:
                how |= WRITE_ZEROCOPY
        if flags & MSG_SPLICE_PAGES:
            how |= WRITE_PAGES
        return how | (WRITE_WAITS if self._timeout < 0 and not flags & MSG_DONTWAIT else 0)

    def send_some(self, data: Buffer, flags: int, waits: bool, asked: int = -1) -> int:
        """What the queue takes now of a write whose caller does the waiting, if it `waits`; `asked`: the times that the
        write asks for by itself. Raises OSError (EAGAIN).
        """
        data = octets(data)
        host = self._host
        core = host.core
        how = self._how(flags) | (WRITE_WAITS if waits else 0)
        t = self.row
        host.before(core)
        with sockreports.asking(t, asked):
            done: int = tcp_send(core, t, data, 0, len(data), how)
        host.after(core)
        if done < 0:
            raise error_of(done)
        return self._send_more(data, done, how)

    def sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancdata: Iterable[tuple[int, int, Buffer]] = (),
        flags: int = 0,
    ) -> int:
        """sendmsg(2). SO_TIMESTAMPING among the control messages asks for the times of this write alone."""
        asked = sockreports.asked_by(self, ancdata)
        with sockreports.asking(self.row, asked):
            return self.send(b"".join(buffers), flags)

    def _sent(self, data: Buffer, done: int, flags: int) -> int:
        """The command did not take everything: `done` octets, or it is the negative error."""
        if shortage.starved(self, data, done, self._how(flags)):
            done = shortage.sleep(self, data, max(done, 0), self._how(flags))
            if done == len(data):
                return done
        if done > 0 and (self._timeout >= 0 or flags & MSG_DONTWAIT):
            return self._send_more(data, done, self._how(flags))
        if done < 0 and (done != _AGAIN or self._timeout == 0 or flags & MSG_DONTWAIT):
            raise error_of(done)
        return self._send_rest(data, max(done, 0), self._timeout < 0, flags)

    def _send_more(self, data: Buffer, done: int, how: int) -> int:
        """Sending made the buffer grow: a kernel goes on until it is full, and so does this."""
        core = self._host.core
        t = self.row
        while done < len(data):
            took = tcp_send(core, t, data, done, len(data) - done, how)
            if took <= 0:
                break
            done += took
            self._host.after(core)
        return done

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        """Send everything; the timeout is for all of it."""
        if type(data) is not bytes:
            data = octets(data)
        n = len(data)
        host = self._host
        core = host.core
        if core.asleep:
            self._awake(EV_WRITE)
        how = self._how(flags)
        host.before(core)
        done = tcp_send(core, self.row, data, 0, n, how)
        host.after(core)
        if done == n:
            return
        if shortage.starved(self, data, done, how):
            done = shortage.sleep(self, data, max(done, 0), how)
            if done == n:
                return
        if done < 0:
            if done != _AGAIN:
                raise error_of(done)
            done = 0
        if self._timeout == 0:
            raise error_of(_AGAIN)
        self._send_rest(data, done, True, flags)

    def _send_rest(self, data: Buffer, done: int, everything: bool, flags: int) -> int:
        """Wait for room and go on from `done`."""
        host = self._host
        core = host.core
        t = self.row
        n = len(data)
        how = self._how(flags)
        deadline = self._deadline()
        while True:
            self._pause(_WRITING, deadline)
            host.before(core)
            took: int = tcp_send(core, t, data, done, n - done, how)
            host.after(core)
            if shortage.starved(self, data[done:], took, how):
                took = shortage.sleep(self, data[done:], max(took, 0), how)
            if took == _AGAIN:
                continue
            if took < 0:
                if done and not everything:
                    return done
                raise error_of(took)
            done += took
            if done == n or not everything:
                return done

    def sendto(self, data: Buffer, *args: Any) -> int:
        """`send`: a stream has one peer. But a socket without one is connected by it, on Linux with
        MSG_FASTOPEN, on FreeBSD at any time; where Fast Open is on, the data may go with the SYN.
        """
        flags: int = args[0] if len(args) == 2 else 0
        host = self._host
        core = host.core
        linux = core.cfg.policy_calls == CALLS_LINUX
        new = not self.row.so_state & (SS_CONNECTED | SS_CONNECTING)
        if not (flags & MSG_FASTOPEN if linux else new and args and args[-1]):
            return self.send(data, flags)
        addr, port = address_of(args[-1])
        data = octets(data)
        core.settle(host.clock.now)
        done: int = tcp_send_to(core, self.row, addr, port, data, 0, len(data))
        host.after(core)
        if self._timeout == 0 or flags & MSG_DONTWAIT or (done < 0 and done != _IN_PROGRESS):
            if done < 0:
                raise error_of(done)
            return done
        answer = self.await_connection(self.row)
        if answer < 0:
            raise error_of(answer)
        done = max(done, 0)
        return done + self.send(data[done:], flags & ~MSG_FASTOPEN) if done < len(data) else done

    def _recv(self, bufsize: int, flags: int) -> bytes:
        """`recv`, with flags or for nothing."""
        if bufsize < 0:
            raise ValueError("negative buffersize in recv")
        host = self._host
        core = host.core
        t = self.row
        peek = flags & MSG_PEEK != 0
        if core.asleep:
            self._awake(EV_READ)
        host.before(core)
        if flags & MSG_ERRQUEUE:
            return sockreports.receive_error(self, bufsize, 0)[0]
        if flags & MSG_OOB:
            return receive_urgent(self, peek)
        deadline = self._deadline()
        parts = b""
        while True:
            data = tcp_recv_bytes(core, t, bufsize - len(parts), peek)
            host.after(core)
            if isinstance(data, bytes):
                if not data or peek:
                    return parts + data
                parts += data
                if len(parts) >= bufsize or not flags & MSG_WAITALL:
                    return parts
            elif data != _AGAIN:
                if parts:
                    return parts
                raise error_of(data)
            elif bufsize == 0:
                return b""
            elif self._timeout == 0 or flags & MSG_DONTWAIT:
                if parts:
                    return parts
                raise error_of(data)
            else:
                self._pause(_READING, deadline)
            host.before(core)

    def _recv_into(self, buffer: bytearray | memoryview, nbytes: int, flags: int) -> int:
        """`recv_into`, whatever it is given."""
        view = buffer if type(buffer) is memoryview else memoryview(buffer)
        if view.format != "B" or view.ndim != 1:
            view = view.cast("B")
        n = nbytes or len(view)
        if n > len(view) or n < 0:
            raise ValueError("buffer too small for requested bytes")
        host = self._host
        core = host.core
        if core.asleep:
            self._awake(EV_READ)
        host.before(core)
        peek = flags & MSG_PEEK != 0
        got: int = tcp_recv_into(core, self.row, view, 0, n, peek)
        host.after(core)
        if got >= 0:
            return got
        deadline = self._deadline()
        while got == _AGAIN and n and self._timeout != 0 and not flags & MSG_DONTWAIT:
            self._pause(_READING, deadline)
            host.before(core)
            got = tcp_recv_into(core, self.row, view, 0, n, peek)
            host.after(core)
        if got == _AGAIN and n == 0:
            return 0
        if got < 0:
            raise error_of(got)
        return got

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, None]:
        """`recv`, and None for an address, as the standard library has it."""
        return self.recv(bufsize, flags), None

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> sockreports.Message:
        """recvmsg(2): (octets, control messages, flags, None). With MSG_ERRQUEUE an entry of the error queue."""
        return sockreports.receive(self, bufsize, ancbufsize, flags)

    def at_mark(self) -> bool:
        """sockatmark(3): would the next octet read be the first behind the urgent one? With SO_OOBINLINE: that one."""
        return bool(tcp_at_mark(self.row))

    def sendfile(self, file: BinaryIO, offset: int = 0, count: int | None = None) -> int:
        """Send a file, or `count` octets of it, from `offset` on, until its end: the octets sent. Its pages are mapped,
        not copied. Raises ValueError for a socket that does not block, as the standard library does.
        """
        return sendfile(self, file, offset, count)

    def makefile(self, mode: str = "r", buffering: int | None = None, **text: Any) -> io.IOBase:
        """A file object over this socket, as the standard library's `socket.makefile`."""
        return makefile(self, mode, buffering, **text)

    # --- ending ------------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        """shutdown(2): SHUT_RD, SHUT_WR or SHUT_RDWR."""
        host = self._host
        core = host.core
        if core.asleep and self._put_off(partial(self.shutdown, how)):
            return
        host.before(core)
        answer = tcp_shutdown(core, self.row, how)
        host.after(core)
        if answer < 0:
            raise error_of(answer)

    def _linger(self, t: Any) -> None:
        host = self.host
        deadline = int(host.world.clock.now) + t.linger * SECOND
        done = host.world.run_until(lambda: t.row == 0 or t.state >= FIN_WAIT_2, deadline)
        if not done and host.core.cfg.policy_sockbuf != SOCKBUF_LINUX:
            raise error_of(Err.EAGAIN)

    # --- asking ------------------------------------------------------------------------------------

    def getpeername(self) -> Address:
        """The peer's address. Raises OSError (ENOTCONN)."""
        t = self.row
        if not t.so_state & SS_CONNECTED:
            raise error_of(Err.ENOTCONN)
        return dotted(t.faddr), t.fport

    def _put_off(self, call: Callable[[], object]) -> bool:
        """The program is asleep, and makes this call when it wakes up."""
        program = self.row.owner
        if program is None or not program.asleep:
            return False
        program.later(call)
        return True

    def _awake(self, event: int) -> None:
        """Nobody calls while the program is asleep: what waits waits longer, what does not hears EAGAIN, and of the
        event once more when it wakes up.
        """
        program = self.row.owner
        if program is None or not program.asleep:
            return
        core: Any = self.core
        if self._timeout == 0 or core.dispatching:
            program.miss(self.row, event)
            raise error_of(_AGAIN)
        while program.asleep:
            core.driver.step(NEVER)
