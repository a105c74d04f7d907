"""The `sysctl` command of each system: names, trees, `-a`, and writing, with its messages and exit status.

FreeBSD works through its words in order, and ends with 1 where one of them failed. Linux (procps 4) reads first
and writes afterwards; it ends with the number of names that it did not find, or with 1 where a write was refused;
a write to what is read only is told and counts for nothing.
"""

from __future__ import annotations

import fnmatch
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pystack.sysctl import KnobError, NoEffect, ReadOnlyKnob, Value
from pystack.sysctl.conf import ConfError, dotted, parse_sysctl_conf
from pystack.sysctl.errors import UnknownKnob
from pystack.sysctl.values import text as text_of

if TYPE_CHECKING:
    from pystack.host import Host

FREEBSD, LINUX = "adeinNq", "aenNqwAX"
"""The options that are known."""


@dataclass(slots=True)
class Said:
    """What the command prints, and how it ends."""

    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    status: int = 0


def is_assignment(word: str) -> bool:
    """Does the word set something?"""
    return "=" in word


def changes(host: Host, words: list[str]) -> bool:
    """Would these words change the machine? Not if all that they set is unknown to it."""
    return any(_target(host, word) in host.sysctl for word in words if is_assignment(word))


def _target(host: Host, word: str) -> str:
    return word.partition("=")[0].strip()


def sysctl(host: Host, options: str, words: list[str]) -> Said:
    """Do what `sysctl options words` does to this machine."""
    said = Said()
    linux = host.profile.system == "linux"
    if set(options) & set("aAX"):
        _all(host, options, said)
    elif not words:
        said.err.append(
            "sysctl: no variables specified\nTry `sysctl --help' for more information."
            if linux
            else "usage: sysctl [-deinNq] name[=value] ...\n       sysctl [-denNq] -a"
        )
        said.status = 1
    elif linux:
        for word in words:
            if not is_assignment(word) and "w" not in options:
                _read(host, word, options, said)
        for word in words:
            if is_assignment(word) or "w" in options:
                _write(host, word, options, said)
    else:
        for word in words:
            (_write if is_assignment(word) else _read)(host, word, options, said)
    return said


SKIPPED = ("net.inet.tcp.hostcache.list", "net.inet.tcp.hostcache.histo")
"""Tables that are shown only when they are asked for by name (CTLFLAG_SKIP)."""


def _all(host: Host, options: str, said: Said) -> None:
    for name in host.sysctl.names():
        if name not in SKIPPED:
            _show(host, name, options, said)


def _show(host: Host, name: str, options: str, said: Said) -> None:
    value = host.sysctl[name]
    linux = host.profile.system == "linux"
    said.values[name] = value
    if "N" in options:
        said.out.append(name)
    elif "d" in options:
        doc = host.sysctl.find(name)[1].doc.rstrip(".")
        said.values[name] = doc
        said.out.append(doc if "n" in options else f"{name}: {doc}")
    elif "n" in options:
        said.out.append(text_of(value))
    else:
        between = " = " if linux else "=" if "e" in options else ": "
        said.out.append(f"{name}{between}{text_of(value)}")


def _leaves(host: Host, word: str) -> list[str]:
    """The knobs that a word names: one by any of its names, a whole tree, or on Linux a glob."""
    if host.profile.system == "linux":
        word = dotted(word)
        if any(c in word for c in "*?["):
            return [n for n in host.sysctl.names() if fnmatch.fnmatchcase(n, word)]
    if word in host.sysctl:
        return [word]
    return [name for name in host.sysctl.names() if name.startswith(word.rstrip(".") + ".")]


def _read(host: Host, word: str, options: str, said: Said) -> None:
    names = _leaves(host, word)
    for name in names:
        _show(host, name, options, said)
    if not names:
        try:
            host.sysctl.find(word)
        except UnknownKnob as error:
            _unknown(host, error, options, said)


def _unknown(host: Host, error: UnknownKnob, options: str, said: Said) -> None:
    linux = host.profile.system == "linux"
    if ("e" if linux else "i") in options:
        return
    said.status = said.status + 1 if linux else 1
    if linux or "q" not in options:
        said.err.append(str(error))


def _write(host: Host, word: str, options: str, said: Said) -> None:
    linux = host.profile.system == "linux"
    name = _target(host, word)
    if not linux and name not in host.sysctl and _leaves(host, name):
        said.err.append(f"sysctl: oid '{name}' isn't a leaf node")
        said.status = 1
        return
    before = text_of(host.sysctl[name]) if name in host.sysctl else ""
    try:
        given = _assign(host, word, said)
    except ConfError:
        said.err.append("sysctl: command line(0): invalid syntax, continuing...")
        said.status = 1
    except UnknownKnob as error:
        _unknown(host, error, options, said)
    except KnobError as error:
        if not linux and not isinstance(error, ReadOnlyKnob) and _reached(error):
            said.out.append(before if "n" in options else f"{name}: {before}")
        said.err.append(str(error))
        if not (linux and isinstance(error, ReadOnlyKnob)):
            said.status = 1
    else:
        _told(host, name, before, given, options, said)


def _reached(error: KnobError) -> bool:
    """Did the kernel say no? What is no number is refused by the tool before it asks."""
    return not error.text.startswith(("sysctl: invalid ", "sysctl: empty "))


def _assign(host: Host, word: str, said: Said) -> str:
    """Set one; the value as it was given. What has no effect here is told beside."""
    (line,) = parse_sysctl_conf(word.replace("\n", " "), host.profile.system, "sysctl")
    host.before(host.core)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NoEffect)
        host.sysctl[line.name] = line.value
    host.after(host.core)
    said.err += [f"pystack: {warning.message}" for warning in caught]
    return line.value


def _told(host: Host, name: str, before: str, given: str, options: str, said: Said) -> None:
    """A write that was taken, as the tool says it."""
    if host.profile.system == "linux":
        name = dotted(name)
    said.values[name] = host.sysctl[name]
    now = host.sysctl.text(name)
    if host.profile.system == "linux":
        if "q" not in options:
            said.out.append(
                name if "N" in options else given if "n" in options else f"{name} = {given}"
            )
    else:
        between = "=" if "e" in options else ": "
        said.out.append(f"{'' if 'n' in options else name + between}{before} -> {now}")
