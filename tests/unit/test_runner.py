"""The loop that sleeps, on a device that is a datagram socket. Nothing waits longer than it must."""

import os
import signal
import socket
import threading
from typing import Any

import pytest
from port_kit import FakePort

from pystack import runner as runner_module
from pystack._fast.consts import MS, NEVER
from pystack.runner import Runner
from pystack.tun import DeviceGone, Tun


class Machine(FakePort):
    """A host and its core in one: notes what the loop asks of it."""

    def __init__(self) -> None:
        super().__init__()
        self.core = self
        self.came: list[bytes] = []
        self.ticks: list[int] = []
        self.deadline = NEVER
        self.ready = 0

    def ingress_landed(
        self, iface: int, skip: int, n: int, gso_size: int, csum_ok: bool, now: int
    ) -> int:
        self.came.append(bytes(self.place[skip : skip + n]))
        return 0

    def tick(self, now: int) -> None:
        self.ticks.append(now)
        if now >= self.deadline:
            self.deadline = NEVER

    def next_deadline(self) -> int:
        return self.deadline

    def egress(self, now: int) -> Any:
        return None

    def dispatch(self) -> int:
        self.ready, done = 0, self.ready
        return done


class Bench:
    """A loop with its machine and the far end of its device."""

    def __init__(self, **options: int) -> None:
        near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.machine = Machine()
        self.device = Tun.adopt(near.detach(), "tun9", offload=False)
        self.runner = Runner(self.machine, self.device, **options)

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.close()
        self.device.close()
        self.far.close()

    def run(self, **arguments: Any) -> bool:
        return self.runner.run(timeout=20, **arguments)


def test_what_waits_in_the_device_is_older_than_a_timer_that_is_due() -> None:
    """Or a loop that had to wait for a processor would send again what is acknowledged already."""
    with Bench() as bench:
        known: list[int] = []
        machine = bench.machine
        tick = machine.tick
        machine.tick = lambda now: known.append(len(machine.came)) or tick(now)  # type: ignore[method-assign,func-returns-value]
        for _ in range(20):
            bench.far.send(b"ack")
        machine.deadline = 1
        assert bench.run(until=lambda: len(machine.came) == 20)
        assert known[0] == 20


def test_packets_come_in_order_and_all() -> None:
    with Bench() as bench:
        sent = [b"%d" % i for i in range(8)]
        for octets in sent:
            bench.far.send(octets)
        assert bench.run(until=lambda: len(bench.machine.came) == 8)
        assert bench.machine.came == sent


def test_batches_grow_with_what_comes_and_shrink_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with Bench() as bench:
        limits: list[int] = []
        receive = bench.device.receive

        def counted(core: Any, iface: int, now: int, limit: int) -> int:
            limits.append(limit)
            return receive(core, iface, now, limit)

        monkeypatch.setattr(bench.device, "receive", counted)
        for _ in range(8):
            bench.far.send(b"x")
        bench.run(until=lambda: len(bench.machine.came) == 8)
        bench.far.send(b"x")
        bench.run(until=lambda: len(bench.machine.came) == 9)
        assert limits == [1, 2, 4, 8, 1]


def test_a_deadline_wakes_it_and_not_before() -> None:
    with Bench() as bench:
        machine = bench.machine
        machine.deadline = bench.runner.now + 3 * MS
        due = machine.deadline
        assert bench.run(until=lambda: machine.deadline == NEVER)
        assert machine.ticks[-1] >= due
        assert all(now < due for now in machine.ticks[:-1])
        assert bench.runner.rounds <= 3, "it slept, it did not poll"


@pytest.mark.parametrize("fine", [0, 20 * MS])
def test_it_sleeps_the_coarse_way_too(monkeypatch: pytest.MonkeyPatch, fine: int) -> None:
    monkeypatch.setattr(runner_module, "FINE", fine)
    with Bench() as bench:
        bench.machine.deadline = bench.runner.now + MS
        assert bench.run(until=lambda: bench.machine.deadline == NEVER)
        assert bench.runner.rounds <= 3


def test_ready_sockets_are_served_again_before_it_sleeps() -> None:
    with Bench() as bench:
        bench.machine.ready = 3
        bench.run(until=lambda: bench.machine.ready == 0 and bench.runner.rounds == 2)
        assert bench.runner.rounds == 2


def test_another_thread_can_call() -> None:
    with Bench() as bench:
        called: list[threading.Thread] = []
        thread = threading.Thread(
            target=bench.runner.call_soon_threadsafe,
            args=(lambda: called.append(threading.current_thread()),),
        )
        bench.runner.call_soon(thread.start)
        assert bench.run(until=lambda: called)
        thread.join()
        assert called == [threading.current_thread()]


def test_thousands_of_calls_from_a_thread_all_run() -> None:
    with Bench() as bench:
        seen: list[int] = []

        def flood() -> None:
            for i in range(100_000):
                bench.runner.call_soon_threadsafe(lambda i=i: seen.append(i))

        thread = threading.Thread(target=flood)
        thread.start()
        assert bench.run(until=lambda: len(seen) == 100_000)
        thread.join()
        assert seen == list(range(100_000))


def test_stop_from_a_thread() -> None:
    with Bench() as bench:
        thread = threading.Thread(target=bench.runner.stop)
        bench.runner.call_soon(thread.start)
        assert not bench.run()
        thread.join()


def test_timeout_ends_it() -> None:
    with Bench() as bench:
        assert not bench.runner.run(timeout=0.002)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_and_are_given_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Bench() as bench:
        bench.runner.call_later(0.002, lambda: os.kill(os.getpid(), number))
        assert not bench.run()
    assert signal.getsignal(number) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_before_the_first_round_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C that comes when the handlers stand and the loop does not turn yet: it was lost."""
    with Bench() as bench:
        real = bench.runner._run

        def late(*arguments: Any) -> bool:
            os.kill(os.getpid(), signal.SIGINT)
            return real(*arguments)

        monkeypatch.setattr(bench.runner, "_run", late)
        bench.runner.call_later(5, lambda: pytest.fail("it was lost"))
        assert not bench.run()
        assert bench.runner.rounds <= 1


def test_a_signal_wakes_it_from_sleep() -> None:
    with Bench() as bench:
        main = threading.main_thread().ident
        assert main is not None
        thread = threading.Thread(target=signal.pthread_kill, args=(main, signal.SIGINT))
        bench.runner.call_soon(thread.start)
        assert not bench.run()
        thread.join()


def test_call_every_repeats_until_cancelled() -> None:
    with Bench() as bench:
        ticks: list[int] = []
        handle = bench.runner.call_every(0.001, lambda: ticks.append(bench.runner.now))
        bench.run(until=lambda: len(ticks) == 3)
        handle.cancel()
        bench.runner.run(timeout=0.004)
        assert len(ticks) == 3
        assert ticks[2] - ticks[0] >= MS


def test_call_later_is_called_once_and_in_order() -> None:
    with Bench() as bench:
        order: list[str] = []
        bench.runner.call_later(0.003, lambda: order.append("later"))
        bench.runner.call_later(0.001, lambda: order.append("sooner"))
        never = bench.runner.call_later(0.002, lambda: order.append("cancelled"))
        never.cancel()
        bench.run(until=lambda: len(order) == 2)
        bench.runner.run(timeout=0.004)
        assert order == ["sooner", "later"]


def test_readers_are_called_and_forgotten() -> None:
    near, far = socket.socketpair()
    with Bench() as bench, near, far:
        got: list[bytes] = []
        bench.runner.add_reader(near.fileno(), lambda: got.append(near.recv(10)))
        far.send(b"one")
        assert bench.run(until=lambda: got)
        bench.runner.remove_reader(near.fileno())
        far.send(b"two")
        bench.runner.run(timeout=0.002)
        assert got == [b"one"]


def test_a_failing_callback_is_logged_and_the_loop_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Bench() as bench:
        done: list[int] = []
        bench.runner.call_soon(lambda: 1 // 0)
        bench.runner.call_soon(lambda: done.append(1))
        assert bench.run(until=lambda: done)
    assert "a callback of the loop failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_vanished_device_ends_it() -> None:
    with Bench() as bench:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        far.send(b"x")
        bench.runner._epoll.register(near.fileno(), 1)
        bench.runner._device_fd = near.fileno()
        os.close(bench.device.fileno())
        with pytest.raises(DeviceGone, match="tun9 has been taken away"):
            bench.run()
        near.close()
        far.close()
        bench.device._fd = -1


def test_in_a_thread_it_leaves_signals_alone() -> None:
    with Bench() as bench:
        before = signal.getsignal(signal.SIGINT)
        results: list[bool] = []
        thread = threading.Thread(target=lambda: results.append(bench.runner.run(timeout=0.002)))
        thread.start()
        thread.join()
        assert results == [False]
        assert signal.getsignal(signal.SIGINT) is before


def test_spinning_looks_again_before_it_sleeps() -> None:
    with Bench(spin=2 * MS) as bench:
        bench.far.send(b"x")
        bench.run(until=lambda: bench.machine.came)
        bench.far.send(b"y")
        before = bench.runner.rounds
        bench.machine.deadline = bench.runner.now + 10 * MS
        bench.run(until=lambda: bench.machine.deadline == NEVER)
        assert bench.machine.came == [b"x", b"y"]
        assert bench.runner.rounds > before + 5


@pytest.mark.parametrize(("processors", "spin"), [({0}, 0), ({0, 1}, runner_module.SPIN)])
def test_it_spins_only_beside_another_processor(
    monkeypatch: pytest.MonkeyPatch, processors: set[int], spin: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: processors)
    with Bench() as bench:
        assert bench.runner.spin == spin


def test_nothing_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with Bench() as bench:
        bench.runner.run(timeout=0)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
