"""Options of script and command line come to one Settings."""

import pytest

from pystack.packetdrill import ScriptError, parse
from pystack.packetdrill.options import OptionError, Settings, check, settings

EVENT = "\n0 f() = 0"


def of(head: str, profile: str = "", **options: str | int | None) -> Settings:
    return settings(parse(head + EVENT, "x.pkt"), options, profile=profile)


def test_defaults_are_the_tools():
    assert of("") == Settings()
    assert (Settings().tolerance_usecs, Settings().tolerance_percent) == (4000, 12.5)


def test_the_freebsd_dialect_glues_nothing_and_is_stricter_with_time():
    found = of("", "freebsd-14")
    assert (found.tolerance_percent, found.strict_segments) == (5.0, True)
    assert of("", "linux-6") == Settings()
    assert of("--tolerance_percent=7.5", "freebsd-14").tolerance_percent == 7.5


def test_the_command_line_wins():
    assert of("--tolerance_usecs=10000").tolerance_usecs == 10000
    assert of("--tolerance_usecs=10000", tolerance_usecs="20000").tolerance_usecs == 20000
    assert of("--tcp_ts_ecr_scaled", tcp_ts_ecr_scaled="0").tcp_ts_ecr_scaled is False


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("--tolerance_usecs=0", "tolerance_usecs", 0),
        ("--tolerance_percent=.5", "tolerance_percent", 0.5),
        ("--ip_version=ipv4-mapped-ipv6", "ip_version", "ipv4-mapped-ipv6"),
        ("--local_ip=10.0.0.1", "local_ip", "10.0.0.1"),
        ("--remote_ip=2001:DB8::1", "remote_ip", "2001:db8::1"),
        ("--mtu=1400", "mtu", 1400),
        ("--mss=1000", "mss", 1000),
        ("--bind_port=80", "bind_port", 80),
        ("--tcp_ts_tick_usecs=1000", "tcp_ts_tick_usecs", 1000),
        ("--strict_segments", "strict_segments", True),
        ("--non_fatal=packet,syscall", "non_fatal", frozenset({"packet", "syscall"})),
        ("--init_scripts=a.sh,b.sh", "init_scripts", ("a.sh", "b.sh")),
        ("--tcp_md5_secret=geheim", "tcp_md5_secret", "geheim"),
        ("--dry_run", "dry_run", True),
    ],
)
def test_each_option(text: str, name: str, value: object):
    assert getattr(of(text), name) == value
    assert getattr(Settings(), name) != value


def test_what_is_missing_is_listed_and_what_changes_nothing_is_not():
    found = of("--wire_client\n--foo=1\n--speed=1000\n--define=A=1", bar="x", verbose=None)
    assert found.missing == ("--wire_client", "--foo=1", "--bar=x")
    assert found == Settings(missing=found.missing)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--tolerance_usecs=-1", "a number from 0"),
        ("--tolerance_usecs", "a number from 0"),
        ("--tolerance_percent=x", "a percentage"),
        ("--ip_version=ipx", "one of ipv4, ipv6"),
        ("--local_ip=1.2.3", "an IP address"),
        ("--mtu=10", "a number from 68"),
        ("--non_fatal=everything", "packet, syscall"),
        ("--strict_segments=maybe", "nothing"),
    ],
)
def test_values_that_cannot_be(option: str, expected: str):
    with pytest.raises(ScriptError, match=f"x.pkt:2:1: expected {expected}") as caught:
        of(f"// first\n{option}")
    assert caught.value.text == option
    name, _, value = option[2:].partition("=")
    with pytest.raises(OptionError, match=f"--{name}: expected {expected}"):
        of("", **{name: value})


def test_check():
    assert check("mtu", "1500") == 1500
    with pytest.raises(KeyError):
        check("nothing", "1")
