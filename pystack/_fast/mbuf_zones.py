"""The books of the mbuf pool: what each zone gave out, what it holds, what it refused.

Read first: FreeBSD's kern_mbuf.c and uma_core.c, docs/sources.md. The zones are the real system's:

- `mbuf` and `mbuf_packet` share one keg of 256-octet mbufs, and `nmbufs` limits both together;
- a 2 KiB cluster always comes with an mbuf as a pair out of `mbuf_packet`. A pair given back stays a
  pair, so its cluster stays "in use" for `mbuf_cluster`; cached pairs are broken up when a limit is met;
- the jumbo zones stand alone; so do the buffers that map a file's page for sendfile(2), which are no zone there but
  a table, without a limit (0) where all memory is mapped anyway.

Two counters carry almost everything: `used` (given out) and `total` (given out or cached by the zone).
A request that fits into `total` is granted without a question; the hot paths in `mbuf.py` compare with
`line` (which is `total`) and come here only when a zone must grow.
"""

import cython

from pystack._fast.columns import column

MBUF = 0
PACKET = 1
CLUSTER = 2
JUMBO_PAGE = 3
JUMBO_9K = 4
JUMBO_16K = 5
SFBUF = 6
NAMES = (
    "mbuf",
    "mbuf_packet",
    "mbuf_cluster",
    "mbuf_jumbo_page",
    "mbuf_jumbo_9k",
    "mbuf_jumbo_16k",
    "sfbuf",
)
SIZES = (256, 256, 2048, 4096, 9216, 16384, 4096)
KNOBS = (
    "kern.ipc.nmbufs",
    "",
    "kern.ipc.nmbclusters",
    "kern.ipc.nmbjumbop",
    "kern.ipc.nmbjumbo9",
    "kern.ipc.nmbjumbo16",
    "kern.ipc.nsfbufs",
)
NEVER = -1
"""`last_failure` of a zone that never failed."""

_MBUF = cython.declare(cython.int, MBUF)
_PACKET = cython.declare(cython.int, PACKET)
_CLUSTER = cython.declare(cython.int, CLUSTER)
_JUMBO_PAGE = cython.declare(cython.int, JUMBO_PAGE)
_ZONES = cython.declare(cython.int, len(NAMES))
_TOLD_AGAIN = cython.declare(cython.longlong, 300 * 1_000_000_000)
_PLENTY = cython.declare(cython.longlong, 2**62)


@cython.cclass
class Zones:
    """Counters and limits of the zones. Limits and counts are items; 0 as a limit means none.

    - `now`: nanoseconds; the core sets it before it works, failures are stamped with it.
    - `wait`: while true, a request that cannot be granted is one that would sleep (M_WAITOK): it is
      counted as `sleep` and not as `fail`.
    - `watcher`: called with the zone whose limit was met, at most once in 300 s for each (uma_core.c, zone_warning).
    - `starved`: a request was refused since the core looked last; `drained`: how often it then had protocols give
      storage back.
    - `denied_zone`: the zone whose limit refused the latest request, -1 before the first.

    `z_used[PACKET]` is not kept: the pairs in use are `z_used[CLUSTER]`. `z_used[MBUF]` counts all
    mbufs, those of pairs included.
    """

    def __init__(
        self, nmbufs: int, nmbclusters: int, nmbjumbop: int, nmbjumbo9: int, nmbjumbo16: int
    ):
        self.now = 0
        self.wait = False
        self.denied_zone = -1
        self.deny_in = 0
        self.tight = False
        self.starved = False
        self.drained = 0
        self.z_limit = column("q", _ZONES)
        self.z_line = column("q", _ZONES)
        self.z_total = column("q", _ZONES)
        self.z_used = column("q", _ZONES)
        self.z_high = column("q", _ZONES)
        self.z_requests = column("q", _ZONES)
        self.z_fail = column("q", _ZONES)
        self.z_sleep = column("q", _ZONES)
        self.z_hits = column("q", _ZONES)
        self.z_last = column("q", _ZONES)
        self.z_told = column("q", _ZONES)
        self.watcher = None
        limits = (nmbufs, 0, nmbclusters, nmbjumbop, nmbjumbo9, nmbjumbo16, 0)
        for zone in range(len(limits)):
            if limits[zone] < 0:
                raise ValueError(f"{KNOBS[zone]}: a limit of {limits[zone]} is below 0")
            self.z_limit[zone] = limits[zone]
            self.z_last[zone] = NEVER
            self.z_told[zone] = -_TOLD_AGAIN

    # --- growing: the only places where a limit is met --------------------------------------------------------

    @cython.exceptval(check=False)
    def grow_mbufs(self, n: cython.longlong) -> cython.bint:
        """Whether `n` more mbufs may be given out; the keg then holds enough."""
        if self.injected(_MBUF):
            return False
        want: cython.longlong = self.z_used[_MBUF] + n
        cached: cython.longlong = self.z_total[_PACKET] - self.z_used[_CLUSTER]
        limit: cython.longlong = self.z_limit[_MBUF]
        if limit and want + cached > limit:
            self.drain_pairs()
            cached = 0
            if want > limit:
                return self.refuse(_MBUF, _MBUF)
        if want + cached > self.z_total[_MBUF]:
            self.z_total[_MBUF] = want + cached
        self.settle()
        return True

    @cython.exceptval(check=False)
    def grow_pairs(self, n: cython.longlong) -> cython.bint:
        """Whether `n` more pairs of an mbuf and a 2 KiB cluster may be given out."""
        if self.injected(_PACKET):
            return False
        want: cython.longlong = self.z_used[_CLUSTER] + n
        extra: cython.longlong = want - self.z_total[_PACKET]
        mbufs: cython.longlong = self.z_used[_MBUF] + n
        if (
            extra <= 0
        ):  # cached pairs suffice; asked because of an injected failure or a limit elsewhere
            return True
        if self.z_limit[_CLUSTER] and want > self.z_limit[_CLUSTER]:
            self.z_fail[_CLUSTER] += not self.wait  # the pair's constructor failed in this zone too
            self.z_sleep[_CLUSTER] += self.wait
            return self.refuse(_PACKET, _CLUSTER)
        if self.z_limit[_MBUF] and mbufs > self.z_limit[_MBUF]:
            return self.refuse(_PACKET, _MBUF)
        self.z_requests[_CLUSTER] += extra
        self.z_total[_PACKET] = want
        if want > self.z_total[_CLUSTER]:
            self.z_total[_CLUSTER] = want
        if want > self.z_high[_CLUSTER]:
            self.z_high[_CLUSTER] = want
        if mbufs > self.z_total[_MBUF]:
            self.z_total[_MBUF] = mbufs
        self.settle()
        return True

    @cython.exceptval(check=False)
    def grow_jumbo(self, zone: cython.int, n: cython.longlong) -> cython.bint:
        """Whether `n` more clusters of a jumbo zone may be given out."""
        if self.injected(zone):
            return False
        want: cython.longlong = self.z_used[zone] + n
        if self.z_limit[zone] and want > self.z_limit[zone]:
            return self.refuse(zone, zone)
        if want > self.z_total[zone]:
            self.z_total[zone] = want
        if want > self.z_high[zone]:
            self.z_high[zone] = want
        self.settle()
        return True

    @cython.exceptval(check=False)
    def refuse(self, zone: cython.int, limit: cython.int) -> cython.bint:
        """Count a request to `zone` that the limit of zone `limit` refused. Always False."""
        if self.wait:
            self.z_sleep[zone] += 1
        else:
            self.z_fail[zone] += 1
        self.z_hits[limit] += 1
        if self.watcher is not None and self.now - self.z_told[limit] >= _TOLD_AGAIN:
            self.z_told[limit] = self.now
            self.watcher(limit)
        self.z_last[zone] = self.now
        self.z_last[limit] = self.now
        self.denied_zone = limit
        self.starved = True
        return False

    @cython.exceptval(check=False)
    def units_left(self, zone: cython.int) -> cython.longlong:
        """How many clusters of a zone, each with an mbuf, the limits still allow. Counts nothing."""
        if self.deny_in > 0:
            return _PLENTY  # an injected failure is met by asking
        left: cython.longlong = self.mbufs_left()
        if self.z_limit[zone] and self.z_limit[zone] - self.z_used[zone] < left:
            left = self.z_limit[zone] - self.z_used[zone]
        return left if left > 0 else 0

    @cython.exceptval(check=False)
    def mbufs_left(self) -> cython.longlong:
        if not self.z_limit[_MBUF]:
            return _PLENTY
        return self.z_limit[_MBUF] - self.z_used[_MBUF]

    @cython.exceptval(check=False)
    def drain_pairs(self) -> cython.void:
        """Break up the cached pairs: their mbufs and clusters become free ones of their zones."""
        self.z_total[_PACKET] = self.z_used[_CLUSTER]

    @cython.exceptval(check=False)
    def settle(self) -> cython.void:
        """Let the hot paths grant what the zones hold.

        Not while a failure is to be injected, nor while more is in use than a lowered limit allows: then every
        request is asked here, and what came back in between leaves the zone.
        """
        zone: cython.int
        self.tight = self.deny_in > 0
        for zone in range(_ZONES):
            if self.z_limit[zone] and self.z_total[zone] > self.z_limit[zone]:
                if zone <= _CLUSTER:
                    self.drain_pairs()
                self.z_total[zone] = self.z_limit[zone]
                if self.z_used[zone] > self.z_limit[zone]:
                    self.z_total[zone] = self.z_used[zone]
                    self.tight = True
        for zone in range(_ZONES):
            self.z_line[zone] = -1 if self.tight else self.z_total[zone]

    # --- shortage on request, for tests -------------------------------------------------------------------------

    @cython.exceptval(check=False)
    def injected(self, zone: cython.int) -> cython.bint:
        """Whether this is the request that `deny_nth` chose."""
        if self.tight:
            self.settle()
        if self.deny_in <= 0:
            return False
        self.deny_in -= 1
        if self.deny_in > 0:
            return False
        self.settle()
        self.refuse(zone, zone)
        return True

    def deny_nth(self, n: int) -> None:
        """Refuse the `n`-th request from now on (1 is the next one), once; 0 takes that back."""
        if n < 0:
            raise ValueError(f"request {n} is in the past")
        self.deny_in = n
        self.settle()

    # --- knobs and views ----------------------------------------------------------------------------------------

    def limit(self, zone: int) -> int:
        """The limit of a zone in items, 0 = none. IndexError for an unknown zone."""
        if not 0 <= zone < len(NAMES):
            raise IndexError(f"zone {zone}")
        return self.z_limit[zone]

    def set_limit(self, zone: int, value: int) -> None:
        """Change a limit, 0 = none. Below what is in use, it refuses until enough came back.

        Which changes an operator may make is a rule of the system played, and stands with its knobs.
        Raises IndexError for a zone without a limit of its own, ValueError for a negative value.
        """
        if not 0 <= zone < len(NAMES) or zone == PACKET:
            raise IndexError(f"zone {zone} has no limit of its own")
        if value < 0:
            raise ValueError(f"{KNOBS[zone]}: a limit of {value} is below 0")
        self.z_limit[zone] = value
        self.settle()

    def zones(self) -> list:
        """One dict a zone with the columns of `vmstat -z` and the keys of a limit.

        `used` and `free` are what the real system shows: cached pairs are free in `mbuf_packet` and
        used in `mbuf_cluster`. `high` is the most that was ever given out (for `mbuf`, those of pairs
        included), `hits` the requests that this zone's limit refused, `last_failure` nanoseconds or None.
        """
        pairs: cython.longlong = self.z_used[_CLUSTER]
        cached: cython.longlong = self.z_total[_PACKET] - pairs
        rows = []
        for zone in range(len(NAMES)):
            used = self.z_used[zone]
            free = self.z_total[zone] - used
            high = self.z_high[zone]
            limit = self.z_limit[zone]
            if zone == MBUF:
                used, free = used - pairs, free - cached
            elif zone == PACKET:
                used, free, high, limit = pairs, cached, self.z_high[_CLUSTER], self.z_limit[_MBUF]
            elif zone == CLUSTER:
                used, free = pairs + cached, self.z_total[_CLUSTER] - pairs - cached
            last = self.z_last[zone]
            rows.append(
                {
                    "name": NAMES[zone],
                    "size": SIZES[zone],
                    "limit": limit,
                    "used": used,
                    "free": free,
                    "requests": self.z_requests[zone],
                    "fail": self.z_fail[zone],
                    "sleep": self.z_sleep[zone],
                    "high": high,
                    "hits": self.z_hits[zone],
                    "last_failure": None if last == NEVER else last,
                    "knob": KNOBS[zone],
                }
            )
        return rows
