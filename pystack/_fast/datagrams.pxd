from pystack._fast cimport udp_icmp
from pystack._fast.internet cimport Internet
from pystack._fast.packet cimport Packet
from pystack._fast.ports cimport port_range
from pystack._fast.udp cimport DatagramSocket

cdef int CALLS_LINUX, EPERM, MBUF_SHORTAGE_SLEEP, EV_WRITE, ICMP_ECHO, PROTO_ICMP, PROTO_UDP, SOCKBUF_LINUX
cdef int EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EDESTADDRREQ, EINVAL, EMSGSIZE, ENETUNREACH
cdef int ENOBUFS, ENOTCONN, EPIPE
cdef int SO_BROADCAST, SO_REUSEADDR, SO_REUSEPORT
cdef int MAX_PAYLOAD, ECHO_HEAD
cdef unsigned int _BROADCAST

cpdef int datagram_bind(Internet s, DatagramSocket d, unsigned int addr, int port) except -1000
cpdef int datagram_connect(Internet s, DatagramSocket d, unsigned int addr, int port) except -1000
cdef int prepare(Internet s, DatagramSocket d, unsigned int addr) except -1000
cpdef int datagram_send(
    Internet s, DatagramSocket d, const unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n,
    unsigned int addr, int port
) except -1000
cpdef int datagram_readable(DatagramSocket d) except -1000
cpdef int datagram_close(Internet s, DatagramSocket d) except -1000
