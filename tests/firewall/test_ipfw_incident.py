"""Seed 000: connections in FIN_WAIT_2 and states of ipfw keep each other alive until no new one fits (facts: ipfw 7).

Visitors whose browsers never close; a server that has said everything. Nothing here knows of the story: the server's
TCP, the visitors' TCP, the states and their keep-alives are the ones of every other test.
"""

import pytest

from pystack import Network

SECOND = 10**9
MINUTE = 60 * SECOND
ROOM = 12
RULES = """
add 100 allow ip from any to any via lo0
add 200 check-state
add 300 allow tcp from any to me 22 setup keep-state
add 400 allow tcp from any to me 80 setup keep-state
"""
FULL = {
    "freebsd-7": "ipfw: ipfw_install_state: Too many dynamic rules",
    "freebsd-10": "ipfw: add_dyn_rule: Cannot allocate rule",
    "freebsd-14": "ipfw: Cannot allocate dynamic state, consider increasing net.inet.ip.fw.dyn_max",
}
ERAS = (
    pytest.param("freebsd-7", marks=pytest.mark.slow),
    "freebsd-10",
    pytest.param("freebsd-14", marks=pytest.mark.slow),
)


class Shop:
    """A web server behind its own firewall, an administrator with a shell, and visitors."""

    def __init__(self, profile, rules=RULES):
        self.net = Network(seed=7)
        self.web = self.net.host("web", "10.0.0.1/24", profile=profile)
        self.visitors = self.net.host("visitors", "10.0.0.2/24", profile="linux-6")
        self.net.link(self.web, self.visitors, delay="1ms")
        self.web.ipfw.load(rules)
        self.set("net.inet.ip.fw.dyn_max", ROOM)
        self.listeners = {port: self.listen(port) for port in (22, 80)}
        self.open = []
        self.shell = self.visit(22)
        self.shell_end = self.listeners[22].accept()[0]

    def listen(self, port):
        listener = self.web.socket()
        listener.bind(("10.0.0.1", port))
        listener.listen(128)
        return listener

    def set(self, name, value):
        self.web.sysctl[name] = value

    def visit(self, port=80):
        """A connection that its maker never closes."""
        sock = self.visitors.socket()
        sock.settimeout(5)
        sock.connect(("10.0.0.1", port))
        self.open.append(sock)
        return sock

    def serve(self, n):
        """So many visitors are served, and told that this was all."""
        for _ in range(n):
            visitor = self.visit()
            end, _ = self.listeners[80].accept()
            end.send(b"page")
            end.close()
            assert visitor.recv(100) == b"page"
        self.net.run(for_=SECOND)

    def passes(self, time):
        self.net.run(for_=time)

    @property
    def waiting(self):
        return self.web.tcp_states().get("FIN_WAIT_2", 0)

    @property
    def states(self):
        return self.web.sysctl["net.inet.ip.fw.dyn_count"]

    def gets_in(self):
        """Does one more visitor get in?"""
        try:
            self.visit()
        except TimeoutError:
            return False
        self.listeners[80].accept()[0].close()
        return True

    def shell_lives(self):
        self.shell.send(b"w\n")
        self.shell_end.settimeout(5)
        return self.shell_end.recv(10) == b"w\n"


@pytest.fixture(params=ERAS)
def shop(request):
    made = Shop(request.param)
    made.serve(ROOM - 1)
    return made


def test_the_table_stays_full_for_an_hour(shop):
    """One state for each connection and one for the shell: nothing ends as long as both sides answer."""
    assert (shop.waiting, shop.states) == (ROOM - 1, ROOM)
    shop.passes(60 * MINUTE)
    assert (shop.waiting, shop.states) == (ROOM - 1, ROOM)


def test_new_visitors_wait_in_vain_and_the_shell_lives(shop):
    before = int(shop.web.ipfw("show 400").split()[1])
    assert not shop.gets_in()
    assert shop.shell_lives()
    full = FULL[shop.web.profile.name]
    lines = [text for _, text in shop.web.log.entries if text == full]
    assert 1 <= len(lines) <= 6  # one a second at most, one for each SYN
    assert (
        int(shop.web.ipfw("show 400").split()[1]) > before
    )  # a packet that is denied there counts
    limit = next(each for each in shop.web.limits() if each.name == "ipfw dynamic rules")
    assert (limit.used, limit.maximum, limit.high_water) == (ROOM, ROOM, ROOM)
    assert limit.failures >= len(lines)
    assert limit.knob == "net.inet.ip.fw.dyn_max"


def test_a_larger_table_lets_them_in_at_once(shop):
    shop.set("net.inet.ip.fw.dyn_max", 2 * ROOM)
    assert shop.gets_in()


def test_recycling_fin_wait_2_cures_the_firewall(shop):
    """The next probe of a state is answered with a reset, and the state goes."""
    shop.set("net.inet.tcp.fast_finwait2_recycle", 1)
    shop.set("net.inet.tcp.finwait2_timeout", 15_000)
    shop.passes(20 * MINUTE)
    assert shop.waiting == 0
    if shop.web.profile.name != "freebsd-7":  # there they go when they are in the way
        assert shop.states == 1  # the shell's
    assert shop.gets_in()
    assert shop.states == 2
    shop.passes(20 * SECOND)
    assert shop.waiting == 0


def test_without_keep_alives_states_end(shop):
    shop.set("net.inet.ip.fw.dyn_keepalive", 0)
    shop.passes(6 * MINUTE)
    assert shop.gets_in()
    shop.passes(30 * MINUTE)
    assert shop.waiting == 0  # nobody keeps them waiting, either


def test_a_shorter_lifetime_helps_against_the_dead_only(shop):
    """Who is alive answers the probes that begin earlier. Who has gone is forgotten earlier."""
    shop.set("net.inet.ip.fw.dyn_ack_lifetime", 30)
    shop.passes(30 * MINUTE)
    assert (shop.waiting, shop.states) == (ROOM - 1, ROOM)
    shop.net.links[0].partition()
    shop.passes(40 * SECOND)
    if shop.web.profile.name != "freebsd-7":
        assert shop.states == 0


def test_a_limit_for_each_visitor():
    shop = Shop("freebsd-10", RULES.replace("80 setup keep-state", "80 setup limit src-addr 4"))
    shop.set("net.inet.ip.fw.verbose", 1)
    shop.serve(4)
    assert not shop.gets_in()
    said = [text for _, text in shop.web.ipfw.security]
    assert "ipfw: 400 drop session type 40 10.0.0.2 " in said[0]
    assert said[0].endswith(" -> 10.0.0.1 80, 6 too many entries")
    assert shop.shell_lives()


def test_disabled_firewall_is_no_firewall(shop):
    shop.web.ipfw("disable firewall")
    assert shop.gets_in()
