"""The settings of a machine: declared the same twice, and no more than that."""

import re
from pathlib import Path

import pytest

from pystack._fast import config, consts
from pystack._fast.config import DEFAULTS, Config

FAST = Path(__file__).parents[2] / "pystack" / "_fast"
SOURCE = (FAST / "config.py").read_text("utf-8")
DOCS = dict(re.findall(r'^    "(\w+)": .*?  # (.+)$', SOURCE, re.MULTILINE))


def test_the_pxd_declares_the_same_names_in_the_same_order() -> None:
    declared = re.findall(r"cdef public long long (\w+)", (FAST / "config.pxd").read_text("utf-8"))
    assert declared == list(DEFAULTS)


def test_each_setting_says_what_it_is() -> None:
    assert list(DOCS) == list(DEFAULTS)


def test_a_new_config_has_the_defaults() -> None:
    fresh = Config()
    assert {name: getattr(fresh, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_each_setting_takes_64_bits(value: int) -> None:
    settings = Config()
    for name in DEFAULTS:
        setattr(settings, name, value)
    assert {getattr(settings, name) for name in DEFAULTS} == {value}


def test_two_machines_share_nothing() -> None:
    one, other = Config(), Config()
    one.tcp_sack = 0
    assert other.tcp_sack == 1


def test_a_misspelt_setting_is_an_error_at_both_speeds() -> None:
    with pytest.raises(AttributeError):
        Config().tcp_sakc = 1  # type: ignore[attr-defined]


def test_times_are_nanoseconds() -> None:
    """A setting whose comment says ns is a whole number of microseconds, and not a few of them."""
    times = [name for name, doc in DOCS.items() if re.search(r"\bns\b", doc)]
    assert len(times) > 20
    for name in times:
        assert DEFAULTS[name] == 0 or DEFAULTS[name] >= consts.MS, name
        assert DEFAULTS[name] % consts.US == 0, name


def test_nothing_else_is_exported() -> None:
    public = {name for name in vars(config) if not name.startswith("_")}
    assert public >= {"Config", "DEFAULTS"}
    assert public <= {"Config", "DEFAULTS", "cython", "consts"}
