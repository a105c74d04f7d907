"""What iptables 1.8.9 (nf_tables) reads, prints and says, as the tool itself did on a 6.18 kernel (iptables-1.8.9/).

rules       a rule, and its line in -S, in -L -n -v --line-numbers and in -L
refusals    a command that is refused (or not), with message and exit status
sessions    commands one after another on an empty firewall, each with its output
restores    texts for iptables-restore, with message, exit status and what the filter table is afterwards
"""

import json
from pathlib import Path
from typing import Any

import pytest

from pystack.firewall import Firewall, FirewallError, iptables, iptables_restore, iptables_save

DATA = Path(__file__).with_name("iptables-1.8.9")


def records(name: str) -> list[Any]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


def outcome(firewall: Firewall, command: str) -> tuple[int, str, str]:
    """Exit status, output, message, as the tool's caller sees them."""
    try:
        return 0, iptables(firewall, command), ""
    except FirewallError as error:
        return error.status, "", str(error).strip()


NOT_READ_AGAIN = ("0b/s", "recent --rcheck --seconds -1")
"""What the tool prints and does not take itself."""


@pytest.mark.parametrize("record", records("rules"), ids=lambda r: f"{r['table']} {r['rule']}"[:70])
def test_rules_are_printed_as_the_tool_prints_them(record: Any):
    firewall = Firewall()
    table, chain = record["table"], record["chain"]
    iptables(firewall, f"-t {table} -N USER")
    before = iptables_save(firewall)
    done = outcome(firewall, f"-t {table} -A {chain} {record['rule']}")
    assert (done[0], done[2]) == (record["rc"], record.get("err", "").strip())
    if done[0]:
        assert iptables_save(firewall) == before
        return
    assert iptables(firewall, f"-t {table} -S {chain}").splitlines()[1:] == record["S"]
    listed = iptables(firewall, f"-t {table} -L {chain} -n -v --line-numbers").splitlines()
    assert listed[2:] == record["Lv"]
    assert iptables(firewall, f"-t {table} -L {chain}").splitlines()[2:] == record["L"]


def test_every_rule_loads_again_from_what_was_saved():
    for record in records("rules"):
        if record["rc"] or record["rule"].startswith(("-c", "--set-counters")):
            continue
        if any(word in line for line in record["S"] for word in NOT_READ_AGAIN):
            continue
        first, second = Firewall(), Firewall()
        for firewall in (first, second):
            iptables(firewall, f"-t {record['table']} -N USER")
        iptables(first, f"-t {record['table']} -A {record['chain']} {record['rule']}")
        for line in record["S"]:
            iptables(second, f"-t {record['table']} {line}")
        assert iptables_save(first) == iptables_save(second)


@pytest.mark.parametrize(
    "record", records("refusals"), ids=lambda r: r["command"][:70] or "nothing"
)
def test_what_the_tool_refuses(record: Any):
    firewall = Firewall()
    iptables(firewall, "-N USER")
    before = iptables_save(firewall)
    status, _, message = outcome(firewall, record["command"])
    if status == 0:  # remarks of the tool about what it did do are not kept
        assert record["rc"] == 0
    else:
        assert (status, message) == (record["rc"], record["err"].strip())
        assert iptables_save(firewall) == before


@pytest.mark.parametrize("session", records("sessions"), ids=lambda s: s[-3]["command"][:40])
def test_sessions(session: list[Any]):
    firewall = Firewall()
    for step in session:
        done = outcome(firewall, step["command"])
        wanted = (step["rc"], step["out"], step["err"].strip())
        assert done == wanted, step["command"]


@pytest.mark.parametrize("record", records("restores"), ids=lambda r: r["text"][:50])
def test_restores(record: Any):
    firewall = Firewall()
    iptables(firewall, "-N OLD")
    iptables(firewall, "-A INPUT -s 9.9.9.9 -j OLD")
    try:
        done = (0, iptables_restore(firewall, record["text"], record["flags"]), "")
    except FirewallError as error:
        done = (error.status, "", str(error))
    assert done == (record["rc"], record["out"], record["err"])
    assert iptables_save(firewall, "-c -t filter").splitlines()[2:-2] == record["filter"]


def test_what_has_no_effect_here_is_refused():
    """These a kernel accepts, if it has the modules; here nothing would come of them."""
    firewall = Firewall()
    assert outcome(firewall, "-t raw -A PREROUTING -p tcp -j CT --helper ftp")[0] == 4
    assert outcome(firewall, "-A INPUT -m owner --uid-owner 0")[0] == 2
    assert iptables_save(firewall) == ""


def test_where_the_word_is_that_was_refused():
    with pytest.raises(FirewallError) as caught:
        iptables_restore(Firewall(), "*filter\n:X - [0:0]\n-A X -p tcp --dport 80 --foo\nCOMMIT\n")
    assert (caught.value.line, caught.value.column) == (3, 24)
    with pytest.raises(FirewallError) as caught:
        iptables_restore(Firewall(), "*filter\n[1:2] -A INPUT -p bogus\nCOMMIT\n")
    assert (caught.value.line, caught.value.column) == (2, 16)
    with pytest.raises(FirewallError) as caught:
        iptables(Firewall(), "-A INPUT -j ACCEPT stray")
    assert (caught.value.line, caught.value.column) == (0, 20)


def test_save_has_dates_and_only_what_was_touched():
    firewall = Firewall(clock=lambda: 1763718225.0)
    iptables(firewall, "-t raw -N U")
    assert iptables_save(firewall) == (
        "# Generated by iptables-save v1.8.9 (nf_tables) on Fri Nov 21 09:43:45 2025\n"
        "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:U - [0:0]\nCOMMIT\n"
        "# Completed on Fri Nov 21 09:43:45 2025\n"
    )
