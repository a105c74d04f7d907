"""The table of states and events: its scripts and its paper are current, and no cell is empty.

The scripts themselves, tests/tcp/states/*.pkt, are tests of their own.
"""

import re

import pytest
from tcp import cell_scripts
from tcp.cells import SYSTEMS

from pystack._fast.consts import STATE_NAMES

WRITTEN = cell_scripts.scripts()


def test_the_scripts_are_those_of_the_table():
    """If it is meant: python -m tcp.cell_scripts, in tests/."""
    assert {path.name for path in cell_scripts.HERE.glob("*.pkt")} == {p.name for p in WRITTEN}
    changed = [path.name for path, text in WRITTEN.items() if path.read_text() != text]
    assert changed == []


def test_the_paper_is_that_of_the_table():
    assert cell_scripts.PAPER.read_text() == cell_scripts.paper()


def test_no_cell_is_empty():
    """Every state with every event, with timestamps and without, on both systems, has a script that says so."""
    wanted = {
        f"{c.state.name} {c.event.name} {'ts' if c.ts else 'plain'}" for c in cell_scripts.cells()
    }
    proved = re.findall(r"^// cell: (.*)$", "\n".join(WRITTEN.values()), re.M)
    assert sorted(proved) == sorted(wanted)
    assert {c.state.name.split("-")[0] for c in cell_scripts.cells()} == set(STATE_NAMES)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("[CLOSED]\nsyn-next * * > R 1:1(0)", "no answer for"),
        ("[NOWHERE]\nsyn-next * * > R 1:1(0)", "no answer for"),
    ],
)
def test_a_table_with_holes_is_refused(table, problem, tmp_path, monkeypatch):
    path = tmp_path / "table.txt"
    path.write_text(table)
    monkeypatch.setattr(cell_scripts, "TABLE", path)
    with pytest.raises(AssertionError, match=problem):
        cell_scripts.filled()


def test_rows_that_belong_to_no_cell_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "table.txt"
    path.write_text(cell_scripts.TABLE.read_text() + "\n[CLOSED]\nnothing * * > R 1:1(0)\n")
    monkeypatch.setattr(cell_scripts, "TABLE", path)
    with pytest.raises(AssertionError, match="no such cell"):
        cell_scripts.filled()


def test_stars_stand_for_both():
    read = cell_scripts.load("[LISTEN]\nfin + * > . 1:1(0) ack 2 ^ ; : CLOSED\nfin - linux ?\n")
    for system in SYSTEMS:
        assert read["LISTEN", "fin", True, system] == ["> . 1:1(0) ack 2 ^", ": CLOSED"]
    assert read["LISTEN", "fin", False, "linux"] == ["?"]
    assert ("LISTEN", "fin", False, "freebsd") not in read
