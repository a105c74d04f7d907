"""Large segments vanish and no router says so: smaller ones are tried (RFC 2923 section 2.1, RFC 4821).

try_smaller_bsd     FreeBSD net.inet.tcp.pmtud_blackhole_detection: twice a smaller MSS, then back
try_smaller_linux   Linux net.ipv4.tcp_mtu_probing: tcp_base_mss, then half, and half of that
"""

import cython

from pystack._fast import mtu_probe
from pystack._fast.consts import ESTABLISHED, FIN_WAIT_1
from pystack._fast.seq import dist
from pystack._fast.tcb import Stack, Tcb  # noqa: F401
from pystack._fast.tcp_handshake import set_mss


def try_smaller_bsd(s, t):
    """Timeout `rxtshift` of the same segment. Each MSS has two chances; with the sixth it is no black hole."""
    smaller: cython.int = s.cfg.tcp_blackhole_mss
    if t.state != ESTABLISHED and t.state != FIN_WAIT_1:
        return 0
    if t.rxtshift >= 6:
        if t.bh_mss > 0:
            t.bh_mss = 0
            s.stat.pmtud_failed += 1
            set_mss(s, t)
        return 0
    if t.rxtshift != 2 and t.rxtshift != 4:
        return 0
    if dist(t.snd_una, t.snd_max) < t.maxseg or t.bh_mss == s.cfg.tcp_mssdflt:
        return 0  # it was no full segment, or may be fragmented already
    if t.bh_mss == 0 and t.maxseg <= smaller:
        return 0
    if t.maxseg > smaller:
        t.bh_mss = smaller
        s.stat.pmtud_activated += 1
    else:
        t.bh_mss = s.cfg.tcp_mssdflt
        s.stat.pmtud_minmss += 1
    return set_mss(s, t)


def try_smaller_linux(s, t):
    """A segment has been sent again for as long as tcp_retries1 retransmissions take. Larger ones are tried later."""
    mss: cython.int
    header: cython.int = mtu_probe.header_of(t)
    if t.search is None:
        mtu_probe.begin(s, t, header)
        return set_mss(s, t)
    mss = (t.search.low - header) >> 1
    if mss > s.cfg.tcp_blackhole_mss:
        mss = s.cfg.tcp_blackhole_mss
    if mss < s.cfg.tcp_mtu_probe_floor:
        mss = s.cfg.tcp_mtu_probe_floor
    if mss < s.cfg.tcp_minmss:
        mss = s.cfg.tcp_minmss
    t.search.low = mss + header
    return set_mss(s, t)
