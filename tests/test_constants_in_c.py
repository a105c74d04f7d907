"""setup.py puts the numbers of constants into the C that Cython has written (docs/adr/0030)."""

from pathlib import Path

from annotate import load_setup

A, B, TWICE = (f"__pyx_v_7pystack_5_fast_3ip4_{name}" for name in ("_TCP", "_WIDE", "TWICE"))
OTHER = "__pyx_v_7pystack_5_fast_7tcp_in_TCP"
BEFORE = f"""static int {A};
static unsigned PY_LONG_LONG {B};
static int {TWICE};
  return {A} == {TWICE} && x[{B}] && &{A} && {OTHER} && {A}_more;
  {A} = __pyx_t_1;
  {B} = __pyx_t_2;
  {TWICE} = {A};
  {TWICE} = 7;
"""
AFTER = f"""static int {A};
static unsigned PY_LONG_LONG {B};
static int {TWICE};
  return ((int)6) == {TWICE} && x[((unsigned PY_LONG_LONG)18446744073709551615ULL)] && &{A} && {OTHER} && {A}_more;
  {A} = __pyx_t_1;
  {B} = __pyx_t_2;
  {TWICE} = ((int)6);
  {TWICE} = 7;
"""


def test_what_is_set_once_is_a_number_where_it_is_read(tmp_path: Path):
    """Not where it is declared, set or pointed at; not what is set twice, another's, or another name."""
    file = tmp_path / "ip4.c"
    file.write_text(BEFORE)
    load_setup().fold(file, "ip4", {"_TCP": 6, "_WIDE": 2**64 - 1, "TWICE": 7, "OF_PYTHON": 1})
    assert file.read_text() == AFTER


def test_numbers_are_those_of_the_source():
    setup = load_setup()
    found = setup.constants(["ip4", "consts"])
    assert found["ip4"]["_TCP"] == found["consts"]["PROTO_TCP"] == 6
    assert found["consts"]["NEVER"] == 2**63 - 1
