"""`pystack run NAME --tun`: the watched machine of a scenario on a device, for the kernel's own clients."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="a TUN device needs root"),
    pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl"),
]


def test_the_machine_of_an_incident_serves_curl(tmp_path: Path):
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    words = [
        "unshare",
        "-n",
        sys.executable,
        "-m",
        "pystack",
        "run",
        "fin-wait-2-ipfw",
        "--tun",
        "tun0",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        assert "web (FreeBSD 10) is at 192.0.2.1 on tun0: http 80, echo 22" in run.stdout.readline()
        inside = ["nsenter", "-t", str(run.pid), "-n", "curl", "-sS", "-m", "10"]
        got = subprocess.run(
            [*inside, "http://192.0.2.1/bytes/4000"], capture_output=True, timeout=20
        )
        assert (got.returncode, len(got.stdout)) == (0, 4000)
        run.send_signal(signal.SIGINT)
        assert run.wait(10) == 0
