"""Fields, checksums and copies against the plainest Python."""

import random

import pytest

from pystack._fast import wirebytes as wb
from pystack._fast.columns import column


def plain_sum(data: bytes, acc: int = 0) -> int:
    """RFC 1071 section 1, literally: add 16-bit words with end-around carry."""
    if len(data) % 2:
        data += b"\0"
    for i in range(0, len(data), 2):
        acc += int.from_bytes(data[i : i + 2], "big")
        acc = (acc & 0xFFFF) + (acc >> 16)
    return acc


def filled(n: int, seed: int = 1) -> memoryview:
    col = column("B", n)
    col[:] = random.Random(seed).randbytes(n)
    return col


@pytest.mark.parametrize("value", [0, 1, 0x7F, 0x80, 0xFF, 0x1234, 0x8000, 0xFFFF])
@pytest.mark.parametrize("o", [0, 1, 5])
def test_a_16_bit_field_goes_and_comes_back(value: int, o: int) -> None:
    b = filled(10)
    want = bytearray(b)
    want[o : o + 2] = value.to_bytes(2, "big")
    wb.put16(b, o, value)
    assert b.tobytes() == want
    assert wb.be16(b, o) == value


@pytest.mark.parametrize(
    "value", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFF000000, 0xFFFFFFFF, 0x12345678]
)
@pytest.mark.parametrize("o", [0, 1, 5])
def test_a_32_bit_field_goes_and_comes_back(value: int, o: int) -> None:
    b = filled(10)
    want = bytearray(b)
    want[o : o + 4] = value.to_bytes(4, "big")
    wb.put32(b, o, value)
    assert b.tobytes() == want
    assert wb.be32(b, o) == value


def test_put16_writes_only_the_low_half() -> None:
    b = column("B", 4)
    wb.put16(b, 1, 0xABCD1234)
    assert b.tobytes() == b"\x00\x12\x34\x00"


def test_fields_are_read_from_read_only_buffers() -> None:
    assert wb.be16(memoryview(b"\x12\x34"), 0) == 0x1234
    assert wb.be32(memoryview(b"\xff\xff\xff\xfe"), 0) == 0xFFFFFFFE


def test_the_example_of_rfc_1071() -> None:
    data = column("B", 8)
    data[:] = bytes.fromhex("0001f203f4f5f6f7")
    assert wb.csum_add(data, 0, 8, 0) == 0xDDF2
    assert wb.csum_add16(data.cast("H"), 0, 4, 0) == 0xDDF2
    assert wb.csum_fold(0xDDF2) == 0x220D


@pytest.mark.parametrize("off", range(5))
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 7, 19, 20, 64, 1459, 1460, 65_535])
def test_every_way_to_sum_agrees(off: int, n: int) -> None:
    data = filled(65_600, seed=n)
    words = data.cast("H")
    for acc in (0, 1, 0xFFFF, 0x12345678, 0xFFFFFFFF):
        want = plain_sum(data[off : off + n].tobytes(), plain_sum(acc.to_bytes(4, "big")))
        assert wb.csum_add(data, off, n, acc) == want
        assert wb.csum_octets(data, words, off, n, acc) == want
        if off % 2 == 0 and n % 2 == 0:
            assert wb.csum_add16(words, off // 2, n // 2, acc) == want


def test_a_sum_of_nothing_but_ones_does_not_overflow() -> None:
    data = column("B", 3 * 131_072)
    data[:] = b"\xff" * len(data)
    assert wb.csum_add16(data.cast("H"), 0, len(data) // 2, 0xFFFFFFFF) == 0xFFFF
    assert wb.csum_octets(data, data.cast("H"), 1, len(data) - 2, 0) == 0xFFFF
    assert wb.csum_add(data, 0, 65_536, 0) == 0xFFFF


def test_a_sum_of_zeros_stays_zero_and_complements_to_ones() -> None:
    data = column("B", 64)
    assert wb.csum_octets(data, data.cast("H"), 1, 33, 0) == 0
    assert wb.csum_fold(0) == 0xFFFF
    assert wb.csum_fold(0xFFFF) == 0
    assert wb.csum_fold(0x1FFFE) == 0


def test_even_pieces_sum_to_the_whole() -> None:
    data = filled(101)
    words = data.cast("H") if len(data) % 2 == 0 else data[:100].cast("H")
    acc = wb.csum_octets(data, words, 0, 20, 0)
    acc = wb.csum_octets(data, words, 20, 30, acc)
    acc = wb.csum_octets(data, words, 50, 51, acc)
    assert acc == plain_sum(data.tobytes())


@pytest.mark.parametrize("n", [0, 1, 7, 16, 20, 33, 1460, 65_536])
@pytest.mark.parametrize(("d", "s"), [(0, 0), (1, 0), (0, 3), (5, 2)])
def test_copy_moves_those_octets_and_no_other(n: int, d: int, s: int) -> None:
    src, dst = filled(n + 8, 1), filled(n + 8, 2)
    want = bytearray(dst)
    want[d : d + n] = src[s : s + n]
    wb.copy(dst, d, src, s, n)
    assert dst.tobytes() == want
    wb.copy(dst, d, memoryview(bytes(src)), s, n)
    assert dst.tobytes() == want
