"""What the grammar finds becomes the objects of `script`; numbers and words are checked on the way.

The methods of `Builder` are called by lark while it parses, one for each rule, with tokens and with what the
inner rules answered. They know no file and no line: a token carries its offset, `Wrong` hands it on, and
`parse` makes places of offsets.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from lark import Token, Transformer, v_args

from pystack.packetdrill import script as ast
from pystack.packetdrill.source import Wrong

_U8, _U16, _U32 = 0xFF, 0xFFFF, 0xFFFF_FFFF


class RawEvent(NamedTuple):
    """An event that has its offset in the text, not yet its place and its lines."""

    offset: int
    time: ast.Time
    end: int | None
    what: Any


class RawText(NamedTuple):
    """A command, code snippet or option with its offset."""

    offset: int
    kind: str
    text: str


class RawScript(NamedTuple):
    """What `script` answers."""

    options: list[RawText]
    init: RawText | None
    events: list[RawEvent]
    cleanup: RawText | None


class _OnlyOut(NamedTuple):
    """Something that only an outbound packet may have."""

    offset: int
    text: str


_ECN = {"noecn", "ect0", "ect1", "ce", "ect01"}

_DSCP = {"be": 0, "df": 0, "ef": 46, "va": 44, "le": 1}
_DSCP |= {f"cs{n}": n << 3 for n in range(8)}
_DSCP |= {f"af{c}{d}": c << 3 | d << 1 for c in range(1, 5) for d in range(1, 4)}

_FLAGS = {
    "F": ast.FIN,
    "S": ast.SYN,
    "R": ast.RST,
    "P": ast.PSH,
    ".": ast.ACK,
    "U": ast.URG,
    "E": ast.ECE,
    "W": ast.CWR,
}

_OPTION_SIZES = {"mss": 4, "wscale": 3, "sackOK": 2, "TS": 10, "nop": 1, "eol": 1}

_ESCAPES = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11, "0": 0}
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{1,2}|.)", re.S)

_HEX_DIGITS = re.compile(r"[0-9A-Fa-f]+")


def integer(token: str) -> int:
    """Any number; a zero in front means nothing."""
    return int(token, 16 if token[:2] in ("0x", "0X") else 10)


def number(token: Token, maximum: int, name: str) -> int:
    """An unsigned number of the script, at most `maximum`."""
    value = integer(token)
    if not 0 <= value <= maximum:
        raise Wrong(token.start_pos or 0, token, f"{name} from 0 to {maximum}")
    return value


def micros(token: Token) -> int:
    """Seconds as written, in microseconds; what is finer is cut off."""
    whole, _, part = token.partition(".")
    if token[0] == "-":
        raise Wrong(token.start_pos or 0, token, "a time that is not negative")
    return int(whole or 0) * 1_000_000 + int(part[:6].ljust(6, "0") if part else 0)


def octets(tokens: tuple[Token, ...]) -> bytes:
    """Hex digits of one or more words."""
    out = b""
    for token in tokens:
        digits = token[2:] if token[:2] in ("0x", "0X") else token
        if not _HEX_DIGITS.fullmatch(digits) or len(digits) % 2:
            raise Wrong(token.start_pos or 0, token, "an even number of hex digits")
        out += bytes.fromhex(digits)
    return out


def unescape(text: str) -> bytes:
    """The octets of a quoted string, quotes already gone."""

    def one(match: re.Match[bytes]) -> bytes:
        what = match[1].decode("latin-1")
        if what[0] == "x" and len(what) > 1:
            return bytes([int(what[1:], 16)])
        return bytes([_ESCAPES[what]]) if what in _ESCAPES else match[1]

    return _ESCAPE.sub(one, text.encode())


def timed(when: tuple[Token, ast.Time], end: int | None, what: Any) -> RawEvent:
    token, time = when
    offset = token.start_pos or 0
    if isinstance(what, Token):
        if what.type == "CODE":
            what = RawText(what.start_pos or 0, "code", what[2:-2].strip())
        else:
            what = RawText(what.start_pos or 0, "command", what[1:-1])
    if (time.kind == "any" or time.until is not None) and getattr(what, "inbound", True):
        expected = "a single time: only outbound packets (`>`) may have `*` or a range"
        raise Wrong(offset, token if time.kind == "any" else "~", expected)
    return RawEvent(offset, time, end, what)


def range_end(at: Token, until: Token) -> int:
    if micros(until) < micros(at):
        raise Wrong(until.start_pos or 0, until, "an end of the range not before its begin")
    return micros(until)


def span(seq: Token, end: Token, length: Token) -> tuple[int, int, int]:
    first = number(seq, _U32, "a sequence number")
    last = number(end, _U32, "a sequence number")
    size = number(length, _U16, "a length")
    if (first + size) & _U32 != last:
        expected = f"{(first + size) & _U32}, which is {seq} + {length}"
        raise Wrong(end.start_pos or 0, end, expected)
    return first, last, size


def argument(value: Any) -> ast.Arg:
    """Strings and `...` come as tokens."""
    if not isinstance(value, Token):
        return value  # type: ignore[no-any-return]
    if value.type == "STRING":
        return ast.String(unescape(value[1:-1]))
    return ast.Ellipsis_()


@v_args(inline=True)
class Builder(Transformer[Token, RawScript]):
    """One method for each rule and alias of grammar.lark."""

    # --- the whole and its times -------------------------------------------------------------------

    def script(self, *parts: Any) -> RawScript:
        options: list[RawText] = []
        events: list[RawEvent] = []
        commands: list[RawText | None] = [None, None]
        for part in parts:
            if isinstance(part, RawEvent):
                events.append(part)
            elif part.type == "OPTION":
                options.append(RawText(part.start_pos, "option", str(part)))
            else:
                commands[bool(events)] = RawText(part.start_pos, "command", part[1:-1])
        return RawScript(options, commands[0], events, commands[1])

    def event(self, when: tuple[Token, ast.Time], what: Any) -> RawEvent:
        return timed(when, None, what)

    def blocking_event(
        self, when: tuple[Token, ast.Time], _dots: Token, end: Token, what: ast.Syscall
    ) -> RawEvent:
        until = micros(end)
        if until < when[1].at:
            raise Wrong(end.start_pos or 0, end, "an end that is not before the start")
        return timed(when, until, what)

    def any_time(self, star: Token) -> tuple[Token, ast.Time]:
        return star, ast.Time("any")

    def absolute_time(self, at: Token) -> tuple[Token, ast.Time]:
        return at, ast.Time("absolute", micros(at))

    def relative_time(self, plus: Token, at: Token) -> tuple[Token, ast.Time]:
        return plus, ast.Time("relative", micros(at))

    def absolute_range(self, at: Token, until: Token) -> tuple[Token, ast.Time]:
        return at, ast.Time("absolute", micros(at), range_end(at, until))

    def relative_range(self, plus: Token, at: Token, until: Token) -> tuple[Token, ast.Time]:
        return plus, ast.Time("relative", micros(at), range_end(at, until))

    # --- packets -----------------------------------------------------------------------------------

    def packet(self, direction: Token, *parts: Any) -> Any:
        fields: dict[str, Any] = {"inbound": direction == "<"}
        encap: list[str] = []
        only_out: list[_OnlyOut] = []
        kind: Any = ast.TcpPacket
        for part in parts:
            if isinstance(part, str):
                encap.append(part)
            else:
                kind, found, out = part
                fields |= found
                only_out += out
        if encap:
            fields["encap"] = tuple(encap)
        if fields["inbound"]:
            for offset, text in only_out:
                raise Wrong(offset, text, "something to send: only outbound lines may have this")
            if kind is ast.TcpPacket and "win" not in fields:
                expected = "a window (`win N`): an inbound segment needs one"
                raise Wrong(direction.start_pos or 0, direction, expected)
        return kind(**fields)

    def encap(self, kind: Token, *_: Token) -> str:
        return str(kind)

    def ip_info(self, *items: Any) -> tuple[Any, dict[str, Any], list[_OnlyOut]]:
        found: dict[str, Any] = {}
        out = []
        for name, field, value in items:
            if field in found:
                raise Wrong(name.start_pos, name, f"{field} only once")
            found[field] = value
            if value == "ect01":
                out.append(_OnlyOut(name.start_pos, name))
        return None, {"ip": ast.IpInfo(**found)}, out

    def ip_item(self, name: Token, value: Token | None = None) -> tuple[Token, str, Any]:
        limit = {"tos": _U8, "ttl": _U8, "hlim": _U8, "dscp": 63, "flowlabel": 0xFFFFF}.get(name)
        if name in _ECN and value is None:
            return name, "ecn", str(name)
        if limit is None or (value is None) != (name in _ECN):
            at, text = (name, name) if value is None or name not in _ECN else (value, value)
            expected = "one of noecn, ect0, ect1, ce, ect01, tos N, ttl N, dscp N, flowlabel N"
            raise Wrong(at.start_pos or 0, text, expected)
        assert value is not None
        field = "ttl" if name == "hlim" else str(name)
        if value.type == "WORD":
            if name != "dscp" or value.lower() not in _DSCP:
                what = "a code point such as cs1, af11 or ef" if name == "dscp" else "a number"
                raise Wrong(value.start_pos or 0, value, what)
            return name, field, _DSCP[value.lower()]
        return name, field, number(value, limit, f"a {name}")

    def tcp(self, *parts: tuple[dict[str, Any], list[_OnlyOut]]) -> Any:
        fields: dict[str, Any] = {}
        out: list[_OnlyOut] = []
        for found, only_out in parts:
            fields |= found
            out += only_out
        return ast.TcpPacket, fields, out

    def ports(self, source: Token, target: Token) -> tuple[dict[str, Any], list[_OnlyOut]]:
        return {"ports": (number(source, _U16, "a port"), number(target, _U16, "a port"))}, []

    def flags(self, *pieces: Token) -> tuple[dict[str, Any], list[_OnlyOut]]:
        text = "".join(pieces)
        found: dict[str, Any] = {"flags": 0}
        if text == "-":
            return found, []
        flags = 0
        for at, letter in enumerate(text):
            if letter in text[:at]:
                raise Wrong(pieces[0].start_pos or 0, text, "every flag only once")
            if letter in _FLAGS:
                flags |= _FLAGS[letter]
            elif letter == "A":
                found["ae"] = True
            elif letter in "01234567" and "ace" not in found:
                ace = found["ace"] = int(letter)
                flags |= (ast.ECE if ace & 1 else 0) | (ast.CWR if ace & 2 else 0)
                if ace & 4:
                    found["ae"] = True
            else:
                expected = (
                    "TCP flags: letters of FSRPUEWA, `.` for ACK, a digit 0-7, or `-` for none"
                )
                raise Wrong(pieces[0].start_pos or 0, text, expected)
        found["flags"] = flags
        return found, []

    def seq_range(
        self, seq: Token, end: Token, length: Token, mode: str = "mapped"
    ) -> tuple[dict[str, Any], list[_OnlyOut]]:
        first, last, size = span(seq, end, length)
        return {"seq": first, "end": last, "length": size, "seq_mode": mode}, []

    def seq_absolute(
        self, seq: Token, end: Token, length: Token, _bang: Token | None = None
    ) -> tuple[dict[str, Any], list[_OnlyOut]]:
        return self.seq_range(seq, end, length, "absolute")

    def seq_ignored(self, dots: Token, length: Token) -> tuple[dict[str, Any], list[_OnlyOut]]:
        size = number(length, _U16, "a length")
        found = {"seq": 0, "end": 0, "length": size, "seq_mode": "ignored"}
        return found, [_OnlyOut(dots.start_pos or 0, dots)]

    def ack(self, _: Token, value: Token) -> tuple[dict[str, Any], list[_OnlyOut]]:
        return {"ack": number(value, _U32, "an acknowledgment number")}, []

    def win(self, _: Token, value: Token) -> tuple[dict[str, Any], list[_OnlyOut]]:
        return {"win": number(value, _U16, "a window (as in the header, not scaled)")}, []

    def urg(self, _: Token, value: Token) -> tuple[dict[str, Any], list[_OnlyOut]]:
        return {"urg": number(value, _U16, "an urgent pointer")}, []

    def encap_udp(self, source: Token, target: Token) -> tuple[dict[str, Any], list[_OnlyOut]]:
        return {"udp_encap": (number(source, _U16, "a port"), number(target, _U16, "a port"))}, []

    def reset_cause(self, code: Token, pen: Token) -> tuple[dict[str, Any], list[_OnlyOut]]:
        return {
            "rst_code": number(code, _U16, "a code"),
            "rst_pen": number(pen, _U32, "an enterprise number"),
        }, []

    # --- TCP options -------------------------------------------------------------------------------

    def options(self, *found: tuple[ast.Opt, int | None, Token]) -> Any:
        sizes = [size for _, size, _ in found]
        known = [size for size in sizes if size is not None]
        if len(known) == len(sizes) and (sum(known) % 4 or sum(known) > 40):
            last = found[-1][2]
            expected = f"options of 4, 8 … 40 octets (nop and eol pad), these have {sum(known)}"
            raise Wrong(last.start_pos or 0, last, expected)
        return {"options": tuple(option for option, _, _ in found)}, [
            _OnlyOut(token.start_pos or 0, "...")
            for option, _, token in found
            if option.kind == "TS" and option.values[0] is None
        ]

    def any_options(self, dots: Token) -> Any:
        return {"options": None}, [_OnlyOut(dots.start_pos or 0, dots)]

    def opt_number(self, kind: Token, value: Token) -> Any:
        limit = _U16 if kind == "mss" else _U8
        option = ast.Opt(str(kind), (number(value, limit, f"a value for {kind}"),))
        return option, _OPTION_SIZES[kind], kind

    def opt_plain(self, kind: Token) -> Any:
        return ast.Opt(str(kind)), _OPTION_SIZES[kind], kind

    def block(self, left: Token, right: Token) -> tuple[int, int]:
        return number(left, _U32, "a left edge"), number(right, _U32, "a right edge")

    def opt_sack(self, kind: Token, *blocks: tuple[int, int]) -> Any:
        return ast.Opt("sack", blocks), 2 + 8 * len(blocks), kind

    def opt_timestamps(self, kind: Token, val: Token, ecr: Token, bang: Any = None) -> Any:
        stamp = None if val == "..." else number(val, _U32, "a time stamp")
        values = (stamp, number(ecr, _U32, "a time stamp"))
        option = ast.Opt("TS", values, absolute=bang is not None)
        return option, _OPTION_SIZES["TS"], val if stamp is None else kind

    def opt_hex(self, kind: Token, digits: Token | None = None) -> Any:
        if kind == "md5" and digits in (None, "valid"):
            return ast.Opt("md5", ("valid",) if digits else ()), 18, kind
        data = b"" if digits is None else octets((digits,))
        return ast.Opt(str(kind), (data,)), (4 if kind == "FOEXP" else 2) + len(data), kind

    def opt_counters(self, kind: Token, *pairs: Token) -> Any:
        values = tuple(
            (str(name), number(value, _U32, "a counter"))
            for name, value in zip(pairs[::2], pairs[1::2], strict=True)
        )
        return ast.Opt(str(kind), values), None, kind

    def opt_gen(self, kind: Token, option: Token, digits: Token | None = None) -> Any:
        data = b"" if digits is None else octets((digits,))
        return ast.Opt("gen", (number(option, _U8, "an option kind"), data)), 2 + len(data), kind

    def opt_exp(self, kind: Token, name: Token, *rest: Token) -> Any:
        if name == "FO":
            data = octets(rest)
            return ast.Opt("exp-FO", (data,)), 4 + len(data), kind
        if re.fullmatch(r"(0[xX])?([0-9A-Fa-f]{4}|[0-9A-Fa-f]{8})", name):
            data = octets(rest)
            exid = int(name, 16)
            return ast.Opt("exp", (exid, data)), (4 if exid <= _U16 else 6) + len(data), kind
        return ast.Opt("exp", (str(name), *map(str, rest))), None, kind

    def opt_raw(self, *digits: Token) -> Any:
        if not _HEX_DIGITS.fullmatch(digits[0].removeprefix("0x")):
            expected = "a TCP option (mss, wscale, sackOK, sack, TS, nop, eol, md5, FO, FOEXP …)"
            raise Wrong(digits[0].start_pos or 0, digits[0], expected)
        data = octets(digits)
        return ast.Opt("raw", (data,)), len(data), digits[0]

    # --- UDP and ICMP ------------------------------------------------------------------------------

    def udp(self, _: Token, *parts: Any) -> Any:
        fields = {"length": number(parts[-1], _U16, "a length")}
        for found, _none in parts[:-1]:
            fields |= found
        return ast.UdpPacket, fields, []

    def icmp(self, _: Token, *parts: Any) -> Any:
        fields: dict[str, Any] = {}
        for part in parts:
            if isinstance(part, Token):
                name = "code" if "type" in fields else "type"
                fields[name] = str(part) if part.type == "WORD" else number(part, _U8, f"a {name}")
            else:
                fields |= part
        return ast.IcmpPacket, fields, []

    def mtu(self, _: Token, value: Token) -> dict[str, Any]:
        return {"mtu": number(value, _U32, "an MTU")}

    def id(self, _: Token, value: Token) -> dict[str, Any]:
        return {"id": number(value, _U16, "an identifier")}

    def quoted(self, proto: Token, length: Token) -> dict[str, Any]:
        size = number(length, _U16, "a length")
        return {"quoted": ast.Quoted("udp" if proto == "udp" else "raw", size)}

    def quoted_tcp(self, seq: Token, end: Token, length: Token) -> dict[str, Any]:
        first, last, size = span(seq, end, length)
        return {"quoted": ast.Quoted("tcp", size, first, last)}

    # --- system calls ------------------------------------------------------------------------------

    def syscall(self, name: Token, *parts: Any) -> ast.Syscall:
        at = len(parts) - 1
        errno: str | None = None
        notes: list[str] = []
        while isinstance(parts[at], Token) and parts[at].type == "NOTE":
            notes.insert(0, parts[at][1:-1])
            at -= 1
        if isinstance(parts[at], str) and not isinstance(parts[at], Token):
            errno = parts[at]
            at -= 1
        args = tuple(map(argument, parts[: at + 1]))
        return ast.Syscall(str(name), args[:-1], args[-1], errno, ") (".join(notes) or None)

    def errno(self, name: Token) -> str:
        return str(name)

    def value(self, token: Token) -> ast.Number:
        return ast.Number(integer(token), str(token))

    def symbol(self, token: Token) -> ast.Symbol:
        return ast.Symbol(str(token))

    result_symbol = symbol

    def or_(self, *args: ast.Arg) -> ast.Or:
        return ast.Or(args)

    or_result = or_

    def list_(self, *items: Any) -> ast.List_:
        return ast.List_(tuple(map(argument, items)))

    def call(self, name: Token, *args: Any) -> ast.Call:
        return ast.Call(str(name), tuple(map(argument, args)))

    def struct(self, *fields: ast.Field) -> ast.Struct:
        return ast.Struct(fields)

    def field(self, name: Token, value: Any) -> ast.Field:
        return ast.Field(str(name), argument(value))

    def counted(self, name: Token, *parts: Any) -> ast.Field:
        if len(parts) != 2:
            raise Wrong(name.start_pos or 0, name, f"one value in parentheses: `{name}(N)=…`")
        return ast.Field(str(name), argument(parts[1]), argument(parts[0]))

    def unnamed(self, value: Any) -> ast.Field:
        return ast.Field("", argument(value))
