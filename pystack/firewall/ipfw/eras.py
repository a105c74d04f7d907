"""The releases of FreeBSD between which ipfw changed what it reads, says and does."""

from __future__ import annotations

from enum import IntEnum


class Era(IntEnum):
    """An era by the release it began with; later ones compare as greater."""

    E8 = 8
    """8.x and 9.x, and what little differs before."""
    E10 = 10
    """10.x and 11.0."""
    E11 = 11
    """The control interface of 11, with the dynamic rules of 10."""
    E12 = 12
    """12.0 and later."""

    @property
    def tablearg(self) -> int:
        """The argument that stands for a table's value."""
        return 0 if self >= Era.E11 else 65535

    @property
    def nat_global(self) -> int:
        """The argument of `nat global`."""
        return 65535 if self >= Era.E11 else 0

    @property
    def names_objects(self) -> bool:
        """Tables have names; a rule is handed over together with the names it uses."""
        return self >= Era.E11

    @property
    def names_states(self) -> bool:
        """States have names."""
        return self >= Era.E12
