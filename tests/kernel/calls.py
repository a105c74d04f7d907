"""System calls of a script, made to the kernel of this computer."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import struct
from typing import Any

from pystack.addresses import dotted
from pystack.packetdrill.calls import Running
from pystack.packetdrill.script import (
    Arg,
    Ellipsis_,
    List_,
    String,
    Struct,
)
from pystack.packetdrill.symbols import describe
from pystack.packetdrill.verdict import Failure, Skip
from tests.kernel.files import LIBC, KernelFile, KernelRunning, Plan, answer
from tests.kernel.transfers import Transfers


class KernelCalls(Transfers):
    """All of them: those that make sockets, ask and wait, and those that move octets."""

    # --- sockets ----------------------------------------------------------------------------------

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

    # --- asking -----------------------------------------------------------------------------------

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

    # --- waiting ----------------------------------------------------------------------------------

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
