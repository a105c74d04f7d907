"""The knobs as a whole: one declaration each, and honest about what they do."""

from pathlib import Path

import knob_review
import pytest

from pystack.sysctl import (
    Registry,
    TomlError,
    registry,
)
from pystack.sysctl.strict_toml import Document

# rules are the same whether or not the core obeys a knob yet
pytestmark = pytest.mark.filterwarnings("ignore::pystack.sysctl.NoEffect")


# --- the registry ---------------------------------------------------------------------------------


def test_every_knob_says_what_it_is_in_one_line() -> None:
    for knob in registry().values():
        assert knob.doc[0].isupper() or "()" in knob.doc.split()[0], knob.name
        assert knob.doc.endswith("."), knob.name
        assert "\n" not in knob.doc, knob.name
        assert knob.source, knob.name


def test_search_by_tree_glob_word_and_old_name() -> None:
    known = registry()
    assert [k.name for k in known.search("kern.ipc.somaxconn")] == ["kern.ipc.soacceptqueue"]
    assert len(known.search("net.inet.tcp.syncache")) == 7
    assert {k.name for k in known.search("*msl")} == {"net.inet.tcp.msl"}
    assert "net.ipv4.tcp_tw_reuse" in {k.name for k in known.search("TIME_WAIT")}
    assert len(known.search()) == len(known)
    assert known.search("no such thing") == []


def test_describe_is_plain_data() -> None:
    told = registry()["kern.ipc.somaxconn"].describe()
    assert told["name"] == "kern.ipc.soacceptqueue"
    assert told["old_names"] == ["kern.ipc.somaxconn"]
    assert (told["min"], told["max"], told["when"]) == (1, 65535, "run")


KNOB = """\
["a.b"]
doc = "A knob."
source = "here"
sets = "tcp_sack"
"""


@pytest.mark.parametrize(
    ("change", "place", "text"),
    [
        (('doc = "A knob."\n', ""), "1:1", "a.b has no doc"),
        (("sets =", "set ="), "4:1", "unknown key 'set'; did you mean sets?"),
        (("tcp_sack", "tcp_sakc"), "4:1", "no such setting: 'tcp_sakc'; did you mean tcp_sack"),
        (('"tcp_sack"', '["tcp_sack", "tcp_dsack"]'), "4:1", "2 groups of settings for a value"),
        (('sets = "tcp_sack"', 'type = "sting"'), "4:1", "did you mean string?"),
        (('sets = "tcp_sack"', 'unit = "min"'), "4:1", "unit 'min' is none of"),
        (('sets = "tcp_sack"', 'rules = ["grow"]'), "4:1", "did you mean only-grow?"),
        (('sets = "tcp_sack"', 'when = "later"'), "4:1", "when 'later' is none of run, boot"),
        (('sets = "tcp_sack"', "min = 1"), "1:1", "sets nothing: say in `acts`"),
        (('sets = "tcp_sack"', 'min = "1"'), "4:1", "min must be int, not str"),
        (('sets = "tcp_sack"', "choices = { 0 = { tcp_sack = 0 } }"), "4:1", "must have 1"),
        (('["a.b"]', 'c = 1\n["a.b"]'), "1:1", "'c' is not a table"),
        (('["a.b"]', '["a.b"]\nx'), "2:", ""),
    ],
)
def test_a_wrong_knob_file_fails_with_file_line_and_column(
    change: tuple[str, str], place: str, text: str
) -> None:
    assert change[0] in KNOB
    with pytest.raises(TomlError) as caught:
        Registry([Document(KNOB.replace(*change), "knobs/x.toml")])
    assert str(caught.value).startswith(f"knobs/x.toml:{place}")
    assert text in str(caught.value)


def test_a_knob_is_declared_once() -> None:
    other = KNOB.replace('"a.b"', '"c.d"') + 'aliases = ["a.b"]\n'
    with pytest.raises(TomlError, match=r"a\.b is declared twice"):
        Registry([Document(KNOB, "one.toml"), Document(other, "two.toml")])


# --- honesty --------------------------------------------------------------------------------------


def test_the_list_of_knobs_is_honest() -> None:
    """If this fails, the code has moved on: `python tests/knob_review.py --mark`."""
    readers = knob_review.read_settings(knob_review.sources())
    knobs = list(registry().values())
    assert knob_review.boasters(knobs, readers) == []
    assert knob_review.modest(knobs, readers) == []


def test_marking_a_knob_and_taking_the_mark_away() -> None:
    two = KNOB + KNOB.replace("a.b", "c.d")
    marked = knob_review.mark(two, ["c.d"], [])
    document = Document(marked, "x.toml")
    assert "effect" not in document.data["a.b"]
    assert document.data["c.d"]["effect"] == "not obeyed yet"
    assert knob_review.mark(marked, [], ["c.d"]) == two


def test_the_review_finds_boasters(tmp_path: Path) -> None:
    source = tmp_path / "x.py"
    source.write_text("if cfg.tcp_sack: cfg.tcp_dsack = 1\nx = cfg.ip_ttl == 3\n")
    readers = knob_review.read_settings([source])
    assert [name for name, files in readers.items() if files] == ["tcp_sack", "ip_ttl"]
    known = registry()
    some = [known[n] for n in ("net.inet.tcp.sack.enable", "net.inet.tcp.msl", "net.inet.ip.ttl")]
    assert knob_review.boasters(some, readers) == ["net.inet.tcp.msl"]
