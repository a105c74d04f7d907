"""How many ICMP messages Linux sends: so many to a host, and so many in all (icmp(7); net/ipv4/icmp.c as of 6.18).

`icmp_ratemask` says for which types that holds, a bit each; "fragmentation needed" is never held back. A host may be
told once in `icmp_ratelimit`, and saves up six times. The whole machine saves up `icmp_msgs_burst`, refilled with
`icmp_msgs_per_sec` in steps of a fiftieth of a second and more; what a message takes from it is 0, 1 or 2 by chance,
so that nobody can count from outside who else is being answered.
"""

import cython

from pystack._fast.consts import ICMP_UNREACH, ICMP_UNREACH_NEEDFRAG, MS, SECOND
from pystack._fast.ipstat import IpStat  # noqa: F401  (the type in the .pxd)
from pystack._fast.tcb import Stack  # noqa: F401

SAVED = 6
"""Messages that a silent host saves up (XRLIM_BURST_FACTOR)."""
HOSTS = 65_664
"""Hosts that are remembered (inet_peer_threshold and some); the one that was told longest ago is forgotten first."""
STEP = 20 * MS


@cython.final
@cython.cclass
class IcmpLimit:
    """What one machine has saved up. `hosts`: address -> (time saved, when that was counted), in ns."""

    def __init__(self):
        self.hosts = {}
        self.credit = 0
        self.stamp = -SECOND

    def may_send(self, s, stat, kind, code, dst):
        """May a message of this type go to `dst` now? It is counted as sent if so."""
        cfg = s.cfg
        if kind > 31 or not (cfg.icmp_ratemask >> kind) & 1:
            return True
        if kind == ICMP_UNREACH and code == ICMP_UNREACH_NEEDFRAG:
            return True
        if cfg.icmp_msgs_per_sec >= 0 and dst >> 24 != 127 and not self.any_left(s):
            stat.icmp_limit_all += 1
            return False
        if dst >> 24 != 127 and not self.host_may(s, dst):
            stat.icmp_limit_host += 1
            return False
        if cfg.icmp_msgs_per_sec >= 0 and dst >> 24 != 127:
            self.credit -= s.rng.below(3)
        return True

    def any_left(self, s):
        """Is there any credit of the machine, or has time brought some?"""
        passed: cython.longlong = s.now - self.stamp
        more: cython.longlong
        if self.credit > 0:
            return True
        if passed > SECOND:
            passed = SECOND
        if passed < STEP:
            return False
        more = s.cfg.icmp_msgs_per_sec * passed // SECOND
        if more == 0:
            return False
        self.stamp = s.now
        self.credit += more
        if self.credit > s.cfg.icmp_msgs_burst:
            self.credit = s.cfg.icmp_msgs_burst
        return True

    def host_may(self, s, dst):
        """Has the host been left alone for long enough?"""
        gap: cython.longlong = s.cfg.icmp_ratelimit
        saved: cython.longlong = SAVED * gap
        since: cython.longlong
        good: cython.bint
        known = self.hosts.pop(dst, None)
        if known is not None:
            saved, since = known
            saved += s.now - since
            if saved > SAVED * gap:
                saved = SAVED * gap
        good = saved >= gap
        if good:
            saved -= gap
        if len(self.hosts) >= HOSTS:
            del self.hosts[next(iter(self.hosts))]
        self.hosts[dst] = (saved, s.now)
        return good
