"""A directory as a web site: what is in it and nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_kit import Site, answers, get, read_all, site

from pystack.services import HttpService
from pystack.services.http_files import CHUNK, SMALL, FileBody

MODIFIED = 1_700_000_000
STAMP = "Tue, 14 Nov 2023 22:13:20 GMT"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "site"
    (made / "sub").mkdir(parents=True)
    (made / "empty").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (made / "index.html").write_text("<p>front")
    (made / "sub" / "index.html").write_text("<p>sub")
    (made / "a b ä.txt").write_text("named")
    (made / "data.tar.gz").write_bytes(b"\x1f\x8b")
    (made / "none").write_bytes(b"")
    (made / "small").write_bytes(b"s" * SMALL)
    (made / "big").write_bytes(bytes(range(256)) * (SMALL // 256) + b"end")
    (made / "out.txt").symlink_to(tmp_path / "secret.txt")
    (made / "up").symlink_to(tmp_path)
    (made / "in.txt").symlink_to("sub/index.html")
    (made / "loop").symlink_to("loop")
    os.mkfifo(made / "fifo")
    os.utime(made / "index.html", (MODIFIED, MODIFIED))
    return made


@pytest.fixture
def web(root: Path) -> Iterator[Site]:
    made, _ = site(root=root)
    before = open_files()
    yield made
    made.quiet()
    assert open_files() == before  # every file was closed


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/", "text/html; charset=utf-8", b"<p>front"),
        ("/index.html?query=1", "text/html; charset=utf-8", b"<p>front"),
        ("/sub/", "text/html; charset=utf-8", b"<p>sub"),
        ("//sub///index.html", "text/html; charset=utf-8", b"<p>sub"),
        ("/sub/../index.html", "text/html; charset=utf-8", b"<p>front"),
        ("/a%20b%20%C3%A4.txt", "text/plain; charset=utf-8", b"named"),
        ("/data.tar.gz", "application/octet-stream", b"\x1f\x8b"),
        ("/none", "application/octet-stream", b""),
        ("/small", "application/octet-stream", b"s" * SMALL),
        ("/in.txt", "text/html; charset=utf-8", b"<p>sub"),
        ("/bytes/3", "text/plain", b"012"),
    ],
)
def test_what_is_there(web: Site, path: str, kind: str, body: bytes) -> None:
    (answer,) = answers(web.ask(get(path)))
    assert (answer.status, answer.fields["content-type"], answer.body) == (200, kind, body)
    (head,) = answers(web.ask(get(path, method="HEAD")), heads=True)
    assert head.fields == answer.fields


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub/../../secret.txt",
        "/out.txt",
        "/up/secret.txt",
        "/up/",
        "/loop",
        "/fifo",
        "/empty/",
        "/index.html/",
        "/" + "x" * 300,
        "/%ff%fe",
        "/..",
        "//etc/passwd",
    ],
)
def test_what_is_not_there(web: Site, path: str) -> None:
    (answer,) = answers(web.ask(get(path)))
    assert answer.status == 404
    assert b"secret" not in answer.body


def test_odd_paths(web: Site) -> None:
    assert [a.status for a in answers(web.ask(get("/a%00b") + get("/sub")))] == [400, 301]
    (answer,) = answers(web.ask(get("//sub")))
    assert (answer.status, answer.fields["location"]) == (301, "/sub/")


def test_a_file_that_may_not_be_read(web: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    assert [a.status for a in answers(web.ask(get("/small")))] == [403]


def test_a_big_file_in_pieces(web: Site, root: Path) -> None:
    expected = (root / "big").read_bytes()
    assert len(expected) > SMALL
    found = answers(web.ask(get("/big") + get("/small") + get("/big")))
    assert [a.body for a in found] == [expected, b"s" * SMALL, expected]


def test_only_one_file_is_open_for_a_connection(web: Site, root: Path) -> None:
    (root / "big").write_bytes(b"x" * 5_000_000)
    before = open_files()
    with web.connect() as sock:
        sock.sendall(get("/big") * 50)
        web.net.run(for_="5s")
        assert open_files() == before + 1


def test_a_file_that_becomes_shorter_ends_the_connection(web: Site, root: Path) -> None:
    os.truncate(root / "big", 50_000_000)
    with web.connect() as sock:
        sock.sendall(get("/big"))
        web.net.run(for_="1s")
        os.truncate(root / "big", 10)
        with pytest.raises(ConnectionResetError):
            read_all(sock)


def test_a_file_body_piece_by_piece(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * CHUNK + b"bc")
    body = FileBody(os.open(path, os.O_RDONLY), CHUNK + 2)
    assert body.piece() == b"a" * CHUNK
    body.sent(CHUNK - 1)
    assert body.piece() == b"a"
    body.sent(1)
    assert body.piece() == b"bc"
    body.sent(2)
    assert not body.piece()
    body.close()
    body.close()


@pytest.mark.parametrize(
    ("since", "status"),
    [
        (STAMP, 304),
        ("Tue, 14 Nov 2023 22:13:19 GMT", 200),
        ("Wed, 15 Nov 2023 00:00:00 GMT", 304),
        ("yesterday", 200),
        ("\xff", 200),
        ("Tue, 14 Nov 2023 22:13:20", 200),
    ],
)
def test_if_modified_since(web: Site, since: str, status: int) -> None:
    request = get("/", f"If-Modified-Since: {since}")
    first, second = answers(web.ask(request * 2))
    assert first.status == second.status == status
    if status == 200:
        assert first.fields["last-modified"] == STAMP
    else:
        assert "content-length" not in first.fields


def test_a_changed_file_is_seen_at_once(web: Site, root: Path) -> None:
    with web.connect() as sock:
        for text in ("one", "another", "one"):
            (root / "index.html").write_text(text)
            sock.sendall(get("/"))
            assert answers(sock.recv(10_000))[0].body == text.encode()


def test_the_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    web = Site(HttpService(80, root=link))
    assert answers(web.ask(get("/sub/")))[0].body == b"<p>sub"
    web.quiet()


def test_the_root_must_be_a_directory(root: Path) -> None:
    with pytest.raises(ValueError, match=r"no such directory: .*index\.html"):
        HttpService(80, root=root / "index.html")
