"""The twin runner itself: it runs two speeds, and sees a difference."""

import pytest

from twin.twin import assert_twins, run_twins


def test_both_speeds_run_from_the_same_source():
    twins = run_twins(
        """
        import sys
        from pystack import _fast
        from pystack._fast import seq
        print(_fast.COMPILED, seq.__file__.endswith(".py"), sys.argv[1:])
        """,
        "one",
        "two",
    )
    assert twins.compiled == b"True False ['one', 'two']\n"
    assert twins.interpreted == b"False True ['one', 'two']\n"


def test_same_answers_are_twins():
    script = "from pystack._fast import seq\nprint(seq.add(0xFFFFFFFF, 2))"
    assert assert_twins(script) == b"1\n"


def test_a_difference_is_shown():
    with pytest.raises(AssertionError, match=r"-speed: True\n\+speed: False"):
        assert_twins("from pystack import _fast\nprint('speed:', _fast.COMPILED)")


def test_an_answer_that_depends_on_the_order_of_a_set_is_a_difference():
    with pytest.raises(AssertionError, match="compiled"):
        assert_twins("print(*{str(i) for i in range(100)})")


def test_a_failing_twin_says_which_and_why():
    with pytest.raises(AssertionError, match=r"(?s)compiled twin failed.*ZeroDivisionError"):
        assert_twins("1 / 0")


def test_silence_is_not_agreement():
    with pytest.raises(AssertionError, match="compares nothing"):
        assert_twins("pass")
