"""Small scripts for tests of the player's face."""

GREETING = """\
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1400,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <...>
+.03 < . 1:1(0) ack 1 win 257
"""
"""A client connects; passes on every profile."""

WRONG = GREETING.replace("S. 0:0(0) ack 1 <...>", "S. 0:0(0) ack 2 win 7 <...>")
"""The SYN-ACK of line 5 acknowledges another number, with another window."""

MISSING = "--ip_version=ipv6\n" + GREETING
"""No machine here has IPv6."""

BROKEN = GREETING + "+0 > S 0:1(0)\n"
"""The last line is no packet."""
