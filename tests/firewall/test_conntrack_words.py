"""The options of conntrack(8) on a gateway with flows of each kind: who is shown, in which words, what is refused."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway import ACK, CLIENT, SERVER, SYN, Gateway, client, icmp, tcp, udp

from pystack.firewall.conntrack_tool import ToolError
from pystack.views.tools import run

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.kernel import conntrack_words


@pytest.fixture(scope="module")
def g() -> Gateway:
    gateway = Gateway(acct=1, timestamp=1)
    gateway.gw.iptables("-t nat -A POSTROUTING -s 10.10.0.9 -j SNAT --to-source 10.9.2.50")
    gateway.gw.iptables("-t nat -A PREROUTING -d 10.9.9.9 -j DNAT --to-destination 10.9.2.2")
    gateway.gw.iptables("-A FORWARD -p udp -j CONNMARK --set-mark 7")
    gateway.establish(1)
    gateway.syn(3)
    gateway.send(udp(client(4), 5353, SERVER, 53))
    gateway.send(udp(SERVER, 53, client(4), 5353), back=True)
    gateway.send(icmp(client(5), SERVER, 8, 0, 77 << 16 | 1))
    gateway.syn(9)
    gateway.send(tcp(client(8), 1, "10.9.9.9", 80, SYN))
    gateway.at(3)
    return gateway


def hosts(text: str) -> str:
    """The last numbers of the clients that are shown."""
    return " ".join(sorted(re.findall(r"^\S+ .*? src=10\.10\.0\.(\d+) ", text, re.MULTILINE)))


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("-L", "1 3 4 5 8 9"),
        ("-L conntrack", "1 3 4 5 8 9"),
        ("-L dying", ""),
        ("-L unconfirmed", ""),
        ("-L -p tcp", "1 3 8 9"),
        ("-L -p 17", "4"),
        ("-L -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77", "5"),
        ("-L -p icmp --icmp-id 78", ""),
        ("-L -p tcp --state SYN_SENT", "3 8 9"),
        ("-L -p tcp --state ESTABLISHED", "1"),
        ("-L -p udp --sport 5353", "4"),
        ("-L -p tcp --dport 80 -s 10.10.0.3", "3"),
        ("-L -p udp --reply-port-src 53 --reply-port-dst 5353", "4"),
        ("-L -s 10.10.0.0/30", "1 3"),
        ("-L -d 10.9.9.9", "8"),
        ("-L -r 10.9.2.2 -q 10.9.2.50", "9"),
        ("-L -n", "9"),
        ("-L --src-nat 10.9.2.50", "9"),
        ("-L --src-nat 10.9.2.51", ""),
        ("-L -g", "8"),
        ("-L --dst-nat 10.9.2.2", "8"),
        ("-L --dst-nat 10.9.2.50", ""),
        ("-L -j", "8 9"),
        ("-L -j 10.9.2.50", "9"),
        ("-L -u ASSURED", "1"),
        ("-L -u SEEN_REPLY", "1 4"),
        ("-L -u UNREPLIED", "3 5 8 9"),
        ("-L -m 7", "4"),
        ("-L -m 0x3/0x3", "4"),
        ("-L -m 0", "1 3 5 8 9"),
        ("-L -w 0", "1 3 4 5 8 9"),
        ("-L -w 3", ""),
        ("-L -o extended -p udp", "4"),
        ("-L -f ipv4 -p udp", "4"),
        ("-G -p tcp -s 10.10.0.3 -d 10.9.2.2 --sport 1024 --dport 80", "3"),
    ],
)
def test_who_is_shown(g: Gateway, words: str, shown: str):
    assert hosts(g.gw.conntrack(words)) == shown
    done = run(g.gw, "conntrack", words.split())
    if words.startswith("-L"):
        number = len(shown.split())
        assert (
            done.err
            == f"conntrack v1.4.7 (conntrack-tools): {number} flow entries have been shown.\n"
        )


def test_how_a_flow_is_shown(g: Gateway):
    plain = (
        "udp      17 27 src=10.10.0.4 dst=10.9.2.2 sport=5353 dport=53 packets=1 bytes=29 src=10.9.2.2 dst=10.10.0.4 "
        "sport=53 dport=5353 packets=1 bytes=29 mark=7 delta-time=2 use=1\n"
    )
    shown = g.gw.conntrack
    assert shown("-L -p udp") == plain
    assert shown("-L -p udp -o extended") == f"ipv4     2 {plain}"
    with_id = shown("-L -p udp -o id")
    assert re.fullmatch(re.escape(plain[:-1]) + r" id=\d+\n", with_id)
    assert shown("-L -p udp -o timestamp") == plain
    assert shown("-L -p udp -o extended,id,timestamp") == f"ipv4     2 {with_id}"
    began = r" delta-time=2 \[start=\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\] use=1\n"
    assert re.fullmatch(
        re.escape(plain).removesuffix(re.escape(" delta-time=2 use=1\n")) + began,
        shown("-L -p udp -o ktimestamp"),
    )
    assert shown("-L -p udp -o save") == (
        "-A -t 27 -u SEEN_REPLY -s 10.10.0.4 -d 10.9.2.2 -r 10.9.2.2 -q 10.10.0.4 -p udp --sport 5353 --dport 53 "
        "--reply-port-src 53 --reply-port-dst 5353\n"
    )
    (flow,) = json.loads(shown("-L -p udp -o json"))
    assert (flow["protocol"], flow["original"]["sport"], flow["mark"]) == ("udp", 5353, 7)
    xml = shown("-L -p udp -o xml").splitlines()
    assert xml[0] == '<?xml version="1.0" encoding="utf-8"?>'
    assert xml[1] == "<conntrack>"
    assert xml[2].startswith(
        '<flow><meta direction="original"><layer3 protonum="2" protoname="ipv4">'
    )
    assert xml[-1].endswith("</conntrack>")


def test_counts(g: Gateway):
    assert g.gw.conntrack("-C") == "6\n"
    assert g.gw.conntrack("-S") == (
        "cpu=0   \tfound=0 invalid=0 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 search_restart=0 "
        "clash_resolve=0 chaintoolong=0 \n"
    )
    assert json.loads(g.gw.conntrack("-S -o json"))[0]["found"] == 0
    assert g.gw.conntrack("-V") == "conntrack v1.4.7 (conntrack-tools)\n"
    assert "--top" in g.gw.conntrack("-h")


def test_reading_and_zeroing():
    g = Gateway(acct=1)
    g.establish(1)
    first = g.gw.conntrack("-L -z")
    assert "packets=2 bytes=80 " in first
    assert g.gw.conntrack("-L") == first.replace("packets=2 bytes=80", "packets=0 bytes=0").replace(
        "packets=1 bytes=40", "packets=0 bytes=0"
    )
    g.send(tcp(client(1), 1024, SERVER, 80, ACK, 1001, 5001))
    assert "packets=1 bytes=40 " in g.gw.conntrack("-L")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-L other", "unknown type `other'"),
        ("-L --top foo", "Bad parameter `foo'"),
        ("-L -p tcp --state FOO", "unknown TCP state `FOO'"),
        ("-L -p foo", "`foo' unsupported protocol"),
        ("-L -s 1.2.3.x", "Invalid IP address `1.2.3.x'"),
        ("-L -u FOO", "Bad parameter `FOO'"),
        ("-L -o foo", "Bad parameter `foo'"),
        ("-C -z", "Illegal option `--zero' with this command"),
        ("-L --foo", "unknown option `--foo'"),
        ("-E -e FOO", "Bad parameter `FOO'"),
        ("-I -s 1.2.3.4", "You need to supply the `--protonum' option for this command"),
    ],
)
def test_what_is_refused(g: Gateway, words: str, said: str):
    with pytest.raises(ToolError, match=re.escape(said)) as refused:
        g.gw.conntrack(words)
    assert refused.value.status == 2


def test_deleting_and_changing():
    g = Gateway()
    for n in range(4):
        g.syn(n)
    done = run(g.gw, "conntrack", ["-D", "-s", "10.10.0.2"])
    assert (done.status, hosts(done.out)) == (0, "2")
    assert done.err.endswith(": 1 flow entries have been deleted.\n")
    none = run(g.gw, "conntrack", ["-D", "-s", "10.10.0.2"])
    assert none.status == 1
    assert none.err.endswith(": 0 flow entries have been deleted.\n")
    assert hosts(g.gw.conntrack("-U -s 10.10.0.1 -m 9 -t 7")) == "1"
    assert " 7 SYN_SENT " in g.gw.conntrack("-L -m 9")
    assert (
        hosts(g.gw.conntrack(f"-I -s {CLIENT} -d {SERVER} -p udp --sport 1 --dport 2 -t 60")) == ""
    )
    assert g.gw.conntrack("-C") == "4\n"
    assert g.counters["insert"] == 1
    assert run(g.gw, "conntrack", ["-F"]).err.endswith(
        "connection tracking table has been emptied.\n"
    )
    assert g.gw.conntrack("-L") == ""


def recorded() -> Iterator[tuple[str, conntrack_words.Said]]:
    """Command lines, and what conntrack-tools 1.4.7 said to them on a 6.18, one after the other."""
    first, *rows = Path(__file__).with_name("conntrack-1.4.7.jsonl").read_text().splitlines()
    texts = [text.split("\n") if text else [] for text in json.loads(first)["texts"]]
    for line, out, err, status in map(json.loads, rows):
        yield line, (texts[out], texts[err], status)


def test_the_tool_itself_says_the_same():
    """`python -m tests.kernel.conntrack_words --record FILE` has asked it."""
    host = conntrack_words.ours()
    found = [
        conntrack_words.difference(line, said, conntrack_words.said_by_ours(host, line))
        for line, said in recorded()
    ]
    assert len(found) > 800
    assert [text for text in found if text] == []


def test_events_have_the_tool_s_words():
    g = Gateway(acct=1, timestamp=1)
    g.gw.conntrack("-E")
    g.gw.iptables("-A FORWARD -p udp -j CONNMARK --set-mark 7")
    g.send(udp(client(4), 5353, SERVER, 53))
    g.at(2)
    g.gw.conntrack("-D -p udp")
    ends = "src=10.10.0.4 dst=10.9.2.2 sport=5353 dport=53"
    back = "src=10.9.2.2 dst=10.10.0.4 sport=53 dport=5353"
    assert g.gw.conntrack("-E").splitlines() == [
        f"    [NEW] udp      17 30 {ends} [UNREPLIED] {back} mark=7",
        f"[DESTROY] udp      17 28 {ends} packets=1 bytes=29 [UNREPLIED] {back} packets=0 bytes=0 mark=7 delta-time=2",
    ]
    xml = g.gw.conntrack("-E -o xml").splitlines()
    assert '<flow type="new">' in xml[0]
    assert "<use>" not in xml[0] + xml[1]
    assert "<deltatime>2</deltatime></meta></flow>" in xml[1]
    assert "<counters>" not in xml[0]
    assert g.gw.conntrack("-E -o save -e des").startswith("-D -t 28 -u UNSET -s 10.10.0.4 ")


@pytest.mark.parametrize(
    ("profile", "path", "head"),
    [
        ("linux-2.6", "/proc/net/stat/ip_conntrack", "entries  searched found new invalid ignore delete"),
        ("linux-4", "/proc/net/stat/nf_conntrack", "entries  searched found new invalid ignore delete"),
        ("linux-6", "/proc/net/stat/nf_conntrack", "entries  clashres found new invalid ignore delete"),
    ],
)  # fmt: skip
def test_counters_of_each_era(profile: str, path: str, head: str):
    """To 4.8 kernels count what they look at, and every flow as an insertion (facts: conntrack 6.2, 6.3)."""
    g = Gateway(profile)
    g.establish(1)
    g.syn(2)
    first, line = g.gw.proc(path).splitlines()
    assert first.startswith(head)
    values = dict(zip(first.split(), (int(word, 16) for word in line.split()), strict=True))
    assert values["entries"] == 2
    old = profile != "linux-6"
    wanted = {"new": 2, "insert": 2, "found": 2} if old else {"new": 0, "insert": 0, "found": 0}
    assert {name: values[name] for name in wanted} == wanted
    g.gw.conntrack("-F")
    first, line = g.gw.proc(path).splitlines()
    values = dict(zip(first.split(), (int(word, 16) for word in line.split()), strict=True))
    if old:
        assert (values["entries"], values["delete"], values["delete_list"]) == (0, 2, 2)
        assert g.gw.conntrack("-S").startswith(
            "cpu=0   \tsearched=0 found=2 new=2 invalid=0 ignore="
        )
    other = path.replace("ip_", "XX_").replace("nf_", "ip_").replace("XX_", "nf_")
    with pytest.raises(FileNotFoundError):
        g.gw.proc(other)
