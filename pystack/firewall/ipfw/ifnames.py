"""Interfaces as rules name them: a name, a pattern of the shell, or an address."""

from __future__ import annotations

from fnmatch import fnmatchcase


def name_fits(name: str, pattern: str) -> bool:
    """Is this the interface? A pattern has one of `*?[` in it (iface_match)."""
    return fnmatchcase(name, pattern)
