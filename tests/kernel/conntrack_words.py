"""The words of our `conntrack` beside those of the real one: the same command lines, in turn, on both.

python -m tests.kernel.conntrack_words [--record FILE]

Both tables are filled by the tool itself (-I), then asked, changed and emptied by the lines of `LINES`; standard
output (its lines sorted: the order is that of a hash with a secret), standard error and exit status must be alike.
Numbers that differ by nature are made the same: ids, times. Exit status 1 if anything differed. Needs Linux, root
and conntrack-tools 1.4.7; makes its own namespace.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pystack
from pystack.views.tools import run

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import netlab

KNOBS = ("acct", "timestamp")
FLOW = "-s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2"
FILL = """\
-I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 -t 500 --state ESTABLISHED -u ASSURED,SEEN_REPLY -m 7
-I -s 1.1.1.1 -d 2.2.2.3 -p tcp --sport 1 --dport 2 -t 500 --state SYN_SENT -m 0x17
-I -s 1.1.1.1 -d 2.2.2.4 -p udp --sport 1 --dport 2 -t 500
-I -s 1.1.1.1 -d 2.2.2.6 -p udp --sport 1 --dport 2 -t 500 -r 2.2.2.6 -q 9.9.9.9 --reply-port-src 2 --reply-port-dst 77
-I -s 1.1.1.1 -d 2.2.2.11 -p udp --sport 1 --dport 2 -t 500 -n 5.5.5.5
-I -s 1.1.1.1 -d 2.2.2.12 -p udp --sport 1 --dport 2 -t 500 -g 5.5.5.5:80
-I -s 1.1.1.1 -d 2.2.2.6 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 12 -t 300
-I -s 1.1.1.1 -d 2.2.2.6 -p gre --srckey 1 --dstkey 2 -t 300
-I -s 1.1.1.1 -d 2.2.2.7 -p 99 -t 300
-I -s 1.1.1.1 -d 2.2.2.7 -p udplite --sport 1 --dport 2 -t 300
-I -s 1.1.1.1 -d 2.2.2.8 -p udp --sport 1 --dport 2 -t 500 -w 4
-I -s 1.1.1.1 -d 2.2.2.9 -p udp --sport 1 --dport 2 -t 500 --orig-zone 4
-I -s 1.1.1.1 -d 2.2.2.10 -p udp --sport 1 --dport 2 -t 500 --reply-zone 4
-I -s 1.1.1.1 -d 2.2.2.14 -p udp --sport 1 --dport 2 -t 500 -u FIXED_TIMEOUT
-I -s 1.1.1.1 -d 2.2.2.15 -p udp --sport 1 --dport 2 -t 500 -u SEEN_REPLY,ASSURED,OFFLOAD
-I -r 1.1.1.1 -q 2.2.2.23 -t 50 -p udp --reply-port-src 9 --reply-port-dst 10
-I -s 1.1.1.1 -d 2.2.2.24 -t 50 -p tcp --sport 9 --dport 9 --state NONE
-I -s 1.1.1.1 -d 2.2.2.25 -t 50 -p tcp --sport 9 --dport 9 --state TIME_WAIT -u UNREPLIED
-I -s 1.1.1.1 -d 2.2.2.26 -t 50 -p tcp --sport 9 --dport 9 --state LISTEN"""
VALUES = """\
-s 1.1.1.1|-d 2.2.2.2|-r 2.2.2.2|-q 1.1.1.1|-p tcp|-t 5|-u ASSURED|-z|-e NEW|-m 5|-n|-g|-j|-o extended|-o id|-o xml
-o timestamp|-o ktimestamp|-o save|-f ipv4|-f ipv6|-w 4|--orig-zone 4|--reply-zone 4|-l foo|--label-add foo
--label-del foo|-b 65536|-c foo|--mask-src 255.0.0.0|--mask-dst 255.0.0.0|-a 1.1.1.1|-i 5|--tuple-src 1.1.1.1
--tuple-dst 1.1.1.1|-p tcp --sport 1|-p tcp --dport 5|-p tcp --state ESTABLISHED|-p tcp --reply-port-src 2
-p tcp --reply-port-dst 1|-p udp --sport 1|-p icmp --icmp-type 8|-p icmp --icmp-code 0|-p icmp --icmp-id 12
-p gre --srckey 1|-p 99|-u SEEN_REPLY|-o labels|-o userspace|-o x"""
LISTS = """\
-L|-L conntrack|-L expect|-L dying|-L unconfirmed|-L extra|-L conntrack extra|-L -n 5.5.5.5|-L -n 9.9.9.9
-L -n 5.5.5.0/24|-L -g 5.5.5.5:80|-L -g 5.5.5.5:81|-L -j 5.5.5.5|-L -j 5.5.5.6|-L --any-nat|-L --src-nat 5.5.5.5
-L -n foo|-L -n 1.1.1.1:x|-L -n :5|-L -n 1.1.1.1:0|-L -n 1.1.1.1:70000|-L -n 1.1.1.1-1.1.1.3|-L -n ::1|-L -g foo
-L -j foo|-L -m 7/7|-L -m 0x17|-L -m 7/0xf|-L -m 0/0|-L -m 5/7|-L -m 23,7|-L -m 0x|-L -m 5/|-L -m /5|-L -m 027
-L -m x|-L -m 4294967296|-L -u SEEN_REPLY|-L -u UNREPLIED|-L -u ASSURED,UNREPLIED|-L -u CONFIRMED|-L -u SRC_NAT
-L -u DST_NAT|-L -u EXPECTED|-L -u UNSET|-L -u FIXED_TIMEOUT|-L -u assured|-L -u ASSURED,|-L -u FOO
-L -u ASSURED -u SEEN_REPLY|-L -s 1.1.1.0/24 -d 2.2.2.2|-L -s 1.1.1.1/255.255.255.0|-L -s 1.1.1.1/33|-L -s ::1
-L -s foo|-L -s 1.1.1.0 --mask-src 255.255.255.0|-L --mask-src 255.0.0.0 -s 1.1.1.1/8|-L --mask-src foo -s 1.1.1.1
-L -s 1.1.1.1/x|-L -s 1.1.1.1/|-L -s 1.1.1.1/0|-L -s ::1 -d 1.1.1.1|-L -f ipv6 -s 1.1.1.1|-L -s 1.2.3|-L -s 1
-L -s 0x1010101|-L -s 1.1.1.300|-L -d 1.1.1.1/24|-L -r 2.2.2.0/24|-L -q 9.9.9.9|-L -f ipx|-L -f IPv4|-L -f inet
-L -f ipv4 -f ipv6|-L -w 4|-L -w 0|-L -w x|-L -w 70000|-L -w -1|-L -w 0x4|-L -w 4 --orig-zone 3|-L --orig-zone 0
-L -p tcp --sport x|-L -p tcp --sport 70000|-L -p tcp --sport 65537|-L -p TCP|-L -p all|-L -p 6 --state NONE
-L -p tcp --state established|-L -p tcp --state FOO|-L -p tcp --state|-L --state ESTABLISHED|-L --sport 5
-L --sport 5 -p tcp|-L -p udp --state ESTABLISHED|-L -p icmp --sport 5|-L --icmp-type 8|-L -p icmp --icmp-type 8
-L -p icmp --icmp-type echo-request|-L -p icmp --icmp-id 13|-L -p icmp --icmp-type 300|-L -p gre --dstkey 0x2
-L -p gre --reply-key-src 2|-L -p ipv6-icmp|-L -p icmpv6|-L -p -1|-L -p 0|-L -p 255|-L -p 256|-L -p 300|-L -p dccp
-L -p esp|-L -p ah|-L -p igmp|-L -p ospf|-L -p foo|-L -p|-L -p tcp -p udp|-L -s 1.1.1.1 -s 1.1.1.2|-L -p udp --sport 1:2
-L -p udp --sport 1,2|-L -o extended -o id -p icmp|-L -o ext|-L -o EXTENDED|-L -o id,|-L -o id,extended,foo|-L -o foo
-L -o extended,id,timestamp,ktimestamp|-L -o save,id|-L -o xml,save|-L -o save|-L -o id,id|-L -o xml,extended,id
-L -o xml,ktimestamp|-L -p 77 -o xml|-L -o|-L -u|-L -m|-L -w|-L -l|-L -e|-L -t|-L -e NEW|-L -z -p icmp|-L -z -o xml
-L -L|-L -D|-L -V|-V -L|-h -L|-L -h|-S -S|-C -z|-C expect|-C conntrack|-C dying|-C extra|-F dying|-F expect|-S foo
-D dying|-D extra|-E dying|-U expect|-X|-x|--foo|-L --foo|-V|--version|-V extra|--list|--get|--dump|--del -p 77
--output|--count|--counter|--stat|-L --out extended|-L --proto tcp|-L --orig-src 1.1.1.1|-L --src=1.1.1.1|-L --src
-s 1.1.1.1|-Ls 1.1.1.1|-L -s1.1.1.1|-L -sX|-L --|-L -p tcp -- --sport 5|-L -p tcp --s 5|--event-mask NEW
-L -p tcp --orig-port-src 1|-L -p tcp --orig 1|-L -p tcp --reply-port-d 1|-L -p icmp --icmp-t 8|--orig-port-src 5
-G|-G -p tcp|-G -s 1.1.1.1 -d 2.2.2.30 -p icmp|-G -s 1.1.1.1 -d 2.2.2.6 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 12
-G -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2|-G -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 -o id
-G -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 -o xml|-G -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 -o save
-G -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1|-G -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 --state SYN_SENT
-G -s 2.2.2.2 -d 1.1.1.1 -p tcp --sport 2 --dport 1|-G -s 1.1.1.1 -d 2.2.2.7 -p 99|-G -s 1.1.1.0/24 -d 2.2.2.2 -p 99
-G -r 2.2.2.2 -q 1.1.1.1 -p tcp --reply-port-src 2 --reply-port-dst 1|-F -m 5 -s 1.1.1.1 -u ASSURED|-F -w 3 -m 5
-F -j -w 3|-E -e FOO|-E -z|-I|-I -s 1.2.3.4|-I -p udp|-I -s 1.1.1.1 -p udp -t 5|-I -d 1.1.1.1 -p udp -t 5
-I -s 1.1.1.1 -d 2.2.2.20 -p udp -t 5|-I -s 1.1.1.1 -d 2.2.2.20 -p udp -t 5 --sport 3
-I -s 1.1.1.1 -d 2.2.2.20 -p icmp -t 5|-I -s 1.1.1.1 -d 2.2.2.20 -p icmp -t 5 --icmp-type 8
-I -s 1.1.1.1 -d 2.2.2.20 -p gre -t 5|-I -s 1.1.1.1 -d 2.2.2.2 -p tcp -t 5 --state ESTABLISHED
-I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 -t 50
-I -s 1.1.1.1 -d 2.2.2.5 -p udp --sport 1 --dport 2 -t 500 -r 1.1.1.9 -q 1.1.1.1
-I -s 1.1.1.1 -d 2.2.2.13 -p udp --sport 1 --dport 2 -t 500 -n 5.5.5.5:100-200
-I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 -t 50 --state ESTABLISHED
-I -s 1.1.1.1 -d 2.2.2.21 -t 5 -p udp --sport 9 --dport 9 -o id
-I -s 1.1.1.0/24 -d 2.2.2.21 -t 5 -p udp --sport 9 --dport 9
-I -s 1.1.1.1 -d 2.2.2.33 -p udp --sport 1 --dport 2 -t 500 -u EXPECTED
-I -w 4 --orig-zone 3 -s 1.1.1.1 -d 2.2.2.99 -p udp --sport 1 --dport 2 -t 500
-A|-A -s 1.1.1.1 -d 2.2.2.4 -p udp --sport 1 --dport 2 -t 50|-A -s 1.1.1.1 -d 2.2.2.30 -p udp --sport 1 --dport 2 -t 500
-I -s 1.1.1.1 -d 2.2.2.20 -t x -p udp --sport 9 --dport 9|-I -s 1.1.1.1 -d 2.2.2.20 -t -5 -p udp --sport 19 --dport 9
-I -s 1.1.1.1 -d 2.2.2.31 -p udp --sport 1 --dport 2 -t 500 -m 5/7|-L -m 5|-U|-U -s 4.4.4.4 -m 3
-U -p udp -u SEEN_REPLY -d 2.2.2.4|-L|-D -p icmp|-D -p gre -o id|-D -p 99 -o extended|-D -p udp -w 4 -o xml
-D -d 2.2.2.12 -o save|-D -j|-D -z|-D -s 1.2.3.4|-D -f ipv6|-D -p tcp -m 7/7|-C|-L -o xml|-F -f ipv4|-C|-D|-L -o xml"""
REQUIRED = {
    "G": f"-G {FLOW}",
    "I": "-I -s 1.1.1.1 -d 3.3.3.{} -p udp --sport 1 --dport 2 -t 500",
}


def lines() -> list[str]:
    """Command lines in their order."""
    values = [one for row in VALUES.splitlines() for one in row.split("|")]
    out = FILL.splitlines()
    for command in ("-L", "-L expect", "-L dying", "-F", "-C", "-S", "-G", "-I", "-A"):
        some = values if command != "-F" else [v for v in values if not v.startswith("-f")]
        out += [f"{command} {value}" for value in some]
    # what one flow says after all, and what makes no flow once more
    out += [f"{REQUIRED['G']} {value}" for value in values if not value.startswith("-p")]
    out += [
        f"{REQUIRED['I'].format(n)} {value}"
        for n, value in enumerate(values)
        if not value.startswith("-p") and value not in ("-t 5", "-u ASSURED", "-n", "-g")
    ]
    out += [f"-D -p 77 {value}" for value in values if not value.startswith("-p")]
    out += [f"-U -p 77 {value}" for value in values if not value.startswith("-p")]
    return out + [one for row in LISTS.splitlines() for one in row.split("|")]


def plain(text: str) -> list[str]:
    """What is compared of a text."""
    text = re.sub(r"\bid=\d+", "id=N", text)
    text = re.sub(r"<id>\d+", "<id>N", text)
    text = re.sub(r"\[start=[^]]*\]", "[start=T]", text)
    text = re.sub(r"<start>\d+", "<start>T", text)
    text = re.sub(r"delta-time=\d+", "delta-time=T", text)
    text = re.sub(r"<deltatime>\d+", "<deltatime>T", text)
    text = re.sub(r"(?m)^((?:ipv4 +2 )?\w+ +\d+ )(\d+)", lambda m: f"{m[1]}{near(m[2])}", text)
    text = re.sub(r"<timeout>(\d+)", lambda m: f"<timeout>{near(m[1])}", text)
    text = re.sub(r"(?m)^(-[AUD] -t )(\d+)", lambda m: f"{m[1]}{near(m[2])}", text)
    return sorted(text.splitlines())


def near(seconds: str) -> int:
    """The time that a flow was made with, some of which is over."""
    return -(-int(seconds) // 50) * 50


Said = tuple[list[str], list[str], int]
"""Standard output and standard error, made plain, and the exit status."""


def ours() -> Any:
    """Our machine, with an empty table."""
    host = pystack.Network(seed=7).host("gw", ["10.9.1.1/24"], profile="linux-6")
    host.conntrack.track()
    for knob in KNOBS:
        host.sysctl[f"net.netfilter.nf_conntrack_{knob}"] = 1
    return host


def said_by_ours(host: Any, line: str) -> Said:
    """What our command says."""
    done = run(host, "conntrack", line.split())
    return plain(done.out), plain(done.err), done.status


def said_by_the_tool() -> Iterator[tuple[str, Said]]:
    """Each command line, and what the real one says in a namespace of its own."""
    with netlab.Lab() as lab:
        space = lab.namespace()
        for knob in KNOBS:
            space.sysctl(f"net.netfilter.nf_conntrack_{knob}", 1)
        for line in lines():
            child = space.popen(["conntrack", *line.split()])
            out, err = child.communicate(timeout=10)
            if "Usage: conntrack" not in out and not line.startswith("-S"):
                yield line, (plain(out), plain(err), child.returncode)


def difference(line: str, real: Said, mine: Said) -> str:
    """What came out differently; empty if nothing did."""
    text = [f"conntrack {line}"]
    for name, a, b in zip(("stdout", "stderr", "status"), real, mine, strict=True):
        if a != b:
            text.append(f"  {name}:\n    real    {a}\n    pystack {b}")
    return "\n".join(text) if len(text) > 1 else ""


def main() -> int:
    """Exit status 1 if anything differed. With --record FILE the tool's words are kept, for
    tests/firewall/test_conntrack_words.py.
    """
    if reason := netlab.why_not():
        print(f"cannot compare: {reason}")
        return 2
    host, alike, differ = ours(), 0, 0
    texts: dict[str, int] = {}
    rows = []
    for line, real in said_by_the_tool():
        out, err = (texts.setdefault("\n".join(text), len(texts)) for text in real[:2])
        rows.append([line, out, err, real[2]])
        found = difference(line, real, said_by_ours(host, line))
        differ += bool(found)
        alike += not found
        if found:
            print(found, flush=True)
    print(f"{alike} command lines alike, {differ} differ")
    if "--record" in sys.argv:
        path = Path(sys.argv[sys.argv.index("--record") + 1])
        head = json.dumps({"texts": [*texts]}, indent=0)
        path.write_text(
            "".join(f"{row}\n" for row in [head.replace("\n", ""), *map(json.dumps, rows)])
        )
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
