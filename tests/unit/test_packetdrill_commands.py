"""Shell commands and code snippets of a script: what they do, what they may not do, and that they end."""

import pytest
from packetdrill_kit import OPEN, check, fails, skips

from pystack import Network
from pystack.host import Host
from pystack.packetdrill.shell import LINUX_BASE, Shell
from pystack.packetdrill.verdict import Failure, Skip

NEW = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"


def shell(profile: str = "linux-6") -> Shell:
    return Shell(Host("h", "192.168.0.1/16", profile=profile, seed=1))


# --- knobs ----------------------------------------------------------------------------------------


def test_sysctls():
    sh = shell()
    sh.run("sysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0")
    sh.run("sysctl -w net.ipv4.tcp_rmem='4096 65536 6291456'")
    sh.run("./set_sysctls.py /proc/sys/net/ipv4/tcp_ecn=1 /proc/sys/net/core/somaxconn=7")
    sh.run("echo 2 > /proc/sys/net/ipv4/tcp_frto")
    sysctl = sh.host.sysctl
    assert [sysctl[f"net.ipv4.tcp_{name}"] for name in ("sack", "timestamps", "ecn", "frto")] == [
        0,
        0,
        1,
        2,
    ]
    assert sysctl["net.ipv4.tcp_rmem"] == (4096, 65536, 6291456)
    assert sysctl["net.core.somaxconn"] == 7
    sh.run("sysctl -n net.ipv4.tcp_ecn | grep -q 1")
    with pytest.raises(Failure, match="non-zero status 1"):
        sh.run("sysctl -n net.ipv4.tcp_ecn | grep -q 0")
    with pytest.raises(Skip, match="tcp_frob"):
        sh.run("sysctl -q net.ipv4.tcp_frob=1")
    bsd = shell("freebsd-14")
    bsd.run("sysctl -w net.inet.tcp.hostcache.purgenow=1")
    bsd.run("sysctl net.inet.tcp.rfc1323=0 && sysctl net.inet.tcp.sack.enable=0")
    assert bsd.host.sysctl["net.inet.tcp.sack.enable"] == 0


def test_a_module_is_loaded_and_its_choice_is_what_counts():
    sh = shell("freebsd-14")
    sh.run("kldload -n tcp_rack")
    sh.run("kldload -n cc_newreno")
    sh.run("sysctl kern.timecounter.alloweddeviation=0 net.inet.tcp.functions_default=freebsd")
    assert any("alloweddeviation" in note for note in sh.notes)
    with pytest.raises(Skip, match="functions_default=rack"):
        sh.run("sysctl net.inet.tcp.functions_default=rack")
    with pytest.raises(Skip, match="kldload ipfw"):
        sh.run("kldload -n ipfw")


def test_a_knob_acts_in_the_script():
    text = "`sysctl -q net.ipv4.tcp_window_scaling=0`\n" + OPEN.replace("<...>", "<mss 1460>")
    check(text)
    check(OPEN.replace("<...>", "<mss 1460,nop,wscale 10>"))
    fails(OPEN.replace("<...>", "<mss 1460>"), "")
    skips("`sysctl -q net.ipv4.tcp_frob=0`\n" + OPEN, "net.ipv4.tcp_frob")


def test_the_defaults_of_linux_suites():
    sh = shell()
    sh.run("../common/defaults.sh")
    for name, value in LINUX_BASE.items():
        assert sh.host.sysctl.text(name).split() == value.split()
    check("`./defaults.sh`\n" + OPEN.replace("<...>", "<mss 1460,nop,wscale 8>"))
    check("--init_scripts=./defaults.sh\n" + OPEN.replace("<...>", "<mss 1460,nop,wscale 8>"))
    skips("`./defaults.sh`\n" + OPEN, "another system than Linux", "freebsd-14")


# --- views ----------------------------------------------------------------------------------------

CLOSE = """
+0 close(4) = 0
+0 > F. 1:1(0) ack 1
+0 < F. 1:1(0) ack 2 win 257
+0 > . 2:2(0) ack 2
"""


def test_counting_sockets():
    text = OPEN + CLOSE + "+0 `sockstat -4 -P tcp -p 8080 -s | grep -c %s | grep %d`\n"
    check(text % ("TIME_WAIT", 1), "freebsd-14")
    fails(text % ("TIME_WAIT", 2), "error executing command", 14, "freebsd-14")
    fails(text % ("FIN_WAIT_1", 1), "error executing command", 14, "freebsd-14")
    check(
        OPEN + CLOSE + "+0 `tcpdrop -s TIME_WAIT`\n"
        "+0 `sockstat -4 -P tcp -s | grep packetdril | grep -c TIME_WAIT | grep 0`\n",
        "freebsd-14",
    )
    check(NEW + "+0 `sockstat -4 -P tcp -s | grep packetdril | grep CLOSED`\n", "freebsd-14")


def test_counters():
    text = (
        OPEN
        + "+0 `nstat -n`\n+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n+.23 > P. 1:11(10) ack 1\n"
    )
    check(text + '+0 `nstat | grep TcpRetransSegs | grep -q " 1 "`\n')
    fails(text + '+0 `nstat | grep TcpRetransSegs | grep -q " 2 "`\n', "error executing command")
    check(
        text
        + '+0 `nstat -s | grep -q TCPTimeouts && nstat -a | grep -q "TcpExtTCPTimeouts .* 1 "`\n'
    )
    fails(text + "+0 `nstat | grep -q TCPLossProbes`\n", "error executing command")
    fails(text + "+0 `nstat -n`\n+0 `nstat | grep -q TCPTimeouts`\n", "error executing command")
    skips(text + "+0 `nstat | grep -q TcpExtTCPWqueueTooBig`\n", "TcpExtTCPWqueueTooBig")
    skips(text + "+0 `nstat | grep -q TcpExtTCPNone`\n", "TcpExtTCPNone")


def test_views():
    """Commands that look at the machine are those of `pystack.views`; what they do not take is a skip."""
    check(
        OPEN + '+0 `ss -tn | grep -q ESTAB`\n+0 `cat /proc/net/sockstat | grep -q "TCP: inuse 2"`\n'
    )
    fails(OPEN + "+0 `ss -tn | grep -q SYN-SENT`\n", "error executing command")
    skips(OPEN + "+0 `ss --what | grep -q ESTAB`\n", "ss --what")


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /tmp/x",
        "ip link set tun0 down",
        "sh -c 'sysctl x=1'",
        "echo $(id)",
        "a || b",
        "for i in 1; do x; done",
    ],
)
def test_anything_else_is_a_skip_that_names_it(command):
    skips(NEW + f"+0 `{command}`\n", "the shell command")


def test_small_things():
    sh = shell()
    sh.run("true; echo hello\n# a comment\n/tmp/sysctl_restore_${PPID}.sh")
    sh.run("sleep 0.5")
    assert sh.sleep == 500_000_000
    with pytest.raises(Failure):
        sh.run("false")
    v = check(NEW + "+0 `sleep 2`\n+0 close(3) = 0\n")
    assert v.trace[-1].ns >= 2_000_000_000
    v = check("`sleep 3`\n" + NEW + "1 close(3) = 0\n")
    assert v.trace[-1].ns == 1_000_000_000
    check(NEW + "`frobnicate`\n")  # the cleanup of a machine that is thrown away


# --- snippets -------------------------------------------------------------------------------------


def test_snippets_run_at_the_end_about_their_own_moments():
    v = check(
        OPEN
        + """
+0 %{
assert tcpi_state == TCP_ESTABLISHED, tcpi_state
cwnd = tcpi_snd_cwnd
for n in range(3):
    print("round", n)
}%
+0 write(4, ..., 1400) = 1400
+0 %{ assert tcpi_unacked == 1; assert cwnd == tcpi_snd_cwnd == 10 }%
+0 > P. 1:1401(1400) ack 1
"""
    )
    assert [m.text for m in v.trace if m.kind == "code"][-3:] == ["round 0", "round 1", "round 2"]


def test_states_have_the_numbers_of_the_system():
    check(OPEN + "+0 %{ assert tcpi_state == TCPI_ESTABLISHED == 4 }%\n", "freebsd-14")
    check(OPEN + "+0 %{ assert tcpi_state == TCP_ESTABLISHED == 1 == TCPI_ESTABLISHED }%\n")
    check(OPEN + CLOSE + "+0 %{ assert TCP_CLOSE_WAIT == 8 and TCP_CA_Loss == 4 }%\n")


def test_the_snapshot_is_of_a_child_that_nobody_accepted_too():
    check(OPEN.split("+0 accept")[0] + "+0 %{ assert tcpi_state == TCP_ESTABLISHED }%\n")


def test_a_snippet_that_is_wrong():
    v = fails(OPEN + "+0 %{ assert tcpi_unacked == 1, tcpi_unacked }%\n", "AssertionError: 0", 9)
    assert v.message == "error in Python code: AssertionError: 0"
    fails(OPEN + "+0 %{\nx = 1\nassert x == 2\n}%\n", "AssertionError", 11)
    fails(OPEN + "+0 %{ assert frob }%\n", "NameError", 9)
    fails(OPEN + "+0 %{ assert ( }%\n", "SyntaxError", 9)
    skips(OPEN + "+0 %{ assert tcpi_frobs == 0 }%\n", "tcpi_frobs in a code snippet")


@pytest.mark.parametrize(
    "code",
    [
        "import os",
        "from subprocess import run",
        "().__class__",
        "x = print.__self__",
        "class A: pass",
        "__import__('os')",
        "'{0.__class__}'.format(1)",
    ],
)
def test_what_a_snippet_may_not_do(code):
    skips(NEW + f"+0 %{{ {code} }}%\n", "in a code snippet")


@pytest.mark.parametrize(
    "code", ["open('/etc/passwd')", "eval('1')", "getattr(1, 'real')", "input()", "exec('1')"]
)
def test_what_a_snippet_does_not_have(code):
    fails(NEW + f"+0 %{{ {code} }}%\n", "NameError", 2)


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "x = [i for i in range(10**9)]",
        "x = 10 ** 10 ** 8",
        "x = 1 << 10**9",
        "x = 'a' * 10**9",
        "def f(): f()\nf()",
        "x = 2\nwhile 1: x *= x",
        "x = 2\nwhile 1: x **= 3",
    ],
)
def test_a_snippet_ends(code):
    fails(NEW + f"+0 %{{\n{code}\n}}%\n", "error in Python code")


def test_a_snippet_may_compute():
    check(NEW + "+0 %{\nimport math\nassert math.sqrt(16) == 4 and max(3, 2**4) == sum([16])\n}%\n")


# --- AF_UNSPEC ------------------------------------------------------------------------------------


def test_a_socket_is_connected_anew():
    check(
        """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, IPPROTO_TCP, TCP_NODELAY, [1], 4) = 0
+0...0.01 connect(3, ..., ...) = 0
+0 > S 0:0(0) <...>
+.01 < S. 0:0(0) ack 1 win 1000
+0 > . 1:1(0) ack 1
+0 connect(3, AF_UNSPEC, ...) = 0
+0 > R. 1:1(0) ack 1
+0 getsockopt(3, IPPROTO_TCP, TCP_NODELAY, [1], [4]) = 0
+0...0.01 connect(3, ..., ...) = 0
+0 > S 0:0(0) <...>
+.01 < S. 700:700(0) ack 1 win 1000
+0 > . 1:1(0) ack 1
"""
    )
    fails(NEW + "+0 connect(3, AF_UNSPEC, ...) = 0\n", "EAFNOSUPPORT", 2, "freebsd-14")


# --- on a machine that is there already ------------------------------------------------------------


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
def test_a_machine_of_a_network_is_left_as_it_was(profile):
    net = Network(seed=3)
    web = net.host("web", "198.51.100.1/24", profile=profile)
    client = net.host("client", "198.51.100.2/24", profile="linux-6")
    net.link(web, client)
    routes = web.routes
    text = OPEN + "+0 write(4, ..., 1000) = 1000\n+0 > P. 1:1001(1000) ack 1\n"
    for _ in range(3):
        assert net.play(text, host=web).passed
        assert not web.tcp_states()
        assert web.routes == routes
    verdict = net.play(text.replace("ack 1\n", "ack 2\n"), host=web, check=False)
    assert "tcp_ack_seq: expected: 2 (0x2) vs actual: 1 (0x1)" in verdict.message
    knob = "net.ipv4.tcp_sack" if profile == "linux-6" else "net.inet.tcp.sack.enable"
    assert net.play(f"`sysctl -q {knob}=0`\n" + OPEN + f"`sysctl -q {knob}=1`\n", host=web).passed
    assert web.sysctl[knob] == 1
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen()
    client.socket().connect(("198.51.100.1", 80))
    net.run("1s")
    assert web.tcp_states() == {"LISTEN": 1, "ESTABLISHED": 1}


def test_a_run_is_the_same_every_time():
    text = (
        OPEN
        + "+0 write(4, ..., 1000) = 1000\n+0 > P. 1:1001(1000) ack 1\n* > P. 1:1001(1000) ack 1\n"
    )
    assert check(text).trace == check(text).trace
