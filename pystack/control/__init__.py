"""The control socket: how `pystack netstat` and its kin ask a running machine.

    place       where the sockets are, which machines there are, whose name is taken
    message     one question, one answer: a length and a JSON object
    client      ask a machine
    desk        the machine's side: bounded, and never in the way of its packets
    attend      in Python: answer questions about machines whose time stands still

`pystack serve` has one; a `Server` in Python has one with `control=True`. docs/adr/0021 says why it is like this.
"""

from pystack.control.attend import attend
from pystack.control.client import NoAnswer, ask
from pystack.control.desk import Desk
from pystack.control.message import Answer, BadMessage, Request
from pystack.control.place import NoPlace, machines

__all__ = [
    "Answer",
    "BadMessage",
    "Desk",
    "NoAnswer",
    "NoPlace",
    "Request",
    "ask",
    "attend",
    "machines",
]
