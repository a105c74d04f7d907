"""Commands that change the rule set: add, delete, zero, resetlog, flush, set, enable and disable."""

from __future__ import annotations

import errno

from pystack._fast.ipfw_ops import RULE_MAX
from pystack.firewall.ipfw.chain import RESERVED, KernelRefusal
from pystack.firewall.ipfw.cnumbers import atoi, starts_digit, strtol
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_OSERR, EX_UNAVAILABLE, EX_USAGE, Refusal
from pystack.firewall.ipfw.insn import Rule
from pystack.firewall.ipfw.listing import rule_line
from pystack.firewall.ipfw.parser import parse
from pystack.firewall.ipfw.run import Run, reason
from pystack.firewall.ipfw.strict import refuse_what_is_absent
from pystack.firewall.ipfw.words import Words

_SWITCHES = {
    "firewall": "enable",
    "one_pass": "one_pass",
    "debug": "debug",
    "verbose": "verbose",
    "dyn_keepalive": "dyn_keepalive",
}


def add(run: Run, words: Words) -> None:
    """`add RULE`: the rule is printed as it was taken, unless -q."""
    rule = parse(words, run.settings())
    asked = rule.number
    if run.strict:
        refuse_what_is_absent(rule)
    if not run.flags.test_only:
        try:
            run.kernel.add(rule)
        except KernelRefusal as refusal:
            name = "IP_FW_XADD" if run.era.names_objects else "IP_FW_ADD"
            raise run.refused(EX_UNAVAILABLE, f"getsockopt({name})", refusal) from None
    if run.heard and not run.flags.quiet:
        run.say(
            rule_line(run.style(), rule, number=asked if _hides_number(run, rule) else rule.number)
        )


def _hides_number(run: Run, rule: Rule) -> bool:
    """A rule that is handed over with the names it uses comes back without the number it got."""
    return run.era.names_objects and run.kernel.uses_names(rule)


def delete(run: Run, words: Words) -> None:
    """`delete N ...`, `delete set N ...`, since 12 also `delete N-M`."""
    words.need("missing rule specification")
    of_set = words.skip("set")
    if of_set and run.set >= 0:
        raise Refusal(EX_DATAERR, "invalid syntax")
    while starts_digit(words.peek() or ""):
        text = words.take()
        first, rest = strtol(text)
        last = atoi(rest[1:]) if rest.startswith("-") and run.era >= Era.E12 else first
        if of_set:
            _delete_set(run, first)
        else:
            _delete_rules(run, first & 0xFFFF, last & 0xFFFF)


def _delete_set(run: Run, number: int) -> None:
    if run.flags.test_only:
        return
    deleted = number <= RESERVED and run.chain.delete_set(number)
    if run.era.names_objects and not deleted:
        run.warn("rule 0 not found")
        run.status = EX_UNAVAILABLE
    elif number > RESERVED:
        asked = number & 0xFFFF | 1 << 24
        run.warn(f"rule {asked}: setsockopt(IP_FW_DEL): Invalid argument")
        run.status = EX_UNAVAILABLE


def _delete_rules(run: Run, first: int, last: int) -> None:
    """Rules of a number or range, or only the states that they made (-D). That there are none is said unless -q, and
    is no failure with -f (12).
    """
    if run.flags.test_only:
        return
    try:
        if run.flags.dynamic_only:
            run.chain.delete_states(first, last)
        else:
            run.chain.delete_range(first, last, run.set, flushes=not run.era.names_objects)
    except KernelRefusal as refusal:
        tolerant = run.era >= Era.E12
        run.status = run.status if tolerant and run.flags.force else EX_UNAVAILABLE
        if tolerant and run.flags.quiet:
            return
        if first != last:
            run.warn(f"no rules rules in {first}-{last} range")
        elif run.era.names_objects:
            run.warn(f"rule {first} not found")
        else:
            asked = first if run.set < 0 else first | 5 << 24 | run.set << 16
            run.warn(f"rule {asked}: setsockopt(IP_FW_DEL): {reason(refusal)}")


def zero(run: Run, words: Words) -> None:
    """`zero [N ...]`: counters and log limits start again."""
    _restart(run, words, only_log=False)


def resetlog(run: Run, words: Words) -> None:
    """`resetlog [N ...]`: log limits start again."""
    _restart(run, words, only_log=True)


def _restart(run: Run, words: Words, *, only_log: bool) -> None:
    done = "logging count reset" if only_log else "cleared"
    if not words:
        if not run.flags.test_only:
            run.kernel.zero(0, only_log, run.set)
        if not run.flags.quiet:
            run.say("Logging counts reset." if only_log else "Accounting cleared.")
        return
    while (text := words.peek()) is not None:
        if not starts_digit(text):
            raise Refusal(EX_USAGE, f"invalid rule number ``{text}''")
        number, rest = strtol(text)
        if rest or number > 0xFFFF:
            raise Refusal(EX_DATAERR, f"invalid rule number {text}\n")
        words.take()
        _restart_one(run, number, only_log, done)


def _restart_one(run: Run, number: int, only_log: bool, done: str) -> None:
    try:
        if not run.flags.test_only:
            run.kernel.zero(number, only_log, run.set)
    except KernelRefusal as refusal:
        run.status = EX_UNAVAILABLE
        if run.era.names_objects:
            run.say(f"Entry {number} not found")
        else:
            name = "RESETLOG" if only_log else "ZERO"
            run.warn(f"rule {number}: setsockopt(IP_FW_{name}): {reason(refusal)}")
        return
    if not run.flags.quiet:
        run.say(f"Entry {number} {done}.")


def flush(run: Run, words: Words) -> None:
    """`flush`: all rules go but those of set 31; it asks first if there is someone to ask."""
    if not confirmed(run):
        return
    if not run.flags.test_only:
        if run.set >= 0:
            run.chain.delete_set(run.set)
        else:
            run.chain.flush()
    if not run.flags.quiet:
        run.say("Flushed all rules.")


def confirmed(run: Run) -> bool:
    """`Are you sure?`, unless -f or -q."""
    if run.flags.force or run.flags.quiet or run.answer is None:
        return True
    while True:
        answer = run.answer("Are you sure? [yn] ")
        run.out.append("Are you sure? [yn] ")
        if not answer:
            return False
        if answer[:1].upper() in ("Y", "N"):
            run.say("")
            return answer[:1].upper() == "Y"


def sets(run: Run, words: Words) -> None:
    """`set show|swap|move|enable|disable`."""
    words.need("set needs command")
    if words.skip("show"):
        _show_sets(run)
    elif words.skip("swap"):
        _swap(run, words)
    elif words.skip("move"):
        _move(run, words)
    elif words.at("disable") or words.at("enable"):
        _switch_sets(run, words)
    else:
        raise Refusal(EX_USAGE, f"invalid set command {words.take()}\n")


def _show_sets(run: Run) -> None:
    disabled = run.chain.disabled
    off = [str(at) for at in range(RESERVED) if disabled >> at & 1]
    on = [str(at) for at in range(RESERVED) if not disabled >> at & 1]
    parts = [f"disable {' '.join(off)}"] if off else []
    run.say(" ".join([*parts, f"enable {' '.join(on)}"]) if on else parts[0])


def _set_number(text: str, complaint: str) -> int:
    number = atoi(text) & 0xFF
    if not starts_digit(text) or number > RESERVED:
        raise Refusal(EX_DATAERR, f"{complaint} {text}\n")
    return number


def _swap(run: Run, words: Words) -> None:
    if len(words) < 2:
        raise Refusal(EX_USAGE, "set swap needs 2 set numbers\n")
    one = _set_number(words.take(), "invalid set number")
    other = _set_number(words.take(), "invalid set number")
    if not run.flags.test_only:
        run.chain.swap_sets(one, other)


def _move(run: Run, words: Words) -> None:
    rules = words.skip("rule")
    what = words.peek() or ""
    if len(words) != 3 or not words.take() or not words.skip("to"):
        raise Refusal(EX_USAGE, "syntax: set move [rule] X to Y\n")
    number = atoi(what) & 0xFFFF
    outside = (number > RESERVED and not rules) or number == RULE_MAX
    if not starts_digit(what) or (outside and not run.era.names_objects):
        raise Refusal(EX_DATAERR, f"invalid source number {what}\n")
    target = words.take()
    to = atoi(target) & 0xFF
    if not starts_digit(target) or to > RESERVED:
        raise Refusal(EX_DATAERR, "invalid dest. set to\n")
    if run.flags.test_only:
        return
    try:
        if outside:
            raise KernelRefusal(errno.EINVAL)
        if rules:
            run.chain.move_rule(number, to)
        else:
            run.chain.move_set(number, to)
    except KernelRefusal as refusal:
        what = f"failed to move {'rule' if rules else 'set'}"
        raise run.refused(EX_OSERR, what, refusal) from None


def _switch_sets(run: Run, words: Words) -> None:
    """`set disable 1 2 enable 3`, all at once."""
    masks = {"disable": 0, "enable": 0}
    which = ""
    while (text := words.peek()) is not None:
        if starts_digit(text):
            number = atoi(words.take())
            if number > RESERVED:
                raise Refusal(EX_DATAERR, f"invalid set number {number}\n")
            masks[which] |= 1 << number
        elif words.skip("disable"):
            which = "disable"
        elif words.skip("enable"):
            which = "enable"
        else:
            raise Refusal(EX_DATAERR, f"invalid set command {text}\n")
    if masks["disable"] & masks["enable"]:
        raise Refusal(EX_DATAERR, "cannot enable and disable the same set\n")
    if not run.flags.test_only:
        run.chain.set_disabled(masks["disable"], masks["enable"])


def enable(run: Run, words: Words) -> None:
    """`enable one_pass`: a shorter way to set a sysctl."""
    _switch(run, words, 1)


def disable(run: Run, words: Words) -> None:
    """`disable one_pass`."""
    _switch(run, words, 0)


def _switch(run: Run, words: Words, value: int) -> None:
    if not words:
        run.warn("missing keyword to enable/disable\n")
        return
    for keyword, name in _SWITCHES.items():
        if words.at(keyword):
            run.write_sysctl(f"net.inet.ip.fw.{name}", value)
            return
    if words.at("altq"):
        raise Refusal(EX_UNAVAILABLE, "altq: there are no such queues on this machine")
    run.warn(f"unrecognize enable/disable keyword: {words.take()}\n")
