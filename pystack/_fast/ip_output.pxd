from pystack._fast cimport ip4
from pystack._fast.ipstat cimport IpStat
from pystack._fast.nf_hook cimport Hooks
from pystack._fast.packet cimport Packet, PacketQueue
from pystack._fast.routes cimport Interface, RouteTable
from pystack._fast.tcb cimport Stack

cdef int IP_NEED_FRAGMENT, IP_NO_ROUTE, MBUF, ENOBUFS, FIREWALL, NF_ACCEPT, NF_FULL, NF_STOLEN, TX_LIMIT, TX_QUEUE


cdef class IpOutput(Stack):
    cdef public list interfaces
    cdef public Interface lo
    cdef public RouteTable routes
    cdef public PacketQueue txq
    cdef PacketQueue loop
    cdef public dict path_mtu
    cdef public object tap
    cdef public Hooks hooks
    cdef public IpStat ipstat
    cdef int ip_id, piece
    cpdef unsigned int source_for(self, unsigned int dst) except? 0
    cdef bint is_broadcast(self, unsigned int addr) except -1
    cdef int remember_mtu(self, unsigned int dst, int mtu) except -1
    cdef int known_mtu(self, unsigned int dst, int mtu) except -1
    cpdef int point_at(self, Packet p, int route, unsigned int towards) except -1
    cdef int finish_output(self, Packet p, int route, unsigned int towards) except -1
    cdef int send_out(self, Packet p, Interface iface) except -1
    cdef int to_itself(self, Packet p) except -1
    cpdef int go_out(self, Packet p) except -1
    cdef int refuse(self, Packet p, int verdict) except -1
    cpdef int reject(self, Packet p, int reason) except -1
