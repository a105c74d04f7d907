"""Our views beside the real tools: net-tools and nstat read our files of /proc, and must print what we print."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import pystack

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
