"""Timeouts of many with one timer."""

import random

import pystack
from pystack.services.deadlines import SLOT_BITS, Deadlines

SLOT = 1 << SLOT_BITS


class Item:
    def __init__(self, clock: pystack.Host, deadline: int) -> None:
        self.clock = clock
        self.deadline = deadline
        self.slot = 0
        self.late: list[int] = []

    def overdue(self) -> None:
        self.late.append(self.clock.now)


def machine() -> tuple[pystack.Network, pystack.Host, Deadlines]:
    net = pystack.Network()
    host = net.host("one", "192.0.2.1/24")
    return net, host, Deadlines(host)


def test_never_early_and_once() -> None:
    net, host, deadlines = machine()
    dice = random.Random(1)
    items = [Item(host, dice.randrange(100 * SLOT)) for _ in range(1000)]
    for item in items:
        deadlines.add(item)
    net.run(for_=200 * SLOT)
    for item in items:
        assert len(item.late) == 1
        assert 0 <= item.late[0] - item.deadline <= SLOT


def test_moved_later_by_a_store_and_sooner_by_a_call() -> None:
    net, host, deadlines = machine()
    later, sooner, gone = (Item(host, 10 * SLOT) for _ in range(3))
    for item in (later, sooner, gone):
        deadlines.add(item)
    later.deadline = 1000 * SLOT
    sooner.deadline = 3 * SLOT
    deadlines.sooner(sooner)
    deadlines.remove(gone)
    deadlines.remove(gone)
    net.run(for_=2000 * SLOT)
    assert later.late == [1001 * SLOT]
    assert sooner.late == [4 * SLOT]
    assert gone.late == []


def test_nothing_to_wait_for_is_no_event() -> None:
    net, host, deadlines = machine()
    item = Item(host, 5 * SLOT)
    deadlines.add(item)
    deadlines.remove(item)
    net.run(for_=10 * SLOT)
    assert net._fabric.next_time() == pystack._fast.consts.NEVER  # type: ignore[attr-defined]


def test_added_again_while_called() -> None:
    net, host, deadlines = machine()

    class Again(Item):
        def overdue(self) -> None:
            super().overdue()
            if len(self.late) < 5:
                self.deadline = host.now + SLOT
                deadlines.add(self)

    item = Again(host, SLOT)
    deadlines.add(item)
    net.run(for_=100 * SLOT)
    assert len(item.late) == 5
