"""Human units, exactly; and what is said to somebody who writes the wrong one."""

import contextlib
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pystack import units


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("5ms", 5_000_000),
        ("1.5 s", 1_500_000_000),
        (" 20us ", 20_000),
        ("1ns", 1),
        ("0", 0),
        ("2min", 120 * 10**9),
        ("1h", 3600 * 10**9),
        ("5d", 5 * 86400 * 10**9),
        ("0.000000001s", 1),
        ("1e3ms", 10**9),
        ("1_000us", 10**6),
        (7, 7),
    ],
)
def test_times(text: int | str, ns: int):
    assert units.parse_time(text) == ns


@pytest.mark.parametrize(
    ("text", "bits"),
    [("1Gbit/s", 10**9), ("100kbit/s", 10**5), ("2.5Gbit/s", 25 * 10**8), ("56 kbit/s", 56000),
     ("1bit/s", 1), (10**6, 10**6), (0, 0), ("1Tbit/s", 10**12)],
)  # fmt: skip
def test_rates(text: int | str, bits: int):
    assert units.parse_rate(text) == bits


@pytest.mark.parametrize(
    ("text", "octets"),
    [("64KiB", 65536), ("10kB", 10_000), ("1500B", 1500), ("1MiB", 1 << 20), ("1.5KiB", 1536),
     (1500, 1500), ("2GB", 2 * 10**9)],
)  # fmt: skip
def test_sizes(text: int | str, octets: int):
    assert units.parse_size(text) == octets


@pytest.mark.parametrize(
    ("value", "share"),
    [
        (0.01, 0.01),
        ("1%", 0.01),
        ("0.01", 0.01),
        (0, 0.0),
        (1, 1.0),
        ("100%", 1.0),
        ("0.1%", 0.001),
    ],
)
def test_probabilities(value: float | str, share: float):
    assert units.parse_probability(value) == share


@pytest.mark.parametrize(
    ("parse", "value", "said"),
    [
        (units.parse_time, "5m", "did you mean '5min'"),
        (units.parse_time, "5µs", "did you mean '5us'"),
        (units.parse_time, "5 MS", "did you mean '5ms'"),
        (units.parse_time, "5sec", "did you mean '5s'"),
        (units.parse_time, "5 parsec", "the units are ns, us, ms, s, min, h, d"),
        (units.parse_time, "5", "has no unit"),
        (units.parse_time, 5.0, "give an int (ns) or a string"),
        (units.parse_time, True, "give an int (ns) or a string"),
        (units.parse_time, None, "give an int (ns) or a string"),
        (units.parse_time, "0.5ns", "not a whole number of ns"),
        (units.parse_time, "-1s", "negative"),
        (units.parse_time, -1, "negative"),
        (units.parse_time, "300000000d", "more than 64 bits hold"),
        (units.parse_time, "1e400s", "out of range"),
        (units.parse_time, "1" * 5000 + "s", "too many digits"),
        (units.parse_time, "", "not a number with a unit"),
        (units.parse_time, "ms", "not a number with a unit"),
        (units.parse_time, "1.2.3s", "unknown unit"),
        (units.parse_time, "٣s", "not a number with a unit"),
        (units.parse_rate, "1Gbps", "did you mean '1Gbit/s'"),
        (units.parse_rate, "1gbit/s", "did you mean '1Gbit/s'"),
        (units.parse_rate, "10mbit", "did you mean '10Mbit/s'"),
        (units.parse_rate, "10Mb", "did you mean '10Mbit/s'"),
        (units.parse_rate, "1MB/s", "bandwidth is in bits: did you mean '8Mbit/s'"),
        (units.parse_rate, "5ms", "unknown unit 'ms'"),
        (units.parse_rate, "0.5bit/s", "not a whole number"),
        (units.parse_size, "64K", "did you mean KiB (1024) or kB (1000)"),
        (units.parse_size, "64kb", "did you mean '64kB'"),
        (units.parse_size, "64kib", "did you mean '64KiB'"),
        (units.parse_size, "1.1KiB", "not a whole number of B"),
        (units.parse_probability, 5, "did you mean '5%'"),
        (units.parse_probability, "5", "did you mean '5%'"),
        (units.parse_probability, 1.01, "not between 0 and 1"),
        (units.parse_probability, -0.1, "not between 0 and 1"),
        (units.parse_probability, float("nan"), "not between 0 and 1"),
        (units.parse_probability, "1 permille", "unknown unit"),
        (units.parse_probability, None, "is not a probability"),
        (units.parse_probability, True, "is not a probability"),
    ],
)
def test_what_is_wrong_is_said(parse: object, value: object, said: str):
    with pytest.raises(ValueError, match=re.escape(said)):
        parse(value)


def test_the_quantity_is_named():
    with pytest.raises(ValueError, match=r"^jitter '5m'"):
        units.parse_time("5m", "jitter")


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (units.format_time, 0, "0ns"),
        (units.format_time, 5_000_000, "5ms"),
        (units.format_time, 1_500, "1.5us"),
        (units.format_time, 1_234_567, "1234.567us"),
        (units.format_time, 90 * 10**9, "90s"),
        (units.format_rate, 10**9, "1Gbit/s"),
        (units.format_rate, 1_500_000, "1.5Mbit/s"),
        (units.format_size, 65536, "64KiB"),
        (units.format_size, 1500, "1500B"),
        (units.format_size, 0, "0B"),
    ],
)
def test_forms(form: object, value: int, text: str):
    assert form(value) == text


@given(st.integers(0, 2**62))
def test_what_is_shown_reads_back(n: int):
    assert units.parse_time(units.format_time(n)) == n
    assert units.parse_rate(units.format_rate(n)) == n
    assert units.parse_size(units.format_size(n)) == n


@given(st.floats(0, 1))
def test_a_threshold_is_the_probability(p: float):
    limit = units.threshold(p)
    assert 0 <= limit < 2**64
    assert abs(Fraction(limit, 2**64) - Fraction(p)) <= Fraction(1, 2**64)
    if p == 0 or p >= 2**-11:  # 53 bits of a float fit
        assert units.probability(limit) == p


@given(st.text(max_size=12))
def test_no_text_does_anything_but_parse_or_raise_value_error(text: str):
    for parse in (units.parse_time, units.parse_rate, units.parse_size, units.parse_probability):
        with contextlib.suppress(ValueError):
            assert parse(text) >= 0
