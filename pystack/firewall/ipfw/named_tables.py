"""`table NAME ...` since 11: tables are created, have kinds and names, and answer with a line for each entry."""

from __future__ import annotations

import errno
from collections.abc import Callable

from pystack.addresses import dotted
from pystack.firewall.ipfw.chain import KernelRefusal
from pystack.firewall.ipfw.cnumbers import inet_pton, strtol, strtoul
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import (
    EX_DATAERR,
    EX_OSERR,
    EX_UNAVAILABLE,
    EX_USAGE,
    Refusal,
)
from pystack.firewall.ipfw.operands import valid_name
from pystack.firewall.ipfw.run import Run, reason
from pystack.firewall.ipfw.table_keys import address, host, interface, prefix
from pystack.firewall.ipfw.tables import Key, NamedTable, TableRefusal
from pystack.firewall.ipfw.words import Words

_KINDS = ("addr", "iface", "number", "flow")
_VALUES = (
    "skipto",
    "pipe",
    "fib",
    "nat",
    "dscp",
    "tag",
    "divert",
    "netgraph",
    "limit",
    "ipv4",
    "ipv6",
)
_RADIX_OCTETS = 200
"""Of an entry in a tree."""
_WHOLE = ("list", "info", "detail", "flush", "destroy")
_RESULTS = {errno.EEXIST: "exists", errno.EFBIG: "limit", errno.ENOENT: "notfound"}
_REASONS = {
    errno.EEXIST: "record already exists",
    errno.EFBIG: "limit hit",
    errno.ENOENT: "record not found",
    errno.EACCES: "table is locked",
}


def table(run: Run, words: Words) -> None:
    """`table NAME|all COMMAND`."""
    name = words.need("table needs name")
    words.take()
    if name != "all" and not valid_name(name):
        raise Refusal(EX_USAGE, f"table name {name} is invalid")
    words.need("table needs command")
    command = _token(_COMMANDS, words.take(), "table command")
    atomic = command == "atomic"
    if atomic:
        words.need("atomic needs command")
        command = _token(_COMMANDS, words.take(), "table command")
        if command != "add":
            raise Refusal(EX_USAGE, f"atomic is not compatible with {words.taken()}")
    if name == "all":
        if command not in _WHOLE:
            raise Refusal(EX_USAGE, "table name required")
        of_set = run.set
        for each in run.chain.tables.all():
            if of_set in (-1, each.set):
                run.set = each.set
                _COMMANDS[command](run, words, each.name, True)
    else:
        _COMMANDS[command](run, words, name, atomic)


def _token(table: dict[str, Callable[..., None]], word: str, what: str) -> str:
    """A word of a table or the beginning of just one."""
    if word in table:
        return word
    found = [name for name in table if name.startswith(word)]
    if len(found) != 1:
        raise Refusal(EX_USAGE, f"{'ambiguous' if found else 'invalid'} {what} {word}")
    return found[0]


# --- tables as a whole -----------------------------------------------------------------------------------------


def _create(run: Run, words: Words, name: str, atomic: bool) -> None:
    kind, algorithm = "addr", ""
    more: dict[str, object] = {}
    while words:
        option = _token(_NEW, words.take(), "option")
        if option == "limit":
            words.need("limit value required")
            more["limit"] = strtol(words.take())[0]
        elif option == "type":
            kind = _kind(words.need("table type required"))
            words.take()
        elif option == "valtype":
            more["valtype"] = _value_type(words.need("table value type required"))
            words.take()
        elif option == "algo":
            words.need("table algorithm name required")
            algorithm = words.take()
        elif option == "locked":
            more["locked"] = True
        elif option in ("missing", "or-flush"):
            present = run.chain.tables.get(name, run.table_set)
            if present is not None:
                if option == "or-flush" and not run.flags.test_only:
                    run.chain.tables.flush(present)
                return
    if run.flags.test_only:
        return
    try:
        run.chain.tables.create(name, kind, algorithm, run.table_set, **more)
    except TableRefusal as refusal:
        raise Refusal(EX_OSERR, f"Table creation failed: {_text(refusal)}") from None


def _kind(word: str) -> str:
    kind = word.partition(":")[0]
    if kind not in _KINDS:
        raise Refusal(EX_USAGE, f"Unknown tabletype: {kind}. Supported: {', '.join(_KINDS)}")
    if kind == "flow":
        raise Refusal(EX_UNAVAILABLE, "flow: there are no tables of flows on this machine")
    return kind


def _value_type(word: str) -> str:
    kinds = word.split(",")
    unknown = next((kind for kind in kinds if kind not in _VALUES), None)
    if unknown is not None:
        raise Refusal(EX_USAGE, f"Unknown value type: {unknown}. Supported: {', '.join(_VALUES)}")
    if len(kinds) > 1 or kinds == ["ipv6"]:
        raise Refusal(
            EX_UNAVAILABLE, f"valtype {word}: a table has one number for an entry on this machine"
        )
    return word


def _there(run: Run, name: str, status: int, what: str) -> NamedTable:
    """The table of a name."""
    found = run.chain.tables.get(name, run.table_set)
    if found is None:
        raise Refusal(status, f"{what}: {reason(KernelRefusal(errno.ESRCH))}")
    return found


def _text(refusal: TableRefusal) -> str:
    return reason(KernelRefusal(refusal.number))


def _modify(run: Run, words: Words, name: str, atomic: bool) -> None:
    limit = None
    while words:
        if _token(_NEW, words.take(), "option") != "limit":
            raise Refusal(EX_USAGE, "cmd is not supported for modification")
        words.need("limit value required")
        limit = strtol(words.take())[0]
    found = _there(run, name, EX_OSERR, "Table modification failed")
    if limit is not None:
        found.limit = limit


def _destroy(run: Run, words: Words, name: str, every: bool) -> None:
    found = run.chain.tables.get(name, run.table_set)
    what = (
        f"failed to destroy table {name}"
        if not every
        else f"failed to destroy table({name}) in set {run.table_set}"
    )
    if found is None:
        if not run.flags.quiet:
            run.warn(f"{what}: {reason(KernelRefusal(errno.ESRCH))}")
    elif run.chain.users(found):
        busy = reason(KernelRefusal(errno.EBUSY))
        if not every:
            raise Refusal(EX_OSERR, f"{what}: {busy}")
        if not run.flags.quiet:
            run.warn(f"{what}: {busy}")
    elif not run.flags.test_only:
        run.chain.tables.destroy(found)


def _flush(run: Run, words: Words, name: str, every: bool) -> None:
    found = run.chain.tables.get(name, run.table_set)
    what = f"failed to flush table {name} info"
    if found is None:
        if not run.flags.quiet:
            run.warn(f"{what}: {reason(KernelRefusal(errno.ESRCH))}")
        return
    try:
        if not run.flags.test_only:
            run.chain.tables.flush(found)
    except TableRefusal as refusal:
        if not every:
            raise Refusal(EX_OSERR, f"{what}: {_text(refusal)}") from None


def _swap(run: Run, words: Words, name: str, atomic: bool) -> None:
    second = words.need("second table name required")
    if not valid_name(second):
        raise Refusal(EX_USAGE, f"table name {second} is invalid")
    one, other = (
        run.chain.tables.get(name, run.table_set),
        run.chain.tables.get(second, run.table_set),
    )
    if one is None or other is None or run.flags.test_only:
        return
    try:
        run.chain.tables.swap(one, other)
    except TableRefusal as refusal:
        why = {errno.EINVAL: "types", errno.EFBIG: "limits"}.get(refusal.number)
        if why is not None:
            raise Refusal(EX_USAGE, f"Unable to swap table: check {why}") from None


def _lock(locked: bool) -> Callable[[Run, Words, str, bool], None]:
    def command(run: Run, words: Words, name: str, atomic: bool) -> None:
        what = f"Table {'lock' if locked else 'unlock'} failed"
        _there(run, name, EX_OSERR, what).locked = locked

    return command


def _info(run: Run, words: Words, name: str, every: bool) -> None:
    found = _there(run, name, EX_OSERR, "failed to request table info")
    run.say(f"--- table({found.name}), set({found.set}) ---")
    run.say(f" kindex: {found.index}, type: {found.kind}{', locked' if found.locked else ''}")
    run.say(f" references: {len(run.chain.users(found))}, valtype: {found.valtype}")
    run.say(f" algorithm: {found.algorithm}")
    run.say(f" items: {len(found)}, size: {found.octets}")
    if found.limit:
        run.say(f" limit: {found.limit}")


def _detail(run: Run, words: Words, name: str, every: bool) -> None:
    """The same and what its algorithm has to say, where that is known: trees of both families."""
    _info(run, words, name, every)
    found = run.chain.tables.get(name, run.table_set)
    if found is not None and found.algorithm.startswith("addr:radix"):
        for family, items in (("IPv4", len(found)), ("IPv6", 0)):
            run.say(f" {family} algorithm radix info")
            run.say(f"  items: {items} itemsize: {_RADIX_OCTETS}")


def _list(run: Run, words: Words, name: str, every: bool) -> None:
    found = _there(run, name, EX_OSERR, "failed to request table info")
    if every or run.era == Era.E11:
        run.say(f"--- table({found.name}), set({found.set}) ---")
    for key, value in found.entries():
        run.say(_entry(run, found, key, value))


def _entry(run: Run, table: NamedTable, key: Key, value: int) -> str:
    as_ip = run.flags.value_as_ip or table.valtype == "ipv4"
    return f"{key} {dotted(value) if as_ip else value}"


# --- entries ---------------------------------------------------------------------------------------------------


def _lookup(run: Run, words: Words, name: str, atomic: bool) -> None:
    text = words.need("address required")
    found = run.chain.tables.get(name, run.table_set)
    if found is None:
        raise Refusal(EX_DATAERR, f"Table {name} does not exist")
    entry = found.looked_up(_key(run, found.kind, text))
    if entry is None:
        raise Refusal(EX_UNAVAILABLE, f"Entry {text} not found")
    run.say(_entry(run, found, *entry))


def _add(run: Run, words: Words, name: str, atomic: bool) -> None:
    """Entries; with `atomic` all of them or none."""
    words.need("address required")
    found = run.chain.tables.get(name, run.table_set)
    if found is None:
        found = _made_for(run, name, words.need(""))
    pairs = []
    while words:
        key = _key(run, found.kind, words.take())
        pairs.append((key, _value(run, words.take()) if words else 0))
    if run.flags.test_only:
        return
    results: list[tuple[str, Key, int]] = []
    undo: list[tuple[Key, int | None]] = []
    failed = 0
    for key, value in pairs:
        if failed:
            results.append(("ignored", key, value))
            continue
        before = found.value_of(key)
        try:
            new = run.chain.tables.add(found, key, value, update=run.flags.quiet)
        except TableRefusal as refusal:
            failed = refusal.number
            results.append((_RESULTS.get(failed, "error"), key, value))
        else:
            undo.append((key, before))
            results.append(("added" if new else "updated", key, value))
    if failed and atomic:
        results = [(_reverted(result), key, value) for result, key, value in results]
        for key, before in reversed(undo):
            if before is None:
                run.chain.tables.remove(found, key)
            else:
                run.chain.tables.add(found, key, before, update=True)
    _report(run, found, results, failed, errno.EEXIST, "Adding record failed")


def _reverted(result: str) -> str:
    return f"{result}(reverted)" if result in ("added", "updated") else result


def _delete(run: Run, words: Words, name: str, atomic: bool) -> None:
    words.need("address required")
    found = run.chain.tables.get(name, run.table_set)
    if found is None:
        raise Refusal(EX_DATAERR, f"Table {name} does not exist")
    keys = [_key(run, found.kind, text) for text in words.rest()]
    if run.flags.test_only:
        return
    results: list[tuple[str, Key, int]] = []
    failed = 0
    for key in keys:
        if failed:
            results.append(("ignored", key, 0))
            continue
        try:
            results.append(("deleted", key, run.chain.tables.remove(found, key)))
        except TableRefusal as refusal:
            failed = refusal.number
            results.append((_RESULTS.get(failed, "error"), key, 0))
    _report(run, found, results, failed, errno.ENOENT, "Deleting record failed")


def _report(
    run: Run,
    table: NamedTable,
    results: list[tuple[str, Key, int]],
    failed: int,
    harmless: int,
    what: str,
) -> None:
    """A line for each entry; -q says nothing of what went well or was so already."""
    if run.flags.quiet and failed in (0, harmless):
        return
    for result, key, value in results:
        run.say(f"{result}: {_entry(run, table, key, value)}")
    if failed:
        raise Refusal(EX_OSERR, f"{what}: {_REASONS.get(failed) or reason(KernelRefusal(failed))}")


def _made_for(run: Run, name: str, text: str) -> NamedTable:
    """A table that is not there is made, of the kind that its first key looks like."""
    kind = _guess(run, text)
    if kind is None:
        raise Refusal(EX_USAGE, f"Table {name} does not exist, cannot guess key '{text}' type")
    if not run.flags.quiet:
        run.warn(f"DEPRECATED: inserting data into non-existent table {name}. (auto-created)")
    if run.flags.test_only:
        return NamedTable(name, 0, kind)
    return run.chain.tables.create(name, kind, set=run.table_set)


def _guess(run: Run, text: str) -> str | None:
    if text[:1] and text[0] in "0123456789abcdefABCDEF":
        if inet_pton(text.partition("/")[0]) is not None:
            return "addr"
        _, rest = strtol(text)
        if not rest:
            return "number"
        if rest != text and rest.startswith("."):
            return None
    if "." not in text:
        return "iface"
    return None if address(run, text) is None else "addr"


def _key(run: Run, kind: str, text: str) -> Key:
    """A key as a table of this kind has it."""
    if kind == "iface":
        return interface(text)
    if kind == "number":
        number, rest = strtol(text)
        if rest:
            raise Refusal(EX_DATAERR, f"Invalid number: {text}")
        return Key("number", number & 0xFFFFFFFF)
    return prefix(text) or Key("addr", host(run, text.partition("/")[0]))


def _value(run: Run, text: str) -> int:
    """A number, or an address, which is a number too."""
    number, rest = strtoul(text, 0)
    if not rest:
        return number & 0xFFFFFFFF
    addr = address(run, text)
    if addr is None:
        raise Refusal(EX_OSERR, f"Unable to parse value {text}")
    return addr


def _refuse(run: Run, words: Words, name: str, atomic: bool) -> None:
    """`atomic` stands before another command."""
    raise Refusal(EX_USAGE, "atomic is not compatible with atomic")


_COMMANDS: dict[str, Callable[[Run, Words, str, bool], None]] = {
    "add": _add,
    "delete": _delete,
    "create": _create,
    "destroy": _destroy,
    "flush": _flush,
    "modify": _modify,
    "swap": _swap,
    "info": _info,
    "detail": _detail,
    "list": _list,
    "lookup": _lookup,
    "atomic": _refuse,
    "lock": _lock(True),
    "unlock": _lock(False),
}
_NEW: dict[str, Callable[..., None]] = dict.fromkeys(
    ("type", "valtype", "algo", "limit", "locked", "missing", "or-flush"), _create
)
