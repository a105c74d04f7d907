"""The firewalls of a machine as text: iptables, its rules and its listings (docs/firewall.md)."""

from pystack.firewall.errors import FirewallError
from pystack.firewall.iptables import iptables, iptables_restore, iptables_save
from pystack.firewall.tables import Firewall

__all__ = ["Firewall", "FirewallError", "iptables", "iptables_restore", "iptables_save"]
