"""What the knobs of one machine set: a flat bag of numbers that the hot core reads.

One attribute for each thing that a knob or a policy decides. Times are ns, sizes octets unless the
comment says pages, flags 0 or 1. The values here are an RFC's, or "no limit": real systems are
described by `pystack/profiles/*.toml`, and names, ranges and rules of knobs by
`pystack/knobs/*.toml`. Nothing here checks anything; `pystack.sysctl` does, once, at the border.
The core reads an attribute when it needs it and keeps no copy, so that a write acts at once.
"""

import cython

from pystack._fast import consts

DEFAULTS = {
    # Retransmission and connection set-up
    "tcp_rexmit_min": 1 * consts.SECOND,  # floor of the retransmission timeout, ns (RFC 6298)
    "tcp_rexmit_max": 60 * consts.SECOND,  # ceiling of the retransmission timeout, ns
    "tcp_rexmit_slop": 0,  # added to each timeout before the clamp (FreeBSD: 200 ms), ns
    "tcp_rexmit_initial": 1 * consts.SECOND,  # timeout before the first sample, ns
    "tcp_rexmit_fallback": 0,  # timeout after a handshake that gave no sample, ns (RFC 6298 5.7); 0 = no other
    "tcp_retries": 12,  # retransmissions of data before ETIMEDOUT (R2; Linux tcp_retries2)
    "tcp_retries1": 3,  # retransmissions before the path is doubted (RFC 9293 MUST-20, R1)
    "tcp_syn_retries": 6,  # retransmissions of our SYN
    "tcp_rexmit_drop_options": 0,  # FreeBSD: the third and later SYNs carry no options
    "tcp_syn_linear_timeouts": 0,  # first SYN waits that do not double
    "tcp_syn_again": 0,  # ns until a SYN is sent again that met an old connection, unless it was before; 0: as any
    "tcp_synack_retries": 5,  # retransmissions of our SYN-ACK
    "tcp_synack_linear_timeouts": 0,  # first SYN-ACK waits that do not double
    "tcp_synack_slop": 0,  # added to each SYN-ACK wait from the first retransmission on, ns
    "tcp_orphan_retries": 0,  # Linux: the same once closed; 0 = 8 while the peer was alive
    "tcp_maxunacktime": 0,  # user timeout of every connection (RFC 5482), ns; 0 = none
    # Keep-alive
    "tcp_keepidle": 7200 * consts.SECOND,  # silence before the first probe, ns
    "tcp_keepintvl": 75 * consts.SECOND,  # between probes, ns
    "tcp_keepcnt": 8,  # probes without an answer before the connection is dropped
    "tcp_keepinit": 75 * consts.SECOND,  # FreeBSD: set up by then or dropped, ns; 0 = no timer
    "tcp_always_keepalive": 0,  # keep-alive without SO_KEEPALIVE (RFC 9293 MUST-25 wants 0)
    # Acknowledging
    "tcp_delayed_ack": 1,  # 0 acknowledges every segment at once
    "tcp_delacktime": 100 * consts.MS,  # longest delay of an acknowledgement, ns
    "tcp_delack_min": 40 * consts.MS,  # Linux: shortest delay of its estimate, ns
    "tcp_pingpong_thresh": 1,  # Linux: answers that make a connection a conversation
    "tcp_comp_sack_delay": consts.MS,  # Linux: longest delay of compressed acknowledgements, ns
    "tcp_reflect_tos": 0,  # Linux: what is accepted has the TOS of its SYN
    "tcp_min_rtt_wlen": 300 * consts.SECOND,  # Linux: how long the smallest round trip counts, ns
    "tcp_comp_sack_nr": 44,  # Linux: acknowledgements that may be compressed into one
    # Closing
    "tcp_timewait": 60 * consts.SECOND,  # length of TIME_WAIT, ns (FreeBSD: twice net.inet.tcp.msl)
    "tcp_max_tw": 0,  # most TIME_WAIT entries; 0 = derived from ports and sockets (FreeBSD's rule)
    "tcp_nolocaltimewait": 0,  # no TIME_WAIT when the peer is an address of this machine
    "tcp_rfc1337": 1,  # a RST does not end TIME_WAIT
    "tcp_fast_finwait2_recycle": 0,  # FreeBSD: tcp_finwait2_timeout counts
    "tcp_finwait2_timeout": 60 * consts.SECOND,  # FreeBSD: FIN_WAIT_2 limit of the fast recycle, ns
    "tcp_fin_timeout": 60 * consts.SECOND,  # Linux: life of an orphan in FIN_WAIT_2, ns
    "tcp_tw_reuse": 0,  # Linux: connect() over TIME_WAIT: 0 no, 1 yes, 2 loopback only
    "tcp_tw_recycle": 0,  # Linux: TIME_WAIT of 3.5 timeouts, and SYNs with an older clock are dropped
    "tcp_tw_reuse_delay": 1 * consts.SECOND,  # Linux: least age of its last timestamp, ns
    "tcp_max_orphans": 2**31 - 1,  # Linux: most closed sockets that still send
    # Persist
    "tcp_persmin": 5 * consts.SECOND,  # least wait before a zero-window probe, ns
    "tcp_persmax": 60 * consts.SECOND,  # longest wait before a zero-window probe, ns
    "tcp_maxpersistidle": 7200 * consts.SECOND,  # a persisting connection is dropped after, ns
    # Buffers of a connection
    "tcp_sendspace": 32768,  # octets of a new send buffer
    "tcp_recvspace": 65536,  # octets of a new receive buffer
    "tcp_sendbuf_auto": 1,  # send buffers grow by themselves
    "tcp_recvbuf_auto": 1,  # receive buffers grow by themselves
    "tcp_sendbuf_max": 2097152,  # a growing send buffer stops here, octets
    "tcp_recvbuf_max": 2097152,  # a growing receive buffer stops here, octets
    "tcp_sendbuf_inc": 8192,  # one step of growth, octets
    "tcp_sendbuf_auto_lowat": 0,  # FreeBSD 12: growth leaves the low-water mark out of account
    "tcp_recvbuf_inc": 16384,  # one step of growth, octets; 0 = by half of its size (FreeBSD 13)
    "sb_max": 2097152,  # FreeBSD: kern.ipc.maxsockbuf; Linux: the larger of rmem_max and wmem_max
    "sb_efficiency": 8,  # FreeBSD: mbuf storage allowed for each octet of a buffer
    "tcp_rmem_min": 4096,  # Linux: guaranteed receive buffer under memory pressure, octets
    "tcp_rmem_max": 6291456,  # Linux: a growing receive buffer stops here, octets
    "tcp_wmem_min": 4096,  # Linux: guaranteed send buffer under memory pressure, octets
    "rmem_max": 212992,  # Linux: largest SO_RCVBUF before it is doubled, octets
    "wmem_max": 212992,  # Linux: largest SO_SNDBUF before it is doubled, octets
    "rmem_default": 212992,  # Linux: receive buffer of sockets that are not TCP, octets
    "wmem_default": 212992,  # Linux: send buffer of sockets that are not TCP, octets
    "tcp_mem_low": 0,  # Linux: pages of all TCP buffers below which there is no pressure
    "tcp_mem_pressure": 0,  # Linux: pages at which buffers stop growing; 0 = no limit
    "tcp_mem_max": 0,  # Linux: pages at which sockets are killed; 0 = no limit
    "tcp_app_win": 31,  # Linux: share of the window kept for the application, a power of two
    "tcp_notsent_lowat": consts.NEVER,  # Linux: unsent octets that end writability
    "tcp_shrink_window": 0,  # Linux: the window may be pulled back under memory pressure
    # Segments and congestion
    "tcp_mssdflt": 536,  # MSS of a peer that named none (RFC 9293 MUST-15)
    "tcp_minmss": 216,  # smaller MSS offers are raised to this
    "tcp_initcwnd_segments": 10,  # initial window (RFC 6928); 0 = as below
    "tcp_rfc3390": 1,  # initial window of RFC 3390, else of RFC 5681
    "tcp_cc": consts.CC_NEWRENO,  # congestion control, consts.CC_*
    "tcp_abc": 1,  # count acknowledged octets (RFC 3465)
    "tcp_abc_l_var": 2,  # segments of growth per acknowledgement in slow start
    "tcp_rfc3042": 1,  # limited transmit
    "tcp_prr": 0,  # FreeBSD: proportional rate reduction (RFC 6937)
    "tcp_sack_revised": 0,  # FreeBSD: RFC 6675 as it is since 14: pipe, rescue, two segments
    "tcp_sack_lrd": 0,  # FreeBSD: lost retransmissions are found
    "tcp_rto_keeps_sack": 0,  # FreeBSD: the first timeout keeps what was SACKed
    "tcp_eifel": 0,  # FreeBSD: a needless timeout is known by the echo of a timestamp
    "tcp_newcwv": 0,  # FreeBSD: only a window that is used grows (RFC 7661)
    "tcp_slow_start_after_idle": 1,  # the window restarts after an idle RTO (RFC 5681 4.1)
    "tcp_reordering": 3,  # duplicate acknowledgements that mean loss
    "tcp_max_reordering": 300,  # that number grows no further
    "tcp_frto": 0,  # spurious timeouts found as by RFC 5682
    "tcp_recovery": 0,  # RACK (RFC 8985)
    "tcp_thin_linear_timeouts": 0,  # Linux: timeouts of thin connections do not double
    "tcp_early_retrans": 0,  # tail loss probe
    "tcp_hystart": 0,  # CUBIC ends slow start when acknowledgments come late
    "tcp_tso": 1,  # super-segments are handed to devices that take them
    "tcp_min_tso_segs": 2,  # Linux: segments of a burst at least
    "tcp_tso_rtt_log": 9,  # Linux: bursts are larger below 2**this us of round trip, 0 = no
    "tcp_pacing_ss_ratio": 200,  # Linux: percent of the window a round trip, in slow start
    "tcp_pacing_ca_ratio": 120,  # Linux: the same in congestion avoidance
    # Options
    "tcp_window_scaling": 1,  # RFC 7323 section 2
    "tcp_timestamps": 1,  # RFC 7323 section 3
    "tcp_tolerate_missing_ts": 0,  # segments without the agreed timestamp are taken
    "tcp_sack": 1,  # RFC 2018
    "tcp_dsack": 1,  # RFC 2883
    "tcp_sack_maxholes": 128,  # FreeBSD: holes remembered for a connection
    "tcp_sack_globalmaxholes": 65536,  # FreeBSD: holes remembered in all
    "tcp_ecn": 0,  # RFC 3168: 0 no, 1 ask and agree, 2 agree only; FreeBSD: 3 and 4 the same for RFC 9768
    "tcp_abe": 0,  # a mark costs less than a loss (RFC 8511)
    "tcp_abe_frlossreduce": 0,  # a loss that follows a mark costs the rest
    "tcp_newreno_beta": 50,  # what NewReno keeps of its window at a loss, per cent
    "tcp_newreno_beta_ecn": 80,  # and at a mark, with tcp_abe
    "tcp_ecn_maxretries": 1,  # repetitions of a SYN that still ask for ECN
    "tcp_fastopen": 0,  # Linux: RFC 7413, bits: 1 client, 2 server, 4 …, see tfo.py
    "tcp_fastopen_client": 0,  # FreeBSD: data on our SYNs
    "tcp_fastopen_server": 0,  # FreeBSD: data on SYNs is taken by listeners that allow it
    "tcp_fastopen_acceptany": 0,  # FreeBSD: any cookie is valid
    "tcp_fastopen_path_disable": 0,  # FreeBSD: the same towards one server, ns
    "tcp_fastopen_disable": 0,  # after a black hole no data on SYNs for so long, ns; 0 = not so
    # What is remembered of other hosts
    "hostcache_enable": 1,  # FreeBSD: is anything?
    "hostcache_hashsize": 512,  # chains
    "hostcache_bucketlimit": 30,  # entries of a chain
    "hostcache_cachelimit": 15360,  # entries of all
    "hostcache_expire": 3600 * consts.SECOND,  # life of an entry that nobody asks for, ns
    "hostcache_prune": 300 * consts.SECOND,  # between walks over all, ns
    "tcp_no_metrics_save": 0,  # Linux: nothing is remembered
    "tcp_no_ssthresh_metrics_save": 1,  # Linux: the slow start threshold is not
    # Path MTU
    "tcp_path_mtu_discovery": 1,  # DF is set (RFC 1191)
    "ip_min_pmtu": 0,  # Linux: a path MTU below is taken as this, and DF is not set there
    "ip_pmtu_expires": 600 * consts.SECOND,  # what routers say of a way's MTU holds so long, ns
    "tcp_blackhole_detection": 0,  # a smaller MSS is tried when ICMP stays away
    "tcp_blackhole_mss": 1200,  # that MSS
    "tcp_tso_win_divisor": 0,  # Linux: a burst smaller than this part of the window waits
    "tcp_retrans_collapse": 1,  # Linux: small segments that are lost side by side go again as one
    "tcp_mtu_search": 0,  # Linux: the largest packet of a way is searched for from the beginning
    "tcp_mtu_probe_floor": 48,  # Linux: the smallest MSS that a black hole leads to
    "tcp_probe_interval": 600 * consts.SECOND,  # Linux: then a finished search begins again, ns
    "tcp_probe_threshold": 8,  # Linux: octets of uncertainty at which a search is finished
    # What an attacker may get
    "tcp_blackhole": 0,  # closed ports: 0 RST, 1 silence for SYN, 2 silence for all
    "tcp_blackhole_local": 1,  # that holds for segments of this machine itself, too
    "tcp_drop_synfin": 0,  # SYN with FIN is dropped
    "tcp_insecure_rst": 0,  # any RST in the window resets (before RFC 5961)
    "tcp_insecure_syn": 0,  # a SYN in the window resets; 2: and an older one is an octet that came before
    "tcp_insecure_ack": 0,  # an ACK older than the window is no reason to drop (before RFC 5961)
    "tcp_challenge_ack_limit": 10,  # challenge ACKs in a window of time; 0 = no limit
    "tcp_challenge_ack_window": 5 * consts.SECOND,  # that window of time, ns (RFC 5961 section 7)
    "tcp_invalid_ratelimit": 500 * consts.MS,  # least gap of ACKs to invalid segments, ns; 0 = none
    "tcp_isn_reseed_interval": 0,  # the ISN secret is drawn anew after this, ns; 0 = never
    "tcp_reass_maxqueuelen": 100,  # out-of-order segments held for a connection
    "tcp_reass_new_limit": 0,  # FreeBSD 13: instead of that, short segments are refused beyond the next
    "tcp_reass_queueguard": 16,  # out-of-order segments of a connection behind which short ones are refused
    "tcp_reass_maxsegments": 0,  # out-of-order segments held in all; 0 = no limit
    "tcp_log_in_vain": 0,  # 1 logs SYNs to closed ports, 2 all segments
    "tcp_log_debug": 0,  # logs why segments were rejected
    "icmp_icmplim": 200,  # RST and ICMP answers a second and class; 0 = no limit
    "icmp_icmplim_jitter": 0,  # random part of that limit
    "icmp_icmplim_output": 1,  # the limit is logged
    "icmp_ratelimit": 0,  # Linux: least gap between ICMP errors to one host, ns
    "icmp_ratemask": 0,  # Linux: ICMP types that are limited, one bit each
    "icmp_msgs_per_sec": -1,  # Linux: limited ICMP messages a second in all; below 0 no limit
    "icmp_msgs_burst": 50,  # Linux: how many of them at once
    "icmp_quotelen": 8,  # octets behind the IP header that an ICMP error quotes
    "icmp_may_rst": 1,  # an ICMP prohibition ends a connection in SYN_SENT
    "icmp_echo_ignore_all": 0,  # ping is not answered
    "icmp_bmcastecho": 0,  # ping to a broadcast address is answered
    # Listening
    "somaxconn": 128,  # listen() takes no larger backlog
    "tcp_max_syn_backlog": 2048,  # Linux: half-open connections before unknown peers are refused
    "tcp_abort_on_overflow": 0,  # Linux: a full accept queue answers with RST
    "tcp_syncookies": 1,  # SYN cookies when there is no room
    "tcp_syncookies_only": 0,  # a cookie for every SYN
    "syncache_hashsize": 512,  # buckets of the table of half-open connections
    "syncache_bucketlimit": 30,  # entries in a bucket; 0 = no limit
    "syncache_cachelimit": 15360,  # entries in all; 0 = no limit
    "syncache_rexmtlimit": 3,  # FreeBSD: tcp_synack_retries by its other name
    "syncache_rst_on_sock_fail": 1,  # RST when a finished handshake finds no room
    "syncache_pause": 0,  # a bucket's overflow switches the machine to cookies (FreeBSD 12)
    "sooverinterval": 60 * consts.SECOND,  # listen-queue overflows are logged once in this time, ns
    "sooverprio": 7,  # priority of that line; below 0 it is not logged
    # Tables and counts
    "maxsockets": 0,  # sockets; 0 = no limit
    "maxfiles": 0,  # descriptors of the machine; 0 = no limit
    "maxfilesperproc": 0,  # descriptors of a process; 0 = no limit
    "maxfiles_reserve": 0,  # one descriptor in so many is for root only; 0 = none
    "tcbhashsize": 512,  # buckets of the connection table
    "nmbufs": 0,  # mbufs; 0 = no limit
    "nmbclusters": 0,  # clusters of 2048 octets; 0 = no limit
    "nmbjumbop": 0,  # clusters of a page; 0 = no limit
    "nmbjumbo9": 0,  # clusters of 9216 octets; 0 = no limit
    "nmbjumbo16": 0,  # clusters of 16384 octets; 0 = no limit
    "send_page_clusters": 0,  # FreeBSD 7: what is written goes into clusters of a page
    "mbuf_wait": 0,  # FreeBSD 4: how long a write waits for mbufs before it fails, ns; 0 = for ever
    "zone_warnings": 1,  # a full zone is logged
    "mbuf_reclaim": 0,  # FreeBSD: when storage is denied, protocols give back what they can
    "nsfbufs": 0,  # sendfile buffers; 0 = the machine needs none (direct map)
    "do_tcpdrain": 1,  # reassembly queues are given back when clusters run out
    # Ports
    "port_first": 49152,  # automatic choice: first
    "port_last": 65535,  # automatic choice: last
    "port_hifirst": 49152,  # IP_PORTRANGE_HIGH: first
    "port_hilast": 65535,  # IP_PORTRANGE_HIGH: last
    "port_lowfirst": 1023,  # IP_PORTRANGE_LOW: first (counts down)
    "port_lowlast": 600,  # IP_PORTRANGE_LOW: last
    "port_downwards": 0,  # FreeBSD until 7: a range that ends below its start is searched downwards
    "port_reservedhigh": 1023,  # ports that need root: last
    "port_reservedlow": 0,  # ports that need root: first
    "port_randomized": 1,  # the search begins anywhere (RFC 6056)
    "port_randomcps": 0,  # allocations a second that switch to sequential search; 0 = never
    "port_randomtime": 45 * consts.SECOND,  # length of sequential search, ns
    "tcp_require_unique_port": 0,  # connect() takes only ports that nobody uses
    "tcp_autobind_reuse": 0,  # Linux: bind(0) may share ports of SO_REUSEADDR sockets
    # IP and UDP
    "ip_ttl": 64,  # TTL of what we send
    "ip_forwarding": 0,  # the machine is a router
    "ip_redirect": 1,  # a router sends redirects
    "ip_source_route": 0,  # packets that are to go on by a source route do
    "ip_accept_source_route": 0,  # packets that came by one are taken
    "ip_maxfragpackets": 1024,  # packets in reassembly; 0 = none, negative = no limit
    "ip_maxfragsperpacket": 16,  # fragments of one packet
    "ip_frag_timeout": 30 * consts.SECOND,  # life of an unfinished packet, ns
    "ip_frag_bytes": 4194304,  # octets in reassembly; 0 = no limit
    "udp_recvspace": 42080,  # octets of a UDP receive buffer
    "udp_maxdgram": 9216,  # largest datagram that a UDP socket sends, octets
    "udp_checksum": 1,  # UDP datagrams carry a checksum
    "udp_blackhole": 0,  # no port unreachable for closed UDP ports
    "udp_log_in_vain": 0,  # datagrams to closed ports are logged
    # Policies: how a system behaves where numbers do not say it
    # conntrack (net.netfilter)
    "ct_max": 262144,  # Linux: most flows; 0 = no limit
    "ct_buckets": 262144,  # Linux: chains of the table
    "ct_tcp_syn_sent": 120 * consts.SECOND,  # Linux: ns, as all of them: a SYN and no answer
    "ct_tcp_syn_recv": 60 * consts.SECOND,  # Linux: a SYN-ACK and no more
    "ct_tcp_established": 432000 * consts.SECOND,  # Linux: five days
    "ct_tcp_fin_wait": 120 * consts.SECOND,  # Linux: one FIN
    "ct_tcp_close_wait": 60 * consts.SECOND,  # Linux: its acknowledgement
    "ct_tcp_last_ack": 30 * consts.SECOND,  # Linux: the other FIN
    "ct_tcp_time_wait": 120 * consts.SECOND,  # Linux: both are acknowledged
    "ct_tcp_close": 10 * consts.SECOND,  # Linux: a RST
    "ct_tcp_syn_sent2": 120 * consts.SECOND,  # Linux: both sides opened at once
    "ct_tcp_retrans": 300 * consts.SECOND,  # Linux: after ct_tcp_max_retrans repetitions
    "ct_tcp_unacknowledged": 300 * consts.SECOND,  # Linux: while data is not acknowledged
    "ct_tcp_loose": 1,  # Linux: flows are picked up in their middle
    "ct_tcp_be_liberal": 0,  # Linux: only a RST can be outside of the window
    "ct_tcp_max_retrans": 3,  # Linux: repetitions that make a flow suspect
    "ct_tcp_ignore_invalid_rst": 0,  # Linux: an old RST is not INVALID
    "ct_udp": 30 * consts.SECOND,  # Linux: a datagram
    "ct_udp_stream": 120 * consts.SECOND,  # Linux: answered, and longer than ct_udp_stream_age
    "ct_udp_stream_age": 2 * consts.SECOND,  # Linux: 0: answered is enough
    "ct_icmp": 30 * consts.SECOND,  # Linux: a question of ICMP
    "ct_generic": 600 * consts.SECOND,  # Linux: any other protocol
    "ct_gre": 30 * consts.SECOND,  # Linux: GRE
    "ct_gre_stream": 180 * consts.SECOND,  # Linux: GRE, answered
    "ct_acct": 0,  # Linux: packets and octets of new flows are counted
    "ct_timestamp": 0,  # Linux: flows know when they began
    "ct_checksum": 1,  # Linux: a wrong checksum makes a packet INVALID
    "ct_log_invalid": 0,  # Linux: protocol whose INVALID packets are logged, 255 = all
    "ct_chain_min": 50,  # Linux: nodes of a chain that may be passed when a flow is put in; 0 = no limit
    "ct_chain_random": 30,  # Linux: and up to so many more, drawn each time
    "fw_dyn_max": 4096,  # FreeBSD: dynamic entries at most
    "fw_dyn_parent_max": 4096,  # FreeBSD: parents of limits at most, from 12 on
    "fw_dyn_buckets": 256,  # FreeBSD: chains of the table: the wanted number, from 10 on the most
    "fw_dyn_ack_lifetime": 300,  # FreeBSD: seconds: both sides have acknowledged
    "fw_dyn_syn_lifetime": 20,  # FreeBSD: seconds: a SYN, and whatever is new
    "fw_dyn_fin_lifetime": 1,  # FreeBSD: seconds: both sides have closed
    "fw_dyn_rst_lifetime": 1,  # FreeBSD: seconds: reset, or odd flags
    "fw_dyn_udp_lifetime": 10,  # FreeBSD: seconds: UDP
    "fw_dyn_short_lifetime": 5,  # FreeBSD: seconds: other protocols, and parents without a child
    "fw_dyn_keepalive": 1,  # FreeBSD: entries that are about to go are probed
    "fw_dyn_keep_states": 0,  # FreeBSD: entries outlive their rule
    "fw_enable": 1,  # FreeBSD: packets meet the rules
    "fw_one_pass": 1,  # FreeBSD: what leaves a pipe or NAT is accepted
    "fw_verbose": 0,  # FreeBSD: rules with `log` write lines
    "fw_verbose_limit": 0,  # FreeBSD: lines that a rule may write unless it says so; 0 = no end
    "fw_autoinc_step": 100,  # FreeBSD: between the numbers of rules that are given none
    "fw_default_to_accept": 0,  # FreeBSD: what the last rule does
    "fw_tables_max": 128,  # FreeBSD: tables
    "fw_tables_sets": 0,  # FreeBSD: tables belong to the set of their rule
    "policy_options": consts.OPTIONS_BSD,  # order and padding of TCP options
    "policy_close_unread": consts.CLOSE_UNREAD_FIN,  # close() with unread data
    "policy_half_open": consts.HALF_OPEN_SYNCACHE,  # where half-open connections are kept, and what meets them
    "policy_backlog": consts.BACKLOG_THREE_HALVES,  # how many connections may wait to be accepted
    "policy_overflow_log": consts.OVERFLOW_LOG_HOST,  # whose listen queue overflows are logged together
    "policy_cookies": consts.COOKIES_BSD,  # what a SYN cookie is made of
    "policy_shut_listener": consts.SHUT_LISTENER_WAKES,  # shutdown(SHUT_RD) of a listener
    "policy_dead_child": consts.DEAD_CHILD_ABORTED,  # accept() of a connection that was reset
    "policy_calls": consts.CALLS_BSD,  # errors of calls that meet the wrong state
    "policy_sockopt": consts.SOCKOPT_BSD,  # what values socket options take and show
    "policy_syn_give_up": consts.SYN_GIVE_UP_COUNT,  # when a SYN is not repeated any more
    "policy_simultaneous": consts.SIMULTANEOUS_BSD,  # options and windows of a simultaneous open
    "policy_fin_wait_2": consts.FW2_RECEIVE_SHUT,  # which connections in FIN_WAIT_2 have a timer
    "policy_fin_wait_2_end": consts.FW2_END_SILENT,  # what the end of that timer sends
    "policy_delack": consts.DELACK_BSD,  # how acknowledgements are delayed
    "policy_window": consts.WINDOW_BSD,  # how the receive window is computed
    "policy_sack_report": consts.SACK_REPORT_BSD,  # which blocks an acknowledgement reports
    "policy_push": consts.PUSH_BSD,  # which segments carry PSH
    "policy_nagle": consts.NAGLE_BSD,  # when a short segment waits
    "policy_persist": consts.PERSIST_BSD,  # what probes a window of zero, and how often
    "policy_mbuf_shortage": consts.MBUF_SHORTAGE_SLEEP,  # a blocking send without clusters
    "policy_files": consts.FILES_BSD,  # whom the limit of open files binds, and when it is asked
    "policy_connect_port": consts.CONNECT_PORT_TUPLE,  # which local port connect() finds free
    "policy_timewait": consts.TIMEWAIT_BSD,  # TIME_WAIT at its limit, and SYNs that meet it
    "policy_recovery": consts.RECOVERY_BSD,  # how losses are found and repaired
    "policy_rto": consts.RTO_BSD,  # the formula of the retransmission timeout
    "policy_sockbuf": consts.SOCKBUF_BSD,  # SO_RCVBUF and SO_SNDBUF beyond the limit
    "policy_challenge_ack": consts.CHALLENGE_CONNECTION,  # whose challenge ACKs are counted
    "policy_hosts": consts.HOSTS_NONE,  # what is remembered of other hosts
    "policy_acceptance": consts.ACCEPTANCE_BSD,  # which segments of a connection are taken
    "policy_icmp_errors": consts.ICMP_ERRORS_BSD,  # what an ICMP error does to a connection
    "policy_source_routes": consts.SOURCE_ROUTES_BSD,  # what becomes of source routes
    "policy_shut_rd": consts.SHUT_RD_BSD,  # data after shutdown(SHUT_RD)
    "policy_rst_flush": consts.RST_KEEPS_DATA,  # what a RST does to data that was not read
    "policy_ct_hash": consts.CT_HASH_SIP,  # Linux: the hash of conntrack
    "policy_ct_evict": consts.CT_EVICT_BUCKETS,  # Linux: which flow makes room in a full table
    "policy_nat_ports": consts.NAT_PORTS_ROUNDS,  # Linux: how NAT looks for a free port
    "policy_ipfw": consts.IPFW_10,  # FreeBSD: which era's dynamic rules ipfw has
    "policy_ct_tracker": consts.CT_TRACKER_6,  # Linux: tables and rules of the TCP tracker
    "policy_ct_expiry": consts.CT_EXPIRY_WORKER_MEAN,  # Linux: who removes flows that have expired, and when
    "policy_ct_proc": consts.CT_PROC_NF,  # Linux: the file that lists flows
    "policy_ct_log": consts.CT_LOG_PROTO,  # Linux: words about packets that are INVALID
}
"""Name and value of each attribute of a `Config` that no profile has filled."""


@cython.final
@cython.cclass
class Config:
    """The settings of one machine: each name of DEFAULTS is an attribute, a signed 64-bit int."""

    __slots__ = tuple(DEFAULTS)

    def __init__(self) -> None:
        for name, value in DEFAULTS.items():
            setattr(self, name, value)
