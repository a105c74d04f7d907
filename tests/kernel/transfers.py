"""Calls to the kernel of this computer: how one is made, and those that move octets."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from pystack._fast.consts import NEVER
from pystack.packetdrill.calls import Calls, Running
from pystack.packetdrill.control import sent
from pystack.packetdrill.messages import read as read_message
from pystack.packetdrill.messages import total
from pystack.packetdrill.script import (
    Arg,
    Ellipsis_,
    List_,
    Number,
    String,
    Symbol,
    Syscall,
)
from pystack.packetdrill.symbols import Symbols, describe
from pystack.packetdrill.verdict import Failure, Skip
from tests.kernel.files import LIBC, KernelFile, KernelRunning, Plan, Work, answer


class Transfers(Calls):
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

    # --- arguments --------------------------------------------------------------------------------

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

    # --- data -------------------------------------------------------------------------------------

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
        told = self.expect(run, given)
        errors = number & self.names.table["MSG_ERRQUEUE"]

        def work() -> int:
            with socket.socket(fileno=os.dup(real)) as s:
                s.settimeout(None) if os.get_blocking(real) else s.setblocking(False)
                data, told.control, told.flags, _ = s.recvmsg(given.total, given.room, number)
            if any(data) and not errors:
                raise Failure("runtime error in a receiving call: the octets are not zeros")
            return len(data)

        return Plan(work)

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
        if not given.control:
            return self._send_to(fd, Number(0, "0"), given.total, flags, given.name)
        real, number = self.real(fd), self.names.value(flags)
        control = sent(self.names, given.control)

        def work() -> int:
            with socket.socket(fileno=os.dup(real)) as s:
                s.settimeout(None) if os.get_blocking(real) else s.setblocking(False)
                return s.sendmsg([bytes(given.total)], control, number)

        return Plan(work)

    # --- pipes and files --------------------------------------------------------------------------

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
        to, of, n = self.real(target), self.real(source), self._amount(size)
        given = offset.items[0] if isinstance(offset, List_) and len(offset.items) == 1 else offset
        at = ctypes.c_longlong(self.names.value(given))
        where = ctypes.byref(at) if isinstance(offset, List_) else None
        return Plan(lambda: answer(LIBC.sendfile(to, of, where, ctypes.c_size_t(n))))
