"""Where netfilter meets the way of a packet: the five hooks, and what a rule may ask of the machine there.

A `HookState` is filled once for each hook that a packet passes and handed to every rule of it, so that rules, matches
and targets need no machine: they ask the state. Whoever runs the hooks (`netfilter.Netfilter`) answers.

Source: include/linux/netfilter.h; order of the hooks and their priorities: facts: conntrack 2.1.
"""

import cython

PREROUTING = 0
LOCAL_IN = 1
FORWARD = 2
LOCAL_OUT = 3
POSTROUTING = 4
HOOK_NAMES = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")

NF_DROP = 0
NF_ACCEPT = 1
NF_STOLEN = 2
NF_FULL = 3
"""What a hook does with a packet: it is lost, it goes on, the hook keeps it, the hook had no room to keep it."""

ADDR_UNSPEC = 0
ADDR_UNICAST = 1
ADDR_LOCAL = 2
ADDR_BROADCAST = 3
ADDR_ANYCAST = 4
ADDR_MULTICAST = 5
ADDR_BLACKHOLE = 6
ADDR_UNREACHABLE = 7
ADDR_PROHIBIT = 8
"""Types of `-m addrtype`, the kernel's numbers (RTN_*)."""


@cython.cclass
class NatRange:
    """What a NAT target allows: addresses `low` to `high` (0: the packet's own), ports `port_low` to `port_high` (0:
    any), and how one is chosen. For NETMAP the range is a network and the host part is kept. With `port_base` the
    port is as far from `port_low` as the packet's own is from the base.
    """

    def __init__(
        self,
        low=0,
        high=0,
        port_low=0,
        port_high=0,
        random=False,
        random_fully=False,
        persistent=False,
        netmap=False,
        port_base=0,
    ):
        self.low = low
        self.high = high or low
        self.port_low = port_low
        self.port_high = port_high or port_low
        self.random = random
        self.random_fully = random_fully
        self.persistent = persistent
        self.netmap = netmap
        self.port_base = port_base


@cython.cclass
class Hooks:
    """What stands on the way of the packets of a machine. Each hook answers NF_ACCEPT, NF_DROP (the caller drops the
    packet), or NF_STOLEN (it is the hook's now). This one lets everything pass.

    `defrag`: packets are to be whole before the first hook sees them.
    """

    def __init__(self):
        self.defrag = False

    def prerouting(self, p):
        """A packet has come in, nothing is decided."""
        return NF_ACCEPT

    def local_in(self, p):
        """A packet is for this machine."""
        return NF_ACCEPT

    def forwarding(self, p):
        """A packet is for somebody else; `iface_out` is known."""
        return NF_ACCEPT

    def local_out(self, p):
        """This machine sends a packet; `iface_out` is known."""
        return NF_ACCEPT

    def postrouting(self, p):
        """A packet is about to leave."""
        return NF_ACCEPT

    def forget(self, p):
        """The packet goes no further. Answers 0."""
        return 0

    def tick(self):
        """A timer of kind TIMER_CONNTRACK is due. Answers 0."""
        return 0

    def flow_due(self, row):
        """The timer of a flow (TIMER_FLOW) is due. Answers 0."""
        return 0


@cython.cclass
class HookState:
    """One packet at one hook. `hook` is one of the five, `now` the present in ns; `conntrack` may be None.

    `hot_drop` is set by a match that cannot answer: the packet is lost (the kernel's word for it). `log_flags` is for
    `log`: 1 TCP sequence numbers, 2 TCP options, 4 IP options, 8 the owner, 32 the MAC header decoded. `decided` is the
    `Rule` whose verdict was the table's last one, or the `RuleChain` whose policy was.
    """

    def __init__(self):
        self.hook = 0
        self.now = 0
        self.conntrack = None
        self.rng = None
        self.hot_drop = False
        self.decided = None
        self.log_flags = 0

    def address_type(self, addr, iface):
        """ADDR_* of an address, on one interface or (-1) on any."""
        raise AssertionError("HookState.address_type is the machine's")

    def iface_name(self, number):
        """The name of an interface, "" for -1."""
        raise AssertionError("HookState.iface_name is the machine's")

    def iface_addr(self, number):
        """The first address of an interface, 0 for none."""
        raise AssertionError("HookState.iface_addr is the machine's")

    def reject(self, p, kind):
        """Tell the sender of `p` in the way of REJECT: the code of an ICMP unreachable, or -1 for a RST. Answers 0."""
        raise AssertionError("HookState.reject is the machine's")

    def log(self, p, prefix, level):
        """A line about `p` for the kernel's log. Answers 0."""
        raise AssertionError("HookState.log is the machine's")

    def set_nat(self, p, wanted, source):
        """SNAT (`source`) or DNAT for the flow of `p` in a `NatRange`: NF_ACCEPT or NF_DROP."""
        raise AssertionError("HookState.set_nat is the machine's")

    def masquerade(self, p, wanted):
        """SNAT to the address of the interface that `p` leaves by: NF_ACCEPT or NF_DROP."""
        raise AssertionError("HookState.masquerade is the machine's")

    def clamp_mss(self, p):
        """The MTU of the way of `p`, in both directions the smaller."""
        raise AssertionError("HookState.clamp_mss is the machine's")
