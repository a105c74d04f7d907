"""How fast a connection delivers (draft-cheng-iccrg-delivery-rate-estimation): TCP_INFO's delivery rate.

Each segment remembers, when it is sent, how much had been delivered by then and since when its flight goes. When it is
delivered, the difference is what arrived in the time since: the longer of how long the sending took and how long the
acknowledging took, so that neither a burst nor compressed acknowledgments look like speed. `limited`: the application
had nothing more to send, so the rate says less than the path could do; such a sample counts only if it is the highest.

Rows are those of `flight.SegmentTable`. Times are ns.
"""

import cython

from pystack._fast.columns import column, grown
from pystack._fast.seq import after


@cython.final
@cython.cclass
class Rate:
    """One connection's part. `first_sent`: when what was delivered last had been sent; `delivered_at`: when the last
    delivery was; `limited_until`: what has to be delivered before the application's pause is over, 0 there is none;
    `segments` in `interval`: the last sample.
    """

    def __init__(self):
        self.first_sent = self.delivered_at = self.interval = 0
        self.segments = 0
        self.limited_until = 1  # until something is written there is nothing to send
        self.limited = True


@cython.final
@cython.cclass
class RateTable:
    """What the segments of a machine remember, and the sample of the acknowledgment at hand."""

    def __init__(self, rows):
        self.first_sent = column("q", rows + 1)
        self.delivered_at = column("q", rows + 1)
        self.delivered = column("i", rows + 1)
        self.limited = column("B", rows + 1)
        self.begin()

    def grow(self, rows):
        """As many rows as there are segments."""
        self.first_sent = grown(memoryview(self.first_sent), rows + 1)
        self.delivered_at = grown(memoryview(self.delivered_at), rows + 1)
        self.delivered = grown(memoryview(self.delivered), rows + 1)
        self.limited = grown(memoryview(self.limited), rows + 1)

    def begin(self):
        """A new acknowledgment."""
        self.prior_delivered = 0
        self.prior_at = self.took = 0
        self.prior_limited = False
        self.prior_end = 0

    def sent(self, r, row, delivered, idle, now):
        """The segment goes out, again perhaps, when `delivered` had been delivered; `idle`: nothing was out."""
        if idle:
            r.first_sent = r.delivered_at = now
        self.first_sent[row] = r.first_sent
        self.delivered_at[row] = r.delivered_at
        self.delivered[row] = delivered
        self.limited[row] = 1 if r.limited_until else 0

    def divide(self, row, new):
        """A segment was cut in two."""
        self.first_sent[new] = self.first_sent[row]
        self.delivered_at[new] = self.delivered_at[row]
        self.delivered[new] = self.delivered[row]
        self.limited[new] = self.limited[row]

    def arrived(self, r, row, sent_at, end):
        """The segment was delivered, as far as it was not SACKed before: of all the one counts that was sent last."""
        if self.delivered_at[row] == 0:
            return
        if self.prior_delivered == 0 or (
            sent_at > r.first_sent or (sent_at == r.first_sent and after(end, self.prior_end))
        ):
            self.prior_delivered = self.delivered[row]
            self.prior_at = self.delivered_at[row]
            self.prior_limited = self.limited[row] != 0
            self.prior_end = end
            r.first_sent = sent_at
            self.took = sent_at - self.first_sent[row]

    def sacked(self, row):
        """It counts no second time when it is acknowledged."""
        self.delivered_at[row] = 0

    def sample(self, r, delivered, newly, now, least):
        """The acknowledgment has delivered `newly` segments, `delivered` by now. No sample is shorter than `least`."""
        acked: cython.longlong
        n: cython.longlong
        if r.limited_until and delivered > r.limited_until:
            r.limited_until = 0
        if newly > 0:
            r.delivered_at = now
        if self.prior_at == 0:
            return
        n = delivered - self.prior_delivered
        acked = now - self.prior_at
        if self.took > acked:
            acked = self.took
        if acked < least:
            return
        if not self.prior_limited or n * r.interval >= r.segments * acked:
            r.segments = n
            r.interval = acked
            r.limited = self.prior_limited


def pause(r, delivered, flight):
    """The application writes, and everything before has gone: what was delivered by then was as fast as it wanted."""
    r.limited_until = delivered + flight if delivered + flight > 0 else 1
