from pystack._fast.config cimport Config
from pystack._fast.demux cimport Demux
from pystack._fast.draft cimport Draft
from pystack._fast.flight cimport Flight, SegmentTable
from pystack._fast.hashing cimport sip2
from pystack._fast.hostcache cimport HostCache
from pystack._fast.mbuf cimport Pool
from pystack._fast.mtu_search cimport Search
from pystack._fast.packet cimport Packet, PacketQueue
from pystack._fast.peer_metrics cimport PeerMetrics
from pystack._fast.port cimport Port
from pystack._fast.recvq cimport Reassembly, RecvQueue
from pystack._fast.rng cimport Rng
from pystack._fast.sackreport cimport SackReport
from pystack._fast.scoreboard cimport Scoreboard
from pystack._fast.sendq cimport SendQueue
from pystack._fast.timewait cimport TimeWaitTable
from pystack._fast.wheel cimport Wheel

cdef int HOSTS_BSD, HOSTS_LINUX
cdef int N_STATES
cdef long long NEVER, MS


cdef class TcpStat:
    cdef public long long sndtotal, sndpack, sndbyte, sndrexmitpack, sndrexmitbyte, mturesent
    cdef public long long sndacks, delack, sndurg, sndprobe, sndwinup, sndctrl
    cdef public long long rcvtotal, rcvackpack, rcvackbyte, rcvdupack, rcvacktoomuch
    cdef public long long rcvpack, rcvbyte, rcvduppack, rcvdupbyte, pawsdrop, rcvpartduppack
    cdef public long long rcvpartdupbyte
    cdef public long long rcvoopack, rcvoobyte, rcvpackafterwin, rcvbyteafterwin, rcvwinprobe
    cdef public long long rcvwinupd
    cdef public long long rcvafterclose, rcvbadsum, rcvbadoff, rcvshort, rcvmemdrop
    cdef public long long connattempt, accepts, badsyn, listendrop, badrst
    cdef public long long connects, closed, drops, conndrops
    cdef public long long rttupdated, segstimed, rexmttimeo, timeoutdrop, persisttimeo, persistdrop
    cdef public long long finwait2_drops, keeptimeo, keepprobe, keepdrops
    cdef public long long sc_added, sc_retransmitted, sc_dupsyn, sc_dropped, sc_completed
    cdef public long long sc_bucketoverflow, sc_reset, sc_stale, sc_unreach, sc_aborted
    cdef public long long sc_badack, sc_zonefail, sc_sendcookie, sc_recvcookie
    cdef public long long sack_recovery_episode, sack_rexmits, sack_rexmit_bytes, sack_rcv_blocks
    cdef public long long sack_send_blocks, sack_overflow
    cdef public long long ecn_ce, ecn_ect0, ecn_shs, ecn_rcwnd
    cdef public long long dsack_rcv, dsack_sent, badrexmt
    cdef public long long challenge_acks, challenge_suppressed
    cdef public long long tw_started, tw_recycled, tw_reused, tw_connects, tw_overflow
    cdef public long long fo_active, fo_active_fail, fo_passive, fo_passive_fail, fo_cookie_reqd
    cdef public long long pmtud_activated, pmtud_minmss, pmtud_failed, mtup_success, mtup_fail
    cdef public long long abort_on_close, abort_on_data, abort_on_memory, abort_on_linger
    cdef public long long listen_refused, reqq_drop, reqq_cookies, cookie_failed, embryonic_rsts
    cdef public long long out_rsts, estab_resets, tw_short, paws_passive
    cdef public long long mem_pressures, mem_pressure_ms, prune_called, rcv_pruned, rcvq_drop
    cdef public long long reno_recovery, sack_reneging, sack_reorder, reno_reorder, ts_reorder
    cdef public long long full_undo, partial_undo, dsack_undo, loss_undo, spurious_rtos
    cdef public long long reno_failures, sack_failures, loss_failures, reno_recovery_fail
    cdef public long long sack_recovery_fail, fast_retrans, slow_start_retrans, loss_probes
    cdef public long long loss_probe_recovery, dsack_old_sent, dsack_ofo_sent, dsack_ofo_rcv
    cdef public long long dsack_segs, dsack_dubious, sack_discard, ofo_queue, ofo_drop, ofo_merge
    cdef public long long syn_challenge, to_zero_window, from_zero_window, want_zero_window
    cdef public long long syn_retrans, orig_data_sent, delivered, delivered_ce, hystart_train
    cdef public long long hystart_train_cwnd, hystart_delay, hystart_delay_cwnd
    cdef public long long skipped_syn_recv, skipped_paws, skipped_seq, skipped_finwait2
    cdef public long long skipped_timewait, skipped_challenge, ack_compressed, delack_lost
    cdef public long long zero_window_drop, min_ttl_drop, md5_unexpected, defer_drop, beyond_window
    cdef public long long icmp_out_of_window, hp_hits, hp_acks, pure_acks, rehashes, hc_added, hc_overflow
    cdef public long long usedrtt, usedrttvar, usedssthresh, cachedrtt, cachedrttvar
    cdef public long long cachedssthresh


cdef class ListenBooks:
    cdef public long long overflows, said, told, when, last_cookie
    cdef public int qlen_high, synqlen_high
    cdef public list filtered
    cdef public bint flood_told


cdef class Tcb:
    # who
    cdef public int row
    cdef public unsigned int laddr, faddr
    cdef public int lport, fport
    cdef public int state
    cdef public int t_flags
    cdef public int so_state
    cdef public int so_options
    cdef public int so_error
    cdef public int soft_error
    cdef public int linger, linger2
    cdef public int uid, fd, mem_pages
    cdef public object owner
    # send side
    cdef public unsigned int iss, snd_una, snd_nxt, snd_max, snd_up, snd_wl1, snd_wl2, recover
    cdef public unsigned int snd_wnd, max_sndwnd
    # receive side
    cdef public unsigned int irs, rcv_nxt, rcv_adv, rcv_up, last_ack_sent
    cdef public unsigned int rcv_wnd
    cdef public int oob, oob_left
    cdef public bint oob_mark
    # segments
    cdef public int maxseg, mss_peer, user_mss, pmtu
    # timestamps
    cdef public unsigned int ts_recent, ts_offset
    cdef public long long ts_recent_age
    # what went and came (TCP_INFO)
    cdef public int segs_in, segs_out, data_segs_in, data_segs_out
    cdef public long long bytes_sent, bytes_retrans
    cdef public int zero_windows, segs_again, ooo_in, rto_count, rto_episodes
    cdef public long long rto_since, rto_time
    cdef public bint ecn_seen
    cdef public unsigned int scep, rcep
    # round trip and timers
    cdef public long long srtt, rttvar, rttmin, rxtcur, rtt_time, rtt_min_window
    cdef public unsigned int rtt_seq, rtt_round
    cdef public long long mdev, mdev_max, rto_var
    cdef public int timer
    cdef public long long timer_at
    cdef public long long at_rexmt, at_persist, at_keep, at_2msl, at_delack
    cdef public long long rcvtime, starttime, last_sent, rexmt_start, user_timeout
    cdef public int keepidle, keepintvl, keepcnt, keepinit, keep_probes
    # congestion
    cdef public unsigned int cwnd, ssthresh, cwnd_prev, ssthresh_prev, recover_prev
    cdef public long long badrxtwin
    cdef public int dupacks, bytes_acked, limited
    cdef public unsigned int w_max, undo_w_max, badrxt_ts
    cdef public long long epoch_start, cubic_k, undo_epoch, undo_k
    cdef public long long cubic_min_rtt, cubic_mean_rtt, cubic_sum_rtt
    cdef public int cubic_acks, cubic_flags, rtt_updates
    # buffers
    cdef public SendQueue sndq
    cdef public RecvQueue rcvq
    cdef public object reports
    cdef public Reassembly reass
    cdef public Scoreboard board
    cdef public Flight flight
    cdef public SackReport sacks
    # the receive buffer's growth (FreeBSD)
    cdef public int rcv_auto_bytes
    cdef public long long rcv_auto_start
    # the receive window and its growth (Linux)
    cdef public int advmss, rcv_mss, last_seg
    cdef public int window_clamp, user_clamp, rcv_ssthresh
    cdef public int rcv_space
    cdef public unsigned int rcv_space_seq, rcv_rtt_seq, rcv_rtt_echo
    cdef public long long rcv_space_at, rcv_rtt, rcv_rtt_at
    # acknowledging
    cdef public int pingpong, ack_pending, dup_answers
    cdef public unsigned int comp_rcv_nxt
    cdef public long long ato, data_recv, data_sent, ack_recv
    # sending (Linux): the end of the last short segment, and of the burst that is under way
    cdef public unsigned int snd_small, burst_end
    cdef public bint burst_long
    # what limits what is sent, since when; and for how long it did
    cdef public long long limit_at, busy_time, rwnd_time, sndbuf_time
    cdef public long long notsent_lowat
    cdef public unsigned int fin_seq
    cdef public long long challenge_start, invalid_at
    cdef public int challenge_count
    # black hole, and the search for the path MTU
    cdef public int bh_mss, min_ttl, known_reordering
    cdef public Search search
    # listener and its children
    cdef public Tcb listener
    cdef public Tcb accept_first, accept_last, accept_next
    cdef public int backlog, qlen, synqlen, young
    # Fast Open (tfo.py)
    cdef public int fo, fo_row, fo_qlen, fo_pending
    cdef public bytes fo_cookie, fo_key
    # options that only getsockopt tells
    cdef public dict extras
    cdef public list fo_held
    cdef public ListenBooks books
    # small numbers, side by side: a crowd of idle connections is mostly this structure
    cdef public signed char snd_scale, rcv_scale, request_r_scale, oob_state, cc, limit
    cdef public unsigned char tos, ttl, ace, accept_filter
    cdef public short rxtshift, syn_rexmits, quick_acks, comp_acks, syncnt, defer_accept
    # the application
    cdef public object handler
    cdef public int ready
    cdef public int wanted
    cdef public bint queued
    cdef public bint pending


cdef class Stack(Port):
    cdef public Pool pool
    cdef public Wheel wheel
    cdef public Config cfg
    cdef public Rng rng
    cdef public long long now
    cdef public TcpStat stat
    cdef public Demux demux
    cdef public SegmentTable segments
    cdef public Draft draft
    cdef public TimeWaitTable timewait
    cdef public list tcbs
    cdef public list ready
    cdef public unsigned int refusals
    cdef public list pending
    cdef public int n_pending
    cdef public int n_ready
    cdef const unsigned char[::1] arrows
    cdef public int[::1] states
    cdef public PacketQueue spare
    cdef public object log
    cdef public object fastopen, files, vain
    cdef public long long mem_pages, mem_high, mem_since, mem_failures, mem_failed_at
    cdef public bint mem_pressure
    cdef public long long reass_segments, reass_high, reass_failures, reass_failed_at
    cdef public long long sack_holes, sack_holes_high, sack_holes_failed_at
    cdef public long long challenge_high, challenge_failed_at
    cdef unsigned long long isn_k0, isn_k1
    cdef public unsigned int isn_ahead
    cdef public int tw_timer
    cdef int[::1] port_given
    cdef long long reuse_known
    cdef public long long[::1] rate_start
    cdef public int[::1] rate_count, rate_high
    cdef public long long[::1] rate_fail, rate_last
    cdef public long long challenge_start, challenge_left
    cdef public long long orphans, orphans_seen, orphans_at, orphans_failed_at, orphans_high
    cdef public dict perturb, peers, ways
    cdef public HostCache hosts
    cdef public PeerMetrics metrics
    cdef public long long port_second, port_count, port_stop
    cdef public long long sockets_told, ports_failed, ports_failed_at
    cdef int output(self, Packet p) except -1
    cdef int mtu_to(self, unsigned int dst) except -1
    cdef bint is_local(self, unsigned int addr) except -1
    cdef int forget_half_open(self, int row) except -1
    cdef int repeat_syn_ack(self, int row, Packet p) except -1
    cdef Packet packet(self)
    cdef int defer(self, Tcb t) except -1
    cpdef void wakeup(self, Tcb t, int events)
    cpdef void set_state(self, Tcb t, int state) noexcept
    cpdef void arm(self, Tcb t) noexcept
    cpdef void stop_timers(self, Tcb t) noexcept
    cpdef unsigned int new_isn(
        self, unsigned int laddr, int lport, unsigned int faddr, int fport,
    ) noexcept
    cpdef unsigned int new_ts_offset(self, unsigned int laddr, unsigned int faddr) noexcept
    cpdef unsigned int ts_at(self, unsigned int offset) noexcept
    cpdef unsigned int ts_clock(self, Tcb t) noexcept
    cpdef Tcb new_tcb(self)
    cpdef int no_sockets(self) except -1
    cpdef void detach(self, Tcb t)
    cpdef int count_holes(self, Tcb t, int n) except -1
    cpdef int say_of(self, int note, Packet p, long long number) except -1
    cpdef int count_orphan(self, int by) except -1
    cpdef long long orphans_known(self) noexcept
    cpdef int say(self, int note, Tcb t, long long number, long long other) except -1
    cdef long long drawn(self, int which, long long when, long long below) noexcept
    cpdef int port_failed(self) except -1
    cpdef bint bandlim(self, int which) except -1
