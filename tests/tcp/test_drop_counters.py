"""What a connection that fails is counted as: embryonic on FreeBSD and AttemptFails on Linux if it was never open, a
drop or EstabResets if it was. The numbers of Linux are those of a running 6.18 (nstat).
"""

import pytest
from tcp.peer import Machine, opened

from pystack.views.counters import tcp, tcp_ext


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14", "linux-6"])
def test_refused(profile: str) -> None:
    m = Machine(profile)
    t = m.connect(9)
    p = m.peer_of(t)
    p.next()
    p.send("R. 0:0(0) ack 1 win 0")
    assert t.row == 0
    assert (m.stat("conndrops"), m.stat("drops")) == (1, 0)
    assert (tcp(m.core)["AttemptFails"], tcp(m.core)["EstabResets"]) == (1, 0)


def test_timed_out() -> None:
    m = Machine("linux-6")
    t = m.connect(9)
    m.run(300)
    assert t.row == 0
    assert tcp(m.core)["AttemptFails"] == tcp_ext(m.core)["TCPAbortOnTimeout"] == 1


def test_closed_while_it_asked() -> None:
    """Nobody failed: who asked has gone."""
    m = Machine("linux-6")
    m.close(m.connect(9))
    assert tcp(m.core)["AttemptFails"] == 0


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14", "linux-6"])
def test_reset_when_it_was_open(profile: str) -> None:
    m, p, t = opened(profile)
    p.send("R 1:1(0) win 0")
    assert t.row == 0
    assert (m.stat("conndrops"), m.stat("drops")) == (0, 1)
    assert (tcp(m.core)["AttemptFails"], tcp(m.core)["EstabResets"]) == (0, 1)


def test_a_half_open_one_that_its_peer_ends() -> None:
    m = Machine("linux-6")
    m.listen()
    p = m.peer(4000)
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next()
    p.send("R 1:1(0) win 0")
    assert (tcp(m.core)["AttemptFails"], tcp_ext(m.core)["EmbryonicRsts"]) == (1, 1)
