"""The firewalls of a machine: netfilter of Linux as text and listings."""
