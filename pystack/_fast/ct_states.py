"""Which state a segment makes of a TCP flow: the tables of conntrack's TCP tracker.

Source: nf_conntrack_proto_tcp.c; facts: conntrack 3.
"""

# Kinds of segments, as the kernel numbers them
SYN = 0
SYNACK = 1
FIN = 2
ACK = 3
RST = 4
NONE = 5

# What a table says instead of a state
IGNORE = 10
BAD = 11

# What the tracker notes of a side, and (the last two) of the last SYN that it ignored
F_SCALE = 1
F_SACK = 2
F_CLOSE_INIT = 4
F_LIBERAL = 8
F_UNACKED = 16
F_MAXACK = 32
F_CHALLENGE = 64
F_SIMULTANEOUS = 128

CT_IGNORED = 20
"""A verdict on a segment's windows: it passes, and nothing follows from it."""

STATE_NAMES = "NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2".split()
"""As /proc/net/nf_conntrack prints them, by TCPCT_*."""

_WORDS = {"SS": 1, "SR": 2, "ES": 3, "FW": 4, "CW": 5, "LA": 6, "TW": 7, "CL": 8, "S2": 9} | {
    "IG": IGNORE,
    "IV": BAD,
}

# Rows: direction, kind of segment; columns: NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT
# CLOSE SYN_SENT2 (facts: conntrack 3.2).
TABLE_6 = """
    SS SS IG IG IG IG IG SS SS S2
    IV IV SR IV IV IV IV IV IV SR
    IV IV FW FW LA LA LA TW CL IV
    ES IV ES ES CW CW TW TW CL IV
    IV CL CL CL CL CL CL CL CL CL
    IV IV IV IV IV IV IV IV IV IV

    IV S2 IV IV IV IV IV SS IV S2
    IV SR IG IG IG IG IG IG IG SR
    IV IV FW FW LA LA LA TW CL IV
    IV IG SR ES CW CW TW TW CL IG
    IV CL CL CL CL CL CL CL CL CL
    IV IV IV IV IV IV IV IV IV IV
"""
TABLE_3 = """
    SS SS IG IG IG IG IG SS SS S2
    IV IV IG IG IG IG IG IG IG SR
    IV IV FW FW LA LA LA TW CL IV
    ES IV ES ES CW CW TW TW CL IV
    IV CL CL CL CL CL CL CL CL CL
    IV IV IV IV IV IV IV IV IV IV

    IV S2 IV IV IV IV IV IV IV S2
    IV SR IG IG IG IG IG IG IG SR
    IV IV FW FW LA LA LA TW CL IV
    IV IG SR ES CW CW TW TW CL IG
    IV CL CL CL CL CL CL CL CL CL
    IV IV IV IV IV IV IV IV IV IV
"""
"""The tables of today's kernels and of those up to 3.8."""

NEXT_STATES = bytes(_WORDS[w] for w in (TABLE_6 + TABLE_3).split())
"""60 numbers for each direction of today's kernels, and as many of the old ones."""
