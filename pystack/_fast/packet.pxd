# C face of packet.py; the meaning of each attribute is documented there.
from pystack._fast.mbuf cimport Pool
from pystack._fast.wirebytes cimport be32, csum_add16, csum_fold

cdef int _TCP
cdef int _UDP
cdef int _ICMP
cdef int ROUTE_LOOSE, ROUTE_STRICT


cdef class Packet:
    cdef public unsigned char[::1] head
    cdef public unsigned short[::1] head16
    cdef public int head_len
    cdef public int ip_len
    cdef public Pool pool
    cdef public int m
    cdef public int length
    cdef public int gso_size
    cdef public bint csum_ok
    cdef public bint csum_none
    cdef public int iface_in
    cdef public int iface_out
    cdef public Packet next
    cdef public PacketQueue home
    cdef public bint queued
    # IPv4
    cdef public unsigned int src
    cdef public unsigned int dst
    cdef public unsigned int nexthop
    cdef public int proto
    cdef public int tos
    cdef public int ttl
    cdef public int ip_id
    cdef public int frag_off
    cdef public int total
    cdef public bint df
    cdef public bint mf
    # L4
    cdef public int sport
    cdef public int dport
    cdef public int icmp_type
    cdef public int icmp_code
    cdef public unsigned int icmp_rest
    cdef public unsigned int seq
    cdef public unsigned int ack
    cdef public int flags
    cdef public int win
    cdef public int urg
    cdef public int opt_mss
    cdef public int opt_wscale
    cdef public bint opt_sack_ok
    cdef public bint opt_ts
    cdef public bint opt_md5
    cdef public unsigned int ts_val
    cdef public unsigned int ts_ecr
    cdef public int sack_n
    cdef public unsigned int[::1] sack
    cdef public int tfo_off
    cdef public int tfo_len
    cdef public bint tfo_exp
    cdef public int drop
    cdef public unsigned int mark
    cdef public int ct
    cdef public int ct_way
    cdef public int ct_state
    cdef public int ct_zone
    cdef public int ct_template
    cdef public unsigned int ct_hash

    cpdef void clear(self) noexcept
    cpdef void release(self) noexcept
    cpdef void drop_payload(self) noexcept
    cpdef int checksum_at(self) noexcept
    cpdef unsigned int pseudo_sum(self) noexcept
    cpdef int route_at(self) noexcept
    cpdef unsigned int last_stop(self) noexcept
    cpdef unsigned int l4_checksum(self) noexcept
    cpdef void copy_headers(self, Packet other) noexcept


cdef class PacketQueue:
    cdef public Packet first
    cdef public Packet last
    cdef public int count

    cpdef void push(self, Packet p) noexcept
    cpdef Packet pop(self)
    cpdef Packet take_free(self)
