"""Numbers of netfilter that more than one module speaks of: states, status bits, verdicts, places in a flow's record.

What differs from era to era is a policy, in `consts`.
"""

# --- netfilter: what a packet is to the flow that it belongs to (facts: conntrack 7.1) ------------------------------
CTS_NONE = 0
CTS_INVALID = 1
CTS_ESTABLISHED = 2
CTS_RELATED = 4
CTS_NEW = 8
CTS_UNTRACKED = 64
"""`Packet.ct_state`: the bits that `-m conntrack --ctstate` compares; 0 before conntrack has seen the packet."""

IPS_EXPECTED = 1
IPS_SEEN_REPLY = 2
IPS_ASSURED = 4
IPS_CONFIRMED = 8
IPS_SRC_NAT = 16
IPS_DST_NAT = 32
IPS_SEQ_ADJUST = 64
IPS_SRC_NAT_DONE = 128
IPS_DST_NAT_DONE = 256
IPS_DYING = 512
IPS_FIXED_TIMEOUT = 1024
IPS_TEMPLATE = 2048
IPS_NAT_CLASH = 4096
"""Status bits of a flow, the kernel's numbers (include/uapi/linux/netfilter/nf_conntrack_common.h)."""

TCPCT_NONE = 0
TCPCT_SYN_SENT = 1
TCPCT_SYN_RECV = 2
TCPCT_ESTABLISHED = 3
TCPCT_FIN_WAIT = 4
TCPCT_CLOSE_WAIT = 5
TCPCT_LAST_ACK = 6
TCPCT_TIME_WAIT = 7
TCPCT_CLOSE = 8
TCPCT_SYN_SENT2 = 9
TCPCT_RETRANS = 10
TCPCT_UNACK = 11
"""States of the TCP tracker, and the two timeouts that belong to none."""

CT_ACCEPT = 1
CT_DROP = 0
CT_INVALID = -1
CT_REPEAT = -4
"""What a tracker says of a packet: the kernel's verdicts, so that the records read alike."""

INV_IGNORED = 1
INV_STATE = 2
INV_RST = 3
INV_CHALLENGE = 4
INV_SEQ_OVER = 5
INV_ACK_OVER = 6
INV_SEQ_UNDER = 7
INV_ACK_UNDER = 8
INV_BEYOND = 9
INV_FLAGS = 10
INV_SHORT = 11
INV_ICMP = 12
"""What nf_conntrack_log_invalid says of a packet."""

IPCT_NEW = 1
IPCT_RELATED = 2
IPCT_DESTROY = 4
IPCT_REPLY = 8
IPCT_ASSURED = 16
IPCT_PROTOINFO = 32
IPCT_HELPER = 64
IPCT_MARK = 128
IPCT_NATSEQADJ = 256
IPCT_SECMARK = 512
"""What has happened to a flow (nf_conntrack_common.h): a message tells it if CT --ctevents wants one of these."""

CT_TEMPLATE = 0x4000
CT_MASKED = 0x8000
"""Bits of `Packet.ct_template` beside IPCT_*: a rule has CT for the packet; and it says which events are wanted."""

EVENT_NEW = 1
EVENT_UPDATE = 2
EVENT_DESTROY = 4
"""What a listener of conntrack is told of."""

UNCOUNTED = (1 << 64) - 1
"""Packets of a flow that began while nf_conntrack_acct was 0."""

# --- the record of a flow: places in `ConnTable.word`, `.half` and `.octet` -----------------------------------------
W_END = 0
W_MAXEND = 1
W_MAXWIN = 2
W_MAXACK = 3
W_REPLY = 4
W_LAST_SEQ = 8
W_LAST_ACK = 9
W_LAST_END = 10
W_EXPIRES = 11
W_MARK = 12
H_STATUS = 26
H_LAST_WIN = 27
O_STATE = 56
O_RETRANS = 57
O_LAST = 58
O_LAST_FLAGS = 59
O_SCALE = 60
O_FLAGS = 61
O_REPLY = 2
"""Places in a record. The window of the original direction is at W_END … W_MAXACK, that of the reply W_REPLY later;
O_SCALE and O_FLAGS likewise, O_REPLY later. W_EXPIRES is in jiffies; a UDP flow has the end of its first two seconds in
W_LAST_SEQ."""

ZONE_ORIGINAL = 1 << 16
ZONE_REPLY = 2 << 16
"""Added to `Packet.ct_zone`: the zone is that of one direction only, the other's is 0 (CT --zone-orig, -reply)."""

TOO_LONG = 2
CLASH = 1
"""Why `insert` refused."""

HZ = 250
JIFFY = 1_000_000_000 // HZ
"""Ticks of a second in the kernels that were recorded, and ns of a tick."""

# --- rules of netfilter: what a target answers, what matches and targets are told ------------------------------------
STATE_SNAT = 128
STATE_DNAT = 256
"""Bits of `-m conntrack --ctstate` beyond CTS_*: the flow is translated."""

PORT_SOURCE = 1
PORT_DESTINATION = 2
PORT_EITHER = 3
"""Which ports `Multiport` looks at."""

TTL_EQ = 0
TTL_NE = 1
TTL_LT = 2
TTL_GT = 3
BY_SRC = 1
BY_DST = 2
BY_SPORT = 4
BY_DPORT = 8
"""What a `HashLimit` keeps apart."""

RECENT_SET = 0
RECENT_CHECK = 1
RECENT_UPDATE = 2
RECENT_REMOVE = 3
CONTINUE = -1
RETURN = -2
JUMP = -3
GOTO = -4
REJECT_RESET = -1
"""The kind of REJECT that answers with a RST; the others are codes of ICMP unreachable."""

MARK_SET = 0
MARK_SAVE = 1
MARK_RESTORE = 2
TTL_SET = 0
TTL_INC = 1
TTL_DEC = 2
