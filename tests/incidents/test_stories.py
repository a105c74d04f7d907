"""Every story: its symptom at full size within its time, and each of its cures, which helps or is folklore."""

from __future__ import annotations

import pytest
from incident_kit import THIN, cured, story

from pystack._fast.consts import SECOND
from pystack.report.verdict import commands, helps, verdict
from pystack.scenarios.load import load, names, read
from pystack.scenarios.run import Play

SEEN = {
    "conntrack-table-full": ("conntrack flows", "ETIMEDOUT"),
    "deploy-reset": ("listen queue *:80", "ETIMEDOUT"),
    "ephemeral-ports": ("local ports", "EADDRNOTAVAIL"),
    "fin-wait-2-apache": (None, None),
    "fin-wait-2-ipfw": ("ipfw dynamic rules", "ETIMEDOUT"),
    "hash-flood": (None, None),
    "keepalive-storm": ("ipfw dynamic rules", "ETIMEDOUT"),
    "listen-overflow": ("listen queue *:80", "ECONNRESET"),
    "mbuf-exhaustion": ("mbuf_cluster", "ETIMEDOUT"),
    "nat-forgets": (None, "ECONNRESET"),
    "snat-port-exhaustion": (None, "ETIMEDOUT"),
    "syn-flood": ("half-open in a bucket", "ECONNRESET"),
    "tcb-hash": (None, None),
    "too-many-files": ("descriptors of nginx[701]", "ECONNRESET"),
}
"""The limit that bites first, and an errno that clients see."""
LOG = {
    "conntrack-table-full": "nf_conntrack: table full, dropping packet.",
    "deploy-reset": "Possible SYN flooding on port 80. Dropping request.",
    "hash-flood": "possible SYN flooding on port 80. Sending cookies.",
    "keepalive-storm": "ipfw: add_dyn_rule: Cannot allocate rule",
    "fin-wait-2-ipfw": "ipfw: add_dyn_rule: Cannot allocate rule",
    "listen-overflow": "Listen queue overflow: ",
    "too-many-files": "[crit] accept() failed (24: Too many open files)",
}
OWN_SIZE = [("ephemeral-ports", "keep-alive"), ("snat-port-exhaustion", "keep-alive")]
"""Cures with a rate of their own: nothing but the full size can be compared."""
QUICK = (
    "conntrack-table-full",
    "deploy-reset",
    "fin-wait-2-apache",
    "fin-wait-2-ipfw",
    "hash-flood",
    "keepalive-storm",
    "nat-forgets",
)
"""Small enough for the interpreted leg."""
CASES = [
    pytest.param(name, cure, marks=() if name in QUICK else pytest.mark.slow)
    for name in names()
    for cure in read(name).changed().cures
    if (name, cure) not in OWN_SIZE
]


def test_every_scenario_has_its_place_here():
    assert sorted(SEEN) == sorted(THIN) == names()


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", names())
def test_the_symptom_at_full_size(name: str):
    ill = story(name)
    limit, error = SEEN[name]
    assert ill.whole
    assert ill.suffering > 0
    assert (ill.first.limit if ill.first else None) == limit
    assert error is None or error in ill.errors
    assert error is None or ill.failed > 100
    if name in LOG:
        assert any(LOG[name] in text for _, text in ill.log)
    assert ill.worst is not None
    assert ill.worst.owners
    assert all(text.strip() for text in ill.worst.views.values())


@pytest.mark.parametrize(("name", "cure"), CASES)
def test_each_cure_does_what_is_said_of_it(name: str, cure: str):
    ill, well = story(name, small=True), cured(name, cure, small=True)
    assert helps(ill, well) is read(name).changed().cures[cure].helps, (
        ill.suffering,
        well.suffering,
    )


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize(("name", "cure"), OWN_SIZE)
def test_a_cure_at_full_size(name: str, cure: str):
    assert helps(story(name), cured(name, cure))


def test_a_flood_that_aims_meets_its_chain_and_no_other():
    """All of its flows are in one chain of the keyless hash; what a key makes of them is the chance of any others."""
    name = "hash-flood"
    chains = story(name, small=True).final_chains
    assert len(chains) > 500
    assert chains[-1] == 1
    assert not any(
        chains[100:-1]
    )  # visitors' answers, all from port 80, are not spread well either
    assert len(cured(name, "siphash", small=True).final_chains) < 10


def test_an_interrupted_run_knows_its_symptom():
    """Who presses Ctrl-C is told what is known by then, the chains included."""
    playing = Play(load("hash-flood", THIN["hash-flood"]))
    for result in playing:
        if len(result.times) == 20:
            break
    assert not result.whole
    assert result.suffering > 50
    assert result.worst is not None


def test_who_comes_back_at_once_is_away_for_longer():
    """The herd is let in a queue at a time; spread over half a minute nobody waits for an answer."""
    name = "deploy-reset"
    herd = story(name, small=True)
    spread = cured(name, "spread", small=True)
    assert herd.latencies.percentile(99) > 1_000_000_000
    assert spread.latencies.percentile(99) < 1_000_000_000
    assert herd.late()[1] < spread.clients["devices"].started[-1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_fails_almost_at_the_same_point_every_time(seed: int):
    """When all ports of the pool have had their turn, and not before; from then on about every second connection."""
    ill = story("snat-port-exhaustion", f"seed={seed}", small=True)
    ports = 4250 - 1024
    assert ill.first_failure is not None
    assert -1 <= ill.first_failure / SECOND - ports / 75 < 3
    begun = ill.clients["test"].started
    wrapped = begun[-1] - ports
    assert 0.25 < ill.failed / wrapped < 0.75


@pytest.mark.slow
def test_recycling_behind_nat_makes_it_worse():
    name = "snat-port-exhaustion"
    assert cured(name, "tw-recycle", small=True).failed > 3 * story(name, small=True).failed


def test_lingering_is_what_shows_the_error_page():
    name = "fin-wait-2-apache"
    assert story(name, small=True).clients["uploads"].failed[-1] == 0
    for cure in ("plain-close", "so-linger"):
        uploads = cured(name, cure, small=True).clients["uploads"]
        assert (uploads.answered[-1], uploads.failed[-1]) == (0, 3)


@pytest.mark.slow
def test_a_server_in_zoneli_and_one_that_is_told():
    """The patch of the report answers ENOBUFS: the worker lives, and goes on when the readers are reset."""
    name = "mbuf-exhaustion"
    asleep = story(name, small=True)
    assert asleep.late()[0] == 0
    told = story(
        name,
        "hosts.web.policy.mbuf_shortage=enobufs",
        "services.nginx.options.send_timeout=20s",
        "services.nginx.options.reset_timedout_connections=on",
        small=True,
    )
    assert told.late()[1] == 0
    assert told.late()[0] > 10


@pytest.mark.slow
def test_the_verdict_has_the_words_of_both_families():
    name = "ephemeral-ports"
    ill = story(name, small=True)
    found = verdict(
        name, read(name).changed(), ill, {"wider-range": cured(name, "wider-range", small=True)}
    )
    said = dict(found.paragraphs())
    assert "FreeBSD 7: net.inet.ip.portrange.last" in said["What to turn"]
    assert "Linux: net.ipv4.ip_local_port_range" in said["What to turn"]
    assert any("TIME_WAIT" in line for line in said["Who owns its entries"])
    assert found.sentence.startswith("local ports (net.inet.ip.portrange.last) ran out at ")
    (wider,) = found.cures
    assert (wider.helps, wider.failed) == (True, 0)


def test_commands_are_those_of_the_system():
    said = commands(
        ["web:net.inet.tcp.msl=5000", "web:net.inet.tcp.tcbhashsize=4096", "services.nginx.options.keepalive=2s",
         "fw:net.netfilter.nf_conntrack_buckets=65536",
         "hosts.web.ipfw=\nadd 100 allow ip from any to any"]
    )  # fmt: skip
    assert said == [
        "web# sysctl net.inet.tcp.msl=5000",
        "web# echo 'net.inet.tcp.tcbhashsize=\"4096\"' >> /boot/loader.conf",
        "nginx: keepalive 2s",
        "fw# echo 65536 > /sys/module/nf_conntrack/parameters/hashsize",
        "web# ipfw add 100 allow ip from any to any",
    ]
