"""Load: clients that use services as people and programs do, driven by readiness like the services.

    Browser      fetches pages over one connection, and may never close it
    DialUp       vanishes in the middle
    SlowReader   takes what it asked for drop by drop
    Poster       sends bodies without waiting, and must see the error page
    ClosedLoad   short connections, N at once
    OpenLoad     short connections, so many a second
    Residents    clients that stay connected, and come back when they are cut off
    Shell        one connection that stays, a line now and then
    SynFlooder   SYNs from addresses that never answer
    AimedFlooder the same into one chain of a hash without a key

Each takes a machine (the flooder: a tap) and a server's address, begins with `start`, and follows from its arguments
alone: the same seed, the same packets. What comes in numbers has a `tally`: how it stands.
"""

from pystack.traffic.aimed import AimedFlooder
from pystack.traffic.browser import Browser
from pystack.traffic.client import Client
from pystack.traffic.dialup import DialUp
from pystack.traffic.flooder import SynFlooder
from pystack.traffic.latency import Latencies
from pystack.traffic.load import ClosedLoad, Load, OpenLoad
from pystack.traffic.poster import Poster
from pystack.traffic.resident import Residents
from pystack.traffic.shell import Shell
from pystack.traffic.slow_reader import SlowReader
from pystack.traffic.tally import Tally

__all__ = [
    "AimedFlooder",
    "Browser",
    "Client",
    "ClosedLoad",
    "DialUp",
    "Latencies",
    "Load",
    "OpenLoad",
    "Poster",
    "Residents",
    "Shell",
    "SlowReader",
    "SynFlooder",
    "Tally",
]
