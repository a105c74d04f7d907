"""The habits of web servers: what they wait for and how long, how they close, how many they take; as data.

    HttpService(80, like="apache-1.3", keepalive="off")

`HABITS` has the servers of the incidents with the defaults of their manuals; `Habits` says what each value means. Names
are nginx's where it has one, else Apache's in nginx's spelling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pystack._fast.consts import SECOND
from pystack.sysctl.near import near
from pystack.units import parse_size, parse_time

MIB = 1 << 20
LINGERS = ("lingering", "likely", "plain", "reset")
FULL = ("waits", "closes")
TIMERS = ("monotonic", "wall")


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How a web server treats its connections. Times are ns, sizes octets; the defaults are this package's own."""

    keepalive: int = 15 * SECOND
    """How long an idle connection is kept after an answer; 0: each answer is the last (KeepAlive Off)."""
    request_timeout: int | None = None
    """How long the head of a request may take, and the wait for it; None: as `keepalive`, or 15 s if that is off."""
    send_timeout: int = 300 * SECOND
    """How long a peer may take nothing of an answer."""
    requests_max: int | None = None
    """Requests of one connection."""
    body_max: int = MIB
    """Octets of the body of a request."""
    linger: str = "lingering"
    """How this side ends a connection whose last answer is written.

    lingering    the sending side is shut, then what still comes is read and thrown away, until the peer closes too,
                 `lingering_timeout` passes in silence or `lingering_time` in all (Apache's lingering_close, always)
    likely       so if something more is likely to come: a body that was not read, requests behind the last (nginx)
    plain        close at once; a system may answer what still comes with a reset, which destroys the answer
    reset        SO_LINGER {1, 0} and close: what the peer has not acknowledged is lost
    """
    lingering_timeout: int = 2 * SECOND
    lingering_time: int = 30 * SECOND
    reset_timedout_connections: bool = False
    """Clients that let a time of theirs pass in a request or an answer are reset (nginx: reset_timedout_connection),
    which frees what is queued for them; else they are closed, and the system keeps it until it gives up itself.
    """
    rcvbuf: int | None = None
    sndbuf: int | None = None
    """SO_RCVBUF and SO_SNDBUF of the listener, set before it listens: connections inherit them. None: untouched."""
    backlog: int = 1024
    """Of listen(2)."""
    sendfile: bool = False
    """Bodies that are sent piece by piece are pages of a file for the machine: it maps them, and copies nothing into
    clusters (nginx; here /bytes/N too). What waits for a slow reader then takes an mbuf a page, and on i386 an sf_buf.
    """
    worker_connections: int | None = None
    """Connections at the same time (nginx counts the listener; Apache: MaxClients, MaxRequestWorkers)."""
    when_full: str = "waits"
    """What happens at that number.

    waits        nobody is accepted: who comes waits in the listen queue (Apache)
    closes       idle connections are closed for new ones; where none is idle the new one is closed at once (nginx)
    """
    worker_rlimit_nofile: int | None = None
    """Descriptors of the worker process (`pystack.process`): three that every process has, the listener, connections,
    files under way. At the limit accept() fails with EMFILE and nobody is accepted for half a second (nginx), and a
    file is answered with 500. None: what the machine allows.
    """
    timers: str = "monotonic"
    """By which clock it counts its times. Who counts by the wall clock (nginx before 1.13.10) closes all that is idle
    when that is set ahead, and nothing for as long as it was set back.
    """

    @property
    def head_time(self) -> int:
        """`request_timeout`, or what stands for it."""
        if self.request_timeout is not None:
            return self.request_timeout
        return self.keepalive or 15 * SECOND


APACHE = Habits(
    keepalive=15 * SECOND,
    request_timeout=300 * SECOND,
    send_timeout=300 * SECOND,
    requests_max=100,
    backlog=511,
    worker_connections=256,
)
HABITS: Mapping[str, Habits] = {
    "pystack": Habits(),
    "apache-1.1": replace(APACHE, requests_max=5, linger="plain", worker_connections=150),
    "apache-1.3": APACHE,
    "apache-2.4": replace(
        APACHE,
        keepalive=5 * SECOND,
        request_timeout=60 * SECOND,
        send_timeout=60 * SECOND,
        worker_connections=400,
    ),
    "nginx": Habits(
        keepalive=75 * SECOND,
        request_timeout=60 * SECOND,
        send_timeout=60 * SECOND,
        requests_max=1000,
        linger="likely",
        lingering_timeout=5 * SECOND,
        backlog=511,
        worker_connections=512,
        when_full="closes",
    ),
}
"""Sources: facts 6.1 and 6.2 (httpd.h and http_main.c 1.3, event.c 2.4, ngx_http_core_module.c); MaxClients, requests
of 1.1 and the numbers of 2.4 from their manuals, by memory."""

_NGINX = {
    "reused": "[warn] {most} worker_connections are not enough, reusing connections",
    "closes": "[alert] {most} worker_connections are not enough",
    "files": "[crit] accept() failed ({number}: {error})",
}
MESSAGES: Mapping[str, Mapping[str, str]] = {
    "apache": {
        "waits": "[error] server reached MaxClients setting, consider raising the MaxClients setting",
        "files": "[error] ({number}){error}: accept: (client socket)",
    },
    "apache-2.4": {
        "waits": "[error] AH00484: server reached MaxRequestWorkers setting, "
        "consider raising the MaxRequestWorkers setting",
        "files": "[error] ({number}){error}: AH00056: accept: (client socket)",
    },
    "nginx": _NGINX,
    "pystack": _NGINX | {"waits": "[warn] {most} worker_connections are not enough, others wait"},
}
"""What the error log says when `worker_connections` are taken (nobody more is accepted, idle ones make room, a new one
is turned away) and when accept(2) finds no descriptor. From memory of the servers' sources.
"""


def message(like: str, event: str) -> str:
    """Its words, by the name of the habits or of their family; each family has the others of its own."""
    for name in (like, like.partition("-")[0], "pystack"):
        if event in MESSAGES.get(name, ()):
            return MESSAGES[name][event]
    raise ValueError(f"no words for {event!r}")


def choose(like: str, options: Mapping[str, Any]) -> Habits:
    """The habits of a server of `HABITS`, changed by `options`, whose values may be text ("15s", "8KiB", "off").

    Raises ValueError for a name or a value that there is not, with the near ones.
    """
    if like not in HABITS:
        raise ValueError(f"no habits {like!r}; known: {', '.join(HABITS)}{near(like, HABITS)}")
    for name in options:
        if name not in _PARSERS:
            raise ValueError(f"a web server has no option {name!r}{near(name, _PARSERS)}")
    return replace(
        HABITS[like], **{name: _PARSERS[name](value, name) for name, value in options.items()}
    )


def _optional(parse: Callable[[Any, str], Any], *words: str) -> Callable[[Any, str], Any]:
    """None and `words` mean none."""
    return lambda value, name: None if value is None or value in words else parse(value, name)


def _time_or_off(value: Any, name: str) -> int:
    if value == "off":
        return 0
    return parse_time(value, name)


def _time(value: Any, name: str) -> int:
    time = parse_time(value, name)
    if time == 0:
        raise ValueError(f"{name} {value!r} is no time at all")
    return time


def _count(value: Any, name: str, least: int = 1) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or int(text) < least:
        raise ValueError(f"{name} {value!r} is not a number from {least} on")
    return int(text)


def _two_or_more(value: Any, name: str) -> int:
    return _count(value, name, 2)


def _files(value: Any, name: str) -> int:
    return _count(value, name, OWN_FILES + 1)


def _buffer(value: Any, name: str) -> int:
    size = parse_size(value, name)
    if not 0 < size < 1 << 31:
        raise ValueError(f"{name} {value!r} is no size of a buffer")
    return size


def _on_or_off(value: Any, name: str) -> bool:
    if value in ("on", "off"):
        return bool(value == "on")
    if not isinstance(value, bool):
        raise ValueError(f"{name} {value!r} is neither on nor off")
    return value


def _one_of(*words: str) -> Callable[[Any, str], str]:
    def parse(value: Any, name: str) -> str:
        if value not in words:
            raise ValueError(f"{name} {value!r} is none of {', '.join(words)}")
        return str(value)

    return parse


OWN_FILES = 4
"""Descriptors that a worker has before the first connection."""

_PARSERS: dict[str, Callable[[Any, str], Any]] = {
    "keepalive": _time_or_off,
    "request_timeout": _optional(_time),
    "send_timeout": _time,
    "requests_max": _optional(_count, "off"),
    "body_max": parse_size,
    "linger": _one_of(*LINGERS),
    "lingering_timeout": _time,
    "lingering_time": _time,
    "reset_timedout_connections": _on_or_off,
    "rcvbuf": _optional(_buffer, "off"),
    "sndbuf": _optional(_buffer, "off"),
    "backlog": _count,
    "sendfile": _on_or_off,
    "worker_connections": _optional(_two_or_more, "off"),
    "when_full": _one_of(*FULL),
    "worker_rlimit_nofile": _optional(_files, "off"),
    "timers": _one_of(*TIMERS),
}
assert list(_PARSERS) == [each.name for each in fields(Habits)]
