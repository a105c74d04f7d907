"""Rules as hypothesis draws them: words that iptables accepts, in many combinations."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = st.text("abcXYZ019_-", min_size=1, max_size=8).filter(lambda n: n[0] not in "-!")
PORT = st.integers(0, 65535)
ADDRESS = st.integers(0, 0xFFFFFFFF).map(
    lambda a: ".".join(str(a >> n & 255) for n in (24, 16, 8, 0))
)
NETWORK = st.tuples(ADDRESS, st.integers(1, 32)).map(lambda p: f"{p[0]}/{p[1]}")
BANG = st.sampled_from(["", "", "! "])
FACE = st.sampled_from("eth0 eth+ lo ppp12 br-abc tun+".split())
MARK = st.tuples(st.integers(0, 0xFFFFFFFF), st.sampled_from(["", "/0xff", "/0xffff0000"])).map(
    lambda p: f"{p[0]:#x}{p[1]}"
)
STATES = st.lists(
    st.sampled_from("NEW ESTABLISHED RELATED INVALID UNTRACKED".split()), min_size=1, unique=True
).map(",".join)
FLAGS = st.lists(st.sampled_from("SYN ACK FIN RST URG PSH".split()), min_size=1, unique=True).map(
    ",".join
)


def rates(*units: str) -> st.SearchStrategy[str]:
    return st.tuples(st.integers(1, 900), st.sampled_from(units)).map(lambda p: f"{p[0]}/{p[1]}")


RATE = rates("sec", "minute", "hour", "day")
FAST = rates("sec", "minute")
"""The kernel refuses a hashlimit that is slower: the credits of its burst would be too many."""
COMMENT = st.text("ab c\"'\\;:$é-", min_size=1, max_size=20)


def quoted(text: str) -> str:
    """A word for a command line."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def port_range(draw: st.DrawFn) -> str:
    low, high = sorted((draw(PORT), draw(PORT)))
    return draw(st.sampled_from([f"{low}", f"{low}:{high}", f":{high}", f"{low}:"]))


@st.composite
def protocol(draw: st.DrawFn) -> str:
    """`-p` and what goes with it."""
    kind = draw(st.sampled_from("tcp tcp udp icmp other none".split()))
    if kind == "none":
        return ""
    if kind == "other":
        return f"{draw(BANG)}-p {draw(st.integers(1, 255))}"
    if kind == "icmp":
        types = "8 3/4 3 any echo-reply ttl-zero-during-transit redirect 17/1".split()
        return f"-p icmp {draw(BANG)}--icmp-type {draw(st.sampled_from(types))}"
    words = [f"-p {kind}"]
    if draw(st.booleans()):
        words.append(f"{draw(BANG)}--sport {draw(port_range())}")
    if draw(st.booleans()):
        words.append(f"{draw(BANG)}--dport {draw(port_range())}")
    if kind == "tcp" and draw(st.booleans()):
        words.append(f"{draw(BANG)}--tcp-flags {draw(FLAGS)} {draw(FLAGS)}")
    if draw(st.integers(0, 3)) == 0:
        ports = ",".join(map(str, draw(st.lists(PORT, min_size=1, max_size=15))))
        words.append(
            f"-m multiport {draw(BANG)}--{draw(st.sampled_from(['sports', 'dports', 'ports']))} {ports}"
        )
    return " ".join(words)


@st.composite
def match(draw: st.DrawFn) -> str:
    """One `-m`."""
    low, high = sorted((draw(PORT), draw(PORT)))
    return draw(
        st.sampled_from(
            [
                f"-m conntrack {draw(BANG)}--ctstate {draw(STATES)}",
                f"-m conntrack --ctproto {draw(st.integers(1, 254))} {draw(BANG)}--ctorigsrc {draw(NETWORK)}",
                f"-m conntrack {draw(BANG)}--ctstatus SEEN_REPLY,ASSURED --ctexpire {low}:{high}",
                f"-m conntrack {draw(BANG)}--ctreplsrcport {low}:{high} --ctdir REPLY",
                f"-m state {draw(BANG)}--state {draw(STATES)}",
                f"-m limit --limit {draw(RATE)} --limit-burst {draw(st.integers(1, 10000))}",
                f"-m hashlimit --hashlimit-upto {draw(FAST)} --hashlimit-name {draw(NAMES)}",
                f"-m hashlimit --hashlimit-above {draw(FAST)} --hashlimit-burst {draw(st.integers(1, 900))}"
                f" --hashlimit-mode srcip,dstport --hashlimit-name {draw(NAMES)}"
                f" --hashlimit-srcmask {draw(st.integers(0, 32))}",
                f"-m hashlimit --hashlimit-above {draw(st.integers(1, 900))}kb/s --hashlimit-name {draw(NAMES)}",
                f"-m connlimit --connlimit-above {low} --connlimit-mask {draw(st.integers(0, 32))}",
                f"-m connlimit --connlimit-upto {low} --connlimit-daddr",
                f"-m mark {draw(BANG)}--mark {draw(MARK)}",
                f"-m connmark {draw(BANG)}--mark {draw(MARK)}",
                f"-m comment --comment {quoted(draw(COMMENT))}",
                f"-m addrtype {draw(BANG)}--src-type UNICAST,LOCAL --dst-type MULTICAST",
                f"-m iprange {draw(BANG)}--src-range 10.0.0.1-10.0.0.{draw(st.integers(1, 255))}",
                f"-m statistic --mode random {draw(BANG)}--probability {draw(st.floats(0, 1)):.6f}",
                f"-m statistic --mode nth {draw(BANG)}--every {high + 1} --packet {low}",
                f"-m length {draw(BANG)}--length {low}:{high}",
                f"-m ttl --ttl-lt {draw(st.integers(0, 255))}",
                f"-m ttl {draw(BANG)}--ttl-eq {draw(st.integers(0, 255))}",
                f"-m tos {draw(BANG)}--tos {draw(st.integers(0, 255))}/{draw(st.integers(0, 255))}",
                f"-m dscp {draw(BANG)}--dscp {draw(st.integers(0, 63))}",
                f"-m recent {draw(BANG)}--update --seconds {high + 1} --hitcount 3 --name {draw(NAMES)}",
                f"-m recent {draw(BANG)}--set --rdest --mask 255.255.{draw(st.integers(0, 255))}.0",
            ]
        )
    )


@st.composite
def filter_rule(draw: st.DrawFn) -> str:
    """The words after `-A FORWARD`."""
    words = []
    if draw(st.booleans()):
        words.append(f"{draw(BANG)}-s {draw(NETWORK)}")
    if draw(st.booleans()):
        words.append(f"{draw(BANG)}-d {draw(NETWORK)}")
    if draw(st.booleans()):
        words.append(f"{draw(BANG)}-i {draw(FACE)}")
    if draw(st.booleans()):
        words.append(f"{draw(BANG)}-o {draw(FACE)}")
    if draw(st.integers(0, 9)) == 0:
        words.append(f"{draw(BANG)}-f")
    words.append(draw(protocol()))
    words += draw(st.lists(match(), max_size=3))
    verdicts = "ACCEPT DROP RETURN REJECT LOG USER".split()
    words.append(
        draw(
            st.sampled_from(
                [
                    *(f"-j {v}" for v in verdicts),
                    "-g USER",
                    "",
                    "-j REJECT --reject-with admin-prohib",
                    f"-j LOG --log-prefix {quoted(draw(COMMENT))} --log-level {draw(st.integers(0, 7))}",
                    f"-j MARK --set-mark {draw(MARK)}",
                    f"-j CONNMARK --xor-mark {draw(st.integers(0, 0xFFFFFFFF))}",
                ]
            )
        )
    )
    return " ".join(filter(None, words))
