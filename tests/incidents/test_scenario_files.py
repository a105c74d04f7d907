"""What a scenario file may say, and what is said where it cannot be: file, line, what was meant."""

from pathlib import Path

import pytest

from pystack.scenarios.load import SettingError, UnknownScenario, load, names, read
from pystack.scenarios.run import Play, run
from pystack.sysctl.strict_toml import TomlError

SMALL = """title = "one"
lasting = "4s"
sample = "500ms"

[hosts.web]
profile = "linux-6"
address = "192.0.2.1/24"

[hosts.me]
profile = "linux-6"
address = "192.0.2.2/24"
machines = 2

[links.lan]
between = ["web", "me"]
delay = "1ms"

[services.http]
host = "web"

[traffic.load]
kind = "browsers"
from = "me"
to = "web:80"
rate = 20
arrivals = "even"
timeout = "1s"

[watch]
host = "web"
limit = "listen queue"
"""


@pytest.fixture
def file(tmp_path: Path):
    path = tmp_path / "mine.toml"

    def written(text: str = SMALL) -> Path:
        path.write_text(text)
        return path

    return written


def test_a_file_of_ones_own_runs(file):
    result = run(load(file()))
    assert (result.answered, result.failed, result.whole) == (79, 0, True)
    assert result.times[-1] == 4 * 10**9
    assert len(result.times) == 8
    assert result.clients["load"].started[-1] == 80
    assert result.latencies.percentile(50) == 4_000_000  # two round trips
    assert result.bites == []


PAUSE = '[faults.f]\nkind = "pause"\nat = "1s"\nlasting = "1s"\n'
JUMP = '[faults.f]\nkind = "clock-jump"\nat = "1s"\n'


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("title", "titel", 1, "unknown key 'titel'; did you mean title"),
        ('delay = "1ms"', "delay = 1.5", 16, "delay: time 1.5: give an int (ns) or a string"),
        ('delay = "1ms"', 'delay = "1"', 16, "has no unit"),
        ('sample = "500ms"', 'sample = "0s"', 3, "this is no time at all"),
        ('host = "web"\n\n[traffic', 'host = "wep"\n\n[traffic', 19, "no host 'wep'; did you mean web"),
        ('profile = "linux-6"\naddress = "192.0.2.1', 'profile = "linux-7"\naddress = "192.0.2.1', 6,
         "no profile 'linux-7'; did you mean linux-6"),
        ("rate = 20", "rate = 20\nclients = 3", 21, "give rate (open loop) or clients (closed loop)"),
        ("rate = 20", "rate = -1", 25, "greater than 0"),
        ('to = "web:80"', 'to = "web"', 24, "no HOST:PORT such as 'web:80'"),
        ('to = "web:80"', 'to = "wab:80"', 24, "no host 'wab'; did you mean web"),
        ('between = ["web", "me"]', 'between = ["web", "web"]', 15, "joins nothing"),
        ('kind = "browsers"', 'kind = "browser"', 22, "none of browsers, readers"),
        ('[links.lan]\nbetween = ["web", "me"]\ndelay = "1ms"\n', "", 21, "no link joins me and web"),
        ('address = "192.0.2.2/24"', 'address = "192.0.2.2/24"\nipfw = "add 1 allow ip"', 12, "Linux 6 has no ipfw"),
        ('host = "web"\nlimit', 'host = "web"\nlimt = "a"\nlimit', 31, "unknown key 'limt'; did you mean limit"),
        ("machines = 2", 'sysctl = { "net.ipv4.tcp_fin_timout" = 3 }', 12, "net.ipv4.tcp_fin_timeout"),
        ("machines = 2", '[hosts.me.sysctl]\n"net.ipv4.tcp_fin_timeout" = "soon"', 13, "tcp_fin_timeout"),
        ("machines = 2", 'iptables = """\n-A INPUT -j ACCEPT\n-A INPUT -j NOWHERE\n"""', 14, "NOWHERE"),
        ('host = "web"\n\n[traffic', 'host = "web"\noptions = { keepalve = "off" }\n\n[traffic', 18, "keepalive"),
        ("[watch]", "[watch", 29, "Expected ']'"),
        ("[watch]", '[faults.f]\nkind = "puase"\nat = "1s"\n\n[watch]', 30, "'puase' is none of partition, loss"),
        ("[watch]", '[faults.f]\nat = "1s"\n\n[watch]', 29, "faults.f needs 'kind'"),
        ("[watch]", PAUSE.replace('lasting = "1s"', 'host = "web"') + "[watch]", 29, "needs 'lasting'"),
        ("[watch]", PAUSE + "[watch]", 29, "pause needs host"),
        ("[watch]", PAUSE + 'service = "http"\nclock = "ran"\n[watch]', 29, "clock and ring are a machine's"),
        ("[watch]", PAUSE + 'host = "web"\nclock = "run"\n[watch]', 34, "'run' is none of ran, stood"),
        ("[watch]", PAUSE + 'host = "wep"\n[watch]', 33, "no host 'wep'; did you mean web"),
        ("[watch]", JUMP + 'host = "web"\nby = "-1s"\n[watch]', 29, "the wall clock may go back"),
        ("[watch]", JUMP + 'host = "web"\nby = "-1"\n[watch]', 33, "has no unit"),
        ("[watch]", JUMP.replace("clock-jump", "forget") + 'host = "web"\nlasting = "1s"\n[watch]', 33,
         "forget has no 'lasting'"),
        ("rate = 20", "rate = 20\nchains = 8", 26, "browsers has no 'chains'"),
        ("rate = 20", "rate = 20\nrtae = 8", 26, "unknown key 'rtae'; did you mean rate"),
        ('kind = "browsers"', 'kind = "residents"', 25, "residents has no 'rate'"),
        ('kind = "browsers"', 'kind = "shell"', 25, "shell has no 'rate'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(file, before, after, line, said):
    assert before in SMALL
    path = file(SMALL.replace(before, after, 1))
    with pytest.raises(TomlError) as error:
        load(path)
    place, text = str(error.value)[len(str(path)) :].split(": ", 1)
    assert said in text
    assert place.startswith(f":{line}:"), str(error.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("web:net.ipv4.tcp_fin_timout=3", "linux-6 has no knob 'net.ipv4.tcp_fin_timout'; did you mean"),
        ("wab:net.ipv4.tcp_fin_timeout=3", "no host 'wab'; did you mean web"),
        ("net.ipv4.tcp_fin_timeout", "write HOST:KNOB=VALUE"),
        ("net.ipv4.tcp_fin_timeout=3", "of which machine? web:net.ipv4.tcp_fin_timeout=3"),
        ("tcp_fin_timeout=3", "of which machine? web:net.ipv4.tcp_fin_timeout=3"),
        ("traffic.load.rat=3", "unknown key 'rat'; did you mean rate"),
        ("traffic.lood.rate=3", "no 'lood' there; did you mean load"),
        ("traffic.load.rate=fast", "rate"),
        ("title.x=3", "has no fields"),
        ("web:net.ipv4.tcp_fin_timeout=soon", "net.ipv4.tcp_fin_timeout"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_by_itself(file, setting, said):
    with pytest.raises(SettingError) as error:
        load(file(), [setting])
    assert str(error.value).startswith(setting) or "write HOST" in said
    assert said in str(error.value)


def test_settings_reach_what_they_name(file):
    chosen = load(file(), ["web:net.ipv4.tcp_fin_timeout=3", "traffic.load.rate=5", "lasting=2s"])
    assert chosen.hosts["web"].sysctl == {"net.ipv4.tcp_fin_timeout": "3"}
    assert (chosen.traffic["load"].rate, chosen.lasting) == (5, 2 * 10**9)
    playing = Play(chosen)
    assert playing.world.watched.sysctl["net.ipv4.tcp_fin_timeout"] == 3
    assert load(file()).lasting == 4 * 10**9  # the file is as it was


def test_an_unknown_name():
    with pytest.raises(UnknownScenario, match="did you mean fin-wait-2-ipfw"):
        read("fin-wait-ipfw")


def test_who_knocks_at_a_closed_door_fails_at_once(file):
    result = run(load(file(), ["traffic.load.to=web:81"]))
    assert (result.answered, set(result.errors)) == (0, {"ECONNREFUSED"})
    assert result.success == 0


FAULT = """
[faults.outage]
kind = "partition"
at = "1s"
lasting = "1500ms"
link = "lan"
"""


def test_a_fault_has_its_time(file):
    result = run(load(file(SMALL + FAULT)))
    assert [(ns, text) for ns, text in result.events] == [
        (10**9, "outage: lan carries nothing for 1.5s"),
        (25 * 10**8, "outage: over"),
    ]
    # 30 come in the outage, and nobody waits until his SYN is repeated
    assert result.errors == {"ETIMEDOUT": 30}


def test_a_killed_server_and_its_return(file):
    fault = FAULT.replace("partition", "kill").replace('link = "lan"', 'service = "http"')
    result = run(load(file(SMALL + fault)))
    assert set(result.errors) == {"ECONNREFUSED"}
    assert result.failed == 30


PAUSED = """
[faults.freeze]
kind = "pause"
at = "1s"
lasting = "1500ms"
"""


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ('host = "web"', "web stands still for 1.5s"),
        ('host = "web"\nclock = "stood"', "web stands still for 1.5s, and so does its clock"),
        ('service = "http"', "http is stopped for 1.5s"),
    ],
)
def test_who_is_paused_answers_late(file, what: str, words: str):
    """Twenty a second come. Who waits for longer than a second has gone, the others have their answer at the end."""
    result = run(load(file(SMALL + PAUSED + what)))
    assert result.events == [(10**9, f"freeze: {words}"), (25 * 10**8, "freeze: over")]
    assert set(result.errors) == {"ETIMEDOUT"}
    assert result.failed == pytest.approx(10, abs=1)
    late = sorted(ns for ns in result.latencies if ns > 10**7)
    assert len(late) == pytest.approx(20, abs=1)
    assert late[-1] == pytest.approx(10**9, abs=10**8)
    assert result.times[-1] == 4 * 10**9


def test_a_stopped_program_and_its_system(file):
    """Handshakes are made without it; a machine that stands still makes none."""
    patient = ["traffic.load.timeout=3s"]
    stopped = run(load(file(SMALL + PAUSED + 'service = "http"'), patient))
    assert stopped.limits["listen queue *:80"].high_water == pytest.approx(30, abs=1)
    still = run(load(file(SMALL + PAUSED + 'host = "web"'), patient))
    assert max(still.limits["listen queue *:80"].used) == 0
    assert stopped.failed == still.failed == 0


def test_two_pauses_of_one_machine_are_one(file):
    second = PAUSED.replace("freeze", "again").replace('"1s"', '"2s"') + 'host = "web"\n'
    result = run(load(file(SMALL + PAUSED + 'host = "web"\n' + second)))
    assert [text for _, text in result.events][-1] == "again: over"
    assert result.latencies.percentile(100) == pytest.approx(10**9, abs=10**8)
    last = max(ns for ns, text in result.events)
    assert last == 35 * 10**8


def test_what_is_to_happen_to_a_paused_machine_waits(file):
    kill = FAULT.replace("partition", "kill").replace('link = "lan"', 'service = "http"')
    result = run(load(file(SMALL + PAUSED + 'host = "web"' + kill)))
    assert [(ns // 10**6, text) for ns, text in result.events] == [
        (1000, "freeze: web stands still for 1.5s"),
        (2500, "freeze: over"),
        (2500, "outage: http is killed for 1.5s"),
        (4000, "outage: over"),
    ]


@pytest.mark.parametrize(
    ("what", "words", "closed"),
    [
        ('by = "20s"', "the clock jumps ahead by 20s on web", True),
        ('by = "20s"\nclock = "wall"', "the wall clock is set ahead by 20s on web", False),
        ('by = "-20s"\nclock = "wall"', "the wall clock is set back by 20s on web", False),
    ],
)
def test_a_clock_jumps(file, what: str, words: str, closed: bool):
    """Idle connections are as old as the clock says: all of them are closed at once, or none."""
    jump = f'[faults.jump]\nkind = "clock-jump"\nat = "2s"\nhost = "web"\n{what}\n'
    playing = Play(load(file(f"{SMALL}\n{jump}"), ["traffic.load.ending=follows"]))
    for result in playing:
        if result.times[-1] == 3 * 10**9:
            break
    assert result.events == [(2 * 10**9, f"jump: {words}")]
    alive = result.states["ESTABLISHED"][-1]
    assert alive == pytest.approx(20 if closed else 60, abs=1)
    assert [ns for ns, _ in result.log] == []


def test_a_command_when_the_limit_is_full(file):
    fault = """
[faults.panic]
kind = "command"
when = "50%"
host = "web"
command = "sysctl -w net.ipv4.tcp_fin_timeout=7"
"""
    text = SMALL.replace('limit = "listen queue"', 'limit = "descriptors of httpd"')
    settings = [
        "web:fs.nr_open=8",
        'traffic.load.paths=["/bytes/1000000"]',
        "links.lan.bandwidth=5Mbit/s",
    ]
    playing = Play(load(file(text + fault), settings))
    for _ in playing:
        pass
    assert playing.world.watched.sysctl["net.ipv4.tcp_fin_timeout"] == 7
    assert [text for _, text in playing.result.events] == [
        "panic: web# sysctl -w net.ipv4.tcp_fin_timeout=7",
        "net.ipv4.tcp_fin_timeout = 7",
    ]


@pytest.mark.parametrize("name", names())
def test_every_scenario_is_sound(name):
    """It loads, each of its cures too, and it says what a reader needs."""
    source = read(name)
    chosen = source.changed()
    assert chosen.title
    assert len(chosen.about) > 200
    assert chosen.cures
    for cure in chosen.cures.values():
        source.changed(cure.set)
        assert cure.costs
