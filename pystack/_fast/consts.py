"""Numbers that more than one module speaks of: states, flags, drop reasons, events, policies.

Plain ints, so that both speeds and every user of the library import the same file. A hot module binds what it needs
with `cython.declare` at import (STYLE 2.9).
"""

from enum import IntEnum, unique

NS = 1
US = 1_000
MS = 1_000_000
SECOND = 1_000_000_000
NEVER = 2**63 - 1

PAWS_IDLE = 24 * 24 * 60 * 60 * SECOND
"""A timestamp older than this says nothing any more (RFC 7323 section 5.5)."""
PAWS_MSL = 60 * SECOND
"""Linux: so old must the last timestamp be before a RST for a small socket need not fit to it."""

# --- IP ------------------------------------------------------------------------------------------------------------
PROTO_ICMP = 1
PROTO_TCP = 6
PROTO_UDP = 17
PROTO_GRE = 47
PROTO_UDPLITE = 136

INADDR_ANY = 0
INADDR_BROADCAST = 0xFFFFFFFF

# --- TCP header flags (RFC 9293 section 3.1) -----------------------------------------------------------------------
FIN = 1
SYN = 2
RST = 4
PSH = 8
ACK = 16
URG = 32
ECE = 64
CWR = 128
AE = 256
"""The lowest of the four bits before CWR (RFC 9768). `Packet.flags` has it in what is sent only."""

# --- TCP states, in FreeBSD's order (netinet/tcp_fsm.h): comparisons such as `state >= ESTABLISHED` rely on it -----
CLOSED = 0
LISTEN = 1
SYN_SENT = 2
SYN_RECEIVED = 3
ESTABLISHED = 4
CLOSE_WAIT = 5
FIN_WAIT_1 = 6
CLOSING = 7
LAST_ACK = 8
FIN_WAIT_2 = 9
TIME_WAIT = 10

STATE_NAMES = (
    "CLOSED",
    "LISTEN",
    "SYN_SENT",
    "SYN_RCVD",
    "ESTABLISHED",
    "CLOSE_WAIT",
    "FIN_WAIT_1",
    "CLOSING",
    "LAST_ACK",
    "FIN_WAIT_2",
    "TIME_WAIT",
)
"""What `netstat` prints for each state (FreeBSD netstat/inet.c)."""

# --- TCP options (IANA registry) -----------------------------------------------------------------------------------
OPT_EOL = 0
OPT_NOP = 1
OPT_MSS = 2
OPT_WSCALE = 3
OPT_SACK_OK = 4
OPT_SACK = 5
OPT_TS = 8
OPT_TFO = 34

# --- ICMP ----------------------------------------------------------------------------------------------------------
ICMP_ECHO_REPLY = 0
ICMP_UNREACH = 3
ICMP_SOURCE_QUENCH = 4
ICMP_REDIRECT = 5
ICMP_ECHO = 8
ICMP_TIME_EXCEEDED = 11
ICMP_PARAM_PROBLEM = 12

ICMP_UNREACH_NET = 0
ICMP_UNREACH_HOST = 1
ICMP_UNREACH_PROTOCOL = 2
ICMP_UNREACH_PORT = 3
ICMP_UNREACH_NEEDFRAG = 4
ICMP_UNREACH_SRCFAIL = 5
ICMP_UNREACH_FILTER_PROHIB = 13

# --- IP options: source routes (RFC 791 section 3.1), and what is to become of a packet that has one ----------------
ROUTE_LOOSE = 131
ROUTE_STRICT = 137
GO_ON = 0
"""Nothing special."""
STOP = 1
"""It is dropped."""
REFUSE = 2
"""It is dropped, and the source is told that the route failed."""
BAD_ADDRESS = 3
"""It is dropped, and the source is told that the destination is wrong."""
ONE_STOP = 4
"""It goes to the next address of its route."""


@unique
class Drop(IntEnum):
    """Why a packet went no further. One counter for each (`Core.drops`); 0 is "it was not dropped"."""

    NONE = 0
    # IP
    IP_TRUNCATED = 1
    IP_VERSION = 2
    IP_HEADER_LENGTH = 3
    IP_TOTAL_LENGTH = 4
    IP_CHECKSUM = 5
    IP_SOURCE_INVALID = 6
    IP_DESTINATION_INVALID = 7
    IP_NOT_OURS = 8
    IP_TTL = 9
    IP_NO_ROUTE = 10
    IP_NEED_FRAGMENT = 11
    IP_PROTOCOL = 12
    IP_OPTION = 13
    IP_SOURCE_ROUTE = 19
    FRAG_BAD = 14
    FRAG_OVERLAP = 15
    FRAG_MEMORY = 16
    FRAG_TIMEOUT = 17
    FRAG_HELD = 18
    # TCP, as a segment
    TCP_TRUNCATED = 20
    TCP_OFFSET = 21
    TCP_CHECKSUM = 22
    TCP_PORT_ZERO = 23
    TCP_BROADCAST = 24
    TCP_FROM_SELF = 25
    TCP_SYNFIN = 26
    TCP_NO_PORT = 27
    TCP_BLACKHOLE = 28
    # TCP, as an event
    TCP_WINDOW = 30
    TCP_OLD = 31
    TCP_PAWS = 32
    TCP_NO_TIMESTAMP = 33
    TCP_BAD_ACK = 34
    TCP_BAD_RST = 35
    TCP_BAD_SYN = 36
    TCP_NO_ACK = 37
    TCP_AFTER_CLOSE = 38
    TCP_TIME_WAIT = 39
    TCP_REASSEMBLY = 40
    TCP_LISTEN_OVERFLOW = 41
    TCP_SYN_LIMIT = 42
    TCP_LISTEN_STATE = 43
    TCP_MIN_TTL = 44
    TCP_SIGNATURE = 45
    # UDP and ICMP
    UDP_TRUNCATED = 50
    UDP_LENGTH = 51
    UDP_CHECKSUM = 52
    UDP_NO_PORT = 53
    UDP_BUFFER = 54
    ICMP_TRUNCATED = 55
    ICMP_CHECKSUM = 56
    ICMP_TYPE = 57
    ICMP_QUOTE = 58
    ICMP_LIMIT = 59
    # buffers and devices
    MBUF = 60
    TX_QUEUE = 61
    NO_DEVICE = 62
    FIREWALL = 63
    RX_RING = 64
    # links
    LINK_LOSS = 70
    LINK_QUEUE = 71
    LINK_CORRUPT = 72
    LINK_PARTITION = 73
    LINK_MTU = 74


N_DROPS = 80

# --- what a socket is ready for; a command's or a segment's effect on it --------------------------------------------
EV_READ = 1
EV_WRITE = 2
EV_ERROR = 4
EV_ACCEPT = 8
EV_CONNECT = 16
EV_HANGUP = 32

# --- how a write is made: MSG_MORE, MSG_EOR, MSG_ZEROCOPY; its call waits until all is taken; it is pages of a file;
# the room for it was there when the call was made, and its caller slept for mbufs -------------------------------------
WRITE_MORE = 1
WRITE_RECORD = 2
WRITE_ZEROCOPY = 4
WRITE_WAITS = 8
WRITE_PAGES = 16
WRITE_GRANTED = 32

# --- errno of the core: names, not numbers; the face gives the numbers of the profile's system --------------------


class Err(IntEnum):
    """Errors that the core answers commands with; `sockets.py` turns each into OSError with the errno of its name."""

    OK = 0
    EAGAIN = 1
    EINPROGRESS = 2
    EALREADY = 3
    EISCONN = 4
    ENOTCONN = 5
    ECONNREFUSED = 6
    ECONNRESET = 7
    ECONNABORTED = 8
    ETIMEDOUT = 9
    EPIPE = 10
    EADDRINUSE = 11
    EADDRNOTAVAIL = 12
    ENETUNREACH = 13
    EHOSTUNREACH = 14
    ENOBUFS = 15
    EMSGSIZE = 16
    EINVAL = 17
    EOPNOTSUPP = 18
    EACCES = 19
    ENOPROTOOPT = 20
    EDESTADDRREQ = 21
    EBADF = 22
    EMFILE = 23
    ENFILE = 24
    ENETDOWN = 25
    EDOM = 26
    EAFNOSUPPORT = 27
    EHOSTDOWN = 28
    ENONET = 29
    EPROTO = 30
    ENOENT = 31
    EPERM = 32
    ESRCH = 33


@unique
class Note(IntEnum):
    """What a kernel tells its operator; `kernlog.py` has the words, which are the profile's ([messages])."""

    LISTEN_OVERFLOW = 1
    SOCKET_LIMIT = 2
    SYN_FLOOD = 3
    SYNCACHE_PAUSE = 4
    TIME_WAIT_OVERFLOW = 5
    ORPHANS = 6
    TCP_MEMORY = 7
    BANDLIM = 8
    ZONE_LIMIT = 9
    SOCKETS = 10
    FILES = 11
    IN_VAIN = 12
    DATAGRAM_IN_VAIN = 13
    # net.inet.tcp.log_debug
    SYNCACHE_STALE = 14
    SYNCACHE_AGAIN = 15
    SYNCACHE_DUPLICATE = 16
    SPURIOUS_ACK = 17
    COOKIE_FAILED = 18
    SOCKET_FAILED = 19
    SYNCACHE_REFUSED = 20
    DATA_AFTER_CLOSE = 21
    CONNTRACK_FULL = 22


# --- the answers that FreeBSD counts by kind, so many a second (netinet/icmp_var.h) --------------------------------
BANDLIM_UNREACH = 0
BANDLIM_ECHO = 1
BANDLIM_TSTAMP = 2
BANDLIM_RST_CLOSED = 3
BANDLIM_RST_OPEN = 4
BANDLIM_NAMES = (
    "icmp unreach response",
    "icmp ping response",
    "icmp tstamp response",
    "closed port RST response",
    "open port RST response",
)


# --- policies: where systems differ (docs/adr/0011) -----------------------------------------------------------------
OPTIONS_BSD = 0
OPTIONS_LINUX = 1

CLOSE_UNREAD_FIN = 0
CLOSE_UNREAD_RST = 1

HALF_OPEN_SYNCACHE = 0
HALF_OPEN_REQUEST = 1
HALF_OPEN_SYNCACHE_14 = 2

BACKLOG_THREE_HALVES = 0
BACKLOG_AND_ONE = 1

OVERFLOW_LOG_HOST = 0
OVERFLOW_LOG_LISTENER = 1

SHUT_LISTENER_WAKES = 0
SHUT_LISTENER_CLOSES = 1

COOKIES_BSD = 0
COOKIES_LINUX = 1

DEAD_CHILD_ABORTED = 0
DEAD_CHILD_ACCEPTED = 1

CALLS_BSD = 0
CALLS_LINUX = 1

SOCKOPT_BSD = 0
SOCKOPT_LINUX = 1
SOCKOPT_BSD_14 = 2

SYN_GIVE_UP_COUNT = 0
SYN_GIVE_UP_MODEL = 1

SIMULTANEOUS_BSD = 0
SIMULTANEOUS_LINUX = 1
SIMULTANEOUS_BSD_14 = 2

FW2_RECEIVE_SHUT = 0
FW2_ORPHAN = 1
FW2_NONE = 2
FW2_ANY = 3
FW2_KEEPALIVE = 4

FW2_END_SILENT = 0
FW2_END_RST = 1

DELACK_BSD = 0
DELACK_LINUX = 1

WINDOW_BSD = 0
WINDOW_LINUX = 1
WINDOW_BSD_14 = 2

SACK_REPORT_BSD = 0
SACK_REPORT_LINUX = 1

PUSH_BSD = 0
PUSH_LINUX = 1

NAGLE_BSD = 0
NAGLE_LINUX = 1

PERSIST_BSD = 0
PERSIST_LINUX = 1

CC_NEWRENO = 0
CC_CUBIC = 1

MBUF_SHORTAGE_SLEEP = 0
MBUF_SHORTAGE_ENOBUFS = 1

FILES_BSD = 0
FILES_LINUX = 1

CONNECT_PORT_UNUSED = 0
CONNECT_PORT_TUPLE = 1
CONNECT_PORT_LINUX = 2

TIMEWAIT_BSD = 0
TIMEWAIT_BSD_14 = 1
TIMEWAIT_LINUX = 2

RTO_BSD = 0
RTO_LINUX = 1

SOCKBUF_BSD = 0
SOCKBUF_LINUX = 1

RECOVERY_BSD = 0
RECOVERY_LINUX = 1

ICMP_ERRORS_BSD = 0
ICMP_ERRORS_LINUX = 1

SOURCE_ROUTES_BSD = 0
SOURCE_ROUTES_LINUX = 1

SHUT_RD_BSD = 0
SHUT_RD_LINUX = 1

ACCEPTANCE_BSD = 0
ACCEPTANCE_LINUX = 1

RST_KEEPS_DATA = 0
RST_FLUSHES_DATA = 1

CHALLENGE_HOST = 0
CHALLENGE_CONNECTION = 1

HOSTS_NONE = 0
HOSTS_BSD = 1
HOSTS_LINUX = 2

MIN_SNDBUF = 4608
"""Linux: no send buffer is smaller (SOCK_MIN_SNDBUF)."""

GSO_MAX = 65535 - 120
"""Octets of payload in the largest super-segment: an IP total length is 16 bits, headers may take 120."""

# --- loss recovery by segments (flight.py) --------------------------------------------------------------------------
CA_OPEN = 0
CA_DISORDER = 1
CA_CWR = 2
CA_RECOVERY = 3
CA_LOSS = 4
"""States of congestion, Linux's numbers (include/uapi/linux/tcp.h)."""

SEG_SACKED = 1
SEG_RETRANS = 2
SEG_LOST = 4
SEG_EVER = 8
SEG_ASIDE = 16
"""Marks of a segment in flight: the peer has it, it was sent again and that is still out, it is lost, it was ever sent
again; time has found it lost, and looks at it again only once it was sent again."""

WAIT_RTO = 0
WAIT_TLP = 1
WAIT_REO = 2
"""What the retransmission timer of a connection stands for: the timeout, a loss probe, the reordering window."""

SEND_NOTHING = 0
SEND_LOST = 1
SEND_NEW = 2
"""What an acknowledgement makes recovery send: nothing of its own, what is lost, only what is new."""

A_DATA = 0x1
A_WINDOW = 0x2
A_ACKED = 0x4
A_RETRANS_ACKED = 0x8
A_SACKED = 0x10
A_ECE = 0x20
A_ADVANCED = 0x40
A_DSACK = 0x80
A_RENEGING = 0x100
A_ORIGINAL = 0x200
A_LOST_RETRANS = 0x400
A_SET_TIMER = 0x800
A_DSACK_TLP = 0x1000
A_MAYBE_DELAYED = 0x2000
"""What one acknowledgement did: it carried data, may change the window, acknowledged data, some of it sent twice,
SACKed some, echoed a mark, moved SND.UNA, reported a duplicate, took a SACK back, delivered octets that were sent once
before the recovery, showed a retransmission lost, restarts the timer, reported the loss probe as a duplicate, may have
been delayed."""

# --- whose a row of the timer wheel is ------------------------------------------------------------------------------
TIMER_TCB = 0
TIMER_TIMEWAIT = 1
TIMER_SYNCACHE = 2
TIMER_FRAG = 3
TIMER_CONNTRACK = 4
TIMER_FLOW = 5
TIMER_IPFW = 6

# --- firewalls: what their eras do ---------------------------------------------------------------------------------
CT_HASH_SIP = 0
CT_HASH_JHASH2 = 1
CT_HASH_JHASH3 = 2
CT_HASH_SUM = 3

CT_EVICT_BUCKETS = 0
CT_EVICT_NODES = 1
CT_EVICT_CHAIN = 2
CT_EVICT_NONE = 3
CT_EVICT_LRU = 4
CT_EVICT_PF_ADAPTIVE = 5
"""Whom a full table of conntrack lets go: three eras of the kernel, nobody, who was seen longest ago; or nobody, but
the fuller the table the sooner everybody's time is over, as in pf."""

CT_EXPIRY_WORKER_MEAN = 0
CT_EXPIRY_WORKER_120S = 1
CT_EXPIRY_WORKER_16S = 2
CT_EXPIRY_WORKER_5S = 3
CT_EXPIRY_TIMERS_HZ = 4
CT_EXPIRY_TIMERS = 5
"""How conntrack ends what has expired: a worker that comes after the mean of what flows have left (from 5.18), every
two minutes (5.13), in 128 parts within 16 s (4.10), in 64 parts, one in 5 s (4.9); a timer for each flow that moves by
a second or more (up to 4.8), or with every packet (up to 2.6.20)."""

CT_PROC_NF = 0
CT_PROC_IP = 1
CT_PROC_BOTH = 2
"""The file of /proc/net that lists flows: nf_conntrack, ip_conntrack, or both names."""

CT_LOG_PROTO = 0
CT_LOG_STATE = 1
CT_LOG_TCP = 2
CT_LOG_IP = 3
"""Words of nf_conntrack_log_invalid: with the protocol's number, from 5.18 (or so) and before; with its name (to 4.18);
as ip_conntrack.
"""

NAT_PORTS_ROUNDS = 0
NAT_PORTS_RANGE = 1
"""How NAT looks for a free port: 128 in a row and fewer from elsewhere, or the whole range once (up to 4.20)."""

IPFW_8 = 0
IPFW_10 = 1
IPFW_12 = 2
"""The eras of ipfw's dynamic rules (facts: ipfw 0)."""

CT_TRACKER_6 = 0
CT_TRACKER_4 = 1
CT_TRACKER_3 = 2
