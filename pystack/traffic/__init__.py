"""Load: clients that use services as people and programs do, driven by readiness like the services."""

from pystack.traffic.browser import Browser

__all__ = ["Browser"]
