"""The scripts of tests/tcp/states and docs/tcp_states.md, from the table of answers.

python -m tcp.cell_scripts       (in tests/) writes the scripts and the paper anew
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tcp.cells import NUMBERS, SYSTEMS, Cell, events, possible, states

HERE = Path(__file__).parent / "states"
TABLE = HERE / "table.txt"
PAPER = Path(__file__).parents[2] / "docs" / "tcp_states.md"

Answers = dict[tuple[str, str, bool, str], list[str]]
"""(state, event, timestamps, system) -> what comes."""


def load(text: str) -> Answers:
    """The table's rows, `event  with-timestamps  system  answers`, below the name of their state."""
    out: Answers = {}
    state = ""
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            state = line.strip("[]")
            continue
        event, ts, system, *rest = line.split(None, 3)
        answers = [item.strip() for item in rest[0].split(" ; ")] if rest else []
        for stamped in (False, True) if ts == "*" else (ts == "+",):
            for one in SYSTEMS if system == "*" else (system,):
                plain = [re.sub(r"( bare| \^| ecr \d+)(?=$| \+ )", "", a) for a in answers]
                key = (state, event, stamped, one)
                assert key not in out, key
                out[key] = answers if stamped else plain
    return out


def cells() -> Iterator[Cell]:
    """Every cell there can be, in the order of the papers, without its answers."""
    known = events()
    kinds = {(ts, data): states(ts, data) for ts in (False, True) for data in (False, True)}
    for name in states(False):
        for event in known.values():
            if not possible(name, event):
                continue
            for ts in (True,) if event.only_ts else (False, True):
                for system in SYSTEMS:
                    yield Cell(kinds[ts, event.data][name], event, ts, system)


def path_of(cell: Cell) -> Path:
    return HERE / f"{cell.state.name.lower().replace('_', '-')}-{cell.event.group}.pkt"


def filled() -> list[Cell]:
    """Every cell with its answers. A cell without a row, or a row without a cell, is an AssertionError."""
    answers = load(TABLE.read_text())
    out = []
    for cell in cells():
        key = (cell.state.name, cell.event.name, cell.ts, cell.system)
        assert key in answers, f"no answer for {key}"
        cell.outcome = answers.pop(key)
        out.append(cell)
    assert not answers, f"no such cell: {list(answers)[:5]}"
    return out


def head(cell: Cell) -> list[str]:
    """How a script begins: what it is, where it is played, the names of states."""
    out = [
        f"// {cell.state.title}: {GROUPS[cell.event.group]}. From table.txt, by tests/tcp/cell_scripts.py.",
        "// profiles: linux-6 freebsd-14",
        "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 9",
    ]
    for system, table in NUMBERS.items():
        words = table.split()
        names = ", ".join(words[::2])
        out += [
            f"#ifdef {'Linux' if system == 'linux' else 'FreeBSD'}",
            f"+0 %{{ {names} = {', '.join(words[1::2])} }}%",
            "#endif",
        ]
    return [*out, "+0 close(9) = 0"]


GROUPS = {
    "syn": "SYN",
    "ack": "ACK",
    "fin": "FIN",
    "rst": "RST",
    "data": "data",
    "ts": "timestamps that are old or missing",
    "call": "calls of the application",
}


def scripts() -> dict[Path, str]:
    """Every file of tests/tcp/states, by its path."""
    out: dict[Path, list[str]] = {}
    pairs: dict[tuple[Path, str, bool], dict[str, Cell]] = {}
    for cell in filled():
        pairs.setdefault((path_of(cell), cell.event.name, cell.ts), {})[cell.system] = cell
    for (path, name, ts), both in pairs.items():
        lines = out.setdefault(path, head(both["linux"]))
        marker = f"// cell: {both['linux'].state.name} {name} {'ts' if ts else 'plain'}"
        texts = {system: cell.script() for system, cell in both.items()}
        lines += ["", f"// {both['linux'].event.title}{', with timestamps' if ts else ''}", marker]
        if texts["linux"] == texts["freebsd"]:
            lines += texts["linux"]
        else:
            for system, symbol in (("linux", "Linux"), ("freebsd", "FreeBSD")):
                lines += [f"#ifdef {symbol}", *texts[system], "#endif"]
    return {path: "\n".join(lines) + "\n" for path, lines in out.items()}


def in_words(answers: list[str]) -> str:
    """A cell's answers as the paper has them."""
    parts = []
    for item in answers:
        if item.startswith("?"):
            continue
        if item.startswith(": "):
            parts.append(item[2:])
        else:
            parts.append(f"`{item}`")
    return ", ".join(parts) or "silence"


def paper() -> str:
    """docs/tcp_states.md."""
    proofs: dict[tuple[str, str, bool], Path] = {}
    for path, text in scripts().items():
        for m in re.finditer(r"^// cell: (\S+) (\S+) (ts|plain)$", text, re.M):
            proofs[m[1], m[2], m[3] == "ts"] = path
    rows: dict[tuple[str, str], dict[tuple[str, bool], Cell]] = {}
    for cell in filled():
        rows.setdefault((cell.state.title, cell.event.name), {})[cell.system, cell.ts] = cell
    out = [PREFACE.strip(), ""]
    state = ""
    for (title, name), four in rows.items():
        first = next(iter(four.values()))
        if title != state:
            state = title
            out += [
                "",
                f"## {title}",
                "",
                "| event | linux-6 | freebsd-14 | script |",
                "|---|---|---|---|",
            ]
        columns = []
        for system in SYSTEMS:
            plain, stamped = four.get((system, False)), four[system, True]
            words = in_words(load_plain(stamped.outcome))
            if plain is not None and in_words(plain.outcome) != words:
                words = f"{in_words(plain.outcome)}; with timestamps {words}"
            columns.append(words)
        where = {proofs[first.state.name, name, ts].name for _, ts in four}
        assert len(where) == 1
        same = "the same" if columns[0] == columns[1] else columns[1]
        out.append(f"| {first.event.title} | {columns[0]} | {same} | {where.pop()} |")
    return "\n".join(out) + "\n"


def load_plain(answers: list[str]) -> list[str]:
    """Answers without what they say of timestamps."""
    return [re.sub(r"( bare| \^| ecr \d+)(?=$| \+ )", "", a) for a in answers]


PREFACE = """
# What happens in each state of TCP

Each row is an event in a state, what linux-6 and freebsd-14 do, and the script in `tests/tcp/states/` that proves it,
with and without timestamps. The Linux column was observed on a running 6.18 kernel: the same steps, over a tun device.
The FreeBSD column follows netinet/tcp_input.c of 14. `python -m tcp.cell_scripts` in `tests/` writes this page and the
scripts from `tests/tcp/states/table.txt`; a test keeps all three in step.

Packets are written as in the scripts (docs/packetdrill.md): data begins at 1 on both sides. `= …` is what a call
answers; a name is the state afterwards, with the error that SO_ERROR then tells; `+.04` is how long it takes. Every
script then asks a last question, mostly a FIN far beyond the window, whose answer shows that nothing else was sent and
where the connection stands.

Where no descriptor of a connection is left (SYN_RCVD of a listener, orphans, TIME_WAIT), no call can be made; those
rows stand in the state whose descriptor is open. A close that lingers waits, so it has scripts of its own:
`tests/tcp/kernel/close/linger-waits.pkt` and `linger-expires.pkt`.
"""


def main() -> int:
    """Write everything anew; says what changed."""
    wanted = scripts()
    for old in HERE.glob("*.pkt"):
        if old not in wanted:
            old.unlink()
    for path, text in (wanted | {PAPER: paper()}).items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
