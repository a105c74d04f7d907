"""Where control sockets are, and who may be called what."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pystack.control import place
from pystack.control.place import NoPlace


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "pystack"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_directory_and_the_socket_are_the_users_alone(run_dir: Path):
    old = os.umask(0)
    try:
        name, sock = place.claim("web")
    finally:
        os.umask(old)
    assert name == "web"
    assert mode(run_dir) == 0o700
    assert mode(run_dir / "web.sock") == 0o600
    assert place.machines() == ["web"]
    place.release(sock)
    assert place.machines() == []
    assert list(run_dir.iterdir()) == []


def test_without_a_run_directory_it_is_beside_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    expected = tmp_path / f"pystack-{os.geteuid()}"
    for given in ("", "relative", str(tmp_path / "missing"), "/dev/null"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", given)
        assert place.directory() == expected
    assert mode(expected) == 0o700


def test_a_run_directory_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """`sudo -E` and `su` leave the variable of the user that they came from."""
    (tmp_path / "theirs").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "theirs"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    real = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)
    with pytest.raises(NoPlace, match="is not a directory that only this user may enter"):
        place.directory()  # ours is made by the real user, hence not this one's: nothing is used
    assert list((tmp_path / "theirs").iterdir()) == []


@pytest.mark.parametrize("how", ["open", "link", "file"])
def test_a_directory_that_others_may_enter_is_refused(run_dir: Path, how: str):
    """Somebody may have been there first, under a name that everybody can guess."""
    if how == "open":
        run_dir.mkdir()
        run_dir.chmod(0o750)
    elif how == "link":
        (run_dir.parent / "real").mkdir(mode=0o700)
        run_dir.symlink_to(run_dir.parent / "real")
    else:
        run_dir.write_text("")
    with pytest.raises(NoPlace, match="is not a directory that only this user may enter"):
        place.claim("web")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "a b", "x" * 64, "ä", "a\0"])
def test_names_that_cannot_be(run_dir: Path, name: str):
    with pytest.raises(ValueError, match="machine name"):
        place.claim(name)


def test_two_of_one_name_are_told_apart(run_dir: Path):
    claims = [place.claim("web") for _ in range(3)]
    assert [name for name, _ in claims] == ["web", "web-2", "web-3"]
    place.release(claims[1][1])
    name, sock = place.claim("web")
    assert name == "web-2"
    for each in (claims[0][1], claims[2][1], sock):
        place.release(each)


def test_who_is_meant(run_dir: Path):
    with pytest.raises(NoPlace, match="no machine is running: begin with `pystack serve`"):
        place.choose(None)
    _, web = place.claim("web")
    assert place.choose(None) == place.choose("web") == "web"
    with pytest.raises(NoPlace, match="no machine 'wbe': there is web; did you mean web"):
        place.choose("wbe")
    _, db = place.claim("db")
    with pytest.raises(NoPlace, match="several machines are running: db, web; say which with -M"):
        place.choose(None)
    with pytest.raises(NoPlace, match="no machine 'x': there are db, web"):
        place.choose("x")
    for sock in (web, db):
        place.release(sock)


HOLD = """
import sys
from pystack.control import place
kept = place.claim("web")
print(flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_is_removed(run_dir: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        assert place.machines() == ["web"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (run_dir / "web.sock").is_socket()
    assert place.machines() == []
    assert not (run_dir / "web.sock").exists()


def test_where_a_machine_might_be_all_the_same(run_dir: Path, monkeypatch: pytest.MonkeyPatch):
    """Serving takes root; whoever forgets that when asking is told."""
    for uid, hint in ((0, False), (1000, True)):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
        assert place.nobody().endswith("(what runs with sudo is asked with sudo)") == hint


def test_what_is_no_socket_stays(run_dir: Path):
    place.directory()
    (run_dir / "web.sock").write_text("mine")
    name, sock = place.claim("web")
    assert name == "web-2"
    place.release(sock)
    assert (run_dir / "web.sock").read_text() == "mine"


def test_a_machine_whose_queue_is_full_is_alive(run_dir: Path):
    _, sock = place.claim("web")
    waiting = []
    while True:
        caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        waiting.append(caller)
        if caller.connect_ex(str(run_dir / "web.sock")):
            break
    assert place.machines() == ["web"]
    for caller in waiting:
        caller.close()
    place.release(sock)


def test_the_end_of_a_machine_leaves_its_successor_alone(run_dir: Path):
    _, first = place.claim("web")
    (run_dir / "web.sock").unlink()  # somebody cleaned up
    _, second = place.claim("web")
    place.release(first)
    assert place.machines() == ["web"]
    place.release(second)
    _, third = place.claim("web")
    for path in run_dir.iterdir():
        path.unlink()
    run_dir.rmdir()
    place.release(third)


def test_a_directory_whose_name_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    long = tmp_path / ("x" * 100)
    long.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with pytest.raises(NoPlace, match="too long"):
        place.claim("web")
