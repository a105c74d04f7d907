"""The kernel's tables: addresses, numbers or interfaces with a value each, under a name (up to 10: a number)."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from pystack._fast.ipfw_table import Table
from pystack.addresses import dotted

ALGORITHMS = {"addr": "addr:radix", "iface": "iface:array", "number": "number:array"}
"""The algorithm of a table of each kind, unless another one is asked for."""
_KNOWN = {
    "addr": ("addr:radix", "addr:hash"),
    "iface": ("iface:array",),
    "number": ("number:array",),
}
_HEADER_OCTETS = 296
_ENTRY_OCTETS = 144
_MOST_TABLES = 65535


class TableRefusal(Exception):
    """The kernel does not do what was asked of a table. `number`: the errno."""

    def __init__(self, number: int):
        super().__init__(errno.errorcode[number])
        self.number = number


@dataclass(frozen=True)
class Key:
    """What an entry is for: an address with a prefix length, a number, or the name of an interface."""

    kind: str
    number: int = 0
    length: int = 32
    name: str = ""

    def __str__(self) -> str:
        if self.kind == "addr":
            return f"{dotted(self.number)}/{self.length}"
        return self.name if self.kind == "iface" else str(self.number)


@dataclass(eq=False)
class NamedTable:
    """A table. `core`: what packets look into; an interface is there by its number, once it is known. `set`: which it
    belongs to (all to 0, unless `net.inet.ip.fw.tables_sets` is set).

    `kind`: "" until the first entry decides it (tables that nobody created, up to 10).
    """

    name: str
    index: int
    kind: str = ""
    algorithm: str = ""
    limit: int = 0
    valtype: str = "legacy"
    locked: bool = False
    set: int = 0
    core: Table = field(default_factory=Table)
    names: dict[str, int] = field(default_factory=dict)
    """Values by name of the interface."""

    def __len__(self) -> int:
        return len(self.names) if self.kind == "iface" else self.core.count

    @property
    def octets(self) -> int:
        """What a listing of it takes."""
        return _HEADER_OCTETS + _ENTRY_OCTETS * len(self)

    def value_of(self, key: Key) -> int | None:
        """The value of just this key."""
        if key.kind == "iface":
            return self.names.get(key.name)
        return self.core.value if self.core.exact(key.number, key.length) else None

    def looked_up(self, key: Key) -> tuple[Key, int] | None:
        """The entry that a packet with this key would meet."""
        if key.kind == "addr" and self.core.find(key.number):
            fitting = [
                (Key("addr", net, length), value)
                for net, length, value in self.core.entries()
                if (net ^ key.number) >> (32 - length) == 0
            ]
            return max(fitting, key=lambda entry: entry[0].length)
        value = self.value_of(key)
        return None if value is None else (key, value)

    def entries(self) -> list[tuple[Key, int]]:
        """All entries in the order of a listing."""
        if self.kind == "iface":
            return [(Key("iface", name=name), self.names[name]) for name in sorted(self.names)]
        return [(Key(self.kind, key, length), value) for key, length, value in self.core.entries()]


class Tables:
    """All tables of a machine. Raises TableRefusal."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, int], NamedTable] = {}
        self._by_index: dict[int, NamedTable] = {}
        self._interfaces: dict[str, int] = {}
        self.cores: dict[int, Table] = {}
        """What packets look into, by the number that instructions have."""

    def get(self, name: str, set: int = 0) -> NamedTable | None:
        return self._by_name.get((name, set))

    def all(self) -> list[NamedTable]:
        """All tables by name, where numbers come as numbers."""
        return sorted(self._by_name.values(), key=lambda table: (*_natural(table.name), table.set))

    def numbered(self, number: int, set: int = 0) -> NamedTable:
        """A table that is there as soon as it is spoken of."""
        table = self._by_name.get((str(number), set))
        if table is not None:
            return table
        free = (at for at in range(_MOST_TABLES, 0, -1) if at not in self._by_index)
        index = next(free) if set or number in self._by_index else number
        return self._put(NamedTable(str(number), index, set=set))

    def create(
        self, name: str, kind: str = "addr", algorithm: str = "", set: int = 0, **more: object
    ) -> NamedTable:
        """A new table. EEXIST, EINVAL (the algorithm is none for this kind)."""
        if (name, set) in self._by_name:
            raise TableRefusal(errno.EEXIST)
        if algorithm and algorithm.partition(" ")[0] not in _KNOWN[kind]:
            raise TableRefusal(errno.EINVAL)
        index = next((at for at in range(1, _MOST_TABLES) if at not in self._by_index), 0)
        if not index:
            raise TableRefusal(errno.ENOSPC)
        table = NamedTable(name, index, kind, algorithm or ALGORITHMS[kind], set=set)
        for key, value in more.items():
            setattr(table, key, value)
        return self._put(table)

    def _put(self, table: NamedTable) -> NamedTable:
        self._by_name[table.name, table.set] = self._by_index[table.index] = table
        self.cores[table.index] = table.core
        return table

    def with_index(self, index: int) -> NamedTable:
        """The table that instructions call by this number."""
        return self._by_index[index]

    def move(self, moves: dict[int, int]) -> None:
        """Tables go from one set to another, all at once: `moves` has the new set of each by its number."""
        tables = list(self._by_index.values())
        for table in tables:
            table.set = moves.get(table.index, table.set)
        self._by_name = {(table.name, table.set): table for table in tables}

    def destroy(self, table: NamedTable) -> None:
        """A table that no rule uses any longer."""
        del self._by_name[table.name, table.set]
        del self._by_index[table.index]
        del self.cores[table.index]

    def keep_below(self, number: int) -> None:
        """Tables of numbers from this one on are emptied: there are no longer so many (up to 10)."""
        for table in [table for table in self._by_index.values() if int(table.name) >= number]:
            table.locked = False
            self.flush(table, forget_kind=True)

    def add(self, table: NamedTable, key: Key, value: int, *, update: bool = False) -> bool:
        """A new entry (True), or with `update` a new value. EEXIST, EFBIG, EACCES, EINVAL (keys of another kind)."""
        if table.locked:
            raise TableRefusal(errno.EACCES)
        if table.kind not in ("", key.kind):
            raise TableRefusal(errno.EINVAL)
        there = table.value_of(key) is not None
        if there and not update:
            raise TableRefusal(errno.EEXIST)
        if not there and table.limit and len(table) >= table.limit:
            raise TableRefusal(errno.EFBIG)
        table.kind = key.kind
        if key.kind == "iface":
            table.names[key.name] = value
            self._bind(table, key.name)
        else:
            table.core.put(key.number, key.length, value)
        return not there

    def remove(self, table: NamedTable, key: Key) -> int:
        """An entry goes; its value. ENOENT, EACCES."""
        if table.locked:
            raise TableRefusal(errno.EACCES)
        value = table.value_of(key)
        if value is None:
            raise TableRefusal(errno.ENOENT)
        if key.kind == "iface":
            del table.names[key.name]
            if key.name in self._interfaces:
                table.core.take_out(self._interfaces[key.name], 32)
        else:
            table.core.take_out(key.number, key.length)
        return value

    def flush(self, table: NamedTable, *, forget_kind: bool = False) -> None:
        """No entry is left. EACCES."""
        if table.locked:
            raise TableRefusal(errno.EACCES)
        for key, length, _ in table.core.entries():
            table.core.take_out(key, length)
        table.names.clear()
        if forget_kind:
            table.kind = ""

    def swap(self, one: NamedTable, other: NamedTable) -> None:
        """Two tables change their entries. EINVAL: they are not alike, EACCES, EFBIG (they would not fit)."""
        if (one.kind, one.valtype) != (other.kind, other.valtype):
            raise TableRefusal(errno.EINVAL)
        if one.locked or other.locked:
            raise TableRefusal(errno.EACCES)
        if 0 < one.limit < len(other) or 0 < other.limit < len(one):
            raise TableRefusal(errno.EFBIG)
        changes = ((one, other.entries()), (other, one.entries()))
        for table, entries in changes:
            self.flush(table)
            for key, value in entries:
                self.add(table, key, value)

    def interface(self, name: str, number: int) -> None:
        """An interface has this number from now on."""
        self._interfaces[name] = number
        for table in self._by_name.values():
            if name in table.names:
                self._bind(table, name)

    def _bind(self, table: NamedTable, name: str) -> None:
        if name in self._interfaces:
            table.core.put(self._interfaces[name], 32, table.names[name])


def _natural(name: str) -> tuple[int, int, str]:
    """Numbers by their value, before all other names."""
    return (0, int(name), "") if name.isdigit() else (1, 0, name)
