"""The inputs that fuzzing the parsers began with or found, one by one, without the fuzzer."""

import sys

import pytest
from fuzz import corpus, fuzz_wire

SEEDS = corpus.seeds(fuzz_wire.SEEDS)
GOOD = {name for name in SEEDS if name.startswith("good")}


@pytest.mark.parametrize("name", SEEDS)
def test_input(name: str):
    data = SEEDS[name]
    read = fuzz_wire.one(data)
    assert (read is not None) is (name in GOOD)
    fuzz_wire.fuzz(data)


@pytest.mark.parametrize("name", SEEDS)
def test_every_truncation(name: str):
    data = SEEDS[name]
    for n in range(min(len(data), 120)):
        fuzz_wire.fuzz(data[:n])


@pytest.mark.parametrize("name", SEEDS)
def test_every_octet_changed(name: str):
    data = SEEDS[name]
    for i in range(min(len(data), 80)):
        for value in (0, 0xFF, data[i] ^ 1, data[i] ^ 0x80):
            fuzz_wire.fuzz(data[:i] + bytes((value,)) + data[i + 1 :])


def test_the_seeds_are_there():
    assert len(GOOD) >= 8
    assert len(SEEDS) - len(GOOD) >= 8


def test_without_atheris_the_script_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "atheris", None)
    with pytest.raises(SystemExit, match="needs atheris"):
        corpus.fuzz(fuzz_wire.fuzz, fuzz_wire.SEEDS)
