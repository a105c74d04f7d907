"""What rules and dynamic rules ask of the machine that they stand in, and what they have it do."""

import cython

from pystack._fast.packet import Packet  # noqa: F401


@cython.cclass
class Talk:
    """Who hears what dynamic rules have to say, and sends their packets."""

    def say(self, channel, text):
        """A line for the kernel's log; `channel`: facility.level, "debug" of the kernel's own, or "printf"."""
        raise AssertionError("Talk.say is the machine's")

    def probe(self, src, sport, dst, dport, seq, ack):
        """Send a keep-alive that no rule sees: an ACK without data."""
        raise AssertionError("Talk.probe is the machine's")

    def rule_number(self, rule):
        """The number of a rule by its row."""
        raise AssertionError("Talk.rule_number is the machine's")


@cython.cclass
class Ground(Talk):
    """What rules ask of the machine that they stand in, and what they have it do."""

    def renew(self):
        """The rules have changed: `Rules.program` is to be given what they are now."""
        raise AssertionError("Ground.renew is the machine's")

    def is_own(self, address):
        """Is it an address of this machine?"""
        raise AssertionError("Ground.is_own is the machine's")

    def iface_fits(self, iface, pattern):
        """Does an interface have this name (or address: `pattern` is the text of the rule)?"""
        raise AssertionError("Ground.iface_fits is the machine's")

    def way_to(self, address):
        """The interface towards an address, -1 for none."""
        raise AssertionError("Ground.way_to is the machine's")

    def is_near(self, address):
        """Is it in a network that this machine is connected to?"""
        raise AssertionError("Ground.is_near is the machine's")

    def answer(self, p, code):
        """A packet is refused and its sender told: a code of an ICMP unreachable, or REJECT_RST."""
        raise AssertionError("Ground.answer is the machine's")

    def log(self, p, position, out, arg):
        """A rule with `log` has matched."""
        raise AssertionError("Ground.log is the machine's")

    def warn(self, text):
        """The kernel prints something that nobody expected."""
        raise AssertionError("Ground.warn is the machine's")

    def has_tag(self, p, low, high):
        """Does the packet bear a tag in this range?"""
        raise AssertionError("Ground.has_tag is the machine's")

    def set_tag(self, p, tag, on):
        """The packet bears a tag, or no longer."""
        raise AssertionError("Ground.set_tag is the machine's")

    def rewrite(self, p, op, value):
        """O_SETDSCP, O_SET_MSS: the header says something else now."""
        raise AssertionError("Ground.rewrite is the machine's")
