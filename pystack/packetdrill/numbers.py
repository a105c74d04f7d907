"""From the numbers of a script to those of the wire and back.

In a script both initial sequence numbers are known (nearly always 0), and so are timestamps; on the wire they
are what the machine chose. `Space` knows the difference for one connection:

| field                   | SYN segments            | all others      |
|-------------------------|-------------------------|-----------------|
| inbound seq             | as written              | + remote ISN    |
| inbound ack, sack edges | + (live − script ISN)   | + live ISN      |
| outbound seq            | − (live − script ISN)   | − live ISN      |
| outbound ack, sack edges| as is                   | − remote ISN    |

all modulo 2**32. An ISN that is not known yet counts as 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pystack.packetdrill.script import ACK, SYN, Opt, TcpPacket
from pystack.packetdrill.verdict import Failure

M32 = 0xFFFFFFFF


@dataclass(slots=True)
class Space:
    """The ISNs and timestamps of one connection."""

    remote_isn: int = 0
    live_isn: int = 0
    script_isn: int = 0
    ts: dict[int, int] = field(default_factory=dict)
    """Outbound TS values of the script, and which live one each stood for last."""
    first_ts: tuple[int, int] | None = None
    """(script, live) of the first one."""
    scaled: bool = False
    """--tcp_ts_ecr_scaled: what was never sent is reckoned from the first one."""

    # --- towards the machine -----------------------------------------------------------------------

    def inbound_seq(self, p: TcpPacket) -> int:
        """Sequence number of a segment to inject."""
        if p.flags & SYN or p.seq_mode == "absolute":
            return p.seq & M32
        return (p.seq + self.remote_isn) & M32

    def inbound_ack(self, p: TcpPacket) -> int:
        """Its acknowledgment number; 0 without the flag, unless one was written."""
        if not p.flags & ACK:
            return (p.ack or 0) & M32
        return ((p.ack or 0) + self._ack_shift(p.flags)) & M32

    def _ack_shift(self, flags: int) -> int:
        return self.live_isn - self.script_isn if flags & SYN else self.live_isn

    def inbound_option(self, p: TcpPacket, o: Opt) -> Opt:
        """An option with live numbers. Raises Failure for a timestamp echo that nothing stands for."""
        if o.kind == "sack":
            shift = self._ack_shift(p.flags)
            return replace(o, values=_shifted(o, shift))
        if o.kind == "TS":
            stamps: Any = o.values
            val, ecr = stamps
            if val is None:
                raise Failure("semantic error: an inbound TS option needs a value")
            if p.flags & ACK and not o.absolute:
                ecr = self._live_ecr(ecr)
            return replace(o, values=(val, ecr))
        return o

    def _live_ecr(self, ecr: int) -> int:
        live = self.ts.get(ecr)
        if live is not None:
            return live
        if self.scaled and self.first_ts is not None:
            script, first = self.first_ts
            return (first + ecr - script) & M32
        raise Failure(f"unable to infer live TS ecr: no outbound packet had TS val {ecr}")

    # --- from the machine --------------------------------------------------------------------------

    def outbound_seq(self, seq: int, flags: int) -> int:
        """A live sequence number in script space."""
        shift = self.live_isn - self.script_isn if flags & SYN else self.live_isn
        return (seq - shift) & M32

    def outbound_ack(self, ack: int, flags: int) -> int:
        """A live acknowledgment number in script space; without the flag it stays as it is."""
        if not flags & ACK or flags & SYN:
            return ack
        return (ack - self.remote_isn) & M32

    def outbound_option(self, o: Opt, flags: int) -> Opt:
        """A live option in script space; timestamps are left alone."""
        if o.kind == "sack" and not flags & SYN:
            return replace(o, values=_shifted(o, -self.remote_isn))
        return o

    def note_ts(self, script: int, live: int) -> None:
        """An outbound TS value of the script stood for this live one."""
        self.ts[script] = live
        if self.first_ts is None:
            self.first_ts = (script, live)

    def ts_error(self, script: int, live: int) -> int:
        """By how many ticks a live TS value is off what the script's says, reckoned from the first."""
        if self.first_ts is None:
            return 0
        first_script, first_live = self.first_ts
        wrong = (live - first_live - (script - first_script)) & M32
        return min(wrong, 2**32 - wrong)


def _shifted(o: Opt, shift: int) -> tuple[object, ...]:
    blocks: Any = o.values
    return tuple(((left + shift) & M32, (right + shift) & M32) for left, right in blocks)
