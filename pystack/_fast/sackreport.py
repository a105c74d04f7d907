"""What a receiver says about data that is not in order: the blocks of the next SACK option (RFC 2018, RFC 2883).

A `SackReport` is the list that an acknowledgment copies into its option, most recent news first. The two systems keep
it differently where more than one block is at stake, and a peer can see that, so each has its own bookkeeping here:

    Linux     four blocks and one duplicate apart from them: `arrived`, `covered`, `duplicate`, `duplicate_more`
    FreeBSD   six blocks, a duplicate in front of them until it was sent: `dropped`, `received`, `sent`
              before DSACK (releases up to 12): `arrived` with six blocks, and `covered`

Sources: Linux net/ipv4/tcp_input.c as measured on 6.18 (ADR 0018); FreeBSD netinet/tcp_sack.c of 13 and 14.
"""

import cython

from pystack._fast.columns import column
from pystack._fast.seq import after, after_eq, before, before_eq, maximum, minimum

MOST = 6
_MOST = MOST


@cython.final
@cython.cclass
class SackReport:
    """Blocks [left, right) to report, `n` of them, the most recent first; `most` are remembered."""

    def __init__(self, most):
        self.most = most
        self.n = 0
        self.left = column("I", MOST + 2)
        self.right = column("I", MOST + 2)
        self.saved_left = column("I", MOST + 2)
        self.saved_right = column("I", MOST + 2)
        self.n_saved = 0
        self.dup = False
        self.dup_left = 0
        self.dup_right = 0

    # --- Linux --------------------------------------------------------------------------------------------

    def arrived(self, left, right):
        """[left, right) came, beyond RCV.NXT: the block that it belongs to moves to the front and takes in whatever it
        now touches; what belongs to none is a new block, and the last one of a full list is forgotten.
        """
        i: cython.int = 0
        j: cython.int
        while i < self.n and (after(left, self.right[i]) or after(self.left[i], right)):
            i += 1
        if i < self.n:
            left = minimum(left, self.left[i])
            right = maximum(right, self.right[i])
        elif self.n < self.most:
            self.n += 1
        else:
            i -= 1
        while i > 0:
            self.left[i] = self.left[i - 1]
            self.right[i] = self.right[i - 1]
            i -= 1
        self.left[0] = left
        self.right[0] = right
        i = 1
        while i < self.n:
            if after(self.left[0], self.right[i]) or after(self.left[i], self.right[0]):
                i += 1
                continue
            self.left[0] = minimum(self.left[0], self.left[i])
            self.right[0] = maximum(self.right[0], self.right[i])
            self.n -= 1
            for j in range(i, self.n):
                self.left[j] = self.left[j + 1]
                self.right[j] = self.right[j + 1]

    def covered(self, rcv_nxt):
        """RCV.NXT moved: blocks that begin at or before it need no report."""
        kept: cython.int = 0
        i: cython.int
        for i in range(self.n):
            if after(self.left[i], rcv_nxt):
                self.left[kept] = self.left[i]
                self.right[kept] = self.right[i]
                kept += 1
        self.n = kept

    def duplicate(self, left, right):
        """[left, right) came twice: the next acknowledgment says so, before anything else."""
        self.dup = True
        self.dup_left = left
        self.dup_right = right

    def duplicate_more(self, left, right):
        """As `duplicate`, but the one that is noted already stays, and grows if they touch."""
        if not self.dup:
            self.duplicate(left, right)
        elif before_eq(left, self.dup_right) and before_eq(self.dup_left, right):
            self.dup_left = minimum(left, self.dup_left)
            self.dup_right = maximum(right, self.dup_right)

    # --- FreeBSD ------------------------------------------------------------------------------------------

    def save(self, left, right):
        """[left, right) stays in the list, once; what it contains of the one before does not."""
        if (
            self.n_saved > 0
            and after_eq(self.saved_left[self.n_saved - 1], left)
            and before_eq(self.saved_right[self.n_saved - 1], right)
        ):
            self.n_saved -= 1
        self.saved_left[self.n_saved] = left
        self.saved_right[self.n_saved] = right
        self.n_saved += 1

    def restore(self, at):
        """The saved blocks follow the first `at`."""
        i: cython.int
        for i in range(self.n_saved):
            self.left[at + i] = self.saved_left[i]
            self.right[at + i] = self.saved_right[i]
        self.n = at + self.n_saved

    def dropped(self, left, right, rcv_nxt):
        """[left, right), not empty, was cut off or passed over as known: it is reported first.

        Where it meets a block that is beyond RCV.NXT, the part that they share is reported, and then both together.
        """
        i: cython.int
        a: cython.uint
        b: cython.uint
        head_left: cython.uint = left
        head_right: cython.uint = right
        self.n_saved = 0
        for i in range(self.n):
            a = self.left[i]
            b = self.right[i]
            if after_eq(a, b) or before_eq(a, rcv_nxt):
                continue
            if before_eq(head_left, b) and after_eq(head_right, a):
                if head_left == b:
                    head_left = a
                elif head_right == a:
                    head_right = b
                else:
                    left = minimum(head_left, a)
                    right = maximum(head_right, b)
                    head_left = maximum(head_left, a)
                    head_right = minimum(head_right, b)
                    if head_left != left or head_right != right:
                        self.save(left, right)
            else:
                self.save(a, b)
        if self.n_saved >= _MOST:
            self.n_saved -= 1
        self.left[0] = head_left
        self.right[0] = head_right
        self.restore(1)

    def received(self, left, right, rcv_nxt):
        """[left, right), not empty, is in the queue now, and RCV.NXT is where that took it.

        First what of it was known already, then the block that it is part of, then the other blocks.
        """
        i: cython.int
        a: cython.uint
        b: cython.uint
        known_left: cython.uint = 0
        known_right: cython.uint = 0
        dup_left: cython.uint = 0
        dup_right: cython.uint = 0
        all_left: cython.uint = left
        all_right: cython.uint = right
        same: cython.bint = False
        if before(right, rcv_nxt) or (right == rcv_nxt and self.n > 0 and self.right[0] == rcv_nxt):
            dup_left = left
            dup_right = right
        for i in range(self.n):
            a = self.left[i]
            b = self.right[i]
            if before(right, a) or after(left, b):
                continue
            if after(rcv_nxt, b):
                # a duplicate that was not sent yet
                a = maximum(a, left)
                b = minimum(b, right)
                if a != b and (known_left == known_right or after(known_left, a)):
                    known_left = a
                    known_right = b
                continue
            if (known_left == known_right or before(a, known_left)) and after(b, left):
                known_left = a
                known_right = b
            all_left = minimum(all_left, a)
            all_right = maximum(all_right, b)
            if all_left == a and all_right == b:
                same = True
        if known_left != known_right:
            dup_left = maximum(left, known_left)
            dup_right = minimum(right, known_right)
        self.n_saved = 0
        for i in range(self.n):
            a = self.left[i]
            b = self.right[i]
            if (before(b, all_left) or after(a, all_right)) and after(a, rcv_nxt):
                self.saved_left[self.n_saved] = a
                self.saved_right[self.n_saved] = b
                self.n_saved += 1
        i = 0
        room: cython.int = _MOST - 1
        if before(dup_left, dup_right):
            self.left[0] = dup_left
            self.right[0] = dup_right
            i = 1
        if same or (
            before(rcv_nxt, all_right) and not (all_left == dup_left and all_right == dup_right)
        ):
            self.left[i] = all_left
            self.right[i] = all_right
            i += 1
            room -= 1
        if self.n_saved > room:
            self.n_saved = room
        self.restore(i)

    def sent(self, rcv_nxt):
        """An acknowledgment carried the list: duplicates below RCV.NXT, and in front of it, were said."""
        self.covered(rcv_nxt)

    # --- both ---------------------------------------------------------------------------------------------

    def blocks(self):
        """[(left, right)] as the next acknowledgment would report them, for views and tests."""
        first = [(self.dup_left, self.dup_right)] if self.dup else []
        return first + [(self.left[i], self.right[i]) for i in range(self.n)]

    def clear(self):
        """Everything is in order."""
        self.n = 0
        self.dup = False
