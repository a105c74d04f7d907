"""What the internet layer, UDP and ICMP of one machine count beside the packets that they dropped (`Port.drops`).

Names are those of FreeBSD (netinet/ip_var.h, udp_var.h, icmp_var.h) as far as it has one; the tools of both systems
show these numbers under their own (`pystack.views`).
"""

import cython

from pystack._fast.columns import column

IP_STAT_NAMES = tuple(
    """total octets_in delivered localout octets_out transmits noroute cantforward forwarded redirectsent fragmented
    ofragments cantfrag bcast_in bcast_out udp_ipackets udp_nosum udp_noport udp_noportbcast udp_fullsock udp_delivered
    udp_read udp_opackets icmp_error icmp_old icmp_reflect icmp_bmcast icmp_limit_host icmp_limit_all""".split()
)


@cython.final
@cython.cclass
class IpStat:
    """Counters. `ecn`: packets that came, by their ECN field; `icmp_in`, `icmp_out`: messages by type."""

    def __init__(self):
        for name in IP_STAT_NAMES:
            setattr(self, name, 0)
        self.ecn = column("q", 4)
        self.icmp_in = column("q", 256)
        self.icmp_out = column("q", 256)
