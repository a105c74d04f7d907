"""Sweeps: a scenario many times over, each time with other values, and what comes of it.

table = pystack.sweep("ephemeral-ports", vary={"traffic.requests.rate": [10, 20, 30]}, seeds=3)
print(table.smallest("balancer:net.inet.ip.portrange.first"))
"""

from pystack.sweeping.plan import PlanError, Point, parse_vary, plan
from pystack.sweeping.run import sweep
from pystack.sweeping.store import Store
from pystack.sweeping.table import Table

__all__ = ["PlanError", "Point", "Store", "Table", "parse_vary", "plan", "sweep"]
