"""Local ports: each system's rule, exhaustion and its errno (RFC 6056; facts: freebsd-tcp 3.2, conntrack 9.5)."""

import pytest
from tcp.peer import PROFILES, THEM, Machine

from pystack._fast import opening
from pystack._fast.consts import Err


def connect(m: Machine, port: int = 80, addr: int = THEM):
    t = m.socket()
    return t, m.call(opening.tcp_connect, t, addr, port)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_port_of_the_range_once(profile):
    m = Machine(profile, port_first=40000, port_last=40031)
    ports = []
    for _ in range(32):
        t, answer = connect(m)
        assert answer == -Err.EINPROGRESS
        ports.append(t.lport)
    assert sorted(ports) == list(range(40000, 40032))
    assert connect(m)[1] == -Err.EADDRNOTAVAIL
    if profile == "linux-6":
        assert all(p % 2 == 0 for p in ports[:16]), "first the parity of the range's first port"
    # another destination
    assert connect(m, 81)[1] == (
        -Err.EADDRNOTAVAIL if profile == "freebsd-10" else -Err.EINPROGRESS
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_an_odd_range_is_reached_to_its_end(profile):
    m = Machine(profile, port_first=40000, port_last=40004)
    ports = {connect(m)[0].lport for _ in range(5)}
    assert ports == set(range(40000, 40005))


@pytest.mark.parametrize("profile", PROFILES)
def test_bind_to_port_0(profile):
    m = Machine(profile, port_first=40000, port_last=40009)
    seen = []
    for _ in range(10):
        t = m.socket()
        assert m.call(opening.tcp_bind, t, 0, 0) == 0
        seen.append(t.lport)
    assert sorted(seen) == list(range(40000, 40010))
    error = Err.EADDRINUSE if profile == "linux-6" else Err.EADDRNOTAVAIL
    assert m.call(opening.tcp_bind, m.socket(), 0, 0) == -error
    if profile == "linux-6":
        assert all(p % 2 for p in seen[:5]), "the other parity first"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_freed_port_is_free(profile):
    m = Machine(profile, port_first=40000, port_last=40000)
    for _ in range(5):
        t, answer = connect(m)
        assert answer == -Err.EINPROGRESS
        m.close(t)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_time_wait_holds_its_port(profile):
    m = Machine(profile, port_first=40000, port_last=40000, tcp_tw_reuse=0)
    t, _ = connect(m)
    p = m.peer_of(t)
    p.active(t, "ts")
    m.close(t)
    p.next(0)
    p.send("F. 1:1(0) ack 2 win 65535")
    assert m.states() == {"TIME_WAIT": 1}
    assert connect(m)[1] == -Err.EADDRNOTAVAIL
    m.run(61)
    assert connect(m)[1] == -Err.EINPROGRESS


def test_linux_reuses_a_time_wait_after_a_second():
    """Conntrack 9.3: tcp_tw_reuse 1; the new ISN is above the old connection's numbers."""
    m = Machine("linux-6", port_first=40000, port_last=40000, tcp_tw_reuse=1)
    t, _ = connect(m)
    p = m.peer_of(t)
    p.active(t, "ts")
    m.close(t)
    p.next(0)
    p.send("F. 1:1(0) ack 2 win 65535")
    old = t.snd_max
    m.run(0.9)
    assert connect(m)[1] == -Err.EADDRNOTAVAIL
    m.run(0.2)
    t, answer = connect(m)
    assert answer == -Err.EINPROGRESS
    assert (t.iss - old) & 0xFFFFFFFF == 65537
    assert m.core.timewait.used == 0


@pytest.mark.parametrize("profile", PROFILES)
def test_bound_tuple_in_use(profile):
    m = Machine(profile)
    t = m.connect(80, local=5000)
    u = m.socket()
    u.so_options = t.so_options = 0x200 | 0x4
    assert m.call(opening.tcp_bind, u, 0, 5000) in (0, -Err.EADDRINUSE)
    v = m.socket()
    assert m.call(opening.tcp_bind, v, 0, 5000) == -Err.EADDRINUSE


@pytest.mark.parametrize(
    ("addr", "port", "error"),
    [
        (0xC0000263, 0, Err.EADDRNOTAVAIL),
        (0x08080808, 80, Err.ENETUNREACH),
        (0xC00002FF, 80, Err.EACCES),
        (0xFFFFFFFF, 80, Err.EACCES),
    ],
)
def test_bad_destinations(addr, port, error):
    """MUST-46."""
    m = Machine()
    t = m.socket()
    assert m.call(opening.tcp_connect, t, addr, port) == -error
    m.close(t)
    m.assert_clean()


def test_call_again():
    m = Machine()
    t = m.connect(80)
    assert m.call(opening.tcp_connect, t, THEM, 80) == -Err.EALREADY
    p = m.peer_of(t)
    p.active(t)
    assert m.call(opening.tcp_connect, t, THEM, 80) == -Err.EISCONN
    assert m.call(opening.tcp_bind, t, 0, 99) == -Err.EINVAL
    assert m.call(opening.tcp_listen, t, 5) == -Err.EINVAL


def test_bind_errors():
    m = Machine()
    assert m.call(opening.tcp_bind, m.socket(), 0x08080808, 80) == -Err.EADDRNOTAVAIL
    m.listen(80)
    assert m.call(opening.tcp_bind, m.socket(), 0, 80) == -Err.EADDRINUSE
    user = m.socket()
    user.uid = 1001
    assert m.call(opening.tcp_bind, user, 0, 1023) == -Err.EACCES
    assert m.call(opening.tcp_bind, user, 0, 1024) == 0


def test_all_ports_of_two_thousand_are_chosen_evenly():
    """Random start: no port is much likelier than another (RFC 6056 section 3.3)."""
    m = Machine("freebsd-14", port_first=10000, port_last=11999)
    seen = []
    for _ in range(600):
        t, _ = connect(m)
        seen.append(t.lport)
        m.close(t)
    assert len(set(seen)) > 450
    assert abs(sum(seen) / len(seen) - 11000) < 100
