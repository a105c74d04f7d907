"""Services: small classes driven by readiness, over the public socket API, in virtual and in real time.

    web = HttpService(80, root="/var/www")
    web.start(host)                 # in a Network; or pystack.serve(host, services=[web]) on a device
    ...
    web.stop()

`base` has what a service and its connections are; the others are one protocol each.
"""

from pystack.services.base import Connection, Service
from pystack.services.chargen import ChargenService
from pystack.services.discard import DiscardService
from pystack.services.echo import EchoService
from pystack.services.http import HttpService
from pystack.services.proxy import ProxyService

__all__ = [
    "ChargenService",
    "Connection",
    "DiscardService",
    "EchoService",
    "HttpService",
    "ProxyService",
    "Service",
]
