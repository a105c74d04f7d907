"""TCP header and options on the wire, in and out (RFC 9293 section 3.1 and 3.2; read these first).

Options: MSS (RFC 9293 section 3.7.1), window scale and timestamps (RFC 7323), SACK (RFC 2018), Fast
Open (RFC 7413). What arrives is read whatever its order and alignment (MUST-64); what is sent has
the order and padding of the system that the machine plays, because `tcpdump` shows it.
"""

import cython

from pystack._fast import consts
from pystack._fast.mbuf_octets import copy_octets
from pystack._fast.packet import Packet
from pystack._fast.wirebytes import be16, be32, csum_add, put16, put32

_TRUNCATED = cython.declare(cython.int, consts.Drop.TCP_TRUNCATED)
_OFFSET = cython.declare(cython.int, consts.Drop.TCP_OFFSET)
_CHECKSUM = cython.declare(cython.int, consts.Drop.TCP_CHECKSUM)
_LINUX = cython.declare(cython.int, consts.OPTIONS_LINUX)

# Options as the 32-bit words that both systems write
_MSS = cython.declare(cython.uint, (consts.OPT_MSS << 24) | (4 << 16))
_NOP_WSCALE = cython.declare(cython.uint, (1 << 24) | (consts.OPT_WSCALE << 16) | (3 << 8))
_NOP_NOP_SACK_OK = cython.declare(cython.uint, 0x01010000 | (consts.OPT_SACK_OK << 8) | 2)
_NOP_NOP_SACK = cython.declare(cython.uint, 0x01010000 | (consts.OPT_SACK << 8))
_NOP_NOP_TS = cython.declare(cython.uint, 0x01010000 | (consts.OPT_TS << 8) | 10)
_SACK_OK_TS = cython.declare(
    cython.uint, (consts.OPT_SACK_OK << 24) | (2 << 16) | (consts.OPT_TS << 8) | 10
)

_scratch = cython.declare(cython.uchar[::1], memoryview(bytearray(64)))


@cython.exceptval(check=False)
def parse(
    p: Packet, b: cython.const[cython.uchar][::1], off: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.int:
    """Read the TCP segment of `n` octets at `b[off]` into `p`, whose IP part has been read.

    The header goes into `p.head` behind the IP header, `head_len` and `length` are set, the payload
    stays where it is. The checksum is verified unless `csum_ok`, which is set then. Answers a Drop
    reason or 0. A malformed option ends the options: what was read before it stands (MUST-7).
    """
    size: cython.int
    at: cython.int = p.ip_len
    if n < 20:
        return _TRUNCATED
    size = (b[off + 12] >> 4) << 2
    if size < 20 or size > n:
        return _OFFSET
    copy_octets(p.head, at, b, off, size)
    p.head_len = at + size
    p.length = n - size
    if not p.csum_ok:
        if csum_add(b, off, n, p.pseudo_sum()) != 0xFFFF:
            return _CHECKSUM
        p.csum_ok = True
    # from `b`: what was just copied octet by octet is slow to read back in words
    p.sport = be32(b, off) >> 16
    p.dport = be32(b, off) & 0xFFFF
    p.seq = be32(b, off + 4)
    p.ack = be32(b, off + 8)
    p.flags = b[off + 13]
    p.win = be32(b, off + 12) & 0xFFFF
    p.urg = be32(b, off + 16) & 0xFFFF
    p.opt_mss = -1
    p.opt_wscale = -1
    p.opt_sack_ok = False
    p.opt_ts = False
    p.opt_md5 = False
    p.sack_n = 0
    p.tfo_off = -1
    p.tfo_len = 0
    p.tfo_exp = False
    if size > 20:
        if size == 32 and be32(b, off + 20) == _NOP_NOP_TS:
            p.opt_ts = True
            p.ts_val = be32(b, off + 24)
            p.ts_ecr = be32(b, off + 28)
        else:
            _read_options(p, p.head, at + 20, at + size)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def _read_options(p: Packet, h: cython.uchar[::1], at: cython.int, end: cython.int) -> cython.void:
    """Options between `at` and `end`. A known kind with another length than its own is skipped."""
    kind: cython.int
    size: cython.int
    i: cython.int
    while at < end:
        kind = h[at]
        if kind == 0:
            return
        if kind == 1:
            at += 1
            continue
        if at + 1 >= end:
            return
        size = h[at + 1]
        if size < 2 or at + size > end:
            return
        if kind == 2:
            if size == 4:
                p.opt_mss = be16(h, at + 2)
        elif kind == 3:
            if size == 3:
                # RFC 7323 section 2.3: a shift above 14 must be taken as 14
                p.opt_wscale = h[at + 2] if h[at + 2] < 14 else 14
        elif kind == 4:
            if size == 2:
                p.opt_sack_ok = True
        elif kind == 5:
            if size > 2 and (size - 2) & 7 == 0:
                p.sack_n = (size - 2) >> 3
                for i in range(2 * p.sack_n):
                    p.sack[i] = be32(h, at + 2 + 4 * i)
        elif kind == 8:
            if size == 10:
                p.opt_ts = True
                p.ts_val = be32(h, at + 2)
                p.ts_ecr = be32(h, at + 6)
        elif kind == 19:
            if size == 18:
                p.opt_md5 = True
        elif kind == 34 and (size == 2 or (6 <= size <= 18 and size & 1 == 0)):
            p.tfo_off = at + 2
            p.tfo_len = size - 2
        elif (
            kind == 254
            and (size == 4 or (8 <= size <= 20 and size & 1 == 0))
            and be16(h, at + 2) == 0xF989
        ):
            p.tfo_off = at + 4
            p.tfo_len = size - 4
            p.tfo_exp = True
        at += size


@cython.exceptval(check=False)
def build(p: Packet, layout: cython.int) -> cython.int:
    """Write the TCP header of `p` into `p.head` from its fields; answers the octets of options.

    Options that are set are written in the order of `layout` (consts.OPTIONS_BSD, OPTIONS_LINUX);
    SACK blocks that do not fit are left out, and `sack_n` tells how many were written. A Fast Open
    cookie is taken from `p.head[tfo_off:]`, outside the header (COOKIE_ROOM); `tfo_off` then says
    where it went, or -1 when there was no room. With `csum_ok` the checksum field is 0, otherwise
    it is computed over the payload that is already there. Sets `head_len`; leaves `proto` alone.
    """
    at: cython.int = p.ip_len
    size: cython.int = 0
    acc: cython.uint
    if p.opt_mss >= 0 or p.opt_wscale >= 0 or p.opt_sack_ok or p.sack_n > 0 or p.tfo_off >= 0:
        size = _write_options(p, p.head, at + 20, layout)
    elif p.opt_ts:
        put32(p.head, at + 20, _NOP_NOP_TS)
        put32(p.head, at + 24, p.ts_val)
        put32(p.head, at + 28, p.ts_ecr)
        size = 12
    put16(p.head, at, p.sport)
    put16(p.head, at + 2, p.dport)
    put32(p.head, at + 4, p.seq)
    put32(p.head, at + 8, p.ack)
    put16(p.head, at + 12, ((20 + size) << 10) | p.flags)
    put16(p.head, at + 14, p.win)
    put32(p.head, at + 16, p.urg)
    p.head_len = at + 20 + size
    if not p.csum_ok:
        acc = p.l4_checksum()
        put16(p.head, at + 16, acc)
    return size


@cython.exceptval(check=False)
def option_length(p: Packet, layout: cython.int) -> cython.int:
    """The octets of options that `build` would write; changes nothing."""
    size: cython.int
    sack_n: cython.int = p.sack_n
    tfo_off: cython.int = p.tfo_off
    if p.opt_mss < 0 and p.opt_wscale < 0 and not p.opt_sack_ok and sack_n == 0 and tfo_off < 0:
        return 12 if p.opt_ts else 0
    size = _write_options(p, _scratch, 0, layout)
    p.sack_n = sack_n
    p.tfo_off = tfo_off
    return size


@cython.cfunc
@cython.exceptval(check=False)
def _write_options(
    p: Packet, h: cython.uchar[::1], start: cython.int, layout: cython.int
) -> cython.int:
    if layout == _LINUX:
        return _write_linux(p, h, start) - start
    return _write_bsd(p, h, start) - start


@cython.cfunc
@cython.exceptval(check=False)
def _write_linux(p: Packet, h: cython.uchar[::1], start: cython.int) -> cython.int:
    """MSS; SACK permitted in the timestamps' word; window scale; SACK; Fast Open. Words throughout.

    As seen in traces of Linux 6 (facts/packetdrill-language.md section 5.10).
    """
    at: cython.int = start
    if p.opt_mss >= 0:
        put32(h, at, _MSS | p.opt_mss)
        at += 4
    if p.opt_ts:
        put32(h, at, _SACK_OK_TS if p.opt_sack_ok else _NOP_NOP_TS)
        put32(h, at + 4, p.ts_val)
        put32(h, at + 8, p.ts_ecr)
        at += 12
    elif p.opt_sack_ok:
        put32(h, at, _NOP_NOP_SACK_OK)
        at += 4
    if p.opt_wscale >= 0:
        put32(h, at, _NOP_WSCALE | p.opt_wscale)
        at += 4
    if p.sack_n > 0:
        _fit_blocks(p, start + 36 - at)
        if p.sack_n > 0:
            put16(h, at, 0x0101)
            at = _write_blocks(p, h, at + 2)
    if p.tfo_off >= 0:
        if start + 40 - at < ((p.tfo_len + (7 if p.tfo_exp else 5)) & ~3):
            p.tfo_off = -1
        else:
            at = _write_cookie(p, h, at)
            while (at - start) & 3:
                h[at] = 1
                at += 1
    return at


@cython.cfunc
@cython.exceptval(check=False)
def _write_bsd(p: Packet, h: cython.uchar[::1], start: cython.int) -> cython.int:
    """MSS, window scale, SACK permitted, timestamps, SACK, Fast Open, each behind its NOPs.

    The end is filled with EOL, which is zero, and zeros (facts/freebsd-tcp.md section 3.4).
    """
    at: cython.int = start
    if p.opt_mss >= 0:
        put32(h, at, _MSS | p.opt_mss)
        at += 4
    if p.opt_wscale >= 0:
        put32(h, at, _NOP_WSCALE | p.opt_wscale)
        at += 4
    if p.opt_sack_ok:
        put16(h, at, 0x0402)
        at += 2
    if p.opt_ts:
        at = _align_2_mod_4(h, start, at)
        put16(h, at, 0x080A)
        put32(h, at + 2, p.ts_val)
        put32(h, at + 6, p.ts_ecr)
        at += 10
    if p.sack_n > 0:
        _fit_blocks(p, start + 38 - (at + ((start + 2 - at) & 3)))
        if p.sack_n > 0:
            at = _write_blocks(p, h, _align_2_mod_4(h, start, at))
    if p.tfo_off >= 0:
        if start + 40 - at < p.tfo_len + (4 if p.tfo_exp else 2):
            p.tfo_off = -1
        else:
            at = _write_cookie(p, h, at)
    while (at - start) & 3:
        h[at] = 0
        at += 1
    return at


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _align_2_mod_4(h: cython.uchar[::1], start: cython.int, at: cython.int) -> cython.int:
    while (at - start) & 3 != 2:
        h[at] = 1
        at += 1
    return at


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _fit_blocks(p: Packet, room: cython.int) -> cython.void:
    """Leave out the SACK blocks that `room` octets cannot hold."""
    if p.sack_n > 4:
        p.sack_n = 4
    while p.sack_n > 0 and 8 * p.sack_n > room:
        p.sack_n -= 1


@cython.cfunc
@cython.exceptval(check=False)
def _write_blocks(p: Packet, h: cython.uchar[::1], at: cython.int) -> cython.int:
    i: cython.int
    h[at] = 5
    h[at + 1] = 2 + 8 * p.sack_n
    at += 2
    for i in range(2 * p.sack_n):
        put32(h, at, p.sack[i])
        at += 4
    return at


@cython.cfunc
@cython.exceptval(check=False)
def _write_cookie(p: Packet, h: cython.uchar[::1], at: cython.int) -> cython.int:
    i: cython.int
    if (
        p.tfo_exp
    ):  # before it had a number: RFC 6994 option 254 with an identifier (RFC 7413 appendix A)
        h[at] = 254
        h[at + 1] = 4 + p.tfo_len
        put16(h, at + 2, 0xF989)
        at += 4
    else:
        h[at] = 34
        h[at + 1] = 2 + p.tfo_len
        at += 2
    for i in range(p.tfo_len):
        h[at + i] = p.head[p.tfo_off + i]
    p.tfo_off = at
    return at + p.tfo_len
