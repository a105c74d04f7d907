"""A network that you can hold in your hand: whole machines with real TCP stacks, in one process.

Names here are promises. They are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pystack.errors import DeadlockError as DeadlockError
    from pystack.host import Host as Host
    from pystack.link import Burst as Burst
    from pystack.link import Link as Link
    from pystack.network import Network as Network
    from pystack.profiles import Profile as Profile
    from pystack.readiness import select as select
    from pystack.server import Server as Server
    from pystack.server import serve as serve
    from pystack.sockets import Socket as Socket
    from pystack.sweeping import sweep as sweep
    from pystack.sysctl import Sysctl as Sysctl
    from pystack.tap import Tap as Tap
    from pystack.tcpinfo import TcpInfo as TcpInfo
    from pystack.timer import Timer as Timer

_HOME = {
    "Burst": "link",
    "DeadlockError": "errors",
    "Host": "host",
    "Link": "link",
    "Network": "network",
    "Profile": "profiles",
    "Server": "server",
    "Socket": "sockets",
    "Sysctl": "sysctl",
    "Tap": "tap",
    "TcpInfo": "tcpinfo",
    "Timer": "timer",
    "select": "readiness",
    "serve": "server",
    "sweep": "sweeping",
}

__all__ = [*sorted(_HOME), "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'pystack' has no attribute {name!r}")
    value = getattr(import_module(f"pystack.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
