"""ipfw in a machine: `host.ipfw("add allow ip from any to any")`, its rules and its states."""

from __future__ import annotations

from collections import deque
from errno import EBUSY
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import IPFW_12
from pystack._fast.ipfw import Ipfw, MachineGround
from pystack._fast.ipfw_ops import LOOPBACK
from pystack._fast.rng import Rng
from pystack.addresses import dotted
from pystack.firewall.ipfw.chain import Chain
from pystack.firewall.ipfw.engine import CLAMPED, ERAS, Engine
from pystack.firewall.ipfw.logline import log_packet
from pystack.firewall.ipfw.nat_book import NatBook
from pystack.firewall.ipfw.tool import Tool, words_of

if TYPE_CHECKING:
    from pystack.host import Host

NET = "net.inet.ip.fw."
DUMMYNET = "net.inet.ip.dummynet."
SECOND = 10**9
MICROSECOND = 1000
SECURITY = 512
"""Lines of /var/log/security that are kept."""


KNOBS = {
    "hash_size": "hash_size",
    "pipe_slot_limit": "slot_limit",
    "pipe_byte_limit": "byte_limit",
    "io_fast": "io_fast",
    "expire": "expire",
}
"""Of dummynet -> what of `Dummynet` they set."""


class NoIpfw(ValueError):
    """The system has no ipfw."""


class IpfwError(ValueError):
    """A command was refused. `str()` is what the tool prints, `status` its exit status. `column`: where in the command
    the word is, or would be, that was looked at last (1 is the first; 0: it was not about a word).
    """

    def __init__(self, text: str, status: int, column: int = 0):
        super().__init__(text)
        self.status = status
        self.column = column


class HostGround(MachineGround):
    """What rules ask of a host, as far as it has to do with words."""

    def __init__(self, host: Host, log: Any):
        MachineGround.__init__(self, host.core)
        self.host = host
        self.write = log
        self.engine: Engine
        self.tags: list[frozenset[int]] = [frozenset()]
        """Sets of tags; a packet's mark is the number of its own."""
        self.marks: dict[frozenset[int], int] = {frozenset(): 0}
        """Their numbers."""

    def renew(self) -> int:
        tables = self.host.ipfw.chain.tables
        tables.interface("lo0", LOOPBACK)
        for iface in self.host.core.interfaces:
            tables.interface(iface.name, iface.number)
        self.engine.renew()
        return 0

    def say(self, channel: str, text: str) -> int:
        self.write(channel, text)
        return 0

    def warn(self, text: str) -> int:
        return self.say("printf", text)

    def rule_number(self, rule: int) -> int:
        return int(self.engine.rules.number[rule])

    def name_of(self, iface: int) -> str:
        """The name of an interface by the number that rules know."""
        return "lo0" if iface == LOOPBACK else str(self.host.core.interfaces[iface].name)

    def iface_fits(self, iface: int, pattern: str) -> bool:
        if fnmatchcase(self.name_of(iface), pattern):
            return True
        own = self.host.core.lo if iface == LOOPBACK else self.host.core.interfaces[iface]
        return bool(dotted(own.addr) == pattern)

    def log(self, p: Any, position: int, out: bool, arg: int) -> int:
        rule = self.engine.rule_at(position)
        number = p.iface_out if out else p.iface_in
        way = f"{'out' if out else 'in'} via {self.name_of(number if number >= 0 else LOOPBACK)}"
        for channel, text in log_packet(self.engine, rule, arg, p, way):
            self.say(channel, text)
        return 0

    def has_tag(self, p: Any, low: int, high: int) -> bool:
        return any(low <= tag <= high for tag in self.tags[p.mark])

    def set_tag(self, p: Any, tag: int, on: bool) -> int:
        wanted = self.tags[p.mark] | {tag} if on else self.tags[p.mark] - {tag}
        p.mark = self.marks.setdefault(wanted, len(self.tags))
        if p.mark == len(self.tags):
            self.tags.append(wanted)
        return 0


class HostIpfw:
    """The firewall of a FreeBSD host: it is loaded with the first look at it, and denies all that no rule allows
    (unless `net.inet.ip.fw.default_to_accept` was set at boot). Raises NoIpfw (ValueError) on other systems.
    """

    def __init__(self, host: Host):
        if host.system != "freebsd":
            raise NoIpfw(f"{host.profile.title} has no ipfw: its firewall is netfilter")
        self.host = host
        self.security: deque[tuple[int, str]] = deque(maxlen=SECURITY)
        """(ns, text) of what syslogd writes to /var/log/security, oldest first."""
        cfg = host.core.cfg
        ground = HostGround(host, self._say)
        seed = host.core.rng.next64()
        self.engine = Engine(cfg, ground, Rng(seed), seed & 0xFFFFFFFF)
        self.engine.clock = lambda: host.now // SECOND
        ground.engine = self.engine
        self.chain = Chain(self.engine)
        self.chain.log = self._say
        hooks: Any = Ipfw(host.core, self.engine.rules)
        self.chain.nat = NatBook(hooks.nats, host.core.interfaces, host.core.rng)
        self.chain.pipes = hooks.dummynet
        self.tool = Tool(
            self.chain,
            ERAS[cfg.policy_ipfw],
            sysctl=self._write,
            read=lambda path: Path(path).read_text("utf-8"),
            boot=lambda: host.epoch // SECOND,
            modules=frozenset(("nat", "pmod")),
        )
        self._provide()
        self._provide_pipes()
        host.core.hooks = hooks
        default = "accept" if cfg.fw_default_to_accept else "deny"
        logging = "disabled"
        if cfg.fw_verbose:
            most = cfg.fw_verbose_limit
            logging = f"limited to {most} packets/entry by default" if most else "unlimited"
        host.log.write(
            "ipfw2 (+ipv6) initialized, divert loadable, nat loadable, "
            f"default to {default}, logging {logging}"
        )

    def __call__(self, arguments: str) -> str:
        """One command, as on a command line; what it prints. Raises IpfwError; then nothing has changed."""
        done = self.tool.run(arguments.split())
        if done.status:
            raise IpfwError(done.err.rstrip("\n"), done.status, done.column)
        return done.out

    def load(self, text: str) -> None:
        """The lines of a rule file, each a command. Raises IpfwError with line and column; those before it are done."""
        for number, line in enumerate(text.splitlines(), 1):
            words = words_of(line)
            if words and words[0] in ("ipfw", "/sbin/ipfw"):
                del words[0]
            if not words:
                continue
            done = self.tool.run(words, heard=False)
            if done.status:
                place = f"line {number}, column {done.column}" if done.column else f"line {number}"
                raise IpfwError(f"{place}: {done.err.rstrip()}", done.status, done.column)

    def states(self) -> list[tuple[Any, ...]]:
        """The dynamic entries (`Engine.states`)."""
        return self.engine.states()

    def _write(self, name: str, value: int) -> None:
        self.host.sysctl[name] = value

    def _say(self, channel: str, text: str) -> None:
        if channel.startswith("security"):
            self.security.append((self.host.now, text))
        else:
            self.host.log.write(text)

    def _provide(self) -> None:
        """What the knobs show that report something, or that the kernel itself changes."""
        cfg, table = self.host.core.cfg, self.engine.table
        live = {
            "static_count": lambda: len(self.chain),
            "dyn_count": lambda: table.count,
            "curr_dyn_buckets": lambda: table.chain.buckets,
            "curr_max_length": lambda: table.longest,
            "dyn_parent_count": lambda: table.parent_count,
        }
        live |= {name: partial(getattr, cfg, f"fw_{name}") for name in CLAMPED}
        for name, read in live.items():
            if self.host.profile.find(NET + name):
                self.host.sysctl.provide(NET + name, read)
        if cfg.policy_ipfw != IPFW_12 and self.host.profile.find(NET + "tables_max"):
            keep: Any = self.chain.tables.keep_below
            self.host.sysctl.on_change(NET + "tables_max", keep)
        if self.host.profile.find(NET + "tables_sets"):
            self.host.sysctl.guard(
                NET + "tables_sets", lambda value: 0 if self.chain.may_switch_sets() else EBUSY
            )

    def _provide_pipes(self) -> None:
        """Dummynet's own knobs and counters."""
        net, sysctl, find = self.chain.pipes, self.host.sysctl, self.host.profile.find
        for name, attribute in KNOBS.items():
            self._told(name, net, attribute)
        told = {"codel": net.codel, "fqcodel": net.fair.codel}
        for name in ("codel.target", "codel.interval", "fqcodel.target", "fqcodel.interval"):
            queue, _, attribute = name.partition(".")
            self._told(name, told[queue], attribute, MICROSECOND)
        for attribute in ("quantum", "limit", "flows"):
            self._told(f"fqcodel.{attribute}", net.fair, attribute)
        live = {
            "io_pkt": lambda: net.taken,
            "io_pkt_fast": lambda: net.fast,
            "io_pkt_drop": lambda: net.dropped,
            "schk_count": lambda: 2 * len(net.pipes),
            "si_count": lambda: sum(map(len, _lines(net))),
            "fsk_count": lambda: len(net.sets) + 2 * len(net.pipes),
            "queue_count": lambda: sum(
                len(line.flows) for lines in _lines(net) for line in lines.values()
            ),
        }
        for name, read in live.items():
            if find(DUMMYNET + name):
                sysctl.provide(DUMMYNET + name, read)

    def _told(self, name: str, what: Any, attribute: str, unit: int = 1) -> None:
        """A knob of dummynet sets an attribute, now and whenever it changes."""
        sysctl = self.host.sysctl

        def put(value: Any) -> None:
            setattr(what, attribute, value * unit)

        if self.host.profile.find(DUMMYNET + name):
            put(sysctl[DUMMYNET + name])
            sysctl.on_change(DUMMYNET + name, put)


def _lines(net: Any) -> list[dict[Any, Any]]:
    """The transmitters of all pipes, those of their own packets and those of their queues."""
    return [lines for pipe in net.pipes.values() for lines in (pipe.lines, pipe.queue_lines)]
