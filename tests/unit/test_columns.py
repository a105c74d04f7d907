"""Columns: zeroed, typed, and free of cost until touched."""

import os
from pathlib import Path

import pytest

from pystack._fast import columns
from pystack._fast.columns import BIG, column, grown


@pytest.mark.parametrize("code", columns.CODES)
@pytest.mark.parametrize("octets", [0, 8, BIG - 8, BIG, BIG + 8])
def test_a_column_is_zeroed_and_typed(code: str, octets: int) -> None:
    n = octets // memoryview(column(code, 1)).itemsize
    col = column(code, n)
    assert (len(col), col.format, col.nbytes) == (n, code, octets)
    assert col.contiguous
    assert not col.readonly
    assert not any(col.tobytes())


@pytest.mark.parametrize("n", [10, 100_000])
def test_items_keep_what_their_type_can_hold(n: int) -> None:
    for code, low, high in [
        ("B", 0, 2**8 - 1), ("H", 0, 2**16 - 1), ("i", -(2**31), 2**31 - 1),
        ("I", 0, 2**32 - 1), ("q", -(2**63), 2**63 - 1), ("Q", 0, 2**64 - 1),
    ]:  # fmt: skip
        col = column(code, n)
        col[0], col[n - 1] = low, high
        assert (col[0], col[n - 1]) == (low, high)
        with pytest.raises(ValueError):
            col[1] = high + 1


@pytest.mark.parametrize("code", ["", "f", "d", "u", "l", "x", "BB"])
def test_an_unknown_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="column type"):
        column(code, 1)


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 items"):
        column("i", -1)


@pytest.mark.parametrize("n", [5, 100_000])
def test_a_grown_column_starts_with_the_old_items(n: int) -> None:
    old = column("i", n)
    old[n - 1] = -7
    new = grown(old, 2 * n)
    assert (new.format, len(new), new[n - 1]) == ("i", 2 * n, -7)
    assert not any(new[n:])
    new[0] = 1
    assert old[0] == 0
    with pytest.raises(ValueError, match="does not fit"):
        grown(new, n)


def test_a_column_outlives_the_name_of_its_storage() -> None:
    view = column("Q", BIG)[10:20]
    view[0] = 2**64 - 1
    assert view.tolist() == [2**64 - 1] + [0] * 9


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_untouched_rows_cost_no_memory() -> None:
    before = _resident()
    cols = [column("q", 4_000_000) for _ in range(10)]  # 320 MB of address space
    assert _resident() - before < 8 << 20
    for col in cols:
        col[::512] = memoryview(column("q", len(range(0, len(col), 512))))
        break
    assert _resident() - before > 16 << 20  # the measure does see pages that are touched
