from pystack._fast.chain cimport FreeList
from pystack._fast.rates cimport Rate, RateTable
from pystack._fast.sackseen cimport SackBlocks
from pystack._fast.seq cimport add, after, after_eq, before, before_eq, dist

cdef int A_ACKED, A_ORIGINAL, A_RENEGING, A_RETRANS_ACKED, A_SACKED, SEG_ASIDE, SEG_EVER, SEG_LOST
cdef int SEG_RETRANS, SEG_SACKED
cdef long long CLOCK, LEAST_RTT, NEVER, NO_TIME


cdef class Flight:
    # the segments, and how many are marked
    cdef public int first, last, rows
    cdef public unsigned int start, head, high_sack
    cdef public int packets_out, sacked_out, lost_out, retrans_out
    # the state of congestion
    cdef public int ca_state
    cdef public unsigned int high_seq
    cdef public bint frto
    cdef public bint reneging
    # what may be undone
    cdef public bint undo
    cdef public unsigned int undo_marker
    cdef public int undo_retrans
    cdef public unsigned int prior_ssthresh
    cdef public int prior_cwnd
    cdef public unsigned int retrans_ts
    cdef public long long retrans_at
    # proportional rate reduction
    cdef public int prr_delivered, prr_out
    # RACK
    cdef public long long rack_sent_at, rack_rtt, min_rtt, min_rtt_at
    cdef public unsigned int rack_end
    cdef public bint rack_advanced, rack_dsack
    cdef public int reordering, reord_seen, reo_steps, reo_persist
    cdef public int delivered, delivered_ce, rack_delivered, lost, total_retrans, dsack_dups
    # the timer, and the tail loss probe
    cdef public int pending, retransmits
    cdef public bint tlp, tlp_retrans
    cdef public unsigned int tlp_high
    cdef public int probe
    # how far the congestion window is used
    cdef public bint cwnd_limited
    cdef public int max_packets_out, cwnd_cnt, cwnd_used
    cdef public unsigned int usage_seq
    cdef public long long cwnd_stamp, data_sent_at
    # CUBIC, counted in segments
    cdef public int cubic_cnt, cubic_last_max, cubic_last, cubic_origin, cubic_acked, cubic_reno
    cdef public long long cubic_k, cubic_epoch, cubic_at, delay_min
    # HyStart
    cdef public bint hystart_found
    cdef public int hystart_samples
    cdef public long long hystart_rtt, hystart_start, hystart_ack
    cdef public unsigned int hystart_end
    cdef public int seen
    cdef public Rate rate
    cdef int in_flight(self) noexcept
    cdef int left_out(self) noexcept
    cdef void delivered_at(self, int mark, unsigned int end, long long sent_at, long long now) noexcept
    cdef void note_rtt(self, long long rtt, long long now, long long window) noexcept


cdef class SegmentTable:
    cdef public SackBlocks blocks
    cdef public RateTable rates
    cdef public long long lost_again
    cdef public FreeList free
    cdef public int[::1] next
    cdef public int[::1] count
    cdef public int[::1] size
    cdef public unsigned int[::1] end
    cdef public long long[::1] sent_at
    cdef public unsigned char[::1] mark
    # what the acknowledgement at hand did
    cdef public int found, acked
    cdef public unsigned int reord, ts_ecr, sent_end, blocks_ack
    cdef public long long latest, echoed
    cdef public long long first_acked, last_acked, first_sacked, last_sacked
    cdef int take(self) except 0
    cdef long long stamp(self, long long now) noexcept
    cdef void begin(self, unsigned int nxt) noexcept
    cdef int append(self, Flight f, unsigned int end, int count, int size, long long now) except 0
    cdef int split(self, Flight f, int row, unsigned int start, unsigned int at, int mss, int fin=*) except -1
    cdef void recount(self, Flight f, int mark, int more) noexcept
    cdef void resize(self, Flight f, int row, int length, int mss) noexcept
    cdef void drop_next(self, Flight f, int row) noexcept
    cdef void tag_row(self, Flight f, int row, unsigned int start, long long now) noexcept
    cdef int tag_unseen(
        self, Flight f, unsigned int left, unsigned int right, int seen, int at, long long now,
    ) except -1
    cdef int tag(
        self, Flight f, unsigned int left, unsigned int right, unsigned int done, long long now,
    ) except -1
    cdef void tag_twice(self, Flight f, unsigned int left, unsigned int right) noexcept
    cdef void acknowledge(self, Flight f, unsigned int ack, bint sack, long long now) noexcept
    cdef void mark_lost(self, Flight f, int row) noexcept
    cdef void forget_lost(self, Flight f) noexcept
    cdef void forget_sacked(self, Flight f) noexcept
    cdef void probed(self, Flight f, int row, long long now) noexcept
    cdef void resent(self, Flight f, int row, long long now) noexcept
    cdef void forget_seen(self, Flight f) noexcept
    cpdef void clear(self, Flight f) noexcept
    cpdef list rows(self, Flight f)
