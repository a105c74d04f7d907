"""`table N ...` as it was up to 10: tables have numbers and are there from the start."""

from __future__ import annotations

import errno

from pystack.addresses import dotted
from pystack.firewall.ipfw.chain import KernelRefusal
from pystack.firewall.ipfw.cnumbers import atoi, starts_digit, strtol, strtoul
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_OSERR, EX_USAGE, Refusal
from pystack.firewall.ipfw.run import Run, reason
from pystack.firewall.ipfw.table_keys import host, interface, network, prefix
from pystack.firewall.ipfw.tables import Key, TableRefusal
from pystack.firewall.ipfw.words import Words


def table(run: Run, words: Words) -> None:
    """`table N|all add|delete|list|flush`."""
    most = run.kernel.tables
    if not most:
        raise Refusal(EX_USAGE, "bad command `table'")  # 4 has none
    word = words.peek() or ""
    every = False
    number = 0
    if starts_digit(word):
        number = atoi(words.take()) & 0xFFFF
    elif word and words.skip("all"):
        every = True
    else:
        raise Refusal(EX_USAGE, "table number or 'all' keyword required")
    if number >= most:
        raise Refusal(EX_USAGE, f"The table number exceeds the maximum allowed value ({most - 1})")
    words.need("table needs command")
    numbers = range(most) if every else range(number, number + 1)
    if words.at("list"):
        for each in numbers:
            _list(run, each, header=every)
    elif words.at("flush"):
        for each in numbers:
            if run.chain.tables.get(str(each)) is not None and not run.flags.test_only:
                run.chain.tables.flush(run.chain.tables.numbered(each), forget_kind=True)
    elif every:
        raise Refusal(EX_USAGE, "table number required")
    elif words.skip("add"):
        _add(run, words, number)
    elif words.skip("delete"):
        _delete(run, words, number)
    else:
        raise Refusal(EX_USAGE, f"invalid table command {words.take()}")


def _list(run: Run, number: int, *, header: bool) -> None:
    found = run.chain.tables.get(str(number))
    if found is None or not len(found):
        return
    if header:
        run.say(f"---table({number})---")
    for key, value in found.entries():
        run.say(f"{key} {dotted(value) if run.flags.value_as_ip else value}")


def _add(run: Run, words: Words, number: int) -> None:
    """An entry that is there already is an error, or with -q replaced."""
    key = _key(run, words.need("address required"))
    words.take()
    value = _value(run, words.take()) if words else 0
    if run.flags.test_only:
        return
    try:
        run.chain.tables.add(run.chain.tables.numbered(number), key, value, update=run.flags.quiet)
    except TableRefusal as refusal:
        raise _told(run, "ADD", refusal.number) from None


def _delete(run: Run, words: Words, number: int) -> None:
    key = _key(run, words.need("address required"))
    if run.flags.test_only:
        return
    try:
        run.chain.tables.remove(run.chain.tables.numbered(number), key)
    except TableRefusal as refusal:
        if not run.flags.quiet:
            number = errno.ESRCH if refusal.number == errno.ENOENT else refusal.number
            raise _told(run, "DEL", number) from None


def _told(run: Run, what: str, number: int) -> Refusal:
    mark = "X" if run.era >= Era.E10 else ""
    text = reason(KernelRefusal(number))
    return Refusal(EX_OSERR, f"setsockopt(IP_FW_TABLE_{mark}{what}): {text}")


def _value(run: Run, text: str) -> int:
    """A number, or an address, which is a number too."""
    if "." not in text and starts_digit(text):
        return strtoul(text, 0)[0] & 0xFFFFFFFF
    return host(run, text)


def _key(run: Run, text: str) -> Key:
    """What an entry is for, by the look of it; before 10 it is always an address."""
    if run.era < Era.E10:
        name, slash, width = text.partition("/")
        length = atoi(width) if slash else 32
        if not 0 <= length <= 32:
            raise Refusal(EX_DATAERR, f"bad width ``{width}''")
        return network(host(run, name), length)
    if text[:1] and text[0] in "0123456789abcdefABCDEF":
        found = prefix(text)
        if found is not None:
            return found
        number, rest = strtol(text)
        if not rest:
            return Key("addr", number & 0xFFFFFFFF)
    if "." not in text:
        return interface(text)
    return Key("addr", host(run, text))
