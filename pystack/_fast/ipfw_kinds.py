"""Numbers of ipfw's NAT and dummynet that the core shares with the command."""

M_LOG = 0x1
M_DENY_IN = 0x2
M_SAME_PORTS = 0x4
M_UNREG_ONLY = 0x10
M_RESET = 0x20
M_PROXY_ONLY = 0x40
M_REVERSE = 0x80
M_SKIP_GLOBAL = 0x200
M_UNREG_CGN = 0x400
"""Modes of a NAT instance, as libalias numbers them."""

LINK_FRAGMENT = 257
LINK_ADDR = 259
"""Kinds of links that are no protocol: the datagram that a fragment belongs to; a redirected address."""
LINK_BUCKETS = 4001
"""Of both tables of links; a sum modulo a prime is spread well enough."""
LINKS_MAX = 1 << 20
"""Links that one instance may have."""
NO_PORT = 1
"""Stands for a port where a protocol has none (0 would mean: any)."""
DRAWN = -1
"""For the port outside: any that is free."""

FIFO = 1
WF2Q = 2
RR = 3
FQ_CODEL = 4
"""Schedulers, in the order in which a line serves its queues: as packets came, by weight, in turn, flow by flow."""
NO_MASK = (0, 0, 0, 0, 0)
"""Of protocol, source, port, destination, port: nothing."""
