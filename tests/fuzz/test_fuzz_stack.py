"""Programs of bad input against two whole machines: what fuzzing found, what covers much, and random ones."""

import hashlib
import sys

import pytest
from fuzz import corpus, fuzz_stack, stack_driver
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.twin import assert_twins

SEEDS = corpus.seeds(fuzz_stack.SEEDS)
TWIN = """
from fuzz import corpus, fuzz_stack
from fuzz.stack_driver import drive
for name, data in corpus.seeds(fuzz_stack.SEEDS).items():
    print(name, drive(data))
"""


@pytest.mark.parametrize("name", SEEDS)
def test_input(name: str):
    assert stack_driver.drive(SEEDS[name])


@settings(max_examples=60)
@given(
    start=st.binary(min_size=4, max_size=4),
    program=st.lists(st.binary(min_size=1, max_size=12), max_size=30),
)
def test_any_program(start: bytes, program: list[bytes]):
    stack_driver.drive(start + b"".join(program))


def test_many_programs():
    """Octets without any structure, always the same ones."""
    digest = hashlib.sha256()
    for i in range(25):
        digest.update(
            stack_driver.drive(hashlib.shake_128(bytes((i,))).digest(40 + 12 * i)).encode()
        )
    assert digest.digest()


def test_the_same_program_gives_the_same_packets():
    data = hashlib.shake_128(b"again").digest(400)
    assert stack_driver.drive(data) == stack_driver.drive(data)


def test_twins():
    assert len(assert_twins(TWIN).splitlines()) == len(SEEDS)


@pytest.mark.parametrize("what", ["a packet that is lost", "a number that is wrong"])
def test_the_driver_notices(what: str):
    """The checks can fail: a leak and a broken sequence number are found."""
    world = stack_driver.Program(bytes(3))
    t = world.new(world.sides[0])
    world.check()
    if what == "a packet that is lost":
        world.sides[0].core.pool.get()
        with pytest.raises(AssertionError):
            stack_driver.stack_check.at_rest(world.sides[0].core, world.sides[0].held)
    else:
        world.call(world.sides[0], stack_driver.opening.tcp_connect, t, stack_driver.NET + 3, 80)
        t.snd_nxt = t.snd_una - 5 & 0xFFFFFFFF
        with pytest.raises(AssertionError, match=r"SND\.NXT"):
            world.check()


def test_a_complaint_says_where(monkeypatch: pytest.MonkeyPatch):
    assert fuzz_stack.complaint(b"\x07\x00\x00\x07") == ""
    monkeypatch.setattr(stack_driver.Program, "begin", lambda self: 1 // 0)
    assert (
        fuzz_stack.complaint(bytes(4))
        == "<lambda>: ZeroDivisionError: integer division or modulo by zero"
    )


def test_shrinking_keeps_what_is_wrong(monkeypatch: pytest.MonkeyPatch):
    def fails(data: bytes) -> None:
        if b"x" in data:
            raise AssertionError("an x")

    monkeypatch.setattr(fuzz_stack, "drive", fails)
    assert fuzz_stack.shrink(b"abcdxefg") == b"x"


def test_without_atheris_the_script_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "atheris", None)
    monkeypatch.setattr(sys, "argv", ["fuzz_stack.py"])
    with pytest.raises(SystemExit, match="needs atheris"):
        fuzz_stack.main()
