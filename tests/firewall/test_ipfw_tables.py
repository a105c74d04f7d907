"""Commands about tables: numbers up to 10, names since 11."""

import pytest
from ipfw_kit import Machine, ip


@pytest.fixture
def modern():
    return Machine("e12")


def told(machine, line):
    outcome = machine.run(line)
    return outcome.status, outcome.out, outcome.err.removeprefix("ipfw: ").rstrip("\n")


def test_tables_of_8_have_addresses_only():
    machine = Machine("e8")
    machine.ok("table 1 add 10.1.2.3/8 7")
    assert machine.ok("table 1 list") == "10.0.0.0/8 7\n"
    assert told(machine, "table 1 add 10.0.0.0/8") == (
        71,
        "",
        "setsockopt(IP_FW_TABLE_ADD): File exists",
    )
    assert told(machine, "table 1 delete 11.0.0.0/8") == (
        71,
        "",
        "setsockopt(IP_FW_TABLE_DEL): No such process",
    )
    assert told(machine, "table 1 add em0") == (68, "", "hostname ``em0'' unknown")
    assert told(machine, "table 1 add 10.0.0.0/33") == (65, "", "bad width ``33''")


def test_quiet_commands_replace_and_do_not_mind():
    machine = Machine("e10")
    machine.ok("table 1 add 10.0.0.0/8 1")
    machine.ok("-q table 1 add 10.0.0.0/8 2")
    machine.ok("-q table 1 delete 11.0.0.0/8")
    assert machine.ok("table 1 list") == "10.0.0.0/8 2\n"
    assert machine.ok("-i table 1 list") == "10.0.0.0/8 0.0.0.2\n"
    machine.ok("table 2 add 1.2.3.4 10.0.0.1")
    assert (
        machine.ok("table all list")
        == "---table(1)---\n10.0.0.0/8 2\n---table(2)---\n1.2.3.4/32 167772161\n"
    )
    machine.ok("table all flush")
    assert machine.ok("table all list") == ""


def test_a_table_is_created_filled_and_destroyed(modern):
    modern.ok("table bad create type addr limit 3")
    assert told(modern, "table bad create") == (71, "", "Table creation failed: File exists")
    assert (
        modern.ok("table bad add 10.0.0.0/8 5 10.1.0.0/16 6")
        == "added: 10.0.0.0/8 5\nadded: 10.1.0.0/16 6\n"
    )
    assert told(modern, "table bad add 10.0.0.0/8 7") == (
        71,
        "exists: 10.0.0.0/8 7\n",
        "Adding record failed: record already exists",
    )
    assert modern.ok("-q table bad add 10.0.0.0/8 7") == ""
    assert modern.ok("table bad list") == "10.0.0.0/8 7\n10.1.0.0/16 6\n"
    assert modern.ok("table bad lookup 10.1.2.3") == "10.1.0.0/16 6\n"
    assert told(modern, "table bad lookup 11.1.2.3") == (69, "", "Entry 11.1.2.3 not found")
    assert modern.ok("table bad info") == (
        "--- table(bad), set(0) ---\n"
        " kindex: 1, type: addr\n"
        " references: 0, valtype: legacy\n"
        " algorithm: addr:radix\n"
        " items: 2, size: 584\n"
        " limit: 3\n"
    )
    assert modern.ok("table bad detail") == modern.ok("table bad info") + (
        " IPv4 algorithm radix info\n  items: 2 itemsize: 200\n"
        " IPv6 algorithm radix info\n  items: 0 itemsize: 200\n"
    )
    modern.ok("add 100 deny ip from table(bad) to any")
    assert told(modern, "table bad destroy") == (71, "", "failed to destroy table bad: Device busy")
    assert " references: 1, valtype: legacy\n" in modern.ok("table bad info")
    modern.ok("delete 100")
    modern.ok("table bad destroy")
    assert told(modern, "table bad destroy") == (
        0,
        "",
        "failed to destroy table bad: No such process",
    )
    assert told(modern, "table bad list") == (
        71,
        "",
        "failed to request table info: No such process",
    )


def test_all_or_nothing(modern):
    modern.ok("table t create limit 2")
    assert told(modern, "table t atomic add 1.0.0.0/8 1 2.0.0.0/8 2 3.0.0.0/8 3 4.0.0.0/8 4") == (
        71,
        "added(reverted): 1.0.0.0/8 1\nadded(reverted): 2.0.0.0/8 2\nlimit: 3.0.0.0/8 3\nignored: 4.0.0.0/8 4\n",
        "Adding record failed: limit hit",
    )
    assert modern.ok("table t list") == ""
    assert told(modern, "table t atomic delete 1.0.0.0/8") == (
        64,
        "",
        "atomic is not compatible with delete",
    )
    assert modern.ok("table t add 1.0.0.0/8 1 2.0.0.0/8 2").count("added") == 2
    assert (
        modern.ok("table t delete 1.0.0.0/8 2.0.0.0/8")
        == "deleted: 1.0.0.0/8 1\ndeleted: 2.0.0.0/8 2\n"
    )
    assert told(modern, "table t delete 1.0.0.0/8") == (
        71,
        "notfound: 1.0.0.0/8 0\n",
        "Deleting record failed: record not found",
    )


def test_locks_and_swaps(modern):
    for line in ("table a create", "table b create", "table n create type number"):
        modern.ok(line)
    modern.ok("table a add 1.0.0.0/8 1")
    modern.ok("table b add 2.0.0.0/8 2 3.0.0.0/8 3")
    modern.ok("table a swap b")
    assert modern.ok("table all list") == (
        "--- table(a), set(0) ---\n2.0.0.0/8 2\n3.0.0.0/8 3\n--- table(b), set(0) ---\n1.0.0.0/8 1\n"
        "--- table(n), set(0) ---\n"
    )
    assert told(modern, "table a swap n") == (64, "", "Unable to swap table: check types")
    modern.ok("table b modify limit 1")
    assert told(modern, "table a swap b") == (64, "", "Unable to swap table: check limits")
    modern.ok("table a lock")
    assert told(modern, "table a add 9.0.0.0/8") == (
        71,
        "error: 9.0.0.0/8 0\n",
        "Adding record failed: table is locked",
    )
    assert ", locked\n" in modern.ok("table a info")
    modern.ok("table a unlock")
    modern.ok("table a flush")
    assert modern.ok("table a list") == ""


def test_a_table_that_nobody_created(modern):
    outcome = modern.run("table ports add 80 1")
    assert outcome.status == 0
    assert (
        outcome.err
        == "ipfw: DEPRECATED: inserting data into non-existent table ports. (auto-created)\n"
    )
    assert outcome.out == "added: 80 1\n"
    assert " kindex: 1, type: number\n" in modern.ok("table ports info")
    assert told(modern, "table x add 10.5") == (
        64,
        "",
        "Table x does not exist, cannot guess key '10.5' type",
    )
    assert told(modern, "table x delete 10.0.0.5") == (65, "", "Table x does not exist")
    modern.ok("add 100 allow ip from any to any lookup dst-port newone")
    assert ", type: number\n" in modern.ok("table newone info")


def test_words_about_tables_that_are_wrong(modern):
    for line, text in (
        ("table", "table needs name"),
        ("table a/b list", "table name a/b is invalid"),
        ("table t", "table needs command"),
        ("table t frob", "invalid table command frob"),
        ("table t d", "ambiguous table command d"),
        ("table all add 1.2.3.4", "table name required"),
        (
            "table t create type frob",
            "Unknown tabletype: frob. Supported: addr, iface, number, flow",
        ),
        ("table t create frob", "invalid option frob"),
        ("table t add", "address required"),
    ):
        assert told(modern, line) == (64, "", text)
    assert told(modern, "table t create type flow")[0] == 69
    assert told(modern, "table t create algo iface:array") == (
        71,
        "",
        "Table creation failed: Invalid argument",
    )
    assert modern.chain.tables.all() == []


def test_the_engine_finds_what_the_command_put_there(modern):
    modern.ok("table nets create")
    modern.ok("table nets add 10.0.0.0/8 5 10.1.0.0/16 6")
    modern.ok("add 100 skipto tablearg ip from table(nets) to any")
    insn = next(iter(modern.chain)).patterns[0]
    core = modern.chain.tables.cores[insn.arg]
    assert core.find(ip("10.1.2.3"))
    assert core.value == 6
    assert not core.find(ip("11.0.0.1"))


def test_interfaces_have_numbers_when_they_come(modern):
    modern.ok("table ifs create type iface")
    modern.ok("table ifs add em0 1 em1 2")
    modern.ok("add 100 allow ip from any to any via table(ifs)")
    insn = next(iter(modern.chain)).patterns[0]
    core = modern.chain.tables.cores[insn.data[0]]
    assert not core.find(3)
    modern.chain.tables.interface("em1", 3)
    assert core.find(3)
    assert core.value == 2
    modern.ok("table ifs delete em1")
    assert not core.find(3)
    assert modern.ok("table ifs list") == "em0 1\n"


# --- tables that belong to sets --------------------------------------------------------------------------------------


@pytest.fixture
def sorted_by_set(modern):
    """`net.inet.ip.fw.tables_sets` is set."""
    modern.engine.cfg.fw_tables_sets = 1
    return modern


def in_sets(machine, name):
    return [table.set for table in machine.chain.tables.all() if table.name == name]


def test_without_the_knob_a_table_is_everybodys(modern):
    modern.ok("set 3 table bad create")
    modern.ok("add 100 set 5 deny ip from table(bad) to any")
    assert in_sets(modern, "bad") == [0]
    assert modern.ok("table bad info").startswith("--- table(bad), set(0) ---\n")
    modern.ok("set move 5 to 7")
    modern.ok("set swap 7 0")
    assert in_sets(modern, "bad") == [0]


def test_a_table_for_each_set(sorted_by_set):
    machine = sorted_by_set
    machine.ok("table bad create")
    machine.ok("set 3 table bad create type addr")
    assert told(machine, "set 3 table bad create") == (
        71,
        "",
        "Table creation failed: File exists",
    )
    machine.ok("table bad add 10.0.0.0/8 1")
    machine.ok("set 3 table bad add 192.0.2.0/24 2")
    assert machine.ok("table bad list") == "10.0.0.0/8 1\n"
    assert machine.ok("set 3 table bad list") == "192.0.2.0/24 2\n"
    assert told(machine, "set 4 table bad list") == (
        71,
        "",
        "failed to request table info: No such process",
    )
    assert machine.ok("table all list") == (
        "--- table(bad), set(0) ---\n10.0.0.0/8 1\n--- table(bad), set(3) ---\n192.0.2.0/24 2\n"
    )
    assert machine.ok("set 3 table all list") == "--- table(bad), set(3) ---\n192.0.2.0/24 2\n"
    machine.ok("set 3 table all flush")
    assert machine.ok("table all list") == (
        "--- table(bad), set(0) ---\n10.0.0.0/8 1\n--- table(bad), set(3) ---\n"
    )


def test_a_rule_looks_into_the_table_of_its_own_set(sorted_by_set):
    machine = sorted_by_set
    machine.ok("table bad create")
    machine.ok("set 3 table bad create")
    machine.ok("add 100 deny ip from table(bad) to any")
    machine.ok("add 200 set 3 deny ip from table(bad) to any")
    machine.ok("add 300 set 4 deny ip from any to any via table(ifs)")
    assert [insn.table for rule in list(machine.chain)[:3] for insn in rule.patterns] == [1, 2, 3]
    assert in_sets(machine, "ifs") == [4]
    assert " references: 1," in machine.ok("set 3 table bad info")
    assert told(machine, "set 3 table bad destroy") == (
        71,
        "",
        "failed to destroy table bad: Device busy",
    )
    machine.ok("set 3 delete 200")
    machine.ok("set 3 table bad destroy")
    assert in_sets(machine, "bad") == [0]


def test_sets_take_their_tables_along(sorted_by_set):
    machine = sorted_by_set
    machine.ok("table bad create")
    machine.ok("set 3 table bad create")
    machine.ok("set 3 table good create")
    machine.ok("add 200 set 3 deny ip from table(bad) to any")
    machine.ok("set swap 0 3")
    assert [(table.index, table.set) for table in machine.chain.tables.all()] == [
        (2, 0),
        (1, 3),
        (3, 0),
    ]
    assert told(machine, "set move 0 to 3") == (71, "", "failed to move set: File exists")
    assert [rule.set for rule in machine.chain] == [0, 31]
    machine.ok("set move 0 to 5")
    assert in_sets(machine, "bad") == [3, 5]
    assert in_sets(machine, "good") == [5]
    assert [rule.set for rule in machine.chain] == [5, 31]


def test_a_rule_moves_with_its_table_if_that_is_its_alone(sorted_by_set):
    machine = sorted_by_set
    for line in (
        "add 100 deny ip from table(a) to any",
        "add 200 deny ip from table(b) to any",
        "add 300 allow ip from table(b) to any",
    ):
        machine.ok(line)
    machine.ok("set move rule 100 to 9")
    assert (in_sets(machine, "a"), in_sets(machine, "b")) == ([9], [0])
    assert told(machine, "set move rule 200 to 9") == (71, "", "failed to move rule: Device busy")
    machine.ok("set 9 table b create")
    machine.ok("delete 300")
    assert told(machine, "set move rule 200 to 9") == (71, "", "failed to move rule: File exists")
    machine.ok("set 9 table b destroy")
    machine.ok("set move rule 200 to 9")
    assert in_sets(machine, "b") == [9]
