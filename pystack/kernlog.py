"""The kernel's message buffer: what a machine tells its operator, in the words of its system and era.

The core says what happened (`consts.Note`, a socket, two numbers); a profile has the words
([messages]), or none where its system keeps silent. How often something is said is the system's rule
too: FreeBSD counts in the core (listen queues, icmplim, zones); Linux lets through so many lines in so
many seconds, whatever they are about (net.core.message_burst and message_cost), and says later how
many it kept to itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pystack._fast import mbuf_zones
from pystack._fast.consts import BANDLIM_NAMES, SECOND, Note
from pystack.addresses import dotted

if TYPE_CHECKING:
    from pystack.sysctl import Sysctl

SIZE = 4096
"""Lines that the buffer holds; the oldest goes first."""
COST = "net.core.message_cost"
BURST = "net.core.message_burst"

_SEGMENT = ("source", "sport", "target", "dport", "flags", "names")
FIELDS: Mapping[Note, tuple[str, ...]] = MappingProxyType(
    {
        Note.LISTEN_OVERFLOW: ("pcb", "local", "number", "other"),
        Note.SOCKET_LIMIT: ("pcb", "local"),
        Note.SYN_FLOOD: ("local", "port", "action"),
        Note.SYNCACHE_PAUSE: ("number", "peer"),
        Note.TIME_WAIT_OVERFLOW: ("number",),
        Note.ORPHANS: ("number",),
        Note.TCP_MEMORY: ("number",),
        Note.BANDLIM: ("what", "other", "limit"),
        Note.ZONE_LIMIT: ("zone", "knob"),
        Note.SOCKETS: ("number",),
        Note.FILES: ("number", "command"),
        Note.CONNTRACK_FULL: (),
        Note.IN_VAIN: _SEGMENT,
        Note.DATAGRAM_IN_VAIN: ("source", "sport", "target", "dport"),
        Note.SYNCACHE_STALE: ("source", "sport", "target", "dport"),
        Note.SYNCACHE_AGAIN: ("source", "sport", "target", "dport", "number"),
        Note.SYNCACHE_DUPLICATE: _SEGMENT,
        Note.SPURIOUS_ACK: _SEGMENT,
        Note.COOKIE_FAILED: _SEGMENT,
        Note.SOCKET_FAILED: _SEGMENT,
        Note.SYNCACHE_REFUSED: _SEGMENT,
        Note.DATA_AFTER_CLOSE: (*_SEGMENT, "number"),
    }
)
"""What the words of a note may speak of, in braces."""

FLAGS = ("FIN", "SYN", "RST", "PUSH", "ACK", "URG", "ECE", "CWR")
"""As FreeBSD writes a segment's flags (PRINT_TH_FLAGS)."""

UNRATED = frozenset({Note.FILES})
"""Notes that do not come from the network, whose rate Linux limits."""


class KernelLog:
    """The messages of one machine. `now` tells the time in ns since it booted."""

    def __init__(
        self,
        core: Any,
        sysctl: Sysctl,
        messages: Mapping[str, str],
        stamped: bool,
        now: Callable[[], int],
    ) -> None:
        self.core = core
        self.sysctl = sysctl
        self.messages = {Note[name.upper()]: text for name, text in messages.items()}
        self.stamped = stamped
        self.now = now
        self.entries: deque[tuple[int, str]] = deque(maxlen=SIZE)
        """(time in ns, text), oldest first."""
        self.suppressed = 0
        self._begin = -1
        self._said = 0
        for line in sysctl.messages:
            self.write(line)
        sysctl.say = self.write
        core.log = self.note
        core.pool.watcher = self.zone

    def lines(self) -> list[str]:
        """What `dmesg` prints, oldest first."""
        if not self.stamped:
            return [text for _, text in self.entries]
        return [
            f"[{time // SECOND:5}.{time % SECOND // 1000:06}] {text}" for time, text in self.entries
        ]

    def write(self, text: str) -> None:
        """A line, whatever it is."""
        self.entries.append((self.now(), text))

    def note(self, note: int, socket: Any, number: int, other: int) -> None:
        """The core says that this happened."""
        words = self.messages.get(Note(note))
        if words is None or (note not in UNRATED and not self._may_say()):
            return
        self.write(words.format_map(self._fields(Note(note), socket, number, other)))

    def zone(self, zone: int) -> None:
        """A zone of the mbuf pool is full; the pool says so once in five minutes (vm.zone_warnings)."""
        if self.core.cfg.zone_warnings:
            self.note(Note.ZONE_LIMIT, None, zone, 0)

    def _fields(self, note: Note, socket: Any, number: int, other: int) -> dict[str, object]:
        fields: dict[str, object] = {"number": number, "other": other}
        if socket is not None:
            fields["pcb"] = f"0x{0xFFFFF80000000000 + socket.row * 0x3E8:x}"
            fields["port"] = socket.lport
            fields["local"] = f"{dotted(socket.laddr)}:{socket.lport}"
        if note == Note.SYN_FLOOD:
            fields["action"] = "Sending cookies" if number else "Dropping request"
        elif note == Note.BANDLIM:
            fields["what"] = BANDLIM_NAMES[number]
            fields["limit"] = self.core.cfg.icmp_icmplim
        elif note == Note.ZONE_LIMIT:
            fields["zone"] = mbuf_zones.NAMES[number]
            fields["knob"] = mbuf_zones.KNOBS[number]
        elif note == Note.FILES:
            fields["command"] = self.core.files.programs[other].name
        elif "source" in FIELDS[note]:
            source, sport, target, dport, flags = self.core.vain
            names = [name for bit, name in enumerate(FLAGS) if flags >> bit & 1]
            fields |= {"source": dotted(source), "sport": sport, "flags": f"0x{flags:x}"}
            fields |= {"target": dotted(target), "dport": dport, "names": ",".join(names)}
        elif note == Note.SYNCACHE_PAUSE:
            fields["peer"] = self._last_syn()
        return fields

    def _last_syn(self) -> str:
        """Who sent the SYN that the syncache had no room for, as FreeBSD's tcp_log_addrs writes it."""
        source, sport, target, dport = self.core.listeners.last_syn
        return f"TCP: [{dotted(source)}]:{sport} to [{dotted(target)}]:{dport}"

    def _may_say(self) -> bool:
        """Linux's net_ratelimit, for systems that have it."""
        if BURST not in self.sysctl:
            return True
        cost, burst = self.sysctl[COST], self.sysctl[BURST]
        assert isinstance(cost, int)
        assert isinstance(burst, int)
        now = self.now()
        if self._begin < 0 or now - self._begin > cost * SECOND:
            if self.suppressed:
                self.write(f"net_ratelimit: {self.suppressed} callbacks suppressed")
            self._begin = now
            self._said = self.suppressed = 0
        if self._said < burst:
            self._said += 1
            return True
        self.suppressed += 1
        return False
