"""The knobs of one machine: a mapping from names to values over its `Config`."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from pystack._fast.config import Config
from pystack.sysctl import conf, values
from pystack.sysctl.errors import (
    ForeignKnob,
    InvalidValue,
    KnobError,
    NoEffect,
    ReadOnlyKnob,
    RefusedWrite,
    UnknownKnob,
)
from pystack.sysctl.knob import Knob, Value
from pystack.sysctl.near import near
from pystack.sysctl.registry import matches
from pystack.sysctl.rules import Turn, check
from pystack.sysctl.values import text as text_of

if TYPE_CHECKING:
    from pystack.profiles import Profile

_FREEBSD_WORDS = {errno.EBUSY: "Device busy"}
"""Errors that FreeBSD has other words for than Linux."""


class Sysctl(Mapping[str, Value]):
    """What `sysctl` shows and sets on one machine.

    Reading gives an int, a str, or a tuple of ints for a row such as tcp_rmem. Writing takes those,
    or the text that an administrator types, obeys the real rules, and acts at once on `config`.

    Raises `UnknownKnob` or `ForeignKnob` (KeyError), `ReadOnlyKnob` (OSError, EPERM), `InvalidValue`
    (OSError, EINVAL) in the words of the system's own tool; warns `NoEffect` where the knob is known
    and nothing here obeys it.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        ram: int | None = None,
        boot: Mapping[str, object] | None = None,
        loader_conf: str = "",
        config: Config | None = None,
    ) -> None:
        """Boot: defaults of `profile` sized for `ram` octets, then what the loader was told.

        `boot` and `loader_conf` may set what a running machine cannot change any more (hash
        sizes, nmbclusters below its default). Raises the same errors as writing does.
        """
        self.profile = profile
        self.system = profile.system
        self.config = Config() if config is None else config
        self.messages: list[str] = []
        """Lines for the kernel's message buffer that booting caused, oldest first."""
        self.say: Callable[[str], None] = self.messages.append
        """Where later ones go; the machine's `KernelLog` takes it over."""
        self.ram = profile.ram if ram is None else ram
        self._values: dict[str, Value] = {}
        self._sized: set[str] = set()
        self._live: dict[str, Callable[[], Value]] = {}
        self._hooks: dict[str, list[Callable[[Value], None]]] = {}
        self._guards: dict[str, Callable[[Value], int]] = {}
        for attribute, setting in profile.settings().items():
            setattr(self.config, attribute, setting)
        self._boot(self._told(boot or {}, loader_conf))

    # --- booting ----------------------------------------------------------------------------------

    def _told(self, boot: Mapping[str, object], loader_conf: str) -> dict[str, Value]:
        """What the loader was told, by the names that this machine prints."""
        told: dict[str, Value] = {}
        for line in conf.parse_loader_conf(loader_conf):
            if "." not in line.name:
                continue  # the loader's own: modules to load, its menu
            if line.name not in self and conf.elsewhere(line.name, self.system):
                _warn(f"{line.where}: {line.name} is none of the network's: no effect here")
                continue
            try:
                name, knob = self.find(line.name)
                told[name] = self._booted(name, knob, line.value)
            except KnobError as e:
                raise e.at(line.where) from None
        for given, raw in boot.items():
            name, knob = self.find(given)
            told[name] = self._booted(name, knob, raw)
        return told

    def _booted(self, name: str, knob: Knob, raw: object) -> Value:
        if knob.when == "read-only":
            raise ReadOnlyKnob(name, f"{name} is read only, and no tunable", errno.EPERM)
        try:
            value = values.parse(knob, raw, self.profile.values[name], boot=True)
        except ValueError as e:
            raise self._invalid(name, raw, str(e)) from None
        if value == 0 and self.profile.values[name] == "auto":
            return 0  # "choose yourself", as the kernels have it
        return self._checked(name, knob, value, None, raw)

    def _boot(self, told: Mapping[str, Value]) -> None:
        numbers = {name: value for name, value in told.items() if isinstance(value, int)}
        sizes = self.profile.sizes(self.ram, numbers)
        for name, knob in self.profile.knobs.items():
            default = self.profile.values[name]
            value = told.get(name, default)
            if default == "auto" and not told.get(name):
                value = sizes[name]
                self._sized.add(name)
            self._store(name, knob, value)
            if name in told:
                self._warn_of(name, knob)

    # --- the mapping ------------------------------------------------------------------------------

    def find(self, name: str) -> tuple[str, Knob]:
        """The name that this machine prints for `name`, which may be an old one, and its knob."""
        if self.system == "linux":
            name = conf.dotted(name)
        found = self.profile.find(name)
        if found is None:
            raise self._unknown(name)
        return found, self.profile.knobs[found]

    def __getitem__(self, name: str) -> Value:
        found, _ = self.find(name)
        live = self._live.get(found)
        return self._values[found] if live is None else live()

    def __setitem__(self, name: str, raw: object) -> None:
        found, knob = self.find(name)
        if knob.when != "run":
            raise self._read_only(found, knob)
        old = self._values[found]
        try:
            new = values.parse(knob, raw, old, spare=self.system == "linux")
        except ValueError as e:
            raise self._invalid(found, raw, str(e)) from None
        value = self._checked(found, knob, new, old, raw)
        number = self._guards[found](value) if found in self._guards and value != old else 0
        if number:
            why = _FREEBSD_WORDS.get(number) if self.system == "freebsd" else None
            text = f"sysctl: {found}={text_of(value)}: {why or os.strerror(number)}"
            raise RefusedWrite(found, text, number)
        self._sized.discard(found)
        self._store(found, knob, value)
        self._warn_of(found, knob)
        self._tell(found)
        for follower in self.profile.followers(found):
            if follower in self._sized:
                self._resize(follower)

    def __contains__(self, name: object) -> bool:
        if self.system == "linux" and isinstance(name, str):
            name = conf.dotted(name)
        return isinstance(name, str) and self.profile.find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Sysctl of {self.profile.name}: {len(self)} knobs>"

    def on_change(self, name: str, callback: Callable[[Value], None]) -> None:
        """Call `callback(value)` after each change of this knob, for what is more than a setting."""
        found, _ = self.find(name)
        self._hooks.setdefault(found, []).append(callback)

    def guard(self, name: str, refuses: Callable[[Value], int]) -> None:
        """`refuses(value)` is asked before this knob changes: an errno if the kernel refuses, else 0."""
        found, _ = self.find(name)
        self._guards[found] = refuses

    def provide(self, name: str, read: Callable[[], Value]) -> None:
        """`read()` gives what this knob shows from now on: counters such as pcbcount."""
        found, _ = self.find(name)
        self._live[found] = read

    def obeyed(self, name: str) -> bool:
        """Does anything here act on this knob?"""
        return not self.find(name)[1].effect

    # --- as text ----------------------------------------------------------------------------------

    def names(self, pattern: str = "") -> list[str]:
        """Names in the order of `sysctl -a`: all, a tree, or a glob."""
        found = [name for name in self.profile.knobs if matches(name, pattern)]
        return sorted(found) if self.system == "linux" else found

    def text(self, name: str) -> str:
        """What `sysctl -n name` prints."""
        return text_of(self[name])

    def show(self, name: str) -> str:
        """What `sysctl name` prints."""
        if self.system == "linux":
            name = conf.dotted(name)
        between = " = " if self.system == "linux" else ": "
        return f"{name}{between}{self.text(name)}"

    def dump(self, pattern: str = "") -> list[str]:
        """The lines of `sysctl -a`, or of the part that matches."""
        return [self.show(name) for name in self.names(pattern)]

    def assign(self, text: str) -> str:
        """`sysctl name=value`: sets, and gives the line that the tool prints."""
        line = conf.parse_sysctl_conf(text.replace("\n", " "), self.system, "sysctl")
        if len(line) != 1:
            raise conf.ConfError("", f"not `name=value`: {text!r}")
        name = line[0].name
        before = self.show(name)
        self[name] = line[0].value
        if self.system == "linux":
            return f"{name} = {line[0].value}"
        return f"{before} -> {self.text(name)}"

    def load_sysctl_conf(self, text: str, name: str = "sysctl.conf") -> list[str]:
        """Set what a sysctl.conf says, line by line; gives the names that were set.

        Every name is looked up before the first value is set. Errors begin with file:line:column.
        Lines about parts of the system that pystack does not play warn `NoEffect`.
        """
        todo = []
        for line in conf.parse_sysctl_conf(text, self.system, name):
            if line.name not in self and conf.elsewhere(line.name, self.system):
                _warn(f"{line.where}: {line.name} is none of the network's: no effect here")
                continue
            try:
                todo.append((self.find(line.name)[0], line))
            except KnobError as e:
                if not line.forgiving:
                    raise e.at(line.where) from None
        done = []
        for found, line in todo:
            try:
                self[found] = line.value
                done.append(found)
            except KnobError as e:
                if not line.forgiving:
                    raise e.at(line.where) from None
        return done

    # --- inside -----------------------------------------------------------------------------------

    def _checked(self, name: str, knob: Knob, new: Value, old: Value | None, raw: object) -> Value:
        turn = Turn(knob, name, new, old, self._number, self.say, self.config)
        try:
            return check(turn)
        except LookupError as e:
            missing = errno.ENOENT if self.system == "linux" else errno.ESRCH
            raise self._invalid(name, raw, str(e.args[0]), missing) from None
        except ValueError as e:
            raise self._invalid(name, raw, str(e)) from None

    def _number(self, name: str) -> int:
        """Another knob as a number (the first of a row); 0 where this machine has none."""
        found = self.profile.find(name)
        value = self._values.get(found, 0) if found else 0
        first = value[0] if isinstance(value, tuple) else value
        return first if isinstance(first, int) else 0

    def _store(self, name: str, knob: Knob, value: Value) -> None:
        self._values[name] = value
        for attribute, setting in knob.settings(value).items():
            setattr(self.config, attribute, setting)

    def _tell(self, name: str) -> None:
        for callback in self._hooks.get(name, ()):
            callback(self._values[name])

    def _resize(self, name: str) -> None:
        """A figure that was derived from others is derived again."""
        given = {
            known: value
            for known, value in self._values.items()
            if isinstance(value, int) and known not in self._sized
        }
        value = self.profile.sizes(self.ram, given)[name]
        if value != self._values[name]:
            self._store(name, self.profile.knobs[name], value)
            self._tell(name)

    def _warn_of(self, name: str, knob: Knob) -> None:
        if knob.effect:
            _warn(f"{name} is known but has no effect here: {knob.effect}")

    def _unknown(self, name: str) -> UnknownKnob:
        if self.system == "linux":
            path = name.translate(str.maketrans("./", "/."))
            said = f"sysctl: cannot stat /proc/sys/{path}: No such file or directory"
        else:
            said = f"sysctl: unknown oid '{name}'"
        owners, here = self.profile.explain(name)
        if not owners:
            return UnknownKnob(name, said + near(name, self.profile.knobs))
        text = f"{said} (a knob of {', '.join(owners)}; this machine is {self.profile.name}"
        return ForeignKnob(name, f"{text}{here})")

    def _read_only(self, name: str, knob: Knob) -> ReadOnlyKnob:
        if self.system == "linux":  # the kernel says EACCES, the tool something else
            text = f'sysctl: setting key "{name}": Invalid argument (it is read only)'
            return ReadOnlyKnob(name, text, errno.EACCES)
        if knob.when == "boot":
            text = f"sysctl: oid '{name}' is a read only tunable\n"
            text += "sysctl: Tunable values are set in /boot/loader.conf"
        else:
            text = f"sysctl: oid '{name}' is read only"
        return ReadOnlyKnob(name, text, errno.EPERM)

    def _invalid(
        self, name: str, raw: object, rule: str, number: int = errno.EINVAL
    ) -> InvalidValue:
        given = text_of(tuple(raw)) if isinstance(raw, (tuple, list)) else str(raw)
        if self.system == "linux":
            said = f'sysctl: setting key "{name}"'
        elif rule.startswith(("invalid ", "empty ")):
            return InvalidValue(name, f"sysctl: {rule}", number)
        else:
            said = f"sysctl: {name}={given}"
        return InvalidValue(name, f"{said}: {os.strerror(number)} ({rule})", number)


def _warn(text: str) -> None:
    warnings.warn(text, NoEffect, stacklevel=4)
