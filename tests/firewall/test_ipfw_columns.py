"""Where a command of ipfw is wrong: the column of the word that was looked at last, or of the one that is missing."""

import pytest

from pystack import Host
from pystack.firewall.ipfw.machine import IpfwError


@pytest.fixture(scope="module")
def host():
    return Host("h", "10.0.0.1/24", profile="freebsd-10")


@pytest.mark.parametrize(
    "marked",
    [
        "^adds allow ip from any to any",
        "add ^",
        "add 100 ^foo ip from any to any",
        "add allow tcp from any ^",
        "add allow ip ^any to any",
        "add prob ^1.5 allow ip from any to any",
        "add allow tcp from any to any tcpflags ^foo",
        "add allow tcp from any to any limit src-addr ^x",
        "add allow tcp from any to any setup keep-state ^keep-state",
        "add fwd ^10.0.0.1,x ip from any to any",
        "add allow ip from ^table(500) to any",
        "set ^33 add allow ip from any to any",
    ],
)
def test_a_refusal_knows_its_column(host, marked):
    before = host.ipfw("list")
    with pytest.raises(IpfwError) as refused:
        host.ipfw(marked.replace("^", "").rstrip())
    assert refused.value.column == marked.index("^") + 1
    assert host.ipfw("list") == before


def test_what_the_kernel_refuses_is_not_about_a_word(host):
    ports = ",".join(str(port) for port in range(1, 32))
    with pytest.raises(IpfwError, match="Invalid argument") as refused:
        host.ipfw(f"add allow tcp from any to any {ports}")
    assert refused.value.column == 0


def test_a_file_tells_line_and_column(host):
    """As they stand in it: with more blanks than one, behind `ipfw` and before a comment."""
    text = "# rules\n\n  ipfw -q  add 10 allow  foo from any to any   # foo\n"
    with pytest.raises(IpfwError, match=r"^line 3, column 26: ipfw: unrecognised option"):
        host.ipfw.load(text)
    with pytest.raises(IpfwError, match=r"^line 1, column 14: ipfw: missing protocol"):
        host.ipfw.load("add 10 allow # nothing else\n")


def test_a_line_may_begin_with_the_command_or_where_it_is(host):
    host.ipfw.load(
        "ipfw -q add 10 allow ip from any to any\n/sbin/ipfw -q add 20 deny ip from any to any\n"
    )
    assert host.ipfw("list 10-20").splitlines() == [
        "00010 allow ip from any to any",
        "00020 deny ip from any to any",
    ]
