"""Our views beside the real tools: net-tools and nstat read our files of /proc, and must print what we print."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

import pystack
from pystack.sysctl import Knob
from pystack.views.tools import run

pytestmark = pytest.mark.system


@pytest.fixture
def web(system_ready: None) -> pystack.Host:
    """A Linux machine with routes, connections, and a counter of every kind."""
    net = pystack.Network(seed=1)
    web = net.host("web", ["192.0.2.1/24", "10.9.0.1/16"], profile="linux-4")
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    net.link(web, me)
    web.route("0.0.0.0/0", via="192.0.2.254")
    web.route("172.16.0.0/12", via="10.9.0.254")
    web.route("198.51.100.7/32", via="10.9.0.254")
    server = web.socket()
    server.bind(("", 80))
    server.listen(1)
    for _ in range(5):
        client = me.socket()
        client.setblocking(False)
        client.connect_ex(("192.0.2.1", 80))
    net.run(for_="10s")
    stat = web.core.stat
    stat.paws_passive = 7
    for number, name in enumerate(stat.as_dict(), 1):
        if number % 3 and name != "paws_passive":
            setattr(stat, name, getattr(stat, name) + number)
    return web


def real(tool: str, web: pystack.Host, folder: Path, *options: str) -> str:
    """What the real tool prints where /proc has this machine's files."""
    if shutil.which(tool) is None:
        pytest.fail(f"`{tool}` is missing: .ci/run installs it")
    (folder / "net").mkdir(exist_ok=True)
    for name in ("snmp", "netstat", "route", "dev", "sockstat"):
        (folder / "net" / name).write_text(web.proc(f"/proc/net/{name}"))
    script = 'mount --bind "$1" /proc && shift && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", str(folder), tool, *options],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C", "NSTAT_HISTORY": str(folder / "history")},
    )
    assert done.stdout, done.stderr
    return done.stdout


def test_netstat_s(web: pystack.Host, tmp_path: Path) -> None:
    printed = real("netstat", web, tmp_path, "-st")
    assert printed == web.netstat("-st")
    assert "passive connections rejected because of time stamp" in printed


@pytest.mark.parametrize("options", ["-rn", "-r"])
def test_netstat_r(web: pystack.Host, tmp_path: Path, options: str) -> None:
    ours = web.netstat(options)
    if options == "-r":  # names of networks are the resolver's
        assert real("netstat", web, tmp_path, options).splitlines()[:3] == ours.splitlines()[:3]
    else:
        assert real("netstat", web, tmp_path, options) == ours


@pytest.mark.parametrize("options", ["-a", "-az"])
def test_nstat(web: pystack.Host, tmp_path: Path, options: str) -> None:
    assert real("nstat", web, tmp_path, options) == web.nstat(options)


def test_ss_s_reads_sockstat(web: pystack.Host, tmp_path: Path) -> None:
    """Its totals are the kernel's own; what it reads from /proc is ours."""
    printed = real("ss", web, tmp_path, "-s").splitlines()
    ours = web.ss("-s").splitlines()
    assert printed[-7:] == ours[-7:]


ELSEWHERE = (
    "net.core.rmem_",
    "net.core.wmem_",
    "net.ipv4.tcp_ehash_entries",
    "net.ipv4.tcp_congestion_control",
    "net.netfilter.nf_conntrack_buckets",
    "net.netfilter.nf_conntrack_expect_max",
    "net.netfilter.nf_conntrack_frag6_high_thresh",
    "net.netfilter.nf_conntrack_frag6_low_thresh",
    "net.netfilter.nf_conntrack_max",
)
"""Knobs that a namespace of a real kernel only shows, or that depend on what is built into it."""

WRITE = r"""
while IFS= read -r word; do
  out=$(sysctl "$word" 2>err); status=$?
  printf '%s\1%s\1%s\1%s\1%s\2' "$word" "$status" "$out" "$(head -1 err)" "$(sysctl -n "${word%%=*}" 2>/dev/null)"
done
"""


def boundaries(knob: Knob) -> list[object]:
    """What is written to a knob: around the ends of its range, and what is no number."""
    if knob.type == "string":
        return ["x", "", "80,90-100", "9-8", "1,1,2,70000", "3,1,2"]
    low, high = knob.range
    numbers = (-1, 0, 1, 2, 5, low - 1, low, low + 1, high - 1, high, high + 1)
    inside = [number for number in numbers if -(2**31) <= number < 2**31]
    return [*dict.fromkeys(inside), "0x10", "010", "1 2", "7x", ""]


@pytest.mark.skipif(
    not platform.release().startswith("6.18"), reason="linux-6 is a 6.18, this kernel is another"
)
def test_every_knob_takes_and_refuses_what_the_kernel_does(
    system_ready: None, tmp_path: Path
) -> None:
    """procps on this kernel, in a namespace of its own, beside `pystack sysctl` on linux-6: what is printed, the exit
    status, the beginning of the complaint, and what the knob is afterwards."""
    web = pystack.Host("web", profile="linux-6")
    words = [
        f"{name}={value}"
        for name, knob in web.profile.knobs.items()
        if Path("/proc/sys", *name.split(".")).exists() and not name.startswith(ELSEWHERE)
        for value in boundaries(knob)
        if name.startswith("net.")
    ]
    done = subprocess.run(
        ["unshare", "-n", "bash", "-c", WRITE],
        input="\n".join(words) + "\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    records = [record.split("\1") for record in done.stdout.split("\2") if record]
    assert [record[0] for record in records] == words
    compared = 0
    different = []
    for word, status, out, complaint, value in records:
        if "cannot stat" in complaint:
            continue  # of the first namespace only
        said = run(web, "sysctl", [word])
        name = word.partition("=")[0]
        told = [line for line in said.err.splitlines() if not line.startswith("pystack: ")]
        same = (
            str(said.status) == status
            and said.out.rstrip("\n") == out.rstrip("\n")
            and (told[0].startswith(complaint) if told else not complaint)
            and (said.status or not said.out or web.sysctl.text(name) == value)
        )
        compared += 1
        if not same:
            different.append((word, status, out, complaint, value, said, web.sysctl.text(name)))
    assert compared > 800
    assert different == []
