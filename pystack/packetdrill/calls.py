"""System calls of a script over the machine's sockets.

No call waits in here: sockets never block, and a call that has to wait is a generator that yields the time at which
it gives up (ns, NEVER for never) and is asked again whenever something has happened (docs/adr/0016). So the
player's loop stays the only place where time passes.
"""

from __future__ import annotations

import errno
import os
import socket as std
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

from pystack._fast.consts import FIN_WAIT_2, NEVER, SECOND
from pystack._fast.tcb import SS_ASKED, SS_CONNECTED, SS_CONNECTING
from pystack.addresses import dotted
from pystack.packetdrill import callopts, messages, waiting
from pystack.packetdrill.control import Ancillary, sent
from pystack.packetdrill.files import PIPE_SIZE, Device, Epoll, File, Pipe, PipeEnd, SocketFile
from pystack.packetdrill.script import (
    Arg,
    Ellipsis_,
    List_,
    Number,
    String,
    Struct,
    Symbol,
    Syscall,
)
from pystack.packetdrill.symbols import Symbols, describe, error_name, plain_error
from pystack.packetdrill.verdict import Failure, Skip

Steps = Generator[int, None, int]
_FD_MAKERS = {"socket", "accept", "accept4", "open", "epoll_create", "epoll_create1"}
Address = tuple[str, int]


class Observer(Protocol):
    """Who follows the socket under test: the player."""

    local: Address
    """What `bind(fd, ..., ...)` binds."""
    remote: Address
    """What `connect(fd, ..., ...)` goes to."""

    def made(self, file: SocketFile) -> None:
        """socket()"""

    def bound(self, file: SocketFile, address: Address) -> None:
        """bind()"""

    def listening(self, file: SocketFile) -> None:
        """listen()"""

    def connecting(self, file: SocketFile, address: Address) -> None:
        """connect() is about to be called."""

    def accepted(self, file: SocketFile) -> None:
        """accept() gave this."""


@dataclass(slots=True)
class Running:
    """A call that was begun: `steps` while it waits, then its value or errno, and what is left to compare."""

    call: Syscall
    steps: Steps | None = None
    value: int = 0
    error: int = 0
    give_up: int = NEVER
    checks: list[Callable[[], None]] = field(default_factory=list)
    made: File | None = None

    @property
    def done(self) -> bool:
        """Has it returned?"""
        return self.steps is None

    def again(self) -> bool:
        """Ask it once more; True when it has returned."""
        if self.steps is None:
            return True
        try:
            self.give_up = next(self.steps)
        except StopIteration as e:
            self.value = e.value
            self.steps = None
        except OSError as e:
            self.fail(e)
        return self.steps is None

    def fail(self, e: OSError) -> None:
        """It returned -1."""
        self.steps = None
        self.value, self.error = -1, e.errno or errno.EIO


class Calls:
    """The process of a script: its descriptors, and every call that it can make."""

    def __init__(self, host: Any, names: Symbols, observer: Observer) -> None:
        self.host = host
        self.names = names
        self.observer = observer
        self.files: dict[int, File] = {}
        self.linux = names.system == "linux"
        self.started = 0
        """Begin of the script, ns of the clock that control messages tell the time of."""
        self.tolerance = 0

    # --- the life of a call ------------------------------------------------------------------------

    def begin(self, call: Syscall) -> Running:
        """Make the call. Raises Skip for one that there is not, Failure for arguments that make no sense."""
        handler = getattr(self, f"sys_{call.name}", None)
        if handler is None:
            raise Skip(f"the system call {call.name}")
        running = Running(call)
        try:
            answer = handler(running, *call.args)
        except OSError as e:
            running.fail(e)
            return running
        except (OverflowError, ValueError) as e:
            raise Failure(f"semantic error: {call.name}: {e}") from e
        except TypeError as e:
            if e.__traceback__ is None or e.__traceback__.tb_next is not None:
                raise
            raise Failure(f"semantic error: wrong number of arguments for {call.name}") from e
        if isinstance(answer, int):
            running.value = answer
        else:
            running.steps = answer
            running.again()
        return running

    def verify(self, running: Running) -> None:
        """Is this what the script expects? Binds the descriptor that was made. Raises Failure."""
        call = running.call
        made = running.made
        if call.result is not None and not isinstance(call.result, Ellipsis_):
            expected = self.names.value(call.result)
            if call.name in _FD_MAKERS and expected >= 0:
                right = running.value >= 0
            else:
                right = running.value == expected
            if not right:
                raise self._wrong(call, expected, running)
            if made is not None and expected >= 0:
                self._bind_fd(call, expected, made)
        elif made is not None and call.result is None:
            raise Failure(f"runtime error in {call.name} call: no descriptor is named for it")
        if call.errno is not None:
            got = error_name(running.error) if running.error else "0"
            if running.value != -1 or plain_error(call.errno) != got:
                raise Failure(
                    f"runtime error in {call.name} call: Expected errno {call.errno} but got "
                    f"{got if running.error else 'success'}"
                )
        for check in running.checks:
            check()

    def _bind_fd(self, call: Syscall, fd: int, made: File) -> None:
        if fd in self.files:
            raise Failure(f"runtime error in {call.name} call: descriptor {fd} is in use")
        self.files[fd] = made

    def _wrong(self, call: Syscall, expected: int, running: Running) -> Failure:
        text = (
            f"runtime error in {call.name} call: Expected result {expected} but got {running.value}"
        )
        if running.error:
            number = self.names.errno(running.error)
            text += (
                f" with errno {number} ({error_name(running.error)}: {os.strerror(running.error)})"
            )
        return Failure(text)

    def close_all(self) -> None:
        """What the end of the process does: every descriptor is closed."""
        for fd in sorted(self.files):
            file = self.files[fd]
            if isinstance(file, SocketFile) and not file.sock.closed:
                file.sock.close()
        self.files.clear()

    # --- arguments ---------------------------------------------------------------------------------

    def file(self, arg: Arg) -> File:
        """The descriptor of an argument. Raises OSError (EBADF)."""
        found = self.files.get(self.names.value(arg))
        if found is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return found

    def socket_file(self, arg: Arg) -> SocketFile:
        """A descriptor that is a socket. Raises OSError (EBADF, ENOTSOCK)."""
        found = self.file(arg)
        if not isinstance(found, SocketFile):
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
        return found

    def address(self, arg: Arg, default: Address) -> Address | None:
        """The address of an argument: `...` is the default, NULL None, AF_UNSPEC ("", 0)."""
        if isinstance(arg, Ellipsis_):
            return default
        if isinstance(arg, Symbol) and arg.name == "NULL":
            return None
        if isinstance(arg, (Symbol, Number)):
            if self.names.value(arg) == self.names.table["AF_UNSPEC"]:
                return "", 0
            raise Skip(f"the address {describe(arg)}")
        if isinstance(arg, Struct):
            family = arg.get("sa_family")
            kind = 2 if family is None else self.names.value(family)
            if kind == 0:
                return "", 0
            if kind != self.names.table["AF_INET"]:
                raise Skip("addresses of IPv6")
            port, addr = arg.get("sin_port"), arg.get("sin_addr")
            number = self.names.value(addr) if addr is not None else 0
            return dotted(number), self.names.value(port) if port is not None else 0
        raise Failure(f"semantic error: an address expected, not {describe(arg)}")

    def _amount(self, arg: Arg) -> int:
        n = self.names.value(arg)
        if n < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if n > 1 << 28:
            raise Skip(f"a buffer of {n} octets")
        return n

    # --- sockets -----------------------------------------------------------------------------------

    def sys_socket(self, run: Running, family: Arg, kind: Arg, proto: Arg) -> int:
        table = self.names.table
        number = table["AF_INET"] if isinstance(family, Ellipsis_) else self.names.value(family)
        if number != table["AF_INET"]:
            raise Skip(f"sockets of {describe(family)}")
        wanted = self.names.value(kind)
        nonblock = bool(wanted & table["SOCK_NONBLOCK"])
        wanted &= ~(table["SOCK_NONBLOCK"] | table["SOCK_CLOEXEC"])
        protocol = self.names.value(proto)
        if (wanted, protocol) not in ((1, 0), (1, 6), (2, 0), (2, 17)):
            raise Skip(f"sockets of {describe(kind)}, {describe(proto)}")
        sock = self.host.socket(std.SOCK_STREAM if wanted == 1 else std.SOCK_DGRAM, protocol)
        sock.setblocking(False)
        file = SocketFile(sock, nonblock)
        run.made = file
        self.watch(file)
        self.observer.made(file)
        return 3

    def watch(self, file: SocketFile) -> None:
        """Count what happens to the socket, for edge-triggered epoll."""

        def happened(_events: int) -> None:
            file.edges += 1

        file.sock.on_ready = happened

    def sys_bind(self, run: Running, fd: Arg, address: Arg, length: Arg) -> int:
        file = self.socket_file(fd)
        where = self.address(address, self.observer.local)
        if where is None:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        file.sock.bind(where)
        self.observer.bound(file, where)
        return 0

    def sys_listen(self, run: Running, fd: Arg, backlog: Arg) -> int:
        file = self.socket_file(fd)
        if not file.stream:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        file.sock.listen(self.names.value(backlog))
        self.observer.listening(file)
        return 0

    def sys_accept(self, run: Running, fd: Arg, address: Arg, length: Arg) -> Steps:
        return self._accept(run, self.socket_file(fd), 0)

    def sys_accept4(self, run: Running, fd: Arg, address: Arg, length: Arg, flags: Arg) -> Steps:
        return self._accept(run, self.socket_file(fd), self.names.value(flags))

    def _accept(self, run: Running, file: SocketFile, flags: int) -> Steps:
        if not file.stream:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        while True:
            try:
                sock, _ = file.sock.accept()
                break
            except BlockingIOError:
                if file.nonblock:
                    raise
            yield NEVER
        sock.setblocking(False)
        # FreeBSD's accept inherits O_NONBLOCK, Linux's does not (accept(2) of each)
        child = SocketFile(sock, file.nonblock if not self.linux else False)
        if flags & self.names.table["SOCK_NONBLOCK"]:
            child.nonblock = True
        run.made = child
        self.watch(child)
        self.observer.accepted(child)
        return 3

    def sys_connect(self, run: Running, fd: Arg, address: Arg, length: Arg) -> int | Steps:
        file = self.socket_file(fd)
        where = self.address(address, self.observer.remote)
        if where is None:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        if where == ("", 0) and file.stream:
            file.sock.disconnect()
            self.observer.connecting(file, where)
            return 0
        self.observer.connecting(file, where)
        answer = file.sock.connect_ex(where)
        waits = (errno.EINPROGRESS, errno.EALREADY) if self.linux else (errno.EINPROGRESS,)
        if answer in waits and not file.nonblock:
            return self._connecting(file)
        if answer:
            raise OSError(answer, os.strerror(answer))
        return 0

    def _connecting(self, file: SocketFile) -> Steps:
        t = file.sock.row
        while t.so_state & SS_CONNECTING:
            yield NEVER
        t.so_state &= ~SS_ASKED
        error = file.sock.getsockopt(std.SOL_SOCKET, std.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        return 0

    def sys_shutdown(self, run: Running, fd: Arg, how: Arg) -> int:
        self.socket_file(fd).sock.shutdown(self.names.value(how))
        return 0

    def sys_close(self, run: Running, fd: Arg) -> int | Steps:
        number = self.names.value(fd)
        file = self.file(fd)
        del self.files[number]
        for other in self.files.values():
            if isinstance(other, Epoll):
                other.interests.pop(number, None)
        if isinstance(file, PipeEnd):
            if file.reads:
                file.pipe.readers -= 1
            else:
                file.pipe.writers -= 1
        if not isinstance(file, SocketFile):
            return 0
        t = file.sock.row
        lingers = (
            file.stream and t.linger > 0 and bool(t.so_state & SS_CONNECTED) and not file.nonblock
        )
        file.sock.close()
        return self._linger(t) if lingers else 0

    def _linger(self, t: Any) -> Steps:
        """close(2) waits for the peer to acknowledge everything, as `StreamSocket.close` does."""
        deadline = int(self.host.now) + t.linger * SECOND
        while t.row and t.state < FIN_WAIT_2:
            if self.host.now >= deadline:
                if not self.linux:
                    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                break
            yield deadline
        return 0

    # --- data --------------------------------------------------------------------------------------

    def sys_read(self, run: Running, fd: Arg, buffer: Arg, size: Arg) -> int | Steps:
        return self._read(run, fd, self._amount(size), 0, buffer)

    def sys_recv(self, run: Running, fd: Arg, buffer: Arg, size: Arg, flags: Arg) -> int | Steps:
        self.socket_file(fd)
        return self._read(run, fd, self._amount(size), self.names.value(flags), buffer)

    def sys_recvfrom(
        self, run: Running, fd: Arg, buffer: Arg, size: Arg, flags: Arg, address: Arg, length: Arg
    ) -> int | Steps:
        return self.sys_recv(run, fd, buffer, size, flags)

    def sys_readv(self, run: Running, fd: Arg, iov: Arg, count: Arg) -> int | Steps:
        return self._read(run, fd, messages.total(self.names, iov, count), 0, iov)

    def sys_recvmsg(self, run: Running, fd: Arg, message: Arg, flags: Arg) -> int | Steps:
        file = self.socket_file(fd)
        given = messages.read(self.names, message)
        told = self.expect(run, given)
        return messages.receive(self, file, given.total, self.names.value(flags), False, told)

    def expect(self, run: Running, given: messages.Message) -> messages.Incoming:
        """What a recvmsg tells will be compared, if it succeeds."""
        told = messages.Incoming(given.room)

        def check() -> None:
            if run.value >= 0:
                messages.check(self.names, given, told, self.started, self.tolerance)

        run.checks.append(check)
        return told

    def _read(self, run: Running, fd: Arg, n: int, flags: int, buffer: Arg) -> int | Steps:
        file = self.file(fd)
        if isinstance(file, SocketFile):
            null = isinstance(buffer, Symbol) and buffer.name == "NULL"
            return messages.receive(self, file, n, flags, null)
        if isinstance(file, PipeEnd):
            return self._read_pipe(file, n)
        if isinstance(file, Device):
            return n if file.zero else 0
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def _read_pipe(self, end: PipeEnd, n: int) -> Steps:
        if not end.reads:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        pipe = end.pipe
        while not pipe.octets and n:
            if not pipe.writers:
                return 0
            if end.nonblock:
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            yield NEVER
        got = min(n, pipe.octets)
        pipe.octets -= got
        return got

    def sys_write(self, run: Running, fd: Arg, buffer: Arg, size: Arg) -> int | Steps:
        return self._write(run, fd, self._amount(size), 0, buffer)

    def sys_send(self, run: Running, fd: Arg, buffer: Arg, size: Arg, flags: Arg) -> int | Steps:
        self.socket_file(fd)
        return self._write(run, fd, self._amount(size), self.names.value(flags), buffer)

    def sys_sendto(
        self, run: Running, fd: Arg, buffer: Arg, size: Arg, flags: Arg, address: Arg, length: Arg
    ) -> int | Steps:
        self.socket_file(fd)
        return self._write(run, fd, self._amount(size), self.names.value(flags), buffer, address)

    def sys_writev(self, run: Running, fd: Arg, iov: Arg, count: Arg) -> int | Steps:
        return self._write(run, fd, messages.total(self.names, iov, count), 0, iov)

    def sys_sendmsg(self, run: Running, fd: Arg, message: Arg, flags: Arg) -> int | Steps:
        self.socket_file(fd)
        given = messages.read(self.names, message)
        number = self.names.value(flags)
        control = sent(self.names, given.control)
        return self._write(run, fd, given.total, number, message, given.name, control)

    def _write(
        self,
        run: Running,
        fd: Arg,
        n: int,
        flags: int,
        buffer: Arg,
        to: Arg | None = None,
        control: Ancillary | None = None,
    ) -> int | Steps:
        file = self.file(fd)
        if isinstance(buffer, Symbol) and buffer.name == "NULL" and n:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        if isinstance(file, SocketFile):
            where = None if to is None else self.address(to, self.observer.remote)
            return messages.send(self, file, n, flags, where, control)
        if isinstance(file, PipeEnd):
            return self._write_pipe(file, n)
        if isinstance(file, Device):
            return n
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def _write_pipe(self, end: PipeEnd, n: int) -> Steps:
        if end.reads:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        pipe = end.pipe
        done = 0
        while done < n:
            if not pipe.readers:
                raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
            took = min(n - done, PIPE_SIZE - pipe.octets)
            pipe.octets += took
            done += took
            if done == n or (end.nonblock and done):
                break
            if end.nonblock:
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            yield NEVER
        return done

    # --- pipes and files ---------------------------------------------------------------------------

    def sys_pipe(self, run: Running, fds: Arg) -> int:
        if not isinstance(fds, List_) or len(fds.items) != 2:
            raise Failure("semantic error: pipe([fd, fd])")
        pipe = Pipe()
        for item, reads in zip(fds.items, (True, False), strict=True):
            self._bind_fd(run.call, self.names.value(item), PipeEnd(pipe, reads))
        return 0

    def sys_open(self, run: Running, path: Arg, flags: Arg, mode: Arg | None = None) -> int:
        name = path.value.decode("utf-8", "replace") if isinstance(path, String) else ""
        if name not in ("/dev/null", "/dev/zero"):
            raise Skip(f"open of the file {describe(path)}")
        run.made = Device(name == "/dev/zero")
        return 3

    def sys_splice(
        self, run: Running, source: Arg, at: Arg, target: Arg, to: Arg, size: Arg, flags: Arg
    ) -> Steps:
        one, two = self.file(source), self.file(target)
        nonblock = bool(self.names.value(flags) & self.names.table.get("SPLICE_F_NONBLOCK", 0))
        return messages.splice(self, one, two, self._amount(size), nonblock)

    def sys_sendfile(
        self, run: Running, target: Arg, source: Arg, offset: Arg, size: Arg
    ) -> int | Steps:
        file = self.file(source)
        if not isinstance(file, Device) or (self.linux and not file.zero):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        n = self._amount(size) if file.zero else 0
        return self._write(run, target, n, 0, size)

    # --- asking ------------------------------------------------------------------------------------

    def sys_fcntl(self, run: Running, fd: Arg, command: Arg, value: Arg | None = None) -> int:
        file = self.file(fd)
        table = self.names.table
        number = self.names.value(command)
        given = self.names.value(value) if value is not None else 0
        if number == table["F_GETFL"]:
            mode = table["O_RDWR"]
            if isinstance(file, PipeEnd):
                mode = table["O_RDONLY"] if file.reads else table["O_WRONLY"]
            return mode | (table["O_NONBLOCK"] if file.nonblock else 0)
        if number == table["F_SETFL"]:
            file.nonblock = bool(given & table["O_NONBLOCK"])
            return 0
        if number == table["F_SETFD"]:
            return 0
        if number == table["F_GETFD"]:
            return 0
        raise Skip(f"fcntl {describe(command)}")

    def sys_ioctl(self, run: Running, fd: Arg, request: Arg, value: Arg | None = None) -> int:
        return callopts.ioctl(self, run, self.socket_file(fd), request, value)

    def sys_setsockopt(
        self, run: Running, fd: Arg, level: Arg, name: Arg, value: Arg, size: Arg
    ) -> int:
        return callopts.set_option(self, self.socket_file(fd), level, name, value, size)

    def sys_getsockopt(
        self, run: Running, fd: Arg, level: Arg, name: Arg, value: Arg, size: Arg
    ) -> int:
        return callopts.get_option(self, run, self.socket_file(fd), level, name, value, size)

    def sys_poll(self, run: Running, fds: Arg, count: Arg, timeout: Arg) -> Steps:
        return waiting.poll(self, run, fds, count, timeout)

    def sys_epoll_create(self, run: Running, size: Arg) -> int:
        if self.names.value(size) <= 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return self.sys_epoll_create1(run, size)

    def sys_epoll_create1(self, run: Running, flags: Arg) -> int:
        if not self.linux:
            raise Skip("epoll, which freebsd does not have")
        run.made = Epoll()
        return 3

    def sys_epoll_ctl(self, run: Running, epoll: Arg, op: Arg, fd: Arg, event: Arg) -> int:
        return waiting.control(self, epoll, op, fd, event)

    def sys_epoll_wait(
        self, run: Running, epoll: Arg, events: Arg, most: Arg, timeout: Arg
    ) -> Steps:
        return waiting.epoll_wait(self, run, epoll, events, most, timeout)
