"""docs/ipfw.md keeps its word: every section of what is known has a row, and every test that is named exists."""

import re
from pathlib import Path

from test_sources import names_in, python_files

PAPER = Path(__file__).parents[1] / "docs" / "ipfw.md"
SECTIONS = "0 1 2.1 2.2 2.3 2.4 2.5 2.6 2.7 2.8 2.9 2.10 2.11 3.1 3.2 3.3 3.4 3.5 4.1 4.2 4.3 5 6 7 7.1 8.1 8.3 9"
NAME = re.compile(r"`(test_\w+)(\.py)?`")


def rows(text):
    """Section -> proof, of the table of sections."""
    table = text.partition("## The facts, section by section")[2].partition("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return [(cell[0], cell[-1]) for cell in cells[1:]]


def missing(text):
    """Tests that are named and do not exist."""
    files = {path.name for path in python_files()}
    functions = frozenset().union(
        *(names_in(path) for path in python_files() if "tests" in path.parts)
    )
    return sorted(
        name + suffix
        for name, suffix in set(NAME.findall(text))
        if (name + suffix not in files if suffix else name not in functions)
    )


def test_every_section_has_its_row():
    found = rows(PAPER.read_text())
    assert sorted({section for section, _ in found}) == sorted(SECTIONS.split())
    assert [section for section, _ in found].count("9") == 2  # points to reach, and corrections


def test_every_row_names_a_proof():
    for section, proof in rows(PAPER.read_text()):
        assert NAME.search(proof) or "bench" in proof or section == "6", section


def test_every_test_that_is_named_exists():
    assert missing(PAPER.read_text()) == []
    assert missing("`test_nobody_wrote_this` `test_ipfw_fwd.py` `test_nor_this.py`") == [
        "test_nobody_wrote_this",
        "test_nor_this.py",
    ]
