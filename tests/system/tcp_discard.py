"""A core in forty lines for tests of the device and the loop: acknowledges all TCP, keeps a digest.

It is no TCP: no retransmission, no window, no reordering. It stands where the real core will.
"""

import hashlib
import struct
from collections import Counter, deque
from typing import Any

from port_kit import FakePort

from pystack._fast import consts
from pystack._fast.packet import Packet, PacketQueue
from pystack._fast.wirebytes import csum_add16, csum_fold

_TCP = struct.Struct(">HHIIBBHHH")
_IP = struct.Struct(">BBHHHBBHII")


class DiscardCore(FakePort):
    """Answers SYN, data and FIN of any connection to any port; counts and digests what came."""

    def __init__(self, *, mss: int = 1460, digest: bool = True) -> None:
        super().__init__()
        self.mss = mss
        self.digest = hashlib.sha256() if digest else None
        self.octets = 0
        self.packets: Counter[str] = Counter()
        self.super_segments = 0
        self.finished = 0
        self.dispatched = 0
        self._out: deque[Packet] = deque()
        self._free = PacketQueue()
        self._expected: dict[tuple[int, int], int] = {}

    @property
    def core(self) -> "DiscardCore":
        return self

    def dispatch(self) -> int:
        return 0

    def tick(self, now: int) -> None:
        pass

    def next_deadline(self) -> int:
        return consts.NEVER

    def egress(self, now: int) -> Any:
        return self._out.popleft() if self._out else None

    def ingress_landed(
        self, iface: int, skip: int, n: int, gso_size: int, csum_ok: bool, now: int
    ) -> int:
        room = self.place
        version, _, total, _, _, _, proto, _, src, dst = _IP.unpack_from(room, skip)
        if version != 0x45 or proto != consts.PROTO_TCP or total != n:
            self.packets["other"] += 1
            return 0
        sport, dport, seq, _, offset, flags, _, _, _ = _TCP.unpack_from(room, skip + 20)
        begin = skip + 20 + (offset >> 4) * 4
        size = skip + n - begin
        self.packets["csum left" if csum_ok else "csum full"] += 1
        if gso_size:
            self.super_segments += 1
        key = (src, sport)
        if flags & consts.SYN:
            self._expected[key] = (seq + 1) & 0xFFFFFFFF
            self._answer(src, dst, sport, dport, 0, key, consts.SYN | consts.ACK)
            return 0
        if key not in self._expected or (not size and not flags & consts.FIN):
            return 0
        if seq == self._expected[key]:
            if self.digest is not None:
                self.digest.update(room[begin : begin + size])
            self.octets += size
            fin = flags & consts.FIN
            self._expected[key] = (seq + size + fin) & 0xFFFFFFFF
            self.finished += fin
            answer = consts.ACK | fin
        else:
            answer = consts.ACK
        self._answer(src, dst, sport, dport, 1, key, answer)
        return 0

    def _answer(
        self, src: int, dst: int, sport: int, dport: int, seq: int, key: tuple[int, int], flags: int
    ) -> None:
        packet = self._free.take_free()
        syn = flags & consts.SYN
        options = struct.pack(">BBHBBBB", 2, 4, self.mss, 1, 3, 3, 8) if syn else b""
        length = 40 + len(options)
        head = bytearray(
            _IP.pack(0x45, 0, length, 0, 0x4000, 64, consts.PROTO_TCP, 0, dst, src)
            + _TCP.pack(
                dport,
                sport,
                seq,
                self._expected[key],
                5 + len(options) // 4 << 4,
                flags,
                65535,
                0,
                0,
            )
            + options
        )
        words = memoryview(head).cast("H")
        head[10:12] = csum_fold(csum_add16(words, 0, 10, 0)).to_bytes(2, "big")
        for at, octet in enumerate(head):
            packet.head[at] = octet
        packet.head_len = length
        packet.src, packet.dst, packet.proto, packet.total = dst, src, consts.PROTO_TCP, length
        packet.flags = flags
        packet.csum_ok = True
        self._out.append(packet)
