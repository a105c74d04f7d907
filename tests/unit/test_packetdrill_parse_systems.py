"""One script for several systems: #ifdef, symbols, profiles that a script names (docs/packetdrill.md)."""

import pytest
from parse_kit import num, whence

from pystack.packetdrill import parse
from pystack.packetdrill.script import (
    Command,
    Place,
    String,
    Symbol,
)

# --- systems and symbols --------------------------------------------------------------------------


TWO = """#ifdef FreeBSD
0 a() = 1
#endif
#ifdef STANDARD
0 b() = 2
#endif
+0 c() = 3
"""


@pytest.mark.parametrize(
    ("profile", "defines", "names"),
    [
        ("freebsd-14", {}, "ac"),
        ("freebsd-10", {}, "ac"),
        ("linux-6", {}, "c"),
        ("", {}, "c"),
        ("linux-6", {"STANDARD": ""}, "bc"),
        ("freebsd-14", {"STANDARD": "1"}, "abc"),
        ("linux-6", {"FreeBSD": ""}, "ac"),
    ],
)
def test_ifdef(profile: str, defines: dict[str, str], names: str):
    script = parse(TWO, profile=profile, defines=defines)
    assert "".join(event.what.name for event in script.events) == names
    assert script.events[-1].place.line == 7


def test_ifdef_of_a_symbol_of_the_script_and_around_options():
    text = (
        "--define=MINE=1\n#ifdef MINE\n--mtu=1400\n#endif\n#ifdef OTHER\n--mtu=1\n#endif\n0 f() = 0"
    )
    assert [option.value for option in parse(text).options] == ["MINE=1", 1400]


def test_no_directive_in_strings_code_commands_and_comments():
    text = '// #ifdef A\n0 f("#ifdef") = 0 +0 `#endif` +0 %{ x = 1 #ifdef\n}% /* #endif */'
    assert len(parse(text).events) == 3


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        ("#ifdef A\n0 f() = 0", (2, 10, ""), "#endif for the #ifdef of line 1"),
        ("0 f() = 0\n#endif", (2, 1, "#endif"), "#ifdef NAME"),
        ("#ifdef A\n#ifdef B\n#endif\n#endif", (2, 1, "#ifdef B"), "nested"),
        ("#ifdef A\n#else\n#endif", (2, 1, "#else"), "no #else"),
        ("#ifdef\n0 f() = 0", (1, 1, "#ifdef"), "a name"),
        ("#include <x>", (1, 1, "#include"), "#ifdef NAME"),
    ],
)
def test_ifdef_that_cannot_be(text: str, where: tuple[int, int, str], expected: str):
    found = whence(text)
    assert found[:3] == where
    assert expected in found[3]


@pytest.mark.parametrize(
    ("option", "found"),
    [
        ("--define=SYM=7", num(7)),
        ("--define SYM=7", num(7)),
        ("-D SYM=7", num(7)),
        ("-DSYM=7", num(7)),
        ("--define=SYM=O_RDWR", Symbol("O_RDWR")),
        ('--define=SYM="two words"', String(b"two words")),
    ],
)
def test_symbols(option: str, found: object):
    script = parse(f'{option}\n0 f(SYM, SYMS, "SYM") = 0')
    assert script.events[0].what.args == (found, Symbol("SYMS"), String(b"SYM"))


def test_symbols_may_be_commands_and_stand_in_packets():
    text = "--define=CMD=`sysctl -w a=b`\n--define=WIN=257\nCMD\n0 < . 1:1(0) win WIN\n`WIN`"
    script = parse(text)
    assert script.init == Command("sysctl -w a=b", Place(3, 1))
    assert script.events[0].what.win == 257
    assert script.cleanup == Command("WIN", Place(5, 1))


def test_the_command_line_wins():
    text = "--define=WIN=257\n0 < . 1:1(0) win WIN"
    assert parse(text, defines={"WIN": "9"}).events[0].what.win == 9
    assert parse(text, defines={"OTHER": "9"}).events[0].what.win == 257


def test_places_are_those_of_the_text_as_written():
    text = "--define=LONG=123456\n0 f(LONG, LONG) = LONG +0 f() = 0\n+0 < . 1:1(0) win LONG"
    assert whence(text)[:3] == (3, 19, "123456")
    script = parse(text.replace("win LONG", "win 1"))
    assert [event.place for event in script.events] == [Place(2, 1), Place(2, 24), Place(3, 1)]
    assert script.events[0].text == "0 f(LONG, LONG) = LONG"


# --- profiles that a script names -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "profiles"),
    [
        ("", ()),
        ("// profiles: linux-6 freebsd-14\n", ("linux-6", "freebsd-14")),
        ("// About this.\n// profile: linux-6\n--mtu=1500\n", ("linux-6",)),
        ("/* profiles: linux-6, freebsd-14 */", ("linux-6", "freebsd-14")),
        ("/* About.\n * profiles: linux-6\n */", ("linux-6",)),
        ("--profiles=linux-6,freebsd-14\n", ("linux-6", "freebsd-14")),
        ("// of profiles: nothing\n", ()),
    ],
)
def test_profiles(head: str, profiles: tuple[str, ...]):
    assert parse(f"{head}0 f() = 0 // profiles: other\n// profiles: other").profiles == profiles
