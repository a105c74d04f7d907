"""packetdrill scripts, played in virtual time against a machine (docs/packetdrill.md)."""

from __future__ import annotations

from pystack.packetdrill.parse import ScriptError, parse, parse_file
from pystack.packetdrill.script import Script

__all__ = ["Script", "ScriptError", "parse", "parse_file"]
