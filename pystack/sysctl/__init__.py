"""The knob registry: every limit and timeout is a sysctl with the name that the real system gives it.

    registry()          all knobs, as data               (knobs/*.toml, read by `registry`)
    Sysctl(profile)     the knobs of one machine         (`machine`, rules in `rules`)
    parse_sysctl_conf, parse_loader_conf                 (`conf`)

See docs/adr/0004-knobs-as-data.md for why it is cut like this.
"""

from pystack.sysctl.conf import ConfError, parse_loader_conf, parse_sysctl_conf
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
from pystack.sysctl.machine import Sysctl
from pystack.sysctl.registry import Registry, registry
from pystack.sysctl.strict_toml import TomlError

__all__ = [
    "ConfError",
    "ForeignKnob",
    "InvalidValue",
    "Knob",
    "KnobError",
    "NoEffect",
    "ReadOnlyKnob",
    "RefusedWrite",
    "Registry",
    "Sysctl",
    "TomlError",
    "UnknownKnob",
    "Value",
    "parse_loader_conf",
    "parse_sysctl_conf",
    "registry",
]
