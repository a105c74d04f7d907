"""Which release's tools a machine has: what changes from one to the next is compared with this."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pystack.host import Host


def era_of(host: Host) -> float:
    """The release of the system whose formats the tools print (`tools` of the profile): 4, 7, 9.2, 10, 14."""
    return float(host.profile.tools)
