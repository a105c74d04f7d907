"""Papers that name code must name code that exists: docs/sources.md, docs/packet_path.md, the ADRs and the README.

A reference is `file.py:name` in backticks: a function, method or class of pystack, or a test of ours. A table of
docs/sources.md that begins with "clause" promises more: see `problems_of_row`.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "docs" / "sources.md"
PAPERS = (
    SOURCES,
    ROOT / "docs" / "packet_path.md",
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs" / "adr").glob("*.md")),
)

REFERENCE = re.compile(r"`([\w./]+\.py):(\w+)`")
SCRIPT = re.compile(r"`([\w./-]+\.pkt)`")
FILE = re.compile(r"`([\w./-]+\.(?:py|md|toml|lark|jsonl))`")
NOT_OURS = {"set_sysctls.py", "mine.toml"}
"""Files that papers speak of and that are the reader's or another program's."""
LINK = re.compile(r"\]\(([^)#:]+)\)")
NOT_DONE = re.compile(r"^(not yet|not offered|not ours)(: \S.*)?$")
NO_TEST = ("none yet", "-")
RFC_9293 = [
    *(f"MUST-{n}" for n in range(1, 70)),
    *(f"SHLD-{n}" for n in range(1, 32)),
    *(f"MAY-{n}" for n in range(1, 19)),
    "REC-1",
]
"""Every id of RFC 9293 appendix B."""


@cache
def python_files() -> tuple[Path, ...]:
    return tuple(p for top in ("pystack", "tests") for p in sorted((ROOT / top).rglob("*.py")))


@cache
def names_in(path: Path) -> frozenset[str]:
    """Every function, method and class that a file defines."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return frozenset(n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, kinds))


def find(file: str) -> list[Path]:
    """The files that a reference may mean: in `_fast`, in the package, in the tests, or by the end of its path."""
    for folder in ("pystack/_fast", "pystack", "tests", "."):
        if (ROOT / folder / file).is_file():
            return [ROOT / folder / file]
    return [p for p in python_files() if p.as_posix().endswith("/" + file)]


def problem(file: str, name: str) -> str | None:
    """What is wrong with a reference, in words."""
    found = find(file)
    if not found:
        return f"there is no file {file}"
    if len(found) > 1:
        return f"{file} may be {' or '.join(p.relative_to(ROOT).as_posix() for p in found)}"
    if name not in names_in(found[0]):
        return f"{file} has no {name}"
    return None


def problems(text: str) -> list[str]:
    """Broken references of a text: code that is not there, scripts that are not there."""
    scripts = [s for s in SCRIPT.findall(text) if not (ROOT / "tests" / s).is_file()]
    broken = [p for p in (problem(*r) for r in REFERENCE.findall(text)) if p]
    return broken + [f"there is no script {s}" for s in scripts]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the tables whose first column is "clause"."""
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
        elif line.startswith("| clause |"):
            inside = True
        elif inside and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def is_test(file: str, name: str) -> bool:
    return name.startswith("test_") and Path(file).name.startswith("test_")


def problems_of_row(cells: list[str]) -> list[str]:
    """clause, in words, code, test: code exists or is openly not there, and so is its test."""
    if len(cells) != 4:
        return [f"{cells[0]}: {len(cells)} cells instead of 4"]
    clause, words, code, test = cells
    wrong = [f"{clause}: {p}" for p in problems(f"{code} {test}")]
    if not clause or not words:
        wrong.append(f"{clause or words}: an empty cell")
    codes, tests = REFERENCE.findall(code), REFERENCE.findall(test)
    if not codes and not NOT_DONE.match(code):
        wrong.append(f"{clause}: no code, and it does not say so: {code!r}")
    if any(is_test(*r) for r in codes):
        wrong.append(f"{clause}: a test in the column of code")
    scripts = SCRIPT.findall(test)
    if not all(is_test(*r) for r in tests) or (not tests and not scripts and test not in NO_TEST):
        wrong.append(f"{clause}: no test, and it does not say so: {test!r}")
    if (tests or scripts) and not codes:
        wrong.append(f"{clause}: a test of what is not there")
    return wrong


@pytest.mark.parametrize("path", PAPERS, ids=lambda p: p.name)
def test_what_is_named_exists(path: Path):
    assert problems(path.read_text()) == []


def files_missing(text: str, folder: Path) -> list[str]:
    """Files that a text names, by the end of their path, and links of it that lead nowhere."""
    there = [f"/{p.relative_to(ROOT).as_posix()}" for p in tree()]
    names = sorted(set(FILE.findall(text)) - NOT_OURS)
    lost = [name for name in names if not any(path.endswith(f"/{name}") for path in there)]
    return lost + [link for link in LINK.findall(text) if not (folder / link).exists()]


@cache
def tree() -> tuple[Path, ...]:
    tops = ("pystack", "tests", "docs", "bench", "examples")
    return (*ROOT.glob("*.*"), *(p for top in tops for p in (ROOT / top).rglob("*.*")))


@pytest.mark.parametrize(
    "path", [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: p.name
)
def test_every_file_and_link_exists(path: Path):
    assert files_missing(path.read_text(), path.parent) == []


def test_a_file_that_is_not_there_is_seen():
    text = (
        "`views/tools.py`, `shared/facts/conntrack.md`, [here](docs/limits.md), [there](docs/no.md)"
    )
    assert files_missing(text, ROOT) == ["shared/facts/conntrack.md", "docs/no.md"]


def test_every_row_of_sources_holds():
    table = list(rows(SOURCES.read_text()))
    assert len(table) > 200
    assert list(chain.from_iterable(map(problems_of_row, table))) == []


def test_every_clause_of_rfc_9293_has_its_row():
    clauses = [name for cells in rows(SOURCES.read_text()) for name in cells[0].split(", ")]
    assert [c for c in RFC_9293 if clauses.count(c) != 1] == []
    stray = [c for c in clauses if re.match(r"(MUST|SHLD|MAY|REC)-", c) and c not in RFC_9293]
    assert stray == []


def without_a_script(table: list[list[str]]) -> list[str]:
    """Clauses of RFC 9293 that are kept, with neither a script that shows it nor a word of why none could."""
    return [
        clause
        for clause, _, code, test in table
        if re.match(r"(MUST|SHLD|REC)-", clause) and not NOT_DONE.match(code)
        if not SCRIPT.search(test) and not re.search(r"\(no script: \S", test)
    ]


def test_every_clause_of_rfc_9293_that_we_keep_has_a_script():
    table = list(rows(SOURCES.read_text()))
    assert without_a_script(table) == []
    bare = [[clause, words, code, SCRIPT.sub("", test)] for clause, words, code, test in table]
    assert len(without_a_script(bare)) > 80, "the scripts are what it looks at"


@pytest.mark.parametrize("path", [SOURCES, ROOT / "docs" / "packet_path.md"], ids=lambda p: p.name)
def test_the_papers_name_something(path: Path):
    """The checks above would pass on a paper whose references are spelt another way."""
    assert len(REFERENCE.findall(path.read_text())) > 50


GOOD = "| X-1 | words | `tcp_in.py:segment_arrives` | `test_sources.py:test_what_is_named_exists` |"


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("words", "words", 0),
        ("segment_arrives", "segment_departs", 1),
        ("tcp_in.py", "tcp_inn.py", 1),
        ("`tcp_in.py:segment_arrives`", "somewhere", 2),
        ("`tcp_in.py:segment_arrives`", "not yet", 1),
        ("test_what_is_named_exists", "test_what_is_not", 1),
        ("`test_sources.py:test_what_is_named_exists`", "none yet", 0),
        ("`test_sources.py:test_what_is_named_exists`", "surely", 1),
        ("test_what_is_named_exists", "problem", 1),
        ("tcp_in.py:segment_arrives", "test_sources.py:test_every_row_of_sources_holds", 1),
        ("| words", "|", 1),
        ("| words |", "|", 1),
        ("tcp_in.py:segment_arrives", "__init__.py:speed", 1),
    ],
)
def test_a_broken_row_is_seen(old: str, new: str, wrong: int):
    text = f"| clause | in words | code | test |\n|---|---|---|---|\n{GOOD.replace(old, new)}\n"
    table = list(rows(text))
    assert len(table) == 1
    assert len(problems_of_row(table[0])) == wrong


def test_rows_of_other_tables_are_left_alone():
    assert list(rows("| when | who |\n|---|---|\n| now | us |\n")) == []


def test_a_broken_reference_in_prose_is_seen():
    assert problems("see `core.py:egress`, `runner.py:nothing` and `sysctl/errors.py:nobody`") == [
        "runner.py has no nothing",
        "sysctl/errors.py has no nobody",
    ]
