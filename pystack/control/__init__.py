"""The control socket: how `pystack netstat` and its kin ask a running machine.

    place       where the sockets are, which machines there are, whose name is taken
    message     one question, one answer: a length and a JSON object
    client      ask a machine
    desk        the machine's side: bounded, and never in the way of its packets
    still       in Python: answer questions about machines whose time stands still

`pystack serve` has one; a `Server` in Python has one with `control=True`. docs/adr/0021 says why it is like this.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pystack.control.client import NoAnswer as NoAnswer
    from pystack.control.client import ask as ask
    from pystack.control.desk import Desk as Desk
    from pystack.control.message import Answer as Answer
    from pystack.control.message import BadMessage as BadMessage
    from pystack.control.message import Request as Request
    from pystack.control.place import NoPlace as NoPlace
    from pystack.control.place import machines as machines
    from pystack.control.still import attend as attend

_HOME = {
    "Answer": "message",
    "BadMessage": "message",
    "Desk": "desk",
    "NoAnswer": "client",
    "NoPlace": "place",
    "Request": "message",
    "ask": "client",
    "attend": "still",
    "machines": "place",
}
"""Imported when they are first used: who asks needs no stack."""

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'pystack.control' has no attribute {name!r}")
    value = getattr(import_module(f"pystack.control.{home}"), name)
    globals()[name] = value
    return value
