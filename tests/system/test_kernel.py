"""`python -m tests.kernel` plays scripts against this computer's kernel, tells right from wrong, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
OPEN = """\
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 65535 <mss 1000,sackOK,nop,nop,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 10>
+.05 < . 1:1(0) ack 1 win 2000
+0 accept(3, ..., ...) = 4
"""


def played(*scripts: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.kernel", *map(str, scripts)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.usefixtures("system_ready")
def test_right_wrong_and_not_for_linux(tmp_path: Path):
    devices = set(os.listdir("/sys/class/net"))  # noqa: PTH208
    right = tmp_path / "right.pkt"
    right.write_text(
        OPEN
        + "+0...0.1 read(4, ..., 1000) = 100\n"
        + "+.1 < P. 1:101(100) ack 1 win 2000\n"
        + "+0 > . 1:1(0) ack 101\n"
        + "+0 close(4) = 0\n"
        + "+0 > F. 1:1(0) ack 101\n"
        + "+0 `sysctl -q net.ipv4.tcp_fin_timeout=5`\n"
    )
    wrong = tmp_path / "wrong.pkt"
    wrong.write_text(OPEN + "+0 write(4, ..., 100) = 100\n+0 > P. 1:102(101) ack 1\n")
    other = tmp_path / "other.pkt"
    other.write_text("// profiles: freebsd-14\n" + OPEN)
    done = played(right, wrong, other)
    assert done.stdout.splitlines()[-1] == "1 passed, 1 failed, 1 skipped", done
    assert f"{wrong}:9: error handling packet" in done.stdout
    assert "expected 101 bytes vs actual 100 bytes" in done.stdout
    assert f"{other}: the script is for freebsd-14" in done.stdout
    assert done.returncode == 1
    assert set(os.listdir("/sys/class/net")) == devices  # noqa: PTH208


@pytest.mark.usefixtures("system_ready")
def test_a_script_that_never_ends_is_ended(tmp_path: Path):
    stuck = tmp_path / "stuck.pkt"
    stuck.write_text(OPEN + "+0 read(4, ..., 1000) = 100\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernel", "--tries", "1", str(stuck)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "it took too long and was ended" in done.stdout, done
    assert done.returncode == 1
