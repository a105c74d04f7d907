"""Routes: the longest prefix, among equals the first."""

import pytest

from pystack._fast.routes import Interface, RouteTable, mask_of


def ip(text: str) -> int:
    a, b, c, d = map(int, text.split("."))
    return a << 24 | b << 16 | c << 8 | d


def test_longest_prefix():
    table = RouteTable()
    table.add(0, 0, 0, ip("10.0.0.254"))
    table.add(ip("10.0.0.7"), 24, 1, 0)
    table.add(ip("10.0.0.9"), 32, 2, 0)
    table.add(ip("10.0.0.0"), 16, 3, 0)
    wanted = {
        "10.0.0.9": 2,
        "10.0.0.8": 1,
        "10.0.1.1": 3,
        "11.0.0.1": 0,
        "255.255.255.255": 0,
        "0.0.0.0": 0,
    }
    for text, iface in wanted.items():
        assert table.rows()[table.find(ip(text))][3] == iface, text


def test_none():
    table = RouteTable()
    assert table.find(1) == -1
    table.add(ip("10.0.0.0"), 8, 0, 0)
    assert table.find(ip("11.0.0.0")) == -1


def test_first_of_equals_and_delete():
    table = RouteTable()
    table.add(ip("10.0.0.0"), 8, 1, 0)
    table.add(ip("10.0.0.0"), 8, 2, 0)
    assert table.rows()[table.find(ip("10.1.1.1"))][3] == 1
    assert table.delete(ip("10.2.3.4"), 8)
    assert table.rows()[table.find(ip("10.1.1.1"))][3] == 2
    assert not table.delete(ip("10.0.0.0"), 9)
    assert table.delete(ip("10.0.0.0"), 8)
    assert table.n == 0


def test_many():
    table = RouteTable()
    for i in range(100):
        table.add(i << 8, 24, i, 0)
    assert all(table.rows()[table.find((i << 8) + 5)][3] == i for i in range(100))


def test_masks_and_interfaces():
    assert [mask_of(n) for n in (0, 1, 24, 32)] == [0, 0x80000000, 0xFFFFFF00, 0xFFFFFFFF]
    for prefix, mtu in ((33, 1500), (-1, 1500), (24, 67), (24, 65536)):
        with pytest.raises(ValueError):
            Interface(0, "em0", 1, prefix, mtu)
