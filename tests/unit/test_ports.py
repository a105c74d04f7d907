"""Local ports: each system's rule, exhaustion and its errno (RFC 6056; facts: freebsd-tcp 3.2, conntrack 9.5)."""

import random

import pytest
from tcp.peer import PROFILES, THEM, Machine

import pystack
from pystack._fast import opening, tcb
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


# --- ranges, reserved ports, and sharing -------------------------------------------------------------------


def bind(m: Machine, options: int = 0, addr: int = 0, uid: int = 0):
    t = m.socket()
    t.so_options |= options
    t.uid = uid
    return t, m.call(opening.tcp_bind, t, addr, 0)


def test_bsd_begins_behind_the_port_that_chance_chose_and_goes_on_from_there():
    """in_pcb.c: lastport = first + random % (last - first), then ++: the first port of a range comes last."""
    first = set()
    for seed in range(200):
        m = Machine("freebsd-14", seed=seed, port_first=40000, port_last=40003)
        first.add(connect(m)[0].lport)
    assert first == {40001, 40002, 40003}
    m = Machine("freebsd-10", port_first=40000, port_last=40009, port_randomized=0)
    assert [connect(m)[0].lport for _ in range(4)] == [40000, 40001, 40002, 40003]


def test_high_and_low_ranges():
    """IP_PORTRANGE: each range goes on by itself; the low one is root's."""
    m = Machine(
        "freebsd-10", port_randomized=0, port_first=40000, port_last=40009,
        port_hifirst=50000, port_hilast=50003, port_lowfirst=1023, port_lowlast=1020,
    )  # fmt: skip
    high, low = tcb.SO_PORT_HIGH, tcb.SO_PORT_LOW
    ports = [bind(m, options)[0].lport for options in (0, high, low, 0, high, low)]
    assert ports == [40000, 50000, 1020, 40001, 50001, 1021]
    assert bind(m, low, uid=80)[1] == -Err.EACCES
    assert [bind(m, high)[1] for _ in range(3)] == [0, 0, -Err.EADDRNOTAVAIL]
    m.sysctl["net.inet.ip.portrange.hilast"] = 50004
    assert bind(m, high)[0].lport == 50004
    t = m.socket()
    t.so_options |= low
    t.uid = 80
    assert m.call(opening.tcp_connect, t, THEM, 80) == -Err.EACCES


def test_until_freebsd_7_the_low_range_is_searched_downwards():
    m = Machine("freebsd-7", port_randomized=0, port_lowfirst=1023, port_lowlast=1020)
    ports = [bind(m, tcb.SO_PORT_LOW)[0].lport for _ in range(4)]
    assert ports == [1023, 1022, 1021, 1020]
    assert bind(m, tcb.SO_PORT_LOW)[1] == -Err.EADDRNOTAVAIL


def test_linux_keeps_away_from_reserved_ports():
    """[6.18 live]: 40001,40003-40006 of 40000-40007: three are left, for bind and for connect."""
    web = pystack.Host("web", "192.0.2.1/24", profile="linux-6", seed=1)
    web.sysctl["net.ipv4.ip_local_port_range"] = "40000 40007"
    web.sysctl["net.ipv4.ip_local_reserved_ports"] = "40001,40003-40006"
    ports = []
    for _ in range(3):
        sock = web.socket()
        sock.bind(("", 0))
        ports.append(sock.getsockname()[1])
    assert sorted(ports) == [40000, 40002, 40007]
    with pytest.raises(OSError, match="in use"):
        web.socket().bind(("", 0))
    web.sysctl["net.ipv4.ip_local_reserved_ports"] = ""
    web.socket().bind(("", 0))


def test_linux_connects_from_no_reserved_port():
    m = Machine("linux-6", port_first=40000, port_last=40007)
    m.core.demux.map.reserve([40001, *range(40003, 40007)])
    assert sorted(connect(m)[0].lport for _ in range(3)) == [40000, 40002, 40007]
    assert connect(m)[1] == -Err.EADDRNOTAVAIL


def test_what_was_found_is_forgotten_when_waits_may_be_reused():
    """tcp_tw_reuse turned on the running machine: a port that a search had given up is found."""
    m = Machine("linux-6", port_first=40000, port_last=40000, tcp_tw_reuse=0)
    t, _ = connect(m)
    p = m.peer_of(t)
    p.active(t, "ts")
    m.close(t)
    p.next(0)
    p.send("F. 1:1(0) ack 2 win 65535")
    m.run(2)
    assert connect(m)[1] == -Err.EADDRNOTAVAIL
    assert m.core.demux.map.marks == 1
    m.sysctl["net.ipv4.tcp_tw_reuse"] = 1
    assert connect(m)[1] == -Err.EINPROGRESS


def test_linux_binds_the_lower_half_first_where_addresses_may_be_reused():
    """[6.18 live]: with SO_REUSEADDR 40000-40003 of 40000-40007 before the others, in each the odd ones first."""
    for seed in range(10):
        m = Machine("linux-6", seed=seed, port_first=40000, port_last=40007)
        ports = [bind(m, tcb.SO_REUSEADDR)[0].lport - 40000 for _ in range(8)]
        assert [set(ports[i : i + 2]) for i in (0, 2, 4, 6)] == [{1, 3}, {0, 2}, {5, 7}, {4, 6}]
        assert bind(m, tcb.SO_REUSEADDR)[1] == -Err.EADDRINUSE


def test_linux_autobind_reuse():
    """[6.18 live]: only who has SO_REUSEADDR shares, and never with a listener."""
    m = Machine("linux-6", port_first=40000, port_last=40007, tcp_autobind_reuse=1)
    sockets = [bind(m, tcb.SO_REUSEADDR)[0] for _ in range(10)]
    assert len({t.lport for t in sockets}) == 8
    assert bind(m)[1] == -Err.EADDRINUSE
    assert [m.call(opening.tcp_listen, t, 1) for t in sockets] == [0] * 8 + [-Err.EADDRINUSE] * 2
    assert bind(m, tcb.SO_REUSEADDR)[1] == -Err.EADDRINUSE


def test_bind_looks_at_the_address():
    """[6.18 live]; in_pcblookup_local: each address has its own ports, and any address needs a port free on all."""
    for profile in PROFILES:
        m = Machine(profile, port_first=40000, port_last=40007)
        for addr in (0x7F000001, 0x7F000002):
            assert sorted(bind(m, addr=addr)[0].lport for _ in range(8)) == list(
                range(40000, 40008)
            )
            assert bind(m, addr=addr)[1] < 0
        assert bind(m)[1] < 0


@pytest.mark.parametrize("profile", PROFILES)
def test_a_search_among_many_finds_what_it_would_find_without_the_map(profile):
    """Connections come and go; with the map emptied before each search, the ports are the same."""
    runs = []
    for forgetful in (False, True):
        m = Machine(profile, seed=5, port_first=40000, port_last=40063, port_randomcps=0)
        order = random.Random(9)
        ports, alive = [], []
        for _ in range(600):
            if forgetful:
                m.core.demux.map.forget_all()
            t, answer = connect(m, port=80 + order.randrange(2))
            ports.append(t.lport if answer == -Err.EINPROGRESS else answer)
            if answer == -Err.EINPROGRESS:
                alive.append(t)
            while alive and (len(alive) > 60 or order.random() < 0.45):
                m.close(alive.pop(order.randrange(len(alive))))
        runs.append(ports)
    assert runs[0] == runs[1]
