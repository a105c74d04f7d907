"""The demultiplexer: order of match, ports in use, its limit (facts: freebsd-tcp 3.1)."""

import random

from pystack._fast.demux import Demux

A, B, C = 0x0A000001, 0x0A000002, 0x0A000003


def demux(capacity: int = 20) -> Demux:
    return Demux(capacity, 8, 0x1234)


def test_exact_before_address_before_any():
    d = demux()
    wild, exact, connection = d.take(0), d.take(0), d.take(0)
    d.bind(wild, 0, 80)
    d.listen(wild)
    d.bind(exact, A, 80)
    d.listen(exact)
    d.connect(connection, A, 80, B, 1000)
    assert d.find(A, 80, B, 1000) == connection
    assert d.find(A, 80, B, 1001) == 0
    assert d.find(A, 80, C, 1000) == 0
    assert d.find_listener(A, 80) == exact
    assert d.find_listener(B, 80) == wild
    assert d.find_listener(A, 81) == 0
    d.give(exact)
    assert d.find_listener(A, 80) == wild
    d.give(wild)
    assert d.find_listener(A, 80) == 0
    assert d.find(A, 80, B, 1000) == connection


def rows_on(d: Demux, port: int) -> set[int]:
    found: set[int] = set()
    row = d.next_on_port(0, port)
    while row:
        found.add(row)
        row = d.next_on_port(row, port)
    return found


def test_ports_are_counted():
    d = demux()
    a, b = d.take(0), d.take(0)
    d.bind(a, 0, 80)
    d.connect(b, A, 80, B, 1000)
    assert d.port_users(80) == 2
    assert rows_on(d, 80) == {a, b}
    d.bind(a, A, 81)
    assert (rows_on(d, 80), rows_on(d, 81)) == ({b}, {a})
    assert (d.port_users(80), d.port_users(81)) == (1, 1)
    d.give(b)
    assert d.port_users(80) == 0
    assert rows_on(d, 80) == set()
    d.give(a)
    assert d.port_users(81) == 0
    assert d.used == 0


def test_limit():
    d = demux(3)
    rows = [d.take(5) for _ in range(3)]
    assert 0 not in rows
    assert d.take(6) == 0
    assert (d.failures, d.last_failure, d.high_water) == (1, 6, 3)
    d.give(rows[1])
    assert d.take(7) == rows[1]


def test_against_a_dict():
    """Any history of connections that come and go."""
    chance = random.Random(3)
    d = demux(500)
    there: dict[tuple[int, int, int, int], int] = {}
    for _ in range(4000):
        key = (
            chance.choice((A, B)),
            chance.randrange(1, 20),
            chance.choice((B, C)),
            chance.randrange(1, 30),
        )
        if key in there and chance.random() < 0.5:
            d.give(there.pop(key))
        elif key not in there and len(there) < 500:
            row = d.take(0)
            d.connect(row, *key)
            there[key] = row
        assert d.find(*key) == there.get(key, 0)
    assert sum(n * chains for n, chains in enumerate(d.chain_lengths())) == len(there) == d.used
    for port in range(1, 20):
        assert d.port_users(port) == sum(k[1] == port for k in there)
