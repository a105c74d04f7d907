"""packetdrill scripts, played in virtual time against a machine (docs/packetdrill.md)."""

from __future__ import annotations

from pystack.packetdrill.guest import NotPassed, play_in
from pystack.packetdrill.parse import ScriptError, parse, parse_file
from pystack.packetdrill.play import play
from pystack.packetdrill.script import Script
from pystack.packetdrill.verdict import Verdict

__all__ = [
    "NotPassed",
    "Script",
    "ScriptError",
    "Verdict",
    "parse",
    "parse_file",
    "play",
    "play_in",
]
