"""What of all sockets `ss` shows: states by their names, and expressions about addresses and ports (ss(8), FILTER), as
`state time-wait`, `exclude listening`, `sport = :80 and not dst 10.0.0.0/8`, `( dport ge :1024 or src 192.0.2.1:80 )`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType

from pystack._fast import consts
from pystack._fast.routes import mask_of
from pystack.addresses import parse_host, parse_network
from pystack.views.table import SocketRow

NAMES: Mapping[str, int] = MappingProxyType(
    {
        "established": consts.ESTABLISHED,
        "syn-sent": consts.SYN_SENT,
        "syn-recv": consts.SYN_RECEIVED,
        "fin-wait-1": consts.FIN_WAIT_1,
        "fin-wait-2": consts.FIN_WAIT_2,
        "time-wait": consts.TIME_WAIT,
        "unconnected": consts.CLOSED,
        "closed": consts.CLOSED,
        "close-wait": consts.CLOSE_WAIT,
        "last-ack": consts.LAST_ACK,
        "listening": consts.LISTEN,
        "closing": consts.CLOSING,
    }
)
ALL = frozenset(NAMES.values())
_SMALL = frozenset((consts.SYN_RECEIVED, consts.TIME_WAIT))
_CONNECTED = ALL - {consts.LISTEN, consts.CLOSED}
SETS: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "all": ALL,
        "connected": _CONNECTED,
        "synchronized": _CONNECTED - {consts.SYN_SENT},
        "bucket": _SMALL,
        "big": ALL - _SMALL,
        **{name: frozenset((state,)) for name, state in NAMES.items()},
    }
)
"""What a word behind `state` or `exclude` stands for."""

Test = Callable[[SocketRow], bool]
COMPARE: Mapping[str, Callable[[int, int], bool]] = MappingProxyType(
    {
        "=": operator.eq,
        "==": operator.eq,
        "eq": operator.eq,
        "!=": operator.ne,
        "ne": operator.ne,
        "neq": operator.ne,
        ">=": operator.ge,
        "ge": operator.ge,
        "geq": operator.ge,
        "<=": operator.le,
        "le": operator.le,
        "leq": operator.le,
        ">": operator.gt,
        "gt": operator.gt,
        "<": operator.lt,
        "lt": operator.lt,
    }
)


class FilterError(ValueError):
    """What the words say is no filter."""


def parse(words: list[str], usual: frozenset[int]) -> tuple[frozenset[int], Test]:
    """The states that are shown (`usual`, where the words name none), and the test of the expression behind them."""
    states: frozenset[int] | None = None
    while words and words[0] in ("state", "exclude", "excl"):
        if len(words) < 2:
            raise FilterError("ss: option requires an argument -- state")
        verb, name, *words = words
        if name not in SETS:
            known = ", ".join(SETS)
            raise FilterError(f"ss: wrong state name: {name} (known: {known})")
        if verb == "state":
            states = (states or frozenset()) | SETS[name]
        else:
            states = (ALL if states is None else states) - SETS[name]
    expression = Expression(" ".join(words))
    test = expression.whole() if words else _everything
    return usual if states is None else states, test


def _everything(_: SocketRow) -> bool:
    return True


class Expression:
    """The words of an expression, one after the other: `or` binds least, and two tests side by side are both meant."""

    def __init__(self, text: str) -> None:
        for mark in "()":
            text = text.replace(mark, f" {mark} ")
        self.words = text.split()

    def whole(self) -> Test:
        """All of it."""
        test = self._either()
        if self.words:
            raise FilterError(f"ss: {self.words[0]}: this does not go on the filter before it")
        return test

    def _either(self) -> Test:
        first = self._both()
        while self._skip("or", "|", "||"):
            first = _or(first, self._both())
        return first

    def _both(self) -> Test:
        first = self._single()
        while self._skip("and", "&", "&&") or (
            self.words and self.words[0] not in (")", "or", "|", "||")
        ):
            first = _and(first, self._single())
        return first

    def _single(self) -> Test:
        if self._skip("not", "!"):
            return _not(self._single())
        if self._skip("("):
            inside = self._either()
            if not self._skip(")"):
                raise FilterError("ss: a parenthesis is not closed")
            return inside
        word = self._next()
        if word in ("sport", "dport"):
            compare = COMPARE[self._next()] if self._peek() in COMPARE else operator.eq
            return _port(word == "sport", compare, _number(self._next()))
        if word in ("src", "dst"):
            self._skip("=", "==", "eq")
            return _end(word == "src", self._next())
        raise FilterError(f"ss: {word}: a filter begins with sport, dport, src, dst, not or (")

    def _peek(self) -> str:
        return self.words[0] if self.words else ""

    def _next(self) -> str:
        if not self.words:
            raise FilterError("ss: the filter ends in the middle")
        return self.words.pop(0)

    def _skip(self, *words: str) -> bool:
        if self._peek() not in words:
            return False
        del self.words[0]
        return True


def _or(one: Test, other: Test) -> Test:
    return lambda sock: one(sock) or other(sock)


def _and(one: Test, other: Test) -> Test:
    return lambda sock: one(sock) and other(sock)


def _not(test: Test) -> Test:
    return lambda sock: not test(sock)


def _number(text: str) -> int:
    text = text.removeprefix("*").removeprefix(":")
    if not text.isascii() or not text.isdecimal() or int(text) > 65535:
        raise FilterError(f'Error: "{text}" does not look like a port.')
    return int(text)


def _port(local: bool, compare: Callable[[int, int], bool], number: int) -> Test:
    return lambda sock: compare(sock.lport if local else sock.fport, number)


def _end(local: bool, text: str) -> Test:
    """An address, a network, with a port behind a colon, or only that."""
    where, colon, port = text.partition(":")
    wanted = _number(port) if colon and port not in ("", "*") else -1
    net, mask = 0, 0
    if where not in ("", "*"):
        try:
            if "/" in where:
                net, prefix = parse_network(where)
                mask = mask_of(prefix)
            else:
                net, mask = parse_host(where), mask_of(32)
        except (ValueError, OSError):
            raise FilterError(f'Error: an inet prefix is expected rather than "{where}".') from None

    def test(sock: SocketRow) -> bool:
        addr, number = (sock.laddr, sock.lport) if local else (sock.faddr, sock.fport)
        return addr & mask == net & mask and wanted in (-1, number)

    return test
