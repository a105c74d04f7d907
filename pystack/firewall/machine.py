"""The tables of iptables in a machine: they stand at its hooks as soon as they were touched, and conntrack and NAT
are at work as long as a rule needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pystack._fast import nf_hook
from pystack.firewall.logline import log_line
from pystack.firewall.tables import Firewall

if TYPE_CHECKING:
    from pystack.host import Host


class HostFirewall(Firewall):
    """The firewall of a host. Raises `firewall.conntrack.NoNetfilter` (ValueError) where the system has none."""

    def __init__(self, host: Host) -> None:
        super().__init__(clock=lambda: (host.now + host.epoch) / 10**9)
        self.host = host
        self.netfilter: Any = host.conntrack.netfilter
        self.netfilter.state.logger = self._log
        self.netfilter.state.speaker = host.log.write
        self._tracks = False
        self.shared.picks_events = self._picks_events

    def _picks_events(self) -> bool:
        """With nf_conntrack_events=2 only while somebody listens (nf_ct_ecache_ext_add)."""
        knob = "net.netfilter.nf_conntrack_events"
        autodetect = knob in self.host.sysctl and self.host.sysctl[knob] == 2
        return not autodetect or self.host.conntrack.listening

    def changed(self) -> None:
        """Put what there is now on the way of packets."""
        netfilter = self.netfilter
        for name in self.used:
            setattr(netfilter, name, self.tables[name])
        netfilter.translates = self.needs_nat
        if self.needs_conntrack and not netfilter.tracks:
            self._tracks = True
            netfilter.track(True)
        elif self._tracks and not self.needs_conntrack:
            self._tracks = False
            netfilter.track(False)
        self.host.core.hooks = netfilter
        self.host.after(self.host.core)  # the worker of conntrack may have a time now

    def _log(self, p: Any, prefix: str, level: int) -> None:
        """A line of LOG."""
        state = self.netfilter.state
        comes = state.hook in (nf_hook.PREROUTING, nf_hook.LOCAL_IN, nf_hook.FORWARD)
        goes = state.hook in (nf_hook.FORWARD, nf_hook.LOCAL_OUT, nf_hook.POSTROUTING)
        self.host.log.write(
            log_line(
                prefix,
                state.iface_name(p.iface_in) if comes else "",
                state.iface_name(p.iface_out) if goes else "",
                p.to_bytes(),
                state.log_flags,
                p.mark,
            )
        )
