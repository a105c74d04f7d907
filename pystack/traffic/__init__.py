"""Load: clients that use services as people and programs do, driven by readiness like the services."""

from pystack.traffic.browser import Browser
from pystack.traffic.flooder import SynFlooder

__all__ = ["Browser", "SynFlooder"]
