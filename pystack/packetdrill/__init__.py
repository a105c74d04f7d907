"""packetdrill scripts, played in virtual time against a machine (docs/packetdrill.md)."""

from __future__ import annotations

from pystack.packetdrill.script import Script

__all__ = ["Script"]
