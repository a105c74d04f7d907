"""The protocol of a rule."""

from __future__ import annotations

from pystack._fast.ipfw_ops import O_IP4, O_IP6, O_PROTO
from pystack.firewall.ipfw.cnumbers import strtol
from pystack.firewall.ipfw.draft import Draft
from pystack.firewall.ipfw.words import matches

IPV6 = 41


def protocol(draft: Draft, text: str, *, old_names: bool) -> bool:
    """Read a protocol; all of them leave no instruction. False: there is no such protocol.

    `old_names`: `ipv4` and `ipv6` mean the two versions of IP, not the protocols of tunnels.
    """
    if matches(text, "all", draft.words.warn) or text == "ip":
        draft.proto = 0
    elif text == "ip4" or (old_names and text == "ipv4"):
        draft.proto = 0
        draft.put(O_IP4)
    elif text == "ip6" or (old_names and text == "ipv6"):
        draft.proto = IPV6
        draft.put(O_IP6)
    else:
        value, rest = strtol(text)
        number: int | None = value
        if rest or value <= 0:
            number = draft.names.protocol(text)
        if number is None:
            return False
        draft.proto = number & 0xFF
        draft.put(O_PROTO, number)
    return True
