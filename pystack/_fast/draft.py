"""The segment that a connection decides on, while the rules are asked one after the other (`tcp_out.send_one`)."""

import cython


@cython.final
@cython.cclass
class Draft:
    """What is known of the next segment. A machine has one; it means nothing outside of `send_one`.

    - `flags`: what the header would say. `length`: octets of text.
    - `queued`: octets of the send queue that may go, counted from SND.UNA. `off`: where in them the segment begins.
    - `win`: octets from SND.UNA on that the windows allow, the peer's and that of congestion.
    - `mss`: octets of a full segment.
    - `more`: something may follow at once.
    - `writing`: the application is writing now. Linux sends each piece of a write once it is full; what had to wait is
      joined to bursts. `alone`: what went last was such a piece.
    - `record`: it ends where a record does (MSG_EOR), and there is more behind that.
    - `probing`: it is one segment however long it is (`mtu_probe`). `held`: new data waits until such a one can go.
    - `limited`: the window of congestion keeps a burst back (`bursts.defers`).
    """

    def __init__(self):
        self.flags = self.length = 0
        self.queued = self.off = self.win = self.mss = 0
        self.more = self.writing = self.alone = self.record = False
        self.probing = self.held = self.limited = False
