cdef class IpStat:
    cdef public long long total, octets_in, delivered, localout, octets_out, transmits
    cdef public long long noroute, cantforward, forwarded, redirectsent
    cdef public long long fragmented, ofragments, cantfrag, bcast_in, bcast_out
    cdef public long long udp_ipackets, udp_nosum, udp_noport, udp_noportbcast, udp_fullsock
    cdef public long long udp_delivered, udp_read, udp_opackets
    cdef public long long icmp_error, icmp_old, icmp_reflect, icmp_bmcast
    cdef public long long icmp_limit_host, icmp_limit_all
    cdef public long long[::1] ecn
    cdef public long long[::1] icmp_in
    cdef public long long[::1] icmp_out
