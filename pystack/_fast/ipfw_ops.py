"""The instructions of ipfw's rules: numbers and layout as the command gives them to the kernel (netinet/ip_fw.h).

A rule is a row of instructions: patterns first, the action part behind them. An instruction is one word of 32 bits and
`length - 1` words of operands behind it:

    word    opcode | length << 8 | F_NOT | F_OR | argument << 16

The kernel prints opcodes by number (`opcode 10 size 32 wrong`, `drop session type 40`), so the numbers are a promise.
"""

F_NOT = 0x8000
"""The pattern is negated."""
F_OR = 0x4000
"""The next pattern is another way for this one to hold."""
F_LEN_MASK = 0x3F00

O_NOP = 0
O_IP_SRC = 1
O_IP_SRC_MASK = 2
O_IP_SRC_ME = 3
O_IP_SRC_SET = 4
O_IP_DST = 5
O_IP_DST_MASK = 6
O_IP_DST_ME = 7
O_IP_DST_SET = 8
O_IP_SRCPORT = 9
O_IP_DSTPORT = 10
O_PROTO = 11
O_MACADDR2 = 12
O_MAC_TYPE = 13
O_LAYER2 = 14
O_IN = 15
O_FRAG = 16
O_RECV = 17
O_XMIT = 18
O_VIA = 19
O_IPOPT = 20
O_IPLEN = 21
O_IPID = 22
O_IPTOS = 23
O_IPPRECEDENCE = 24
O_IPTTL = 25
O_IPVER = 26
O_UID = 27
O_GID = 28
O_ESTAB = 29
O_TCPFLAGS = 30
O_TCPWIN = 31
O_TCPSEQ = 32
O_TCPACK = 33
O_ICMPTYPE = 34
O_TCPOPTS = 35
O_VERREVPATH = 36
O_VERSRCREACH = 37
O_PROBE_STATE = 38
O_KEEP_STATE = 39
O_LIMIT = 40
O_LIMIT_PARENT = 41
O_LOG = 42
O_PROB = 43
O_CHECK_STATE = 44
O_ACCEPT = 45
O_DENY = 46
O_REJECT = 47
O_COUNT = 48
O_SKIPTO = 49
O_PIPE = 50
O_QUEUE = 51
O_DIVERT = 52
O_TEE = 53
O_FORWARD_IP = 54
O_FORWARD_MAC = 55
O_NAT = 56
O_REASS = 57
O_IPSEC = 58
O_IP_SRC_LOOKUP = 59
O_IP_DST_LOOKUP = 60
O_ANTISPOOF = 61
O_JAIL = 62
O_ALTQ = 63
O_DIVERTED = 64
O_TCPDATALEN = 65
O_IP6_SRC = 66
O_IP6_SRC_ME = 67
O_IP6_SRC_MASK = 68
O_IP6_DST = 69
O_IP6_DST_ME = 70
O_IP6_DST_MASK = 71
O_FLOW6ID = 72
O_ICMP6TYPE = 73
O_EXT_HDR = 74
O_IP6 = 75
O_NETGRAPH = 76
O_NGTEE = 77
O_IP4 = 78
O_UNREACH6 = 79
O_TAG = 80
O_TAGGED = 81
O_SETFIB = 82
O_FIB = 83
O_SOCKARG = 84
O_CALLRETURN = 85
O_FORWARD_IP6 = 86
O_DSCP = 87
O_SETDSCP = 88
O_IP_FLOW_LOOKUP = 89
O_TCPMSS = 90
O_SET_MSS = 91
O_SKIP_ACTION = 92

TABLEARG_OLD = 65535
"""Argument that stands for the value found in a table, up to the 2012 interface."""
TABLEARG = 0
"""As `TABLEARG_OLD`, since 2014."""

REJECT_RST = 0x100
"""Argument of O_REJECT: answer with a TCP reset; others are codes of an ICMP unreachable."""
REJECT_ABORT = 0x101
"""Argument of O_REJECT: answer with an SCTP ABORT (12 and later)."""

LIMIT_SRC_ADDR = 1
LIMIT_SRC_PORT = 2
LIMIT_DST_ADDR = 4
LIMIT_DST_PORT = 8

RULE_MAX = 65535
"""Number of the default rule."""
SETS = 32
"""Sets are 0..30; 31 is that of rules that a flush leaves alone."""

V_PASS = 0
V_DENY = 1
V_DIVERT = 2
V_TEE = 3
V_NETGRAPH = 4
V_NGTEE = 5
V_DUMMYNET = 6
V_NAT = 7
V_REASS = 8
"""What the rules make of a packet."""

IPFW_STACK = 16
"""Calls that may be open at a time."""

LOOPBACK = 63
"""The number that rules know lo0 by; the machine's own is -1, which to rules is no interface."""

FACE_PROTOCOL = 0
FACE_SOURCE = 1
FACE_TARGET = 2
FACE_SPORT = 3
FACE_TPORT = 4
FACE_FLAGS = 5
FACE_WAY = 6
N_FACES = 7
"""What a packet has that tells rules apart (`ipfw_skip`)."""
NO_PORT = 65536
NO_FLAGS = 256
"""What a packet has where it has no ports or no TCP flags."""

W_SRC = 0
W_DST = 1
W_PORTS = 2
"""Of the source << 16 | of the destination."""
W_KIND = 3
"""Protocol | opcode << 8 | number of its name << 16."""
W_HASH = 4
W_FLAGS = 5
W_EXPIRE = 6
"""Second of its end."""
W_ACK_FWD = 7
W_ACK_REV = 8
W_RULE = 9
W_PARENT = 10
W_COUNT = 11
"""Words of a dynamic rule's record; of a parent, how many children it has."""
Q_PACKETS = 6
Q_OCTETS = 7
"""Its words of 64 bits."""

DYN_KEPT = 7
"""FIN, SYN, RST: of the flags of a TCP packet, those that a state keeps, for the way back shifted by 8."""
DYN_BOTH_FIN = 0x101
DYN_BOTH_SYN = 0x202
DYN_CLOSING_FWD = 0x203
DYN_CLOSING_REV = 0x302
DYN_ACK_FWD = 0x10000
DYN_ACK_REV = 0x20000
DYN_ACK_BOTH = 0x30000
"""Who has acknowledged since the state was last renewed."""
DYN_ORPHANED = 0x40000
"""Its rule is gone."""
DYN_FORWARD = 0
DYN_REVERSE = 1
DYN_MOST_CLOSING = 4
"""Most seconds of `dyn_fin_lifetime` and `dyn_rst_lifetime`: less than lie between two rounds of keep-alives."""
