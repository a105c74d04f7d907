"""Dynamic rules, era by era: the points that any player of ipfw should reach (facts: ipfw 2, 9)."""

import pytest

from pystack.ipfw_replay import Lab

SYN, ACK, FIN, RST = 2, 16, 1, 4
PROFILES = ("freebsd-7", "freebsd-10", "freebsd-14")
KEEP = ["add 100 check-state", "add 200 allow tcp from any to me setup keep-state"]
KEEP += [
    "add 300 allow udp from any to me keep-state",
    "add 400 allow icmp from any to me keep-state",
]


class Stand:
    """A firewall and its clock; packets are put through by hand."""

    def __init__(self, profile, rules=KEEP, **sysctl):
        self.lab = Lab(
            {
                "id": "",
                "rules": rules,
                "sysctl": sysctl,
                "me": ["10.0.0.1"],
                "uptime0": 0,
                "steps": [],
            },
            profile,
        )

    def at(self, t):
        """Time passes; what the ticks did."""
        return [(when, did) for when, did in self.lab.until(t)]

    def pkt(
        self,
        flags=SYN,
        sport=1025,
        *,
        back=False,
        proto="tcp",
        src="10.0.0.2",
        dport=80,
        ack=1,
        off=0,
    ):
        """One packet; its verdict."""
        ends = {"src": src, "sport": sport, "dst": "10.0.0.1", "dport": dport}
        if back:
            ends = {"src": "10.0.0.1", "sport": dport, "dst": src, "dport": sport}
        packet = {"proto": proto, "flags": flags, "ack": ack, "seq": 7, "len": 0, "type": 8, **ends}
        if off:
            packet["off"] = off
        step = {"out": int(back), "if": ["", "em0"] if back else ["em0", ""], "pkt": packet}
        return self.lab.pass_packet(step)["verdict"]

    @property
    def states(self):
        return self.lab.engine.states()

    def entry(self):
        """Flags and end of the one entry."""
        (one,) = self.states
        return one[7], one[8] + self.lab.uptime

    @property
    def count(self):
        return self.lab.engine.table.count

    def said(self):
        """The kernel's lines, which are forgotten."""
        lines = [text for _, text in self.lab.stand.lines]
        self.lab.stand.lines.clear()
        return lines

    def ipfw(self, words):
        return self.lab.tool.run(words.split())


@pytest.fixture(params=PROFILES)
def profile(request):
    return request.param


TIMELINE = (
    # time, flags, back, ack, word, end
    (0, SYN, False, 0, 0x00002, 20),
    (0, SYN | ACK, True, 1001, 0x20202, 20),
    (0, ACK, False, 5001, 0x00202, 300),
    (10, ACK, False, 5001, 0x10202, 300),
    (11, ACK, True, 1002, 0x00202, 311),
    (20, FIN | ACK, True, 1002, 0x20302, 311),
    (20, ACK, False, 5002, 0x00302, 320),
    (30, FIN | ACK, False, 5002, 0x00303, 31),
    (30, ACK, True, 1003, 0x00303, 31),
)


def test_timeline_of_a_connection(profile):
    stand = Stand(profile)
    for t, flags, back, ack, word, end in TIMELINE:
        stand.at(t)
        assert stand.pkt(flags, back=back, ack=ack) == "pass"
        assert stand.entry() == (word, end), t
    stand.at(31)
    if profile == "freebsd-7":  # until its chain is walked
        assert stand.count == 1
        assert stand.pkt(ACK) == "deny"
    assert stand.count == 0


@pytest.mark.parametrize(
    ("flow", "buckets"),
    [
        ((0x0A000001, 1025, 0x0A000002, 80), (82, 82, 1106)),
        ((0xC0A88070, 56187, 0xC0285104, 443), (180, 948, 2996)),
        ((0x0A000005, 0, 0, 0), (5, 5, 5)),
        ((0x7F000001, 5000, 0x7F000001, 5000), (0, 0, 0)),
    ],
)
def test_hash_of_the_old_eras(flow, buckets):
    src, sport, dst, dport = flow
    table = Stand("freebsd-10").lab.engine.table
    h = table.hash_of(src, dst, sport << 16 | dport)
    assert tuple(h & size - 1 for size in (256, 1024, 65536)) == buckets
    assert table.hash_of(dst, src, dport << 16 | sport) == h


def test_hash_of_12_is_symmetric_and_keyed():
    table = Stand("freebsd-14").lab.engine.table
    seen = set()
    for n in range(100):
        h = table.hash_of(10 + n, 20, 1025 << 16 | 80)
        assert table.hash_of(20, 10 + n, 80 << 16 | 1025) == h
        seen.add(h)
    assert len(seen) == 100
    assert table.hash_of(7, 7, 5 << 16 | 6) == table.hash_of(7, 7, 6 << 16 | 5)


def test_other_protocols_and_odd_flags(profile):
    stand = Stand(profile, dyn_rst_lifetime=3)
    assert stand.pkt(proto="udp", dport=53) == "pass"
    assert stand.entry() == (0, 10)
    stand.at(4)
    assert stand.pkt(proto="udp", dport=53, back=True) == "pass"
    assert stand.entry() == (0, 14)
    stand = Stand(profile)
    assert stand.pkt(proto="icmp") == "pass"
    assert stand.entry() == (0, 5)
    stand = Stand(profile, ["add 100 allow tcp from any to any keep-state"], dyn_rst_lifetime=3)
    assert stand.pkt(ACK) == "pass"  # picked up in mid stream
    assert stand.entry() == (0, 3)
    assert stand.pkt(RST, back=True) == "pass"
    assert stand.entry() == (RST << 8, 3)


def test_lifetimes_that_are_too_long_are_cut(profile):
    stand = Stand(profile, dyn_rst_lifetime=60, dyn_fin_lifetime=60, dyn_keepalive=0)
    stand.pkt(SYN)
    stand.pkt(RST | ACK, back=True)
    cut = 60 if profile == "freebsd-14" else 4  # there only while keep-alives are sent
    assert stand.lab.sysctl["net.inet.ip.fw.dyn_rst_lifetime"] == cut
    stand = Stand(profile, dyn_fin_lifetime=60, dyn_keepalive=0)
    for flags, back in ((SYN, False), (SYN | ACK, True), (FIN | ACK, False), (FIN | ACK, True)):
        stand.pkt(flags, back=back)
    assert stand.lab.sysctl["net.inet.ip.fw.dyn_fin_lifetime"] == 4


FULL = {
    "freebsd-7": "ipfw: ipfw_install_state: Too many dynamic rules",
    "freebsd-10": "ipfw: add_dyn_rule: Cannot allocate rule",
    "freebsd-14": "ipfw: Cannot allocate dynamic state, consider increasing net.inet.ip.fw.dyn_max",
}


def test_one_below_at_and_one_above_dyn_max(profile):
    stand = Stand(profile, dyn_max=40)
    stand.at(1)
    stand.said()
    assert [stand.pkt(sport=2000 + n) for n in range(40)] == ["pass"] * 40
    assert (stand.count, stand.said()) == (40, [])
    assert [stand.pkt(sport=3000 + n) for n in range(3)] == ["deny"] * 3
    assert (stand.count, stand.said()) == (40, [FULL[profile]])  # once in this second
    assert stand.pkt(SYN | ACK, sport=2000, back=True) == "pass"  # who is in goes on
    stand.at(2)
    stand.said()
    assert stand.pkt(sport=3000) == "deny"
    assert stand.said() == [FULL[profile]]
    rules = {rule.number: rule.row for rule in stand.lab.chain}
    assert stand.lab.engine.packets[rules[200]] == 40 + 1 + 4
    stand.at(22)
    assert stand.pkt(sport=3000) == "pass"
    if profile == "freebsd-14":  # rows that a tick has taken out are free with the next one
        assert stand.count == 1
    stand.at(60)
    assert stand.pkt(sport=3001) == "pass"


def test_a_maximum_below_what_there_is_takes_nothing_away(profile):
    stand = Stand(profile, dyn_max=10)
    for port in range(1000, 1008):
        assert stand.pkt(sport=port) == "pass"
    stand.lab.set({"dyn_max": 4})
    assert stand.count == 8
    assert stand.pkt(sport=2000) == "deny"
    assert stand.pkt(ACK, sport=1003) == "pass"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "rate", "full"),
    [
        ("freebsd-10", 204, False),
        ("freebsd-10", 206, True),
        ("freebsd-14", 48, False),
        ("freebsd-14", 49, True),
    ],
)
def test_how_many_syns_a_second_fill_the_table(profile, rate, full):
    """A SYN that nobody answers is there for 20 s: 4096 / 20 = 204.8, and in 12, where storage comes back a second
    later, of 1,024 states (its 16,384 take too long) 1024 / 21 = 48.8.
    """
    stand = Stand(profile, **({"dyn_max": 1024} if profile == "freebsd-14" else {}))
    denied = 0
    for second in range(45):
        stand.at(second)
        for n in range(rate):
            number = second * rate + n
            src = f"10.1.{number >> 8 & 255}.{number & 255}"
            denied += stand.pkt(src=src, sport=1000 + (number >> 16)) == "deny"
    assert (denied > 0) == full


def test_states_that_were_just_taken_out_are_in_the_way_of_12():
    stand = Stand("freebsd-14", dyn_max=3)
    for n in range(3):
        stand.pkt(sport=2000 + n)
    stand.at(20)
    assert stand.count == 0
    assert stand.pkt(sport=3000) == "deny"
    stand.at(21)
    assert stand.pkt(sport=3000) == "pass"


DROPPED = {
    "freebsd-7": "ipfw: 400 drop session 10.0.0.5:51236 -> 10.0.0.1:80, too many entries",
    "freebsd-10": "ipfw: 400 drop session type 40 10.0.0.5 51236 -> 10.0.0.1 80, 3 too many entries",
    "freebsd-14": "ipfw: 400 drop session type 40 10.0.0.5 0 -> 0.0.0.0 0, 2 too many entries",
}


def test_limit(profile):
    rules = ["add 100 check-state", "add 400 allow tcp from any to me 80 setup limit src-addr 2"]
    stand = Stand(profile, rules, verbose=1)
    stand.at(1)
    a = {"src": "10.0.0.5"}
    assert [stand.pkt(sport=51234 + n, **a) for n in range(3)] == ["pass", "pass", "deny"]
    assert stand.said() == [DROPPED[profile]]
    assert stand.pkt(sport=1, src="10.0.0.6") == "pass"  # another one's count is his own
    for flags, back, ack in (
        (SYN | ACK, True, 1),
        (ACK, False, 1),
        (FIN | ACK, True, 2),
        (FIN | ACK, False, 3),
    ):
        assert stand.pkt(flags, sport=51234, back=back, ack=ack, **a) == "pass"
    stand.at(2)
    assert stand.pkt(sport=51236, **a) == "pass"  # a second after the first one has closed
    assert stand.pkt(sport=51237, **a) == "deny"
    stand.at(22)
    assert stand.pkt(sport=51237, **a) == "pass"  # 20 s after a lone SYN


def test_parents_have_a_table_of_their_own_in_12():
    rules = ["add 400 allow tcp from any to me setup limit src-addr 2"]
    stand = Stand("freebsd-14", rules, dyn_parent_max=2)
    stand.at(1)
    for n in range(2):
        assert stand.pkt(src=f"10.0.0.{n + 5}") == "pass"
    assert (stand.count, stand.lab.engine.table.parent_count) == (2, 2)
    assert stand.pkt(src="10.0.0.9") == "deny"
    assert (
        "ipfw: Cannot allocate parent dynamic state, consider increasing net.inet.ip.fw.dyn_parent_max"
        in stand.said()
    )
    stand = Stand("freebsd-10", rules)
    assert stand.pkt(src="10.0.0.5") == "pass"
    assert stand.count == 2


def test_rounds_of_keep_alives(profile):
    """Idle from second 0 on: probes of both sides until the end, or until they answer."""
    stand = Stand(profile)
    for flags, back in ((SYN, False), (SYN | ACK, True), (ACK, False)):
        stand.pkt(flags, back=back, ack=1000 + flags)
    rounds = [(t, len(did["ka"])) for t, did in stand.at(299) if "ka" in did]
    first = [] if profile != "freebsd-10" else [(280, 2)]  # exactly 20 s are not less than 20
    assert rounds == [*first, (285, 2), (290, 2), (295, 2)]
    stand.at(302)
    if profile != "freebsd-7":
        assert stand.count == 0
    stand = Stand(profile)
    for flags, back in ((SYN, False), (SYN | ACK, True), (ACK, False)):
        stand.pkt(flags, back=back, ack=1000 + flags)
    stand.at(285)
    stand.lab.stand.sent.clear()
    stand.pkt(ACK, back=True, ack=1018)
    silent = [did["ka"] for t, did in stand.at(290) if "ka" in did]
    assert [[probe["src"] for probe in each] for each in silent] == [["10.0.0.1"]]
    stand.pkt(ACK, ack=1018)
    assert stand.entry()[1] == 590


def test_no_keep_alives(profile):
    stand = Stand(profile, dyn_keepalive=0)
    for flags, back in ((SYN, False), (SYN | ACK, True), (ACK, False)):
        stand.pkt(flags, back=back)
    assert [did for _, did in stand.at(299) if "ka" in did] == []


def test_growth():
    stand = Stand("freebsd-10", dyn_max=60000)
    for n in range(5000):
        stand.pkt(sport=1024 + n)
    stand.at(2)
    assert stand.lab.engine.table.chain.buckets == 256  # never, with the default
    stand.lab.sysctl["net.inet.ip.fw.dyn_buckets"] = 8192
    stand.at(3)
    assert stand.lab.engine.table.chain.buckets == 8192
    stand = Stand("freebsd-14")
    for n in range(600):
        stand.pkt(sport=1024 + n)
    stand.at(1)
    assert stand.lab.engine.table.chain.buckets == 1024
    assert stand.pkt(ACK, sport=1024) == "pass"


def test_the_size_of_8_changes_when_nothing_is_there():
    stand = Stand("freebsd-7", dyn_buckets=1024)
    table = stand.lab.engine.table
    assert table.chain.buckets == 256
    stand.pkt()
    assert table.chain.buckets == 1024
    stand.lab.sysctl["net.inet.ip.fw.dyn_buckets"] = 512
    stand.pkt(sport=5)
    assert table.chain.buckets == 1024
    stand = Stand("freebsd-7", dyn_buckets=1000)
    stand.pkt()
    assert stand.lab.engine.table.chain.buckets == 256
    assert stand.lab.sysctl["net.inet.ip.fw.dyn_buckets"] == 256


def test_first_packet_counts_in_12_only(profile):
    stand = Stand(profile)
    stand.pkt()
    (one,) = stand.states
    assert one[9:11] == ((1, 40) if profile == "freebsd-14" else (0, 0))


def test_an_expired_state_is_revived_from_10_on(profile):
    """Between the end of its time and the tick it still matches. Era 8 takes it out on the way."""
    stand = Stand(profile)
    stand.pkt(SYN)
    stand.lab.uptime = 25  # no tick was run
    verdict = stand.pkt(SYN | ACK, back=True)
    assert verdict == ("deny" if profile == "freebsd-7" else "pass")


def test_names_of_states():
    rules = [
        "add 100 check-state :one",
        "add 200 allow tcp from any to me 80 setup keep-state :one",
    ]
    rules += [
        "add 300 allow tcp from any to me 81 setup keep-state :two",
        "add 400 count ip from any to any",
    ]
    rules += ["add 500 check-state :any"]
    stand = Stand("freebsd-14", rules)
    assert stand.pkt() == "pass"
    assert stand.pkt(dport=81, sport=9) == "pass"
    assert stand.pkt(ACK) == "pass"
    counted = {rule.number: stand.lab.engine.packets[rule.row] for rule in stand.lab.chain}
    assert counted[400] == 0
    assert stand.pkt(ACK, dport=81, sport=9) == "pass"  # its own rule looks for it
    assert sorted(state[15] for state in stand.states) == ["one", "two"]


def test_record_state_and_deferred_action():
    rules = [
        "add 100 check-state",
        "add 200 allow tcp from any to me 80 record-state defer-immediate-action",
    ]
    rules += ["add 300 deny tcp from any to me 81", "add 400 allow tcp from any to me 82"]
    stand = Stand("freebsd-14", rules)
    assert stand.pkt() == "deny"  # the state is made, the action is not done: the default rule
    assert stand.count == 1
    assert stand.pkt() == "pass"  # through the state


def test_deleting_a_rule_takes_its_states(profile):
    stand = Stand(profile)
    stand.pkt()
    assert stand.ipfw("delete 200").status == 0
    assert stand.count == 0
    assert stand.pkt(ACK) == "deny"


def test_states_that_outlive_their_rule():
    stand = Stand("freebsd-10", dyn_keep_states=1)
    stand.pkt()
    stand.ipfw("delete 200")
    assert stand.count == 1
    assert stand.states[0][0] == 65535
    assert stand.pkt(ACK) == "deny"  # the default rule's action from now on
    stand = Stand("freebsd-14", dyn_keep_states=1)
    stand.pkt()
    stand.ipfw("delete 200")
    assert stand.count == 1
    assert stand.states[0][7] & 0x40000
    assert stand.pkt(SYN | ACK, back=True) == "pass"  # its own action
    stand.at(400)
    assert stand.count == 0


def test_a_disabled_set_has_states_that_live(profile):
    rules = ["add 100 check-state", "add 200 set 5 allow tcp from any to me setup keep-state"]
    stand = Stand(profile, rules)
    stand.pkt()
    stand.ipfw("set disable 5")
    assert stand.pkt(ACK) == "pass"
    assert stand.pkt(sport=9) == "deny"


def test_fragments_have_no_ports(profile):
    """A later fragment belongs to the state without ports, which is that of another fragment at most."""
    stand = Stand(profile)
    assert stand.pkt(proto="udp", dport=53) == "pass"
    stand.pkt(proto="udp", dport=53, off=185)
    assert [state[4:7:2] for state in stand.states] != [(1025, 53)]


@pytest.mark.parametrize("wrong", ["add 200 allow tcp from any to me keep-state limit src-addr 2"])
def test_a_wrong_rule_changes_nothing(profile, wrong):
    stand = Stand(profile)
    stand.pkt()
    before = stand.ipfw("-d show").out
    assert stand.ipfw(wrong).status != 0
    assert stand.ipfw("-d show").out == before
