"""System calls of a script, made to the kernel of this computer."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pystack._fast.consts import NEVER
from pystack.addresses import dotted
from pystack.packetdrill.calls import Calls, Running
from pystack.packetdrill.messages import read as read_message
from pystack.packetdrill.messages import total
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
from pystack.packetdrill.symbols import Symbols, describe
from pystack.packetdrill.verdict import Failure, Skip

LIBC = ctypes.CDLL(None, use_errno=True)
for _name in "read write recv send sendto splice sendfile".split():
    getattr(LIBC, _name).restype = ctypes.c_ssize_t
Work = Callable[[], int]


def answer(value: int) -> int:
    """What a function of libc returned. Raises OSError for -1."""
    if value < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return value


@dataclass(slots=True, eq=False)
class KernelFile:
    """A descriptor of the script. Serves as `file`, `file.sock` and `file.sock.row` of the player's own."""

    fd: int
    socket: bool = True
    stream: bool = True
    closed: bool = False

    @property
    def sock(self) -> KernelFile:
        return self

    @property
    def row(self) -> KernelFile:
        return self

    def getsockname(self) -> tuple[str, int]:
        with socket.socket(fileno=os.dup(self.fd)) as s:
            return s.getsockname()[:2]

    peer: tuple[int, int] = (0, 0)
    """Address and port that accept() told."""

    @property
    def laddr(self) -> int:
        return int.from_bytes(socket.inet_aton(self.getsockname()[0]), "big")

    @property
    def lport(self) -> int:
        return self.getsockname()[1]

    @property
    def faddr(self) -> int:
        return self.peer[0]

    @property
    def fport(self) -> int:
        return self.peer[1]


@dataclass(slots=True)
class KernelRunning(Running):
    """A call in a thread of its own."""

    finished: bool = True
    after: Callable[[int], None] | None = None

    @property
    def done(self) -> bool:
        return self.finished

    def again(self) -> bool:
        return self.finished


@dataclass(slots=True)
class Plan:
    """What a call does, and what is done in the main thread when it was right."""

    work: Work
    after: Callable[[int], None] | None = None
    checks: list[Callable[[], None]] = field(default_factory=list)


class KernelCalls(Calls):
    """`Calls` whose machine is this computer."""

    def __init__(self, names: Symbols, observer: Any, wake: Callable[[], None]) -> None:
        super().__init__(None, names, observer)
        self.wake = wake

    def start(self, call: Syscall, blocking: bool) -> KernelRunning:
        """Make the call; a blocking one in a thread."""
        handler = getattr(self, f"do_{call.name}", None)
        if handler is None:
            raise Skip(f"the system call {call.name}")
        run = KernelRunning(call, give_up=NEVER)
        try:
            plan = handler(run, *call.args)
        except OSError as e:
            run.fail(e)
            return run
        except TypeError as e:
            if e.__traceback__ is None or e.__traceback__.tb_next is not None:
                raise
            raise Failure(f"semantic error: wrong number of arguments for {call.name}") from e
        run.checks += plan.checks
        run.after = plan.after
        if not blocking:
            self._work(run, plan.work)
            return run
        run.finished = False

        def inside() -> None:
            self._work(run, plan.work)
            run.finished = True
            self.wake()

        threading.Thread(target=inside, daemon=True).start()
        return run

    def _work(self, run: KernelRunning, work: Work) -> None:
        try:
            run.value = work()
        except OSError as e:
            run.fail(e)

    def verify(self, running: Running) -> None:
        assert isinstance(running, KernelRunning)
        if running.after is not None and not running.error:
            running.after(running.value)
            running.after = None
        super().verify(running)

    def close_all(self) -> None:
        for file in self.files.values():
            if file.socket and file.stream:
                with socket.socket(fileno=os.dup(file.fd)) as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(file.fd)
        self.files.clear()

    # --- arguments ---------------------------------------------------------------------------------

    def real(self, arg: Arg) -> int:
        return self.file(arg).fd

    def _sockaddr(self, arg: Arg, default: tuple[str, int]) -> bytes | None:
        where = self.address(arg, default)
        if where is None:
            return None
        if where == ("", 0):
            return struct.pack("=H14x", 0)
        return (
            struct.pack("=H", 2)
            + struct.pack(">H", where[1])
            + socket.inet_aton(where[0])
            + bytes(8)
        )

    def _length(self, arg: Arg, otherwise: int) -> int:
        return otherwise if isinstance(arg, Ellipsis_) else self.names.value(arg)

    def _file(
        self, run: Running, fd: int, *, socket: bool = True, stream: bool = True
    ) -> KernelFile:
        run.made = made = KernelFile(fd, socket, stream)
        return made

    # --- sockets -----------------------------------------------------------------------------------

    def do_socket(self, run: Running, family: Arg, kind: Arg, proto: Arg) -> Plan:
        number = 2 if isinstance(family, Ellipsis_) else self.names.value(family)
        wanted = self.names.value(kind)
        protocol = self.names.value(proto)

        def after(fd: int) -> None:
            self.observer.made(self._file(run, fd, stream=wanted & 15 == 1))

        return Plan(lambda: answer(LIBC.socket(number, wanted, protocol)), after)

    def do_bind(self, run: Running, fd: Arg, address: Arg, length: Arg) -> Plan:
        file = self.file(fd)
        octets = self._sockaddr(address, self.observer.local)
        where = self.address(address, self.observer.local)
        size = self._length(length, 16)
        return Plan(
            lambda: answer(LIBC.bind(file.fd, octets, size)),
            lambda _: self.observer.bound(file, where),
        )

    def do_listen(self, run: Running, fd: Arg, backlog: Arg) -> Plan:
        file = self.file(fd)
        n = self.names.value(backlog)
        return Plan(
            lambda: answer(LIBC.listen(file.fd, n)), lambda _: self.observer.listening(file)
        )

    def do_accept(self, run: Running, fd: Arg, address: Arg, length: Arg) -> Plan:
        return self._do_accept(run, fd, 0)

    def do_accept4(self, run: Running, fd: Arg, address: Arg, length: Arg, flags: Arg) -> Plan:
        return self._do_accept(run, fd, self.names.value(flags))

    def _do_accept(self, run: Running, fd: Arg, flags: int) -> Plan:
        file = self.file(fd)

        peer = ctypes.create_string_buffer(16)
        size = ctypes.c_int(16)

        def after(got: int) -> None:
            child = self._file(run, got)
            _, port, address = struct.unpack_from(">HHI", peer.raw)
            child.peer = (address, port)
            self.observer.accepted(child)

        work = lambda: answer(LIBC.accept4(file.fd, peer, ctypes.byref(size), flags))  # noqa: E731
        return Plan(work, after)

    def do_connect(self, run: Running, fd: Arg, address: Arg, length: Arg) -> Plan:
        file = self.file(fd)
        where = self.address(address, self.observer.remote)
        octets = self._sockaddr(address, self.observer.remote)
        size = self._length(length, 16)
        if where is not None:
            self.observer.connecting(file, where)
        return Plan(lambda: answer(LIBC.connect(file.fd, octets, size)))

    def do_shutdown(self, run: Running, fd: Arg, how: Arg) -> Plan:
        real, number = self.real(fd), self.names.value(how)
        return Plan(lambda: answer(LIBC.shutdown(real, number)))

    def do_close(self, run: Running, fd: Arg) -> Plan:
        file = self.file(fd)
        del self.files[self.names.value(fd)]
        if file.socket:
            self._remember(file)
        file.closed = True
        return Plan(lambda: answer(LIBC.close(file.fd)))

    def _remember(self, file: KernelFile) -> None:
        """The player may ask for the local port when the descriptor is gone."""
        for known in self.observer.all:
            if known.file is file and not known.local[1]:
                known.local = (known.local[0], file.lport)

    # --- data --------------------------------------------------------------------------------------

    def _receive(self, run: Running, n: int, buffer: Arg, do: Callable[[Any, int], int]) -> Plan:
        null = isinstance(buffer, Symbol) and buffer.name == "NULL"
        octets = None if null else ctypes.create_string_buffer(max(n, 1))

        def check() -> None:
            if octets is not None and run.value > 0 and any(octets.raw[: min(run.value, n)]):
                raise Failure("runtime error in a receiving call: the octets are not zeros")

        return Plan(lambda: answer(do(octets, n)), None, [check])

    def do_read(self, run: Running, fd: Arg, buffer: Arg, size: Arg) -> Plan:
        real = self.real(fd)
        return self._receive(
            run, self._amount(size), buffer, lambda b, n: LIBC.read(real, b, ctypes.c_size_t(n))
        )

    def do_recv(self, run: Running, fd: Arg, buffer: Arg, size: Arg, flags: Arg) -> Plan:
        real, number = self.real(fd), self.names.value(flags)
        return self._receive(
            run,
            self._amount(size),
            buffer,
            lambda b, n: LIBC.recv(real, b, ctypes.c_size_t(n), number),
        )

    def do_recvfrom(
        self, run: Running, fd: Arg, buffer: Arg, size: Arg, flags: Arg, address: Arg, length: Arg
    ) -> Plan:
        return self.do_recv(run, fd, buffer, size, flags)

    def do_readv(self, run: Running, fd: Arg, iov: Arg, count: Arg) -> Plan:
        real, n = self.real(fd), total(self.names, iov, count)
        return self._receive(
            run, n, count, lambda b, size: LIBC.read(real, b, ctypes.c_size_t(size))
        )

    def do_recvmsg(self, run: Running, fd: Arg, message: Arg, flags: Arg) -> Plan:
        real, number = self.real(fd), self.names.value(flags)
        given = read_message(self.names, message)
        if given.control:
            raise Skip("control messages of recvmsg")
        told = [0]

        def work() -> int:
            with socket.socket(fileno=os.dup(real)) as s:
                s.settimeout(None) if os.get_blocking(real) else s.setblocking(False)
                data, _, got, _ = s.recvmsg(given.total, 0, number)
            told[0] = got
            if any(data):
                raise Failure("runtime error in a receiving call: the octets are not zeros")
            return len(data)

        def check() -> None:
            if given.flags is None or isinstance(given.flags, Ellipsis_):
                return
            expected = self.names.value(given.flags)
            if run.value >= 0 and expected != told[0]:
                raise Failure(
                    f"runtime error in recvmsg call: Bad msg_flags: expected: {expected:#x}"
                    f" actual: {told[0]:#x}"
                )

        return Plan(work, None, [check])

    def _transmit(self, buffer: Arg, n: int, do: Callable[[Any, int], int]) -> Plan:
        null = isinstance(buffer, Symbol) and buffer.name == "NULL"
        octets = None if null else bytes(n)
        return Plan(lambda: answer(do(octets, n)))

    def do_write(self, run: Running, fd: Arg, buffer: Arg, size: Arg) -> Plan:
        real = self.real(fd)
        return self._transmit(
            buffer, self._amount(size), lambda b, n: LIBC.write(real, b, ctypes.c_size_t(n))
        )

    def do_send(self, run: Running, fd: Arg, buffer: Arg, size: Arg, flags: Arg) -> Plan:
        # without MSG_NOSIGNAL the signal is ignored by the process
        real, number = self.real(fd), self.names.value(flags)
        return self._transmit(
            buffer, self._amount(size), lambda b, n: LIBC.send(real, b, ctypes.c_size_t(n), number)
        )

    def do_sendto(
        self, run: Running, fd: Arg, buffer: Arg, size: Arg, flags: Arg, address: Arg, length: Arg
    ) -> Plan:
        return self._send_to(fd, buffer, self._amount(size), flags, address)

    def _send_to(self, fd: Arg, buffer: Arg, n: int, flags: Arg, address: Arg | None) -> Plan:
        file = self.file(fd)
        number = self.names.value(flags)
        to = None if address is None else self._sockaddr(address, self.observer.remote)
        if file.stream and number & self.names.table["MSG_FASTOPEN"]:
            where = self.observer.remote
            if address is not None:
                where = self.address(address, where) or where
            self.observer.connecting(file, where)
        return self._transmit(
            buffer,
            n,
            lambda b, size: LIBC.sendto(
                file.fd, b, ctypes.c_size_t(size), number, to, 0 if to is None else len(to)
            ),
        )

    def do_writev(self, run: Running, fd: Arg, iov: Arg, count: Arg) -> Plan:
        real, n = self.real(fd), total(self.names, iov, count)
        sizes = [self.names.value(item.fields[1].value) for item in iov.items]  # type: ignore[union-attr]
        parts = [bytes(size) for size in sizes]
        del n
        return Plan(lambda: os.writev(real, parts))

    def do_sendmsg(self, run: Running, fd: Arg, message: Arg, flags: Arg) -> Plan:
        given = read_message(self.names, message)
        if given.control:
            raise Skip("control messages of sendmsg")
        name = given.name
        return self._send_to(fd, Number(0, "0"), given.total, flags, name)

    # --- pipes and files ---------------------------------------------------------------------------

    def do_pipe(self, run: Running, fds: Arg) -> Plan:
        if not isinstance(fds, List_) or len(fds.items) != 2:
            raise Failure("semantic error: pipe([fd, fd])")
        for item, real in zip(fds.items, os.pipe(), strict=True):
            self._bind_fd(run.call, self.names.value(item), KernelFile(real, False, False))  # type: ignore[arg-type]
        return Plan(lambda: 0)

    def do_open(self, run: Running, path: Arg, flags: Arg, mode: Arg | None = None) -> Plan:
        name = path.value.decode() if isinstance(path, String) else ""
        if name not in ("/dev/null", "/dev/zero"):
            raise Skip(f"open of the file {describe(path)}")
        number = self.names.value(flags)
        return Plan(
            lambda: os.open(name, number),
            lambda fd: setattr(run, "made", KernelFile(fd, False, False)),
        )

    def do_splice(
        self, run: Running, source: Arg, at: Arg, target: Arg, to: Arg, size: Arg, flags: Arg
    ) -> Plan:
        one, two, n, f = (
            self.real(source),
            self.real(target),
            self._amount(size),
            self.names.value(flags),
        )
        return Plan(lambda: answer(LIBC.splice(one, None, two, None, ctypes.c_size_t(n), f)))

    def do_sendfile(self, run: Running, target: Arg, source: Arg, offset: Arg, size: Arg) -> Plan:
        raise Skip("sendfile of a device")

    # --- asking ------------------------------------------------------------------------------------

    def do_fcntl(self, run: Running, fd: Arg, command: Arg, value: Arg | None = None) -> Plan:
        real, number = self.real(fd), self.names.value(command)
        given = self.names.value(value) if value is not None else 0

        def work() -> int:
            got = fcntl.fcntl(real, number, given)
            return got & ~0o100000 if number == self.names.table["F_GETFL"] else got  # O_LARGEFILE

        return Plan(work)

    def do_ioctl(self, run: Running, fd: Arg, request: Arg, value: Arg | None = None) -> Plan:
        real, number = self.real(fd), self.names.value(request)
        inner = value.items[0] if isinstance(value, List_) and len(value.items) == 1 else value
        setting = number == self.names.table["FIONBIO"]
        word = ctypes.c_int(self.names.value(inner) if setting else 0)

        def check() -> None:
            if setting or inner is None or isinstance(inner, Ellipsis_) or run.value < 0:
                return
            if self.names.value(inner) != word.value:
                raise Failure(
                    f"runtime error in ioctl call: Bad ioctl value: expected: {self.names.value(inner)}"
                    f" actual: {word.value}"
                )

        return Plan(
            lambda: answer(LIBC.ioctl(real, ctypes.c_ulong(number), ctypes.byref(word))),
            None,
            [check],
        )

    def do_setsockopt(
        self, run: Running, fd: Arg, level: Arg, name: Arg, value: Arg, size: Arg
    ) -> Plan:
        real, lev, opt = self.real(fd), self.names.value(level), self.names.value(name)
        match value:
            case String():
                octets = value.value
            case List_(items=(item,)):
                octets = struct.pack("=q", self.names.value(item))[:8]
                octets = octets if not isinstance(size, Ellipsis_) else octets[:4]
            case Struct() if value.get("onoff") is not None:
                octets = struct.pack(
                    "ii",
                    self.names.value(value.get("onoff")),
                    self.names.value(value.get("linger")),
                )
            case Struct() | Ellipsis_():
                raise Skip(f"the option value {describe(value)}")
            case _:
                octets = struct.pack("=q", self.names.value(value))
                octets = octets if not isinstance(size, Ellipsis_) else octets[:4]
        n = self._length(size, len(octets))
        octets = octets.ljust(max(n, 0), b"\0")
        return Plan(lambda: answer(LIBC.setsockopt(real, lev, opt, octets, n)))

    def do_getsockopt(
        self, run: Running, fd: Arg, level: Arg, name: Arg, value: Arg, size: Arg
    ) -> Plan:
        real, lev, opt = self.real(fd), self.names.value(level), self.names.value(name)
        if isinstance(size, List_) and len(size.items) == 1:
            size = size.items[0]
        room = self._length(size, 256)
        octets = ctypes.create_string_buffer(max(room, 256))
        length = ctypes.c_int(room)

        def check() -> None:
            if run.value < 0:
                return
            if not isinstance(size, Ellipsis_) and room != length.value:
                raise Failure(
                    f"runtime error in getsockopt call: Bad getsockopt optlen for {describe(name)}:"
                    f" expected: {room} actual: {length.value}"
                )
            self._compare_option(name, value, octets.raw[: length.value])

        work = lambda: answer(LIBC.getsockopt(real, lev, opt, octets, ctypes.byref(length)))  # noqa: E731
        return Plan(work, None, [check])

    def _compare_option(self, name: Arg, value: Arg, got: bytes) -> None:
        where = f"runtime error in getsockopt call: Bad getsockopt optval for {describe(name)}:"
        if isinstance(value, List_) and len(value.items) == 1:
            value = value.items[0]
        if isinstance(value, Ellipsis_):
            return
        if isinstance(value, String):
            if value.value.rstrip(b"\0") != got.split(b"\0")[0]:
                raise Failure(f"{where} expected: {describe(value)} actual: {got!r}")
        elif isinstance(value, Struct):
            for part, actual in zip(("onoff", "linger"), struct.unpack("ii", got[:8]), strict=True):
                if self.names.value(value.get(part)) != actual:
                    raise Failure(f"{where} {part}: actual: {actual}")
        else:
            expected = self.names.value(value) & 0xFFFFFFFF
            actual = int.from_bytes(got[:4], "little")
            if expected != actual:
                raise Failure(f"{where} expected: {expected} actual: {actual}")

    # --- waiting -----------------------------------------------------------------------------------

    def do_poll(self, run: Running, fds: Arg, count: Arg, timeout: Arg) -> Plan:
        if not isinstance(fds, List_):
            raise Failure(f"semantic error: a list of pollfd expected, not {describe(fds)}")
        value = self.names.value
        entries: list[Any] = list(fds.items)
        numbers = []
        for entry in entries:
            fd = value(entry.get("fd"))
            file = self.files.get(fd)
            numbers.append(
                (file.fd if file else (fd if fd < 0 else 1023), value(entry.get("events")))
            )
        packed = ctypes.create_string_buffer(
            b"".join(struct.pack("iHH", f, e, 0) for f, e in numbers)
        )
        n, ms = value(count), value(timeout)

        def check() -> None:
            for i, entry in enumerate(entries):
                revents = struct.unpack_from("iHH", packed.raw, 8 * i)[2]
                wanted = entry.get("revents")
                expected = 0 if wanted is None or isinstance(wanted, Ellipsis_) else value(wanted)
                if revents != expected:
                    raise Failure(
                        f"runtime error in poll call: Bad revents for fd {describe(entry.get('fd'))}:"
                        f" expected: {expected:#x} actual: {revents:#x}"
                    )

        return Plan(lambda: answer(LIBC.poll(packed, n, ms)), None, [check])

    def do_epoll_create(self, run: Running, size: Arg) -> Plan:
        n = self.names.value(size)
        return Plan(
            lambda: answer(LIBC.epoll_create(n)),
            lambda fd: setattr(run, "made", KernelFile(fd, False, False)),
        )

    def do_epoll_create1(self, run: Running, flags: Arg) -> Plan:
        n = self.names.value(flags)
        return Plan(
            lambda: answer(LIBC.epoll_create1(n)),
            lambda fd: setattr(run, "made", KernelFile(fd, False, False)),
        )

    def _event(self, event: Arg) -> tuple[int, int]:
        value = self.names.value
        assert isinstance(event, Struct)
        events = event.get("events")
        data = 0
        for item in event.fields:
            if item.name in ("fd", "ptr", "u32", "u64"):
                data = value(item.value)
        return (0 if events is None else value(events)), data

    def do_epoll_ctl(self, run: Running, epoll: Arg, op: Arg, fd: Arg, event: Arg) -> Plan:
        real, what, target = self.real(epoll), self.names.value(op), self.real(fd)
        octets = None
        if isinstance(event, Struct):
            octets = struct.pack("=IQ", *self._event(event))
        return Plan(lambda: answer(LIBC.epoll_ctl(real, what, target, octets)))

    def do_epoll_wait(self, run: Running, epoll: Arg, events: Arg, most: Arg, timeout: Arg) -> Plan:
        real, n, ms = self.real(epoll), self.names.value(most), self.names.value(timeout)
        room = ctypes.create_string_buffer(12 * max(n, 1))
        items = events.items if isinstance(events, List_) else (events,)

        def check() -> None:
            for i, item in enumerate(items[: max(run.value, 0)]):
                if isinstance(item, Ellipsis_):
                    continue
                found, data = struct.unpack_from("=IQ", room.raw, 12 * i)
                expected, word = self._event(item)
                if expected != found or (word and word != data):
                    raise Failure(
                        f"runtime error in epoll_wait call: Bad event: expected: {expected:#x} of {word}"
                        f" actual: {found:#x} of {data}"
                    )

        return Plan(lambda: answer(LIBC.epoll_wait(real, room, n, ms)), None, [check])


__all__ = ["KernelCalls", "KernelFile", "KernelRunning", "dotted", "errno"]
