"""The words of system calls: their numbers on Linux and on FreeBSD.

A script for a machine sees the numbers of that machine's system (Linux: include/uapi, x86-64; FreeBSD 14: sys/socket.h,
netinet/tcp.h, sys/fcntl.h, sys/poll.h, sys/errno.h). What a system does not have is not in its table.
"""

from __future__ import annotations

import errno as platform

from pystack.packetdrill.script import (
    Arg,
    Call,
    Ellipsis_,
    List_,
    Number,
    Or,
    String,
    Struct,
    Symbol,
)
from pystack.packetdrill.verdict import Failure, Skip


def _table(text: str) -> dict[str, int]:
    """{"NAME": number} of words `NAME=number`; a bare word is one more than the word before it."""
    found: dict[str, int] = {}
    last = -1
    for word in text.split():
        name, _, number = word.partition("=")
        last = int(number, 0) if number else last + 1
        found[name] = last
    return found


_BOTH = _table(
    """
    NULL=0 AF_UNSPEC=0 AF_INET=2 PF_UNSPEC=0 PF_INET=2 SOCK_STREAM=1 SOCK_DGRAM=2
    IPPROTO_IP=0 IPPROTO_ICMP=1 IPPROTO_TCP=6 IPPROTO_UDP=17 IPPROTO_IPV6=41 IPPROTO_SCTP=132
    IPPROTO_UDPLITE=136 INADDR_ANY=0
    O_RDONLY=0 O_WRONLY=1 O_RDWR=2
    F_DUPFD=0 F_GETFD F_SETFD F_GETFL F_SETFL FD_CLOEXEC=1
    SHUT_RD=0 SHUT_WR SHUT_RDWR
    MSG_OOB=1 MSG_PEEK=2 MSG_DONTROUTE=4
    POLLIN=1 POLLPRI=2 POLLOUT=4 POLLERR=8 POLLHUP=16 POLLNVAL=32 POLLRDNORM=64
    TCP_NODELAY=1 TCP_MAXSEG=2
    """
)

LINUX = _BOTH | _table(
    """
    AF_INET6=10 PF_INET6=10 SOCK_NONBLOCK=0x800 SOCK_CLOEXEC=0x80000 IPPROTO_MPTCP=262
    SOL_SOCKET=1 SOL_IP=0 SOL_TCP=6 SOL_UDP=17 SOL_IPV6=41
    O_CREAT=0x40 O_EXCL=0x80 O_TRUNC=0x200 O_APPEND=0x400 O_NONBLOCK=0x800 O_NDELAY=0x800
    MSG_CTRUNC=8 MSG_PROXY=0x10 MSG_TRUNC=0x20 MSG_DONTWAIT=0x40 MSG_EOR=0x80 MSG_WAITALL=0x100 MSG_FIN=0x200
    MSG_SYN=0x400 MSG_CONFIRM=0x800 MSG_RST=0x1000 MSG_ERRQUEUE=0x2000 MSG_NOSIGNAL=0x4000 MSG_MORE=0x8000
    MSG_WAITFORONE=0x10000 MSG_ZEROCOPY=0x4000000 MSG_FASTOPEN=0x20000000 MSG_CMSG_CLOEXEC=0x40000000
    POLLRDBAND=0x80 POLLWRNORM=0x100 POLLWRBAND=0x200 POLLMSG=0x400 POLLREMOVE=0x1000 POLLRDHUP=0x2000
    EPOLLIN=1 EPOLLPRI=2 EPOLLOUT=4 EPOLLERR=8 EPOLLHUP=16 EPOLLRDNORM=64 EPOLLRDBAND=0x80 EPOLLWRNORM=0x100
    EPOLLWRBAND=0x200 EPOLLMSG=0x400 EPOLLRDHUP=0x2000 EPOLLEXCLUSIVE=0x10000000 EPOLLWAKEUP=0x20000000
    EPOLLONESHOT=0x40000000 EPOLLET=0x80000000 EPOLL_CTL_ADD=1 EPOLL_CTL_DEL EPOLL_CTL_MOD EPOLL_CLOEXEC=0x80000
    FIONREAD=0x541B SIOCINQ=0x541B TIOCINQ=0x541B SIOCOUTQ=0x5411 TIOCOUTQ=0x5411 SIOCOUTQNSD=0x894B FIONBIO=0x5421
    SIOCATMARK=0x8905
    SO_DEBUG=1 SO_REUSEADDR SO_TYPE SO_ERROR SO_DONTROUTE SO_BROADCAST SO_SNDBUF SO_RCVBUF SO_KEEPALIVE SO_OOBINLINE
    SO_NO_CHECK SO_PRIORITY SO_LINGER SO_BSDCOMPAT SO_REUSEPORT SO_PASSCRED SO_PEERCRED SO_RCVLOWAT SO_SNDLOWAT
    SO_RCVTIMEO SO_SNDTIMEO SO_BINDTODEVICE=25 SO_TIMESTAMP=29 SO_ACCEPTCONN=30 SO_SNDBUFFORCE=32 SO_RCVBUFFORCE=33
    SO_TIMESTAMPNS=35 SO_MARK=36 SO_TIMESTAMPING=37 SO_PROTOCOL=38 SO_DOMAIN=39 SO_RXQ_OVFL=40 SO_PEEK_OFF=42
    SO_BUSY_POLL=46 SO_MAX_PACING_RATE=47 SO_MEMINFO=55 SO_INCOMING_NAPI_ID=56 SO_ZEROCOPY=60 SO_TXTIME=61
    IP_TOS=1 IP_TTL=2 IP_RECVTTL=12 IP_MTU_DISCOVER=10 IP_RECVERR=11 IP_RECVTOS=13 IP_MTU=14 IP_FREEBIND=15
    IP_TRANSPARENT=19 IP_MINTTL=21 IP_BIND_ADDRESS_NO_PORT=24 IP_RECVFRAGSIZE=25
    IP_PMTUDISC_DONT=0 IP_PMTUDISC_WANT IP_PMTUDISC_DO IP_PMTUDISC_PROBE IP_PMTUDISC_INTERFACE IP_PMTUDISC_OMIT
    TCP_CORK=3 TCP_KEEPIDLE TCP_KEEPINTVL TCP_KEEPCNT TCP_SYNCNT TCP_LINGER2 TCP_DEFER_ACCEPT TCP_WINDOW_CLAMP TCP_INFO
    TCP_QUICKACK TCP_CONGESTION TCP_MD5SIG TCP_COOKIE_TRANSACTIONS=15 TCP_THIN_LINEAR_TIMEOUTS TCP_THIN_DUPACK
    TCP_USER_TIMEOUT TCP_REPAIR TCP_REPAIR_QUEUE TCP_QUEUE_SEQ TCP_REPAIR_OPTIONS TCP_FASTOPEN TCP_TIMESTAMP
    TCP_NOTSENT_LOWAT TCP_CC_INFO TCP_SAVE_SYN TCP_SAVED_SYN TCP_REPAIR_WINDOW TCP_FASTOPEN_CONNECT TCP_ULP
    TCP_MD5SIG_EXT TCP_FASTOPEN_KEY TCP_FASTOPEN_NO_COOKIE TCP_ZEROCOPY_RECEIVE TCP_INQ TCP_TX_DELAY=37
    TCP_CM_INQ=36
    SCM_TIMESTAMP=29 SCM_TIMESTAMPNS=35 SCM_TIMESTAMPING=37
    SPLICE_F_MOVE=1 SPLICE_F_NONBLOCK=2 SPLICE_F_MORE=4 SPLICE_F_GIFT=8
    """
)

FREEBSD = _BOTH | _table(
    """
    AF_INET6=28 PF_INET6=28 SOCK_NONBLOCK=0x20000000 SOCK_CLOEXEC=0x10000000
    SOL_SOCKET=0xffff SOL_TCP=6
    O_NONBLOCK=4 O_NDELAY=4 O_APPEND=8 O_CREAT=0x200 O_TRUNC=0x400 O_EXCL=0x800
    MSG_EOR=8 MSG_TRUNC=0x10 MSG_CTRUNC=0x20 MSG_WAITALL=0x40 MSG_DONTWAIT=0x80 MSG_EOF=0x100 MSG_NOTIFICATION=0x2000
    MSG_NBIO=0x4000 MSG_COMPAT=0x8000 MSG_NOSIGNAL=0x20000 MSG_CMSG_CLOEXEC=0x40000 MSG_WAITFORONE=0x80000
    POLLWRNORM=4 POLLRDBAND=0x80 POLLWRBAND=0x100 POLLINIGNEOF=0x2000 POLLRDHUP=0x4000
    FIONREAD=0x4004667f FIONWRITE=0x40046677 FIONSPACE=0x40046676 FIONBIO=0x8004667e SIOCATMARK=0x40047307
    SO_DEBUG=1 SO_ACCEPTCONN=2 SO_REUSEADDR=4 SO_KEEPALIVE=8 SO_DONTROUTE=0x10 SO_BROADCAST=0x20 SO_USELOOPBACK=0x40
    SO_LINGER=0x80 SO_OOBINLINE=0x100 SO_REUSEPORT=0x200 SO_TIMESTAMP=0x400 SO_NOSIGPIPE=0x800 SO_BINTIME=0x2000
    SO_NO_OFFLOAD=0x4000 SO_NO_DDP=0x8000 SO_REUSEPORT_LB=0x10000 SO_RERROR=0x20000
    SO_SNDBUF=0x1001 SO_RCVBUF SO_SNDLOWAT SO_RCVLOWAT SO_SNDTIMEO SO_RCVTIMEO SO_ERROR SO_TYPE SO_LABEL SO_PEERLABEL
    SO_LISTENQLIMIT=0x1011 SO_LISTENQLEN SO_LISTENINCQLEN SO_SETFIB SO_USER_COOKIE SO_PROTOCOL SO_PROTOTYPE=0x1016
    SO_TS_CLOCK SO_MAX_PACING_RATE SO_DOMAIN
    IP_TOS=3 IP_TTL=4 IP_RECVOPTS=5 IP_RECVTTL=65 IP_MINTTL=66 IP_DONTFRAG=67 IP_RECVTOS=68 IP_BINDANY=24
    TCP_NOPUSH=4 TCP_NOOPT=8 TCP_MD5SIG=16 TCP_INFO=32 TCP_STATS=33 TCP_LOG=34 TCP_LOGBUF=35 TCP_LOGID=36 TCP_LOGDUMP=37
    TCP_LOGDUMPID=38 TCP_TXTLS_ENABLE TCP_TXTLS_MODE TCP_RXTLS_ENABLE TCP_RXTLS_MODE TCP_IWND_NB TCP_IWND_NSEG
    TCP_USE_DDP TCP_LOGID_CNT=46 TCP_LOG_TAG=47 TCP_USER_LOG=48 TCP_CONGESTION=64 TCP_CCALGOOPT=65 TCP_MAXUNACKTIME=68
    TCP_IDLE_REDUCE=70 TCP_REMOTE_UDP_ENCAPS_PORT=71 TCP_DELACK=72 TCP_FIN_IS_RST=73 TCP_LOG_LIMIT=74
    TCP_SHARED_CWND_ALLOWED=75 TCP_PROC_ACCOUNTING=76 TCP_USE_CMP_ACKS=77 TCP_PERF_INFO=78 TCP_LRD=79
    TCP_KEEPINIT=128 TCP_KEEPIDLE=256 TCP_KEEPINTVL=512 TCP_KEEPCNT=1024 TCP_FASTOPEN=1025 TCP_PCAP_OUT=2048
    TCP_PCAP_IN=4096 TCP_FUNCTION_BLK=8192 TCP_FUNCTION_ALIAS=8193
    """
)

TABLES = {"linux": LINUX, "freebsd": FREEBSD}

_LINUX_ERRORS = _table(
    """
    EPERM=1 ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST
    EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE
    EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENODATA=61 ETIME=62 EPROTO=71 EBADMSG=74 EOVERFLOW=75
    ENOTUNIQ=76 EUSERS=87 ENOTSOCK=88 EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT
    EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET
    ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS
    ESTALE ECANCELED=125
    """
)
_FREEBSD_ERRORS = _table(
    """
    EPERM=1 ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EDEADLK ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST
    EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE
    EAGAIN EINPROGRESS EALREADY ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT
    EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET
    ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED ELOOP ENAMETOOLONG EHOSTDOWN EHOSTUNREACH
    ENOTEMPTY EPROCLIM EUSERS EDQUOT ESTALE ENOLCK=77 ENOSYS=78 EOVERFLOW=84 ECANCELED=85 EBADMSG=89 EPROTO=92
    ENOTCAPABLE=93 ECAPMODE=94
    """
)
ERRORS = {"linux": _LINUX_ERRORS, "freebsd": _FREEBSD_ERRORS}

_ALIASES = {"EWOULDBLOCK": "EAGAIN", "ENOTSUP": "EOPNOTSUPP", "EDEADLOCK": "EDEADLK"}


def error_name(number: int) -> str:
    """The name of an errno of the platform that pystack runs on, by which errors are compared."""
    name = platform.errorcode.get(number, f"errno {number}")
    return _ALIASES.get(name, name)


def plain_error(name: str) -> str:
    """EWOULDBLOCK is EAGAIN, and so on."""
    return _ALIASES.get(name, name)


class Symbols:
    """The words and numbers of one system, "linux" or "freebsd"."""

    def __init__(self, system: str) -> None:
        self.system = system
        self.table = TABLES[system]
        self.errors = ERRORS[system]

    def number(self, name: str) -> int:
        """What a word stands for. Raises Skip for one that is not of this system, or not known at all."""
        if name in self.table:
            return self.table[name]
        plain = _ALIASES.get(name, name)
        if plain in self.errors:
            return self.errors[plain]
        for system, table in TABLES.items():
            if name in table and system != self.system:
                raise Skip(f"{name}, which {self.system} does not have")
        raise Skip(f"the symbol {name}")

    def value(self, arg: Arg | None) -> int:
        """The number that an argument stands for. Raises Failure where it is none."""
        match arg:
            case Number():
                return arg.value
            case Symbol():
                return self.number(arg.name)
            case Or():
                total = 0
                for part in arg.args:
                    total |= self.value(part)
                return total
            case Call(name="htons" | "htonl" | "ntohs" | "ntohl"):
                return self.value(arg.args[0])
            case Call(name="inet_addr") if isinstance(arg.args[0], String):
                return address(arg.args[0].value)
        raise Failure(f"semantic error: a number expected, not {describe(arg)}")

    def errno(self, number: int) -> int:
        """This system's number for an errno of the platform."""
        return self.errors.get(error_name(number), number) if number else 0


def address(text: bytes) -> int:
    """The number of "192.0.2.1"."""
    parts = text.decode("ascii", "replace").split(".")
    if len(parts) != 4 or not all(p.isdigit() and int(p) < 256 for p in parts):
        raise Failure(f"semantic error: not an IPv4 address: {text!r}")
    return int.from_bytes(bytes(map(int, parts)), "big")


def describe(arg: Arg | None) -> str:
    """An argument as it might be written."""
    match arg:
        case None:
            return "nothing"
        case Number():
            return arg.text
        case Symbol():
            return arg.name
        case Or():
            return "|".join(map(describe, arg.args))
        case String():
            return '"' + arg.value.decode("ascii", "backslashreplace") + '"'
        case Ellipsis_():
            return "..."
        case List_():
            return "[" + ", ".join(map(describe, arg.items)) + "]"
        case Struct():
            return "{" + ", ".join(_field(f.name, f.value, f.count) for f in arg.fields) + "}"
        case Call():
            return f"{arg.name}({', '.join(map(describe, arg.args))})"


def _field(name: str, value: Arg, count: Arg | None) -> str:
    counted = f"({describe(count)})" if count is not None else ""
    return f"{name}{counted}={describe(value)}" if name else describe(value)
